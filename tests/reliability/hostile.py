"""Somebody whom the broker lets in: bent, cut, joined, foreign and repeated messages, towards both sides; and forged
ones, whole and well made, but signed with a key that may not say what they say.

The first are made of the real messages of a running kit and hub, so that nothing here knows their format; the forged
ones are made with the product's own tools (``forged.py``). Whatever comes, the only effect may be a counted refusal: no
record, no receipt, no state, no report; and the real traffic goes on.

    python -m reliability.hostile --cycles 200 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reliability import forged, rig
from reliability.export import export
from reliability.history import Fact, History, check
from reliability.machine import Side
from reliability.rig import HUB_ID, KIT_ID, Doctor, Visit
from reliability.road import Road

STRANGER = "kit-002"
PER_CYCLE = 40
Bend = Callable[[random.Random, bytes, bytes], bytes]
"""(chance, a real message, another) to a hostile one."""


def _flip(rng: random.Random, data: bytes, _: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _scramble(rng: random.Random, data: bytes, _: bytes) -> bytes:
    at, n = rng.randrange(len(data)), rng.randint(1, 40)
    return data[:at] + rng.randbytes(n) + data[at + n :]


BENDS: dict[str, Bend] = {
    "bit": _flip,
    "bytes": _scramble,
    "cut": lambda rng, data, _: data[: rng.randrange(len(data))],
    "longer": lambda rng, data, _: data + rng.randbytes(rng.randint(1, 100)),
    "joined": lambda rng, data, other: data[: rng.randrange(1, len(data))] + other[rng.randrange(len(other)) :],
    "twice in one": lambda rng, data, other: data + other,
    "noise": lambda rng, data, _: rng.randbytes(rng.randint(1, 2000)),
    "nothing": lambda rng, data, _: b"",
}
RESEALED: dict[str, Bend] = {
    # An attacker can always mend what needs no key. These need signatures to be refused.
    f"{name}, sums mended": lambda rng, data, other, bend=bend: rig.mend_sums(bend(rng, data, other))  # type: ignore[misc]
    for name, bend in BENDS.items()
    if name in ("bit", "bytes")
}


class Attack:
    """A kit and a hub at work, and somebody between them."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng, self.road = rng, Road(rng)
        self.kit = Side(folder / "kit", KIT_ID, rig.open_kit, self.road)
        self.hub = Side(folder / "hub", HUB_ID, rig.open_hub, self.road)
        self.sent: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.said: list[Fact] = []
        self._visit = Visit()
        self._n = 0
        self._known: tuple[list[int], dict[str, int]] = [], {}
        self._looking = [rig.kit_database(self.kit.folder), rig.hub_database(self.hub.folder)]
        self.road.up()
        self.work()

    def work(self) -> None:
        """An honest visit, with a report."""
        self._n += 1
        self._visit = Visit()
        ids = self._visit.begin(self.kit.store)
        reading = self._visit.reading(critical=self._n % 2 == 1, key=f"row {self._n}")
        ids += self._visit.save(self.kit.store, reading, self._visit.trace(reading, bytes(1200)))
        self.said += [{"log": KIT_ID, "what": "said-saved", "subject": str(id_)} for id_ in ids]
        self.travel(6)
        Doctor(self.hub.store).answer(f"报告{self._n}")
        self.travel(6)

    def travel(self, steps: int) -> None:
        for _ in range(steps):
            for side in (self.kit, self.hub):
                side.clock.pass_s(10)
                side.step()
            self.road.carry()

    def attack(self, bends: dict[str, Bend]) -> None:
        """Some hostile messages to either side; each must be counted, and change nothing else."""
        for _ in range(PER_CYCLE):
            sender, data = self.rng.choice(self.road.sent)
            kind, bend = self.rng.choice(list(bends.items()))
            hostile = bend(self.rng, data, self.rng.choice(self.road.sent)[1])
            if hostile != data:
                to = self.hub if sender == KIT_ID else self.kit
                self._throw(kind, sender, to, hostile)

    def foreign(self) -> None:
        """Real messages under another's name, or sent back to whom they came from."""
        for _ in range(PER_CYCLE // 2):
            sender, data = self.rng.choice(self.road.sent)
            if sender == KIT_ID:
                self._throw("another kit's", STRANGER, self.hub, data, certain=rig.SEALED)
            self._throw("sent back", HUB_ID if sender == KIT_ID else KIT_ID, self._side(sender), data, certain=False)

    def replay(self) -> None:
        """Old messages again, byte for byte: counted, or a greeting that carries nothing."""
        for _ in range(PER_CYCLE // 2):
            sender, data = self.rng.choice(self.road.sent)
            self._throw("repeated", sender, self.hub if sender == KIT_ID else self.kit, data, certain=False)

    def forge(self) -> None:
        """Each forgery, towards whom it would hurt."""
        for one in forged.forgeries(self.rng, self.kit.store, self.hub.store):
            self._throw(one.what, one.road, self._side(one.to), one.data)

    def honest(self) -> bool:
        """The control: the same packets with the right key are taken, so it is the key that the others fail by."""
        before = self._held_now()
        for one in forged.honest(self.rng, self.kit.store, self.hub.store):
            self.road.ends[one.to].on_message(one.road, one.data)
            self._side(one.to).engine.step()
        self.road.under_way.clear()
        return self._held_now() != before

    def _side(self, name: str) -> Side:
        return self.kit if name == KIT_ID else self.hub

    def _throw(self, kind: str, sender: str, to: Side, data: bytes, *, certain: bool = True) -> None:
        """One message; ``certain``: it must be counted as refused, and not only be without effect."""
        before, held = _refusals(to), self._held_now()
        self.road.ends[to.name].on_message(sender, data)
        to.engine.step()
        self.sent[kind] += 1
        if certain and _refusals(to) <= before:
            self.uncounted[kind] += 1
        if self._held_now() != held:
            self.uncounted[f"{kind}: something changed"] += 1
        # What the side answered goes nowhere: the attacker keeps it.
        self.road.under_way.clear()

    def _held_now(self) -> dict[str, int]:
        """How much of everything there is; looked at anew where a database says that somebody has written to it."""
        versions = [int(file.execute("pragma data_version").fetchone()[0]) for file in self._looking]
        if versions != self._known[0]:
            self._known = versions, _held(self)
        return self._known[1]

    def end(self) -> list[str]:
        """Faults, after everything had time to arrive."""
        for _ in range(40):
            self.travel(1)
        history = History([*export(self.kit.folder, self.hub.folder), *self.said])
        return [f"{fault.kind}: {fault.rule} {fault.subject}" for fault in check(history, settled=True)]

    def close(self) -> None:
        for file in self._looking:
            file.close()
        self.kit.store.close()
        self.hub.store.close()


def _refusals(side: Side) -> int:
    names = ("damaged", "refused_in", "packets_refused_in", "packets_refused", "duplicates", "stray")
    return sum(getattr(side.engine.counts, name, 0) for name in names)


def _held(attack: Attack) -> dict[str, int]:
    """How much of everything there is; quarantine may grow."""
    facts = export(attack.kit.folder, attack.hub.folder)
    grown = Counter(f"{f['log']} {f['what']} {f.get('state', '')}" for f in facts if f["what"] != "refused")
    return dict(grown)


def run(folder: Path, cycles: int, rng: random.Random, progress: bool = True) -> dict[str, Any]:
    attack = Attack(folder, rng)
    bends = BENDS | (RESEALED if rig.SEALED else {})
    try:
        for cycle in range(cycles):
            attack.attack(bends)
            attack.foreign()
            attack.replay()
            if rig.SEALED:
                attack.forge()
            attack.work()
            if progress and (cycle + 1) % 5 == 0:
                print(f"{cycle + 1}/{cycles} {sum(attack.sent.values())} messages", file=sys.stderr)
        faults = attack.end()
    finally:
        attack.close()
    return {
        "cycles": cycles,
        "messages": dict(attack.sent),
        "not_counted": dict(attack.uncounted),
        "faults": faults[:20],
        "sealed": rig.SEALED,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=50)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        result = run(Path(name), options.cycles, random.Random(options.seed))
    print(json.dumps(result, ensure_ascii=False))
    return bool(result["not_counted"] or result["faults"])


if __name__ == "__main__":
    sys.exit(main())
