"""A spirometry measurement says whether its flow sensor is verified; it is never stopped by that."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside import KitCommand, set_up

from zhenbao.firmware_sim.bench import Bench
from zhenbao.firmware_sim.front_end import FrontEnd
from zhenbao.firmware_sim.waveforms.spirometry import demo_blows
from zhenbao.firmware_sim.waveforms.syringe import SyringeStrokes

pytestmark = pytest.mark.slow


def measured(kit: KitCommand, bench: Bench) -> list[str]:
    """Codes of the warnings before a session that went through to its end."""
    bench.front_end.blows.extend(demo_blows())
    ended = kit("measure", "spirometry", "--confirm", "0019", "--contraindications", "no")
    assert ended.code == 0, ended.said
    assert len(ended.of("observation")) == 1
    names = [e["event"] for e in ended.events]
    assert "sensor-warning" not in names[names.index("blow-start") :]
    return [e["code"] for e in ended.of("sensor-warning")]


def test_never_verified_then_passed_then_failed(tmp_path: Path) -> None:
    with Bench(front_end=FrontEnd(None, speed=25)) as bench:
        kit = set_up(tmp_path / "kit", bench)
        assert measured(kit, bench) == ["never"]
        bench.front_end.blows.append(SyringeStrokes())
        assert kit("tech", "syringe").code == 0
        assert measured(kit, bench) == []
        bench.front_end.blows.append(SyringeStrokes(gain=0.9))
        assert kit("tech", "syringe").code == 1
        assert measured(kit, bench) == ["failed"]
