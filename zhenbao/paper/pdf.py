"""Pages as PDF: vectors, text that can be searched, and only the characters used of an embedded font.

Drawn with fpdf2; the font is Noto Sans SC (SIL Open Font License 1.1), installed with the extra ``paper``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from zhenbao.model.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fpdf import FPDF

    from zhenbao.paper.sheet import Sheet

_SVG = "{http://www.w3.org/2000/svg}"
_POINTS_PER_MM = 72 / 25.4
_COMMAND = re.compile(r"([MLHVl])([^MLHVl]*)")
_UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""The same pages are the same bytes; when something was recorded stands on the page."""


def to_pdf(pages: Sequence[Sheet]) -> bytes:
    """One document of all pages, each in its own size.

    Raises:
        StorageError: ``paper-missing``: the extra ``paper`` is not installed.
    """
    fpdf, font = _printer()
    document = fpdf(unit="mm", format=(297, 210))
    document.set_creation_date(_UNDATED)
    document.set_auto_page_break(False)
    document.set_margin(0)
    document.c_margin = 0
    document.add_font("page", fname=str(font))
    for page in pages:
        document.add_page(format=(page.width, page.height))
        _draw(document, page.svg())
    return bytes(document.output())


def _printer() -> tuple[type[FPDF], Path]:
    try:
        from fpdf import FPDF
        from pylopdf_fonts_zh_cn import sans_path
    except ImportError:
        raise StorageError("paper-missing") from None
    return FPDF, sans_path()


def _draw(document: FPDF, svg: str) -> None:
    """What `zhenbao.figures.svg` makes, element by element, in the order in which it stands there."""
    for element in ElementTree.fromstring(svg):  # noqa: S314 - our own
        if element.tag == f"{_SVG}path":
            _path(document, element)
        elif element.tag == f"{_SVG}text":
            _text(document, element)
        elif element.tag == f"{_SVG}rect":
            _area(document, element)


def _path(document: FPDF, element: ElementTree.Element) -> None:
    with document.new_path() as path:
        path.style.stroke_color = element.attrib["stroke"]
        path.style.fill_color = None
        path.style.stroke_width = float(element.attrib["stroke-width"])
        path.style.stroke_cap_style = "round"
        path.style.stroke_join_style = "round"
        path.style.auto_close = False
        if dash := element.attrib.get("stroke-dasharray"):
            path.style.stroke_dash_pattern = [float(n) for n in dash.replace(",", " ").split()]
        for start, x, y in _strokes(element.attrib["d"]):
            if start:
                path.move_to(x, y)
            else:
                path.line_to(x, y)


def _area(document: FPDF, element: ElementTree.Element) -> None:
    """A filled rectangle. The white one under every page is the paper itself."""
    if element.attrib["fill"] == "#ffffff":
        return
    box = {name: float(element.attrib.get(name, "0")) for name in ("x", "y", "width", "height")}
    with document.new_path() as path:
        path.style.stroke_color = None
        path.style.fill_color = element.attrib["fill"]
        path.rectangle(box["x"], box["y"], box["width"], box["height"])


def _strokes(data: str) -> Iterator[tuple[bool, float, float]]:
    """Begins a stroke, x, y: of path data with absolute M, L, H and V, and the dot ``l0 0``."""
    x = y = 0.0
    for command, text in _COMMAND.findall(data):
        numbers = [float(n) for n in text.split()]
        if command == "l":
            yield False, x, y
        elif command in "HV":
            x, y = (numbers[0], y) if command == "H" else (x, numbers[0])
            yield False, x, y
        else:
            for i in range(0, len(numbers), 2):
                x, y = numbers[i], numbers[i + 1]
                yield command == "M" and i == 0, x, y


def _text(document: FPDF, element: ElementTree.Element) -> None:
    text = "".join(element.itertext())
    attributes = element.attrib
    x, y = float(attributes["x"]), float(attributes["y"])
    document.set_font("page", size=float(attributes["font-size"]) * _POINTS_PER_MM)
    document.set_text_color(attributes["fill"])
    width = document.get_string_width(text)
    x -= {"start": 0.0, "middle": width / 2, "end": width}[attributes["text-anchor"]]
    if "transform" in attributes:
        with document.rotation(90, float(attributes["x"]), y):
            document.text(x, y, text)
    else:
        document.text(x, y, text)
