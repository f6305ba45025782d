"""The chest-pain channel: instants of a case as a kit tells them, and what the hub tells the kit of the channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Milestone = Literal[
    "onset",
    "first-contact",
    "ecg-start",
    "ecg-end",
    "uploaded",
    "hub-received",
    "opened",
    "diagnosed",
    "delivered",
    "village-read",
    "transfer-decided",
    "called-120",
    "ambulance-arrived",
    "ambulance-left",
    "door-in",
    "door-out",
    "troponin-drawn",
    "troponin-result",
    "cath-lab-called",
    "cath-lab-ready",
    "pci-door-in",
    "needle",
    "wire",
]
"""In the order in which they are expected: 发病 … 导丝通过. ``door-in`` is the first hospital's, ``pci-door-in`` the
one's that opens the vessel, ``needle`` the beginning of fibrinolysis."""
MILESTONES: tuple[Milestone, ...] = get_args(Milestone)

ChannelState = Literal["none", "open", "diverted", "closed"]
"""Not opened (yet); open; open, but to another hospital than the first; closed again."""
CHANNEL_STATES: tuple[ChannelState, ...] = get_args(ChannelState)


@dataclass(frozen=True, slots=True)
class CaseTime:
    """One instant of a chest-pain case, as the kit has it. Never changed; a later one of its milestone corrects it.

    Besides the kit's wall clock, which may be wrong and may be put right at any moment, it carries the time since the
    tablet was started: what two of them are apart is known whatever the wall clock did.
    """

    id: UUID
    encounter_id: UUID
    kit_id: str
    milestone: str
    """A ``Milestone``, or one of a newer kit's."""
    at_ms: int
    """Unix ms by the kit's clock."""
    noted_ms: int
    """When it was noted, by the same clock."""
    boot: str
    """Names this start of the tablet."""
    since_boot_ms: int
    """When it was noted, since that start, sleep included."""
    told: bool = False
    """Somebody said so; False: the kit saw it itself."""


@dataclass(frozen=True, slots=True)
class ChannelNews:
    """The hub tells the kit how the channel of a case stands; each holds all of it, the newest counts."""

    id: UUID
    encounter_id: UUID
    patient_id: UUID
    state: str
    """A ``ChannelState``, or one of a newer hub's."""
    advice: str
    """What to do until the ambulance comes, as the physician wrote it; empty: nothing was written."""
    practitioner: str
    """Who decided."""
    told_ms: int
    """By the hub's clock."""
    hospital: str = ""
    """The one that receives the patient."""
    ambulance: str = ""
    """How the ambulance is known: a number, a telephone, where it is."""
