"""What stands on the page of a spirometry session, as sentences.

The word "normal" is said only where every FEV1 reaches its bound; what the quality does not carry is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhenbao.model.finding import Urgency
from zhenbao.paper.spirometry_report import CARRYING
from zhenbao.paper.spirometry_table import table_rows
from zhenbao.paper.wording import action_line, known, rule_label

if TYPE_CHECKING:
    from zhenbao.model.finding import Finding
    from zhenbao.model.spirometry import Blow, Interpretation
    from zhenbao.paper.spirometry_report import Change, Examined, SpirometryReport
    from zhenbao.words import Words

_BEFORE_ONLY = "before-bronchodilator"


def person_line(report: SpirometryReport, words: Words) -> str:
    """Sex, age and height; what is unknown is said to be so."""
    sex = words(f"sex.{report.sex}") if report.sex in ("male", "female") else words("spirometry_page.no_sex")
    age, height = report.age_years, report.height_cm
    return " · ".join(
        (
            sex,
            words("spirometry_page.no_age") if age is None else words("spirometry_page.age", value=age),
            words("spirometry_page.no_height") if height is None else words("spirometry_page.height", value=height),
        )
    )


def exam_line(report: SpirometryReport, words: Words) -> str:
    """When, with which device, and by which reference equation."""
    taken = words("spirometry_page.taken", time=report.taken) if report.taken else words("spirometry_page.no_taken")
    device = (
        words("spirometry_page.device", name=report.device) if report.device else words("spirometry_page.no_device")
    )
    parts = [taken, device, words("spirometry_note.equation", equation=report.equation)]
    if report.post_only:
        parts.insert(0, words("spirometry_page.post_only"))
    return " · ".join(parts)


def quality_lines(report: SpirometryReport, words: Words) -> list[str]:
    """Both grades with what they mean, and how many blows."""
    lines = _quality(report.before, words)
    if report.after is not None:
        lines.append(words("spirometry_page.after_head"))
        lines += _quality(report.after, words)
    return lines


def _quality(examined: Examined, words: Words) -> list[str]:
    session, blows = examined.analysis.session, examined.analysis.blows
    lines = []
    for name, grade, good, apart in (
        ("FEV1", session.fev1_grade, sum(b.fev1_acceptable for b in blows), session.fev1_repeatability_l),
        ("FVC", session.fvc_grade, sum(b.fvc_acceptable for b in blows), session.fvc_repeatability_l),
    ):
        lines.append(
            words(
                "spirometry_page.grade",
                name=name,
                grade=words(f"spirometry_grade.{grade}"),
                count=good,
                apart="" if apart is None else words("spirometry_page.apart", value=apart),
                means=words(f"spirometry_grade_means.{grade}"),
            )
        )
    refused = sum(not (b.fev1_acceptable and b.fvc_acceptable) for b in blows)
    if refused:
        text = words("spirometry_page.blown", count=len(blows), refused=refused)
    else:
        text = words("spirometry_page.blown_well", count=len(blows))
    if session.more_blows:
        text += words("spirometry_page.more", count=session.more_blows)
    lines.append(text)
    if examined.incomplete:
        numbers = words("paper.comma").join(map(str, examined.incomplete))
        lines.append(words("spirometry_page.incomplete", numbers=numbers))
    return lines


def verdict_lines(report: SpirometryReport, words: Words) -> list[str]:
    """The class, or that it cannot be said and why; first the most important."""
    lines = _class(report.before, report, words)
    if report.after is not None:
        lines += [words("spirometry_page.after_says", text=text) for text in _class(report.after, report, words)]
    return lines


def _class(examined: Examined, report: SpirometryReport, words: Words) -> list[str]:
    session, judged = examined.analysis.session, examined.analysis.interpretation
    if examined.worse_grade not in CARRYING:
        return [
            words(
                "spirometry_page.cannot_quality",
                fev1=session.fev1_grade,
                fvc=session.fvc_grade,
                why=_why(examined, words),
            )
        ]
    if judged is None:
        missing = [limit for limit in examined.analysis.limits if f"spirometry_why.{limit}" in words]
        why = words("paper.comma").join(words(f"spirometry_why.{limit}") for limit in missing)
        return [words("spirometry_page.cannot_reference", why=why or words("spirometry_why.no-reference"))]
    lines = [_five_classes(judged, report, words), _pattern(judged, report, words)]
    if judged.prism:
        lines.append(words("spirometry_note.prism"))
    if judged.gold is not None:
        lines.append(words("spirometry_note.gold", grade=judged.gold))
    return lines


def _why(examined: Examined, words: Words) -> str:
    """What most often spoiled the blows."""
    counted: dict[str, int] = {}
    for blow in examined.analysis.blows:
        if not (blow.fev1_acceptable and blow.fvc_acceptable):
            for defect in blow.defects:
                counted[defect] = counted.get(defect, 0) + 1
    if not counted:
        return words("spirometry_page.why_spread")
    worst = sorted(counted, key=lambda defect: -counted[defect])[:2]
    return words("paper.separator").join(
        words("spirometry_page.why_defect", text=words(f"blow_defect.{defect}"), count=counted[defect])
        for defect in worst
    )


def _five_classes(judged: Interpretation, report: SpirometryReport, words: Words) -> str:
    key = judged.shown_class
    if key == "normal" and not report.may_say_normal:
        text = words("spirometry_page.within")
    else:
        text = words(f"spirometry_class.{key}")
    if judged.cn5_severity is not None:
        text += words("spirometry_page.severity", severity=words(f"spirometry_severity.{judged.cn5_severity}"))
    return words("spirometry_page.class", text=text, small_airway=words(f"small_airway.{judged.small_airway}"))


def _pattern(judged: Interpretation, report: SpirometryReport, words: Words) -> str:
    key = judged.ats2021_pattern
    text = words("spirometry_page.z_within" if key == "normal" else f"spirometry_pattern.{key}")
    z = judged.decided_by.get("fev1_z")
    if judged.ats2021_severity is not None and z is not None:
        severity = words(f"spirometry_severity.{judged.ats2021_severity}")
        text += words("spirometry_page.z_severity", z=z, severity=severity)
    return words("spirometry_page.pattern", text=text)


def change_lines(report: SpirometryReport, words: Words) -> list[str]:
    """The bronchodilator response of FEV1 and FVC."""
    if report.after is None:
        return []
    lines = []
    for name in ("FEV1", "FVC"):
        change = report.changes.get(name)
        if change is None:
            lines.append(words("spirometry_page.change_quality", name=name))
        else:
            lines.append(_change(name, change, words))
    return lines


def _change(name: str, change: Change, words: Words) -> str:
    text = words(
        "spirometry_page.change",
        name=name,
        before=change.before_l,
        after=change.after_l,
        change=1000 * (change.after_l - change.before_l),
        of_before=change.percent_of_before,
    )
    if change.percent_of_predicted is None or change.positive_2021 is None or change.positive_2005 is None:
        return text + words("spirometry_page.change_no_reference")
    return text + words(
        "spirometry_page.change_judged",
        of_predicted=change.percent_of_predicted,
        by_2021=words(f"spirometry_response.{'yes' if change.positive_2021 else 'no'}"),
        by_2005=words(f"spirometry_response.{'yes' if change.positive_2005 else 'no'}"),
    )


def finding_lines(report: SpirometryReport, words: Words) -> list[tuple[str, str]]:
    """Each finding with its mark, and what its rule says to do; the most urgent first."""
    findings: dict[str, tuple[Finding, bool]] = {f.rule_id: (f, False) for f in report.before.analysis.findings}
    if report.after is not None:
        for finding in report.after.analysis.findings:
            findings.setdefault(finding.rule_id, (finding, True))
    lines = []
    for finding, after in sorted(findings.values(), key=lambda each: each[0].urgency.rank):
        if finding.urgency is Urgency.GREEN and not report.may_say_normal:
            continue
        urgency = words(f"urgency.{finding.urgency}")
        label = rule_label(finding.rule_id, words)
        line = words("paper.finding", mark=finding.urgency.mark, urgency=urgency, label=label)
        lines.append((words("spirometry_page.after_says", text=line) if after else line, action_line(finding, words)))
    return lines


def blow_verdict(acceptable: bool, usable: bool, words: Words) -> str:
    """One of three, with a sign."""
    return words(f"spirometry_blow.{'acceptable' if acceptable else 'usable' if usable else 'neither'}")


def blow_reasons(blow: Blow, words: Words) -> str:
    """Why a blow was refused, and what else was seen; empty for a blow without a defect."""
    return words("paper.separator").join(known(f"blow_defect.{defect}", defect, words) for defect in blow.defects)


def note_lines(report: SpirometryReport, words: Words) -> list[str]:
    """How the table and the curves are to be read."""
    notes = []
    if any(session.worse_grade not in CARRYING for session in (report.before, report.after) if session):
        notes.append(words("spirometry_page.note_unsure"))
    best = report.before.analysis.session.best_blow
    if best is not None:
        notes.append(words("spirometry_page.note_best", number=report.before.numbers[best]))
    references = report.before.analysis.references
    if references:
        if any(z is not None and z < report.bounds.z[0] for row in table_rows(report) for z in (row.z, row.after_z)):
            notes.append(words("spirometry_page.note_low", z=report.bounds.z[0]))
        if not {"FEF25", "FEF50", "FEF75"} <= references.keys():
            notes.append(words("spirometry_page.note_no_flows"))
        own = report.before.analysis.equation
        for other in sorted({r.equation for r in references.values()} - {own, ""}):
            notes.append(words("spirometry_page.note_other", equation=words(f"equation.{other}")))
    if not report.btps_known:
        notes.append(words("spirometry_page.note_btps"))
    return notes


def limit_lines(report: SpirometryReport, words: Words) -> list[str]:
    """What the result does not say, each once."""
    limits = dict.fromkeys(report.before.analysis.limits)
    if report.after is not None:
        limits |= dict.fromkeys(report.after.analysis.limits)
    if report.after is not None or report.post_only:
        limits.pop(_BEFORE_ONLY, None)
    return [known(f"spirometry_limit.{limit}", limit, words) for limit in limits]
