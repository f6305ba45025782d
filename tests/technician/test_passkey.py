"""A device that shows six digits is paired by typing them; nobody at the keyboard, or a wrong digit, makes no bond."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bedside import RESIDENT, KitCommand, set_up

from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.glucose_meter import GlucoseMeter
from zhenbao.words import Words

pytestmark = pytest.mark.slow
WORDS = Words("zh_CN")


@pytest.fixture
def table() -> Iterator[Bench]:
    meter = GlucoseMeter()
    meter.shows_digits = True
    with Bench(meter=meter) as bench:
        bench.pairing_mode(True)
        yield bench


def tech_pair(kit: KitCommand, table: Bench, typed: Callable[[int], str] | None) -> tuple[int, str]:
    """The command, with what is typed once it asks; None closes the keyboard."""
    with subprocess.Popen(
        [sys.executable, "-m", "zhenbao", "--home", kit.home, "tech", "pair", "glucose"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "ZHENBAO_LANG": "zh_CN"},
    ) as command:
        assert command.stdin is not None and command.stdout is not None
        said = ""
        for line in command.stdout:
            said += line
            if line.strip() == WORDS("tech.passkey"):
                if typed is None:
                    command.stdin.close()
                else:
                    while (digits := table.call(lambda: table.meter.digits)) is None:
                        time.sleep(0.02)
                    command.stdin.write(typed(digits))
                    command.stdin.flush()
        return command.wait(timeout=60), said


def test_the_digits_of_the_display_make_the_bond(table: Bench, tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", table)
    code, said = tech_pair(kit, table, lambda digits: f"12a456\n{digits:06d}\n")
    assert code == 0, said
    assert WORDS("tech.passkey_again") in said
    (keys,) = table.call(lambda: list(table.meter._bonds.all_keys.values()))
    assert keys.ltk.authenticated, "the key is protected against somebody in between"
    table.pairing_mode(False)
    table.test_blood(6.1)
    assert kit("measure", "glucose", "--confirm", RESIDENT[-4:], "--meal", "random").code == 0


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(lambda digits: f"{(digits + 1) % 1_000_000:06d}\n", id="a wrong digit"),
        pytest.param(lambda _: "\n", id="Enter alone"),
        pytest.param(None, id="no keyboard"),
    ],
)
def test_no_bond_without_them(table: Bench, tmp_path: Path, typed: Callable[[int], str] | None) -> None:
    kit = set_up(tmp_path / "kit", table)
    code, said = tech_pair(kit, table, typed)
    assert code == 1
    assert "pairing-failed" in said
    assert table.call(lambda: table.meter.bonded_hosts) == 0
