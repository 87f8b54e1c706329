"""`mingzheng log watch`, `log mirror` and `log repair` (docs/audit.md).

Exit status: 0 good (watch: issued and live), 1 not, 2 usage, 4 a file or reply that cannot be had.
"""

import json
import time
from pathlib import Path

import click

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.credential import UnverifiedCredential, parse_credential
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrtext import parse_qr_text
from mingzheng.keys.alg import Alg
from mingzheng.keys.custody import load_signer, read_passphrase
from mingzheng.keys.trust import TrustData
from mingzheng.log.acts import SerialState
from mingzheng.log.alarms import Lang, sentence
from mingzheng.log.client import LogReader, read_regular
from mingzheng.log.cosign import Cosigner
from mingzheng.log.database import Database
from mingzheng.log.lock import WriterLock
from mingzheng.log.logargs import DIRECTORY, JSON, LANG, TRUST, VKEY, OpenLog
from mingzheng.log.mirror import Mirror, MirrorRefusedError
from mingzheng.log.repair import Repair, repair
from mingzheng.log.watch import Course, Happening, watch

EXIT_NOT_GOOD = 1
MAX_SHOWN = 100
_WHAT_ZH = {
    "issue": "签发",
    "revoke": "撤销",
    "suspend": "暂停",
    "reinstate": "恢复",
    "supersede": "被取代",
    "void": "作废",
    "key_added": "签发密钥启用",
    "key_retired": "签发密钥停用",
    "key_compromised": "签发密钥泄露",
}
_STATE_ZH = {
    SerialState.UNKNOWN: "未签发",
    SerialState.LIVE: "有效",
    SerialState.SUSPENDED: "暂停中",
    SerialState.REVOKED: "已撤销",
    SerialState.SUPERSEDED: "已被取代",
    SerialState.VOID: "已作废",
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("watch")
@click.argument("file", type=_FILE)
@click.option("--log", required=True, help="The log or a mirror: a directory or an address. 日志目录或网址。")
@click.option("--trust", type=DIRECTORY, required=True, help="Trust store that names the log. 信任数据目录。")
@JSON
@LANG
@click.pass_context
def watch_command(ctx: click.Context, file: Path, *, log: str, trust: Path, as_json: bool, lang: Lang) -> None:
    """Tell what happened to a copy since it was issued. Its signature is `verify`'s business. 查询一份证书的经过。

    \b
    mingzheng log watch copy.pdf --trust trust --log https://log.example.cn/1
    """
    with OpenLog(log, trust=trust, vkey=None) as opened:
        assert opened.data is not None  # a trust store was given
        credential = read_credential(file, opened.data)
        reader = LogReader(opened.fetcher, opened.keys.vkey, origin=opened.keys.name)
        course = watch(reader, credential, opened.data, opened.keys)
    if course is None:
        raise click.UsageError("the trust data do not know the key of this copy. 信任数据里没有这份证书的签发密钥。")
    click.echo(json.dumps(course_json(course), ensure_ascii=False) if as_json else course_text(course, lang))
    ctx.exit(0 if course.live else EXIT_NOT_GOOD)


@click.command("mirror")
@click.argument("log")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@TRUST
@VKEY
@click.option("--cosign-key", type=_FILE, help="Encrypted Ed25519 key: sign what is stored. 镜像签名密钥。")
@click.option("--cosign-name", help="Name of that key in notes. 镜像名称。")
@click.option("--passphrase-file", type=_FILE, help="File (0600) with its passphrase. 口令文件。")
@LANG
@click.pass_context
def mirror_command(
    ctx: click.Context,
    /,
    log: str,
    directory: Path,
    *,
    trust: Path | None,
    vkey: str | None,
    lang: Lang,
    **cosign: object,
) -> None:
    """Follow a log: store it byte for byte in DIRECTORY, which any web server may serve. 镜像日志。

    \b
    mingzheng log mirror https://log.example.cn/1 mirror --trust trust
    """
    cosigner = _cosigner(**cosign)  # type: ignore[arg-type]  # click gives what the options say
    with OpenLog(log, trust=trust, vkey=vkey) as opened:
        try:
            done = Mirror(directory, opened.keys, cosigner=cosigner).follow(opened.fetcher, now=int(time.time()))
        except MirrorRefusedError as error:
            alarm = error.found.alarm
            click.echo(f"{'警报' if lang == 'zh' else 'ALARM'} [{alarm.code}] {sentence(alarm.code, lang)} ({error})")
            ctx.exit(EXIT_NOT_GOOD)
    size, files = done.head.size, done.files
    click.echo(
        f"已镜像 {size} 条，新文件 {files} 个" if lang == "zh" else f"mirrored {size} entries, {files} new files"
    )


@click.command("repair")
@click.argument("directory", type=DIRECTORY)
@click.option("--from", "source", required=True, help="The mirror: a directory or an address. 镜像目录或网址。")
@TRUST
@VKEY
@JSON
@LANG
@click.pass_context
def repair_command(
    ctx: click.Context, /, directory: Path, *, source: str, as_json: bool, lang: Lang, **believe: object
) -> None:
    """Replace damaged tiles and bundles by a mirror's, where the log's own signed head covers them. 用镜像修复日志。

    DIRECTORY: the public files, or the log directory of a workspace (its database then says the head).

    \b
    mingzheng log repair W/log --from mirror --trust trust
    """
    embedded = (directory / "log.sqlite").is_file()
    lock = WriterLock(directory / "lock") if embedded else None
    try:
        with OpenLog(source, trust=believe["trust"], vkey=believe["vkey"]) as opened:  # type: ignore[arg-type]
            note = _own_head(directory) if embedded else None
            done = repair(directory / "public" if embedded else directory, opened.fetcher, opened.keys, note=note)
    finally:
        if lock is not None:
            lock.release()
    click.echo(json.dumps(repair_json(done)) if as_json else repair_text(done, lang))
    ctx.exit(EXIT_NOT_GOOD if done.lost else 0)


def read_credential(file: Path, data: TrustData) -> UnverifiedCredential:
    """The one credential in a file: its bytes, a QR text, or any file that `verify` reads. Raises a usage error."""
    content = read_regular(file, LIMITS_DEFAULT.file_bytes + 1)
    try:
        return parse_credential(content)
    except FormatError:
        pass
    prefixes = [prefix for issuer in data.issuers.values() for prefix in issuer.prefixes]
    found: dict[bytes, UnverifiedCredential] = {}
    for candidate in extract(content, limits=LIMITS_DEFAULT).candidates:
        try:
            raw = candidate.data
            if raw is None:
                raw = parse_qr_text((candidate.text or "").strip(), prefixes=prefixes).data
            credential = parse_credential(raw)
        except FormatError:
            continue
        found[credential.identity] = credential
    if len(found) != 1:
        raise click.UsageError(f"{file.name}: {len(found)} credentials, one is wanted. 应恰有一份证书。")
    return next(iter(found.values()))


def course_json(course: Course) -> dict[str, object]:
    """The course as JSON values."""
    return {
        "issuer": course.issuer,
        "serial": course.serial,
        "kid": course.kid.hex(),
        "log_size": course.size,
        "known_up_to": course.last_time,
        "issued_here": course.issued_here,
        "state": course.state.value,
        "closed": course.closed,
        "witnessed": course.witnessed,
        "live": course.live,
        "happenings": [
            {
                "index": item.index,
                "what": item.what,
                "day": format_day(item.day),
                "logged_at": item.logged_at,
                "counts": item.counts,
            }
            for item in course.happenings
        ],
    }


def course_text(course: Course, lang: Lang) -> str:
    """The course for people."""
    zh = lang == "zh"
    names = (course.issuer, course.serial, course.size)
    lines = ["机构 {}，序号 {}，日志 {} 条".format(*names) if zh else "issuer {}, serial {}, log of {}".format(*names)]
    lines += [_line(item, lang) for item in course.happenings]
    if not course.issued_here:
        lines.append("日志里没有这份证书的签发条目。" if zh else "The log holds no issue of this very copy.")
    if course.closed:
        lines.append(
            "日志已封存：之后的事写在后继日志里，请查那一个。"
            if zh
            else "The log was closed: what came later stands in its successor. Ask that one."
        )
    if course.witnessed is False:
        lines.append(
            "见证人不足：这个树头可能只给您一人看。"
            if zh
            else "Too few witnesses cosigned this head: it may be shown to you alone."
        )
    day = "-" if course.last_time is None else format_day(day_of_time(course.last_time))
    state = _STATE_ZH[course.state] if zh else course.state.value
    lines.append(f"截至 {day}：{state}" if zh else f"as of {day}: {state}")
    return "\n".join(lines)


def _line(item: Happening, lang: Lang) -> str:
    what = _WHAT_ZH[item.what] if lang == "zh" else item.what
    logged = "-" if item.logged_at is None else format_day(day_of_time(item.logged_at))
    aside = "" if item.counts else ("（不算数）" if lang == "zh" else " (does not count)")
    middle = f"写入 {logged}" if lang == "zh" else f"logged {logged}"
    return f"{format_day(item.day)}  @{item.index}  {what}  {middle}{aside}"


def repair_json(done: Repair) -> dict[str, object]:
    """What was repaired, as JSON values."""
    return {"size": done.head.size, "looked_at": done.looked_at, "repaired": done.repaired, "lost": done.lost}


def repair_text(done: Repair, lang: Lang) -> str:
    """What was repaired, for people."""
    zh = lang == "zh"
    lines = [f"{'已修复' if zh else 'repaired'} {name}" for name in done.repaired[:MAX_SHOWN]]
    lines += [f"{'无法修复' if zh else 'LOST'} {name}" for name in done.lost[:MAX_SHOWN]]
    counts = (done.looked_at, len(done.repaired), len(done.lost))
    form = "检查 {} 个文件，修复 {} 个，无法修复 {} 个。" if zh else "{} files looked at, {} repaired, {} lost."
    return "\n".join([*lines, form.format(*counts)])


def _own_head(directory: Path) -> bytes | None:
    database = Database(directory / "log.sqlite", read_only=True)
    try:
        return database.head().note
    finally:
        database.close()


def _cosigner(cosign_key: Path | None, cosign_name: str | None, passphrase_file: Path | None) -> Cosigner | None:
    if cosign_key is None and cosign_name is None:
        return None
    if cosign_key is None or cosign_name is None:
        raise click.UsageError("--cosign-key and --cosign-name go together. 两者须同时给出。")
    if passphrase_file is None:
        passphrase = read_passphrase(prompt="镜像口令 mirror passphrase: ")
    else:
        passphrase = read_passphrase(file=passphrase_file)
    return Cosigner(cosign_name, [load_signer(cosign_key, Alg.ED25519, passphrase)])
