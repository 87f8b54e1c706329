"""Keys of a workspace after its first day: a new one, one that retires, one that was stolen (docs/drills.md).

Source: DESIGN §6 (key compromise), docs/spec/log.md (key events). What is said of an issuer's key goes into
mingzheng.toml, so into the trust data of the next export, and as a key event under the authority key into the log.
Each of these can be killed anywhere and run again.
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.credential import parse_credential
from mingzheng.issuer.approvalerrors import PersonNeededError
from mingzheng.issuer.config import KeySpec, WorkspaceConfig, issuer_roles
from mingzheng.issuer.exporting import refresh_status
from mingzheng.issuer.foreign import is_put_out, settle_keys
from mingzheng.issuer.foreignerrors import ForeignAuthorityError
from mingzheng.issuer.noticebook import Given, list_notices
from mingzheng.issuer.publish import finish, sign_key_event
from mingzheng.issuer.refusals import KeyMissingError, KeyStateError, OptionError
from mingzheng.issuer.rows import NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role
from mingzheng.log.entry import KeyEventEntry, KeyEventType, OriginSize, kids_of, parse_entry

__all__ = [
    "ISSUER_ROLES",
    "add_key",
    "compromise_key",
    "is_told_added",
    "is_told_retired",
    "lost_copies",
    "lost_notices",
    "retire_key",
    "stealable_key",
    "tell_added",
]

ISSUER_ROLES: Final = (Role.AUTHORITY, Role.CREDENTIAL, Role.ACT, Role.STATUS)
_ENDING_ROLES: Final = (*ISSUER_ROLES, Role.OPERATOR)
"""Of keys that can be retired or reported stolen; an operator's is made under another passphrase than the office's."""

_logger = logging.getLogger(__name__)


def add_key(workspace: Workspace, role: Role, issuer: int, *, days: tuple[int, int], now: int) -> KeySpec:
    """Make a key of that role for those days; from its first day it is the one that signs. `now`: seconds.

    Asked for again, with the same days, it is the same key; what an earlier call, cut short, did not tell is told. The
    log hears of it under the authority key of before. An authority key that follows none has no event.
    Raises OptionError for an issuer that is not there, KeyMissingError without an authority key.
    """
    spec = workspace.config.issuer(issuer)
    if spec is None:
        raise OptionError(f"没有编号为 {issuer} 的机构", f"there is no issuer {issuer}")
    today = day_of_time(now)
    authority = workspace.config.key_for(Role.AUTHORITY, issuer, today)
    if authority is None and role is not Role.AUTHORITY:
        raise KeyMissingError(str(Role.AUTHORITY), issuer, format_day(today))
    settle_keys(workspace, now=now)
    if authority is not None and is_put_out(workspace, authority.kid):
        if role is not Role.AUTHORITY:
            raise ForeignAuthorityError(authority.kid.hex())
        authority = None  # no event is taken from it: the new one follows none
    made = _added_before(workspace.config, role, issuer, days)
    if made is None:
        made = workspace.add_key(role, issuer, alg=dict(issuer_roles(spec))[role], days=days)
        if authority is not None:
            tell_added(workspace, made, by=authority, now=now)
    elif authority is not None and authority.kid != made.kid and not is_told_added(workspace, made):
        tell_added(workspace, made, by=authority, now=now)
    return made


def _added_before(config: WorkspaceConfig, role: Role, issuer: int, days: tuple[int, int]) -> KeySpec | None:
    """The key that an earlier call made for those days and nobody put out; not the one the issuer began with."""
    _first, *later = (key for key in config.keys if (key.role, key.issuer) == (role, issuer))
    same = [key for key in later if (key.valid_from, key.valid_until) == days and not key.is_out]
    return same[-1] if same else None


def tell_added(workspace: Workspace, made: KeySpec, *, by: KeySpec, now: int) -> None:
    """Tell the log of a new key, under that authority key."""
    _tell(workspace, _event(made, KeyEventType.ADDED, day_of_time(now), by=by), now=now)


def is_told_added(workspace: Workspace, key: KeySpec) -> bool:
    """Whether the log has been told of that key, or will be: its event is stored."""
    return _is_said(workspace, _event(key, KeyEventType.ADDED, 0, by=key))


def is_told_retired(workspace: Workspace, key: KeySpec) -> bool:
    """As `is_told_added`, of a key's retirement."""
    return _is_said(workspace, _event(key, KeyEventType.RETIRED, 0, by=key))


def retire_key(workspace: Workspace, kid: Kid, *, now: int) -> KeySpec:
    """Let an issuer's key sign nothing more, from now; what it signed stays as good as it was.

    The log has no event for a submit key: verifiers never see one, and the server reads the trust data.
    Raises OptionError for a kid that is no issuer's key here, KeyStateError if it was retired or stolen before,
    KeyMissingError if it is the issuer's only authority key.
    """
    key, today = _find(workspace, kid, (*_ENDING_ROLES, Role.SUBMIT)), day_of_time(now)
    last = today if key.retired_on is None else key.retired_on
    if key.role is Role.SUBMIT:
        workspace.store_config(_with(workspace.config, replace(key, retired_on=last)))
        return workspace.config.keys[_place(workspace.config, kid)]
    said = _event(key, KeyEventType.RETIRED, today, by=key)
    if key.good_size is not None or (last != today and _is_said(workspace, said)):
        finish(workspace, now=now)  # said on an earlier day, and the log may not have it
        raise KeyStateError(kid.hex())
    _put_out(workspace, key, replace(key, retired_on=last), KeyEventType.RETIRED, now=now)
    return workspace.config.keys[_place(workspace.config, kid)]


def compromise_key(workspace: Workspace, kid: Kid, *, good_size: int, now: int, origin: int | None = None) -> KeySpec:
    """Say that a key is in other hands. Of an issuer's key only what stands below `good_size` in the log counts
    (in `origin`, by default the log that is written to: with all of the logs before it, and nothing of those after);
    receipts of a log's receipt key count for nothing, whatever the size.

    A size may be lowered by a later call, never raised. Raises OptionError for a kid that is neither,
    KeyStateError for a larger size than said before, KeyMissingError if no other authority key could say it.
    """
    key = stealable_key(workspace, kid)
    if key.role is Role.RECEIPT:
        workspace.store_config(_with(workspace.config, replace(key, good_size=0)))
        return workspace.config.keys[_place(workspace.config, kid)]
    config = workspace.config
    shard = config.shard if origin is None else config.shard_of(origin)
    if key.good_size is not None and (shard, good_size) > (_shard_of_loss(config, key), key.good_size):
        raise KeyStateError(kid.hex())
    size = workspace.listing_log.head()[0] if shard == config.shard else config.closed[shard].size
    if not 0 <= good_size <= size:
        raise OptionError(f"日志只有 {size} 条", f"the log has {size} entries: give a size up to that")
    changed = replace(key, good_size=good_size, good_origin=config.begun[shard].number if shard else 0)
    _put_out(workspace, key, changed, KeyEventType.COMPROMISED, now=now)
    return workspace.config.keys[_place(workspace.config, kid)]


def stealable_key(workspace: Workspace, kid: Kid) -> KeySpec:
    """The key of that kid, if it is one that can be reported stolen. Raises OptionError."""
    return _find(workspace, kid, (*_ENDING_ROLES, Role.RECEIPT))


def lost_copies(workspace: Workspace, key: KeySpec) -> tuple[int, ...]:
    """The serials of live copies under a stolen key that no longer count: they are to be issued again."""
    if key.role is not Role.CREDENTIAL or key.good_size is None:
        return ()
    rows = workspace.ledger.live_from(key.issuer, key.good_size, shard=_shard_of_loss(workspace.config, key))
    return tuple(row.serial for row in rows if row.signed and parse_credential(row.signed).kid == key.kid)


def lost_notices(workspace: Workspace, key: KeySpec) -> tuple[Given, ...]:
    """The notices under a stolen key that no longer count: those that were genuine are to be given again."""
    return tuple(item for item in list_notices(workspace, key.issuer) if item.void and key.kid in kids_of(item.entry))


def _put_out(workspace: Workspace, key: KeySpec, changed: KeySpec, event: KeyEventType, *, now: int) -> None:
    """mingzheng.toml first, then the log; a status list by a key that still counts."""
    config, today = _with(workspace.config, changed), day_of_time(now)
    authority = config.key_for(Role.AUTHORITY, key.issuer, today)
    if authority is None:
        raise KeyMissingError(str(Role.AUTHORITY), key.issuer, format_day(today))
    if not key.is_out:
        with contextlib.suppress(PersonNeededError):  # once the key of whoever is gone is out, another stands in
            settle_keys(workspace, now=now)  # what it signed rightly goes into the log before the log refuses it
    workspace.store_config(_with(workspace.config, changed))  # settling may have written it
    record = config.record(changed.kid)
    assert record is not None  # it is one of ours
    sizes = tuple(OriginSize(number, size) for number, size in sorted((record.compromised or {}).items()))
    said = replace(_event(changed, event, today, by=authority), sizes=sizes)
    if _is_said(workspace, said):
        settle_keys(workspace, now=now)  # stored by a call that was cut short, perhaps, before the log had it
    else:
        _tell(workspace, said, now=now)
    if config.key_for(Role.STATUS, key.issuer, today) is not None:
        refresh_status(workspace, key.issuer, now=now)
    _logger.info("key out kid=%s event=%s", key.kid.hex(), event.name)


def _event(key: KeySpec, event: KeyEventType, day: int, *, by: KeySpec) -> KeyEventEntry:
    """Number and signature come when it is stored."""
    return KeyEventEntry(
        issuer=key.issuer,
        kid=by.kid,
        act_number=0,
        event=event,
        subject_kid=key.kid,
        day=day,
        sizes=(),
        signature=bytes(64),
    )


def _tell(workspace: Workspace, event: KeyEventEntry, *, now: int) -> None:
    """Number it among the issuer's acts, sign, store, submit."""
    if is_put_out(workspace, event.kid):
        raise ForeignAuthorityError(event.kid.hex())
    new = NewAct(
        issuer=event.issuer,
        act=-int(event.event),
        serials=(),
        day=event.day,
        reason="",
        status=CopyStatus.LIVE,
    )
    workspace.ledger.store_acts(
        [new], sign=lambda _, number: sign_key_event(workspace, replace(event, act_number=number))
    )
    settle_keys(workspace, now=now)


def _is_said(workspace: Workspace, event: KeyEventEntry) -> bool:
    """Whether an earlier call, cut short, had stored this event."""
    stored = [parse_entry(act.entry) for act in workspace.ledger.all_acts() if act.act == -int(event.event)]
    return any(
        isinstance(entry, KeyEventEntry)
        and (entry.issuer, entry.subject_kid, entry.sizes) == (event.issuer, event.subject_kid, event.sizes)
        for entry in stored
    )


def _shard_of_loss(config: WorkspaceConfig, key: KeySpec) -> int:
    """Which log was written to when the key was stolen."""
    return config.shard_of(key.good_origin) if key.good_origin else 0


def _find(workspace: Workspace, kid: Kid, roles: Sequence[Role]) -> KeySpec:
    key = next((key for key in workspace.config.keys if key.kid == kid and key.role in roles), None)
    if key is None:
        raise OptionError(
            f"{kid.hex()} 不是可以这样处理的密钥；用 mingzheng key list 查看",
            f"{kid.hex()} is no key this can be said of: see `mingzheng key list`",
        )
    return key


def _place(config: WorkspaceConfig, kid: Kid) -> int:
    return [key.kid for key in config.keys].index(kid)


def _with(config: WorkspaceConfig, changed: KeySpec) -> WorkspaceConfig:
    keys = tuple(changed if key.kid == changed.kid else key for key in config.keys)
    return replace(config, keys=keys)
