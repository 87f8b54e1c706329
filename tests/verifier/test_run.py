"""What only shows across the rows of one run: repeats, two employers, exit status."""

import pytest
from simulator import World

from mingzheng.log.acts import ActType
from mingzheng.verifier.findings import DERIVED, UNDECIDED, Code
from mingzheng.verifier.pipeline import verify_text
from mingzheng.verifier.report import Report
from mingzheng.verifier.run import RunSoFar, count_verdicts, exit_status, mark_run


def found(report: Report, code: Code) -> list[str | int]:
    return [item.evidence["other"] for item in report.findings if item.code is code]


def test_repeated_credentials_name_the_other_rows() -> None:
    world = World()
    one, other = world.issue_one(), world.issue_one()
    context = world.context()
    texts = [one.text, other.text, one.text, "nothing"]
    rows = mark_run([verify_text(text, context) for text in texts])
    assert [found(row, Code.DUPLICATE) for row in rows] == [["3"], [], ["1"], []]
    assert [row.verdict for row in rows[:3]] == [Code.VALID_COMPARE] * 3


def test_one_person_at_two_employers() -> None:
    world = World()
    copies = [world.issue_one(employer=name) for name in ("甲公司", "乙公司", "甲公司")]
    stranger = world.issue_one(name="李四", employer="丙公司")
    context = world.context()
    rows = mark_run([verify_text(item.text, context) for item in (*copies, stranger)])
    assert [found(row, Code.CONFLICT_UNIT) for row in rows] == [["2"], ["1 3"], ["2"], []]


def test_a_superseded_copy_of_the_last_employer_is_no_conflict() -> None:
    world = World()
    old, new = world.issue_one(employer="甲公司"), world.issue_one(employer="乙公司")
    world.act(ActType.SUPERSEDE, old.claims.serial)
    context = world.context()
    rows = mark_run([verify_text(item.text, context) for item in (old, new)])
    assert not any(found(row, Code.CONFLICT_UNIT) for row in rows)


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], 0),
        ([Code.VALID_COMPARE], 0),
        ([Code.VALID], 0),
        ([Code.VALID_COMPARE, Code.STALE], 3),
        ([Code.STALE, Code.FORGED], 1),
        ([Code.CLOCK_SUSPECT], 3),
        ([Code.CANNOT_DECIDE], 3),
    ],
)
def test_exit_status(verdicts: list[Code], status: int) -> None:
    assert exit_status(verdicts) == status


def test_every_other_verdict_exits_1() -> None:
    for code in set(Code) - DERIVED - UNDECIDED:
        assert exit_status([code]) == 1


def test_counts() -> None:
    world = World()
    context = world.context()
    rows = [verify_text(text, context) for text in (world.issue_one().text, "x", "y")]
    assert count_verdicts(rows) == {Code.NOT_OUR_FORMAT: 2, Code.VALID_COMPARE: 1}


def test_row_by_row_the_later_of_a_pair_names_the_earlier() -> None:
    world = World()
    one = world.issue_one(employer="甲公司")
    two = world.issue_one(employer="乙公司")
    stranger = world.issue_one(name="李四", employer="丙公司")
    context = world.context()
    texts = [one.text, "nothing", two.text, one.text, stranger.text, two.text]
    run = RunSoFar()
    rows = [run.add(verify_text(text, context)) for text in texts]
    assert [found(row, Code.DUPLICATE) for row in rows] == [[], [], [], ["1"], [], ["3"]]
    assert [found(row, Code.CONFLICT_UNIT) for row in rows] == [[], [], ["1"], ["3"], [], ["1 4"]]
