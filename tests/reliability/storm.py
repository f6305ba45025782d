"""Five hundred kits whose broker dies under them and comes back: they all reconnect, and nothing is lost or doubled.

Real stores, real engines, Mosquitto; the kits in a few processes. All connect and deliver a first visit; the broker is
killed; each kit takes one more reading; the broker returns with nothing remembered. Timed from its return until every
reading is at the hub.

    python -m reliability.storm --kits 500 --seed 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reliability import rig
from reliability.export import export
from reliability.history import History, check
from reliability.kill_loop import free_port
from reliability.roles import Role
from reliability.tcp_limits import quantiles

HOST = "127.0.0.1"
_PATIENCE_S = 300.0


def run(folder: Path, kits: int, processes: int, away_s: float) -> dict[str, Any]:
    port = free_port()
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} {HOST}\nallow_anonymous true\nset_tcp_nodelay true\n")
    broker = _broker(file)
    hub = Role("hub", folder / "hub", HOST, port)
    size = -(-kits // processes)
    fleets = [Role("fleet", folder, HOST, port, n, min(kits, n + size)) for n in range(0, kits, size)]
    try:
        for fleet in fleets:
            assert fleet.wait("opened", 1, _PATIENCE_S)
            fleet.tell("result")
        assert all(fleet.wait("done", 1, _PATIENCE_S) for fleet in fleets)
        begun_s = time.monotonic()
        for fleet in fleets:
            fleet.tell("go")
        # Patient, encounter, reading.
        assert hub.wait("accepted", 3 * kits, _PATIENCE_S), f"{len(hub.of('accepted'))} of {3 * kits} at first"
        first_s = hub.of("accepted")[-1]["at_s"] - begun_s
        print(f"{kits} kits delivered in {first_s:.1f} s; the broker dies", file=sys.stderr)
        broker.kill()
        broker.wait()
        for fleet in fleets:
            fleet.tell("result")
        assert all(fleet.wait("done", 3, _PATIENCE_S) for fleet in fleets)
        time.sleep(away_s)
        broker, back_s = _broker(file), time.monotonic()
        all_there = hub.wait("accepted", 6 * kits, _PATIENCE_S)
        times = [f["at_s"] - back_s for f in hub.of("accepted")[3 * kits :]]
        time.sleep(3)
    finally:
        for process in (*fleets, hub):
            process.kill()
        broker.kill()
        broker.wait()
    facts = export(None, folder / "hub")
    for n in range(kits):
        facts += export(folder / str(n), None)
    faults = check(History(facts))
    kinds = Counter(fault.kind for fault in faults)
    return {
        "kits": kits,
        "away_s": away_s,
        "first_connection_s": round(first_s, 1),
        "all_there": all_there,
        "back_s": quantiles(times),
        "lost": kinds["lost"],
        "doubled": kinds["doubled"],
        "other": len(faults) - kinds["lost"] - kinds["doubled"],
        "faults": [asdict(fault) for fault in faults[:10]],
    }


def _broker(file: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["mosquitto", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    assert process.poll() is None, "the broker does not start"
    return process


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seed", type=int, default=1, help="taken for the sake of uniformity: the kits' jitter is theirs"
    )
    parser.add_argument("--kits", type=int, default=500)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--away-s", type=float, default=20.0, help="how long the broker is dead")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=rig.fast_folder()) as name:
        result = run(Path(name), options.kits, options.processes, options.away_s)
    print(json.dumps(result))
    return bool(result["faults"]) or not result["all_there"]


if __name__ == "__main__":
    sys.exit(main())
