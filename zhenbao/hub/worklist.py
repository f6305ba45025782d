"""The worklist and the cases in it: who may see what, opening a case, handing it over."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, insert, select

from zhenbao.hub import holding, rows
from zhenbao.hub.access import Viewer, check, leads, viewer
from zhenbao.hub.case import Case, answered_by, case_of, last_read
from zhenbao.hub.permission import CLINICAL
from zhenbao.hub.rows import Overview, Row
from zhenbao.hub.store import audit, claims, listing, outbox, people, work
from zhenbao.hub.store.hub_store import HubStore
from zhenbao.hub.store.listing import Filters, Shown
from zhenbao.hub.store.people import Practitioner
from zhenbao.hub.store.tables import views
from zhenbao.hub.store.work import WorkItem
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Urgency
from zhenbao.model.report import Viewed

_MOST_ROWS = 200


class Worklist:
    """The open cases and the archive of one hub."""

    def __init__(self, store: HubStore) -> None:
        self._store = store

    def rows(
        self,
        person: Practitioner | None = None,
        *,
        shown: Shown = "open",
        specialty: str | None = None,
        limit: int = _MOST_ROWS,
    ) -> list[Row]:
        """What a person may see, the most pressing first; ``person`` None is who runs this machine."""
        now_ms, filters = self._store.clock.now_ms(), Filters(shown=shown, specialty=specialty or "")
        with self._store.reading() as connection:
            seer = viewer(connection, person, now_ms) if person is not None else None
            reader = rows.reader_of(connection, seer, filters, now_ms)
            if reader is None:
                return []
            return rows.rows_of(connection, listing.page(connection, filters, reader, limit=limit), now_ms)

    def open_case(self, case_id: UUID, person: Practitioner) -> Case:
        """Open a case: the village is told that a specialist sees these readings; the first answer's clock stops.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``); a denial leaves a line in the audit.
        """
        now_ms = self._store.clock.now_ms()
        with self._store.writing() as connection:
            item = _found(connection, case_id)
            seer = viewer(connection, person, now_ms)
            denied = seer.denial("open", item)
            if denied is None and seer.may("report", item):
                self._view(connection, item, person, now_ms)
            elif denied is None:
                # Who may not answer has not "seen" it for the village; that they looked is kept all the same.
                by = seer.grant(item)
                why = {"grant": str(by.id)} if by is not None else {}
                audit.append(connection, now_ms, person.login, "case-looked", f"case:{case_id}", **why)
            else:
                audit.append(connection, now_ms, person.login, "case-denied", f"case:{case_id}", reason=denied)
        if denied is not None:
            raise InputError(denied)
        with self._store.reading() as connection:
            return case_of(connection, work.find(connection, case_id) or item, seer, now_ms)

    def viewer(self, person: Practitioner) -> Viewer:
        """What a person may see and do now."""
        with self._store.reading() as connection:
            return viewer(connection, person, self._store.clock.now_ms())

    def row(self, case_id: UUID, person: Practitioner) -> Row:
        """One line of the list, for who may see it there.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``).
        """
        with self._store.reading() as connection:
            item = _found(connection, case_id)
            check(connection, person, "list", item, self._store.clock.now_ms())
            return rows.rows_of(connection, [item], self._store.clock.now_ms())[0]

    def patient_of(self, case_id: UUID) -> UUID:
        """Whose case it is.

        Raises:
            InputError: ``case-unknown``.
        """
        with self._store.reading() as connection:
            return _found(connection, case_id).patient_id

    def look(self, case_id: UUID, person: Practitioner) -> tuple[Case, int]:
        """The case again, without telling anybody; and how many readings came since the person opened it.

        Raises:
            InputError: ``case-unknown``, or why not (see ``access.check``).
        """
        with self._store.reading() as connection:
            item = _found(connection, case_id)
            now_ms = self._store.clock.now_ms()
            seer = viewer(connection, person, now_ms)
            if (denied := seer.denial("open", item)) is not None:
                raise InputError(denied)
            case = case_of(connection, item, seer, now_ms)
            seen = _seen_by(connection, item.id, person.login)
            return case, sum(1 for reading, _ in case.readings if reading.id not in seen)

    def read_ms(self, case_id: UUID) -> int | None:
        """When the village doctor opened the case's newest report, by the kit's time; None while not.

        Raises:
            InputError: ``case-unknown``.
        """
        with self._store.reading() as connection:
            return last_read(connection, _found(connection, case_id).encounter_id)

    def overview(
        self, person: Practitioner | None = None, filters: Filters | None = None, *, page: int = 1
    ) -> Overview:
        """One page of the list, filtered, with what stands above it."""
        now_ms, filters = self._store.clock.now_ms(), filters or Filters()
        quarantined = self._store.counters.quarantined
        with self._store.reading() as connection:
            seer = viewer(connection, person, now_ms) if person is not None else None
            reader = rows.reader_of(connection, seer, filters, now_ms)
            if reader is None:
                return Overview((), dict.fromkeys(Urgency, 0), None, 0)
            return rows.overview(connection, filters, reader, page=page, quarantined=quarantined)

    def assign(self, case_id: UUID, login: str, by: Practitioner) -> None:
        """Give a case to a specialist; the desk may give any, a specialist may take one of theirs.

        Raises:
            InputError: ``case-unknown``, why not (see ``access.check``), ``login-unknown``, or ``case-not-open``.
        """
        now_ms = self._store.clock.now_ms()
        with self._store.writing() as connection:
            item = _found(connection, case_id)
            check(connection, by, "assign", item, now_ms)
            if by.role != "operator" and login != by.login:
                raise InputError("denied-role")
            if item.status != "open":
                raise InputError("case-not-open")
            to = next((p for p in people.everyone(connection) if p.login == login and p.role in CLINICAL), None)
            if to is None:
                raise InputError("login-unknown", login=login[:40])
            work.assign(connection, item, to.login, to.phone or self._store.roster.phone_of(to.login))
            held = claims.of_case(connection, case_id, now_ms)
            if held is not None and held.login != to.login:
                holding.end(connection, case_id, held.login, "reassigned", by.login, now_ms)
            audit.append(
                connection,
                now_ms,
                by.login,
                "case-assigned",
                f"case:{case_id}",
                owner=to.login,
                before=item.owner or "-",
            )

    def _view(self, connection: Connection, item: WorkItem, person: Practitioner, now_ms: int) -> None:
        known = _seen_by(connection, item.id, person.login)
        new = [id_ for id_ in answered_by(connection, item, person) if id_ not in known]
        if not new:
            return
        connection.execute(
            insert(views),
            [
                {"work_item_id": item.id, "login": person.login, "observation_id": id_, "viewed_ms": now_ms}
                for id_ in new
            ],
        )
        if leads(person, item):
            work.acknowledge(connection, item, person.login, now_ms)
        audit.append(connection, now_ms, person.login, "case-viewed", f"case:{item.id}", readings=str(len(new)))
        viewed = Viewed(tuple(new), person.name, now_ms)
        outbox.post(connection, self._store.sender, viewed, item.encounter_id, item.kit_id, now_ms)


def _seen_by(connection: Connection, item_id: UUID, login: str) -> set[UUID]:
    seen = select(views.c.observation_id).where(views.c.work_item_id == item_id, views.c.login == login)
    return set(connection.execute(seen).scalars())


def _found(connection: Connection, case_id: UUID) -> WorkItem:
    item = work.find(connection, case_id)
    if item is None:
        raise InputError("case-unknown")
    return item
