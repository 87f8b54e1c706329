"""Copies of a closed shard: its retired receipt key stands for them while their windows last, a stolen one does not."""

import pytest
from simulator import DAY, World

from mingzheng.verifier.findings import Code
from mingzheng.verifier.pipeline import verify_text


@pytest.fixture
def world() -> World:
    """Log 1 was closed on the day of issue, its receipt key retired; log 2 goes on with a key of its own."""
    made = World()
    made.old = made.issue_one(log=1)  # type: ignore[attr-defined]
    made.change_key(made.logs[1].receipt_signer.public_key.kid, retired_on=DAY)
    made.new = made.issue_one(log=2)  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("days", [0, 1, 30, 179])
def test_copies_of_both_shards_verify_while_their_windows_last(world: World, days: int) -> None:
    for issued in (world.old, world.new):  # type: ignore[attr-defined]
        report = verify_text(issued.text, world.context(at=DAY + days))
        assert report.verdict is Code.VALID_COMPARE, report.findings


def test_a_stolen_receipt_key_of_the_closed_shard_downgrades_that_shard_alone(world: World) -> None:
    world.compromise(world.logs[1].receipt_signer.public_key.kid, {})
    old = verify_text(world.old.text, world.context())  # type: ignore[attr-defined]
    assert old.verdict is Code.NOT_LOGGED
    assert Code.RECEIPT_KEY_COMPROMISED in {finding.code for finding in old.findings}
    new = verify_text(world.new.text, world.context())  # type: ignore[attr-defined]
    assert new.verdict is Code.VALID_COMPARE


def test_a_copy_dated_after_the_close_gets_nothing_from_the_retired_key(world: World) -> None:
    late = world.issue_one(log=1, copy_issued_on=DAY + 5)
    report = verify_text(late.text, world.context(at=DAY + 6))
    assert Code.RECEIPT_INVALID in {finding.code for finding in report.findings}
    assert report.verdict is not Code.VALID_COMPARE
