"""The doctor of the day: presses the buttons when the kit asks, follows the messages, and tries again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from zhenbao.agent.kit import BONDS, Kit
from zhenbao.agent.measure.bp import measure_bp
from zhenbao.agent.measure.ecg import measure_ecg
from zhenbao.agent.measure.glucose import measure_glucose
from zhenbao.agent.measure.spirometry import measure_spirometry
from zhenbao.agent.measure.spo2 import measure_spo2
from zhenbao.agent.measure.spot import measure_temperature, measure_weight
from zhenbao.agent.protocols import protocol
from zhenbao.agent.screen import Screen
from zhenbao.demo.day.truth import bp_truth, ecg_truth, spirometry_truth
from zhenbao.drivers.bp.driver import BloodPressureCuff
from zhenbao.drivers.glucose.driver import GlucoseMeter
from zhenbao.drivers.links.ble import open_radio
from zhenbao.drivers.oximeter.driver import PulseOximeter
from zhenbao.drivers.scale.driver import WeighingScale
from zhenbao.drivers.thermometer.driver import Thermometer
from zhenbao.firmware_sim.cuff import CuffFaults, Reading
from zhenbao.firmware_sim.front_end import FrontEndFaults, LineFaults
from zhenbao.firmware_sim.glucose_meter import GlucoseFaults, GlucoseRecord
from zhenbao.firmware_sim.oximeter import OximeterFaults
from zhenbao.firmware_sim.spot_meter import SpotFaults
from zhenbao.model.errors import DeviceError, FrameError

if TYPE_CHECKING:
    from zhenbao.agent.visit import Visit
    from zhenbao.demo.day.plan import PlannedVisit
    from zhenbao.firmware_sim.bench import Bench
    from zhenbao.firmware_sim.peripheral import Peripheral
    from zhenbao.words import Words

_TRIES = 4
_MOST_EVENTS = 500
"""More than any one measurement says; a doctor would have given up."""
_MOVED = 1
"""Bit 0 of the cuff's status: the body moved."""
OTHERS_PRESSURE, OTHERS_MMOL_L, OTHERS_CELSIUS = (199, 119, 146, 111), 19.9, 41.9
"""Results of somebody who is not there today; no patient of the day has such numbers."""
_SECONDS = 3.0
"""How long this cuff inflates, in its own time."""


class Watching(Screen):
    """Notes what the kit says, and lets the doctor react to it."""

    def __init__(self, words: Words) -> None:
        super().__init__(words, json_lines=True, out=io.StringIO())
        self.react: Callable[[str, dict[str, Any]], None] = lambda name, data: None
        self.kept_ids: set[str] = set()
        self._events: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, /, **data: Any) -> None:
        self._events.append((name, data))
        if len(self._events) > _MOST_EVENTS:
            raise RuntimeError(f"the kit asks for the same thing again and again: {self.troubles()}")
        if name == "observation":
            self.kept_ids.add(str(data["observation"]["id"]))
        self.react(name, data)

    def forget(self) -> None:
        """A new measurement begins."""
        self._events.clear()

    def count(self, name: str) -> int:
        return sum(event == name for event, _ in self._events)

    def troubles(self) -> list[str]:
        """Codes of what the doctor was told, each once, in order."""
        return list(dict.fromkeys(data["code"] for name, data in self._events if name == "trouble"))


def pair_everything(kit: Kit, bench: Bench) -> None:
    """What the technician did before the day."""
    drivers = (BloodPressureCuff, GlucoseMeter, PulseOximeter, Thermometer, WeighingScale)

    async def pair_all() -> None:
        async with open_radio(kit.settings.bluetooth, kit.home / BONDS) as radio:
            for driver in drivers:
                protected = (driver.protected,) if isinstance(driver.protected, str) else driver.protected
                found = await radio.find(driver.service, timeout_s=20)
                await radio.pair(found, *protected)

    bench.pairing_mode(True)
    asyncio.run(pair_all())
    bench.pairing_mode(False)


class Bedside:
    """One visit."""

    def __init__(self, kit: Kit, bench: Bench, visit: Visit, planned: PlannedVisit, screen: Watching) -> None:
        self._kit, self._bench, self._visit, self._planned, self._screen = kit, bench, visit, planned, screen
        self._patient = planned.patient

    def measure(self, code: str) -> dict[str, Any]:
        """Measure, with the planned fault, as often as the messages ask for. Gives the truth."""
        ways: dict[str, Callable[[str | None], dict[str, Any]]] = {
            "bp": self._bp,
            "glucose": self._glucose,
            "spo2": self._spo2,
            "temperature": self._temperature,
            "weight": self._weight,
            "ecg": self._ecg,
            "spirometry": self._spirometry,
        }
        truth = ways[code](self._planned.faults.get(code))
        self._screen.react = lambda name, data: None
        return truth

    def _again(self, attempt: Callable[[], Coroutine[Any, Any, None]], mend: Callable[[], None]) -> None:
        """Try until it succeeds; after a fault the doctor does what the message says."""
        for left in reversed(range(_TRIES)):
            try:
                asyncio.run(attempt())
            except (DeviceError, FrameError) as error:
                self._screen.trouble(error)
                if not left:
                    return
                mend()
            else:
                return

    def _set(self, meter: Peripheral, faults: Any) -> None:
        """Faults belong to the devices' own thread."""
        self._bench.call(lambda: setattr(meter, "faults", faults))

    # Each kind of reading: arm the fault, measure, give the truth

    def _bp(self, fault: str | None) -> dict[str, Any]:
        bench, presses = self._bench, list(self._patient.pressures)
        offset = timedelta(minutes=120 + 17 * self._planned.number)
        faults = {
            "hangs-up": CuffFaults(hangs_up_after_sending=True),
            "wrong-clock": CuffFaults(clock_offset=-offset),
            "early": CuffFaults(early_indication=True),
            "forgets-subscription": CuffFaults(forgets_subscriptions=True),
        }
        self._set(bench.cuff, faults.get(fault or "", CuffFaults()))
        if fault == "others-reading":
            at = bench.meter.now() - timedelta(hours=5)
            bench.call(lambda: bench.cuff.measure(*OTHERS_PRESSURE, at))
        pressed = 0

        def react(name: str, data: dict[str, Any]) -> None:
            nonlocal pressed
            if name != "press-start" or bench.call(lambda: bench.cuff.inflating):
                return
            found = presses[pressed]
            reading = Reading(found.systolic, found.diastolic, found.mean, found.pulse, bench.meter.now())
            if pressed == 0 and fault == "failed-first":
                reading = replace(reading, systolic=None, diastolic=None, mean=None, pulse=None)
            if pressed == 0 and fault == "moved-first":
                reading = replace(reading, status=_MOVED)
            pressed += 1
            bench.press_start(reading, _SECONDS)

        self._screen.react = react
        self._again(lambda: measure_bp(self._kit, self._visit, arm="left", skip_rest=None), lambda: None)
        self._set(bench.cuff, CuffFaults())
        return bp_truth(presses, 1 if fault in ("failed-first", "moved-first", "wrong-clock") else 0)

    def _glucose(self, fault: str | None) -> dict[str, Any]:
        meter, true = self._bench.meter, self._patient.glucose_mmol_l
        faults = {
            "drops-link": GlucoseFaults(drops_link_after=0),
            "reversed": GlucoseFaults(reversed_sequence=True),
            "sends-twice": GlucoseFaults(sends_twice=True),
        }
        offset_s = 3600.0 * 3 if fault == "wrong-clock" else 0.0

        def strip() -> None:
            meter.clock_offset_s = offset_s
            if fault == "others-result":
                at, number = meter.now(), len(meter.records) + 1
                meter.add_record(GlucoseRecord.mmol_l(number, at - timedelta(hours=4), OTHERS_MMOL_L))
                meter.add_record(GlucoseRecord.control_solution(number + 1, at - timedelta(minutes=1), 6.1))
            meter.test_blood(true)

        self._bench.call(strip)
        self._set(meter, faults.get(fault or "", GlucoseFaults()))
        self._again(
            lambda: measure_glucose(self._kit, self._visit, meal="random"), lambda: self._set(meter, GlucoseFaults())
        )
        self._set(meter, GlucoseFaults())
        self._bench.call(lambda: setattr(meter, "clock_offset_s", 0.0))
        return {"glucose_capillary": true}

    def _spo2(self, fault: str | None) -> dict[str, Any]:
        bench, finger = self._bench, self._patient.finger
        faults = {
            "weak-pulse-first": OximeterFaults(low_perfusion=True),
            "moves-first": OximeterFaults(questionable=True, moving=True),
            "hangs-up-first": OximeterFaults(hangs_up_after=3),
        }
        self._set(bench.oximeter, faults.get(fault or "", OximeterFaults()))

        def react(name: str, data: dict[str, Any]) -> None:
            if name == "oximeter-wanted":
                bench.put_in(finger)

        def mend() -> None:
            bench.put_in(None)
            self._set(bench.oximeter, OximeterFaults())

        self._screen.react = react
        said = {"oxygen": "no", "dyspnoea": "unknown", "cyanosis": "unknown", "altered_consciousness": "no"}
        self._again(lambda: measure_spo2(self._kit, self._visit, said=said), mend)
        mend()
        return {"spo2": finger.saturation, "pulse_rate_oximeter": finger.pulse}

    def _temperature(self, fault: str | None) -> dict[str, Any]:
        bench, true = self._bench, self._patient.celsius
        self._set(bench.thermometer, self._spot_faults(fault))
        if fault == "others-reading":
            at = bench.meter.now() - timedelta(hours=20)
            bench.call(lambda: bench.thermometer.measure(OTHERS_CELSIUS, at))
        self._screen.react = self._results(fault, bench.took_temperature, true, bench.thermometer)
        self._again(lambda: measure_temperature(self._kit, self._visit), lambda: None)
        self._set(bench.thermometer, SpotFaults())
        return {"body_temperature_tympanic": true}

    def _weight(self, fault: str | None) -> dict[str, Any]:
        bench, true = self._bench, self._patient.kilograms
        self._set(bench.scale, self._spot_faults(fault))
        self._screen.react = self._results(fault, bench.weighed, true, bench.scale)
        self._again(lambda: measure_weight(self._kit, self._visit, height_cm=None), lambda: None)
        self._set(bench.scale, SpotFaults())
        return {"body_weight": true}

    @staticmethod
    def _spot_faults(fault: str | None) -> SpotFaults:
        return {
            "hangs-up": SpotFaults(hangs_up_after_sending=True),
            "sends-twice": SpotFaults(sends_twice=True),
        }.get(fault or "", SpotFaults())

    def _results(
        self, fault: str | None, measured: Callable[[float | None], None], true: float, meter: Any
    ) -> Callable[[str, dict[str, Any]], None]:
        """Measures when the kit asks for it; the first time fails where that is planned."""
        asked = 0

        def react(name: str, data: dict[str, Any]) -> None:
            nonlocal asked
            if name == "measure-now":
                asked += 1
                if asked == 1 and fault == "others-reading":
                    return  # its old result comes first
                measured(None if asked == 1 and fault == "failed-first" else true)

        return react

    def _ecg(self, fault: str | None) -> dict[str, Any]:
        numbers = protocol("ecg")
        source = self._patient.ecg().render(numbers["rhythm_strip_s"] + 5)
        faults = {
            "lost-frames": FrontEndFaults(line=LineFaults(drop_every=31)),
            "corrupt-frames": FrontEndFaults(line=LineFaults(corrupt_every=29)),
            "cable-pulled": FrontEndFaults(line=LineFaults(pull_after=90)),
            "electrode-off": FrontEndFaults(electrode_off={"V6": (0, 1500)}),
        }
        self._bench.front_end.ecg = source
        self._plug(faults.get(fault or "", FrontEndFaults()))
        self._again(lambda: measure_ecg(self._kit, self._visit), lambda: self._plug(FrontEndFaults()))
        self._plug(FrontEndFaults())
        if {"ecg-quality", "ecg-data-lost"} & set(self._screen.troubles()):
            # The messages say to look after the electrodes or the cable, and to record again.
            self._again(lambda: measure_ecg(self._kit, self._visit), lambda: None)
        return ecg_truth(source, numbers["twelve_lead_s"])

    def _spirometry(self, fault: str | None) -> dict[str, Any]:
        front_end, blows = self._bench.front_end, self._patient.blows()
        front_end.blows.clear()
        front_end.blows.extend(blows)
        faults = {
            "cable-pulled": FrontEndFaults(line=LineFaults(pull_after=40)),
            "lost-frames": FrontEndFaults(line=LineFaults(drop_every=97)),
        }
        self._plug(faults.get(fault or "", FrontEndFaults()))

        def replug() -> None:
            """The blow that was torn is blown again."""
            front_end.blows.clear()
            front_end.blows.extend(blows)
            self._plug(FrontEndFaults())

        self._again(lambda: measure_spirometry(self._kit, self._visit, contraindications="no"), replug)
        self._plug(FrontEndFaults())
        front_end.blows.clear()
        return spirometry_truth(self._patient)

    def _plug(self, faults: FrontEndFaults) -> None:
        """Pull the front-end's cable and plug it in again: its faults are those of its new line."""
        front_end = self._bench.front_end
        front_end.stop()
        front_end.faults = faults
        front_end.start()
