"""Pictures as an ultrasound device would export them, written with pydicom and Pillow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

STILL = "1.2.840.10008.5.1.4.1.1.6.1"
CLIP = "1.2.840.10008.5.1.4.1.1.3.1"


def speckle(frames: int = 1, *, rows: int = 48, columns: int = 64, seed: int = 1) -> Any:
    """Grey frames ``[frames, rows, columns]``, each with a bright column at its own number."""
    pixels = np.random.default_rng(seed).integers(0, 90, (frames, rows, columns), dtype=np.uint8)
    for n in range(frames):
        pixels[n, :, n % columns] = 255
    return pixels


def dicom(path: Path, *, frames: int = 1, jpeg: bool = False, seed: int = 1, **header: Any) -> Path:
    """An ultrasound picture, or a clip where there are several frames."""
    pixels = speckle(frames, seed=seed)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CLIP if frames > 1 else STILL
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(seed), str(path.name)])
    meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality = "US"
    dataset.SpecificCharacterSet = "GB18030"
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.PixelData = encapsulate([jpeg_bytes(frame) for frame in pixels]) if jpeg else pixels.tobytes()
    for name, value in header.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg_bytes(pixels: Any = None, *, format_: str = "JPEG", seed: int = 1) -> bytes:
    """One grey picture in a compressed format."""
    out = io.BytesIO()
    Image.fromarray(speckle(seed=seed)[0] if pixels is None else pixels).save(out, format_)
    return out.getvalue()


def samples_of_others() -> Path:
    """The files that pydicom brings along: written by scanners, dcmtk and gdcm."""
    return Path(pydicom.__file__).parent / "data" / "test_files"
