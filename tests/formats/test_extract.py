"""One entry for files of any kind: candidates out, typed errors, limits at the cap and one above."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats import qrimage
from mingzheng.formats.candidate import Source
from mingzheng.formats.errors import FileTooHungryError, FormatError, ResourceLimitError, UnreadableError
from mingzheng.formats.extract import UnsupportedKindError, extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.sniff import FileKind

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
SHARED = os.environ.get("MINGZHENG_ATTACK_FILES")  # a directory with the full hostile collection


@pytest.mark.parametrize(
    ("tail", "kept"), [(b"", "123"), (b"\n", "123"), (b"\r\n", "123"), (b"\n\n", "123\n"), (b" ", "123 ")]
)
def test_text_keeps_all_but_one_line_end(tail: bytes, kept: str) -> None:
    found = extract(b"123" + tail, limits=LIMITS_DEFAULT)
    (candidate,) = found.candidates
    assert (candidate.source, candidate.text, candidate.data, candidate.where) == (Source.TEXT, kept, None, "text")
    assert found.kind is found.facts.kind is FileKind.TEXT


def test_picture_gives_a_candidate_per_code() -> None:
    picture = matrix_to_png(encode_qr("12345"), 4)
    found = extract(picture, limits=LIMITS_DEFAULT)
    (candidate,) = found.candidates
    assert (candidate.source, candidate.text, candidate.where) == (Source.QR, "12345", "image:code:1")
    assert found.kind is FileKind.PNG


def test_picture_with_two_codes_gives_both_with_their_places() -> None:
    data = (VECTORS / "qr/img/qr_two_different_payloads.png").read_bytes()
    found = extract(data, limits=LIMITS_DEFAULT)
    assert [candidate.where for candidate in found.candidates] == ["image:code:1", "image:code:2"]
    assert len({candidate.text for candidate in found.candidates}) == 2


def test_code_of_bytes_is_kept_as_bytes() -> None:
    data = (VECTORS / "qr/img/qr_binary_all_bytes.png").read_bytes()
    (candidate,) = extract(data, limits=LIMITS_DEFAULT).candidates
    assert candidate.text is None
    assert candidate.data is not None


def test_photo_without_a_code_has_no_candidate(studio: Any) -> None:
    found = extract(studio.photo(), limits=LIMITS_DEFAULT)
    assert found.candidates == ()
    assert found.kind is FileKind.JPEG


@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_empty_unknown_and_damaged_files_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        extract(data, limits=LIMITS_DEFAULT)


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(UnreadableError, match="空文件"):
        extract(b"", limits=LIMITS_DEFAULT)


def test_a_file_that_takes_all_memory_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(qrimage, "read_qr", read)
    with pytest.raises(FileTooHungryError):
        extract(matrix_to_png(encode_qr("123"), 2), limits=LIMITS_DEFAULT)


def test_an_archive_is_named_and_not_read() -> None:
    with pytest.raises(UnsupportedKindError) as caught:
        extract(b"PK\x03\x04x", limits=LIMITS_DEFAULT)
    assert caught.value.kind is FileKind.ZIP
    assert caught.value.code == "file.unsupported_kind"
    assert "解压" in str(caught.value)


def test_an_ofd_that_is_no_package_is_refused_as_such() -> None:
    with pytest.raises(UnreadableError) as caught:
        extract(b"PK\x03\x04OFD.xml", limits=LIMITS_DEFAULT)
    assert caught.value.code == "ofd.zip.malformed"


def test_limits_hold_at_the_cap_and_break_one_above(studio: Any) -> None:
    text = b"1" * 50
    for field in ("file_bytes", "text_bytes"):
        limits = dataclasses.replace(LIMITS_DEFAULT, **{field: 50})
        assert extract(text, limits=limits).candidates
        with pytest.raises(ResourceLimitError) as caught:
            extract(text + b"1", limits=limits)
        assert caught.value.what == field
    photo = studio.photo()
    limits = dataclasses.replace(LIMITS_DEFAULT, image_pixels=413 * 579)
    assert extract(photo, limits=limits).candidates == ()
    with pytest.raises(ResourceLimitError):
        extract(photo, limits=dataclasses.replace(limits, image_pixels=413 * 579 - 1))


def test_text_check_loads_no_pdf_and_no_picture_library() -> None:
    program = (
        "import sys; from mingzheng.formats.extract import extract;"
        "from mingzheng.formats.limits import LIMITS_DEFAULT;"
        "extract(b'123', limits=LIMITS_DEFAULT);"
        "heavy = {'PIL', 'pypdfium2', 'uharfbuzz', 'zxingcpp', 'pyhanko'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"PK\x03\x04"])
)
def test_any_bytes_give_an_outcome_or_a_typed_error(data: bytes, magic: bytes) -> None:
    try:
        found = extract(magic + data, limits=LIMITS_DEFAULT)
    except FormatError:
        return
    assert found.kind in FileKind


@pytest.mark.skipif(SHARED is None, reason="MINGZHENG_ATTACK_FILES names no directory of hostile files")
def test_the_whole_hostile_collection_gives_typed_errors_only() -> None:
    assert SHARED is not None
    count = 0
    for path in sorted(Path(SHARED).rglob("*")):
        if path.is_file():
            count += 1
            with contextlib.suppress(FormatError):
                extract(path.read_bytes(), limits=LIMITS_DEFAULT)
    assert count > 50
