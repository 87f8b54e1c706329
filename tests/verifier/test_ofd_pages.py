"""OFD pages that show another text than is signed: by a body with a good key, and on files nobody has sealed.

A cover, a hidden layer, a stamp over text, glyph numbers against TextCode, and everything two readers of OFD take
differently: a second document root, versions, foreign namespaces, links that lead to two places.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import pytest
from conftest import FULL
from ofdworld import LIST, PAGE, Copy, Desk, Files, open_desk, packed

from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.doubt import doubt_of
from mingzheng.formats.ofd.drawfont import CharacterMap
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.page import Rect, TextRun
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.sealtable import EMPTY_TABLE
from mingzheng.keys.sm2backend import can_sign
from mingzheng.verifier.bulk import FileJudge
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pagejudge import PageBench
from mingzheng.verifier.pageproof import read_file

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")

ROOT, TEMPLATE = "Doc_0/Document.xml", "Doc_0/Tpls/Tpl_0/Content.xml"
FONTS, PICTURES, FONT = "Doc_0/PublicRes.xml", "Doc_0/DocumentRes.xml", "Doc_0/Res/font_0.ttf"
FALSE = "Doc_0/Pages/Page_1/Content.xml"  # a page with another name on it
NAME = "field.name.value"
NOTES = "Doc_0/Annots/Annotations.xml"
Change = Callable[[Files], None]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return open_desk(tmp_path_factory.mktemp("desk"))


def replaced(name: str, old: str, new: str) -> Change:
    def change(files: Files) -> None:
        before = files[name].decode()
        assert old in before, old
        files[name] = before.replace(old, new, 1).encode()

    return change


def name_object(files: Files) -> str:
    """The text object that shows the name."""
    name = r"<ofd:TextObject [^>]*>(?:(?!</ofd:TextObject>).)*王[甲乙丙丁戊]明</ofd:TextCode></ofd:TextObject>"
    found = re.search(name, files[PAGE].decode())
    assert found is not None
    return found[0]


def other(text: str) -> str:
    """The same object with the characters in another order, and a number of its own."""
    return re.sub(r"王(.)明</", r"明\1王</", text).replace('ID="', 'ID="9')


def boundary(text: str) -> str:
    found = re.search(r'Boundary="([^"]*)"', text)
    assert found is not None
    return found[1]


def white(text: str, *, more: str = "") -> str:
    _, _, width, height = boundary(text).split()
    path = f"M 0 0 L {width} 0 L {width} {height} L 0 {height} C"
    head = f'<ofd:PathObject ID="901" Boundary="{boundary(text)}" Stroke="false" Fill="true"{more}>'
    return (
        f'{head}<ofd:FillColor Value="255 255 255"/><ofd:AbbreviatedData>{path}</ofd:AbbreviatedData></ofd:PathObject>'
    )


def on_name(new: Callable[[str], str], name: str = PAGE) -> Change:
    """Change the object of the name."""

    def change(files: Files) -> None:
        old = name_object(files)
        replaced(name, old, new(old))(files)

    return change


def false_page(files: Files) -> None:
    """Add a page that shows another name."""
    old = name_object(files)
    files[FALSE] = files[PAGE].decode().replace(old, re.sub(r"王(.)明</", r"明\1王</", old)).encode()


def with_false(change: Change) -> Change:
    def both(files: Files) -> None:
        false_page(files)
        change(files)

    return both


def glyphs(files: Files, text: str) -> str:
    """The object with the glyph numbers of its characters turned round, TextCode left as it is."""
    (word,) = re.findall(r">(王.明)</ofd:TextCode>", text)
    numbers = " ".join(str(CharacterMap(files[FONT]).glyph(char)) for char in reversed(word))
    inner = f'<ofd:CGTransform CodePosition="0" CodeCount="3" GlyphCount="3"><ofd:Glyphs>{numbers}</ofd:Glyphs>'
    return text.replace("<ofd:TextCode", f"{inner}</ofd:CGTransform><ofd:TextCode")


def by_glyphs(files: Files) -> None:
    old = name_object(files)
    replaced(PAGE, old, glyphs(files, old))(files)


def annotated(appearance: str, attributes: str = "") -> Change:
    """An annotation of the page."""
    note = '<ofd:Annot ID="990" Type="Stamp" Creator="x" LastModDate="2026-06-01"'

    def change(files: Files) -> None:
        (page,) = re.findall(rb'<ofd:Page ID="(\d+)"', files[ROOT])
        ns = 'xmlns:ofd="http://www.ofdspec.org/2016"'
        files[NOTES] = (
            f'<ofd:Annotations {ns}><ofd:Page PageID="{page.decode()}"><ofd:FileLoc>/Doc_0/Annots/A.xml</ofd:FileLoc>'
            "</ofd:Page></ofd:Annotations>"
        ).encode()
        shown = appearance.replace("@NAME@", other(name_object(files))).replace("@WHITE@", white(name_object(files)))
        files["Doc_0/Annots/A.xml"] = (
            f'<ofd:PageAnnot {ns}>{note}{attributes}><ofd:Appearance Boundary="0 0 210 297">{shown}</ofd:Appearance>'
            "</ofd:Annot></ofd:PageAnnot>"
        ).encode()
        replaced(ROOT, "<ofd:CustomTags>", f"<ofd:Annotations>/{NOTES}</ofd:Annotations><ofd:CustomTags>")(files)

    return change


def false_font(files: Files) -> None:
    """The drawings of two glyphs change places; every map and every text stay as they are."""
    data, font = bytearray(files[FONT]), files[FONT]
    (word,) = re.findall(r">(王.明)</ofd:TextCode>", name_object(files))
    first, second = (CharacterMap(font).glyph(word[at]) for at in (0, 2))
    tables = {font[at : at + 4]: int.from_bytes(font[at + 8 : at + 12]) for at in range(12, 12 + 16 * font[5], 16)}
    wide = 4 if font[tables[b"head"] + 51] else 2
    one, two = (tables[b"loca"] + wide * glyph for glyph in (first, second))
    data[one : one + wide] = font[two : two + wide]
    files[FONT] = bytes(data)


# What the eye sees is another page: found on it, whoever sealed it.
SEEN: dict[str, Change] = {
    "another name": on_name(lambda text: re.sub(r"王(.)明</", r"明\1王</", text)),
    "glyph numbers against TextCode": by_glyphs,
    "hidden name, another shown": on_name(
        lambda text: text.replace("<ofd:TextObject ", '<ofd:TextObject Visible="false" ') + other(text)
    ),
    "cover path": on_name(lambda text: text + white(text)),
    "cover path and another name": on_name(lambda text: text + white(text) + other(text)),
    "cover in a layer above": lambda files: replaced(
        PAGE,
        "</ofd:Layer></ofd:Content>",
        f'</ofd:Layer><ofd:Layer ID="900" Type="Foreground">{white(name_object(files))}</ofd:Layer></ofd:Content>',
    )(files),
    "clear name": on_name(lambda text: text.replace("<ofd:TextObject ", '<ofd:TextObject Alpha="0" ')),
    "white name": on_name(lambda text: text.replace('Value="0 0 0"', 'Value="255 255 255"')),
    "cover in an annotation": annotated("@WHITE@"),
    "another name in an annotation": annotated("@WHITE@@NAME@"),
    "page swapped": with_false(replaced(ROOT, f"/{PAGE}", f"/{FALSE}")),
    "template as page": replaced(ROOT, f'BaseLoc="/{PAGE}"', f'BaseLoc="/{TEMPLATE}"'),
    "template dropped": replaced(PAGE, '<ofd:Template TemplateID="1" ZOrder="Background"/>', ""),
    "drawings of the font swapped": false_font,
}


def on_root(old: str, new: str, *more: Change) -> Change:
    def change(files: Files) -> None:
        replaced(ROOT, old, new)(files)
        for step in more:
            step(files)

    return change


def second_document(files: Files) -> None:
    """Another Document.xml whose page shows another name."""
    false_page(files)
    files["Doc_0/False.xml"] = files[ROOT].replace(PAGE.encode(), FALSE.encode())


def rooted(new: str) -> Change:
    """OFD.xml with something more beside its one DocRoot."""

    def change(files: Files) -> None:
        second_document(files)
        replaced("OFD.xml", "</ofd:DocRoot>", f"</ofd:DocRoot>{new}")(files)

    return change


def versioned(files: Files) -> None:
    """A version that readers open in place of the document."""
    second_document(files)
    files["Doc_0/Version.xml"] = (
        b'<ofd:DocVersion xmlns:ofd="http://www.ofdspec.org/2016" ID="1"><ofd:FileList/>'
        b"<ofd:DocRoot>/Doc_0/False.xml</ofd:DocRoot></ofd:DocVersion>"
    )
    version = '<ofd:Versions><ofd:Version ID="1" Index="0" Current="true" BaseLoc="/Doc_0/Version.xml"/></ofd:Versions>'
    replaced("OFD.xml", "</ofd:DocRoot>", f"</ofd:DocRoot>{version}")(files)


def other_space(files: Files) -> None:
    """A cover and the true name in a namespace strict readers pass over, a false name in the right one."""
    text = name_object(files)
    strange = (
        "".join((white(text), text)).replace("ofd:", "x:").replace("<x:PathObject", '<x:PathObject xmlns:x="urn:x"')
    )
    strange = strange.replace("<x:TextObject", '<x:TextObject xmlns:x="urn:x"')
    replaced(PAGE, text, re.sub(r"王(.)明</", r"明\1王</", text) + strange)(files)


def two_places(files: Files) -> None:
    """A relative link that some readers start from the file and others from the document's folder."""
    false_page(files)
    files["Pages/Page_0/Content.xml"] = files[FALSE]
    replaced(ROOT, f'BaseLoc="/{PAGE}"', 'BaseLoc="Pages/Page_0/Content.xml"')(files)


def two_fonts(files: Files) -> None:
    """A second resource file under a name that is no XML's, with the number of the font."""
    files["Doc_0/Res/font_1.ttf"] = files[FONT]
    false_font(files)
    files[FONT], files["Doc_0/Res/font_1.ttf"] = files["Doc_0/Res/font_1.ttf"], files[FONT]
    files["Doc_0/More.dat"] = files[FONTS].replace(b"font_0", b"font_1")
    replaced(ROOT, "</ofd:PublicRes>", "</ofd:PublicRes><ofd:PublicRes>/Doc_0/More.dat</ofd:PublicRes>")(files)


def hidden(files: Files) -> None:
    """A cover and another name that are not to be shown, which some readers do not know."""
    text = name_object(files)
    more = white(text, more=' Visible="false"') + other(text).replace(
        "<ofd:TextObject ", '<ofd:TextObject Visible="0" '
    )
    replaced(PAGE, text, text + more)(files)


def bare_note(files: Files) -> None:
    annotated("")(files)
    files["Doc_0/Annots/A.xml"] = re.sub(rb"<ofd:Appearance.*</ofd:Appearance>", b"", files["Doc_0/Annots/A.xml"])


def moving(files: Files) -> None:
    """The code as the first frame of several (PNG, 3rd edition, clause 11.3.6.1)."""
    code = next(name for name in files if name.endswith("qr.png"))
    frames = b"acTL" + bytes([0, 0, 0, 2, 0, 0, 0, 0])
    files[code] = files[code][:33] + b"\0\0\0\x08" + frames + crc32(frames).to_bytes(4) + files[code][33:]


ACTION = (
    '<ofd:Actions><ofd:Action Event="DO"><ofd:URI URI="http://example.com"/></ofd:Action></ofd:Actions><ofd:CustomTags>'
)
MORE = "</ofd:PublicRes><ofd:PublicRes>/Doc_0/More.xml</ofd:PublicRes>"
PHYSICAL = "<ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox>"
# What we see is the signed page, another reader may see another: never VALID.
DOUBTED: dict[str, Change] = {
    "two document roots": rooted("<ofd:DocRoot>/Doc_0/False.xml</ofd:DocRoot>"),
    "document root of another namespace": rooted('<x:DocRoot xmlns:x="urn:x">/Doc_0/False.xml</x:DocRoot>'),
    "versions": versioned,
    "two lists of pages": with_false(
        on_root("</ofd:Pages>", f'</ofd:Pages><ofd:Pages><ofd:Page ID="999" BaseLoc="/{FALSE}"/></ofd:Pages>')
    ),
    "two common data": on_root("</ofd:CommonData>", "</ofd:CommonData><ofd:CommonData/>"),
    "two sizes": on_root(PHYSICAL, PHYSICAL + "<ofd:PhysicalBox>0 0 210 150</ofd:PhysicalBox>"),
    "application box": on_root(PHYSICAL, PHYSICAL + "<ofd:ApplicationBox>0 0 210 150</ofd:ApplicationBox>"),
    "two sizes of the page": replaced(PAGE, PHYSICAL, PHYSICAL + "<ofd:PhysicalBox>0 0 210 150</ofd:PhysicalBox>"),
    "content box of the page": replaced(PAGE, PHYSICAL, PHYSICAL + "<ofd:ContentBox>0 0 210 150</ofd:ContentBox>"),
    "two areas": replaced(PAGE, "</ofd:Area>", f"</ofd:Area><ofd:Area>{PHYSICAL}</ofd:Area>"),
    "default colours": on_root("</ofd:CommonData>", "<ofd:DefaultCS>9</ofd:DefaultCS></ofd:CommonData>"),
    "two templates of one number": with_false(
        on_root("</ofd:CommonData>", f'<ofd:TemplatePage ID="1" BaseLoc="/{FALSE}"/></ofd:CommonData>')
    ),
    "action on opening": on_root("<ofd:CustomTags>", ACTION),
    "action of the page": replaced(
        PAGE, "</ofd:Content>", "</ofd:Content>" + ACTION.removesuffix("<ofd:CustomTags>")
    ),
    "extensions": on_root(
        "</ofd:Document>", "<ofd:Extensions>/Doc_0/Ext.xml</ofd:Extensions></ofd:Document>",
        lambda files: files.update({"Doc_0/Ext.xml": b'<ofd:Extensions xmlns:ofd="http://www.ofdspec.org/2016"/>'}),
    ),
    "resources that are damaged": on_root(
        "</ofd:PublicRes>", MORE, lambda files: files.update({"Doc_0/More.xml": b"<ofd:Res"}),
    ),
    "resources of another root": on_root(
        "</ofd:PublicRes>", MORE,
        lambda files: files.update({"Doc_0/More.xml": b'<ofd:Overlay xmlns:ofd="http://www.ofdspec.org/2016"/>'}),
    ),
    "picture with further frames": moving,
    "preferences": on_root("<ofd:CustomTags>", "<ofd:VPreferences/><ofd:CustomTags>"),
    "element of a reader to come": on_root("<ofd:CustomTags>", "<ofd:Overlay/><ofd:CustomTags>"),
    "foreign namespace on the page": other_space,
    "page of no namespace": lambda files: files.update(
        {PAGE: files[PAGE].replace(b' xmlns:ofd="http://www.ofdspec.org/2016"', b"").replace(b"ofd:", b"")}
    ),
    "template of the old namespace": replaced(TEMPLATE, "http://www.ofdspec.org/2016", "http://www.ofdspec.org"),
    "link to two places": two_places,
    "two fonts of one number": two_fonts,
    "hidden cover and name": hidden,
    "hidden annotation": annotated("@WHITE@@NAME@", ' Visible="false" Print="false"'),
    "annotation without an appearance": bare_note,
}  # fmt: skip


def doubt(files: Files) -> str:
    limits = OFD_LIMITS
    return doubt_of(read_ofd(read_package(packed(files), limits=limits), limits=limits), limits=limits)


def unsealed(copy: Copy, change: Change) -> bytes:
    """The file as an authority without seals would give it out, changed by anybody."""
    files = copy.files
    files = {name: body for name, body in files.items() if "/Signs/" not in name}
    files["OFD.xml"] = re.sub(rb"<ofd:Signatures>.*?</ofd:Signatures>", b"", files["OFD.xml"])
    change(files)
    return packed(files)


def without_rules(desk: Desk) -> Desk:
    """The same verifier with trust data that asks for no seals."""
    context = replace(desk.context, seals=EMPTY_TABLE)
    return replace(desk, context=context, judge=FileJudge(context))


def test_the_honest_files_are_valid(desk: Desk) -> None:
    assert [desk.verdict(copy.sealed) for copy in (desk.one, desk.two)] == [Code.VALID, Code.VALID]
    assert desk.verdict(desk.sealed(desk.two)) is Code.VALID
    bare = without_rules(desk)
    assert bare.verdict(unsealed(desk.one, lambda files: None)) is Code.VALID


@pytest.mark.parametrize("trick", [*SEEN][:: 1 if FULL else 7])
def test_a_false_page_under_good_seals_differs(desk: Desk, trick: str) -> None:
    """The body's own key sealed it, so nothing else than the page tells."""
    report = desk.report(desk.sealed(desk.one, SEEN[trick]))
    assert not [seal.faults for seal in report.seals if seal.faults]
    assert report.verdict is not Code.VALID
    if trick == "drawings of the font swapped":
        return
    assert report.verdict is Code.PAGE_MISMATCH or {"PAGE_NOT_COMPARED"} <= {item.code for item in report.findings}


def test_no_trick_under_good_seals_is_proved_without_drawing_it(desk: Desk) -> None:
    """The body's own key sealed it."""
    bench = PageBench(desk.context, limits=LIMITS_DEFAULT, drawn=False)
    assert bench.proved_rows(desk.sealed(desk.one), FileKind.OFD, "x.ofd")[0].verdict is Code.VALID
    tricks = [*SEEN.items(), *DOUBTED.items()]
    for name, trick in tricks if FULL else tricks[::4]:
        assert bench.proved_rows(desk.sealed(desk.one, trick), FileKind.OFD, "x.ofd") == (), name


def test_a_credential_that_does_not_hold_is_not_judged_by_the_proof(desk: Desk) -> None:
    """Whether the page shows another one, only a look at it tells."""
    name = "Doc_0/Attachs/credential.cose"

    def forged(files: Files) -> None:
        files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])

    bench = PageBench(without_rules(desk).context, limits=LIMITS_DEFAULT, drawn=False)
    data = unsealed(desk.one, forged)
    assert read_file(data, FileKind.OFD, limits=LIMITS_DEFAULT) is not None
    assert bench.proved_rows(data, FileKind.OFD, "x.ofd") == ()
    assert without_rules(desk).verdict(data) in {Code.FORGED, Code.AMBIGUOUS}


@pytest.mark.parametrize("trick", DOUBTED)
def test_what_readers_take_differently_is_named(desk: Desk, trick: str) -> None:
    files = desk.one.files
    assert not doubt(files)
    DOUBTED[trick](files)
    assert doubt(files)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ID="2"', 'ID="1"'),
        ("/Doc_0/Signs/Sign_0/", "/Doc_0/Signs/Sign_1/../Sign_0/"),
        ("/Doc_0/Signs/Sign_0/", "/Doc_0/./Signs/Sign_0/"),
        ("/Doc_0/Signs/Sign_0/", "/Doc_0//Signs/Sign_0/"),
        ("/Doc_0/Signs/Sign_0/", "/Doc_0/Signs/SIGN_0/"),
        ("/Doc_0/Signs/Sign_0/", " /Doc_0/Signs/Sign_0/"),
        ("</ofd:Signatures>", "<!-- --></ofd:Signatures>"),
    ],
)
def test_a_list_of_seals_that_readers_take_differently_is_named(desk: Desk, old: str, new: str) -> None:
    """No seal covers the list: it leads to the same seals here, perhaps not elsewhere."""
    files = desk.two.files
    assert not doubt(files)
    replaced(LIST, old, new)(files)
    assert doubt(files)


@pytest.mark.parametrize("trick", [*DOUBTED][:: 1 if FULL else 20])
def test_what_readers_take_differently_is_never_valid(desk: Desk, trick: str) -> None:
    """Whether a body sealed it or nobody had to."""
    report = desk.report(desk.sealed(desk.one, DOUBTED[trick]))
    assert report.verdict is not Code.VALID, report
    if FULL:
        assert without_rules(desk).verdict(unsealed(desk.one, DOUBTED[trick])) is not Code.VALID


@pytest.mark.parametrize("trick", [*SEEN, *DOUBTED][:: 1 if FULL else 30])
def test_the_same_by_someone_without_a_key_is_a_change(desk: Desk, trick: str) -> None:
    files = desk.two.files
    {**SEEN, **DOUBTED}[trick](files)
    report = desk.report(packed(files))
    assert report.verdict in {Code.FILE_CHANGED, Code.SEAL_INVALID}, report


def test_a_good_seal_over_a_field_is_no_good_page(desk: Desk) -> None:
    (run,) = [box for box in desk.one.page.boxes if isinstance(box, TextRun) and box.name == NAME]
    place = Rect(x_mm=run.x_mm - 10, y_mm=run.y_mm - 20, width_mm=42, height_mm=42)
    report = desk.report(desk.put_on(desk.one.bare, desk.one.issuer, desk.one.bodies[0], place))
    assert report.verdict is Code.PAGE_MISMATCH
    assert not report.seals[0].faults
