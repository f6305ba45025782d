"""A page as a picture, for a screen or a message."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from zhenbao.model.errors import StorageError
from zhenbao.paper.pdf import to_pdf

if TYPE_CHECKING:
    from zhenbao.paper.sheet import Sheet


def to_png(page: Sheet, dpi: float = 150) -> bytes:
    """The page's PDF as pixels; the file carries ``dpi``, so that it prints in true size.

    Raises:
        StorageError: ``paper-missing``: the extra ``paper`` is not installed.
        ValueError: ``dpi`` is not above zero.
    """
    if dpi <= 0:
        raise ValueError("dpi must be above zero")
    try:
        import pypdfium2
    except ImportError:
        raise StorageError("paper-missing") from None
    document = pypdfium2.PdfDocument(to_pdf([page]))
    try:
        picture = document[0].render(scale=dpi / 72).to_pil()
    finally:
        document.close()
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(dpi, dpi), optimize=True)
    return out.getvalue()
