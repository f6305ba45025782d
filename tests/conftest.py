"""What every test may use."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: what begins last decides how long the other processes wait for it."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def memory_folder() -> Iterator[None]:
    """Keys of unlocked kits lie in a folder of this run alone, in memory like a tablet's, and go with it."""
    folder = tempfile.mkdtemp(prefix="zhenbao-tests-", dir="/dev/shm")
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = folder
    yield
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Facts from outside that lie in the repository."""
    return ROOT / "tests" / "vectors"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public recordings and tables that are not in the repository (the only place that looks for them)."""
    place = Path(os.environ.get("ZHENBAO_DATA", ROOT.parent / "shared"))
    if not place.is_dir():
        pytest.skip(f"no test data at {place}: put the public databases there or set ZHENBAO_DATA (see docs/data.md)")
    return place
