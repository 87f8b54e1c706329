"""Answers of a reader that a file has taken over: typed and in range, or that file's loss; never the run's."""

import dataclasses
import json
import pickle
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import World

from mingzheng.formats.candidate import SealDetails, SealFacts, SealForm, SealMark
from mingzheng.formats.claims import Specialty
from mingzheng.formats.page import Rect
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.verifier import bulk, wire
from mingzheng.verifier.bulk import judge_file
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.htmlreport import report_to_html
from mingzheng.verifier.pageoutcome import Mismatch, PageOutcome, PagePicture, Pictures
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.reporttext import report_to_text
from mingzheng.verifier.run import count_verdicts, mark_run
from mingzheng.verifier.wire import WireError, pack_reports, unpack_reports

RECT = Rect(x_mm=1.0, y_mm=2.5, width_mm=3.0, height_mm=4.0)
DETAILS = SealDetails(
    version=5, seal_id="1", name="章", maker_certificate=b"m", created=1, valid_from=0, valid_until=2, sha256=b"s"
)
SEAL = SealFacts(
    form=SealForm.SES,
    place="Doc_0/Signs/Sign_0",
    certificate=b"c",
    chain=(b"d",),
    signed_at=1_780_000_000,
    timestamped=False,
    details=DETAILS,
    marks=(SealMark(page=1, rect=RECT),),
    faults=("seal.signature",),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A report with something in every field, its context and its tree."""

    context: VerifyContext
    report: Report
    tree: Any


def _sample() -> Sample:
    world = World()
    good = world.issue_one()
    world.publish_status()
    context = world.context()
    (report,) = judge_file(matrix_to_png(encode_qr(good.text), 4), context, "a.png")
    report = dataclasses.replace(
        report,
        page=1,
        outcome=PageOutcome(
            compared=True,
            reason="",
            mismatches=(Mismatch(name="name", page=1, rect=RECT, reason="page.box"),),
            unproved=("photo",),
            filled=("ink.date",),
            empty=("ink.signature",),
        ),
        seals=(SEAL,),
        pictures=Pictures(
            pages=(PagePicture(page=1, width_mm=210.0, height_mm=297.0, png=b"p"),), differences=(("name", b"q"),)
        ),
    )
    names = wire._names(context)
    return Sample(context=context, report=report, tree=wire._tree((report,), names))


SAMPLE = _sample()
SUBJECT = SAMPLE.report.subject
assert SUBJECT is not None
CLAIMS = SUBJECT.claims


def read(tree: object) -> tuple[Report, ...]:
    return unpack_reports(pickle.dumps(tree), SAMPLE.context)


def written(reports: tuple[Report, ...]) -> None:
    """Everything that is done with a row."""
    for report in mark_run(reports):
        json.dumps(report_to_json(report))
        report_to_text(report, "zh", number=1)
        report_to_html(report, "en")
    count_verdicts(reports)


def places(tree: object, at: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    yield at
    if isinstance(tree, tuple):
        for number, part in enumerate(tree):
            yield from places(part, (*at, number))


def put(tree: Any, at: tuple[int, ...], new: object) -> object:
    if not at:
        return new
    return (*tree[: at[0]], put(tree[at[0]], at[1:], new), *tree[at[0] + 1 :])


def test_the_sample_has_every_field_and_comes_back() -> None:
    assert read(SAMPLE.tree) == (SAMPLE.report,)
    written((SAMPLE.report,))
    assert all(getattr(SAMPLE.report, field.name) for field in dataclasses.fields(SAMPLE.report))


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([1 << 99, -1, 0, 2, 1 << 62, -(1 << 62), 253_402_300_799, 10**9])
    | st.floats()
    | st.text(st.characters(codec=None), max_size=5)
    | st.sampled_from(["context", "key/00", "issuer/1", "profile/0", "VALID", "DUPLICATE", "zh", "\ud800"])
    | st.binary(max_size=4)
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.lists(inner, max_size=2), max_leaves=6
)


@given(TREES)
def test_no_tree_raises_anything_else(tree: object) -> None:
    with pytest.raises(WireError):
        read(tree)


@given(st.sampled_from(sorted(places(SAMPLE.tree))), TREES)
def test_one_wrong_part_is_no_answer_or_a_report_that_can_be_written(at: tuple[int, ...], new: object) -> None:
    try:
        found = read(put(SAMPLE.tree, at, new))
    except WireError:
        return
    written(found)


@pytest.mark.parametrize("new", [None, True, 1, "x", b"x", ((),)], ids=repr)
def test_every_part_is_of_its_type(new: object) -> None:
    """Each part of the tree in turn; what is taken is of the type that the field declares, so it can be written."""
    taken, spots = 0, list(places(SAMPLE.tree))
    for at in spots:
        try:
            found = read(put(SAMPLE.tree, at, new))
        except WireError:
            continue
        taken += 1
        written(found)
    assert taken < len(spots) // 2


def changed(**changes: object) -> Report:
    return dataclasses.replace(SAMPLE.report, **changes)  # type: ignore[arg-type]


def claiming(**changes: object) -> Report:
    assert SUBJECT is not None
    claims = dataclasses.replace(CLAIMS, **changes)  # type: ignore[arg-type]
    return changed(
        subject=dataclasses.replace(SUBJECT, credential=dataclasses.replace(SUBJECT.credential, claims=claims))
    )


def sealed(**changes: object) -> Report:
    return changed(seals=(dataclasses.replace(SEAL, **changes),))  # type: ignore[arg-type]


def finding(**changes: object) -> Report:
    return changed(findings=(dataclasses.replace(SAMPLE.report.findings[0], **changes),))  # type: ignore[arg-type]


WRONG: dict[str, Callable[[], Report]] = {
    "a verdict that is none": lambda: changed(verdict=Code.DUPLICATE),
    "a finding that is a verdict only": lambda: finding(code=Code.VALID),
    "a log nobody knows": lambda: changed(places=((77, 0),)),
    "three numbers for a place": lambda: changed(places=((1, 0, 0),)),
    "a name that is a number": lambda: claiming(name=7),
    "a name with a line end": lambda: claiming(name="a\nb"),
    "a day after the calendar": lambda: claiming(registered_until=10**9),
    "a specialty after the calendar": lambda: claiming(specialties=(Specialty(code=1, first_day=0, last_day=10**9),)),
    "a salt too short": lambda: claiming(salt=b""),
    "a seal of year 10000": lambda: sealed(signed_at=253_402_300_799),
    "a seal before year 1": lambda: sealed(signed_at=-(10**12)),
    "a number that is a truth": lambda: changed(page=True),
    "a number that nobody writes down": lambda: changed(page=10**5000),
    "evidence without a name": lambda: finding(evidence={"no such label": 1}),
    "evidence that is a list": lambda: finding(evidence={"reason": (1,)}),
    "evidence without end": lambda: finding(evidence={"count": 10**5000}),
    "half a character": lambda: finding(rule="\ud800"),
    "no place": lambda: changed(
        outcome=PageOutcome(
            compared=True,
            reason="",
            mismatches=(Mismatch(name="x", page=1, rect=dataclasses.replace(RECT, x_mm=float("nan")), reason="x"),),
        )
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_written_is_no_answer(case: str) -> None:
    with pytest.raises(WireError):
        unpack_reports(pack_reports((SAMPLE.report, WRONG[case]()), SAMPLE.context), SAMPLE.context)


def test_what_is_held_here_is_named_and_of_its_kind() -> None:
    """No key, issuer, profile or context of the reader's own making."""
    held = dict(wire._held(SAMPLE.context))
    held |= {name: head.profile for name, head in wire._heads(SAMPLE.context)}
    trees = [at for at in places(SAMPLE.tree) if _part(at) in held]
    assert len(trees) == 4  # context, issuer, key, profile
    for at in trees:
        (name,) = [name for name in held if name == _part(at)]
        for other in (
            "context",
            "profile/0",
            "profile/99",
            "profile/00",
            "issuer/1",
            "issuer/9",
            f"key/{next(iter(SAMPLE.context.trust.keys)).hex()}",
        ):
            if type(held.get(other)) is type(held[name]):
                continue
            with pytest.raises(WireError):
                read(put(SAMPLE.tree, at, other))
        made = tuple(getattr(held[name], field.name) for field in dataclasses.fields(held[name]))  # type: ignore[arg-type]
        plain = [part if type(part) in (int, str) else None for part in made]
        with pytest.raises(WireError):
            read(put(SAMPLE.tree, at, tuple(plain)))


def _part(at: tuple[int, ...]) -> object:
    part: Any = SAMPLE.tree
    for number in at:
        part = part[number]
    return part if isinstance(part, str) else None


@pytest.mark.parametrize(("name", "most"), [("_MOST_VALUES", 500), ("_MOST_LENGTH", 5_000)])
def test_an_answer_that_means_one_thing_often_ends(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> None:
    (one,) = SAMPLE.tree
    assert len(read((one,) * 2)) == 2
    monkeypatch.setattr(wire, name, most)
    with pytest.raises(WireError):
        read((one,) * 50)


def test_only_the_row_of_the_file_that_took_its_reader_over_is_lost() -> None:
    judging = bulk.Bulk.__new__(bulk.Bulk)
    judging._context, judging._limits = SAMPLE.context, bulk.POOL_LIMITS
    good = pack_reports((SAMPLE.report,), SAMPLE.context)
    bad = pickle.dumps(put(SAMPLE.tree, (0, 6, 0, 0, 0), 7))  # the name in the claims
    (first,), (second,), (third,) = (tuple(judging._rows(answer, "a.png")) for answer in (good, bad, good))
    assert (first, third) == (SAMPLE.report, SAMPLE.report)
    assert (second.file, second.verdict) == ("a.png", Code.RESOURCE_LIMIT)
    assert second.findings[0].evidence["reason"] == "file.reader_crashed"


def test_mappings_are_read_only() -> None:
    (found,) = read(SAMPLE.tree)
    assert all(isinstance(item.evidence, MappingProxyType) for item in found.findings)
