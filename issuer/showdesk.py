"""What the commands print about acts of persons: previews, requests, operators, the journal.

Pure but for what it is given. A preview names the registration, for whoever approves must know whose it is; it goes to
the operator's own terminal only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mingzheng.formats.civil import format_day
from mingzheng.formats.claims import Copy, parse_claims
from mingzheng.issuer.deedwords import copy_status_word, deed_word
from mingzheng.issuer.journal import Fault, parse_deed
from mingzheng.issuer.requestform import parse_form
from mingzheng.issuer.rows import JournalRow, RequestRow
from mingzheng.issuer.spreadsheet import safe_cell

if TYPE_CHECKING:
    from mingzheng.issuer.config import KeySpec, WorkspaceConfig
    from mingzheng.issuer.lifecycle import ActPlan
    from mingzheng.issuer.show import Json, Lang
    from mingzheng.issuer.workspace import Workspace

_RULES: Final[Mapping[str, tuple[str, str]]] = {
    "REVOKE": (
        "撤销针对注册时及于其全部在用和已暂停的证书；撤销后不可恢复（日志规范 Order of acts）",
        "revoking a registration reaches all its live and suspended copies, and is final (log spec, Order of acts)",
    ),
    "SUSPEND": (
        "暂停及于全部在用的证书，期间不签发；可恢复（日志规范 Order of acts）",
        "suspending reaches all live copies, nothing is issued meanwhile; it can be ended (log spec, Order of acts)",
    ),
    "REINSTATE": (
        "恢复及于全部已暂停的证书（日志规范 Order of acts）",
        "reinstating reaches all suspended copies (log spec, Order of acts)",
    ),
    "VOID": (
        "作废只及于该序号，不可恢复（日志规范 Order of acts）",
        "voiding reaches that serial alone, and is final (log spec, Order of acts)",
    ),
}
_TWO: Final = (
    "须两名经办人：一人申请，另一人七天内批准（日志规范 Two persons）",
    "takes two operators: one asks, another approves within seven days (log spec, Two persons)",
)
ONE_PERSON: Final = (
    "一人办理：机构 {} 没有两名经办人，持有工作区口令的人可以单独撤销、作废证书和发布公告。",
    "one person: issuer {} has no two operators, so whoever has the workspace's passphrase can revoke, void and give "
    "notice alone.",
)
BLOCKED: Final = (
    "机构 {} 现在只有 {} 名经办人可用，凑够两名之前不能撤销、作废和发布公告；用 mingzheng operator add 另加。",
    "issuer {} has {} operators who may sign: nothing can be revoked, voided or announced until there are two; add one "
    "with `mingzheng operator add`.",
)


def _form(claims: bytes, zh: bool) -> str:
    """What a copy is; its claims are empty once it is forgotten."""
    if not claims:
        return "已遗忘" if zh else "forgotten"
    if parse_claims(claims).copy is Copy.USAGE:
        return "使用件" if zh else "usage copy"
    return "批准件" if zh else "approval copy"


def preview(workspace: Workspace, plan: ActPlan, two: bool, lang: Lang) -> list[str]:
    """Whose copies an act would reach, and which rule says so."""
    zh, named = lang == "zh", plan.target.registration
    kind = workspace.profiles().id_of(named.kind) or str(named.kind)
    head = f"注册 {named.registration_no}（{kind}，机构 {named.issuer}）" if zh else ""
    lines = [f"  {head or f'registration {named.registration_no} ({kind}, issuer {named.issuer})'}"]
    for serial in plan.serials:
        row = workspace.ledger.copy(named.issuer, serial)
        status = copy_status_word(row.status, lang)
        lines.append(
            f"  {'序号' if zh else 'serial'} {serial}  {_form(row.claims, zh)}  {format_day(row.day)}  {status}"
        )
    rules = [_RULES[plan.act.name], *([_TWO] if two else [])]
    return [*lines, *(f"  {'依据：' if zh else 'rule: '}{rule[0 if zh else 1]}" for rule in rules)]


def request_json(row: RequestRow, file: str) -> Json:
    """A request."""
    form = parse_form(row.body)
    return {
        "type": "request",
        "id": row.id.hex(),
        "state": str(row.state),
        "issuer": row.issuer,
        "what": form.code.name.lower(),
        "serials": list(form.serials),
        "operator": row.operator,
        "day": format_day(form.day),
        "file": file,
    }


def waiting_text(row: RequestRow, root: str, file: str, lang: Lang) -> str:
    """How it goes on after a request: the whole command for the second person, in the workspace at `root`."""
    where = f'"{root}"' if " " in root else root
    line = f"mingzheng approve {row.id.hex()} --workspace {where} --operator …"
    if lang == "zh":
        return f"尚未办理，等待另一名经办人批准：{line}（申请文件 {file}）"
    return f"not done: waiting for a second person: {line} (request file {file})"


def request_text(row: RequestRow, lang: Lang) -> str:
    """A request in a list."""
    form = parse_form(row.body)
    serials, what = " ".join(map(str, form.serials)), deed_word(form.code.name.lower(), lang)
    asked = f"{row.operator} {format_day(form.day)}"
    zh = lang == "zh"
    named = (f"机构 {row.issuer}", f"序号 {serials}") if zh else (f"issuer {row.issuer}", f"serials {serials}")
    return "\t".join([row.id.hex(), what, named[0], asked, named[1] if serials else "-", row.reason])


def operator_json(key: KeySpec, day: int) -> Json:
    """An operator's key."""
    return {
        "type": "operator",
        "issuer": key.issuer,
        "operator": key.operator,
        "kid": key.kid.hex(),
        "valid_from": format_day(key.valid_from),
        "valid_until": format_day(key.valid_until),
        "may_sign": key.may_sign(day),
    }


def operator_text(key: KeySpec, day: int, lang: Lang) -> str:
    """The same for people."""
    state = ("可签名", "不可签名") if lang == "zh" else ("may sign", "may not sign")
    days = f"{format_day(key.valid_from)} – {format_day(key.valid_until)}"
    return f"{key.issuer}\t{key.operator}\t{key.kid.hex()}\t{days}\t{state[0 if key.may_sign(day) else 1]}"


def persons_lines(config: WorkspaceConfig, day: int, lang: Lang) -> Iterator[str]:
    """For each issuer that has not two operators who may sign: what that means."""
    at = 0 if lang == "zh" else 1
    for spec in config.issuers:
        names = {key.operator for key in config.operators(spec.number, day)}
        if not config.needs_two(spec.number, day):
            yield ONE_PERSON[at].format(spec.number)
        elif len(names) < 2:
            yield BLOCKED[at].format(spec.number, len(names))


def journal_json(row: JournalRow, positions: Mapping[tuple[int, int], tuple[int, int]]) -> Json:
    """A row of the journal, with where its acts stand in the logs."""
    deed = parse_deed(row.body)
    return {
        "number": deed.number,
        "time": deed.time,
        "what": deed.what,
        "issuer": deed.issuer,
        "count": deed.count,
        "operators": list(deed.operators),
        "reason": row.reason,
        "request": deed.request.hex(),
        "acts": list(deed.acts),
        "log": [list(positions[deed.issuer, act]) for act in deed.acts if (deed.issuer, act) in positions],
        "decision": deed.decision,
        "digest": row.digest.hex(),
    }


def journal_text(item: Json, lang: Lang, time: str) -> str:
    """The same for people, one line."""
    zh = lang == "zh"
    names = item["operators"]
    assert isinstance(names, list)
    who = "、".join(names) if names else ("系统" if zh else "desk")
    log = item["log"]
    assert isinstance(log, list)
    place = " ".join(f"{index}" if shard == 0 else f"{shard}:{index}" for shard, index in log)
    units = ("条", "entries") if str(item["what"]).startswith("foreign") else ("份", "copies")
    copies = f"{item['count']} {units[0] if zh else units[1]}"
    where = f"日志 {place}" if zh else f"log {place}"
    return "\t".join(
        [
            str(item["number"]),
            time,
            deed_word(str(item["what"]), lang),
            who,
            copies,
            where if log else "-",
            str(item["reason"] or ""),
        ]
    )


def fault_text(fault: Fault, lang: Lang) -> str:
    """What is wrong with the journal."""
    row = f"第 {fault.number} 条" if lang == "zh" else f"row {fault.number}"
    return f"{row if fault.number else '-'}: {fault.zh if lang == 'zh' else fault.en}"


CSV_COLUMNS: Final = (
    "number",
    "time",
    "what",
    "issuer",
    "count",
    "operators",
    "reason",
    "request",
    "acts",
    "log",
    "digest",
)


def journal_cells(item: Json) -> list[str]:
    """A row as cells of a table; lists by spaces, a cell that a spreadsheet would take for a formula quoted."""
    cells = []
    for name in CSV_COLUMNS:
        value = item[name]
        if name == "log" and isinstance(value, list):
            value = " ".join(f"{shard}:{index}" for shard, index in value)
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        cells.append(safe_cell(value))
    return cells
