"""Images of many records: in order, a bounded number ahead, stored by digest, durable before the rows are planned."""

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from office import person, picture, table

from mingzheng.issuer import intake, pictures
from mingzheng.issuer.pictures import PictureWork
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


@pytest.mark.parametrize("count", [3, COUNT])
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


def test_a_row_with_a_bad_image_stores_neither(records: list[ApplicationRecord], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    bad = replace(records[0], signature_image="absent.png")
    none = replace(records[1], photo=None, signature_image=None)
    (_, found), (_, nothing) = PictureWork(tmp_path, store).of([bad, none])
    assert [(fault.field, fault.code) for fault in found.faults] == [("signature_image", "record.image_unreadable")]
    assert (nothing.photo_digest, nothing.signature_digest, nothing.faults) == (None, None, ())
    assert list(store.iterdir()) == []


def test_only_some_rows_are_ahead(
    records: list[ApplicationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures.os, "cpu_count", lambda: 1)
    started: list[int] = []
    work = PictureWork(tmp_path, None)
    read = work._read
    monkeypatch.setattr(work, "_read", lambda record: (started.append(record.row), read(record))[1])
    rows = work.of(records)
    next(rows)
    assert len(started) <= 2 * pictures._AHEAD + 1
    rows.close()  # a reader that leaves: what has not begun is not done
    assert len(started) < COUNT


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
