"""Versions of the rules: named, dated, with a reason; cases keep theirs; nothing doubtful is ever in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from zhenbao.hub.server import Hub
from zhenbao.hub.store import HubStore, audit, rule_versions
from zhenbao.hub.store.law_tables import rule_versions as table
from zhenbao.model.errors import InputError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.rules.ruleset import program_digest

if TYPE_CHECKING:
    from conftest import HandClock, KitVoice

    from zhenbao.hub.store.work import WorkItem
    from zhenbao.hub.worklist import Worklist

GRADE_2 = Finding("BP04", Urgency.YELLOW, source="a guideline")
TO_HEART = '[[route]]\nid = "R20"\nfirst_specialty = "cardiology"\n'
URGENT = '[[route]]\nid = "R20"\nurgency = "ORANGE"\n'
WHO, WHY = "演示主任", "县里没有门诊"


def keep(store: HubStore, content: str, *, activate: bool = True) -> int:
    with store.writing() as connection:
        number = rule_versions.add(connection, content, WHO, WHY, "admin", store.clock.now_ms()).number
        if activate:
            rule_versions.activate(connection, number, WHO, WHY, "admin", store.clock.now_ms())
    return number


def visit(kit: KitVoice, worklist: Worklist) -> WorkItem:
    patient = kit.patient(number=None)
    encounter = kit.encounter(patient, chest_pain="no")
    kit.send(patient, encounter, kit.observation(encounter, GRADE_2))
    return next(row.item for row in worklist.rows() if row.item.encounter_id == encounter.id)


def test_a_new_version_routes_new_cases_and_each_case_keeps_its_own(
    store: HubStore, kit: KitVoice, worklist: Worklist
) -> None:
    before = visit(kit, worklist)
    keep(store, TO_HEART)
    after = visit(kit, worklist)
    assert (before.specialty, before.rules_version) == ("general-practice", f"0-{program_digest()}")
    assert (after.specialty, after.rules_version) == ("cardiology", f"1-{program_digest()}")
    unchanged = next(row.item for row in worklist.rows() if row.item.id == before.id)
    assert unchanged == before


def test_what_was_only_handed_in_does_nothing(store: HubStore, kit: KitVoice, worklist: Worklist) -> None:
    keep(store, URGENT, activate=False)
    assert visit(kit, worklist).urgency is Urgency.YELLOW


def test_going_back_brings_the_one_before(store: HubStore, kit: KitVoice, worklist: Worklist, clock: HandClock) -> None:
    keep(store, TO_HEART)
    keep(store, URGENT)
    assert visit(kit, worklist).urgency is Urgency.ORANGE
    with store.writing() as connection:
        assert rule_versions.roll_back(connection, WHO, "太多夜间呼叫", "admin", clock.ms).version == 1
    assert visit(kit, worklist).specialty == "cardiology"
    with store.writing() as connection:
        rule_versions.activate(connection, 0, WHO, WHY, "admin", clock.ms)
    assert visit(kit, worklist).specialty == "general-practice"
    with store.reading() as connection:
        assert [a.version for a in rule_versions.activations(connection)] == [1, 2, 1, 0]
        told = [(row.action, row.subject) for row in audit.rows(connection, 50) if row.action.startswith("rules-")]
    assert told[:3] == [
        ("rules-activated", "rules:0"),
        ("rules-rolled-back", "rules:1"),
        ("rules-activated", "rules:2"),
    ]


def test_a_joint_specialty_follows_the_version_of_its_case(store: HubStore, kit: KitVoice, worklist: Worklist) -> None:
    keep(store, '[[route]]\nid = "R35"\nfirst_specialty = "geriatrics"\n')
    patient = kit.patient(number=None)
    encounter = kit.encounter(patient, chest_pain="no")
    lung = Finding("SP03", Urgency.YELLOW, source="a guideline")
    kit.send(patient, encounter, kit.observation(encounter, Finding("EC16", Urgency.RED), lung, code="ecg"))
    item = worklist.rows()[0].item
    assert item.joint_specialties == ("geriatrics",)
    with store.writing() as connection:
        rule_versions.activate(connection, 0, WHO, WHY, "admin", store.clock.now_ms())
    assert worklist.rows()[0].item.joint_specialties == ("geriatrics",)


@pytest.mark.parametrize(
    ("content", "who", "why", "code"),
    [
        ('[[route]]\nid="R47"\nif_chest_pain="yes"', WHO, WHY, "rules-table"),
        (URGENT, "", WHY, "rules-who"),
        (URGENT, WHO, " ", "rules-reason"),
    ],
)
def test_nothing_is_kept_without_a_name_a_reason_and_a_whole_table(
    store: HubStore, content: str, who: str, why: str, code: str
) -> None:
    with pytest.raises(InputError, match=code), store.writing() as connection:
        rule_versions.add(connection, content, who, why, "admin", 1)
    with store.reading() as connection:
        assert rule_versions.versions(connection) == []


def test_there_is_nothing_before_the_program(store: HubStore) -> None:
    with store.writing() as connection:
        with pytest.raises(InputError, match="rules-no-earlier"):
            rule_versions.roll_back(connection, WHO, WHY, "admin", 1)
        with pytest.raises(InputError, match="rules-version"):
            rule_versions.activate(connection, 7, WHO, WHY, "admin", 1)


def test_a_hub_does_not_start_with_rules_that_the_program_does_not_know(tmp_path: Path) -> None:
    """As after an update that has dropped a rule: what is in force is refused, and can still be changed."""
    hub = Hub(tmp_path)
    keep(hub.store, TO_HEART)
    with hub.store.writing() as connection:
        connection.execute(update(table).values(content='[[route]]\nid = "R20"\ntrigger_rules = "BP04;BP99"\n'))
    hub.close()
    with pytest.raises(InputError, match="BP99"):
        Hub(tmp_path)
    from zhenbao.hub.rules_cli import app

    done = CliRunner().invoke(app, ["activate", "0", "--by", WHO, "--reason", WHY, "--dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    Hub(tmp_path).close()


def test_the_commands(tmp_path: Path) -> None:
    from zhenbao.hub.rules_cli import app

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--dir", str(tmp_path)])
        assert done.exit_code == 0, (arguments, done.output, done.exception)
        return done.output

    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(TO_HEART)
    two.write_text(TO_HEART + URGENT.replace("R20", "R21"))
    who = ("--by", WHO, "--reason", WHY)
    run("add", str(one), *who)
    run("add", str(two), *who)
    assert "+urgency" in run("diff", "1", "2")
    assert "相同" in run("diff", "1", "1")
    run("activate", "2", *who)
    listed = run("list")
    assert next(line for line in listed.splitlines() if "【当前】" in line).startswith("2 ")
    assert WHO in listed and WHY in listed
    assert 'id = "R21"' in run("show")
    run("rollback", *who)
    assert "【当前】" in run("list").splitlines()[0]
    run("activate", "1", *who)
    assert "zhejiang" in run("profile")
    run("profile", "zhejiang", *who)
    kept = run("show")
    assert 'profile = "zhejiang"' in kept
    assert "cardiology" in kept, "the changes in force stay"
    run("profile", "kit", *who)
    assert run("show").count("profile") == 1
