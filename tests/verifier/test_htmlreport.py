"""The HTML report: self-contained, escaped, both languages, boxes where they belong."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sealcases import Different, judged, seal, ses

from mingzheng.formats.candidate import SealMark
from mingzheng.formats.page import Rect
from mingzheng.verifier.findings import Code
from mingzheng.verifier.htmlreport import report_to_html
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.pageoutcome import PageOutcome, PagePicture, Pictures
from mingzheng.verifier.report import Report
from mingzheng.verifier.reportrows import field_rows

PNG = b"\x89PNG\r\n\x1a\n"
PAGE = PagePicture(page=1, width_mm=210, height_mm=297, png=PNG)


def html_of(report: Report, lang: Lang, pictures: Pictures) -> str:
    return report_to_html(replace(report, pictures=pictures), lang)


class Balance(HTMLParser):
    """Every element that opens closes; remembers addresses and texts."""

    VOID = frozenset({"meta", "img", "image", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID or tag == "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def parsed(html: str) -> Balance:
    parser = Balance()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def sealed(**changes: object) -> Report:
    mark = SealMark(page=1, rect=Rect(x_mm=144, y_mm=208, width_mm=42, height_mm=42))
    return replace(judged([seal(1, marks=(mark,)), seal(2)]), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_a_reader_needs_is_there(lang: Lang) -> None:
    report = sealed()
    html = html_of(report, lang, Pictures(pages=(PAGE,)))
    text = "".join(parsed(html).seen)
    message = report.context.messages.of(Code.VALID)
    assert message.title(lang) in text
    assert message.zh in text
    assert message.en in text
    assert report.subject is not None
    for label, value in field_rows(report.subject, report.context.day, lang):
        assert label in text
        assert value in text
    assert report.context.fingerprint in text
    assert "#0" in text  # its place in the log
    assert ("第 1 枚印章" if lang == "zh" else "seal 1") in text


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = html_of(sealed(), "zh", Pictures(pages=(PAGE,), differences=(("name", PNG),)))
    assert all(address.startswith("data:image/png;base64,") for address in parsed(html).addresses)
    assert len(parsed(html).addresses) == 2
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html


def test_texts_are_escaped_and_made_printable() -> None:
    evil = '</title><script>alert("1")</script>\u202e&\x07.pdf'
    html = html_of(sealed(file=evil), "en", Pictures())
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x07" not in html
    assert "\\u{202e}" in html
    parsed(html)


def test_boxes_of_the_page() -> None:
    report = judged([seal(1, marks=()), ses(2)], pages=Different())
    html = html_of(report, "zh", Pictures(pages=(PAGE,), differences=(("name", PNG),)))
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"[^>]*stroke="(#\w+)"', html)
    assert boxes == [("24.00", "76.00", "#d00000")]
    assert 'class="fail"' in html
    assert "31" in html
    blue = html_of(sealed(), "zh", Pictures(pages=(PAGE,)))
    assert re.findall(r'stroke="(#\w+)"', blue) == ["#0050c8"]
    elsewhere = html_of(sealed(), "zh", Pictures(pages=(replace(PAGE, page=2),)))
    assert "<rect" not in elsewhere


def test_a_report_without_fields_seals_or_pages() -> None:
    report = sealed()
    bare = replace(report, subject=None, seals=(), findings=(), file="", places=(), page=None)
    html = html_of(replace(bare, verdict=Code.CANNOT_DECIDE), "en", Pictures())
    assert 'class="unsure"' in html
    assert "Findings" not in html
    parsed(html)


def test_faults_and_times_of_seals() -> None:
    report = judged([seal(1, "seal.signature", signed_at=None), replace(ses(2), timestamped=True)])
    text = "".join(parsed(report_to_html(report, "en")).seen)
    assert "seal.signature" in text
    assert "not said" in text
    assert "time-stamped" in text
    assert "3100000001" in text


def test_what_the_comparison_of_the_page_said() -> None:
    assert "与签名数据一致" in report_to_html(sealed(), "zh")
    differs = judged([seal(1), seal(2)], pages=Different())
    assert "differs in 1 places" in report_to_html(differs, "en")
    assert "未比对" not in report_to_html(differs, "zh")
    outcome = PageOutcome(compared=False, reason="page.several", mismatches=())
    assert "not compared" in report_to_html(sealed(outcome=outcome), "en")
