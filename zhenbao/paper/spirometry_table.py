"""The table of a spirometry report: measured beside predicted, in numbers that are still numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhenbao.paper.spirometry_report import CARRYING

if TYPE_CHECKING:
    from zhenbao.model.spirometry import Reference
    from zhenbao.paper.spirometry_report import Examined, SpirometryReport


@dataclass(frozen=True, slots=True)
class Row:
    """One index; None is unknown, or not to be compared at this quality."""

    key: str
    """Key of the ``spirometry_index`` words; the reference's name where it has one."""
    decimals: int
    measured: float | None
    sure: bool
    """False: the quality does not carry the value."""
    predicted: float | None = None
    lln: float | None = None
    percent: float | None = None
    z: float | None = None
    after: float | None = None
    after_sure: bool = True
    after_percent: float | None = None
    after_z: float | None = None

    @property
    def change(self) -> float | None:
        """After minus before; None where one of them is not sure."""
        if self.measured is None or self.after is None or not (self.sure and self.after_sure):
            return None
        return self.after - self.measured


_ROWS: tuple[tuple[str, int, str], ...] = (
    ("FEV1", 2, "fev1"),
    ("FVC", 2, "fvc"),
    ("FEV1FVC", 1, "both"),
    ("PEF", 2, "fev1"),
    ("FEF2575", 2, "both"),
    ("FEF25", 2, "both"),
    ("FEF50", 2, "both"),
    ("FEF75", 2, "both"),
    ("FEV3", 2, "both"),
    ("FEV6", 2, "both"),
    ("FIVC", 2, "both"),
    ("FET", 1, "fvc"),
    ("BEV", 3, "fev1"),
)
"""Index, decimals, and whose grade carries it."""
_ALWAYS = {"FEV1", "FVC", "FEV1FVC", "PEF", "FEF2575", "FEF50", "FEF75"}
_SAME = {"FEF2575": ("FEF2575", "MMEF")}


def table_rows(report: SpirometryReport) -> list[Row]:
    """All rows of the table; of the further indices only those that were measured."""
    rows = []
    for key, decimals, grade in _ROWS:
        measured = _measured(report.before, key)
        after = _measured(report.after, key) if report.after else None
        if measured is None and after is None and key not in _ALWAYS:
            continue
        reference = _reference(report.before, key)
        unit = 100.0 if key == "FEV1FVC" and reference is not None and reference.m <= 2 else 1.0
        sure = _carries(report.before, grade)
        after_sure = report.after is not None and _carries(report.after, grade)
        compared = measured if sure and measured and measured > 0 else None
        compared_after = after if after_sure and after and after > 0 else None
        rows.append(
            Row(
                key,
                decimals,
                measured,
                sure,
                predicted=reference.predicted * unit if reference else None,
                lln=reference.lln * unit if reference else None,
                percent=reference.percent(compared / unit) if reference and compared else None,
                z=reference.z(compared / unit) if reference and compared else None,
                after=after,
                after_sure=after_sure,
                after_percent=reference.percent(compared_after / unit) if reference and compared_after else None,
                after_z=reference.z(compared_after / unit) if reference and compared_after else None,
            )
        )
    return rows


def _reference(session: Examined, key: str) -> Reference | None:
    known = session.analysis.references
    return next((known[name] for name in _SAME.get(key, (key,)) if name in known), None)


def _carries(session: Examined, grade: str) -> bool:
    test = session.analysis.session
    grades = {"fev1": (test.fev1_grade,), "fvc": (test.fvc_grade,), "both": (test.fev1_grade, test.fvc_grade)}
    return all(each in CARRYING for each in grades[grade])


def _measured(session: Examined, key: str) -> float | None:
    """FEV1, FVC and their ratio are the session's largest; all else is the best blow's. The ratio is in per cent."""
    test, best = session.analysis.session, session.best
    if key in ("FEV1", "FVC", "FEV1FVC"):
        ratio = None if test.fev1_fvc is None else 100 * test.fev1_fvc
        return {"FEV1": test.fev1_l, "FVC": test.fvc_l, "FEV1FVC": ratio}[key]
    if best is None:
        return None
    of_best = {
        "PEF": best.pef_l_s,
        "FEF2575": best.fef2575_l_s,
        "FEF25": best.fef25_l_s,
        "FEF50": best.fef50_l_s,
        "FEF75": best.fef75_l_s,
        "FEV3": best.fev3_l,
        "FEV6": best.fev6_l,
        "FIVC": best.fivc_l,
        "FET": best.fet_s,
        "BEV": best.bev_l,
    }
    return of_best[key]
