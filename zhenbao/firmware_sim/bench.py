"""All simulated devices of one kit on a bench, in threads of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from zhenbao.firmware_sim.bluetooth import SimulatedAir
from zhenbao.firmware_sim.chest_strap import ChestStrap
from zhenbao.firmware_sim.cuff import BloodPressureMeter, Reading
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter
from zhenbao.firmware_sim.layouts import Meal
from zhenbao.firmware_sim.oximeter import Finger, NoninOximeter, PulseOximeter
from zhenbao.firmware_sim.scale import BathroomScale
from zhenbao.firmware_sim.serial_oximeter import SerialOximeter
from zhenbao.firmware_sim.thermometer import ClinicalThermometer
from zhenbao.firmware_sim.waveforms.ecg import EcgModel
from zhenbao.firmware_sim.waveforms.spirometry import demo_blows

if TYPE_CHECKING:
    from zhenbao.firmware_sim.glucose_meter import GlucoseRecord
    from zhenbao.firmware_sim.peripheral import Peripheral

_T = TypeVar("_T")
_TEN_MINUTES_S = 600.0


class Bench:
    """Devices for a demonstration, a test of the whole, or a technician; ``with Bench() as bench``.

    The Bluetooth devices live in one event loop on a thread; `call` runs a function there. The short verbs do it.

    Args:
        cuff, meter, front_end, thermometer, scale: the devices; healthy ones where None (ten minutes of sinus rhythm,
            the demonstration's four blows).
        strap: a chest strap on somebody; none where None.
        speed: of the devices that are made here.
        hci_port: TCP port of the Bluetooth controller; 0 takes a free one.
        serial_link: symbolic link to the front-end's serial port, where it is made here.
        oximeter: a Bluetooth oximeter; a healthy one with the Pulse Oximeter Service where None.
        serial_oximeter: a second oximeter on a serial port of its own; none where None.
        cables: more devices on serial ports of their own, by name; each a context manager with a ``port``.
        delay_s: a slow link: each Bluetooth packet comes so much later.
    """

    def __init__(
        self,
        cuff: BloodPressureMeter | None = None,
        meter: GlucoseMeter | None = None,
        front_end: FrontEnd | None = None,
        strap: ChestStrap | None = None,
        *,
        thermometer: ClinicalThermometer | None = None,
        scale: BathroomScale | None = None,
        speed: float = 1.0,
        hci_port: int = 0,
        serial_link: Path | None = None,
        oximeter: PulseOximeter | NoninOximeter | None = None,
        serial_oximeter: SerialOximeter | None = None,
        cables: Mapping[str, Any] | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.cuff = cuff or BloodPressureMeter(speed=speed)
        self.meter = meter or GlucoseMeter()
        self.thermometer = thermometer or ClinicalThermometer()
        self.scale = scale or BathroomScale()
        self.front_end = front_end or FrontEnd(
            EcgModel().render(_TEN_MINUTES_S), demo_blows(), speed=speed, link=serial_link
        )
        self.oximeter = oximeter or PulseOximeter(speed=speed)
        self.serial_oximeter = serial_oximeter
        self.strap = strap
        self.cables = dict(cables or {})
        self.on_air: list[Peripheral] = [
            self.cuff,
            self.meter,
            self.thermometer,
            self.scale,
            self.oximeter,
            *([strap] if strap else []),
        ]
        self.air = SimulatedAir(self.on_air, port=hci_port, delay_s=delay_s)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-air", daemon=True)

    @property
    def hci(self) -> str:
        """Where the kit finds the Bluetooth controller."""
        return self.air.hci

    @property
    def serial_port(self) -> str:
        """Where the kit finds the front-end."""
        return self.front_end.port

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.air.__aenter__(), self._loop).result()
        self.front_end.start()
        if self.serial_oximeter is not None:
            self.serial_oximeter.__enter__()
        for device in self.cables.values():
            device.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for device in self.cables.values():
            device.__exit__(kind, error, traceback)
        if self.serial_oximeter is not None:
            self.serial_oximeter.__exit__(kind, error, traceback)
        self.front_end.__exit__(kind, error, traceback)
        asyncio.run_coroutine_threadsafe(self.air.__aexit__(kind, error, traceback), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, function: Callable[[], _T]) -> _T:
        """Run a function in the devices' event loop and give its result."""

        async def run() -> _T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def press_start(self, reading: Reading, seconds: float = 35.0) -> None:
        """The doctor presses START on the cuff; after ``seconds`` / speed it has the reading."""
        self.call(lambda: self.cuff.press_start(reading, seconds))

    def measured(self, systolic: int, diastolic: int, mean: int, pulse: int) -> Reading:
        """The cuff has just measured, by the meter's own clock."""
        return self.call(lambda: self.cuff.measure(systolic, diastolic, mean, pulse, self.meter.now()))

    def test_blood(self, mmol_l: float, meal: Meal | None = None) -> GlucoseRecord:
        """A drop of blood on a strip."""
        return self.call(lambda: self.meter.test_blood(mmol_l, meal))

    def put_in(self, finger: Finger | None) -> None:
        """A finger goes into the oximeters, or comes out (None)."""
        if self.serial_oximeter is not None:
            self.serial_oximeter.finger = finger
        if isinstance(cabled := self.cables.get("oximeter"), SerialOximeter):
            cabled.finger = finger
        self.call(self.oximeter.take_out if finger is None else lambda: self.oximeter.put_in(finger))

    def took_temperature(self, celsius: float | None) -> None:
        """The thermometer has just measured; None: it failed."""
        self.call(lambda: self.thermometer.measure(celsius, self.meter.now()))

    def weighed(self, kilograms: float | None) -> None:
        """Somebody has just stood on the scale; None: the weighing failed."""
        self.call(lambda: self.scale.weigh(kilograms, self.meter.now()))

    def pairing_mode(self, on: bool) -> None:
        """The technician holds, or lets go, the pairing button of every Bluetooth device."""

        def switch() -> None:
            for meter in self.on_air:
                meter.pairing_mode = on

        self.call(switch)
