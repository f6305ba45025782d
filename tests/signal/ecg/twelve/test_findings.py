"""Which facts are given, on which leads, and above all when not."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.ecg import LEADS
from zhenbao.firmware_sim.waveforms.twelve_lead import REALISTIC, TwelveLeadModel, infarction
from zhenbao.model.ecg_twelve import EcgFact, TwelveLead
from zhenbao.rules import evaluate
from zhenbao.signal.ecg.twelve import measure_twelve
from zhenbao.signal.ecg.twelve.conduction import sgarbossa
from zhenbao.signal.ecg.twelve.infarction import CONTIGUOUS, contiguous, elevation_criteria_mm


def measured(model: TwelveLeadModel, **more: Any) -> TwelveLead:
    made = model.render()
    given = {"highpass_hz": 0.05, "sex": "male", "age_years": 60, **more}
    return measure_twelve(made.mv, 500, LEADS, made.truth.beats, ("?",) * len(made.truth.beats), **given)


def facts_of(found: TwelveLead) -> dict[str, EcgFact]:
    return {fact.name: fact for fact in found.facts}


def st(levels: Mapping[str, float], **more: Any) -> TwelveLeadModel:
    return TwelveLeadModel(st_mm=levels, noise=REALISTIC, **more)


def test_nothing_is_seen_in_a_normal_tracing_and_nothing_excluded() -> None:
    found = measured(st({}))
    assert found.facts == ()
    assert found.hints == ()
    assert found.conduction == "normal"
    assert found.limits == ("excludes-nothing",)


def test_inferior() -> None:
    found = measured(infarction("inferior"))
    facts = facts_of(found)
    assert set(facts["ecg.st_elevation_limb_v4_v6"].leads) == {"II", "III", "aVF"}
    assert set(facts["ecg.st_elevation_udmi"].leads) == {"II", "III", "aVF"}
    assert "ecg.st_elevation_v1_v3" not in facts
    assert facts["ecg.st_elevation_udmi"].confidence == "likely"
    assert facts["ecg.st_elevation_udmi"].beats == found.beats != ()
    assert {"I", "aVL", "V2", "V3"} <= set(facts["ecg.st_depression"].leads)
    assert {hint.name for hint in found.hints} == {"right-ventricle", "posterior"}


def test_anterior() -> None:
    facts = facts_of(measured(infarction("anterior")))
    assert facts["ecg.st_elevation_v1_v3"].leads == ("V2", "V3")
    assert {"V1", "V2", "V3", "V4"} <= set(facts["ecg.st_elevation_udmi"].leads)
    assert {"V4", "V5"} <= set(facts["ecg.st_elevation_limb_v4_v6"].leads)


def test_posterior_asks_for_electrodes_on_the_back() -> None:
    found = measured(infarction("posterior"))
    assert {"V1", "V2", "V3"} <= set(facts_of(found)["ecg.st_depression"].leads)
    assert "posterior" in {hint.name for hint in found.hints}


@pytest.mark.parametrize(
    ("sex", "age_years", "level_mm", "reached"),
    [
        ("male", 60, 1.8, False),
        ("male", 60, 2.2, True),
        ("male", 39, 2.2, False),
        ("male", 39, 2.7, True),
        ("female", 60, 1.3, False),
        ("female", 60, 1.7, True),
        (None, None, 1.7, True),
    ],
)
def test_v2_and_v3_by_sex_and_age(sex: str | None, age_years: float | None, level_mm: float, reached: bool) -> None:
    found = measured(st({"V2": level_mm, "V3": level_mm}), sex=sex, age_years=age_years)
    facts = facts_of(found)
    assert ("ecg.st_elevation_udmi" in facts) == reached
    assert ("st-person-unknown" in found.limits) == (sex is None)
    if sex is None:
        assert facts["ecg.st_elevation_udmi"].confidence == "possible"


def test_one_lead_alone_is_no_criterion() -> None:
    assert measured(st({"V4": 3.0})).facts == ()
    assert contiguous(["V1", "V3", "V5"]) == ()
    assert contiguous(["V1", "V2", "V5"]) == ("V1", "V2")
    assert contiguous(["aVL", "V6"]) == ("aVL", "V6")
    assert contiguous(["aVL", "II"]) == ()
    assert frozenset({"I", "aVR"}) not in CONTIGUOUS


@pytest.mark.parametrize(("profile", "reached"), [(None, True), ("shanxi", True), ("zhejiang", False)])
def test_the_county_decides_whether_three_millimetres_are_enough(profile: str | None, reached: bool) -> None:
    found = measured(TwelveLeadModel(st_mm={"V2": 3.0, "V3": 3.0}), profile=profile)
    assert ("ecg.st_elevation_v1_v3" in facts_of(found)) == reached


@pytest.mark.parametrize(
    ("later_mm", "seen"), [(-1.0, True), (-1.6, True), (-0.2, False)], ids=["level", "falling", "rising"]
)
def test_only_level_or_falling_depression_counts(later_mm: float, seen: bool) -> None:
    found = measured(st({"V4": -1.0, "V5": -1.0}, st60_mm={"V4": later_mm, "V5": later_mm}))
    assert ("ecg.st_depression" in facts_of(found)) == seen


def test_many_depressions_under_a_high_avr() -> None:
    low = {"I": -1.3, "II": -1.5, "V2": -1.2, "V3": -1.5, "V4": -2.0, "V5": -2.0, "V6": -1.5}
    found = measured(st(low))
    assert "left-main" in {hint.name for hint in found.hints}


@pytest.mark.parametrize(
    ("highpass_hz", "zero_phase", "limit"),
    [
        (None, False, "highpass-unknown"),
        (0.5, False, "highpass-high"),
        (0.67, True, None),
        (0.05, False, None),
        (1.0, True, "highpass-high"),
        (float("nan"), False, "highpass-unknown"),
    ],
)
def test_st_needs_a_low_high_pass(highpass_hz: float | None, zero_phase: bool, limit: str | None) -> None:
    found = measured(infarction("anterior"), highpass_hz=highpass_hz, zero_phase=zero_phase)
    if limit is None:
        assert found.st_mm is not None
    else:
        assert limit in found.limits
        assert found.st_mm is None
        assert found.facts == ()
    assert found.intervals["qrs"] > 60


@pytest.mark.parametrize("kept", [("II",), ("I", "II"), ("I", "II", "V1", "V2", "V3"), LEADS[:11]])
def test_fewer_leads_say_nothing_of_st(kept: tuple[str, ...]) -> None:
    made = infarction("inferior").render()
    rows = [LEADS.index(name) for name in kept]
    beats = made.truth.beats
    found = measure_twelve(made.mv[rows], 500, kept, beats, ("?",) * len(beats), highpass_hz=0.05)
    assert found.st_mm is None
    assert found.facts == ()
    assert "fewer-leads" in found.limits
    assert found.intervals["qrs"] == pytest.approx(made.truth.qrs_ms, abs=15)
    assert (found.axis_deg is not None) == ({"I", "II"} <= set(kept))


def test_eight_leads_are_twelve() -> None:
    made = infarction("inferior").render()
    kept = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    rows = [LEADS.index(name) for name in kept]
    beats = made.truth.beats
    found = measure_twelve(made.mv[rows], 500, kept, beats, ("?",) * len(beats), highpass_hz=0.05)
    assert "fewer-leads" not in found.limits
    assert "III" in facts_of(found)["ecg.st_elevation_udmi"].leads


def test_leads_on_the_back_and_on_the_right() -> None:
    made = TwelveLeadModel().render()
    raised = TwelveLeadModel(st_mm={"V6": 0.8}).render().mv[11]
    names = (*LEADS, "V7", "V8", "V9", "V3R", "V4R")
    mv = np.vstack([made.mv, raised, raised, made.mv[11], raised, raised])
    beats = made.truth.beats
    found = measure_twelve(mv, 500, names, beats, ("?",) * len(beats), highpass_hz=0.05, sex="male", age_years=50)
    assert set(facts_of(found)["ecg.st_elevation_udmi"].leads) == {"V7", "V8", "V3R", "V4R"}
    assert "ecg.st_elevation_limb_v4_v6" not in facts_of(found)
    young = elevation_criteria_mm("male", 25)
    assert young["V7"] == young["V3R"] == 1.0
    assert elevation_criteria_mm("male", 35)["V3R"] == 0.5


def test_a_bad_lead_is_not_judged_and_the_others_are() -> None:
    made = infarction("inferior").render()
    mv = made.mv.copy()
    mv[7] = 0.0
    mv[8] += np.random.default_rng(1).normal(0, 1.5, mv.shape[1]).cumsum() * 0.2
    beats = made.truth.beats
    found = measure_twelve(mv, 500, LEADS, beats, ("?",) * len(beats), highpass_hz=0.05)
    assert found.st_mm is not None
    assert not {"V2", "V3"} & set(found.st_mm)
    assert "st-some-leads" in found.limits
    assert "ecg.st_elevation_limb_v4_v6" in facts_of(found)


@pytest.mark.parametrize("shape", ["lbbb", "rbbb", "paced", "preexcited"])
def test_conduction(shape: Any) -> None:
    found = measured(TwelveLeadModel(shape=shape, noise=REALISTIC))
    assert found.conduction == shape
    assert "ecg.lbbb_new" not in facts_of(found)
    assert ("lbbb-age-unknown" in found.limits) == (shape == "lbbb")


def test_what_is_usual_in_left_bundle_branch_block_is_no_infarction() -> None:
    usual = {"I": -1.0, "II": -0.3, "V1": 2.0, "V2": 2.5, "V3": 0.8, "V5": -1.0, "V6": -1.2}
    found = measured(st(usual, shape="lbbb"))
    assert found.facts == ()
    assert found.sgarbossa == 0
    assert found.smith is False
    assert "st-bundle-branch" in found.limits


@pytest.mark.parametrize(
    ("levels", "points", "fact"),
    [
        ({"V5": 2.0, "V6": 2.0}, 5, "ecg.st_elevation_udmi"),
        ({"V2": -2.0, "V3": -2.0}, 3, "ecg.st_depression"),
        ({"V2": 6.5}, 2, "ecg.st_elevation_udmi"),
    ],
)
def test_sgarbossa(levels: Mapping[str, float], points: int, fact: str) -> None:
    found = measured(st(levels, shape="lbbb"))
    assert found.sgarbossa == points
    assert fact in facts_of(found)
    assert {fact.confidence for fact in found.facts} <= {"possible", "uncertain"}
    assert "sgarbossa" in {hint.name for hint in found.hints}


def test_sgarbossa_at_its_edges() -> None:
    up, down = np.full(150, 0.5), np.full(150, -0.5)
    assert sgarbossa({"V6": up}, {"V6": 1.0})[0] == 5
    assert sgarbossa({"V6": up}, {"V6": 0.9})[0] == 0
    assert sgarbossa({"V3": down}, {"V3": -1.0})[0] == 3
    assert sgarbossa({"V4": down}, {"V4": -1.0})[0] == 0
    assert sgarbossa({"V3": down}, {"V3": 5.0})[0] == 2
    assert sgarbossa({"V3": down, "V6": up}, {"V3": -1.0, "V6": 1.0})[0] == 8


def test_depression_in_v1_to_v3_belongs_to_right_bundle_branch_block() -> None:
    found = measured(st({"V1": -1.5, "V2": -1.5, "V3": -1.5}, shape="rbbb"))
    assert "ecg.st_depression" not in facts_of(found)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_arm_electrodes_exchanged(noise: float) -> None:
    more = {"noise": REALISTIC} if noise else {}
    found = measured(TwelveLeadModel(placement="arms-swapped", **more))  # type: ignore[arg-type]
    assert facts_of(found)["ecg.limb_reversal"].confidence == "likely"
    assert found.axis_deg is None
    assert "limb-reversal" in found.limits
    assert "dextrocardia" not in {hint.name for hint in found.hints}


def test_a_heart_on_the_right_is_not_called_a_mistake() -> None:
    found = measured(TwelveLeadModel(placement="mirrored", noise=REALISTIC))
    assert "ecg.limb_reversal" not in facts_of(found)
    assert "dextrocardia" in {hint.name for hint in found.hints}


@pytest.mark.parametrize("turn", [-60, -20, 20, 50, 90])
def test_an_odd_axis_is_no_exchange(turn: float) -> None:
    assert "ecg.limb_reversal" not in facts_of(measured(TwelveLeadModel(axis_turn_deg=turn, noise=REALISTIC)))


def test_limb_leads_weigh_less_when_they_may_be_exchanged() -> None:
    found = measured(st({"I": -1.0, "II": 2.0}, placement="arms-swapped"))
    fact = facts_of(found).get("ecg.st_elevation_limb_v4_v6")
    assert fact is not None and fact.confidence == "uncertain"


def test_children_are_judged_with_reserve() -> None:
    found = measured(infarction("anterior"), age_years=9)
    assert "st-child" in found.limits
    assert {fact.confidence for fact in found.facts} == {"uncertain"}


def test_the_rules_take_what_is_found() -> None:
    conditions = tomllib.loads(files("zhenbao.rules").joinpath("conditions/ecg.toml").read_text(encoding="utf-8"))
    for model in (*map(infarction, ("inferior", "anterior", "posterior")), TwelveLeadModel(placement="arms-swapped")):
        found = measured(model)
        assert {fact.name for fact in found.facts} <= set(conditions["facts"])
        assert set(found.quantities) <= set(conditions["quantities"])
        context = {fact.name: "yes" for fact in found.facts} | {"adult": "yes", "sex": "male"}
        evaluate("ecg", dict(found.quantities), context)
    found = measured(TwelveLeadModel(shape="lbbb", pr_ms=230))
    rules = {finding.rule_id for finding in evaluate("ecg", dict(found.quantities), {"sex": "male", "adult": "yes"})}
    assert {"EC36", "EC37"} <= rules


def test_every_criterion_has_unit_meaning_and_source() -> None:
    text = files("zhenbao.signal.ecg.twelve").joinpath("criteria.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["criterion"]
    assert len({row["id"] for row in rows}) == len(rows) > 40
    assert all(row["unit"] and row["meaning"] and row["source"] for row in rows)
