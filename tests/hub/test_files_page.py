"""Files of a visit on the case page: shown as pictures, fetched as downloads, and never trusted."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import numpy as np
import pytest

pytest.importorskip("pydicom")

import pictures
from PIL import Image
from starlette.testclient import TestClient

from tests.hub.conftest import log_in
from zhenbao.hub.store import audit, files
from zhenbao.hub.web.pictures import picture, preview_frames
from zhenbao.model.attachment import Attachment, MediaType, Named
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.observation import Observation
from zhenbao.model.report import Report, ReturnedReport

if TYPE_CHECKING:
    from tests.hub.conftest import HandClock, KitVoice
    from zhenbao.hub.store import HubStore
    from zhenbao.hub.store.people import Practitioner
    from zhenbao.hub.worklist import Worklist

pytestmark = pytest.mark.slow
READ_ME = Finding("US01", Urgency.BLUE, source="a source")


def attached(examination: Observation, content: bytes, kind: MediaType, **more: object) -> Attachment:
    plain = Attachment(
        uuid4(),
        examination.encounter_id,
        examination.patient_id,
        examination.id,
        kind,
        "胆囊 长轴",
        1_795_312_800_000,
        hashlib.sha256(content).digest(),
        content,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture
def examination(kit: KitVoice) -> Observation:
    """An examination for the general practitioner, whose files are on their way."""
    patient = kit.patient()
    encounter = kit.encounter(patient)
    made = kit.observation(encounter, READ_ME, code="ultrasound", values={})
    made = replace(made, attachments=(uuid4(), uuid4()))
    kit.send(patient, encounter, made)
    return made


@pytest.fixture
def case_id(worklist: Worklist, examination: Observation) -> UUID:
    return worklist.rows()[0].item.id


@pytest.fixture
def gp(store: HubStore) -> Practitioner:
    from zhenbao.hub.server import add_practitioner

    return add_practitioner(
        store,
        "gp",
        name="演示全科",
        role="specialist",
        specialty="general-practice",
        phone="",
        password="correct horse",
    )


def test_an_ultrasound_waits_for_a_physician(worklist: Worklist, examination: Observation) -> None:
    (row,) = worklist.rows()
    assert (row.item.urgency, row.item.specialty, row.item.status) == (Urgency.BLUE, "general-practice", "open")


def test_a_still_a_clip_and_a_photograph(
    browser: TestClient, kit: KitVoice, gp: Practitioner, examination: Observation, case_id: UUID, tmp_path: Path
) -> None:
    log_in(browser, "gp")
    assert "还有 2 个附件在传送途中" in browser.get(f"/cases/{case_id}").text
    clip = attached(
        examination, pictures.dicom(tmp_path / "c", frames=30, jpeg=True).read_bytes(), MediaType.DICOM, frames=30
    )
    photo = attached(examination, pictures.jpeg_bytes(seed=4), MediaType.JPEG)
    assert kit.send(clip, photo).refused == ""
    page = browser.get(f"/cases/{case_id}").text
    assert "在传送途中" not in page
    assert "胆囊 长轴" in page
    assert "动态图像，共 30 帧" in page
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert len(shown) == 2 + 12
    for address in shown:
        answer = browser.get(address.replace("&amp;", "&"))
        assert answer.status_code == 200
        assert answer.headers["content-type"] in ("image/png", "image/jpeg")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].endswith("sandbox")
        assert answer.headers["cache-control"] == "no-store"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (64, 48)
    assert browser.get(f"/cases/{case_id}/files/{photo.id}/picture").content == photo.content, "JPEG as it is"


def test_an_original_is_saved_and_noted(
    browser: TestClient, kit: KitVoice, store: HubStore, gp: Practitioner, examination: Observation, case_id: UUID
) -> None:
    log_in(browser, "gp")
    document = attached(examination, b"%PDF-1.7\n<script>alert(1)</script>\n%%EOF", MediaType.PDF, title="<b>报告</b>")
    kit.send(document)
    page = browser.get(f"/cases/{case_id}").text
    assert "&lt;b&gt;报告&lt;/b&gt;" in page
    assert f"/files/{document.id}/picture" not in page, "a PDF is never opened on the page"
    answer = browser.get(f"/cases/{case_id}/files/{document.id}/original")
    assert answer.content == document.content
    assert answer.headers["content-disposition"] == f'attachment; filename="{document.id}.pdf"'
    assert answer.headers["content-type"] == "application/pdf"
    with store.reading() as connection:
        (last,) = audit.rows(connection, 1)
    assert (last.action, last.actor, last.subject) == ("file-fetched", "gp", f"file:{document.id}")
    assert browser.get(f"/cases/{case_id}/files/{document.id}/picture").status_code == 409


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<html><script>alert(1)</script>", id="a page"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="an SVG"),
        pytest.param(bytes(128) + b"DICM" + bytes(range(256)) * 4, id="a damaged DICOM"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_file_that_lies_about_itself_is_not_shown(
    browser: TestClient, kit: KitVoice, gp: Practitioner, examination: Observation, case_id: UUID, content: bytes
) -> None:
    log_in(browser, "gp")
    liar = attached(examination, content, MediaType.JPEG)
    assert kit.send(liar).refused == ""
    assert browser.get(f"/cases/{case_id}").status_code == 200, "one bad file hides no case"
    answer = browser.get(f"/cases/{case_id}/files/{liar.id}/picture")
    assert answer.status_code == 409
    assert content not in answer.content or not content


def test_only_those_who_may_open_the_case_see_its_files(
    browser: TestClient,
    kit: KitVoice,
    gp: Practitioner,
    heart: Practitioner,
    examination: Observation,
    case_id: UUID,
    worklist: Worklist,
) -> None:
    photo = attached(examination, pictures.jpeg_bytes(), MediaType.JPEG)
    kit.send(photo)
    address = f"/cases/{case_id}/files/{photo.id}"
    for what in ("picture", "original"):
        assert browser.get(f"{address}/{what}").headers["location"] == "/login"
    log_in(browser, "heart")
    for what in ("picture", "original"):
        assert browser.get(f"{address}/{what}").status_code == 403
    # Through a case of one's own no file of another case can be had.
    patient = kit.patient("演示患者乙", "999999194801010021")
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED, source="a source")))
    own = next(r.item.id for r in worklist.rows() if r.item.encounter_id == encounter.id)
    assert browser.get(f"/cases/{own}/files/{photo.id}/picture").status_code == 404


def test_somebody_elses_name_in_a_file_is_on_the_page(
    browser: TestClient, kit: KitVoice, gp: Practitioner, examination: Observation, case_id: UUID
) -> None:
    log_in(browser, "gp")
    kit.send(attached(examination, pictures.jpeg_bytes(), MediaType.JPEG, named=Named.DIFFERS))
    assert "判读前请电话核实" in browser.get(f"/cases/{case_id}").text


def test_what_the_hub_takes(kit: KitVoice, store: HubStore, examination: Observation) -> None:
    good = attached(examination, pictures.jpeg_bytes(), MediaType.JPEG)
    assert kit.send(replace(good, sha256=bytes(32))).refused == "attachment-hash"
    assert kit.send(replace(good, title="长" * 121)).refused == "envelope-body"
    assert kit.send(replace(good, frames=0)).refused == "envelope-body"
    assert kit.send(good, good).refused == ""
    assert kit.send(replace(good, title="别的")).refused == "other-body"
    with store.reading() as connection:
        (kept,) = files.of_encounter(connection, examination.encounter_id)
        assert files.find(connection, examination.encounter_id, good.id) == good
        assert files.find(connection, uuid4(), good.id) is None
    assert (kept.id, kept.title, kept.size_bytes) == (good.id, "胆囊 长轴", len(good.content))


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("examples_rgb_color.dcm", 1),
        ("examples_ybr_color.dcm", 30),
        ("examples_palette.dcm", 1),
        ("examples_jpeg2k.dcm", 1),
        ("SC_rgb_rle_2frame.dcm", 2),
        ("CT_small.dcm", 1),
        ("SC_rgb_jpeg_dcmtk.dcm", 1),
    ],
)
def test_files_of_other_writers_become_pictures(examination: Observation, name: str, frames: int) -> None:
    import pydicom

    content = (pictures.samples_of_others() / name).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(content))
    file = attached(examination, content, MediaType.DICOM)
    for frame in {0, frames - 1}:
        png, kind = picture(file, frame)
        assert kind == "image/png"
        with Image.open(io.BytesIO(png)) as image:
            assert image.size == (dataset.Columns, dataset.Rows)
            low, high = np.asarray(image.convert("L")).min(), np.asarray(image.convert("L")).max()
        assert high - low > 50, "something can be seen"
    with pytest.raises(InputError):
        picture(file, frames)
    with pytest.raises(InputError):
        picture(file, -1)


def test_each_frame_is_its_own(examination: Observation, tmp_path: Path) -> None:
    file = attached(examination, pictures.dicom(tmp_path / "c", frames=20).read_bytes(), MediaType.DICOM)
    for frame in (0, 7, 19):
        with Image.open(io.BytesIO(picture(file, frame)[0])) as image:
            assert (np.asarray(image) == pictures.speckle(20)[frame]).all(), "bit by bit"


def test_previews_are_spread_evenly() -> None:
    assert preview_frames(1) == [0]
    assert preview_frames(3) == [0, 1, 2]
    assert preview_frames(100)[0] == 0
    assert preview_frames(100)[-1] == 99
    assert len(preview_frames(1000)) == 12


def test_a_returned_report_stands_beside_the_case_with_its_reason(
    browser: TestClient, kit: KitVoice, gp: Practitioner, examination: Observation, case_id: UUID, clock: HandClock
) -> None:
    log_in(browser, "gp")
    lost = Report(
        uuid4(),
        examination.encounter_id,
        examination.patient_id,
        (examination.id,),
        "演示医师",
        "cardiology",
        "胆囊结石 <i>",
        "随访",
        "BLUE",
        clock.now_ms(),
        "00" * 32,
    )
    kit.send(ReturnedReport(lost, clock.now_ms(), clock.now_ms()))
    page = browser.get(f"/cases/{case_id}").text
    assert "终端交回的已签发报告" in page
    assert "胆囊结石 &lt;i&gt;" in page
    assert "请医师复核后重新签发" in page
    assert 'name="conclusion"' in page, "the form to sign anew is there"
