"""What is known of an ECG in somebody else's file, whatever its format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zhenbao.model.ecg import LEADS
from zhenbao.model.errors import Fault, ZhenbaoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MV_PER_UNIT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
LARGEST_BYTES = 1 << 30
"""24 h of three leads at 1000 Hz fit; a larger file is not loaded."""
_BY_FOLDED = {lead.lower(): lead for lead in LEADS}
_PREFIX = re.compile(r"^(?:mdc_ecg_(?:lead|elec_potl)_|(?:ecg|ekg|lead|channel)[\s_:-]*)+", re.IGNORECASE)


class FileFormatError(ZhenbaoError):
    """A file of others cannot be read; the words under its code say why and what to do."""

    fault: ClassVar[Fault] = "person"


@dataclass(frozen=True, slots=True)
class EcgFile:
    """The voltage channels of a file. Names of people and free text are left behind."""

    format: str
    """``wfdb``, ``edf``, ``dicom`` or ``csv``."""
    ecg_mv: NDArray[np.float64]
    """``[leads, n]`` in millivolts; NaN where there is no value."""
    fs_hz: float
    lead_names: tuple[str, ...]
    """``I`` to ``V6`` where they are those; else as the file has them."""
    highpass_hz: float | None = None
    """None: the file does not say."""
    lowpass_hz: float | None = None
    sex: str | None = None
    age_years: float | None = None
    left_out: tuple[str, ...] = ()
    """Channels of the file that are not among the leads."""


def standard_lead(name: str) -> str:
    """``I`` to ``V6`` for the usual spellings (``Lead II``, ``ECG avr``, ``MDC_ECG_LEAD_V1``), else the name itself."""
    stripped = name.strip()
    short = _PREFIX.sub("", stripped).strip()
    # "Lead I (Einthoven)" says the same lead in more words.
    short = re.sub(r"\s*\(.*\)$", "", short)
    return _BY_FOLDED.get(short.lower(), stripped)


def named_apart(names: list[str]) -> tuple[str, ...]:
    """Names of which none comes twice."""
    seen: dict[str, int] = {}
    apart = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        apart.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(apart)
