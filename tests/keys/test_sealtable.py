"""The table of seals: reads back, every certificate vouched for, one purpose per key, no two rules for one case."""

import base64
import dataclasses
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from algs import NEEDS_SM2
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.custody import generate_seal_key
from mingzheng.keys.errors import (
    KeysError,
    SealChainError,
    SealKeySharedError,
    SealRulesOverlapError,
    SealTableError,
    SealUsageError,
    TrustMalformedError,
    TrustTooLargeError,
    TrustVersionError,
)
from mingzheng.keys.sealkey import SealAlg, SealPrivate
from mingzheng.keys.sealtable import (
    EMPTY_TABLE,
    MAX_AUTHORITIES,
    MAX_BYTES,
    MakerRecord,
    SealRecord,
    SealRule,
    SealTable,
    check_keys_apart,
    format_seal_table,
    parse_seal_table,
)
from mingzheng.keys.x509 import Certificate, parse_certificate

pytestmark = NEEDS_SM2

DAY = 20_800  # 2026-12-13
AT = DAY * 86_400 - 28_800


@cache
def _key(name: str, alg: SealAlg) -> SealPrivate:
    return generate_seal_key(alg)


def key(name: str, alg: SealAlg = SealAlg.SM2) -> SealPrivate:
    """One key per name and algorithm."""
    return _key(name, alg)


def certificate(name: str, **wish: Any) -> Certificate:
    """A certificate by the SM2 root of the table, valid 100 days around DAY."""
    alg, issuer = wish.pop("alg", SealAlg.SM2), wish.pop("issuer", "root")
    private = wish.pop("private", None) or key(name, alg)
    spec = {
        "subject_cn": name, "subject_o": "某省住房和城乡建设厅", "spki": private.spki, "serial": 7,
        "not_before": AT - 50 * 86_400, "not_after": AT + 50 * 86_400,
    }  # fmt: skip
    above = None if issuer is None else root()
    signer = private if issuer is None else key(issuer)
    return parse_certificate(make_certificate(CertSpec(**(spec | wish)), CertIssuer(key=signer, certificate=above)))


@cache
def root() -> Certificate:
    return certificate("root", issuer=None, ca=True, path_len=0, key_usage=CA_USAGE)


@cache
def other_root() -> Certificate:
    return certificate("other", issuer=None, ca=True, key_usage=CA_USAGE)


@cache
def seal(form: str, name: str = "章") -> SealRecord:
    alg = SealAlg.SM2 if form == "ofd" else SealAlg.P256
    return SealRecord(
        issuer=1,
        body=2,
        form=form,
        certificate=certificate(f"{name} {form}", alg=alg),
        valid_from=DAY,
        valid_until=DAY + 9,
    )


RULE = SealRule(
    issuer=1,
    kinds=frozenset({1, 2}),
    jurisdictions=frozenset({0, 31}),
    valid_from=DAY,
    valid_until=DAY + 9,
    bodies=(0, 3),
)


@cache
def table() -> SealTable:
    maker = MakerRecord(certificate=certificate("制章"), revoked_on=DAY + 5)
    rsa = dataclasses.replace(seal("pdf"), certificate=certificate("章 rsa", alg=SealAlg.RSA), body=3, revoked_on=DAY)
    later = dataclasses.replace(RULE, valid_from=DAY + 10, valid_until=DAY + 20, bodies=(2,))
    return SealTable(
        cas=(root(), other_root()), makers=(maker,), seals=(seal("pdf"), seal("ofd"), rsa), rules=(later, RULE)
    )


def changed(**fields: Any) -> SealTable:
    return dataclasses.replace(table(), **fields)


def test_reads_back() -> None:
    data = format_seal_table(table())
    again = parse_seal_table(data)
    assert again == table()
    assert format_seal_table(again) == data
    assert parse_seal_table(format_seal_table(EMPTY_TABLE)) == EMPTY_TABLE


def test_order_of_writing_does_not_matter() -> None:
    turned = changed(cas=table().cas[::-1], seals=table().seals[::-1], rules=table().rules[::-1])
    assert turned == table()
    assert format_seal_table(turned) == format_seal_table(table())


def test_finds_records() -> None:
    found = table()
    assert found.by_certificate(seal("pdf").certificate.sha256) == (seal("pdf"),)
    assert found.by_certificate(root().sha256) == ()
    maker = found.makers[0]
    assert found.maker(maker.certificate.sha256) is maker
    assert found.maker(root().sha256) is None


@pytest.mark.parametrize(
    ("case", "bodies"),
    [
        ((1, 1, 0, DAY), (0, 3)),
        ((1, 2, 31, DAY + 9), (0, 3)),
        ((1, 2, 31, DAY + 10), (2,)),
        ((1, 2, 31, DAY + 20), (2,)),
        ((1, 2, 31, DAY + 21), None),
        ((1, 2, 31, DAY - 1), None),
        ((2, 2, 31, DAY), None),
        ((1, 3, 31, DAY), None),
        ((1, 2, 11, DAY), None),
    ],
)
def test_rule_for_a_case(case: tuple[int, int, int, int], bodies: tuple[int, ...] | None) -> None:
    rule = table().rule_for(*case)
    assert (rule and rule.bodies) == bodies


# What no authority vouches for


def test_another_root_vouches_for_nothing() -> None:
    with pytest.raises(SealChainError, match="no_root"):
        format_seal_table(changed(cas=(other_root(),)))
    with pytest.raises(SealChainError):
        format_seal_table(changed(cas=()))


def test_a_root_of_the_same_name_vouches_for_nothing() -> None:
    forged = certificate("root", private=key("forger"), issuer=None, ca=True, key_usage=CA_USAGE)
    by_forger = make_certificate(
        CertSpec(subject_cn="x", subject_o="o", spki=key("x").spki, serial=1, not_before=AT, not_after=AT + 86_400),
        CertIssuer(key=key("forger"), certificate=forged),
    )
    record = dataclasses.replace(seal("ofd"), certificate=parse_certificate(by_forger))
    with pytest.raises(SealChainError):
        format_seal_table(changed(seals=(record,)))


@pytest.mark.parametrize(("first", "last", "good"), [(49, 60, True), (50, 60, True), (51, 60, False), (-60, -50, True),
                                                     (-60, -51, False)])  # fmt: skip
def test_pinned_days_meet_the_certificates_validity(first: int, last: int, good: bool) -> None:
    """The certificate is valid from the first second of day −50 to the first second of day 50."""
    record = dataclasses.replace(seal("ofd"), valid_from=DAY + first, valid_until=DAY + last)
    if good:
        format_seal_table(changed(seals=(record,)))
    else:
        with pytest.raises(SealChainError):
            format_seal_table(changed(seals=(record,)))


def test_a_maker_needs_an_authority_too() -> None:
    alone = certificate("自签", issuer=None, key_usage=frozenset({"digitalSignature", "keyCertSign"}), ca=True)
    with pytest.raises(SealChainError):
        format_seal_table(changed(makers=(MakerRecord(certificate=alone),)))


# Uses and keys


@pytest.mark.parametrize("form", ["pdf", "ofd"])
def test_the_wrong_kind_of_key_for_the_form(form: str) -> None:
    other = {"pdf": "ofd", "ofd": "pdf"}[form]
    with pytest.raises(SealUsageError):
        format_seal_table(changed(seals=(dataclasses.replace(seal(other), form=form),)))


def test_makers_use_sm2() -> None:
    with pytest.raises(SealUsageError):
        format_seal_table(changed(makers=(MakerRecord(certificate=certificate("m", alg=SealAlg.P256)),)))


@pytest.mark.parametrize("place", ["seals", "makers"])
def test_who_may_not_sign_is_not_pinned(place: str) -> None:
    mute = certificate("mute", key_usage=frozenset({"keyEncipherment"}))
    record = MakerRecord(certificate=mute) if place == "makers" else dataclasses.replace(seal("ofd"), certificate=mute)
    with pytest.raises(SealUsageError):
        format_seal_table(changed(**{place: (record,)}))


def test_an_authority_is_one() -> None:
    with pytest.raises(SealUsageError):
        format_seal_table(changed(cas=(root(), seal("ofd").certificate)))


def test_a_key_has_one_purpose() -> None:
    with pytest.raises(SealKeySharedError):
        format_seal_table(changed(makers=(MakerRecord(certificate=seal("ofd").certificate),)))
    renewed = certificate("制章", private=key("章 ofd"), serial=8)
    with pytest.raises(SealKeySharedError):
        format_seal_table(changed(makers=(MakerRecord(certificate=renewed),)))


def test_a_key_seals_for_one_body_of_an_issuer() -> None:
    for second in (seal("pdf"), dataclasses.replace(seal("pdf"), certificate=certificate("新", alg=SealAlg.P256,
                   private=key("章 pdf", SealAlg.P256), serial=9))):  # fmt: skip
        with pytest.raises(SealKeySharedError):
            format_seal_table(changed(seals=(seal("pdf"), dataclasses.replace(second, body=9))))
    format_seal_table(changed(seals=(seal("pdf"), dataclasses.replace(seal("pdf"), issuer=9, body=9))))


def test_keys_of_trust_data_are_others() -> None:
    check_keys_apart(table(), [key("stranger").spki])
    for holder in (root(), table().makers[0].certificate, seal("pdf").certificate):
        with pytest.raises(SealKeySharedError):
            check_keys_apart(table(), [key("stranger").spki, holder.spki])


# Overlaps


def test_a_certificate_stands_once_for_a_day() -> None:
    first = seal("ofd")
    after = dataclasses.replace(first, valid_from=DAY + 10, valid_until=DAY + 19)
    format_seal_table(changed(seals=(first, after)))
    for start in (0, 9):
        with pytest.raises(SealRulesOverlapError):
            format_seal_table(changed(seals=(first, dataclasses.replace(after, valid_from=DAY + start))))


def test_authorities_and_makers_stand_once() -> None:
    with pytest.raises(SealRulesOverlapError):
        format_seal_table(changed(cas=(root(), root())))
    with pytest.raises(SealRulesOverlapError):
        format_seal_table(changed(makers=table().makers * 2))


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, False),
        ({"valid_from": DAY + 9, "valid_until": DAY + 9}, False),
        ({"valid_from": DAY - 5, "valid_until": DAY - 1}, True),
        ({"kinds": frozenset({2, 3})}, False),
        ({"kinds": frozenset({3})}, True),
        ({"jurisdictions": frozenset({11, 31})}, False),
        ({"jurisdictions": frozenset({11})}, True),
        ({"issuer": 2}, True),
    ],
)
def test_two_rules_for_one_case(change: dict[str, Any], good: bool) -> None:
    second = dataclasses.replace(RULE, bodies=(7,), **change)
    if good:
        format_seal_table(changed(rules=(RULE, second)))
    else:
        with pytest.raises(SealRulesOverlapError):
            format_seal_table(changed(rules=(RULE, second)))


# The bytes


def edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    top = json.loads(format_seal_table(table()))
    edit(top)
    return json.dumps(top).encode()


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda top: top.update(x=1),
    "missing key": lambda top: top.pop("rules"),
    "form": lambda top: top["seals"][0].update(form="png"),
    "body 0": lambda top: top["seals"][0].update(body=0),
    "issuer 0": lambda top: top["rules"][0].update(issuer=0),
    "days turned": lambda top: top["seals"][0].update(valid_from="2027-01-01", valid_until="2026-01-01"),
    "no such day": lambda top: top["seals"][0].update(valid_from="2026-02-30"),
    "revoked": lambda top: top["makers"][0].update(revoked_on=5),
    "base64": lambda top: top.update(cas=["AB="]),
    "certificate": lambda top: top.update(cas=[base64.b64encode(b"0\x00").decode()]),
    "no kinds": lambda top: top["rules"][0].update(kinds=[]),
    "kind 0": lambda top: top["rules"][0].update(kinds=[0]),
    "kind twice": lambda top: top["rules"][0].update(kinds=[1, 1]),
    "jurisdiction": lambda top: top["rules"][0].update(jurisdictions=[10]),
    "no bodies": lambda top: top["rules"][0].update(bodies=[]),
    "body twice": lambda top: top["rules"][0].update(bodies=[0, 0]),
    "version": lambda top: top.update(version="1"),
}


@pytest.mark.parametrize("name", EDITS)
def test_refuses_other_shapes(name: str) -> None:
    with pytest.raises(TrustMalformedError):
        parse_seal_table(edited(EDITS[name]))


def test_caps() -> None:
    with pytest.raises(TrustTooLargeError):
        parse_seal_table(b" " * (MAX_BYTES + 1))
    with pytest.raises(TrustTooLargeError):
        parse_seal_table(edited(lambda top: top.update(cas=["x"] * (MAX_AUTHORITIES + 1))))
    with pytest.raises(TrustTooLargeError):
        parse_seal_table(edited(lambda top: top["rules"][0].update(bodies=[1, 2, 3, 4, 5])))


def test_other_version_and_other_bytes() -> None:
    with pytest.raises(TrustVersionError):
        parse_seal_table(edited(lambda top: top.update(version=2)))
    for data in (b"", b"[]", b"\xff", b"{}"):
        with pytest.raises(TrustMalformedError):
            parse_seal_table(data)


def test_what_cannot_be_read_is_not_written() -> None:
    with pytest.raises(TrustMalformedError):
        format_seal_table(changed(rules=(dataclasses.replace(RULE, valid_until=10**9),)))
    for odd in ({"kinds": frozenset({True})}, {"bodies": [0, 3]}):  # true is no integer, a list is no tuple
        with pytest.raises(TrustMalformedError):
            format_seal_table(changed(rules=(dataclasses.replace(RULE, **odd),)))


@given(st.binary(max_size=200))
def test_random_bytes_raise_typed_errors(data: bytes) -> None:
    with pytest.raises(KeysError):
        parse_seal_table(data)


def test_every_changed_byte_of_a_certificate_is_refused() -> None:
    """Pinned certificates are vouched for: a changed one is malformed, weak or unsigned."""
    data = bytearray(seal("ofd").certificate.der)
    maker = changed(makers=(), seals=(seal("ofd"),), rules=(), cas=(root(),))
    top = json.loads(format_seal_table(maker))
    for place in range(0, len(data), 7):
        turned = bytearray(data)
        turned[place] ^= 0x01
        top["seals"][0]["certificate"] = base64.b64encode(turned).decode()
        with pytest.raises((SealTableError, TrustMalformedError)):
            parse_seal_table(json.dumps(top).encode())
