"""The pages of a report: nothing is lost however long it is, and every page says whose and by whom."""

from __future__ import annotations

import re
from html import unescape

from zhenbao.paper import PrintedReport, Section, report_sheets, to_svg
from zhenbao.words import Words

WORDS = Words()


def printed(lines: tuple[str, ...], caution: str = "") -> PrintedReport:
    return PrintedReport(
        title="远程诊断报告",
        stage="正式报告",
        caution=caution,
        person=("演示患者甲 · 女 78岁",),
        sections=(Section("检查结果", ("血压 124/78",)), Section("诊断结论", lines, large=True)),
        signed=("由演示医师甲签发", "SHA-256 00"),
    )


def texts(svg: str) -> list[tuple[float, str]]:
    found = re.findall(r'<text x="[^"]*" y="([^"]*)"[^>]*>([^<]*)</text>', svg)
    return [(float(y), unescape(text)) for y, text in found]


def test_one_page_where_it_fits() -> None:
    (sheet,) = report_sheets(printed(("窦性心律",)), words=WORDS)
    said = [text for _, text in texts(to_svg(sheet))]
    for text in ("远程诊断报告", "正式报告", "演示患者甲 · 女 78岁", "窦性心律", "由演示医师甲签发", "第 1/1 页"):
        assert text in said


def test_the_longest_conclusion_is_all_there_and_inside_the_page() -> None:
    long = "字" * 4000
    sheets = report_sheets(printed((long,)), words=WORDS)
    assert len(sheets) > 1
    count = 0
    for number, sheet in enumerate(sheets, 1):
        said = texts(to_svg(sheet))
        count += sum(text.count("字") for _, text in said)
        assert f"第 {number}/{len(sheets)} 页" in [text for _, text in said]
        assert "演示患者甲 · 女 78岁" in [text for _, text in said], "no page without whose it is"
        assert "由演示医师甲签发" in [text for _, text in said]
        assert max(y for y, _ in said) <= 297
        body = [y for y, text in said if "字" in text]
        assert max(body) <= 275, "the text ends above the foot"
    assert count == 4000


def test_a_corrected_report_says_so_above_everything() -> None:
    (sheet,) = report_sheets(printed(("正常",), caution="这份报告已被更正"), words=WORDS)
    said = texts(to_svg(sheet))
    where = {text: y for y, text in said}
    assert where["这份报告已被更正"] < where["演示患者甲 · 女 78岁"] < where["正常"]
