"""``zhenbao analyse bp24``: means of day, night and 24 h, dipping, and the course, of a recorder's exported series."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.model.errors import StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.model.bp_series import Bp24Analysis, Bp24Recording, BpSeries


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
        png: Annotated[Path | None, typer.Option("--png", help=words("bp24.png"))] = None,
        pdf: Annotated[Path | None, typer.Option("--pdf", help=words("bp24.pdf"))] = None,
    ) -> None:
        from zhenbao.analyse.pictures import write_pictures
        from zhenbao.formats.bp_csv import read_bp_series
        from zhenbao.model.bp_series import Bp24Recording
        from zhenbao.paper.bp24 import bp24_page
        from zhenbao.signal.bp24 import analyse_bp24, judged_readings

        series = read_bp_series(file, columns=columns, unit=unit, dates=dates)
        analysis = analyse_bp24(series, rose=rose, went_to_bed=bed, age_years=age)
        # What no heart produces is told with the others that are not valid.
        series = replace(series, readings=judged_readings(series))
        recording = Bp24Recording(analysis, series.readings, series.damaged)
        if svg is not None:
            _draw(svg, recording, words)
        write_pictures([bp24_page(recording, words=words)] if png or pdf else [], png=png, pdf=pdf, svg=None)
        typer.echo(_json(series, analysis) if as_json else "\n".join(page(file.name, series, recording, words)))


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


def page(name: str, series: "BpSeries", recording: "Bp24Recording", words: Words) -> list[str]:
    """What a doctor reads: whether it can be judged, the means, the fall at night, findings, and what is not said."""
    from zhenbao.paper import bp24_wording as wording

    lines = [words("bp24.head", name=name), *wording.span_lines(recording.analysis, words), ""]
    if lacking := wording.lacking_line(recording.analysis, words):
        lines += [f"! {lacking}", ""]
    lines += [words("bp24.row_head"), *wording.mean_lines(recording.analysis, words)]
    lines += ["", *wording.quality_lines(recording, words), "", words("bp24.findings")]
    lines += [f"  {line}" for line in wording.finding_lines(recording.analysis, words)]
    lines += wording.not_valid_lines(recording, words)
    lines += ["", words("bp24.limits"), *(f"  {line}" for line in wording.limit_lines(recording.analysis, words))]
    if series.left_out:
        lines.append("  " + words("bp24.left_out", names=words("bp24.comma").join(series.left_out)))
    return [*lines, "", words("preliminary")]


def _draw(place: Path, recording: "Bp24Recording", words: Words) -> None:
    """The course into a file; one that exists is replaced only by a whole one.

    Raises:
        StorageError: ``analyse-write``.
    """
    from zhenbao.figures.bp_course import bp_course, course_of

    analysis = recording.analysis
    header = [
        words("bp24.figure_head", first=analysis.first_at[:10], hours=analysis.span_h, valid=analysis.valid_percent),
        words(f"bp24.hours_{analysis.times_from}", day=analysis.day_from, night=analysis.night_from),
    ]
    if not analysis.enough:
        header.append(words("bp24.figure_lacking"))
    points, nights, limits = course_of(recording)
    drawn = bp_course(points, nights, limits, words=words, header=header)
    partial = place.with_name(place.name + ".part")
    try:
        partial.write_text(drawn, encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError("analyse-write", name=place.name, reason=error.strerror or "") from error
