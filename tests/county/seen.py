"""What the hub says, under the names of the story, so that it can be laid beside the count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from county.story import DAY_MS, START_MS, Story
from sqlalchemy import Connection, func, select

from zhenbao.hub import referral
from zhenbao.hub.case_code import case_code
from zhenbao.hub.reports import Reports
from zhenbao.hub.statistics import month
from zhenbao.hub.store import HubStore, audit, chronic, fleet, identities, organisations, referrals
from zhenbao.hub.store.chronic_tables import chronic_entries, follow_ups
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.period import Period, indicators
from zhenbao.hub.store.tables import (
    encounters,
    inbox,
    observations,
    patients,
    quarantine,
    report_reads,
    reports,
    views,
    work_items,
)
from zhenbao.hub.store.tables import referrals as referral_table
from zhenbao.hub.watch import Call, tasks
from zhenbao.hub.worklist import Worklist
from zhenbao.model.time import local_time

MONTHS = ("2026-11", "2026-12")


class Eyes:
    """Reads a hub. ``last`` is what the newest look saw."""

    def __init__(self, store: HubStore, ids: Mapping[str, UUID], people: Mapping[str, Practitioner]) -> None:
        self.store, self.ids, self.people = store, ids, people
        self.last: Any = None
        self._codes: dict[str, str] = {}
        self._names: dict[UUID, str] = {}

    # For those who act: what a person knows

    def viewed(self, encounter_id: UUID, login: str) -> bool:
        """Whether they opened any reading of a case."""
        with self.store.reading() as connection:
            case = select(work_items.c.id).where(work_items.c.encounter_id == encounter_id).scalar_subquery()
            seen = select(views.c.login).where(views.c.work_item_id == case, views.c.login == login).limit(1)
            return connection.execute(seen).first() is not None

    def on_the_way(self, patient_id: UUID) -> bool:
        """Whether the patient is referred already."""
        ended = (*referrals.ENDED, "village-received")
        with self.store.reading() as connection:
            return any(r.state not in ended for r in referrals.of_patients(connection, [patient_id]))

    def places(self, connection: Connection, patient_id: UUID) -> list[str]:
        """Where the patient is known."""
        kits = identities.kits_of(connection, [patient_id])
        return sorted(organisations.of_kits(connection, kits).values())

    def registers(self, patient_id: UUID) -> set[str]:
        """The registers in which the person stands."""
        with self.store.reading() as connection:
            found = identities.same_person(connection, patient_id)
            return {entry.disease for entry in chronic.of_patients(connection, found, ended=False)}

    # For the comparison

    def calls(self, made: Sequence[Call], again: Sequence[Call]) -> None:
        """Who was called, and that nobody was called twice."""
        told = [(self._visit_of(c.code), c.clock, c.to, c.login, c.phone) for c in made]
        self.last = {"calls": sorted(told, key=repr), "again": len(again)}

    def fleet(self) -> None:
        """What is wrong with which kit."""
        with self.store.reading() as connection:
            self.last = sorted((task.kit_id, task.kind) for task in fleet.open_tasks(connection))

    def lists(self) -> None:
        """The queue as it stands, and what is to be done."""
        queue = [
            (self._name(row.item.encounter_id), row.item.urgency.value, _due(row.item), row.item.owner or "")
            for row in Worklist(self.store).rows(limit=1_000_000)
        ]
        todo = [(self._name(task.item.encounter_id), task.escalation.key) for task in tasks(self.store)]
        reminded = {}
        for login, person in self.people.items():
            if person.role == "township-doctor" or login == "cardiology-1":
                seer = Worklist(self.store).viewer(person)
                found = [(self._name(r.referral.id), r.due_ms, r.org_id) for r in referral.reminders(self.store, seer)]
                reminded[login] = sorted(found)
        with self.store.reading() as connection:
            units = [unit.id for unit in organisations.everyone(connection)]
            until = local_time(self.store.clock.now_ms() + 7 * DAY_MS).date()
            due = [
                (self._name(row.entry.patient_id), row.entry.disease, row.tier, row.on.isoformat())
                for row in chronic.due(connection, units, until, 1_000_000)
            ]
        self.last = {"queue": queue, "todo": sorted(todo), "reminded": reminded, "due": sorted(due)}

    def end(self, story: Story) -> dict[str, Any]:
        """Figures of the whole: the indicators of every unit and period, what lies there, and that all is sound."""
        townships = [id_ for id_, kind, _, _ in story.orgs if kind == "township"]
        periods = {name: month(name) for name in MONTHS}
        periods["all"] = Period(START_MS, story.end_ms)
        figures = {}
        tables = {
            "patients": patients, "encounters": encounters, "readings": observations, "envelopes": inbox,
            "cases": work_items, "read": report_reads, "referrals": referral_table, "follow-ups": follow_ups,
            "registers": chronic_entries,
        }  # fmt: skip
        with self.store.reading() as connection:
            for org in ("county", *townships):
                orgs = organisations.subtree(connection, org)
                for name, period in periods.items():
                    found = indicators(connection, period, orgs, self.store.clock.now_ms())
                    figures[org, name] = {
                        i.key: (i.numerator, i.denominator, _rounded(i.median), _rounded(i.p90)) for i in found
                    }
            counts = {n: connection.execute(select(func.count()).select_from(t)).scalar() for n, t in tables.items()}
            signed = select(func.count()).select_from(reports).where(reports.c.status == "signed")
            counts["signed"] = connection.execute(signed).scalar()
            refused = select(func.count()).select_from(quarantine).where(quarantine.c.direction == "in")
            counts["refused"] = connection.execute(refused).scalar()
            counts["duplicates"] = self.store.counters.duplicates
            broken = audit.first_broken(connection)
        return {"indicators": figures, "counts": counts, "broken": broken, "altered": Reports(self.store).altered()}

    def _name(self, id_: UUID) -> str:
        if id_ not in self._names:
            self._names = {value: name for name, value in self.ids.items()}
        return self._names[id_]

    def _visit_of(self, code: str) -> str:
        if code not in self._codes:
            with self.store.reading() as connection:
                rows = connection.execute(select(work_items.c.id, work_items.c.encounter_id)).all()
            self._codes = {case_code(row.id): self._name(row.encounter_id) for row in rows}
        return self._codes[code]


def _due(item: Any) -> int | None:
    due: int | None = item.ack_due_ms if item.acknowledged_ms is None else item.report_due_ms
    return due


def _rounded(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes, 6)
