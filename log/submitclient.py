"""Submitting to a served log: what issuing needs of a log, over HTTP (docs/spec/server.md).

Requests are repeated until the log answers: the same entries give the same indexes. Nothing that comes is believed
unseen: every receipt is checked under the log's receipt key against the entry that was sent, every full receipt is
made from tiles under the log's checkpoint key.
"""

import base64
import http.client
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, Protocol, Self

from mingzheng.keys.deadline import within
from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import Signer
from mingzheng.keys.strictjson import Json, load_json
from mingzheng.log.client import LogReader
from mingzheng.log.collected import OriginKeys
from mingzheng.log.errors import LogError, ProofError, ReceiptInvalidError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.httpfetch import HttpFetcher, HttpLimits, LogUrlError, parse_log_url
from mingzheng.log.receipt import TlogProof, format_tlog_proof, parse_compact_receipt, verify_compact_receipt
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.reqsign import Target, sign_request
from mingzheng.log.rounds import Submission
from mingzheng.log.tile import TILE_WIDTH, encode_bundle

MAX_REPLY_BYTES: Final = 1 << 20
MAX_BODY_BYTES: Final = 256 << 10
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_logger = logging.getLogger(__name__)


class ServerUnreachableError(LogError):
    """The log's server gave no answer in time. What was submitted may be in the log: submitting again tells."""

    code: ClassVar[str] = "submit.unreachable"


class ServerRefusedError(LogError):
    """The log's server refuses the request; `reason` is its code."""

    code: ClassVar[str] = "submit.refused"

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(f"the log's server answers {status} ({reason}): {detail}")
        self.status, self.reason = status, reason


class AnswerUntrueError(LogError):
    """The log's server answered something that its keys do not vouch for, or that is no answer."""

    code: ClassVar[str] = "submit.answer_untrue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, seconds to wait before asking again, and body of an answer."""

    status: int
    retry_after: int | None
    body: bytes


class Transport(Protocol):
    """How a request reaches the server."""

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises OSError, http.client.HTTPException."""

    def close(self) -> None:
        """Let go of the connection."""


class HttpTransport:
    """One kept connection. https; plain http to this machine only. `timeout`: seconds for a whole answer."""

    def __init__(self, url: str, *, timeout: float = 60.0, context: ssl.SSLContext | None = None) -> None:
        """Raises LogUrlError: an address with a path, too, for what is signed is the server's own path."""
        base = parse_log_url(url)
        if base.path or (base.scheme == "http" and base.hostname not in _LOOPBACK):
            raise LogUrlError("entries go to https://host (http:// to this machine only), without a path")
        self._base, self._timeout, self._context = base, timeout, context
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See Transport."""
        if self._connection is None:
            self._connection = self._connect()
        try:
            if self._connection.sock is None:
                self._connection.connect()
            sock = self._connection.sock
            with within(lambda: sock, self._timeout):
                self._connection.request(method, path, body=body, headers=dict(headers))
                reply = self._connection.getresponse()
                data = reply.read(MAX_REPLY_BYTES + 1)
            if reply.length and len(data) <= MAX_REPLY_BYTES:
                raise http.client.IncompleteRead(data, reply.length)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if len(data) > MAX_REPLY_BYTES:
            self.close()
        wait = reply.getheader("Retry-After", "")
        return Answer(
            status=reply.status,
            retry_after=int(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 5 else None,
            body=data,
        )

    def close(self) -> None:
        """See Transport."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        context = ssl.create_default_context() if self._context is None else self._context
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """`seconds`: how long one request is repeated; `pause`: the longest wait between two tries."""

    seconds: float = 120.0
    pause: float = 10.0
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], int] = lambda: int(time.time())


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerCounters:
    """What the log expects next of an issuer."""

    next_act: int
    next_notice: int
    next_serial: int


class RemoteLog:
    """The part of a log that issuing uses (`Log` has the same methods). `signers`: the submit key of each issuer."""

    read_only: None = None

    def __init__(
        self,
        transport: Transport,
        reader: LogReader,
        keys: OriginKeys,
        *,
        signers: Mapping[int, Signer],
        patience: Patience,
    ) -> None:
        self._transport, self._reader, self._keys = transport, reader, keys
        self._signers, self._patience = signers, patience
        self._receipts: dict[int, bytes] = {}
        self._head = 0
        self._closing: list[Callable[[], None]] = [transport.close]

    @classmethod
    def at(cls, url: str, keys: OriginKeys, *, signers: Mapping[int, Signer]) -> Self:
        """The log at an address. Raises LogUrlError."""
        fetcher = HttpFetcher(url, limits=HttpLimits())
        log = cls(HttpTransport(url), LogReader(fetcher, keys.vkey), keys, signers=signers, patience=Patience())
        log._closing.append(fetcher.close)
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        for close in self._closing:
            close()

    # --- what it says

    def check_clock(self, now: int) -> None:
        """Nothing: the server compares the clocks at every request (`submit.bad_time`)."""

    def issuer_row(self, issuer: int) -> IssuerCounters:
        """What the log expects next of the issuer. Raises as `submit`."""
        names = ("next_act", "next_notice", "next_serial")
        told = self._told(issuer, f"/v1/issuers/{issuer}", ("issuer", *names, "size"))
        return IssuerCounters(**{name: _number(told[name]) for name in names})

    def next_act_number(self, issuer: int) -> int:
        """The number of the issuer's next act. Raises as `submit`."""
        return self.issuer_row(issuer).next_act

    def index_of_serial(self, issuer: int, serial: int) -> int | None:
        """Where the serial's issue (or void) stands. Raises as `submit`."""
        index = self._told(issuer, f"/v1/issuers/{issuer}/serials/{serial}", ("index",))["index"]
        return None if index is None else _number(index)

    def compact_receipt(self, index: int) -> bytes:
        """The receipt that came with an entry submitted here before."""
        return self._receipts[index]

    def full_receipt(self, index: int) -> bytes:
        """A C2SP tlog-proof under the published checkpoint, from verified tiles. Raises FetchError, LogError."""
        if index >= self._head:
            self._head = self._reader.refresh().size
        proof = self._reader.inclusion(index)
        note = self._reader.note()
        return format_tlog_proof(TlogProof(index=index, hashes=proof.hashes, checkpoint_note=note, extra=None))

    # --- what it does

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """The index of every submission, in order; on return they are in the log under a published checkpoint.

        A refusal may leave those before it in the log; submitting all again gives the same indexes.
        Raises SubmissionError, ServerRefusedError, ServerUnreachableError, AnswerUntrueError.
        """
        indexes: list[int] = []
        for issuer, entries in _requests([item.entry for item in submissions]):
            try:
                indexes += self._append(issuer, entries)
            except SubmissionError as error:
                raise SubmissionError(len(indexes) + error.position, error.reason, error.detail) from error
        return tuple(indexes)

    def _append(self, issuer: int, entries: Sequence[bytes]) -> list[int]:
        rows = self._asked(issuer, "POST", "/v1/entries", encode_bundle(entries)).get("entries")
        if not isinstance(rows, list) or len(rows) != len(entries):
            raise AnswerUntrueError("the answer does not name every entry")
        return [self._checked(row, entry) for row, entry in zip(rows, entries, strict=True)]

    def _checked(self, row: Json, entry: bytes) -> int:
        """The index of an entry, its receipt verified."""
        if not isinstance(row, dict) or set(row) != {"index", "receipt"} or not isinstance(row["receipt"], str):
            raise AnswerUntrueError("the answer has no index and receipt for an entry")
        key = self._keys.receipt_key
        assert key is not None  # `OriginKeys` from trust data
        try:
            raw = base64.b64decode(row["receipt"], validate=True)
            receipt = parse_compact_receipt(raw)
            index = verify_compact_receipt(receipt, leaf_hash(entry), key=key, block_height=self._keys.block_height)
        except (ValueError, ReceiptInvalidError, ProofError) as error:
            raise AnswerUntrueError("the receipt is not the log's for this entry") from error
        if receipt.origin != self._keys.number or index != _number(row["index"]):
            raise AnswerUntrueError("the receipt is of another log or index")
        self._receipts[index] = raw
        return index

    def _told(self, issuer: int, path: str, names: Sequence[str]) -> dict[str, Json]:
        told = self._asked(issuer, "GET", path, b"")
        if set(told) != set(names):
            raise AnswerUntrueError(f"the answer has not exactly {', '.join(names)}")
        return told

    def _asked(self, issuer: int, method: str, path: str, body: bytes) -> dict[str, Json]:
        """Ask until there is an answer that lasts: one nonce, a fresh time and signature for every try."""
        nonce, patience = secrets.token_urlsafe(16), self._patience
        end, pause = patience.monotonic() + patience.seconds, 0.1
        target = Target(method=method, path=path, body=body, origin=self._keys.name)
        while True:
            headers = sign_request(target, signer=self._signers[issuer], created=patience.now(), nonce=nonce)
            if method == "POST":
                headers["Content-Type"] = "application/octet-stream"
            try:
                answer = self._transport.ask(method, path, headers, body)
            except (OSError, http.client.HTTPException) as error:
                wait, why = pause, type(error).__name__
            else:
                if answer.status not in _AGAIN:
                    return _read(answer)
                wait, why = float(answer.retry_after or pause), f"status {answer.status}"
            wait = min(wait, patience.pause)
            if patience.monotonic() + wait > end:
                raise ServerUnreachableError(f"no answer that lasts within {patience.seconds:.0f} s ({why})")
            _logger.info("asking again why=%s wait=%.1f", why, wait)
            patience.sleep(wait)
            pause *= 2


def _requests(entries: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Runs of one issuer, at most 256 entries and 256 KiB each."""
    issuer, run, size = 0, list[bytes](), 0
    for entry in entries:
        of = getattr(read_entry(entry), "issuer", 0)
        if run and (of != issuer or len(run) == TILE_WIDTH or size + len(entry) + 2 > MAX_BODY_BYTES):
            yield issuer, run
            run, size = [], 0
        issuer = of
        run.append(entry)
        size += len(entry) + 2
    if run:
        yield issuer, run


def _read(answer: Answer) -> dict[str, Json]:
    """The object of an answer. Raises for a refusal, and for what is none of this interface."""
    try:
        told = load_json(answer.body)
    except KeysError as error:
        raise AnswerUntrueError("the answer is no JSON") from error
    if not isinstance(told, dict):
        raise AnswerUntrueError("the answer is no JSON object")
    if answer.status == 200:
        return told
    reason, detail, position = told.get("reason"), _plain(told.get("detail"), 200), told.get("position")
    if answer.status == 422 and isinstance(reason, str) and isinstance(position, int):
        raise SubmissionError(position, _plain(reason, 80), detail)
    raise ServerRefusedError(answer.status, _plain(told.get("code"), 80), detail)


def _plain(value: Json, cap: int) -> str:
    """The server's words as they may stand on a terminal."""
    text = value if isinstance(value, str) else ""
    return "".join(char if char.isprintable() else "?" for char in text[:cap])


def _number(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise AnswerUntrueError("a number is out of range")
    return value


__all__ = ["AnswerUntrueError", "IssuerCounters", "RemoteLog", "ServerRefusedError", "ServerUnreachableError"]
