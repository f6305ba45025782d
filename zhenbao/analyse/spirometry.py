"""``zhenbao analyse spirometry``: grades, class and the page of a session of blows from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhenbao.analyse.pictures import write_pictures
from zhenbao.model.errors import InputError
from zhenbao.words import Words

if TYPE_CHECKING:
    from zhenbao.formats.spirometry_file import SpirometryFile
    from zhenbao.paper import Examined, SpirometryReport

_SEXES = ("male", "female")


@dataclass(frozen=True, slots=True)
class Person:
    """Of whom the blows are, and by which equation; None is unknown."""

    sex: str | None
    age_years: float | None
    height_cm: float | None
    equation: str | None
    ethnicity: str | None
    flow_equation: str | None


def add(commands: typer.Typer, words: Words) -> None:
    """Add the command in one language."""

    @commands.command("spirometry", help=words("analyse_spirometry.about"))
    def spirometry(
        file: Annotated[Path, typer.Argument(help=words("analyse_spirometry.file"))],
        as_json: Annotated[bool, typer.Option("--json", help=words("analyse_spirometry.json"))] = False,
        png: Annotated[Path | None, typer.Option("--png", help=words("analyse_spirometry.png"))] = None,
        pdf: Annotated[Path | None, typer.Option("--pdf", help=words("analyse_spirometry.pdf"))] = None,
        svg: Annotated[Path | None, typer.Option("--svg", help=words("analyse_spirometry.svg"))] = None,
        sex: Annotated[str | None, typer.Option("--sex", help=words("analyse_spirometry.sex"))] = None,
        age: Annotated[
            float | None, typer.Option("--age", min=0, max=130, help=words("analyse_spirometry.age"))
        ] = None,
        height: Annotated[
            float | None, typer.Option("--height", min=30, max=272, help=words("analyse_spirometry.height"))
        ] = None,
        equation: Annotated[str | None, typer.Option("--equation", help=words("analyse_spirometry.equation"))] = None,
        flows: Annotated[str | None, typer.Option("--flows", help=words("analyse_spirometry.flows"))] = None,
        ethnicity: Annotated[
            str | None, typer.Option("--ethnicity", help=words("analyse_spirometry.ethnicity"))
        ] = None,
        post_file: Annotated[
            Path | None, typer.Option("--post-file", help=words("analyse_spirometry.post_file"))
        ] = None,
        post_only: Annotated[bool, typer.Option("--post", help=words("analyse_spirometry.post"))] = False,
        columns: Annotated[str | None, typer.Option("--columns", help=words("analyse_spirometry.columns"))] = None,
        restarts: Annotated[bool, typer.Option("--time-restarts", help=words("analyse_spirometry.restarts"))] = False,
        ambient_c: Annotated[
            float | None, typer.Option("--ambient-c", min=0, max=50, help=words("analyse_spirometry.ambient"))
        ] = None,
        pressure_kpa: Annotated[
            float, typer.Option("--pressure-kpa", min=40, max=120, help=words("analyse_spirometry.pressure"))
        ] = 101.325,
        taken: Annotated[str | None, typer.Option("--taken", help=words("analyse_spirometry.taken"))] = None,
        device: Annotated[str | None, typer.Option("--device", help=words("analyse_spirometry.device"))] = None,
    ) -> None:
        if sex not in (None, *_SEXES):
            raise InputError("analyse-sex")
        if post_only and post_file is not None:
            raise InputError("analyse-post-twice")
        if ethnicity is not None and equation != "gli2012":
            raise InputError("analyse-ethnicity")
        from zhenbao.analyse.spirometry_session import report_of
        from zhenbao.analyse.spirometry_text import screen_lines
        from zhenbao.formats.read_spirometry import read_spirometry

        read = read_spirometry(file, columns=columns, restarts=restarts)
        after = read_spirometry(post_file, columns=columns, restarts=restarts) if post_file is not None else None
        person = Person(
            sex or read.sex,
            read.age_years if age is None else age,
            read.height_cm if height is None else height,
            equation,
            ethnicity,
            flows,
        )
        report = report_of(
            read,
            after,
            person,
            words,
            post_only=post_only,
            ambient_c=ambient_c,
            pressure_kpa=pressure_kpa,
            taken=taken or read.taken,
            device=device or read.device,
        )
        if png or pdf or svg:
            from zhenbao.paper import spirometry_page

            write_pictures([spirometry_page(report, words=words)], png=png, pdf=pdf, svg=svg)
        if as_json:
            typer.echo(_json(read, after, person, report))
        else:
            typer.echo("\n".join(screen_lines(file, read, report, words)))


def _json(read: "SpirometryFile", after: "SpirometryFile | None", person: Person, report: "SpirometryReport") -> str:
    """Everything, as the analysis has it; the fields are in ``docs/spirometry-files.md``."""
    import json

    import msgspec

    from zhenbao.paper.spirometry_table import table_rows

    told: dict[str, Any] = {
        "file": _file(read, report.before),
        "post_file": _file(after, report.after) if after is not None and report.after is not None else None,
        "person": {"sex": person.sex, "age_years": person.age_years, "height_cm": person.height_cm},
        "taken": report.taken,
        "device": report.device,
        "equation": {
            "key": report.before.analysis.equation,
            "name": report.equation,
            "group": report.before.analysis.group or None,
            "flows": person.flow_equation,
            "chosen": report.before.analysis.equation_chosen,
        },
        "post_only": report.post_only,
        "analysis": msgspec.to_builtins(report.before.analysis),
        "post_analysis": msgspec.to_builtins(report.after.analysis) if report.after is not None else None,
        "table": [msgspec.to_builtins(row) for row in table_rows(report)],
        "bronchodilator": {name: msgspec.to_builtins(change) for name, change in report.changes.items()},
        "preliminary": True,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def _file(read: "SpirometryFile", examined: "Examined") -> dict[str, Any]:
    return {
        "format": read.format,
        "measured": read.measured,
        "btps": read.btps,
        "blows": list(examined.numbers),
        "incomplete": list(read.incomplete),
        "left_out": list(read.left_out),
    }
