"""`mingzheng log audit` and `log evidence`; the commands that need a workspace are added by the issuer's room.

Exit status: 0 clean, 1 alarms, 2 usage, 4 a file of the auditor's own cannot be read or written.
"""

import json
from pathlib import Path

import click

from mingzheng.formats.civil import format_day
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import parse_note
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import TrustData
from mingzheng.keys.vkey import parse_vkey, vkey_for
from mingzheng.log.alarms import Lang, sentence
from mingzheng.log.block import MAX_HEIGHT
from mingzheng.log.client import CHECKPOINT, DirectoryFetcher
from mingzheng.log.collected import OriginKeys
from mingzheng.log.evidence import EvidenceError, check_evidence, parse_evidence
from mingzheng.log.fsck import FsckReport
from mingzheng.log.monitor import AuditPlan, AuditReport, audit

EXIT_ALARMS = 1
MAX_SHOWN = 100
_NOTES_ZH = {
    "no trust data: entries were hashed, not read": "没有信任数据：只核对了条目的哈希，没有读内容",
    "more alarms were left out": "还有更多警报未列出",
}
_TYPES_ZH = {
    "act": "行为",
    "notice": "通知",
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

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_LANG = click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language. 语言。"
)


@click.group("log")
def log_group() -> None:
    """The transparency log: audit, prove, check. 透明日志：审计、证明、检查。"""


@log_group.command("audit")
@click.argument("directory", type=_DIRECTORY)
@click.option("--trust", type=_DIRECTORY, help="Trust store that names the log. 信任数据目录。")
@click.option("--vkey", help="Verifier key (text or file) of any tlog-tiles log. 任意日志的验证公钥。")
@click.option("--state", type=_FILE, help="Remember the head here; next time, follow from it. 记住树头，下次据此跟踪。")
@click.option("--receipts", type=_DIRECTORY, help="Check receipts collected in the field. 核对收集到的回执。")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on one line. 输出 JSON。")
@_LANG
@click.pass_context
def audit_command(
    ctx: click.Context,
    /,
    directory: Path,
    *,
    trust: Path | None,
    vkey: str | None,
    as_json: bool,
    lang: Lang,
    **files: Path | None,
) -> None:
    """Check everything a log directory serves, and ours by its entry rules. 审计日志目录。

    \b
    mingzheng log audit log --trust trust --state audit.json --receipts collected
    mingzheng log audit log --vkey log.vkey
    """
    if (trust is None) == (vkey is None):
        raise click.UsageError("give either --trust or --vkey. 请给出 --trust 或 --vkey 之一。")
    data = None if trust is None else load_store(trust).data
    keys = keys_of_vkey(_text_or_file(vkey)) if vkey is not None else keys_of_trust(data, directory)
    plan = AuditPlan(
        fetcher=DirectoryFetcher(directory),
        keys=keys,
        trust=data,
        state_file=files["state"],
        receipts_dir=files["receipts"],
    )
    plan.fetcher.fetch(CHECKPOINT)  # a directory without one is no log: the caller's mistake, not the log's
    report = audit(plan)
    click.echo(json.dumps(report_json(report), ensure_ascii=False) if as_json else report_text(report, lang))
    ctx.exit(0 if report.clean else EXIT_ALARMS)


@log_group.command("evidence")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--trust", type=_DIRECTORY, help="Trust store that names the log. 信任数据目录。")
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
    if vkey is not None and trust is None:
        keys = keys_of_vkey(_text_or_file(vkey))
    elif trust is not None and origin is not None and vkey is None:
        keys = keys_of_origin(load_store(trust).data, origin)
    else:
        raise click.UsageError("give --vkey, or --trust with --origin. 请给出 --vkey，或 --trust 与 --origin。")
    try:
        kind = check_evidence(
            parse_evidence(file.read_bytes()),
            vkey=keys.vkey,
            origin=keys.name,
            receipt_key=keys.receipt_key,
            block_height=keys.block_height,
        )
    except EvidenceError as error:
        click.echo(f"not proved 未能证明 [{error.code}]: {error}")
        ctx.exit(EXIT_ALARMS)
    click.echo(f"proved 已证明: {kind} ({keys.name})")


def keys_of_vkey(text: str) -> OriginKeys:
    """A log known by its verifier key alone: its name is the origin. Raises a usage error."""
    try:
        vkey = parse_vkey(text.strip())
    except KeysError as error:
        raise click.UsageError(f"--vkey: {error}") from error
    return OriginKeys(number=0, name=vkey.name, block_height=MAX_HEIGHT, vkey=vkey, receipt_key=None)


def keys_of_trust(data: TrustData | None, directory: Path) -> OriginKeys:
    """The keys of the log whose checkpoint lies in `directory`. Raises a usage error if the trust data
    lack it, FetchError or a KeysError if there is no readable checkpoint."""
    assert data is not None  # one of the two options was given
    text = parse_note(DirectoryFetcher(directory).fetch(CHECKPOINT)).text
    return keys_of_origin(data, text.split("\n", 1)[0])


def keys_of_origin(data: TrustData, name: str) -> OriginKeys:
    """The keys of an origin by its name. Raises a usage error."""
    for origin in data.origins.values():
        record = data.checkpoint_key(origin.number)
        if origin.name == name and record is not None:
            receipt = data.receipt_key(origin.number)
            return OriginKeys(
                number=origin.number,
                name=origin.name,
                block_height=origin.block_height,
                vkey=vkey_for(record.name, record.public_key),
                receipt_key=None if receipt is None else receipt.public_key,
            )
    raise click.UsageError(f"the trust data know no log {name!r}. 信任数据里没有这个日志。")


def report_json(report: AuditReport) -> dict[str, object]:
    """The audit report as JSON values."""
    return {
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "followed_from": report.followed_from,
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
    """`issue.1` is how many copies of kind 1 were issued that day; other names are types of entries."""
    name, _, kind = what.partition(".")
    if not kind:
        return f"{_TYPES_ZH.get(name, name)} {count} 条" if lang == "zh" else f"{name}: {count}"
    return f"签发（种类 {kind}）{count} 份" if lang == "zh" else f"issued kind {kind}: {count}"


def _note(note: str, lang: Lang) -> str:
    if lang != "zh":
        return note
    number, mark, _ = note.partition(" receipts are of other origins")
    return f"{number} 份回执属于别的日志" if mark else _NOTES_ZH.get(note, note)


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


def _text_or_file(value: str) -> str:
    path = Path(value)
    if "+" in value and not path.is_file():
        return value
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--vkey: {path.name} is no text") from error
