"""The reference firmware of the kit's own sensor front-end, written from docs/devices/front-end.md alone."""

from zhenbao.firmware_sim.front_end.device import Air, BoardIdentity, FlowSource, FrontEnd, FrontEndFaults
from zhenbao.firmware_sim.front_end.frames import Answer, Order, Reason, Result, Stream
from zhenbao.firmware_sim.front_end.line import LineFaults
from zhenbao.firmware_sim.front_end.settings import Settings, Step

__all__ = [
    "Air",
    "Answer",
    "BoardIdentity",
    "FlowSource",
    "FrontEnd",
    "FrontEndFaults",
    "LineFaults",
    "Order",
    "Reason",
    "Result",
    "Settings",
    "Step",
    "Stream",
]
