"""The part of the ledger that holds what the log has under our keys and this desk did not write (docs/drills.md, 9).

A foreign entry takes its act number, its serials and what it did to copies, as the log has them; nothing else is made
of it. Noting them is one transaction with its row of the journal, agreeing that they were looked at another one.
Acts of ours that they overtook wait under numbers below 0, until `place` gives them new ones.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from mingzheng.issuer.deskbook import DeskBook, packed, unpacked
from mingzheng.issuer.journal import GONE, MOVED, deed_name
from mingzheng.issuer.rows import STATUS_AFTER, ActRow, By, ForeignRow
from mingzheng.log.acts import ActType

__all__ = ["ForeignBook"]

_COLUMNS: Final = "shard, leaf_index, issuer, number, act, day, entry"


class ForeignBook:
    """Foreign entries of an open ledger."""

    def __init__(
        self, db: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]], desk: DeskBook
    ) -> None:
        self._db, self._transaction, self._desk = db, transaction, desk

    # what is known

    def entries(self, issuer: int | None = None) -> tuple[ForeignRow, ...]:
        """What was noted, of one issuer or of all, in the order of the logs."""
        statement = f"SELECT {_COLUMNS}, agreed IS NOT NULL FROM foreign_entry ORDER BY shard, leaf_index"  # noqa: S608
        return tuple(
            ForeignRow(
                shard=shard,
                leaf_index=index,
                issuer=whose,
                number=number,
                act=act,
                day=day,
                entry=entry,
                agreed=bool(agreed),
            )
            for shard, index, whose, number, act, day, entry, agreed in self._db.execute(statement)
            if issuer in (None, whose)
        )

    def waiting(self) -> dict[int, int]:
        """How many entries of each issuer nobody has agreed to yet; issuers without any are left out."""
        statement = "SELECT issuer, COUNT(*) FROM foreign_entry WHERE agreed IS NULL GROUP BY issuer ORDER BY issuer"
        return dict(self._db.execute(statement))

    def reach(self, issuer: int) -> int:
        """Above every serial that a foreign entry took."""
        row = self._db.execute("SELECT MAX(serial) FROM foreign_serial WHERE issuer = ?", (issuer,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def free(self, issuer: int, first: int, count: int) -> list[int]:
        """The next serials from `first` on that no foreign entry took."""
        statement = "SELECT serial FROM foreign_serial WHERE issuer = ? AND serial >= ? ORDER BY serial"
        found: list[int] = []
        at = first
        for (taken,) in self._db.execute(statement, (issuer, first)):
            found.extend(range(at, min(taken, at + count - len(found))))
            at = taken + 1
            if len(found) >= count:
                return found
        found.extend(range(at, at + count - len(found)))
        return found

    def is_ours(self, row: ForeignRow, serial: int | None) -> bool:
        """Whether the ledger wrote this entry, or has noted it: a logged copy, or an act of the same bytes."""
        place = (row.shard, row.leaf_index)
        if self._db.execute("SELECT 1 FROM foreign_entry WHERE shard = ? AND leaf_index = ?", place).fetchone():
            return True
        if row.act is None:
            statement = "SELECT shard, leaf_index FROM copy WHERE issuer = ? AND serial = ?"
            return bool(self._db.execute(statement, (row.issuer, serial)).fetchone() == place)
        statement = "SELECT 1 FROM act WHERE issuer = ? AND number = ? AND entry = ?"
        return self._db.execute(statement, (row.issuer, row.number, row.entry)).fetchone() is not None

    # noting and agreeing

    def note(
        self,
        rows: Sequence[ForeignRow],
        *,
        named: Callable[[ForeignRow], Sequence[int]],
        logged: Iterable[tuple[int, int, int, int]],
    ) -> None:
        """Note what the log has. `named`: the serials that an entry names; `logged`: issuer, number,
        shard and index of acts of ours that the log has after all."""
        with self._transaction():
            for issuer, number, shard, index in logged:
                self._db.execute(
                    "UPDATE act SET leaf_index = ?, shard = ? WHERE issuer = ? AND number = ? AND leaf_index IS NULL",
                    (index, shard, issuer, number),
                )
            for issuer in sorted({row.issuer for row in rows}):
                ours = [row for row in rows if row.issuer == issuer]
                self._hold(issuer)
                deed = self._desk.enter_foreign("foreign", issuer, len(ours))
                for row in ours:
                    self._take(row, named(row), deed)

    def _take(self, row: ForeignRow, serials: Sequence[int], deed: int) -> None:
        """One entry: its number, its serials, what it did."""
        self._db.execute(
            f"INSERT INTO foreign_entry ({_COLUMNS}, noted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (constants)
            (row.shard, row.leaf_index, row.issuer, row.number, row.act, row.day, row.entry, deed),
        )
        self._db.execute("INSERT OR IGNORE INTO counter VALUES (?, 0, 0)", (row.issuer,))
        if row.number is not None:
            self._db.execute(
                "UPDATE counter SET next_act = MAX(next_act, ?) WHERE issuer = ?", (row.number + 1, row.issuer)
            )
        for serial in serials:
            place = (row.issuer, serial)
            if row.act in (None, ActType.VOID):  # of a serial that the log has not from us: it never will
                self._db.execute(
                    "INSERT OR IGNORE INTO foreign_serial SELECT ?1, ?2 WHERE NOT EXISTS "
                    "(SELECT 1 FROM copy WHERE issuer = ?1 AND serial = ?2 AND leaf_index IS NOT NULL)",
                    place,
                )
                self._db.execute(
                    "UPDATE copy SET status = 'void' WHERE issuer = ? AND serial = ? AND leaf_index IS NULL", place
                )
            if row.act is not None:
                self._db.execute(
                    "UPDATE copy SET status = ? WHERE issuer = ? AND serial = ? AND status IN ('live', 'suspended')",
                    (str(STATUS_AFTER[ActType(row.act)]), *place),
                )

    def agree(self, issuer: int, *, by: By, reason: str) -> int:
        """Two persons have looked at what was noted of that issuer; how many entries that were."""
        with self._transaction():
            count = self.waiting().get(issuer, 0)
            if count:
                deed = self._desk.enter_foreign("foreign-acknowledged", issuer, count, by=by, reason=reason)
                statement = "UPDATE foreign_entry SET agreed = ? WHERE issuer = ? AND agreed IS NULL"
                self._db.execute(statement, (deed, issuer))
        return count

    # acts of ours that were overtaken

    def _hold(self, issuer: int) -> None:
        """What has not reached the log gives its number up: a key event must be able to come first."""
        rows = self._db.execute(
            "SELECT number, act FROM act WHERE issuer = ? AND leaf_index IS NULL AND number >= 0 ORDER BY number",
            (issuer,),
        ).fetchall()
        if not rows:
            return
        least = self._db.execute("SELECT MIN(number) FROM act WHERE issuer = ?", (issuer,)).fetchone()[0]
        for place, (number, act) in enumerate(rows, 1):
            self._move(issuer, number, min(least, 0) - place, act, By(operators=()))
        first = rows[0][0]
        self._db.execute("UPDATE counter SET next_act = ? WHERE issuer = ?", (first, issuer))

    def held(self) -> tuple[tuple[int, int, int], ...]:
        """(issuer, number below 0, act) of what waits for a number, the first one first."""
        statement = "SELECT issuer, number, act FROM act WHERE number < 0 ORDER BY issuer, number DESC"
        return tuple(self._db.execute(statement))

    def place(self, act: ActRow, sign: Callable[[int], tuple[int, bytes]], by: Callable[[bytes], By]) -> None:
        """Give an act that waits the issuer's next number: one transaction. `sign`: number → day and signed entry."""
        with self._transaction():
            row = self._db.execute("SELECT next_act FROM counter WHERE issuer = ?", (act.issuer,)).fetchone()
            number = int(row[0])
            day, entry = sign(number)
            self._db.execute("UPDATE counter SET next_act = next_act + 1 WHERE issuer = ?", (act.issuer,))
            self._move(act.issuer, act.number, number, act.act, by(entry))
            values = (day, entry, act.issuer, number)
            self._db.execute("UPDATE act SET day = ?, entry = ? WHERE issuer = ? AND number = ?", values)

    def leave_out(self, act: ActRow, left: Sequence[int], states: Mapping[int, str]) -> None:
        """Take serials out of an act that waits, and the act back if none are `left`; `states`: of those that go."""
        place = (act.issuer, act.number)
        with self._transaction():
            for serial, state in states.items():
                self._db.execute(
                    "UPDATE copy SET status = ? WHERE issuer = ? AND serial = ? AND leaf_index IS NOT NULL",
                    (state, act.issuer, serial),
                )
                self._db.execute(
                    "DELETE FROM act_serial WHERE issuer = ? AND number = ? AND serial = ?", (*place, packed([serial]))
                )
            if left:
                self._db.execute("UPDATE act SET serials = ? WHERE issuer = ? AND number = ?", (packed(left), *place))
                self._desk.enter_moved(
                    f"{deed_name(act.act)}{MOVED}",
                    act.issuer,
                    left,
                    by=By(operators=()),
                    acts=(act.number, act.number),
                )
            else:
                self._db.execute("DELETE FROM act WHERE issuer = ? AND number = ?", place)
                self._desk.enter_moved(
                    f"{deed_name(act.act)}{GONE}", act.issuer, (), by=By(operators=()), acts=(act.number,)
                )

    def _move(self, issuer: int, old: int, new: int, act: int, by: By) -> None:
        """Another number for an act, in the tables and in the journal."""
        values = (new, issuer, old)
        self._db.execute(
            "UPDATE act SET number = ?1, first_number = COALESCE(first_number, number) "
            "WHERE issuer = ?2 AND number = ?3",
            values,
        )
        self._db.execute("UPDATE act_serial SET number = ? WHERE issuer = ? AND number = ?", values)
        (serials,) = self._db.execute(
            "SELECT serials FROM act WHERE issuer = ? AND number = ?", (issuer, new)
        ).fetchone()
        self._desk.enter_moved(f"{deed_name(act)}{MOVED}", issuer, unpacked(serials), by=by, acts=(old, new))
