"""An independent reader of histories: what was lost, doubled, reordered, shown stale, or never signed.

It shares no code with the product. It reads JSON lines, one fact a line, as ``export.py`` (or a log of what people
and commands were told) writes them, and knows only what the documents say: a receipt means kept, an id means one
thing, order is (kit, series, sequence), a signed report is sealed into the audit.

    python tests/reliability/history.py HISTORY.jsonl... [--settled] [--late-min 240]

The facts, by ``log`` (``kit``: the kit's id; ``hub``; ``specialist``) and ``what``:

    kit         said-saved   subject sha256?                                   what a command said it had kept
                kept         kind subject sha256                               what its database holds
                posted       envelope series sequence kind lane subject sha256 state (waiting, delivered, refused)
                state        subject state
                report       report encounter + the report's content    in the order in which the inbox shows them
    hub         arrived      envelope sender series sequence kind subject sha256   in order of arrival
                kept         kind subject sha256 sender key?                   key: what names a result on its device
                refused      envelope subject reason
                posted       envelope recipient kind subject state
                case         case urgency late effective_ms received_ms
                signed       report + the report's content, signature, signed_number, previous
                audit        number at_ms actor action subject detail previous_hash hash
    specialist  said-signed  case conclusion                                   what the page said it had signed
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Fact = dict[str, Any]
KINDS_KEPT = ("patient", "encounter", "observation", "recording")
NEVER_CHANGED = ("observation", "recording", "report-read")
SIGNED_CONTENT = ("encounter", "observations", "practitioner", "conclusion", "advice", "urgency", "signed_ms")
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that must never be."""

    kind: Literal["lost", "doubled", "reordered", "stale", "unsigned"]
    rule: str
    who: str
    subject: str
    detail: str = ""


class History:
    """All facts of one run, sorted by log and kind once."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self.facts = list(facts)
        self._facts: defaultdict[tuple[str, str], list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self._facts[fact["log"], fact["what"]].append(fact)
        self.kits = sorted({log for log, _ in self._facts} - {"hub", "specialist"})

    def of(self, log: str, what: str) -> list[Fact]:
        return self._facts[log, what]

    def count(self) -> dict[str, int]:
        return {f"{log} {what}": len(facts) for (log, what), facts in sorted(self._facts.items()) if facts}


def check(history: History, *, settled: bool = False, late_min: float | None = None) -> list[Fault]:
    """Every fault in a history.

    Args:
        settled: everything had time to arrive, so that what still waits is lost.
        late_min: minutes after which a critical case must be marked as late; None: not judged.
    """
    faults: list[Fault] = []
    for kit in history.kits:
        faults += _kit_keeps(history, kit)
        faults += _kit_to_hub(history, kit, settled)
        faults += _versions(history, kit)
        faults += _hub_to_kit(history, kit, settled)
    faults += _hub_alone(history)
    if late_min is not None:
        faults += _late(history, late_min)
    faults += _signatures(history)
    faults += _chain(history)
    return faults


def _kit_keeps(history: History, kit: str) -> Iterator[Fault]:
    kept = {(f["subject"], f["sha256"]) for f in history.of(kit, "kept")}
    ids = {subject for subject, _ in kept}
    for said in history.of(kit, "said-saved"):
        if said["subject"] not in ids or (said.get("sha256") and (said["subject"], said["sha256"]) not in kept):
            yield Fault("lost", "said-but-not-kept", kit, said["subject"])
    known = {f["subject"] for f in history.of(kit, "posted")} | {f["subject"] for f in history.of("hub", "arrived")}
    for subject in sorted(ids - known):
        yield Fault("lost", "kept-but-never-queued", kit, subject)
    posted = history.of(kit, "posted")
    for name, times in (
        ("envelope", Counter(f["envelope"] for f in posted)),
        ("sequence", Counter(f"{f['series']}:{f['sequence']}" for f in posted)),
        ("version", Counter(f"{f['subject']}:{f['sha256']}" for f in posted if f["kind"] in NEVER_CHANGED)),
    ):
        for what, n in times.items():
            if n > 1:
                yield Fault("doubled", f"{name}-posted-twice", kit, what, f"{n} times")


def _kit_to_hub(history: History, kit: str, settled: bool) -> Iterator[Fault]:
    arrived = [f for f in history.of("hub", "arrived") if f["sender"] == kit]
    there = {f["envelope"] for f in arrived}
    refused = {f["envelope"] for f in history.of("hub", "refused")}
    held = {f["subject"] for f in history.of("hub", "kept")}
    for item in history.of(kit, "posted"):
        if item["state"] == "delivered" and item["envelope"] not in there:
            yield Fault("lost", "receipted-but-not-there", kit, item["envelope"], item["kind"])
        if item["state"] == "waiting" and settled:
            yield Fault("lost", "never-delivered", kit, item["envelope"], item["kind"])
        if item["state"] == "refused" and item["envelope"] in there:
            yield Fault("lost", "taken-but-shown-as-refused", kit, item["envelope"], item["kind"])
    for item in arrived:
        if item["kind"] in KINDS_KEPT and item["subject"] not in held:
            yield Fault("lost", "arrived-but-not-kept", "hub", item["subject"], item["kind"])
    subjects = {f["subject"] for f in arrived}
    for state in history.of(kit, "state"):
        if state["state"] != "saved" and state["subject"] not in subjects:
            yield Fault("lost", f"said-{state['state']}-but-not-there", kit, state["subject"])
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for item in [*arrived, *history.of(kit, "posted")]:
        numbers[item["series"]].add(item["sequence"])
    for series, seen in numbers.items():
        for missing in sorted(set(range(1, max(seen) + 1)) - seen):
            # What the hub refused has its number in the kit's outbox; a hole on both sides is a silent drop.
            yield Fault("lost", "hole-in-the-sequence", kit, f"{series}:{missing}")
    for id_, n in Counter(f["envelope"] for f in arrived).items():
        if n > 1:
            yield Fault("doubled", "envelope-taken-twice", "hub", id_, f"{n} times")
    for id_ in sorted(there & refused):
        yield Fault("doubled", "taken-and-refused", "hub", id_)


def _versions(history: History, kit: str) -> Iterator[Fault]:
    """A subject's versions: each in its turn, the newest stands."""
    at_hub = {f["subject"]: f["sha256"] for f in history.of("hub", "kept")}
    last: dict[str, Fact] = {}
    for item in history.of("hub", "arrived"):
        if item["sender"] != kit or item["kind"] not in KINDS_KEPT:
            continue
        before = last.get(item["subject"])
        if before is not None and before["series"] == item["series"] and before["sequence"] > item["sequence"]:
            yield Fault("reordered", "older-version-after-newer", kit, item["subject"], str(item["sequence"]))
            continue
        last[item["subject"]] = item
    for subject, item in last.items():
        if subject in at_hub and at_hub[subject] != item["sha256"]:
            yield Fault("reordered", "newest-version-does-not-stand", "hub", subject, item["kind"])
    under_way = {f["subject"] for f in history.of(kit, "posted") if f["state"] != "delivered"}
    at_kit = {f["subject"]: f["sha256"] for f in history.of(kit, "kept")}
    for state in history.of(kit, "state"):
        subject = state["subject"]
        newer = subject in at_kit and subject in at_hub and at_kit[subject] != at_hub[subject]
        if state["state"] == "received" and newer and subject not in under_way:
            yield Fault("stale", "hub-holds-another-version-than-it-receipted", kit, subject)


def _hub_to_kit(history: History, kit: str, settled: bool) -> Iterator[Fault]:
    reports = history.of(kit, "report")
    here = {f["report"] for f in reports}
    for item in history.of("hub", "posted"):
        if item["recipient"] != kit:
            continue
        if item["state"] == "waiting" and settled:
            yield Fault("lost", "never-delivered", "hub", item["envelope"], item["kind"])
        if item["kind"] == "report" and item["state"] == "delivered" and item["subject"] not in here:
            yield Fault("lost", "report-receipted-but-not-there", kit, item["subject"])
    for id_, n in Counter(f["report"] for f in reports).items():
        if n > 1:
            yield Fault("doubled", "report-twice", kit, id_, f"{n} times")
    signed = {f["report"]: f["signed_number"] for f in history.of("hub", "signed")}
    shown: dict[str, tuple[int, str]] = {}
    for report in reports:
        number = signed.get(report["report"])
        if number is None:
            continue
        first = shown.setdefault(report["encounter"], (number, report["report"]))
        if number > first[0]:
            yield Fault("stale", "older-report-shown-first", kit, first[1], f"newer: {report['report']}")


def _hub_alone(history: History) -> Iterator[Fault]:
    kept = history.of("hub", "kept")
    for (kind, subject), n in Counter((f["kind"], f["subject"]) for f in kept).items():
        if n > 1:
            yield Fault("doubled", "kept-twice", "hub", subject, f"{kind}, {n} times")
    for key, n in Counter(f["key"] for f in kept if f.get("key")).items():
        if n > 1:
            yield Fault("doubled", "one-result-under-two-ids", "hub", key, f"{n} times")
    posted = {f["subject"] for f in history.of("hub", "posted") if f["kind"] == "report"}
    signed = history.of("hub", "signed")
    for report in signed:
        if report["report"] not in posted:
            yield Fault("lost", "signed-but-never-queued", "hub", report["report"])
    texts = Counter((f["case"], f["conclusion"]) for f in signed)
    said = Counter((f["case"], f["conclusion"]) for f in history.of("specialist", "said-signed"))
    for (case, conclusion), n in said.items():
        if texts[case, conclusion] < n:
            yield Fault("lost", "said-signed-but-not-there", "specialist", case)


def _late(history: History, late_min: float) -> Iterator[Fault]:
    for case in history.of("hub", "case"):
        age_min = (case["received_ms"] - case["effective_ms"]) / 60_000
        if case["urgency"] == "RED" and age_min > late_min and not case["late"]:
            yield Fault("stale", "late-critical-case-looks-fresh", "hub", case["case"], f"{age_min:.0f} min")


def _signatures(history: History) -> Iterator[Fault]:
    signed = {f["report"]: f for f in history.of("hub", "signed")}
    sealed = {
        (f["subject"], json.loads(f["detail"]).get("signature"))
        for f in history.of("hub", "audit")
        if f["action"] == "report-signed"
    }
    for id_, report in signed.items():
        if _signature(report) != report["signature"]:
            yield Fault("unsigned", "content-does-not-give-the-signature", "hub", id_)
        if (f"report:{id_}", report["signature"]) not in sealed:
            yield Fault("unsigned", "no-audit-of-the-signing", "hub", id_)
    for kit in history.kits:
        for report in history.of(kit, "report"):
            original = signed.get(report["report"])
            if original is None:
                yield Fault("unsigned", "nobody-signed-it", kit, report["report"])
            elif any(report[key] != original[key] for key in (*SIGNED_CONTENT, "signature")):
                yield Fault("unsigned", "differs-from-what-was-signed", kit, report["report"])


def _signature(report: Fact) -> str:
    """SHA-256 over the content as the audit's documents name it, written here a second time on purpose."""
    content = {
        "id": report["report"],
        **{key: report[key] for key in ("case", "encounter", "patient", "observations", "author", "practitioner")},
        **{key: report[key] for key in ("specialty", "conclusion", "advice", "urgency", "signed_number", "signed_ms")},
        **{key: report[key] for key in ("supplements", "previous")},
    }
    return _sha256(content)


def _chain(history: History) -> Iterator[Fault]:
    previous = GENESIS
    for number, row in enumerate(history.of("hub", "audit"), start=1):
        content = [
            number,
            row["at_ms"],
            row["actor"],
            row["action"],
            row["subject"],
            json.loads(row["detail"]),
            previous,
        ]
        if (row["number"], row["previous_hash"], row["hash"]) != (number, previous, _sha256(content)):
            yield Fault("unsigned", "audit-chain-broken", "hub", f"row {number}")
            return
        previous = row["hash"]


def _sha256(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read(paths: Iterable[Path]) -> History:
    """The history in some files; a last line that a kill cut off was never said and does not count."""
    facts = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                facts.append(json.loads(line))
    return History(facts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--settled", action="store_true", help="what still waits is lost")
    parser.add_argument("--late-min", type=float, help="minutes after which a critical case must look late")
    options = parser.parse_args()
    history = read(options.files)
    faults = check(history, settled=options.settled, late_min=options.late_min)
    json.dump({"facts": history.count(), "faults": [asdict(f) for f in faults]}, sys.stdout, indent=1)
    print()
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
