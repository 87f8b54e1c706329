"""Every act of the desk, killed and starved of room at its write points; then the same command again.

Points are counted, not listed: calls that change a file, opening one for writing, SQL statements that are no query, and
SQLite's copying. MINGZHENG_FULL=1 takes every point, the default the first, the last and some between.

Every act of the table is killed, meets a full disk and is refused on a read-only one here; further tests:

| act | killed | disk full |
|---|---|---|
| init, operator add | `test_workspace` | |
| issuer add, operator retire, key add, key retire, key compromise | | |
| issue: pdf; pdf and ofd, sealed; --skip-faulty with faults.csv; from .xlsx | `test_issue_kills` | `test_full_disk` |
| reissue, suspend, reinstate | | |
| application ca, reissue --application | `test_application_kills` | |
| lock, unlock | `test_locking` | |
| void: request, approve | | |
| revoke: request, approve, withdraw | `test_approval_kills` | |
| notice extension, form, seal, retract: request, approve; by the act key alone | | |
| seal request, install, maker, make, revoke, rule, trial | `test_issue_kills` | |
| key compromise, log acknowledge, behind what a thief wrote to the log | `test_foreign_kills` | |
| trust export | `test_issue_kills` | |
| backup, restore | `test_backup` | `test_keeping_disk` |
| migrate, ledger forget | `test_upgrade`, `test_forget` | `test_keeping_disk` |
| log roll-over | `test_roll_over_kills` | |

After the fault: a refusal is one sentence in two languages with a stable code that says what to do next, status 4.
After the same command again: ledger, journal, log, settings and names of files are those of an undisturbed run, fsck
and the journal's check find nothing, and nothing temporary is left. What a killed `init`, `backup` or `restore` left
half-made is named by the next one, which goes on once it is deleted.
"""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FULL
from deskacts import MADE_IN, READING, Act, Desk, Typed, Words, acts
from operatoroffice import NAMES

from mingzheng.issuer.ledger import Ledger

BETWEEN = 1  # points taken by default besides the first and the last
NAMED = [act.name for act in acts(Path())]
REFUSAL = re.compile(
    r"^错误 error \[(io|log\.state_unavailable|ledger\.write|trust\.write_failed)\] "
    r"[^\n]*(?:再运行一次同样的命令|重新运行同一命令|后重试)[^\n]*(?:run the same command again|then try again)$"
)
LEAST = 4  # write points of any act
LEFT = re.compile(r"(^|/)(\.[^/]*|[^/]*\.(tmp|part|journal)[^/]*)$")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def at_first(desk: Desk) -> dict[Path, tuple[bytes, int] | None]:
    return desk.keep()


@pytest.fixture
def act(request: pytest.FixtureRequest, desk: Desk, at_first: dict[Path, tuple[bytes, int] | None]) -> Iterator[Act]:
    """The act, with everything done that it takes."""
    if "xlsx" in request.param and importlib.util.find_spec("openpyxl") is None:
        pytest.skip('openpyxl is not installed: pip install "mingzheng[xlsx]"')
    desk.put_back(at_first)
    (found,) = (item for item in acts(desk.base) if item.name == request.param)
    for words in found.before:
        desk.must(named(desk, words), 3 if words[0] in ("revoke", "void", "notice") else 0)
    if found.prepare is not None:
        found.prepare(desk.base)
    yield found
    desk.put_back(at_first)


def named(desk: Desk, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, with the open request's id where it belongs."""
    config = desk.config() if any(word.startswith("KEY:") for word in words) else None
    if config is not None:
        kids = {f"KEY:{key.role}": key.kid.hex() for key in config.keys}
        return tuple(kids.get(word, word) for word in words)
    if "REQUEST" not in words:
        return words
    with Ledger.open(desk.base / "W" / "ledger.sqlite") as ledger:
        (row,) = ledger.desk.open_requests()
    return tuple(row.id.hex() if word == "REQUEST" else word for word in words)


def sampled(act: Act, points: int) -> list[int]:
    """Every point, or the first, the last and some between."""
    if FULL:
        return list(range(points))
    parts = BETWEEN + (not act.dear)
    return sorted({round(at * (points - 1) / parts) for at in range(parts + 1)})


def finish(desk: Desk, act: Act, words: tuple[str, ...]) -> Typed:
    """The same command again; what a kill left half-made is deleted first, where the refusal names it."""
    again = desk.type_it(words)
    for left in desk.base.glob(".*"):
        if act.status != again.status and left.name in again.said:
            shutil.rmtree(left)
            again = desk.type_it(words)
    if act.name == "migrate" and "[backup.exists]" in again.said:  # that backup is whole: the next gets another name
        (desk.base / "b").rename(desk.base / "earlier")
        again = desk.type_it(words)
        shutil.rmtree(desk.base / "earlier")
    assert again.status == act.status or f"[{act.again or '-'}]" in again.said, (words, again.said)
    return again


def same(desk: Desk, act: Act, want: dict[str, object]) -> None:
    have = desk.world(act.where)
    extra = [name for name in have["files"] if name not in want["files"]]  # type: ignore[operator]
    assert [name for name in extra if LEFT.search(name) or not any(part in name for part in act.leftovers)] == []
    assert [name for name in want["files"] if name not in have["files"]] == []  # type: ignore[attr-defined]
    for world in (have, want) if act.twice else ():
        once(world, act.twice)
    for part in want.keys() - {"files"}:
        assert have[part] == want[part], part


def once(world: dict[str, object], what: str) -> None:
    """Rows of the journal that a kill may leave twice, once; the ledger's tables of them are the journal."""
    rows: list[tuple[object, ...]] = world["journal"]  # type: ignore[assignment]
    world["journal"] = [row for n, row in enumerate(rows) if row[0] != what or row not in rows[:n]]
    for name in ("journal", "journal_reason"):
        world["ledger"].pop(name, None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("act", NAMED, indirect=True)
def test_killed_or_without_room_an_act_is_done_once(desk: Desk, act: Act, capsys: pytest.CaptureFixture[str]) -> None:
    words, start = named(desk, act.words), desk.keep()
    counted = desk.type_it(words)
    assert counted.status == act.status, counted.said
    points, want = counted.points, desk.world(act.where)
    assert points >= LEAST
    codes = []
    for fatal in sampled(act, points):
        desk.put_back(start)
        assert desk.type_it(words, kill_at=fatal).outcome.killed
        finish(desk, act, words)
        same(desk, act, want)
    for first in sampled(act, points):
        desk.put_back(start)
        codes += refused(desk, act, words, first)
        finish(desk, act, words)
        same(desk, act, want)
    desk.put_back(start)
    before = {path: was for path, was in start.items() if was is not None and path.name != MADE_IN}
    typed = desk.type_it(words, stop=("read-only", 0))
    assert REFUSAL.search(typed.said.splitlines()[-1]), typed.said
    assert {path: path.read_bytes() for path in before} == {path: was[0] for path, was in before.items()}
    assert codes
    with capsys.disabled():
        taken = len(sampled(act, points))
        print(f"\n{act.name}: {points} write points, {taken} killed, {taken} full, refused {len(codes)}", end=" ")


def refused(desk: Desk, act: Act, words: tuple[str, ...], first: int) -> list[str]:
    """Full from that point on: a refusal that says what to do, or nothing more was needed."""
    typed = desk.type_it(words, stop=("full", first))
    if typed.status == act.status:
        return []
    last = typed.said.splitlines()[-1]
    found = REFUSAL.search(last)
    assert found is not None, (first, typed.outcome.points[first], typed.said)
    assert typed.status == 4
    assert not any(name in last for name in NAMES)
    return [found[1]]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_what_only_reads_writes_nothing(
    desk: Desk, at_first: dict[Path, tuple[bytes, int] | None], words: Words
) -> None:
    desk.put_back(at_first)
    typed = desk.type_it((*words, "--workspace", "W"))
    assert typed.status == 0, typed.said
    assert [point for point in typed.outcome.points if point != "sql PRAGMA"] == ["os.open"]  # the workspace's lock
    assert desk.keep() == at_first
