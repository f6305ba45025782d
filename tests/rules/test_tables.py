"""The tables themselves: sources, words, agreement of the conditions with the rows they implement."""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhenbao import rules
from zhenbao.model.finding import Urgency
from zhenbao.rules.judge import domain_conditions
from zhenbao.rules.language import Comparison, ConditionalRule, leaves, parse_domain
from zhenbao.rules.table import parse_rules, read_csv, rules_by_id

ENTRIES = {rule_id: entry for d in rules.DOMAINS for rule_id, entry in domain_conditions(d).rules.items()}
ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile(r"[\u4e00-\u9fff]")

# What a source is: an address, a named standard, law, guideline, consensus or paper, or this project's own proposal.
SOURCE = re.compile(
    r"https?://|design proposal of this project|ATS/ERS 2019|Universal Definition"
    r"|指南|规范|共识|技术方案|个人信息保护法|网络安全法|论文|报道|综述"
)


@pytest.mark.parametrize("row", rules.all_rules(), ids=lambda r: r.rule_id)
def test_every_row_has_a_source_and_words(row: rules.Rule) -> None:
    assert SOURCE.search(row.source), row.source
    assert "本报告" not in row.source
    assert row.label.zh
    assert row.label.en
    assert not CHINESE.search(row.label.en + row.name.en + row.action.en)
    assert bool(row.action.zh) == bool(row.action.en)
    assert not row.action.zh.startswith(("同上", "-"))


def test_a_design_row_says_so() -> None:
    for row in rules.all_rules():
        if row.evidence == "design":
            assert "design proposal of this project" in row.source
            assert "待县域医疗负责人签字确认" in row.source


def test_the_table_is_whole() -> None:
    by_prefix: dict[str, int] = {}
    for row in rules.all_rules():
        by_prefix[row.rule_id[:2]] = by_prefix.get(row.rule_id[:2], 0) + 1
    assert by_prefix == {
        "BP": 39, "GL": 28, "EC": 43, "CP": 12, "SP": 31, "OX": 9, "RR": 2, "NW": 10, "SL": 13, "US": 1, "EM": 1,
    }  # fmt: skip


def test_one_visit_is_never_hypertension_and_a_fingerstick_never_diabetes() -> None:
    for rule_id in ("BP03", "BP04", "BP05", "BP06", "BP07", "BP33"):
        assert "高血压" not in rules.rule(rule_id).label.zh
        assert "hypertension" not in rules.rule(rule_id).label.en
    for rule_id in ("GL01", "GL03", "GL05"):
        assert "筛查" in rules.rule(rule_id).label("zh_CN")
    assert rules.rule("BP03").name.zh == "1级高血压（轻度）"


def test_no_evaluated_label_claims_a_diagnosis_or_excludes_an_infarction() -> None:
    for rule_id in ENTRIES:
        label = rules.rule(rule_id).label
        assert not re.search("确诊|诊断|排除", label.zh)
        assert "exclude" not in label.en


def test_labels_follow_the_locale() -> None:
    row = rules.rule("EC16")
    assert row.label("zh_CN") == row.label("zh") == row.label.zh
    assert row.label("en") == row.label("en_GB.UTF-8") == row.label.en


@pytest.mark.parametrize(
    ("urgency", "expected"),
    [
        (Urgency.RED, (5, 10, 3)),
        (Urgency.ORANGE, (15, 30, 10)),
        (Urgency.YELLOW, (120, 1440, 240)),
        (Urgency.BLUE, (1440, 4320, 2880)),
        (Urgency.GREEN, (None, None, None)),
    ],
)
def test_clocks(urgency: Urgency, expected: tuple[int | None, ...]) -> None:
    clocks = rules.clocks(urgency)
    assert (clocks.ack_min, clocks.report_min, clocks.escalate_min) == expected


@pytest.mark.parametrize(
    ("key", "unit", "loinc", "mdc"),
    [  # LOINC of the FHIR vital-signs value set; MDC as IEEE 11073-10101 prints them
        ("bp_systolic", "mm[Hg]", "8480-6", 150021),
        ("bp_diastolic", "mm[Hg]", "8462-4", 150022),
        ("glucose_capillary", "mmol/L", "14743-9", 160184),
        ("glucose_capillary_mass", "mg/dL", "41653-7", 160184),
        ("heart_rate_ecg", "/min", "8867-4", 147842),
        ("fev1", "L", "20150-9", 152586),
        ("fvc", "L", "19868-9", 188928),
    ],
)
def test_codes(key: str, unit: str, loinc: str, mdc: int) -> None:
    code = rules.codes(key)
    assert (code.unit, code.loinc, code.mdc) == (unit, loinc, mdc)


def test_only_codes_that_were_read_ship() -> None:
    rows = read_csv("codes.csv")
    assert all(row["source"] for row in rows)
    assert not any("snomed" in "".join(row.values()).lower() for row in rows)
    with pytest.raises(KeyError):
        rules.codes("fvc_z_score")


def test_rows_without_source_or_twice_are_refused() -> None:
    rows = read_csv("thresholds.csv")
    rows[3] = {**rows[3], "source": " "}
    rows.append(dict(rows[0]))
    with pytest.raises(ValueError, match="BP04 has no source; BP01 stands twice"):
        parse_rules(rows)


# --- the conditions say what the rows say ---

UNIT_IN_TABLE = {"mm[Hg]": "mmHg", "/min": "bpm /min", "%": "% % pred % expected % of predicted", "s": "s s usable"}
# Rows whose numbers stand in another row; the conditions' comments say why.
BORROWS = {
    "GL12": ["GL07"], "GL14": ["GL14"], "GL21": ["GL19"], "GL28": ["GL07", "GL14"], "EC32": ["EC10"], "EC33": ["NW06"],
    "OX02": ["NW02"], "SP03": ["SP02", "SP04"], "SP04": ["SP02"], "SP05": ["SP02"],
    "SP15": ["SP09"], "SP16": ["SP09"], "SP17": ["SP09"], "SP18": ["SP09"],
}  # fmt: skip
# mg/dL of 10.0 mmol/L (GL19 gives no mg/dL for the after-meal target): 10.0 x 18.0156 = 180.2.
EXTRA = {"GL21": {180.0}}


def numbers(text: str) -> set[float]:
    return {float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)}


def bounds(entry: ConditionalRule) -> Iterator[tuple[Comparison, str, float]]:
    for condition in (entry.when, entry.requires, *(r.when for r in entry.raises)):
        for leaf in leaves(condition):
            if isinstance(leaf, Comparison):
                for kind in ("at_least", "above", "below", "at_most"):
                    if (bound := getattr(leaf, kind)) is not None:
                        yield leaf, kind, bound


@pytest.mark.parametrize("rule_id", sorted(ENTRIES))
def test_no_bound_is_written_that_no_row_gives(rule_id: str) -> None:
    given = set(EXTRA.get(rule_id, set()))
    for source_id in (rule_id, *BORROWS.get(rule_id, ())):
        row = rules.rule(source_id)
        for text in (row.value, row.value_alt, row.condition, row.applies_to, row.label.zh, row.action.zh, row.note):
            given |= numbers(text)
    for leaf, kind, bound in bounds(ENTRIES[rule_id]):
        # "60-69" in whole per cents ends where 70 begins; "11.1-16.6" ends where 16.7 begins.
        ends = {round(bound - 1, 6), round(bound - 0.1, 6)} if kind == "below" and leaf.at_least is not None else set()
        assert bound in given or ends & given, (leaf, sorted(given))


@pytest.mark.parametrize("rule_id", sorted(ENTRIES))
def test_every_number_of_a_rows_value_is_a_bound(rule_id: str) -> None:
    row = rules.rule(rule_id)
    if row.comparator not in ("<", ">", ">=", "<=", "range"):
        return
    used = {round(b, 6) for _, _, b in bounds(ENTRIES[rule_id])}
    used |= {round(b - step, 6) for _, kind, b in bounds(ENTRIES[rule_id]) if kind == "below" for step in (1, 0.1)}
    wanted = numbers(row.value) | numbers(row.value_alt)
    if rule_id in ("OX06", "OX07", "OX08"):
        wanted = {min(wanted)}  # only below the range is a finding
    if rule_id in FLAGS_ONLY or rule_id in ("BP33", "GL21"):  # 3 days, 14 days: what to do, not when it holds
        return
    assert wanted <= used


FLAGS_ONLY = {rule_id for rule_id, entry in ENTRIES.items() if not any(True for _ in bounds(entry))}
SIGN = {">=": "at_least", ">": "above", "<": "below", "<=": "at_most"}


@pytest.mark.parametrize(
    "rule_id",
    sorted(r for r in ENTRIES if rules.rule(r).comparator in SIGN and r not in FLAGS_ONLY | {"BP33", "GL21"}),
)
def test_a_bound_is_strict_where_the_rows_is(rule_id: str) -> None:
    row = rules.rule(rule_id)
    entry = ENTRIES[rule_id]
    for leaf in leaves(entry.when):
        if not isinstance(leaf, Comparison):
            continue
        kind = next(k for k in ("at_least", "above", "below", "at_most") if getattr(leaf, k) is not None)
        # 50 mg/dL is below 2.8 mmol/L: the row's own note makes this bound inclusive.
        expected = "at_most" if (rule_id, leaf.unit) == ("GL09", "mg/dL") else SIGN[row.comparator]
        assert kind == expected, leaf


@pytest.mark.parametrize("rule_id", sorted(ENTRIES))
def test_units_agree_with_the_row(rule_id: str) -> None:
    row = rules.rule(rule_id)
    for leaf in leaves(ENTRIES[rule_id].when):
        if isinstance(leaf, Comparison) and row.unit and row.comparator in SIGN and rule_id not in ("BP33", "GL21"):
            allowed = {row.unit, row.unit_alt} - {""}
            assert leaf.over or leaf.unit in allowed or row.unit in UNIT_IN_TABLE[leaf.unit], leaf


# --- a doubtful file is refused ---


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"rule": {"XX01": {"when": {"flag": "a"}}}}, "XX01 is no row"),
        ({"rule": {"BP05": {"when": {"quantity": "x", "unit": "L", "below": 1}}}}, "which is not declared"),
        ({"rule": {"BP05": {"when": {"flag": "a"}}}}, "a, which is not declared"),
        ({"facts": {"a": ["yes"]}, "rule": {"BP05": {"when": {"flag": "a", "is": "maybe"}}}}, "never"),
        ({"facts": {"a": ["yes"]}, "rule": {"BP05": {"when": {"context": "a"}}}}, "asks in `when`"),
        ({"facts": {"a": ["yes"]}, "rule": {"BP05": {"urgency": "RED", "when": {"flag": "a"}}}}, "not from both"),
        ({"facts": {"a": ["yes"]}, "rule": {"BP34": {"when": {"flag": "a"}}}}, "or neither"),
        ({"facts": {"a": ["yes"]}, "rule": {"BP05": {"when": {"flag": "a"}, "wehn": 1}}}, "unknown keys"),
        ({"rule": {"BP05": {"when": {"quantity": "x", "unit": "L", "atleast": 1}}}}, "no condition"),
        ({"rule": {"BP05": {"when": {"quantity": "x", "unit": "L"}}}}, "no condition"),
        ({"rule": {"BP05": {"when": {"any": []}}}}, "no condition"),
        ({"rule": {"BP05": {"when": {"rule": "BP04"}}}}, "does not stand above"),
        ({"facts": {"a": ["yes"]}, "gates": ["BP04"], "rule": {"BP05": {"when": {"flag": "a"}}}}, "no condition"),
    ],
)
def test_a_wrong_condition_file_is_refused(broken: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_domain("bp", broken, {r.rule_id: r.urgency for r in rules_by_id().values()})


def test_importing_and_judging_loads_nothing_heavy() -> None:
    program = (
        "import sys; from zhenbao import rules; from zhenbao.model.quantity import Quantity;"
        "rules.route_for(rules.evaluate('bp', {'bp_systolic': Quantity(190, 'mm[Hg]')}));"
        "heavy = {'numpy', 'scipy', 'asyncio', 'sqlite3', 'msgspec', 'cbor2'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_evidence_table_is_not_changed_silently(shared_data: Path) -> None:
    """Where the evidence table lies beside the project: every value of it is still the project's value."""
    path = shared_data / "clinical" / "thresholds.csv"
    if not path.is_file():
        pytest.skip(f"no evidence table at {path}")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = rules.rule(row["rule_id"])
            for column in ("domain", "parameter", "comparator", "value", "unit", "value_alt", "unit_alt", "confidence"):
                assert getattr(own, column) == row[column], (row["rule_id"], column)
            assert ("-" if own.urgency is None else own.urgency) == row["urgency"]


def test_the_clinicians_guide_lists_exactly_what_is_evaluated() -> None:
    guide = (ROOT / "docs" / "clinical" / "rules.md").read_text(encoding="utf-8")
    evaluated = guide.split("## Evaluated now")[1].split("BP08 (higher category wins)")[0]
    assert sorted(re.findall(r"\b[A-Z]{2}\d{2}\b", evaluated.replace("`acute_organ_damage` for BP10", ""))) == sorted(
        ENTRIES
    )
    assert f"{len(rules.all_rules())} rows" in guide
    assert f"{len(rules.routes())} rows" in guide


def test_what_a_doctor_is_told_to_do_is_no_note_to_programmers() -> None:
    for rule_id in ENTRIES:
        action = rules.rule(rule_id).action
        assert not re.search("界面|设备端|配置|altitude_m|不得直接弹|提示重接|附严重程度|排除心梗", action.zh), rule_id
        assert not re.search(r"\bscreen\b|config|the kit writes", action.en), rule_id
    for entry in ENTRIES.values():
        if entry.urgency is Urgency.RED:
            assert rules.rule(entry.rule_id).action.zh, entry.rule_id
