"""Electrocardiograms: heartbeats, signal quality, and what may be said of them on the spot."""

from zhenbao.model.ecg import EcgAnalysis, EcgQuality
from zhenbao.signal.ecg.analyse import analyse_ecg
from zhenbao.signal.ecg.qrs import detect_qrs
from zhenbao.signal.ecg.quality import assess_quality
from zhenbao.signal.ecg.stream import QrsStream

__all__ = ["EcgAnalysis", "EcgQuality", "QrsStream", "analyse_ecg", "assess_quality", "detect_qrs"]
