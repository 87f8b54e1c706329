"""What pages are made of again: templates and fonts, those of the trust data. Effectful: reads shipped files.

Source: docs/spec/trust.md. Blobs `templates/*.toml` are the templates; only without any do the shipped ones count.
`fonts.json` lists the SHA-256 of the fonts that certificates are set in: a page is made again with these or not at
all, for another font would make every honest page look false.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.fontfile import FONT_BYTES_MAX, SHIPPED_FONT, Font, FontSet, load_fonts
from mingzheng.formats.library import read_shipped_templates
from mingzheng.formats.template import Template, parse_templates
from mingzheng.keys.errors import KeysError
from mingzheng.keys.strictjson import load_json, take_hex, take_int, take_object
from mingzheng.keys.trust import TrustData

__all__ = ["FONTS_BLOB", "TEMPLATE_BLOBS", "PageKit"]

TEMPLATE_BLOBS: Final = "templates/"
FONTS_BLOB: Final = "fonts.json"
TRUST_UNREADABLE: Final = "page.trust_unreadable"
FONT_UNKNOWN: Final = "page.font_unknown"
_FONTS_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKit:
    """Built once per context. `reason`: why no page can be made at all (a stable code), empty if pages can.

    `shipped`: the trust data names no templates, the program's own are used.
    """

    templates: Mapping[int, Template]
    fonts: FontSet
    shipped: bool
    reason: str = ""

    @classmethod
    def from_trust(cls, trust: TrustData, *, fallback: Path | None = None) -> PageKit:
        """The kit of some trust data; `fallback`: a font file for rare characters, used only if the data lists it."""
        named = {name: data for name, data in trust.blobs.items() if name.startswith(TEMPLATE_BLOBS)}
        shipped = not named
        try:
            templates = parse_templates((named or read_shipped_templates()).values())
            allowed = _allowed_fonts(trust)
        except (FormatError, KeysError):
            return cls(templates={}, fonts=load_fonts(), shipped=shipped, reason=TRUST_UNREADABLE)
        reason = "" if allowed is None or _shipped_digest() in allowed else FONT_UNKNOWN
        return cls(templates=templates, fonts=_fonts(fallback, allowed), shipped=shipped, reason=reason)


def _allowed_fonts(trust: TrustData) -> frozenset[bytes] | None:
    """The digests that the trust data lists, None if it lists nothing."""
    data = trust.blobs.get(FONTS_BLOB)
    if data is None:
        return None
    root = take_object(load_json(data), FONTS_BLOB, ("schema", "fonts"))
    take_int(root["schema"], f"{FONTS_BLOB} schema", low=1, high=1)
    listed = root["fonts"]
    fonts = take_object(listed, f"{FONTS_BLOB} fonts", sorted(listed)[:_FONTS_MAX] if isinstance(listed, dict) else ())
    return frozenset(take_hex(value, f"{FONTS_BLOB} font", size=32) for value in fonts.values())


def _fonts(fallback: Path | None, allowed: frozenset[bytes] | None) -> FontSet:
    shipped = load_fonts()
    if fallback is None or allowed is None:
        return shipped
    with fallback.open("rb") as stream:
        data = stream.read(FONT_BYTES_MAX + 1)
    if hashlib.sha256(data).digest() not in allowed:
        return shipped
    return FontSet((*shipped.fonts, Font(data, name=fallback.name)))


@cache
def _shipped_digest() -> bytes:
    return hashlib.sha256(files("mingzheng.formats.fonts").joinpath(SHIPPED_FONT).read_bytes()).digest()
