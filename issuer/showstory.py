"""The story of a registration as JSON (status.schema.json) and as lines for people. Pure.

Of the holder the name alone, unless all is asked for; the identity number never: it stays in the ledger. Nor the
digest of data, unless all is asked for: it covers the identity number, and a guess could be tried against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Copy
from mingzheng.formats.rules_source import Citation
from mingzheng.issuer.deedwords import void_notice
from mingzheng.issuer.rules_show import Json, sentence
from mingzheng.issuer.rules_show import application_json as renewal_json
from mingzheng.issuer.schema import CopyStatus, RegistrationState
from mingzheng.issuer.showapplication import application_json, application_text

if TYPE_CHECKING:
    from mingzheng.issuer.expiring import Ending
    from mingzheng.issuer.rows import ApplicationRow
    from mingzheng.issuer.story import CopyStory, DataChange, Event, Pending, Place, Story

__all__ = ["story_json", "story_lines"]

_WORDS: Final = {
    "active": "有效",
    "suspended": "已暂停",
    "revoked": "已撤销",
    "superseded": "已被取代",
    "void": "已作废",
    "live": "在用",
    "planned": "已编号",
    "signed": "已签名",
    "logged": "已入日志",
    "rendered": "已成文件",
    "delivered": "已交付",
    "revoke": "撤销",
    "suspend": "暂停",
    "reinstate": "恢复",
    "supersede": "取代",
    "application": "持证人申请",
    "lock": "锁定",
    "unlock": "解锁",
    "registration-active": "注册恢复",
    "registration-suspended": "注册暂停",
    "registration-revoked": "注册撤销",
    "notice-blanket_extension": "公告：统一延期",
    "notice-retired_form": "公告：式样停用",
    "notice-seal_change": "公告：启用印章",
    "notice-retraction": "公告：撤回",
    "blanket_extension": "公告：统一延期",
    "retired_form": "公告：式样停用",
    "seal_change": "公告：启用印章",
    "retraction": "公告：撤回",
    "VALID": "可使用",
    "USAGE_EXPIRED": "已过使用时限",
    "NOT_YET_VALID": "尚未开始",
}


def story_json(story: Story, *, full: bool) -> Json:
    """One object."""
    record = story.record
    holder: Json = {"name": record.name}
    if full:
        holder |= {
            "sex": record.sex.name.lower(),
            "birth": format_day(record.birth),
            "employer": record.employer,
        }
    return {
        "type": "registration",
        "day": format_day(story.day),
        "issuer": story.registration.issuer,
        "kind": story.kind,
        "jurisdiction": record.jurisdiction,
        "registration_no": story.registration.registration_no,
        "state": str(story.state),
        "locked": story.locked,
        "holder": holder,
        "data": [_data_json(item, number, full=full) for number, item in enumerate(story.data, 1)],
        "copies": [_copy_json(item, _numbers(story)) for item in story.copies],
        "events": [_event_json(item) for item in story.events],
        "pending": [_pending_json(item) for item in story.pending],
        "applications": [_application_json(item, _numbers(story)) for item in story.applications],
        "ends": [_end_json(item) for item in story.ends],
    }


def _numbers(story: Story) -> dict[bytes, int]:
    return {item.digest: number for number, item in enumerate(story.data, 1)}


def _data_json(item: DataChange, number: int, *, full: bool) -> Json:
    return {
        "number": number,
        "digest": item.digest.hex() if full else None,
        "day": format_day(item.day),
        "changed": list(item.changed),
        "reissued": item.reissued,
        "current": item.current,
    }


def _copy_json(item: CopyStory, numbers: dict[bytes, int]) -> Json:
    row = item.row
    return {
        "serial": row.serial,
        "copy": "usage" if item.claims.copy is Copy.USAGE else "approval",
        "purpose": item.claims.purpose,
        "data": numbers[row.record],
        "issued_on": format_day(item.claims.copy_issued_on),
        "until": format_day(item.until),
        "window": str(item.window),
        "state": str(row.state),
        "status": str(row.status),
        "log": _place_json(item.place),
        "files": [{"form": str(file.form), "name": file.name, "sha256": file.sha256.hex()} for file in row.files],
        "rule": [_citation_json(one) for one in item.rule],
    }


def _event_json(item: Event) -> Json:
    return {
        "what": item.what,
        "day": format_day(item.day),
        "reason": item.reason,
        "operators": list(item.operators),
        "number": item.number,
        "serials": list(item.serials),
        "others": item.others,
        "citation": item.citation,
        **({"void": True} if item.void else {}),
        "log": _place_json(item.place),
    }


def _pending_json(item: Pending) -> Json:
    return {
        "id": item.id.hex(),
        "what": item.what,
        "operator": item.operator,
        "day": format_day(item.day),
        "last_day": format_day(item.last_day),
        "reason": item.reason,
        "serials": list(item.serials),
    }


def _application_json(item: ApplicationRow, numbers: dict[bytes, int]) -> Json:
    own = {"serial": item.serial, "data": numbers.get(item.record), "day": format_day(item.day)}
    return own | application_json(item.facts)


def _end_json(item: Ending) -> Json:
    return {
        "what": str(item.what),
        "specialty": item.specialty,
        "stated_end": format_day(item.stated),
        "end": format_day(item.end),
        "moved_by": [_citation_json(one) for one in item.moved_by],
        "renewal": None if item.renewal is None else renewal_json(item.end, item.renewal),
    }


def _place_json(place: Place | None) -> Json | None:
    return None if place is None else {"origin": place.origin, "index": place.index}


def _citation_json(one: Citation) -> Json:
    return {"zh": one.text_zh(), "en": one.text_en()}


def story_lines(story: Story, lang: str, *, full: bool) -> Iterator[str]:
    """For people: a head, then a part for each of data, copies, events, requests, ends."""
    zh, record = lang == "zh", story.record
    state = _word(str(story.state), lang)
    locked = ("，已锁定" if zh else ", locked") if story.locked else ""
    issuer = f"机构 {story.registration.issuer}" if zh else f"issuer {story.registration.issuer}"
    yield f"{story.registration.registration_no}  {record.name}  {story.kind}  {issuer}  {state}{locked}"
    if full:
        yield f"  {record.sex.name.lower()}  {format_day(record.birth)}  {record.employer or '-'}"
    yield "数据" if zh else "data"
    for number, data in enumerate(story.data, 1):
        changed = ("首次" if zh else "first") if data is story.data[0] else ", ".join(data.changed) or "-"
        digest = f"  {data.digest.hex()}" if full else ""
        now = ("  现用" if zh else "  current") if data.current else ""
        yield f"  {number}  {format_day(data.day)}  {changed}{now}{digest}"
    yield "副本" if zh else "copies"
    for copy in story.copies:
        yield from _copy_lines(copy, lang)
    yield "经过" if zh else "events"
    for event in story.events:
        yield from _event_lines(event, lang)
    if story.pending:
        yield "待批准" if zh else "waiting for a second person"
    for item in story.pending:
        until = f"至 {format_day(item.last_day)}" if zh else f"until {format_day(item.last_day)}"
        asked = f"{item.operator} {format_day(item.day)}"
        yield f"  {item.id.hex()}  {_word(item.what, lang)}  {asked}  {until}  {_plain(item.reason)}"
    if story.applications:
        yield "持证人申请" if zh else "applications of the holder"
    for row in story.applications:
        serial = f"序号 {row.serial}" if zh else f"serial {row.serial}"
        yield f"  {serial}  {format_day(row.day)}{application_text(row.facts, lang)}"
    yield "届满与规则" if zh else "ends and rules"
    if story.state is RegistrationState.REVOKED:
        yield "  已撤销，不再延续" if zh else "  revoked: nothing is renewed"
        return
    for end in story.ends:
        yield from _end_lines(end, lang)


def _copy_lines(copy: CopyStory, lang: str) -> Iterator[str]:
    zh, row = lang == "zh", copy.row
    usage = copy.claims.copy is Copy.USAGE
    form = ("使用件" if usage else "批准件") if zh else ("usage copy" if usage else "approval copy")
    purpose = f"  {copy.claims.purpose}" if copy.claims.purpose else ""
    days = f"{format_day(copy.claims.copy_issued_on)} – {format_day(copy.until)}"
    said = [row.status, row.state, *([copy.window] if row.status is CopyStatus.LIVE else [])]
    words = "  ".join(_word(str(word), lang) for word in said)
    number = f"序号 {row.serial}" if zh else f"serial {row.serial}"
    yield f"  {number}  {form}{purpose}  {days}  {words}  {_place_text(copy.place, lang)}"
    for file in row.files:
        yield f"      {file.form}  {file.name}  {file.sha256.hex()[:16]}"


def _event_lines(event: Event, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    who = ("、" if zh else ", ").join(event.operators) or ("系统" if zh else "desk")
    number = "" if event.number is None else f" {event.number}"
    serials = ""
    if event.serials:
        named = " ".join(map(str, event.serials))
        serials = f"  序号 {named}" if zh else f"  serials {named}"
    if event.others:
        serials += f"（另有 {event.others} 份）" if zh else f" (and {event.others} of others)"
    acted = event.number is not None
    place = f"  {_place_text(event.place, lang)}" if acted else ""
    cited = f"  {event.citation}" if event.citation else ""
    if event.void:
        cited += f"  {void_notice(lang)}"
    head = f"{format_day(event.day)}  {_word(event.what, lang)}{number}{serials}{cited}"
    yield f"  {head}  {who}{place}  {_plain(event.reason)}"


def _end_lines(end: Ending, lang: str) -> Iterator[str]:
    zh = lang == "zh"
    name = ("注册" if zh else "registration") if end.specialty is None else end.specialty
    found = end.renewal
    if found is None:
        yield f"  {name}  {format_day(end.end)}  {'没有适用的规则' if zh else 'no rule governs'}"
    else:
        days = {"opens": found.opens, "closes": found.closes}
        said = {key: "" if day is None else format_day(day) for key, day in days.items()}
        yield f"  {name}  {sentence('renewal', str(found.answer), lang, {'until': format_day(end.end), **said})}"
    for one in end.moved_by:
        source = one.text_zh() if zh else one.text_en()
        stated = format_day(end.stated)
        yield f"      原至 {stated}，{source}" if zh else f"      was {stated}; {source}"
    for one in end.rule:
        yield f"      {one.text_zh() if zh else one.text_en()}"


def _place_text(place: Place | None, lang: str) -> str:
    if place is None:
        return "未入日志" if lang == "zh" else "not in the log"
    return f"{place.origin} {place.index}"


def _plain(text: str) -> str:
    """A reason on one line, without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "·" for character in text)


def _word(word: str, lang: str) -> str:
    return _WORDS.get(word, word) if lang == "zh" else word.replace("_", " ")
