"""The monthly report on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zhenbao.hub.statistics import COLUMNS, rows
from zhenbao.paper.pdf import to_pdf
from zhenbao.paper.sheet import BOTTOM_MM, HEIGHT_MM, LEFT_MM, RIGHT_MM, WIDTH_MM, Sheet, wrapped

if TYPE_CHECKING:
    from zhenbao.hub.indicators import Indicator
    from zhenbao.hub.referral_rates import UnitRate
    from zhenbao.words import Words

_SIZE_MM, _LINE_MM, _TOP_MM = 3.4, 6.2, 16.0
_RIGHT_EDGES = (136.0, 162.0, 186.0, 208.0, 226.0, 250.0, 287.0)
"""Of the columns after the name, mm."""
_NAME_MM = 96.0
_LIGHT = "#9fb0b6"


def as_pdf(
    indicators: Sequence[Indicator], units: Sequence[UnitRate], words: Words, *, place: str, month: str, made: str
) -> bytes:
    """The report: the indicators, then the units with their referral rates.

    Args:
        place: the organisation's name.
        month: ``2026-11``.
        made: when, as people read it.

    Raises:
        StorageError: ``paper-missing``: the extra ``paper`` is not installed.
    """
    title = words("hub.stats.report_title", place=place, month=month)
    writer = _Writer(title, words("hub.stats.report_made", time=made))
    writer.line([words(f"hub.stats.{column}") for column in COLUMNS], head=True)
    for line in rows(indicators, words):
        writer.line(line)
    writer.note(words("hub.stats.note"))
    if units:
        writer.note("")
        writer.note(words("hub.stats.units_title"))
        writer.line([words(f"hub.stats.{key}") for key in ("unit_name", "numerator", "denominator", "rate")], head=True)
        for unit in units:
            mark = words("hub.stats.alert") if unit.alert else ""
            rate = "" if unit.percent is None else f"{unit.percent:.1f}%"
            writer.line([unit.name, str(unit.referrals), str(unit.visits), rate, mark])
        writer.note(words("hub.stats.units_note"))
    return to_pdf(writer.pages)


class _Writer:
    """Lines one below the other, over as many sheets as they need."""

    def __init__(self, title: str, made: str) -> None:
        self._title, self._made = title, made
        self.pages: list[Sheet] = []
        self._y_mm = BOTTOM_MM

    def line(self, cells: Sequence[str], *, head: bool = False) -> None:
        """One line of a table: the first cell to the left, the others to the right of their columns."""
        name = list(wrapped(cells[0], _SIZE_MM, _NAME_MM))
        page = self._room(len(name))
        for number, part in enumerate(name):
            page.text(LEFT_MM, self._y_mm + number * _LINE_MM, part, size=_SIZE_MM)
        for edge, cell in zip(_RIGHT_EDGES, cells[1:], strict=False):
            page.text(edge, self._y_mm, cell, size=_SIZE_MM, anchor="end")
        self._y_mm += (len(name) - 1) * _LINE_MM
        below = self._y_mm + 2
        page.path(
            f"M{LEFT_MM} {below:.2f}H{RIGHT_MM}", stroke="#17262b" if head else _LIGHT, width=0.3 if head else 0.1
        )

    def note(self, text: str) -> None:
        """A sentence below."""
        for part in list(wrapped(text, _SIZE_MM, RIGHT_MM - LEFT_MM)) or [""]:
            self._room(1).text(LEFT_MM, self._y_mm, part, size=_SIZE_MM)

    def _room(self, lines: int) -> Sheet:
        if not self.pages or self._y_mm + lines * _LINE_MM > BOTTOM_MM:
            page = Sheet(WIDTH_MM, HEIGHT_MM, self._title)
            page.text(LEFT_MM, _TOP_MM, self._title, size=5.0)
            page.text(RIGHT_MM, _TOP_MM, f"{self._made}  {len(self.pages) + 1}", size=3.0, anchor="end")
            self.pages.append(page)
            self._y_mm = _TOP_MM + 4
        self._y_mm += _LINE_MM
        return self.pages[-1]
