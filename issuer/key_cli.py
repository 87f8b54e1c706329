"""`mingzheng key`: the keys of a workspace after its first day (docs/drills.md, docs/workspace.md)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.config import KeySpec
from mingzheng.issuer.foreign_cli import foreign_warning
from mingzheng.issuer.keywork import (
    ISSUER_ROLES,
    add_key,
    compromise_key,
    lost_copies,
    lost_notices,
    retire_key,
    stealable_key,
)
from mingzheng.issuer.notice_cli import RULE_STAYS_EN, RULE_STAYS_ZH, notice_text
from mingzheng.issuer.noticebook import Given
from mingzheng.issuer.options import (
    COMMON,
    JSON,
    LANG,
    ORIGIN,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    print_lines,
    read_day,
    time_of,
)
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role
from mingzheng.log.noticebody import SealChangeBody

__all__ = ["key_group"]

KEY_YEARS: Final = 5

_STATES: Final = {"good": "有效", "retired": "已停用", "compromised": "已失密"}


def read_kid(ctx: click.Context, param: click.Parameter, text: str) -> Kid:
    """A kid as `key list` shows it."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 8:
        raise click.BadParameter("密钥编号是 16 位十六进制 (a kid is 16 hexadecimal digits)", ctx, param)
    return Kid(raw)


_KID = click.argument("kid", callback=read_kid)


@click.group("key")
def key_group() -> None:
    """The keys of a workspace. 工作区的密钥。

    Each change reaches verifiers with the next `trust export` (and `trust publish`). A served log is started anew.
    每项变更随下一次 trust export 到达核验方；日志另有服务进程的，须重启。
    """


@key_group.command("list")
@WORKSPACE
@JSON
@LANG
def key_list(workspace: Path, *, as_json: bool, lang: show.Lang) -> None:
    """List the keys: kid, role, issuer, days, state. 列出密钥。

    \b
    mingzheng key list --workspace W
    """
    with open_workspace(workspace, {}, True) as opened:
        keys, several = opened.config.keys, len(opened.config.origins) > 1
        origins = [opened.config.origin_of(key) if several else 0 for key in keys]
    rows = [_json(key) | ({"origin": origin} if origin else {}) for key, origin in zip(keys, origins, strict=True)]
    texts = (_text(key, lang, origin) for key, origin in zip(keys, origins, strict=True))
    print_lines(rows, texts, as_json)


@key_group.command("add")
@click.option("--role", type=click.Choice([str(role) for role in ISSUER_ROLES]), required=True, help="Role. 用途。")
@click.option("--issuer", type=click.IntRange(1, 65535), required=True, help="Whose. 机构编号。")
@click.option("--valid-from", callback=read_day, help="First day, by default today. 起用日。")
@click.option("--valid-until", callback=read_day, help="Last day, by default in five years. 截止日。")
@COMMON
def key_add(
    workspace: Path, *, role: str, issuer: int, as_of: int | None, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """Make a key that signs in place of the older one from its first day. 增加密钥，自起用日起代替旧密钥。

    \b
    mingzheng key add --workspace W --role credential --issuer 1
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        first = day_of_time(now) if options["valid_from"] is None else options["valid_from"]
        last = first + KEY_YEARS * 365 + 1 if options["valid_until"] is None else options["valid_until"]
        if first > last:
            raise click.UsageError("--valid-from 晚于 --valid-until (is after --valid-until)")
        made = add_key(opened, Role(role), issuer, days=(first, last), now=now)
        foreign_warning(opened, lang)
    print_lines([_json(made)], [_text(made, lang)], as_json)


@key_group.command("retire")
@_KID
@COMMON
@YES
def key_retire(
    kid: Kid, *, workspace: Path, yes: bool, as_of: int | None, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """Let an issuer's key sign nothing more; what it signed stays good. 停用密钥；已签发的仍然有效。

    \b
    mingzheng key retire --workspace W 0123456789abcdef
    """
    with open_workspace(workspace, options) as opened:
        check_passphrase(opened, yes)
        confirm(yes)
        done = retire_key(opened, kid, now=time_of(opened, as_of))
        foreign_warning(opened, lang)
    print_lines([_json(done)], [_text(done, lang)], as_json)


@key_group.command("compromise")
@_KID
@click.option(
    "--good-size",
    type=click.IntRange(0),
    default=None,
    help="Of an issuer's key: how many entries of the log still count. 日志中仍然算数的条数（机构密钥必填）。",
)
@ORIGIN
@COMMON
@YES
def key_compromise(
    kid: Kid,
    *,
    good_size: int | None,
    origin: int | None,
    workspace: Path,
    yes: bool,
    as_of: int | None,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Say that a key was stolen: from --good-size on nothing of it counts. 宣布密钥失密。

    The size is that of a checkpoint from before the theft, of the log that was written to then (--origin, if it was
    rolled over since). Receipts of a stolen receipt key count for nothing; no
    size is given then. It is never taken back, and the size is never raised. Lists the serials of live copies that
    no longer count: issue those again; and the notices that are void: give those again that were genuine.
    宣布后不可收回；列出须换领的序号，以及不作数的公告：其中真实的须重新发布。

    \b
    mingzheng key compromise --workspace W 0123456789abcdef --good-size 4096
    """
    with open_workspace(workspace, options) as opened:
        role = stealable_key(opened, kid).role
        if (good_size is None) != (role is Role.RECEIPT):
            raise click.UsageError(
                "机构密钥须给出 --good-size，回执密钥不给 (--good-size: for an issuer's key, not for a receipt key)"
            )
        if origin is not None and role is Role.RECEIPT:
            raise click.UsageError("--origin 只用于机构密钥 (--origin is for an issuer's key)")
        check_passphrase(opened, yes)
        confirm(yes)
        done = compromise_key(opened, kid, good_size=good_size or 0, now=time_of(opened, as_of), origin=origin)
        lost, void = lost_copies(opened, done), lost_notices(opened, done)
        foreign_warning(opened, lang)
    row = _json(done) | {"reissue": lost, "void_notices": [_void_json(item) for item in void]}
    print_lines([row], [_text(done, lang), *_lost(lost, lang), *_void(void, lang)], as_json)


def _lost(serials: Sequence[int], lang: show.Lang) -> list[str]:
    shown = " ".join(map(str, serials))
    if not serials:
        return []
    return [
        f"须换领 {len(serials)} 份，序号：{shown}" if lang == "zh" else f"re-issue {len(serials)}, serials: {shown}"
    ]


def _void_json(item: Given) -> show.Json:
    body = item.body
    return {"number": body.number, "notice": body.notice.name.lower(), "citation": body.citation}


def _void(notices: Sequence[Given], lang: show.Lang) -> list[str]:
    """What no longer counts, and that only a person knows which of it was genuine."""
    if not notices:
        return []
    zh = lang == "zh"
    lines = [
        f"不作数的公告 {len(notices)} 项，其中真实的请用 mingzheng notice add 重新发布（含撤回和式样停用）："
        if zh
        else f"{len(notices)} notices are void; give again those that were genuine (retractions and retired forms too):"
    ]
    lines += [f"  {notice_text(item.body, lang)}  {item.body.citation}" for item in notices]
    if any(isinstance(item.body, SealChangeBody) for item in notices):
        lines.append(RULE_STAYS_ZH if zh else RULE_STAYS_EN)
    return lines


def _state(key: KeySpec) -> str:
    if key.good_size is not None:
        return "compromised"
    return "good" if key.retired_on is None else "retired"


def _json(key: KeySpec) -> show.Json:
    return {
        "kid": key.kid.hex(),
        "role": str(key.role),
        "issuer": key.issuer,
        "valid_from": format_day(key.valid_from),
        "valid_until": format_day(key.valid_until),
        "state": _state(key),
        "retired_on": None if key.retired_on is None else format_day(key.retired_on),
        "good_size": key.good_size,
    }


def _text(key: KeySpec, lang: show.Lang, origin: int = 0) -> str:
    state = _state(key)
    days = f"{format_day(key.valid_from)} – {format_day(key.valid_until)}"
    owner = key.issuer or ("日志" if lang == "zh" else "log") + (f" {origin}" if origin else "")
    more = "" if key.good_size is None else f" < {key.good_size}"
    return f"{key.kid.hex()}\t{key.role}\t{owner}\t{days}\t{_STATES[state] if lang == 'zh' else state}{more}"
