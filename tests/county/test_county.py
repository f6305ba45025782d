"""A small county, counted twice; and hubs that were altered on purpose, each of which the count must find out."""

from __future__ import annotations

import ast
import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from county.play import Played, play
from county.run import compare
from county.story import HOUR_MS, Story, tell

from zhenbao.hub import clocks, indicators, passwords
from zhenbao.hub.store.database import Database
from zhenbao.rules import escalation

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def story() -> Story:
    return tell(4, kits=20, days=3, visits_a_day=1.8)


@pytest.fixture(scope="module")
def small() -> Story:
    return tell(5, kits=4, days=1, visits_a_day=7)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest schema and nothing in it: making it anew for each play would cost half of the time."""
    path = tmp_path_factory.mktemp("blank") / "hub.db"
    with contextlib.closing(Database(f"sqlite:///{path}")):
        return path


def played_on(blank: Path, story: Story, folder: Path) -> Played:
    folder.mkdir(exist_ok=True)
    shutil.copy(blank, folder / "hub.db")
    return play(story, folder)


@pytest.fixture(scope="module")
def played(story: Story, blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played_on(blank, story, tmp_path_factory.mktemp("county"))


@pytest.fixture(autouse=True)
def _hash_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "hash_password", lambda password: "not a password")


def test_the_hub_and_the_second_count_agree(played: Played) -> None:
    wrong, much = compare(played)
    assert wrong == []
    # A county in which nothing happened would agree as well.
    for what, least in {"calls": 30, "places in the queue": 50, "open tasks": 50, "reminders": 1, "fleet tasks": 100,
                        "loops": 20, "signed": 40, "read": 30, "referrals": 3, "duplicates": 1}.items():  # fmt: skip
        assert much[what] >= least, (what, much)


def test_a_story_is_the_same_for_the_same_number(small: Story, blank: Path, tmp_path: Path) -> None:
    assert tell(5, kits=4, days=1, visits_a_day=7) == small
    assert tell(6, kits=4, days=1, visits_a_day=7) != small
    first, second = (played_on(blank, small, tmp_path / name) for name in ("first", "second"))
    assert first.digest == second.digest
    assert first.seen == second.seen


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """One escalation a minute later."""
    true = escalation.steps
    altered = lambda urgency: tuple(  # noqa: E731
        replace(s, after_min=s.after_min + 1) if s.clock == "ack" and s.after_min == 3 else s for s in true(urgency)
    )
    monkeypatch.setattr(clocks, "steps", altered)


def _never(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step is never told."""
    true = escalation.steps
    monkeypatch.setattr(clocks, "steps", lambda u: tuple(s for s in true(u) if (s.clock, s.to) != ("read", "desk")))


def _forgiving(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came within an hour of its time counts as in time."""
    true = indicators._on_time
    earlier = lambda pairs: [(due, done and done - HOUR_MS) for due, done in pairs]  # noqa: E731
    monkeypatch.setattr(indicators, "_on_time", lambda pairs, now_ms: true(earlier(pairs), now_ms))


@pytest.mark.parametrize(
    ("alter", "found"),
    [(_later, "call: "), (_never, "('v"), (_forgiving, "-on-time")],
    ids=lambda a: getattr(a, "__name__", ""),
)
def test_an_altered_hub_is_found_out(
    small: Story,
    blank: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    alter: Callable[[pytest.MonkeyPatch], None],
    found: str,
) -> None:
    alter(monkeypatch)
    wrong, _ = compare(played_on(blank, small, tmp_path))
    assert any(found in line for line in wrong), wrong


def test_a_thing_that_is_lost_is_found_out(played: Played) -> None:
    end = played.end | {"counts": played.end["counts"] | {"readings": played.end["counts"]["readings"] - 1}}
    wrong, _ = compare(replace(played, end=end))
    assert len(wrong) == 1
    assert wrong[0].startswith("readings: ")


@pytest.mark.parametrize("module", ["story", "rules", "count", "care", "figures"])
def test_the_count_knows_nothing_of_the_program(module: str) -> None:
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {name.name for n in ast.walk(tree) if isinstance(n, ast.Import) for name in n.names}
    own = {f"county.{name}" for name in ("story", "rules", "count", "care", "figures")}
    assert {name for name in imported if name and name.partition(".")[0] not in sys.stdlib_module_names} <= own
