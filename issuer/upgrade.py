"""Bringing a workspace of an earlier program up to this one: a backup first, then the ledger's tables, step by step.

Source: docs/workspace.md ("Keeping it"). Every step is one transaction; killed anywhere, the ledger is of one version
or the next, and the same command goes on. There is no way back but the backup. The log's own database keeps its schema
by itself (docs/spec/storage.md).
"""

from dataclasses import dataclass
from pathlib import Path

from mingzheng.issuer.backup import BackedUp, back_up
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.ledgerfile import ledger_version
from mingzheng.issuer.refusals import WorkspaceMissingError
from mingzheng.issuer.schema import SCHEMA_VERSION
from mingzheng.issuer.workspace import CONFIG, LEDGER
from mingzheng.issuer.workspacelock import lock_workspace

__all__ = ["UpgradePlan", "plan_upgrade", "upgrade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradePlan:
    """The version that the ledger has, and the versions that it goes through; none: nothing is to be done."""

    found: int
    steps: tuple[int, ...]


def plan_upgrade(root: Path) -> UpgradePlan:
    """What there is to do; changes nothing. Raises WorkspaceMissingError, NotALedgerError, LedgerNewerError."""
    for name in (CONFIG, LEDGER):
        if not (root / name).exists():
            raise WorkspaceMissingError(root.name or str(root), name)
    found = ledger_version(root / LEDGER)
    return UpgradePlan(found=found, steps=tuple(range(found + 1, SCHEMA_VERSION + 1)))


def upgrade(root: Path, *, backup: Path, with_keys: bool, now: int) -> BackedUp | None:
    """Back up to `backup`, then bring the ledger up; None, and no backup, if there is nothing to do.

    Raises as `plan_upgrade` and `back_up`, WorkspaceBusyError, LedgerWriteError.
    """
    lock = lock_workspace(root)
    try:
        if not plan_upgrade(root).steps:
            return None
        made = back_up(root, backup, with_keys=with_keys, now=now)
        Ledger.upgrade(root / LEDGER).close()
        return made
    finally:
        lock.release()
