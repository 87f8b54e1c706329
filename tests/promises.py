"""What a log promises, held against what is left of it: for the fault suites, whatever the fault.

A `Board` is memory shared with a forked child: what it notes there survives its death, and noting makes no system call
that could be traced or failed. `hold` proves every acknowledged entry in every later checkpoint, and every published
checkpoint consistent with every other, by the proofs that a reader would ask for.
"""

import mmap
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from logworld import IDENTITY, NAME, LogWorld

from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.fsck import fsck
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.merkle import HashReader
from mingzheng.log.proof import build_consistency, build_inclusion, verify_consistency, verify_inclusion
from mingzheng.log.store import PosixStore

Kind = Literal["acknowledged", "published", "opened", "stopped", "bug"]
KINDS: tuple[Kind, ...] = ("acknowledged", "published", "opened", "stopped", "bug")
_START = 8


class Board:
    """Records in the order they were noted: a kind, a number, bytes. One process; its threads may note side by side."""

    def __init__(self, size_bytes: int = 1 << 20) -> None:
        self._memory = mmap.mmap(-1, size_bytes)
        self._memory[:_START] = _START.to_bytes(8, "big")
        self._lock = threading.Lock()

    def note(self, kind: Kind, number: int = 0, data: bytes = b"") -> None:
        """The end moves last: a record cut short by a kill is none."""
        record = bytes([KINDS.index(kind)]) + number.to_bytes(8, "big") + len(data).to_bytes(4, "big") + data
        with self._lock:
            end = int.from_bytes(self._memory[:_START], "big")
            self._memory[end : end + len(record)] = record
            self._memory[:_START] = (end + len(record)).to_bytes(8, "big")

    def records(self) -> list[tuple[Kind, int, bytes]]:
        found, at, end = [], _START, int.from_bytes(self._memory[:_START], "big")
        while at < end:
            length = int.from_bytes(self._memory[at + 9 : at + 13], "big")
            data = self._memory[at + 13 : at + 13 + length]
            found.append((KINDS[self._memory[at]], int.from_bytes(self._memory[at + 1 : at + 9], "big"), data))
            at += 13 + length
        return found

    def close(self) -> None:
        self._memory.close()

    def watch_publication(self) -> None:
        """In the child: note every checkpoint before it can be seen."""
        publish = PosixStore.publish_checkpoint

        def watched(store: PosixStore, note: bytes) -> None:
            self.note("published", 0, note)
            publish(store, note)

        PosixStore.publish_checkpoint = watched  # type: ignore[method-assign]


@dataclass
class Promises:
    """Everything said about one log so far, in order."""

    acknowledged: dict[bytes, int] = field(default_factory=dict)
    published: dict[bytes, int] = field(default_factory=dict)  # note -> the size that was acknowledged before it
    floor: int = 0

    def acknowledge(self, entries: Sequence[bytes], indexes: Sequence[int]) -> None:
        for entry, index in zip(entries, indexes, strict=True):
            assert self.acknowledged.setdefault(entry, index) == index, "the same entry at two places"
            self.floor = max(self.floor, index + 1)

    def publish(self, note: bytes | None) -> None:
        if note is not None:
            self.published[note] = max(self.published.get(note, 0), self.floor)

    def read(self, board: Board) -> None:
        """What a process said before it died."""
        for kind, number, data in board.records():
            assert kind != "bug", data.decode()
            if kind == "acknowledged":
                self.acknowledge([data], [number])
            elif kind == "published":
                self.publish(data)

    def read_all(self, boards: Iterable[Board]) -> None:
        """Of processes that lived side by side: what each knew is in its own order."""
        known = newest = self.floor
        for board in boards:
            self.floor = known
            self.read(board)
            newest = max(newest, self.floor)
        self.floor = newest

    def look(self, world: LogWorld) -> None:
        """What anyone can see now is published for good."""
        path = world.public / "checkpoint"
        self.publish(path.read_bytes() if path.exists() else None)


def hold(world: LogWorld, promises: Promises) -> int:
    """fsck, then every proof; how many proofs were checked. Raises AssertionError, LogError."""
    assert fsck(world.directory, vkey=IDENTITY.vkey()).faults == ()
    reader = LogReader(DirectoryFetcher(world.public), IDENTITY.vkey())
    newest = reader.refresh()
    kept: dict[tuple[int, int], Hash] = {}

    def read(level: int, index: int) -> Hash:
        if (level, index) not in kept:
            kept[level, index] = reader.node(level, index)
        return kept[level, index]

    heads: dict[int, Hash] = {newest.size: newest.root}
    later: list[tuple[int, int]] = []
    for note, floor in promises.published.items():
        head = open_checkpoint(note, vkeys=[IDENTITY.vkey()], origin=NAME)
        assert heads.setdefault(head.size, head.root) == head.root, f"two heads of size {head.size}"
        later.append((head.size, floor))
    assert all(size >= floor for size, floor in later), "a checkpoint without an entry acknowledged before it"
    return _inclusion(reader, promises, heads, read) + _consistency(heads, read)


def _inclusion(reader: LogReader, promises: Promises, heads: dict[int, Hash], read: HashReader) -> int:
    entries = [data for _index, data in reader.entries(0, reader.checkpoint().size)]
    done = 0
    for entry, index in promises.acknowledged.items():
        assert entries[index] == entry
        for size, root in heads.items():
            if size > index:
                verify_inclusion(build_inclusion(index, size, read), leaf_hash(entry), root)
                done += 1
    return done


def _consistency(heads: dict[int, Hash], read: HashReader) -> int:
    pairs: Iterable[tuple[int, int]] = combinations(sorted(size for size in heads if size > 0), 2)
    done = 0
    for old, new in pairs:
        verify_consistency(build_consistency(old, new, read), heads[old], heads[new])
        done += 1
    return done
