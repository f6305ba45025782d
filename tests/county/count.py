"""The second count: from the log of what was done alone, which clock ran out when, who was told, and every figure.

Nothing of the program is imported here, and nothing that the hub said is read.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from county.care import Care
from county.figures import figures
from county.rules import CLOCKS, LOOP, NOWHERE, Duty, Routed, chains, late_after_min, more_urgent, route
from county.story import MINUTE_MS, Event, Story

BEIJING = timezone(timedelta(hours=8))
WATCHED_MS = 14 * 86_400_000
DESK_PHONE = "0994-0000000"


@dataclass(slots=True)
class Reading:
    """One reading as it came."""

    key: str
    code: str
    found: tuple[tuple[str, str], ...]
    came_ms: int
    taken_ms: int
    """By the kit's clock."""
    ahead_ms: int
    """Of the kit's clock when it sent it."""
    true_ms: int
    acceptable: bool | None

    @property
    def urgency(self) -> str:
        return more_urgent("GREEN", *(u for rule, u in self.found if not rule.endswith("?")))

    @property
    def age_ms(self) -> int:
        """As the hub may believe: a clock that was ahead made it look younger, one that was behind is not excused."""
        return self.came_ms - self.taken_ms + max(0, self.ahead_ms)


@dataclass(slots=True)
class Report:
    """One signed report."""

    name: str
    signed_ms: int
    urgency: str
    stage: str
    delivered_ms: int | None = None
    read_ms: int | None = None


@dataclass(slots=True)
class Case:
    """One visit."""

    visit: str
    patient: str = ""
    kit: str = ""
    org: str = ""
    pain: str = "unknown"
    started_ms: int | None = None
    """By the kit's clock; None: the visit itself has not come."""
    readings: list[Reading] = field(default_factory=list)
    covered: set[str] = field(default_factory=set)
    viewed: dict[str, set[str]] = field(default_factory=dict)
    status: str = ""
    """Empty: no case yet."""
    routed: Routed = NOWHERE
    owner: str = ""
    opened_ms: int = 0
    ranked_ms: int = 0
    late: bool = False
    ack_ms: int | None = None
    reported_ms: int | None = None
    reports: list[Report] = field(default_factory=list)
    steps: list[tuple[str, int, int]] = field(default_factory=list)
    """Step, when it happened, when it was noted."""
    told: dict[tuple[int, str], int] = field(default_factory=dict)
    """By ranking and step: when its call was made."""

    @property
    def urgency(self) -> str:
        """The case's, or its newest report's where that is more urgent."""
        if self.status == "reported" and self.reports:
            return more_urgent(self.routed.urgency, self.reports[-1].urgency)
        return self.routed.urgency

    @property
    def ack_due_ms(self) -> int | None:
        return self._due_ms(0)

    @property
    def report_due_ms(self) -> int | None:
        return self._due_ms(1)

    def _due_ms(self, which: int) -> int | None:
        minutes = CLOCKS.get(self.routed.urgency)
        return None if minutes is None else self.ranked_ms + minutes[which] * MINUTE_MS

    def done(self) -> dict[str, int]:
        """Steps of the loop of what is critical now, each with when it last happened."""
        return {step: at_ms for step, at_ms, noted_ms in self.steps if noted_ms >= self.ranked_ms}

    def clocks(self) -> dict[str, int]:
        """The clocks that run, and since when."""
        if self.status not in ("open", "reported"):
            return {}
        done, run = self.done(), {}
        if self.late and "notified" not in done:
            run["late"] = self.ranked_ms
        if self.ack_ms is None:
            run["ack"] = self.ranked_ms
        if self.status == "open":
            run["report"] = self.ranked_ms
        else:
            last = self.reports[-1]
            # Who repeated it on the telephone knows it, but not what corrected it afterwards.
            knows = "read-back" in done and not (last.stage == "amended" and done["read-back"] < last.signed_ms)
            if not knows and last.delivered_ms is None:
                run["deliver"] = last.signed_ms
            if not knows and last.read_ms is None:
                run["read"] = last.signed_ms
        if self.urgency == "RED" and any(step not in done for step in LOOP):
            # What only its report calls critical is critical since then.
            run["loop"] = self.ranked_ms if self.routed.urgency == "RED" else self.reports[-1].signed_ms
        return run

    def reached(self) -> list[tuple[int, str, str, str]]:
        """Steps of the running clocks in this ranking: due, key, clock, whom."""
        run, found = self.clocks(), []
        for clock, minutes, to in chains()[self.urgency]:
            if clock in run:
                found.append((run[clock] + minutes * MINUTE_MS, f"{clock}-{minutes}-{to}", clock, to))
        return sorted(found)

    def watched(self, now_ms: int) -> bool:
        """Until it is reported; then for two weeks from its ranking or its newest report."""
        newest = self.reports[-1].signed_ms if self.reports else 0
        return self.status == "open" or max(self.ranked_ms, newest) > now_ms - WATCHED_MS


class Count:
    """Takes the log in order and keeps, for each look in it, what the hub must have said."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.cases: dict[str, Case] = {}
        self.places = {kit.key: kit.org for kit in story.kits}
        self.persons: dict[str, tuple[str, int]] = {}
        self.duty = Duty(DESK_PHONE)
        self.care = Care(self)
        self.expected: dict[int, Any] = {}
        self.counts = dict.fromkeys(("envelopes", "refused", "duplicates"), 0)
        self.came: dict[str, list[int]] = {}
        self._soon: list[tuple[int, str]] = []
        self._reports: dict[str, tuple[Case, Report]] = {}

    def run(self, log: list[Event]) -> None:
        """Count a whole log."""
        for n, event in enumerate(log):
            done = getattr(self, "_" + event.kind.replace("-", "_"))(event.at_ms, **event.facts)
            if done is not None:
                self.expected[n] = done

    def end(self) -> dict[str, Any]:
        """What the hub must have at the end."""
        cases = [case for case in self.cases.values() if case.status]
        readings = sum(len(case.readings) for case in self.cases.values())
        counts = self.counts | {
            "patients": len(self.persons),
            "encounters": sum(case.started_ms is not None for case in self.cases.values()),
            "readings": readings,
            "cases": len(cases),
            "signed": len(self._reports),
            "read": sum(report.read_ms is not None for _, report in self._reports.values()),
            "referrals": len(self.care.referrals),
            "follow-ups": self.care.follow_ups,
            "registers": len(self.care.registers),
        }
        return {"indicators": figures(self), "counts": counts, "broken": None, "altered": []}

    # Deeds

    def _batch(self, at_ms: int, kit: str, ahead_ms: int, parts: list[dict[str, Any]]) -> None:
        touched: dict[str, bool] = {}
        for part in parts:
            self.counts["envelopes"] += part["what"] not in ("repeat", "forged")
            match part["what"]:
                case "reading":
                    case_ = self._case(part["visit"])
                    case_.kit, case_.patient = kit, part["patient"]
                    found = tuple((rule, urgency) for rule, urgency in part["found"])
                    taken_ms = part["at_ms"] + part["taken_ahead_ms"]
                    case_.readings.append(
                        Reading(part["reading"], part["code"], found, at_ms, taken_ms, ahead_ms, part["at_ms"],
                                part.get("acceptable"))
                    )  # fmt: skip
                    touched.setdefault(part["visit"], False)
                case "encounter":
                    case_ = self._case(part["visit"])
                    first = case_.started_ms is None
                    case_.pain, case_.started_ms = part["pain"], part["started_ms"]
                    touched[part["visit"]] = touched.get(part["visit"], False) or first
                case "patient":
                    self.persons[part["patient"]] = (part["person"], part["born"])
                    for case_ in self.cases.values() if part["patient"] in self.care.visits else ():
                        if case_.patient == part["patient"] and case_.status:
                            touched.setdefault(case_.visit, False)
                case "read":
                    case_, report = self._reports[part["report"]]
                    report.read_ms = at_ms
                    self._changed(case_)
                case "repeat":
                    self.counts["duplicates"] += part["count"]
                case "forged":
                    self.counts["refused"] += 1
                case _:
                    self.care.from_kit(at_ms, kit, ahead_ms, part)
        if any(part["what"] not in ("repeat", "forged") for part in parts):
            self.came.setdefault(kit, []).append(at_ms)
        for visit, completed in touched.items():
            self._rank(self.cases[visit], at_ms, completed)

    def _case(self, visit: str) -> Case:
        return self.cases.setdefault(visit, Case(visit))

    def _rank(self, case: Case, now_ms: int, completed: bool = False) -> None:
        fresh = [r for r in case.readings if r.key not in case.covered]
        if not fresh:
            return
        deciding = min(fresh, key=lambda r: (("RED", "ORANGE", "YELLOW", "BLUE", "GREEN").index(r.urgency), r.age_ms))
        last = max(fresh, key=lambda r: r.taken_ms)
        born = self.persons.get(case.patient, ("", None))[1]
        age = None if born is None else _years(born, last.taken_ms)
        findings = tuple(f for r in sorted(fresh, key=lambda r: r.taken_ms) for f in r.found)
        routed = route(findings, case.pain if case.started_ms is not None else "unknown", age)
        late = routed.urgency == "RED" and deciding.age_ms > late_after_min() * MINUTE_MS
        worse = ("RED", "ORANGE", "YELLOW", "BLUE", "GREEN").index
        if not case.status:
            case.org, case.opened_ms = self.places[case.kit], now_ms
            self._place(case, routed, late, now_ms)
        elif completed and case.status == "open" and case.ack_ms is None:
            self._place(case, routed, late, case.ranked_ms, now_ms)
        elif case.status == "open" and worse(routed.urgency) >= worse(case.routed.urgency):
            if routed.urgency == case.routed.urgency and not late:
                case.late = False
        elif case.status == "open" or routed.urgency != "GREEN":
            self._place(case, routed, late, now_ms)
        self._changed(case)

    def _place(self, case: Case, routed: Routed, late: bool, ranked_ms: int, now_ms: int | None = None) -> None:
        case.routed, case.late, case.ranked_ms = routed, late, ranked_ms
        case.status = "open" if routed.first else "archived"
        case.ack_ms = case.reported_ms = None
        at_ms = ranked_ms if now_ms is None else now_ms
        case.owner = self.duty.first(routed.first, routed.urgency, at_ms) if routed.first else ""

    def _open(self, at_ms: int, visit: str, login: str) -> None:
        case = self.cases[visit]
        seen = case.viewed.setdefault(login, set())
        new = {r.key for r in case.readings} - seen
        seen |= new
        if new and case.ack_ms is None:
            case.ack_ms = at_ms
        self._changed(case)

    def _sign(self, at_ms: int, visit: str, report: str, login: str, said: str, stage: str) -> None:
        case = self.cases[visit]
        made = Report(report, at_ms, said or case.routed.urgency, stage)
        case.reports.append(made)
        self._reports[report] = case, made
        case.covered |= case.viewed.get(login, set())
        if stage != "preliminary":
            case.status = "reported"
            # The first answer is what the village waited for; a correction does not make it late.
            case.reported_ms = at_ms if case.reported_ms is None else case.reported_ms
            case.ack_ms = at_ms if case.ack_ms is None else case.ack_ms
            self._rank(case, at_ms)
        self._changed(case)

    def _fetch(self, at_ms: int, kit: str, reports: list[str], refused: bool) -> None:
        for name in reports:
            case, report = self._reports[name]
            report.delivered_ms = None if refused else at_ms
            self._changed(case)

    def _loop(self, at_ms: int, visit: str, step: str, ago_min: int) -> bool:
        case = self.cases[visit]
        if any(before not in case.done() for before in LOOP[: LOOP.index(step)]):
            return False
        case.steps.append((step, at_ms - ago_min * MINUTE_MS, at_ms))
        self._changed(case)
        return True

    def _roster(self, at_ms: int, duty: list[Any], contact: list[Any]) -> None:
        self.duty.duty, self.duty.contact = duty, contact

    def _move(self, at_ms: int, kit: str, org: str) -> None:
        self.places[kit] = org

    def _refer(self, at_ms: int, **facts: Any) -> None:
        self.care.refer(at_ms, **facts)

    def _referral_step(self, at_ms: int, referral: str, state: str) -> None:
        self.care.step(at_ms, referral, state)

    def _enter(self, at_ms: int, patient: str, disease: str, org: str) -> None:
        self.care.enter(at_ms, patient, disease, org)

    # Looks

    def _look(self, at_ms: int) -> dict[str, Any]:
        calls, ready = [], set()
        while self._soon and self._soon[0][0] <= at_ms:
            ready.add(heapq.heappop(self._soon)[1])
        for visit in ready:
            case = self.cases[visit]
            for due_ms, key, clock, to in case.reached() if case.watched(at_ms) else ():
                if due_ms <= at_ms and (case.ranked_ms, key) not in case.told:
                    case.told[case.ranked_ms, key] = at_ms
                    login, phone = self.duty.call(to, case.routed.first, case.org, at_ms)
                    calls.append((visit, clock, to, login, phone))
            self._changed(case)
        return {"calls": sorted(calls, key=repr), "again": 0}

    def _care(self, at_ms: int) -> Any:
        return self.care.fleet(at_ms)

    def _check(self, at_ms: int) -> dict[str, Any]:
        queue = [
            (
                case.visit,
                case.routed.urgency,
                case.ack_due_ms if case.ack_ms is None else case.report_due_ms,
                case.owner,
            )
            for case in self.cases.values()
            if case.status == "open"
        ]
        worse = ("RED", "ORANGE", "YELLOW", "BLUE").index
        todo = []
        for case in self.cases.values():
            if case.told and case.watched(at_ms):
                run = case.clocks()
                keys = {key for ranked_ms, key in case.told if ranked_ms == case.ranked_ms}
                todo += [(case.visit, key) for key in keys if key.partition("-")[0] in run]
        return {
            "queue": sorted(queue, key=lambda row: (worse(row[1]), row[2], row[0])),
            "todo": sorted(todo),
            "reminded": self.care.reminded(at_ms),
            "due": self.care.due(at_ms),
        }

    def _changed(self, case: Case) -> None:
        waiting = [due for due, key, *_ in case.reached() if (case.ranked_ms, key) not in case.told]
        if waiting:
            heapq.heappush(self._soon, (min(waiting), case.visit))


def day(at_ms: int) -> date:
    """The day in Beijing."""
    return datetime.fromtimestamp(at_ms / 1000, BEIJING).date()


def _years(born: int, at_ms: int) -> int:
    """Completed years of somebody who was born on the first of January."""
    return day(at_ms).year - born
