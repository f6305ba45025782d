"""What may leave the kit, by rule, after the hub's receipt. Rules with their sources are in ``retention.toml``.

Small transactions, each of which checks all conditions again: it can be stopped at any moment, and another process
may post or refuse meanwhile. Ages are counted from the hub's receipt to the hub's last receipt (``hub_time``); where
no clock can be trusted nothing is pruned. Counts are told, never whose they were.
"""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from uuid import UUID

from zhenbao.agent.store import hub_time
from zhenbao.agent.store.database import Database
from zhenbao.agent.store.epochs import BACKUP_HOURS
from zhenbao.agent.store.space import Level
from zhenbao.agent.store.values import Pruned
from zhenbao.model.finding import Urgency
from zhenbao.model.observation import Observation
from zhenbao.sync.envelope import unpack

_DAY_MS = 86_400_000
_PAGE = 16
"""Items looked at in one transaction."""
_VACUUM_PAGES = 256


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was pruned: counts, and bytes of content."""

    waveforms: int = 0
    attachments: int = 0
    sent: int = 0
    set_aside: int = 0
    freed_bytes: int = 0
    clock_refused: bool = False
    """No clock could be trusted: nothing was looked at."""

    @property
    def any(self) -> bool:
        return bool(self.waveforms or self.attachments or self.sent or self.set_aside)


@dataclass(frozen=True, slots=True)
class Rule:
    """Days after the hub's receipt; None: always kept."""

    keep_days: float | None
    low_days: float | None
    source: str


@cache
def _table() -> dict[str, dict[str, object]]:
    return tomllib.loads(files("zhenbao.agent.store").joinpath("retention.toml").read_text("utf-8"))


@cache
def rules() -> dict[str, Rule]:
    """Every rule by kind: ``record report notice waveform attachment sent set-aside``."""
    return {
        kind: Rule(_days(row["keep_days"]), _days(row["low_days"]), str(row["source"]))
        for kind, row in _table().items()
        if "keep_days" in row
    }


def backup_days(hours: str | None) -> float:
    """How long everything is kept for a hub that may be restored: as the hub told (hours as text), else as assumed."""
    backup = _table()["backup"]
    extra = _number(backup["extra_days"])
    if hours is None:
        return _number(backup["unknown_days"]) + extra
    return _number(backup["intervals"]) * int(hours) / 24 + extra


def tidy(database: Database, now_ms: int, *, stopped: Callable[[], bool] = lambda: False) -> Tidied:
    """Prune what the rules let go, and give the room back to the disk where it is scarce.

    Args:
        now_ms: the kit's time; only to see whether it can be right.
        stopped: asked between transactions.

    Raises:
        StorageError: what was pruned before it stays so.
    """
    hub_now_ms = hub_time.trusted_now_ms(database, now_ms)
    if hub_now_ms is None:
        return Tidied(clock_refused=True)
    low = database.room().level is not Level.GREEN
    told = dict(database.read("select key, value from settings where key = ?", (BACKUP_HOURS,))).get(BACKUP_HOURS)
    least_days = backup_days(told)

    def before_ms(kind: str) -> int | None:
        days = rules()[kind].low_days if low else rules()[kind].keep_days
        return None if days is None else hub_now_ms - round(max(days, least_days) * _DAY_MS)

    done = Tidied()
    for kind, drop in (("attachment", _drop_attachment), ("recording", _drop_recording)):
        cutoff_ms = before_ms("waveform" if kind == "recording" else kind)
        if cutoff_ms is not None:
            n, freed = _prune(database, kind, cutoff_ms, drop, now_ms, stopped)
            done = replace(
                done,
                waveforms=done.waveforms + n * (kind == "recording"),
                attachments=done.attachments + n * (kind == "attachment"),
                freed_bytes=done.freed_bytes + freed,
            )
    if (cutoff_ms := before_ms("sent")) is not None:
        done = replace(done, sent=_forget_sent(database, cutoff_ms, stopped))
    if (cutoff_ms := before_ms("set-aside")) is not None and not stopped():
        done = replace(done, set_aside=_clear_set_aside(database, cutoff_ms))
    if low:
        _give_back(database, stopped)
    return done


def pruned_of(database: Database, observation_id: UUID) -> list[Pruned]:
    """What a reading had and was let go, in order."""
    rows = database.read(
        "select id, kind, observation_id, sha256, size_bytes, peer_ms, pruned_ms from pruned"
        " where observation_id = ? order by rowid",
        (str(observation_id),),
    )
    return [Pruned(UUID(id_), kind, UUID(of), *rest) for id_, kind, of, *rest in rows]


# One page of candidates: delivered before the cutoff by both clocks, with nothing of its visit waiting or refused.
_CANDIDATES = """
    select o.closed_ms, o.sequence, o.id, o.sha256, o.peer_ms, v.id, v.observation_id, length(v.body), b.encounter_id
    from outbox o
    join {table} v on v.id = o.subject_id and v.body is not null
    join observations b on b.id = v.observation_id
    where o.kind = ?1 and o.state = 'delivered' and o.closed_ms < ?2 and o.peer_ms < ?2
      and (o.closed_ms, o.sequence) > (?3, ?4)
      and not exists (select 1 from outbox e where e.subject_id in (v.id, b.id, b.encounter_id)
                      and e.state <> 'delivered')
      and b.encounter_id <> (select id from encounters order by rowid desc limit 1)
      and not exists (select 1 from captures c where c.encounter_id = b.encounter_id)
    order by o.closed_ms, o.sequence limit ?5
"""


_FORGET = """
    delete from outbox where id in (
        select id from outbox
        where kind in ('patient', 'encounter', 'observation', 'report-read', 'returned-report', 'follow-up')
          and state = 'delivered' and closed_ms < ?1 and peer_ms < ?1 limit ?2)
"""


def _prune(
    database: Database,
    kind: str,
    cutoff_ms: int,
    drop: Callable[[sqlite3.Connection, str], None],
    now_ms: int,
    stopped: Callable[[], bool],
) -> tuple[int, int]:
    """Items and bytes that were let go."""
    sql = _CANDIDATES.format(table=f"{kind}s")
    place, items, freed = (-1, -1), 0, 0

    def page(connection: sqlite3.Connection) -> tuple[tuple[int, int] | None, int, int]:
        rows = connection.execute(sql, (kind, cutoff_ms, *place, _PAGE)).fetchall()
        n = size = 0
        for _, _, outbox_id, sha256, peer_ms, id_, observation_id, size_bytes, encounter_id in rows:
            if not _answered(connection, encounter_id):
                continue
            connection.execute(
                "insert into pruned values (?, ?, ?, ?, ?, ?, ?)",
                (id_, kind, observation_id, sha256, size_bytes, peer_ms, now_ms),
            )
            drop(connection, id_)
            connection.execute("delete from outbox where id = ?", (outbox_id,))
            n, size = n + 1, size + size_bytes
        _settle(connection, n)
        return (rows[-1][:2] if rows else None), n, size

    while not stopped():
        # Urgent: on a full disk this is what makes room.
        last, n, size = database.write(page, urgent=True)
        items, freed = items + n, freed + size
        if last is None:
            break
        place = last
    return items, freed


def _answered(connection: sqlite3.Connection, encounter_id: str) -> bool:
    """Whether a case waits for nobody: a report is here, or nothing was found in it that anybody must answer."""
    if connection.execute("select 1 from reports where encounter_id = ?", (encounter_id,)).fetchone():
        return True
    for (body,) in connection.execute("select body from observations where encounter_id = ?", (encounter_id,)):
        reading = unpack("observation", body)
        assert isinstance(reading, Observation)
        if reading.urgency is not Urgency.GREEN or any(f.status != "present" for f in reading.findings):
            return False
    return True


def _drop_recording(connection: sqlite3.Connection, id_: str) -> None:
    connection.execute("delete from recordings where id = ?", (id_,))


def _drop_attachment(connection: sqlite3.Connection, id_: str) -> None:
    connection.execute("update attachments set body = null where id = ?", (id_,))


def _settle(connection: sqlite3.Connection, n: int) -> None:
    """Delivered items that leave the outbox for good still count as posted and delivered."""
    if n:
        connection.execute(
            "insert into counters values ('settled', ?1) on conflict(name) do update set value = value + ?1", (n,)
        )


def _forget_sent(database: Database, cutoff_ms: int, stopped: Callable[[], bool]) -> int:
    def page(connection: sqlite3.Connection) -> int:
        n = connection.execute(_FORGET, (cutoff_ms, 20 * _PAGE)).rowcount
        _settle(connection, n)
        return n

    total = 0
    while not stopped() and (n := database.write(page, urgent=True)):
        total += n
    return total


def _clear_set_aside(database: Database, cutoff_ms: int) -> int:
    """Their time is the kit's: only what is older than the cutoff by its own clock, which the caller has checked."""
    return database.write(
        lambda c: c.execute("update set_aside set body = x'' where at_ms < ? and body <> x''", (cutoff_ms,)).rowcount,
        urgent=True,
    )


def _give_back(database: Database, stopped: Callable[[], bool]) -> None:
    """Cut free pages off the file, a megabyte at a time."""
    left = database.room().reusable_bytes
    while left and not stopped():
        database.write(
            lambda c: c.execute(f"pragma incremental_vacuum({_VACUUM_PAGES})").fetchall(),
            urgent=True,
        )
        before, left = left, database.room().reusable_bytes
        if left >= before:
            # A file made by an older version cannot shrink; its free pages are used again all the same.
            break
    # What was cut off lies in the log until then, and the log itself takes room.
    database.read("pragma wal_checkpoint(truncate)")


def _days(value: object) -> float | None:
    return None if value == "always" else _number(value)


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
