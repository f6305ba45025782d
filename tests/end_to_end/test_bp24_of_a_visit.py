"""A 24 h recording taken into a visit with the real command: judged, kept once, printed, queued for the hub."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from bedside import RESIDENT, Ended, KitCommand, set_up
from bp24_table import table

from zhenbao.agent.store import KitStore
from zhenbao.model.observation import Observation
from zhenbao.model.time import SystemClock, local_time
from zhenbao.sync.envelope import pack, unpack

pytestmark = pytest.mark.slow
CONFIRM = ("--confirm", RESIDENT[-4:])


def now() -> datetime:
    return local_time(SystemClock().now_ms()).replace(tzinfo=None, second=0, microsecond=0)


def exported(folder: Path, ended: datetime | None = None, **options: object) -> Path:
    file = folder / "abpm.csv"
    file.write_bytes(table(ended or now() - timedelta(hours=1), **options))  # type: ignore[arg-type]
    return file


def take(kit: KitCommand, file: Path, *more: str) -> Ended:
    return kit("measure", "bp24", str(file), *CONFIRM, *more)


def kept(home: Path) -> list[Observation]:
    with KitStore.open(home, kit_id="kit-test", clock=SystemClock()) as store:
        return list(store.observations())


def test_a_recording_is_judged_by_the_ambulatory_limits_kept_once_and_travels_whole(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    file = exported(tmp_path)
    ended = take(kit, file)
    assert ended.code == 0, ended.said
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert (told["code"], told["status"], told["notes"]) == ("bp24", "preliminary", ["device-summary-bp24"])
    assert {f["rule_id"] for f in told["findings"] if f["status"] == "present"} == {"BP21", "BP22", "BP23"}
    values = {key: quantity["value"] for key, quantity in told["values"].items()}
    assert (values["bp_day_systolic"], values["bp_night_diastolic"]) == (148, 80)
    # 32 readings by day and 16 by night: (32 * 148 + 16 * 132) / 48
    assert values["bp_24h_systolic"] == pytest.approx(142.67, abs=0.01)
    assert take(kit, file).of("duplicate")
    (observation,) = kept(kit.home)
    assert observation.bp24 is not None
    assert (len(observation.bp24.readings), observation.bp24.analysis.dipping) == (48, "dipper")
    assert unpack("observation", pack(observation)) == observation
    # 48 attempts with their times travel in a few kilobytes.
    assert len(pack(observation)) < 6000
    with KitStore.open(kit.home, kit_id="kit-test", clock=SystemClock()) as store:
        assert store.queue().total == 3, "the patient, the visit, and the recording as one reading among others"


def test_the_diary_decides_what_is_night(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    assert take(kit, exported(tmp_path), "--rose", "05:00", "--bed", "21:00").code == 0
    (observation,) = kept(kit.home)
    assert observation.bp24 is not None
    assert observation.bp24.analysis.times_from == "diary"
    assert "fixed-hours" not in observation.bp24.analysis.limits


def test_too_few_readings_are_kept_and_not_judged(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    ended = take(kit, exported(tmp_path, hours=6))
    assert ended.code == 0, ended.said
    (told,) = (e["observation"] for e in ended.of("observation"))
    assert (told["findings"], "bp24-lacking" in told["notes"]) == ([], True)


@pytest.mark.parametrize("away", [timedelta(days=-30), timedelta(days=2)], ids=["a month old", "of the day after"])
def test_a_recording_of_another_time_is_refused_until_the_doctor_is_sure(tmp_path: Path, away: timedelta) -> None:
    kit = set_up(tmp_path / "kit", None)
    file = exported(tmp_path, now() + away)
    refused = take(kit, file)
    assert refused.code == 2
    assert "bp24-time" in refused.said
    assert "怎么办" in refused.said
    sure = take(kit, file, "--sure")
    assert sure.code == 0, sure.said
    (observation,) = kept(kit.home)
    assert "bp24-earlier" in observation.notes
    assert observation.effective_ms <= SystemClock().now_ms(), "no reading lies in the future"


def test_the_wrong_patient_is_never_charted_and_a_broken_table_says_so(tmp_path: Path) -> None:
    kit = set_up(tmp_path / "kit", None)
    assert kit("measure", "bp24", str(exported(tmp_path)), "--confirm", "9999").code != 0
    junk = tmp_path / "junk.csv"
    junk.write_text("a,b\n1,2\n", encoding="utf-8")
    assert "bp-file-columns" in take(kit, junk).said
    assert kept(kit.home) == []


def test_the_page_is_printed_with_the_patients_name(tmp_path: Path) -> None:
    pdfium = pytest.importorskip("pypdfium2", reason="needs the extra 'paper'")
    kit = set_up(tmp_path / "kit", None)
    assert take(kit, exported(tmp_path), "--pdf", str(tmp_path / "page.pdf")).code == 0
    text = pdfium.PdfDocument(tmp_path / "page.pdf")[0].get_textpage().get_text_range()
    assert "演示患者甲" in text
    assert "148 / 92" in text
