"""A report as one HTML file: verdict, what to do next, the signed fields, the page with its boxes marked, seals.

Source: docs/spec/verdicts.md, "Report". The file carries everything it shows and no script: it opens without a
network, is kept with the tender files and prints on paper. Every text out of a file or credential is escaped and
made printable. Pure: pages come as pictures from whoever drew them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.page import Rect
from mingzheng.verifier.findings import PASSING, UNDECIDED, Finding, Severity
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.pageoutcome import PagePicture, Pictures
from mingzheng.verifier.report import Report
from mingzheng.verifier.reportrows import basis_rows, evidence_text, field_rows, pick
from mingzheng.verifier.reporttext import printable
from mingzheng.verifier.times import format_time

__all__ = ["report_to_html"]

_STYLE: Final = """
:root{color-scheme:light}body{font:16px/1.6 "Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei","PingFang SC",
sans-serif;margin:0;color:#1c1c1c;background:#f4f2ee}main{max-width:60rem;margin:0 auto;padding:1.5rem;background:#fff}
header{border-left:.6rem solid;padding:.6rem 1rem;margin-bottom:1rem}
header.pass{border-color:#1b7a3d;background:#eef7f0}header.fail{border-color:#b3261e;background:#fbeeed}header.unsure{border-color:#946200;background:#fdf6e7}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;border-bottom:1px solid #ccc;margin:1.6rem 0 .5rem}
header p{margin:.3rem 0 0;font-size:1.05rem}code{font-size:.85em;color:#555}table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:normal;color:#555;width:11rem;vertical-align:top}td,th{padding:.25rem .5rem;
border-bottom:1px solid #eee;overflow-wrap:anywhere}ul{padding:0;list-style:none}li{padding:.5rem .7rem;margin:.4rem 0;
border-left:.25rem solid #999;background:#fafafa}li.blocks{border-color:#b3261e}li.duty{border-color:#946200}
li b{display:block}li small{color:#555;display:block;overflow-wrap:anywhere}figure{margin:.5rem 0}
figure svg,figure img{width:100%;height:auto;border:1px solid #ccc}figcaption{color:#555;font-size:.9rem}
@media print{body{background:#fff}main{max-width:none;padding:0}li,tr,figure{break-inside:avoid}}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MARKS: Final = {Severity.BLOCKS: "✗", Severity.DUTY: "!", Severity.NOTE: "·"}
_FORMS: Final = {
    SealForm.PADES: ("PDF 电子签章（PAdES）", "PDF seal (PAdES)"),
    SealForm.SES: ("OFD 电子印章（GB/T 38540）", "OFD seal (GB/T 38540)"),
    SealForm.SIGNED: ("OFD 数字签名（GB/T 35275）", "OFD signature (GB/T 35275)"),
}


def report_to_html(report: Report, lang: Lang) -> str:
    """The report as a self-contained page, in one language; the other language stands below the verdict."""
    title = report.context.messages.of(report.verdict).title(lang)
    body = "\n".join(part for part in _body(report, lang) if part)
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-CN" if lang == "zh" else "en"}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · {_text(report.file)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def _body(report: Report, lang: Lang) -> Iterator[str]:
    yield _verdict(report, lang)
    if report.subject is not None:
        yield _table(pick(("签名数据", "What was signed"), lang), field_rows(report.subject, report.context.day, lang))
    yield _findings(report, lang)
    yield _pages(report, lang, report.pictures)
    yield _seals(report.seals, lang)
    basis = [
        *basis_rows(report, lang),
        (pick(("信任数据全指纹", "Full fingerprint"), lang), report.context.fingerprint),
    ]
    yield _table(pick(("依据", "What this rests on"), lang), [*basis, *_places(report, lang)])


def _verdict(report: Report, lang: Lang) -> str:
    message = report.context.messages.of(report.verdict)
    tone = "pass" if report.verdict in PASSING else "unsure" if report.verdict in UNDECIDED else "fail"
    sign = {"pass": "✓", "unsure": "?", "fail": "✗"}[tone]
    other: Lang = "en" if lang == "zh" else "zh"
    where = "" if report.page is None else pick((f"（第 {report.page} 页）", f" (page {report.page})"), lang)
    file = f"<p>{pick(('文件', 'File'), lang)}: {_text(report.file)}{where}</p>" if report.file else ""
    return (
        f'<header class="{tone}"><h1>{sign} {escape(message.title(lang))} <code>{report.verdict}</code></h1>'
        f"<p>{escape(message.sentence(lang))}</p>"
        f'<p lang="{"en" if other == "en" else "zh-CN"}"><small>{escape(message.sentence(other))}</small></p>'
        f"{file}</header>"
    )


def _table(title: str, rows: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><th>{_text(label)}</th><td>{_text(value)}</td></tr>\n" for label, value in rows)
    return f"<section><h2>{escape(title)}</h2><table>\n{lines}</table></section>"


def _findings(report: Report, lang: Lang) -> str:
    if not report.findings:
        return ""
    items = "\n".join(_finding(report, item, lang) for item in report.findings)
    return f"<section><h2>{pick(('逐项结论', 'Findings'), lang)}</h2><ul>\n{items}\n</ul></section>"


def _finding(report: Report, item: Finding, lang: Lang) -> str:
    messages = report.context.messages
    message = messages.of(item.code)
    evidence = "; ".join(
        f"{messages.label(key, lang)}: {evidence_text(report, key, value, lang)}"
        for key, value in item.evidence.items()
    )
    rule = item.rule if lang == "zh" else item.rule_en
    return (
        f'<li class="{item.severity.value}"><b>{_MARKS[item.severity]} {escape(message.title(lang))} '
        f"<code>{item.code}</code></b>{escape(message.sentence(lang))}"
        + (f"<small>{_text(evidence)}</small>" if evidence else "")
        + f"<small>{pick(('依据', 'rule'), lang)}: {_text(rule)}</small></li>"
    )


def _pages(report: Report, lang: Lang, pictures: Pictures) -> str:
    if not pictures.pages and not pictures.differences:
        return ""
    figures = [_page(report, picture, lang) for picture in pictures.pages]
    caption = pick(
        ("左：按签名数据重排的页面；右：文件里看到的", "left: laid out from the signed data; right: in the file"), lang
    )
    figures += [
        f'<figure><img alt="{_text(name)}" src="{_png(data)}">'
        f"<figcaption>{_text(name)} · {caption}</figcaption></figure>"
        for name, data in pictures.differences
    ]
    return f"<section><h2>{pick(('页面', 'The page'), lang)}</h2>\n" + "\n".join(figures) + "\n</section>"


def _page(report: Report, picture: PagePicture, lang: Lang) -> str:
    """The page with what differs in red and the seals in blue, in the millimetres of the page."""
    mismatches = () if report.outcome is None else report.outcome.mismatches
    boxes = [(item.rect, "#d00000", item.name) for item in mismatches if item.page == picture.page]
    for number, seal in enumerate(report.seals, start=1):
        name = pick((f"第 {number} 枚印章", f"seal {number}"), lang)
        boxes += [(mark.rect, "#0050c8", name) for mark in seal.marks if mark.page == picture.page]
    marks = "".join(_box(rect, colour, name) for rect, colour, name in boxes)
    size = f"{picture.width_mm:g} {picture.height_mm:g}"
    caption = pick(
        (f"第 {picture.page} 页：红框与签名数据不符，蓝框为印章", f"page {picture.page}: red differs, blue is a seal"),
        lang,
    )
    return (
        f'<figure><svg viewBox="0 0 {size}" role="img" aria-label="{escape(caption)}">'
        f'<image href="{_png(picture.png)}" width="{picture.width_mm:g}" height="{picture.height_mm:g}"/>{marks}</svg>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _box(rect: Rect, colour: str, name: str) -> str:
    return (
        f'<rect x="{rect.x_mm:.2f}" y="{rect.y_mm:.2f}" width="{rect.width_mm:.2f}" height="{rect.height_mm:.2f}" '
        f'fill="none" stroke="{colour}" stroke-width="0.6"><title>{_text(name)}</title></rect>'
    )


def _seals(seals: Sequence[SealFacts], lang: Lang) -> str:
    if not seals:
        return ""
    rows = []
    for number, seal in enumerate(seals, start=1):
        unsaid = pick(("没有写明", "not said"), lang)
        at = unsaid if seal.signed_at is None else format_time(seal.signed_at)[:19].replace("T", " ")
        if seal.signed_at is not None and seal.timestamped:
            at += pick(("（时间戳）", " (time-stamped)"), lang)
        name = seal.place if seal.details is None else f"{seal.details.name} · {seal.details.seal_id}"
        state = (
            pick(("文件内的检验都成立", "everything in the file holds"), lang)
            if not seal.faults
            else " ".join(seal.faults)
        )
        rows.append((f"{number}. {pick(_FORMS[seal.form], lang)}", f"{name} · {at} · {state}"))
    return _table(pick(("印章", "Seals"), lang), rows)


def _places(report: Report, lang: Lang) -> Iterator[tuple[str, str]]:
    for origin, index in dict.fromkeys(report.places):
        name = report.context.trust.origins[origin].name
        yield pick(("日志位置", "Place in the log"), lang), f"{name} #{index}"


def _text(text: str) -> str:
    return escape(printable(text))


def _png(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
