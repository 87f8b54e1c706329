"""Files that show one page to PDFium, which the page comparison sees, and may show another to a different reader.

Without a seal nothing but the comparison speaks for the page, so whatever lets readers differ must be a fault of the
file: tables and streams of another making, a page tree that is another one from below, colours and sizes redefined,
objects where only a mending reader looks, contents from elsewhere. Our own unsealed files have no fault.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pdfedits import BOX, DRAW, EDITS, Sealed, form

from mingzheng.formats.errors import FormatError
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.objects import stream
from mingzheng.formats.pdf.samepage import read_own

Trick = Callable[[Sealed], bytes]
TRICKS: dict[str, Trick] = {
    name: EDITS[name]
    for name in (
        *("hybrid_table", "page_in_an_object_stream", "nothing_in_an_object_stream", "object_freed"),
        *("second_catalogue", "older_table_first", "table_entry_moved", "object_nobody_announces"),
        *("comment_between_objects", "bytes_before_the_head", "line_behind_the_end", "end_mark_twice"),
        *("page_under_a_further_node", "user_unit", "files_as_a_collection", "optional_content", "open_action"),
        *("page_action", "script_names", "attachment_added"),
    )
}


def trick(function: Trick) -> Trick:
    TRICKS[function.__name__] = function
    return function


def _annotated(file: Sealed, annotation: bytes) -> bytes:
    return file.extend(file.page, b"/Annots [%d 0 R]" % file.size, {file.size: annotation})


@trick
def annotation_that_some_draw(file: Sealed) -> bytes:
    return _annotated(file, b"<</Type /Annot /Subtype /FreeText %b /DA (/Helv 12 Tf) /Contents (other)>>" % BOX)


@trick
def annotation_in_a_file_not_plain(file: Sealed) -> bytes:
    return _annotated(file, b"<</Type /Annot /Subtype /Line %b /L [50 600 450 600]>>" % BOX) + b"\n"


@trick
def resources_from_below(file: Sealed) -> bytes:
    """The page takes its fonts from the node that its Parent names, or from the one it hangs on."""
    page = file.body(file.page)
    found = re.search(rb"/Resources (<<.*?>>>>)", page, re.DOTALL)
    assert found is not None
    tree = re.sub(rb"/Kids \[[^\]]*\]", b"/Kids [%d 0 R]" % file.size, file.body(file.tree))
    node = b"<</Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 /Resources <<>>>>" % (file.tree, file.page)
    return file.save({file.page: page.replace(found[0], b""), file.tree: tree, file.size: node})


@trick
def more_kids_than_counted(file: Sealed) -> bytes:
    page = b"<</Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R>>" % (file.tree, file.size + 1)
    tree = re.sub(rb"(/Kids \[[^\]]*)\]", rb"\1 %d 0 R]" % file.size, file.body(file.tree))
    return file.save({file.tree: tree, file.size: page, file.size + 1: DRAW})


@trick
def page_of_two_types(file: Sealed) -> bytes:
    """Has kids and says it is a page."""
    page = b"<</Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R>>" % (file.page, file.size + 1)
    return file.extend(file.page, b"/Kids [%d 0 R] /Count 1" % file.size, {file.size: page, file.size + 1: DRAW})


@trick
def parent_named_twice_over(file: Sealed) -> bytes:
    return file.change(file.page, rb"/Parent (\d+) 0 R", b"/Parent [%d 0]" % file.tree)


@trick
def grey_redefined(file: Sealed) -> bytes:
    spaces = b"/Resources <</ColorSpace <</DefaultGray [/Separation /None /DeviceGray %d 0 R]>> " % file.size
    function = stream(b"{1}", {"FunctionType": b"4", "Domain": b"[0 1]", "Range": b"[0 1]"})
    return file.save({file.page: file.body(file.page).replace(b"/Resources <<", spaces, 1), file.size: function})


@trick
def inks_transferred(file: Sealed) -> bytes:
    state = b"/Resources <</ExtGState <</G <</Type /ExtGState /TR %d 0 R>>>> " % file.size
    function = stream(b"{pop 1}", {"FunctionType": b"4", "Domain": b"[0 1]", "Range": b"[0 1]"})
    return file.save({file.page: file.body(file.page).replace(b"/Resources <<", state, 1), file.size: function})


@trick
def page_of_another_file(file: Sealed) -> bytes:
    """A reference XObject (ISO 32000-1 §8.10.4): readers that find the file show its page."""
    entries = {"Type": b"/XObject", "Subtype": b"/Form", "BBox": b"[0 0 400 200]"}
    entries["Ref"] = b"<</F (http) /Page 0>>"
    return file.extend(file.info, b"/X %d 0 R" % file.size, {file.size: stream(b"", entries)})


@trick
def contents_in_another_file(file: Sealed) -> bytes:
    body = file.body(file.contents)
    return file.save({file.contents: body.replace(b"<<", b"<</F (http) ", 1)})


@trick
def contents_in_another_file_disguised(file: Sealed) -> bytes:
    body = file.body(file.contents)
    return file.save({file.contents: body.replace(b"<<", b"<</#46 (http) ", 1)})


@trick
def object_in_a_stream(file: Sealed) -> bytes:
    """Whoever mends the table by looking for objects finds another page body."""
    hidden = b"\nendstream\nendobj\n%d 0 obj\n%b\nendobj\n" % (file.contents, DRAW)
    return file.extend(file.info, b"/X %d 0 R" % file.size, {file.size: stream(hidden, compress=False)})


def _hidden(file: Sealed, blank: bytes) -> bytes:
    head = b"\nendstream\nendobj\n%d%b0%bobj\n" % (file.contents, blank, blank)
    more = {file.size: stream(head + DRAW + b"\nendobj\n", compress=False)}
    return file.extend(file.info, b"/X %d 0 R" % file.size, more)


@trick
def object_in_a_stream_behind_a_comment(file: Sealed) -> bytes:
    return _hidden(file, b"%" + b"x" * 300 + b"\n")


@trick
def object_in_a_stream_behind_a_vertical_tab(file: Sealed) -> bytes:
    return _hidden(file, b"\x0b")


@trick
def object_in_a_stream_behind_a_hard_blank(file: Sealed) -> bytes:
    return _hidden(file, b"\xa0")


def _object_stream(file: Sealed, kind: bytes) -> bytes:
    """Of a file with a plain table, where only a mending reader takes it for what it is."""
    entries = {"Type": kind, "N": b"1", "First": b"%d" % (len(str(file.page)) + 3)}
    packed = stream(b"%d 0 " % file.page + file.body(file.page)[:-2] + b" /Rotate 180>>", entries)
    return file.extend(file.info, b"/X %d 0 R" % file.size, {file.size: packed})


@trick
def object_stream_beside_a_plain_table(file: Sealed) -> bytes:
    return _object_stream(file, b"/ObjStm")


@trick
def object_stream_disguised_beside_a_plain_table(file: Sealed) -> bytes:
    return _object_stream(file, b"/ObjS#74m")


def _unreadable(file: Sealed, body: bytes) -> bytes:
    """An object at which a reader may begin to mend the file, or read on in the next one."""
    return file.extend(file.info, b"/X %d 0 R" % file.size, {file.size: body})


@trick
def object_that_cannot_be_read(file: Sealed) -> bytes:
    return _unreadable(file, b"<</A >> ]")


@trick
def string_without_an_end(file: Sealed) -> bytes:
    return _unreadable(file, b"<</A (x>>")


@trick
def trailer_as_an_object(file: Sealed) -> bytes:
    return _unreadable(file, b"trailer <</Root 1 0 R>>")


@trick
def object_of_nothing(file: Sealed) -> bytes:
    return _unreadable(file, b"")


@trick
def object_that_cannot_be_read_replaced(file: Sealed) -> bytes:
    """A mending reader takes the last spelling, or the first."""
    broken = Sealed(_unreadable(file, b"<</A >> ]"))
    return broken.save({file.size: b"<<>>"})


@trick
def form_to_be_drawn(file: Sealed) -> bytes:
    field = b"<</Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (other) %b>>" % BOX
    more = {file.size: field, file.root: file.catalogue[:-2] + b" /AcroForm <</NeedAppearances true /Fields []>>>>"}
    return file.extend(file.page, b"/Annots [%d 0 R]" % file.size, more)


@pytest.fixture(scope="module")
def unsealed(studio: Any) -> Sealed:
    data = studio.pdf()
    return Sealed(data, data)


def test_our_unsealed_file_has_no_fault(unsealed: Sealed) -> None:
    assert check_pdf(unsealed.data) == ((), ())


@pytest.mark.parametrize("name", TRICKS)
def test_what_readers_may_show_differently_is_a_fault(unsealed: Sealed, name: str) -> None:
    changed = TRICKS[name](unsealed)
    assert changed != unsealed.data
    seals, faults = check_pdf(changed)
    assert seals == ()
    assert faults


@pytest.mark.parametrize("name", TRICKS)
def test_no_trick_is_taken_for_a_file_of_ours(unsealed: Sealed, name: str) -> None:
    """Its page is never compared by its objects alone."""
    assert read_own(unsealed.data).seals == ()
    with pytest.raises(FormatError):
        read_own(TRICKS[name](unsealed))


def test_there_are_many_tricks() -> None:
    assert len(TRICKS) >= 40


def test_a_resource_named_like_the_entry_of_a_file_is_none(unsealed: Sealed) -> None:
    drawn = form().replace(b"<<", b"<</Resources <</Font <</F 5 0 R>>>> ", 1)
    assert check_pdf(unsealed.extend(unsealed.info, b"/X %d 0 R" % unsealed.size, {unsealed.size: drawn}))[1] == ()
