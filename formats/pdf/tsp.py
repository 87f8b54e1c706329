"""Asking for a time stamp and reading the answer (RFC 3161 §2.4): the two messages, no transport.

The token is checked before it goes into a file: status, signature over the digest we sent, our own number. Whether its
maker deserves trust is the verifier's question. Pure.
"""

from __future__ import annotations

from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.pdf.cmscheck import check_stamp
from mingzheng.keys.der import (
    INTEGER,
    Node,
    der_bool,
    der_integer,
    der_null,
    der_octets,
    der_oid,
    der_sequence,
    parse_der,
    read_integer,
    read_octets,
)
from mingzheng.keys.errors import DerError

__all__ = ["TimeStampError", "read_time_stamp_response", "time_stamp_request"]

RESPONSE_BYTES_MAX: Final = 64 * 1024
_DEPTH_MAX: Final = 40
_GRANTED: Final = (0, 1)  # granted, granted with modifications
_SHA256: Final = "2.16.840.1.101.3.4.2.1"


class TimeStampError(FormatError):
    """A time-stamping authority refused, or what it sent is no time stamp over what was asked."""

    code: ClassVar[str] = "pdf.time_stamp"


def time_stamp_request(digest: bytes, *, nonce: int) -> bytes:
    """TimeStampReq over a SHA-256 digest that asks for the authority's certificate."""
    imprint = der_sequence(der_sequence(der_oid(_SHA256), der_null()), der_octets(digest))
    return der_sequence(der_integer(1), imprint, der_integer(nonce), der_bool(True))


def read_time_stamp_response(data: bytes, *, digest: bytes, nonce: int) -> bytes:
    """The token of a TimeStampResp. Raises TimeStampError."""
    try:
        parts = parse_der(data, max_depth=_DEPTH_MAX, max_bytes=RESPONSE_BYTES_MAX).children()
        status = read_integer(parts[0].children()[0])
        if status not in _GRANTED or len(parts) != 2:
            raise TimeStampError(f"the time-stamping authority refused: status {status}")
        token = parts[1].raw()
        if check_stamp(token, digest=lambda name: digest if name == "sha256" else b"") is None:
            raise TimeStampError("the time stamp does not hold over what was asked")
        if _nonce(parts[1]) != nonce:
            raise TimeStampError("the time stamp answers another question")
    except (DerError, IndexError) as error:
        raise TimeStampError("the answer is no time stamp") from error
    return token


def _nonce(token: Node) -> int | None:
    """The number in TSTInfo: the one INTEGER behind the time."""
    signed = token.children()[1].children()[0].children()
    content = read_octets(signed[2].children()[1].children()[0])
    info = parse_der(content, max_depth=_DEPTH_MAX).children()
    found = [read_integer(node) for node in info[5:] if node.tag == INTEGER]
    return found[0] if len(found) == 1 else None
