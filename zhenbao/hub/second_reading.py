"""A second pair of eyes: which reports are read twice, and what the second reader says.

The first reader is never the second. A disagreement is kept and is done with only when a report follows it.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from zhenbao.hub.access import leads, viewer
from zhenbao.hub.store import audit, second_readings, thread, work
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.report_forms import Form
from zhenbao.hub.store.second_readings import SecondReading
from zhenbao.hub.store.tables import meta, observations, work_items
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.report import Report

Verdict = Literal["agreed", "disagreed"]
SHORTEST_NOTE = 4
LONGEST_NOTE = 400
_HOUR_MS = 3_600_000
_LOOK_EVERY_MS = _HOUR_MS
_LOOK_BACK_MS = 24 * _HOUR_MS
_MARK = "archive-sampled"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a sort are read twice, and how soon."""

    share: float
    within_h: float


def share_of(urgency: Urgency) -> Share:
    """Of reports of an urgency."""
    row = next(row for row in _policy()["report"] if row["urgency"] == urgency.value)
    return Share(row["share"], row["within_h"])


def drawn(id_: UUID, share: float) -> bool:
    """Whether the lot falls on this id: always the same answer, evenly over all ids, chosen by nobody."""
    lot = int.from_bytes(hashlib.sha256(b"zhenbao second reading\0" + id_.bytes).digest()[:8], "big")
    return lot < share * 2**64


def after_signing(
    connection: Connection, item: WorkItem, report: Report, author: Practitioner, form: Form, now_ms: int
) -> None:
    """End the disagreements that this report follows, or ask for a second reading of it. In the signing transaction."""
    ended = [
        reading
        for reading in second_readings.of_case(connection, item.id)
        if reading.state == "disagreed"
        and (reading.report_id is None or (form.stage == "amended" and reading.report_id == form.amends_id))
    ]
    for reading in ended:
        second_readings.followed(connection, reading.id, report.id)
        audit.append(connection, now_ms, author.login, "second-amended", f"reading:{reading.id}", report=str(report.id))
    # Two have looked already; and what is preliminary, or about a part of the case, is not the answer yet.
    if ended or form.stage == "preliminary" or not leads(author, item) or not author.specialty:
        return
    urgency = min(item.urgency, Urgency(report.urgency), key=lambda u: u.rank)
    share = share_of(urgency)
    if drawn(report.id, share.share):
        _ask(
            connection,
            SecondReading(
                id=report.id,
                work_item_id=item.id,
                report_id=report.id,
                sample="report",
                specialty=author.specialty,
                org_id=item.org_id,
                first_login=author.login,
                asked_ms=now_ms,
                due_ms=now_ms + round(share.within_h * _HOUR_MS),
            ),
        )


def sample_archive(store: HubStore) -> int:
    """Draw the quality sample of what the hub archived without a report; returns how many were newly asked for.

    Looks once an hour, at the last day as well: a case may come into the archive after a look that was later than it.

    Raises:
        StorageError: nothing was asked for; look again later.
    """
    now_ms = store.clock.now_ms()
    with store.reading() as connection:
        seen = connection.execute(select(meta.c.value).where(meta.c.key == _MARK)).scalar()
    last_ms = int(seen) if seen else 0
    if seen and now_ms - last_ms < _LOOK_EVERY_MS:
        return 0
    archive = _policy()["archive"]
    since = select(work_items).where(
        work_items.c.status == "archived", work_items.c.ranked_ms > last_ms - _LOOK_BACK_MS
    )
    asked = 0
    with store.writing() as connection:
        for item in map(work.as_item, connection.execute(since).all()):
            if drawn(item.id, archive["share"]):
                specialty = _reader(connection, item.encounter_id, archive["reader"])
                asked += _ask(
                    connection,
                    SecondReading(
                        id=item.id,
                        work_item_id=item.id,
                        report_id=None,
                        sample="archive",
                        specialty=specialty,
                        org_id=item.org_id,
                        first_login=None,
                        asked_ms=now_ms,
                        due_ms=now_ms + round(archive["within_h"] * _HOUR_MS),
                    ),
                )
        if seen:
            connection.execute(update(meta).where(meta.c.key == _MARK).values(value=str(now_ms)))
        else:
            connection.execute(insert(meta).values(key=_MARK, value=str(now_ms)))
    return asked


def waiting(store: HubStore, person: Practitioner) -> list[SecondReading]:
    """What a person may read a second time.

    Raises:
        InputError: ``denied-role``.
    """
    with store.reading() as connection:
        seer = viewer(connection, person, store.clock.now_ms())
        if not seer.allowed("second-read") or person.specialty is None:
            raise InputError("denied-role")
        return second_readings.waiting(connection, person.specialty, seer.orgs, person.login)


def answer(store: HubStore, reading_id: UUID, person: Practitioner, verdict: Verdict, note: str) -> SecondReading:
    """Agree or disagree. Who disagrees with what was archived answers for the case from then on.

    Raises:
        InputError: ``second-unknown``; ``denied-role``, ``denied-outside`` or ``denied-unassigned``;
            ``second-self`` for the first reader; ``second-note``: a disagreement says why; ``second-answered``.
    """
    now_ms = store.clock.now_ms()
    told = " ".join(note.split())
    with store.writing() as connection:
        reading = second_readings.find(connection, reading_id)
        item = work.find(connection, reading.work_item_id) if reading is not None else None
        if reading is None or item is None:
            raise InputError("second-unknown")
        seer = viewer(connection, person, now_ms)
        if (denied := seer.denial("second-read", item)) is not None:
            raise InputError(denied)
        if person.login == reading.first_login:
            raise InputError("second-self")
        if person.specialty != reading.specialty:
            raise InputError("denied-unassigned")
        if len(told) > LONGEST_NOTE or (verdict == "disagreed" and len(told) < SHORTEST_NOTE):
            raise InputError("second-note", shortest=SHORTEST_NOTE, longest=LONGEST_NOTE)
        if not second_readings.answer(connection, reading_id, verdict, person.login, told, now_ms):
            raise InputError("second-answered")
        if verdict == "disagreed" and reading.report_id is None:
            work.assign(connection, item, person.login, person.phone)
        if verdict == "disagreed":
            thread.add(connection, item.id, "second", person.login, now_ms, text=told)
        # What was said stays out of the audit: it speaks of the patient. It lies with the reading.
        audit.append(connection, now_ms, person.login, f"second-{verdict}", f"reading:{reading_id}", case=str(item.id))
        found = second_readings.find(connection, reading_id)
    assert found is not None
    return found


def _ask(connection: Connection, reading: SecondReading) -> bool:
    if not second_readings.ask(connection, reading):
        return False
    audit.append(
        connection,
        reading.asked_ms,
        "hub",
        "second-asked",
        f"reading:{reading.id}",
        case=str(reading.work_item_id),
        specialty=reading.specialty,
    )
    return True


def _reader(connection: Connection, encounter_id: UUID, readers: dict[str, str]) -> str:
    codes = set(
        connection.execute(select(observations.c.code).where(observations.c.encounter_id == encounter_id)).scalars()
    )
    return next((specialty for code, specialty in readers.items() if code in codes), "general-practice")


@cache
def _policy() -> dict[str, Any]:
    raw = tomllib.loads(files("zhenbao.hub").joinpath("second_reading.toml").read_text(encoding="utf-8"))
    if {row["urgency"] for row in raw["report"]} != {urgency.value for urgency in Urgency}:
        raise ValueError("second_reading.toml: every urgency stands there once")
    for row in (*raw["report"], raw["archive"]):
        if not (0 <= row["share"] <= 1 and row["within_h"] > 0 and row["reason"]):
            raise ValueError(f"second_reading.toml: {row}")
    return raw
