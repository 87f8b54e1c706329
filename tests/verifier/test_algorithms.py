"""An authority's choice of algorithm changes no verdict: Ed25519, P-256 and SM2 through the same life."""

import hashlib

import pytest
from algs import DISTINCT
from simulator import World, flip, signer

from mingzheng.formats.credential import attach_receipt, parse_credential, sign_credential
from mingzheng.formats.qrtext import to_digits
from mingzheng.keys.alg import Alg
from mingzheng.log.acts import ActType
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pipeline import verify_text


@pytest.fixture(params=DISTINCT, ids=lambda alg: alg.name.lower())
def alg(request: pytest.FixtureRequest) -> Alg:
    chosen: Alg = request.param
    return chosen


@pytest.fixture
def world(alg: Alg) -> World:
    made = World()
    made.issuers[1].credential_signer = signer("credential of the choice", alg)
    return made


def test_a_logged_copy_is_valid(world: World, alg: Alg) -> None:
    issued = world.issue_one()
    assert parse_credential(issued.token).alg == alg
    assert verify_text(issued.text, world.context()).verdict is Code.VALID_COMPARE
    assert verify_batch([issued.token], world.context()) == (Code.VALID_COMPARE,)


def test_a_flipped_bit_of_claims_or_signature_is_forged(world: World) -> None:
    issued = world.issue_one()
    context = world.context()
    places = [len(issued.token) - 1, len(issued.token) - 64, issued.token.index(issued.claims.name.encode())]
    for place in places:
        report = verify_text(to_digits(flip(issued.token, place)), context)
        assert report.verdict is Code.FORGED


def test_a_signature_of_another_key_is_forged(world: World, alg: Alg) -> None:
    issued = world.issue_one()
    forged = sign_credential(issued.claims, signer("forger", alg))
    genuine = parse_credential(issued.bare)
    planted = issued.bare.replace(genuine.signature, parse_credential(forged).signature)
    assert verify_text(to_digits(planted), world.context()).verdict is Code.FORGED
    assert verify_text(to_digits(forged), world.context()).verdict is Code.UNKNOWN_ISSUER


def test_signed_again_it_is_the_same_credential(world: World) -> None:
    issued = world.issue_one()
    receipt = parse_credential(issued.token).receipt
    again = attach_receipt(sign_credential(issued.claims, world.issuers[1].credential_signer), receipt)
    assert parse_credential(again).identity == issued.identity
    assert verify_text(to_digits(again), world.context()).verdict is Code.VALID_COMPARE


def test_revocation_and_compromise(world: World) -> None:
    revoked, kept = world.issue_one(), world.issue_one()
    world.act(ActType.REVOKE, revoked.claims.serial)
    assert verify_text(revoked.text, world.context()).verdict is Code.REVOKED
    world.compromise(world.issuers[1].credential_signer.public_key.kid, {1: 0})
    assert verify_text(kept.text, world.context()).verdict is Code.KEY_COMPROMISED


def test_every_issuer_has_another_key(world: World) -> None:
    """The key of the choice is no key of the other issuer, whatever its algorithm."""
    kids = {record.kid for record in world.keys().values()}
    assert len(kids) == len(world.keys())
    assert hashlib.sha256(world.issuers[1].credential_signer.public_key.spki).digest()[:8] in kids
