"""The history checker finds each kind of fault that is put in by hand, and none in what really happened."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability.export import export
from reliability.history import Fact, History, check
from reliability.rig import HUB_ID, KIT_ID, Doctor, HandClock, Visit, engine, hub_file, open_hub, open_kit
from reliability.road import Road


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit and a hub after a visit, two reports, and a corrected name."""
    place = tmp_path_factory.mktemp("history")
    clock, road, visit = HandClock(), Road(random.Random(1)), Visit()
    with open_kit(place / "kit", clock) as kit:
        hub = open_hub(place / "hub", clock)
        sides = [engine(kit, road.end(KIT_ID), clock), engine(hub, road.end(HUB_ID), clock)]

        def travel() -> None:
            for _ in range(12):
                road.carry()
                for side in sides:
                    side.step()

        road.up()
        visit.begin(kit)
        critical = visit.reading(critical=True)
        visit.save(kit, critical, visit.trace(critical, bytes(2400)))
        visit.save(kit, visit.reading(key="row 1"))
        visit.save(kit, visit.reading(key="row 2"))
        travel()
        doctor = Doctor(hub)
        assert doctor.answer("ST段抬高")
        travel()
        visit.save(kit, visit.reading(critical=True))
        travel()
        assert doctor.answer("补充报告")
        travel()
        kit.read_report(kit.inbox()[0].report.id, clock.now_ms())
        travel()
        assert kit.queue().total == 0
        said = [{"log": "specialist", "what": "said-signed", "case": c, "conclusion": t} for c, t in doctor.said]
        said += [{"log": KIT_ID, "what": "said-saved", "subject": str(o.id)} for o in kit.observations()]
        (place / "said.jsonl").write_text("".join(json.dumps(s, ensure_ascii=False) + "\n" for s in said), "utf-8")
        hub.close()
    return place


@pytest.fixture
def facts(folder: Path) -> list[Fact]:
    said = [json.loads(line) for line in (folder / "said.jsonl").read_text("utf-8").splitlines()]
    return copy.deepcopy(export(folder / "kit", folder / "hub") + said)


def test_what_really_happened_has_no_fault(facts: list[Fact]) -> None:
    history = History(facts)
    assert check(history, settled=True, late_min=240) == []
    counts = history.count()
    assert counts[f"{KIT_ID} report"] == counts["hub signed"] == 2
    assert counts["hub arrived"] == 8
    assert counts["hub audit"] > 4


def _first(facts: list[Fact], log: str, what: str, **match: object) -> Fact:
    return next(f for f in facts if f["log"] == log and f["what"] == what and all(f[k] == v for k, v in match.items()))


def _change(log: str, what: str, match: dict[str, object], **changes: object) -> Callable[[list[Fact]], None]:
    return lambda facts: _first(facts, log, what, **match).update(changes)


def _remove(log: str, what: str, **match: object) -> Callable[[list[Fact]], None]:
    return lambda facts: facts.remove(_first(facts, log, what, **match))


def _twice(log: str, what: str, match: dict[str, object], **changes: object) -> Callable[[list[Fact]], None]:
    return lambda facts: facts.append(_first(facts, log, what, **match) | changes)


def _drop_on_both_sides(facts: list[Fact]) -> None:
    item = _first(facts, KIT_ID, "posted", kind="recording")
    facts[:] = [f for f in facts if item["subject"] not in (f.get("subject"),)]


def _older_after_newer(facts: list[Fact]) -> None:
    newer = _first(facts, "hub", "arrived", kind="encounter")
    facts.append(newer | {"envelope": "older", "sequence": newer["sequence"] - 1, "sha256": "00"})


def _old_report_on_top(facts: list[Fact]) -> None:
    first, second = [f for f in facts if f["log"] == KIT_ID and f["what"] == "report"]
    at, to = facts.index(first), facts.index(second)
    facts[at], facts[to] = second, first


def _old_version_receipted(facts: list[Fact]) -> None:
    subject = _first(facts, "hub", "kept", kind="patient")["subject"]
    _first(facts, KIT_ID, "kept", kind="patient").update(sha256="newer")
    assert _first(facts, KIT_ID, "state", subject=subject, state="received")


def _late_case(facts: list[Fact]) -> None:
    case = _first(facts, "hub", "case")
    case["received_ms"] = case["effective_ms"] + 3 * 86_400_000


def _refused_though_taken(facts: list[Fact]) -> None:
    item = _first(facts, "hub", "arrived", kind="observation")
    facts.append({"log": "hub", "what": "refused", "envelope": item["envelope"], "subject": "", "reason": ""})


def _report_by_nobody(facts: list[Fact]) -> None:
    facts.append(_first(facts, KIT_ID, "report") | {"report": "0"})


FAULTS: list[tuple[str, str, Callable[[list[Fact]], None]]] = [
    ("lost", "said-but-not-kept", _remove(KIT_ID, "kept", kind="observation")),
    ("lost", "receipted-but-not-there", _remove("hub", "arrived", kind="recording")),
    ("lost", "arrived-but-not-kept", _remove("hub", "kept", kind="observation")),
    ("lost", "never-delivered", _change(KIT_ID, "posted", {"kind": "recording"}, state="waiting")),
    ("lost", "taken-but-shown-as-refused", _change(KIT_ID, "posted", {"kind": "recording"}, state="refused")),
    ("lost", "hole-in-the-sequence", _drop_on_both_sides),
    ("lost", "said-received-but-not-there", _remove("hub", "arrived", kind="encounter")),
    ("lost", "report-receipted-but-not-there", _remove(KIT_ID, "report")),
    ("lost", "never-delivered", _change("hub", "posted", {"kind": "viewed"}, state="waiting")),
    ("lost", "signed-but-never-queued", _remove("hub", "posted", kind="report")),
    ("lost", "said-signed-but-not-there", _remove("hub", "signed")),
    (
        "lost",
        "kept-but-never-queued",
        lambda facts: facts.append(_first(facts, KIT_ID, "kept", kind="observation") | {"subject": "new"}),
    ),
    ("doubled", "envelope-posted-twice", _twice(KIT_ID, "posted", {"kind": "observation"})),
    ("doubled", "sequence-posted-twice", _twice(KIT_ID, "posted", {"kind": "observation"}, envelope="other")),
    (
        "doubled",
        "version-posted-twice",
        _twice(KIT_ID, "posted", {"kind": "observation"}, envelope="other", sequence=9),
    ),
    ("doubled", "envelope-taken-twice", _twice("hub", "arrived", {"kind": "observation"})),
    ("doubled", "taken-and-refused", _refused_though_taken),
    ("doubled", "report-twice", _twice(KIT_ID, "report", {})),
    ("doubled", "kept-twice", _twice("hub", "kept", {"kind": "observation"})),
    ("doubled", "one-result-under-two-ids", lambda facts: _set_keys(facts, "one")),
    ("reordered", "older-version-after-newer", _older_after_newer),
    ("reordered", "newest-version-does-not-stand", _change("hub", "kept", {"kind": "encounter"}, sha256="older")),
    ("stale", "hub-holds-another-version-than-it-receipted", _old_version_receipted),
    ("stale", "older-report-shown-first", _old_report_on_top),
    ("stale", "late-critical-case-looks-fresh", _late_case),
    ("unsigned", "nobody-signed-it", _report_by_nobody),
    ("unsigned", "differs-from-what-was-signed", _change(KIT_ID, "report", {}, conclusion="正常")),
    ("unsigned", "content-does-not-give-the-signature", _change("hub", "signed", {}, conclusion="正常")),
    ("unsigned", "no-audit-of-the-signing", _remove("hub", "audit", action="report-signed")),
    ("unsigned", "audit-chain-broken", _change("hub", "audit", {"number": 2}, actor="nobody")),
]


def _set_keys(facts: list[Fact], key: str) -> None:
    for fact in facts:
        if fact.get("key"):
            fact["key"] = key


@pytest.mark.parametrize(("kind", "rule", "harm"), FAULTS, ids=[f"{rule}-{n}" for n, (_, rule, _) in enumerate(FAULTS)])
def test_a_fault_put_in_by_hand_is_found(
    facts: list[Fact], kind: str, rule: str, harm: Callable[[list[Fact]], None]
) -> None:
    harm(facts)
    assert (kind, rule) in {(f.kind, f.rule) for f in check(History(facts), settled=True, late_min=240)}


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("delete from observations where rowid = 1", "arrived-but-not-kept"),
        ("delete from inbox where kind = 'recording'", "receipted-but-not-there"),
        ("update reports set conclusion = '正常'", "content-does-not-give-the-signature"),
        ("update audit set at_ms = at_ms + 1 where number = 3", "audit-chain-broken"),
        ("update patients set body = (select body from encounters)", "newest-version-does-not-stand"),
    ],
)
def test_meddling_with_the_hubs_database_is_found(folder: Path, tmp_path: Path, statement: str, rule: str) -> None:
    with sqlite3.connect(f"file:{hub_file(folder / 'hub')}?mode=ro", uri=True) as whole:
        (tmp_path / "hub").mkdir()
        with sqlite3.connect(hub_file(tmp_path / "hub")) as copied:
            whole.backup(copied)
            copied.execute(statement)
        copied.close()
    whole.close()
    found = check(History(export(folder / "kit", tmp_path / "hub")), settled=True)
    assert rule in {f.rule for f in found}


@pytest.mark.slow
def test_as_a_program_it_shares_nothing_with_the_product(facts: list[Fact], tmp_path: Path) -> None:
    """It runs where the product is not installed, and ends with 1 where there is a fault."""
    file = tmp_path / "history.jsonl"
    program = Path(__file__).with_name("history.py")
    for broken in (False, True):
        if broken:
            _remove("hub", "kept", kind="observation")(facts)
        file.write_text("".join(json.dumps(f) + "\n" for f in facts), "utf-8")
        # -I -S: no environment, no installed packages.
        done = subprocess.run(
            [sys.executable, "-I", "-S", program, file, "--settled"], capture_output=True, text=True, check=False
        )
        assert done.returncode == broken, done.stderr
        assert bool(json.loads(done.stdout)["faults"]) == broken
