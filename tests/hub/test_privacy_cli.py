"""Privacy requests and the audit's chain from the hub's own command line."""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from zhenbao.hub.cli import app
from zhenbao.hub.server import add_practitioner
from zhenbao.model.errors import InputError, StorageError

if TYPE_CHECKING:
    from conftest import KitVoice

    from zhenbao.hub.permission import Role
    from zhenbao.hub.store import HubStore

NUMBER = "99999919480101002X"


def run(store: HubStore, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments, "--database", str(store.database.url)], input=typed)


@pytest.fixture
def people(store: HubStore, kit: KitVoice) -> None:
    roles: tuple[tuple[str, Role], ...] = (("privacy-1", "privacy-officer"), ("director-1", "director"))
    for login, role in roles:
        add_practitioner(store, login, name="演示人员", role=role, specialty=None, phone="", password="correct horse")
    patient = kit.patient()
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(patient, encounter, kit.observation(encounter))


def recorded(store: HubStore, kind: str) -> str:
    done = run(
        store, "privacy", "record", "--as", "privacy-1", "--kind", kind, "--name", "演示患者甲", "--asked-by", "家属",
        "--checked", "id-card", "--reason", "本人不再需要保存", typed=f"{NUMBER}\n",
    )  # fmt: skip
    assert done.exit_code == 0, (done.output, done.exception)
    found = re.search(r"[0-9a-f-]{36}", done.output)
    assert found is not None
    return found[0]


@pytest.mark.usefixtures("people")
def test_a_copy_is_written_once_and_for_its_owner_alone(store: HubStore, tmp_path: Path) -> None:
    request, out = recorded(store, "access"), tmp_path / "person.zip"
    early = run(store, "privacy", "access", request, "--as", "privacy-1", "--out", str(out))
    assert isinstance(early.exception, InputError)
    assert not out.exists()
    assert run(store, "privacy", "decide", request, "--as", "director-1").exit_code == 0
    nowhere = run(store, "privacy", "access", request, "--as", "privacy-1", "--out", str(tmp_path / "no" / "x.zip"))
    assert isinstance(nowhere.exception, StorageError)
    done = run(store, "privacy", "access", request, "--as", "privacy-1", "--out", str(out))
    assert done.exit_code == 0, (done.output, done.exception)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with zipfile.ZipFile(out) as archive:
        assert NUMBER in archive.read("data.json").decode()
    assert "已办理" in run(store, "privacy", "list", "--as", "privacy-1").output


@pytest.mark.usefixtures("people")
def test_a_deletion_says_what_is_kept_and_where_copies_are(store: HubStore) -> None:
    request = recorded(store, "deletion")
    run(store, "privacy", "decide", request, "--as", "director-1")
    done = run(store, "privacy", "delete", request, "--as", "privacy-1")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "1 个病例依法保留" in done.output
    assert "kit-001" in done.output
    stranger = run(store, "privacy", "list", "--as", "nobody")
    assert isinstance(stranger.exception, InputError)


@pytest.mark.usefixtures("people")
def test_the_chain_is_verified_and_its_end_is_printed_to_be_kept(store: HubStore) -> None:
    whole = run(store, "audit-verify")
    assert whole.exit_code == 0
    known = re.search(r"\d+:[0-9a-f]{64}", whole.output)
    assert known is not None
    recorded(store, "access")
    assert run(store, "audit-verify", "--known", known[0]).exit_code == 0
    other = known[0].partition(":")[0] + ":" + "0" * 64
    assert run(store, "audit-verify", "--known", other).exit_code == 1
    assert isinstance(run(store, "audit-verify", "--known", "12").exception, InputError)
    with store.writing() as connection:
        connection.exec_driver_sql("delete from audit where number = (select max(number) from audit)")
    cut = run(store, "audit-verify")
    assert cut.exit_code == 1
    assert "不连续" in cut.output + cut.stderr
