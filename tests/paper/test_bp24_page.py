"""The printed 24 h recording, read back by another program (PDFium)."""

from __future__ import annotations

from datetime import datetime

import pytest
from bp24_table import table

from zhenbao.formats.bp_csv import parse_bp_series
from zhenbao.model.bp_series import Bp24Recording, DamagedRow
from zhenbao.paper import to_pdf, to_svg
from zhenbao.paper.bp24 import bp24_page
from zhenbao.signal.bp24 import analyse_bp24, judged_readings
from zhenbao.words import Words

pdfium = pytest.importorskip("pypdfium2")
ZH, EN = Words("zh_CN"), Words("en")
ENDED = datetime(2026, 11, 22, 9, 0)


def recording(**options: object) -> Bp24Recording:
    series = parse_bp_series(table(ENDED, **options))  # type: ignore[arg-type]
    return Bp24Recording(analyse_bp24(series, age_years=66), judged_readings(series), series.damaged)


def read(made: Bp24Recording, words: Words = ZH, **options: str) -> str:
    document = pdfium.PdfDocument(to_pdf([bp24_page(made, words=words, **options)]))
    assert len(document) == 1
    return str(document[0].get_textpage().get_text_range())


def test_means_findings_and_that_it_is_preliminary_stand_on_the_page() -> None:
    text = read(recording(), person="演示患者甲  男  66岁")
    for said in ("24小时动态血压", "演示患者甲", "148 / 92", "132 / 80", "动态血压高", "心内科解读", "本机初筛提示"):
        assert said in text
    # 148 by day and 132 by night: (148 - 132) / 148 = 10.8 %
    assert "10.8%" in text
    assert "杓型" in text


def test_a_page_of_a_file_leaves_a_line_for_the_name() -> None:
    assert "姓名：____" in read(recording())
    assert "Name: ____" in read(recording(), EN)


def test_too_few_readings_are_said_above_the_means_and_nothing_is_judged() -> None:
    text = read(recording(hours=6))
    assert "不作判断" in text
    assert "动态血压高" not in text
    assert "杓型" not in text


def test_the_course_is_drawn_with_the_night_shaded_and_lies_on_the_page() -> None:
    svg = to_svg(bp24_page(recording(), words=ZH))
    assert svg.count('class="reading"') == 48
    assert 'class="night"' in svg
    document = pdfium.PdfDocument(to_pdf([bp24_page(recording(), words=ZH)]))
    picture = document[0].render(scale=2).to_pil().convert("RGB")
    # The shade of a night (#e6e9f2) is printed, not only drawn on the screen.
    assert any(colour == (0xE6, 0xE9, 0xF2) for _, colour in picture.getcolors(1 << 20))


def test_many_rows_that_do_not_count_never_run_over_the_foot() -> None:
    made = recording()
    many = Bp24Recording(made.analysis, made.readings, tuple(DamagedRow(n, "number", "??") for n in range(400)))
    text = read(many)
    assert "本机初筛提示" in text
    page = pdfium.PdfDocument(to_pdf([bp24_page(many, words=ZH)]))[0].get_textpage()
    lowest = min(page.get_charbox(n)[1] for n in range(page.count_chars()) if page.get_text_range(n, 1).strip())
    assert lowest > 0
