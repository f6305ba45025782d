"""Referrals and the steps they took. A form that was sent is never changed; steps are only added."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, exists, func, insert, or_, select, update

from zhenbao.hub.store.tables import referral_steps, referrals, work_items
from zhenbao.model.finding import Urgency
from zhenbao.model.referral import DownForm, Referral, ReferralState, UpForm

ENDED: tuple[ReferralState, ...] = ("refused", "withdrawn", "followed-up")


@dataclass(frozen=True, slots=True)
class Step:
    """Who brought a referral into a state, and when."""

    state: ReferralState
    at_ms: int
    login: str
    note: str


def add(connection: Connection, referral: Referral, login: str) -> None:
    """Keep a new referral with its first step."""
    connection.execute(
        insert(referrals).values(
            id=referral.id,
            number=referral.number,
            patient_id=referral.patient_id,
            encounter_id=referral.encounter_id,
            from_org=referral.from_org,
            to_org=referral.to_org,
            urgency=referral.urgency.value,
            state=referral.state,
            state_ms=referral.state_ms,
            up=json.dumps(asdict(referral.up), ensure_ascii=False),
        )
    )
    _step(connection, referral.id, referral.state, referral.state_ms, login, "")


def move(
    connection: Connection,
    referral: Referral,
    state: ReferralState,
    login: str,
    now_ms: int,
    *,
    note: str = "",
    down: DownForm | None = None,
) -> bool:
    """Bring it into another state; False where somebody else moved it meanwhile."""
    values: dict[str, object] = {"state": state, "state_ms": now_ms}
    if down is not None:
        values["down"] = json.dumps(asdict(down), ensure_ascii=False)
    mine = (referrals.c.id == referral.id, referrals.c.state == referral.state)
    if connection.execute(update(referrals).where(*mine).values(**values)).rowcount != 1:
        return False
    _step(connection, referral.id, state, now_ms, login, note)
    return True


def find(connection: Connection, id_: UUID) -> Referral | None:
    """One referral; None also where its case is only kept for the law."""
    row = connection.execute(select(referrals).where(referrals.c.id == id_, _shown())).one_or_none()
    return None if row is None else _referral(row._mapping)


def steps(connection: Connection, id_: UUID) -> list[Step]:
    """The steps of a referral in order."""
    found = select(referral_steps).where(referral_steps.c.referral_id == id_).order_by(referral_steps.c.number)
    return [Step(row.state, row.at_ms, row.login, row.note) for row in connection.execute(found)]


def of_orgs(connection: Connection, orgs: Collection[str], *, ended: bool, limit: int = 200) -> list[Referral]:
    """Referrals from or to some organisations, the one that waits longest first."""
    over = referrals.c.state.in_(ENDED)
    found = (
        select(referrals)
        .where(or_(referrals.c.from_org.in_(orgs), referrals.c.to_org.in_(orgs)), over if ended else ~over, _shown())
        .order_by(referrals.c.state_ms.desc() if ended else referrals.c.state_ms)
        .limit(limit)
    )
    return [_referral(row._mapping) for row in connection.execute(found)]


def refused_last(connection: Connection, orgs: Collection[str], *, limit: int) -> list[Referral]:
    """Refused ones from or to some organisations after which the patient was not referred again, the oldest first."""
    later = referrals.alias("later")
    again = exists().where(later.c.patient_id == referrals.c.patient_id, later.c.id > referrals.c.id)
    found = (
        select(referrals)
        .where(
            or_(referrals.c.from_org.in_(orgs), referrals.c.to_org.in_(orgs)),
            referrals.c.state == "refused",
            ~again,
            _shown(),
        )
        .order_by(referrals.c.state_ms)
        .limit(limit)
    )
    return [_referral(row._mapping) for row in connection.execute(found)]


def _shown() -> ColumnElement[bool]:
    """Not of a case that is only kept for the law."""
    kept = exists().where(
        work_items.c.encounter_id == referrals.c.encounter_id, work_items.c.restricted_ms.is_not(None)
    )
    return ~kept


def of_patients(connection: Connection, patient_ids: Collection[UUID]) -> list[Referral]:
    """All referrals of a person, newest first."""
    found = select(referrals).where(referrals.c.patient_id.in_(patient_ids)).order_by(referrals.c.id.desc())
    return [_referral(row._mapping) for row in connection.execute(found)]


def opened_to(connection: Connection, orgs: Collection[str]) -> frozenset[UUID]:
    """The patients who are referred to some organisations and under way: those may see them."""
    under_way = ("sent", "accepted", "arrived", "treating", "returned")
    found = select(referrals.c.patient_id).where(referrals.c.to_org.in_(orgs), referrals.c.state.in_(under_way))
    return frozenset(connection.execute(found).scalars())


def next_number(connection: Connection, from_org: str, day: str) -> str:
    """``ZZ-<org>-<day>-<n>``: counted for each sender and day."""
    prefix = f"ZZ-{from_org}-{day}-"
    count = select(func.count()).select_from(referrals).where(referrals.c.number.startswith(prefix, autoescape=True))
    return f"{prefix}{connection.execute(count).scalar_one() + 1:03d}"


def _step(connection: Connection, id_: UUID, state: ReferralState, at_ms: int, login: str, note: str) -> None:
    last = select(func.max(referral_steps.c.number)).where(referral_steps.c.referral_id == id_)
    connection.execute(
        insert(referral_steps).values(
            referral_id=id_,
            number=(connection.execute(last).scalar() or 0) + 1,
            state=state,
            at_ms=at_ms,
            login=login,
            note=note,
        )
    )


def _referral(r: object) -> Referral:
    row = dict(r)  # type: ignore[call-overload]
    return Referral(
        id=row["id"],
        number=row["number"],
        patient_id=row["patient_id"],
        encounter_id=row["encounter_id"],
        from_org=row["from_org"],
        to_org=row["to_org"],
        urgency=Urgency(row["urgency"]),
        state=row["state"],
        state_ms=row["state_ms"],
        up=msgspec.convert(json.loads(row["up"]), UpForm),
        down=msgspec.convert(json.loads(row["down"]), DownForm) if row["down"] else None,
    )
