"""What a doctor reads on the screen of a session: whether it is any good, what is hinted at, the numbers, the blows."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from zhenbao.paper import spirometry_wording as wording
from zhenbao.paper.spirometry_report import CARRYING
from zhenbao.paper.spirometry_table import table_rows

if TYPE_CHECKING:
    from pathlib import Path

    from zhenbao.formats.spirometry_file import SpirometryFile
    from zhenbao.paper import Examined, SpirometryReport
    from zhenbao.words import Words


def screen_lines(file: Path, read: SpirometryFile, report: SpirometryReport, words: Words) -> list[str]:
    """The whole screen, line by line."""
    count = len(report.before.analysis.blows)
    lines = [
        words("analyse_spirometry.head", name=file.name, format=read.format.upper(), count=count),
        wording.person_line(report, words),
        wording.exam_line(report, words),
    ]
    if read.left_out:
        lines.append(words("analyse_spirometry.left_out", names=" ".join(read.left_out)))
    if any(examined.worse_grade not in CARRYING for examined in (report.before, report.after) if examined):
        lines += ["", words("analyse_spirometry.repeat")]
    lines += ["", words("spirometry_page.quality"), *_indented(wording.quality_lines(report, words))]
    lines += ["", words("spirometry_page.conclusion"), *_indented(wording.verdict_lines(report, words))]
    lines += _indented(wording.change_lines(report, words))
    for line, action in wording.finding_lines(report, words):
        lines += [f"  {line}", *([f"      {action}"] if action else [])]
    lines += ["", *_table(report, words)]
    lines += ["", words("analyse_spirometry.blows"), *_blows(report.before, words)]
    if report.after is not None:
        lines += [words("spirometry_page.after_head"), *_blows(report.after, words)]
    notes = wording.note_lines(report, words)
    # What is said of the picture is not for the screen.
    notes = [note for note in notes if note != words("spirometry_page.note_no_flows")]
    if notes:
        lines += ["", words("spirometry_page.notes"), *_indented(notes)]
    lines += ["", words("paper.limits"), *_indented(wording.limit_lines(report, words))]
    return [*lines, "", words("preliminary")]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _table(report: SpirometryReport, words: Words) -> list[str]:
    none = words("spirometry_page.none")
    heads = ["index", "measured", "predicted", "lln", "percent", "z"]
    if report.after is not None:
        heads += ["after", "after_percent", "change_column"]
    table = [[words(f"spirometry_page.{head}") for head in heads]]
    for row in table_rows(report):

        def value(number: float | None, sure: bool = True, decimals: int = row.decimals, sign: str = "") -> str:
            text = none if number is None else f"{number:{sign}.{decimals}f}"
            return text if sure or number is None else f"({text})"

        low = words("spirometry_page.low") if row.z is not None and row.z < report.bounds.z[0] else ""
        cells = [
            words(f"spirometry_index.{row.key}"),
            value(row.measured, row.sure),
            value(row.predicted),
            value(row.lln),
            value(row.percent, decimals=1),
            low + value(row.z, decimals=2, sign="+"),
        ]
        if report.after is not None:
            is_low = row.after_z is not None and row.after_z < report.bounds.z[0]
            low_after = words("spirometry_page.low") if is_low else ""
            cells += [
                value(row.after, row.after_sure),
                low_after + value(row.after_percent, decimals=1),
                value(row.change, sign="+"),
            ]
        table.append(cells)
    widths = [max(_width(row[i]) for row in table) for i in range(len(heads))]
    return [
        "  " + _padded(row[0], widths[0], left=True) + "".join(
            "  " + _padded(cell, width) for cell, width in zip(row[1:], widths[1:], strict=True)
        )
        for row in table
    ]  # fmt: skip


def _blows(examined: Examined, words: Words) -> list[str]:
    lines = []
    none = words("spirometry_page.none")
    for i, blow in enumerate(examined.analysis.blows):
        best = i == examined.analysis.session.best_blow
        lines.append(
            words(
                "analyse_spirometry.blow",
                name=words(f"spirometry_page.{'blow_best' if best else 'blow_number'}", number=examined.numbers[i]),
                fev1=none if blow.fev1_l is None else f"{blow.fev1_l:.2f}",
                fvc=f"{blow.fvc_l:.2f}" if blow.fvc_l > 0 else none,
                pef=f"{blow.pef_l_s:.2f}" if blow.pef_l_s > 0 else none,
                fev1_verdict=wording.blow_verdict(blow.fev1_acceptable, blow.fev1_usable, words),
                fvc_verdict=wording.blow_verdict(blow.fvc_acceptable, blow.fvc_usable, words),
            )
        )
        if reasons := wording.blow_reasons(blow, words):
            lines.append(f"      {reasons}")
    return lines


def _width(text: str) -> int:
    """Columns of a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, *, left: bool = False) -> str:
    space = " " * (width - _width(text))
    return text + space if left else space + text
