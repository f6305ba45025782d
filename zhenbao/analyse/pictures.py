"""Pages into files: one that exists is replaced only by a whole one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhenbao.model.errors import StorageError

if TYPE_CHECKING:
    from zhenbao.paper import Sheet


def write_pictures(pages: "Sequence[Sheet]", *, png: Path | None, pdf: Path | None, svg: Path | None) -> None:
    """The first page as PNG and SVG, all pages as PDF.

    Raises:
        StorageError: ``analyse-write``, or ``paper-missing``.
    """
    from zhenbao.paper import to_pdf, to_png, to_svg

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
