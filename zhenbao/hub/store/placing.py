"""The cases of a batch: made or ranked anew from all that is known of their encounters.

Everything is looked up once for the whole batch, each case is decided from memory, and all are written together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from zhenbao.hub.roster import Roster
from zhenbao.hub.routing import Placement, joint_specialties
from zhenbao.hub.routing import place as route
from zhenbao.hub.store import audit, organisations, rule_versions, search, work
from zhenbao.hub.store.rows import insert_all
from zhenbao.hub.store.tables import encounters, observations, patients, reports, work_items
from zhenbao.hub.store.work import HUB, WorkItem, as_item
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.observation import Observation
from zhenbao.model.patient import Encounter
from zhenbao.model.time import age_years
from zhenbao.rules.ruleset import RuleSet
from zhenbao.sync.envelope import Body, unpack

Unpack = Callable[[str, bytes], Body]

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_ITEMS = select(work_items).where(work_items.c.encounter_id.in_(_IDS)).with_for_update()
_READINGS = (
    select(observations.c.body, observations.c.received_ms, observations.c.clock_ahead_ms)
    .where(observations.c.encounter_id.in_(_IDS))
    .order_by(observations.c.effective_ms, observations.c.id)
)
_SIGNED = select(reports.c.encounter_id, reports.c.observation_ids).where(
    reports.c.encounter_id.in_(_IDS), reports.c.status == "signed"
)
_BORN = select(patients.c.id, patients.c.birth_date).where(patients.c.id.in_(_IDS))
_ENCOUNTERS = select(encounters.c.body).where(encounters.c.id.in_(_IDS))
_RANK = update(work_items).where(work_items.c.id == bindparam("item_id"))


class _Reading(NamedTuple):
    observation: Observation
    received_ms: int
    clock_ahead_ms: int
    """By how much the kit's clock was ahead then."""
    rank: int
    """Of its urgency."""

    @property
    def age_ms(self) -> int:
        """How old it was when it came."""
        return age_ms(self.observation, self.received_ms, self.clock_ahead_ms)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the hub has of the encounters of a batch."""

    items: dict[UUID, WorkItem]
    fresh: dict[UUID, list[_Reading]]
    """Readings that no signed report covers, in order of their taking."""
    born: dict[UUID, date | None]
    chest_pain: dict[UUID, str]
    """As the encounter says, where it has come."""
    org_of_kit: dict[str, str]
    rules: RuleSet
    """In force now."""


@dataclass(slots=True)
class _Changes:
    opened: list[dict[str, Any]] = field(default_factory=list)
    ranked: list[tuple[UUID, dict[str, object]]] = field(default_factory=list)
    deeds: list[audit.Deed] = field(default_factory=list)

    def alike(self) -> Iterable[list[dict[str, object]]]:
        """What is ranked, together where the same columns change."""
        rows: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
        for item_id, columns in self.ranked:
            rows[tuple(columns)].append({"item_id": item_id, **columns})
        return rows.values()

    def note(self, action: str, item_id: UUID, placement: Placement, version: str) -> None:
        detail = {
            "urgency": placement.urgency.value,
            "route": placement.route_id,
            "specialty": placement.specialty or "-",
            "owner": placement.owner or "-",
            "rules": version,
        }
        self.deeds.append(audit.Deed(action, f"case:{item_id}", detail))


def place_all(
    connection: Connection, cases: Mapping[UUID, bool], roster: Roster, now_ms: int, unpack_: Unpack = unpack
) -> None:
    """Make or re-rank the cases of encounters from all that is known of them now.

    Args:
        connection: in a writing transaction.
        cases: of each encounter, whether it has itself just come for the first time. Critical readings overtake it,
            so that they are first routed as if every unknown answer were the worse one; before anybody has looked,
            the answers may therefore also lower the case.
        roster: who is on duty.
        now_ms: the hub's time.
        unpack_: ``envelope.unpack``, or one that remembers what it has unpacked.
    """
    if not cases:
        return
    known = _look_up(connection, list(cases), unpack_)
    changes = _Changes()
    for encounter_id, completed in cases.items():
        if fresh := known.fresh.get(encounter_id):
            _place(known, changes, encounter_id, fresh, roster, now_ms, completed=completed)
    insert_all(connection, work_items, changes.opened)
    search.index_cases(connection, [row["id"] for row in changes.opened])
    for rows in changes.alike():
        connection.execute(_RANK, rows)
    audit.append_all(connection, now_ms, HUB, changes.deeds)


def close(connection: Connection, item: WorkItem, login: str, roster: Roster, now_ms: int) -> None:
    """A report was signed; readings that it does not cover open the case again at once."""
    values: dict[str, object] = {"status": "reported"}
    if item.reported_ms is None:
        # A report that corrects or adds does not make the first one late.
        values["reported_ms"] = now_ms
    if item.acknowledged_ms is None:
        values |= {"acknowledged_ms": now_ms, "acknowledged_by": login}
    work.change(connection, item.id, **values)
    place_all(connection, {item.encounter_id: False}, roster, now_ms)


def _look_up(connection: Connection, ids: list[UUID], unpack_: Unpack) -> _Known:
    items = {item.encounter_id: item for item in map(as_item, connection.execute(_ITEMS, {"ids": ids}))}
    covered: defaultdict[UUID, set[UUID]] = defaultdict(set)
    # Reports are written on cases.
    for row in connection.execute(_SIGNED, {"ids": list(items)}) if items else ():
        covered[row.encounter_id] |= {UUID(id_) for id_ in json.loads(row.observation_ids or "[]")}
    fresh: defaultdict[UUID, list[_Reading]] = defaultdict(list)
    for body, received_ms, clock_ahead_ms in connection.execute(_READINGS, {"ids": ids}):
        reading = unpack_("observation", body)
        if isinstance(reading, Observation) and not (covered and reading.id in covered[reading.encounter_id]):
            rank = reading.urgency.rank
            fresh[reading.encounter_id].append(_Reading(reading, received_ms, clock_ahead_ms, rank))
    chest_pain = {}
    for body in connection.execute(_ENCOUNTERS, {"ids": ids}).scalars():
        encounter = _encounter(body)
        if isinstance(encounter, Encounter):
            chest_pain[encounter.id] = encounter.chest_pain
    last = [readings[-1].observation for readings in fresh.values()]
    people = list({reading.patient_id for reading in last})
    return _Known(
        items,
        fresh,
        {row.id: row.birth_date for row in connection.execute(_BORN, {"ids": people})},
        chest_pain,
        organisations.of_kits(connection, {reading.kit_id for reading in last}),
        rule_versions.active(connection),
    )


@lru_cache(maxsize=1024)
def _encounter(body: bytes) -> Body:
    """An encounter comes shortly before its readings, and is asked for with each."""
    return unpack("encounter", body)


def _place(
    known: _Known,
    changes: _Changes,
    encounter_id: UUID,
    fresh: Sequence[_Reading],
    roster: Roster,
    now_ms: int,
    *,
    completed: bool,
) -> None:
    last, deciding = fresh[-1].observation, _deciding(fresh)
    placement = _route(known, encounter_id, fresh, deciding, roster, now_ms)
    item = known.items.get(encounter_id)
    if item is None:
        item_id = uuid7(now_ms)
        org_id = known.org_of_kit[last.kit_id]
        columns = _columns(placement, deciding, now_ms, known.rules)
        changes.opened.append({"id": item_id, "encounter_id": encounter_id, "org_id": org_id, **columns})
        changes.note("case-opened", item_id, placement, known.rules.version)
    elif completed and item.status == "open" and item.acknowledged_ms is None:
        changes.ranked.append((item.id, _columns(placement, deciding, item.ranked_ms, known.rules)))
        if placement.urgency is not item.urgency:
            changes.note("case-ranked", item.id, placement, known.rules.version)
    elif item.status == "open" and placement.urgency.rank >= item.urgency.rank:
        # The same or less urgent: the clocks that run and the person who answers stay.
        others = tuple(sorted({*item.other_routes, *placement.other_routes, placement.route_id} - {item.route_id}))
        if others != item.other_routes:
            joint = joint_specialties(known.rules.table, others, item.specialty, item.second_specialty)
            asked = tuple(dict.fromkeys((*item.joint_specialties, *joint)))
            changes.ranked.append((item.id, {"other_routes": " ".join(others), "joint": " ".join(asked)}))
        if placement.urgency is item.urgency and item.late and not placement.late:
            # A reading as critical as the late one, but fresh: somebody is with the patient now.
            changes.ranked.append((item.id, {"late": False, **_times(deciding)}))
    elif item.status == "open" or placement.urgency is not Urgency.GREEN:
        changes.ranked.append((item.id, _columns(placement, deciding, now_ms, known.rules)))
        changes.note("case-ranked", item.id, placement, known.rules.version)


def _route(
    known: _Known,
    encounter_id: UUID,
    readings: Sequence[_Reading],
    deciding: _Reading,
    roster: Roster,
    now_ms: int,
) -> Placement:
    last = readings[-1].observation
    born = known.born.get(last.patient_id)
    chest_pain = _chest_pain(known.chest_pain.get(encounter_id, "unknown"), readings)
    return route(
        [finding for reading in readings for finding in known.rules.findings(reading.observation)],
        age_years=age_years(born, last.effective_ms) if born else None,
        chest_pain=chest_pain,
        late_min=deciding.age_ms / 60_000,
        roster=roster,
        at_ms=now_ms,
        table=known.rules.table,
        lowered=known.rules.lowered([reading.observation for reading in readings]) if chest_pain != "yes" else (),
    )


def _chest_pain(told: str, readings: Sequence[_Reading]) -> str:
    """What anybody answered: a yes counts most, then a no."""
    answers = {told, *(reading.observation.context.get("chest_pain", "unknown") for reading in readings)}
    return next((answer for answer in ("yes", "no") if answer in answers), "unknown")


def age_ms(reading: Observation, received_ms: int, clock_ahead_ms: int) -> int:
    """How old a reading was when it came, by the hub's clock.

    A kit's clock that was ahead when it sent the reading has made it look younger by as much. One that was behind makes
    it look older, and that stays: it may have been put right only after the taking, and to telephone in vain is the
    smaller harm.
    """
    return received_ms - reading.effective_ms + max(0, clock_ahead_ms)


def _deciding(readings: Sequence[_Reading]) -> _Reading:
    """The most urgent reading; of several the one that was freshest when it came.

    One fresh critical reading means that somebody is with the patient now, whatever came late beside it.
    """
    return min(readings, key=lambda reading: (reading.rank, reading.age_ms))


def _times(deciding: _Reading) -> dict[str, object]:
    return {
        "effective_ms": deciding.observation.effective_ms,
        "received_ms": deciding.received_ms,
        "clock_ahead_ms": deciding.clock_ahead_ms,
    }


def _columns(placement: Placement, deciding: _Reading, now_ms: int, rules: RuleSet) -> dict[str, object]:
    reading = deciding.observation
    archive = placement.specialty is None
    return {
        "patient_id": reading.patient_id,
        "kit_id": reading.kit_id,
        "status": "archived" if archive else "open",
        "urgency": placement.urgency.value,
        "urgency_rank": placement.urgency.rank,
        "route_id": placement.route_id,
        "other_routes": " ".join(placement.other_routes),
        "lead_rule": placement.lead_rule,
        "specialty": placement.specialty,
        "second_specialty": placement.second_specialty,
        "late": placement.late,
        **_times(deciding),
        "ranked_ms": now_ms,
        "ack_due_ms": _due(now_ms, placement.ack_min),
        "report_due_ms": _due(now_ms, placement.report_min),
        "owner": placement.owner,
        "owner_phone": placement.owner_phone,
        "fallback": placement.fallback,
        "acknowledged_ms": None,
        "acknowledged_by": None,
        "reported_ms": None,
        "rules_version": rules.version,
        "joint": " ".join(placement.joint),
        # A reading that nobody has answered is not only kept: somebody has to see it.
        "restricted_ms": None,
    }


def _due(now_ms: int, minutes: float | None) -> int | None:
    return None if minutes is None else now_ms + round(minutes * 60_000)
