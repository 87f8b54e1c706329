"""A fresh log world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from logworld import LogWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LogWorld]:
    made = LogWorld(root=tmp_path)
    yield made
    made.close()
