"""What happens in a county in some days, chosen by a number: visits, roads, clocks, people who answer or do not.

Nothing of the program is imported here: the story is played to the hub by ``play`` and counted for itself by ``count``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
START_MS = 1_793_980_800_000
"""2026-11-07 00:00 in Beijing: a month's end lies inside of thirty days."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens, by true time; ``facts`` are plain values. In a log also what came of it."""

    at_ms: int
    kind: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kit:
    """One kit and its road."""

    key: str
    org: str
    township: str
    clock: tuple[tuple[int, int], ...]
    """From when on (true time) its clock is ahead by how much, ms."""
    off: tuple[tuple[int, int], ...]
    """Hours without a road, in order."""

    def ahead_ms(self, at_ms: int) -> int:
        return next(ahead for since, ahead in reversed(self.clock) if since <= at_ms)

    def online(self, at_ms: int) -> int:
        """The first instant from then on with a road."""
        for start, end in self.off:
            if start <= at_ms < end:
                at_ms = end
        return at_ms


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, in order."""

    seed: int
    days: int
    orgs: tuple[tuple[str, str, str, str], ...]
    """Id, kind, parent, consortium; each after its parent."""
    kits: tuple[Kit, ...]
    events: tuple[Event, ...]

    @property
    def end_ms(self) -> int:
        return START_MS + self.days * DAY_MS


# What a visit finds: weight, answer about chest pain, and its readings (code, findings).
_NOTHING: tuple[tuple[str, str], ...] = ()
_MENU: tuple[tuple[float, str, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]], ...] = (
    (30, "no", (("bp", _NOTHING),)),
    (12, "no", (("ecg", _NOTHING),)),
    (4, "unknown", (("bp", _NOTHING), ("glucose", _NOTHING))),
    (13, "no", (("bp", (("BP03", "BLUE"),)),)),
    (6, "no", (("bp", (("BP04", "YELLOW"),)),)),
    (3, "no", (("bp", (("BP31", "YELLOW"),)),)),
    (4, "no", (("bp", (("BP04", "YELLOW"),)), ("glucose", (("GL01", "YELLOW"),)))),
    (4, "no", (("ecg", (("EC34", "YELLOW"),)),)),
    (3, "no", (("ecg", (("EC25", "ORANGE"),)),)),
    (2, "no", (("glucose", (("GL13", "ORANGE"),)),)),
    (2, "yes", (("ecg", (("EC03", "ORANGE"),)),)),
    (3, "no", (("ecg", (("EC03", "ORANGE"),)),)),
    (1, "unknown", (("ecg", (("EC03", "ORANGE"),)),)),
    (3, "yes", (("ecg", _NOTHING),)),
    (2, "yes", (("bp", _NOTHING),)),
    (3, "no", (("ecg", (("EC16", "RED"),)),)),
    (2, "no", (("glucose", (("GL11", "RED"),)),)),
    (1, "no", (("bp", (("XX99", "YELLOW"),)),)),
    (1, "no", (("glucose", (("GL07?", "ORANGE"),)),)),
)
_AGAIN: tuple[tuple[float, str, tuple[tuple[str, str], ...]], ...] = (
    (3, "ecg", (("EC16", "RED"),)),
    (2, "ecg", (("EC34", "YELLOW"),)),
    (2, "glucose", (("GL13", "ORANGE"),)),
    (2, "bp", _NOTHING),
)
# How soon somebody opens a case, by what the village may hope for: minutes from its arrival.
_OPENS = {"RED": (0.5, 9), "ORANGE": (2, 45), "YELLOW": (10, 420), "BLUE": (30, 4000), "GREEN": (5, 60)}


@dataclass
class _Writer:
    rng: random.Random
    end_ms: int
    kits: tuple[Kit, ...]
    events: list[Event] = field(default_factory=list)
    batches: dict[tuple[int, str], list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, at_ms: float, kind: str, **facts: Any) -> None:
        if at_ms < self.end_ms:
            self.events.append(Event(round(at_ms), kind, facts))

    def deliver(self, kit: Kit, at_ms: float, part: dict[str, Any]) -> int:
        """Comes when the kit has a road; what waited comes together."""
        road_ms = kit.online(round(at_ms))
        self.batches.setdefault((road_ms, kit.key), []).append(part)
        return road_ms


def tell(seed: int, *, kits: int, days: int, visits_a_day: float) -> Story:
    """The story of a number.

    Args:
        visits_a_day: of one kit, on the average.
    """
    rng = random.Random(seed)
    orgs = tuple(_orgs(kits))
    end_ms = START_MS + days * DAY_MS
    made = tuple(_kit(rng, n, orgs, days) for n in range(kits))
    w = _Writer(rng, end_ms, made)
    people: list[dict[str, Any]] = []
    number = 0
    for n, kit in enumerate(made):
        if n % 67 == 66:
            continue  # bought, placed, never switched on
        for day in range(days):
            for _ in range(_poisson(rng, visits_a_day)):
                number += 1
                minute = rng.triangular(0, 1440, 560) if rng.random() < 0.15 else rng.triangular(450, 1200, 600)
                _visit(w, kit, f"v{number:05d}", START_MS + day * DAY_MS + round(minute * MINUTE_MS), people)
            _status(w, kit, START_MS + day * DAY_MS)
    _chronic(w, people)
    _county(w, orgs, days)
    for (at_ms, key), parts in w.batches.items():
        # Critical readings overtake what they belong to.
        order = sorted(range(len(parts)), key=lambda i: (not parts[i].get("critical", False), i))
        w.add(at_ms, "batch", kit=key, parts=[parts[i] for i in order])
    return Story(seed, days, orgs, made, tuple(sorted(w.events, key=lambda e: e.at_ms)))


def _orgs(kits: int) -> Iterator[tuple[str, str, str, str]]:
    townships = max(2, kits // 10)
    for t in range(townships):
        yield f"t{t:02d}", "township", "county", f"group-{t % 4 + 1}"
    for n in range(kits):
        yield f"t{n % townships:02d}-{n:03d}", "village", f"t{n % townships:02d}", ""


def _kit(rng: random.Random, n: int, orgs: tuple[tuple[str, str, str, str], ...], days: int) -> Kit:
    villages = [org for org in orgs if org[1] == "village"]
    org = villages[n]
    ahead = rng.choices((0, 7, -90, 2880, -400 * 1440), (86, 5, 4, 3, 2))[0] * MINUTE_MS
    clock = [(0, ahead)]
    if ahead and rng.random() < 0.5:
        clock.append((START_MS + rng.randrange(days) * DAY_MS, 0))  # somebody puts it right
    off = []
    for day in range(days):
        if rng.random() < 0.2:
            start = START_MS + day * DAY_MS + round(rng.uniform(6, 16) * HOUR_MS)
            off.append((start, start + round(rng.uniform(0.5, 7) * HOUR_MS)))
    if n % 29 == 28:  # silent from some day on, for days or for good
        start = START_MS + round(rng.uniform(0.2, 0.6) * days * DAY_MS)
        off.append((start, start + round(rng.choice((2.5, 400)) * DAY_MS)))
    return Kit(f"kit-{n:03d}", org[0], org[2], tuple(clock), tuple(sorted(off)))


def _poisson(rng: random.Random, mean: float) -> int:
    count, left = 0, rng.expovariate(1)
    while left < mean:
        count, left = count + 1, left + rng.expovariate(1)
    return count


def _visit(w: _Writer, kit: Kit, key: str, taken_ms: int, people: list[dict[str, Any]]) -> None:
    rng = w.rng
    _, pain, readings = rng.choices(_MENU, [row[0] for row in _MENU])[0]
    mine = [p for p in people if p["kit"] == kit.key]
    if mine and rng.random() < 0.2:
        person = rng.choice(mine)
    else:
        person = {"kit": kit.key, "patient": f"p{len(people):05d}", "person": f"n{len(people):05d}"}
        person["born"] = rng.randint(1936, 2000)
        if people and rng.random() < 0.04:
            other = rng.choice(people)  # known at another village by the same number
            person |= {"person": other["person"], "born": other["born"]}
        person["first_ms"] = taken_ms
        people.append(person)
    said = min((u for _, found in readings for _, u in found), key=_rank, default="GREEN")
    critical = said == "RED"
    overtakes = rng.random() < (0.4 if any(f == (("EC03", "ORANGE"),) for _, f in readings) else 0.05)
    known = {"patient": person["patient"], "person": person["person"], "born": person["born"], "kit": kit.key}
    visit_ms = taken_ms - round(rng.uniform(1, 14) * MINUTE_MS)
    patient = {"what": "patient", **known}
    encounter = {"what": "encounter", "visit": key, "patient": person["patient"], "pain": pain, "at_ms": visit_ms}
    sent_ms = taken_ms + round(rng.uniform(0.3, 3) * MINUTE_MS)
    later_ms = sent_ms + round(rng.uniform(0.5, 4) * MINUTE_MS) if overtakes else sent_ms
    arrived = 0
    for n, (code, found) in enumerate(readings):
        at_ms = taken_ms + n * 40_000
        part = _reading(rng, key, f"{key}-{n}", person["patient"], code, found, at_ms)
        if overtakes and critical:
            part["critical"] = True
        arrived = w.deliver(kit, max(sent_ms, at_ms) if overtakes else sent_ms + n * 40_000, part)
    for part in (patient, encounter):
        w.deliver(kit, later_ms, part)
    if rng.random() < 0.02:
        w.deliver(kit, later_ms, {"what": "repeat", "visit": key})
    if rng.random() < 0.003:
        w.deliver(kit, later_ms, {"what": "forged", "visit": key})
    hoped = "RED" if any(f == (("EC03", "ORANGE"),) for _, f in readings) and pain != "no" else said
    if pain == "yes" and hoped == "GREEN":
        hoped = "ORANGE"
    _answers(w, kit, key, arrived, hoped)
    if rng.random() < 0.07:
        _, code, found = rng.choices(_AGAIN, [row[0] for row in _AGAIN])[0]
        at_ms = taken_ms + round(rng.choice((rng.uniform(4, 20), rng.uniform(20, 400))) * MINUTE_MS)
        part = _reading(rng, key, f"{key}-9", person["patient"], code, found, at_ms)
        came_ms = w.deliver(kit, at_ms + 45_000, part)
        if came_ms >= arrived:
            worst = min((hoped, *(u for _, u in found)), key=_rank)
            _answers(w, kit, key, came_ms, worst)


def _reading(
    rng: random.Random, visit: str, key: str, patient: str, code: str, found: tuple[tuple[str, str], ...], at_ms: int
) -> dict[str, Any]:
    part: dict[str, Any] = {"what": "reading", "visit": visit, "reading": key, "patient": patient, "code": code}
    part |= {"found": [list(f) for f in found], "at_ms": at_ms}
    if code == "ecg":
        part["acceptable"] = rng.random() < 0.93
    return part


def _answers(w: _Writer, kit: Kit, visit: str, arrived_ms: int, hoped: str) -> None:
    """Somebody opens and signs, in time, late or never; the kit fetches and reads; the loop is closed, or not."""
    rng = w.rng
    shortest, longest = _OPENS[hoped]
    open_ms = arrived_ms + rng.triangular(shortest, longest, shortest * 2) * MINUTE_MS
    if rng.random() < 0.06:
        return  # nobody ever opens it
    w.add(open_ms, "open", visit=visit)
    if hoped == "GREEN":
        return
    longest = {"RED": 8, "ORANGE": 25, "YELLOW": 1500, "BLUE": 1500}[hoped]
    sign_ms = open_ms + rng.triangular(1, longest, 2) * MINUTE_MS
    if rng.random() < 0.08:
        return  # opened, never reported
    said = "" if rng.random() < 0.8 else rng.choice(("RED", "ORANGE", "YELLOW", "BLUE", "GREEN"))
    if rng.random() < 0.06:
        w.add(sign_ms - 20_000, "sign", visit=visit, said=said, stage="preliminary")
        _fetches(w, kit, visit, sign_ms - 20_000)
    w.add(sign_ms, "sign", visit=visit, said=said, stage="final")
    _fetches(w, kit, visit, sign_ms)
    if rng.random() < 0.05:
        amended_ms = sign_ms + rng.choice((rng.uniform(10, 90), rng.uniform(90, 4000))) * MINUTE_MS
        w.add(amended_ms, "sign", visit=visit, said=said, stage="amended")
        _fetches(w, kit, visit, amended_ms)
    if hoped == "RED" or said == "RED" or rng.random() < 0.02:
        _loop(w, visit, sign_ms if rng.random() < 0.7 else arrived_ms + 30_000)
    if rng.random() < 0.14:
        _referral(w, visit, sign_ms)


def _fetches(w: _Writer, kit: Kit, visit: str, signed_ms: float) -> None:
    rng = w.rng
    if rng.random() < 0.04:
        return
    fetch_ms = kit.online(round(signed_ms + rng.uniform(0.2, 2) * MINUTE_MS))
    w.add(fetch_ms, "fetch", kit=kit.key, refuse=rng.random() < 0.01)
    if rng.random() < 0.82:
        read_ms = fetch_ms + rng.triangular(0.5, 90, 2) * MINUTE_MS
        w.deliver(kit, read_ms, {"what": "read", "visit": visit, "at_ms": round(read_ms)})


def _loop(w: _Writer, visit: str, from_ms: float) -> None:
    rng = w.rng
    steps = ("notified", "read-back", "handled", "recorded")
    taken = steps[: rng.choices((4, 3, 2, 1, 0), (70, 5, 10, 5, 10))[0]]
    channel, at_ms = rng.choice(("phone", "page")), from_ms
    for step in taken:
        at_ms += rng.uniform(0.3, 12) * MINUTE_MS
        w.add(at_ms, "loop", visit=visit, step=step, channel=channel, ago_min=rng.choice((0, 0, 0, 3, 12)))


def _referral(w: _Writer, visit: str, signed_ms: float) -> None:
    rng = w.rng
    at_ms = signed_ms + rng.uniform(5, 120) * MINUTE_MS
    name = f"{visit}@{round(at_ms)}"
    w.add(at_ms, "refer", visit=visit, referral=name)
    road = rng.choices(
        (
            (),
            ("refused",),
            ("withdrawn",),
            ("accepted",),
            ("accepted", "arrived"),
            ("accepted", "arrived", "treating", "returned"),
            ("accepted", "arrived", "returned", "village-received"),
            ("accepted", "arrived", "treating", "returned", "village-received", "followed-up"),
        ),
        (1, 2, 1, 1, 1, 2, 2, 5),
    )[0]
    for state in road:
        at_ms += rng.triangular(0.2, 60, 4) * HOUR_MS
        w.add(at_ms, "referral-step", referral=name, state=state)


def _status(w: _Writer, kit: Kit, day_ms: int) -> None:
    rng = w.rng
    for hour in (7, 19):
        at_ms = kit.online(day_ms + round(rng.uniform(hour, hour + 2) * HOUR_MS))
        w.batches.setdefault((at_ms, kit.key), []).append(
            {
                "what": "status",
                "battery": rng.choice((None, 9, 14, 15, 40, 80, 100)),
                "mains": rng.random() < 0.3,
                "oldest_h": rng.choice((None, None, 1, 5, 23, 26)),
                "refused": int(rng.random() < 0.02),
                "free_mb": rng.choice((480, 500, 4000, 9000, 9000)),
            }
        )


def _chronic(w: _Writer, people: list[dict[str, Any]]) -> None:
    rng, by_key = w.rng, {kit.key: kit for kit in w.kits}
    for n, person in enumerate(people):
        if n % 25:
            continue
        kit = by_key[person["kit"]]
        known_ms = kit.online(person["first_ms"] + 10 * MINUTE_MS) + HOUR_MS
        if known_ms > w.end_ms:
            continue
        disease = rng.choice(("htn", "dm", "copd"))
        w.add(known_ms, "enter", patient=person["patient"], disease=disease)
        at_ms = known_ms
        while (at_ms := at_ms + round(rng.uniform(1, 9) * DAY_MS)) < w.end_ms:
            if abs(kit.ahead_ms(at_ms)) > HOUR_MS:
                continue
            part = {"what": "follow-up", "follow-up": f"{person['patient']}@{at_ms}", "patient": person["patient"]}
            part |= {"disease": disease, "at_ms": at_ms, "outcome": rng.choice(("controlled", "uncontrolled"))}
            w.deliver(kit, at_ms, part | {"days": rng.choice((14, 30, 90))})


def _county(w: _Writer, orgs: tuple[tuple[str, str, str, str], ...], days: int) -> None:
    """What is not one kit's: who is on duty, kits that move, and when somebody looks."""
    rng = w.rng
    w.add(START_MS - 1, "roster", **roster(orgs, 0))
    for n in (1, 2):
        w.add(START_MS + n * days * DAY_MS / 3 + 7, "roster", **roster(orgs, n))
    villages = [org[0] for org in orgs if org[1] == "village"]
    for _ in range(max(1, len(w.kits) // 25)):
        at_ms = START_MS + rng.uniform(0.2, 0.9) * days * DAY_MS
        w.add(at_ms, "move", kit=rng.choice(w.kits).key, org=rng.choice(villages))
    gone = [(START_MS + round(part * days * DAY_MS), round(h * HOUR_MS)) for part, h in ((0.3, 3), (0.7, 9))]
    gone_now = lambda at: any(start <= at < start + took for start, took in gone)  # noqa: E731
    at_ms: float = START_MS
    while at_ms < w.end_ms:
        if not gone_now(at_ms):
            w.add(at_ms, "look")
        at_ms += rng.uniform(20, 60) * MINUTE_MS
    # At the very instants and one millisecond before, for some of what comes: a look costs more than a visit.
    critical = {
        at for at, parts in w.batches.items() if any(["EC16", "RED"] in part.get("found", []) for part in parts)
    }
    some, most = min(0.1, 100 / max(1, len(w.batches))), min(0.8, 150 / max(1, len(critical)))
    for place in list(w.batches):
        arrived_ms = place[0]
        if rng.random() < (most if place in critical else some) and not gone_now(arrived_ms):
            for minutes in rng.sample((0, 3, 5, 10, 15, 30), 3):
                for early in (1, 0):
                    w.add(arrived_ms + minutes * MINUTE_MS - early, "look")
    for hours in range(3, days * 24, 3):
        w.add(START_MS + hours * HOUR_MS + 5, "care")
    for hours in range(8, days * 24 + 1, 8):
        w.add(START_MS + hours * HOUR_MS - 11, "check")
    w.add(w.end_ms - 1, "look")


def roster(orgs: tuple[tuple[str, str, str, str], ...], n: int) -> dict[str, Any]:
    """Who is on duty in each third of the story: rows as the county writes them."""
    duty = [
        ("cardiology", "cardiology-1", "cardiology-2" if n != 1 else "", ""),
        ("emergency", "emergency-1", "emergency-2" if n != 2 else "emergency-3", ""),
        ("endocrinology", "endocrinology-1", "endocrinology-2", "08:00-20:00" if n else ""),
        ("general-practice", "general-practice-1", "", "08:00-20:00" if n != 1 else "20:00-08:00"),
        ("geriatrics", "geriatrics-1", "geriatrics-2", "08:00-18:00"),
    ]
    townships = [org[0] for org in orgs if org[1] == "township"]
    contact = [("shift-leader", "", "", "leader"), ("emergency-head", "", "", "chief" if n != 2 else "")]
    contact += [("township-head", org, "", f"head-{org}") for org in townships[::2]]
    contact += [("township-gp", org, "", f"gp-{org}") for org in townships[n % 2 :: 2]]
    contact += [("department-head", "", "cardiology", "head-cardiology")]
    return {"duty": duty, "contact": contact}


_ORDER = ("RED", "ORANGE", "YELLOW", "BLUE", "GREEN")


def _rank(urgency: str) -> int:
    return _ORDER.index(urgency)


def plain(events: tuple[Event, ...]) -> list[Mapping[str, Any]]:
    """For a digest."""
    return [{"at_ms": e.at_ms, "kind": e.kind, **e.facts} for e in events]
