"""The container we write: other readers agree with it, the same files are the same bytes, entries can be taken over."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.xmlwrite import OfdWriteError, box, document, element, escape, number
from mingzheng.formats.ofd.zipwrite import join_package, pack_file, split_package, write_package

FILES = [("OFD.xml", b"<a/>" * 200), ("Doc_0/Res/photo.jpg", b"\xff\xd8" * 50), ("Doc_0/empty.xml", b"")]


def test_python_and_our_reader_see_the_files() -> None:
    data = write_package(FILES)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == FILES
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        methods = [info.compress_type for info in archive.infolist()]
    assert methods == [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_STORED]
    package = read_package(data, limits=OFD_LIMITS)
    assert list(package.files.items()) == FILES
    assert write_package(FILES) == data


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_]{1,8}\.(xml|png|dat)", fullmatch=True), st.binary(max_size=300)))
def test_taken_apart_and_joined_again(files: dict[str, bytes]) -> None:
    data = write_package(list(files.items()))
    assert join_package(split_package(data)) == data


def test_packages_of_others_are_not_taken_apart() -> None:
    data = write_package(FILES)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("OFD.xml", b"<a/>")
    changed = bytearray(data)
    changed[10] ^= 1  # the date of the first entry
    for wrong in (
        stream.getvalue(),
        b"",
        data[:-1],
        data + b"\0",
        b"x" + data,
        bytes(changed),
        data[:-30] + data[-22:],
    ):
        with pytest.raises(OfdWriteError):
            tuple(split_package(wrong))


@pytest.mark.parametrize("name", ["/OFD.xml", "证.xml", "a\nb"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(OfdWriteError):
        pack_file(name, b"")


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(OfdWriteError):
        write_package([FILES[0], FILES[0]])


def test_too_many_files_are_refused() -> None:
    with pytest.raises(OfdWriteError):
        join_package(pack_file(f"{at}.png", b"") for at in range(0x10000))


def test_numbers_and_elements() -> None:
    assert [number(value) for value in (0, -0.0001, 1.0, 1.2345, -2.5, 100)] == ["0", "0", "1", "1.234", "-2.5", "100"]
    assert box(1, 2.5, 3, 4) == "1 2.5 3 4"
    assert element("A", {"x": '"<&>\n', "n": 1}) == '<ofd:A x="&quot;&lt;&amp;&gt;&#10;" n="1"/>'
    assert element("A", None, "b") == "<ofd:A>b</ofd:A>"
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    assert document("<ofd:A/>") == head + b'<ofd:A xmlns:ofd="http://www.ofdspec.org/2016"/>'
    for bad in "\0\x0b\x1f\x7f\ud800\ufffe\uffff":
        with pytest.raises(OfdWriteError):
            escape(f"a{bad}")
