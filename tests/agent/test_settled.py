"""When an oximeter's number may be written down: a minute in place, unchanged for five seconds (protocols.toml)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhenbao.agent.protocols import protocol
from zhenbao.agent.settled import Moment, altitude_band, settled, unusable
from zhenbao.drivers.oximeter.reading import Oximetry
from zhenbao.model.quantity import Quantity
from zhenbao.rules import facts


def message(
    spo2: float | None = 96, *status: str, perfusion: float | None = None, pulse: float | None = 72
) -> Oximetry:
    return Oximetry(
        None if spo2 is None else Quantity(spo2, "%"),
        None if pulse is None else Quantity(pulse, "/min"),
        None if perfusion is None else Quantity(perfusion, "%"),
        frozenset(status),
    )


def stream(*messages: Oximetry, every_s: float = 1.0) -> list[Moment]:
    return [Moment(100 + n * every_s, m) for n, m in enumerate(messages)]


def test_a_minute_in_place_and_five_seconds_unchanged() -> None:
    steady = [message()] * 61
    result = settled(stream(*steady))
    assert result is not None
    assert result.spo2 == Quantity(96, "%")
    assert settled(stream(*steady[:60])) is None
    assert settled([]) is None


def test_a_number_that_changed_is_awaited_five_seconds_more() -> None:
    assert settled(stream(*[message()] * 60, *[message(94)] * 5)) is None
    result = settled(stream(*[message()] * 60, *[message(94)] * 6))
    assert result is not None
    assert result.spo2 == Quantity(94, "%")


def test_what_reads_as_the_same_whole_per_cent_has_not_changed() -> None:
    assert settled(stream(*[message(96.2), message(95.8)] * 31)) is not None
    assert settled(stream(*[message(96), message(95)] * 60)) is None


@pytest.mark.parametrize("bad", ["searching", "erratic-signal", "questionable", "demo-data", "early-estimate"])
def test_one_message_without_a_usable_number_begins_the_five_seconds_anew(bad: str) -> None:
    assert settled(stream(*[message()] * 60, message(96, bad), *[message()] * 5)) is None
    assert settled(stream(*[message()] * 60, message(96, bad), *[message()] * 6)) is not None
    assert settled(stream(*[message(96, bad)] * 200)) is None


def test_a_finger_taken_out_begins_the_minute_anew() -> None:
    out = message(None, "sensor-off", pulse=None)
    assert settled(stream(*[message()] * 60, out, *[message()] * 60)) is None
    assert settled(stream(*[message()] * 60, out, *[message()] * 61)) is not None
    assert settled(stream(*[message()] * 80, out)) is None


def test_a_weak_pulse_amplitude_is_not_judged() -> None:
    assert unusable(message(perfusion=0.49)) == "weak-perfusion"
    assert unusable(message(perfusion=0.5)) is None
    assert unusable(message(perfusion=None)) is None
    assert settled(stream(*[message(perfusion=0.3)] * 200)) is None


def test_a_slow_oximeter_must_tell_its_number_as_often() -> None:
    assert settled(stream(*[message()] * 4, every_s=30)) is None
    assert settled(stream(*[message()] * 5, every_s=30)) is not None
    assert settled(stream(*[message()] * 300, every_s=0.1)) is None


@given(
    st.lists(
        st.tuples(st.integers(60, 100), st.sampled_from(["", "", "", "searching", "sensor-off", "invalid"])),
        max_size=120,
    )
)
def test_whatever_settles_is_usable_and_stood_still(seconds: list[tuple[int, str]]) -> None:
    moments = stream(*[message(spo2, *([bad] if bad else [])) for spo2, bad in seconds])
    if (result := settled(moments)) is not None:
        last = moments[-6:]
        assert {m.reading.spo2 for m in last} == {result.spo2}
        assert all(unusable(m.reading) is None for m in last)
        assert len(moments) >= 61


@pytest.mark.parametrize(
    ("altitude_m", "band"),
    [
        (None, None),
        (-154, "below-1500"),
        (1499, "below-1500"),
        (1500, "1500-2500"),
        (2500, "1500-2500"),
        (2501, "2500-3500"),
        (3500, "2500-3500"),
        (3501, "3500-4500"),
        (4500, "3500-4500"),
    ],
)
def test_the_band_of_a_place_and_the_stricter_one_on_its_border(altitude_m: int | None, band: str | None) -> None:
    assert altitude_band(altitude_m) == band


def test_the_bands_are_those_of_the_rules() -> None:
    assert tuple(protocol("spo2")["altitude_below_m"]) == facts("spo2")["altitude"]
    with pytest.raises(ValueError, match="reference"):
        altitude_band(4501)
