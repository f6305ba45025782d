"""The tasks that clocks made, and the closed loop on a case's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from zhenbao.hub import fleet, loop, slot
from zhenbao.hub.clocks import LOOP_STEPS
from zhenbao.hub.store import loop as rows
from zhenbao.hub.store.loop import Escalation
from zhenbao.hub.store.work import WorkItem
from zhenbao.hub.watch import Task, tasks
from zhenbao.hub.web.security import check_csrf, session_of
from zhenbao.hub.web.site import Site
from zhenbao.model.errors import InputError

router = APIRouter()
CHANNELS = ("phone", "page", "kit", "in-person")


@router.get("/tasks")
def tasks_page(request: Request) -> Response:
    """Whom to call, now."""
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    seer = site.worklist.viewer(session.practitioner)
    found = [task for task in tasks(site.store) if seer.may("list", task.item)]
    part = "HX-Request" in request.headers
    return site.page(
        request,
        "task_rows.html" if part else "tasks.html",
        session=session,
        here="tasks",
        cases=_by_case(found),
        kits=[each for each in fleet.look(site.store, seer) if each.tasks] if seer.allowed("fleet") else [],
        slots=slot.reminders(site.store, session.practitioner),
        may_open=lambda item: seer.may("open", item),
        may_note=lambda item: seer.may("loop", item),
    )


@router.get("/cases/{case_id}/loop")
def loop_page(request: Request, case_id: UUID) -> Response:
    """The loop of one case, for whose list holds it: it shows no more of the case than the list does."""
    return _page(request, case_id)


@router.post("/cases/{case_id}/loop")
def loop_note(
    request: Request,
    case_id: UUID,
    csrf: Annotated[str, Form()] = "",
    step: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
    channel: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
    minutes_ago: Annotated[int, Form()] = 0,
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    check_csrf(session.csrf, csrf)
    try:
        loop.note(
            site.store,
            case_id,
            session.practitioner,
            step=step,
            person=person,
            channel=channel,
            text=text,
            minutes_ago=minutes_ago,
        )
    except InputError as error:
        if error.code == "case-unknown" or error.code.startswith("denied-"):
            raise
        # Nothing that was typed is lost by a mistake.
        return _page(request, case_id, error, {"step": step, "person": person, "channel": channel, "text": text})
    return RedirectResponse(f"/cases/{case_id}/loop", 303)


def _by_case(found: Sequence[Task]) -> list[tuple[WorkItem, list[tuple[str, list[Escalation]]]]]:
    """One entry a case, in it one a clock: five calls for one patient are one piece of news."""
    cases: dict[UUID, tuple[WorkItem, dict[str, list[Escalation]]]] = {}
    for task in found:
        _, clocks = cases.setdefault(task.item.id, (task.item, {}))
        clocks.setdefault(task.clock, []).append(task.escalation)
    return [(item, list(clocks.items())) for item, clocks in cases.values()]


def _page(
    request: Request, case_id: UUID, error: InputError | None = None, typed: dict[str, str] | None = None
) -> Response:
    site: Site = request.app.state.site
    session = session_of(request, site.store)
    row = site.worklist.row(case_id, session.practitioner)
    with site.store.reading() as connection:
        entries = rows.entries(connection, case_id)
        calls = rows.escalated(connection, [row.item]).get(case_id, [])
    seer = site.worklist.viewer(session.practitioner)
    done = rows.done(entries, row.item.ranked_ms)
    step = next((name for name in LOOP_STEPS[1:] if name not in done), "notified")
    return site.page(
        request,
        "loop.html",
        session=session,
        status=200 if error is None else 409,
        row=row,
        entries=entries,
        calls=calls,
        steps=LOOP_STEPS[1:],
        done=done,
        channels=CHANNELS,
        typed=typed or {"step": step, "person": "", "channel": "phone", "text": ""},
        error=site.words(request).error(error) if error is not None else None,
        may_open=seer.may("open", row.item),
        may_note=seer.may("loop", row.item),
    )
