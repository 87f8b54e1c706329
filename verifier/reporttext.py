"""A report in words, Chinese or English, laid out for the width of a phone.

Source: docs/spec/verdicts.md, "Report". Verdict first, then what to compare, the days, the age of the
data, the findings. Texts out of a credential passed the text rule; file names are made printable here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Claims, Specialty
from mingzheng.verifier.checks import Subject
from mingzheng.verifier.findings import PASSING, UNDECIDED, Code, Finding, Freshness, Grade, Severity
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.report import COPY_NAMES, SEX_NAMES, Report, specialty_names
from mingzheng.verifier.times import format_time

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
_GRADES: Final = {
    Grade.NONE: ("未证明入日志", "not shown in the log"),
    Grade.LOG_WORD: ("日志方回执", "the log's word"),
    Grade.WITNESSED: ("有见证方联署", "witnessed"),
}
_FRESHNESS: Final = {
    Freshness.FRESH: ("新", "fresh"),
    Freshness.AGED: ("稍旧", "aged"),
    Freshness.STALE: ("过旧", "stale"),
    Freshness.NONE: ("无", "none"),
}


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


def _pick(pair: tuple[str, str], lang: Lang) -> str:
    return pair[0] if lang == "zh" else pair[1]


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
        page = "" if report.page is None else _pick((f"（第 {report.page} 页）", f" (page {report.page})"), lang)
        yield from _row(("文件", "File"), printable(report.file) + page, lang)
    if report.subject is not None:
        yield "─" * WIDTH
        yield from _fields(report.subject, ctx.day, lang)
    yield "─" * WIDTH
    yield from _basis(report, lang)
    yield "─" * WIDTH
    for item in report.findings:
        yield from _finding(report, item, lang)


def _row(label: tuple[str, str], value: str, lang: Lang) -> Iterator[str]:
    name = _pick(label, lang)
    yield from wrap(value, first="  " + name + " " * max(1, _LABEL - columns(name)), rest=" " * (_LABEL + 2))


def _fields(subject: Subject, day: int, lang: Lang) -> Iterator[str]:
    claims, profile = subject.claims, subject.profile
    if profile is not None:
        yield from _row(("证书", "Certificate"), _pick((profile.name_zh, profile.name_en), lang), lang)
    yield from _row(("类型", "Copy"), _pick(COPY_NAMES[claims.copy], lang), lang)
    yield from _row(("姓名", "Name"), claims.name, lang)
    yield from _row(("性别", "Sex"), _pick(SEX_NAMES[claims.sex], lang), lang)
    yield from _row(("出生日期", "Born"), format_day(claims.birth), lang)
    yield from _row(("注册编号", "Number"), claims.registration_no, lang)
    if claims.employer is not None:
        yield from _row(("聘用企业", "Employer"), claims.employer, lang)
    for item in claims.specialties:
        zh, en = specialty_names(profile, item)
        name = _pick((zh or str(item.code), en or str(item.code)), lang)
        state = _specialty_state(item, day)
        days = f"{format_day(item.first_day)}–{format_day(item.last_day)}"
        yield from _row(("注册专业", "Specialty"), f"{name} {days}{_pick(state, lang)}", lang)
    yield from _row(("注册有效期至", "Registered to"), format_day(claims.registered_until), lang)
    yield from _row(("签发日期", "Issued"), format_day(claims.certificate_issued_on), lang)
    yield from _row(("使用时限", "Usable"), _window(claims, lang), lang)
    if claims.purpose is not None:
        yield from _row(("用途", "Purpose"), claims.purpose, lang)
    yield from _row(("发证机关", "Issuer"), _issuer(subject, lang), lang)
    person = ("照片、本人、手写签名", "photo, the person, handwriting")
    yield from _row(("另请比对", "Also compare"), _pick(person, lang), lang)


def _specialty_state(item: Specialty, day: int) -> tuple[str, str]:
    if day > item.last_day:
        return "（已过期）", " (ended)"
    return ("（未开始）", " (not begun)") if day < item.first_day else ("", "")


def _window(claims: Claims, lang: Lang) -> str:
    first = format_day(claims.copy_issued_on)
    if claims.usage_until is None:
        return _pick((f"{first} 起（以注册有效期为准）", f"from {first} (the registration end governs)"), lang)
    return f"{first}–{format_day(claims.usage_until)}"


def _issuer(subject: Subject, lang: Lang) -> str:
    body = subject.issuer.bodies.get(subject.claims.issuing_body)
    issuer = _pick((subject.issuer.name, subject.issuer.name_en), lang)
    return issuer if body is None or body == issuer else f"{issuer} / {body}"


def _basis(report: Report, lang: Lang) -> Iterator[str]:
    ctx = report.context
    policy = _pick((ctx.policy.name_zh, ctx.policy.name_en), lang)
    yield from _row(("判定日", "Judged on"), f"{format_day(ctx.day)} · {policy}", lang)
    known = report.known_until
    if report.subject is not None:
        known_text = _pick(("无数据", "no data"), lang) if known is None else format_time(known)[:16].replace("T", " ")
        yield from _row(("撤销数据截至", "Revoked up to"), known_text, lang)
        if known is not None:
            age = f"{_pick(_FRESHNESS[report.freshness], lang)} · {_age(ctx.now - known, lang)}"
            yield from _row(("数据新旧", "Data age"), age, lang)
        yield from _row(("入日志", "In the log"), _pick(_GRADES[report.grade], lang), lang)
    yield from _row(("信任数据指纹", "Trust data"), f"{ctx.fingerprint[:16]}…", lang)


def _age(seconds: int, lang: Lang) -> str:
    if seconds < 0:
        return _pick(("晚于本机时间", "after this clock"), lang)
    if seconds < 7_200:
        return _pick((f"{seconds // 60} 分钟前", f"{seconds // 60} min ago"), lang)
    if seconds < 172_800:
        return _pick((f"{seconds // 3_600} 小时前", f"{seconds // 3_600} h ago"), lang)
    return _pick((f"{seconds // 86_400} 天前", f"{seconds // 86_400} days ago"), lang)


def _finding(report: Report, item: Finding, lang: Lang) -> Iterator[str]:
    messages = report.context.messages
    message = messages.of(item.code)
    yield from wrap(f"{_MARKS[item.severity]} {message.title(lang)}  [{item.code}]", first="", rest="  ")
    if item.code is not report.verdict or report.verdict is Code.CANNOT_DECIDE:
        yield from wrap(message.sentence(lang), first="  ", rest="  ")
    for key, value in item.evidence.items():
        shown = _evidence(report, key, value, lang)
        yield from wrap(f"{messages.label(key, lang)}: {shown}", first="    ", rest="      ")
    yield from _rule(item.rule if lang == "zh" else item.rule_en, lang, indent=4)


def _evidence(report: Report, key: str, value: str | int, lang: Lang) -> str:
    match key:
        case "reason":
            return report.context.messages.reason(str(value), lang)
        case "other":  # rows of the run
            rows = str(value).split(" ")
            return _pick((f"第 {'、'.join(rows)} 份", f"no. {', '.join(rows)}"), lang)
        case _:
            return str(value)


def _rule(rule: str, lang: Lang, *, indent: int) -> Iterator[str]:
    yield from wrap(f"{_pick(('依据', 'rule'), lang)}: {rule}", first=" " * indent, rest=" " * (indent + 2))
