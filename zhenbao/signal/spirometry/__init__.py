"""Spirometry: flow or volume over time in, measured blows, graded sessions and careful words out.

    from zhenbao.signal.spirometry import analyse_session

Volumes in litres and flows in L/s, BTPS; expiration positive. No input or output here, and no opinion on treatment.
"""

from zhenbao.model.spirometry import EQUATIONS, Blow, Interpretation, Reference, Session, SpirometryAnalysis
from zhenbao.signal.spirometry.analysis import analyse_session
from zhenbao.signal.spirometry.blow import analyse_blow
from zhenbao.signal.spirometry.bronchodilator import BronchodilatorResponse, bronchodilator_response
from zhenbao.signal.spirometry.btps import btps_factor
from zhenbao.signal.spirometry.copd_sq import CopdSq, copd_sq
from zhenbao.signal.spirometry.flows import flow_reference
from zhenbao.signal.spirometry.interpret import interpret
from zhenbao.signal.spirometry.reference import equation_name, reference
from zhenbao.signal.spirometry.reference_arrays import ReferenceArrays, reference_arrays
from zhenbao.signal.spirometry.session import grade_session, largest_fvc
from zhenbao.signal.spirometry.trend import PastTest, Trend, fev1q, past_test, trend

__all__ = [
    "EQUATIONS",
    "Blow",
    "BronchodilatorResponse",
    "CopdSq",
    "Interpretation",
    "PastTest",
    "Reference",
    "ReferenceArrays",
    "Session",
    "SpirometryAnalysis",
    "Trend",
    "analyse_blow",
    "analyse_session",
    "bronchodilator_response",
    "btps_factor",
    "copd_sq",
    "equation_name",
    "fev1q",
    "flow_reference",
    "grade_session",
    "interpret",
    "largest_fvc",
    "past_test",
    "reference",
    "reference_arrays",
    "trend",
]
