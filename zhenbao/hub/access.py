"""What one person may see and do now: their place in the tree, their grants, and the table of permissions."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from zhenbao.hub.permission import CLINICAL, Action, Denial, Place, Standing, denial, reach
from zhenbao.hub.store import audit, grants, organisations, referrals, second_readings
from zhenbao.hub.store.grants import Grant
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.tables import patients
from zhenbao.hub.store.work import Scope, WorkItem
from zhenbao.model.errors import InputError

SHORTEST_REASON = 6
LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person with all that decides what they may do, as of one moment."""

    person: Practitioner
    orgs: frozenset[str]
    """Their organisation and all below it."""
    grants: tuple[Grant, ...] = ()
    """Those that have not ended."""
    referred: frozenset[UUID] = frozenset()
    """Patients on their way to one of these organisations: whoever treats them may see them."""
    again: frozenset[UUID] = frozenset()
    """Cases whose second reading is asked of them."""

    def denial(self, action: Action, item: WorkItem) -> Denial | None:
        """Why they may not do this to a case; None: they may."""
        grant = self.grant(item)
        standing = Standing(
            self._place(item.org_id),
            concerned(self.person, item),
            grant is not None or item.patient_id in self.referred or item.id in self.again,
            item.restricted_ms is not None,
            grant is not None and grant.kind == "break-glass",
        )
        return denial(self.person.role, action, standing)

    def may(self, action: Action, item: WorkItem) -> bool:
        """Whether they may do this to a case."""
        return self.denial(action, item) is None

    def allowed(self, action: Action) -> bool:
        """Whether their role has this right at all."""
        return reach(self.person.role, action) is not None

    def grant(self, item: WorkItem) -> Grant | None:
        """The grant that opens a case's patient to them."""
        opening = (g for g in self.grants if g.patient_id == item.patient_id and g.org_id in (None, item.org_id))
        # An emergency look opens most.
        return min(opening, key=lambda g: g.kind != "break-glass", default=None)

    def scope(self) -> Scope | None:
        """Which cases their list holds; None: no case at all."""
        wide = reach(self.person.role, "list")
        if wide is None:
            return None
        orgs = frozenset({self.person.org_id}) if wide == "own" else self.orgs if wide != "granted" else frozenset()
        return Scope(
            orgs=orgs,
            login=self.person.login if wide == "assigned" else None,
            specialty=self.person.specialty if wide == "assigned" else None,
            patients=self.referred | {grant.patient_id for grant in self.grants if grant.org_id is None},
            shared=frozenset((grant.patient_id, grant.org_id) for grant in self.grants if grant.org_id is not None),
        )

    def _place(self, org_id: str) -> Place:
        if org_id == self.person.org_id:
            return "own"
        return "below" if org_id in self.orgs else "outside"


def viewer(connection: Connection, person: Practitioner, now_ms: int) -> Viewer:
    """The person as they stand now."""
    orgs = organisations.subtree(connection, person.org_id)
    # Whom a consultation shows a bundle sees no referral: that is for those who treat.
    treats = person.role in (*CLINICAL, "village-doctor")
    return Viewer(
        person,
        orgs,
        tuple(grants.open_for(connection, person.login, now_ms)),
        referrals.opened_to(connection, orgs) if treats else frozenset(),
        _again(connection, person, orgs),
    )


def _again(connection: Connection, person: Practitioner, orgs: frozenset[str]) -> frozenset[UUID]:
    if person.specialty is None or reach(person.role, "second-read") is None:
        return frozenset()
    asked = second_readings.waiting(connection, person.specialty, orgs, person.login)
    return frozenset(reading.work_item_id for reading in asked)


def concerned(person: Practitioner, item: WorkItem) -> bool:
    """Whether a case is theirs: by name, by specialty, or because their specialty was asked to join."""
    return leads(person, item) or (person.specialty is not None and person.specialty in item.joint_specialties)


def leads(person: Practitioner, item: WorkItem) -> bool:
    """Whether a specialist answers for the whole case; others that are asked answer for their own readings."""
    if item.owner == person.login:
        return True
    return person.specialty is not None and person.specialty in (item.specialty, item.second_specialty)


def check(connection: Connection, person: Practitioner, action: Action, item: WorkItem, now_ms: int) -> None:
    """Let them, or say why not.

    Raises:
        InputError: the denial's code (``denied-role``, ``denied-outside``, ``denied-unassigned``, ``denied-grant``).
    """
    reason = viewer(connection, person, now_ms).denial(action, item)
    if reason is not None:
        raise InputError(reason)


def break_glass(store: HubStore, person: Practitioner, patient_id: UUID, reason: str) -> Grant:
    """Open a patient to somebody outside their reach for 24 hours, on their own word, noted in the audit.

    Raises:
        InputError: ``denied-role``; ``reason-missing``, the reason says too little; ``reason-long``;
            ``case-unknown``, no such patient.
    """
    told = " ".join(reason.split())
    if len(told) < SHORTEST_REASON:
        raise InputError("reason-missing", shortest=SHORTEST_REASON)
    if len(told) > LONGEST_REASON:
        raise InputError("reason-long", longest=LONGEST_REASON)
    if reach(person.role, "break-glass") is None:
        raise InputError("denied-role")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        if connection.execute(select(patients.c.id).where(patients.c.id == patient_id)).first() is None:
            raise InputError("case-unknown")
        grant = grants.give(
            connection, person.login, patient_id, "break-glass", told, person.login, now_ms, grants.BREAK_GLASS_HOURS
        )
        # The reason itself stays out of the audit: it may speak of the patient. It lies with the grant.
        audit.append(connection, now_ms, person.login, "break-glass", f"grant:{grant.id}")
    return grant
