"""An SVG page in millimetres. Attributes only, no style sheet, so that small renderers can draw it as well."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

FONT = "'Noto Sans SC', sans-serif"
INK = "#111111"

Point = tuple[float, float]


def number(value: float) -> str:
    """Millimetres to a hundredth, without needless zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def polyline(points: Iterable[Point]) -> str:
    """Path data through points; a single point becomes a dot."""
    data = [f"{number(x)} {number(y)}" for x, y in points]
    if not data:
        return ""
    return f"M{data[0]}" + ("l0 0" if len(data) == 1 else "L" + " ".join(data[1:]))


def segment(x1: float, y1: float, x2: float, y2: float) -> str:
    """Path data of one straight stroke along an axis or across."""
    if y1 == y2:
        return f"M{number(x1)} {number(y1)}H{number(x2)}"
    if x1 == x2:
        return f"M{number(x1)} {number(y1)}V{number(y2)}"
    return f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"


class Page:
    """Collects elements of a page of ``width`` x ``height`` mm, drawn in the order they are added."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}mm" height="{number(height)}mm" '
            f'viewBox="0 0 {number(width)} {number(height)}" font-family="{FONT}" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{number(width)}" height="{number(height)}" fill="#ffffff"/>',
        ]

    def path(self, data: str, *, stroke: str = INK, width: float = 0.25, dash: str = "", **names: str) -> None:
        """A stroked path. ``names``: further attributes, an underscore standing for a hyphen (``class_``: class)."""
        if not data:
            return
        extra = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in names.items())
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<path{extra} d="{data}" fill="none" stroke="{stroke}" stroke-width="{number(width)}"{dashes} '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def area(self, left: float, top: float, width: float, height: float, *, fill: str, class_: str = "") -> None:
        """A filled rectangle; draw it before what stands on it."""
        name = f' class="{escape(class_)}"' if class_ else ""
        self._parts.append(
            f'<rect{name} x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" '
            f'fill="{fill}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 3.2,
        anchor: str = "start",
        fill: str = INK,
        turn: bool = False,
    ) -> None:
        """One line of text; ``y`` is its base line, ``size`` in mm. ``turn``: reading upwards."""
        turned = f' transform="rotate(-90 {number(x)} {number(y)})"' if turn else ""
        self._parts.append(
            f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" text-anchor="{anchor}" '
            f'fill="{fill}"{turned}>{escape(text, quote=False)}</text>'
        )

    def svg(self) -> str:
        """The whole document."""
        return "\n".join([*self._parts, "</svg>\n"])
