"""How values are written for people: names masked, times in Beijing, units as doctors write them."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zhenbao import rules
from zhenbao.hub.case_code import case_code
from zhenbao.model.finding import Urgency
from zhenbao.model.time import age_years, local_text, local_time
from zhenbao.rules.recognition import in_a_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from zhenbao.hub.roster import Kit, Roster
    from zhenbao.hub.store.work import WorkItem
    from zhenbao.model.bp_series import Bp24Recording
    from zhenbao.model.chronic import RecentResult
    from zhenbao.model.finding import Finding
    from zhenbao.model.observation import Observation
    from zhenbao.model.patient import Patient
    from zhenbao.model.quantity import Quantity
    from zhenbao.model.spirometry import SpirometryAnalysis
    from zhenbao.rules import RouteTable
    from zhenbao.words import Words

_CLOCK_TOLERANCE_MS = 120_000


@dataclass(frozen=True, slots=True)
class SpirometryRow:
    """One line of the table of a test."""

    name: str
    measured: float
    predicted: float
    percent: float
    z: float
    lln: float


@dataclass(frozen=True, slots=True)
class Presenter:
    """Everything the templates need besides the values themselves."""

    words: Words
    roster: Roster
    now_ms: int
    table: RouteTable = field(default_factory=rules.program_table)

    def text(self, key: str, fallback: str = "") -> str:
        """A word, or the fallback where a newer kit sends a key that this hub does not know."""
        return self.words(key) if key in self.words else fallback or key.rpartition(".")[2]

    def masked(self, patient: Patient | None) -> str:
        """``张**``: a name on a screen that others may see."""
        if patient is None:
            return self.words("hub.patient_missing")
        return f"{patient.name[:1]}**"

    def case_code(self, case_id: UUID) -> str:
        """The short name of a case, as notices carry it."""
        return case_code(case_id)

    def person(self, patient: Patient | None, at_ms: int) -> str:
        """Sex and age in completed years on the day of the reading."""
        if patient is None:
            return ""
        sex = self.text(f"sex.{patient.sex}")
        if patient.birth_date is None:
            return f"{sex} {self.words('hub.age_unknown')}"
        return f"{sex} {self.words('hub.age', years=age_years(patient.birth_date, at_ms))}"

    def number(self, patient: Patient) -> str:
        """First four and last four characters of the resident number."""
        if patient.resident_number is None:
            return self.words("hub.no_number")
        return f"{patient.resident_number[:4]}**********{patient.resident_number[-4:]}"

    def when(self, unix_ms: int | None) -> str:
        """Beijing time; only the time of day where it is today."""
        if unix_ms is None:
            return ""
        text = local_text(unix_ms)
        return text[11:] if local_time(unix_ms).date() == local_time(self.now_ms).date() else text

    def full_time(self, unix_ms: int) -> str:
        """Date and time with seconds."""
        return local_text(unix_ms, seconds=True)

    def span(self, milliseconds: int) -> str:
        """A length of time in the two largest units that matter."""
        minutes = abs(milliseconds) // 60_000
        days, hours = minutes // 1440, minutes // 60 % 24
        if days:
            return self.words("hub.span_days", days=days, hours=hours)
        if hours:
            return self.words("hub.span_hours", hours=hours, minutes=minutes % 60)
        return self.words("hub.span_minutes", minutes=minutes)

    def short_span(self, milliseconds: int) -> str:
        """A length of time to the second where that matters; what runs backwards has a minus in front."""
        sign, seconds = "−" if milliseconds < 0 else "", round(abs(milliseconds) / 1000)
        if seconds < 60:
            return sign + self.words("hub.cp.seconds", seconds=seconds)
        if seconds < 600 and seconds % 60:
            return sign + self.words("hub.cp.minutes_seconds", minutes=seconds // 60, seconds=seconds % 60)
        return sign + self.span(round(seconds / 60) * 60_000)

    def left(self, due_ms: int) -> str:
        """Time left as ``04:12`` or ``1:23:45``; what is over counts up with a minus in front."""
        seconds = abs(due_ms - self.now_ms) // 1000
        sign = "-" if due_ms < self.now_ms else ""
        hours, minutes = seconds // 3600, seconds // 60 % 60
        if hours >= 100:
            return sign + self.span(due_ms - self.now_ms)
        return f"{sign}{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{sign}{minutes:02}:{seconds % 60:02}"

    def overdue(self, due_ms: int) -> bool:
        """Whether the time is over."""
        return due_ms < self.now_ms

    def lateness(self, item: WorkItem) -> str:
        """How long the reading was on its way, less what a kit's clock that was ahead has hidden of it."""
        return self.span(item.received_ms - item.effective_ms + max(0, item.clock_ahead_ms))

    def clock_ahead(self, effective_ms: int, received_ms: int, clock_ahead_ms: int = 0) -> bool:
        """A reading from the future, or a kit whose clock was ahead when it sent it: no time of it can be trusted."""
        return max(effective_ms - received_ms, clock_ahead_ms) > _CLOCK_TOLERANCE_MS

    def urgency(self, urgency: Urgency | str) -> str:
        """Mark and word; the colour is never alone."""
        return f"{Urgency(urgency).mark} {self.text(f'urgency.{urgency}')}"

    def urgency_or_text(self, text: str) -> str:
        """Mark and word of an urgency that others wrote; their own text where it is none."""
        return self.urgency(text) if text in list(Urgency) else text

    def megabytes(self, size_bytes: int) -> str:
        """A size as people read it."""
        return f"{size_bytes / 1e6:.1f} MB"

    def finding(self, item: WorkItem) -> str:
        """What a case is about: the finding that leads, or the route's own words where no single one does."""
        if item.lead_rule is not None:
            return self.rule(item.lead_rule)
        route = self.table.find(item.route_id)
        return route.finding(self.words.language) if route is not None else self.words("hub.no_finding")

    def village_action(self, item: WorkItem) -> str:
        """What the village doctor does until somebody answers."""
        route = self.table.find(item.route_id)
        return route.village_action(self.words.language) if route is not None else ""

    def rule(self, rule_id: str) -> str:
        """What a rule is called; its id where a newer kit knows more rules."""
        try:
            return rules.rule(rule_id).label(self.words.language)
        except KeyError:
            return self.words("hub.rule_unknown", rule=rule_id)

    def action(self, rule_id: str) -> str:
        """What the rule's row says to do; empty where it says nothing or is not known here."""
        try:
            action = rules.rule(rule_id).action(self.words.language)
        except KeyError:
            return ""
        return "" if action == "-" else action

    def specialty(self, key: str | None) -> str:
        """A specialty's name."""
        if key is None:
            return self.words("hub.nobody_needed")
        known = rules.specialties().get(key)
        return known.name(self.words.language) if known is not None else key

    def specialties(self, keys: Sequence[str]) -> str:
        """Several specialties' names."""
        return self.words("agent.list_separator").join(self.specialty(key) for key in keys)

    def kit(self, kit_id: str) -> Kit:
        """The kit's place."""
        return self.roster.place_of(kit_id)

    def quantity_name(self, key: str) -> str:
        """What a value is called."""
        if f"quantity.{key}" in self.words:
            return self.words(f"quantity.{key}")
        try:
            return rules.codes(key).name(self.words.language)
        except KeyError:
            return key

    def quantity(self, quantity: Quantity) -> str:
        """Value and unit as doctors write them; HI and LO as the device showed them."""
        places = 1 if quantity.unit == "%" else 2
        number = (
            f"{quantity.value:.{places}f}".rstrip("0").rstrip(".") if quantity.value % 1 else f"{quantity.value:.0f}"
        )
        unit = self.text(f"hub.unit.{_UNIT_KEYS.get(quantity.unit, '')}", quantity.unit)
        return f"{quantity.comparator or ''}{number} {unit}".rstrip()

    def unit(self, ucum: str) -> str:
        """A unit as doctors write it."""
        return self.text(f"hub.unit.{_UNIT_KEYS.get(ucum, '')}", ucum)

    def whole(self, value: float) -> str:
        """A rounded number; a dash for what is none."""
        return f"{value:.0f}" if math.isfinite(value) else "-"

    def evidence(self, finding: Finding) -> str:
        """The numbers that decided."""
        return self.words("hub.list_separator").join(
            f"{self.quantity_name(e.name)} {self.quantity(e.quantity)}" for e in finding.evidence
        )

    def source(self, source: str) -> str:
        """A citation, cut to what fits a line; the whole stands in the table of rules."""
        return source if len(source) <= 90 else f"{source[:89]}…"

    def deciding(self, name: str) -> str:
        """What a number that decided an interpretation is called."""
        if f"quantity.{name}" in self.words:
            return self.words(f"quantity.{name}")
        for suffix, short in (("_z", "z"), ("_percent_predicted", "%")):
            if name.endswith(suffix):
                return f"{name.removesuffix(suffix).upper().replace('FEV1FVC', 'FEV1/FVC')} {short}"
        return name

    def interval(self, name: str) -> str:
        """What an interval of the ECG is called."""
        return self.text(f"hub.interval.{name}", name)

    def reason(self, reason: str) -> str:
        """Why a recording is poor; the lead stands after a colon."""
        key, _, lead = reason.partition(":")
        return f"{self.text(f'ecg_quality.{key}', key)} {self.words.lead(lead)}".rstrip()

    def device(self, reading: Observation | RecentResult) -> str:
        """Maker and model; the driver's name where the device told none."""
        told = f"{reading.device.maker} {reading.device.model}".strip()
        return told or reading.device.driver or self.words("hub.recognition.device_unknown")

    def result_quality(self, reading: Observation) -> str:
        """How good a reading is, as far as anything says."""
        return self.quality_word(in_a_line(reading, "").quality)

    def quality_word(self, quality: str) -> str:
        """A key of the quality words, or a grade."""
        known = f"result_quality.{quality}"
        return self.words(known) if known in self.words else self.words("result_quality.grade", grade=quality)

    def fields(self, keys: Sequence[str]) -> str:
        """Fields of a follow-up form by name."""
        return self.words("hub.list_separator").join(self.text(f"form.{key}") for key in keys)

    def limits(self, target: Mapping[str, float]) -> str:
        """What a target asks for."""
        return self.words("hub.list_separator").join(
            f"{self.text(f'form.{key}')} < {value:g}" for key, value in target.items()
        )

    def urgent_first(self, readings: Sequence[tuple[Observation, int]]) -> list[tuple[Observation, int]]:
        """The most urgent reading on top; among equals in the order of their taking."""
        return sorted(readings, key=lambda pair: (pair[0].urgency.rank, pair[0].effective_ms))

    def main_values(self, reading: Observation | RecentResult) -> list[tuple[str, Quantity]]:
        """The few values that name a reading in a line."""
        wanted = _MAIN.get(reading.code, ())
        chosen = [(key, reading.values[key]) for key in wanted if key in reading.values]
        return chosen or list(reading.values.items())[:2]

    def spirometry_rows(self, test: SpirometryAnalysis) -> list[SpirometryRow]:
        """What was measured beside its reference; in litres, L/s, or a ratio as the equation gives it."""
        session = test.session
        measured = {"FEV1": session.fev1_l, "FVC": session.fvc_l, "FEV1FVC": session.fev1_fvc}
        if session.best_blow is not None and session.best_blow < len(test.blows):
            best = test.blows[session.best_blow]
            measured |= {"FEF2575": best.fef2575_l_s, "MMEF": best.fef2575_l_s, "PEF": best.pef_l_s}
            measured |= {"FEF75": best.fef75_l_s}
        rows = []
        for name, value in measured.items():
            reference = test.references.get(name)
            if value is None or reference is None:
                continue
            # Some equations give the ratio in per cent, others as a fraction.
            shown = 100 * value if name == "FEV1FVC" and reference.predicted > 2 else value
            with contextlib.suppress(ArithmeticError, ValueError):
                z, percent = reference.z(shown), reference.percent(shown)
                rows.append(
                    SpirometryRow(
                        "FEV1/FVC" if name == "FEV1FVC" else name, shown, reference.predicted, percent, z, reference.lln
                    )
                )
        return rows

    def bp24_lines(self, recording: Bp24Recording) -> list[str]:
        """What a 24 h recording says beside its means, and what it does not."""
        from zhenbao.paper import bp24_wording as wording

        analysis = recording.analysis
        told = [*wording.span_lines(analysis, self.words), wording.lacking_line(analysis, self.words)]
        told += [*wording.quality_lines(recording, self.words), *wording.limit_lines(analysis, self.words)]
        return [line for line in told if line]

    def context(self, key: str, value: str) -> str:
        """One fact of how a reading was taken."""
        name = self.text(f"hub.context.{key}", self.text(f"context.{key}", key))
        said = self.text(f"hub.{key}.{value}", self.text(f"{key}.{value}", self.text(f"answer.{value}", value)))
        return self.words("hub.fact", name=name, value=said)


_MAIN = {
    "bp": ("bp_systolic", "bp_diastolic"),
    "bp24": ("bp_24h_systolic", "bp_24h_diastolic"),
    "glucose": ("glucose_capillary",),
    "spo2": ("spo2", "pulse_rate_oximeter"),
    "ecg": ("heart_rate_ecg",),
    "spirometry": ("fev1", "fvc"),
    "weight": ("body_weight", "bmi"),
}

# UCUM code to a key of the unit words.
_UNIT_KEYS = {
    "mm[Hg]": "mmhg",
    "/min": "per_minute",
    "mmol/L": "mmol_l",
    "mg/dL": "mg_dl",
    "L": "litre",
    "L/s": "litre_s",
    "ms": "ms",
    "s": "s",
    "%": "percent",
    "1": "one",
    "Cel": "celsius",
    "cm": "cm",
    "kg": "kg",
    "kg/m2": "kg_m2",
}
