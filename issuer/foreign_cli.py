"""`mingzheng log foreign` and `log acknowledge`: entries of the log this desk did not write (docs/drills.md, 9)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import format_day
from mingzheng.issuer.deedwords import deed_word
from mingzheng.issuer.foreign import Foreign, acknowledge, find_foreign, foreign_of, note_foreign, waits_for
from mingzheng.issuer.journal import deed_name
from mingzheng.issuer.operators import unlock
from mingzheng.issuer.options import (
    COMMON,
    ISSUER_NUMBER,
    JSON,
    LANG,
    PERSON_SECRET,
    REASON,
    SECRET,
    WORKSPACE,
    YES,
    check_passphrase,
    confirm,
    open_workspace,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.refusals import OptionError
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.entry import KeyEventEntry, kids_of

__all__ = ["foreign_warning", "log_acknowledge", "log_foreign"]

_SHOWN = 20  # serials of an entry


@click.command("foreign")
@WORKSPACE
@SECRET
@JSON
@LANG
def log_foreign(workspace: Path, *, as_json: bool, lang: show.Lang, **options: Any) -> None:
    """List the log's entries under our keys that this desk did not write. 列出日志中非本台账所写的条目。

    Reads the log from its beginning and changes nothing. `good_kids`: keys that still count where the entry stands;
    say that they are stolen before `log acknowledge`.
    通读日志，不作改动；good_kids 是在那里仍然算数的密钥，确认之前先宣布失密。

    \b
    mingzheng log foreign --workspace W
    """
    with open_workspace(workspace, options) as opened:
        found = _all_of(opened)
    print_lines([_json(item) for item in found], [_text(item, lang) for item in found], as_json)
    if not found and not as_json:
        click.echo("日志里没有非本台账所写的条目。" if lang == "zh" else "The log holds nothing foreign.", err=True)


@click.command("acknowledge")
@ISSUER_NUMBER
@click.option("--operator", "operators", multiple=True, help="Who has looked; two of them. 查看过的经办人，须两名。")
@PERSON_SECRET
@REASON
@COMMON
@YES
def log_acknowledge(
    *,
    workspace: Path,
    issuer: int | None,
    operators: tuple[str, ...],
    reason: str,
    yes: bool,
    as_of: int | None,
    as_json: bool,
    lang: show.Lang,
    **options: Any,
) -> None:
    """Say that two persons have looked at the foreign entries: the desk works again. 两人确认已查看，恢复办理。

    Before it, `key compromise` for the keys under them, with a good size that leaves them out. Numbers and serials go
    on behind them; nothing of them becomes ours. 先宣布这些条目的密钥失密；编号和序号接在其后，条目不归本机构。

    \b
    mingzheng log acknowledge --workspace W --operator 张三 --operator 李四 --reason 密钥失窃
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, as_of)
        note_foreign(opened, now=now)
        number = _issuer(opened, issuer)
        waiting = [item for item in foreign_of(opened, number) if not item.row.agreed]
        print_lines([], [_text(item, lang) for item in waiting], False, err=True)
        if operators and not waits_for(opened, number, now=now):
            raise OptionError(f"机构 {number} 没有经办人，不用 --operator", f"issuer {number} has no operators")
        persons = [
            unlock(opened, number, name, passphrase=person_secret(options, at).read, now=now).key
            for at, name in enumerate(operators)
        ]
        check_passphrase(opened, yes)
        confirm(yes)
        count = acknowledge(opened, number, persons, reason=reason, now=now)
    text = f"机构 {number}：已确认 {count} 条。" if lang == "zh" else f"issuer {number}: {count} entries acknowledged."
    print_lines([{"issuer": number, "acknowledged": count}], [text], as_json)


def foreign_warning(workspace: Workspace, lang: show.Lang) -> None:
    """On standard error: that foreign entries wait to be looked at."""
    for issuer, count in workspace.ledger.foreign.waiting().items():
        click.echo(
            f"注意：日志里有 {count} 条以机构 {issuer} 的密钥写入、但不是本台账所写的条目：mingzheng log foreign"
            if lang == "zh"
            else f"Note: the log holds {count} entries under keys of issuer {issuer} that are not this ledger's: "
            "`mingzheng log foreign`",
            err=True,
        )


def _all_of(workspace: Workspace) -> Sequence[Foreign]:
    """What was noted, and what is new."""
    return (*foreign_of(workspace), *find_foreign(workspace))


def _issuer(workspace: Workspace, issuer: int | None) -> int:
    numbers = [spec.number for spec in workspace.config.issuers]
    if issuer is None:
        waiting = list(workspace.ledger.foreign.waiting())
        numbers = waiting if len(waiting) == 1 else numbers
    else:
        numbers = [number for number in numbers if number == issuer]
    if len(numbers) != 1:
        raise OptionError("请用 --issuer 指定一个机构", "name one issuer with --issuer")
    return numbers[0]


def _what(item: Foreign) -> str:
    return "issue" if item.row.act is None else deed_name(item.row.act)


def _state(item: Foreign) -> str:
    if item.row.agreed:
        return "acknowledged"
    return "noted" if item.noted else "new"


_STATES = {"new": "未记入台账", "noted": "待确认", "acknowledged": "已确认"}


def _json(item: Foreign) -> show.Json:
    entry = item.entry
    subject = entry.subject_kid.hex() if isinstance(entry, KeyEventEntry) else None
    return {
        "type": "foreign",
        "index": item.row.leaf_index,
        "issuer": item.row.issuer,
        "what": _what(item),
        "number": item.row.number,
        "serials": list(item.serials),
        "day": format_day(item.row.day),
        "kids": [kid.hex() for kid in kids_of(entry)],
        "subject_kid": subject,
        "good_kids": [kid.hex() for kid in item.good],
        "state": _state(item),
    }


def _text(item: Foreign, lang: show.Lang) -> str:
    zh, entry = lang == "zh", item.entry
    serials = " ".join(map(str, item.serials[:_SHOWN])) + (" …" if len(item.serials) > _SHOWN else "")
    parts = [f"第 {item.row.leaf_index} 条" if zh else f"entry {item.row.leaf_index}", deed_word(_what(item), lang)]
    parts += [f"机构 {item.row.issuer}" if zh else f"issuer {item.row.issuer}", format_day(item.row.day)]
    parts += [(f"序号 {serials}" if zh else f"serials {serials}")] if serials else []
    parts += [f"{'对象' if zh else 'of'} {entry.subject_kid.hex()}"] if isinstance(entry, KeyEventEntry) else []
    parts += [f"{'密钥' if zh else 'keys'} {' '.join(kid.hex() for kid in kids_of(entry))}"]
    parts += [_STATES[_state(item)] if zh else _state(item)]
    if item.good:
        parts += ["密钥在此仍算数" if zh else "its keys count here"]
    return "\t".join(parts)
