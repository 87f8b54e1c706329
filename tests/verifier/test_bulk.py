"""Hostile files through real workers: a verdict each, in order, within the limits, and the run goes on."""

import dataclasses
import io
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from conftest import FULL
from PIL import Image
from simulator import Issued, World

from mingzheng.formats.confine import POOL_LIMITS, PoolLimits
from mingzheng.formats.errors import FileTooHungryError, ResourceLimitError, UnreadableError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, ref, stream
from mingzheng.formats.pool import PoolBrokenError, Start, WorkerMemoryError
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.keys.snapshot import save_store
from mingzheng.keys.trust import TrustData
from mingzheng.verifier import bulk
from mingzheng.verifier.bulk import (
    Bulk,
    FileJudge,
    Recipe,
    Refusal,
    TrustChangedError,
    Upload,
    inspect_file,
    judge_file,
)
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.wire import WireError, pack_reports, unpack_reports

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
# The real limits at full counts. By default time enough for honest files on a slow machine, and a quick end for what
# spins: processor time, for how much of it a wall second holds depends on what else is running.
LIMITS = POOL_LIMITS if FULL else PoolLimits(wall_seconds=300, cpu_seconds=120, memory_bytes=1 << 30, files=1_000)
SHORT = POOL_LIMITS if FULL else dataclasses.replace(LIMITS, cpu_seconds=2)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """A trust store, a context from it and a good credential."""

    recipe: Recipe
    context: VerifyContext
    good: Issued

    def picture(self) -> bytes:
        return matrix_to_png(encode_qr(self.good.text), 4)

    def judge(
        self, *uploads: tuple[str, bytes], jobs: int = 2, limits: PoolLimits = LIMITS, start: Start = Start.FORK
    ) -> list[Report]:
        with Bulk(self.recipe, self.context, jobs=jobs, limits=limits, start=start) as made:
            return list(made.rows(Upload(name=name, data=data) for name, data in uploads))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    world = World()
    good = world.issue_one()
    world.publish_status()
    place = tmp_path_factory.mktemp("trust")
    save_store(place, world.trust_files())
    recipe = Recipe(trust=place, now=world.now + 3600, at=None, policy="site", expect=Expectations())
    return Desk(recipe=recipe, context=recipe.build(), good=good)


def verdicts(rows: Sequence[Report]) -> list[Code]:
    return [row.verdict for row in rows]


def reason(row: Report) -> object:
    return row.findings[0].evidence.get("reason")


# Hostile PDF


def page_of(content: bytes, resources: bytes, objects: PdfObjects) -> bytes:
    root, tree = objects.reserve(), objects.reserve()
    drawing = objects.add(stream(content))
    page = objects.add(
        dictionary(
            Type=b"/Page", Parent=ref(tree), MediaBox=b"[0 0 595 842]", Contents=ref(drawing), Resources=resources
        )
    )
    objects.set(tree, dictionary(Type=b"/Pages", Kids=array([ref(page)]), Count=b"1"))
    objects.set(root, dictionary(Type=b"/Catalog", Pages=ref(tree)))
    return objects.file(root=root, info=objects.add(b"<<>>"))


def nested(levels: int, times: int) -> bytes:
    """Forms that draw each other: times ** levels fills of the page out of two kilobytes."""
    objects = PdfObjects()
    forms = [objects.reserve() for _ in range(levels)]
    for place, number in enumerate(forms):
        extra = {"Type": b"/XObject", "Subtype": b"/Form", "BBox": b"[0 0 600 900]"}
        if place + 1 < levels:
            extra["Resources"] = dictionary(XObject=dictionary(F=ref(forms[place + 1])))
        objects.set(number, stream(b"/F Do " * times if place + 1 < levels else b"0 0 595 842 re f ", extra))
    return page_of(b"/F Do", dictionary(XObject=dictionary(F=ref(forms[0]))), objects)


def huge_image(side: int) -> bytes:
    """A fax of so many pixels a side in a kilobyte."""
    objects = PdfObjects()
    size = b"%d" % side
    image = {
        "Type": b"/XObject",
        "Subtype": b"/Image",
        "Width": size,
        "Height": size,
        "BitsPerComponent": b"1",
        "ColorSpace": b"/DeviceGray",
        "Filter": b"/CCITTFaxDecode",
        "DecodeParms": b"<</K -1 /Columns %b /Rows %b>>" % (size, size),
    }
    drawn = objects.add(stream(b"\0\x10\x01" * 10, image, compress=False))
    return page_of(b"595 0 0 842 0 0 cm /I Do", dictionary(XObject=dictionary(I=ref(drawn))), objects)


def test_a_form_bomb_is_a_row_and_the_files_around_it_pass(desk: Desk) -> None:
    good = desk.picture()
    bomb = nested(6, 10)
    assert len(bomb) < 3_000
    begun = time.monotonic()
    rows = desk.judge(("a.png", good), ("bomb.pdf", bomb), ("b.png", good), ("c.png", good), limits=SHORT)
    assert time.monotonic() - begun < 6 * POOL_LIMITS.wall_seconds  # of which two tries are 2; the rest is slack
    assert verdicts(rows) == [Code.VALID_COMPARE, Code.RESOURCE_LIMIT, Code.VALID_COMPARE, Code.VALID_COMPARE]
    assert [row.file for row in rows] == ["a.png", "bomb.pdf", "b.png", "c.png"]
    assert reason(rows[1]) == "file.too_slow"


def test_a_memory_bomb_is_a_row(desk: Desk) -> None:
    """The same forms deep enough to fill the memory before the time is up, and a fax of 400 million pixels."""
    memory = LIMITS.memory_bytes if FULL else 160 << 20
    tight = dataclasses.replace(LIMITS, memory_bytes=memory, cpu_seconds=120, wall_seconds=300)
    (row,) = desk.judge(("deep.pdf", nested(12, 10)), limits=tight)
    assert row.verdict is Code.RESOURCE_LIMIT
    assert reason(row) in ("file.too_much_memory", "file.reader_crashed")
    rows = desk.judge(("fax.pdf", huge_image(60_000 if FULL else 20_000)), ("b.png", desk.picture()))
    assert rows[0].verdict in (Code.RESOURCE_LIMIT, Code.NOT_OUR_FORMAT, Code.UNREADABLE)
    assert rows[1].verdict is Code.VALID_COMPARE


def test_a_reader_that_dies_or_needs_too_much_is_a_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(judge: FileJudge, data: bytes, name: str) -> tuple[Report, ...]:
        if name == "abort":
            os.abort()
        if name == "memory":
            bytearray(3 << 30)
        raise UnreadableError(name)

    monkeypatch.setattr(FileJudge, "rows", read)
    uploads = [(name, b"\x89PNG\r\n\x1a\n") for name in ("a", "abort", "memory")]
    rows = desk.judge(*uploads)
    assert [reason(row) for row in rows] == ["file.unreadable", "file.reader_crashed", "file.too_much_memory"]


# The collection of hostile files

EXPECTED: Mapping[str, tuple[Code, ...]] = {
    "qr/img/png_20000x20000_1bit.png": (Code.RESOURCE_LIMIT,),
    "qr/img/png_claims_60000x60000.png": (Code.UNREADABLE, Code.RESOURCE_LIMIT),
    "qr/img/png_ztxt_bomb.png": (Code.UNREADABLE, Code.NOT_OUR_FORMAT),
    "qr/img/tiff_g4.tif": (Code.UNREADABLE,),
    "qr/img/eps_as_jpg.jpg": (Code.NOT_OUR_FORMAT, Code.UNREADABLE),
    "qr/img/qr_lookalike_url.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_two_different_payloads.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_inverted.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_v40_full.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_binary_all_bytes.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_newline_suffix.png": (Code.NOT_OUR_FORMAT,),
    "qr/img/qr_200_small_codes.png": (Code.RESOURCE_LIMIT,),
    "ofd/zip/bomb_256MiB_flat.ofd": (Code.UNREADABLE, Code.RESOURCE_LIMIT),
    "ofd/zip/bomb_nested_60x64MiB.ofd": (Code.UNREADABLE, Code.RESOURCE_LIMIT),
    "ofd/zip/overlap_400x8MiB.ofd": (Code.UNREADABLE, Code.RESOURCE_LIMIT),
}


def cross_kind(desk: Desk) -> Mapping[str, tuple[bytes, tuple[Code, ...]]]:
    """Files that are another kind than they say, or two at once."""
    picture = desk.picture()
    pdf = page_of(b"", b"<<>>", PdfObjects())
    package = (VECTORS / "ofd/zip/overlap_400x8MiB.ofd").read_bytes()
    refused = (Code.UNREADABLE,)
    return {
        "picture.pdf": (picture, (Code.VALID_COMPARE,)),  # and FILE_KIND_MISMATCH
        "page.png": (pdf, (Code.NOT_OUR_FORMAT,)),
        "package.pdf": (package, (Code.UNREADABLE, Code.RESOURCE_LIMIT)),
        "page.ofd": (pdf, (Code.NOT_OUR_FORMAT,)),
        "picture+page.png": (picture + pdf, refused),
        "package+page.ofd": (package + pdf, refused),
        "page+package.pdf": (pdf + package, refused),
        "page-cut.pdf": (pdf[: len(pdf) // 2], refused),
        "empty.pdf": (b"", refused),
        "noise.jpg": (b"\xff\xd8\xff" + random.Random(1).randbytes(5_000), refused),
    }


def test_every_hostile_file_gets_its_verdict_in_time_and_none_stops_the_run(desk: Desk) -> None:
    cases = {name: ((VECTORS / name).read_bytes(), wanted) for name, wanted in EXPECTED.items()}
    cases |= cross_kind(desk)
    uploads = [(name, data) for name, (data, _) in cases.items()]
    begun = time.monotonic()
    rows = desk.judge(*uploads, ("last.png", desk.picture()))
    assert time.monotonic() - begun < 6 * POOL_LIMITS.wall_seconds  # all of them: 2 s where nothing else runs
    assert [row.file for row in rows] == [*cases, "last.png"]
    assert [(row.file, row.verdict) for row in rows[:-1] if row.verdict not in cases[row.file][1]] == []
    assert rows[-1].verdict is Code.VALID_COMPARE
    named = {row.file: {item.code for item in row.findings} for row in rows}
    for name in ("picture.pdf", "page.png", "page.ofd"):
        assert Code.FILE_KIND_MISMATCH in named[name]


def test_the_list_is_the_collection() -> None:
    there = {f"qr/img/{path.name}" for path in (VECTORS / "qr/img").iterdir()}
    there |= {f"ofd/zip/{path.name}" for path in (VECTORS / "ofd/zip").iterdir()}
    assert there == set(EXPECTED)


# Rows, order, workers


def rows_as_json(rows: Iterable[Report]) -> list[str]:
    return [json.dumps(report_to_json(row), ensure_ascii=False) for row in rows]


@pytest.mark.parametrize("start", list(Start))
def test_workers_say_what_this_process_says(desk: Desk, start: Start) -> None:
    uploads = [("a.png", desk.picture()), ("b.txt", desk.good.text.encode()), ("c.png", b"\x89PNG\r\n\x1a\n")]
    here = [row for name, data in uploads for row in judge_file(data, desk.context, name)]
    rows = desk.judge(*uploads, jobs=1, start=start)
    assert rows_as_json(rows) == rows_as_json(here)
    assert rows == here
    assert rows[0].subject is not None
    assert rows[0].subject.issuer is desk.context.trust.issuers[rows[0].subject.issuer.number]
    assert rows[0].context is desk.context


def test_texts_and_what_no_library_reads_need_no_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk.Pool, "_added", lambda self: pytest.fail("a worker"))
    big = bytes(LIMITS_DEFAULT.file_bytes + 1)
    rows = desk.judge(("a.txt", desk.good.text.encode()), ("b", b"\0\1"), ("c", b""), ("d", big))
    assert verdicts(rows) == [Code.VALID_COMPARE, Code.UNREADABLE, Code.UNREADABLE, Code.RESOURCE_LIMIT]


def test_rows_that_are_there_already_keep_their_place(desk: Desk) -> None:
    ready = judge_file(b"1", desk.context, "-")
    with Bulk(desk.recipe, desk.context, jobs=1, start=Start.FORK) as made:
        rows = list(made.rows([Upload(name="a.png", data=desk.picture()), ready, Upload(name="z", data=b"")]))
    assert [row.file for row in rows] == ["a.png", "-", "z"]


def test_hundreds_of_files_come_back_in_order(desk: Desk) -> None:
    picture, count = desk.picture(), 2_000 if FULL else 120
    rows = desk.judge(*((f"{number}.png", picture) for number in range(count)))
    assert [row.file for row in rows] == [f"{number}.png" for number in range(count)]
    assert set(verdicts(rows)) == {Code.VALID_COMPARE}


def test_trust_data_replaced_under_way_is_no_answer(desk: Desk, tmp_path: Path) -> None:
    world = World()
    world.generation += 5
    world.publish_status()
    save_store(tmp_path / "other", world.trust_files())
    changed = dataclasses.replace(desk.recipe, trust=tmp_path / "other")
    other = Desk(recipe=changed, context=desk.context, good=desk.good)
    with pytest.raises(PoolBrokenError):
        other.judge(("a.png", desk.picture()), jobs=1, start=Start.SPAWN)


def test_an_answer_that_is_no_report_is_not_believed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "pack_reports", lambda reports, ctx: b"nonsense")
    (row,) = desk.judge(("a.png", desk.picture()))
    assert (row.verdict, reason(row)) == (Code.RESOURCE_LIMIT, "file.reader_crashed")


# The wire


def test_reports_come_back_equal(desk: Desk) -> None:
    rows = judge_file(desk.picture(), desk.context, "a")
    assert unpack_reports(pack_reports(rows, desk.context), desk.context) == rows


class Evil:
    def __init__(self, call: Callable[..., object], *words: object) -> None:
        self.parts = (call, words)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.parts


@pytest.mark.parametrize(
    "value",
    [
        Evil(os.system, "true"),
        Evil(eval, "1"),
        Evil(judge_file, b"", None, ""),
        Evil(save_store, Path("x"), {}),
        Evil(getattr, TrustData, "key"),
        (1, 2),
        (),
        "text",
    ],
    ids=["call", "eval", "judge", "save", "getattr", "numbers", "nothing", "text"],
)
def test_nothing_but_values_of_ours_is_read_back(desk: Desk, value: object) -> None:
    import pickle

    with pytest.raises(WireError):
        unpack_reports(pickle.dumps(value), desk.context)


def _global(module: str, name: str) -> bytes:
    return b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)) + b"\x93"


def _written(state: object) -> bytes:
    """Pickle's BUILD: `state` into whatever lies below it."""
    import pickle

    return pickle.dumps(state, protocol=4)[2:-1] + b"b"


CODE = _global("mingzheng.verifier.findings", "Code")


@pytest.mark.parametrize(
    "data",
    [
        b"\x8c\x07contextQ" + _written(["ours now"]),
        CODE + _written((None, {"value": "VALID"})),
        CODE + b"\x8c\x06FORGED\x85R" + _written({"_value_": "VALID"}),
    ],
    ids=["the context", "a class", "a member"],
)
def test_a_reader_taken_over_changes_nothing_that_other_files_are_judged_by(desk: Desk, data: bytes) -> None:
    before = desk.context.trust
    try:
        with pytest.raises(WireError):
            unpack_reports(b"\x80\x04" + data + b".", desk.context)
        assert desk.context.trust is before
        assert Code.FORGED.value == "FORGED"
    finally:  # a failure here must not become one of every other test
        object.__setattr__(desk.context, "trust", before)
        if "value" in vars(Code):
            del Code.value
        Code.FORGED._value_ = "FORGED"


def test_rows_of_another_context_or_another_file_are_not_believed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = judge_file(desk.picture(), desk.context, "a.png")
    other = dataclasses.replace(row, context=None)  # type: ignore[arg-type]
    with pytest.raises(WireError):
        unpack_reports(pack_reports([row, other], desk.context), desk.context)
    monkeypatch.setattr(FileJudge, "rows", lambda judge, data, name: (dataclasses.replace(row, file="b.png"),))
    (told,) = desk.judge(("a.png", desk.picture()))
    assert (told.file, told.verdict, reason(told)) == ("a.png", Code.RESOURCE_LIMIT, "file.reader_crashed")


def test_bytes_cut_or_changed_anywhere_give_reports_or_a_typed_error(desk: Desk) -> None:
    good = pack_reports(judge_file(desk.picture(), desk.context, "a"), desk.context)
    draw = random.Random(7)
    for _ in range(3_000 if FULL else 300):
        data = bytearray(good[: draw.randrange(len(good) + 1)])
        if data:
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            unpack_reports(bytes(data), desk.context)
        except WireError:
            continue


# Photos through the half-size road


def test_a_large_photo_with_a_code_passes(desk: Desk) -> None:
    page = Image.new("L", (4_000, 3_000), 235)
    page.paste(Image.open(io.BytesIO(matrix_to_png(encode_qr(desk.good.text), 8))), (1_000, 900))
    out = io.BytesIO()
    page.rotate(4, fillcolor=200).save(out, "JPEG", quality=70)
    assert verdicts(desk.judge(("photo.jpg", out.getvalue()))) == [Code.VALID_COMPARE]


# What a worker does, done here


def test_a_worker_that_builds_its_own_context_gives_the_same_rows(desk: Desk) -> None:
    work = bulk._built(desk.recipe, desk.context.fingerprint)
    rows = unpack_reports(work("a.png", desk.picture()), desk.context)
    assert rows == judge_file(desk.picture(), desk.context, "a.png")
    (row,) = unpack_reports(work("b", b"\0\1"), desk.context)
    assert (row.verdict, row.file) == (Code.UNREADABLE, "b")
    with pytest.raises(TrustChangedError):
        bulk._built(desk.recipe, "0" * 64)


def test_a_file_too_large_for_the_memory_is_left_to_a_fresh_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(judge: FileJudge, data: bytes, name: str) -> tuple[Report, ...]:
        raise FileTooHungryError("memory", limit=1)

    monkeypatch.setattr(FileJudge, "rows", read)
    with pytest.raises(WorkerMemoryError):
        bulk._inherited(desk.context, desk.recipe)("a", b"")
    assert verdicts(judge_file(b"", desk.context, "a")) == [Code.RESOURCE_LIMIT]


def test_mappings_travel_as_read_only_ones(desk: Desk) -> None:
    (row,) = judge_file(desk.picture(), desk.context, "a")
    finding = dataclasses.replace(row.findings[0], evidence=MappingProxyType({"reason": "x"}))
    changed = dataclasses.replace(row, findings=(finding,))
    (back,) = unpack_reports(pack_reports([changed], desk.context), desk.context)
    assert back == changed
    assert isinstance(back.findings[0].evidence, MappingProxyType)


@pytest.mark.parametrize(
    "answer", [b"", b"\xff", b"[]", b"7", b'{"refused": 1}', b'{"refused": ["a"]}', b"[" * 100_000]
)
def test_an_inspection_that_is_none_is_a_reader_that_died(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(bulk.Pool, "run", lambda pool, items: iter((answer,)))
    with pytest.raises(ResourceLimitError) as caught:
        inspect_file(b"x", "a.pdf", files=LIMITS_DEFAULT)
    assert caught.value.code == "file.reader_crashed"


def test_a_file_is_inspected_in_a_worker_too(desk: Desk) -> None:
    found = inspect_file(desk.picture(), "a.png", files=LIMITS_DEFAULT, start=Start.FORK)
    assert found == json.loads(bulk._inspector(LIMITS_DEFAULT)("a.png", desk.picture()))
    assert found["trusted"] is False
    with pytest.raises(Refusal) as caught:
        inspect_file(b"II*\0", "a.tif", files=LIMITS_DEFAULT, start=Start.FORK)
    assert caught.value.code == "file.tiff"
    assert json.loads(bulk._inspector(LIMITS_DEFAULT)("a", b""))["refused"][0] == "file.unreadable"
    tight = dataclasses.replace(LIMITS, cpu_seconds=1)
    with pytest.raises(ResourceLimitError) as slow:
        inspect_file(nested(6, 10), "bomb.pdf", files=LIMITS_DEFAULT, limits=tight, start=Start.FORK)
    assert slow.value.code == "file.too_slow"
