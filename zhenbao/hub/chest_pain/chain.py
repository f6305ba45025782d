"""The instants of one case, each with the clock that took it, and how far two of them are apart. Pure.

Three kinds of clocks: the kit's, which may be wrong and may be put right at any moment; the hub's; and the watches of
people. What is known of a kit's clock: by how much it was ahead when something was sent, and the time since the tablet
was started, which no correction changes. What is not known stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from zhenbao.hub.chest_pain.table import Table, table
from zhenbao.model.chest_pain import MILESTONES, Milestone

ClockKind = Literal["kit", "hub", "person"]


@dataclass(frozen=True, slots=True)
class KitTime:
    """An instant that a kit sent, and what was known of its clock then."""

    milestone: str
    at_ms: int
    noted_ms: int
    boot: str
    since_boot_ms: int
    told: bool
    received_ms: int
    """By the hub's clock."""
    ahead_ms: int
    """By how much the kit's clock was ahead when it was sent."""


@dataclass(frozen=True, slots=True)
class Written:
    """An instant that somebody wrote down at the hub. Never changed; a later one of its milestone corrects it."""

    id: UUID
    milestone: str
    at_ms: int
    noted_ms: int
    """By the hub's clock."""
    login: str
    person: str
    """Who says so."""
    note: str


@dataclass(frozen=True, slots=True)
class Ecg:
    """A twelve-lead ECG of the visit."""

    effective_ms: int
    received_ms: int
    ahead_ms: int
    duration_ms: int | None
    """None: its waveform has not come."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the hub knows of one case. Instants are Unix ms; those of the kit by its clock, others by the hub's."""

    kit_id: str
    started_ms: int | None = None
    """The visit's begin."""
    ecg: Ecg | None = None
    """The first."""
    opened_ms: int | None = None
    signed_ms: int | None = None
    """The first report."""
    receipts_ms: tuple[int, ...] = ()
    """When the kit confirmed reports and news of the channel."""
    read_ms: int | None = None
    """When the first report was read in the village."""
    read_received_ms: int | None = None
    referred_ms: int | None = None
    """When a referral was sent."""
    kit_times: tuple[KitTime, ...] = ()
    """In the order of their coming."""
    written: tuple[Written, ...] = ()
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant as one clock showed it."""

    milestone: Milestone
    at_ms: int
    """By that clock."""
    clock: ClockKind
    whose: str
    """The kit, ``hub``, or the login of who wrote it."""
    hub_ms: int
    """The same instant by the hub's clock, as well as is known."""
    error_ms: int | None
    """How wrong ``hub_ms`` may be, either way; None: nobody knows."""
    told_ms: int = 0
    """How wrong ``at_ms`` itself may be: somebody remembered it."""
    ahead_ms: int = 0
    """Of a kit's: by how much its clock was ahead when this was sent."""
    boot: str = ""
    boot_ms: int | None = None
    """The time since the tablet's start, where it came along."""
    person: str = ""
    noted_ms: int | None = None
    """When it was written down, where people wrote it."""
    note: str = ""

    @property
    def written_later_ms(self) -> int:
        """How long after the instant it was written down."""
        return 0 if self.noted_ms is None else max(0, self.noted_ms - self.at_ms)


@dataclass(frozen=True, slots=True)
class Interval:
    """How far two instants are apart."""

    value_ms: int
    error_ms: int | None
    """Either way; None: nobody knows."""
    two_clocks: bool


Chain = Mapping[Milestone, tuple[Stamp, ...]]
"""Of each milestone that is known, the one that counts and then the others: nothing is overwritten."""


def chain(facts: Facts, rules: Table | None = None) -> Chain:
    """Every instant of a case. What people wrote last counts before what kit and hub know by themselves."""
    rules = rules or table()
    found: dict[Milestone, list[Stamp]] = {}
    anchors = _anchors(facts.kit_times, rules)
    for stamp in (*_written(facts, rules), *_of_kit(facts, anchors, rules), *_of_hub(facts, anchors, rules)):
        found.setdefault(stamp.milestone, []).append(stamp)
    return {name: tuple(found[name]) for name in MILESTONES if name in found}


def between(start: Stamp, end: Stamp, rules: Table | None = None) -> Interval:
    """How far two instants are apart, by one clock where one took both."""
    rules = rules or table()
    told_ms = start.told_ms + end.told_ms
    same = (start.clock, start.whose) == (end.clock, end.whose)
    if same and start.boot_ms is not None and end.boot_ms is not None and start.boot == end.boot:
        return Interval(end.boot_ms - start.boot_ms, told_ms, two_clocks=False)
    if same and start.clock != "kit":
        return Interval(end.at_ms - start.at_ms, told_ms, two_clocks=False)
    if same and abs(start.ahead_ms - end.ahead_ms) <= rules.changed_ms:
        return Interval(end.at_ms - start.at_ms, told_ms, two_clocks=False)
    known = start.error_ms is not None and end.error_ms is not None
    error_ms = (start.error_ms or 0) + (end.error_ms or 0) if known else None
    return Interval(end.hub_ms - start.hub_ms, error_ms, two_clocks=True)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """How the time since a tablet's start stands to the hub's clock."""

    offset_ms: int
    error_ms: int


def _anchors(times: Sequence[KitTime], rules: Table) -> dict[str, _Anchor]:
    """For each start of the tablet the best of what was sent at once."""
    best: dict[str, _Anchor] = {}
    for time in times:
        waited_ms = time.received_ms + time.ahead_ms - time.noted_ms
        if not -rules.transit_ms <= waited_ms <= rules.live_ms:
            continue
        # Nothing comes before it was sent: the smallest offset is the nearest to the truth.
        anchor = _Anchor(time.received_ms - time.since_boot_ms, rules.transit_ms + max(0, waited_ms))
        if time.boot not in best or anchor.offset_ms < best[time.boot].offset_ms:
            best[time.boot] = anchor
    return best


def _kit_stamp(
    milestone: Milestone, at_ms: int, received_ms: int, ahead_ms: int, kit_id: str, rules: Table, *, told: bool = False
) -> Stamp:
    """By the kit's wall clock alone: it can be vouched for only where it was sent at once."""
    waited_ms = received_ms + ahead_ms - at_ms
    sent_at_once = -rules.transit_ms <= waited_ms <= rules.live_ms
    told_ms = rules.told_ms if told else 0
    error_ms = rules.transit_ms + told_ms if sent_at_once else None
    return Stamp(milestone, at_ms, "kit", kit_id, at_ms - ahead_ms, error_ms, told_ms, ahead_ms)


def _from_kit_time(
    time: KitTime, milestone: Milestone, facts: Facts, anchors: dict[str, _Anchor], rules: Table
) -> Stamp:
    # The clock that was sent along is that of the noting: how long that was after the instant does not matter here.
    noted = _kit_stamp(milestone, time.noted_ms, time.received_ms, time.ahead_ms, facts.kit_id, rules, told=time.told)
    before_ms = time.noted_ms - time.at_ms
    boot_ms = time.since_boot_ms - before_ms
    stamp = replace(
        noted,
        at_ms=time.at_ms,
        hub_ms=noted.hub_ms - before_ms,
        boot=time.boot,
        boot_ms=boot_ms,
        noted_ms=time.noted_ms if time.told else None,
    )
    if (anchor := anchors.get(time.boot)) is None:
        return stamp
    return replace(stamp, hub_ms=boot_ms + anchor.offset_ms, error_ms=anchor.error_ms + stamp.told_ms)


def _written(facts: Facts, rules: Table) -> list[Stamp]:
    """The last that was written of a milestone counts."""
    known: dict[str, Milestone] = {name: name for name in MILESTONES}
    return [
        Stamp(
            known[each.milestone],
            each.at_ms,
            "person",
            each.login,
            each.at_ms,
            rules.told_ms,
            rules.told_ms,
            person=each.person,
            noted_ms=each.noted_ms,
            note=each.note,
        )
        for each in reversed(facts.written)
        if each.milestone in known
    ]


def _of_kit(facts: Facts, anchors: dict[str, _Anchor], rules: Table) -> list[Stamp]:
    known: dict[str, Milestone] = {name: name for name in MILESTONES}
    # That something lay on the kit is shown by its receipt, by the hub's clock.
    usable = [time for time in facts.kit_times if time.milestone in known and time.milestone != "delivered"]
    # What somebody says last corrects what they said before; of what the kit saw by itself, the first counts.
    told = sorted((time for time in usable if time.told), key=lambda time: time.noted_ms, reverse=True)
    seen_by_kit = sorted((time for time in usable if not time.told), key=lambda time: time.noted_ms)
    stamps = [_from_kit_time(time, known[time.milestone], facts, anchors, rules) for time in (*told, *seen_by_kit)]
    if (ecg := facts.ecg) is not None:
        seen = {stamp.milestone for stamp in stamps}
        if facts.started_ms is not None and "first-contact" not in seen:
            stamps.append(
                _kit_stamp("first-contact", facts.started_ms, ecg.received_ms, ecg.ahead_ms, facts.kit_id, rules)
            )
        if "ecg-start" not in seen:
            stamps.append(_kit_stamp("ecg-start", ecg.effective_ms, ecg.received_ms, ecg.ahead_ms, facts.kit_id, rules))
        if "ecg-end" not in seen and ecg.duration_ms is not None:
            ended_ms = ecg.effective_ms + ecg.duration_ms
            stamps.append(_kit_stamp("ecg-end", ended_ms, ecg.received_ms, ecg.ahead_ms, facts.kit_id, rules))
    return stamps


def _of_hub(facts: Facts, anchors: dict[str, _Anchor], rules: Table) -> list[Stamp]:
    stamps = []

    def at(milestone: Milestone, hub_ms: int | None) -> None:
        if hub_ms is not None:
            stamps.append(Stamp(milestone, hub_ms, "hub", "hub", hub_ms, 0))

    if (ecg := facts.ecg) is not None:
        # The kit's clock as it stood when the ECG left: the hub heard it moments later.
        sent = _kit_stamp(
            "uploaded", ecg.received_ms + ecg.ahead_ms, ecg.received_ms, ecg.ahead_ms, facts.kit_id, rules
        )
        stamps.append(sent)
        at("hub-received", ecg.received_ms)
    at("opened", facts.opened_ms)
    at("diagnosed", facts.signed_ms)
    at("delivered", min(facts.receipts_ms, default=None))
    if facts.read_ms is not None and facts.read_received_ms is not None:
        stamps.append(_kit_stamp("village-read", facts.read_ms, facts.read_received_ms, 0, facts.kit_id, rules))
    at("transfer-decided", facts.referred_ms)
    return stamps
