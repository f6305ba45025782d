"""Two-way referral at the hub: who may write, move and see one, and who is reminded (``referral.toml``)."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub.access import Viewer, viewer
from zhenbao.hub.store import HubStore, audit, organisations, referrals, work
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.ids import uuid7
from zhenbao.model.referral import DownForm, Referral, ReferralState, UpForm
from zhenbao.model.time import local_text

LONGEST_FIELD = 2000
Side = Literal["sender", "receiver", "either"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a state is reached, and when it has stood too long."""

    after: tuple[ReferralState, ...]
    by: Side
    reason: bool = False
    remind_hours: float | None = None
    remind: Side | None = None


@dataclass(frozen=True, slots=True)
class Reminder:
    """A referral that has stood in its state too long, and whose task that is."""

    referral: Referral
    org_id: str
    due_ms: int


@functools.cache
def rules() -> dict[ReferralState, Rule]:
    """The states."""
    raw = tomllib.loads(files("zhenbao.hub").joinpath("referral.toml").read_text(encoding="utf-8"))
    if set(raw) != set(get_args(ReferralState)):
        raise ValueError(f"referral.toml: {set(raw) ^ set(get_args(ReferralState))}")
    return {state: Rule(**(row | {"after": tuple(row["after"])})) for state, row in raw.items()}  # type: ignore[misc]


def write(
    store: HubStore, case_id: UUID, by: Practitioner, *, to_org: str, form: UpForm, urgency: str = ""
) -> Referral:
    """Refer the patient of a case; it is sent at once.

    Raises:
        InputError: ``case-unknown``; why not (see ``access.check``); ``org-unknown``; ``referral-self``;
            ``referral-form``, a field that must be there is empty or one is too long; ``referral-consent``;
            ``referral-open``, the patient is already on the way to the same place.
    """
    _check_form(form, ("department", "impression", "reason", "physician", "physician_phone"))
    if not form.consent:
        raise InputError("referral-consent")
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        item = work.find(connection, case_id)
        if item is None:
            raise InputError("case-unknown")
        if (denied := viewer(connection, by, now_ms).denial("refer", item)) is not None:
            raise InputError(denied)
        organisations.check(connection, to_org)
        if to_org == by.org_id:
            raise InputError("referral-self")
        for known in referrals.of_patients(connection, [item.patient_id]):
            if known.to_org == to_org and known.state not in (*referrals.ENDED, "village-received"):
                raise InputError("referral-open", number=known.number)
        made = Referral(
            id=uuid7(now_ms),
            number=referrals.next_number(connection, by.org_id, local_text(now_ms)[:10].replace("-", "")),
            patient_id=item.patient_id,
            encounter_id=item.encounter_id,
            from_org=by.org_id,
            to_org=to_org,
            urgency=Urgency(urgency) if urgency in list(Urgency) else item.urgency,
            state="sent",
            state_ms=now_ms,
            up=form,
        )
        referrals.add(connection, replace(made, state="draft"), by.login)
        referrals.move(connection, replace(made, state="draft"), "sent", by.login, now_ms)
        audit.append(connection, now_ms, by.login, "referral-sent", f"referral:{made.id}", to=to_org)
    return made


def move(
    store: HubStore,
    referral_id: UUID,
    by: Practitioner,
    state: str,
    *,
    note: str = "",
    down: DownForm | None = None,
) -> Referral:
    """Bring a referral into its next state.

    Raises:
        InputError: ``referral-unknown``, there is none such, or it is not this person's; ``referral-state``, not from
            here, or somebody was faster; ``referral-side``, the other side does that; ``reason-missing``;
            ``referral-form``, the form that goes back is not complete.
    """
    known: dict[str, ReferralState] = {name: name for name in get_args(ReferralState)}
    if state not in known:
        raise InputError("referral-state")
    rule, told = rules()[known[state]], " ".join(note.split())
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        seer = viewer(connection, by, now_ms)
        referral = _found(connection, seer, referral_id)
        if referral.state not in rule.after:
            raise InputError("referral-state")
        if rule.by not in (*sides(seer, referral), "either"):
            raise InputError("referral-side")
        if rule.reason and not told:
            raise InputError("reason-missing", shortest=1)
        if state == "returned":
            if down is None:
                raise InputError("referral-form", field="diagnosis")
            _check_form(down, ("diagnosis", "next_plan", "nursing_plan", "physician", "physician_phone"))
        if not referrals.move(connection, referral, known[state], by.login, now_ms, note=told, down=down):
            raise InputError("referral-state")
        audit.append(connection, now_ms, by.login, f"referral-{state}", f"referral:{referral_id}")
        return referrals.find(connection, referral_id) or referral


def look(store: HubStore, referral_id: UUID, by: Practitioner) -> Referral:
    """One referral, for either side.

    Raises:
        InputError: ``referral-unknown``.
    """
    with store.reading() as connection:
        return _found(connection, viewer(connection, by, store.clock.now_ms()), referral_id)


def open_moves(seer: Viewer, referral: Referral) -> tuple[ReferralState, ...]:
    """The states to which this person may bring it now."""
    mine = (*sides(seer, referral), "either")
    return tuple(state for state, rule in rules().items() if referral.state in rule.after and rule.by in mine)


def sides(seer: Viewer, referral: Referral) -> tuple[Side, ...]:
    """On which side of a referral a person stands; a county hospital may stand on both."""
    both: list[Side] = []
    if referral.from_org in seer.orgs:
        both.append("sender")
    if referral.to_org in seer.orgs:
        both.append("receiver")
    return tuple(both)


def reminders(store: HubStore, seer: Viewer) -> list[Reminder]:
    """Referrals that have stood too long where this person's side has to do something, the longest due first."""
    now_ms = store.clock.now_ms()
    due = []
    with store.reading() as connection:
        waiting = referrals.of_orgs(connection, seer.orgs, ended=False, limit=2000)
        refused = referrals.refused_last(connection, seer.orgs, limit=2000)
    for referral in (*waiting, *refused):
        rule = rules()[referral.state]
        if rule.remind_hours is None:
            continue
        due_ms = referral.state_ms + round(rule.remind_hours * 3_600_000)
        org_id = referral.from_org if rule.remind == "sender" else referral.to_org
        if due_ms <= now_ms and org_id in seer.orgs:
            due.append(Reminder(referral, org_id, due_ms))
    return sorted(due, key=lambda r: (r.due_ms, r.referral.number))


def _found(connection: Connection, seer: Viewer, referral_id: UUID) -> Referral:
    referral = referrals.find(connection, referral_id)
    if referral is None or not seer.allowed("refer") or not sides(seer, referral):
        raise InputError("referral-unknown")
    return referral


def _check_form(form: UpForm | DownForm, needed: tuple[str, ...]) -> None:
    for field in fields(form):
        value = getattr(form, field.name)
        if isinstance(value, str) and (len(value) > LONGEST_FIELD or (field.name in needed and not value.strip())):
            raise InputError("referral-form", field=field.name)
