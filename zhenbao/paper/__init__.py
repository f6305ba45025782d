"""Pages made of figures and words: SVG in millimetres, printed as PDF or PNG.

The PDF is vectors and embedded, subset fonts; the PNG is the PDF's picture, so that both show the same.
Printing needs the extra ``paper``; making pages does not.
"""

from zhenbao.paper.ecg import PageLayout, ecg_page
from zhenbao.paper.pdf import to_pdf
from zhenbao.paper.png import to_png
from zhenbao.paper.report import PrintedReport, Section, report_sheets
from zhenbao.paper.sheet import Sheet, to_svg
from zhenbao.paper.spirometry import spirometry_page
from zhenbao.paper.spirometry_report import Bounds, Change, Examined, SpirometryReport

__all__ = [
    "Bounds",
    "Change",
    "Examined",
    "PageLayout",
    "PrintedReport",
    "Section",
    "Sheet",
    "SpirometryReport",
    "ecg_page",
    "report_sheets",
    "spirometry_page",
    "to_pdf",
    "to_png",
    "to_svg",
]
