"""Who may write to a log's server, and how much: submit keys, nonces, shares (docs/spec/server.md).

Pure: the time is handed in. Order of checks: address's share, spelling, key, time, signature, scope, key's share.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.log.book import LOG_ITSELF
from mingzheng.log.entry import Entry, FillerEntry, LandmarkEntry, TimeEntry
from mingzheng.log.errors import EntryError
from mingzheng.log.fastentry import read_entry
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.reqsign import WINDOW_SECONDS, Target, origin_header, parse_signed, verify_signed
from mingzheng.log.rounds import NOT_SUBMITTABLE
from mingzheng.log.servererrors import (
    NonceReusedError,
    ServerError,
    SubmitKeyError,
    SubmitOriginError,
    SubmitScopeError,
    SubmitTimeError,
    TooManyError,
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a client may ask: so much a second, and so much at once."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Shares and how much is remembered. `address`: failed authentications, None: not counted. `answered`: entries
    in the answers kept for requests that come twice; one of one entry costs about 3.5 KB (docs/results/soak.md)."""

    key: Share = Share(per_second=2_000, burst=16_384)
    address: Share | None = Share(per_second=20, burst=100)
    addresses: int = 10_000
    nonces: int = 200_000
    answered: int = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request whose signature is good. `digest`: of its body, as the header spells it."""

    record: KeyRecord
    nonce: str
    created: int
    digest: str


class Buckets:
    """Token buckets by client; the least recently used are forgotten (and full again) beyond `most`."""

    def __init__(self, share: Share, *, most: int) -> None:
        self._share, self._most = share, most
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def check(self, client: bytes, cost: float, *, at: float) -> None:
        """Raise TooManyError if the bucket does not hold `cost` now. `at`: seconds that never go back."""
        level = self._level(client, at)
        need = min(cost, self._share.burst)
        if level < need:
            raise TooManyError(max(1, ceil((need - level) / self._share.per_second)))

    def take(self, client: bytes, cost: float, *, at: float) -> None:
        """Take `cost` out, down to empty."""
        self._levels[client] = (max(0.0, self._level(client, at) - cost), at)
        self._levels.move_to_end(client)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def _level(self, client: bytes, at: float) -> float:
        level, then = self._levels.get(client, (self._share.burst, at))
        return min(self._share.burst, level + max(0.0, at - then) * self._share.per_second)


class Nonces(Generic[_Answer]):
    """(kid, nonce) -> what was asked, while the time of such a request is good, and the newest answers.

    An answer that is no longer here is asked of the log again, which gives the same.
    """

    def __init__(self, *, most: int, entries: int) -> None:
        """`entries`: how many may stand in the answers that are kept."""
        self._most, self._room = most, entries
        self._seen: OrderedDict[tuple[Kid, str], tuple[int, str]] = OrderedDict()
        self._answers: OrderedDict[tuple[Kid, str], tuple[_Answer, int]] = OrderedDict()

    def find(self, admitted: Admitted) -> _Answer | None:
        """The answer this request got before. Raises NonceReusedError if the nonce was another request's."""
        place = admitted.record.kid, admitted.nonce
        known = self._seen.get(place)
        if known is None:
            return None
        if known[1] != admitted.digest:
            raise NonceReusedError
        kept = self._answers.get(place)
        return None if kept is None else kept[0]

    def keep(self, admitted: Admitted, answer: _Answer, *, entries: int, now: int) -> None:
        """Remember; what is too old to be admitted again is forgotten, and the oldest beyond the limits."""
        while self._seen:
            created, _digest = next(iter(self._seen.values()))
            if len(self._seen) < self._most and abs(created - now) <= 2 * WINDOW_SECONDS:
                break
            self._drop(self._seen.popitem(last=False)[0])
        place = admitted.record.kid, admitted.nonce
        self._drop(place)
        self._seen[place] = admitted.created, admitted.digest
        self._answers[place] = answer, entries
        self._room -= entries
        while self._room < 0:
            self._drop(next(iter(self._answers)))

    def _drop(self, place: tuple[Kid, str]) -> None:
        _answer, entries = self._answers.pop(place, (None, 0))
        self._room += entries


class Gate:
    """Lets signed requests in. `record`: the submit keys, from trust data or a workspace."""

    def __init__(
        self, *, origin: int, name: str, record: Callable[[Kid], KeyRecord | None], limits: GateLimits
    ) -> None:
        self.record = record
        self._origin, self._name = origin, name
        self._keys = Buckets(limits.key, most=limits.addresses)
        self._addresses = None if limits.address is None else Buckets(limits.address, most=limits.addresses)

    def admit(self, headers: Mapping[str, str], target: Target, *, peer: bytes, now: int, at: float) -> Admitted:
        """Whose request this is. Raises a ServerError; a failure is charged to the address `peer`."""
        if self._addresses is not None:
            self._addresses.check(peer, 1, at=at)
        try:
            return self._authenticate(headers, target, now)
        except ServerError:
            if self._addresses is not None:
                self._addresses.take(peer, 1, at=at)
            raise

    def charge(self, admitted: Admitted, cost: int, *, at: float) -> None:
        """Take `cost` entries out of the key's share. Raises TooManyError."""
        self._keys.check(admitted.record.kid, cost, at=at)
        self._keys.take(admitted.record.kid, cost, at=at)

    def _authenticate(self, headers: Mapping[str, str], target: Target, now: int) -> Admitted:
        signed = parse_signed(headers)
        if signed.origin != origin_header(self._name):
            raise SubmitOriginError
        record = self.record(signed.kid)
        if record is None or record.role is not Role.SUBMIT:
            raise SubmitKeyError
        verify_signed(signed, target, key=record.public_key)
        if abs(signed.created - now) > WINDOW_SECONDS:
            raise SubmitTimeError(signed.created, now)
        if record.compromised is not None or not record.allows_day(day_of_time(now)):
            raise SubmitScopeError("the key is outside its days, retired or compromised")
        if not record.may_log(self._origin):
            raise SubmitScopeError("the key may not submit to this log")
        return Admitted(record=record, nonce=signed.nonce, created=signed.created, digest=signed.digest)


def check_entries(entries: Sequence[bytes], *, issuer: int) -> None:
    """Whether a key of that issuer (0: the log's own, for its landmarks) may submit these.

    Raises SubmissionError, SubmitScopeError.
    """
    for position, data in enumerate(entries):
        try:
            entry: Entry = read_entry(data)
        except EntryError as error:
            raise SubmissionError(position, error.code, str(error)) from error
        if isinstance(entry, TimeEntry | FillerEntry):
            raise SubmissionError(position, NOT_SUBMITTABLE, "the sequencer alone writes time and filler entries")
        of = LOG_ITSELF if isinstance(entry, LandmarkEntry) else getattr(entry, "issuer", None)
        if of != issuer:
            raise SubmitScopeError(f"entry {position} is not one of issuer {issuer}")


__all__ = ["Admitted", "Buckets", "Gate", "GateLimits", "Nonces", "Share", "check_entries"]
