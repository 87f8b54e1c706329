"""Images of many records: in order, a bounded number ahead, stored by digest, durable before the rows are planned.

Read by this process where they are few, else by processes of their own: both ways give the same.
"""

import hashlib
import io
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from office import person, picture, table
from PIL import Image

from mingzheng.formats import pool
from mingzheng.formats.pool import PoolBrokenError, Task, Work
from mingzheng.issuer import intake, pictures
from mingzheng.issuer.pictures import Pictures, PictureWork
from mingzheng.issuer.record import ApplicationRecord, parse_csv

COUNT = 40


@pytest.fixture
def records(tmp_path: Path) -> list[ApplicationRecord]:
    for number in range(COUNT):
        (tmp_path / f"{number}.png").write_bytes(picture(100 + number, 140 + number))
    (tmp_path / "sign.png").write_bytes(picture(300, 100))
    parsed = parse_csv(table([person(number, photo=f"{number}.png") for number in range(COUNT)]))
    assert parsed.faults == ()
    return list(parsed.records)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("images")] == []


@pytest.fixture(params=["here", "elsewhere"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pictures, "_FEW", COUNT if request.param == "here" else 0)
    return str(request.param)


@pytest.mark.parametrize("count", [3, COUNT])
@pytest.mark.usefixtures("place")
def test_every_record_in_order_with_its_images(records: list[ApplicationRecord], tmp_path: Path, count: int) -> None:
    store = tmp_path / "store"
    store.mkdir()
    found = list(PictureWork(tmp_path, store).of(records[:count]))
    assert [record.row for record, _ in found] == [record.row for record in records[:count]]
    for record, made in found:
        data = (tmp_path / str(record.photo)).read_bytes()
        assert made.photo == intake.normalise_photo(data)
        assert made.photo_digest == hashlib.sha256(made.photo).digest()
        assert (store / made.photo_digest.hex()).read_bytes() == made.photo
    assert len(list(store.iterdir())) == count + 1  # one signature for all


def test_nothing_is_stored_where_nothing_is_to_be(records: list[ApplicationRecord], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert len(list(PictureWork(tmp_path, None).of(records))) == COUNT
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.usefixtures("place")
def test_a_row_with_a_bad_image_stores_neither(records: list[ApplicationRecord], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    bad = replace(records[0], signature_image="absent.png")
    none = replace(records[1], photo=None, signature_image=None)
    (_, found), (_, nothing) = PictureWork(tmp_path, store).of([bad, none])
    assert [(fault.field, fault.code) for fault in found.faults] == [("signature_image", "record.image_unreadable")]
    assert (nothing.photo_digest, nothing.signature_digest, nothing.faults) == (None, None, ())
    assert list(store.iterdir()) == []


def test_faults_are_the_same_wherever_images_are_read(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1.png").write_bytes(picture(10, 10))
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_bytes(picture(100, 140)[:90])
    odd = [*records[:4], replace(records[4], signature_image="absent.png"), replace(records[5], photo=None), records[6]]
    found: list[list[Pictures]] = []
    for few in (COUNT, 0):
        monkeypatch.setattr(pictures, "_FEW", few)
        found.append([made for _, made in PictureWork(tmp_path, None).of(odd)])
    assert found[0] == found[1]
    assert [[(fault.field, fault.code) for fault in made.faults] for made in found[1]] == [
        [],
        [("photo", "image.shape")],
        [("photo", "image.format")],
        [("photo", "record.image_unreadable")],
        [("photo", "image.format"), ("signature_image", "record.image_unreadable")],
        [],
        [],
    ]


def test_only_some_rows_are_ahead(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_FEW": 0, "_TOGETHER": 1, "processors": lambda: 1}.items():
        monkeypatch.setattr(pictures, name, value)
    monkeypatch.setattr(pool, "AHEAD", 4)
    started: list[int] = []
    work = PictureWork(tmp_path, None)
    task = work._task

    def counted(batch: list[ApplicationRecord]) -> Task:
        started.extend(record.row for record in batch)
        return task(batch)

    monkeypatch.setattr(work, "_task", counted)
    rows = work.of(records)
    next(rows)
    assert len(started) <= 2 * pool.AHEAD + 1
    rows.close()  # a reader that leaves: what has not begun is not done
    assert len(started) < COUNT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps RLIMIT_AS")
def test_an_image_that_ends_its_reader_is_the_fault_of_its_row_alone(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    monkeypatch.setattr(pictures, "_LIMITS", replace(pictures._LIMITS, memory_bytes=64 << 20))
    large = io.BytesIO()
    Image.new("RGB", (6_000, 6_000)).save(large, "PNG")
    (tmp_path / "5.png").write_bytes(large.getvalue())
    found = dict(PictureWork(tmp_path, None).of(records[:12]))
    assert {record.photo: [(fault.field, fault.code) for fault in made.faults] for record, made in found.items()} == {
        f"{number}.png": [("photo", "image.format")] if number == 5 else [] for number in range(12)
    }
    assert "中止" in found[records[5]].faults[0].message_zh


def test_readers_that_are_killed_lose_nothing(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    monkeypatch.setattr(pictures, "_TOGETHER", 2)
    found = []
    with closing(PictureWork(tmp_path, None).of(records)) as rows:
        for record, made in rows:
            if record.row in (2, 12):
                for process in multiprocessing.active_children():
                    assert type(process).__name__ == "SpawnProcess"  # a fork would hold the keys of this process
                    process.kill()
            found.append((record.row, made.faults))
    assert found == [(record.row, ()) for record in records]


def _broken() -> Work:
    raise RuntimeError


def test_processes_that_cannot_be_started_say_so(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_FEW", 0)
    monkeypatch.setattr(pictures, "set_up", _broken)
    with pytest.raises(PoolBrokenError):
        list(PictureWork(tmp_path, None).of(records))


@pytest.mark.usefixtures("place")
def test_a_reader_that_is_interrupted_leaves_nothing_behind(records: list[ApplicationRecord], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises(KeyboardInterrupt), closing(PictureWork(tmp_path, store).of(records)) as rows:
        for record, _ in rows:
            if record.row == 5:
                raise KeyboardInterrupt
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in store.iterdir())


@pytest.mark.usefixtures("place")
def test_what_the_disk_refuses_is_not_a_fault_of_the_row(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "write_file", full)
    with pytest.raises(OSError, match="No space"):
        list(PictureWork(tmp_path, tmp_path).of(records))


def test_warnings_of_the_caller_are_as_before() -> None:
    before = list(warnings.filters)
    with intake._QUIET, intake._QUIET:
        warnings.warn("odd metadata", UserWarning, stacklevel=1)
    assert warnings.filters == before
