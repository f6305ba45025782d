"""One person's readings over time, as far as somebody may see them: what changed since the last of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import Viewer
from zhenbao.hub.store import records, work
from zhenbao.model.observation import Observation
from zhenbao.rules.comparison import Change, cautions, changes

KINDS: dict[str, tuple[str, ...]] = {
    "bp": ("bp_systolic", "bp_diastolic"),
    "glucose": ("glucose_capillary",),
    "spirometry": ("fev1", "fvc"),
    "ecg": ("heart_rate_ecg", "ecg_pr_interval", "ecg_qrs_duration", "ecg_qtc_fridericia"),
    "spo2": ("spo2",),
    "weight": ("body_weight",),
}
"""The kinds that are compared, and the values of each."""
_MOST_VISITS = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """A reading and where it was taken."""

    reading: Observation
    org_id: str


@dataclass(frozen=True, slots=True)
class Course:
    """All readings of one kind, oldest first, and what changed from the last but one to the last."""

    code: str
    taken: tuple[Taken, ...]
    changes: tuple[Change, ...] = ()
    cautions: tuple[str, ...] = ()
    new_rules: tuple[str, ...] = ()
    """Rules that hold now and did not the last time."""
    gone_rules: tuple[str, ...] = ()

    @property
    def last(self) -> Observation | None:
        """The reading that the newest is compared with."""
        return self.taken[-2].reading if len(self.taken) > 1 else None


def readings(
    connection: Connection, seer: Viewer, persons: Sequence[UUID], *, opened: bool = False
) -> tuple[list[Taken], int]:
    """The readings of a person within somebody's reach, oldest first, and how many visits lie beyond it.

    Args:
        opened: a grant opens the whole person.
    """
    found, elsewhere = [], 0
    for item in work.of_patients(connection, persons, _MOST_VISITS):
        if item.restricted_ms is not None:
            continue
        if not opened and item.org_id not in seer.orgs:
            elsewhere += 1
            continue
        for reading, _ in records.observations_of(connection, item.encounter_id):
            if reading.code in KINDS and reading.status != "quarantined":
                found.append(Taken(reading, item.org_id))
    return sorted(found, key=lambda t: (t.reading.effective_ms, t.reading.id)), elsewhere


def courses(taken: Sequence[Taken]) -> list[Course]:
    """One course a kind, in the order of ``KINDS``; kinds without a reading are left out."""
    return [
        _course(code, tuple(each for each in taken if each.reading.code == code))
        for code in KINDS
        if any(each.reading.code == code for each in taken)
    ]


def _course(code: str, taken: tuple[Taken, ...]) -> Course:
    if len(taken) < 2:
        return Course(code, taken)
    before, now = taken[-2].reading, taken[-1].reading
    had, have = ({f.rule_id for f in r.findings if f.status == "present"} for r in (before, now))
    return Course(
        code,
        taken,
        tuple(changes(before, now, KINDS[code])),
        cautions(before, now),
        tuple(sorted(have - had)),
        tuple(sorted(had - have)),
    )
