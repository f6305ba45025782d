"""What a technician sets, and what a mistake in it says."""

from pathlib import Path

import pytest

from zhenbao.agent.settings import KitSettings, load_settings, save_settings
from zhenbao.model.errors import InputError


def test_settings_come_back_as_saved(tmp_path: Path) -> None:
    settings = KitSettings("kit-0007", '东湾村 "一"\\', "hub.example", 8883, hub_phone="0994-0000000")
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path) == settings


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        ('kit_id = "kit-1"\nhub_prot = 1883', "settings-key", "hub_port"),
        ('kit_id = "kit-1"\nhub_port = "1883"', "settings-type", "int"),
        ('kit_id = "kit/1"', "settings-kit-id", None),
        ('village = "x"', "settings-kit-id", None),
        ("kit_id = ", "settings-syntax", None),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, code: str, fact: str | None) -> None:
    (tmp_path / "kit.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_settings(tmp_path)
    assert refused.value.code == code
    assert fact is None or fact in map(str, refused.value.facts.values())


def test_a_kit_that_was_never_set_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="settings-missing"):
        load_settings(tmp_path)
