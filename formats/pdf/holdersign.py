"""The holder's signature on an application: in a PDF, or beside a file of any kind.

Source: docs/workspace.md (Application), ISO 32000-1 §12.8 (signatures), ETSI EN 319 142-1 (PAdES). Exactly one
signature; it covers the file to its last byte, so nothing was added after it; the file neither acts nor hides anything,
so what was signed is what is seen. The signature itself is `cmscheck`'s. Whose it is, is judged by the caller. Pure:
the caller has run `integrity.check_pdf`.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.pdf.cmscheck import CmsOutcome, check_holder_cms, hash_of
from mingzheng.formats.pdf.lean import Checked, digest_around, read_hole

__all__ = ["HolderSignature", "HolderSignatureError", "inflates_beyond", "read_beside", "read_inside"]

_RANGE: Final = re.compile(rb"/ByteRange[\0\t\n\f\r ]*\[([0-9\0\t\n\f\r ]{7,60})\]")
_STREAM: Final = re.compile(rb"(?<!end)stream\r?\n")
_STREAMS_MAX: Final = 1_000
_OTHER_KEYS: Final = frozenset({"seal.algorithm"})  # no key of a seal; `check_holder_cms` takes more


class HolderSignatureError(Exception):
    """Why there is no signature to judge: a fault code of `check_pdf` or `check_cms`, or one of the four below.

    holder.unsigned, holder.several, holder.time (it does not say when), holder.coverage (bytes it does not cover).
    """

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderSignature:
    """A signature that holds over the whole file. Nothing is said of the certificate.

    `signed_at`: the signer's own word, or of the time stamp in the signature; unix seconds.
    """

    outcome: CmsOutcome
    signed_at: int
    is_stamped: bool


def read_inside(data: bytes, checked: Checked) -> HolderSignature:
    """The one signature in a PDF that `check_pdf` gave `checked` for. Raises HolderSignatureError."""
    facts, faults = checked
    places = [match[1].split() for match in _RANGE.finditer(data)]
    if len(facts) > 1 or data.count(b"/ByteRange") > 1:
        raise HolderSignatureError("holder.several")
    if faults:
        raise HolderSignatureError(faults[0][0])
    if not facts:
        raise HolderSignatureError("holder.unsigned")
    fact = facts[0]
    if not set(fact.faults) <= _OTHER_KEYS:
        raise HolderSignatureError(fact.faults[0])
    if len(places) != 1 or len(places[0]) != 4 or not all(part.isdigit() for part in places[0]):
        raise HolderSignatureError("holder.coverage")
    numbers = tuple(map(int, places[0]))
    hole = read_hole(data, numbers, [(numbers[1], numbers[2])])
    if hole is None or hole.end != len(data):
        raise HolderSignatureError("holder.coverage")
    outcome = check_holder_cms(hole.cms, digest=lambda name: digest_around(data, hole, name))
    if outcome.faults:
        raise HolderSignatureError(outcome.faults[0])
    if fact.signed_at is None:
        raise HolderSignatureError("holder.time")
    return _signature(outcome, fact.signed_at)


def read_beside(data: bytes, cms: bytes) -> HolderSignature:
    """A detached signature (DER) over a file; a signed attribute says when. Raises HolderSignatureError."""
    outcome = check_holder_cms(cms, digest=lambda name: hash_of(name, data))
    if outcome.faults:
        raise HolderSignatureError(outcome.faults[0])
    if outcome.signed_at is None:
        raise HolderSignatureError("holder.time")
    return _signature(outcome, outcome.signed_at)


def inflates_beyond(data: bytes, limit: int) -> bool:
    """Whether the file's streams hold more than `limit` bytes together once they are inflated, or are over 1,000.

    Never makes more than `limit` bytes.
    """
    view, left = memoryview(data), limit
    for count, match in enumerate(_STREAM.finditer(data)):
        if count == _STREAMS_MAX:
            return True
        try:
            left -= len(zlib.decompressobj().decompress(view[match.end() :], left + 1))
        except zlib.error:
            continue  # not deflated: no longer than it is
        if left < 0:
            return True
    return False


def _signature(outcome: CmsOutcome, said: int) -> HolderSignature:
    stamped = outcome.stamped_at
    return HolderSignature(
        outcome=outcome, signed_at=said if stamped is None else stamped, is_stamped=stamped is not None
    )
