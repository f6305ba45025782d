"""DICOM waveforms (PS3.3 A.34, C.10.9): 12-lead, general, ambulatory ECG. Read through ``pydicom``, an extra."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhenbao.formats.ecg_file import MV_PER_UNIT, EcgFile, FileFormatError, named_apart, standard_lead
from zhenbao.model.ecg import LEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACES = ("1", "2", "3", "4", "5", "6", "7", "8", "61", "62", "63", "64")
_NAMES = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF")
_BY_CODE = {prefix + place: name for prefix in ("2:", "5.6.3-9-") for place, name in zip(_PLACES, _NAMES, strict=True)}
"""Lead codes of MDC (ISO/IEEE 11073-10101) and of SCP-ECG (PS3.16 CID 3001)."""
_AGE = re.compile(r"^(\d{3})([DWMY])$")
_OLDEST_YEARS = 130
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def read_dicom(path: Path) -> EcgFile:
    """The waveform group with the most ECG leads, the longest of those.

    Raises:
        FileFormatError: ``library-missing``, ``ecg-file-damaged``, ``ecg-file-no-ecg`` or ``ecg-file-unit``.
    """
    try:
        import pydicom
        from pydicom.waveforms.numpy_handler import generate_multiplex
    except ImportError:
        raise FileFormatError("library-missing", library="pydicom") from None
    import numpy as np

    try:
        dataset = pydicom.dcmread(path)
        groups = list(dataset.get("WaveformSequence", ()))
        leads = [[_lead(c) for c in group.ChannelDefinitionSequence] for group in groups]
        sizes = [
            (sum(n in LEADS for n in names), int(g.NumberOfWaveformSamples))
            for names, g in zip(leads, groups, strict=True)
        ]
        if not groups or not max(sizes)[0]:
            raise FileFormatError("ecg-file-no-ecg", format="DICOM")
        best = sizes.index(max(sizes))
        group, names = groups[best], leads[best]
        # Not scaled by the library: it would lose which samples are padding.
        raw = list(generate_multiplex(dataset, as_raw=True))[best].T.astype(np.float64)
        rows = [i for i, name in enumerate(names) if name in LEADS]
        channels = [group.ChannelDefinitionSequence[i] for i in rows]
        ecg_mv = np.stack([_millivolts(raw[i], c, group) for i, c in zip(rows, channels, strict=True)])
        return EcgFile(
            "dicom",
            ecg_mv,
            float(group.SamplingFrequency),
            named_apart([names[i] for i in rows]),
            _of_all(channels, "FilterLowFrequency", highest=True),
            _of_all(channels, "FilterHighFrequency", highest=False),
            {"M": "male", "F": "female"}.get(str(dataset.get("PatientSex", ""))),
            _age(str(dataset.get("PatientAge", ""))),
            tuple(names[i] for i in range(len(names)) if i not in rows),
        )
    except FileFormatError:
        raise
    except Exception:
        # Elements are decoded when they are asked for, and damage raises whatever the decoding of that kind raises.
        # The library's text may quote what the file says of the patient: nothing of it goes further.
        raise FileFormatError("ecg-file-damaged", format="DICOM") from None


def _lead(channel: Any) -> str:
    source = channel.ChannelSourceSequence[0]
    by_code = _BY_CODE.get(str(source.get("CodeValue", "")))
    return by_code or standard_lead(str(source.get("CodeMeaning", "")))


def _millivolts(raw: Any, channel: Any, group: Any) -> Any:
    import numpy as np

    if "ChannelSensitivity" not in channel:
        raise FileFormatError("ecg-file-unit", unit="-")
    unit = str(channel.ChannelSensitivityUnitsSequence[0].CodeValue)
    if unit.lower() not in MV_PER_UNIT:
        raise FileFormatError("ecg-file-unit", unit=unit[:16])
    factor = float(channel.ChannelSensitivity) * float(channel.get("ChannelSensitivityCorrectionFactor", 1) or 1)
    values = (raw * factor + float(channel.get("ChannelBaseline", 0) or 0)) * MV_PER_UNIT[unit.lower()]
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        value = int.from_bytes(padding, "little", signed=True) if isinstance(padding, bytes) else float(padding)
        values = np.where(raw == value, np.nan, values)
    return values


def _of_all(channels: Sequence[Any], name: str, *, highest: bool) -> float | None:
    """The strictest among the channels; None where one does not say."""
    values = [channel.get(name) for channel in channels]
    if any(value is None for value in values):
        return None
    known = [float(value) for value in values]
    return max(known) if highest else min(known)


def _age(text: str) -> float | None:
    match = _AGE.match(text)
    years = int(match.group(1)) * _YEARS[match.group(2)] if match else None
    return years if years is not None and years <= _OLDEST_YEARS else None
