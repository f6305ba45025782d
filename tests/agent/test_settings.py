"""What a technician sets, and what a mistake in it says."""

from dataclasses import replace
from pathlib import Path

import pytest

from zhenbao.agent.settings import KitSettings, load_settings, save_settings
from zhenbao.model.errors import InputError


def test_settings_come_back_as_saved(tmp_path: Path) -> None:
    settings = KitSettings("kit-0007", '东湾村 "一"\\', "hub.example", 8883, hub_phone="0994-0000000")
    settings = replace(settings, spirometry_equation="gli2012", spirometry_group="NEAsia")
    settings = replace(settings, altitude_m=2600, oximeter_port="/dev/ttyUSB0")
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path) == settings


@pytest.mark.parametrize(
    ("text", "code", "fact"),
    [
        ('kit_id = "kit-1"\nhub_prot = 1883', "settings-key", "hub_port"),
        ('kit_id = "kit-1"\nhub_port = "1883"', "settings-type", "int"),
        ('kit_id = "kit/1"', "settings-kit-id", None),
        ('village = "x"', "settings-kit-id", None),
        ('kit_id = "kit-1"\naltitude_m = 4501', "altitude-range", "4500"),
        ('kit_id = "kit-1"\naltitude_m = -201', "altitude-range", "-201"),
        ('kit_id = "kit-1"\naltitude_m = "2600"', "settings-type", "int"),
        ("kit_id = ", "settings-syntax", None),
        ('kit_id = "kit-1"\nspirometry_equation = "gli2021"', "reference-equation", "gli2012, gli2022, jian2017"),
        ('kit_id = "kit-1"\nspirometry_group = "NEAsia"', "settings-group-alone", None),
        ('kit_id = "kit-1"\nglucose_meter = "onetouch"', "settings-glucose", None),
        ('kit_id = "kit-1"\nglucose_port = "/dev/ttyUSB0"', "settings-glucose", None),
        ('kit_id = "kit-1"\nglucose_meter = "x"\nglucose_port = "y"', "settings-glucose", None),
        (
            'kit_id = "kit-1"\nspirometry_equation = "jian2017"\nspirometry_group = "NEAsia"',
            "settings-group-alone",
            None,
        ),
        (
            'kit_id = "kit-1"\nspirometry_equation = "gli2012"\nspirometry_group = "Asia"',
            "reference-ethnicity",
            "Caucasian, AfrAm, NEAsia, SEAsia, Other",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, code: str, fact: str | None) -> None:
    (tmp_path / "kit.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_settings(tmp_path)
    assert refused.value.code == code
    assert fact is None or fact in map(str, refused.value.facts.values())


def test_where_the_county_has_not_chosen_an_equation_none_is_written_down(tmp_path: Path) -> None:
    save_settings(tmp_path, KitSettings("kit-0007"))
    found = load_settings(tmp_path)
    assert (found.spirometry_equation, found.spirometry_group) == ("", "")


def test_a_kit_that_was_never_set_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="settings-missing"):
        load_settings(tmp_path)


def test_an_altitude_that_nobody_gave_is_none_and_sea_level_is_a_height(tmp_path: Path) -> None:
    save_settings(tmp_path, KitSettings("kit-0007"))
    assert load_settings(tmp_path).altitude_m is None
    save_settings(tmp_path, KitSettings("kit-0007", altitude_m=0))
    assert load_settings(tmp_path).altitude_m == 0
