"""C2SP tlog-checkpoint: the signed head of a log (origin, size, root) as the text of a C2SP signed note.

Our own heads carry no extension lines: nothing that is trusted may stand there. Heads of other logs may.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from mingzheng.keys.note import open_note, sign_note
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.errors import CheckpointError, CheckpointOriginError
from mingzheng.log.hashing import EMPTY_ROOT, HASH_BYTES, Hash
from mingzheng.log.merkle import MAX_SIZE

MAX_ORIGIN_CHARS = 256
MAX_BODY_CHARS = 4_096
MAX_EXTENSION_LINES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's tree head (C2SP tlog-checkpoint)."""

    origin: str  # non-empty, no newline
    size: int  # leaves, 0 <= size < 2**63
    root: Hash  # 32 bytes; the empty root if and only if size is 0


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text `origin\\nsize\\nroot\\n`; raises CheckpointError for a value that has no spelling."""
    _check_origin(checkpoint.origin)
    _check_head(checkpoint.size, checkpoint.root)
    root = base64.b64encode(checkpoint.root).decode()
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of one of our heads: three lines, one spelling; raises CheckpointError."""
    checkpoint, extensions = parse_foreign_checkpoint(text)
    if extensions:
        raise CheckpointError("extension lines are not accepted", field="extension")
    return checkpoint


def parse_foreign_checkpoint(text: str) -> tuple[Checkpoint, tuple[str, ...]]:
    """Read any log's head and its extension lines (not to be trusted: some cosignatures leave them out)."""
    if len(text) > MAX_BODY_CHARS:
        raise CheckpointError(f"over {MAX_BODY_CHARS} characters", field="body")
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise CheckpointError("needs origin, size and root, each on a line", field="body")
    origin, size_text, root_text, *extensions = lines[:-1]
    _check_origin(origin)
    size, root = _parse_size(size_text), _parse_root(root_text)
    _check_head(size, root)
    if len(extensions) > MAX_EXTENSION_LINES or not all(extensions):
        raise CheckpointError("empty or too many extension lines", field="extension")
    return Checkpoint(origin=origin, size=size, root=root), tuple(extensions)


def sign_checkpoint(checkpoint: Checkpoint, *, signer: Signer) -> bytes:
    """The head as a note signed under its origin's name."""
    return sign_note(format_checkpoint(checkpoint), [(checkpoint.origin, signer)])


def open_checkpoint(raw: bytes, *, vkeys: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """Verify a signed head of our own kind.

    Raises a KeysError if none of `vkeys` signed it or the note is malformed, CheckpointError,
    CheckpointOriginError if it is another log's.
    """
    checkpoint = parse_checkpoint(open_note(raw, vkeys).text)
    return _of_origin(checkpoint, origin)


def open_foreign_checkpoint(raw: bytes, *, vkeys: Sequence[VerifierKey], origin: str) -> Checkpoint:
    """Verify a signed head of any log; its extension lines are read over. Raises as `open_checkpoint`."""
    checkpoint, _extensions = parse_foreign_checkpoint(open_note(raw, vkeys).text)
    return _of_origin(checkpoint, origin)


def _of_origin(checkpoint: Checkpoint, origin: str) -> Checkpoint:
    if checkpoint.origin != origin:
        raise CheckpointOriginError(want=origin, got=checkpoint.origin)
    return checkpoint


def _check_origin(origin: str) -> None:
    if not 1 <= len(origin) <= MAX_ORIGIN_CHARS or "\n" in origin:
        raise CheckpointError(f"origin is not one line of 1 to {MAX_ORIGIN_CHARS} characters", field="origin")


def _check_head(size: int, root: bytes) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise CheckpointError("size is not 0 to 2^63 - 1", field="size")
    if len(root) != HASH_BYTES or (size == 0) != (root == EMPTY_ROOT):
        raise CheckpointError("root is not one of a tree of this size", field="root")


def _parse_size(text: str) -> int:
    if not 1 <= len(text) <= 19 or not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise CheckpointError("size is not a decimal number without leading zeros", field="size")
    return int(text)


def _parse_root(text: str) -> Hash:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointError("root is not base64", field="root") from error
    if base64.b64encode(root).decode() != text:
        raise CheckpointError("root is not in canonical base64", field="root")
    return Hash(root)
