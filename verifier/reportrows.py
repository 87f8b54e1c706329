"""The rows of a report in words, for a terminal or a page: what was signed, and what the answer rests on.

Source: docs/spec/verdicts.md, "Report". Texts out of a credential passed the text rule. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Claims, Specialty
from mingzheng.verifier.checks import Subject
from mingzheng.verifier.findings import Freshness, Grade
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.pageoutcome import PageOutcome
from mingzheng.verifier.report import COPY_NAMES, SEX_NAMES, Report, specialty_names
from mingzheng.verifier.times import format_time

__all__ = ["basis_rows", "evidence_text", "field_rows", "pick"]

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


def pick(pair: tuple[str, str], lang: Lang) -> str:
    """The Chinese or the English of two."""
    return pair[0] if lang == "zh" else pair[1]


def field_rows(subject: Subject, day: int, lang: Lang) -> Iterator[tuple[str, str]]:
    """What the issuer signed, in the order of the page."""
    claims, profile = subject.claims, subject.profile
    if profile is not None:
        yield pick(("证书", "Certificate"), lang), pick((profile.name_zh, profile.name_en), lang)
    yield pick(("类型", "Copy"), lang), pick(COPY_NAMES[claims.copy], lang)
    yield pick(("姓名", "Name"), lang), claims.name
    yield pick(("性别", "Sex"), lang), pick(SEX_NAMES[claims.sex], lang)
    yield pick(("出生日期", "Born"), lang), format_day(claims.birth)
    yield pick(("注册编号", "Number"), lang), claims.registration_no
    if claims.employer is not None:
        yield pick(("聘用企业", "Employer"), lang), claims.employer
    for item in claims.specialties:
        zh, en = specialty_names(profile, item)
        name = pick((zh or str(item.code), en or str(item.code)), lang)
        state = _specialty_state(item, day)
        days = f"{format_day(item.first_day)}–{format_day(item.last_day)}"
        yield pick(("注册专业", "Specialty"), lang), f"{name} {days}{pick(state, lang)}"
    yield pick(("注册有效期至", "Registered to"), lang), format_day(claims.registered_until)
    yield pick(("签发日期", "Issued"), lang), format_day(claims.certificate_issued_on)
    yield pick(("使用时限", "Usable"), lang), _window(claims, lang)
    if claims.purpose is not None:
        yield pick(("用途", "Purpose"), lang), claims.purpose
    yield pick(("发证机关", "Issuer"), lang), _issuer(subject, lang)
    person = ("照片、本人、手写签名", "photo, the person, handwriting")
    yield pick(("另请比对", "Also compare"), lang), pick(person, lang)


def _specialty_state(item: Specialty, day: int) -> tuple[str, str]:
    if day > item.last_day:
        return "（已过期）", " (ended)"
    return ("（未开始）", " (not begun)") if day < item.first_day else ("", "")


def _window(claims: Claims, lang: Lang) -> str:
    first = format_day(claims.copy_issued_on)
    if claims.usage_until is None:
        return pick((f"{first} 起（以注册有效期为准）", f"from {first} (the registration end governs)"), lang)
    return f"{first}–{format_day(claims.usage_until)}"


def _issuer(subject: Subject, lang: Lang) -> str:
    body = subject.issuer.bodies.get(subject.claims.issuing_body)
    issuer = pick((subject.issuer.name, subject.issuer.name_en), lang)
    return issuer if body is None or body == issuer else f"{issuer} / {body}"


def basis_rows(report: Report, lang: Lang) -> Iterator[tuple[str, str]]:
    """What the answer rests on: day, policy, age of the data, log, trust data."""
    ctx = report.context
    policy = pick((ctx.policy.name_zh, ctx.policy.name_en), lang)
    yield pick(("判定日", "Judged on"), lang), f"{format_day(ctx.day)} · {policy}"
    known = report.known_until
    if report.subject is not None:
        known_text = pick(("无数据", "no data"), lang) if known is None else format_time(known)[:16].replace("T", " ")
        yield pick(("撤销数据截至", "Revoked up to"), lang), known_text
        if known is not None:
            age = f"{pick(_FRESHNESS[report.freshness], lang)} · {_age(ctx.now - known, lang)}"
            yield pick(("数据新旧", "Data age"), lang), age
        yield pick(("入日志", "In the log"), lang), pick(_GRADES[report.grade], lang)
    if report.outcome is not None:
        yield pick(("页面比对", "The page"), lang), pick(_compared(report.outcome), lang)
    yield pick(("信任数据指纹", "Trust data"), lang), f"{ctx.fingerprint[:16]}…"


def _compared(outcome: PageOutcome) -> tuple[str, str]:
    if not outcome.compared:
        return "未比对", "not compared"
    if count := len(outcome.mismatches):
        return f"有 {count} 处与签名数据不符", f"differs in {count} places from what was signed"
    return "与签名数据一致", "shows what was signed"


def _age(seconds: int, lang: Lang) -> str:
    if seconds < 0:
        return pick(("晚于本机时间", "after this clock"), lang)
    if seconds < 7_200:
        return pick((f"{seconds // 60} 分钟前", f"{seconds // 60} min ago"), lang)
    if seconds < 172_800:
        return pick((f"{seconds // 3_600} 小时前", f"{seconds // 3_600} h ago"), lang)
    return pick((f"{seconds // 86_400} 天前", f"{seconds // 86_400} days ago"), lang)


def evidence_text(report: Report, key: str, value: str | int, lang: Lang) -> str:
    """A piece of evidence as a person reads it."""
    match key:
        case "reason":
            return report.context.messages.reason(str(value), lang)
        case "other":  # rows of the run
            rows = str(value).split(" ")
            return pick((f"第 {'、'.join(rows)} 份", f"no. {', '.join(rows)}"), lang)
        case _:
            return str(value)
