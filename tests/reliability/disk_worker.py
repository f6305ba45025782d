"""One day of a kit's store in a few seconds; the other half of ``disk_full.py``, which lets its disk fail.

Says of every step, as a line of JSON, whether it was kept or refused and with which code; a refused step is tried once
more, as a doctor would. What it says was kept must be there afterwards.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from zhenbao.agent.store import KitStore
from zhenbao.model.attachment import Attachment, MediaType
from zhenbao.model.errors import StorageError
from zhenbao.model.identity import Sex
from zhenbao.model.observation import Device, Observation
from zhenbao.model.patient import Encounter, Patient
from zhenbao.model.quantity import Quantity
from zhenbao.model.recording import Recording
from zhenbao.model.report import Receipt, Report
from zhenbao.model.time import SystemClock
from zhenbao.sync.envelope import Envelope, Lane, pack

BALLAST_BYTES = 4 << 20
ECG_BYTES = 10 * 500 * 12 * 2
_SHORT_BYTES = 16_000
"""Of what is kept here: every page of it is a call that may fail, and each such call costs a run."""
KIT = "kit-1"
KEY = bytes(range(100, 132))


def reading(encounter: Encounter, code: str, id_: UUID | None = None) -> Observation:
    rate = {"heart_rate_ecg": Quantity(60.0, "/min")}
    ids = (encounter.patient_id, encounter.id, KIT)
    return Observation(id_ or uuid4(), *ids, code, "preliminary", encounter.started_ms, Device("x"), rate)


def trace(of: Observation, size: int) -> Recording:
    return Recording(uuid4(), of.id, "ecg", 500.0, ("I",), "mV", 0.001, of.effective_ms, bytes(size))


def main(home: Path) -> None:
    clock = SystemClock()
    lines: list[dict[str, object]] = []

    def step(name: str, work: Callable[[], object], *ids: UUID) -> bool:
        for attempt in (1, 2):
            try:
                work()
            except StorageError as error:
                lines.append(
                    {"step": name, "try": attempt, "kept": False, "code": error.code, "ids": list(map(str, ids))}
                )
            else:
                lines.append({"step": name, "try": attempt, "kept": True, "code": "", "ids": list(map(str, ids))})
                return True
        return False

    opened: list[KitStore] = []
    step(
        "open",
        lambda: opened.append(KitStore.open(home, kit_id=KIT, clock=clock, ballast_bytes=BALLAST_BYTES, key=KEY)),
    )
    if opened:
        _day(opened[0], clock.now_ms(), step)
        opened[0].close()
    # Said at the end, in one write: the faults are for the store, not for what is said of it.
    sys.stdout.write("".join(json.dumps(line) + "\n" for line in lines))


def _day(store: KitStore, now_ms: int, step: Callable[..., bool]) -> None:
    patient = Patient(uuid4(), "演示患者甲", Sex.FEMALE, None)
    encounter = Encounter(uuid4(), patient.id, KIT, now_ms)
    step("patient", lambda: store.save_patient(patient), patient.id)
    step("encounter", lambda: store.save_encounter(encounter), encounter.id)
    plain = reading(encounter, "bp")
    step("result", lambda: store.save_observation(plain, [trace(plain, 4_000)]), plain.id)
    captures: list[UUID] = []
    step("capture", lambda: captures.append(store.begin_capture(encounter.id, "ecg", {})))
    if captures:
        step("part", lambda: store.add_part(captures[0], "Chunk", bytes(8_000)))
    infarction = reading(encounter, "ecg")
    samples = trace(infarction, _SHORT_BYTES)
    closes = captures[0] if captures else None
    step(
        "critical",
        lambda: store.save_observation(infarction, [samples], lane=Lane.CRITICAL, closes_capture=closes),
        infarction.id,
        samples.id,
    )
    scan, content = reading(encounter, "ultrasound"), bytes(8_000)
    picture = Attachment(
        uuid4(),
        encounter.id,
        patient.id,
        scan.id,
        MediaType.JPEG,
        "",
        now_ms,
        hashlib.sha256(content).digest(),
        content,
    )
    step("files", lambda: store.save_attachments(scan, [picture]), scan.id, picture.id)
    items: list[Envelope] = []
    step("due", lambda: items.extend(store.due(1 << 60, 4)))
    for item in items:
        receipt = Receipt(item.id, item.body_sha256, "hub-1", now_ms)
        step("receipt", lambda r=receipt: store.receipted([r]))  # type: ignore[misc]
    report = Report(
        uuid4(), encounter.id, patient.id, (plain.id,), "演示医师", "心内科", "结论", "建议", "RED", now_ms, "0"
    )
    come = Envelope(uuid4(), "hub", KIT, "b", 1, "report", Lane.REPORTS, report.id, now_ms, pack(report))
    step("report", lambda: store.accept([come], now_ms), report.id)
    step("read", lambda: store.read_report(report.id, now_ms))
    step("tidy", store.tidy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
