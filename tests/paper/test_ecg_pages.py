"""The printed ECG, read back by another program (PDFium): its words, its fonts, and its millimetres."""

from __future__ import annotations

import io
import re
import sys
from itertools import combinations, pairwise
from uuid import UUID

import numpy as np
import pytest

from zhenbao.firmware_sim.waveforms.twelve_lead import TwelveLeadModel, infarction
from zhenbao.model.ecg import LEADS, EcgAnalysis, EcgQuality
from zhenbao.model.ecg_twelve import EcgFact
from zhenbao.model.errors import StorageError
from zhenbao.model.finding import Finding, Urgency
from zhenbao.model.recording import NO_VALUE, Recording
from zhenbao.paper import ecg_page, to_pdf, to_png, to_svg
from zhenbao.words import Words

pdfium = pytest.importorskip("pypdfium2")
image = pytest.importorskip("PIL.Image")
ZH, EN = Words("zh_CN"), Words("en")
LSB = 0.002
MM = 25.4 / 72


def recording(millivolts: np.ndarray, leads: tuple[str, ...] = LEADS, **more: object) -> Recording:
    raw = np.where(np.isnan(millivolts), NO_VALUE, np.round(np.nan_to_num(millivolts) / LSB)).astype("<i2")
    given = {"highpass_hz": 0.05, "lowpass_hz": 150.0, **more}
    return Recording(UUID(int=1), UUID(int=2), "ecg", 500.0, leads, "mV", LSB, 0, raw.T.tobytes(), **given)


def analysis(leads: tuple[str, ...] = LEADS, **more: object) -> EcgAnalysis:
    given: dict[str, object] = {
        "beats": tuple(range(250, 5000, 500)),
        "classes": ("N", "N", "V", "N", "S", "N", "N", "N", "N", "N"),
        "heart_rate_bpm": 60.0,
        "rhythm": "regular",
        "intervals": {"pr": 161.0, "qrs": 92.0, "qt": 390.0, "qtcf": 391.0, "qtcb": 393.0},
        "st_mm": {lead: 0.1 * i for i, lead in enumerate(leads)},
        "st60_mm": dict.fromkeys(leads, -1.5),
        "findings": (Finding("EC01", Urgency.RED, leads=("II", "III", "aVF"), beats=(250,), confidence="likely"),),
        "quality": EcgQuality(False, 0.4, ("muscle-noise:V2", "muscle-noise:V3"), {}),
        "limits": ("excludes-nothing", "some-leads"),
        "axis_deg": 42.0,
        "hints": (EcgFact("right-ventricle", ("II", "III", "aVF"), (250,), "possible"),),
        **more,
    }
    return EcgAnalysis(500.0, leads, **given)  # type: ignore[arg-type]


def inferior(seconds: float = 10.0) -> np.ndarray:
    return infarction("inferior").render(seconds, 500.0).mv


def read(pdf: bytes) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pdfium.PdfDocument(pdf)]


def test_what_was_found_and_measured_stands_on_the_pages() -> None:
    first, second = read(to_pdf(ecg_page(recording(inferior()), analysis(), words=ZH, patient=("演示患者甲",))))
    for text in ("●", "危急", "疑似急性心肌梗死", "导联 II、III、aVF", "很可能", "演示患者甲", "25 mm/s", "10 mm/mV"):
        assert text in first
    for text in ("高通 0.05 Hz", "低通 150 Hz", "陷波 未知", "本机初筛提示", "PR 161 ms", "QRS 92 ms", "QT 390 ms"):
        assert text in first
    for text in ("QTcF 391 ms", "QTcB 393 ms", "电轴 42°", "心率 60", "图示 0–10 s", "不能作为没有心肌梗死的依据"):
        assert text in first
    for text in ("V3R", "本结果不说明什么", "部分导联", "肌电干扰（V2、V3）", "不合格", "J+60 ms", "+1.1", "-1.5"):
        assert text in second


@pytest.mark.parametrize("layout", ["3x4", "6x2"])
def test_every_layout_has_every_lead_and_letters_on_unusual_beats(layout: str) -> None:
    sheet = ecg_page(recording(inferior()), analysis(), words=EN, layout=layout)[0]
    assert set(re.findall(r'data-lead="(\w+)"', to_svg(sheet))) == set(LEADS)
    drawn = re.findall(r">([^<]+)</text>", to_svg(sheet))
    assert (drawn.count("V"), drawn.count("S"), drawn.count("N")) == (1, 1, 0)


@pytest.mark.slow
def test_ten_millimetres_of_grid_are_ten_millimetres_of_paper() -> None:
    pages = ecg_page(recording(np.zeros((12, 5000))), analysis(), words=ZH)
    document = pdfium.PdfDocument(to_pdf(pages))
    assert [round(n * MM, 2) for n in document[0].get_size()] == [297.0, 210.0]
    # 20 pixels are a millimetre: the row between two horizontal lines crosses the vertical ones only.
    pixels = document[0].render(scale=20 * 25.4 / 72).to_numpy()[:, :, :3].astype(int)
    row = pixels[round(20 * 53.5), :, 1]
    dark = np.flatnonzero(row < 175)
    centres = [part.mean() for part in np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1)]
    assert len(centres) == 55
    assert {round(b - a) for a, b in pairwise(centres)} == {100}
    assert centres[0] / 20 == pytest.approx(10.0, abs=0.1)
    assert centres[-1] / 20 == pytest.approx(280.0, abs=0.1)


@pytest.mark.slow
def test_fonts_are_embedded_in_part_and_the_file_is_small() -> None:
    pdf = to_pdf(ecg_page(recording(inferior()), analysis(), words=ZH))
    fonts = set(re.findall(rb"/BaseFont /([^\s/]+)", pdf))
    assert fonts and all(re.fullmatch(rb"[A-Z]{6}\+NotoSansSC\S*", font) for font in fonts)
    assert b"/FontFile3" in pdf
    assert len(pdf) < 300_000


@pytest.mark.slow
def test_the_same_pages_are_the_same_bytes() -> None:
    def make() -> bytes:
        return to_pdf(ecg_page(recording(inferior()), analysis(), words=ZH))

    assert make() == make()


@pytest.mark.slow
def test_the_picture_has_the_size_and_says_it() -> None:
    png = to_png(ecg_page(recording(inferior()), analysis(), words=ZH)[0], dpi=150)
    picture = image.open(io.BytesIO(png))
    assert picture.size == pytest.approx((297 / 25.4 * 150, 210 / 25.4 * 150), abs=1)
    assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)


MANY = tuple(Finding(f"EC{n:02}", Urgency.ORANGE, leads=LEADS[:7], confidence="possible") for n in range(1, 40))
HALF = np.vstack([np.full((6, 5000), np.nan), inferior()[6:]])


@pytest.mark.slow
@pytest.mark.parametrize("words", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("layout", ["3x4", "6x2"])
@pytest.mark.parametrize(
    ("wave", "leads", "more"),
    [
        pytest.param(inferior(), LEADS, {}, id="usual"),
        pytest.param(inferior(), LEADS, {"findings": MANY}, id="many-findings"),
        pytest.param(HALF, LEADS, {"st_mm": None, "intervals": {}, "heart_rate_bpm": None}, id="half"),
        pytest.param(inferior(28)[1:2], ("II",), {}, id="one-lead"),
        pytest.param(inferior()[:2], ("I", "II"), {}, id="two-leads"),
        pytest.param(inferior(28), LEADS, {}, id="28-s"),
    ],
)
def test_no_text_leaves_the_page_or_lies_on_another(
    wave: np.ndarray, leads: tuple[str, ...], more: dict[str, object], layout: str, words: Words
) -> None:
    patient = ("演示患者甲 男 60岁", "2026-03-04 10:20", "诊包 K1 " * 8)
    pages = ecg_page(recording(wave, leads), analysis(leads, **more), words=words, layout=layout, patient=patient)
    for page in pdfium.PdfDocument(to_pdf(pages)):
        text = page.get_textpage()
        boxes = [tuple(n * MM for n in text.get_rect(i)) for i in range(text.count_rects())]
        assert boxes
        for left, bottom, right, top in boxes:
            assert 8 <= left < right <= 289
            assert 2 <= bottom < top <= 208
        for a, b in combinations(boxes, 2):
            across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            assert across < 0.1 or down < 0.1, (a, b)


@pytest.mark.slow
def test_no_finding_is_lost_when_there_are_many() -> None:
    pages = read(to_pdf(ecg_page(recording(inferior()), analysis(findings=MANY), words=ZH)))
    assert len(pages) > 2
    assert "其余" in pages[0]
    assert all(f.rule_id in "".join(pages[1:]) for f in MANY)


@pytest.mark.slow
def test_bad_quality_is_said_beside_the_tracing() -> None:
    many = analysis(findings=MANY)
    first = read(to_pdf(ecg_page(recording(inferior()), many, words=ZH)))[0]
    for text in ("不合格，请重做", "肌电干扰（V2、V3）", "不能作为没有心肌梗死的依据"):
        assert text in first


def test_no_finding_is_never_called_normal() -> None:
    first = read(to_pdf(ecg_page(recording(inferior()), analysis(findings=()), words=ZH)))[0]
    assert "不等于心电图正常" in first


@pytest.mark.slow
def test_a_long_recording_shows_the_seconds_of_what_was_found_and_says_which() -> None:
    wave = TwelveLeadModel().render(60.0, 500.0).mv
    beats = tuple(range(250, 30000, 500))
    found = Finding("EC01", Urgency.RED, beats=(22250, 22750))
    long = analysis(beats=beats, classes=("N",) * len(beats), findings=(found,))
    pages = read(to_pdf(ecg_page(recording(wave), long, words=ZH)))
    shown = re.search(r"图示 (\d+)–(\d+) s，全长 60 s", pages[0])
    assert shown is not None
    assert int(shown[1]) <= 44.5 and int(shown[2]) >= 45.5
    assert "连续节律条 II · 图示 0–60 s" in pages[-1]


def test_a_gap_is_not_bridged_and_a_missing_lead_is_named() -> None:
    wave = inferior()
    wave[:, 2000:2200] = np.nan
    svg = to_svg(ecg_page(recording(wave[:8], LEADS[:8], absent=("V1",)), analysis(), words=ZH)[0])
    (rhythm,) = [d for d in re.findall(r'data-lead="II" d="([^"]+)"', svg) if len(d) > 20000]
    assert rhythm.count("M") == 2
    assert svg.count("未接") == 5


def test_an_analysis_of_another_rate_is_refused() -> None:
    slow = EcgAnalysis(250.0, ("II",), (), (), None, "not-judged", {}, None, (), EcgQuality(True, 1.0))
    with pytest.raises(ValueError, match="250"):
        ecg_page(recording(inferior()), slow, words=ZH)


@pytest.mark.parametrize("missing", ["fpdf", "pylopdf_fonts_zh_cn", "pypdfium2"])
def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    pages = ecg_page(recording(inferior()), analysis(), words=ZH)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(StorageError, match="paper-missing") as caught:
        to_png(pages[0])
    assert "zhenbao[paper]" in ZH.error(caught.value)[1]
