"""A time-stamping authority over HTTP (RFC 3161 §3.4), for seals of level T and LTA.

Effectful: one request per seal and one per archived file; only the digest of a signature leaves the machine. Left out:
passwords and client certificates towards the authority.
"""

import logging
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mingzheng.formats.pdf.seal import Evidence
from mingzheng.formats.pdf.tsp import RESPONSE_BYTES_MAX, TimeStampError, read_time_stamp_response, time_stamp_request

__all__ = ["HttpTimeStamps"]

NONCE_BITS: Final = 64
_QUERY: Final = "application/timestamp-query"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTimeStamps:
    """A `pdf.seal.TimeStampService` at an address; with `evidence` files reach level LTA."""

    url: str
    timeout_s: float
    evidence: Evidence | None = None
    token_bytes_max: int = 16_384

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise TimeStampError("the address of a time-stamping authority begins with http:// or https://")

    def stamp(self, digest: bytes) -> bytes:
        """See TimeStampService. Raises TimeStampError, also where the authority cannot be reached."""
        nonce = secrets.randbits(NONCE_BITS)
        body = time_stamp_request(digest, nonce=nonce)
        request = urllib.request.Request(self.url, data=body, headers={"Content-Type": _QUERY}, method="POST")  # noqa: S310 - scheme checked
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 - scheme checked
                data = answer.read(RESPONSE_BYTES_MAX + 1)
        except (urllib.error.URLError, OSError) as error:
            raise TimeStampError("the time-stamping authority cannot be reached") from error
        token = read_time_stamp_response(data, digest=digest, nonce=nonce)
        _logger.debug("time stamp bytes=%d", len(token))
        return token
