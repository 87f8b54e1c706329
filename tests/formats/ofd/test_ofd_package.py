"""The container: what honest makers write is read, and every trick with names, headers and sizes has its code."""

import dataclasses
import re
import struct
import zipfile
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import Zipped, deflated, zipped

from mingzheng.formats.errors import FormatError, ResourceLimitError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd import package
from mingzheng.formats.ofd.package import Package, read_package
from mingzheng.formats.ofd.zipwrite import write_package

A = Zipped(name=b"a.xml", body=b"aaaa")
B = Zipped(name=b"b.xml", body=b"bbbb", method=0)
SMALL = dataclasses.replace(
    OFD_LIMITS, package_bytes=4000, entries=4, total_bytes=1000, ratio=10, name_chars=20, name_parts=3
)


def read(data: bytes) -> Package:
    return read_package(data, limits=OFD_LIMITS)


def code_of(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        read(data)
    return caught.value.code


def descriptor(entry: Zipped, *, magic: bool = True, crc: int | None = None) -> Zipped:
    """The entry as a writer makes it that learns the sizes last."""
    packed = deflated(entry.body) if entry.method == 8 else entry.body
    true = zlib.crc32(entry.body)
    tail = struct.pack("<3L", true if crc is None else crc, len(packed), len(entry.body))
    return dataclasses.replace(
        entry,
        flags=0x0808,
        local={"crc": 0, "packed": 0, "size": 0},
        descriptor=(b"PK\7\x08" if magic else b"") + tail,
    )


def zip64(entry: Zipped, *, size: int | None = None) -> Zipped:
    """The entry with its sizes in a ZIP64 field of the local header."""
    packed = len(deflated(entry.body))
    field = struct.pack("<2H2Q", 1, 16, len(entry.body) if size is None else size, packed)
    return dataclasses.replace(entry, local={"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": field})


# what is read


def test_files_by_name_in_the_order_of_the_directory() -> None:
    package = read(zipped([B, Zipped(name=b"d/", method=0), A]))
    assert dict(package.files) == {"b.xml": b"bbbb", "a.xml": b"aaaa"}
    assert list(package.files) == ["b.xml", "a.xml"]
    assert package.comment == b""


def test_a_name_is_found_without_regard_to_capitals() -> None:
    package = read(zipped([Zipped(name=b"Doc_0/Tpls/A.xml")]))
    assert package.find("Doc_0/Tpls/A.xml") == package.find("doc_0/TPLS/a.XML") == "Doc_0/Tpls/A.xml"
    assert package.find("Doc_0/A.xml") is None


@pytest.mark.parametrize(
    "entries",
    [
        [descriptor(A), B],
        [descriptor(A, magic=False), B],
        [zip64(A), B],
        [dataclasses.replace(A, extra=b"\x0a\0\x04\0\0\0\0\0")],
        [dataclasses.replace(A, flags=0x0802)],
        [Zipped(name=b"d/", method=8, packed=b"\3\0"), A],
        [dataclasses.replace(A, made_by=0x0314, attributes=0o100644 << 16)],
    ],
    ids=["descriptor", "bare descriptor", "zip64", "times", "level", "folder deflated", "unix"],
)
def test_what_honest_makers_write_is_read(entries: list[Zipped]) -> None:
    assert read(zipped(entries)).files["a.xml"] == b"aaaa"


def test_names_in_gbk_and_in_utf8_without_its_flag() -> None:
    for raw in ("目录/数据.txt".encode("gbk"), "目录/数据.txt".encode()):
        assert list(read(zipped([Zipped(name=raw, flags=0)])).files) == ["目录/数据.txt"]


def test_a_comment_is_kept_for_others_to_judge() -> None:
    assert read(zipped([A], comment=b"KRC")).comment == b"KRC"


def test_what_the_standard_library_and_our_writer_write_is_read() -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("OFD.xml", b"x" * 50)
        archive.writestr("Doc_0/目录.xml", b"y")
    assert dict(read(out.getvalue()).files) == {"OFD.xml": b"x" * 50, "Doc_0/目录.xml": b"y"}
    assert dict(read(write_package([("OFD.xml", b"x" * 50), ("a.png", b"y")])).files) == {
        "OFD.xml": b"x" * 50,
        "a.png": b"y",
    }


# names


@pytest.mark.parametrize(
    "name",
    [b"/a", b"../a", b"a/../b", b"./a", b"a/./b", b"a//b", b"\\a", b"C:/a", b"//a", b"..", b".", b"", b"/"],
)
def test_paths_that_leave_or_wander_are_refused(name: bytes) -> None:
    assert code_of(zipped([Zipped(name=name)])) == "ofd.zip.path"


@pytest.mark.parametrize(
    "name",
    [
        *(b"a\\b", b"ab:c", b"a*b", b"a?b", b'a"b', b"a<b", b"a|b", b"a\0b", b"a\nb", b"a\x7fb", b"a.", b"a ", b" a"),
        *(b"a. /b", b"\xff\xfe", "e\u0301".encode(), "\u212b".encode(), "a\u202eb".encode(), "\ud7ff\u200b".encode()),
        *(b"x" * 257, b"/".join([b"d"] * 17)),
    ],
)
def test_names_with_odd_characters_or_lengths_are_refused(name: bytes) -> None:
    assert code_of(zipped([Zipped(name=name)])) == "ofd.zip.name"


def test_a_name_of_no_encoding_is_refused() -> None:
    assert code_of(zipped([Zipped(name=b"\xff\xff", flags=0)])) == "ofd.zip.name"


@pytest.mark.parametrize(
    "names",
    [(b"a", b"a"), (b"a", b"A"), ("É".encode(), "é".encode()), (b"d/a", b"D/a"), ("straße".encode(), b"strasse"),
     (b"d/", b"d/")],
)  # fmt: skip
def test_two_of_one_name_are_refused(names: tuple[bytes, ...]) -> None:
    assert code_of(zipped([Zipped(name=name, method=0) for name in names])) == "ofd.zip.duplicate"


@pytest.mark.parametrize(
    "names",
    [(b"a", b"a/"), (b"a", b"a/b"), (b"A/", b"a"), (b"a/B", b"a/b/c"), (b"a/b/", b"a/b/c", b"a"), (b"a/b/c/d", b"a")],
)
def test_a_file_that_is_a_folder_too_is_refused(names: tuple[bytes, ...]) -> None:
    assert code_of(zipped([Zipped(name=name, method=0) for name in names])) == "ofd.zip.alias"


@given(st.lists(st.text("aZ0_-. /:\\\n中\u0301", max_size=4), min_size=1, max_size=4).map("/".join))
def test_a_name_let_through_early_is_one_the_rules_let_through(name: str) -> None:
    limits = dataclasses.replace(OFD_LIMITS, name_chars=8, name_parts=3)

    def outcome() -> str:
        try:
            package._check_name(name, limits)
        except FormatError as error:
            return error.code
        return ""

    early = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "_PLAIN", re.compile(r"(?!)"))
        assert outcome() == early


def test_a_name_that_is_anothers_in_another_encoding_is_refused() -> None:
    twin = "文件".encode()  # read as GBK by those who overlook that it is UTF-8
    other = twin.decode("gb18030", "replace")
    assert "\ufffd" not in other
    data = zipped([Zipped(name=twin, flags=0), Zipped(name=other.encode())])
    assert code_of(data) == "ofd.zip.alias"
    assert len(read(zipped([Zipped(name=twin), Zipped(name=other.encode())])).files) == 2  # both say UTF-8


# headers


@pytest.mark.parametrize(
    "local",
    [
        {"name": b"b.xml"}, {"flags": 0}, {"flags": 0x0808}, {"method": 0}, {"crc": 1}, {"size": 5}, {"packed": 5},
        {"crc": 0, "packed": 0, "size": 0}, {"extra": b"\x01\0\x08\0" + bytes(8)}, {"extra": b"xy"},
        {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": b"\x01\0\x08\0" + bytes(8)},
        {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_differs_from_the_directory_is_refused(local: dict[str, int | bytes]) -> None:
    assert code_of(zipped([dataclasses.replace(A, local=local), B])) == "ofd.zip.header"


def test_wrong_sizes_in_a_zip64_field_or_a_descriptor_are_refused() -> None:
    assert code_of(zipped([zip64(A, size=5)])) == "ofd.zip.header"
    assert code_of(zipped([descriptor(A, crc=1)])) == "ofd.zip.header"
    cut = dataclasses.replace(descriptor(A), descriptor=b"")
    assert code_of(zipped([cut])) == "ofd.zip.header"


@pytest.mark.parametrize(
    "change",
    [
        {"flags": 0x0810}, {"needed": 46}, {"disk": 1}, {"comment": b"c"},
        {"made_by": 0x0314, "attributes": 0o120777 << 16},
        {"extra": b"\x75\x70\x01\0x"}, {"extra": b"\x01\x99\x01\0x"}, {"extra": b"\x0a\0\x09\0"},
        {"extra": b"\x01\0\0\0\x01\0\0\0"}, {"extra": b"\x0a\0\xfd\0" + bytes(253)},
        {"method": 0, "packed": b"aa"}, {"size": 0xFFFFFFFF},
    ],
    ids=str,
)  # fmt: skip
def test_unusual_fields_are_refused(change: dict[str, object]) -> None:
    assert code_of(zipped([dataclasses.replace(A, **change)])) == "ofd.zip.header"  # type: ignore[arg-type]


@pytest.mark.parametrize("flags", [0x0801, 0x0840, 0x2800])
def test_encrypted_entries_are_refused(flags: int) -> None:
    assert code_of(zipped([dataclasses.replace(A, flags=flags)])) == "ofd.zip.encrypted"
    assert code_of(zipped([dataclasses.replace(A, local={"flags": flags})])) == "ofd.zip.encrypted"


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 99])
def test_other_ways_of_packing_are_refused(method: int) -> None:
    assert code_of(zipped([dataclasses.replace(A, method=method)])) == "ofd.zip.method"


def test_a_folder_with_content_is_refused() -> None:
    assert code_of(zipped([Zipped(name=b"d/", body=b"x")])) == "ofd.zip.header"


# bytes that belong to nothing


def test_bytes_outside_the_entries_are_refused() -> None:
    good = zipped([A, B])
    assert code_of(zipped([dataclasses.replace(A, before=b"x"), B])) == "ofd.zip.outside"
    assert code_of(zipped([A, dataclasses.replace(B, before=b"x")])) == "ofd.zip.outside"
    assert code_of(zipped([A, dataclasses.replace(B, descriptor=b"x")])) == "ofd.zip.outside"
    assert code_of(b"x" + good) == "ofd.zip.outside"
    assert code_of(good + b"x") == "ofd.zip.outside"
    assert code_of(zipped([A], comment=b"xx", end={"comment": 1})) == "ofd.zip.outside"
    assert code_of(zipped([A], comment=good)) == "ofd.zip.outside"
    assert code_of(zipped([A], comment=b"PKfoo")) == "ofd.zip.outside"


def test_a_hidden_entry_is_refused() -> None:
    """In the file and not in the directory: readers that go by local headers would show it."""
    hidden = zipped([Zipped(name=b"evil.xml", body=b"e")]).partition(b"PK\1\2")[0]
    assert code_of(zipped([dataclasses.replace(A, before=hidden), B])) == "ofd.zip.outside"
    assert code_of(zipped([A, dataclasses.replace(B, descriptor=hidden)])) == "ofd.zip.outside"


def test_overlapping_entries_are_refused() -> None:
    assert code_of(zipped([A, dataclasses.replace(A, name=b"c", offset=0)])) == "ofd.zip.overlap"
    inner = zipped([Zipped(name=b"in", method=0)]).partition(b"PK\1\2")[0]
    outer = Zipped(name=b"out", body=inner, method=0)
    data = zipped([outer, Zipped(name=b"in", method=0, offset=33)])
    assert code_of(data) == "ofd.zip.overlap"
    long = zipped([dataclasses.replace(B, packed=b"bbbb", local={"packed": 4000, "size": 4000}, size=4000)])
    assert code_of(long) == "ofd.zip.header"
    into = zipped([dataclasses.replace(B, packed=b"bbbb" + b"x" * 40)])
    cut = into.replace(b"x" * 40, b"")
    fixed = bytearray(cut)
    struct.pack_into("<L", fixed, len(fixed) - 6, struct.unpack_from("<L", into, len(into) - 6)[0] - 40)
    for place in (18, 22, cut.index(b"PK\1\2") + 20, cut.index(b"PK\1\2") + 24):
        struct.pack_into("<L", fixed, place, 44)
    assert code_of(bytes(fixed)) == "ofd.zip.overlap"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"disk": 1}, "ofd.zip.header"), ({"first": 1}, "ofd.zip.header"), ({"here": 1}, "ofd.zip.header"),
        ({"count": 1, "here": 1}, "ofd.zip.outside"), ({"count": 3, "here": 3}, "ofd.zip.malformed"),
        ({"start": 0}, "ofd.zip.outside"), ({"size": 1}, "ofd.zip.outside"), ({"start": 10**9}, "ofd.zip.outside"),
    ],
)  # fmt: skip
def test_a_wrong_end_of_the_directory_is_refused(end: dict[str, int], code: str) -> None:
    assert code_of(zipped([A, B], end=end)) == code


def test_a_directory_that_points_nowhere_is_refused() -> None:
    assert code_of(zipped([dataclasses.replace(A, offset=10**8)])) == "ofd.zip.outside"
    assert code_of(zipped([dataclasses.replace(A, offset=1)])) == "ofd.zip.outside"
    end = len(zipped([A])) - 22
    assert code_of(zipped([A, dataclasses.replace(B, offset=end + 30)])) == "ofd.zip.outside"
    data = bytearray(zipped([A]))
    data[0] ^= 1
    assert code_of(bytes(data)) == "ofd.zip.malformed"
    at = data.index(b"PK\1\2")
    data[0] ^= 1
    data[at] ^= 1
    assert code_of(bytes(data)) == "ofd.zip.malformed"
    for junk in (b"", b"PK", b"PK\5\6", b"x" * 100, b"PK\3\4" + bytes(50)):
        assert code_of(junk) == "ofd.zip.malformed"


# content


def test_damaged_content_is_refused() -> None:
    for wrong in (
        dataclasses.replace(A, crc=1),
        dataclasses.replace(A, size=3),
        dataclasses.replace(A, size=9),
        dataclasses.replace(A, packed=deflated(b"aaaa")[:-1]),
        dataclasses.replace(A, packed=deflated(b"aaaa") + b"x"),
        dataclasses.replace(A, packed=b"\xff\xff\xff"),
        dataclasses.replace(A, packed=b""),
        dataclasses.replace(B, crc=1),
    ):
        assert code_of(zipped([wrong])) == "ofd.zip.damaged"


# limits: at the cap and one above


def test_limits_hold_at_the_cap_and_break_one_above() -> None:
    def outcome(entries: list[Zipped], size: int | None = None) -> str:
        data = zipped(entries)
        limits = SMALL if size is None else dataclasses.replace(SMALL, package_bytes=len(data) - size)
        try:
            read_package(data, limits=limits)
        except ResourceLimitError as error:
            return error.code
        except FormatError as error:
            return error.code
        return "good"

    assert outcome([A], 0) == "good"
    assert outcome([A], 1) == "ofd.zip.size"
    names = [Zipped(name=str(number).encode()) for number in range(5)]
    assert (outcome(names[:4]), outcome(names)) == ("good", "ofd.zip.entries")
    stored = [Zipped(name=b"a", body=bytes(1000), method=0), Zipped(name=b"b", body=b"x", method=0)]
    assert (outcome(stored[:1]), outcome(stored)) == ("good", "ofd.zip.size")
    packed = len(deflated(b""))
    assert outcome([Zipped(name=b"a", packed=bytes(packed), size=packed * 10)]) == "ofd.zip.damaged"
    assert outcome([Zipped(name=b"a", packed=bytes(packed), size=packed * 10 + 1)]) == "ofd.zip.ratio"
    assert (outcome([Zipped(name=b"a" * 20)]), outcome([Zipped(name=b"a" * 21)])) == ("good", "ofd.zip.name")
    assert (outcome([Zipped(name=b"a/b/c")]), outcome([Zipped(name=b"a/b/c/d")])) == ("good", "ofd.zip.name")


def test_a_hundred_thousand_entries_are_refused_unread() -> None:
    data = zipped([A], end={"count": 65535, "here": 65535})
    assert code_of(data) == "ofd.zip.entries"


# anything


@given(st.data())
def test_any_change_gives_the_same_files_or_a_typed_error(data: st.DataObject) -> None:
    good = zipped([descriptor(A), B, Zipped(name="目录/x".encode(), body=b"cccc")])
    place = data.draw(st.integers(0, len(good) - 1))
    changed = good[:place] + bytes((data.draw(st.integers(0, 255)),)) + good[place + 1 :]
    try:
        files = read(changed).files
    except FormatError:
        return
    assert sorted(files.values()) == sorted(read(good).files.values())


@pytest.mark.parametrize("end", range(0, 230, 3))
def test_a_cut_package_is_refused(end: int) -> None:
    good = zipped([descriptor(A), B])
    with pytest.raises(FormatError):
        read(good[: min(end, len(good) - 1)])


@given(st.binary(max_size=300))
def test_any_bytes_give_a_typed_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        read(b"PK\3\4" + data)
