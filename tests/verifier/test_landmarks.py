"""Landmark lists in the verifier, and `--trust-log`: the tables of docs/spec/landmark.md, cell by cell."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest
from simulator import DAY, HOUR, WITNESSES, Issued, World, flip, noon, signer, twin

from mingzheng.formats.credential import (
    attach_receipt,
    open_logged_credential,
    parse_credential,
    sign_credential,
)
from mingzheng.formats.errors import CredentialKeyError
from mingzheng.keys.alg import Alg
from mingzheng.log.acts import ActType
from mingzheng.log.landmark import sign_landmark_list
from mingzheng.log.receipt import format_tlog_proof, parse_tlog_proof
from mingzheng.verifier.context import Expectations, Judging, VerifyContext, build_context
from mingzheng.verifier.findings import Code, Grade, Severity
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import Judged, Met, judge, verdict_for, verify_text

POLICIES = ("site", "bid", "audit")
OK, LACKS = Code.VALID_COMPARE, Code.CANNOT_DECIDE


def demanding() -> World:
    """A world whose trust data demand two of three witnesses; all cosign."""
    world = World()
    world.demand("group g 2 w1 w2 w3", quorum="g")
    world.cosign(*WITNESSES)
    return world


def listed(**changes: object) -> tuple[World, Issued]:
    """A copy whose block stands in a landmark list."""
    world = demanding()
    issued = world.issue_one(**changes)  # type: ignore[arg-type]
    world.publish_landmark()
    world.publish_status()
    return world, issued


def context_of(world: World, policy: str = "bid", *, trust_log: bool = False) -> VerifyContext:
    source = world.source()
    return build_context(
        source,
        judging=Judging(now=world.now, at=None, policy=load_policies()[policy], trust_log=trust_log),
        expect=Expectations(trust_fingerprint=source.fingerprint),
        messages=load_messages(),
    )


def outcome(world: World, token: bytes, policy: str = "bid", *, trust_log: bool = False) -> tuple[Code, Judged]:
    context = context_of(world, policy, trust_log=trust_log)
    judged = judge([Met(data=token, prefix=None)], context)
    return verdict_for(judged.findings, context), judged


def codes(judged: Judged) -> set[Code]:
    return {finding.code for finding in judged.findings}


def blocking(judged: Judged) -> set[Code]:
    return {finding.code for finding in judged.findings if finding.severity is Severity.BLOCKS}


# --- believing a list


@pytest.mark.parametrize("policy", POLICIES)
def test_a_bare_code_of_a_listed_block_is_witnessed(policy: str) -> None:
    world, issued = listed()
    verdict, judged = outcome(world, issued.token, policy)
    assert (verdict, judged.inclusion.grade) == (OK, Grade.WITNESSED)
    assert judged.inclusion.places == ((1, issued.index),)
    assert not codes(judged) & {Code.LOG_WORD_ONLY, Code.ISSUER_SIGNATURE_NOT_CHECKED}


def test_a_copy_issued_after_the_list_is_the_logs_word() -> None:
    world, _ = listed()
    late = world.issue_one()
    world.publish_status()
    verdict, judged = outcome(world, late.token)
    assert (verdict, judged.inclusion.grade) == (LACKS, Grade.LOG_WORD)
    (finding,) = [item for item in judged.findings if item.code is Code.LOG_WORD_ONLY]
    assert finding.evidence == {}
    world.publish_landmark()
    assert outcome(world, late.token)[0] is OK


def test_without_a_quorum_a_list_shows_no_more_than_a_receipt() -> None:
    world, issued = listed()
    world.quorum = None
    context = context_of(world, trust_log=True)
    assert (dict(context.landmarks), dict(context.landmarks_refused)) == ({}, {})
    verdict, judged = outcome(world, issued.token, trust_log=True)
    assert (verdict, judged.inclusion.grade) == (OK, Grade.LOG_WORD)
    assert codes(judged) >= {Code.LOG_UNWITNESSED}
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)


def _landmark(world: World, **changes: object) -> None:
    """The signed list with other fields, its entry as it is."""
    body = replace(world.logs[1].landmark(), **changes)  # type: ignore[arg-type]
    world.publish_landmark(body)


def _resigned(name: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        body = world.logs[1].landmark()
        world.publish_landmark(body)
        world.blobs["landmark/1.cbor"] = sign_landmark_list(body, signer(name))

    return change


def _key(**changes: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.publish_landmark()
        world.change_key(world.logs[1].landmark_signer.public_key.kid, **changes)

    return change


def _head_key(**changes: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.publish_landmark()
        world.change_key(world.logs[1].checkpoint_signer.public_key.kid, **changes)

    return change


def _cosigned_by(*names: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.cosign(*names)
        world.publish_landmark()
        world.cosign(*WITNESSES)

    return change


def _proof(**changes: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.publish_landmark()
        proof = parse_tlog_proof(world.blobs["landmark/1.tlog-proof"])
        world.blobs["landmark/1.tlog-proof"] = format_tlog_proof(replace(proof, **changes))  # type: ignore[arg-type]

    return change


def _without(name: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.publish_landmark()
        del world.blobs[name]

    return change


def _swapped(world: World) -> None:
    """The other log's list and proof under this log's name."""
    world.issue_one(log=2)
    world.publish_landmark(log=2)
    for name in ("cbor", "tlog-proof"):
        world.blobs[f"landmark/1.{name}"] = world.blobs.pop(f"landmark/2.{name}")


def _swapped_and_resigned(world: World) -> None:
    _swapped(world)
    body = world.logs[2].landmark()
    world.blobs["landmark/1.cbor"] = sign_landmark_list(body, world.logs[1].landmark_signer)


def _phantom(world: World) -> None:
    """The operator logs the hash of a list with a block that its log never had; witnesses cosign what they see."""
    body = world.logs[1].landmark()
    world.publish_landmark(replace(body, roots=bytes(32) + body.roots[32:]))


def _phantom_history(world: World) -> None:
    """A true list of another history of the same log, its hash logged in the one that witnesses saw."""
    other = demanding()
    other.issue_one(purpose="乙项目投标")
    assert other.logs[1].size == world.logs[1].size
    world.publish_landmark(other.logs[1].landmark())


def _old_proof(world: World) -> None:
    """The proof of the list before."""
    world.publish_landmark()
    before = world.blobs["landmark/1.tlog-proof"]
    world.publish_landmark()
    world.blobs["landmark/1.tlog-proof"] = before


REFUSED: dict[str, tuple[Callable[[World], None], str]] = {
    "another key": (_resigned("nobody"), "landmark.forged"),
    "the status key": (_resigned("status 1"), "landmark.forged"),
    "the other log's landmark key": (_resigned("landmark 2"), "landmark.forged"),
    "key compromised": (_key(compromised={1: 100}), "verifier.landmark_refused"),
    "key of another day": (_key(valid_until=DAY - 1), "verifier.landmark_refused"),
    "key retired before": (_key(retired_on=DAY - 1), "verifier.landmark_refused"),
    "checkpoint key compromised": (_head_key(compromised={1: 100}), "verifier.landmark_refused"),
    "checkpoint key of another day": (_head_key(valid_until=DAY - 1), "verifier.landmark_refused"),
    "no proof": (_without("landmark/1.tlog-proof"), "verifier.landmark_refused"),
    "another log's list": (_swapped, "landmark.forged"),
    "another log's list, signed again": (_swapped_and_resigned, "verifier.landmark_refused"),
    "another block height": (lambda world: _landmark(world, height=3), "verifier.landmark_refused"),
    "no cosignature": (_cosigned_by(), "witness.quorum_not_met"),
    "one witness of two": (_cosigned_by("w1"), "witness.quorum_not_met"),
    "one witness and a stranger": (_cosigned_by("w1", "w9"), "witness.quorum_not_met"),
    "no consistency proof": (_proof(extra=None), "proof.wrong_length"),
    "another consistency proof": (_proof(extra=bytes(64)), "proof"),
    "cut consistency proof": (_proof(extra=bytes(33)), "landmark.unproved"),
    "index moved": (_proof(index=0), "proof"),
    "a block the log never had": (_phantom, "landmark.untrue"),
    "another history": (_phantom_history, "proof.root_mismatch"),
    "proof of another entry": (_old_proof, "proof"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_list_with_a_missing_link_is_left_out_and_named(case: str) -> None:
    break_it, code = REFUSED[case]
    world = demanding()
    issued = world.issue_one()
    break_it(world)
    if not case.startswith("checkpoint key"):
        world.publish_status()
    context = context_of(world)
    assert 1 not in context.landmarks
    assert context.landmarks_refused[1].startswith(code)
    verdict, judged = outcome(world, issued.token, trust_log=True)
    assert verdict is not OK
    assert judged.inclusion.grade is Grade.LOG_WORD
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)
    (finding,) = [item for item in judged.findings if item.code is Code.LOG_WORD_ONLY]
    assert finding.evidence == {"landmark": context.landmarks_refused[1]}


def test_a_second_key_of_the_log_may_sign_the_list() -> None:
    """A key that is compromised or another log's is passed over, not the end."""
    world, issued = listed()
    world.change_key(world.logs[2].landmark_signer.public_key.kid, origins=frozenset({1}))
    assert outcome(world, issued.token)[1].inclusion.grade is Grade.WITNESSED


def test_an_old_list_is_not_a_false_one() -> None:
    world, issued = listed()
    world.now += 30 * 24 * HOUR
    world.publish_status()
    assert outcome(world, issued.token)[1].inclusion.grade is Grade.WITNESSED


def test_a_p256_landmark_key() -> None:
    world = demanding()
    world.logs[1].landmark_signer = signer("landmark 1", Alg.ESP256)
    issued = world.issue_one()
    world.publish_landmark()
    world.publish_status()
    assert outcome(world, issued.token, trust_log=True)[1].inclusion.grade is Grade.WITNESSED


# --- every combination


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a copy is like. `listed`: its block stands in the list."""

    listed: bool
    issuer_signed: bool
    receipt_signed: bool
    receipt_key_sound: bool
    issuer_key: str  # sound, good (compromised above the copy), lost (at or below it)
    revoked: bool


CELLS = [
    Cell(
        listed=listed_,
        issuer_signed=signed,
        receipt_signed=receipt,
        receipt_key_sound=sound,
        issuer_key=key,
        revoked=revoked,
    )
    for listed_, signed, receipt, sound, key, revoked in itertools.product(
        *((True, False),) * 4, ("sound", "good", "lost"), (False, True)
    )
]


def _expected(cell: Cell, *, trust_log: bool) -> tuple[Code, Grade, bool]:
    """Verdict under `bid`, grade, whether the issuer's signature was left out: docs/spec/landmark.md in ten lines."""
    by_log = trust_log and cell.listed
    if not cell.issuer_signed and not by_log:
        return Code.FORGED, Grade.NONE, False
    counts = cell.listed if not cell.receipt_key_sound else (cell.receipt_signed or by_log)
    refused = not counts and (cell.receipt_key_sound or not cell.receipt_signed)
    grade = (Grade.WITNESSED if cell.listed else Grade.LOG_WORD) if counts else Grade.NONE
    if cell.issuer_key == "lost" or (cell.issuer_key == "good" and not counts):
        return Code.KEY_COMPROMISED, grade, by_log
    if refused:
        return Code.RECEIPT_INVALID, grade, by_log
    if cell.revoked:
        return Code.REVOKED, grade, by_log
    if not counts:
        return Code.NOT_LOGGED, grade, by_log
    return (OK if cell.listed else LACKS), grade, by_log


@cache
def _held(cell: Cell) -> tuple[VerifyContext, bytes]:
    """What a verifier holds, and the copy with both signatures good."""
    world = demanding()
    if not cell.listed:
        world.issue_one()
        world.publish_landmark()
    issued = world.issue_one()
    if cell.listed:
        world.publish_landmark()
    if cell.revoked:
        world.act(ActType.REVOKE, issued.claims.serial)
    world.publish_status()
    if cell.issuer_key != "sound":
        good = issued.index + (cell.issuer_key == "good")
        world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: good})
    if not cell.receipt_key_sound:
        world.compromise(world.logs[1].receipt_signer.public_key.kid, {})
    return context_of(world), issued.token


def _spoilt(token: bytes, cell: Cell) -> bytes:
    receipt = parse_credential(token).receipt
    assert receipt is not None
    if not cell.receipt_signed:
        token = attach_receipt(token, flip(receipt, len(receipt) - 1))
    if not cell.issuer_signed:
        token = flip(token, len(token) - 1)
    return token


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_verdict_table(cell: Cell) -> None:
    context, good = _held(replace(cell, issuer_signed=True, receipt_signed=True))
    token = _spoilt(good, cell)
    for trust_log in (False, True):
        judged = judge([Met(data=token, prefix=None)], replace(context, trust_log=trust_log))
        verdict = verdict_for(judged.findings, context)
        left_out = Code.ISSUER_SIGNATURE_NOT_CHECKED in codes(judged)
        assert (verdict, judged.inclusion.grade, left_out) == _expected(cell, trust_log=trust_log), trust_log


@pytest.mark.parametrize("policy", POLICIES)
def test_the_report_says_that_the_signature_was_not_checked(policy: str) -> None:
    world, issued = listed()
    text = flip(issued.token, len(issued.token) - 1)
    for token in (issued.token, text):
        verdict, judged = outcome(world, token, policy, trust_log=True)
        assert verdict is OK
        (finding,) = [item for item in judged.findings if item.code is Code.ISSUER_SIGNATURE_NOT_CHECKED]
        assert finding.severity is Severity.NOTE
    report = verify_text(issued.text, context_of(world, trust_log=True))
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED in {item.code for item in report.findings}
    assert report.subject is not None


def test_it_is_never_a_default() -> None:
    world, issued = listed()
    assert not context_of(world).trust_log
    assert outcome(world, flip(issued.token, len(issued.token) - 1))[0] is Code.FORGED


# --- what stays checked under --trust-log


STAYS: dict[str, tuple[Callable[[World], Issued], Code]] = {
    "kind outside the key's scope": (lambda world: world.issue_one(kind=99), Code.KEY_OUT_OF_SCOPE),
    "jurisdiction outside it": (lambda world: world.issue_one(jurisdiction=11), Code.KEY_OUT_OF_SCOPE),
    "day outside it": (
        lambda world: world.issue_one(copy_issued_on=noon(DAY) // 86_400 - 400),
        Code.KEY_OUT_OF_SCOPE,
    ),
    "sealing body unknown": (lambda world: world.issue_one(sealing_body=9), Code.KEY_OUT_OF_SCOPE),
    "usage window over": (lambda world: world.issue_one(usage_until=DAY - 1), Code.USAGE_EXPIRED),
    "registration over": (lambda world: world.issue_one(registered_until=DAY - 1), Code.REGISTRATION_EXPIRED),
}


@pytest.mark.parametrize("case", STAYS)
def test_all_other_rules_stay(case: str) -> None:
    make, code = STAYS[case]
    world = demanding()
    issued = make(world)
    world.publish_landmark()
    world.publish_status()
    for trust_log in (False, True):
        _, judged = outcome(world, issued.token, trust_log=trust_log)
        assert code in blocking(judged)


@pytest.mark.parametrize(
    "act", [(ActType.REVOKE, Code.REVOKED), (ActType.SUSPEND, Code.SUSPENDED), (ActType.SUPERSEDE, Code.SUPERSEDED)]
)
def test_status_stays(act: tuple[ActType, Code]) -> None:
    world, issued = listed()
    world.act(act[0], issued.claims.serial)
    world.publish_status()
    assert outcome(world, issued.token, trust_log=True)[0] is act[1]


def test_every_signed_byte_is_bound_to_the_listed_leaf() -> None:
    """No flipped bit outside the two signatures passes by the log's word; those in the signatures are all that may."""
    world, issued = listed()
    context = context_of(world, trust_log=True)
    parsed = parse_credential(issued.token)
    receipt = parsed.receipt
    assert receipt is not None
    free = {issued.token.index(part) + at for part in (parsed.signature, receipt[-64:]) for at in range(64)}
    passed = set()
    for position in range(len(issued.token)):
        judged = judge([Met(data=flip(issued.token, position, position % 8), prefix=None)], context)
        if not blocking(judged):
            passed.add(position)
    assert passed == free


def test_another_persons_claims_over_a_listed_receipt_are_refused() -> None:
    world, issued = listed()
    forged = sign_credential(world.claims(serial=issued.claims.serial, name="李四"), signer("forger"))
    stolen = attach_receipt(forged, parse_credential(issued.token).receipt)
    assert outcome(world, stolen, trust_log=True)[0] is Code.UNKNOWN_ISSUER
    kid = world.issuers[1].credential_signer.public_key.kid
    renamed = stolen.replace(parse_credential(stolen).kid, kid)
    assert outcome(world, renamed, trust_log=True)[0] is Code.FORGED


def test_a_listed_entry_counts_only_where_its_key_may_log() -> None:
    """Issuer 2 logs in the first log alone; its entry in a list of the second is worth nothing."""
    world = demanding()
    issued = world.issue_one(issuer=2, log=2)
    world.publish_landmark(log=2)
    world.publish_status()
    verdict, judged = outcome(world, issued.token, trust_log=True)
    assert verdict is Code.RECEIPT_INVALID
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)
    assert outcome(world, flip(issued.token, len(issued.token) - 1), trust_log=True)[0] is Code.FORGED


def test_a_listed_entry_of_a_log_without_a_receipt_key_is_left_to_the_signatures() -> None:
    world, issued = listed()
    context = context_of(world, trust_log=True)
    kid = world.logs[1].receipt_signer.public_key.kid
    keys = {name: key for name, key in context.trust.keys.items() if name != kid}
    judged = judge([Met(data=issued.token, prefix=None)], replace(context, trust=replace(context.trust, keys=keys)))
    assert verdict_for(judged.findings, context) is Code.RECEIPT_INVALID
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)


def test_a_receipt_outside_its_keys_days_is_left_to_the_signatures() -> None:
    world, issued = listed()
    world.change_key(world.logs[1].receipt_signer.public_key.kid, valid_until=DAY - 2)
    for trust_log in (False, True):
        verdict, judged = outcome(world, issued.token, trust_log=trust_log)
        assert verdict is Code.RECEIPT_INVALID
        assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)


@pytest.mark.parametrize("kind", ["no receipt", "garbage", "of another copy", "later version", "bad claims"])
def test_what_is_not_listed_has_its_signatures_checked(kind: str) -> None:
    world, issued = listed()
    other = world.issue_one()
    world.publish_status()
    token = {
        "no receipt": issued.bare,
        "garbage": attach_receipt(issued.bare, b"\x00"),
        "of another copy": attach_receipt(issued.bare, parse_credential(other.token).receipt),
        "later version": issued.token,
        "bad claims": issued.token,
    }[kind]
    if kind in ("later version", "bad claims"):
        payload = parse_credential(token).payload
        token = token.replace(payload, flip(payload, len(payload) // 2 if kind == "bad claims" else 10, 7))
    verdict, judged = outcome(world, token, trust_log=True)
    assert verdict is not OK
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED not in codes(judged)
    bad = flip(token, len(token) - 1)
    assert outcome(world, bad, trust_log=True)[0] in {Code.FORGED, Code.VERSION_UNKNOWN}


def test_each_copy_in_a_file_holds_by_the_log_or_by_its_signature() -> None:
    world, issued = listed()
    context = context_of(world, trust_log=True)
    spoilt = flip(issued.token, len(issued.token) - 1)
    met = [Met(data=data, prefix=None) for data in (issued.token, spoilt, issued.bare)]
    judged = judge(met, context, full_receipts=[world.logs[1].full_receipt(issued.index)])
    assert not blocking(judged)
    assert judged.inclusion.places == ((1, issued.index),) * 3
    assert Code.ISSUER_SIGNATURE_NOT_CHECKED in codes(judged)
    met.append(Met(data=flip(issued.bare, len(issued.bare) - 1), prefix=None))
    assert codes(judge(met, context)) >= {Code.FORGED}


def test_the_other_of_two_ecdsa_signatures_is_the_same_listed_copy() -> None:
    world, issued = listed(issuer=2)
    assert outcome(world, twin(issued.token), trust_log=True)[0] is OK
    assert outcome(world, issued.token, trust_log=True)[0] is OK


def test_the_algorithm_stays_the_keys() -> None:
    """The identity covers the header, so this cannot be listed; the door is shut all the same."""
    world, issued = listed()
    record = world.keys()[issued_kid(issued)]
    unverified = parse_credential(issued.token)
    assert open_logged_credential(unverified, record, lambda _: True) is not None
    assert open_logged_credential(replace(unverified, alg=-9), record, lambda _: True) is None
    assert open_logged_credential(replace(unverified, payload=b"\xa0"), record, lambda _: True) is None
    assert open_logged_credential(unverified, record, lambda _: False) is None
    for other in (world.logs[1].receipt_signer, world.issuers[2].credential_signer):
        with pytest.raises(CredentialKeyError):
            open_logged_credential(unverified, world.keys()[other.public_key.kid], lambda _: True)


def issued_kid(issued: Issued) -> bytes:
    return parse_credential(issued.token).kid


def test_a_compromised_checkpoint_key_takes_its_lists_along() -> None:
    world, issued = listed()
    world.compromise(world.logs[1].checkpoint_signer.public_key.kid, {})
    assert outcome(world, issued.token, trust_log=True)[1].inclusion.grade is Grade.LOG_WORD


def test_two_logs_have_a_list_each() -> None:
    world = demanding()
    one, two = world.issue_one(), world.issue_one(log=2)
    for log in (1, 2):
        world.publish_landmark(log=log)
    world.publish_status()
    context = context_of(world)
    assert sorted(context.landmarks) == [1, 2]
    for issued in (one, two):
        assert outcome(world, issued.token)[1].inclusion.grade is Grade.WITNESSED
