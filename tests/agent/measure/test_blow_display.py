"""One line that is kept up to date while the patient blows, and the curve afterwards."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from store_key import KEY

from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.blow_display import LiveBlow
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.drivers.frontend.messages import FlowSamples, Stream, StreamHead
from zhenbao.firmware_sim.waveforms.spirometry import BlowModel
from zhenbao.model.spirometry import Blow
from zhenbao.model.time import SystemClock
from zhenbao.signal.spirometry import analyse_blow
from zhenbao.words import Words

FS_HZ, LSB = 100, 0.001
MODEL = BlowModel(fvc_l=3.4, inspiration_before_l=3.0, fivc_l=3.3)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def played(tmp_path: Path, out: io.StringIO, *, age: float = 50.0, json_lines: bool = False) -> tuple[LiveBlow, Blow]:
    screen = Screen(Words("zh_CN"), json_lines=json_lines, out=out)
    flow = MODEL.flow_l_s(FS_HZ)
    raw = np.round(flow / LSB).astype("<i2")
    clock = SystemClock()
    with KitStore.open(tmp_path, kit_id="kit-test", clock=clock, key=KEY) as store:
        kit = Kit(tmp_path, KitSettings("kit-test"), store, clock, screen)
        live = LiveBlow(kit, lambda _: 1.0, age_years=age, predicted_fvc_l=4.0)
        live.hear(StreamHead(Stream.FLOW, FS_HZ, 1, LSB, None, None, btps=True))
        for first in range(0, len(raw), 10):
            live.hear(FlowSamples(first, raw[first : first + 10].tobytes()))
    return live, analyse_blow(np.arange(len(flow)) / FS_HZ, flow_l_s=flow)


def frames(out: Terminal) -> list[list[str]]:
    """What stood on the terminal, one after the other."""
    return [part.split("\n") for part in out.getvalue().split("\r\x1b[J")[1:]]


def test_on_a_terminal_curve_and_call_are_overwritten(tmp_path: Path) -> None:
    out = Terminal()
    played(tmp_path, out)
    shown = frames(out)
    assert {len(lines) for lines in shown} <= {11}
    assert out.getvalue().count("\x1b[10A") == len(shown) - 1  # back to the first of eleven lines
    calls = [lines[10] for lines in shown]
    for call in ("吸！吸满！", "吹！用力！", "继续吹", "好，停"):
        assert any(call in line for line in calls)
    assert calls[-1].split()[-1].count("█") == 17  # 3.4 of 4.0 L in twenty steps
    inked = [sum(c not in "0┼│ ⠀\x1b[A1" for line in lines[:10] for c in line) for lines in shown]
    assert inked[0] == 0 and inked[-1] > 30 and inked == sorted(inked)


def test_children_blow_candles_out(tmp_path: Path) -> None:
    out = Terminal()
    played(tmp_path, out, age=7.0)
    assert frames(out)[-1][10].split()[-1] == "○" * 8 + "●" * 2


def test_elsewhere_only_the_calls_are_printed(tmp_path: Path) -> None:
    out = io.StringIO()
    played(tmp_path, out)
    lines = out.getvalue().splitlines()
    assert lines[-1] == "好，停"
    assert len(lines) == len({*lines}) or lines.count("含紧咬嘴，准备") > 1


def test_programs_get_each_call_once(tmp_path: Path) -> None:
    out = io.StringIO()
    played(tmp_path, out, json_lines=True)
    calls = [json.loads(line)["call"] for line in out.getvalue().splitlines()]
    assert calls[-3:] == ["blast", "keep-going", "stop"]
    assert all(one != other for one, other in pairwise(calls))


def test_the_curve_stays_and_nothing_stays_where_nobody_blew(tmp_path: Path) -> None:
    out = io.StringIO()
    live, blow = played(tmp_path, out)
    before = len(out.getvalue().splitlines())
    live.finish(blow)
    lines = out.getvalue().splitlines()[before:]
    assert len(lines) == 10
    assert [line[:3] for line in lines].count("0 ┼") == 1
    above = lines[: next(i for i, line in enumerate(lines) if line.startswith("0 ┼"))]
    assert any(c not in " │⠀" for c in above[-1])
    live.finish(analyse_blow([0.0, 1.0], flow_l_s=[0.0, 0.0]))
    assert len(out.getvalue().splitlines()) == before + 10


@pytest.mark.parametrize(
    ("samples", "said"),
    [(b"", ""), (np.full(40, -32768, "<i2").tobytes(), "Lips tight round the mouthpiece, ready\n")],
    ids=["silence", "lost"],
)
def test_silence_and_lost_samples_raise_nothing(tmp_path: Path, samples: bytes, said: str) -> None:
    out = io.StringIO()
    with KitStore.open(tmp_path, kit_id="kit-test", clock=SystemClock(), key=KEY) as store:
        kit = Kit(tmp_path, KitSettings("kit-test"), store, SystemClock(), Screen(Words("en"), out=out))
        live = LiveBlow(kit, lambda _: 1.0, age_years=None, predicted_fvc_l=None)
        live.hear(FlowSamples(0, samples))
        live.hear(StreamHead(Stream.FLOW, FS_HZ, 1, LSB, None, None))
        live.hear(FlowSamples(0, samples))
    assert out.getvalue() == said  # no cheer, no curve: nobody has blown
