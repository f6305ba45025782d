"""Broken byte streams between kit, broker and hub: cut in the middle of a message, half-open, late, shut.

Kit and hub as they ship, each with a proxy of its own in front of the broker. In each cycle one road breaks in one
way while a reading is taken, and heals; in the end everything must be there, once.

    python -m reliability.proxy_loop --cycles 60 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reliability.export import export
from reliability.fault_proxy import FaultProxy, Faults
from reliability.history import History, check
from reliability.kill_loop import free_port
from reliability.rig import KIT_ID
from reliability.roles import Role

HOST = "127.0.0.1"
_PATIENCE_S = 180.0
KINDS = ("cut", "half-open", "late", "shut", "broken")


def run(folder: Path, cycles: int, rng: random.Random, *, progress: bool = True) -> dict[str, Any]:
    port = free_port()
    broker = subprocess.Popen(["mosquitto", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    done: Counter[str] = Counter()
    with FaultProxy(port) as kit_road, FaultProxy(port) as hub_road:
        hub = Role("hub", folder / "hub", HOST, hub_road.port)
        kit = Role("kit", folder / "kit", HOST, kit_road.port)
        try:
            assert hub.wait("opened", 1, 60) and kit.wait("opened", 1, 60)
            kit.tell("go")
            for cycle in range(cycles):
                side, road = rng.choice([("kit", kit_road), ("hub", hub_road)])
                kind = rng.choice(KINDS)
                _break(road, kind, rng)
                kit.tell("critical" if cycle % 4 == 0 else "result")
                time.sleep(rng.uniform(0.3, 2.0))
                road.faults = Faults()
                if kind == "half-open":
                    # Nobody would notice before the heartbeat; what it swallowed is gone all the same.
                    road.break_all()
                done[f"{side} {kind}"] += 1
                if progress and (cycle + 1) % 10 == 0:
                    print(f"{cycle + 1}/{cycles} {dict(done)}", file=sys.stderr)
            begun_s = time.monotonic()
            settled_s = _settled(kit, cycles, begun_s)
            time.sleep(1)
        finally:
            kit.kill()
            hub.kill()
            broker.kill()
            broker.wait()
        resets = kit_road.resets + hub_road.resets
    said = [
        {"log": KIT_ID, "what": "said-saved", "subject": subject}
        for fact in kit.of("saved")
        for subject in (fact["subject"], *fact["traces"])
    ]
    faults = check(History([*export(folder / "kit", folder / "hub"), *said]), settled=True)
    kinds = Counter(fault.kind for fault in faults)
    return {
        "cycles": cycles,
        "faults_made": dict(done),
        "connections_reset": resets,
        "settled_s": settled_s,
        "said": len(said),
        "lost": kinds["lost"],
        "doubled": kinds["doubled"],
        "other": len(faults) - kinds["lost"] - kinds["doubled"],
        "faults": [asdict(fault) for fault in faults[:10]],
    }


def _break(road: FaultProxy, kind: str, rng: random.Random) -> None:
    match kind:
        case "cut":
            # Also those that are open: so many bytes from now, in the middle of whatever goes then.
            road.faults = Faults(reset_after=rng.choice([30, 200, 1500, 20_000]))
        case "half-open":
            road.faults = Faults(half_open=True)
        case "late":
            road.faults = Faults(delay_s=rng.uniform(0.1, 0.5))
        case "shut":
            road.faults = Faults(shut=True)
            road.break_all()
        case "broken":
            road.break_all()


def _settled(kit: Role, cycles: int, begun_s: float) -> float | None:
    """Until the kit says that nothing waits; None where that did not come."""
    asked = 0
    while time.monotonic() - begun_s < _PATIENCE_S:
        asked += 1
        kit.tell("look")
        assert kit.wait("done", cycles + 1 + asked, 60)
        if kit.of("done")[-1]["waiting"] == 0:
            return round(time.monotonic() - begun_s, 1)
        time.sleep(1)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=60)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        result = run(Path(name), options.cycles, random.Random(options.seed))
    print(json.dumps(result))
    return bool(result["faults"]) or result["settled_s"] is None


if __name__ == "__main__":
    sys.exit(main())
