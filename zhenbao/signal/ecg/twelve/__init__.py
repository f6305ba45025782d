"""Twelve leads: intervals, axis, ST levels, and the criteria of infarction and ischaemia that they reach."""

from zhenbao.model.ecg_twelve import EcgFact, Landmarks, TwelveLead
from zhenbao.signal.ecg.twelve.measure import measure_twelve

__all__ = ["EcgFact", "Landmarks", "TwelveLead", "measure_twelve"]
