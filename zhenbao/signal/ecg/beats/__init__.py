"""Beats by class, and the rhythm they make."""

from zhenbao.model.ecg_rhythm import BeatClasses, Rhythm, Stretch
from zhenbao.signal.ecg.beats.classes import classify_beats
from zhenbao.signal.ecg.beats.judge import judge_rhythm

__all__ = ["BeatClasses", "Rhythm", "Stretch", "classify_beats", "judge_rhythm"]
