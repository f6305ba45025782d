"""Clinical numbers are data with a source, and every key that travels has its words."""

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from zhenbao.model.spirometry import EQUATIONS, GLI2012_GROUPS, Blow
from zhenbao.rules import facts
from zhenbao.signal.spirometry.tables import rows, settings
from zhenbao.words import LANGUAGES, Words


def tables(value: dict[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, part in value.items():
        if isinstance(part, list):
            yield from ((f"{name}.{key}[{i}]", row) for i, row in enumerate(part) if isinstance(row, dict))
        elif isinstance(part, dict):
            yield f"{name}.{key}", part


@pytest.mark.parametrize("name", ["quality", "interpretation", "equations", "copd_sq", "trend"])
def test_every_table_names_its_source(name: str) -> None:
    found = list(tables(settings(name), name))
    assert found
    for place, table in found:
        assert len(table.get("source", "")) > 20, place


def test_the_choices_of_the_model_are_those_of_the_table() -> None:
    found = settings("equations")
    assert set(found) == {*EQUATIONS, "if_not_chosen"}
    assert found["if_not_chosen"]["equation"] in EQUATIONS
    assert tuple(found["gli2012"]["groups"]) == GLI2012_GROUPS


@pytest.mark.parametrize("equation", EQUATIONS)
def test_every_spline_is_even_and_complete(equation: str) -> None:
    lines = rows(f"{equation}_splines")
    assert next(lines) == ["sex", "parameter", "age", "l", "m", "s"]
    ages: dict[tuple[str, str], list[float]] = {}
    for sex, parameter, age, *_ in lines:
        ages.setdefault((sex, parameter), []).append(float(age))
    facts = settings("equations")[equation]
    for key, found in ages.items():
        steps = {round(b - a, 6) for a, b in itertools.pairwise(found)}
        assert len(steps) == 1, key
        assert found[0] <= facts["age_min"]
        assert found[-1] >= facts.get("age_max_of", {}).get(key[1], facts["age_max"])


def test_defects_take_only_flags_that_a_blow_has() -> None:
    flags = {f.name for f in fields(Blow) if f.name.endswith(("_acceptable", "_usable"))}
    for defect, taken in settings("quality")["acceptability"]["takes"].items():
        assert set(taken) <= flags, defect


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_has_words(language: str) -> None:
    words = Words(language)
    hints = ("slow-rise", "hesitation", "cough-later")
    keys = [
        f"{table}.{defect}"
        for table in ("blow_defect", "blow_coach")
        for defect in (*settings("quality")["acceptability"]["takes"], *hints)
    ]
    keys += [f"spirometry_severity.{row['severity']}" for row in settings("interpretation")["severity"]]
    keys += [f"spirometry_grade.{grade}" for grade in "ABCDEFU"]
    keys += [f"spirometry_class.{key}" for key in facts("spirometry")["pattern"]]
    keys += [
        f"spirometry_pattern.{key}"
        for key in ("normal", "obstructive", "possible-mixed", "possible-restriction", "non-specific", "not-graded")
    ]
    keys += [f"spirometry_note.{key}" for key in ("prism-found", "prism-by-z", "dysanapsis", "ratio-near-limit")]
    keys += [f"spirometry_limit.{key}-not-chosen" for key in ("equation", "group")]
    keys += [f"equation.{equation}" for equation in EQUATIONS] + [f"gli_group.{group}" for group in GLI2012_GROUPS]
    keys += [f"small_airway.{key}" for key in ("yes", "no", "cannot-say")]
    for code in ("equation", "sex", "age", "height", "ethnicity"):
        keys += [f"error.reference-{code}.what", f"error.reference-{code}.do"]
    for key in keys:
        assert key in words, key
