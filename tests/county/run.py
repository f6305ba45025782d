"""A county of so many kits and days, played and counted twice; prints what differs, and figures of the run as JSON.

python -m county.run --kits 200 --days 30 --seed 1
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from county.count import Count
from county.play import Played, play
from county.story import tell

_NOT_COUNTED = {
    "managed",
    "managed-by-norm",
    "controlled",
    "follow-up-on-time",
    "three-c-revisit",
    "three-c-readmitted",
    "recognised",
    "second-agreement",
    "quality-agreed",
    "quality-major",
}
"""The figures of care and of second looks have no second count here: ``tests/hub/test_care_indicators.py``."""


def compare(played: Played) -> tuple[list[str], dict[str, int]]:
    """What the hub said otherwise than the count, each as a line; and how much was compared."""
    count = Count(played.story)
    count.run(played.log)
    wrong: list[str] = []
    much: Counter[str] = Counter()
    for n, event in enumerate(played.log):
        if event.kind not in ("look", "care", "check", "loop"):
            continue
        seen, expected = played.seen[n], count.expected[n]
        much[event.kind + "s"] += 1
        if event.kind == "look":
            much["calls"] += len(expected["calls"])
            wrong += _sets(event.at_ms, "call", seen["calls"], expected["calls"])
            wrong += [f"{event.at_ms} called twice: {seen['again']}"] if seen["again"] else []
        elif event.kind == "loop":
            wrong += [f"{event.at_ms} step {event.facts}: hub {seen}, count {expected}"] if seen != expected else []
        elif event.kind == "care":
            much["fleet tasks"] += len(expected)
            wrong += _sets(event.at_ms, "fleet task", seen, expected)
        else:
            wrong += _lists(event.at_ms, seen, expected, much)
    end = count.end()
    for place, found in end["indicators"].items():
        for key, figure in found.items():
            much["indicators"] += 1
            if (said := played.end["indicators"][place].get(key)) != figure:
                wrong.append(f"indicator {place[0]} {place[1]} {key}: hub {said}, count {figure}")
        uncounted = played.end["indicators"][place].keys() - found.keys() - _NOT_COUNTED
        wrong += [f"indicator {key} is not counted" for key in uncounted]
    for key, value in end["counts"].items():
        if played.end["counts"][key] != value:
            wrong.append(f"{key}: hub {played.end['counts'][key]}, count {value}")
    wrong += [f"audit broken at {played.end['broken']}"] if played.end["broken"] is not None else []
    wrong += [f"reports altered: {played.end['altered']}"] if played.end["altered"] else []
    return wrong, dict(much) | {name: value for name, value in end["counts"].items() if isinstance(value, int)}


def _lists(at_ms: int, seen: dict[str, Any], expected: dict[str, Any], much: Counter[str]) -> list[str]:
    much["places in the queue"] += len(expected["queue"])
    much["open tasks"] += len(expected["todo"])
    much["reminders"] += sum(map(len, expected["reminded"].values()))
    much["follow-ups due"] += len(expected["due"])
    wrong = _sets(at_ms, "in the queue", seen["queue"], expected["queue"])
    # Of cases that are equally pressing any may stand first.
    if not wrong and [row[1:3] for row in seen["queue"]] != [row[1:3] for row in expected["queue"]]:
        wrong.append(f"{at_ms} the queue's order differs")
    wrong += _sets(at_ms, "to do", seen["todo"], expected["todo"])
    for login in expected["reminded"]:
        wrong += _sets(at_ms, f"reminder of {login}", seen["reminded"][login], expected["reminded"][login])
    return wrong + _sets(at_ms, "follow-up due", seen["due"], expected["due"])


def _sets(at_ms: int, what: str, seen: list[Any], expected: list[Any]) -> list[str]:
    left, right = Counter(map(_plain, seen)), Counter(map(_plain, expected))
    more = [f"{at_ms} {what}: only the hub has {each}" for each in (left - right).elements()]
    return more + [f"{at_ms} {what}: the hub lacks {each}" for each in (right - left).elements()]


def _plain(row: Any) -> Any:
    return tuple(row) if isinstance(row, list | tuple) else row


def main() -> int:
    """Play, count, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kits", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--visits", type=float, default=0.7, help="of a kit on a day")
    asked = parser.parse_args()
    story = tell(asked.seed, kits=asked.kits, days=asked.days, visits_a_day=asked.visits)
    began_s = time.monotonic()
    say = lambda text: print(f"{time.monotonic() - began_s:.0f} s: {text}", file=sys.stderr, flush=True)  # noqa: E731
    # In memory where that is possible: no power is cut here, and the disk is not what is looked at.
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        played = play(story, Path(folder), say)
    took_s = time.monotonic() - began_s
    wrong, much = compare(played)
    for line in wrong[:200]:
        print(line)
    figures = {
        "seed": asked.seed,
        "kits": asked.kits,
        "days": asked.days,
        "took_s": round(took_s),
        "log": played.digest,
    }
    print(json.dumps(figures | {"deeds": len(played.log), "differences": len(wrong)} | much, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
