"""Refusals: a stable code of their own, an exit status, both languages, no holder."""

import inspect
import re

import pytest

import mingzheng.issuer.refusals as refusals
from mingzheng.issuer.errors import IssuerError
from mingzheng.issuer.refusals import RefusalError

LEAVES = [
    item
    for _, item in inspect.getmembers(refusals, inspect.isclass)
    if issubclass(item, RefusalError) and item.__module__ == refusals.__name__
]


def test_every_leaf_has_a_code_of_its_own_and_an_exit_status() -> None:
    codes = [item.code for item in LEAVES]
    assert len(set(codes)) == len(codes) > 20
    for item in LEAVES:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", item.code)
        assert item.exit_code in (1, 2, 4)
        assert item.__doc__
        assert issubclass(item, IssuerError)


@pytest.mark.parametrize(
    "error",
    [
        refusals.WorkspaceExistsError("W"),
        refusals.WorkspaceUnfinishedError(".W.init"),
        refusals.WorkspaceMissingError("W", "log"),
        refusals.WorkspaceBusyError(),
        refusals.ConfigError("keys", "why"),
        refusals.DemoOnlyError(),
        refusals.KeyMissingError("act", 1, "2026-06-01"),
        refusals.KeyMismatchError("a.pem"),
        refusals.ImageMissingError("00"),
        refusals.NotALedgerError("ledger.sqlite"),
        refusals.LedgerNewerError(2, 1),
        refusals.LedgerCorruptError("a record"),
        refusals.LedgerBehindLogError(1, "serial", 1, 2),
        refusals.RegistrationClosedError("suspended"),
        refusals.RegistrationClosedError("other"),
        refusals.RegistrationLockedError(1, 2),
        refusals.ClockBehindError(1, 2),
        refusals.LedgerWriteError("disk full"),
        refusals.ForeignStoreError(),
        refusals.SerialUnknownError(1, 2),
        refusals.RegistrationUnknownError(),
        refusals.ReadBackError(3, "QR"),
        refusals.FaultyRecordsError(()),
        refusals.ActRefusedError("无", "none"),
        refusals.UnknownIssuerError("无", "none"),
        refusals.DemoNameError("无", "none"),
    ],
)
def test_messages_are_chinese_and_english(error: RefusalError) -> None:
    assert re.search("[一-鿿]", error.zh)
    assert not re.search("[一-鿿]", error.en)
    assert str(error) == f"{error.zh} / {error.en}"
