"""Every numeric condition at its bound and one step beside it, against a table that was written by hand."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from zhenbao import rules
from zhenbao.model.finding import Finding
from zhenbao.model.quantity import Quantity
from zhenbao.rules.judge import domain_conditions
from zhenbao.rules.language import Comparison, leaves

TABLE = tomllib.loads(Path(__file__).with_name("boundaries.toml").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = TABLE["row"]
RAISED: list[dict[str, Any]] = TABLE["raised"]
SMALLEST = {"mm[Hg]": 1, "/min": 1, "mmol/L": 0.1, "mg/dL": 1, "Cel": 0.1, "%": 1, "L": 0.001, "kg/m2": 0.1}
FIRST_UNIT = {"glucose_capillary": "mmol/L", "fev1": "L", "fvc": "L", "pulse_rate_nibp": "/min"}


def title(row: dict[str, Any]) -> str:
    return f"{row['rule']}-{row['quantity']}-{row['unit']}"


def findings(row: dict[str, Any], number: float) -> tuple[Finding, ...]:
    values = {row["quantity"]: Quantity(number, row["unit"])}
    for name, other in row.get("with", {}).items():
        unit = "mm[Hg]" if name.startswith("bp_") else "%" if name.endswith("predicted") else FIRST_UNIT[name]
        values[name] = Quantity(other, unit)
    return rules.evaluate(rules.rule(row["rule"]).domain, values, row.get("context", {}))


def present(row: dict[str, Any], number: float) -> bool:
    return any(f.rule_id == row["rule"] and f.status == "present" for f in findings(row, number))


@pytest.mark.parametrize(
    ("row", "number", "expected"),
    [
        pytest.param(row, number, expected, id=f"{title(row)}-{number}")
        for row in ROWS
        for expected, numbers in ((True, row["fires"]), (False, row["silent"]))
        for number in numbers
    ],
)
def test_a_rule_fires_from_its_bound_and_not_one_step_before(
    row: dict[str, Any], number: float, expected: bool
) -> None:
    assert present(row, number) is expected


@pytest.mark.parametrize("row", RAISED, ids=title)
def test_a_finding_is_raised_from_its_bound_and_not_one_step_before(row: dict[str, Any]) -> None:
    for number, urgency in row["urgency"].items():
        found = next(f for f in findings(row, float(number)) if f.rule_id == row["rule"])
        assert found.urgency == urgency, number


def test_no_bound_of_any_rule_is_left_without_a_row() -> None:
    """For each bound the table has the number itself and the last one on its other side.

    Differences and ratios have rows of their own above (BP34, SP09) and are not looked for here.
    """
    tried: dict[tuple[str, str, str], set[float]] = {}
    steps: dict[tuple[str, str, str], float] = {}
    for row in ROWS:
        key = (row["rule"], row["quantity"], row["unit"])
        tried.setdefault(key, set()).update(float(n) for n in (*row["fires"], *row["silent"]))
        steps[key] = row["step"] if "step" in row else SMALLEST[row["unit"]]
    missing = []
    for domain in rules.DOMAINS:
        for entry in domain_conditions(domain).rules.values():
            for leaf in (*leaves(entry.when), *leaves(entry.requires)):
                if not isinstance(leaf, Comparison) or leaf.minus or leaf.over:
                    continue
                key = (entry.rule_id, leaf.quantity, leaf.unit)
                step = steps.get(key, 1)
                for bound, inside in ((leaf.at_least, -1), (leaf.below, -1), (leaf.above, 1), (leaf.at_most, 1)):
                    if bound is None:
                        continue
                    for number in (bound, round(bound + inside * step, 6)):
                        if number not in tried.get(key, set()):
                            missing.append((*key, number))
    assert missing == []


@pytest.mark.parametrize(
    ("systolic", "diastolic", "expected"),
    [
        pytest.param(119, 79, "BP01", id="both normal"),
        pytest.param(119, 85, "BP02", id="diastolic decides"),
        pytest.param(145, 85, "BP03", id="systolic decides"),
        pytest.param(145, 105, "BP04", id="diastolic one class higher"),
        pytest.param(165, 95, "BP04", id="systolic one class higher"),
        pytest.param(135, 112, "BP05", id="diastolic three classes higher"),
        pytest.param(185, 70, "BP05", id="systolic alone"),
    ],
)
def test_the_higher_category_wins(systolic: float, diastolic: float, expected: str) -> None:
    values = {"bp_systolic": Quantity(systolic, "mm[Hg]"), "bp_diastolic": Quantity(diastolic, "mm[Hg]")}
    levels = {"BP01", "BP02", "BP03", "BP04", "BP05"}
    assert [f.rule_id for f in rules.evaluate("bp", values) if f.rule_id in levels] == [expected]
