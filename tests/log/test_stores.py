"""One suite over every storage: memory, directory, and PostgreSQL with an S3 server (docs/spec/storage.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from logstores import CloudWorld, DirectoryWorld, MemoryWorld, World
from logsuite import *  # noqa: F403 the suite itself
from logworld import STATUS, act, issue, key_event

from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventType
from mingzheng.log.statusmaker import make_status

CLOUD = pytest.param(CloudWorld, marks=[pytest.mark.postgres, pytest.mark.s3], id="cloud")


@pytest.fixture(params=[pytest.param(MemoryWorld, id="memory"), pytest.param(DirectoryWorld, id="directory"), CLOUD])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A fresh world of each storage."""
    made: World = request.param(root=tmp_path)
    yield made
    made.close()


def test_fsck_is_clean_over_a_whole_life(world: World) -> None:
    log = world.create()
    assert world.published() == log.checkpoint()
    world.submit(log, *(issue(serial) for serial in range(100)))
    world.submit(log, *(issue(serial) for serial in range(100, 260)), issue(5, issuer=2))
    world.submit(log, act(0, ActType.REVOKE, [1, 7]), act(1, ActType.VOID, [400]))
    world.submit(log, key_event(2, KeyEventType.RETIRED, STATUS.public_key.kid))
    make_status(log, 1, signer=STATUS, now=world.now)
    note = log.checkpoint()
    assert log.database_faults() == []
    log.close()
    report = world.fsck()
    assert report.faults == ()
    assert (report.size, report.bundles, report.tiles) == (272, 2, 3)
    assert world.published() == note
