"""Large files: what a row costs in memory, and what an interruption leaves."""

import gc
import multiprocessing
import tracemalloc
from pathlib import Path

import pytest
from office import DAY, NOW, Office, person

from mingzheng.issuer import pictures
from mingzheng.issuer.issue import issue_file, prepare

HELD = 800  # bytes a row between check and planning; no image, no page, no plan is among them
AT_MOST = 1_000  # bytes a row beyond that, at any time: the rows and the records, as bytes


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Every row with texts of its own."""
    return [person(first + number, employer=f"北京示例建设第{first + number}有限公司") for number in range(count)]


def measured(office: Office, count: int) -> tuple[int, int]:
    """Bytes that are held by what `prepare` gave, and the most while it ran."""
    with office.open() as workspace:
        request = office.request(rows(count))
        prepare(workspace, office.request(rows(3)), now=NOW, store_images=False)  # what is loaded once
        tracemalloc.start()
        try:
            prepared = prepare(workspace, request, now=NOW, store_images=False)
            assert (len(prepared.jobs), prepared.faults) == (count, ())
            most = tracemalloc.get_traced_memory()[1]
            gc.collect()
            return tracemalloc.get_traced_memory()[0], most
        finally:
            tracemalloc.stop()


def test_a_row_costs_little_memory(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_FEW", 1_000)  # all in this process, where it is seen
    few, many = measured(office, 50), measured(office, 750)  # far apart: what is loaded once differs by 100 KB
    assert (many[0] - few[0]) / 700 < HELD
    assert (many[1] - few[1]) / 700 < HELD + AT_MOST


@pytest.mark.parametrize("step", ["check", "deliver"])
def test_interrupted_and_run_again(office: Office, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    asked = office.request(rows(4))

    def interrupt(at: str, done: int, count: int) -> None:
        assert count == 4
        if (at, done) == (step, 2):
            raise KeyboardInterrupt

    with office.open() as workspace, pytest.raises(KeyboardInterrupt):
        issue_file(workspace, asked, out=office.out, now=NOW, progress=interrupt)
    assert multiprocessing.active_children() == []
    with office.open() as workspace:
        assert len(list(workspace.ledger.all_copies())) == (0 if step == "check" else 4)
        done = issue_file(workspace, asked, out=office.out, now=NOW)
        assert len(list(workspace.ledger.all_copies())) == 4
    assert sorted(item.row.serial for item in done.issued) == [0, 1, 2, 3]
    assert {item.row.day for item in done.issued} == {DAY}
    assert len(list(office.out.glob("*.pdf"))) == 4


def test_progress_tells_every_row_of_both_steps(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    told: list[tuple[str, int, int]] = []
    with office.open() as workspace:
        issue_file(
            workspace,
            office.request(rows(3)),
            out=office.out,
            now=NOW,
            progress=lambda step, done, count: told.append((step, done, count)),
        )
    assert told == [(step, done, 3) for step in ("check", "deliver") for done in (1, 2, 3)]
