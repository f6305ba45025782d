"""Before and after a bronchodilator, by both rules in use; neither is a diagnosis of asthma."""

from dataclasses import dataclass

from zhenbao.model.spirometry import Reference
from zhenbao.signal.spirometry.tables import settings

_ROUNDING = 1e-9
"""1.7 - 1.5 is a little less than 0.2 in binary; a boundary must not depend on that."""


@dataclass(frozen=True, slots=True)
class BronchodilatorResponse:
    """Change of FEV1 or FVC; litres and per cent."""

    change_l: float
    percent_of_predicted: float
    percent_of_before: float
    positive_2021: bool
    """ERS/ATS 2021: change above 10 % of the predicted value."""
    positive_2005: bool
    """ATS/ERS 2005 and the Chinese guideline of 2014: at least 12 % of the value before, and 0.200 L."""
    equation: str = ""
    """Key of the reference equation behind the predicted value, where the caller named it."""


def bronchodilator_response(pre_l: float, post_l: float, predicted_l: float | Reference) -> BronchodilatorResponse:
    """Judge FEV1, or FVC, before and after.

    Args:
        pre_l, post_l: reported values in litres, of sessions of grade A, B or C.
        predicted_l: the parameter's reference, whose equation the result then names; or the predicted value alone.

    Raises:
        ValueError: the value before or the predicted value is not above zero.
    """
    predicted, equation = (
        (predicted_l.predicted, predicted_l.equation) if isinstance(predicted_l, Reference) else (predicted_l, "")
    )
    if not (pre_l > 0 and predicted > 0):
        raise ValueError("a response needs a value before and a predicted value, both above zero")
    rules = settings("interpretation")
    of_predicted = rules["bronchodilator_2021"]["percent_of_predicted_above"]
    of_before = rules["bronchodilator_2005"]["percent_of_before_at_least"]
    least_l = rules["bronchodilator_2005"]["change_l_at_least"]
    change = post_l - pre_l
    percent_of_predicted = 100 * change / predicted
    percent_of_before = 100 * change / pre_l
    return BronchodilatorResponse(
        change_l=change,
        percent_of_predicted=percent_of_predicted,
        percent_of_before=percent_of_before,
        positive_2021=percent_of_predicted > of_predicted + _ROUNDING,
        positive_2005=percent_of_before >= of_before - _ROUNDING and change >= least_l - _ROUNDING,
        equation=equation,
    )
