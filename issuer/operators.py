"""Operators: the persons of an office, each with a key under a passphrase of their own.

Source: docs/workspace.md, Operators; docs/spec/log.md, Two persons. From the first day of an issuer's first operator
on its acts are signed by persons, and revocations, voids and notices by two. Whose key is whose mingzheng.toml alone
says.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.issuer.approvalerrors import (
    OperatorExistsError,
    OperatorNeededError,
    OperatorOutError,
    OperatorUnknownError,
    PersonNeededError,
)
from mingzheng.issuer.config import MAX_OPERATOR, KeySpec, WorkspaceConfig
from mingzheng.issuer.foreign import settle_keys
from mingzheng.issuer.keywork import is_told_added, is_told_retired, retire_key, tell_added
from mingzheng.issuer.publish import ends_copies, finish, settle
from mingzheng.issuer.refusals import KeyMissingError, KeyStateError, OptionError
from mingzheng.issuer.rows import DESK, NOTICE_ACT, ActRow, By
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import Role
from mingzheng.log.entry import ActEntry, parse_entry

__all__ = [
    "Operator",
    "acting",
    "add_operator",
    "check_new_names",
    "check_operator",
    "come_forward",
    "find_key",
    "first_day",
    "retire_operator",
    "sign_again",
    "unlock",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person who is here: the key has been opened with that person's passphrase."""

    name: str
    key: KeySpec
    signer: Signer


def find_key(config: WorkspaceConfig, issuer: int, name: str, day: int) -> KeySpec:
    """That person's newest key that may sign on `day`. Raises OperatorUnknownError, OperatorOutError."""
    if not any((key.issuer, key.operator) == (issuer, name) for key in config.keys):
        raise OperatorUnknownError(name, issuer)
    usable = [key for key in config.operators(issuer, day) if key.operator == name]
    if not usable:
        raise OperatorOutError(name)
    return max(usable, key=lambda key: (key.valid_from, key.kid))


def unlock(workspace: Workspace, issuer: int, name: str, *, passphrase: Callable[[str], bytes], now: int) -> Operator:
    """Open that person's key: the passphrase is asked for by name. Raises as `find_key`, and for a wrong passphrase."""
    key = find_key(workspace.config, issuer, name, day_of_time(now))
    return Operator(name=name, key=key, signer=workspace.person(key, passphrase(name)))


def check_operator(workspace: Workspace, issuer: int, name: str | None, *, now: int) -> None:
    """Refuse an act without a name where the issuer has operators, and with one where it has none.

    Raises OperatorNeededError, OptionError, or what `find_key` raises.
    """
    if not workspace.config.needs_two(issuer, day_of_time(now)):
        if name is not None:
            raise OptionError(
                f"机构 {issuer} 没有经办人，不用 --operator", f"issuer {issuer} has no operators: leave --operator out"
            )
        return
    if name is None:
        raise _needed(workspace, issuer, day_of_time(now))
    find_key(workspace.config, issuer, name, day_of_time(now))


def come_forward(
    workspace: Workspace, issuers: Sequence[int], name: str | None, *, passphrase: Callable[[str], bytes], now: int
) -> None:
    """Let that person be here for those of the issuers that they are an operator of (`unlock`); None: nobody is.

    Raises OperatorNeededError for nobody where all of them act through operators, OptionError for a name where none
    does, and as `unlock`.
    """
    today = day_of_time(now)
    taking = [issuer for issuer in issuers if workspace.config.needs_two(issuer, today)]
    if not taking or (name is None and len(taking) == len(issuers)):
        check_operator(workspace, issuers[0], name, now=now)
    if name is None or not taking:
        return
    known = {key.issuer for key in workspace.config.keys if key.operator == name}
    theirs = [issuer for issuer in taking if issuer in known]
    for issuer in theirs or taking[:1]:
        unlock(workspace, issuer, name, passphrase=passphrase, now=now)


def acting(workspace: Workspace, issuer: int, *, now: int) -> By:
    """Who issues copies: the issuer's operator who is here (of several, who came last), the desk where it has none.

    Raises OperatorNeededError.
    """
    today = day_of_time(now)
    if not workspace.config.needs_two(issuer, today):
        return DESK
    names = {key.kid: key.operator for key in workspace.config.operators(issuer, today)}
    here = [names[kid] for kid in workspace.persons if kid in names]
    if not here:
        raise _needed(workspace, issuer, today)
    return By(operators=(here[-1],))


def _needed(workspace: Workspace, issuer: int, today: int) -> OperatorNeededError:
    names = dict.fromkeys(key.operator for key in workspace.config.operators(issuer, today))
    return OperatorNeededError(issuer, tuple(names))


def check_new_names(names: tuple[str, ...]) -> None:
    """Refuse names that mingzheng.toml could not hold, or one twice. Raises OptionError."""
    for name in names:
        if not name or name != name.strip() or not name.isprintable() or len(name) > MAX_OPERATOR:
            raise OptionError(
                f"经办人名称须为 1 至 {MAX_OPERATOR} 个可见字符",
                f"an operator's name has 1 to {MAX_OPERATOR} characters",
            )
    if len(set(names)) != len(names):
        raise OptionError("同一经办人写了两次", "one operator is named twice")


def first_day(workspace: Workspace, issuer: int, *, now: int) -> int:
    """From which day on a new operator may sign: today, unless one person did today what will take two.

    From the issuer's first operator's first day on every such act takes two; what was done before must stay good.
    """
    today = day_of_time(now)
    if workspace.config.needs_two(issuer, today):
        return today
    acts = [act for act in workspace.ledger.all_acts() if act.issuer == issuer]
    alone = (act.day + 1 for act in acts if act.act >= NOTICE_ACT or ends_copies(workspace, issuer, act.act, _of(act)))
    return max(today, *alone, 0)


def _of(act: ActRow) -> tuple[int, ...]:
    """The serials that an act names."""
    entry = parse_entry(act.entry)
    return entry.serials if isinstance(entry, ActEntry) else ()


def add_operator(
    workspace: Workspace, issuer: int, person: NewOperator, *, days: tuple[int | None, int], now: int
) -> KeySpec:
    """Make a key for that person and tell the log. `days`: first (None: as soon as may be) and last.

    An earlier call that was cut short before the log was told is finished; the person is there then.
    Raises OptionError, OperatorExistsError, KeyMissingError without an authority key.
    """
    check_new_names((person.name,))
    if workspace.config.issuer(issuer) is None:
        raise OptionError(f"没有编号为 {issuer} 的机构", f"there is no issuer {issuer}")
    today = day_of_time(now)
    authority = workspace.config.key_for(Role.AUTHORITY, issuer, today)
    if authority is None:
        raise KeyMissingError(str(Role.AUTHORITY), issuer, format_day(today))
    with contextlib.suppress(PersonNeededError):  # the new one may be who stands in
        settle_keys(workspace, now=now)
    theirs = [key for key in workspace.config.keys if (key.issuer, key.operator) == (issuer, person.name)]
    for key in theirs:
        if not key.is_out and key.valid_until >= today:
            if key.added and not is_told_added(workspace, key):
                tell_added(workspace, key, by=authority, now=now)
            raise OperatorExistsError(person.name)
    least = first_day(workspace, issuer, now=now)
    first = least if days[0] is None else days[0]
    if not least <= first <= days[1]:
        raise OptionError(
            f"起用日须在 {format_day(least)} 至截止日之间",
            f"the first day lies between {format_day(least)} and the last day",
        )
    made = workspace.add_operator(issuer, person, days=(first, days[1]))
    tell_added(workspace, made, by=authority, now=now)
    return made


def retire_operator(workspace: Workspace, issuer: int, name: str, *, now: int) -> KeySpec:
    """Let every key of that person sign nothing more, one that has not begun, too; the last of them.

    Asked for again, it finishes what an earlier call that was cut short did not tell the log. Raises
    OperatorUnknownError, OperatorOutError where nothing is left to do, and as `retire_key`.
    """
    theirs = [key for key in workspace.config.keys if (key.issuer, key.operator) == (issuer, name)]
    if not theirs:
        raise OperatorUnknownError(name, issuer)
    today = day_of_time(now)
    retired = [key for key in theirs if key.retired_on is not None and key.good_size is None]
    untold = [key for key in retired if not is_told_retired(workspace, key)]
    usable = [key for key in theirs if not key.is_out and key.valid_until >= today]
    if not untold and not usable:
        for key in retired:  # it may be told, and the log not have it, or the status list be the one of before
            with contextlib.suppress(KeyStateError):
                retire_key(workspace, key.kid, now=now)
        finish(workspace, now=now)
        raise OperatorOutError(name)
    return [retire_key(workspace, key.kid, now=now) for key in (*untold, *usable)][-1]


def sign_again(workspace: Workspace, *, now: int) -> int:
    """Bring what waits for the persons who are here (`unlock`) into the log; how many acts that were.

    Raises PersonNeededError if others are needed.
    """
    return settle(workspace, now=now).acts
