"""The main job, end to end, as the demo plays it: devices, alarm, kill, outage, broker restart, report back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
STATES = ["saved", "received", "viewed", "reported"]


def demo(*arguments: str, cwd: Path) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "zhenbao", "demo", "--json", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=240,
        env={**os.environ, "ZHENBAO_LANG": "en"},
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return demo(cwd=tmp_path_factory.mktemp("demo"))


def test_nothing_is_lost_and_nothing_is_stored_twice(told: dict[str, Any]) -> None:
    counts = told["counts"]
    assert counts["sent"] == counts["receipted"] >= 17
    assert (counts["lost"], counts["duplicated"]) == (0, 0)


def test_every_kind_of_reading_was_taken(told: dict[str, Any]) -> None:
    assert [o["code"] for o in told["observations"]] == ["bp", "glucose", "ecg", "ecg-rhythm", "spirometry", "bp"]
    values = {o["code"]: o["values"] for o in told["observations"][:5]}
    # What the simulated devices produced, from their own truth.
    assert values["bp"]["bp_systolic"]["value"] == round((168 + 152 + 150) / 3)
    assert values["bp"]["bp_diastolic"]["value"] == round((92 + 86 + 84) / 3)
    assert values["glucose"]["glucose_capillary"] == {"value": 7.8, "unit": "mmol/L", "comparator": None}
    assert values["ecg"]["heart_rate_ecg"]["value"] == pytest.approx(32, abs=1)
    assert values["spirometry"]["fvc"]["value"] == pytest.approx(3.05, abs=0.05)
    assert values["spirometry"]["fev1_fvc"]["value"] == pytest.approx(58, abs=1.5)


def test_the_critical_ecg_alarms_on_the_kit_without_a_network(told: dict[str, Any]) -> None:
    (alarm,) = told["alarms"]
    assert alarm["rule_ids"] == ["EC19", "EC22"]  # the device plays a third-degree block
    assert alarm["latency_s"] < 2
    assert told["waiting_offline"] >= 16


def test_each_finding_names_its_rule_and_source(told: dict[str, Any]) -> None:
    findings = [f for o in told["observations"] for f in o["findings"]]
    assert {f["rule_id"] for f in findings} >= {"BP03", "GL01", "EC19", "SP03"}
    assert all(f["source"] for f in findings)


def test_old_results_and_control_solution_reach_no_chart_and_only_new_ones_come_again(told: dict[str, Any]) -> None:
    first, again = told["glucose_fetches"]
    assert (first["fetched"], first["charted"], first["other_visit"]) == (8, 1, 6)
    assert first["set_aside"] == {"control-solution": 1}
    assert again["fetched"] == 0


def test_blows_survive_a_sigkill(told: dict[str, Any]) -> None:
    assert told["killed"] == {"processes": 2, "blows_before": 2, "blows_resumed": 2}


def test_the_four_states_come_in_order(told: dict[str, Any]) -> None:
    assert len(told["states"]) == 6
    reported = told["states"][:5]
    for row in reported:
        assert list(row["states"]) == STATES
        assert sorted(row["states"].values()) == list(row["states"].values())
    assert told["report"]["village_read_ms"] >= max(row["states"]["reported"] for row in reported)


def test_the_case_goes_to_the_right_specialists(told: dict[str, Any]) -> None:
    critical, normal = sorted(told["cases"], key=lambda case: case["urgency"] != "RED")
    assert (critical["urgency"], critical["specialty"], critical["route"]) == ("RED", "cardiology", "R08")
    assert "respiratory" in critical["joint_specialties"]
    assert (normal["urgency"], normal["specialty"], normal["route"]) == ("GREEN", None, "R44")


def test_a_normal_result_is_archived_and_never_shown_as_seen_by_a_doctor(told: dict[str, Any]) -> None:
    assert list(told["states"][5]["states"]) == STATES[:2]


def test_a_wrong_number_is_refused_with_a_helpful_message(told: dict[str, Any]) -> None:
    assert "check character" in told["refused_number"]


def test_the_demo_runs_on_a_real_recording(shared_data: Path, tmp_path: Path) -> None:
    """MIT-BIH 203: two leads at 360 Hz; the ten others are absent, not flat."""
    record = shared_data / "ecg" / "data" / "mitdb" / "203"
    told = demo("--ecg", str(record), cwd=tmp_path)
    assert told["ecg_source"] == "203"
    (ecg,) = (o for o in told["observations"] if o["code"] == "ecg")
    assert 40 < ecg["values"]["heart_rate_ecg"]["value"] < 180
    assert (told["counts"]["lost"], told["counts"]["duplicated"]) == (0, 0)
