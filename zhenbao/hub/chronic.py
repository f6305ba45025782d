"""Chronic care at the hub: who may enter, follow up, name the three and send a plan home (``care.toml``)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from zhenbao.hub import courses
from zhenbao.hub.access import Viewer, concerned, viewer
from zhenbao.hub.permission import Standing, denial
from zhenbao.hub.store import (
    HubStore,
    audit,
    briefs,
    chronic,
    identities,
    organisations,
    people,
    records,
    work,
)
from zhenbao.hub.store.care_keeping import keep, notify
from zhenbao.hub.store.chronic import Entry
from zhenbao.hub.store.people import Practitioner
from zhenbao.model.chronic import DischargePlan, FollowUp, Part, PlanDate, Tier
from zhenbao.model.errors import InputError
from zhenbao.model.ids import uuid7
from zhenbao.model.patient import Patient
from zhenbao.model.time import age_years
from zhenbao.rules import followup
from zhenbao.rules.followup import Choice, Judged, Next
from zhenbao.rules.forms import Problem, form, problems, taken, tidy

LONGEST = 400
LONGEST_PLAN = 2000


@dataclass(frozen=True, slots=True)
class Ruled:
    """A filled form with what the rules make of it, before anybody decides."""

    answers: dict[str, str]
    judged: Judged
    next: Next | None
    """None: there is no outcome to go by."""
    tier: Tier


class FormProblems(InputError):
    """A form that cannot be kept as it is."""

    def __init__(self, found: Sequence[Problem]) -> None:
        super().__init__("form-problems", count=len(found))
        self.found = tuple(found)


@functools.cache
def policy() -> Mapping[str, Any]:
    """Who does what."""
    return tomllib.loads(files("zhenbao.hub").joinpath("care.toml").read_text(encoding="utf-8"))


def persons(connection: Connection, seer: Viewer, patient_id: UUID) -> list[UUID]:
    """All ids of a person whom somebody may see as one of their chronic patients.

    Raises:
        InputError: ``patient-unknown-hub``, or why not (``denied-role``, ``denied-outside``, ``denied-unassigned``).
    """
    found = identities.same_person(connection, patient_id)
    if not any(records.patient(connection, id_) is not None for id_ in found):
        raise InputError("patient-unknown-hub")
    reason = denial(seer.person.role, "chronic", _standing(connection, seer, found))
    if reason is not None:
        raise InputError(reason)
    return found


def patient_of(connection: Connection, found: Sequence[UUID]) -> Patient | None:
    """The person's record: one with a number before one without, then the newest."""
    known = [patient for id_ in found if (patient := records.patient(connection, id_)) is not None]
    return max(known, key=lambda patient: (not patient.temporary, patient.id), default=None)


def enter(store: HubStore, patient_id: UUID, by: Practitioner, *, disease: str, org_id: str, ground: str) -> Entry:
    """Enter a patient into a register.

    Args:
        org_id: who manages the patient from now on.
        ground: on what ground, in words.

    Raises:
        InputError: as ``persons``; ``chronic-disease``; ``chronic-known``, already in this register; ``org-unknown``;
            ``denied-outside``, a unit that is not theirs; ``reason-missing`` or ``reason-long``.
    """
    told, now_ms = _text(ground), store.clock.now_ms()
    with store.writing() as connection:
        seer = viewer(connection, by, now_ms)
        found = persons(connection, seer, patient_id)
        if disease not in followup.DISEASES:
            raise InputError("chronic-disease", disease=disease[:20])
        organisations.check(connection, org_id)
        if org_id not in seer.orgs:
            raise InputError("denied-outside")
        if any(entry.disease == disease for entry in chronic.of_patients(connection, found, ended=False)):
            raise InputError("chronic-known")
        entry = Entry(
            id=uuid7(now_ms),
            patient_id=patient_id,
            disease=next(d for d in followup.DISEASES if d == disease),
            org_id=org_id,
            since=chronic.today(now_ms),
            entered_ms=now_ms,
            ended_ms=None,
            specialist=None,
            gp=None,
            manager=None,
        )
        chronic.add(connection, entry, by.login, told)
        audit.append(connection, now_ms, by.login, "chronic-entered", f"chronic:{entry.id}", disease=disease)
        briefs.tell(connection, store.sender, patient_id, now_ms)
    return entry


def leave(store: HubStore, entry_id: UUID, by: Practitioner, *, reason: str) -> None:
    """Let a patient leave a register; what was there stays to be read.

    Raises:
        InputError: ``chronic-unknown``; as ``persons``; ``reason-missing`` or ``reason-long``.
    """
    told, now_ms = _text(reason), store.clock.now_ms()
    with store.writing() as connection:
        entry = _entry(connection, store, by, entry_id)
        if not chronic.end(connection, entry, by.login, told, now_ms):
            raise InputError("chronic-unknown")
        notify(connection, entry, "left", f"left:{entry.id}", now_ms)
        audit.append(connection, now_ms, by.login, "chronic-left", f"chronic:{entry.id}")
        briefs.tell(connection, store.sender, entry.patient_id, now_ms)


def name_team(store: HubStore, entry_id: UUID, by: Practitioner, team: Mapping[Part, str]) -> None:
    """Name the three who share the plan; empty: nobody.

    Raises:
        InputError: ``chronic-unknown``; as ``persons``; ``chronic-team``, somebody who cannot be this part.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        entry = _entry(connection, store, by, entry_id)
        chosen: dict[Part, str | None] = {}
        known = {person.login: person for person in people.everyone(connection)}
        for part in chronic.PARTS:
            login = team.get(part, "")
            if login and (login not in known or known[login].role not in policy()["may_be"][part]):
                raise InputError("chronic-team", login=login[:40])
            chosen[part] = login or None
        chronic.set_team(connection, entry, chosen, by.login, now_ms)
        named = replace(entry, specialist=chosen["specialist"], gp=chosen["gp"], manager=chosen["manager"])
        notify(connection, named, "team", f"team:{entry.id}:{now_ms}", now_ms)
        audit.append(connection, now_ms, by.login, "chronic-team", f"chronic:{entry.id}")
        briefs.tell(connection, store.sender, entry.patient_id, now_ms)


def may_fill(store: HubStore, entry_id: UUID, by: Practitioner, tier: str) -> None:
    """Whether somebody may fill in this form of this patient.

    Raises:
        InputError: ``chronic-unknown``; as ``persons``; ``chronic-tier``, this form is not theirs.
    """
    with store.reading() as connection:
        _check_tier(_entry(connection, store, by, entry_id), by, tier)


def measured(store: HubStore, entry_id: UUID, by: Practitioner, tier: str) -> dict[str, str]:
    """What readings of today say for the fields of a form.

    Raises:
        InputError: as ``may_fill``.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        entry = _entry(connection, store, by, entry_id)
        known = _check_tier(entry, by, tier)
        found = identities.same_person(connection, entry.patient_id)
        readings, _ = courses.readings(connection, viewer(connection, by, now_ms), found)
    day = chronic.today(now_ms)
    todays = [each.reading for each in readings if chronic.today(each.reading.effective_ms) == day]
    return taken(form(followup.form_of(entry.disease, known)), todays)


def rule(store: HubStore, entry_id: UUID, by: Practitioner, tier: str, answers: Mapping[str, str]) -> Ruled:
    """What the rules make of a form that somebody is filling in; nothing is kept.

    Raises:
        InputError: ``chronic-unknown``; as ``persons``; ``chronic-tier``, this form is not theirs; ``form-problems``.
    """
    with store.reading() as connection:
        entry = _entry(connection, store, by, entry_id)
        return _ruled(connection, entry, by, tier, answers, store.clock.now_ms())


def follow_up(
    store: HubStore,
    entry_id: UUID,
    by: Practitioner,
    tier: str,
    answers: Mapping[str, str],
    choice: Choice,
) -> FollowUp:
    """Keep a follow-up.

    Raises:
        InputError: as ``rule`` and as ``followup.decide``.
    """
    now_ms = store.clock.now_ms()
    with store.writing() as connection:
        entry = _entry(connection, store, by, entry_id)
        ruled = _ruled(connection, entry, by, tier, answers, now_ms)
        day = chronic.today(now_ms)
        of = form(followup.form_of(entry.disease, ruled.tier))
        blank = FollowUp(
            uuid7(now_ms), entry.patient_id, entry.disease, ruled.tier, of.key, of.version, now_ms, ruled.answers,
            "controlled", day, by=by.name,
        )  # fmt: skip
        past = chronic.register(connection, entry, {}).past
        made = followup.decide(blank, ruled.judged, past, day, choice)
        keep(connection, made, by.org_id, by.login, now_ms)
        audit.append(connection, now_ms, by.login, "follow-up-kept", f"follow-up:{made.id}", disease=made.disease)
        briefs.tell(connection, store.sender, entry.patient_id, now_ms)
    return made


def send_plan(
    store: HubStore, patient_id: UUID, by: Practitioner, values: Mapping[str, str], dates: Sequence[tuple[str, str]]
) -> DischargePlan:
    """Send a discharge plan home to the village.

    Args:
        values: ``diagnosis next_plan nursing_plan medication warning_signs``.
        dates: kind and ISO date; the first visit of the village is set by the norm where none is given.

    Raises:
        InputError: as ``persons``; ``plan-missing``; ``follow-up-date``.
    """
    now_ms = store.clock.now_ms()
    day = chronic.today(now_ms)
    for name in ("diagnosis", "next_plan", "nursing_plan"):
        if not values.get(name, "").strip():
            raise InputError("plan-missing", field=name)
    if any(len(text) > LONGEST_PLAN for text in values.values()):
        raise InputError("reason-long", longest=LONGEST_PLAN)
    planned = tuple(
        PlanDate(kind, _day(text, day))  # type: ignore[arg-type]  # checked in this very line
        for kind, text in dates
        if text and kind in ("village-visit", "nursing", "review")
    )
    if not any(each.kind == "village-visit" for each in planned):
        planned = (PlanDate("village-visit", first_visit(day)), *planned)
    with store.writing() as connection:
        seer = viewer(connection, by, now_ms)
        found = persons(connection, seer, patient_id)
        unit = organisations.find(connection, by.org_id)
        plan = DischargePlan(
            id=uuid7(now_ms),
            patient_id=patient_id,
            made_ms=now_ms,
            unit=unit.name if unit is not None else by.org_id,
            by=by.name,
            phone=by.phone,
            **{name: values.get(name, "").strip() for name in PLAN_FIELDS},
            dates=tuple(sorted(planned, key=lambda each: each.on)),
        )
        briefs.add_plan(connection, plan, by.org_id, by.login, None)
        for entry in chronic.of_patients(connection, found, ended=False):
            notify(connection, entry, "plan", f"plan:{plan.id}", now_ms)
        audit.append(connection, now_ms, by.login, "plan-sent", f"plan:{plan.id}")
        briefs.tell(connection, store.sender, patient_id, now_ms)
    return plan


PLAN_FIELDS = ("diagnosis", "next_plan", "nursing_plan", "medication", "warning_signs")


def first_visit(day: date) -> date:
    """The last day of the village's first visit after a discharge."""
    return date.fromordinal(day.toordinal() + int(policy()["plan"]["first_visit_days"]))


def _ruled(
    connection: Connection, entry: Entry, by: Practitioner, tier: str, answers: Mapping[str, str], now_ms: int
) -> Ruled:
    known = _check_tier(entry, by, tier)
    told = tidy(answers)
    wrong = problems(form(followup.form_of(entry.disease, known)), told)
    if wrong:
        raise FormProblems(wrong)
    patient = patient_of(connection, identities.same_person(connection, entry.patient_id))
    born = patient.birth_date if patient is not None else None
    judged = followup.judge(entry.disease, told, age_years(born, now_ms) if born is not None else None)
    past = chronic.register(connection, entry, {}).past
    if judged.outcome is None:
        return Ruled(told, judged, None, known)
    following = followup.next_visit(
        entry.disease, known, judged.outcome, chronic.today(now_ms), past, urgent=bool(judged.urgent)
    )
    return Ruled(told, judged, following, known)


def _check_tier(entry: Entry, by: Practitioner, tier: str) -> Tier:
    known = next((t for t in followup.tiers_of(entry.disease) if t == tier), None)
    if known is None or known not in policy()["may_fill"].get(by.role, ()):
        raise InputError("chronic-tier")
    return known


def _entry(connection: Connection, store: HubStore, by: Practitioner, entry_id: UUID) -> Entry:
    """An entry that stands, for somebody who may see its patient."""
    entry = chronic.find(connection, entry_id)
    if entry is None or entry.ended_ms is not None:
        raise InputError("chronic-unknown")
    persons(connection, viewer(connection, by, store.clock.now_ms()), entry.patient_id)
    return entry


def _standing(connection: Connection, seer: Viewer, found: Sequence[UUID]) -> Standing:
    """The nearest place where the person is known, and whether they are this practitioner's."""
    entries = chronic.of_patients(connection, found)
    cases = work.of_patients(connection, found, 50)
    places = {entry.org_id for entry in entries} | {case.org_id for case in cases}
    # Whoever was registered and not yet examined is known where that kit stands.
    places |= set(organisations.of_kits(connection, identities.kits_of(connection, found)).values())
    mine = any(
        seer.person.login in entry.team or entry.disease in policy()["department"].get(seer.person.specialty, ())
        for entry in entries
        if entry.ended_ms is None
    )
    mine = mine or any(concerned(seer.person, case) for case in cases)
    own, below = seer.person.org_id in places, bool(places & seer.orgs)
    # Whoever comes again is treated again.
    restricted = bool(cases) and all(case.restricted_ms is not None for case in cases)
    return Standing("own" if own else "below" if below else "outside", mine, restricted=restricted)


def _text(text: str) -> str:
    told = " ".join(text.split())
    if len(told) < followup.SHORTEST_REASON:
        raise InputError("reason-missing", shortest=followup.SHORTEST_REASON)
    if len(told) > LONGEST:
        raise InputError("reason-long", longest=LONGEST)
    return told


def _day(text: str, after: date) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InputError("follow-up-date", most=followup.MOST_DAYS) from None
    if not 0 <= found.toordinal() - after.toordinal() <= followup.MOST_DAYS:
        raise InputError("follow-up-date", most=followup.MOST_DAYS)
    return found
