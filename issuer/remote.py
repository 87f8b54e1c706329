"""Issuing into a log that is served elsewhere (MINGZHENG_LOG_URL): own keys, the log over HTTP (docs/spec/server.md).

Left out: what needs the log itself (status lists, landmarks, fsck); that runs where the log is.
"""

from mingzheng.issuer.refusals import KeyMissingError
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.collected import OriginKeys
from mingzheng.log.submitclient import RemoteLog

__all__ = ["open_remote", "origin_keys"]


def open_remote(url: str, workspace: Workspace) -> RemoteLog:
    """The served log of this workspace. Raises LogUrlError, KeyMissingError for an issuer without submit key."""
    issuers = [spec.number for spec in workspace.config.issuers]
    signers = {number: workspace.newest_signer(Role.SUBMIT, number) for number in issuers}
    return RemoteLog.at(url, origin_keys(workspace), signers=signers)


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
