"""Retired forms: until when copies on an old form are equal to the new ones.

Source: docs/spec/verdicts.md, "Forms". The table comes with the trust data as the blob `forms.json`,
because a form is retired by notice, long after the copy was signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mingzheng.formats.civil import parse_day
from mingzheng.keys.errors import TrustError
from mingzheng.keys.strictjson import Json, load_json, take_int, take_list, take_object, take_string, take_text
from mingzheng.verifier.errors import TableError

FORMS_BLOB: Final = "forms.json"
SCHEMA: Final = 1
MAX_FORMS: Final = 4_096
_KEYS: Final = ("kind", "jurisdiction", "template", "equal_until", "citation")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldForm:
    """A form that notice has replaced: equal through `equal_until`, not valid after it."""

    kind: int
    jurisdiction: int
    template: int
    equal_until: int  # day, inside
    citation: str


def parse_forms(data: bytes) -> Mapping[tuple[int, int, int], OldForm]:
    """Old forms by (kind, jurisdiction, template); raises TableError."""
    try:
        document = take_object(load_json(data), FORMS_BLOB, ("schema", "forms"))
        take_int(document["schema"], "schema", low=SCHEMA, high=SCHEMA)
        items = take_list(document["forms"], "forms", most=MAX_FORMS)
        forms = [_form(item, f"forms[{number}]") for number, item in enumerate(items)]
    except TrustError as error:
        raise TableError(str(error)) from error
    table = {(form.kind, form.jurisdiction, form.template): form for form in forms}
    if len(table) != len(forms):
        raise TableError("forms: a form twice")
    return MappingProxyType(table)


def _form(value: Json, where: str) -> OldForm:
    item = take_object(value, where, _KEYS)
    try:
        equal_until = parse_day(take_string(item["equal_until"], where, most=10))
    except ValueError:
        raise TableError(f"{where}: equal_until is no day") from None
    return OldForm(
        kind=take_int(item["kind"], where, low=1, high=65_535),
        jurisdiction=take_int(item["jurisdiction"], where, low=0, high=82),
        template=take_int(item["template"], where, low=1, high=65_535),
        equal_until=equal_until,
        citation=take_text(item["citation"], where, most=200),
    )
