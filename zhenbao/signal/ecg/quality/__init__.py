"""Whether a recording, each lead, and each quarter of a second can carry a judgement."""

from zhenbao.signal.ecg.quality.assess import assess_quality, usable_seconds

__all__ = ["assess_quality", "usable_seconds"]
