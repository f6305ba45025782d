"""The referral rate of each unit, and which of them stand out."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

from sqlalchemy import Connection, func, select

from zhenbao.hub.store import organisations
from zhenbao.hub.store.period import Period
from zhenbao.hub.store.tables import encounters, referral_steps, referrals, work_items


@dataclass(frozen=True, slots=True)
class Limits:
    """From ``referral_alert.toml``."""

    visits_from: int
    times_of_all: float
    percent_from: float


@dataclass(frozen=True, slots=True)
class UnitRate:
    """Referrals sent and visits of one unit itself, without those below it."""

    org_id: str
    name: str
    referrals: int
    visits: int
    alert: bool = False

    @property
    def percent(self) -> float | None:
        """None: no visits."""
        return 100 * self.referrals / self.visits if self.visits else None


@functools.cache
def limits() -> Limits:
    """The county's."""
    raw = tomllib.loads(files("zhenbao.hub").joinpath("referral_alert.toml").read_text(encoding="utf-8"))
    return Limits(**raw)


def judged(rates: Collection[UnitRate], limit: Limits) -> list[UnitRate]:
    """The units, highest rate first, each with whether it stands out among the others. Pure.

    A unit is compared with all the others together, not with itself: a large one would hide its own rate.
    """
    all_referrals, all_visits = sum(r.referrals for r in rates), sum(r.visits for r in rates)
    found = []
    for unit in rates:
        others_visits = all_visits - unit.visits
        others = 100 * (all_referrals - unit.referrals) / others_visits if others_visits else None
        alert = (
            unit.percent is not None
            and unit.visits >= limit.visits_from
            and unit.percent >= limit.percent_from
            and others is not None
            and unit.percent >= limit.times_of_all * others
        )
        found.append(UnitRate(unit.org_id, unit.name, unit.referrals, unit.visits, alert))
    return sorted(found, key=lambda r: (not r.alert, -(r.percent or 0), r.org_id))


def rates(connection: Connection, period: Period, orgs: Collection[str]) -> list[UnitRate]:
    """The units with visits or referrals in a period, judged."""
    seen = (
        select(work_items.c.org_id, func.count())
        .join(encounters, encounters.c.id == work_items.c.encounter_id)
        .where(
            work_items.c.org_id.in_(orgs),
            encounters.c.started_ms >= period.from_ms,
            encounters.c.started_ms < period.to_ms,
        )
        .group_by(work_items.c.org_id)
    )
    away = (
        select(referrals.c.from_org, func.count())
        .join(referral_steps, referral_steps.c.referral_id == referrals.c.id)
        .where(
            referrals.c.from_org.in_(orgs),
            referral_steps.c.state == "sent",
            referral_steps.c.at_ms >= period.from_ms,
            referral_steps.c.at_ms < period.to_ms,
        )
        .group_by(referrals.c.from_org)
    )
    visits: dict[str, int] = {row[0]: row[1] for row in connection.execute(seen)}
    sent: dict[str, int] = {row[0]: row[1] for row in connection.execute(away)}
    names = {unit.id: unit.name for unit in organisations.everyone(connection)}
    units = [
        UnitRate(org, names.get(org, org), sent.get(org, 0), visits.get(org, 0))
        for org in sorted(visits.keys() | sent.keys())
    ]
    return judged(units, limits())
