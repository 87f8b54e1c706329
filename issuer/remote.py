"""A log that is served elsewhere (MINGZHENG_LOG_URL): own keys, the log over HTTP (docs/spec/server.md).

Issuing submits to it; lists are drawn from what it serves, followed in `followed/`. Left out: what needs the log itself
(fsck, migration, roll-over); that runs where the log is.
"""

import time
from collections.abc import Callable
from typing import Final

from mingzheng.issuer.logplace import before_of
from mingzheng.issuer.refusals import KeyMissingError, LogBehindLedgerError
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.client import Fetcher
from mingzheng.log.collected import OriginKeys
from mingzheng.log.followed import FollowedLog, FollowPlan
from mingzheng.log.submitclient import RemoteLog

__all__ = ["FOLLOWED", "open_followed", "open_remote", "origin_keys"]

FOLLOWED: Final = "followed"


def open_remote(url: str, workspace: Workspace) -> RemoteLog:
    """The served log of this workspace. Raises LogUrlError, KeyMissingError for an issuer without submit key."""
    issuers = [spec.number for spec in workspace.config.issuers]
    if workspace.config.has_log_submitter:
        issuers.append(0)  # the log's own entries: its landmarks
    signers = {number: workspace.newest_signer(Role.SUBMIT, number) for number in issuers}
    return RemoteLog.at(url, origin_keys(workspace), signers=signers)


def open_followed(
    fetcher: Fetcher,
    workspace: Workspace,
    *,
    close: Callable[[], None],
    pause: Callable[[float], None] = time.sleep,
) -> FollowedLog:
    """The served log of this workspace as lists need it. `close`: what to let go of at the end.

    Raises as `FollowedLog.head`, LogBehindLedgerError.
    """
    config = workspace.config
    plan = FollowPlan(
        fetcher=fetcher,
        keys=origin_keys(workspace),
        act_keys=config,
        issuers=frozenset(spec.number for spec in config.issuers),
        state=workspace.root / FOLLOWED / f"{config.origin.number}.state",
        before=before_of(workspace.log_directory()),
        pause=pause,
    )
    log = FollowedLog(plan, lambda: workspace.issuing_log, close=close)
    try:
        size, _root = log.head()
        if (known := 1 + workspace.last_event()) > size:
            raise LogBehindLedgerError(size, known)
    except BaseException:
        log.close()
        raise
    return log


def origin_keys(workspace: Workspace) -> OriginKeys:
    """What the workspace's own configuration says of its log."""
    origin = workspace.config.origin
    receipt = workspace.config.log_key(Role.RECEIPT, origin.number)
    if receipt is None:
        raise KeyMissingError(str(Role.RECEIPT), 0, "")
    return OriginKeys(
        number=origin.number,
        name=origin.name,
        block_height=origin.block_height,
        vkey=parse_vkey(log_vkey(workspace.config)),
        receipt_key=receipt.public_key,
    )
