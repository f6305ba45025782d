"""docs/devices/faults.md says what tests show, cell by cell and code by code, and nothing else."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from drivers import test_bluetooth_faults, test_cable_faults
from fault_table import BATTERY, HANGS_UP, HELD, OTHER, UNPLUGGED, Cell, cells_of_the_page

from zhenbao.words import Words

TESTS = Path(__file__).parents[1]
CELLS, WRITTEN = cells_of_the_page()
IMPOSSIBLE = "cannot be"

IN_THE_WHOLE = {
    Cell("cuff on a cable", BATTERY, "cuff-cable-nothing"): (
        "agent/measure/test_cuff.py::test_a_cuff_that_stored_nothing_new_is_told_and_its_old_record_taken_for_nothing"
    ),
    Cell("Bluetooth meter", HELD, "meter-busy"): (
        "drivers/test_glucose_over_the_air.py::test_a_meter_that_serves_another_request_is_busy"
    ),
    Cell("meter on a cable", OTHER, "meter-other"): (
        "end_to_end/test_serial_glucose.py::test_another_meter_of_the_same_kind_is_noticed_by_its_serial_number"
    ),
    Cell("Bluetooth oximeter", UNPLUGGED, "oximeter-lost"): (
        "end_to_end/test_saturation.py::test_an_oximeter_that_hangs_up_too_early_says_what_to_do"
    ),
    Cell("oximeter on a cable", BATTERY, "oximeter-lost"): (
        "end_to_end/test_saturation.py::test_a_serial_oximeter_that_switches_itself_off_before_a_result"
    ),
    Cell("front-end", UNPLUGGED, "ecg-data-lost"): (
        "end_to_end/test_faults.py::test_frames_lost_on_the_cable_are_no_matter_of_electrodes"
    ),
    Cell("front-end", HELD, "front-end-busy"): (
        "drivers/test_frontend_start_stop.py::test_a_board_that_cannot_be_brought_to_stop_is_told"
    ),
}
"""What no driver tells alone, and the test that shows it."""


def test_the_page_and_the_tests_have_the_same_cells() -> None:
    shown = {*test_bluetooth_faults.CELLS, *test_cable_faults.CELLS, *IN_THE_WHOLE}
    assert set(CELLS) - shown == set(), "no test shows these"
    assert shown - set(CELLS) == set(), "the page does not say these"


def test_every_cell_says_something() -> None:
    assert len({fault for _, fault, _ in WRITTEN}) == len({UNPLUGGED, BATTERY, HELD, HANGS_UP, OTHER}) == 5
    said = {(cell.device, cell.fault) for cell in CELLS}
    for device, fault, text in WRITTEN:
        assert (device, fault) in said or text == IMPOSSIBLE, f"{device}, {fault}: {text!r}"


@pytest.mark.parametrize("code", sorted({cell.code for cell in CELLS} - {""}))
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_code_has_words_that_say_what_and_what_to_do(code: str, language: str) -> None:
    words = Words(language)
    for part in ("what", "do"):
        assert f"error.{code}.{part}" in words, f"{code}.{part}"


@pytest.mark.parametrize(("cell", "place"), IN_THE_WHOLE.items(), ids=lambda one: str(one)[:60])
def test_what_is_shown_elsewhere_is_shown_there(cell: Cell, place: str) -> None:
    """The test is there, and has the code in its own body or parameters."""
    file, _, name = place.partition("::")
    assert f'"{cell.code}"' in functions(file)[name]


@cache
def functions(file: str) -> dict[str, str]:
    """The source of each test of a file, with what stands above it."""
    source = (TESTS / file).read_text(encoding="utf-8")
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found
