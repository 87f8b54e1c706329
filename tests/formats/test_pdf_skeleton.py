"""Strict reading of PDF values and of the bones of a file: what our writers write is read, everything else is not."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, name, ref, stream, text_string
from mingzheng.formats.pdf.revise import append_revision
from mingzheng.formats.pdf.skeleton import OBJECTS_MAX, REVISIONS_MAX, Skeleton, read_skeleton
from mingzheng.formats.pdf.syntax import Name, NotPlainError, Ref, StreamValue, Value, check_value, parse_value


def read(data: bytes) -> Value:
    return parse_value(data, 0, len(data))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"12", 12),
        (b" -3 ", -3),
        (b"+4", 4),
        (b"0.5", 0.5),
        (b"-.25", -0.25),
        (b"7.", 7.0),
        (b"true", True),
        (b"false", False),
        (b"null", None),
        (b"/Name", Name("Name")),
        (b"/", Name("")),
        (b"/A#42C", Name("ABC")),
        (b"12 0 R", Ref(12, 0)),
        (b"[1 2 0 R 3]", (1, Ref(2, 0), 3)),
        (b"[]", ()),
        (b"<</A/B/C[1]/D<</E(x)>>>>", {"A": Name("B"), "C": (1,), "D": {"E": b"x"}}),
        (b"<48 65\n6c>", b"Hel"),
        (b"(a(b)c)", b"a(b)c"),
        (rb"(\n\r\t\b\f\(\)\\)", b"\n\r\t\b\f()\\"),
        (rb"(\101\7\1234)", b"A\x07S4"),
        (b"(\n)", b"\n"),
    ],
)
def test_values(data: bytes, value: Value) -> None:
    got = read(data)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"1 2", b"% comment\n1", b"<4>", b"<4g>", b"(open", b"(\\", b"(\\q)", b"(\\777)", b"(a\rb)", b"tru",
        b"truex", b"1e5", b"--1", b"1.2.3", b"]", b">>", b"<<", b"<</A>>", b"<<1 2>>", b"<</A 1 /A 2>>", b"[1", b"[>>]",
        b"12 0 Rx", b"{1}", b"[" * 30 + b"]" * 30, b"<</A" * 30, b"9" * 13, b"R", b"0 R",
    ],
)  # fmt: skip
def test_refused_values(data: bytes) -> None:
    with pytest.raises(NotPlainError):
        read(data)


@given(st.text(), st.text(min_size=1), st.binary())
def test_what_our_writer_writes_is_read_again(text: str, key: str, data: bytes) -> None:
    written = dictionary({key: array([text_string(text), name(key), b"<" + data.hex().encode() + b">"])})
    shown = Name(key.encode().decode("latin-1"))
    assert read(written) == {str(shown): (b"\xfe\xff" + text.encode("utf-16-be", "surrogatepass"), shown, data)}


@given(st.binary(max_size=80))
def test_reader_of_values_only_refuses(data: bytes) -> None:
    with contextlib.suppress(NotPlainError):
        read(data)


def is_read(data: bytes) -> bool:
    try:
        read(data)
    except NotPlainError:
        return False
    return True


def is_checked(data: bytes) -> bool:
    try:
        check_value(b"<<" + data + b">>", 2, 2 + len(data))  # what stands around it does not count
    except NotPlainError:
        return False
    return True


PIECES = [
    *(
        b"<<",
        b">>",
        b"<</A",
        b"/B",
        b"/A#42",
        b"/",
        b"[",
        b"]",
        b"1",
        b"-.5",
        b"1.",
        b"+",
        b"1 0 R",
        b"1 0 Rx",
        b"<ab>",
    ),
    *(b"<a b>", b"<abc>", b"<>", b"(a)", b"(a(b))", b"(\\n)", b"(\r)", b"(", b"true", b"truex", b"null", b"#", b"{}"),
    *(b" ", b"\n", b"\0", b"%", b"\x0b", b"9999999999999", b"99999999999 0 R", b"<</A 1>>", b"<</B[1[2]]>>", b"[<<>>]"),
]


FRAMES = [b"%b", b"<<%b>>", b"<</A %b>>", b"<</A[%b]>>", b"<</A<<%b>>>>"]


@given(st.sampled_from(FRAMES), st.lists(st.sampled_from(PIECES)), st.sampled_from([b"", b" "]))
def test_what_is_checked_is_what_is_read(frame: bytes, pieces: list[bytes], between: bytes) -> None:
    data = frame % between.join(pieces)
    assert is_checked(data) == is_read(data)


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"<</A 1/B 2>>", True),
        (b" \0<< /A 1 /B<</A 2 >> >>\n", True),
        (b"<<>>", True),
        (b"<</A/A>>", True),
        (b"<</A#42 1/AB 2>>", False),  # one key, two spellings
        (b"<</AB 1/#41B 2>>", False),
        (b"<</A 1/B 2/A 3>>", False),
        (b"<</B<</A 1/A 2>>>>", False),
        (b"<</C<</B<</A 1/A 2>>>>>>", False),
        (b"<</D<</C<</B<</A 1/A 2>>>>>>>>", False),
        (b"<</D<</C<</B<</A 1/B 2>>>>>>>>", True),
        (b"<</E[<</A 1/A 2>>]>>", False),
        (b"<</A 1 2/B 3>>", False),
        (b"<</A 1 % comment\n/B 2>>", False),
        (b"<</A 1>>>", False),
        (b"<<</A 1>>", False),
        (b"<</A 1>> 5", False),
        (b"/A 1", False),
        (b"<</A 1", False),
        (b"</A 1>>", False),
        (b"[[/A 1>>", False),
        (b"1 /A 1>>", False),
        (b"<</A 1]]", False),
        (b"<</A 1 5", False),
        (b"<</A 1>", False),
        (b"<</A>>", False),
        (b"<</A <4>>>", False),
        (b"<</A 1.2.3>>", False),
        (b"<</A 1 0 Rx>>", False),
        (b"<</A truex>>", False),
        (b"<</A (\r)>>", False),
        (b"<</A [1 2>>", False),
        (b"<</A [" + b"1 " * 40_000 + b"]>>", True),  # longer than an expression may be let loose on
        (b"<</A [" + b"1 " * 40_000 + b">>", False),
        (b"<<" + b"/A [1 " * 9_000 + b">>", False),
    ],
)
def test_checked_as_it_is_read(data: bytes, *, good: bool) -> None:
    assert is_read(data) is good
    assert is_checked(data) is good


def test_no_value_is_made_of_what_our_writer_writes(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a check of every object costs as much as reading them all; the catalogue has dictionaries in an array."""
    skeleton, made = read_skeleton(studio.pdf()), []
    monkeypatch.setattr(
        "mingzheng.formats.pdf.syntax.parse_value", lambda data, start, end: made.append(data[start:end])
    )
    skeleton.check_objects()
    assert all(b"/Catalog" in text for text in made)


def small(extra: bytes = b"") -> bytes:
    objects = PdfObjects()
    root, tree = objects.reserve(), objects.reserve()
    objects.set(tree, dictionary(Type=b"/Pages", Kids=b"[]", Count=b"0"))
    objects.set(root, dictionary(Type=b"/Catalog", Pages=ref(tree)))
    objects.add(stream(b"some data", {"Note": b"(endobj stream)"}))
    objects.add(b"[(a) (b(c)) 1 0 R]")
    if extra:
        objects.add(extra)
    return objects.file(root=root, info=objects.add(b"<<>>"))


def test_bones_of_a_small_file() -> None:
    skeleton = read_skeleton(small())
    assert isinstance(skeleton, Skeleton)
    assert len(skeleton.revisions) == 1
    view = skeleton.view(1)
    assert view.trailer["Root"] == Ref(1, 0)
    assert view.dictionary(Ref(1, 0))["Pages"] == Ref(2, 0)
    assert view.array(Ref(4, 0)) == (b"a", b"b(c)", Ref(1, 0))
    found = view.object(3)
    assert isinstance(found, StreamValue)
    assert found.entries["Note"] == b"endobj stream"
    assert view.object(99) is None
    for wrong in (Ref(1, 1), Ref(4, 0)):
        with pytest.raises(NotPlainError):
            view.dictionary(wrong)
    for wrong in (Ref(1, 0), b"text", Ref(99, 0)):
        with pytest.raises(NotPlainError):
            view.array(wrong)


def test_reference_to_a_reference_is_refused() -> None:
    view = read_skeleton(small(b"1 0 R")).view(1)
    with pytest.raises(NotPlainError):
        view.resolve(Ref(5, 0))


def test_revisions_replace_objects() -> None:
    data = append_revision(small(), {4: b"[5]", 7: b"[6]"}, size=8, root=1, info=5)
    skeleton = read_skeleton(data)
    assert len(skeleton.revisions) == 2
    assert skeleton.view(1).object(4) == (b"a", b"b(c)", Ref(1, 0))
    assert skeleton.view(2).object(4) == (5,)
    assert skeleton.view(1).object(7) is None
    assert skeleton.revisions[1].end == len(data)


def test_states_of_a_file_share_what_was_read() -> None:
    skeleton = read_skeleton(append_revision(small(), {4: b"[5]"}, size=6, root=1, info=5))
    assert skeleton.view(1).object(1) is skeleton.view(2).object(1)
    assert skeleton.view(1).object(4) != skeleton.view(2).object(4)


@pytest.mark.parametrize("body", [b"<</A >> ]", b"<</A 1/A 2>>", b"(x", b"", b"[/Length 3 /X]\nstream\nabc\nendstream"])
def test_every_object_ever_written_is_checked(body: bytes) -> None:
    good = append_revision(small(), {6: b"<<>>"}, size=7, root=1, info=5)
    read_skeleton(good).check_objects()
    broken = append_revision(small(), {6: body}, size=7, root=1, info=5)
    for data in (broken, append_revision(broken, {6: b"<<>>"}, size=7, root=1, info=5)):
        with pytest.raises(NotPlainError):
            read_skeleton(data).check_objects()
        with pytest.raises(NotPlainError):
            read_skeleton(data).view(2).object(6)
        assert check_pdf(data) == ((), (("file.structure", "unusual"),))


def _saved(times: int) -> bytes:
    data = small()
    for _ in range(times):
        data = append_revision(data, {4: b"[5]"}, size=6, root=1, info=5)
    return data


def test_number_of_revisions_is_bounded() -> None:
    assert len(read_skeleton(_saved(REVISIONS_MAX - 1)).revisions) == REVISIONS_MAX
    with pytest.raises(NotPlainError):
        read_skeleton(_saved(REVISIONS_MAX))


def _changed(pattern: bytes, new: bytes, data: bytes | None = None) -> bytes:
    data = small() if data is None else data
    changed = re.sub(pattern, new, data, count=1, flags=re.DOTALL)
    assert changed != data
    return changed


def _everything(data: bytes) -> None:
    skeleton = read_skeleton(data)
    view = skeleton.view(len(skeleton.revisions))
    for number in view.spans:
        view.object(number)


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (rb"%PDF-1.7", b"%PDF-1.9"),
        (rb"%PDF-1.7", b"\n%PDF-1.7"),
        (rb"%%EOF\n", b"%%EOF\n\n"),
        (rb"%%EOF\n", b""),
        (rb"startxref\n\d+", b"startxref\n9"),
        (rb"xref\n0 6", b"xref\n0 7"),
        (rb"xref\n0 6", b"xref\n0 5"),
        (rb"65535 f", b"65534 f"),
        (rb"00000 n", b"00001 n"),
        (rb"00000 n", b"00000 f"),
        (rb"/Size 6", b"/Size 5"),
        (rb"/Size 6", b"/Size (6)"),
        (rb"/Root 1 0 R", b"/Root (1)"),
        (rb"/Root", b"/XRefStm 15 /Root"),
        (rb"/Root", b"/Encrypt 5 0 R /Root"),
        (rb"/Root", b"/Prev 15 /Root"),
        (rb"/Root", b"/Prev (x) /Root"),
        (rb"/Root", b"/Prev 99999 /Root"),
        (rb"trailer", b"Trailer"),
        (rb"1 0 obj", b"2 0 obj"),
        (rb"1 0 obj", b"1 1 obj"),
        (rb"endobj\n", b"endobx\n"),
        (rb"endobj\n", b"endobj\n%\n"),
        (rb"/Length \d+", b"/Length 2"),
        (rb"/Length \d+", b"/Length 5 0 R"),
        (rb"/Length ", b"/Length 1 /Length "),
        (rb"endstream", b"endstreem"),
        (rb"\nstream\n", b"\nstreem\n"),
        (rb"\(b\(c\)\)", b"(b(c(d))"),
    ],
)
def test_files_that_are_not_plain(pattern: bytes, new: bytes) -> None:
    with pytest.raises(NotPlainError):
        _everything(_changed(pattern, new))


def test_second_revision_that_is_not_plain() -> None:
    data = _saved(1)
    place = data.rindex(b"4 1\n")
    line = data[place : data.index(b"trailer", place)]
    for new in (line + line, b"4 2\n" + line[4:] + line[4:], b"9 1\n" + line[4:], b"0 0\n" + line):
        with pytest.raises(NotPlainError):
            read_skeleton(data[:place] + new + data[place + len(line) :])
    with pytest.raises(NotPlainError):
        read_skeleton(_changed(rb"/Root 1 0 R(?=[^/]*/Info[^%]*/Prev)", b"/Root 2 0 R", data))
    with pytest.raises(NotPlainError):
        read_skeleton(_changed(rb"(?<=%%EOF\n)4 0 obj", b" 4 0 obj", data))


def test_number_of_objects_is_bounded() -> None:
    objects = PdfObjects()
    for _ in range(OBJECTS_MAX + 1):
        objects.add(b"<<>>")
    with pytest.raises(NotPlainError):
        read_skeleton(objects.file(root=1, info=2))


def test_every_prefix_of_a_file_is_refused(studio: Any) -> None:
    data = small()
    assert read_skeleton(data)
    assert read_skeleton(data[:-1])
    for length in range(len(data) - 1):
        with pytest.raises(NotPlainError):
            read_skeleton(data[:length])
