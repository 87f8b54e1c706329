"""What a cosignature signs: C2SP tlog-cosignature, Ed25519 (0x04) and ML-DSA-44 (0x06).

An Ed25519 cosignature covers the whole note text, extension lines too, but not the cosigner's name. An ML-DSA-44 one
covers the name and the first three lines (origin, size, root) or a subtree of the log, and no extension line.
"""

from typing import Final

from mingzheng.keys.errors import NoteMalformedError
from mingzheng.keys.vkey import decode_base64

MAX_TIMESTAMP: Final = 2**63 - 1
MAX_SIZE: Final = 2**63 - 1
TIME_BYTES: Final = 8
MAX_ORIGIN_BYTES: Final = 255  # the length byte of log_origin
_LABEL: Final = b"subtree/v1\n\0"
_HASH_BYTES: Final = 32


def cosignature_message(text: str, timestamp: int) -> bytes:
    """What an Ed25519 cosignature signs: header line, time line, the whole note text."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def checkpoint_message(text: str, *, cosigner: str, timestamp: int) -> bytes:
    """What an ML-DSA-44 cosignature of a checkpoint signs. Raises NoteMalformedError if the text is no checkpoint."""
    lines = text.split("\n", 3)
    if len(lines) != 4:
        raise NoteMalformedError("not origin, size and root, each on a line")
    origin, size_text, root_text, _ = lines
    root = decode_base64(root_text)
    plain = size_text.isascii() and size_text.isdigit() and 1 <= len(size_text) <= 19
    if not plain or (size_text[0] == "0" and size_text != "0") or root is None or len(root) != _HASH_BYTES:
        raise NoteMalformedError("not a checkpoint's size and root")
    return subtree_message(
        cosigner=cosigner, timestamp=timestamp, origin=origin, start=0, end=int(size_text), root=root
    )


def subtree_message(*, cosigner: str, timestamp: int, origin: str, start: int, end: int, root: bytes) -> bytes:
    """The structure `cosigned_message` over the leaves [start, end). Raises NoteMalformedError for what has none.

    A start other than 0 needs the timestamp 0: the cosigner does not say that this was the largest tree it saw.
    """
    name, log = cosigner.encode(), origin.encode()
    if not 1 <= len(name) <= MAX_ORIGIN_BYTES or not 1 <= len(log) <= MAX_ORIGIN_BYTES:
        raise NoteMalformedError(f"cosigner and origin have 1 to {MAX_ORIGIN_BYTES} bytes each")
    if not 0 <= start <= end <= MAX_SIZE or not 0 <= timestamp <= MAX_TIMESTAMP or (start and timestamp):
        raise NoteMalformedError("no cosignature can state these numbers")
    if len(root) != _HASH_BYTES:
        raise NoteMalformedError(f"root is {len(root)} bytes")
    numbers = (start.to_bytes(8), end.to_bytes(8))
    named = bytes([len(name)]) + name + timestamp.to_bytes(TIME_BYTES) + bytes([len(log)]) + log
    return _LABEL + named + b"".join(numbers) + root
