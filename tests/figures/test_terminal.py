"""Curves in characters."""

from __future__ import annotations

import pytest

from zhenbao.figures.terminal import bar, candles, plot


def test_corners_of_a_plot_are_its_corners() -> None:
    room = {"columns": 3, "rows": 2, "x_most": 1.0, "y_least": 0.0, "y_most": 1.0}
    assert plot([0.0], [0.0], **room) == ["⠀⠀⠀", "⡀⠀⠀"]
    assert plot([1.0], [1.0], **room) == ["⠀⠀⠈", "⠀⠀⠀"]
    assert plot([0.0, 1.0], [1.0, 1.0], **room) == ["⠉⠉⠉", "⠀⠀⠀"]
    assert plot([], [], **room) == ["⠀⠀⠀", "⠀⠀⠀"]


def test_what_lies_outside_is_cut() -> None:
    drawn = plot([0.0, 9.0], [-5.0, 7.0], columns=4, rows=2, x_most=1.0, y_least=0.0, y_most=1.0)
    assert [len(line) for line in drawn] == [4, 4]


@pytest.mark.parametrize("room", [(0, 1, 1.0, 1.0), (1, 0, 1.0, 1.0), (1, 1, 0.0, 1.0), (1, 1, 1.0, 0.0)])
def test_no_room_is_an_error(room: tuple[int, int, float, float]) -> None:
    columns, rows, x_most, y_most = room
    with pytest.raises(ValueError, match="room"):
        plot([0], [0], columns=columns, rows=rows, x_most=x_most, y_least=0.0, y_most=y_most)


def test_bars_and_candles() -> None:
    assert bar(0.5, 4) == "██░░"
    assert bar(7, 3) == "███"
    assert candles(0.0, 3) == "●●●"
    assert candles(0.67, 3) == "○○●"
    assert candles(2.0, 3) == "○○○"
