"""What stands on the pages of an ECG, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao import rules

if TYPE_CHECKING:
    from zhenbao.model.ecg import EcgAnalysis
    from zhenbao.model.ecg_twelve import EcgFact
    from zhenbao.model.finding import Finding
    from zhenbao.words import Words

_INTERVALS = {"pr": "PR", "qrs": "QRS", "qt": "QT", "qtcf": "QTcF", "qtcb": "QTcB"}


def measurements(analysis: EcgAnalysis, words: Words) -> list[str]:
    """Rate, rhythm, intervals, axis and conduction; what was not measured is said to be so."""
    rate = analysis.heart_rate_bpm
    lines = [words("paper.no_rate") if rate is None else words("paper.rate", value=rate)]
    lines.append(known(f"rhythm.{analysis.rhythm}", analysis.rhythm, words))
    for key, name in _INTERVALS.items():
        value = analysis.intervals.get(key)
        lines.append(
            words("paper.not_measured", name=name) if value is None else words("paper.interval", name=name, value=value)
        )
    axis = analysis.axis_deg
    lines.append(words("paper.no_axis") if axis is None else words("paper.axis", value=axis))
    if analysis.conduction is not None:
        lines.append(known(f"ecg_conduction.{analysis.conduction}", analysis.conduction, words))
    return lines


def finding_line(finding: Finding, analysis: EcgAnalysis, words: Words) -> str:
    """One finding with its mark, its numbers or its leads, and how sure it is."""
    label = rule_label(finding.rule_id, words)
    if finding.status == "undetermined":
        needs = words("paper.comma").join(known(f"context.{need}", need, words) for need in finding.needs)
        return words("paper.undetermined", label=label, needs=needs)
    urgency = words(f"urgency.{finding.urgency}")
    grounds = [
        words(
            "paper.value",
            name=known(f"quantity.{e.name}", e.name, words),
            comparator=e.quantity.comparator or "",
            value=e.quantity.value,
            unit=e.quantity.unit,
        )
        for e in finding.evidence
    ]
    grounds += _grounds(finding.leads, finding.confidence, analysis, words)
    line = words("paper.finding", mark=finding.urgency.mark, urgency=urgency, label=label)
    return line + (words("paper.because", text=words("paper.separator").join(grounds)) if grounds else "")


def action_line(finding: Finding, words: Words) -> str:
    """What the rule's row says to do, and on how many beats the finding rests; empty where neither is known."""
    parts = []
    if finding.beats:
        parts.append(words("paper.beats", count=len(finding.beats)))
    try:
        action = rules.rule(finding.rule_id).action(words.language)
    except KeyError:
        action = ""
    if action not in ("", "-"):
        parts.append(words("paper.action", text=action))
    return words("paper.separator").join(parts)


def hint_line(hint: EcgFact, analysis: EcgAnalysis, words: Words) -> str:
    """What to record or think of next."""
    grounds = _grounds(hint.leads, hint.confidence, analysis, words)
    text = known(f"ecg_hint.{hint.name}", hint.name, words)
    return text + (words("paper.because", text=words("paper.separator").join(grounds)) if grounds else "")


def limit_line(limit: str, words: Words) -> str:
    """What the result does not say."""
    return known(f"ecg_limit.{limit}", limit, words)


def quality_lines(analysis: EcgAnalysis, words: Words) -> list[str]:
    """The verdict, then each reason with its leads."""
    quality = analysis.quality
    lines = [words("paper.quality_good" if quality.acceptable else "paper.quality_bad", score=quality.score)]
    leads: dict[str, list[str]] = {}
    for reason in quality.reasons:
        key, _, lead = reason.partition(":")
        leads.setdefault(key, []).extend([words.lead(lead)] if lead else [])
    for key, named in leads.items():
        text = known(f"ecg_quality.{key}", key, words)
        lines.append(
            text + (words("paper.because", text=words("paper.comma").join(dict.fromkeys(named))) if named else "")
        )
    return lines


def _grounds(leads: tuple[str, ...], confidence: str, analysis: EcgAnalysis, words: Words) -> list[str]:
    grounds = []
    if leads and set(leads) >= set(analysis.lead_names) and len(leads) > 2:
        grounds.append(words("paper.all_leads"))
    elif leads:
        grounds.append(words("paper.leads", leads=words("paper.comma").join(words.lead(lead) for lead in leads)))
    if confidence:
        grounds.append(known(f"ecg_confidence.{confidence}", confidence, words))
    return grounds


def rule_label(rule_id: str, words: Words) -> str:
    """A rule's name with its number."""
    try:
        return f"{rules.rule(rule_id).label(words.language)} [{rule_id}]"
    except KeyError:
        return rule_id


def known(key: str, otherwise: str, words: Words) -> str:
    """A newer analysis may say what this catalogue does not know yet: its key is better than nothing."""
    return words(key) if key in words else otherwise
