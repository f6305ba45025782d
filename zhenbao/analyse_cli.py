"""``zhenbao analyse``: a recording from a file, read on the spot, on the screen, as JSON, or on calibrated paper.

Stands beside :mod:`zhenbao.cli`: it joins formats, analysis and paper, which do not know each other.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.analyse_summary import register as register_summary
from zhenbao.model.errors import InputError, StorageError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.formats.ecg_file import EcgFile
    from zhenbao.model.ecg import EcgAnalysis
    from zhenbao.model.recording import Recording

_SEXES = ("male", "female")
_LAYOUTS = ("3x4", "6x2")
_LONG_S = 600.0
"""Longer recordings say on stderr that work is going on."""
_FINEST_MV = 0.001
_MOST_LISTED = 8


def app(words: Words) -> typer.Typer:
    """The sub-commands in one language."""
    commands = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

    @commands.callback()
    def group() -> None:
        """Keeps ``ecg`` a sub-command."""

    @commands.command("ecg", help=words("analyse.ecg"))
    def ecg(
        file: Annotated[Path, typer.Argument(help=words("analyse.file"))],
        as_json: Annotated[bool, typer.Option("--json", help=words("analyse.json"))] = False,
        png: Annotated[Path | None, typer.Option("--png", help=words("analyse.png"))] = None,
        pdf: Annotated[Path | None, typer.Option("--pdf", help=words("analyse.pdf"))] = None,
        svg: Annotated[Path | None, typer.Option("--svg", help=words("analyse.svg"))] = None,
        layout: Annotated[str, typer.Option("--layout", help=words("analyse.layout"))] = "3x4",
        sex: Annotated[str | None, typer.Option("--sex", help=words("analyse.sex"))] = None,
        age: Annotated[float | None, typer.Option("--age", min=0, max=130, help=words("analyse.age"))] = None,
        highpass: Annotated[float | None, typer.Option("--highpass", min=0, help=words("analyse.highpass"))] = None,
        zero_phase: Annotated[bool, typer.Option("--zero-phase", help=words("analyse.zero_phase"))] = False,
        rate: Annotated[float | None, typer.Option("--rate", min=50, max=10000, help=words("analyse.rate"))] = None,
        unit: Annotated[str | None, typer.Option("--unit", help=words("analyse.unit"))] = None,
        profile: Annotated[str | None, typer.Option("--profile", help=words("analyse.profile"))] = None,
    ) -> None:
        if sex not in (None, *_SEXES):
            raise InputError("analyse-sex")
        if layout not in _LAYOUTS:
            raise InputError("analyse-layout")
        from zhenbao.formats.read import read_ecg
        from zhenbao.signal.ecg import analyse_ecg
        from zhenbao.signal.ecg.twelve import PROFILES

        if profile is not None and profile not in PROFILES:
            # A slip of the pen must not quietly choose other limits.
            raise InputError("analyse-profile", known=" ".join(PROFILES))

        read = read_ecg(file, fs_hz=rate, unit=unit)
        person_sex, person_age = sex or read.sex, read.age_years if age is None else age
        cut_hz = read.highpass_hz if highpass is None else highpass
        if read.ecg_mv.shape[1] > _LONG_S * read.fs_hz:
            sys.stderr.write(words("analyse.working", minutes=read.ecg_mv.shape[1] / read.fs_hz / 60) + "\n")
        analysis = analyse_ecg(
            read.ecg_mv,
            read.fs_hz,
            read.lead_names,
            sex=person_sex,
            age_years=person_age,
            highpass_hz=cut_hz,
            zero_phase=zero_phase,
            profile=profile,
        )
        _draw(read, analysis, cut_hz, words, layout, png=png, pdf=pdf, svg=svg)
        if as_json:
            typer.echo(_json(read, analysis, cut_hz, zero_phase, person_sex, person_age))
        else:
            typer.echo("\n".join(_page(file, read, analysis, cut_hz, words)))

    register_summary(commands, words)
    return commands


def _page(file: Path, read: "EcgFile", analysis: "EcgAnalysis", highpass_hz: float | None, words: Words) -> list[str]:
    """What a doctor reads: whether it is any good, what was found, what was measured, what is not said."""
    from zhenbao.paper import wording

    separator = words("analyse.separator")
    known = words("analyse.filter", low=highpass_hz) if highpass_hz is not None else words("analyse.filter_unknown")
    lines = [
        words("analyse.head", name=file.name, format=read.format.upper()),
        separator.join(
            [
                words("analyse.leads", count=len(read.lead_names), names=" ".join(read.lead_names)),
                words("analyse.length", seconds=read.ecg_mv.shape[1] / read.fs_hz, rate=read.fs_hz),
                known,
            ]
        ),
    ]
    if read.left_out:
        lines.append(words("analyse.left_out", names=" ".join(read.left_out)))
    quality = wording.quality_lines(analysis, words)
    if not analysis.quality.acceptable:
        lines += ["", words("analyse.repeat")]
    lines += ["", words("paper.quality_line", text=quality[0]), *(f"  {line}" for line in quality[1:])]
    lines += ["", words("paper.findings")]
    # The most urgent first; the order of equals is that of the rules.
    for finding in sorted(analysis.findings, key=lambda f: f.urgency.rank):
        lines.append(f"  {wording.finding_line(finding, analysis, words)}")
        if action := wording.action_line(finding, words):
            lines.append(f"      {action}")
    if not analysis.findings:
        lines.append(f"  {words('paper.none')}")
    lines += ["", words("analyse.measured"), f"  {separator.join(wording.measurements(analysis, words))}"]
    if beats := _beats(analysis, words):
        lines.append(f"  {beats}")
    lines += [f"  {line}" for line in _stretches(analysis, words)]
    lines += [f"  {line}" for line in _st(analysis, words)]
    if analysis.hints:
        lines += ["", words("paper.hints")]
        lines += [f"  {wording.hint_line(hint, analysis, words)}" for hint in analysis.hints]
    lines += ["", words("paper.limits"), *(f"  {wording.limit_line(limit, words)}" for limit in analysis.limits)]
    return [*lines, "", words("preliminary")]


def _beats(analysis: "EcgAnalysis", words: Words) -> str:
    counts = {name: analysis.classes.count(name) for name in "NSVF/?"}
    some = [words(f"beat_class.{_CLASS_WORD[name]}", count=count) for name, count in counts.items() if count]
    return words("analyse.beats", count=len(analysis.beats), text=words("paper.comma").join(some)) if some else ""


_CLASS_WORD = {"N": "normal", "S": "supraventricular", "V": "ventricular", "F": "fusion", "/": "paced", "?": "unknown"}


def _stretches(analysis: "EcgAnalysis", words: Words) -> list[str]:
    """Rhythm by time, where there is more than one."""
    if len(analysis.stretches) < 2:
        return []
    lines = [
        words(
            "analyse.stretch",
            start=s.start / analysis.fs_hz,
            stop=s.stop / analysis.fs_hz,
            rhythm=words(f"rhythm.{s.rhythm}"),
            confidence=words(f"ecg_confidence.{s.confidence}"),
        )
        for s in analysis.stretches[:_MOST_LISTED]
    ]
    more = len(analysis.stretches) - len(lines)
    return [*lines, words("analyse.stretches_more", count=more)] if more else lines


def _st(analysis: "EcgAnalysis", words: Words) -> list[str]:
    if analysis.st_mm is None:
        return [words("paper.st_none")]
    later = analysis.st60_mm or {}
    parts = [
        words("analyse.st_lead", lead=lead, j=value, j60=later[lead]) if lead in later else f"{lead} {value:+.1f}"
        for lead, value in analysis.st_mm.items()
    ]
    half = -(-len(parts) // 2)
    return [words("analyse.st"), *("  " + "  ".join(row) for row in (parts[:half], parts[half:]) if row)]


def _json(
    read: "EcgFile",
    analysis: "EcgAnalysis",
    highpass_hz: float | None,
    zero_phase: bool,
    sex: str | None,
    age_years: float | None,
) -> str:
    """Everything, as the analysis has it; the fields are in ``docs/analyse.md``."""
    import json

    import msgspec

    told: dict[str, Any] = {
        "file": {
            "format": read.format,
            "leads": read.lead_names,
            "left_out": read.left_out,
            "fs_hz": read.fs_hz,
            "duration_s": round(read.ecg_mv.shape[1] / read.fs_hz, 3),
            "highpass_hz": highpass_hz,
            "lowpass_hz": read.lowpass_hz,
            "zero_phase": zero_phase,
        },
        "person": {"sex": sex, "age_years": age_years},
        "analysis": msgspec.to_builtins(analysis),
        "preliminary": True,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def _draw(
    read: "EcgFile",
    analysis: "EcgAnalysis",
    highpass_hz: float | None,
    words: Words,
    layout: str,
    *,
    png: Path | None,
    pdf: Path | None,
    svg: Path | None,
) -> None:
    """The first page as PNG and SVG, all pages as PDF; a file that exists is replaced only by a whole one."""
    if not (png or pdf or svg):
        return
    from zhenbao.paper import ecg_page, to_pdf, to_png, to_svg

    pages = ecg_page(_recording(read, highpass_hz), analysis, words=words, layout="6x2" if layout == "6x2" else "3x4")
    for place, kind in ((svg, "svg"), (png, "png"), (pdf, "pdf")):
        if place is None:
            continue
        data = to_svg(pages[0]).encode() if kind == "svg" else to_png(pages[0]) if kind == "png" else to_pdf(pages)
        partial = place.with_name(place.name + ".part")
        try:
            partial.write_bytes(data)
            partial.replace(place)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageError("analyse-write", name=place.name, reason=error.strerror or "") from error


def _recording(read: "EcgFile", highpass_hz: float | None) -> "Recording":
    """For drawing: microvolts, or as fine as 16 bits hold."""
    from uuid import uuid4

    import numpy as np

    from zhenbao.model.recording import NO_VALUE, Recording

    known = np.isfinite(read.ecg_mv)
    tallest = float(np.abs(np.where(known, read.ecg_mv, 0.0)).max(initial=0.0))
    lsb = max(_FINEST_MV, tallest / 32000)
    samples = np.where(known, np.round(np.where(known, read.ecg_mv, 0.0) / lsb), NO_VALUE).astype("<i2")
    return Recording(
        uuid4(),
        uuid4(),
        "ecg",
        read.fs_hz,
        read.lead_names,
        "mV",
        lsb,
        0,
        np.ascontiguousarray(samples.T).tobytes(),
        highpass_hz=highpass_hz,
        lowpass_hz=read.lowpass_hz,
    )
