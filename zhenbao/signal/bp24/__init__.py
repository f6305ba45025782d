"""24 h blood pressure: a series in, means, dipping and findings out."""

from zhenbao.signal.bp24.analyse import analyse_bp24, judged_readings, means

__all__ = ["analyse_bp24", "judged_readings", "means"]
