"""Kit, hub and fleet as processes that tell what happens to them as JSON lines with the machine's monotonic time.

python -m reliability.roles hub FOLDER HOST PORT [COUNTY]
python -m reliability.roles kit FOLDER HOST PORT [COUNTY]   obeys: backlog N TRACES, go, critical, result, look, end
python -m reliability.roles fleet FOLDER HOST PORT FIRST LAST    obeys: go, result, end

COUNTY is a folder of ``tls_road.found``: then the road is TLS with certificates.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reliability import rig

from zhenbao.sync.link import Link

Fact = dict[str, Any]
_SAY = threading.Lock()


class Role:
    """Such a process, seen from the tool that started it."""

    def __init__(self, name: str, *arguments: object, prefix: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "reliability.roles", name, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts: list[Fact] = []
        self.changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            with self.changed:
                self.facts.append(json.loads(line))
                self.changed.notify_all()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def of(self, what: str) -> list[Fact]:
        with self.changed:
            return [fact for fact in self.facts if fact["what"] == what]

    def wait(self, what: str, n: int, seconds: float) -> bool:
        """Until so many facts of a kind were told."""
        with self.changed:
            return self.changed.wait_for(lambda: sum(f["what"] == what for f in self.facts) >= n, seconds)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


def _say(what: str, **facts: object) -> None:
    with _SAY:
        print(json.dumps({"what": what, "at_s": time.monotonic(), **facts}), flush=True)


def _watch(event: rig.Event) -> None:
    _say(event.name, kind=event.kind, subject=str(event.subject_id))


def hub(folder: Path, link: Link) -> None:
    store = rig.open_hub(folder, rig.SystemClock())
    _say("opened")
    rig.engine(store, link, store.clock, _watch).run(threading.Event())


class Kit:
    """One kit and its engine on a thread."""

    def __init__(self, folder: Path, link: Link, kit_id: str = rig.KIT_ID) -> None:
        self.kit_id = kit_id
        self.store = rig.open_kit(folder, rig.SystemClock(), kit_id=kit_id)
        self._engine = rig.engine(self.store, link, rig.SystemClock(), _watch)
        self._thread = threading.Thread(target=self._engine.run, args=(threading.Event(),), daemon=True)

    def go(self) -> None:
        self._thread.start()
        _say("going", kit=self.kit_id)

    def backlog(self, readings: int, traces: int) -> None:
        """Results without end, and tracings between them."""
        visit = rig.Visit(self.kit_id, at_ms=_now_ms())
        visit.begin(self.store)
        for n in range(readings):
            reading = visit.reading(at_ms=_now_ms())
            with_trace = traces and n % max(1, readings // traces) == 0
            visit.save(self.store, reading, *([visit.trace(reading, rig.samples(n))] if with_trace else []))

    def one(self, *, critical: bool) -> None:
        """A new person, and a reading of them."""
        visit = rig.Visit(self.kit_id, at_ms=_now_ms())
        visit.begin(self.store)
        reading = visit.reading(critical=critical, at_ms=_now_ms())
        traces = [visit.trace(reading, rig.samples(reading.effective_ms))] if critical else []
        at_s = time.monotonic()
        ids = visit.save(self.store, reading, *traces)
        self._engine.wake()
        _say("saved", subject=str(ids[0]), traces=[str(i) for i in ids[1:]], begun_s=at_s, kit=self.kit_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    name, place, host, port, *rest = sys.argv[1:]
    folder = Path(place)
    # Each kit has a database, a log and two connections.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if name == "hub":
        hub(folder, _link(rig.HUB_ID, host, int(port), rest))
        return
    if name == "kit":
        kits = [Kit(folder, _link(rig.KIT_ID, host, int(port), rest))]
    else:
        ids = {n: f"kit-{n:04d}" for n in range(int(rest[0]), int(rest[1]))}
        kits = [Kit(folder / f"{n}", rig.mqtt_link(host, int(port), kit_id), kit_id) for n, kit_id in ids.items()]
    _say("opened")
    for words in _lines():
        for kit in kits:
            match words:
                case ["backlog", readings, traces]:
                    kit.backlog(int(readings), int(traces))
                case ["go"]:
                    kit.go()
                case ["critical"]:
                    kit.one(critical=True)
                case ["result"]:
                    kit.one(critical=False)
        _say("done", command=words[0], waiting=kits[0].store.queue().total)
        if words == ["end"]:
            return


def _link(name: str, host: str, port: int, county: Sequence[str]) -> Link:
    """With certificates where a county is named, open otherwise."""
    if not county:
        return rig.mqtt_link(host, port, name)
    from reliability import tls_road

    return (tls_road.hub_road if name == rig.HUB_ID else tls_road.kit_road)(Path(county[0]), host)


def _lines() -> Iterator[list[str]]:
    for line in sys.stdin:
        yield line.split()


if __name__ == "__main__":
    main()
