"""A state machine over kit, road and hub: whatever happens in whatever order, what was said to be saved arrives once.

Hypothesis chooses what happens (readings, crashes, restarts, clock jumps, a road that breaks, loses, repeats, reorders
and damages, specialists, a doctor who reads), looks for the shortest story that breaks an invariant, and prints it.
After each story everything has time to settle, and the history checker reads both databases.

    python -m reliability.machine --cycles 200 --steps 50 --seed 1
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from reliability import rig
from reliability.export import export
from reliability.history import Fact, History, check
from reliability.rig import HUB_ID, KIT_ID, Doctor, HandClock, Visit
from reliability.road import Road

DAY_MS = 86_400_000
_SETTLE_ROUNDS = 400


class Watched:
    """A store that remembers what the engine was handed and what it handed on, whatever the messages look like."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.lanes: dict[UUID, int] = {}
        self.handed: set[UUID] = set()
        """In this connection."""
        self.in_this_step: list[UUID] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def due(self, now_ms: int, limit: int) -> list[Any]:
        items: list[Any] = self._store.due(now_ms, limit)
        self.lanes |= {item.id: int(item.lane) for item in items}
        return items

    def tried(self, envelopes: UUID | Sequence[UUID], not_before_ms: int) -> None:
        """One or several that were handed on."""
        ids = [envelopes] if isinstance(envelopes, UUID) else list(envelopes)
        self.in_this_step += ids
        self.handed |= set(ids)
        self._store.tried(envelopes, not_before_ms)


class Side:
    """A kit or a hub: its store, its engine, its clock; it can be shut, or die."""

    def __init__(self, folder: Path, name: str, open_store: Callable[..., Any], road: Road) -> None:
        self.folder, self.name, self.clock = folder, name, HandClock()
        self._open_store, self._road = open_store, road
        self.start()

    def start(self) -> None:
        self.store = self._open_store(self.folder, self.clock)
        self.watched = Watched(self.store)
        was_up = self.name in self._road.ends and self._road.ends[self.name].connected
        end = self._road.end(self.name)
        self.engine = rig.engine(self.watched, end, self.clock)  # type: ignore[arg-type]
        if was_up:
            end.connected = True
            end.on_up()

    def step(self) -> None:
        self.watched.in_this_step = []
        self.engine.step()

    def restart(self) -> None:
        self.store.close()
        self.start()

    def die(self) -> None:
        """As a kill or a power cut leaves it: the files as they are at this moment, without a good-bye.

        What lies unsynced is the affair of ``power_loss.py``; with ``synchronous=FULL`` it is nothing committed.
        """
        left = self.folder.with_name(f"{self.name}-{time.monotonic_ns()}")
        shutil.copytree(self.folder, left, ignore=shutil.ignore_patterns("*-shm", "ballast"))
        self.store.close()
        shutil.rmtree(self.folder)
        self.folder = left
        self.start()


@functools.cache
def _blank() -> Path:
    """New stores, made once: migrations take longer than a story."""
    folder = Path(tempfile.mkdtemp(prefix="zhenbao-blank-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rig.open_kit(folder / "kit", HandClock()).close()
    rig.open_hub(folder / "hub", HandClock()).close()
    return folder


class Story(RuleBasedStateMachine):
    """What may happen."""

    stories: ClassVar[int] = 0
    delivered: ClassVar[int] = 0

    @initialize(seed=st.integers(0, 1 << 16))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zhenbao-story-", dir="/dev/shm"))
        shutil.copytree(_blank(), self.folder, dirs_exist_ok=True)
        self.road = Road(random.Random(seed))
        self.kit = Side(self.folder / "kit", KIT_ID, rig.open_kit, self.road)
        self.hub = Side(self.folder / "hub", HUB_ID, rig.open_hub, self.road)
        self.said: list[Fact] = []
        self.n = 0
        self.new_visit()

    def teardown(self) -> None:
        if not hasattr(self, "said"):
            return
        try:
            self._settle()
            self._compare()
            Story.stories += 1
        finally:
            for side in (self.kit, self.hub):
                side.store.close()
            shutil.rmtree(self.folder)

    # What people do

    @rule()
    def new_visit(self) -> None:
        self.visit = Visit(at_ms=max(0, self.kit.clock.now_ms()))
        self._saved(self.visit.begin(self.kit.store))

    @rule(critical=st.booleans(), traces=st.integers(0, 2))
    def measure(self, critical: bool, traces: int) -> None:
        self.n += 1
        reading = self.visit.reading(critical=critical, at_ms=max(0, self.kit.clock.now_ms()), key=f"row {self.n}")
        self._saved(self.visit.save(self.kit.store, reading, *(self.visit.trace(reading, bytes(2400)),) * (traces > 0)))

    @rule(n=st.integers(5, 40))
    def many_readings(self, n: int) -> None:
        for _ in range(n):
            self.measure(critical=False, traces=0)

    @rule()
    def correct_the_name(self) -> None:
        self.n += 1
        self.visit.patient = replace(self.visit.patient, name=f"演示患者{self.n}")
        self.kit.store.save_patient(self.visit.patient)

    @rule()
    def specialist_signs(self) -> None:
        answering = Doctor(self.hub.store)
        self.n += 1
        if answering.answer(f"报告{self.n}"):
            case, conclusion = answering.said[-1]
            self.said.append({"log": "specialist", "what": "said-signed", "case": case, "conclusion": conclusion})

    @rule()
    def doctor_reads(self) -> None:
        for report in self.kit.store.inbox():
            self.kit.store.read_report(report.report.id, max(0, self.kit.clock.now_ms()))

    # What the road does

    @rule(steps=st.integers(1, 4))
    def travel(self, steps: int) -> None:
        for _ in range(steps):
            self.step_kit()
            self.hub.step()
            self.road.carry()

    @rule()
    def step_kit(self) -> None:
        self.kit.step()
        self._critical_first()

    @rule()
    def step_hub(self) -> None:
        self.hub.step()

    @rule()
    def carry(self) -> None:
        self.road.carry()

    @rule()
    def road_up(self) -> None:
        self.road.up()
        self.kit.watched.handed.clear()

    @rule()
    def road_down(self) -> None:
        self.road.down()

    @rule(share=st.sampled_from([0.2, 0.5, 1.0]))
    def lose(self, share: float) -> None:
        self.road.lose(share)

    @rule(share=st.sampled_from([0.3, 1.0]))
    def repeat(self, share: float) -> None:
        self.road.repeat(share)

    @rule()
    def reorder(self) -> None:
        self.road.reorder()

    @rule(share=st.sampled_from([0.1, 1.0]))
    def damage(self, share: float) -> None:
        self.road.damage(share)

    # What machines do

    @rule(seconds=st.sampled_from([1.0, 10.0, 60.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        for side in (self.kit, self.hub):
            side.clock.pass_s(seconds)

    @rule(to=st.sampled_from(["1970", "3 days back", "3 days on", "right"]), kit=st.booleans())
    def wall_clock_jumps(self, to: str, kit: bool) -> None:
        clock = (self.kit if kit else self.hub).clock
        clock.wall_ms = {
            "1970": 5_000,
            "3 days back": max(0, clock.wall_ms - 3 * DAY_MS),
            "3 days on": clock.wall_ms + 3 * DAY_MS,
            "right": rig.START_MS + round(1000 * (clock.mono_s - 1000)),
        }[to]

    @rule()
    def kit_restarts(self) -> None:
        self.kit.restart()

    @rule()
    def hub_restarts(self) -> None:
        self.hub.restart()

    @rule()
    def kit_dies(self) -> None:
        self.kit.die()

    @rule()
    def hub_dies(self) -> None:
        self.hub.die()

    # What must always be

    @invariant()
    def what_was_said_is_kept(self) -> None:
        if hasattr(self, "said"):
            assert self.kit.store.notices == () or all(n.code == "store-low" for n in self.kit.store.notices)
            for fact in self.said[-3:]:
                if fact["what"] == "said-saved":
                    assert self.kit.store.delivery(UUID(fact["subject"])), "what was saved has no state"

    def _critical_first(self) -> None:
        """Nothing else went in this step while something critical that could go did not."""
        watched = self.kit.watched
        others = [id_ for id_ in watched.in_this_step if watched.lanes[id_] > 0]
        if others:
            waiting = [i for i in self.kit.store.due(1 << 62, 1000) if int(i.lane) == 0 and i.id not in watched.handed]
            assert not waiting, f"{len(waiting)} critical items wait while {len(others)} others went"
        order = [watched.lanes[id_] for id_ in watched.in_this_step]
        assert order == sorted(order), f"lanes went out of order: {order}"

    def _saved(self, ids: list[UUID]) -> None:
        self.said += [{"log": KIT_ID, "what": "said-saved", "subject": str(id_)} for id_ in ids]

    # The end of a story

    def _settle(self) -> None:
        """The road is whole from now on, and time passes."""
        self.road.up()
        for _ in range(_SETTLE_ROUNDS):
            for side in (self.kit, self.hub):
                side.clock.pass_s(20)
                side.step()
            self.road.carry()
            if not self.road.under_way and not self.kit.store.due(1 << 62, 1) and not self.hub.store.due(1 << 62, 1):
                return
        raise AssertionError("it never settles")

    def _compare(self) -> None:
        history = History([*export(self.kit.folder, self.hub.folder), *self.said])
        faults = check(history, settled=True)
        assert not faults, "\n".join(map(str, faults))
        refused = history.of("hub", "refused") + [f for f in history.of(KIT_ID, "posted") if f["state"] == "refused"]
        assert not refused, refused
        if Story.stories % 10 == 0:
            print(f"{Story.stories} stories", file=sys.stderr)
        Story.delivered += len(history.of("hub", "arrived"))


def story_settings(cycles: int, steps: int, *, shrink: bool = True) -> settings:
    """No deadline: a store syncs, and others use this machine too. ``shrink``: look for the shortest broken story."""
    return settings(
        max_examples=cycles,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=200, help="stories")
    parser.add_argument("--steps", type=int, default=50, help="at most so many events in a story")
    options = parser.parse_args(arguments)
    Story._hypothesis_internal_use_seed = options.seed  # type: ignore[attr-defined]
    broken = ""
    begun_s = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            run_state_machine_as_test(Story, settings=story_settings(options.cycles, options.steps))  # type: ignore[no-untyped-call]
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
            print(broken, *getattr(error, "__notes__", ()), sep="\n")
    seconds = round(time.monotonic() - begun_s)
    print(json.dumps({"stories": Story.stories, "delivered": Story.delivered, "seconds": seconds, "broken": broken}))
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
