"""The page check on OFD: the tricks that show something else than TextCode says, on packages of ours."""

import re
from collections.abc import Callable
from functools import cache

import ofdoffice
import pagepress
import pytest
from conftest import FULL
from pagepress import KINDS, compare, make, ofd

from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.drawfont import CharacterMap
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import SealPlacement, seal_ofd
from mingzheng.formats.ofd.zipwrite import write_package
from mingzheng.formats.page import Rect, SealShape, seal_slots, without_slots
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pagecheck import PageResult

HONEST = 500 if FULL else 3
CONTENT = "Doc_0/Pages/Page_0/Content.xml"
NAME = "field.name.value"
UNSUPPORTED = "ofd.draw.unsupported"


@cache
def files() -> dict[str, bytes]:
    return dict(read_package(ofd(pagepress.everyday().page), limits=OFD_LIMITS).files)


def packed(**changes: bytes) -> bytes:
    """The package with some files in another form; "page" is the content of its page."""
    names = {"page": CONTENT, "font": "Doc_0/Res/font_0.ttf", "resources": "Doc_0/PublicRes.xml"}
    return write_package([*{**files(), **{names[key]: data for key, data in changes.items()}}.items()])


def page(change: Callable[[str], str]) -> bytes:
    """The package with its page's XML changed."""
    before = files()[CONTENT].decode()
    after = change(before)
    assert after != before
    return packed(page=after.encode())


def result_of(data: bytes) -> PageResult:
    return compare(pagepress.everyday(), data, FileKind.OFD)


def name_object() -> re.Match[str]:
    """The text object of the name."""
    found = re.search(r"<ofd:TextObject [^>]*>(?:(?!</ofd:TextObject>).)*张建国</ofd:TextCode></ofd:TextObject>",
                      files()[CONTENT].decode())  # fmt: skip
    assert found is not None
    return found


def boundary() -> tuple[float, float, float, float]:
    found = re.search(r'Boundary="([^"]*)"', name_object()[0])
    assert found is not None
    left, top, width, height = map(float, found[1].split())
    return left, top, width, height


def white() -> str:
    """A white path over the name."""
    left, top, width, height = boundary()
    data = f"M 0 0 L {width} 0 L {width} {height} L 0 {height} C"
    parts = (
        f'<ofd:PathObject ID="901" Boundary="{left} {top} {width} {height}" Stroke="false" Fill="true">',
        '<ofd:FillColor Value="255 255 255"/>',
        f"<ofd:AbbreviatedData>{data}</ofd:AbbreviatedData></ofd:PathObject>",
    )
    return "".join(parts)


def other_name() -> str:
    """The name's object with another character, all of them in the embedded font."""
    return name_object()[0].replace("张建国", "国建张").replace('ID="', 'ID="9')


def with_attribute(attribute: str) -> str:
    return name_object()[0].replace("<ofd:TextObject ", f"<ofd:TextObject {attribute} ")


def without(pattern: str, new: str, text: str | None = None) -> str:
    """The name's object, or a text, with an attribute in another form."""
    return re.sub(pattern, new, name_object()[0] if text is None else text)


def top_layer(text: str) -> str:
    """The page with a further layer that holds the cover."""
    layer = f'<ofd:Layer ID="900" Type="Foreground">{white()}</ofd:Layer>'
    return text.replace("</ofd:Layer></ofd:Content>", f"</ofd:Layer>{layer}</ofd:Content>")


def fontless() -> bytes:
    return files()["Doc_0/PublicRes.xml"].replace(b"<ofd:FontFile>font_0.ttf</ofd:FontFile>", b"")


def after_name(more: str) -> Callable[[str], str]:
    return lambda text: text.replace(name_object()[0], name_object()[0] + more)


def instead(more: str) -> Callable[[str], str]:
    return lambda text: text.replace(name_object()[0], more)


def glyphs(*numbers: int) -> str:
    count = len(numbers)
    inner = " ".join(map(str, numbers))
    head = f'<ofd:CGTransform CodePosition="0" CodeCount="{count}" GlyphCount="{count}">'
    return f"{head}<ofd:Glyphs>{inner}</ofd:Glyphs></ofd:CGTransform>"


def glyph_of(char: str) -> int:
    return CharacterMap(files()["Doc_0/Res/font_0.ttf"]).glyph(char)


def with_glyphs(*chars: str) -> str:
    return name_object()[0].replace("<ofd:TextCode", glyphs(*map(glyph_of, chars)) + "<ofd:TextCode")


@pytest.mark.parametrize("seed", range(HONEST))
def test_an_honest_page_is_equal(seed: int) -> None:
    made = make(6000 + seed, kind=KINDS[seed % 3])
    data = ofdoffice.sealed(made.page, vector=seed % 3 == 2) if seed % 3 else ofd(made.page)
    result = compare(made, data, FileKind.OFD)
    assert result.compared, result
    assert (result.mismatches, result.unproved) == ((), ())


def test_glyph_numbers_that_agree_with_the_text_change_nothing() -> None:
    result = result_of(page(instead(with_glyphs("张", "建", "国"))))
    assert (result.compared, result.mismatches) == (True, ())


SEEN: dict[str, Callable[[], bytes]] = {
    "glyph number against TextCode": lambda: page(instead(with_glyphs("国", "建", "张"))),
    "another name": lambda: page(instead(other_name())),
    "hidden name, another shown": lambda: page(instead(with_attribute('Visible="false"') + other_name())),
    "cover path": lambda: page(after_name(white())),
    "cover path and another name": lambda: page(after_name(white() + other_name())),
    "clear name": lambda: page(instead(with_attribute('Alpha="0"'))),
    "unfilled name": lambda: page(instead(with_attribute('Fill="false"') + other_name())),
    "white name": lambda: page(instead(name_object()[0].replace('Value="0 0 0"', 'Value="255 255 255"'))),
    "name in a layer below a cover": lambda: page(top_layer),
    "name moved": lambda: page(instead(name_object()[0].replace('TextCode X="0"', 'TextCode X="2"'))),
    "picture over the name": lambda: page(
        after_name(
            '<ofd:ImageObject ID="902" Boundary="{0} {1} {2} {3}" CTM="{2} 0 0 {3} 0 0" ResourceID="{4}"/>'.format(
                *boundary(), re.findall(r'ResourceID="(\d+)"', files()[CONTENT].decode())[0]
            )
        )
    ),
}


@pytest.mark.parametrize("trick", SEEN)
def test_a_trick_on_a_field_is_found(trick: str) -> None:
    result = result_of(SEEN[trick]())
    assert result.compared, result
    assert NAME in {mismatch.name for mismatch in result.mismatches}, result


def test_swapped_glyphs_in_the_font_are_found() -> None:
    """The font's map sends 张 to the drawing of 国 and back: every reader of text finds the true name."""
    data = bytearray(files()["Doc_0/Res/font_0.ttf"])
    first, second = glyph_of("张"), glyph_of("国")
    tables = int.from_bytes(data[4:6])
    loca = next(int.from_bytes(data[20 + 16 * at : 24 + 16 * at]) for at in range(tables)
                if data[12 + 16 * at : 16 + 16 * at] == b"loca")  # fmt: skip
    head = next(int.from_bytes(data[20 + 16 * at : 24 + 16 * at]) for at in range(tables)
                if data[12 + 16 * at : 16 + 16 * at] == b"head")  # fmt: skip
    assert data[head + 51] in (0, 1)
    wide = 4 if data[head + 51] else 2
    data[loca + wide * first : loca + wide * (first + 1)] = data[loca + wide * second : loca + wide * (second + 1)]
    result = result_of(packed(font=bytes(data)))
    assert not (result.compared and not result.mismatches), result


UNSURE: dict[str, Callable[[], bytes]] = {
    "text beyond its boundary": lambda: page(instead(without(r'Boundary="[^"]*"', 'Boundary="10 10 1 1"'))),
    "path beyond its boundary": lambda: page(after_name(without(r'Boundary="[^"]*"', 'Boundary="1 1 1 1"', white()))),
    "clip": lambda: page(instead(name_object()[0].replace("<ofd:FillColor", "<ofd:Clips/><ofd:FillColor"))),
    "unknown object": lambda: page(after_name('<ofd:VideoObject ID="903" Boundary="0 0 1 1"/>')),
    "unknown attribute": lambda: page(instead(with_attribute('Hide="1"'))),
    "font of no file": lambda: packed(resources=fontless()),
    "two fonts of one number": lambda: packed(
        resources=re.sub(rb"(<ofd:Font .*?</ofd:Font>)", rb"\1\1", files()["Doc_0/PublicRes.xml"])
    ),
    "glyph the font has not": lambda: page(instead(name_object()[0].replace("张建国", "张建龘"))),
    "too few advances": lambda: page(instead(without(r'DeltaX="[^"]*"', 'DeltaX="5"'))),
    "turned text": lambda: page(instead(with_attribute('CharDirection="90"'))),
    "a number that is none": lambda: page(instead(without(r'Size="[^"]*"', 'Size="nan"'))),
}


@pytest.mark.parametrize("trick", UNSURE)
def test_what_readers_show_differently_is_not_compared(trick: str) -> None:
    result = result_of(UNSURE[trick]())
    assert (result.compared, result.reason) == (False, UNSUPPORTED)


def test_a_stamp_over_a_field_is_found() -> None:
    """A good seal whose picture stands on the name."""
    made = pagepress.everyday()
    (slot,) = seal_slots(made.page)
    left, top, *_ = boundary()
    place = SealPlacement(page=1, rect=Rect(x_mm=left - 10, y_mm=top - 18, width_mm=42, height_mm=42))
    data = seal_ofd(
        ofdoffice.composed(without_slots(made.page), seals=1),
        seal=ofdoffice.seal(slot.body, SealShape.CIRCLE),
        key=ofdoffice.seal_key(slot.body),
        placements=[place],
        at=ofdoffice.AT,
    )
    result = result_of(data)
    assert result.compared, result
    assert result.mismatches
