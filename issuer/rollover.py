"""One yearly log of a workspace ends, the next begins (docs/spec/storage.md, "The logs of a workspace").

`announce` makes the next log's keys, so that trust data and witnesses know them before it is there. `roll_over` brings
everything on its way into the old log, gives it a last landmark list, closes it, begins the new one, and last of all
lets mingzheng.toml name the new one. Each step is durable and done once: cut short anywhere, the same call is made
again. Left out: logs that were moved to a database server, or are served elsewhere.
"""

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

import mingzheng.log.rollover as shards
from mingzheng.issuer.config import ClosedOrigin
from mingzheng.issuer.landmarks import refresh_landmark
from mingzheng.issuer.logplace import is_moved
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import EXIT_USAGE, RefusalError
from mingzheng.issuer.witnessing import cosign_head, read_policy
from mingzheng.issuer.workspace import Workspace, check_demo_name, log_vkey
from mingzheng.keys.errors import BadVkeyError
from mingzheng.keys.trust import OriginRecord
from mingzheng.keys.vkey import check_name, parse_vkey
from mingzheng.log.refusal import LogFrozenError

__all__ = ["RolledOver", "announce", "check_possible", "is_rolled_over", "roll_over"]

_logger = logging.getLogger(__name__)


class RollOverNumberError(RefusalError):
    """The number of the log that is to come is not above those of all logs of the workspace."""

    code: ClassVar[str] = "rollover.number"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, number: int, last: int) -> None:
        super().__init__(
            f"后继日志的编号须大于 {last}（给出的是 {number}）；用过的编号不再使用",
            f"the number of the next log is above {last}, not {number}: no number is used twice",
        )


class RollOverNameError(RefusalError):
    """The name of the log that is to come is a used one, or none at all."""

    code: ClassVar[str] = "rollover.name"
    exit_code: ClassVar[int] = EXIT_USAGE


class RollOverOtherError(RefusalError):
    """Another log was announced as the next."""

    code: ClassVar[str] = "rollover.other"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, following: OriginRecord) -> None:
        super().__init__(
            f"已预告的后继日志是 {following.number} 号 {following.name}；请照此给出 --number 和 --name",
            f"the next log was announced as {following.number} {following.name}: give --number and --name so",
        )


class RollOverServedError(RefusalError):
    """Entries of this workspace go to a log that is served elsewhere: it is rolled over where it is."""

    code: ClassVar[str] = "rollover.served"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self) -> None:
        super().__init__(
            "设置了 MINGZHENG_LOG_URL：请先停下日志服务，在日志所在的机器上去掉这个变量再换日志",
            "MINGZHENG_LOG_URL is set: stop the server, and roll over on the log's own machine without the variable",
        )


class RollOverMovedError(RefusalError):
    """A log in a database server cannot be rolled over yet."""

    code: ClassVar[str] = "rollover.moved"

    def __init__(self) -> None:
        super().__init__(
            "日志已迁到数据库，这样的日志还不能换",
            "the log was moved to a database server: such a log cannot be rolled over yet",
        )


class RollOverPolicyError(RefusalError):
    """The policy of witnesses lists logs, and not the one that is to come."""

    code: ClassVar[str] = "rollover.policy"

    def __init__(self, vkey: str) -> None:
        super().__init__(
            f"witnesses.policy 列出了日志，却没有后继日志；请加上一行：log {vkey}",
            f"witnesses.policy lists logs, and not the next one: add the line: log {vkey}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledOver:
    """What a roll-over did. `cosigned`: whether the closed log's last head met the policy; None without witnesses."""

    closed: ClosedOrigin
    origin: OriginRecord
    vkey: str
    done: bool  # False: it was done before
    cosigned: bool | None


def is_rolled_over(workspace: Workspace, number: int, name: str) -> bool:
    """Whether the workspace has gone on to that log already."""
    config = workspace.config
    return bool(config.closed) and (config.origin.number, config.origin.name) == (number, name)


def announce(workspace: Workspace, number: int, name: str, *, days: tuple[int, int]) -> OriginRecord:
    """Make the keys of the log that comes next, valid on those days (inclusive); nothing if that was done.

    Raises RollOverNumberError, RollOverNameError, DemoNameError, RollOverOtherError, RollOverServedError,
    RollOverMovedError.
    """
    check_possible(workspace, number, name)
    config = workspace.config
    following = OriginRecord(number=number, name=name, block_height=config.origin.block_height)
    if config.following is None:
        workspace.announce(following, days)
        _logger.info("announced origin=%d", number)
    return following


def roll_over(workspace: Workspace, number: int, name: str, *, days: tuple[int, int], now: int) -> RolledOver:
    """End the log that is written to and go on in origin `number`; nothing if that was done. `now`: seconds.

    Raises as `announce` and `settle`, RollOverPolicyError, RolledElsewhereError for a log closed for another.
    """
    if is_rolled_over(workspace, number, name):
        return _result(workspace, done=False, cosigned=None)
    check_possible(workspace, number, name)
    old = workspace.stored_log()
    if isinstance(old.read_only, LogFrozenError):
        old.check_closed_for(number)
    else:
        settle(workspace, now=now)
    following = announce(workspace, number, name, days=days)
    policy = read_policy(workspace)
    vkey = log_vkey(workspace.config, number)
    if policy is not None and not policy.accepts_log(parse_vkey(vkey)):
        raise RollOverPolicyError(vkey)
    if old.read_only is None:
        refresh_landmark(workspace, now=now)  # the last chance: it is an entry
    shards.roll_over(old, workspace.successor_log, successor=number, now=now).close()
    cosigned = None if policy is None else cosign_head(workspace, policy).witnessed.satisfied
    config = workspace.config
    closed = ClosedOrigin(origin=config.origin, size=old.head()[0])
    workspace.store_config(replace(config, origin=following, following=None, closed=(*config.closed, closed)))
    _logger.info("rolled over origin=%d closed=%d size=%d", number, closed.origin.number, closed.size)
    return _result(workspace, done=True, cosigned=cosigned)


def check_possible(workspace: Workspace, number: int, name: str) -> None:
    """Refuse what cannot be the next log, or a log that cannot be rolled over here. Raises as `announce`."""
    config = workspace.config
    if workspace.is_remote:
        raise RollOverServedError
    if is_moved(workspace.log_directory()):
        raise RollOverMovedError
    if config.following is not None:
        if (config.following.number, config.following.name) != (number, name):
            raise RollOverOtherError(config.following)
        return
    if number <= config.origin.number:
        raise RollOverNumberError(number, config.origin.number)
    if name in {origin.name for origin in config.begun}:
        raise RollOverNameError(
            "这个名称已属于工作区的一个日志；请换一个", "a log of the workspace has this name: choose another"
        )
    try:
        check_name(name)
    except BadVkeyError as error:
        raise RollOverNameError(
            "日志名不能为空、不能含空格、加号或控制字符，至多 255 字节",
            "the name of a log has 1 to 255 bytes, no space, plus or control character",
        ) from error
    check_demo_name(name, demo=config.demo)


def _result(workspace: Workspace, *, done: bool, cosigned: bool | None) -> RolledOver:
    config = workspace.config
    return RolledOver(
        closed=config.closed[-1], origin=config.origin, vkey=log_vkey(config), done=done, cosigned=cosigned
    )
