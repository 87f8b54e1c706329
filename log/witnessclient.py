"""Collecting cosignatures for a head: C2SP tlog-witness from the log's side, all witnesses of a policy at once.

Nothing a witness answers is believed: its lines count only if they verify under the key the policy states, and its 409
number only asks for another proof. What is sent is the head under the log's own signature, never other witnesses'.
A witness that refuses an honest proof has seen another history of this log: that is reported, not retried.
"""

import contextlib
import http.client
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from mingzheng.keys.deadline import within
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import format_line, join_note, open_note, parse_note
from mingzheng.keys.vkey import VerifierKey
from mingzheng.log.checkpoint import open_checkpoint
from mingzheng.log.errors import LogError, ProofError
from mingzheng.log.policy import PolicyKey, QuorumPolicy, Witnessed, count_cosignatures
from mingzheng.log.proof import ConsistencyProof
from mingzheng.log.witness import SIZE, format_add_checkpoint

MAX_REPLY_BYTES: Final = 65_536
MAX_TRIES: Final = 3
DEADLINE: Final = 10.0  # seconds for all witnesses together
_ADD: Final = "/add-checkpoint"

_logger = logging.getLogger(__name__)


class TransportError(LogError):
    """A witness cannot be reached, or answers no HTTP that we read."""

    code: ClassVar[str] = "witness.unreachable"


class WitnessUrlError(LogError):
    """A witness's address is not http or https with a host, and without a query or user name."""

    code: ClassVar[str] = "witness.bad_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A witness's answer, cut at MAX_REPLY_BYTES + 1."""

    status: int
    content_type: str
    body: bytes


class Transport(Protocol):
    """How a request reaches a witness."""

    def post(self, url: str, body: bytes, *, timeout: float) -> Reply:
        """The answer. Raises TransportError, WitnessUrlError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a witness did not cosign. `status`: of its last answer, 0 for none; `fork`: it saw another history."""

    detail: str
    status: int
    fork: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A head with what was collected. `sizes`: what each witness has cosigned, to begin with next time."""

    note: bytes
    witnessed: Witnessed
    failures: Mapping[str, Failure]
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is to be cosigned: the log-signed note, its key, and the proof from any older size."""

    note: bytes
    vkey: VerifierKey
    origin: str
    prove: Callable[[int], ConsistencyProof]


class _Refusal(Exception):  # never leaves this module
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


def collect(
    head: Head,
    policy: QuorumPolicy,
    *,
    transport: Transport,
    sizes: Mapping[str, int],
    deadline: float = DEADLINE,
) -> Collected:
    """Ask every witness of the policy that has a URL, at once; return when all have answered or time is up.

    `sizes`: the last `Collected.sizes`, may be empty. Never raises for what witnesses do: see `failures`. Raises a
    KeysError or CheckpointError if the note is not a head under the log's own key.
    """
    size = open_checkpoint(head.note, vkeys=[head.vkey], origin=head.origin).size
    bare, text = _log_signed(head)
    asked = [witness for witness in policy.witnesses.values() if witness.url is not None]
    until = time.monotonic() + deadline
    jobs: dict[str, Future[tuple[str, ...]]] = {}
    pool = ThreadPoolExecutor(max_workers=max(1, len(asked)), thread_name_prefix="witness")
    try:
        for witness in asked:
            ask = _Ask(bare, text, size, head.prove, transport, until)
            jobs[witness.name] = pool.submit(ask.run, witness, sizes.get(witness.name, 0))
        wait(jobs.values(), timeout=deadline)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    lines, failures, known = [_held_lines(head, policy)], {}, dict(sizes)
    for name, job in jobs.items():
        outcome = _outcome(job)
        if isinstance(outcome, Failure):
            failures[name] = outcome
            _logger.warning("not cosigned witness=%r status=%d fork=%s", name, outcome.status, outcome.fork)
        else:
            lines.append(outcome)
            known[name] = size
    note = join_note(text, [*_log_lines(bare), *dict.fromkeys(line for group in lines for line in group)])
    witnessed = count_cosignatures(note, policy, origin=head.origin, log_vkeys=[head.vkey])
    return Collected(note=note, witnessed=witnessed, failures=failures, sizes=known)


class _Ask:
    """One witness asked, up to MAX_TRIES times."""

    def __init__(
        self,
        note: bytes,
        text: str,
        size: int,
        prove: Callable[[int], ConsistencyProof],
        transport: Transport,
        until: float,
    ) -> None:
        self._note, self._text, self._size = note, text, size
        self._prove, self._transport, self._until = prove, transport, until

    def run(self, witness: PolicyKey, old: int) -> tuple[str, ...]:
        assert witness.url is not None  # the caller looked
        old = min(old, self._size)
        for _ in range(MAX_TRIES):
            reply = self._post(witness.url, old)
            if reply.status == 200:
                return good_lines(reply.body, self._text, witness.vkey)
            old = self._next(reply, old)
        raise _Refusal(Failure(detail="changes its mind about the last size", status=409, fork=False))

    def _post(self, url: str, old: int) -> Reply:
        try:
            hashes = self._prove(old).hashes if old else ()
            timeout = self._until - time.monotonic()
            if timeout <= 0:
                raise TransportError("no time left")
            return self._transport.post(
                url.rstrip("/") + _ADD, format_add_checkpoint(old=old, hashes=hashes, note=self._note), timeout=timeout
            )
        except ProofError as error:
            raise _Refusal(Failure(detail=f"no proof from size {old}: {error}", status=0, fork=False)) from error
        except LogError as error:
            raise _Refusal(Failure(detail=str(error), status=0, fork=False)) from error

    def _next(self, reply: Reply, old: int) -> int:
        """The size to start from after a 409; anything else ends the matter.

        Another root at one size is 422; earlier versions of tlog-witness had 409 for it.
        """
        text = reply.body.removesuffix(b"\n")
        number = reply.content_type == SIZE and text.isdigit() and len(text) <= 19 and str(int(text)).encode() == text
        other = number and int(text) != old
        if reply.status == 422 or (reply.status == 409 and old == self._size > 0 and not other):
            raise _Refusal(Failure(detail="has seen another history of this log", status=reply.status, fork=True))
        if reply.status != 409:
            raise _Refusal(Failure(detail=f"answers {reply.status}", status=reply.status, fork=False))
        if not other:
            raise _Refusal(Failure(detail="answers 409 without its size", status=409, fork=False))
        if int(text) > self._size:
            detail = f"has cosigned size {int(text)} already, this head has {self._size}"
            raise _Refusal(Failure(detail=detail, status=409, fork=False))
        return int(text)


def good_lines(body: bytes, text: str, vkey: VerifierKey) -> tuple[str, ...]:
    """The lines of an `add-checkpoint` answer that are good cosignatures of `vkey` with a time, others left out.

    Raises nothing but the refusal that the collector reports.
    """
    try:
        if len(body) > MAX_REPLY_BYTES:
            raise _Refusal(Failure(detail=f"answers over {MAX_REPLY_BYTES} bytes", status=200, fork=False))
        opened = open_note(f"{text}\n".encode() + body, [vkey])
    except KeysError as error:
        raise _Refusal(Failure(detail=f"answers no good cosignature: {error.code}", status=200, fork=False)) from error
    good = [item for item in opened.verified if item.timestamp]
    if not good:
        raise _Refusal(Failure(detail="answers a cosignature without a time", status=200, fork=False))
    return tuple(format_line(item.vkey.name, item.vkey.key_hash, item.signature) for item in good)


def _outcome(job: "Future[tuple[str, ...]]") -> tuple[str, ...] | Failure:
    if not job.done():
        return Failure(detail="no answer in time", status=0, fork=False)
    try:
        return job.result()
    except _Refusal as error:
        return error.failure


def _log_signed(head: Head) -> tuple[bytes, str]:
    """The head with the log's own lines alone, and its text."""
    opened = open_note(head.note, [head.vkey])
    lines = [format_line(good.vkey.name, good.vkey.key_hash, good.signature) for good in opened.verified]
    return join_note(opened.text, lines), opened.text


def _log_lines(bare: bytes) -> list[str]:
    return [format_line(item.name, item.key_hash, item.signature) for item in parse_note(bare).signatures]


def _held_lines(head: Head, policy: QuorumPolicy) -> tuple[str, ...]:
    """Good cosignatures that the note carries already."""
    keys = [witness.vkey for witness in policy.witnesses.values()]
    with contextlib.suppress(KeysError):
        opened = open_note(head.note, [head.vkey, *keys])
        good = [item for item in opened.verified if item.vkey != head.vkey and item.timestamp]
        return tuple(format_line(item.vkey.name, item.vkey.key_hash, item.signature) for item in good)
    return ()


class HttpTransport:
    """HTTP/1.1 without redirects, proxies or cookies; TLS with the system's authorities."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context

    def post(self, url: str, body: bytes, *, timeout: float) -> Reply:
        """See Transport."""
        parts, until = split_url(url), time.monotonic() + timeout
        connection = self._connect(parts, timeout)
        try:
            headers = {"Content-Type": "text/plain; charset=utf-8", "Accept": "text/plain"}
            connection.connect()
            sock = connection.sock
            with within(lambda: sock, until - time.monotonic()):
                connection.request("POST", parts.path, body=body, headers=headers)
                found = connection.getresponse()
                content_type = found.getheader("Content-Type", "").split(";")[0].strip().lower()
                return Reply(status=found.status, content_type=content_type, body=found.read(MAX_REPLY_BYTES + 1))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransportError(f"{parts.netloc}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _connect(self, parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context() if self._context is None else self._context
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def split_url(url: str) -> SplitResult:
    """The parts of a witness's address. Raises WitnessUrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WitnessUrlError(f"not an address: {error}") from error
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise WitnessUrlError("not http:// or https:// with a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise WitnessUrlError("an address of a witness has no user name, query or fragment")
    return parts


def urls_of(policy: QuorumPolicy) -> Sequence[str]:
    """The addresses of the policy's witnesses, each checked. Raises WitnessUrlError."""
    urls = [witness.url for witness in policy.witnesses.values() if witness.url is not None]
    for url in urls:
        split_url(url)
    return urls
