"""A configuration document is checked whole before a port is opened."""

from pathlib import Path
from typing import Any

import pytest

from zhenbao.model.errors import InputError
from zhenbao.technician.front_end_config import check_config, read_config

GOOD: dict[str, Any] = {
    "mains_hz": 50,
    "ecg_rate_hz": 500,
    "flow_rate_hz": 100,
    "language": "zh-CN",
    "village_code": "999999001101",
    "village_name": "东湾村",
}


def test_a_good_document_becomes_a_block_of_the_documented_layout() -> None:
    block = check_config(GOOD).encode()
    assert len(block) == 84
    assert block[:6] == bytes([1, 50]) + (500).to_bytes(2, "little") + (100).to_bytes(2, "little")
    assert block[14:26] == b"999999001101"


@pytest.mark.parametrize(
    ("change", "code", "fact"),
    [
        ({"ecg_rate": 500}, "config-key", "ecg_rate_hz"),
        ({"mains_hz": 55}, "config-choice", "50, 60"),
        ({"mains_hz": "50"}, "config-choice", "50, 60"),
        ({"ecg_rate_hz": True}, "config-choice", "250, 500, 1000"),
        ({"village_name": "东" * 19}, "config-text", "54"),
        ({"village_name": ""}, "config-text", "54"),
        ({"village_code": "65232700110x"}, "config-village-code", None),
        ({"patient": "x"}, "config-key", None),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(change: dict[str, Any], code: str, fact: str | None) -> None:
    with pytest.raises(InputError) as refused:
        check_config(GOOD | change)
    assert refused.value.code == code
    assert fact is None or fact in map(str, refused.value.facts.values())


@pytest.mark.parametrize("key", sorted(GOOD))
def test_nothing_may_be_left_out(key: str) -> None:
    with pytest.raises(InputError) as refused:
        check_config({k: v for k, v in GOOD.items() if k != key})
    assert (refused.value.code, refused.value.facts["key"]) == ("config-missing", key)


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config-file"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="config-syntax"):
        read_config(tmp_path / "bad.toml")
