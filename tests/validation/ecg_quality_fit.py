"""Fits the scores of zhenbao/signal/ecg/quality/coefficients.toml and cross-validates them.

    .venv/bin/python tests/validation/ecg_quality_fit.py [--write]

Quarter score: beats found on TELE that are false, against beats that are true there and in mitdb, cpsc2021 and
cinc2014_setp, and the ventricular flutter of mitdb 207, which must stay readable. Twelve score: recordings of CinC 2011
that people refused. Five and ten folds by recording. A script, not a test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recordings import DATA, evaluator, recordings
from scipy.optimize import minimize

from zhenbao.model.ecg import LEADS
from zhenbao.signal.ecg import detect_qrs
from zhenbao.signal.ecg.criteria import criteria
from zhenbao.signal.ecg.quality import assess, measures

Floats = NDArray[np.float64]
TABLE = Path(assess.__file__).with_name("coefficients.toml")
OTHERS = ("mitdb", "cpsc2021", "cinc2014_setp")
OTHERS_WEIGHT = 0.3
AT_MOST = 120
"""Beats of a recording, of the usual ones and of the others, that are to be kept."""
PENALTY = {"quarter": 0.003, "twelve": 0.01}


def fitted(values: Floats, bad: NDArray[np.bool_], weight: Floats, penalty: float) -> tuple[Floats, Floats, Floats]:
    """Mean, scale, and coefficients with the bias first: ridge logistic regression."""
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-6
    z = np.column_stack([np.ones(len(values)), np.clip((values - mean) / scale, -4, 4)])
    sign = np.where(bad, 1.0, -1.0)

    def loss(c: Floats) -> tuple[float, Floats]:
        margin = sign * (z @ c)
        pull = weight / (1 + np.exp(np.clip(margin, -30, 30)))
        cost = float((weight * np.logaddexp(0, -margin)).sum() / weight.sum() + 0.5 * penalty * (c[1:] @ c[1:]))
        return cost, -z.T @ (sign * pull) / weight.sum() + penalty * np.r_[0, c[1:]]

    return mean, scale, minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x


def odds(values: Floats, model: tuple[Floats, Floats, Floats]) -> Floats:
    mean, scale, c = model
    return np.asarray(c[0] + np.clip((values - mean) / scale, -4, 4) @ c[1:])


def quarter_samples() -> tuple[list[tuple[Floats, NDArray[np.bool_], int]], Floats, dict[str, Floats]]:
    """Of each TELE recording the values at found beats, which are true, how many there are; and what is to be kept."""
    ec57 = evaluator()
    tele, rng = [], np.random.default_rng(0)
    keep: list[Floats] = []
    beats_of: dict[str, list[Floats]] = {}
    for database in ("tele", *OTHERS, "nstdb"):
        for recording in recordings(ec57, database):
            inner = measures.averaged(recording.ecg_mv, recording.fs_hz)
            length = assess.quarter_length(inner)
            values = measures.quarters(inner, length)[0]

            def at(sample: NDArray[np.int64], values: Floats = values, width: int = length * inner.step) -> Floats:
                return values[np.minimum(sample // width, len(values) - 1)]

            if database == "tele":
                found = detect_qrs(recording.ecg_mv, recording.fs_hz)
                true = np.zeros(len(found), bool)
                true[[j for _, j in ec57.match(recording.reference, found, 0.15 * recording.fs_hz)]] = True
                tele.append((at(found), true, len(recording.reference)))
                continue
            beats_of.setdefault(database, []).append(at(recording.reference))
            if not recording.usual.all():
                beats_of.setdefault(f"{database}, ectopic", []).append(at(recording.reference[~recording.usual]))
            if database in OTHERS:
                # Ectopic beats are few and look least like the others: they must not be what is thrown away.
                usual = recording.usual
                for some in (recording.reference[usual], recording.reference[~usual]):
                    keep.append(at(rng.permutation(some)[:AT_MOST]))
                for start, stop in recording.excluded:
                    keep.append(at(np.arange(start, stop, length * inner.step * 4)))
    return tele, np.vstack(keep), {name: np.vstack(rows) for name, rows in beats_of.items()}


def fit_quarters() -> tuple[Floats, Floats, Floats]:
    tele, keep, beats_of = quarter_samples()

    def fit(which: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        values = np.vstack([tele[i][0] for i in which])
        bad = np.concatenate([~tele[i][1] for i in which])
        weight = np.r_[np.ones(len(values)), np.full(len(keep), OTHERS_WEIGHT)]
        return fitted(np.r_[values, keep], np.r_[bad, np.zeros(len(keep), bool)], weight, PENALTY["quarter"])

    order = np.random.default_rng(1).permutation(len(tele))
    hit = false = total = 0
    for fold in range(5):
        test = order[fold::5]
        model = fit(np.setdiff1d(order, test))
        for i in test:
            values, true, count = tele[i]
            kept = odds(values, model) < 0
            hit, false, total = hit + int((kept & true).sum()), false + int((kept & ~true).sum()), total + count
    f1 = 2 * hit / (hit + false + total)
    print(f"TELE unmasked, 5 folds: Se {hit / total:.4f} P+ {hit / (hit + false):.4f} F1 {f1:.4f}")
    model = fit(order)
    for name, values in beats_of.items():
        print(f"  beats of {name} in unusable quarters: {100 * (odds(values, model) >= 0).mean():.2f} %")
    return model


def fit_twelve() -> tuple[Floats, Floats, Floats]:
    """The decision is cross-validated as the kit makes it: the score, and leads that are named whatever it says."""
    data = np.load(DATA / "data" / "cinc2011" / "cinc2011.npz")
    bad = ~data["acceptable"]
    seen = [assess.look_at(one * 0.005, 500, LEADS) for one in data["ecg_lsb"]]
    values = np.array([one.twelve for one in seen])
    named = np.array([bool(one.named(refused=False)) for one in seen])
    limit = criteria()["refuse_log_odds"]
    score, decision, refused, taken = [], [], [], []
    for turn in range(5):
        order = np.random.default_rng(turn).permutation(len(bad))
        called = np.zeros(len(bad), bool)
        for fold in range(10):
            test = order[fold::10]
            train = np.setdiff1d(order, test)
            called[test] = (
                odds(values[test], fitted(values[train], bad[train], np.ones(len(train)), PENALTY["twelve"])) > limit
            )
        score.append((called == bad).mean())
        called |= named
        decision.append((called == bad).mean())
        refused.append(called[bad].mean())
        taken.append((~called[~bad]).mean())
    print(
        f"CinC 2011, 5 times 10 folds: accuracy of the decision {np.mean(decision):.4f} "
        f"(score alone {np.mean(score):.4f}; SD of a proportion {np.sqrt(0.93 * 0.07 / len(bad)):.3f}), "
        f"of refused {np.mean(refused):.3f} refused, of taken {np.mean(taken):.3f} taken"
    )
    return fitted(values, bad, np.ones(len(bad)), PENALTY["twelve"])


def table(name: str, meaning: str, values: tuple[str, ...], model: tuple[Floats, Floats, Floats]) -> str:
    mean, scale, c = model

    def row(numbers: Floats) -> str:
        return "[" + ", ".join(f"{n:.5g}" for n in numbers) + "]"

    quoted = ", ".join(f'"{v}"' for v in values)
    return (
        f'[{name}]\nmeaning = "{meaning}"\nvalues = [{quoted}]\nmean = {row(mean)}\nscale = {row(scale)}\n'
        f"bias = {c[0]:.5g}\nweight = {row(c[1:])}\n"
    )


HEAD = """# Logistic scores (log odds of no use). Written by tests/validation/ecg_quality_fit.py; not by hand.
# Unit of every coefficient: 1, after (value - mean) / scale, cut at 4; the values are named in measures.py.
# Source: fitted on TELE, the MIT-BIH Arrhythmia Database (doi:10.13026/C2F305), CPSC 2021, CinC 2014
# and 2011, on the recordings that docs/clinical/ecg.md names.

"""


def main() -> None:
    """Fit, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    meaning = "a quarter of a second in which a beat found is a false one"
    text = HEAD + table("quarter", meaning, measures.QUARTER_VALUES, fit_quarters())
    if write:
        rest = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
        TABLE.write_text(text + "\n" + rest[rest.find("[twelve]") :] if "[twelve]" in rest else text, encoding="utf-8")
    text += "\n" + table("twelve", "a 12-lead recording that people refuse", measures.TWELVE_VALUES, fit_twelve())
    if write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
