"""Pictures: values in, SVG text out. One drawing serves the tablet, the web page and the printed report.

All lengths are true millimetres: width and height carry ``mm`` and the viewBox counts in mm, so a page printed at 100 %
can be measured with a ruler.
"""

from zhenbao.figures.bp_course import bp_course
from zhenbao.figures.ecg_paper import draw_ecg, ecg_paper
from zhenbao.figures.loops import flow_volume_loop, volume_time

__all__ = ["bp_course", "draw_ecg", "ecg_paper", "flow_volume_loop", "volume_time"]
