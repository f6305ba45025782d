"""What can be ticked in a report: every choice has a name, and what contradicts itself is found."""

import pytest

from zhenbao import rules
from zhenbao.hub.report_text import choice_name
from zhenbao.rules.report_templates import contradiction, ordered, report_template
from zhenbao.words import LANGUAGES, Words

DEPARTMENTS = [key for key, value in rules.specialties().items() if value.kind == "department"]


@pytest.mark.parametrize("specialty", DEPARTMENTS)
def test_every_department_has_a_template_and_every_choice_a_name(specialty: str) -> None:
    groups = report_template(specialty)
    assert groups
    choices = [choice for group in groups for choice in group.choices]
    assert len(set(choices)) == len(choices), "a choice belongs to one group"
    for language in LANGUAGES:
        words = Words(language)
        for group in groups:
            assert f"report_group.{group.key}" in words
        for choice in choices:
            assert choice_name(choice, words) != choice, choice
            # A code that was read in no source is not in the table and has no word: it cannot be offered.
            assert f"report_choice.{choice}" in words or rules.codes(choice).source


def test_who_has_no_specialty_ticks_nothing() -> None:
    assert report_template(None) == ()
    assert report_template("nowhere") == ()


@pytest.mark.parametrize(
    ("specialty", "choices", "clash"),
    [
        ("cardiology", ["ecg_normal", "ecg_sinus_rhythm"], None),
        ("cardiology", ["ecg_normal", "ecg_stemi"], ("ecg_normal", "ecg_stemi")),
        ("cardiology", ["ecg_atrial_fibrillation", "ecg_normal"], ("ecg_normal", "ecg_atrial_fibrillation")),
        ("cardiology", ["ecg_normal", "ecg_nondiagnostic"], ("ecg_normal", "ecg_nondiagnostic")),
        ("cardiology", ["ecg_normal", "ecg_abnormal"], ("ecg_normal", "ecg_abnormal")),
        ("cardiology", ["ecg_abnormal", "ecg_stemi", "ecg_pvc", "next_120"], None),
        ("respiratory", ["spirometry_normal", "spirometry_quality_good"], None),
        ("respiratory", ["spirometry_normal", "severity_mild"], ("spirometry_normal", "severity_mild")),
        ("respiratory", ["spirometry_normal", "spirometry_quality_none"],
         ("spirometry_normal", "spirometry_quality_none")),
        ("respiratory", ["spirometry_obstructive", "spirometry_mixed"], ("spirometry_obstructive", "spirometry_mixed")),
        ("general-practice", ["spirometry_normal", "ecg_abnormal", "bp_level_1"], None),
        ("general-practice", ["bp_level_1", "bp_level_2"], ("bp_level_1", "bp_level_2")),
    ],
)  # fmt: skip
def test_contradictions(specialty: str, choices: list[str], clash: tuple[str, str] | None) -> None:
    assert contradiction(specialty, choices) == clash


def test_another_specialty_s_choice_is_not_offered() -> None:
    with pytest.raises(KeyError):
        contradiction("respiratory", ["ecg_stemi"])
    assert ordered("respiratory", ["next_120", "ecg_stemi", "spirometry_mixed"]) == ("spirometry_mixed", "next_120")
