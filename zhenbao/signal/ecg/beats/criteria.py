"""The table ``criteria.toml`` of this folder."""

from __future__ import annotations

from zhenbao.signal.ecg.criteria import criteria_of


def criteria() -> dict[str, float]:
    """Value by id."""
    return criteria_of(__package__)
