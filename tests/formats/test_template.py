"""Templates are data, read strictly; places stay on the page and apart from each other."""

import pytest

from mingzheng.formats.library import load_shipped_profiles, read_shipped_templates
from mingzheng.formats.page import QR_PLACE, SealShape
from mingzheng.formats.template import TemplateError, parse_template, parse_templates

CONSTRUCTOR = read_shipped_templates()["constructor.toml"].decode()


def changed(old: str, new: str) -> bytes:
    assert old in CONSTRUCTOR
    return CONSTRUCTOR.replace(old, new, 1).encode()


def test_shipped_templates_parse_and_every_profile_has_one() -> None:
    templates = parse_templates(read_shipped_templates().values())
    assert {profile.template for profile in load_shipped_profiles().profiles} <= set(templates)
    assert {template.name for template in templates.values()} >= {"constructor", "architect", "safety"}


def test_every_shipped_template_has_the_code_where_readers_look_first() -> None:
    for template in parse_templates(read_shipped_templates().values()).values():
        assert template.qr == QR_PLACE, template.name


def test_architect_has_a_round_and_a_square_seal() -> None:
    template = parse_template(read_shipped_templates()["architect.toml"])
    assert [seal.shape for seal in template.seals] == [SealShape.CIRCLE, SealShape.SQUARE]


def test_lengths_are_tenths_of_a_millimetre() -> None:
    template = parse_template(CONSTRUCTOR.encode())
    assert (template.width_mm, template.height_mm) == (210, 297)
    assert template.photo.width_mm == 35


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("schema = 1", "schema = 2", "schema"),
        ("number = 1", "number = 0", "number"),
        ('accent = "9b1c1c"', 'accent = "9B1C1C"', "colours.accent"),
        ('accent = "9b1c1c"', 'accent = "red"', "colours.accent"),
        ("[photo]\nx = 1510", "[photo]\nx = 15.5", "number"),
        ("[photo]\nx = 1510", "[photo]\nx = 1800", "photo"),
        ("[photo]\nx = 1510", "[photo]\nx = 1300", "overlaps"),
        ("[photo]\nx = 1510", "[photo]\nz = 1\nx = 1510", "photo.z"),
        ("[photo]\nx = 1510\n", "[photo]\n", "photo.x"),
        ('shape = "circle"', 'shape = "star"', "shape"),
        ("[page]\nwidth = 2100", "[page]\nwidth = 1500", "frame"),
        ("depth = 70", "depth = 1000", "frame"),
        ("[foot]\nx = 220\ny = 2750", "[foot]\nx = 220\ny = 2860", "foot"),
        ("size = 28\nfloor = 22", "size = 22\nfloor = 28", "floor"),
        ('serial = "流水号"', "", "words.serial"),
        ('language = "zh-CN"', 'language = "zh-CN"\nsurprise = 1', "surprise"),
    ],
)
def test_refuses_a_faulty_template_and_names_the_place(old: str, new: str, place: str) -> None:
    with pytest.raises(TemplateError, match=place) as caught:
        parse_template(changed(old, new))
    assert caught.value.code == "template.malformed"


def test_refuses_what_is_no_toml_and_two_templates_of_one_number() -> None:
    for data in (b"\xff", b"= 1", b"[" * 100_000):
        with pytest.raises(TemplateError):
            parse_template(data)
    with pytest.raises(TemplateError, match="number 1"):
        parse_templates([CONSTRUCTOR.encode()] * 2)
