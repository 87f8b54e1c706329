"""Whether two pictures of a page show the same, place by place: never a changed character, always another renderer.

Three steps. `touched_places` finds the least difference between a page and the same page of the same renderer; that
tells a page of ours from one written anew by another program, and on ours every mark, however small or pale.
`changed_tiles` is for pictures of one renderer: tiles with a pixel whose grey differs clearly. What it
leaves is looked at again by `unlike_tiles` at 400 dpi: both sides lightly blurred, and of each side the ink that
has none of the other within a pixel; the mean of that over windows of 5 × 5 pixels (0.3 mm), at the best of some
small shifts, is the tile's score. Measured (tests/verifier/test_pagecheck.py): the same page by another
renderer, or through a JPEG at 200 dpi, scores at most 20; 未 for 末, 己 for 已, 1 for 7 or 3 for 8 in the smallest
print of a page at least 35. Effectful: Pillow is at work.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mingzheng.formats.page import Rect

__all__ = [
    "COARSE_DPI",
    "FINE_DPI",
    "LIMIT",
    "TINT_DPI",
    "Tile",
    "adds_marks",
    "changed_tiles",
    "fitted",
    "has_ink",
    "ink_bounds",
    "inked_tiles",
    "is_grey",
    "is_modules",
    "is_red_picture",
    "marked",
    "on_white",
    "only_red",
    "paired_png",
    "scores",
    "tiles_of",
    "tint",
    "tinted_places",
    "to_pixels",
    "touched_places",
    "transplant",
    "unlike_tiles",
]

COARSE_DPI: Final = 150
FINE_DPI: Final = 400
COLOUR_DPI: Final = 50
LIMIT: Final = 30  # score from which a tile shows something else
TINT_DPI: Final = 300  # where thin lines have their true width
TILE_MM: Final = 10.0

_MM: Final = 25.4
_CLEAR: Final = 24  # grey levels: less is anti-aliasing
_BLUR: Final = 1.0  # pixels at FINE_DPI
_WINDOW: Final = 2  # pixels to each side
_MARGIN: Final = 10  # pixels around a tile that blur, growth, window and shift reach
_REACH: Final = 3  # pixels that a tile may be shifted: 0.19 mm
_AFAR: Final = 3  # pixels to each side at COLOUR_DPI: the mean over 3.5 mm
_NEXT: Final = 9  # shifts after which ...
_HOPELESS: Final = 120  # ... this score cannot fall below the limit any more
_TINT: Final = 26  # levels of a colour channel in that mean
_TOUCHED: Final = 5  # levels of a colour channel: 2 % of the way from white to black
_INK: Final = 60
_INK_PIXELS: Final = 6
_SQUARES: Final = 137  # a side of the largest code looked at: with more, each is a few pixels, and those draw anything
_FRAME: Final = 64  # darkness of what counts for the bounds of a page's ink
_RED_DARK: Final = 110  # darkness in the red channel that no seal's red has
_SEAL_DARK: Final = 64  # of a picture that may be scaled, its colours and its opacity apart

_SHIFTS: Final = sorted(
    ((x, y) for x in range(-_REACH, _REACH + 1) for y in range(-_REACH, _REACH + 1)),
    key=lambda shift: shift[0] ** 2 + shift[1] ** 2,
)

Pixels = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A square of the page; `score` as above, `rect` where in it the difference is."""

    column: int
    row: int
    score: int
    rect: Rect


def to_pixels(rect: Rect, dpi: float, *, grow_mm: float = 0.0) -> Pixels:
    """Left, top, right, bottom in pixels, rounded outwards."""
    scale = dpi / _MM
    return (
        int((rect.x_mm - grow_mm) * scale),
        int((rect.y_mm - grow_mm) * scale),
        int((rect.right_mm + grow_mm) * scale) + 1,
        int((rect.bottom_mm + grow_mm) * scale) + 1,
    )


def to_rect(box: Pixels, dpi: float) -> Rect:
    """The millimetres of some pixels."""
    scale = _MM / dpi
    return Rect(
        x_mm=box[0] * scale,
        y_mm=box[1] * scale,
        width_mm=(box[2] - box[0]) * scale,
        height_mm=(box[3] - box[1]) * scale,
    )


def transplant(picture: Any, source: Any, places: Iterable[Rect], dpi: float, *, grow_mm: float) -> None:
    """Put what `source` shows in these places into `picture`, so that they are not compared."""
    for place in places:
        box = to_pixels(place, dpi, grow_mm=grow_mm)
        box = (max(0, box[0]), max(0, box[1]), min(picture.width, box[2]), min(picture.height, box[3]))
        if box[0] < box[2] and box[1] < box[3]:
            picture.paste(source.crop(box), box[:2])


def tiles_of(picture: Any, dpi: float) -> tuple[tuple[int, int], ...]:
    """Column and row of every tile of a page."""
    side = _side(dpi)
    return tuple((x, y) for y in range(-(-picture.height // side)) for x in range(-(-picture.width // side)))


def changed_tiles(expected: Any, shown: Any, dpi: float) -> tuple[tuple[int, int], ...]:
    """The tiles in which a pixel of the two grey pictures differs clearly."""
    marks = ImageChops.difference(expected, shown).point(_STEP)
    return tuple(_marked(marks, dpi))


def tinted_places(expected: Any, shown: Any, dpi: int) -> tuple[Rect, ...]:
    """The places, at most one a tile, in which two RGB pictures, seen from afar, have other colours.

    Finds what grey does not: pale overlays in colour, a ground of another colour, a picture in another place.
    """
    red, green, blue = ImageChops.difference(_afar(expected, dpi), _afar(shown, dpi)).split()
    return _spots(ImageChops.lighter(ImageChops.lighter(red, green), blue).point(_TINT_STEP), COLOUR_DPI)


def touched_places(expected: Any, shown: Any, dpi: int) -> tuple[Rect, ...]:
    """The places, at most one a tile, in which two RGB pictures are not the same.

    The same page drawn by the same renderer has none; a page written anew has them wherever there is ink.
    """
    red, green, blue = ImageChops.difference(expected, shown).split()
    return _spots(ImageChops.lighter(ImageChops.lighter(red, green), blue).point(_TOUCHED_STEP), dpi)


def tint(expected: Any, shown: Any, dpi: int) -> int:
    """The greatest difference of colour seen from afar, for measurements."""
    return max(_most(part) for part in ImageChops.difference(_afar(expected, dpi), _afar(shown, dpi)).split())


def _afar(picture: Any, dpi: int) -> Any:
    return picture.reduce(dpi // COLOUR_DPI).filter(ImageFilter.BoxBlur(_AFAR))


def unlike_tiles(
    expected: Any, shown: Any, tiles: Sequence[tuple[int, int]], dpi: float, *, most: int
) -> tuple[Tile, ...]:
    """Those of the tiles, in two grey pictures at FINE_DPI, that show something else; the search ends after `most`."""
    found = []
    last = (0, 0)
    for tile in tiles:
        score, last, rect = _judge(expected, shown, tile, dpi, last)
        if score >= LIMIT:
            found.append(Tile(column=tile[0], row=tile[1], score=score, rect=rect))
        if len(found) >= most:
            break
    return tuple(found)


def scores(expected: Any, shown: Any, tiles: Sequence[tuple[int, int]], dpi: float) -> tuple[int, ...]:
    """The score of each tile, for measurements."""
    return tuple(_judge(expected, shown, tile, dpi, (0, 0), enough=0)[0] for tile in tiles)


def inked_tiles(picture: Any, dpi: float) -> int:
    """How many tiles of a grey picture hold anything."""
    return sum(int(picture.crop(_tile_box(tile, dpi)).getextrema()[0]) <= 255 - _CLEAR
               for tile in tiles_of(picture, dpi))  # fmt: skip


def marked(picture: Any) -> bool:
    """Tell whether a grey picture of a place holds clear marks."""
    return bool(sum(picture.histogram()[: 256 - _INK]) >= _INK_PIXELS)


def has_ink(expected: Any, shown: Any) -> bool:
    """Tell whether a place that should be empty holds clear marks; two grey pictures of the place."""
    extra = ImageChops.subtract(ImageChops.invert(shown), _grown(_grown(ImageChops.invert(expected))))
    return sum(extra.histogram()[_INK:]) >= _INK_PIXELS


def only_red(expected: Any, shown: Any) -> bool:
    """Tell whether what an RGB picture of a seal's place shows beyond the expected is red ink or the like.

    Red ink is bright in the red channel; black or blue writing, and grey as dark as writing, is not.
    """
    dark_expected = ImageChops.invert(expected.getchannel("R"))
    dark_shown = ImageChops.invert(shown.getchannel("R"))
    extra = ImageChops.subtract(dark_shown, _grown(_grown(dark_expected))).filter(ImageFilter.BoxBlur(1))
    return sum(extra.histogram()[_RED_DARK:]) < _INK_PIXELS


def is_red_picture(colour: bytes, alpha: bytes | None, size: tuple[int, int]) -> bool:
    """Tell whether RGB samples with their opacity darken no ground in the red channel by more than seals do.

    However a renderer scales the picture, it then adds nothing that `only_red` takes for writing.
    """
    dark = ImageChops.invert(Image.frombytes("RGB", size, colour).getchannel("R"))
    if alpha is not None:
        dark = ImageChops.multiply(dark, Image.frombytes("L", size, alpha))
    return _most(dark) <= _SEAL_DARK


def on_white(colour: bytes, alpha: bytes | None, size: tuple[int, int]) -> Any:
    """RGB samples with their opacity as they look on white paper."""
    picture = Image.frombytes("RGB", size, colour)
    if alpha is None:
        return picture
    return Image.composite(picture, Image.new("RGB", size, (255, 255, 255)), Image.frombytes("L", size, alpha))


def adds_marks(expected: Any, shown: Any) -> bool:
    """Tell whether one of two RGB pictures of the same renderer holds the least mark that the expected has not."""
    return any(_most(part) >= _TOUCHED for part in ImageChops.subtract(expected, shown).split())


def is_modules(picture: Any) -> bool:
    """Tell whether an RGB picture of a code's place at FINE_DPI holds nothing but black squares of one grid on white.

    A code is still read with writing over it; a person would read that, too.
    """
    red, green, blue = picture.split()
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    whole = darkest.point(_MIDDLE_STEP)
    box = ImageChops.invert(whole).getbbox()
    if box is None or darkest.point(_HALFTONE_STEP).filter(ImageFilter.MinFilter(3)).getbbox() is not None:
        return False
    code = whole.crop(box)
    edge = code.crop((0, 0, code.width, 1)).tobytes()  # begins with the seven modules of a finder pattern
    finder = max(1, (edge + b"\xff").index(b"\xff"))
    near = round((7 * code.width / finder - 17) / 4) * 4 + 17  # modules a side; a pixel of the pattern is one size
    return any(_is_grid(code, side) for side in range(near - 8, near + 9, 4) if 0 < side <= _SQUARES)


def _is_grid(code: Any, side: int) -> bool:
    """Tell whether a picture of black and white is one of so many squares a side, up to a pixel at their edges."""
    squares = code.resize((side, side), Image.Resampling.BOX).point(_MIDDLE_STEP)
    grid = ImageChops.invert(squares.resize(code.size, Image.Resampling.NEAREST))
    dark = ImageChops.invert(code)
    extra, lacking = ImageChops.subtract(dark, _grown(grid)), ImageChops.subtract(grid, _grown(dark))
    return sum(ImageChops.lighter(extra, lacking).histogram()[_INK:]) < _INK_PIXELS


def is_grey(picture: Any) -> bool:
    """Tell whether an RGB picture holds no colour at all worth the name."""
    red, green, blue = picture.split()
    spread = ImageChops.subtract(ImageChops.lighter(ImageChops.lighter(red, green), blue),
                                 ImageChops.darker(ImageChops.darker(red, green), blue))  # fmt: skip
    return sum(spread.histogram()[_INK:]) < _INK_PIXELS


def ink_bounds(picture: Any, dpi: float) -> Rect | None:
    """The bounds of everything dark on a grey picture, in millimetres."""
    box = picture.point(_FRAME_STEP).getbbox()
    return None if box is None else to_rect(box, dpi)


def fitted(picture: Any, size: tuple[int, int], *, left: int, top: int) -> Any:
    """A picture moved by some pixels onto white paper of a size."""
    paper = Image.new(picture.mode, size, 255 if picture.mode == "L" else (255, 255, 255))
    paper.paste(picture, (left, top))
    return paper


def paired_png(expected: Any, shown: Any, rects: Sequence[Pixels]) -> bytes:
    """A PNG of two pictures of one place side by side, the expected one left; `rects` outlined in red in both."""
    gap = 8
    paper = Image.new("RGB", (expected.width + gap + shown.width, max(expected.height, shown.height)), (128, 128, 128))
    paper.paste(expected, (0, 0))
    paper.paste(shown, (expected.width + gap, 0))
    draw = ImageDraw.Draw(paper)
    for left, top, right, bottom in rects:
        for shift in (0, expected.width + gap):
            draw.rectangle((left + shift, top, right + shift, bottom), outline=(220, 0, 0), width=2)
    return png_of(paper)


def png_of(picture: Any) -> bytes:
    """A picture as a PNG file."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _judge(
    expected: Any, shown: Any, tile: tuple[int, int], dpi: float, first: tuple[int, int], *, enough: int = LIMIT - 1
) -> tuple[int, tuple[int, int], Rect]:
    """The best score of a tile, its shift, and where the difference is; stops at the first score of `enough`."""
    left, top, right, bottom = _tile_box(tile, dpi)
    around = (left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN)
    wide = (around[0] - _REACH, around[1] - _REACH, around[2] + _REACH, around[3] + _REACH)
    want, seen = _ink(expected, wide), _ink(shown, around)
    want_grown, seen_grown = _grown(want), _grown(seen)
    best, shift, marks = 256, (0, 0), None
    for at, (x, y) in enumerate((first, *_SHIFTS)):
        box = (x + _REACH, y + _REACH, x + _REACH + seen.width, y + _REACH + seen.height)
        extra = ImageChops.subtract(seen, want_grown.crop(box))
        lacking = ImageChops.subtract(want.crop(box), seen_grown)
        mass = ImageChops.lighter(extra, lacking).filter(ImageFilter.BoxBlur(_WINDOW))
        mass = mass.crop((_MARGIN, _MARGIN, seen.width - _MARGIN, seen.height - _MARGIN))
        score = _most(mass)
        if score < best:
            best, shift, marks = score, (x, y), mass
        if best <= enough or (at == _NEXT and best > _HOPELESS):
            break
    where = marks.point(_LIMIT_STEP).getbbox() if marks is not None and best >= LIMIT else None
    where = where or (0, 0, right - left, bottom - top)
    spot = (left + where[0], top + where[1], left + where[2], top + where[3])
    return best, shift, to_rect(spot, dpi)


def _ink(picture: Any, box: Pixels) -> Any:
    """Darkness of a part of a grey picture, blurred; beyond the edge there is white paper."""
    part = picture.crop(box)
    if box[0] < 0 or box[1] < 0 or box[2] > picture.width or box[3] > picture.height:
        inside = (max(0, box[0]), max(0, box[1]), min(picture.width, box[2]), min(picture.height, box[3]))
        part = fitted(picture.crop(inside), part.size, left=inside[0] - box[0], top=inside[1] - box[1])
    return ImageChops.invert(part).filter(ImageFilter.GaussianBlur(_BLUR))


def _grown(ink: Any) -> Any:
    """Each pixel as dark as the darkest of its eight neighbours and itself."""
    offset = ImageChops.offset
    across = ImageChops.lighter(ImageChops.lighter(ink, offset(ink, 1, 0)), offset(ink, -1, 0))
    return ImageChops.lighter(ImageChops.lighter(across, offset(across, 0, 1)), offset(across, 0, -1))


def _most(picture: Any) -> int:
    """The greatest level of a grey picture."""
    return int(picture.getextrema()[1])


def _spots(marks: Any, dpi: float) -> tuple[Rect, ...]:
    """Where in each tile the marks are."""
    places = []
    for tile in _marked(marks, dpi):
        left, top, _, _ = box = _tile_box(tile, dpi)
        inner = marks.crop(box).getbbox() or (0, 0, 0, 0)
        places.append(to_rect((left + inner[0], top + inner[1], left + inner[2], top + inner[3]), dpi))
    return tuple(places)


def _marked(marks: Any, dpi: float) -> Iterator[tuple[int, int]]:
    if marks.getbbox() is None:
        return
    for tile in tiles_of(marks, dpi):
        if marks.crop(_tile_box(tile, dpi)).getbbox() is not None:
            yield tile


def _tile_box(tile: tuple[int, int], dpi: float) -> Pixels:
    side = _side(dpi)
    return tile[0] * side, tile[1] * side, (tile[0] + 1) * side, (tile[1] + 1) * side


def _side(dpi: float) -> int:
    """Pixels of a tile; the same number of millimetres at every resolution used here."""
    return round(TILE_MM * COLOUR_DPI / _MM) * round(dpi / COLOUR_DPI)


def _step(limit: int) -> list[int]:
    return [255 * (level >= limit) for level in range(256)]


_STEP: Final = _step(_CLEAR)
_LIMIT_STEP: Final = _step(LIMIT)
_TINT_STEP: Final = _step(_TINT)
_TOUCHED_STEP: Final = _step(_TOUCHED)
_MIDDLE_STEP: Final = _step(128)
_HALFTONE_STEP: Final = [255 * (8 <= level <= 247) for level in range(256)]  # neither black nor white
_FRAME_STEP: Final = [255 * (255 - level >= _FRAME) for level in range(256)]
