"""``zhenbao analyse spirometry-summary``: what another spirometer computed itself, recomputed and compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.model.errors import InputError
from zhenbao.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zhenbao.model.spirometry_summary import (
        ComparedValue,
        SpirometrySummary,
        SummaryAnalysis,
        SummaryConflict,
    )

_SEXES = ("male", "female")
_DIGITS = {"FEV1FVC": 3}
"""Decimals of a printed value; two elsewhere."""
_FIRST = ("label", "order", "ratio", "unit", "impossible", "percent", "predicted", "equation", "z-cut", "pseudo", "lln")
"""What is told first: beginnings of codes."""
_SHARING = ("lln-fixed", "pseudo-z")
_BOTH = ("label-class", "label-severity")


def add(commands: typer.Typer, words: Words) -> None:
    """Add the command in one language."""

    @commands.command("spirometry-summary", help=words("summary.command"))
    def spirometry_summary(
        file: Annotated[Path, typer.Argument(help=words("summary.file"))],
        as_json: Annotated[bool, typer.Option("--json", help=words("summary.json"))] = False,
        equation: Annotated[str | None, typer.Option("--equation", help=words("summary.equation"))] = None,
        flows: Annotated[str | None, typer.Option("--flows", help=words("analyse_spirometry.flows"))] = None,
        ethnicity: Annotated[str | None, typer.Option("--ethnicity", help=words("summary.ethnicity"))] = None,
        sex: Annotated[str | None, typer.Option("--sex", help=words("summary.sex"))] = None,
        age: Annotated[float | None, typer.Option("--age", min=1, max=120, help=words("summary.age"))] = None,
        height: Annotated[float | None, typer.Option("--height", min=40, max=250, help=words("summary.height"))] = None,
        post: Annotated[bool, typer.Option("--post", help=words("summary.post"))] = False,
    ) -> None:
        if sex not in (None, *_SEXES):
            raise InputError("summary-sex")
        from zhenbao.formats.read_summary import read_summary_file
        from zhenbao.signal.spirometry.summary import analyse_summary

        summaries = read_summary_file(file)
        results = [
            (
                summary,
                analyse_summary(
                    summary,
                    equation=equation,
                    ethnicity=ethnicity,
                    flow_equation=flows,
                    sex=sex,
                    age_years=age,
                    height_cm=height,
                    post_bronchodilator=True if post else None,
                ),
            )
            for summary in summaries
        ]
        if as_json:
            typer.echo(_json(results))
            return
        for number, (summary, analysis) in enumerate(results, 1):
            if len(results) > 1:
                typer.echo(words("summary.test", number=number, count=len(results)))
            typer.echo("\n".join(page(file.name, summary, analysis, words)))


def _json(results: "list[tuple[SpirometrySummary, SummaryAnalysis]]") -> str:
    """Everything, as sent and as compared; the fields are in ``docs/spirometry-summaries.md``."""
    import json

    import msgspec

    told: dict[str, Any] = {
        "tests": [
            {"device": msgspec.to_builtins(summary), "analysis": msgspec.to_builtins(analysis)}
            for summary, analysis in results
        ],
        "preliminary": True,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def page(name: str, summary: "SpirometrySummary", analysis: "SummaryAnalysis", words: Words) -> list[str]:
    """What a doctor reads: conflicts first, then both sets of numbers, then what is not said."""
    from zhenbao.signal.spirometry import equation_name

    equation = equation_name(analysis.equation)
    lines = [words("summary.head", name=name, format=summary.format), *_origin(summary, words), ""]
    if analysis.conflicts:
        lines.append(words("summary.conflicts"))
        lines += [f"  ! {line}" for line in conflict_lines(analysis.conflicts, words)]
    else:
        lines.append(words("summary.no_conflicts"))
    lines += ["", words("summary.both", equation=equation), words("summary.row_head")]
    lines += [_row(value, words) for value in analysis.values]
    if analysis.fev1_fvc is not None:
        lines.append(words("summary.ratio", ratio=analysis.fev1_fvc))
    label = words("summary.comma").join((summary.label or "").split("\n"))
    lines += ["", words("summary.device_says", label=label) if label else words("summary.device_no_label")]
    lines.append(words("summary.device_class", text=_class(analysis.device_class, analysis.device_severity, words)))
    ours = analysis.interpretation
    text = _class(ours.shown_class if ours else None, ours.cn5_severity if ours else None, words)
    lines += [words("summary.our_class", equation=equation, text=text), _quality(summary, words)]
    lines.append(
        words("summary.equation_device", equation=summary.equation)
        if summary.equation
        else words("summary.equation_none")
    )
    lines += _findings(analysis, words)
    lines += ["", words("summary.limits"), *(f"  {_limit(limit, words)}" for limit in analysis.limits)]
    if summary.left_out:
        lines.append("  " + words("summary.left_out", names=words("summary.comma").join(summary.left_out)))
    return [*lines, "", words("preliminary")]


def conflict_lines(conflicts: "Sequence[SummaryConflict]", words: Words) -> list[str]:
    """All conflicts in words, what changes the reading of the result first; alike ones share a line."""
    lines: list[str] = []
    for code in dict.fromkeys(sorted((c.code for c in conflicts), key=_rank)):
        some = [c for c in conflicts if c.code == code]
        if code in _SHARING:
            items = [_conflict(c, f"{code}-item", words) for c in some]
            lines.append(words(f"summary_conflict.{code}", list=words("summary.comma").join(items)))
        elif code.endswith("-ours") and _twin(some[0], conflicts):
            continue
        else:
            both = code.endswith("-device") and _twin(some[0], conflicts)
            key = code.removesuffix("-device") + "-both" if both else code
            lines += [_conflict(c, key, words) for c in some]
    return lines


def _rank(code: str) -> int:
    return next((i for i, start in enumerate(_FIRST) if code.startswith(start)), len(_FIRST))


def _twin(conflict: "SummaryConflict", conflicts: "Sequence[SummaryConflict]") -> bool:
    """Whether the device's numbers and ours say the same against its words."""
    stem = conflict.code.rsplit("-", 1)[0]
    alike = {(c.told, c.found) for c in conflicts if c.code in (f"{stem}-device", f"{stem}-ours")}
    return stem in _BOTH and sum(c.code.rsplit("-", 1)[0] == stem for c in conflicts) == 2 and len(alike) == 1


def _conflict(conflict: "SummaryConflict", key: str, words: Words) -> str:
    """One conflict, its numbers in the decimals that the parameter is printed with."""
    digits = _DIGITS.get(conflict.parameter, 2)
    if conflict.code in ("percent-mismatch", "pseudo-z", "z-cut"):
        digits = 1
    given = conflict.numbers
    numbers = {name: f"{value:.{digits}f}" for name, value in given.items()}
    told, found = (_said(conflict.code, text, words) for text in (conflict.told, conflict.found))
    return words(
        f"summary_conflict.{key}",
        parameter=_name(conflict.parameter, words),
        told=told,
        found=found,
        told_number=numbers.get("told", ""),
        found_number=numbers.get("found", ""),
        measured=numbers.get("measured", ""),
        other=numbers.get("other", ""),
        least=f"{given.get('least', 0):g}",
        most=f"{given.get('most', 0):g}",
        percent=f"{given['percent']:+.0f}" if "percent" in given else "",
        part=f"{given['part']:.2f}" if "part" in given else "",
        line=numbers.get("line", ""),
        ours=words("summary_conflict.ours", z=f"{given['found']:.1f}") if "found" in given else "",
    )


def _said(code: str, text: str, words: Words) -> str:
    """A key of words as words; units and what a device wrote as they are."""
    if code.startswith("label-class"):
        return words(f"summary_class.{text}")
    if code.startswith("label-severity"):
        return words(f"spirometry_severity.{text}")
    return _name(text, words) if code == "order" else text


def _name(parameter: str, words: Words) -> str:
    return words("summary.parameter_FEV1FVC") if parameter == "FEV1FVC" else parameter


def _origin(summary: "SpirometrySummary", words: Words) -> list[str]:
    device = " ".join(text for text in (summary.device.maker, summary.device.model, summary.device.serial) if text)
    told = [
        words("summary.device", device=device) if device else words("summary.device_unknown"),
        words("summary.time", time=summary.measured_at.replace("T", " ")[:19])
        if summary.measured_at
        else words("summary.time_unknown"),
        words(f"summary.stage_{summary.stage or 'unknown'}"),
    ]
    age, height = summary.age_years, summary.height_cm
    person = words(
        "summary.person",
        sex=words(f"sex.{summary.sex or 'unknown'}"),
        age=words("summary.age_unknown") if age is None else words("summary.age_years", age=age),
        height=words("summary.height_unknown") if height is None else words("summary.height_cm", height=height),
    )
    return [words("summary.separator").join(told), person]


def _row(value: "ComparedValue", words: Words) -> str:
    digits = _DIGITS.get(value.parameter, 2)

    def cell(number: float | None, width: int, decimals: int) -> str:
        text = words("summary.unknown") if number is None else f"{number:.{decimals}f}"
        return text.rjust(width)

    def four(predicted: float | None, percent: float | None, lln: float | None, z: float | None) -> str:
        return cell(predicted, 8, digits) + cell(percent, 7, 1) + cell(lln, 7, digits) + cell(z, 7, 1)

    unit = "" if value.unit == "1" else value.unit
    return (
        f"  {_name(value.parameter, words):<9}"
        f"{cell(value.measured, 7, digits)} {unit:<4}"
        f"{four(value.device_predicted, value.device_percent, value.device_lln, value.device_z)} |"
        f"{four(value.predicted, value.percent, value.lln, value.z)}"
    )


def _class(class_: str | None, severity: str | None, words: Words) -> str:
    if class_ is None:
        return words("summary.no_class")
    text = words(f"summary_class.{class_}")
    if severity is None:
        return text
    return words("summary.class_severity", class_=text, severity=words(f"spirometry_severity.{severity}"))


def _quality(summary: "SpirometrySummary", words: Words) -> str:
    if not summary.quality:
        return words("summary.quality_none")
    told = [words(f"summary.quality_{key}", grade=grade) for key, grade in summary.quality.items()]
    return words("summary.quality", text=words("summary.comma").join(told))


def _findings(analysis: "SummaryAnalysis", words: Words) -> list[str]:
    from zhenbao import rules

    lines = []
    for finding in sorted(analysis.findings, key=lambda f: f.urgency.rank):
        if finding.status == "present":
            rule = rules.rule(finding.rule_id)
            urgency = words(f"urgency.{finding.urgency}")
            lines.append(f"  {finding.urgency.mark} {urgency} {rule.label(words.language)} [{finding.rule_id}]")
    return ["", words("summary.findings"), *lines] if lines else []


def _limit(limit: str, words: Words) -> str:
    key = f"summary_limit.{limit}"
    return words(key if key in words else f"spirometry_limit.{limit}")
