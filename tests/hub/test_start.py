"""Setting up a hub: what is missing is made, what is there stays; and a roster is read and checked against accounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from zhenbao.hub.cli import app
from zhenbao.hub.options import open_store
from zhenbao.hub.store import audit, people
from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from click.testing import Result

PASSWORD = "correct horse"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "county" / "hub"


def init(folder: Path, *more: str, typed: str = f"{PASSWORD}\n{PASSWORD}\n") -> Result:
    return CliRunner().invoke(app, ["init", "--dir", str(folder), *more], input=typed)


def logins(folder: Path) -> list[tuple[str, str]]:
    with open_store(folder, "").reading() as connection:
        return [(person.login, person.role) for person in people.everyone(connection)]


def test_everything_is_made_once_and_a_second_run_asks_nothing(folder: Path) -> None:
    first = init(folder)
    assert first.exit_code == 0, first.output
    for told in ("已建数据库", "已生成密钥", "首个管理员：admin", "下一步"):
        assert told in first.output
    assert PASSWORD not in first.output
    assert folder.stat().st_mode & 0o777 == 0o700
    keys = folder / "keys.cbor"
    assert keys.stat().st_mode & 0o077 == 0
    before = keys.read_bytes()
    second = init(folder, typed="")
    assert second.exit_code == 0, second.output
    for told in ("数据库已存在", "密钥已存在", "已有管理员：admin"):
        assert told in second.output
    assert keys.read_bytes() == before
    assert logins(folder) == [("admin", "admin")]
    with open_store(folder, "").reading() as connection:
        assert [row.action for row in audit.rows(connection, 9)] == ["practitioner-added"]
        assert people.confirm(connection, "admin", PASSWORD)


def test_after_a_mistake_the_next_run_adds_what_is_missing(folder: Path) -> None:
    failed = init(folder, "--password-stdin", typed="short\n")
    assert isinstance(failed.exception, InputError)
    assert failed.exception.code == "password-short"
    assert logins(folder) == []
    differ = init(folder, typed="correct horse\nanother horse\n")
    assert differ.exit_code == 1
    assert logins(folder) == []
    done = init(folder, "--password-stdin", "--account", "boss", "--name", "演示管理员", typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert "数据库已存在" in done.output
    assert logins(folder) == [("boss", "admin")]


@pytest.mark.slow
def test_the_program_itself_starts_so(folder: Path) -> None:
    command = [sys.executable, "-m", "zhenbao", "hub", "init", "--dir", str(folder), "--password-stdin"]
    done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert logins(folder) == [("admin", "admin")]


ROSTER = """
[desk]
phone = "0994-0000000"
emergency = "emergency"
[[duty]]
specialty = "emergency"
first = "admin"
first_phone = "0994-0000021"
second = "nobody-2"
[[contact]]
to = "emergency-head"
phone = "0994-0000020"
login = "nobody-1"
[[kit]]
id = "kit-001"
village = "演示村卫生室"
"""


def roster(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["roster", *arguments])


def test_a_login_without_an_account_is_a_hole(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "roster.toml"
    file.write_text(ROSTER, encoding="utf-8")
    unchecked = roster("check", str(file), "--dir", str(folder))
    assert unchecked.exit_code == 0
    assert "未核对账号" in unchecked.output + unchecked.stderr
    assert not folder.exists(), "a check makes nothing"
    init(folder)
    checked = roster("check", str(file), "--dir", str(folder))
    assert checked.exit_code == 1
    assert "nobody-1、nobody-2" in checked.output + checked.stderr
    file.write_text(ROSTER.replace("nobody-2", "admin").replace("nobody-1", ""), encoding="utf-8")
    assert roster("check", str(file), "--dir", str(folder)).exit_code == 0
    file.write_text("[desk]\nphone = 3\n", encoding="utf-8")
    assert isinstance(roster("check", str(file)).exception, InputError)


def test_a_roster_is_shown_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "roster.toml"
    file.write_text(ROSTER, encoding="utf-8")
    shown = roster("show", str(file)).output
    for told in (
        "枢纽值班台：0994-0000000",
        "急诊科  全天  一线 admin 0994-0000021  二线 nobody-2",
        "nobody-1 0994-0000020",
        "kit-001  演示村卫生室",
    ):
        assert told in shown
    assert "cardiology-1" in roster("show").output, "without a file the example"
