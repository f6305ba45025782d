"""``zhenbao analyse bp24``: means of day, night and 24 h, dipping, and the course, of a recorder's exported series."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.model.errors import StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.model.bp_series import Bp24Analysis, BpSeries, Period

_MOST_LISTED = 12


def add(commands: typer.Typer, words: Words) -> None:
    """Add the command in one language."""

    @commands.command("bp24", help=words("bp24.command"))
    def bp24(
        file: Annotated[Path, typer.Argument(help=words("bp24.file"))],
        as_json: Annotated[bool, typer.Option("--json", help=words("bp24.json"))] = False,
        rose: Annotated[str | None, typer.Option("--rose", help=words("bp24.rose"))] = None,
        bed: Annotated[str | None, typer.Option("--bed", help=words("bp24.bed"))] = None,
        age: Annotated[float | None, typer.Option("--age", min=0, max=130, help=words("bp24.age"))] = None,
        columns: Annotated[str | None, typer.Option("--columns", help=words("bp24.columns"))] = None,
        unit: Annotated[str | None, typer.Option("--unit", help=words("bp24.unit"))] = None,
        dates: Annotated[str | None, typer.Option("--dates", help=words("bp24.dates"))] = None,
        svg: Annotated[Path | None, typer.Option("--svg", help=words("bp24.svg"))] = None,
    ) -> None:
        from zhenbao.formats.bp_csv import read_bp_series
        from zhenbao.signal.bp24 import analyse_bp24, judged_readings

        series = read_bp_series(file, columns=columns, unit=unit, dates=dates)
        analysis = analyse_bp24(series, rose=rose, went_to_bed=bed, age_years=age)
        # What no heart produces is told with the others that are not valid.
        series = replace(series, readings=judged_readings(series))
        if svg is not None:
            _draw(svg, series, analysis, words)
        typer.echo(_json(series, analysis) if as_json else "\n".join(page(file.name, series, analysis, words)))


def _json(series: "BpSeries", analysis: "Bp24Analysis") -> str:
    """Everything, as read and as found; the fields are in ``docs/bp24.md``."""
    import json

    import msgspec

    told: dict[str, Any] = {
        "analysis": msgspec.to_builtins(analysis),
        "series": msgspec.to_builtins(series),
        "preliminary": True,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def page(name: str, series: "BpSeries", analysis: "Bp24Analysis", words: Words) -> list[str]:
    """What a doctor reads: whether it can be judged, the means, the fall at night, findings, and what is not said."""
    from zhenbao import rules

    lines = [
        words("bp24.head", name=name),
        words(
            "bp24.span",
            first=analysis.first_at.replace("T", " ")[:16],
            last=analysis.last_at.replace("T", " ")[:16],
            hours=analysis.span_h,
        ),
        words(f"bp24.hours_{analysis.times_from}", day=analysis.day_from, night=analysis.night_from),
        "",
    ]
    if not analysis.enough:
        lines.append(
            "! " + words("bp24.lacking", list=words("bp24.comma").join(_lacking(c, words) for c in analysis.lacking))
        )
        lines.append("")
    lines.append(words("bp24.row_head"))
    lines += [_row(part, getattr(analysis, part), words) for part in ("whole", "day", "night")]
    valid = words("bp24.valid", percent=analysis.valid_percent, valid=analysis.whole.valid, count=_attempts(series))
    lines += ["", valid, _dip(analysis, words)]
    highest = max(
        (r for r in series.readings if r.valid and r.systolic_mmhg is not None),
        key=lambda r: r.systolic_mmhg or 0.0,
        default=None,
    )
    if highest is not None:
        lines.append(
            words(
                "bp24.highest",
                systolic=highest.systolic_mmhg,
                diastolic=highest.diastolic_mmhg,
                at=highest.at.replace("T", " ")[:16],
            )
        )
    lines += ["", words("bp24.findings")]
    for finding in analysis.findings:
        rule = rules.rule(finding.rule_id)
        urgency = words(f"urgency.{finding.urgency}")
        lines.append(f"  {finding.urgency.mark} {urgency} {rule.label(words.language)} [{finding.rule_id}]")
        if action := rule.action(words.language):
            lines.append("    " + words("bp24.action", action=action))
    if not analysis.findings:
        judged = analysis.enough and "child" not in analysis.limits
        lines.append("  " + words("bp24.none_found" if judged else "bp24.not_judged"))
    lines += _not_valid(series, words)
    lines += ["", words("bp24.limits"), *(f"  {words(f'bp24_limit.{limit}')}" for limit in analysis.limits)]
    if series.left_out:
        lines.append("  " + words("bp24.left_out", names=words("bp24.comma").join(series.left_out)))
    return [*lines, "", words("preliminary")]


def _attempts(series: "BpSeries") -> int:
    return len(series.readings) + sum(row.reason != "repeated" for row in series.damaged)


def _lacking(code: str, words: Words) -> str:
    from zhenbao.signal.bp24.analyse import criteria

    least = criteria()["valid"]
    return words(f"bp24.lacking_{code}", least=least["percent" if code == "percent" else f"{code}_readings"])


def _row(part: str, period: "Period", words: Words) -> str:
    def number(value: float | None, width: int, decimals: int = 0) -> str:
        # Half upwards, as the rules read it: 134.5 is shown and judged as 135.
        shown = (
            words("bp24.nothing") if value is None else f"{int(value * 10**decimals + 0.5) / 10**decimals:.{decimals}f}"
        )
        return shown.rjust(width)

    return (
        f"  {words(f'bp24.{part}')}"
        f"{number(period.systolic_mmhg, 6)} /{number(period.diastolic_mmhg, 4)}"
        f"{number(period.systolic_sd_mmhg, 8, 1)} /{number(period.diastolic_sd_mmhg, 5, 1)}"
        f"{number(period.pulse_per_min, 7)}"
        f"{period.valid:>7} / {period.attempts}"
    )


def _dip(analysis: "Bp24Analysis", words: Words) -> str:
    systolic, diastolic = analysis.dip_systolic_percent, analysis.dip_diastolic_percent
    if systolic is None or diastolic is None:
        return words("bp24.dip_none")
    kind = words(f"bp24_dipping.{analysis.dipping}") if analysis.dipping else words("bp24.dip_not_judged")
    return words("bp24.dip", systolic=systolic, diastolic=diastolic, kind=kind)


def _not_valid(series: "BpSeries", words: Words) -> list[str]:
    told = [
        words("bp24.not_valid", row=r.row, at=r.at.replace("T", " ")[:16], why=_why(r.reason, r.told, words))
        for r in series.readings
        if not r.valid
    ]
    told += [words("bp24.damaged", row=d.row, why=_why(d.reason, d.cell, words)) for d in series.damaged]
    if not told:
        return []
    more = [words("bp24.more", count=len(told) - _MOST_LISTED)] if len(told) > _MOST_LISTED else []
    return ["", words("bp24.set_aside", count=len(told)), *(f"  {t}" for t in told[:_MOST_LISTED] + more)]


def _why(reason: str, told: str, words: Words) -> str:
    shown = "".join(c for c in told if c.isprintable())[:30]
    why = words(f"bp24_reason.{reason}")
    return words("bp24.why", reason=why, told=shown) if shown else why


def _draw(place: Path, series: "BpSeries", analysis: "Bp24Analysis", words: Words) -> None:
    """The course into a file; one that exists is replaced only by a whole one.

    Raises:
        StorageError: ``analyse-write``.
    """
    from datetime import datetime, time, timedelta

    from zhenbao import rules
    from zhenbao.figures.bp_course import CoursePoint, Limits, bp_course

    points = [
        CoursePoint(datetime.fromisoformat(r.at), *((r.systolic_mmhg, r.diastolic_mmhg) if r.valid else (None, None)))
        for r in series.readings
    ]
    start, end = time.fromisoformat(analysis.night_from), time.fromisoformat(analysis.day_from)
    first = points[0].at.date() - timedelta(days=1)
    nights = []
    for days in range((points[-1].at.date() - first).days + 1):
        dusk = datetime.combine(first + timedelta(days=days), start)
        dawn = datetime.combine(dusk.date() + timedelta(days=end <= start), end)
        nights.append((dusk, dawn))
    day, night = (tuple(float(n) for n in rules.rule(row).value.split("/")) for row in ("BP22", "BP23"))
    header = [
        words("bp24.figure_head", first=analysis.first_at[:10], hours=analysis.span_h, valid=analysis.valid_percent),
        words(f"bp24.hours_{analysis.times_from}", day=analysis.day_from, night=analysis.night_from),
    ]
    if not analysis.enough:
        header.append(words("bp24.figure_lacking"))
    drawn = bp_course(points, nights, Limits((day[0], day[1]), (night[0], night[1])), words=words, header=header)
    partial = place.with_name(place.name + ".part")
    try:
        partial.write_text(drawn, encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError("analyse-write", name=place.name, reason=error.strerror or "") from error
