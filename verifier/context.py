"""Everything a verification believes, frozen and built once: trust data, status lists, clock, policy.

Source: docs/spec/verdicts.md, "Context". The caller reads the store and the clock; this module checks
what the trust data says about itself. A status list is believed only if the issuer's status key signed it
and a log entry with its hash is included under a head that the origin's checkpoint key signed, and that the
quorum of witnesses cosigned where the trust data demand one (docs/spec/witness.md). A landmark list is believed only
under a quorum, and only if its roots hash up to a head that the cosigned one continues (docs/spec/landmark.md).
Notices: docs/spec/notices.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.errors import FormatError
from mingzheng.formats.profile import ProfileSet, parse_profiles
from mingzheng.keys.errors import KeysError, SealKeySharedError
from mingzheng.keys.sealtable import EMPTY_TABLE, SEALS_BLOB, SealTable, check_keys_apart, parse_seal_table
from mingzheng.keys.trust import KeyRecord, OriginRecord, Role, TrustData
from mingzheng.log.book import MAX_STATUS_LAG, MAX_STATUS_SPAN
from mingzheng.log.entry import encode_entry
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.landmark import LandmarkBody, LandmarkIndex, open_landmark_list, verify_landmark_proof
from mingzheng.log.policy import PolicyError, QuorumNotMetError
from mingzheng.log.quorum import Quorum, QuorumUnboundError, quorum_of
from mingzheng.log.receipt import parse_tlog_proof
from mingzheng.log.status import StatusBody, StatusIndex, open_status_list, status_entry
from mingzheng.verifier.errors import (
    KeySharedError,
    LandmarkRefusedError,
    SettingError,
    StatusRefusedError,
    TrustUnusableError,
    VerifierError,
)
from mingzheng.verifier.findings import Code, Finding
from mingzheng.verifier.heads import HeadKey, Proved, head_keys, included, witnessed
from mingzheng.verifier.messages import Messages
from mingzheng.verifier.notices import NO_NOTICES, Cites, IssuerNotices, open_notices
from mingzheng.verifier.policy import Policy

PROFILE_BLOBS: Final = "profiles/"
CACHED_BLOCKS: Final = 65_536  # verified block signatures kept, then forgotten all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The clock (unix seconds, read once), the judging day if one is given, and the use.

    `trust_log`: for what a landmark list holds, take the log's word in place of the issuer's and the log's signature.
    """

    now: int
    at: int | None
    policy: Policy
    trust_log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the reader expects to see; None: no expectation."""

    purpose: str | None = None
    specialty: str | None = None  # number, official code or Chinese name
    trust_fingerprint: str | None = None  # 64 hexadecimal digits


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSource:
    """Trust data as a store holds it, and how it came there."""

    data: TrustData
    fingerprint: str
    signed: bool  # imported through TUF
    expires: int | None = None  # until when the publisher's signatures hold, if it was


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyContext:
    """What every check reads. Only `build_context` makes it."""

    trust: TrustData
    fingerprint: str
    signed: bool
    expires: int | None  # of the signatures over the trust data
    statuses: Mapping[int, StatusIndex]  # by issuer, each checked in full
    refused: Mapping[int, str]  # issuer -> why its list was refused (a stable code)
    landmarks: Mapping[int, LandmarkIndex]  # by origin, each checked in full and cosigned by the quorum
    landmarks_refused: Mapping[int, str]  # origin -> why its list was refused
    profiles: ProfileSet
    notices: Mapping[int, IssuerNotices]  # by issuer, what stands of them on the judging day; each checked in full
    notices_refused: Mapping[int, str]  # issuer -> why one of its notices, and so none, was believed
    seals: SealTable
    messages: Messages
    now: int
    at: int | None
    day: int  # the judging day
    policy: Policy
    trust_log: bool  # docs/spec/landmark.md
    expect: Expectations
    clock_floor: int  # no clock may be behind this
    prefixes: tuple[str, ...]  # QR prefixes of all issuers
    heads: Mapping[str, HeadKey]  # by origin name
    quorum: Quorum | None  # None: no witnesses are demanded
    blocks_seen: set[tuple[object, ...]] = field(repr=False, compare=False)  # a cache, see `checks`
    constants: dict[tuple[object, ...], tuple[Finding, ...]] = field(repr=False, compare=False)  # see `once`

    def finding(self, code: Code, *, cites: Cites | None = None, **evidence: str | int) -> Finding:
        """A finding with the severity of this policy and the code's own rule, or the clause it cites."""
        rule = self.messages.of(code).rule
        return Finding(
            code=code,
            severity=self.policy.severity(code),
            rule=rule if cites is None else f"{rule}; {cites.text_zh()}",
            rule_en=rule if cites is None else f"{rule}; {cites.text_en()}",
            evidence=evidence,
        )

    def notices_of(self, issuer: int) -> IssuerNotices:
        """What stands of an issuer's notices on the judging day."""
        return self.notices.get(issuer, NO_NOTICES)

    def once(self, key: tuple[object, ...], check: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
        """The findings of a check that depends on `key` alone, made once per context."""
        found = self.constants.get(key)
        if found is None:
            found = self.constants[key] = tuple(check())
        return found


def build_context(source: TrustSource, *, judging: Judging, expect: Expectations, messages: Messages) -> VerifyContext:
    """Check the trust data's own parts and freeze everything.

    A status or landmark list that fails, and all notices of an issuer of which one fails, are left out and named in
    `refused`, `landmarks_refused` or `notices_refused`. Raises TrustUnusableError for profiles, names of notices or a
    quorum policy that cannot be used and for keys that sign and seal, SettingError for a fingerprint that is none.
    """
    trust = source.data
    if expect.trust_fingerprint is not None and not _is_fingerprint(expect.trust_fingerprint):
        raise SettingError("a trust fingerprint is 64 hexadecimal digits")
    heads = head_keys(trust)
    quorum = _quorum(trust)
    statuses, refused = _statuses(trust, heads, quorum)
    landmarks, landmarks_refused = _landmarks(trust, heads, quorum)
    floor = max([trust.made_at, *(index.body.this_update for index in statuses.values())])
    day = day_of_time(judging.now) if judging.at is None else judging.at
    notices, notices_refused = open_notices(trust, heads, quorum, day=day)
    return VerifyContext(
        trust=trust,
        fingerprint=source.fingerprint,
        signed=source.signed,
        expires=source.expires,
        statuses=MappingProxyType(statuses),
        refused=MappingProxyType(refused),
        landmarks=MappingProxyType(landmarks),
        landmarks_refused=MappingProxyType(landmarks_refused),
        profiles=_profiles(trust),
        notices=MappingProxyType(notices),
        notices_refused=MappingProxyType(notices_refused),
        seals=_seals(trust),
        messages=messages,
        now=judging.now,
        at=judging.at,
        day=day,
        policy=judging.policy,
        trust_log=judging.trust_log,
        expect=expect,
        clock_floor=floor,
        prefixes=tuple(prefix for issuer in trust.issuers.values() for prefix in issuer.prefixes),
        heads=MappingProxyType(heads),
        quorum=quorum,
        blocks_seen=set(),
        constants={},
    )


def _is_fingerprint(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def _quorum(trust: TrustData) -> Quorum | None:
    try:
        return quorum_of(trust)
    except (PolicyError, QuorumUnboundError) as error:
        raise TrustUnusableError(f"the quorum policy in the trust data cannot be used: {error}") from error


def _statuses(
    trust: TrustData, heads: Mapping[str, HeadKey], quorum: Quorum | None
) -> tuple[dict[int, StatusIndex], dict[int, str]]:
    statuses: dict[int, StatusIndex] = {}
    refused: dict[int, str] = {}
    for issuer in trust.issuers:
        if f"status/{issuer}.cbor" not in trust.blobs:
            continue
        try:
            statuses[issuer] = StatusIndex(_open_status(trust, issuer, heads, quorum))
        except (LogError, KeysError, VerifierError) as error:
            refused[issuer] = error.code
    return statuses, refused


def _open_status(trust: TrustData, issuer: int, heads: Mapping[str, HeadKey], quorum: Quorum | None) -> StatusBody:
    """The body of an issuer's list, or an error that says which link of the chain is missing."""
    body, key = _signed_status(trust, issuer, trust.blobs[f"status/{issuer}.cbor"])
    if body.issuer != issuer:
        raise StatusRefusedError("the list is another issuer's")
    proof = trust.blobs.get(f"status/{issuer}.tlog-proof")
    if proof is None:
        raise StatusRefusedError("no full receipt of the list's log entry")
    leaf = leaf_hash(encode_entry(status_entry(body)))
    proved = included(proof, leaf, heads)
    head = proved.head
    if not head.sound or not key.may_log(head.origin.number):
        raise StatusRefusedError("the log that holds the entry is compromised or not one of the status key's")
    if not head.key.allows_day(day_of_time(body.this_update)):
        raise StatusRefusedError("the list was logged outside the checkpoint key's days")
    _check_coverage(trust, body, key, origin=head.origin.number, index=proved.index)
    if quorum is not None and not witnessed(proved, quorum):
        raise QuorumNotMetError("too few of the demanded witnesses cosigned the head that holds the list")
    return body


def _check_coverage(trust: TrustData, body: StatusBody, key: KeyRecord, *, origin: int, index: int) -> None:
    """What a verifier sees of the rules for lists (docs/spec/status.md) without the log."""
    sizes = {head.origin: head.size for head in body.origins}
    if any(number not in trust.origins or not key.may_log(number) for number in sizes):
        raise StatusRefusedError("the list names a log that is unknown or not one of the status key's")
    if not 0 <= index - sizes.get(origin, index + 1) <= MAX_STATUS_LAG:
        raise StatusRefusedError("the list does not cover the log up to its own entry")
    if body.next_update - body.this_update > MAX_STATUS_SPAN:
        raise StatusRefusedError("the list claims to hold for too long")


def _signed_status(trust: TrustData, issuer: int, listed: bytes) -> tuple[StatusBody, KeyRecord]:
    refusal: LogError | VerifierError = StatusRefusedError("the issuer has no status key that is sound")
    for key in trust.keys_of(Role.STATUS, issuer):
        if key.compromised is not None:
            continue
        try:
            body = open_status_list(listed, key.public_key)
        except LogError as error:
            refusal = error
            continue
        if not key.allows_day(day_of_time(body.this_update)):
            raise StatusRefusedError("the list was made outside the status key's days")
        return body, key
    raise refusal


def _landmarks(
    trust: TrustData, heads: Mapping[str, HeadKey], quorum: Quorum | None
) -> tuple[dict[int, LandmarkIndex], dict[int, str]]:
    """docs/spec/landmark.md, "Believing a list"; without a quorum a list could show no more than a receipt does."""
    landmarks: dict[int, LandmarkIndex] = {}
    refused: dict[int, str] = {}
    if quorum is None:
        return landmarks, refused
    for origin in trust.origins.values():
        if f"landmark/{origin.number}.cbor" not in trust.blobs:
            continue
        try:
            landmarks[origin.number] = _open_landmark(trust, origin, heads, quorum)
        except (LogError, KeysError, VerifierError) as error:
            refused[origin.number] = error.code
    return landmarks, refused


def _open_landmark(
    trust: TrustData, origin: OriginRecord, heads: Mapping[str, HeadKey], quorum: Quorum
) -> LandmarkIndex:
    body = _signed_landmark(trust, origin, trust.blobs[f"landmark/{origin.number}.cbor"])
    if (body.head.origin, body.height) != (origin.number, origin.block_height):
        raise LandmarkRefusedError("the list is another log's")
    beside, head = trust.blobs.get(f"landmark/{origin.number}.tlog-proof"), heads.get(origin.name)
    if beside is None or head is None or not head.sound or not head.key.allows_day(day_of_time(body.this_update)):
        raise LandmarkRefusedError("no full receipt of the list's log entry, or no sound key of that day to check it")
    proof = parse_tlog_proof(beside)
    verify_landmark_proof(proof, body, vkey=head.vkey, origin=origin.name)
    if not witnessed(Proved(head=head, index=proof.index, note=proof.checkpoint_note), quorum):
        raise QuorumNotMetError("too few of the demanded witnesses cosigned the head that holds the list")
    return LandmarkIndex(body)


def _signed_landmark(trust: TrustData, origin: OriginRecord, listed: bytes) -> LandmarkBody:
    refusal: LogError | VerifierError = LandmarkRefusedError("the log has no landmark key that is sound")
    for key in trust.keys_of(Role.LANDMARK, 0):
        if key.compromised is not None or not key.may_log(origin.number):
            continue
        try:
            body = open_landmark_list(listed, key.public_key)
        except LogError as error:
            refusal = error
            continue
        if not key.allows_day(day_of_time(body.this_update)):
            raise LandmarkRefusedError("the list was made outside the landmark key's days")
        return body
    raise refusal


def _profiles(trust: TrustData) -> ProfileSet:
    try:
        return parse_profiles({name: data for name, data in trust.blobs.items() if name.startswith(PROFILE_BLOBS)})
    except FormatError as error:
        raise TrustUnusableError(f"rules in the trust data cannot be read: {error}") from error


def _seals(trust: TrustData) -> SealTable:
    """The seal table, whose keys sign nothing else; trust data without one demands no seals."""
    if SEALS_BLOB not in trust.blobs:
        return EMPTY_TABLE
    try:
        table = parse_seal_table(trust.blobs[SEALS_BLOB])
        check_keys_apart(table, (key.public_key.spki for key in trust.keys.values()))
    except SealKeySharedError as error:
        raise KeySharedError(str(error)) from error
    except KeysError as error:
        raise TrustUnusableError(f"the seal table in the trust data cannot be read: {error}") from error
    return table
