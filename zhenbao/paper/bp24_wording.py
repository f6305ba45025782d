"""What a 24 h blood pressure recording says, in lines: for the terminal, the page on paper and the county's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhenbao.model.bp_series import Bp24Analysis, Bp24Recording, Period
    from zhenbao.words import Words

PARTS = ("whole", "day", "night")
_MOST_LISTED = 12


def span_lines(analysis: Bp24Analysis, words: Words) -> list[str]:
    """From when to when, and by whose hours day and night are told."""
    return [
        words(
            "bp24.span",
            first=analysis.first_at.replace("T", " ")[:16],
            last=analysis.last_at.replace("T", " ")[:16],
            hours=analysis.span_h,
        ),
        words(f"bp24.hours_{analysis.times_from}", day=analysis.day_from, night=analysis.night_from),
    ]


def lacking_line(analysis: Bp24Analysis, words: Words) -> str:
    """Why nothing is judged; empty where rule BP24 is met."""
    if analysis.enough:
        return ""
    missed = [words(f"bp24.lacking_{one}", least=analysis.required.get(one, 0)) for one in analysis.lacking]
    return words("bp24.lacking", list=words("bp24.comma").join(missed))


def mean_lines(analysis: Bp24Analysis, words: Words) -> list[str]:
    """The means of the whole, of day and night, in columns."""
    return [_row(part, getattr(analysis, part), words) for part in PARTS]


def number(value: float | None, words: Words, decimals: int = 0) -> str:
    """A mean as it is shown: half upwards, as the rules read it (134.5 is shown and judged as 135)."""
    if value is None:
        return words("bp24.nothing")
    return f"{int(value * 10**decimals + 0.5) / 10**decimals:.{decimals}f}"


def quality_lines(recording: Bp24Recording, words: Words) -> list[str]:
    """The share of valid readings, the fall at night, and the highest reading."""
    analysis = recording.analysis
    attempts = len(recording.readings) + sum(row.reason != "repeated" for row in recording.damaged)
    lines = [
        words("bp24.valid", percent=analysis.valid_percent, valid=analysis.whole.valid, count=attempts),
        _dip(analysis, words),
    ]
    valid = [r for r in recording.readings if r.valid and r.systolic_mmhg is not None]
    if highest := max(valid, key=lambda r: r.systolic_mmhg or 0.0, default=None):
        at = highest.at.replace("T", " ")[:16]
        lines.append(words("bp24.highest", systolic=highest.systolic_mmhg, diastolic=highest.diastolic_mmhg, at=at))
    return lines


def finding_lines(analysis: Bp24Analysis, words: Words) -> list[str]:
    """Each finding and what to do; where there is none, whether anything was judged."""
    from zhenbao import rules

    lines = []
    for finding in analysis.findings:
        rule = rules.rule(finding.rule_id)
        urgency = words(f"urgency.{finding.urgency}")
        lines.append(f"{finding.urgency.mark} {urgency} {rule.label(words.language)} [{finding.rule_id}]")
        if action := rule.action(words.language):
            lines.append("  " + words("bp24.action", action=action))
    return lines or [words(nothing_found(analysis))]


def nothing_found(analysis: Bp24Analysis) -> str:
    """The key of what is said where there is no finding."""
    judged = analysis.enough and "child" not in analysis.limits
    return "bp24.none_found" if judged else "bp24.not_judged"


def not_valid_lines(recording: Bp24Recording, words: Words) -> list[str]:
    """The readings that do not count, and why; the first dozen."""
    told = [
        words("bp24.not_valid", row=r.row, at=r.at.replace("T", " ")[:16], why=_why(r.reason, r.told, words))
        for r in recording.readings
        if not r.valid
    ]
    told += [words("bp24.damaged", row=d.row, why=_why(d.reason, d.cell, words)) for d in recording.damaged]
    if not told:
        return []
    more = [words("bp24.more", count=len(told) - _MOST_LISTED)] if len(told) > _MOST_LISTED else []
    return ["", words("bp24.set_aside", count=len(told)), *(f"  {t}" for t in told[:_MOST_LISTED] + more)]


def limit_lines(analysis: Bp24Analysis, words: Words) -> list[str]:
    """What must be known beside the numbers."""
    return [words(f"bp24_limit.{limit}") for limit in analysis.limits]


def _row(part: str, period: Period, words: Words) -> str:
    return (
        f"  {words(f'bp24.{part}')}"
        f"{number(period.systolic_mmhg, words).rjust(6)} /{number(period.diastolic_mmhg, words).rjust(4)}"
        f"{number(period.systolic_sd_mmhg, words, 1).rjust(8)} /{number(period.diastolic_sd_mmhg, words, 1).rjust(5)}"
        f"{number(period.pulse_per_min, words).rjust(7)}"
        f"{period.valid:>7} / {period.attempts}"
    )


def _dip(analysis: Bp24Analysis, words: Words) -> str:
    systolic, diastolic = analysis.dip_systolic_percent, analysis.dip_diastolic_percent
    if systolic is None or diastolic is None:
        return words("bp24.dip_none")
    kind = words(f"bp24_dipping.{analysis.dipping}") if analysis.dipping else words("bp24.dip_not_judged")
    return words("bp24.dip", systolic=systolic, diastolic=diastolic, kind=kind)


def _why(reason: str, told: str, words: Words) -> str:
    shown = "".join(c for c in told if c.isprintable())[:30]
    why = words(f"bp24_reason.{reason}")
    return words("bp24.why", reason=why, told=shown) if shown else why
