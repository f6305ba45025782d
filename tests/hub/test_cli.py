"""The operator's commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from zhenbao.hub.cli import app
from zhenbao.hub.store import HubStore
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.time import SystemClock

if TYPE_CHECKING:
    from click.testing import Result

    from tests.hub.conftest import HandClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def run(folder: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments, "--dir", str(folder)], input=typed, catch_exceptions=True)


def add(folder: Path, *more: str, account: str = "heart", password: str = "correct horse\n") -> Result:  # noqa: S107
    arguments = ["user", "add", account, "--name", "演示医师甲", "--password-stdin", *more]
    return run(folder, *arguments, typed=password)


def test_an_account_is_made_listed_and_disabled(folder: Path) -> None:
    assert "heart" in add(folder, "--specialty", "cardiology").output
    assert "演示医师甲" in run(folder, "user", "list").output
    run(folder, "user", "disable", "heart")
    assert run(folder, "user", "list").output == ""
    assert "correct horse" not in (folder / "hub.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("more", "account", "password", "code"),
    [
        ((), "heart", "correct horse\n", "specialty-missing"),
        (("--specialty", "astrology"), "heart", "correct horse\n", "specialty-unknown"),
        (("--specialty", "cardiology"), "heart", "short\n", "password-short"),
        (("--specialty", "cardiology"), "He art", "correct horse\n", "login-form"),
        (("--role", "king"), "heart", "correct horse\n", "hub-role"),
    ],
)
def test_a_wrong_account_is_refused_with_a_code(
    folder: Path, more: tuple[str, ...], account: str, password: str, code: str
) -> None:
    error = add(folder, *more, account=account, password=password).exception
    assert isinstance(error, InputError)
    assert error.code == code


def test_the_worklist_as_text_and_as_json(folder: Path, clock: HandClock) -> None:
    assert "没有病例" in run(folder, "worklist").output
    from tests.hub.conftest import KitVoice

    store = HubStore(f"sqlite:///{folder / 'hub.db'}", clock)
    kit = KitVoice(store, clock)
    patient = kit.patient()
    encounter = kit.encounter(patient)
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC19", Urgency.RED)))
    store.accept([kit.envelope(patient, body=b"\x00")], clock.ms)
    line = run(folder, "worklist").output
    assert "● 危急" in line
    assert "演**" in line
    assert "演示患者甲" not in line
    (item,) = json.loads(run(folder, "worklist", "--json").output)
    assert (item["urgency"], item["specialty"]) == ("RED", "cardiology")
    assert "envelope-body" in run(folder, "quarantine").output
    assert json.loads(run(folder, "quarantine", "--json").output)[0]["direction"] == "in"


def test_the_audit_says_whether_it_is_whole(folder: Path, clock: HandClock) -> None:
    add(folder, "--specialty", "cardiology")
    whole = run(folder, "audit")
    assert whole.exit_code == 0
    assert "建立账号" in whole.output
    assert "审计链完整" in whole.output
    store = HubStore(f"sqlite:///{folder / 'hub.db'}", clock)
    with store.writing() as connection:
        connection.execute(text("update audit set actor = 'nobody'"))
    broken = run(folder, "audit")
    assert broken.exit_code == 1
    assert "从第 1 条起不连续" in broken.output
    assert json.loads(run(folder, "audit", "--json").output)["first_broken"] == 1


def test_help_starts_without_anything_heavy() -> None:
    heavy = "sqlalchemy alembic fastapi starlette uvicorn jinja2 amqtt paho numpy scipy"
    code = f"import zhenbao.hub.cli, sys; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_hub_is_backed_up_and_restored_by_commands(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "backup.db"
    add(folder, "--specialty", "cardiology")
    assert "还没有备份过" in run(folder, "backup").output
    made = run(folder, "backup", str(place), "--every", "24")
    assert (made.exit_code, "每 24 小时备份一次" in made.output) == (0, True)
    assert "备份已写好并检查过：backup.db" in made.output
    again = run(folder, "backup", str(place))
    assert isinstance(again.exception, InputError)
    assert again.exception.code == "hub-backup-exists"
    add(folder, "--specialty", "respiratory", account="lungs")
    done = run(folder, "restore", str(place))
    assert done.exit_code == 0, done.exception
    assert "已恢复到" in done.output
    assert "before-restore" in done.output
    assert "停用的账号会重新生效" in done.output
    assert "lungs" not in run(folder, "user", "list").output
    assert "heart" in run(folder, "user", "list").output
    audit = run(folder, "audit")
    assert "用备份恢复数据库" in audit.output
    assert "审计链完整" in audit.output
    for wrong in ((), (str(place), "--announce")):
        refused = run(folder, "restore", *wrong)
        assert isinstance(refused.exception, InputError)
        assert refused.exception.code == "hub-restore-what"
    assert run(folder, "restore", "--announce").exit_code == 0


def test_sessions_of_before_end_with_a_restore(folder: Path, tmp_path: Path) -> None:
    add(folder, "--specialty", "cardiology")
    store = HubStore(f"sqlite:///{folder / 'hub.db'}", SystemClock())
    with store.writing() as connection:
        columns = "token_sha256, login, csrf, created_ms"
        session = text(f"insert into web_sessions ({columns}) values (:token, 'heart', 'c', 1)")  # noqa: S608
        connection.execute(session, {"token": b"0" * 32})
    store.close()
    run(folder, "backup", str(tmp_path / "backup.db"))
    run(folder, "restore", str(tmp_path / "backup.db"))
    store = HubStore(f"sqlite:///{folder / 'hub.db'}", SystemClock())
    with store.reading() as connection:
        assert connection.execute(text("select count(*) from web_sessions")).scalar() == 0
    store.close()
