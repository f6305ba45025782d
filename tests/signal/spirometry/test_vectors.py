"""Reference values, grades, classes and factors against numbers computed elsewhere (origin in every row)."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from zhenbao.model.spirometry import Reference
from zhenbao.signal.spirometry import EQUATIONS, bronchodilator_response, btps_factor, interpret, reference
from zhenbao.signal.spirometry.interpret import ats2021_pattern, ats2021_severity
from zhenbao.signal.spirometry.reference_arrays import reference_arrays
from zhenbao.signal.spirometry.session import grade
from zhenbao.words import Words

CHINESE, ENGLISH = Words("zh_CN"), Words("en")
Row = Mapping[str, str]


def rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def check_reference(equation: str) -> Callable[[Row], None]:
    def check(row: Row) -> None:
        ethnicity = row.get("ethnicity")
        found = reference(
            equation,
            sex=row["sex"],
            age_years=float(row["age"]),
            height_cm=float(row["height_cm"]),
            ethnicity=ethnicity,
        )[row["param"]]
        measured = float(row["measured"])
        for name, value in (
            ("L", found.l),
            ("M", found.m),
            ("S", found.s),
            ("pred", found.predicted),
            ("lln", found.lln),
            ("uln", found.uln),
            ("pct_pred", found.percent(measured)),
        ):
            assert value == pytest.approx(float(row[name]), rel=1e-8, abs=1e-8), name
        assert found.z(measured) == pytest.approx(float(row["z"]), abs=1e-6)

    return check


def check_grade(row: Row) -> None:
    values = [int(ml) / 1000 for ml in row["acceptable_mL"].split(";") if ml]
    assert grade(values, int(row["usable_only"]), float(row["age"])) == row["grade"]


def at_z(measured: float, z: float) -> Reference:
    """A distribution in which a measured value stands at a z-score."""
    median = measured / (1 + 0.1 * z)
    return Reference(1.0, median, 0.1, median, median * (1 - 0.1645), median * (1 + 0.1645), "gli2022")


def at_percent(measured: float, percent: float) -> Reference:
    """A distribution of which a measured value is so many per cent of predicted."""
    median = 100 * measured / percent
    return Reference(1.0, median, 0.1, median, median * (1 - 0.1645), median * (1 + 0.1645), "jian2017")


def check_pattern(row: Row) -> None:
    names = {"nonspecific_FEV1_low": "non-specific"}
    pattern = names.get(row["pattern"], row["pattern"].replace("_", "-"))
    ratio, fev1, fvc = (float(row[k]) for k in ("z_ratio", "z_FEV1", "z_FVC"))
    assert ats2021_pattern(ratio, fev1, fvc) == pattern
    assert ats2021_severity(fev1) == row["severity_FEV1"]
    found = interpret(
        fev1_l=2.0,
        fvc_l=3.0,
        references={"FEV1": at_z(2.0, fev1), "FVC": at_z(3.0, fvc), "FEV1FVC": at_z(2 / 3, ratio)},
    )
    assert found.ats2021_pattern == pattern
    assert found.ats2021_severity == (None if pattern == "normal" else row["severity_FEV1"])
    assert found.prism_z is (row["PRISm_z"] == "True")
    assert found.dysanapsis is (row["dysanapsis_candidate"] == "True")
    assert found.equation == "gli2022"
    for name, z in (("fev1fvc_z", ratio), ("fev1_z", fev1), ("fvc_z", fvc)):
        assert found.decided_by[name] == pytest.approx(z)


def check_class(row: Row) -> None:
    ratio, ratio_percent, fvc, fev1 = (
        float(row[k]) for k in ("FEV1_FVC", "FEV1_FVC_pctpred", "FVC_pctpred", "FEV1_pctpred")
    )
    flows = [float(row[k]) for k in ("MMEF_pctpred", "FEF50_pctpred", "FEF75_pctpred")]
    references = {
        "FEV1": at_percent(3.0 * ratio, fev1),
        "FVC": at_percent(3.0, fvc),
        "FEV1FVC": at_percent(ratio, ratio_percent),
        **{name: at_percent(1.0, flow) for name, flow in zip(("MMEF", "FEF50", "FEF75"), flows, strict=True)},
    }
    found = interpret(
        fev1_l=3.0 * ratio,
        fvc_l=3.0,
        references=references,
        mmef_l_s=1.0,
        fef50_l_s=1.0,
        fef75_l_s=1.0,
        post_bronchodilator=True,
        ratio_rule="fixed" if row["mode"] == "fixed0.70" else "92-percent",
    )
    assert found.cn5_class == row["cls"].replace("_", "-")
    severity = row["severity"].replace("mod_severe", "moderately-severe").replace("_", "-")
    assert (found.cn5_severity or "") == severity
    assert found.prism is (row["PRISm_fixed"] == "True")
    assert (found.gold or "") == row["GOLD"]
    assert found.small_airway == ("yes" if sum(flow < 65 for flow in flows) >= 2 else "no")
    # The class is a code; what people read never says "normal" over an FEV1 below 80 % of predicted.
    for words, normal, unclassified in ((CHINESE, "正常", "不能分类"), (ENGLISH, "normal", "cannot be classified")):
        shown = words(f"spirometry_class.{found.shown_class}")
        assert (normal in shown) is (found.cn5_class == "normal" and fev1 >= 80)
        if found.cn5_class == "normal" and fev1 < 80:
            assert unclassified in shown
            assert "PRISm" in shown


def check_response(row: Row) -> None:
    found = bronchodilator_response(float(row["pre"]), float(row["post"]), float(row["pred"]))
    assert found.percent_of_predicted == pytest.approx(float(row["pct_pred"]), abs=1e-4)
    assert found.positive_2021 is (row["BDR2021"] == "True")
    assert found.positive_2005 is (row["BDR2005"] == "True")


def check_btps(row: Row) -> None:
    kpa = float(row["PB_mmHg"]) / 7.500616827
    assert btps_factor(float(row["T_C"]), kpa) == pytest.approx(float(row["BTPS"]), abs=6e-6)


CHECKS: dict[str, Callable[[Row], None]] = {
    **{equation: check_reference(equation) for equation in EQUATIONS},
    "grade2019": check_grade,
    "pattern2021": check_pattern,
    "cn5class": check_class,
    "bdr": check_response,
    "btps": check_btps,
}


@pytest.mark.parametrize("table", CHECKS)
def test_some_rows_of_each_table(table: str, vectors: Path) -> None:
    count = 0
    for row in rows(vectors / f"spirometry_{table}.csv"):
        CHECKS[table](row)
        count += 1
    assert count >= 20


@pytest.mark.parametrize("table", CHECKS)
def test_every_row_of_each_table(table: str, shared_data: Path) -> None:
    count = 0
    for row in rows(shared_data / "spirometry" / f"vectors_{table}.csv"):
        CHECKS[table](row)
        count += 1
    assert count >= 40


@pytest.mark.parametrize("equation", EQUATIONS)
def test_many_people_at_once_have_the_same_numbers(equation: str, shared_data: Path) -> None:
    people = list(rows(shared_data / "spirometry" / f"vectors_{equation}.csv"))
    groups = [row["ethnicity"] for row in people] if equation == "gli2012" else None
    ages, heights = ([float(row[key]) for row in people] for key in ("age", "height_cm"))
    found = reference_arrays(
        equation, sex=[row["sex"] for row in people], age_years=ages, height_cm=heights, ethnicity=groups
    )
    for parameter, many in found.items():
        mine = [i for i, row in enumerate(people) if row["param"] == parameter]
        assert len(mine) > 50
        measured = np.array([float(people[i]["measured"]) for i in range(len(people))])
        z, percent = many.z(measured), many.percent(measured)
        for i in mine:
            row = people[i]
            one = reference(
                equation, sex=row["sex"], age_years=ages[i], height_cm=heights[i], ethnicity=row.get("ethnicity")
            )[parameter]
            for name in ("l", "m", "s", "predicted", "lln", "uln"):
                assert getattr(many, name)[i] == pytest.approx(getattr(one, name), rel=1e-12, abs=1e-12), name
            assert z[i] == pytest.approx(one.z(measured[i]), rel=1e-12, abs=1e-12)
            assert z[i] == pytest.approx(float(row["z"]), abs=1e-6)
            assert percent[i] == pytest.approx(one.percent(measured[i]), rel=1e-12)
            assert (many.equation, many.groups[i]) == (one.equation, one.group)


def test_agrees_with_a_printed_report(vectors: Path) -> None:
    found = reference("gli2012", sex="M", age_years=44.67, height_cm=182, ethnicity="Caucasian")
    for row in rows(vectors / "spirometry_printout.csv"):
        step = 0.001 if row["parameter"] == "FEV1FVC" else 0.000625
        for value, printed in (
            (found[row["parameter"]].predicted, row["predicted"]),
            (found[row["parameter"]].lln, row["lln"]),
        ):
            assert math.floor(value / step + 1e-9) == pytest.approx(float(printed) / step, abs=0.51)
