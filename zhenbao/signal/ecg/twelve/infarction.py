"""Which ST levels reach which criterion, in contiguous leads. What is not reached is never called normal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zhenbao.model.ecg_twelve import Conduction, EcgFact
from zhenbao.model.finding import Confidence
from zhenbao.signal.ecg.twelve.criteria import criteria

_INFERIOR = ("II", "III", "aVF")
_LATERAL = ("I", "aVL", "V5", "V6")
_CHAINS: tuple[tuple[str, ...], ...] = (
    ("aVL", "I"),
    ("II", "aVF", "III"),
    ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9"),
    ("V3R", "V4R"),
)
"""Neighbours on the body: the frontal leads in Cabrera's order without -aVR, the chest leads from right to left."""
CONTIGUOUS: frozenset[frozenset[str]] = frozenset(
    [frozenset(pair) for chain in _CHAINS for pair in itertools.pairwise(chain)]
    + [frozenset({a, b}) for group in (_INFERIOR, _LATERAL) for a in group for b in group if a != b]
)
_V1_V3 = ("V1", "V2", "V3")
_LIMB_V4_V6 = ("I", "II", "III", "aVL", "aVF", "V4", "V5", "V6")
_POSTERIOR = ("V7", "V8", "V9")
_RIGHT = ("V3R", "V4R")

PROFILES = ("zhejiang",)
"""Counties' readings of the limits that differ from the usual one."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What the criteria are applied to."""

    j_mm: Mapping[str, float]
    """By lead that can be judged."""
    j60_mm: Mapping[str, float]
    error_mm: Mapping[str, float]
    """Standard error of ``j_mm``."""
    beats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Doubts:
    """Why a criterion that is reached may mean less."""

    conduction: Conduction | None = None
    limb_leads: bool = False
    """Limb electrodes may be exchanged."""
    voltage: bool = False
    """Left ventricular voltage."""
    child: bool = False
    person_unknown: bool = False
    """Sex or age, on which a criterion depends."""


def contiguous(leads: Sequence[str]) -> tuple[str, ...]:
    """Those of ``leads`` that have a neighbour among them."""
    return tuple(a for a in leads if any(frozenset({a, b}) in CONTIGUOUS for b in leads if b != a))


def elevation_criteria_mm(sex: str | None, age_years: float | None) -> dict[str, float]:
    """The Fourth Universal Definition's J levels by lead; the most sensitive ones where sex or age is not known."""
    table = criteria()
    young = sex == "male" and age_years is not None and age_years < table["ste_young_years"]
    very_young = sex == "male" and age_years is not None and age_years < table["ste_v3r_v4r_young_years"]
    v2_v3 = "ste_v2_v3_young_male_mm" if young else "ste_v2_v3_male_mm" if sex == "male" else "ste_v2_v3_female_mm"
    limits = dict.fromkeys((*_LIMB_V4_V6, "V1"), table["ste_mm"])
    limits |= dict.fromkeys(("V2", "V3"), table[v2_v3])
    limits |= dict.fromkeys(_POSTERIOR, table["ste_v7_v9_young_male_mm" if young else "ste_v7_v9_mm"])
    limits |= dict.fromkeys(_RIGHT, table["ste_v3r_v4r_young_male_mm" if very_young else "ste_v3r_v4r_mm"])
    return limits


def elevations(
    levels: Levels, doubts: Doubts, sex: str | None, age_years: float | None, profile: str | None
) -> tuple[EcgFact, ...]:
    """Facts of EC01, EC02 and EC03. Levels count as read to a tenth of a millimetre.

    Args:
        levels: judged leads only.
        doubts: lower the confidence, never hide a fact.
        sex: ``male``, ``female`` or None.
        age_years: None where unknown.
        profile: ``zhejiang`` takes 3 mm in V1 to V3 as to be exceeded; every other as reached.
    """
    table = criteria()
    strict = profile == "zhejiang"
    v1_v3 = table["county_v1_v3_mm"]
    by_person = elevation_criteria_mm(sex, age_years)
    worst = elevation_criteria_mm("male", 0.0)
    facts = []
    for name, limits, exceed in (
        ("ecg.st_elevation_limb_v4_v6", dict.fromkeys(_LIMB_V4_V6, table["county_limb_v4_v6_mm"]), False),
        ("ecg.st_elevation_v1_v3", dict.fromkeys(_V1_V3, v1_v3), strict),
        ("ecg.st_elevation_udmi", by_person, False),
    ):
        reached = [lead for lead, limit in limits.items() if _reaches(levels.j_mm.get(lead), limit, exceed)]
        if not (leads := contiguous(reached)):
            continue
        sure = contiguous([lead for lead in leads if _sure(levels, lead, limits[lead], 1)])
        if name.endswith("udmi") and doubts.person_unknown:
            sure = contiguous([lead for lead in sure if levels.j_mm[lead] >= worst[lead]])
        facts.append(EcgFact(name, leads, levels.beats, _confidence(sure, leads, doubts)))
    return tuple(facts)


def depressions(levels: Levels, doubts: Doubts) -> tuple[EcgFact, ...]:
    """The fact of EC05: horizontal or falling depression. Not judged where the QRS itself explains it."""
    if doubts.conduction in ("lbbb", "paced", "preexcited"):
        return ()
    table = criteria()
    limit = table["std_mm"]
    reached = []
    for lead, level in levels.j_mm.items():
        later = levels.j60_mm[lead]
        if lead == "aVR" or lead in _RIGHT or (doubts.conduction == "rbbb" and lead in _V1_V3):
            continue
        if _reaches(-level, limit, False) and _reaches(-later, limit, False) and later - level <= table["std_rise_mm"]:
            reached.append(lead)
    if not (leads := contiguous(reached)):
        return ()
    sure = contiguous([lead for lead in leads if _sure(levels, lead, limit, -1)])
    return (EcgFact("ecg.st_depression", leads, levels.beats, _confidence(sure, leads, doubts)),)


def hints(levels: Levels, facts: Sequence[EcgFact], t_mv: Mapping[str, float]) -> tuple[EcgFact, ...]:
    """Where to put electrodes next, and what else the pattern may mean.

    Args:
        levels: judged leads only.
        facts: from `elevations` and `depressions`.
        t_mv: by lead, height of the T wave.
    """
    table = criteria()
    found = []
    up = {lead for fact in facts if "elevation" in fact.name for lead in fact.leads}
    down = {lead for fact in facts if fact.name == "ecg.st_depression" for lead in fact.leads}
    early = contiguous([lead for lead in _V1_V3 if lead in down])
    if early:
        upright = any(t_mv.get(lead, 0.0) > 0 for lead in ("V2", "V3"))
        found.append(EcgFact("posterior", early, levels.beats, "possible" if upright else "uncertain"))
    inferior = contiguous([lead for lead in _INFERIOR if lead in up])
    if inferior:
        right = levels.j_mm.get("III", 0.0) > levels.j_mm.get("II", 0.0) or levels.j_mm.get("V1", 0.0) >= 0.5
        found.append(EcgFact("right-ventricle", inferior, levels.beats, "possible" if right else "uncertain"))
    much = table["many_leads_mm"]
    many = tuple(lead for lead in down if round(levels.j_mm[lead], 1) <= -much)
    above = tuple(lead for lead in ("aVR", "V1") if round(levels.j_mm.get(lead, 0.0), 1) >= much)
    if len(many) >= table["many_leads"] and above:
        found.append(EcgFact("left-main", (*above, *many), levels.beats, "possible"))
    return tuple(found)


def _reaches(level: float | None, limit: float, exceed: bool) -> bool:
    if level is None:
        return False
    read = round(level + 0.0, 1)
    return read > limit if exceed else read >= limit


def _sure(levels: Levels, lead: str, limit: float, sign: int) -> bool:
    beyond = sign * levels.j_mm[lead] - limit
    return beyond >= max(criteria()["sure_margin_mm"], 2 * levels.error_mm.get(lead, 0.0))


def _confidence(sure: Sequence[str], leads: Sequence[str], doubts: Doubts) -> Confidence:
    if doubts.child or doubts.conduction == "preexcited":
        return "uncertain"
    if doubts.limb_leads and not contiguous([lead for lead in leads if lead.startswith("V")]):
        return "uncertain"
    if doubts.voltage and not contiguous([lead for lead in leads if lead not in _V1_V3]):
        return "uncertain"
    return "likely" if sure else "possible"


def lowered(confidence: Confidence, doubts: Doubts) -> Confidence:
    """``confidence``, or ``uncertain`` for a child or where limb electrodes may be exchanged."""
    return "uncertain" if doubts.child or doubts.limb_leads else confidence
