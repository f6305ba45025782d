"""A kit with two links of its own to the hub, a free one and a paid one: the free one dies, comes back, and flaps.

Two network namespaces joined by two packet links (``wifi0``, ``wwan0``); Mosquitto and the hub with the county's
certificates on one side, the kit's store, engine, roads, watch and gate on the other. In each cycle readings wait, the
free link dies in one of three ways while they flow, a critical finding and an old file are saved, and it heals:

    down      the device is gone
    silent    every packet vanishes, both ways
    deaf      what goes up arrives, and no answer comes back: its receipts must come by the other link

The critical finding must be receipted over the paid link, the file must wait for the free one. At last the free link
flaps, faster than anybody can follow. Needs root.

    python -m reliability.two_links --cycles 10 --seed 1 [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reliability.export import export
from reliability.history import History, check
from reliability.rig import KIT_ID
from reliability.slow_link import SlowLink, ip
from reliability.two_links_ends import FREE, HUB, PAID, End, set_up_county

KINDS = ("down", "silent", "deaf")
FLAPS = 10
_PATIENCE_S = 240.0


@contextlib.contextmanager
def two_links(seed: int) -> Iterator[tuple[SlowLink, SlowLink]]:
    """The free link (2 Mbit/s, 20 ms) and the paid one (500 kbit/s, 80 ms, 1 % loss), with a route over each."""
    free = SlowLink(2_000_000, 0.02, 0, seed=seed, device=FREE, net="10.99.1")
    paid = SlowLink(500_000, 0.08, 0.01, seed=seed, device=PAID, net="10.99.2", beside=free)
    with free, paid:
        with free.inside("hub"):
            ip("addr", "add", f"{HUB}/32", "dev", "lo")
        for link in (free, paid):
            _route(link)
        yield free, paid


def _route(link: SlowLink) -> None:
    """As NetworkManager makes them: the free one is preferred."""
    metric = "100" if link.device == FREE else "700"
    with link.inside("kit"):
        ip("route", "replace", "default", "via", link.address["hub"], "dev", link.device, "metric", metric)


def _die(link: SlowLink, kind: str) -> None:
    match kind:
        case "down":
            with link.inside("kit"):
                ip("link", "set", link.device, "down")
        case "silent":
            link.ways["kit"].blocked = link.ways["hub"].blocked = True
        case "deaf":
            link.ways["hub"].blocked = True


def _heal(link: SlowLink, kind: str) -> None:
    link.ways["kit"].blocked = link.ways["hub"].blocked = False
    if kind == "down":
        with link.inside("kit"):
            ip("link", "set", link.device, "up")
        _route(link)


def run(folder: Path, cycles: int, rng: random.Random, *, quick: bool, seed: int = 1) -> dict[str, Any]:
    conf = set_up_county(folder)
    with two_links(seed) as (free, paid), contextlib.ExitStack() as ends:
        broker = subprocess.Popen(
            [*_inside(free, "hub"), "mosquitto", "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends.callback(_kill, broker)
        hub = End(_inside(free, "hub"), "hub", folder)
        ends.callback(hub.kill)
        assert hub.wait("opened", 1, 60), "the hub does not start"
        (folder / "hub.card").write_text(hub.of("opened")[0]["card"])
        kit = End(_inside(free, "kit"), "kit", folder, "quick" if quick else "")
        ends.callback(kit.kill)
        assert kit.wait("via", 1, 60), "no link was chosen"
        assert _within(kit, lambda: _via(kit) == FREE), "the free link was never used"
        told = [_cycle(kit, free, paid, rng, KINDS[n % len(KINDS)], f"{n + 1}/{cycles}") for n in range(cycles)]
        changes = len(kit.of("via"))
        kit.tell("save 20 1 0 0")
        for _ in range(FLAPS):
            kind = rng.choice(KINDS)
            _die(free, kind)
            kit.tell("save 1 0 1 0")
            time.sleep(rng.uniform(0.5, 3))
            _heal(free, kind)
            time.sleep(rng.uniform(0.5, 3))
        began_s = time.monotonic()
        settled = _within(kit, lambda: _waiting(kit) == 0)
        settled_s = round(time.monotonic() - began_s, 1)
        flaps_changed = len(kit.of("via")) - changes
        time.sleep(1)
    said = [{"log": KIT_ID, "what": "said-saved", "subject": s} for f in kit.of("saved") for s in f["subjects"]]
    faults = check(History([*export(folder / "kit" / "store", folder), *said]), settled=True)
    kinds = Counter(fault.kind for fault in faults)
    return {
        "cycles": cycles,
        "critical_s": {kind: [t["critical_s"] for t in told if t["kind"] == kind] for kind in KINDS},
        "critical_by_the_paid_link": sum(t["by_paid"] for t in told),
        "bulk_waited": sum(t["bulk_waited"] for t in told),
        "back_s": [t["back_s"] for t in told],
        "flaps": FLAPS,
        "changes_while_flapping": flaps_changed,
        "settled_s": settled_s if settled else None,
        "said": len(said),
        "lost": kinds["lost"],
        "doubled": kinds["doubled"],
        "other": len(faults) - kinds["lost"] - kinds["doubled"],
        "faults": [asdict(fault) for fault in faults[:10]],
    }


def _cycle(kit: End, free: SlowLink, paid: SlowLink, rng: random.Random, kind: str, name: str) -> dict[str, Any]:
    kit.save("save 20 1 0 0")
    time.sleep(rng.uniform(0.2, 0.8))
    _die(free, kind)
    began_s = time.monotonic()
    carried = paid.ways["hub"].packets
    critical = set(kit.save("save 0 0 1 0")[-1:])
    assert _within(kit, lambda: critical <= _delivered(kit)), f"{kind}: the critical finding was never receipted"
    critical_s = round(time.monotonic() - began_s, 1)
    assert _within(kit, lambda: _via(kit) == PAID), f"{kind}: the paid link was never chosen"
    bulk = set(kit.save("save 0 0 0 1")[-1:])
    by_paid = paid.ways["hub"].packets > carried
    assert _within(kit, lambda: _waiting(kit) == len(bulk)), f"{kind}: more waits than what waits for the free link"
    time.sleep(3)
    bulk_waited = not bulk & _delivered(kit)
    _heal(free, kind)
    began_s = time.monotonic()
    assert _within(kit, lambda: _via(kit) == FREE and _waiting(kit) == 0), f"{kind}: the free link is not used"
    back_s = round(time.monotonic() - began_s, 1)
    print(f"{name} {kind}: critical after {critical_s} s, back after {back_s} s", file=sys.stderr)
    return {
        "kind": kind,
        "critical_s": critical_s,
        "by_paid": by_paid,
        "bulk_waited": bulk_waited and bulk <= _delivered(kit),
        "back_s": back_s,
    }


def _via(kit: End) -> str:
    return str(kit.of("via")[-1]["interface"])


def _delivered(kit: End) -> set[str]:
    """Of the critical findings and old files: what the hub has receipted."""
    return set(kit.ask("look", "waiting")["received"])


def _waiting(kit: End) -> int:
    return int(kit.ask("look", "waiting")["items"])


def _within(kit: End, happened: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + _PATIENCE_S
    while not happened():
        if time.monotonic() > until_s or kit.ended:
            return False
        time.sleep(0.5)
    return True


def _inside(link: SlowLink, side: str) -> list[str]:
    return ["ip", "netns", "exec", link.name("kit" if side == "kit" else "hub")]


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="the policy's waits cut short")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        result = run(Path(name), options.cycles, random.Random(options.seed), quick=options.quick, seed=options.seed)
    print(json.dumps({"quick": options.quick, **result}))
    whole = result["critical_by_the_paid_link"] == result["bulk_waited"] == options.cycles
    return bool(result["faults"]) or result["settled_s"] is None or not whole


if __name__ == "__main__":
    sys.exit(main())
