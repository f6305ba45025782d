"""Sheets of A4, lying, and text that flows down their columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from zhenbao.figures.svg import INK, Page

WIDTH_MM, HEIGHT_MM = 297.0, 210.0
LEFT_MM, RIGHT_MM, BOTTOM_MM = 10.0, 287.0, 200.0
_NARROW = frozenset(" .,;:'|!iIjltfr()[]/-")
_BROAD = frozenset("mwMW%@—")

Sheet = Page
"""One page; `to_svg` is its text."""


def to_svg(page: Sheet) -> str:
    """The page as an SVG document."""
    return page.svg()


def text_mm(text: str, size_mm: float) -> float:
    """An upper bound of the width of a text in the font of the pages: Chinese one em, Latin by three groups."""
    return size_mm * sum(_em(character) for character in text)


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WFA":
        return 1.0
    return 0.4 if character in _NARROW else 0.95 if character in _BROAD else 0.65


def wrapped(text: str, size_mm: float, width_mm: float) -> Iterator[str]:
    """Lines no wider than ``width_mm``; Latin words stay whole where they fit."""
    line = ""
    for piece in _pieces(text):
        if line and text_mm(line + piece.rstrip(), size_mm) > width_mm:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
        while len(line) > 1 and text_mm(line.rstrip(), size_mm) > width_mm:
            cut = next(n for n in range(len(line), 0, -1) if n == 1 or text_mm(line[:n], size_mm) <= width_mm)
            yield line[:cut]
            line = line[cut:]
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Where a line may break: after a space, and around Chinese characters, never before closing punctuation."""
    piece = ""
    for character in text:
        wide = unicodedata.east_asian_width(character) in "WF"
        closing = character in "，。；：、）！？"
        if piece and not closing and (piece[-1] == " " or wide or unicodedata.east_asian_width(piece[-1]) in "WF"):
            if piece[-1] == "（":
                piece += character
                continue
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


class Column:
    """Lines one below the other, from ``top_mm`` to at most ``bottom_mm`` (both y of a page)."""

    def __init__(self, page: Page, x_mm: float, width_mm: float, top_mm: float, bottom_mm: float) -> None:
        self.page, self.x_mm, self.width_mm, self.y_mm, self.bottom_mm = page, x_mm, width_mm, top_mm, bottom_mm

    def fits(self, text: str, *, size: float = 3.4, more_mm: float = 0.0) -> bool:
        """Whether all of the text, and ``more_mm`` besides, still has room."""
        return self.y_mm + self.height_mm(text, size=size) + more_mm <= self.bottom_mm

    def height_mm(self, text: str, *, size: float = 3.4) -> float:
        """What a text takes of the column."""
        return 1.4 * size * sum(1 for _ in wrapped(text, size, self.width_mm))

    def add(self, text: str, *, size: float = 3.4, fill: str = INK) -> None:
        """Write a text, wrapped."""
        for line in wrapped(text, size, self.width_mm):
            self.y_mm += 1.4 * size
            self.page.text(self.x_mm, self.y_mm, line, size=size, fill=fill)

    def add_items(self, items: Iterable[str], *, size: float = 3.4) -> None:
        """Write short texts one after the other; a number is never parted from its unit."""
        line = ""
        for item in items:
            longer = f"{line} · {item}" if line else item
            if line and text_mm(longer, size) > self.width_mm:
                self.add(line, size=size)
                longer = item
            line = longer
        self.add(line, size=size)
