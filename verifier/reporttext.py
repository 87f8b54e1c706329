"""A report in words, Chinese or English, laid out for the width of a phone.

Source: docs/spec/verdicts.md, "Report". Verdict first, then what to compare, the days, the age of the
data, the findings. Texts out of a credential passed the text rule; file names are made printable here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from mingzheng.verifier.findings import PASSING, UNDECIDED, Code, Finding, Severity
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.report import Report
from mingzheng.verifier.reportrows import basis_rows, evidence_text, field_rows, pick

WIDTH: Final = 46  # columns; a CJK character takes two
_LABEL: Final = 14
_LONGEST: Final = 30  # columns of a word that is not cut
_SUMMARY: Final = 78  # columns of a summary line: several files are read at a desk
# A wide character with closing punctuation after it, or a run of others with the space after it.
_WORDS: Final = re.compile(
    r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff][，。：；、！？）》]*|"
    r"[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+[，。：；、！？）》]*\s*|\s+"
)
_MARKS: Final = {Severity.BLOCKS: "✗", Severity.DUTY: "!", Severity.NOTE: "·"}


def report_to_text(report: Report, lang: Lang, *, number: int | None = None) -> str:
    """The report for a person; ends in a newline. `number`: its row, where a run has several."""
    return "\n".join(_lines(report, lang, number)) + "\n"


def summary_line(report: Report, lang: Lang, *, number: int) -> str:
    """One line of a run: row, verdict, and the file's name, cut at its beginning."""
    head = f"{number:>3}. {_sign(report)} {report.context.messages.of(report.verdict).title(lang)}  "
    name = printable(report.file)
    room = _SUMMARY - columns(head)
    while columns(name) > room:
        name = "…" + name.removeprefix("…")[1:]
    return head + name


def printable(text: str) -> str:
    """A file name as one harmless line: what does not print is written \\u{…}."""
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text)


def columns(text: str) -> int:
    """Terminal columns of a text: wide and full-width characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def wrap(text: str, *, first: str, rest: str) -> Iterator[str]:
    """Lines of at most WIDTH columns; words stay whole where they fit, CJK breaks anywhere."""
    line, used = first, columns(first)
    empty = True
    for piece in _pieces(text):
        if not empty and used + columns(piece.rstrip()) > WIDTH:
            yield line.rstrip()
            line, used, empty = rest, columns(rest), True
            piece = piece.lstrip()
        line += piece
        used += columns(piece)
        empty = False
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Words with the space after them; wide characters, and those of words too long for a line, one by one."""
    for word in _WORDS.findall(text):
        if len(word) == 1 or columns(word) <= _LONGEST:
            yield word
        else:
            yield from word


def _sign(report: Report) -> str:
    return "✓" if report.verdict in PASSING else "?" if report.verdict in UNDECIDED else "✗"


def _lines(report: Report, lang: Lang, number: int | None) -> Iterator[str]:
    ctx = report.context
    message = ctx.messages.of(report.verdict)
    row = "" if number is None else f"{number}. "
    yield from wrap(f"{row}{_sign(report)} {message.title(lang)}  [{report.verdict}]", first="", rest="  ")
    yield from wrap(message.sentence(lang), first="  ", rest="  ")
    if all(item.code is not report.verdict for item in report.findings):  # else its finding cites it
        yield from _rule(message.rule, lang, indent=2)
    if report.file:
        page = "" if report.page is None else pick((f"（第 {report.page} 页）", f" (page {report.page})"), lang)
        yield from _row((pick(("文件", "File"), lang), printable(report.file) + page))
    if report.subject is not None:
        yield "─" * WIDTH
        for line in field_rows(report.subject, ctx.day, lang):
            yield from _row(line)
    yield "─" * WIDTH
    for line in basis_rows(report, lang):
        yield from _row(line)
    yield "─" * WIDTH
    for item in report.findings:
        yield from _finding(report, item, lang)


def _row(row: tuple[str, str]) -> Iterator[str]:
    name, value = row
    yield from wrap(value, first="  " + name + " " * max(1, _LABEL - columns(name)), rest=" " * (_LABEL + 2))


def _finding(report: Report, item: Finding, lang: Lang) -> Iterator[str]:
    messages = report.context.messages
    message = messages.of(item.code)
    yield from wrap(f"{_MARKS[item.severity]} {message.title(lang)}  [{item.code}]", first="", rest="  ")
    if item.code is not report.verdict or report.verdict is Code.CANNOT_DECIDE:
        yield from wrap(message.sentence(lang), first="  ", rest="  ")
    for key, value in item.evidence.items():
        shown = evidence_text(report, key, value, lang)
        yield from wrap(f"{messages.label(key, lang)}: {shown}", first="    ", rest="      ")
    yield from _rule(item.rule if lang == "zh" else item.rule_en, lang, indent=4)


def _rule(rule: str, lang: Lang, *, indent: int) -> Iterator[str]:
    yield from wrap(f"{pick(('依据', 'rule'), lang)}: {rule}", first=" " * indent, rest=" " * (indent + 2))
