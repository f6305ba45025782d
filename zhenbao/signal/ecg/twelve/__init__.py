"""Twelve leads: intervals, axis, ST levels, and the criteria of infarction and ischaemia that they reach."""

from zhenbao.model.ecg_twelve import EcgFact, Landmarks, TwelveLead
from zhenbao.signal.ecg.twelve.infarction import PROFILES
from zhenbao.signal.ecg.twelve.measure import measure_twelve

__all__ = ["PROFILES", "EcgFact", "Landmarks", "TwelveLead", "measure_twelve"]
