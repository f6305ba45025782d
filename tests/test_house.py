"""Rules of the house that no type checker sees."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SLOW = {
    "numpy",
    "scipy",
    "sqlite_utils",
    "paho",
    "bleak",
    "bumble",
    "fastapi",
    "sqlalchemy",
    "wfdb",
    "amqtt",
    "pandas",
    "httpx",
}
SLOW |= {"fpdf", "pypdfium2", "edfio", "pydicom"}


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "analyse ecg --help",
        "analyse spirometry --help",
        "analyse spirometry-summary --help",
        "analyse bp24 --help",
        "measure --help",
        "tech --help",
        "hub --help",
        "sim --help",
    ],
)
def test_help_starts_fast_because_it_loads_nothing_slow(arguments: str) -> None:
    code = "import sys; sys.argv[1:] = %r; from zhenbao.cli import main\ntry:\n main()\nexcept SystemExit: pass\n"
    code += "print('LOADED', *sorted({m.split('.')[0] for m in sys.modules}))"
    ended = subprocess.run(
        [sys.executable, "-c", code % arguments.split()], capture_output=True, text=True, check=True, cwd=ROOT
    )
    (loaded,) = re.findall(r"^LOADED (.*)$", ended.stdout, re.MULTILINE)
    assert SLOW & set(loaded.split()) == set()


def test_every_driver_has_an_entry_point_that_loads_and_names_itself() -> None:
    # Read from the project's own file: an installation may be older than the tree.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    group = "zhenbao.drivers"
    found = [EntryPoint(n, v, group) for n, v in project["entry-points"][group].items()]
    assert {e.name for e in found} == {
        "bp-gatt",
        "bp-beurer-serial",
        "glucose-gatt",
        "glucose-onetouch",
        "glucose-contour",
        "ecg-front-end",
        "spirometer-front-end",
        "oximeter-gatt",
        "oximeter-nonin",
        "oximeter-cms50d-plus",
        "thermometer-gatt",
        "scale-gatt",
        "polar-h10",
        "healthypi5",
        "contec-sp10",
    }
    assert all(e.load().name == e.name for e in found)
    # What is installed may be an older version's; it never has a device that this one lacks.
    assert {e.name for e in entry_points(group=group)} <= {e.name for e in found}


GLANCE = (
    "supported",
    "tested with",
    "units",
    "HI and LO",
    "clock",
    "control solution",
    "dangers",
    "vectors",
    "simulator",
)
"""Rows of the table "At a glance" of a device's page in docs/devices/."""


def drivers() -> dict[str, str]:
    """Name and class of each driver, from the project's own file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["entry-points"]["zhenbao.drivers"])


def glance(page: str, driver: str) -> dict[str, str]:
    """What the page's table says of this driver, row by row; empty where it has no column."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines() if line.startswith("| ")
    ]
    head = next((row for row in rows if row[0] == "" and f"`{driver}`" in row), None)
    if head is None:
        return {}
    column = head.index(f"`{driver}`")
    below = rows[rows.index(head) + 1 :][: len(GLANCE)]
    return {row[0]: row[column] for row in below if len(row) > column}


def missing(driver: str, module: str, pages: list[str], root: Path) -> set[str]:
    """Which pieces of a device do not exist: its folder, its page, a row of its table, its vectors, its simulator."""
    said = next((told for page in pages if (told := glance(page, driver))), {})
    lacking = {row for row in GLANCE if not said.get(row)}
    if "never met real hardware" not in said.get("tested with", "") and "met real hardware:" not in said.get(
        "tested with", ""
    ):
        lacking.add("tested with")
    if not (root / Path(*module.split(":")[0].split("."))).with_suffix(".py").is_file():
        lacking.add("folder")
    for row, folder in (("vectors", "tests/vectors/"), ("simulator", "zhenbao/firmware_sim/")):
        files = re.findall(r"`([^`]+)`", said.get(row, ""))
        if not files or not all(
            f.startswith(folder) and (root / f).is_file() and (root / f).stat().st_size for f in files
        ):
            lacking.add(row)
    return lacking


PAGES = [p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "devices").glob("*.md")]


@pytest.mark.parametrize("driver", drivers())
def test_a_device_is_a_folder_a_line_a_page_vectors_and_a_simulator(driver: str) -> None:
    assert missing(driver, drivers()[driver], PAGES, ROOT) == set()


def test_a_device_without_anything_lacks_every_piece() -> None:
    assert missing("toaster", "zhenbao.drivers.toaster.driver:Toaster", PAGES, ROOT) == {*GLANCE, "folder"}


@pytest.mark.parametrize("row", GLANCE)
@pytest.mark.parametrize("driver", drivers())
def test_each_row_of_each_page_is_missed_when_it_goes(driver: str, row: str) -> None:
    without = ["\n".join(line for line in page.splitlines() if not line.startswith(f"| {row} |")) for page in PAGES]
    assert row in missing(driver, drivers()[driver], without, ROOT)


def test_vectors_and_simulators_that_do_not_exist_are_missed(tmp_path: Path) -> None:
    lacking = missing("bp-gatt", drivers()["bp-gatt"], PAGES, tmp_path)
    assert lacking == {"vectors", "simulator", "folder"}


def test_no_file_of_the_package_can_be_run_by_its_path() -> None:
    """``python zhenbao/x.py`` would put a folder named ``signal`` before Python's own module."""
    runnable = [
        path.name
        for path in (ROOT / "zhenbao").rglob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    assert set(runnable) <= {"__main__.py", "vendor.py"}


def test_no_file_is_long_and_none_is_a_drawer() -> None:
    files = list((ROOT / "zhenbao").rglob("*.py"))
    assert [p.name for p in files if len(p.read_text(encoding="utf-8").splitlines()) > 600] == []
    assert [p for p in files if p.stem in {"utils", "util", "helpers", "common", "misc", "manager"}] == []


def test_the_code_of_a_spirometry_class_is_never_shown_as_its_words() -> None:
    """The platform's code is ``normal`` also over an FEV1 below 80 % of predicted; people read ``shown_class``."""
    rooms = [room for room in (ROOT / "zhenbao").iterdir() if room.name not in ("signal", "model")]
    files = [f for room in rooms for f in (room.rglob("*") if room.is_dir() else [room])]
    texts = {f: f.read_text(encoding="utf-8") for f in files if f.suffix in (".py", ".html", ".js")}
    assert sum("shown_class" in text for text in texts.values()) >= 2
    assert [f.name for f, text in texts.items() if "cn5_class" in text] == []


def test_only_synthetic_resident_numbers_lie_in_the_repository() -> None:
    """Numbers of real areas may not even look real: the standard's printed sample is the one exception."""
    known_samples = {"11010519491231002X", "440524188001010014", "340524198001010013", "65232700110"}
    number = re.compile(
        r"(?<![0-9A-Fa-f])[1-9]\d{5}(?:18|19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])\d{3}[0-9Xx](?![0-9A-Fa-f])"
    )
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    texts = {".py", ".md", ".toml", ".csv", ".json", ".html", ".sql"}
    for name in listed:
        path = ROOT / name
        if path.suffix in texts and path.is_file():
            for found in number.findall(path.read_text(encoding="utf-8")):
                assert found.startswith("999999") or found in known_samples, f"{name}: a resident number of a real area"
