"""Blood pressure as the 2024 guideline takes it: rules BP15, BP16, BP17."""

import pytest

from zhenbao.agent.protocols import BpStep, Pressure, mean_pressure, next_bp_step, readings_wanted


def readings(*pairs: tuple[float, float]) -> list[Pressure]:
    return [Pressure(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        pytest.param([], 2, id="two to begin with"),
        pytest.param([(150, 90), (140, 80)], 2, id="10 mmHg apart is not more than 10"),
        pytest.param([(150, 90), (139, 90)], 3, id="systolic 11 apart"),
        pytest.param([(150, 90), (150, 101)], 3, id="diastolic 11 apart"),
        pytest.param([(150, 90), (170, 90), (120, 60)], 3, id="never a fourth"),
    ],
)
def test_a_third_reading_only_where_two_disagree(taken: list[tuple[float, float]], wanted: int) -> None:
    assert readings_wanted(readings(*taken)) == wanted


def test_an_irregular_pulse_wants_three_whatever_the_first_two_say() -> None:
    """Rule BP35."""
    alike = readings((150, 90), (150, 90))
    assert readings_wanted(alike, irregular=True) == 3
    assert next_bp_step(alike, rested=True, waited=True, irregular=True) is BpStep.MEASURE
    assert next_bp_step(alike, rested=True, waited=True) is BpStep.DONE


def test_the_steps_in_order() -> None:
    first, second, third = readings((168, 92), (152, 86), (150, 84))
    assert next_bp_step([], rested=False, waited=False) is BpStep.REST
    assert next_bp_step([], rested=True, waited=False) is BpStep.MEASURE
    assert next_bp_step([first], rested=True, waited=False) is BpStep.WAIT
    assert next_bp_step([first], rested=True, waited=True) is BpStep.MEASURE
    assert next_bp_step([first, second], rested=True, waited=False) is BpStep.WAIT
    assert next_bp_step([first, second, third], rested=True, waited=False) is BpStep.DONE


def test_the_mean_of_all_readings_rounds_to_the_worse_side() -> None:
    assert mean_pressure(readings((179, 109), (180, 110))) == Pressure(180, 110)
    assert mean_pressure(readings((168, 92), (152, 86), (150, 84))) == Pressure(157, 87)
