"""`mingzheng log audit` and `log evidence`; `follow_cli` has those that follow a log or repair one.

The commands that need a workspace are added by the issuer's room.

Exit status: 0 clean, 1 alarms, 2 usage, 4 a file of the auditor's own cannot be read or written.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mingzheng.formats.civil import format_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.keys.snapshot import load_store
from mingzheng.log.alarms import Lang, sentence
from mingzheng.log.auditfiles import read_closed
from mingzheng.log.charge import Charge
from mingzheng.log.client import read_regular
from mingzheng.log.evidence import MAX_BYTES, EvidenceError, check_evidence, parse_evidence
from mingzheng.log.follow_cli import mirror_command, repair_command, watch_command
from mingzheng.log.fsck import FsckReport
from mingzheng.log.logargs import (
    DIRECTORY,
    JSON,
    LANG,
    TRUST,
    VKEY,
    OpenLog,
    keys_of_origin,
    keys_of_vkey,
    text_or_file,
)
from mingzheng.log.monitor import AuditPlan, AuditReport, audit
from mingzheng.log.patterns import MAX_LIMITS, BurstError, BurstLimit, parse_burst

EXIT_ALARMS = 1
MAX_SHOWN = 100
_NOTES_ZH = {
    "no trust data: entries were hashed, not read": "没有信任数据：只核对了条目的哈希，没有读内容",
    "more alarms were left out": "还有更多警报未列出",
}
_COUNTED_ZH = {
    " receipts are of other origins": "份回执属于别的日志",
    " alarms without an evidence file": "项警报没有证据文件：过多，或过长",
}
_NOTICES_ZH = {
    "blanket_extension": "统一延期",
    "retired_form": "式样停用",
    "seal_change": "启用印章",
    "retraction": "撤回",
}
_TYPES_ZH = {
    "notice": "公告",  # in the state of audits before their types were counted
    "act": "行为",
    "key_event": "密钥事件",
    "status": "状态清单",
    "landmark": "地标",
    "time": "时间",
    "filler": "填充",
    "revoke": "撤销",
    "suspend": "暂停",
    "reinstate": "恢复",
    "void": "作废",
    "supersede": "取代",
}

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("log")
def log_group() -> None:
    """The transparency log: audit, prove, check. 透明日志：审计、证明、检查。"""


for _command in (watch_command, mirror_command, repair_command):
    log_group.add_command(_command)


@log_group.command("audit")
@click.argument("log")
@TRUST
@VKEY
@click.option("--state", type=_FILE, help="Remember the head here; next time, follow from it. 记住树头，下次据此跟踪。")
@click.option("--receipts", type=DIRECTORY, help="Check receipts collected in the field. 核对收集到的回执。")
@click.option(
    "--before",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of a log that goes on from a closed one: that one's STATE.closed. 前一份日志审计留下的 .closed 文件。",
)
@click.option("--burst", "bursts", multiple=True, help="Alarm over KIND:N/day or KIND:N/hour; * for any. 签发限额。")
@click.option("--from-start", is_flag=True, help="Judge every entry again. 从头重新核对。")
@JSON
@LANG
@click.pass_context
def audit_command(ctx: click.Context, /, log: str, *, as_json: bool, lang: Lang, **options: Any) -> None:
    """Check everything a log serves, and ours by its entry rules. LOG: a directory or an address. 审计日志。

    \b
    mingzheng log audit log --trust trust --state audit.json --receipts collected
    mingzheng log audit https://log.example.cn/1 --trust trust --state audit.json --burst 1:3000/day
    mingzheng log audit log --vkey log.vkey
    mingzheng log audit https://log.example.cn/2 --trust trust --state 2.json --before 1.json.closed
    """
    before = options["before"]
    if before is not None and options["trust"] is None:
        raise click.UsageError("--before goes with --trust. --before 须与 --trust 同用。")
    with OpenLog(log, trust=options["trust"], vkey=options["vkey"]) as opened:
        plan = AuditPlan(
            fetcher=opened.fetcher,
            keys=opened.keys,
            trust=opened.data,
            state_file=options["state"],
            receipts_dir=options["receipts"],
            bursts=_bursts(options["bursts"]),
            from_start=options["from_start"],
            before=None if before is None else read_closed(before),
        )
        report = audit(plan)
    click.echo(json.dumps(report_json(report), ensure_ascii=False) if as_json else report_text(report, lang))
    ctx.exit(0 if report.clean else EXIT_ALARMS)


def _bursts(texts: Sequence[str]) -> tuple[BurstLimit, ...]:
    if len(texts) > MAX_LIMITS:
        raise click.UsageError(f"--burst: at most {MAX_LIMITS}. 最多 {MAX_LIMITS} 条。")
    try:
        return tuple(parse_burst(text) for text in texts)
    except BurstError as error:
        raise click.UsageError(f"--burst: {error}") from error


@log_group.command("evidence")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@TRUST
@click.option("--origin", help="Origin name, with --trust. 日志名称。")
@click.option("--vkey", help="Verifier key (text or file), for two heads. 日志的验证公钥。")
@click.pass_context
def evidence_command(
    ctx: click.Context, file: Path, *, trust: Path | None, origin: str | None, vkey: str | None
) -> None:
    """Check a proof of a log's misconduct without the log. 独立核对证据文件。

    \b
    mingzheng log evidence audit.json.evidence/0000.json --vkey log.vkey
    """
    data = None
    if vkey is not None and trust is None:
        keys = keys_of_vkey(text_or_file(vkey))
    elif trust is not None and origin is not None and vkey is None:
        data = load_store(trust).data
        keys = keys_of_origin(data, origin)
    else:
        raise click.UsageError("give --vkey, or --trust with --origin. 请给出 --vkey，或 --trust 与 --origin。")
    try:
        evidence = parse_evidence(read_regular(file, MAX_BYTES + 1))
        kind = check_evidence(
            evidence,
            vkey=keys.vkey,
            origin=keys.name,
            number=keys.number,
            receipt_key=keys.receipt_key,
            block_height=keys.block_height,
            trust=data,
        )
    except EvidenceError as error:
        click.echo(f"not proved 未能证明 [{error.code}]: {error}")
        ctx.exit(EXIT_ALARMS)
    of = f" @{evidence.index}" if isinstance(evidence, Charge) else ""
    if isinstance(evidence, Charge) and evidence.limit is not None:  # the accuser's own number: whoever reads judges it
        of += f", limit 限额 {evidence.limit.text()}"
    click.echo(f"proved 已证明: {kind}{of} ({keys.name})")


def report_json(report: AuditReport) -> dict[str, object]:
    """The audit report as JSON values."""
    return {
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "followed_from": report.followed_from,
        "resumed_from": report.resumed_from,
        "clean": report.clean,
        "entries": report.entries,
        "counts": {format_day(day): dict(sorted(counts.items())) for day, counts in sorted(report.counts.items())},
        "receipts_agreed": report.receipts_agreed,
        "alarms": [
            {
                "code": alarm.code,
                "index": alarm.index,
                "detail": alarm.detail,
                "message_zh": sentence(alarm.code, "zh"),
                "message_en": sentence(alarm.code, "en"),
                "evidence": dict(alarm.evidence),
            }
            for alarm in report.alarms
        ],
        "notes": list(report.notes),
        "evidence_files": list(report.evidence_files),
    }


def report_text(report: AuditReport, lang: Lang) -> str:
    """The audit report for people."""
    zh = lang == "zh"
    head = f"{report.origin}  {'大小' if zh else 'size'} {report.size}  {'根' if zh else 'root'} {report.root.hex()}"
    lines = [head]
    if report.followed_from is not None:
        lines.append(f"{'自上次的大小跟踪' if zh else 'followed from size'} {report.followed_from}")
    if report.resumed_from:
        lines.append(f"{'此前已核对的条目' if zh else 'entries judged before'} {report.resumed_from}")
    for day, counts in sorted(report.counts.items()):
        lines.append(f"{format_day(day)}  " + "  ".join(_count(what, n, lang) for what, n in sorted(counts.items())))
    if report.receipts_agreed:
        lines.append(f"{'与日志相符的回执' if zh else 'receipts that agree'} {report.receipts_agreed}")
    for alarm in report.alarms[:MAX_SHOWN]:
        where = "" if alarm.index is None else f" @{alarm.index}"
        lines.append(f"{'警报' if zh else 'ALARM'} [{alarm.code}]{where} {sentence(alarm.code, lang)} ({alarm.detail})")
    if len(report.alarms) > MAX_SHOWN:
        lines.append(f"… {len(report.alarms) - MAX_SHOWN}")
    lines += [f"{'证据文件' if zh else 'evidence'} {name}" for name in report.evidence_files]
    lines += [f"{'说明' if zh else 'note'}: {_note(note, lang)}" for note in report.notes]
    verdict = (
        ("没有异常。" if zh else "clean.")
        if report.clean
        else f"{len(report.alarms)} " + ("项警报。" if zh else "alarms.")
    )
    return "\n".join([*lines, verdict])


def _count(what: str, count: int, lang: Lang) -> str:
    """`issue.1`: how many copies of kind 1 were issued that day; `notice.…`: notices of a type; others: entries."""
    name, _, kind = what.partition(".")
    if name == "notice" and kind:
        return f"公告（{_NOTICES_ZH.get(kind, kind)}）{count} 条" if lang == "zh" else f"notice, {kind}: {count}"
    if not kind:
        return f"{_TYPES_ZH.get(name, name)} {count} 条" if lang == "zh" else f"{name}: {count}"
    named = load_shipped_profiles().id_of(int(kind)) or ""  # of a kind of the authority's own only the number is known
    if lang == "zh":
        return f"签发 {named}（种类 {kind}）{count} 份" if named else f"签发（种类 {kind}）{count} 份"
    return f"issued {named} (kind {kind}): {count}" if named else f"issued kind {kind}: {count}"


def _note(note: str, lang: Lang) -> str:
    if lang != "zh":
        return note
    for ending, zh in _COUNTED_ZH.items():
        number, mark, _ = note.partition(ending)
        if mark:
            return f"{number} {zh}"
    return _NOTES_ZH.get(note, note)


def fsck_text(report: FsckReport, lang: Lang) -> str:
    """The result of `fsck` for people."""
    zh = lang == "zh"
    lines = [f"{'损坏' if zh else 'FAULT'} {fault.path}: {fault.detail}" for fault in report.faults[:MAX_SHOWN]]
    looked = (
        f"{report.size} 条，数据文件 {report.bundles}、哈希文件 {report.tiles}："
        if zh
        else f"{report.size} entries, {report.bundles} entry files, {report.tiles} hash files: "
    )
    verdict = (
        ("完好。" if zh else "clean.") if report.clean else f"{len(report.faults)} " + ("处损坏。" if zh else "faults.")
    )
    return "\n".join([*lines, f"{looked}{verdict}"])


def fsck_json(report: FsckReport) -> dict[str, object]:
    """The result of `fsck` as JSON values."""
    faults = [{"path": fault.path, "detail": fault.detail} for fault in report.faults]
    return {
        "clean": report.clean,
        "size": report.size,
        "tiles": report.tiles,
        "bundles": report.bundles,
        "faults": faults,
    }
