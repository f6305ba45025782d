"""Simulated devices on a table."""

from collections.abc import Iterator

import pytest

from zhenbao.firmware_sim.bench import Bench


@pytest.fixture
def table() -> Iterator[Bench]:
    """Healthy devices."""
    with Bench(speed=20) as bench:
        yield bench
