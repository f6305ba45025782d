"""COPD-SQ: seven questions that say for whom a spirometry is worth most. It diagnoses nothing and rules out nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from zhenbao.model.errors import InputError
from zhenbao.signal.spirometry.tables import settings

Dyspnoea = Literal["none", "uphill", "level"]


@dataclass(frozen=True, slots=True)
class CopdSq:
    """The score as far as the answers go: it lies between ``least`` and ``most``."""

    least: int
    most: int
    result: str
    """``positive``, ``negative``, or ``cannot-say`` where unanswered items could turn it."""
    positive_from: int
    points: dict[str, int]
    """By item; unanswered ones are missing."""
    unanswered: tuple[str, ...]
    """Keys of the ``copd_sq`` words."""
    hangs_on_recalled: bool
    """The result could turn if the points of the items that were not read in a source were others."""


def copd_sq(
    *,
    age_years: float,
    bmi: float | None = None,
    pack_years: float | None = None,
    cough: bool | None = None,
    dyspnoea: Dyspnoea | None = None,
    smoke: bool | None = None,
    family: bool | None = None,
) -> CopdSq:
    """Score the questionnaire; None is a question without an answer.

    Args:
        age_years: of the patient; exact or completed years.
        bmi: kg/m².
        pack_years: packs of twenty cigarettes a day, times years.
        cough: often coughs without a cold.
        dyspnoea: short of breath not at all, uphill or on stairs, or on level ground.
        smoke: years of coal, wood or straw burnt for cooking or heating.
        family: parents, siblings or children with asthma, chronic bronchitis, emphysema or COPD.

    Raises:
        InputError: ``copd-sq-age`` below 40 years; ``copd-sq-bmi``, ``copd-sq-pack-years`` for what no person can have.
        ValueError: no such answer to ``dyspnoea``.
    """
    rules = settings("copd_sq")
    screening, items = rules["screening"], {item["name"]: item for item in rules["item"]}
    if not screening["age_from_years"] <= age_years <= 130:
        raise InputError("copd-sq-age", least=screening["age_from_years"])
    if bmi is not None and not 8 <= bmi <= 100:
        raise InputError("copd-sq-bmi")
    if pack_years is not None and not 0 <= pack_years <= 500:
        raise InputError("copd-sq-pack-years")
    if dyspnoea is not None and dyspnoea not in items["dyspnoea"]["answers"]:
        raise ValueError(f"no answer to dyspnoea: {dyspnoea!r}")
    answers: dict[str, float | str | None] = {
        "age": age_years,
        "bmi": bmi,
        "pack_years": pack_years,
        "cough": _yes_no(cough),
        "dyspnoea": dyspnoea,
        "smoke": _yes_no(smoke),
        "family": _yes_no(family),
    }
    points = {name: _points(items[name], answer) for name, answer in answers.items() if answer is not None}
    unanswered = tuple(name for name, answer in answers.items() if answer is None)
    least = sum(points.values()) + sum(min(_possible(items[name])) for name in unanswered)
    most = sum(points.values()) + sum(max(_possible(items[name])) for name in unanswered)
    result = _result(least, most, screening["positive_from"])
    # The same questionnaire if nothing but the read items were sure: does it still say the same?
    read = {name: points[name] for name in points if items[name]["read"]}
    others = [items[name] for name in items if name not in read]
    surely = _result(
        sum(read.values()) + sum(min(_possible(item)) for item in others),
        sum(read.values()) + sum(max(_possible(item)) for item in others),
        screening["positive_from"],
    )
    return CopdSq(
        least=least,
        most=most,
        result=result,
        positive_from=screening["positive_from"],
        points=points,
        unanswered=unanswered,
        hangs_on_recalled=result != "cannot-say" and surely != result,
    )


def _result(least: int, most: int, positive_from: int) -> str:
    if least >= positive_from:
        return "positive"
    return "negative" if most < positive_from else "cannot-say"


def _points(item: dict[str, Any], answer: float | str) -> int:
    if isinstance(answer, str):
        return int(item["answers"][answer])
    return int(max((b for b in item["bands"] if answer >= b["from"]), key=lambda b: b["from"])["points"])


def _possible(item: dict[str, Any]) -> list[int]:
    bands = [int(band["points"]) for band in item.get("bands", ())]
    return bands or [int(points) for points in item["answers"].values()]


def _yes_no(answer: bool | None) -> str | None:
    return None if answer is None else "yes" if answer else "no"
