"""Conclusions of devices: taken where every word is known, otherwise unknown; a "no" is never read as its opposite."""

from __future__ import annotations

import pytest

from zhenbao.model.spirometry_summary import DeviceLabel
from zhenbao.signal.spirometry.label import read_label
from zhenbao.signal.spirometry.tables import settings


@pytest.mark.parametrize(
    ("text", "class_", "severity", "small_airway"),
    [
        ("轻度限制性通气功能障碍\n小气道功能障碍", "restrictive", "mild", True),
        ("mild restrictive + small airway", "restrictive", "mild", True),
        ("极重度混合性通气功能障碍，小气道功能障碍", "mixed", "very-severe", True),
        ("中重度阻塞性通气功能障碍", "obstructive", "moderately-severe", False),
        ("混合性", "mixed", None, False),
        ("小气道功能障碍", "small-airway", None, True),
        ("通气功能正常，小气道功能障碍", "small-airway", None, True),
        ("肺通气功能正常", "normal", None, False),
        ("Moderately Severe Airway Obstruction", "obstructive", "moderately-severe", False),
        ("Very severe obstruction with small airways disease", "obstructive", "very-severe", True),
        ("Normal Spirometry", "normal", None, False),
    ],
)
def test_known_conclusions(text: str, class_: str, severity: str | None, small_airway: bool) -> None:
    assert read_label(text) == DeviceLabel(class_, severity, small_airway)


@pytest.mark.parametrize(
    "text",
    [
        "无阻塞性通气功能障碍",
        "未见阻塞性、限制性通气功能障碍",
        "不能排除限制性通气功能障碍",
        "no obstruction, restriction",
        "Mild obstruction without restriction",
        "possible restriction",
        "normalised after treatment",
        "阻塞性通气功能障碍可逆",
        "Obstruktive Ventilationsstörung",
        "轻度阻塞性；重度限制性",
    ],
)
def test_what_is_not_known_word_by_word_stays_unknown(text: str) -> None:
    label = read_label(text)
    assert (label.class_, label.severity, label.small_airway) == (None, None, False)
    assert label.unread


def test_nothing_said_is_nothing_read() -> None:
    assert read_label(None) == read_label(" \n ") == DeviceLabel()


def test_every_word_of_the_table_is_one_that_analysis_knows() -> None:
    table = settings("labels")
    assert set(table["class"].values()) <= {"normal", "obstructive", "restrictive", "mixed"}
    severities = {row["severity"] for row in settings("interpretation")["severity"]}
    assert set(table["severity"].values()) == severities
    spellings = [*table["class"], *table["severity"], *table["small_airway"]["words"], *table["filler"]["words"]]
    assert all(s == s.lower() and "-" not in s for s in spellings), "compared in lower case without hyphens"
    assert len(spellings) == len(set(spellings))
