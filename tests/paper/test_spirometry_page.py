"""The printed spirometry session, read back by another program (PDFium)."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import cycle, product

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.spirometry import BlowModel, FlowSensor, demo_blows
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.spirometry import Blow, Interpretation
from zhenbao.paper import Bounds, Change, Examined, SpirometryReport, spirometry_page, to_pdf, to_svg
from zhenbao.paper.spirometry_table import table_rows
from zhenbao.signal.spirometry import analyse_session, reference
from zhenbao.words import Words, catalogue

pdfium = pytest.importorskip("pypdfium2")
ZH, EN = Words("zh_CN"), Words("en")
BOUNDS = Bounds((-1.645, -2.5, -4.0), 80.0)
MM = 25.4 / 72
GOOD = BlowModel(
    fvc_l=3.9, fast_share=0.55, fast_tau_s=0.25, fivc_l=3.8, inspiration_before_l=3.4,
    sensor=FlowSensor(noise_l_s=0.004),
)  # fmt: skip
NORMAL = (GOOD, replace(GOOD, fvc_l=3.85, seed=2), replace(GOOD, fvc_l=3.82, seed=3))
SPOILED = (replace(GOOD, stops_at_s=1.2), replace(GOOD, cough_at_s=0.3), replace(GOOD, glottis_at_s=0.6))


def examined(
    models: tuple[BlowModel, ...], *, height: float | None = 168.0, after: bool = False, **more: object
) -> Examined:
    curves = []
    for model in models:
        flow = model.flow_l_s(100)
        curves.append((np.arange(len(flow)) / 100, flow))
    person: dict[str, object] = {"sex": "M", "age_years": 66.0, "height_cm": height, **more}
    analysis = analyse_session(curves, post_bronchodilator=after, **person)  # type: ignore[arg-type]
    return Examined(analysis, tuple((t.tolist(), f.tolist()) for t, f in curves), tuple(range(1, len(curves) + 1)))


def report(before: Examined, **more: object) -> SpirometryReport:
    given: dict[str, object] = {"sex": "male", "age_years": 66.0, "height_cm": 168.0, **more}
    return SpirometryReport(before, "Jian 2017 (China)", BOUNDS, **given)  # type: ignore[arg-type]


def read(made: SpirometryReport, words: Words = ZH) -> str:
    document = pdfium.PdfDocument(to_pdf([spirometry_page(made, words=words)]))
    assert len(document) == 1
    assert [round(n * MM, 1) for n in document[0].get_size()] == [210.0, 297.0]
    return str(document[0].get_textpage().get_text_range()).replace("\r\n", "" if words is ZH else " ")


OBSTRUCTED = examined(demo_blows())
AFTER = examined(demo_blows(3.40, 0.62), after=True)
NORMAL_SESSION = examined(NORMAL, age_years=50.0, height_cm=166.0, flow_equation="eccs1993")


def test_person_values_quality_and_class_stand_on_the_page() -> None:
    page = read(report(OBSTRUCTED, taken="2026-11-27 09:30", device="Zhenbao FE-1"))
    for text in ("肺功能初筛报告", "男 · 66 岁 · 身高 168 cm", "2026-11-27 09:30", "Zhenbao FE-1", "Jian 2017 (China)"):
        assert text.replace(" ", "") in page.replace(" ", "").replace("•", "·")
    for text in (
        "FEV1 质量 A（很好）",
        "可接受 3 次",
        "共吹 4 次",
        "其中 1 次不完全合格",
        "第 1 秒内有咳嗽",
        "× 不可用",
    ):
        assert text in page
    for text in ("阻塞性通气功能障碍（提示），中度", "小气道无法判断", "ERS/ATS 2021", "[SP03]", "不画预计曲线"):
        assert text in page
    assert "本机初筛提示，待上级医师审核" in page


def test_predicted_values_are_those_of_the_published_tables() -> None:
    """Row 72 of the vectors: a man of 67, 158.9 cm; predicted and lower limit of FEV1 from another implementation."""
    session = examined(demo_blows(), age_years=67.0, height=158.9)
    (row,) = (r for r in table_rows(report(session)) if r.key == "FEV1")
    assert (row.predicted, row.lln) == pytest.approx((2.516030388, 2.031734838), abs=1e-6)
    page = read(report(session))
    assert "2.52" in page and "2.03" in page


@pytest.mark.parametrize("equation", ["jian2017", "gli2012", "gli2022"])
def test_the_ratio_is_in_per_cent_whatever_the_equation(equation: str) -> None:
    session = examined(demo_blows(), equation=equation)
    (row,) = (r for r in table_rows(report(session)) if r.key == "FEV1FVC")
    known = reference(equation, sex="M", age_years=66.0, height_cm=168.0)["FEV1FVC"]
    unit = 1.0 if equation == "jian2017" else 100.0
    assert row.measured == pytest.approx(58.0, abs=0.3)
    assert row.predicted == pytest.approx(known.predicted * unit)
    assert row.percent == pytest.approx(100 * row.measured / row.predicted)
    assert row.z == pytest.approx(session.analysis.interpretation.decided_by["fev1fvc_z"])  # type: ignore[union-attr]


@pytest.mark.parametrize(("words", "phrase"), [(ZH, "无法判断"), (EN, "Cannot be judged")])
@pytest.mark.parametrize("models", [SPOILED, SPOILED[:1], NORMAL[:1], ()])
def test_a_session_of_low_quality_is_not_judged(models: tuple[BlowModel, ...], words: Words, phrase: str) -> None:
    session = examined(models)
    assert session.worse_grade in "DEFU"
    made = report(session)
    page = read(made, words)
    assert phrase in page
    assert all(row.percent is None and row.z is None for row in table_rows(made) if not row.sure)
    for key in ("normal", "obstructive", "restrictive", "mixed", "small-airway", "unclassified"):
        assert words(f"spirometry_class.{key}") not in page
    if not models:
        assert ("没有可用的" if words is ZH else "none usable") in page
        assert words("spirometry_page.legend") not in page


@pytest.mark.parametrize("grade", list("DEUF"))
def test_every_grade_below_c_is_not_judged(grade: str) -> None:
    session = replace(OBSTRUCTED.analysis.session, fvc_grade=grade)
    worse = replace(OBSTRUCTED, analysis=replace(OBSTRUCTED.analysis, session=session))
    page = read(report(worse))
    assert f"无法判断：质量 FEV1 A 级、FVC {grade} 级" in page
    assert "阻塞性通气功能障碍（提示），" not in page
    rows = {row.key: row for row in table_rows(report(worse))}
    assert rows["FEV1"].z is not None and rows["FVC"].z is None and rows["FEV1FVC"].z is None


def test_without_height_only_what_was_measured() -> None:
    made = report(examined(NORMAL, height=None), height_cm=None)
    page = read(made)
    assert "身高未知" in page and "无法判断分型：没有身高" in page and "正常" not in page
    assert all(row.predicted is None and row.percent is None for row in table_rows(made))
    assert any(row.measured for row in table_rows(made))


def test_normal_is_said_where_it_may_be() -> None:
    made = report(NORMAL_SESSION)
    assert NORMAL_SESSION.fev1_percent is not None and NORMAL_SESSION.fev1_percent >= 80
    assert "通气功能正常" in read(made)


def with_fev1(session: Examined, percent: float, judged: Interpretation) -> Examined:
    """The session with an FEV1 of so much of predicted, and another interpretation."""
    fev1_l = session.analysis.references["FEV1"].predicted * percent / 100
    greens = (Finding("SP02", Urgency.GREEN),)
    return replace(
        session,
        curves=tuple((time[::50], flow[::50]) for time, flow in session.curves),
        analysis=replace(
            session.analysis,
            session=replace(session.analysis.session, fev1_l=fev1_l),
            interpretation=judged,
            findings=greens,
            limits=tuple(key.split(".")[1] for key in catalogue("zh_CN") if key.startswith("spirometry_limit.")),
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("words", "forbidden"), [(ZH, "正常"), (EN, "normal")])
def test_normal_is_never_said_below_80_per_cent(words: Words, forbidden: str) -> None:
    """Every class with every pattern, severity and small-airway tag, also where the analysis itself says normal."""
    classes = ("normal", "obstructive", "restrictive", "mixed", "small-airway", "unclassified", "not-graded")
    patterns = ("normal", "obstructive", "possible-mixed", "possible-restriction", "non-specific", "not-graded")
    for (class_, pattern), airways in zip(product(classes, patterns), cycle(("yes", "no", "cannot-say"))):
        judged = Interpretation(pattern, "normal", class_, "mild", airways, "1", True, {"fev1_z": -1.5})
        low = with_fev1(NORMAL_SESSION, 79.9, judged)
        fine = with_fev1(NORMAL_SESSION, 92.0, judged)
        for made in (report(low), report(low, after=fine), report(fine, after=low)):
            texts = re.findall(r">([^<]+)</text>", to_svg(spirometry_page(made, words=words)))
            assert not [text for text in texts if forbidden in text.lower()], (class_, pattern, airways)


@pytest.mark.slow
def test_before_and_after_a_bronchodilator() -> None:
    changes = {"FEV1": Change(1.77, 2.11, 19.2, 11.7, True, True), "FVC": Change(3.05, 3.40, 11.5, 9.4, False, False)}
    page = read(report(OBSTRUCTED, after=AFTER, changes=changes))
    for text in ("+340 mL", "+19.2%", "+11.7%", "ERS/ATS 2021 阳性", "ERS/ATS 2021 未达阳性", "GOLD 2", "舒张后：◆"):
        assert text in page
    assert "未吸入支气管舒张剂" not in page
    unsure = read(report(OBSTRUCTED, after=examined(SPOILED, after=True)))
    assert "舒张试验 FEV1：质量不够，无法判断" in unsure


def every_defect(session: Examined) -> Examined:
    """Eight blows, each with nine defects."""
    defects = [key.removeprefix("blow_defect.") for key in catalogue("zh_CN") if key.startswith("blow_defect.")]
    blows: list[Blow] = []
    for i in range(8):
        blow = session.analysis.blows[i % len(session.analysis.blows)]
        blows.append(replace(blow, defects=tuple((defects * 2)[i : i + 9])))
    limits = tuple(key.split(".")[1] for key in catalogue("zh_CN") if key.startswith("spirometry_limit."))
    analysis = replace(session.analysis, blows=tuple(blows), limits=limits)
    return replace(
        session, analysis=analysis, curves=tuple(session.curves[i % 4] for i in range(8)), numbers=tuple(range(1, 9))
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("with_after", [False, True])
def test_eight_blows_with_everything_wrong_are_one_page(words: Words, with_after: bool) -> None:
    changes = {"FEV1": Change(1.77, 2.11, 19.2, 11.7, True, True), "FVC": Change(3.05, 3.40, 11.5, 9.4, False, False)}
    made = report(
        every_defect(OBSTRUCTED),
        after=every_defect(AFTER) if with_after else None,
        changes=changes if with_after else {},
        taken="2026-11-27 09:30",
        device="A spirometer with a long name, serial number 0123456789-0123456789",
        btps_known=False,
    )
    document = pdfium.PdfDocument(to_pdf([spirometry_page(made, words=words)]))
    assert len(document) == 1
    text = document[0].get_textpage()
    boxes = [text.get_rect(i) for i in range(text.count_rects())]
    assert min(left for left, _, _, _ in boxes) * MM >= 3
    assert max(right for _, _, right, _ in boxes) * MM <= 202
    # Nothing but the preliminary line below the rule at the foot, 9.5 mm above the edge.
    foot = [text.get_text_bounded(*box) for box in boxes if box[1] * MM < 9.0]
    assert "".join(foot).strip() in words("preliminary")
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)"', to_svg(spirometry_page(made, words=words)))}
    assert min(sizes) >= 1.7
    shown = re.findall(r'data-blow="(\d)"', to_svg(spirometry_page(made, words=words)))
    assert set(shown) == set("12345678")


def test_what_the_file_does_not_say_is_said() -> None:
    made = report(OBSTRUCTED, sex=None, age_years=None, height_cm=None, btps_known=False)
    page = read(made)
    for text in ("性别未知", "年龄未知", "身高未知", "检查时间未注明", "设备未注明", "BTPS"):
        assert text in page


def test_english_has_no_chinese() -> None:
    page = read(report(OBSTRUCTED, after=AFTER), EN)
    assert not [c for c in page if "\u4e00" <= c <= "\u9fff"]


@pytest.mark.slow
def test_the_same_session_is_the_same_bytes() -> None:
    def make() -> bytes:
        return to_pdf([spirometry_page(report(OBSTRUCTED), words=ZH)])

    assert make() == make()
    assert re.search(rb"/BaseFont /[A-Z]{6}\+NotoSansSC", make()) and b"/FontFile3" in make()
