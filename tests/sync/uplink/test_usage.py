"""The month's bytes over restarts, power cuts, reboots and a modem that comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhenbao.sync.uplink.usage import FILE, Usage, boot_id, counted, load_usage, read_counters, save_usage, skipped

NOVEMBER_MS = 1_795_000_000_000
"""2026-11-18 in Beijing."""
DECEMBER_MS = NOVEMBER_MS + 14 * 86_400_000


def month(used_bytes: int) -> Usage:
    """A month of which so much is used, with the interface's counter at 1000."""
    return Usage("2026-11", used_bytes, "a", {"wwan0": 1000})


def test_what_passes_is_added() -> None:
    assert counted(month(7), {"wwan0": 1500}, "a", NOVEMBER_MS) == Usage("2026-11", 507, "a", {"wwan0": 1500})


def test_the_first_look_counts_nothing_it_cannot_date() -> None:
    first = counted(Usage(), {"wwan0": 8_000_000_000}, "a", NOVEMBER_MS)
    assert (first.month, first.used_bytes) == ("2026-11", 0)
    assert counted(first, {"wwan0": 8_000_000_500}, "a", NOVEMBER_MS).used_bytes == 500


def test_an_interface_that_appears_later_is_counted_from_its_first_byte() -> None:
    assert counted(month(7), {"wwan0": 1000, "wwan1": 90}, "a", NOVEMBER_MS).used_bytes == 97


def test_a_restart_of_the_program_counts_nothing_twice(tmp_path: Path) -> None:
    save_usage(tmp_path, month(7))
    assert counted(load_usage(tmp_path), {"wwan0": 1200}, "a", NOVEMBER_MS).used_bytes == 207


def test_a_restart_of_the_machine_or_the_modem_begins_its_counter_again() -> None:
    assert counted(month(7), {"wwan0": 1300}, "b", NOVEMBER_MS).used_bytes == 1307
    assert counted(month(7), {"wwan0": 40}, "a", NOVEMBER_MS).used_bytes == 47


def test_a_modem_that_was_away_for_a_look_is_not_counted_anew() -> None:
    away = counted(month(7), {}, "a", NOVEMBER_MS)
    assert counted(away, {"wwan0": 1100}, "a", NOVEMBER_MS).used_bytes == 107


def test_a_new_month_begins_at_nothing() -> None:
    after = counted(month(7), {"wwan0": 1070}, "a", DECEMBER_MS)
    assert (after.month, after.used_bytes) == ("2026-12", 70)


def test_bytes_that_were_free_are_not_counted_when_the_road_begins_to_cost() -> None:
    free = skipped(Usage(), {"wlan0": 5_000_000}, "a")
    assert counted(free, {"wlan0": 5_000_100}, "a", NOVEMBER_MS).used_bytes == 100


def test_the_kernels_counters(tmp_path: Path) -> None:
    folder = tmp_path / "wwan0" / "statistics"
    folder.mkdir(parents=True)
    (folder / "rx_bytes").write_text("300\n")
    (folder / "tx_bytes").write_text("44\n")
    assert read_counters(["wwan0", "wlan9"], tmp_path) == {"wwan0": 344}
    assert read_counters(["lo"])["lo"] >= 0
    assert len(boot_id()) == 36


@pytest.mark.parametrize("content", ["", "{", "[]", '{"used_bytes": "many"}', '{"seen": {"wwan0": null}}', "\xff"])
def test_a_file_that_is_damaged_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, "latin-1")
    assert load_usage(tmp_path) == Usage()
