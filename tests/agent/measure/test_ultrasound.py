"""Ultrasound files of a visit: whose they are is looked at, each is kept once, all of them or none."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom")

import pictures
from bedside import set_up
from store_key import KEY

from zhenbao.agent.kit import Kit
from zhenbao.agent.measure.ultrasound import differing, limits, take_files
from zhenbao.agent.screen import Screen
from zhenbao.agent.settings import KitSettings
from zhenbao.agent.store import KitStore
from zhenbao.agent.visit import Visit, begin_encounter, register_patient
from zhenbao.formats.attachment_file import Person
from zhenbao.formats.ecg_file import FileFormatError
from zhenbao.model.attachment import Attachment, MediaType, Named
from zhenbao.model.errors import InputError, StorageError
from zhenbao.model.finding import Urgency
from zhenbao.model.report import DeliveryState, Receipt
from zhenbao.sync.envelope import Lane, unpack
from zhenbao.words import Words

NUMBER = "999999195602290019"  # male, 29 February 1956


class StillClock:
    """22 November 2026, 10:00 in Beijing."""

    def now_ms(self) -> int:
        return int(datetime(2026, 11, 22, 2, tzinfo=UTC).timestamp() * 1000)

    def monotonic_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")

    def wait_s(self, seconds: float) -> float:
        return seconds


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def kit(tmp_path: Path, said: io.StringIO) -> Iterator[Kit]:
    clock, home = StillClock(), tmp_path / "kit"
    with KitStore.open(home, kit_id="kit-1", clock=clock, ballast_bytes=1 << 20, key=KEY) as store:
        yield Kit(home, KitSettings("kit-1"), store, clock, Screen(Words("zh_CN"), out=said))


@pytest.fixture
def visit(kit: Kit) -> Visit:
    patient, _ = register_patient(kit.store, kit.clock, name="演示患者甲", number=NUMBER)
    encounter = begin_encounter(kit.store, kit.clock, "kit-1", patient, reason="", chest_pain="no")
    return Visit(encounter, patient)


def take(kit: Kit, visit: Visit, *paths: Path, title: str = "", sure: bool = False) -> list[Attachment]:
    return take_files(kit, visit, paths, title=title, sure=sure)


def test_pictures_are_kept_whole_and_queued_behind_everything(
    kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO
) -> None:
    still = pictures.dicom(tmp_path / "IM0001", PatientName="演示患者甲", StudyDate="20261122", StudyTime="095500")
    clip = pictures.dicom(tmp_path / "IM0002", frames=8, jpeg=True, seed=2, PatientID=NUMBER)
    photo = tmp_path / "photo"
    photo.write_bytes(pictures.jpeg_bytes(seed=3))
    kept = take(kit, visit, still, clip, photo, title="胆囊 长轴")
    assert [(f.media_type, f.frames, f.named) for f in kept] == [
        (MediaType.DICOM, 1, Named.AGREES),
        (MediaType.DICOM, 8, Named.AGREES),
        (MediaType.JPEG, 1, Named.NOBODY),
    ]
    for file, path in zip(kept, (still, clip, photo), strict=True):
        assert kit.store.attachment(file.id) == file
        assert file.content == path.read_bytes()
        assert file.sha256 == hashlib.sha256(path.read_bytes()).digest()
        assert file.title == "胆囊 长轴"
    (examination,) = kit.store.observations()
    assert (examination.code, examination.attachments) == ("ultrasound", tuple(f.id for f in kept))
    assert (examination.urgency, [f.rule_id for f in examination.findings]) == (Urgency.BLUE, ["US01"])
    assert examination.device_time == "2026-11-22T09:55:00"
    queued = kit.store.due(1 << 60, 20)
    assert [(e.kind, e.lane) for e in queued] == [
        ("patient", Lane.RESULTS),
        ("encounter", Lane.RESULTS),
        ("observation", Lane.RESULTS),
        *[("attachment", Lane.BULK)] * 3,
    ]
    assert [unpack(e.kind, e.body) for e in map(kit.store.load, (w.id for w in queued[3:])) if e is not None] == kept
    assert list(kit.store.delivery(examination.id)) == [DeliveryState.SAVED]
    told = said.getvalue()
    assert "已添加：胆囊 长轴（8 帧" in told
    assert "本机初筛提示" in told
    assert "超声图像待医师判读" in told


@pytest.mark.parametrize(
    ("header", "field"),
    [
        pytest.param({"PatientName": "演示患者乙"}, "姓名", id="another name"),
        pytest.param({"PatientID": "999999194801010021"}, "身份证号", id="another number"),
        pytest.param({"PatientBirthDate": "19560301"}, "出生日期", id="another birthday"),
        pytest.param({"PatientSex": "F"}, "性别", id="another sex"),
        pytest.param({"PatientName": "演示患者甲", "PatientSex": "F"}, "性别", id="the name agrees, the sex does not"),
    ],
)
def test_somebody_elses_picture_is_not_taken_before_a_second_look(
    kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO, header: dict[str, str], field: str
) -> None:
    other = pictures.dicom(tmp_path / "IM", **header)
    with pytest.raises(InputError, match="attachment-other-patient") as raised:
        take(kit, visit, other)
    assert field in Words("zh_CN").error(raised.value)[0]
    assert "演示患者乙" not in str(raised.value), "errors go to logs"
    assert kit.store.attachments(visit.encounter.id) == []
    assert kit.store.observations() == []
    (kept,) = take(kit, visit, other, sure=True)
    assert kept.named is Named.DIFFERS
    assert kit.store.observations()[0].notes == ("file-differs",)
    assert "文件里登记的是" in said.getvalue()


@pytest.mark.parametrize(
    ("person", "fields"),
    [
        (Person("演示患者甲", NUMBER), ()),
        (Person(), ()),
        (Person("演示患者乙", NUMBER), ("name",)),
        (Person(sex="female"), ("sex",)),
    ],
)
def test_what_differs(visit: Visit, person: Person, fields: tuple[str, ...]) -> None:
    assert differing(visit.patient, person) == fields


def test_a_file_that_names_nobody_is_taken_and_said(kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO) -> None:
    (kept,) = take(kit, visit, pictures.dicom(tmp_path / "IM", PatientName="ZHANG^SAN", PatientBirthDate="19560229"))
    assert kept.named is Named.NOBODY
    assert "文件里没有可核对的身份" in said.getvalue()


def test_an_older_picture_is_told(kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO) -> None:
    take(kit, visit, pictures.dicom(tmp_path / "IM", StudyDate="20251101"))
    assert "2025-11-01，不是今天" in said.getvalue()


def test_the_same_file_twice_is_one(kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO) -> None:
    first = pictures.dicom(tmp_path / "a")
    copy = tmp_path / "copy of a"
    copy.write_bytes(first.read_bytes())
    assert len(take(kit, visit, first, copy)) == 1
    assert take(kit, visit, copy) == []
    assert len(kit.store.attachments(visit.encounter.id)) == len(kit.store.observations()) == 1
    assert "没有重复保存" in said.getvalue()
    # In the next visit it is a new fact.
    encounter = begin_encounter(kit.store, kit.clock, "kit-1", visit.patient, reason="", chest_pain="no")
    assert len(take(kit, Visit(encounter, visit.patient), copy)) == 1


def test_one_bad_file_among_good_ones_keeps_none(kit: Kit, visit: Visit, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(pictures.jpeg_bytes()[:-300])
    with pytest.raises(FileFormatError, match="attachment-damaged"):
        take(kit, visit, pictures.dicom(tmp_path / "good"), bad)
    assert kit.store.attachments(visit.encounter.id) == []
    assert [e.kind for e in kit.store.due(1 << 60, 9)] == ["patient", "encounter"]


def test_limits(kit: Kit, visit: Visit, tmp_path: Path) -> None:
    assert "county's medical lead" in limits().source
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(limits().file_bytes + 1)
    with pytest.raises(FileFormatError, match="attachment-large"):
        take(kit, visit, huge)
    with pytest.raises(InputError, match="attachment-title"):
        take(kit, visit, pictures.dicom(tmp_path / "a"), title="一" * 41)
    # Three files that are each within the limit, and together are not.
    for n in range(4):
        body = b"%PDF-1.7\n" + bytes([n]) * (limits().visit_bytes // 4 + 9) + b"\n%%EOF\n"
        (tmp_path / f"{n}.pdf").write_bytes(body)
    with pytest.raises(InputError, match="attachment-visit-large"):
        take(kit, visit, *(tmp_path / f"{n}.pdf" for n in range(4)))
    assert kit.store.attachments(visit.encounter.id) == []


def test_a_full_disk_refuses_pictures_and_keeps_nothing_of_them(
    kit: Kit, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zhenbao.agent.store.space import Ballast

    monkeypatch.setattr(Ballast, "free_bytes", 0)
    with pytest.raises(StorageError, match="store-full"):
        take(kit, visit, pictures.dicom(tmp_path / "a"))
    assert kit.store.observations() == []


def test_files_are_pruned_before_waveforms_and_their_row_stays(
    kit: Kit, visit: Visit, tmp_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uuid import uuid4

    from zhenbao.agent.files_cli import show_files
    from zhenbao.model.report import Report
    from zhenbao.sync.envelope import Envelope, pack

    (kept,) = take(kit, visit, pictures.dicom(tmp_path / "a"))
    now = [kit.clock.now_ms()]
    monkeypatch.setattr(StillClock, "now_ms", lambda self: now[0])
    for item in kit.store.due(1 << 60, 20):
        kit.store.receipted([Receipt(item.id, item.body_sha256, "hub-1", now[0])])
    report = Report(
        uuid4(),
        visit.encounter.id,
        visit.patient.id,
        (kept.observation_id,),
        "演示医师",
        "超声",
        "未见异常",
        "随访",
        "GREEN",
        1,
        "0",
    )
    come = Envelope(uuid4(), "hub", "kit-1", "b", 1, "report", Lane.REPORTS, report.id, 1, pack(report))
    assert [receipt.refused for receipt in kit.store.accept([come], now[0])] == [""]
    begin_encounter(kit.store, kit.clock, "kit-1", visit.patient, reason="", chest_pain="no")
    now[0] += 181 * 86_400_000
    for item in kit.store.due(1 << 60, 20):
        kit.store.receipted([Receipt(item.id, item.body_sha256, "hub-1", now[0])])
    assert kit.store.tidy().attachments == 1
    assert kit.store.attachment(kept.id) is None
    (row,) = kit.store.attachments(visit.encounter.id)
    assert (row.id, row.sha256, row.size_bytes, row.pruned_ms) == (kept.id, kept.sha256, len(kept.content), now[0])
    show_files(kit, visit.encounter.id)
    assert "原件已上传枢纽，本机已清理" in said.getvalue()
    # The very file again, after it was cleared, is still known.
    assert take(kit, visit, tmp_path / "a") == []


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    command = set_up(tmp_path / "kit", None)
    still = pictures.dicom(tmp_path / "IM0001", PatientName="演示患者甲")
    other = pictures.dicom(tmp_path / "IM0002", PatientName="演示患者乙", seed=2)
    wrong = command("measure", "ultrasound", str(still), "--confirm", "0000")
    assert (wrong.code, "wrong-patient" in wrong.said) == (2, True)
    done = command("measure", "ultrasound", str(still), "--confirm", "0019", "--title", "肝")
    assert done.code == 0, done.said
    (attached,) = done.of("attached")
    assert (attached["count"], attached["files"][0]["named"]) == (1, "agrees")
    refused = command("measure", "ultrasound", str(other), "--confirm", "0019")
    assert (refused.code, "attachment-other-patient" in refused.said) == (2, True)
    shown: Any = command("visit", "show")
    assert [e["code"] for e in shown.of("states")] == ["ultrasound"]
    assert len(shown.of("file")) == 1
    room = command("space", "--tidy")
    assert room.of("room")[0]["level"] in ("green", "yellow", "red")
    assert room.of("tidied")[0]["done"]["clock_refused"], "no receipt ever: nothing is known of the hub's time"
    assert "演示" not in json.dumps(done.events, ensure_ascii=False)
