"""The kit: templates and fonts of the trust data, or none."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pagepress
import pytest
from pagepress import trust

from mingzheng.formats.fontfile import SHIPPED_FONT
from mingzheng.formats.library import read_shipped_templates
from mingzheng.verifier.pagekit import FONT_UNKNOWN, FONTS_BLOB, TRUST_UNREADABLE, PageKit

FONT = files("mingzheng.formats.fonts").joinpath(SHIPPED_FONT).read_bytes()


def fonts(*data: bytes) -> bytes:
    listed = {f"font{at}.ttf": hashlib.sha256(item).hexdigest() for at, item in enumerate(data)}
    return json.dumps({"schema": 1, "fonts": listed}).encode()


def test_without_templates_in_the_trust_data_the_shipped_ones_count() -> None:
    kit = PageKit.from_trust(trust({}))
    assert (kit.shipped, kit.reason, sorted(kit.templates)) == (True, "", [1, 2, 3, 4, 5, 6])


def test_the_templates_of_the_trust_data_are_the_only_ones() -> None:
    name, data = next(iter(read_shipped_templates().items()))
    kit = PageKit.from_trust(trust({f"templates/{name}": data, FONTS_BLOB: fonts(FONT)}))
    assert (kit.shipped, kit.reason, len(kit.templates)) == (False, "", 1)


def test_another_font_in_the_trust_data_means_no_comparison() -> None:
    kit = PageKit.from_trust(trust({FONTS_BLOB: fonts(b"another")}))
    assert kit.reason == FONT_UNKNOWN
    made = pagepress.everyday()
    result = pagepress.FilePages(pagepress.pdf(made.page), pagepress.FileKind.PDF, kit).compare(
        made.subject, [made.token]
    )
    assert (result.compared, result.reason) == (False, FONT_UNKNOWN)


@pytest.mark.parametrize(
    "blobs",
    [
        {"templates/a.toml": b"schema = 1"},
        {FONTS_BLOB: b"[]"},
        {FONTS_BLOB: b'{"schema": 2, "fonts": {}}'},
        {FONTS_BLOB: b'{"schema": 1, "fonts": []}'},
        {FONTS_BLOB: b'{"schema": 1, "fonts": {"a.ttf": "00"}}'},
        {FONTS_BLOB: fonts(*(bytes([at]) for at in range(17)))},
    ],
)
def test_trust_data_that_cannot_be_read_means_no_comparison(blobs: dict[str, bytes]) -> None:
    assert PageKit.from_trust(trust(blobs)).reason == TRUST_UNREADABLE


def test_a_fallback_font_counts_only_if_the_trust_data_lists_it(tmp_path: Path) -> None:
    path = tmp_path / "fallback.ttf"
    path.write_bytes(FONT)
    assert len(PageKit.from_trust(trust({}), fallback=path).fonts.fonts) == 1
    assert len(PageKit.from_trust(trust({FONTS_BLOB: fonts(FONT)}), fallback=path).fonts.fonts) == 2
    path.write_bytes(FONT + b"\0")
    assert len(PageKit.from_trust(trust({FONTS_BLOB: fonts(FONT)}), fallback=path).fonts.fonts) == 1
