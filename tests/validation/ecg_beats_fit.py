"""Fits the scores of zhenbao/signal/ecg/beats/coefficients.toml on DS1 of the MIT-BIH Arrhythmia Database.

    .venv/bin/python tests/validation/ecg_beats_fit.py [--cross] [--write]

DS1 is the training half of de Chazal 2004 (IEEE Trans Biomed Eng 51:1196). ``--cross`` leaves one record out at a
time and prints what the rest says of it; ``--write`` fits on all and writes the table. A script, not a test.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parent))
from ecg_rhythm import DS1, Record, SvTally, read, tally_beats

from zhenbao.signal.ecg.beats import classes
from zhenbao.signal.ecg.beats.features import NAMES, Measured, measure_beats
from zhenbao.signal.ecg.beats.windows import prepare
from zhenbao.signal.ecg.logistic import Score

Floats = NDArray[np.float64]
TABLE = Path(classes.__file__).with_name("coefficients.toml")
SUPRAVENTRICULAR = [
    *("pre_local", "post_local", "pre_all", "post_all", "pre_mean", "pre_before", "pre_post", "pre_quartile"),
    *("pre_s", "local_s", "irregular", "like", "angle", "height", "t_like", "p_like", "p_energy"),
    *("group_early", "group_fast", "group_share"),
]
POSITIVE_SHARE = {"ventricular": 0.4, "supraventricular": 0.35}
PENALTY = {"ventricular": 0.001, "supraventricular": 0.003}
AT_LEAST = 20
"""Beats of a class in a record weigh together as the root of their number, at least of this."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record seen through some of its leads, with reference or detected beats."""

    record: Record
    beats: NDArray[np.int64]
    truth: NDArray[np.str_]
    samples: Floats
    measured: Measured


def samples_of(record: Record) -> list[Sample]:
    """Both leads together and each alone, with both kinds of beats."""
    found = []
    for leads in ([0, 1], [0], [1]):
        samples = record.ecg_mv[leads]
        prepared = prepare(samples, record.fs_hz, np.ones(samples.shape, bool))
        for beats in (record.reference, record.detected(tuple(leads))):
            found.append(Sample(record, beats, record.truth(beats), samples, measure_beats(prepared, beats)))
    return found


def design(samples: list[Sample], positive: str, among: str, *, calm: bool) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Values, whether the class is the positive one, and weights that balance records and classes."""
    values, hit, weights = [], [], []
    for s in samples:
        pick = np.isin(s.truth, list(among))
        if calm:
            pick &= ~s.record.fibrillating(s.beats)
        truth = s.truth[pick]
        weight = np.zeros(len(truth))
        for name in set(truth.tolist()):
            weight[truth == name] = 1 / np.sqrt(max(int((truth == name).sum()), AT_LEAST))
        thin = (truth != "N") | (np.arange(len(truth)) % 4 == 0)
        weight[truth == "N"] *= 4
        values.append(s.measured.values[pick][thin])
        hit.append((truth == positive)[thin])
        weights.append(weight[thin])
    return np.vstack(values), np.concatenate(hit), np.concatenate(weights)


def fit(name: str, samples: list[Sample]) -> Score:
    """A penalised logistic regression."""
    if name == "ventricular":
        values, hit, weight = design(samples, "V", "NSV", calm=False)
        names, square = list(NAMES), False
    else:
        values, hit, weight = design(samples, "S", "NS", calm=True)
        names, square = SUPRAVENTRICULAR, True
    columns = np.array([NAMES.index(n) for n in names])
    share = POSITIVE_SHARE[name]
    weight[hit] *= share / weight[hit].sum()
    weight[~hit] *= (1 - share) / weight[~hit].sum()
    x = values[:, columns]
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.clip((x - mean) / scale, -4, 4)
    i, j = np.triu_indices(len(columns))
    terms = np.hstack([z, z[:, i] * z[:, j]]) if square else z
    centre, width = terms.mean(axis=0), terms.std(axis=0) + 1e-6
    a = np.c_[np.ones(len(terms)), (terms - centre) / width]
    sign = np.where(hit, 1.0, -1.0)

    def loss(b: Floats) -> tuple[float, Floats]:
        margin = sign * (a @ b)
        slope = 1 / (1 + np.exp(np.clip(margin, -30, 30)))
        value = float((weight * np.logaddexp(0, -margin)).sum() + 0.5 * PENALTY[name] * (b[1:] @ b[1:]))
        return value, -a.T @ (weight * sign * slope) + PENALTY[name] * np.r_[0, b[1:]]

    b = minimize(loss, np.zeros(a.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    w = b[1:] / width
    bias = float(b[0] - w @ centre)
    products = None
    if square:
        products = np.zeros((len(columns), len(columns)))
        products[i, j] = w[len(columns) :]
    return Score(columns, mean, scale, bias, w[: len(columns)], products)


def write(scores: dict[str, Score]) -> None:
    """The table, rounded to what a reader can compare."""
    lines = [
        "# Logistic scores (log odds) of the beat classes. Written by tests/validation/ecg_beats_fit.py; not by hand.",
        "# Unit of every coefficient: 1, after (value - mean) / scale, cut at 4; the values are named in features.py.",
        "# Source: fitted on DS1 of the MIT-BIH Arrhythmia Database (ODC-By 1.0), doi:10.13026/C2F305; split of",
        "# de Chazal 2004, doi:10.1109/TBME.2004.827359.",
    ]

    def row(key: str, numbers: Floats) -> str:
        return f"{key} = [{', '.join(f'{x:.5g}' for x in numbers.tolist())}]"

    meanings = {
        "ventricular": "ventricular ectopic beat against normal and supraventricular ones",
        "supraventricular": "supraventricular ectopic beat against normal ones, where the atria do not fibrillate",
    }
    for name, s in scores.items():
        lines += ["", f"[{name}]", f'meaning = "{meanings[name]}"']
        lines += [f"values = [{', '.join(chr(34) + NAMES[c] + chr(34) for c in s.columns)}]"]
        lines += [row("mean", s.mean), row("scale", s.scale), f"bias = {s.bias:.5g}", row("weight", s.weight)]
        if s.products is not None:
            lines += [row("products", s.products[np.triu_indices(len(s.columns))])]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


LABELS = ("2 leads, reference beats", "2 leads, detected beats", "1 lead, reference beats", "1 lead, detected beats")


def cross() -> None:
    """Each record of DS1 judged by scores fitted on the others; totals are printed."""
    everything = {name: samples_of(read("mitdb", name)) for name in DS1}
    tallies = {label: SvTally() for label in LABELS}
    for name in DS1:
        others = [s for other, some in everything.items() if other != name for s in some]
        scores = {kind: fit(kind, others) for kind in POSITIVE_SHARE}
        for label, s in zip(LABELS, everything[name], strict=False):
            prepared = prepare(s.samples, s.record.fs_hz, np.ones(s.samples.shape, bool))
            judged = classes.decide(prepared, s.beats, s.measured, scores)
            tallies[label] = tallies[label] + tally_beats(s.truth, np.array(judged.classes))
    for label, tally in tallies.items():
        print(f"{label}: {tally}", flush=True)


def main() -> None:
    """Cross-validate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cross", action="store_true")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    if chosen.cross:
        cross()
    if chosen.write:
        samples = [s for name in DS1 for s in samples_of(read("mitdb", name))]
        write({kind: fit(kind, samples) for kind in POSITIVE_SHARE})


if __name__ == "__main__":
    main()
