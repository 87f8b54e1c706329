"""What the issuing commands print: one dictionary per line for programs, one sentence per line for people. Pure.

Registration numbers and names are not printed; a row number, an issuer and a serial say which copy is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from mingzheng.formats.civil import format_day
from mingzheng.formats.profile import ProfileSet, Window
from mingzheng.issuer.columns import IN_CHINESE
from mingzheng.issuer.faults import Fault, Severity
from mingzheng.issuer.places import kind_name, place_name
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.showapplication import application_json, application_text
from mingzheng.log.hashing import HASH_BYTES
from mingzheng.log.landmark import LandmarkBody
from mingzheng.log.status import StatusBody

if TYPE_CHECKING:
    from mingzheng.issuer.config import IssuerSpec
    from mingzheng.issuer.exporting import Exported
    from mingzheng.issuer.issue import Issued, Job
    from mingzheng.issuer.lifecycle import ActPlan
    from mingzheng.issuer.rollover import RolledOver
    from mingzheng.issuer.standing import Extended
    from mingzheng.keys.trust import OriginRecord
    from mingzheng.log.witnessclient import Collected

Json = dict[str, object]
Lang = Literal["zh", "en"]

_ACTS_ZH: Final[Mapping[str, str]] = {
    "REVOKE": "撤销",
    "SUSPEND": "暂停",
    "REINSTATE": "恢复",
    "VOID": "作废",
}
_RULES_ZH: Final[Mapping[str, str]] = {"SPECIALTY": "注册专业有效期截止", "REGISTRATION": "注册有效期截止"}
_RULES_EN: Final[Mapping[str, str]] = {"SPECIALTY": "end of the specialty", "REGISTRATION": "end of the registration"}


def rule_name(rule: str, lang: str) -> str:
    """What a rule of the usage window (docs/profiles.md) sets its end to."""
    zh = lang == "zh"
    if rule.startswith("D") and rule[1:].isdigit():
        return f"签发日起 {rule[1:]} 天" if zh else f"{rule[1:]} days from the day of issue"
    if rule.startswith("AGE"):
        return f"持证人满 {rule[3:]} 周岁当日" if zh else f"the day the holder turns {rule[3:]}"
    return (_RULES_ZH if zh else _RULES_EN)[rule]


def fault_json(fault: Fault) -> Json:
    """A fault or a note: of a row, or (row 0) of the file."""
    return {
        "type": str(fault.severity),
        "row": fault.row,
        "field": fault.field,
        "cell": fault.cell,
        "code": fault.code,
        "message_zh": fault.message_zh,
        "message_en": fault.message_en,
        "remedy_zh": fault.remedy_zh,
        "remedy_en": fault.remedy_en,
    }


def fault_text(fault: Fault, lang: Lang) -> str:
    """Cell or row, field, what is wrong, what to do."""
    zh, note = lang == "zh", fault.severity is Severity.NOTE
    where = fault.cell or (f"第 {fault.row} 行" if zh else f"row {fault.row}")
    if not fault.row:
        where = "文件" if zh else "file"
    if fault.field:
        where += (
            f" {IN_CHINESE[fault.field]}（{fault.field}）" if zh and fault.field in IN_CHINESE else f" {fault.field}"
        )
    if zh:
        return f"{'提示 ' if note else ''}{where}：{fault.message_zh}。{fault.remedy_zh}。[{fault.code}]"
    return f"{'note, ' if note else ''}{where}: {fault.message_en}; {fault.remedy_en}. [{fault.code}]"


def notes_texts(notes: Sequence[Fault], lang: Lang, *, most: int) -> Iterator[str]:
    """Notes in order; of each code only the first ones, then how many more there are."""
    seen = Counter[str]()
    for note in notes:
        seen[note.code] += 1
        if seen[note.code] <= most:
            yield fault_text(note, lang)
    for code, count in seen.items():
        if count > most:
            more = f"{count - most:,}"
            yield f"提示 [{code}] 还有 {more} 处" if lang == "zh" else f"note [{code}]: {more} more"


def checked_json(good: int, faults: int, notes: int) -> Json:
    """The count behind a check of a records file."""
    return {"type": "checked", "good": good, "faults": faults, "notes": notes}


def checked_text(good: int, faults: int, lang: Lang) -> str:
    """The same for people."""
    return f"{good:,} 行无误，{faults:,} 处错误" if lang == "zh" else f"good rows: {good:,}, faults: {faults:,}"


def faulty_text(name: str, issued: int, lang: Lang) -> str:
    """What became of the rows that were left out."""
    if lang == "zh":
        return f"已签发 {issued:,} 份；有误的行写入 {name}，改好后再次导入即可（含个人信息，用后删除）"
    return (
        f"{issued:,} copies issued; the faulty rows are in {name}: mend them and import that file "
        "(it holds personal data, delete it afterwards)"
    )


def job_json(job: Job) -> Json:
    """What a copy would be: the dry run."""
    return {
        "type": "plan",
        "row": job.row,
        "kind": job.profile.id,
        "issuer": job.issuer.number,
        **_window_json(job.preview.window),
        "trace": [
            {
                "rule": step.rule,
                "day": format_day(step.day),
                "binding": step.binding,
                "by_analogy": step.by_analogy,
                "citation_zh": step.citation.text_zh(),
            }
            for step in job.preview.trace
        ],
        "extended": [
            {
                "specialty": item.specialty,
                "stated": format_day(item.stated),
                "until": format_day(item.end),
                "citations_zh": [source.text_zh() for source in item.citations],
            }
            for item in job.preview.extended
        ],
        "existing_serial": None if job.existing is None else job.existing.serial,
        "supersedes": list(job.supersedes),
    } | ({} if job.order.application is None else {"application": application_json(job.order.application.facts)})


def job_text(job: Job, lang: Lang, *, numbered: bool = False) -> str:
    """The dry run for people: window, rules, what is there, what is superseded; `numbered`: with its row."""
    zh = lang == "zh"
    where = (f"第 {job.row} 行 " if zh else f"row {job.row} ") if numbered else ""
    head = f"{where}{job.profile.id}"
    lines = [f"{head}: {_window_text(job.preview.window, lang)}"]
    lines += [_extended_text(item, zh) for item in job.preview.extended]
    for step in job.preview.trace:
        mark = "*" if step.binding else " "
        source = step.citation.text_zh() if zh else step.citation.text_en()
        lines.append(f"  {mark} {format_day(step.day)} {rule_name(step.rule, lang)} ({step.rule}) {source}")
    if job.existing is not None:
        serial = job.existing.serial
        lines.append(f"  已有序号 {serial}，不会再占用新号" if zh else f"  serial {serial} exists: no new one is used")
    if job.supersedes:
        serials = ", ".join(map(str, job.supersedes))
        lines.append(f"  将被取代的序号：{serials}" if zh else f"  supersedes serials {serials}")
    if job.order.application is not None:
        lines.append(application_text(job.order.application.facts, lang))
    return "\n".join(lines)


def planned_text(jobs: Sequence[Job], lang: Lang) -> str:
    """The last line of a dry run: how many copies, for how many registrations, how many it supersedes."""
    people = len({job.order.registration for job in jobs})
    old = len({(job.issuer.number, serial) for job in jobs for serial in job.supersedes})
    new = sum(job.existing is None for job in jobs)
    if lang == "zh":
        return f"共 {len(jobs):,} 份（其中新号 {new:,} 份），涉及 {people:,} 个注册；将取代 {old:,} 份旧证书"
    return f"{len(jobs):,} copies ({new:,} with new serials) for {people:,} registrations; {old:,} superseded"


def _extended_text(item: Extended, zh: bool) -> str:
    """Which end the copy bears in place of the record's, and by which notice."""
    days = format_day(item.stated), format_day(item.end)
    if zh:
        what = f"专业 {item.specialty}" if item.specialty else "注册"
        return f"  {what}有效期统一延期：{days[0]} → {days[1]} {'；'.join(one.text_zh() for one in item.citations)}"
    what = f"specialty {item.specialty}" if item.specialty else "registration"
    return f"  {what} extended: {days[0]} → {days[1]} {'; '.join(one.text_en() for one in item.citations)}"


def issued_json(issued: Issued) -> Json:
    """A delivered copy."""
    job, row = issued.job, issued.row
    return {
        "type": "copy",
        "row": job.row,
        "kind": job.profile.id,
        "issuer": row.issuer,
        "serial": row.serial,
        "index": row.leaf_index,
        "issued_on": format_day(row.day),
        **_window_json(job.preview.window),
        "file": str(issued.path),
        "sha256": row.files[0].sha256.hex(),
        "files": [
            {"format": str(made.form), "file": str(path), "sha256": made.sha256.hex()}
            for path in issued.paths
            if (made := row.file(FileForm(path.suffix.removeprefix(".")))) is not None
        ],
        "seals": list(issued.seals),
        "superseded": list(job.supersedes),
    }


def issued_text(issued: Issued, lang: Lang, *, numbered: bool = False) -> str:
    """A delivered copy for people; `numbered`: with the row that it was issued for."""
    serial, window = issued.row.serial, _window_text(issued.job.preview.window, lang)
    files = " ".join(map(str, issued.paths))
    if numbered:
        files = f"第 {issued.job.row} 行  {files}" if lang == "zh" else f"row {issued.job.row}  {files}"
    if lang == "zh":
        return f"{files}  序号 {serial}  日志序 {issued.row.leaf_index}  {window}"
    return f"{files}  serial {serial}  log index {issued.row.leaf_index}  {window}"


def unsealed_text(count: int, lang: Lang) -> str:
    """What to say when copies went out without seals."""
    if lang == "zh":
        return f"{count} 份未盖章：工作区没有用印规则（mingzheng seal rule）"
    return f"{count} without seals: the workspace has no rule of sealing (mingzheng seal rule)"


def act_json(plan: ActPlan, *, done: bool) -> Json:
    """An act: planned (dry run) or done."""
    return {
        "type": "act" if done else "plan",
        "act": plan.act.name.lower(),
        "issuer": plan.target.registration.issuer,
        "serials": list(plan.serials),
        "registration_state": None if plan.state is None else str(plan.state),
    }


def act_text(plan: ActPlan, lang: Lang, *, done: bool) -> str:
    """An act for people."""
    serials, count = ", ".join(map(str, plan.serials)), len(plan.serials)
    name = plan.act.name
    if plan.is_done:
        return "已是该状态，无需处理" if lang == "zh" else "already so: nothing to do"
    if lang == "zh":
        verb = f"已{_ACTS_ZH[name]}" if done else f"将{_ACTS_ZH[name]}"
        return f"{verb} {count} 份，序号 {serials}" if serials else f"{verb}注册；没有在用的证书，仅改变注册状态"
    verb = f"{name.lower()}: done for" if done else f"{name.lower()}: would apply to"
    if not serials:
        return f"{verb} the registration (no copy in force)"
    return f"{verb} 1 copy, serial {serials}" if count == 1 else f"{verb} {count} copies, serials {serials}"


def scope_text(spec: IssuerSpec, days: tuple[int, int], profiles: ProfileSet, lang: Lang) -> str:
    """What an issuer may issue, and from when to when."""
    comma = "、" if lang == "zh" else ", "
    kinds = comma.join(kind_name(profiles, code, lang) for code in spec.kinds)
    regions = comma.join(place_name(code, lang) for code in spec.jurisdictions)
    until = f"{format_day(days[0])} – {format_day(days[1])}"
    if lang == "zh":
        return f"机构 {spec.number} 可签发：{kinds}；地区：{regions}；密钥有效 {until}"
    return f"issuer {spec.number} may issue {kinds}; regions {regions}; keys valid {until}"


def exported_json(exported: Exported) -> Json:
    """A trust export."""
    return {
        "type": "trust",
        "generation": exported.generation,
        "fingerprint": exported.fingerprint,
        "status_lists": exported.status_lists,
    }


def exported_text(exported: Exported, lang: Lang) -> str:
    """A trust export for people."""
    if lang == "zh":
        return f"第 {exported.generation} 代信任数据，指纹 {exported.fingerprint}"
    return f"trust data generation {exported.generation}, fingerprint {exported.fingerprint}"


def cosigned_json(found: Collected) -> Json:
    """What the witnesses of a head answered."""
    return {
        "type": "cosigned",
        "size": found.witnessed.checkpoint.size,
        "satisfied": found.witnessed.satisfied,
        "witnesses": dict(sorted(found.witnessed.times.items())),
        "failures": {name: failure.detail for name, failure in sorted(found.failures.items())},
        "forks": sorted(name for name, failure in found.failures.items() if failure.fork),
    }


def cosigned_text(found: Collected, lang: Lang) -> str:
    """The same for people; a witness that has seen another history comes first."""
    zh, seen = lang == "zh", found.witnessed
    told = {name: failure.detail for name, failure in sorted(found.failures.items())}
    forks = [name for name in told if found.failures[name].fork]
    lines = []
    if forks:
        names = ", ".join(forks)
        lines.append(
            f"警告：{names} 见过这个日志的另一段历史。请停止签发并查明原因（恢复过备份？）。"
            if zh
            else f"WARNING: {names} saw another history of this log. Stop issuing, find out why (a restored backup?)."
        )
    met = (
        ("满足策略" if zh else "the policy is met")
        if seen.satisfied
        else ("不满足策略" if zh else "the policy is NOT met")
    )
    who = ", ".join(seen.names) or ("无" if zh else "nobody")
    lines.append(f"{'树头大小' if zh else 'head of size'} {seen.checkpoint.size}: {who}; {met}")
    lines += [f"  {name}: {detail}" for name, detail in told.items()]
    return "\n".join(lines)


def status_json(body: StatusBody, *, made: bool) -> Json:
    """An issuer's status list in force."""
    return {
        "type": "status",
        "issuer": body.issuer,
        "made": made,
        "this_update": body.this_update,
        "next_update": body.next_update,
        "next_serial": body.next_serial,
        "revoked": len(body.revoked),
        "superseded": len(body.superseded),
        "void": len(body.void),
        "suspended": len(body.suspended),
    }


def status_text(body: StatusBody, lang: Lang, *, made: bool) -> str:
    """An issuer's status list for people."""
    counts = (body.next_serial, len(body.revoked), len(body.superseded), len(body.void), len(body.suspended))
    if lang == "zh":
        words = "机构 {} {}：序号 {} 以下，撤销 {}，被取代 {}，作废 {}，暂停 {}"
        return words.format(body.issuer, "新清单" if made else "现行清单", *counts)
    words = "issuer {} {}: serials below {}, {} revoked, {} superseded, {} void, {} suspended"
    return words.format(body.issuer, "new list" if made else "list in force", *counts)


def landmark_json(body: LandmarkBody, *, made: bool) -> Json:
    """The log's landmark list in force."""
    return {
        "type": "landmark",
        "origin": body.head.origin,
        "made": made,
        "this_update": body.this_update,
        "next_update": body.next_update,
        "start": body.start,
        "size": body.head.size,
        "rounds": len(body.rounds),
        "blocks": len(body.roots) // HASH_BYTES,
    }


def landmark_text(body: LandmarkBody, lang: Lang, *, made: bool) -> str:
    """The log's landmark list for people."""
    figures = (body.head.origin, body.start, body.head.size, len(body.roots) // HASH_BYTES)
    if lang == "zh":
        words = "日志 {} {}：条目 [{}, {})，{} 个块"
        return words.format(figures[0], "新地标清单" if made else "现行地标清单", *figures[1:])
    words = "log {} {}: entries [{}, {}), {} blocks"
    return words.format(figures[0], "new landmark list" if made else "landmark list in force", *figures[1:])


def _window_json(window: Window | None) -> Json:
    until = None if window is None else window.usage_until
    return {
        "usage_until": None if until is None else format_day(until),
        "binding": [] if window is None else list(window.binding),
    }


def _window_text(window: Window | None, lang: Lang) -> str:
    if window is None or window.usage_until is None:
        return "无使用时限" if lang == "zh" else "no usage window"
    binding = ("、" if lang == "zh" else ", ").join(rule_name(rule, lang) for rule in window.binding)
    until = format_day(window.usage_until)
    return f"使用至 {until}（{binding}）" if lang == "zh" else f"usable until {until} ({binding})"


def announced_json(number: int, name: str, vkey: str) -> Json:
    """A log whose keys are there."""
    return {"type": "announced", "origin": number, "name": name, "vkey": vkey}


def announced_text(number: int, name: str, vkey: str, lang: Lang) -> str:
    """The same as sentences, the verifier key on a line of its own."""
    if lang == "zh":
        return f"已预告 {number} 号日志 {name}；请导出信任数据，并把验证公钥交给见证方和审计方：\n{vkey}"
    return f"announced log {number}, {name}: export trust data, give witnesses and auditors its verifier key:\n{vkey}"


def roll_over_text(old: OriginRecord, number: int, name: str, lang: Lang) -> str:
    """What a roll-over is about to do."""
    if lang == "zh":
        return f"{old.number} 号日志 {old.name} 将封存，不可恢复；此后写入 {number} 号日志 {name}。"
    return f"log {old.number}, {old.name}, will be closed for good; what is new goes into log {number}, {name}."


def rolled_over_json(done: RolledOver) -> Json:
    """What a roll-over did."""
    return {
        "type": "rolled_over",
        "done": done.done,
        "closed": {"origin": done.closed.origin.number, "name": done.closed.origin.name, "size": done.closed.size},
        "origin": done.origin.number,
        "name": done.origin.name,
        "vkey": done.vkey,
        "cosigned": done.cosigned,
    }


def rolled_over_text(done: RolledOver, lang: Lang) -> str:
    """The same as sentences."""
    old, new, zh = done.closed, done.origin, lang == "zh"
    if not done.done:
        return (
            f"此前已换到 {new.number} 号日志 {new.name}，没有改动。"
            if zh
            else f"the workspace went on to log {new.number}, {new.name}, before: nothing was changed."
        )
    lines = [
        f"已封存 {old.origin.number} 号日志（{old.size} 条），现在写入 {new.number} 号日志；请导出信任数据。验证公钥："
        if zh
        else f"closed log {old.origin.number} ({old.size} entries), writing log {new.number}: export trust data. Key:",
        done.vkey,
    ]
    if done.cosigned is False:
        lines.append(
            f"旧日志的最后树头见证不足；请再运行 mingzheng log cosign --origin {old.origin.number}"
            if zh
            else f"too few witnesses cosigned the last head: mingzheng log cosign --origin {old.origin.number}"
        )
    return "\n".join(lines)
