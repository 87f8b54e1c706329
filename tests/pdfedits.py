"""Edits that somebody without a key makes to a sealed PDF: each gives a changed file, none may pass.

An edit takes a `Sealed` file, one of ours with one or two seals, and gives bytes. The kinds are those of the published
attacks on signed PDFs (universal signature forgery, incremental saving, signature wrapping, shadow documents, evil
annotations) and the everyday ones.
"""

import hashlib
import re
from collections.abc import Callable
from functools import cache

from sealpress import AT, DAY, private

from mingzheng.formats.pdf.cms import detached_cms, signer_of
from mingzheng.formats.pdf.objects import stream
from mingzheng.formats.pdf.revise import append_revision, object_offset
from mingzheng.formats.pdf.sealform import fill_byte_range
from mingzheng.formats.pdf.skeleton import Skeleton, read_skeleton
from mingzheng.formats.pdf.syntax import Ref, Value
from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import make_seal_key
from mingzheng.keys.x509 import parse_certificate

Edit = Callable[["Sealed"], bytes]
EDITS: dict[str, Edit] = {}


class Sealed:
    """A sealed file with the places an editor looks for."""

    def __init__(self, data: bytes, other: bytes = b"") -> None:
        self.data, self.other = data, other
        self.skeleton: Skeleton = read_skeleton(data)
        self.view = self.skeleton.view(len(self.skeleton.revisions))
        self.root = self._number(self.view.trailer["Root"])
        self.info = self._number(self.view.trailer["Info"])
        self.catalogue = self.body(self.root)
        tree = self.view.dictionary(self.view.dictionary(Ref(self.root, 0))["Pages"])
        kids = self.view.array(tree["Kids"])
        self.tree = self._number(self.view.dictionary(Ref(self.root, 0))["Pages"])
        self.page = self._number(kids[0])
        self.contents = self._number(self.view.dictionary(kids[0])["Contents"])
        self.size = int(str(self.view.trailer["Size"]))

    @staticmethod
    def _number(value: Value) -> int:
        assert isinstance(value, Ref)
        return value.number

    def body(self, number: int) -> bytes:
        """An object as it was written last."""
        span = self.view.spans[number]
        if span.data_start < 0:
            return self.data[span.start : span.end].strip()
        return self.data[span.start : span.data_end].strip() + b"\nendstream"

    def find(self, pattern: bytes) -> int:
        """The number of the first object that holds some bytes."""
        return next(number for number in sorted(self.view.spans) if re.search(pattern, self.body(number)))

    def save(self, objects: dict[int, bytes], *, root: int | None = None) -> bytes:
        """A further revision, as any editor writes it."""
        size = max(self.size, *(number + 1 for number in objects))
        return append_revision(self.data, objects, size=size, root=root or self.root, info=self.info)

    def change(self, number: int, old: bytes, new: bytes) -> bytes:
        """A revision in which one object has other bytes."""
        body = self.body(number)
        assert len(re.findall(old, body)) >= 1, (old, body[:300])
        return self.save({number: re.sub(old, new.replace(b"\\", b"\\\\"), body, count=1)})

    def extend(self, number: int, entries: bytes, more: dict[int, bytes] | None = None) -> bytes:
        """A revision in which one dictionary has more entries."""
        body = self.body(number)
        assert body.endswith(b">>")
        return self.save({number: body[:-2] + b" " + entries + b">>", **(more or {})})

    def annotate(self, annotation: bytes, more: dict[int, bytes] | None = None) -> bytes:
        """A revision with one more annotation on the page."""
        body = re.sub(rb"/Annots \[", b"/Annots [%d 0 R " % self.size, self.body(self.page), count=1)
        return self.save({self.page: body, self.size: annotation, **(more or {})})

    def overwrite(self, place: int, new: bytes) -> bytes:
        """The file with other bytes at a place."""
        return self.data[:place] + new + self.data[place + len(new) :]


def edit(function: Edit) -> Edit:
    """Put an edit into the table, under its name."""
    EDITS[function.__name__] = function
    return function


DRAW = stream(b"1 0 0 rg 50 500 400 200 re f")
BOX = b"/Rect [50 500 450 700] /F 4"


def form(data: bytes = b"1 0 0 rg 0 0 400 200 re f") -> bytes:
    return stream(data, {"Type": b"/XObject", "Subtype": b"/Form", "BBox": b"[0 0 400 200]"})


@edit
def note_annotation(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /Text /Rect [10 10 30 30] /Contents (changed)>>")


@edit
def free_text_over_the_name(file: Sealed) -> bytes:
    more = {file.size + 1: form()}
    return file.annotate(b"<</Type /Annot /Subtype /FreeText %b /AP <</N %d 0 R>>>>" % (BOX, file.size + 1), more)


@edit
def stamp_overlay(file: Sealed) -> bytes:
    more = {file.size + 1: form()}
    return file.annotate(b"<</Type /Annot /Subtype /Stamp %b /AP <</N %d 0 R>>>>" % (BOX, file.size + 1), more)


@edit
def link(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /Link %b /A <</S /URI /URI (http://example.org)>>>>" % BOX)


@edit
def launch_action(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /Link %b /A <</S /Launch /F (a.exe)>>>>" % BOX)


@edit
def rich_media(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /RichMedia %b /RichMediaContent <<>>>>" % BOX)


@edit
def file_annotation(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /FileAttachment %b /FS <</Type /Filespec /F (a)>>>>" % BOX)


@edit
def text_field(file: Sealed) -> bytes:
    field = b"<</Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (changed) %b>>" % BOX
    body = re.sub(rb"/Fields \[", b"/Fields [%d 0 R " % file.size, file.catalogue, count=1)
    page = re.sub(rb"/Annots \[", b"/Annots [%d 0 R " % file.size, file.body(file.page), count=1)
    return file.save({file.root: body, file.page: page, file.size: field})


@edit
def field_without_widget(file: Sealed) -> bytes:
    body = re.sub(rb"/Fields \[", b"/Fields [%d 0 R " % file.size, file.catalogue, count=1)
    return file.save({file.root: body, file.size: b"<</FT /Sig /T (Extra)>>"})


@edit
def field_twice(file: Sealed) -> bytes:
    return file.save({file.root: re.sub(rb"/Fields \[(\d+ 0 R)", rb"/Fields [\1 \1", file.catalogue)})


@edit
def dynamicform(file: Sealed) -> bytes:
    return file.change(file.root, rb"/SigFlags 3", b"/SigFlags 3 /XFA (x)")


@edit
def appearances_drawn_anew(file: Sealed) -> bytes:
    return file.change(file.root, rb"/SigFlags 3", b"/SigFlags 3 /NeedAppearances true")


@edit
def page_added(file: Sealed) -> bytes:
    tree = re.sub(rb"(/Kids \[[^\]]*)\]", rb"\1 %d 0 R]" % file.size, file.body(file.tree)).replace(
        b"/Count 1", b"/Count 2"
    )
    page = b"<</Type /Page /Parent %d 0 R /MediaBox [0 0 595 842]>>" % file.tree
    return file.save({file.tree: tree, file.size: page})


@edit
def page_replaced(file: Sealed) -> bytes:
    page = b"<</Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] /Contents %d 0 R>>" % (file.tree, file.size + 1)
    tree = re.sub(rb"/Kids \[[^\]]*\]", b"/Kids [%d 0 R]" % file.size, file.body(file.tree))
    return file.save({file.tree: tree, file.size: page, file.size + 1: DRAW})


@edit
def page_object_replaced(file: Sealed) -> bytes:
    return file.save(
        {file.page: re.sub(rb"/Contents \d+", b"/Contents %d" % file.size, file.body(file.page)), file.size: DRAW}
    )


@edit
def content_replaced(file: Sealed) -> bytes:
    return file.save({file.contents: DRAW})


@edit
def content_appended(file: Sealed) -> bytes:
    page = re.sub(rb"/Contents (\d+ 0 R)", rb"/Contents [\1 %d 0 R]" % file.size, file.body(file.page))
    return file.save({file.page: page, file.size: DRAW})


@edit
def font_swapped(file: Sealed) -> bytes:
    font = file.find(rb"/Type /Font\b.*/Subtype /Type0")
    return file.save({font: b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"})


@edit
def font_program_replaced(file: Sealed) -> bytes:
    return file.save({file.find(rb"/Length1 "): stream(b"\0\1\0\0other outlines", {"Length1": b"18"})})


@edit
def text_mapping_replaced(file: Sealed) -> bytes:
    number = int(re.findall(rb"/ToUnicode (\d+) 0 R", file.body(file.find(rb"/ToUnicode \d+ 0 R")))[0])
    return file.save({number: stream(b"begincmap endcmap")})


@edit
def photo_replaced(file: Sealed) -> bytes:
    entries = {"Type": b"/XObject", "Subtype": b"/Image", "Width": b"1", "Height": b"1", "BitsPerComponent": b"8"}
    other = stream(b"\0\0\0", {**entries, "ColorSpace": b"/DeviceRGB"})
    return file.save({file.find(rb"/Subtype /Image.*/DCTDecode"): other})


@edit
def attachment_added(file: Sealed) -> bytes:
    names = b"/EmbeddedFiles <</Names [(zzz) %d 0 R " % file.size
    catalogue = file.catalogue.replace(b"/EmbeddedFiles <</Names [", names)
    spec = b"<</Type /Filespec /F (zzz) /EF <</F %d 0 R>>>>" % (file.size + 1)
    return file.save(
        {file.root: catalogue, file.size: spec, file.size + 1: stream(b"other", {"Type": b"/EmbeddedFile"})}
    )


@edit
def credential_replaced(file: Sealed) -> bytes:
    return file.save({file.find(rb"/Type /EmbeddedFile"): stream(b"\xd2other", {"Type": b"/EmbeddedFile"})})


@edit
def attachments_hidden(file: Sealed) -> bytes:
    return file.change(file.root, rb"/Names ", b"/Nothing ")


@edit
def metadata_replaced(file: Sealed) -> bytes:
    return file.save({file.find(rb"/Type /Metadata"): stream(b"<x/>", {"Type": b"/Metadata", "Subtype": b"/XML"})})


@edit
def properties_replaced(file: Sealed) -> bytes:
    return file.save({file.info: b"<</Title (other)>>"})


@edit
def optional_content(file: Sealed) -> bytes:
    groups = b"/OCProperties <</OCGs [%d 0 R] /D <</ON [%d 0 R]>>>>" % (file.size, file.size)
    return file.extend(file.root, groups, {file.size: b"<</Type /OCG /Name (layer)>>"})


@edit
def open_action(file: Sealed) -> bytes:
    return file.extend(file.root, b"/OpenAction <</S /JavaScript /JS (app.alert\\(1\\))>>")


@edit
def disguised_open_action(file: Sealed) -> bytes:
    return file.extend(file.root, b"/Open#41ction <</S /Java#53cript /J#53 (1)>>")


@edit
def page_action(file: Sealed) -> bytes:
    return file.extend(file.page, b"/AA <</O <</S /JavaScript /JS (1)>>>>")


@edit
def script_names(file: Sealed) -> bytes:
    catalogue = file.catalogue.replace(
        b"/EmbeddedFiles", b"/JavaScript <</Names [(a) <</S /JavaScript /JS (1)>>]>> /EmbeddedFiles"
    )
    return file.save({file.root: catalogue})


@edit
def language_changed(file: Sealed) -> bytes:
    return file.change(file.root, rb"/Lang ", b"/PageMode /UseNone /Lang ")


@edit
def tags_speak_otherwise(file: Sealed) -> bytes:
    number = file.find(rb"/Type /StructElem /S /P\b")
    return file.extend(number, b"/ActualText (other)")


@edit
def page_turned(file: Sealed) -> bytes:
    return file.extend(file.page, b"/Rotate 180")


@edit
def page_cropped(file: Sealed) -> bytes:
    return file.extend(file.page, b"/CropBox [0 400 595 842]")


@edit
def seal_picture_replaced(file: Sealed) -> bytes:
    field = file.find(rb"/T \(Seal1\)")
    body = re.sub(rb"/AP <</N \d+ 0 R>>", b"/AP <</N %d 0 R>>" % file.size, file.body(field))
    return file.save({field: body, file.size: form()})


@edit
def seal_moved(file: Sealed) -> bytes:
    return file.change(file.find(rb"/T \(Seal1\)"), rb"/Rect \[[^\]]*\]", b"/Rect [0 0 595 842]")


@edit
def seal_taken_off(file: Sealed) -> bytes:
    return file.change(file.find(rb"/T \(Seal1\)"), rb" /V \d+ 0 R", b"")


@edit
def field_taken_out(file: Sealed) -> bytes:
    return file.change(file.root, rb"/Fields \[[^\]]*\]", b"/Fields []")


@edit
def form_taken_out(file: Sealed) -> bytes:
    return file.change(file.root, rb"/AcroForm <<", b"/Nothing <<")


@edit
def signature_without_range(file: Sealed) -> bytes:
    """Universal signature forgery: readers that find no ByteRange and go on."""
    number = int(re.findall(rb"/V (\d+) 0 R", file.body(file.find(rb"/T \(Seal1\)")))[0])
    return file.change(number, rb"/ByteRange \[[^\]]*\]", b"")


@edit
def signature_with_an_empty_range(file: Sealed) -> bytes:
    number = int(re.findall(rb"/V (\d+) 0 R", file.body(file.find(rb"/T \(Seal1\)")))[0])
    return file.change(number, rb"/ByteRange \[[^\]]*\]", b"/ByteRange null")


@edit
def signature_without_contents(file: Sealed) -> bytes:
    number = int(re.findall(rb"/V (\d+) 0 R", file.body(file.find(rb"/T \(Seal1\)")))[0])
    return file.change(number, rb"/Contents <[^>]*>", b"/Contents <00>")


@edit
def signature_copied(file: Sealed) -> bytes:
    """Signature wrapping: the field shows a copy that stands elsewhere."""
    field = file.find(rb"/T \(Seal1\)")
    number = int(re.findall(rb"/V (\d+) 0 R", file.body(field))[0])
    body = re.sub(rb"/V \d+ 0 R", b"/V %d 0 R" % file.size, file.body(field))
    return file.save({field: body, file.size: file.body(number)})


@edit
def evidence_with_a_page(file: Sealed) -> bytes:
    """A DSS revision as LTA has it, with a content stream along."""
    catalogue = file.catalogue[:-2] + b" /DSS %d 0 R>>" % file.size
    return file.save({file.root: catalogue, file.size: b"<</Type /DSS>>", file.contents: DRAW})


@edit
def evidence_alone(file: Sealed) -> bytes:
    return file.extend(file.root, b"/DSS %d 0 R" % file.size, {file.size: b"<</Type /DSS>>"})


@edit
def nothing_saved_again(file: Sealed) -> bytes:
    return file.save({file.info: file.body(file.info)})


@edit
def second_catalogue(file: Sealed) -> bytes:
    return file.save({file.size: file.catalogue}, root=file.size)


@edit
def object_freed(file: Sealed) -> bytes:
    saved = file.save({file.info: file.body(file.info)})
    return saved.replace(b"%d 1\n" % file.info, b"%d 1\n0000000000 00001 f \n%d 1\n" % (file.contents, file.info), 1)


@edit
def hybrid_table(file: Sealed) -> bytes:
    saved = file.save({file.info: file.body(file.info)})
    place = saved.rindex(b"/Prev")
    return saved[:place] + b"/XRefStm 15 " + saved[place:]


@edit
def older_table_first(file: Sealed) -> bytes:
    """The tail once more, pointing to the table of the first revision: later saves vanish."""
    start = int(re.findall(rb"startxref\n(\d+)", file.data)[0])
    return file.data + b"startxref\n%d\n%%%%EOF\n" % start


@edit
def line_behind_the_end(file: Sealed) -> bytes:
    return file.data + b"\n"


@edit
def end_mark_twice(file: Sealed) -> bytes:
    return file.data + b"%%EOF\n"


@edit
def script_behind_the_end(file: Sealed) -> bytes:
    return file.data + b"1 0 obj\n<</OpenAction <</S /JavaScript /JS (1)>>>>\nendobj\n"


@edit
def bytes_before_the_head(file: Sealed) -> bytes:
    return b"\n" + file.data


@edit
def end_cut_off(file: Sealed) -> bytes:
    return file.data[:-1]


@edit
def version_in_the_head(file: Sealed) -> bytes:
    return file.overwrite(5, b"1.4")


@edit
def range_widened(file: Sealed) -> bytes:
    """The hole one byte larger on its right: a byte that nobody signed."""
    match = list(re.finditer(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\]", file.data))[-1]
    text = b"/ByteRange [0 %d %d %d]" % (int(match[1]), int(match[2]) + 1, int(match[3]) - 1)
    return file.overwrite(match.start(), text.ljust(len(match[0])))


@edit
def range_overlapping(file: Sealed) -> bytes:
    match = list(re.finditer(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\]", file.data))[-1]
    text = b"/ByteRange [0 %d %d %d]" % (int(match[1]), int(match[1]), int(match[3]))
    return file.overwrite(match.start(), text.ljust(len(match[0])))


@edit
def comment_in_the_hole(file: Sealed) -> bytes:
    end = [match.end() for match in re.finditer(rb"0{20,}>", file.data)][-1]
    return file.overwrite(end - 12, b"> %hidden <")


@edit
def space_in_the_hole(file: Sealed) -> bytes:
    end = [match.end() for match in re.finditer(rb"0{20,}>", file.data)][-1]
    return file.overwrite(end - 4, b" ")


@edit
def padding_used(file: Sealed) -> bytes:
    end = [match.end() for match in re.finditer(rb"0{20,}>", file.data)][-1]
    return file.overwrite(end - 4, b"1")


@edit
def case_of_a_digit(file: Sealed) -> bytes:
    match = list(re.finditer(rb"/Contents <[0-9a-f]*?([a-f])", file.data))[-1]
    return file.overwrite(match.start(1), match[1].upper())


@edit
def table_entry_moved(file: Sealed) -> bytes:
    place = file.data.rindex(b" 00000 n")
    return file.overwrite(place - 1, b"0" if file.data[place - 1 : place] != b"0" else b"1")


@edit
def other_seal_pasted(file: Sealed) -> bytes:
    """The CMS of the same seal over another file."""
    match = list(re.finditer(rb"/Contents <([0-9a-f]{200,})>", file.data))[-1]
    other = list(re.finditer(rb"/Contents <([0-9a-f]{200,})>", file.other))[-1]
    return file.overwrite(match.start(1), other[1])


@edit
def page_removed(file: Sealed) -> bytes:
    tree = re.sub(rb"/Kids \[[^\]]*\]", b"/Kids []", file.body(file.tree)).replace(b"/Count 1", b"/Count 0")
    return file.save({file.tree: tree})


@edit
def page_under_a_further_node(file: Sealed) -> bytes:
    """A node between root and page whose resources the page would inherit."""
    tree = re.sub(rb"/Kids \[[^\]]*\]", b"/Kids [%d 0 R]" % file.size, file.body(file.tree))
    node = b"<</Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 /Rotate 180>>" % (file.tree, file.page)
    return file.save({file.tree: tree, file.size: node})


@edit
def user_unit(file: Sealed) -> bytes:
    return file.extend(file.page, b"/UserUnit 2")


@edit
def page_labels(file: Sealed) -> bytes:
    return file.extend(file.root, b"/PageLabels <</Nums [0 <</P (2/2 )>>]>>")


@edit
def watermark_annotation(file: Sealed) -> bytes:
    more = {file.size + 1: form()}
    return file.annotate(b"<</Type /Annot /Subtype /Watermark %b /AP <</N %d 0 R>>>>" % (BOX, file.size + 1), more)


@edit
def redaction_annotation(file: Sealed) -> bytes:
    return file.annotate(b"<</Type /Annot /Subtype /Redact %b /OverlayText (changed)>>" % BOX)


@edit
def annotation_without_a_picture(file: Sealed) -> bytes:
    """Some readers draw it themselves."""
    return file.annotate(b"<</Type /Annot /Subtype /Square %b /IC [1 1 1] /C [1 1 1]>>" % BOX)


@edit
def files_as_a_collection(file: Sealed) -> bytes:
    """Acrobat opens the attachment in place of the page."""
    return file.extend(file.root, b"/Collection <</Type /Collection /View /H /D (receipt)>>")


@edit
def colour_of_ink_redefined(file: Sealed) -> bytes:
    body = file.body(file.page).replace(b"/Resources <<", b"/Resources <</ColorSpace <</DefaultRGB /DeviceRGB>> ", 1)
    return file.save({file.page: body})


@edit
def colours_meant_otherwise(file: Sealed) -> bytes:
    return file.change(file.root, rb"/OutputIntents \[", b"/OutputIntents [] /Nothing [")


@edit
def version_in_the_catalogue(file: Sealed) -> bytes:
    return file.extend(file.root, b"/Version /2.0")


def _packed(file: Sealed, objects: dict[int, bytes]) -> bytes:
    """A revision of an object stream and a cross-reference stream (ISO 32000-1 §7.5.7, §7.5.8)."""
    out = bytearray(file.data)
    holder, table = file.size + 1, file.size + 2
    index, bodies = b"", b""
    for number in sorted(objects):
        index += b"%d %d " % (number, len(bodies))
        bodies += objects[number] + b" "
    places = {holder: len(out)}
    head = {"Type": b"/ObjStm", "N": b"%d" % len(objects), "First": b"%d" % len(index)}
    out += b"%d 0 obj\n%b\nendobj\n" % (holder, stream(index + bodies, head))
    places[table] = len(out)
    rows = [(number, bytes([2]) + holder.to_bytes(4) + bytes([at])) for at, number in enumerate(sorted(objects))]
    rows += [(number, bytes([1]) + place.to_bytes(4) + b"\0") for number, place in places.items()]
    entries = {
        "Type": b"/XRef",
        "Size": b"%d" % (table + 1),
        "W": b"[1 4 1]",
        "Index": b"[" + b" ".join(b"%d 1" % number for number, _ in sorted(rows)) + b"]",
        "Root": b"%d 0 R" % file.root,
        "Info": b"%d 0 R" % file.info,
        "Prev": re.findall(rb"startxref\n(\d+)", file.data)[-1],
    }
    out += b"%d 0 obj\n%b\nendobj\n" % (table, stream(b"".join(row for _, row in sorted(rows)), entries))
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % places[table]


@edit
def page_in_an_object_stream(file: Sealed) -> bytes:
    return _packed(file, {file.page: file.body(file.page)[:-2] + b" /Rotate 180>>"})


@edit
def annotation_in_an_object_stream(file: Sealed) -> bytes:
    page = re.sub(rb"/Annots \[", b"/Annots [%d 0 R " % file.size, file.body(file.page), count=1)
    return _packed(file, {file.page: page, file.size: b"<</Type /Annot /Subtype /Square %b /IC [1 1 1]>>" % BOX})


@edit
def nothing_in_an_object_stream(file: Sealed) -> bytes:
    return _packed(file, {file.info: file.body(file.info)})


FOREIGN = frozenset({"stranger_in_place_of_the_seal"})  # a good file of somebody else: who that is, the seal table says


@edit
def stranger_in_place_of_the_seal(file: Sealed) -> bytes:
    """The signature value and certificate of somebody else who bears the same names, over the same bytes."""
    match = list(re.finditer(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\]", file.data))[-1]
    return _signed_by_a_stranger(file.data, int(match[1]), int(match[2]))


@edit
def stranger_seals_as_well(file: Sealed) -> bytes:
    return _sealed_further(file, b"ETSI.CAdES.detached", b"/Sig", lock=b"")


@edit
def stranger_certifies(file: Sealed) -> bytes:
    parameters = b"/TransformParams <</Type /TransformParams /P 3 /V /1.2>>"
    lock = b"/Reference [<</Type /SigRef /TransformMethod /DocMDP %b>>]" % parameters
    return _sealed_further(file, b"ETSI.CAdES.detached", b"/Sig", lock=lock)


@edit
def stranger_stamps(file: Sealed) -> bytes:
    """A CMS of no time in a field for a time stamp."""
    return _sealed_further(file, b"ETSI.RFC3161", b"/DocTimeStamp", lock=b"")


def _sealed_further(file: Sealed, kind: bytes, type_: bytes, *, lock: bytes) -> bytes:
    """One more signature field with a signature over everything."""
    field, value = file.size, file.size + 1
    body = re.sub(rb"/Fields \[", b"/Fields [%d 0 R " % field, file.catalogue, count=1)
    page = re.sub(rb"/Annots \[", b"/Annots [%d 0 R " % field, file.body(file.page), count=1)
    widget = b"<</Type /Annot /Subtype /Widget /FT /Sig /T (Extra) /Rect [0 0 0 0] /F 132 /V %d 0 R>>" % value
    head = b"<</Type %b /Filter /Adobe.PPKLite /SubFilter /%b /ByteRange [%-41b] /Contents <" % (type_, kind, b"")
    signature = head + b"0" * 6000 + b"> /M (D:20260601100000+08'00') %b>>" % lock
    saved = file.save({file.root: body, file.page: page, field: widget, value: signature})
    out, begin, end = fill_byte_range(saved, object_offset(saved, value))
    return _signed_by_a_stranger(bytes(out), begin, end)


def _signed_by_a_stranger(data: bytes, begin: int, end: int) -> bytes:
    """A signature into the hole begin..end by a key under a root of its own, all names as in the genuine one."""
    digest = hashlib.sha256(data[:begin] + data[end:]).digest()
    key = make_seal_key(private("a stranger"), certificate=_stranger(), chain=())
    cms = detached_cms(signer_of(str(key.alg), key.certificate, key.chain), digest=digest, sign=key.sign, stamp=None)
    return data[: begin + 1] + cms.hex().encode().ljust(end - begin - 2, b"0") + data[end - 1 :]


@cache
def _stranger() -> bytes:
    """A certificate under another root with the names of the genuine one."""
    above = CertSpec(
        subject_cn="印章测试根",
        subject_o="某部",
        spki=private("a stranger's root").spki,
        serial=1,
        not_before=AT - 900 * DAY,
        not_after=AT + 9000 * DAY,
        ca=True,
        key_usage=CA_USAGE,
    )
    key = private("a stranger's root")
    issuer = CertIssuer(key=key, certificate=parse_certificate(make_certificate(above, CertIssuer(key=key))))
    spec = CertSpec(
        subject_cn="某省住房和城乡建设厅",
        subject_o="某部",
        spki=private("a stranger").spki,
        serial=7,
        not_before=AT - 400 * DAY,
        not_after=AT + 1000 * DAY,
    )
    return make_certificate(spec, issuer)


def _first_signature(file: Sealed) -> int:
    return int(re.findall(rb"/V (\d+) 0 R", file.body(file.find(rb"/T \(Seal1\)")))[0])


@edit
def certification_dropped(file: Sealed) -> bytes:
    return file.change(_first_signature(file), rb"/Reference \[.*\]", b"")


@edit
def certification_loosened_in_place(file: Sealed) -> bytes:
    place = file.data.index(b"/P ", file.data.index(b"/DocMDP /TransformParams"))
    return file.overwrite(place + 3, b"3")


@edit
def certification_renamed_in_place(file: Sealed) -> bytes:
    return file.overwrite(file.data.index(b"/DocMDP"), b"/DocMDX")


@edit
def permissions_dropped(file: Sealed) -> bytes:
    return file.save({file.root: re.sub(rb"/Perms <<[^>]*>>", b"", file.catalogue) + b" "})


@edit
def lock_dropped(file: Sealed) -> bytes:
    """The last seal's promise that nothing follows (FieldMDP; DocMDP of a single seal), taken back."""
    number = max(int(value) for value in re.findall(rb"/T \(Seal\d\).*?/V (\d+) 0 R", file.data))
    return file.change(number, rb"MDP /TransformParams", b"MDX /TransformParams")


@edit
def lock_renamed_in_place(file: Sealed) -> bytes:
    return file.overwrite(file.data.rindex(b"MDP /TransformParams"), b"MDX")


@edit
def field_renamed(file: Sealed) -> bytes:
    return file.change(file.find(rb"/T \(Seal1\)"), rb"/T \(Seal1\)", b"/T (Seal9)")


@edit
def seal_hidden(file: Sealed) -> bytes:
    return file.change(file.find(rb"/T \(Seal1\)"), rb"/F 132", b"/F 134")


def _pushed_in(file: Sealed, place: int, new: bytes) -> bytes:
    """Bytes pushed in where the last revision begins to be read, offsets of its table and end mark put right."""
    start = int(re.findall(rb"startxref\n(\d+)", file.data)[-1])

    def moved(match: re.Match[bytes]) -> bytes:
        offset = int(match[1])
        return b"%010d" % (offset + len(new) if offset >= place else offset) + match[2]

    tail = re.sub(rb"(\d{10})( 00000 n)", moved, file.data[start:])
    tail = re.sub(rb"startxref\n\d+", b"startxref\n%d" % (start + len(new)), tail)
    return file.data[:place] + new + file.data[place:start] + tail


@edit
def object_nobody_announces(file: Sealed) -> bytes:
    """A second page body in front of the last table: readers that scan for objects take the later one."""
    body = b"%d 0 obj\n%b\nendobj\n" % (file.contents, DRAW)
    return _pushed_in(file, int(re.findall(rb"startxref\n(\d+)", file.data)[-1]), body)


@edit
def comment_between_objects(file: Sealed) -> bytes:
    return _pushed_in(file, int(re.findall(rb"startxref\n(\d+)", file.data)[-1]), b"%comment\n")


@edit
def save_between_the_seals(file: Sealed) -> bytes:
    """A save of another page body after the first seal's revision; the second seal follows, its offsets put right."""
    end = file.skeleton.revisions[0].end
    if end == len(file.data):
        return _pushed_in(file, file.data.rindex(b"\nxref\n") + 1, b"\n")
    first = Sealed(file.data[:end])
    between = first.save({file.contents: DRAW})[end:]
    pushed = _pushed_in(file, end, between)
    start = re.findall(rb"startxref\n(\d+)", between)[-1]
    place = pushed.rindex(b"/Prev ")
    return pushed[:place] + re.sub(rb"/Prev \d+", b"/Prev " + start, pushed[place:])


@edit
def seals_of_another_certificate(file: Sealed) -> bytes:
    """This certificate's page body, under the catalogue, page and seals of another."""
    other = Sealed(file.other)
    return other.save({other.contents: file.body(file.contents)})


@edit
def credential_of_another_certificate(file: Sealed) -> bytes:
    number = file.find(rb"/Type /EmbeddedFile /Subtype /application#2Fcose")
    return file.save({number: Sealed(file.other).body(number)})
