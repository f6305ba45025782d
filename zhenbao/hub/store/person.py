"""Everything the hub has of one person: found for an export, restricted, or deleted."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from uuid import UUID

from sqlalchemy import Connection, Table, delete, func, select, update

from zhenbao.hub.store import consents, identities, person_rows
from zhenbao.hub.store.law_tables import consents as consent_rows
from zhenbao.hub.store.law_tables import share_requests
from zhenbao.hub.store.tables import (
    attachments,
    encounters,
    escalations,
    grants,
    loop_steps,
    observations,
    outbox,
    patient_links,
    patient_versions,
    patients,
    quarantine,
    recordings,
    referral_steps,
    referrals,
    report_reads,
    reports,
    returned_reports,
    sealed_packets,
    views,
    work_items,
)

_YEAR_MS = round(365.2425 * 86_400_000)
_PART = 500


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids under which things of a person lie."""

    patients: tuple[UUID, ...]
    encounters: tuple[UUID, ...]
    observations: tuple[UUID, ...]
    recordings: tuple[UUID, ...]
    attachments: tuple[UUID, ...]
    cases: tuple[UUID, ...]
    reports: tuple[UUID, ...]
    referrals: tuple[UUID, ...]
    shares: tuple[UUID, ...]
    grants: tuple[UUID, ...]
    kits: tuple[str, ...]
    """That have or had copies of their own."""

    @property
    def by_key(self) -> dict[str, tuple[UUID, ...]]:
        """As the tables of single topics refer to them."""
        return {
            "patients": self.patients,
            "encounters": self.encounters,
            "cases": self.cases,
            "reports": self.reports,
        }

    def subjects(self, connection: Connection) -> list[str]:
        """As the audit names them."""
        named = {
            "case": self.cases,
            "report": self.reports,
            "referral": self.referrals,
            "share": self.shares,
            "grant": self.grants,
        }
        own = [f"{kind}:{id_}" for kind, ids in named.items() for id_ in ids]
        return [*own, *person_rows.subjects(connection, self.by_key)]


def years_kept(what: str) -> int:
    """From ``retention.toml``."""
    return int(_retention()[what]["years"])


@functools.cache
def _retention() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("zhenbao.hub").joinpath("retention.toml").read_text(encoding="utf-8"))


def ids(connection: Connection, patient_id: UUID) -> Ids:
    """All ids of a person, under whichever of their patient ids."""
    persons = identities.same_person(connection, patient_id)
    visits = _ids(connection, encounters, "patient_id", persons)
    cases = _ids(connection, work_items, "patient_id", persons)
    readings = _ids(connection, observations, "patient_id", persons)
    sent = select(work_items.c.kit_id).where(work_items.c.patient_id.in_(persons)).distinct()
    seen = select(patient_versions.c.kit_id).where(patient_versions.c.patient_id.in_(persons)).distinct()
    return Ids(
        tuple(persons),
        visits,
        readings,
        _ids(connection, recordings, "observation_id", readings),
        _ids(connection, attachments, "encounter_id", visits),
        cases,
        _ids(connection, reports, "work_item_id", cases),
        _ids(connection, referrals, "patient_id", persons),
        _ids(connection, share_requests, "patient_id", persons),
        _ids(connection, grants, "patient_id", persons),
        tuple(sorted({*connection.execute(sent).scalars(), *connection.execute(seen).scalars()})),
    )


def kept_until_ms(connection: Connection, found: Ids) -> int | None:
    """Until when the law wants a person's record kept; None: there is no visit."""
    last = connection.execute(
        select(func.max(encounters.c.started_ms)).where(encounters.c.patient_id.in_(found.patients))
    ).scalar()
    # A kit's clock may be years behind: what the hub received is never older than the receipt says.
    received = connection.execute(
        select(func.max(work_items.c.received_ms)).where(work_items.c.patient_id.in_(found.patients))
    ).scalar()
    newest = max((ms for ms in (last, received) if ms is not None), default=None)
    return None if newest is None else newest + years_kept("record") * _YEAR_MS


def restrict(connection: Connection, found: Ids, now_ms: int) -> int:
    """Keep a person's cases and show them to nobody, and end all care by plan; returns how many cases."""
    person_rows.end_care(connection, found.patients, now_ms)
    return connection.execute(
        update(work_items)
        .where(work_items.c.patient_id.in_(found.patients), work_items.c.restricted_ms.is_(None))
        .values(restricted_ms=now_ms)
    ).rowcount


def delete_unsigned(connection: Connection, found: Ids) -> int:
    """Delete what is no part of the record; returns how many rows."""
    gone = consents.drop_contacts(connection, found.patients)
    for part in _parts(found.reports):
        gone += connection.execute(delete(reports).where(reports.c.id.in_(part), reports.c.status == "draft")).rowcount
    for table, column in ((share_requests, "patient_id"), (grants, "patient_id")):
        gone += _delete(connection, table, column, found.patients)
    return gone


def delete_record(connection: Connection, found: Ids) -> int:
    """Delete everything of a person but the receipts, which hold digests alone; returns how many rows."""
    envelopes: list[UUID] = []
    sent = (*found.reports, *found.encounters, *found.observations, *person_rows.sent(connection, found.by_key))
    for part in _parts(sent):
        envelopes += connection.execute(select(outbox.c.envelope_id).where(outbox.c.subject_id.in_(part))).scalars()
    gone = delete_unsigned(connection, found) + person_rows.delete_all(connection, found.by_key)
    everything = (*found.patients, *found.encounters, *found.observations, *found.recordings, *found.attachments)
    for table, column, keys in (
        (sealed_packets, "envelope_id", envelopes),
        (outbox, "envelope_id", envelopes),
        (quarantine, "subject_id", (*everything, *found.reports)),
        (report_reads, "report_id", found.reports),
        (reports, "id", found.reports),
        (returned_reports, "encounter_id", found.encounters),
        (views, "work_item_id", found.cases),
        (loop_steps, "work_item_id", found.cases),
        (escalations, "work_item_id", found.cases),
        (work_items, "id", found.cases),
        (attachments, "id", found.attachments),
        (recordings, "id", found.recordings),
        (observations, "id", found.observations),
        (encounters, "id", found.encounters),
        (referral_steps, "referral_id", found.referrals),
        (referrals, "id", found.referrals),
        (consent_rows, "patient_id", found.patients),
        (patient_links, "one", found.patients),
        (patient_links, "other", found.patients),
        (patient_versions, "patient_id", found.patients),
        (patients, "id", found.patients),
    ):
        gone += _delete(connection, table, column, tuple(keys))
    return gone


def _delete(connection: Connection, table: Table, column: str, keys: tuple[UUID, ...]) -> int:
    return sum(connection.execute(delete(table).where(table.c[column].in_(part))).rowcount for part in _parts(keys))


def _ids(connection: Connection, table: Table, column: str, keys: tuple[UUID, ...] | list[UUID]) -> tuple[UUID, ...]:
    found: list[UUID] = []
    for part in _parts(tuple(keys)):
        found += connection.execute(select(table.c.id).where(table.c[column].in_(part))).scalars()
    return tuple(sorted(found))


def _parts(keys: tuple[UUID, ...]) -> list[tuple[UUID, ...]]:
    """Not more at once than any database takes as parameters."""
    return [keys[start : start + _PART] for start in range(0, len(keys), _PART)]
