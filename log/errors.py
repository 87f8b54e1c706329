"""Errors of the log: one base, one leaf per thing a caller would do differently, each with a stable code.

Messages name what was expected, what came and where; never a serial's holder, never file contents.
"""

from typing import ClassVar


class LogError(Exception):
    """Base of every error raised by `mingzheng.log`; `code` is stable across versions."""

    code: ClassVar[str] = "log.error"


class MalformedError(LogError):
    """Outside bytes are not one accepted spelling. `field` names the part, `offset` the byte or item."""

    code: ClassVar[str] = "log.malformed"

    def __init__(self, detail: str, *, field: str = "", offset: int | None = None) -> None:
        where = f" in {field}" if field else ""
        at = "" if offset is None else f" at offset {offset}"
        super().__init__(f"{self.code}{where}{at}: {detail}")
        self.detail, self.field, self.offset = detail, field, offset


# --- proofs (RFC 9162 section 2.1)


class ProofError(LogError):
    """A Merkle proof does not prove what it is shown for."""

    code: ClassVar[str] = "proof.invalid"


class ProofIndexError(ProofError):
    """The index is not a leaf of a tree of that size."""

    code: ClassVar[str] = "proof.index_out_of_range"

    def __init__(self, *, index: int, size: int) -> None:
        super().__init__(f"index {index} is not a leaf of a tree of size {size}")
        self.index, self.size = index, size


class ProofSizeError(ProofError):
    """Tree sizes are out of order, negative, too big, or the old one is 0."""

    code: ClassVar[str] = "proof.bad_size"

    def __init__(self, *, old: int, new: int) -> None:
        super().__init__(f"no consistency proof leads from size {old} to size {new}")
        self.old, self.new = old, new


class ProofLengthError(ProofError):
    """The number of hashes is not the one the tree requires."""

    code: ClassVar[str] = "proof.wrong_length"

    def __init__(self, *, want: int, got: int) -> None:
        super().__init__(f"proof has {got} hashes, the tree needs {want}")
        self.want, self.got = want, got


class HashLengthError(ProofError):
    """A hash is not 32 bytes long."""

    code: ClassVar[str] = "proof.bad_hash"

    def __init__(self, *, got: int) -> None:
        super().__init__(f"a hash has {got} bytes, SHA-256 has 32")
        self.got = got


class RootMismatchError(ProofError):
    """The proof leads to another root than the trusted one."""

    code: ClassVar[str] = "proof.root_mismatch"

    def __init__(self, *, want: bytes, got: bytes) -> None:
        super().__init__(f"proof leads to root {got.hex()}, expected {want.hex()}")
        self.want, self.got = want, got


# --- tiles and checkpoints (C2SP)


class TilePathError(MalformedError):
    """A path is not the one spelling of a tile."""

    code: ClassVar[str] = "tile.bad_path"


class TileBytesError(MalformedError):
    """A tile's bytes do not fit its coordinates."""

    code: ClassVar[str] = "tile.malformed"


class BundleError(MalformedError):
    """An entry bundle is cut short, too long or has the wrong count."""

    code: ClassVar[str] = "bundle.malformed"


class CheckpointError(MalformedError):
    """A checkpoint body is not origin, size, root in their one spelling."""

    code: ClassVar[str] = "checkpoint.malformed"


class CheckpointOriginError(LogError):
    """A well-formed checkpoint of another log."""

    code: ClassVar[str] = "checkpoint.wrong_origin"

    def __init__(self, *, want: str, got: str) -> None:
        super().__init__(f"checkpoint is of origin {got!r}, expected {want!r}")
        self.want, self.got = want, got


# --- entries, acts, blocks


class EntryError(MalformedError):
    """Entry bytes are not one of the ten entries in their one spelling."""

    code: ClassVar[str] = "entry.malformed"


class EntryTooLargeError(EntryError):
    """An entry exceeds the byte limit."""

    code: ClassVar[str] = "entry.too_large"


class EntryVersionError(EntryError):
    """An entry of a version this program does not know."""

    code: ClassVar[str] = "entry.unknown_version"


class EntryTypeError(EntryError):
    """An entry of a type this program does not know."""

    code: ClassVar[str] = "entry.unknown_type"


class NoticeBodyError(MalformedError):
    """A notice's body is not one of the four bodies in their one spelling."""

    code: ClassVar[str] = "notice.malformed"


class NoticeVersionError(NoticeBodyError):
    """A notice's body of a version this program does not know: update the program."""

    code: ClassVar[str] = "notice.unknown_version"


class ActOrderError(LogError):
    """An event that may not follow a serial's present state."""

    code: ClassVar[str] = "act.order"

    def __init__(self, *, state: str, event: str) -> None:
        super().__init__(f"{event} may not follow state {state}")
        self.state, self.event = state, event


class BlockError(LogError):
    """An interval or height that no round can have."""

    code: ClassVar[str] = "block.bad_interval"

    def __init__(self, *, start: int, end: int, height: int, detail: str) -> None:
        super().__init__(f"interval [{start}, {end}) at height {height}: {detail}")
        self.start, self.end, self.height = start, end, height


# --- receipts


class ReceiptInvalidError(LogError):
    """Base: a receipt that shows nothing."""

    code: ClassVar[str] = "receipt.invalid"


class ReceiptMalformedError(ReceiptInvalidError, MalformedError):
    """Receipt bytes are not in their one spelling."""

    code: ClassVar[str] = "receipt.malformed"


class ReceiptBlockError(ReceiptInvalidError):
    """Width, alignment, tree size, leaf index or number of hashes cannot be a block's."""

    code: ClassVar[str] = "receipt.bad_block"


class ReceiptAlgorithmError(ReceiptInvalidError):
    """The receipt names another algorithm than its origin's receipt key has."""

    code: ClassVar[str] = "receipt.wrong_algorithm"


class ReceiptSignatureError(ReceiptInvalidError):
    """The origin's receipt key did not sign the root that this leaf and path give."""

    code: ClassVar[str] = "receipt.signature_invalid"


# --- status lists


class StatusError(LogError):
    """Base: a status list that is not to be used."""

    code: ClassVar[str] = "status.invalid"


class StatusMalformedError(StatusError, MalformedError):
    """Status list bytes are not in their one spelling."""

    code: ClassVar[str] = "status.malformed"


class StatusForgedError(StatusError):
    """Another key, algorithm or signature than the issuer's status key."""

    code: ClassVar[str] = "status.forged"
