"""What the hub does by itself for chronic patients and kits: it tells the kits what is new, sends plans home when a
referral comes back, tells the three of an urgent case, and sees what is wrong with a kit."""

from __future__ import annotations

import logging
import threading
from uuid import UUID

from sqlalchemy import select

from zhenbao.hub import fleet as fleet_rules
from zhenbao.hub.chronic import PLAN_FIELDS, first_visit
from zhenbao.hub.store import HubStore, audit, briefs, chronic, fleet, identities, organisations
from zhenbao.hub.store.care_keeping import notify
from zhenbao.hub.store.chronic_tables import chronic_entries, discharge_plans
from zhenbao.hub.store.tables import referrals, work_items
from zhenbao.hub.store.work import HUB
from zhenbao.model.chronic import DischargePlan, PlanDate
from zhenbao.model.errors import StorageError
from zhenbao.model.ids import uuid7

_log = logging.getLogger(__name__)
PERIOD_S = 20.0
_URGENT_RANK = 1
"""ORANGE and above."""


def sweep(store: HubStore) -> None:
    """Look once. Whatever is done is done once, however many processes look and however often.

    Raises:
        StorageError: try again later.
    """
    tell_kits(store)
    send_plans(store)
    tell_of_urgent_cases(store)
    fleet_rules.sweep(store)


def tell_kits(store: HubStore) -> int:
    """Tell the kits what has changed of their patients; returns how many messages were queued."""
    now_ms = store.clock.now_ms()
    queued = 0
    with store.reading() as connection:
        found, mark = briefs.touched(connection, now_ms)
        waiting = fleet.untold(connection)
    for patient_id in sorted(found):
        # One transaction a patient: kits that deliver meanwhile do not wait for a whole county.
        with store.writing() as connection:
            queued += briefs.tell(connection, store.sender, patient_id, now_ms)
    with store.writing() as connection:
        briefs.keep_mark(connection, mark)
    for kit_id in waiting:
        with store.writing() as connection:
            briefs.tell_kit(connection, store.sender, kit_id, now_ms)
    return queued


def send_plans(store: HubStore) -> int:
    """A referral that comes back is a plan for the village, with its first visit; returns how many were made."""
    now_ms = store.clock.now_ms()
    back = (
        select(referrals.c.id)
        .outerjoin(discharge_plans, discharge_plans.c.referral_id == referrals.c.id)
        .where(referrals.c.state.in_(("returned", "village-received")), discharge_plans.c.id.is_(None))
    )
    with store.reading() as connection:
        waiting = list(connection.execute(back).scalars())
    return sum(_send_plan(store, referral_id, now_ms) for referral_id in waiting)


def tell_of_urgent_cases(store: HubStore) -> int:
    """The three hear of an urgent case of their patient; returns how many were told."""
    now_ms = store.clock.now_ms()
    urgent = (
        select(work_items.c.id, work_items.c.patient_id)
        .where(work_items.c.status == "open", work_items.c.urgency_rank <= _URGENT_RANK)
        .order_by(work_items.c.urgency_rank, work_items.c.report_due_ms)
    )
    told = 0
    with store.reading() as connection:
        cases = list(connection.execute(urgent))
        managed = connection.execute(select(chronic_entries.c.id).limit(1)).first() is not None
    for case_id, patient_id in cases if managed else ():
        with store.reading() as connection:
            persons = identities.same_person(connection, patient_id)
            entries = [e for e in chronic.of_patients(connection, persons, ended=False) if e.team]
        if entries:
            with store.writing() as connection:
                told += sum(notify(connection, e, "urgent-case", f"case:{case_id}", now_ms) for e in entries)
    return told


def watch(store: HubStore, stop: threading.Event) -> None:
    """Sweep until told to stop; a sweep that fails is tried again."""
    while not stop.is_set():
        try:
            sweep(store)
        except StorageError as error:
            _log.error("what is new could not be told: %s", error.code)
        stop.wait(PERIOD_S)


def _send_plan(store: HubStore, referral_id: UUID, now_ms: int) -> bool:
    from zhenbao.hub.store import referrals as rows

    with store.writing() as connection:
        referral = rows.find(connection, referral_id)
        known = select(discharge_plans.c.id).where(discharge_plans.c.referral_id == referral_id)
        if referral is None or referral.down is None or connection.execute(known).first() is not None:
            return False
        down, unit = referral.down, organisations.find(connection, referral.to_org)
        day = chronic.today(referral.state_ms)
        words = {name: getattr(down, name) for name in PLAN_FIELDS}
        # A schedule in words stays in words: a date is only written where somebody has named one.
        words["next_plan"] = "\n".join(text for text in (down.next_plan, down.review_schedule) if text)
        plan = DischargePlan(
            id=uuid7(now_ms),
            patient_id=referral.patient_id,
            made_ms=now_ms,
            unit=unit.name if unit is not None else referral.to_org,
            by=down.physician,
            phone=down.physician_phone,
            **words,
            dates=(PlanDate("village-visit", first_visit(day)),),
        )
        briefs.add_plan(connection, plan, referral.to_org, HUB, referral_id)
        for entry in chronic.of_patients(
            connection, identities.same_person(connection, referral.patient_id), ended=False
        ):
            notify(connection, entry, "plan", f"plan:{plan.id}", now_ms)
        audit.append(connection, now_ms, HUB, "plan-sent", f"plan:{plan.id}", referral=str(referral_id))
        briefs.tell(connection, store.sender, referral.patient_id, now_ms)
    return True
