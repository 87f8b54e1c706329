"""An office that writes and seals OFD: keys of the forge, seals as the press draws them, pages with their slots."""

import dataclasses
from functools import cache

from ofdforge import AT, DAY, certificate, key, root

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.ofd.compose import OfdField, OfdMetadata, compose_ofd
from mingzheng.formats.ofd.seal import SealDesign, SealPlacement, make_seal, seal_ofd
from mingzheng.formats.ofd.sealpicture import seal_picture_ofd
from mingzheng.formats.page import PageSpec, SealShape, SealSlot, TextRun, seal_slots, without_slots
from mingzheng.formats.sealart import organisation_seal, personal_seal, seal_art_png
from mingzheng.keys.sealkey import MemorySealKey, make_seal_key

ATTACHMENTS = {"credential": b"\xd2credential", "receipt": b"receipt"}
DAY_MADE = AT // DAY


@cache
def seal_key(name: str) -> MemorySealKey:
    """An SM2 seal key with its certificate under the forge's root."""
    return make_seal_key(key(name), certificate=certificate(name), chain=(root(),))


@cache
def design(name: str, shape: SealShape, *, vector: bool = False) -> SealDesign:
    """The seal of a body."""
    fonts = load_fonts()
    round_ = shape is SealShape.CIRCLE
    art = organisation_seal(name, number=None, fonts=fonts) if round_ else personal_seal("张三丰", fonts=fonts)
    return SealDesign(
        esid=f"S{1 if round_ else 2}",
        name=name,
        kind=1 if round_ else 2,
        picture_type="ofd" if vector else "png",
        picture=seal_picture_ofd(art) if vector else seal_art_png(art),
        width_mm=round(art.width_mm),
        height_mm=round(art.height_mm),
        signers=(seal_key(name).certificate,),
        created=AT - DAY,
        valid_from=AT - DAY,
        valid_until=AT + 500 * DAY,
    )


@cache
def seal(name: str, shape: SealShape = SealShape.CIRCLE, *, vector: bool = False) -> bytes:
    """The body's seal, made by the forge's maker."""
    return make_seal(design(name, shape, vector=vector), maker=seal_key("maker"))


def metadata(page: PageSpec, **changes: object) -> OfdMetadata:
    """Properties of a page, every value on it a field."""
    runs = [box for box in page.boxes if isinstance(box, TextRun) and box.name.endswith(".value")]
    names = dict.fromkeys(run.name for run in runs)
    texts = {name: "".join(run.text for run in runs if run.name == name) for name in names}
    plain = OfdMetadata(
        doc_id="00112233445566778899aabbccddeeff",
        author="住房和城乡建设部",
        subject="使用件",
        creator="mingzheng",
        made_on=DAY_MADE,
        valid_from=DAY_MADE,
        valid_until=DAY_MADE + 180,
        fields=tuple(OfdField(name=name, value=text, boxes=(name,)) for name, text in texts.items()),
        licence_id="1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def composed(page: PageSpec, *, seals: int = 0, **changes: object) -> bytes:
    """The unsealed file of a page."""
    shown = without_slots(page) if seals else page
    data = metadata(page, **changes)
    return compose_ofd(shown, fonts=load_fonts(), attachments=ATTACHMENTS, metadata=data, seals=seals)


def place(slot: SealSlot) -> SealPlacement:
    """The seal in the middle of its slot, at its own size."""
    side = 42 if slot.shape is SealShape.CIRCLE else 22
    rect = dataclasses.replace(
        slot.rect,
        x_mm=slot.rect.x_mm + (slot.rect.width_mm - side) / 2,
        y_mm=slot.rect.y_mm + (slot.rect.height_mm - side) / 2,
        width_mm=side,
        height_mm=side,
    )
    return SealPlacement(page=1, rect=rect)


def put_on(data: bytes, slot: SealSlot, *, vector: bool = False, at: int = AT) -> bytes:
    """The file with the seal of a slot's body."""
    drawn = seal(slot.body, slot.shape, vector=vector)
    return seal_ofd(data, seal=drawn, key=seal_key(slot.body), placements=[place(slot)], at=at)


def sealed(page: PageSpec, *, vector: bool = False) -> bytes:
    """The file of a page with a seal on every slot."""
    slots = seal_slots(page)
    data = composed(page, seals=len(slots))
    for at, slot in enumerate(slots):
        data = put_on(data, slot, vector=vector, at=AT + 60 * at)
    return data
