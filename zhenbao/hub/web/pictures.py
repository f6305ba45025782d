"""Pictures out of attachments, for a page. Nothing that was sent is trusted: its bytes tell, sizes are bounded."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

from zhenbao.formats.attachment_file import media_type
from zhenbao.model.attachment import MediaType
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from zhenbao.model.attachment import Attachment

MOST_PIXELS = 25_000_000
"""Of one picture; as the kit takes over (``agent/measure/files.toml``)."""
PREVIEWS = 12
"""Pictures of a clip that a page offers, evenly spread; the whole clip can be fetched."""


def picture(file: Attachment, frame: int) -> tuple[bytes, str]:
    """One picture and its content type: JPEG and PNG as they are, a frame of DICOM as PNG.

    Raises:
        InputError: ``attachment-not-shown``: no picture, no such frame, or one that cannot be unpacked here.
    """
    kind = media_type(file.content)
    if kind in (MediaType.JPEG, MediaType.PNG) and frame == 0:
        return file.content, kind.value
    if kind is not MediaType.DICOM:
        raise InputError("attachment-not-shown")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _frame(file.content, frame), MediaType.PNG.value
    except InputError:
        raise
    except Exception:
        # The libraries raise whatever decoding raises, and their texts may quote the header.
        raise InputError("attachment-not-shown") from None


def preview_frames(frames: int) -> list[int]:
    """Which frames of a clip a page offers, the first and the last among them."""
    n = min(frames, PREVIEWS)
    return sorted({round(i * (frames - 1) / max(1, n - 1)) for i in range(n)})


def _frame(content: bytes, frame: int) -> bytes:
    import pydicom
    from PIL import Image
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

    dataset = pydicom.dcmread(io.BytesIO(content))
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if not 0 <= frame < frames or int(dataset.Rows) * int(dataset.Columns) > MOST_PIXELS:
        raise InputError("attachment-not-shown")
    pixels: Any = pixel_array(dataset, index=frame)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    elif pixels.ndim == 2:
        pixels = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    pixels = _eight_bits(pixels, as_it_is=photometric not in ("MONOCHROME1", "MONOCHROME2"))
    if photometric == "MONOCHROME1":
        pixels = 255 - pixels
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _eight_bits(pixels: Any, *, as_it_is: bool) -> Any:
    """Greys of more bits are spread over what a screen shows; eight bits stay as they are."""
    import numpy as np

    if pixels.dtype == np.uint8:
        return pixels
    if as_it_is:
        # Colours of 16 bits (a palette) keep their upper half.
        return (pixels >> (8 * pixels.dtype.itemsize - 8)).astype(np.uint8)
    low, high = float(pixels.min()), float(pixels.max())
    return np.round((pixels - low) * (255 / (high - low or 1))).astype(np.uint8)
