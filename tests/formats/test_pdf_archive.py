"""The parts of a PDF/A file that no renderer shows: profile, dates, packet."""

import io
import re
import zlib

import pytest
from PIL import Image, ImageCms

from mingzheng.formats.civil import MIN_DAY, parse_day
from mingzheng.formats.pdf.archive import (
    ComposeError,
    PdfMetadata,
    date_string,
    info,
    output_intents,
    srgb_profile,
    xmp,
)
from mingzheng.formats.pdf.objects import PdfObjects

METADATA = PdfMetadata(author="某部", subject="使用件", producer="mingzheng", made_on=parse_day("2026-11-21"))


def test_the_profile_is_srgb_to_another_program() -> None:
    data = srgb_profile()
    assert len(data) == int.from_bytes(data[:4], "big") < 1024
    profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    assert profile.profile.xcolor_space == "RGB "
    assert profile.profile.device_class == "mntr"
    colours = [(0, 0, 0), (255, 255, 255), (210, 14, 22), (12, 200, 99), (128, 128, 128), (1, 30, 254)]
    picture = Image.new("RGB", (len(colours), 1))
    for x, colour in enumerate(colours):
        picture.putpixel((x, 0), colour)
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    seen = ImageCms.applyTransform(picture, transform)
    assert seen is not None
    for x, colour in enumerate(colours):
        pixel = seen.getpixel((x, 0))
        assert isinstance(pixel, tuple)
        assert max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) <= 1


def test_the_intent_carries_the_profile() -> None:
    objects = PdfObjects()
    intent = output_intents(objects)
    assert re.fullmatch(rb"\[<</Type /OutputIntent /S /GTS_PDFA1 .* /DestOutputProfile 1 0 R>>\]", intent)
    file = objects.file(root=1, info=1)
    packed = file[file.index(b"stream\n") + 7 : file.index(b"\nendstream")]
    assert zlib.decompress(packed) == srgb_profile()
    assert b"/N 3" in file


def test_dates_are_the_first_instant_of_the_day_in_china() -> None:
    assert date_string(METADATA.made_on or 0) == b"(D:20261121000000+08'00')"
    assert date_string(MIN_DAY) == b"(D:19000101000000+08'00')"


def test_packet_and_dictionary_say_the_same() -> None:
    packet, entries = xmp("一级建造师", "zh-CN", METADATA).decode("utf-8", "replace"), info("一级建造师", METADATA)
    for key, text in (("Title", "一级建造师"), ("Author", "某部"), ("Subject", "使用件"), ("Producer", "mingzheng")):
        assert f">{text}<" in packet
        assert b"/%b <FEFF%b>" % (key.encode(), text.encode("utf-16-be").hex().upper().encode()) in entries
    assert packet.count("2026-11-21T00:00:00+08:00") == 2
    assert entries.count(b"(D:20261121000000+08'00')") == 2
    assert "<pdfaid:part>3</pdfaid:part>\n<pdfaid:conformance>A<" in packet
    assert "<pdfuaid:part>1<" in packet


@pytest.mark.parametrize("bad", ["a\nb", "\x7f", "\uffff"])
def test_control_characters_are_refused(bad: str) -> None:
    with pytest.raises(ComposeError):
        xmp(bad, "zh-CN", METADATA)
