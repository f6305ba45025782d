"""The second count of what is slower than a clock: referrals, follow-ups, and the kits themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from county.rules import toml
from county.story import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from county.count import Count

_ENDED = ("refused", "withdrawn", "followed-up")


@dataclass(slots=True)
class Referral:
    """One referral up."""

    name: str
    visit: str
    patient: str
    sender: str
    receiver: str
    sent_ms: int
    states: list[tuple[str, int]]


@dataclass(slots=True)
class Register:
    """One disease of a patient."""

    patient: str
    disease: str
    since: date
    nexts: list[tuple[date, date]] = field(default_factory=list)
    """Day of a follow-up, and the day of the next."""


class Care:
    """Kept beside the cases of a count."""

    def __init__(self, count: Count) -> None:
        self.count = count
        self.referrals: dict[str, Referral] = {}
        self.registers: list[Register] = []
        self.follow_ups = 0
        self.visits: Mapping[str, Any] = count.persons
        self._statuses: dict[str, tuple[dict[str, Any], int]] = {}

    def refer(self, at_ms: int, *, visit: str, referral: str, to: str, **who: str) -> None:
        """A referral was written; it is sent at once."""
        patient = self.count.cases[visit].patient
        self.referrals[referral] = Referral(referral, visit, patient, who["from"], to, at_ms, [("sent", at_ms)])

    def step(self, at_ms: int, referral: str, state: str) -> None:
        """It went on."""
        self.referrals[referral].states.append((state, at_ms))

    def reminded(self, now_ms: int) -> dict[str, list[tuple[str, int, str]]]:
        """By login: what waits too long, by ``referral.toml``; whoever stands above sees all below."""
        table = toml("hub/referral.toml")
        newest: dict[str, str] = {}
        for name, each in self.referrals.items():
            newest[each.patient] = name
        found = []
        for name, each in self.referrals.items():
            state, since_ms = each.states[-1]
            hours = table[state].get("remind_hours")
            # A refusal is a task until somebody has tried again.
            if hours is None or (state == "refused" and newest[each.patient] != name):
                continue
            due_ms = since_ms + round(hours * HOUR_MS)
            if due_ms <= now_ms:
                org = each.sender if table[state]["remind"] == "sender" else each.receiver
                found.append((name, due_ms, org))
        townships = [org for org, kind, _, _ in self.count.story.orgs if kind == "township"]
        whose = {f"doctor-{org}": [f for f in found if f[2] == org] for org in townships}
        return {login: sorted(rows) for login, rows in (whose | {"cardiology-1": found}).items()}

    def enter(self, at_ms: int, patient: str, disease: str, org: str) -> None:
        """Somebody came into a register."""
        from county.count import day

        self.registers.append(Register(patient, disease, day(at_ms)))

    def due(self, now_ms: int) -> list[tuple[str, str, str, str]]:
        """What is due within a week, by ``followup.toml``: the first after the entry, then as the last one said."""
        from county.count import day

        until = day(now_ms + 7 * DAY_MS)
        found = []
        for each in self.registers:
            for row in toml("rules/followup.toml")["interval"]:
                if each.disease not in row["diseases"]:
                    continue
                on = each.since + timedelta(days=row["first_days"])
                if row["tier"] == "village" and each.nexts:
                    on = max(each.nexts, key=lambda pair: pair[0])[1]
                if on <= until:
                    found.append((each.patient, each.disease, row["tier"], on.isoformat()))
        return sorted(found)

    def from_kit(self, at_ms: int, kit: str, ahead_ms: int, part: dict[str, Any]) -> None:
        """A status of the kit, or a follow-up that was written on it."""
        from county.count import day

        if part["what"] == "status":
            self._statuses[kit] = part, ahead_ms
            return
        self.follow_ups += 1
        on = day(part["at_ms"] + part["taken_ahead_ms"])
        ahead = max(timedelta(), on - day(at_ms))
        following = day(part["at_ms"]) + timedelta(days=part["days"])
        who = self.count.persons[part["patient"]][0]
        for each in self.registers:
            same = self.count.persons[each.patient][0] == who
            if same and each.disease == part["disease"] and on - ahead >= each.since:
                each.nexts.append((on - ahead, following - ahead))

    def fleet(self, now_ms: int) -> list[tuple[str, str]]:
        """What is wrong with which kit, by ``fleet.toml``."""
        limits, found = toml("hub/fleet.toml"), []
        for kit in self.count.places:
            came = self.count.came.get(kit)
            if came and now_ms - came[-1] > limits["silent"]["hours"] * HOUR_MS:
                found.append((kit, "silent"))
            if kit not in self._statuses:
                continue
            told, ahead_ms = self._statuses[kit]
            if (
                told["battery"] is not None
                and not told["mains"]
                and told["battery"] < limits["battery"]["below_percent"]
            ):
                found.append((kit, "battery"))
            if abs(ahead_ms) > limits["clock"]["apart_minutes"] * MINUTE_MS:
                found.append((kit, "clock"))
            if (told["oldest_h"] or 0) > limits["queue"]["older_hours"]:
                found.append((kit, "queue"))
            if told["refused"] > limits["refused"]["more_than"]:
                found.append((kit, "refused"))
            if told["free_mb"] < limits["storage"]["below_mb"]:
                found.append((kit, "storage"))
        return sorted(found)
