"""The table of seals in trust data: whose certificate seals for which body, who makes seals, which seals must be there.

Source: DESIGN §7 (seal certificates with date ranges and required sets), §8; docs/spec/trust.md. One strict JSON blob,
`seals.json`, beside trust.json. Certificates are pinned one by one: the authorities of the table vouch for them, but
what they sign later counts for nothing until it is listed. Days are days since 1970-01-01 (UTC+8), borders inside.
Left out: what a revocation means for a seal put earlier (the verifier judges that).
"""

import base64
import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mingzheng.keys.errors import (
    CertError,
    SealChainError,
    SealKeySharedError,
    SealRulesOverlapError,
    SealUsageError,
    TrustMalformedError,
    TrustTooLargeError,
    TrustVersionError,
)
from mingzheng.keys.strictjson import Json, load_json, take_date, take_int, take_list, take_object, take_string
from mingzheng.keys.vkey import decode_base64
from mingzheng.keys.x509 import CertAlg, Certificate, check_chain, may_sign, parse_certificate

SEALS_BLOB: Final = "seals.json"
FORMAT_VERSION: Final = 1
MAX_BYTES: Final = 4 << 20
MAX_AUTHORITIES: Final = 64
MAX_MAKERS: Final = 256
MAX_SEALS: Final = 1024
MAX_RULES: Final = 256
MAX_SEALS_ON_A_FILE: Final = 4
MAX_NUMBER: Final = 65535
FORMS: Final = ("ofd", "pdf")
SEALING_BODY: Final = 0  # in a rule: the sealing body named in the claims

_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_JURISDICTIONS: Final = frozenset({0, *range(11, 83)})  # national, GB/T 2260 province codes
_DAY_SECONDS: Final = 86_400
_CHINA_SECONDS: Final = 28_800  # civil days begin at 16:00 UTC of the day before
_FORM_ALGS: Final[Mapping[str, frozenset[CertAlg]]] = {
    "ofd": frozenset({CertAlg.SM2}),
    "pdf": frozenset({CertAlg.P256, CertAlg.RSA}),
}
_MAX_CERTIFICATE_CHARS: Final = 16384
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRecord:
    """A certificate that seals files of one form for one body of an issuer, from day to day."""

    issuer: int
    body: int
    form: str  # "pdf" or "ofd"
    certificate: Certificate
    valid_from: int
    valid_until: int
    revoked_on: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerRecord:
    """A certificate whose key makes electronic seals for OFD files."""

    certificate: Certificate
    revoked_on: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRule:
    """Which bodies must seal, in this order, what an issuer issues of these kinds and jurisdictions on these days.

    A body of 0 is the sealing body that the credential's claims name.
    """

    issuer: int
    kinds: frozenset[int]
    jurisdictions: frozenset[int]
    valid_from: int
    valid_until: int
    bodies: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealTable:
    """Everything a verifier believes about seals; records in a fixed order. Checked by `parse_seal_table`."""

    cas: tuple[Certificate, ...]
    makers: tuple[MakerRecord, ...]
    seals: tuple[SealRecord, ...]
    rules: tuple[SealRule, ...]
    _by_certificate: dict[bytes, tuple[SealRecord, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_certificate: dict[bytes, tuple[SealRecord, ...]] = {}
        seals = tuple(sorted(self.seals, key=_seal_order))
        for record in seals:
            name = record.certificate.sha256
            by_certificate[name] = (*by_certificate.get(name, ()), record)
        object.__setattr__(self, "cas", tuple(sorted(self.cas, key=lambda ca: ca.sha256)))
        object.__setattr__(self, "makers", tuple(sorted(self.makers, key=lambda maker: maker.certificate.sha256)))
        object.__setattr__(self, "seals", seals)
        object.__setattr__(self, "rules", tuple(sorted(self.rules, key=_rule_order)))
        object.__setattr__(self, "_by_certificate", by_certificate)

    def by_certificate(self, sha256: bytes) -> tuple[SealRecord, ...]:
        """The records of the seal certificate with that digest."""
        return self._by_certificate.get(sha256, ())

    def maker(self, sha256: bytes) -> MakerRecord | None:
        """The record of the seal maker's certificate with that digest."""
        return next((maker for maker in self.makers if maker.certificate.sha256 == sha256), None)

    def rule_for(self, issuer: int, kind: int, jurisdiction: int, day: int) -> SealRule | None:
        """The one rule for what that issuer issued on that day; None: no seal is required."""
        for rule in self.rules:
            fits = rule.issuer == issuer and kind in rule.kinds and jurisdiction in rule.jurisdictions
            if fits and rule.valid_from <= day <= rule.valid_until:
                return rule
        return None


def parse_seal_table(data: bytes) -> SealTable:
    """Read and check `seals.json`. Cost: one signature check per certificate pinned.

    Raises TrustMalformedError, TrustTooLargeError, TrustVersionError, or a leaf of SealTableError: a signer or maker no
    authority vouches for, a key for two purposes, rules that overlap. Nothing is accepted in part.
    """
    if len(data) > MAX_BYTES:
        raise TrustTooLargeError(f"{SEALS_BLOB} is over {MAX_BYTES} bytes")
    top = _take_top(load_json(data))
    table = SealTable(
        cas=tuple(_take_each(top["cas"], "cas", MAX_AUTHORITIES, _take_certificate)),
        makers=tuple(_take_each(top["makers"], "makers", MAX_MAKERS, _take_maker)),
        seals=tuple(_take_each(top["seals"], "seals", MAX_SEALS, _take_seal)),
        rules=tuple(_take_each(top["rules"], "rules", MAX_RULES, _take_rule)),
    )
    _check_uses(table)
    _check_keys(table)
    _check_overlaps(table)
    _check_chains(table)
    return table


def format_seal_table(table: SealTable) -> bytes:
    """`seals.json` of a table, the same bytes every time; raises what `parse_seal_table` would raise."""
    top = {
        "version": FORMAT_VERSION,
        "cas": [_certificate_json(ca) for ca in table.cas],
        "makers": [_maker_json(maker) for maker in table.makers],
        "seals": [_seal_json(seal) for seal in table.seals],
        "rules": [_rule_json(rule) for rule in table.rules],
    }
    data = (json.dumps(top, ensure_ascii=False, indent=1) + "\n").encode()
    if parse_seal_table(data) != table:
        raise TrustMalformedError("the table of seals would not read back as it is")
    return data


def check_keys_apart(table: SealTable, spkis: Iterable[bytes]) -> None:
    """Refuse a key of trust.json (DER SubjectPublicKeyInfo) that also seals, makes seals or certifies them.

    Raises SealKeySharedError.
    """
    holders = (*table.cas, *(maker.certificate for maker in table.makers), *(seal.certificate for seal in table.seals))
    if not {certificate.spki for certificate in holders}.isdisjoint(spkis):
        raise SealKeySharedError("a key of the trust data has a certificate in the table of seals")


def _seal_order(record: SealRecord) -> tuple[int, int, str, int, int, bytes]:
    days = (record.valid_from, record.valid_until)
    return record.issuer, record.body, record.form, *days, record.certificate.sha256


def _rule_order(rule: SealRule) -> tuple[int, int, int, list[int], list[int]]:
    return rule.issuer, rule.valid_from, rule.valid_until, sorted(rule.kinds), sorted(rule.jurisdictions)


def _take_top(value: Json) -> dict[str, Json]:
    if isinstance(value, dict) and "version" in value:
        version = take_int(value["version"], "version", low=1, high=MAX_NUMBER)
        if version != FORMAT_VERSION:
            raise TrustVersionError(f"table of seals of version {version}: update this program")
    return take_object(value, SEALS_BLOB, ("version", "cas", "makers", "seals", "rules"))


def _take_each(value: Json, where: str, most: int, take: Callable[[Json, str], _T]) -> list[_T]:
    return [take(item, f"{where}[{i}]") for i, item in enumerate(take_list(value, where, most=most))]


def _take_certificate(value: Json, where: str) -> Certificate:
    data = decode_base64(take_string(value, where, most=_MAX_CERTIFICATE_CHARS))
    if data is None:
        raise TrustMalformedError(f"{where}: not canonical base64")
    try:
        return parse_certificate(data)
    except CertError as error:
        raise TrustMalformedError(f"{where}: {error}") from error


def _take_maker(value: Json, where: str) -> MakerRecord:
    item = take_object(value, where, ("certificate", "revoked_on"))
    return MakerRecord(
        certificate=_take_certificate(item["certificate"], f"{where}.certificate"),
        revoked_on=_take_optional_day(item["revoked_on"], f"{where}.revoked_on"),
    )


def _take_seal(value: Json, where: str) -> SealRecord:
    keys = ("issuer", "body", "form", "certificate", "valid_from", "valid_until", "revoked_on")
    item = take_object(value, where, keys)
    form = take_string(item["form"], f"{where}.form", most=3)
    if form not in FORMS:
        raise TrustMalformedError(f"{where}.form: expected {' or '.join(FORMS)}")
    first, last = _take_days(item, where)
    return SealRecord(
        issuer=take_int(item["issuer"], f"{where}.issuer", low=1, high=MAX_NUMBER),
        body=take_int(item["body"], f"{where}.body", low=1, high=MAX_NUMBER),
        form=form,
        certificate=_take_certificate(item["certificate"], f"{where}.certificate"),
        valid_from=first,
        valid_until=last,
        revoked_on=_take_optional_day(item["revoked_on"], f"{where}.revoked_on"),
    )


def _take_rule(value: Json, where: str) -> SealRule:
    item = take_object(value, where, ("issuer", "kinds", "jurisdictions", "valid_from", "valid_until", "bodies"))
    first, last = _take_days(item, where)
    jurisdictions = frozenset(_take_numbers(item["jurisdictions"], f"{where}.jurisdictions", most=128, low=0))
    if not jurisdictions <= _JURISDICTIONS:
        raise TrustMalformedError(f"{where}.jurisdictions: 0 and 11 to 82")
    bodies = _take_numbers(item["bodies"], f"{where}.bodies", most=MAX_SEALS_ON_A_FILE, low=0)
    return SealRule(
        issuer=take_int(item["issuer"], f"{where}.issuer", low=1, high=MAX_NUMBER),
        kinds=frozenset(_take_numbers(item["kinds"], f"{where}.kinds", most=4096, low=1)),
        jurisdictions=jurisdictions,
        valid_from=first,
        valid_until=last,
        bodies=tuple(bodies),
    )


def _take_numbers(value: Json, where: str, *, most: int, low: int) -> list[int]:
    """One to `most` different numbers, in their order."""
    numbers = [take_int(item, where, low=low, high=MAX_NUMBER) for item in take_list(value, where, most=most)]
    if not numbers or len(set(numbers)) != len(numbers):
        raise TrustMalformedError(f"{where}: empty, or a number stands twice")
    return numbers


def _take_days(item: Mapping[str, Json], where: str) -> tuple[int, int]:
    first = _take_day(item["valid_from"], f"{where}.valid_from")
    last = _take_day(item["valid_until"], f"{where}.valid_until")
    if first > last:
        raise TrustMalformedError(f"{where}: valid_from is after valid_until")
    return first, last


def _take_optional_day(value: Json, where: str) -> int | None:
    return None if value is None else _take_day(value, where)


def _take_day(value: Json, where: str) -> int:
    try:
        return datetime.date.fromisoformat(take_date(value, where)).toordinal() - _EPOCH
    except ValueError:
        raise TrustMalformedError(f"{where}: there is no such day") from None


def _check_uses(table: SealTable) -> None:
    """Authorities certify, signers and makers sign, each with an algorithm of its form."""
    for ca in table.cas:
        if not ca.is_ca or "keyCertSign" not in (ca.key_usage or ()):
            raise SealUsageError(f"authority {ca.sha256.hex()[:16]} may not certify")
    for maker in table.makers:
        if not may_sign(maker.certificate) or maker.certificate.key_alg is not CertAlg.SM2:
            raise SealUsageError(f"seal maker {maker.certificate.sha256.hex()[:16]} may not sign, or not with SM2")
    for seal in table.seals:
        if not may_sign(seal.certificate) or seal.certificate.key_alg not in _FORM_ALGS[seal.form]:
            name = seal.certificate.sha256.hex()[:16]
            raise SealUsageError(f"seal {name} may not sign, or not {seal.form} files with its kind of key")


def _check_keys(table: SealTable) -> None:
    """A key certifies, makes seals or seals, and seals for one body of an issuer."""
    purposes: dict[bytes, str] = {}
    everyone = [
        *((ca, "ca") for ca in table.cas),
        *((maker.certificate, "maker") for maker in table.makers),
        *((seal.certificate, "seal") for seal in table.seals),
    ]
    for certificate, purpose in everyone:
        if purposes.setdefault(certificate.spki, purpose) != purpose:
            raise SealKeySharedError(f"the key of {certificate.sha256.hex()[:16]} has two purposes")
    bodies: dict[tuple[bytes, int], int] = {}
    for seal in table.seals:
        if bodies.setdefault((seal.certificate.spki, seal.issuer), seal.body) != seal.body:
            raise SealKeySharedError(f"the key of {seal.certificate.sha256.hex()[:16]} seals for two bodies")


def _check_overlaps(table: SealTable) -> None:
    for names in ([ca.sha256 for ca in table.cas], [maker.certificate.sha256 for maker in table.makers]):
        if len(set(names)) != len(names):
            raise SealRulesOverlapError("an authority or seal maker stands twice")
    for name, records in table._by_certificate.items():
        for i, seal in enumerate(records):
            alike = (other for other in records[:i] if (other.issuer, other.form) == (seal.issuer, seal.form))
            if any(_overlap(seal, other) for other in alike):
                raise SealRulesOverlapError(f"certificate {name.hex()[:16]} stands twice for a day")
    for i, rule in enumerate(table.rules):
        for earlier in table.rules[:i]:
            same = rule.issuer == earlier.issuer and bool(rule.kinds & earlier.kinds)
            if same and rule.jurisdictions & earlier.jurisdictions and _overlap(rule, earlier):
                raise SealRulesOverlapError(f"two rules of issuer {rule.issuer} hold for one case")


def _overlap(one: SealRecord | SealRule, two: SealRecord | SealRule) -> bool:
    return one.valid_from <= two.valid_until and two.valid_from <= one.valid_until


def _check_chains(table: SealTable) -> None:
    for maker in table.makers:
        certificate = maker.certificate
        _check_chain(certificate, table.cas, certificate.not_before, certificate.not_after)
    for seal in table.seals:
        first = seal.valid_from * _DAY_SECONDS - _CHINA_SECONDS
        last = (seal.valid_until + 1) * _DAY_SECONDS - _CHINA_SECONDS - 1
        _check_chain(seal.certificate, table.cas, first, last)


def _check_chain(certificate: Certificate, cas: tuple[Certificate, ...], first: int, last: int) -> None:
    """There is a second in first … last at which an authority vouches for the certificate, both valid."""
    faults: tuple[str, ...] = ("chain.no_root",)
    for at in sorted({max(first, certificate.not_before, ca.not_before) for ca in cas}):
        if at <= min(last, certificate.not_after):
            faults = check_chain(certificate, pool=(), roots=cas, at=at)
            if not faults:
                return
    name = certificate.sha256.hex()[:16]
    raise SealChainError(f"no authority of the table vouches for {name} on a day it is pinned: {', '.join(faults)}")


def _certificate_json(certificate: Certificate) -> str:
    return base64.b64encode(certificate.der).decode("ascii")


def _maker_json(maker: MakerRecord) -> dict[str, Json]:
    revoked = None if maker.revoked_on is None else _day_text(maker.revoked_on)
    return {"certificate": _certificate_json(maker.certificate), "revoked_on": revoked}


def _seal_json(seal: SealRecord) -> dict[str, Json]:
    return {
        "issuer": seal.issuer,
        "body": seal.body,
        "form": seal.form,
        "certificate": _certificate_json(seal.certificate),
        "valid_from": _day_text(seal.valid_from),
        "valid_until": _day_text(seal.valid_until),
        "revoked_on": None if seal.revoked_on is None else _day_text(seal.revoked_on),
    }


def _rule_json(rule: SealRule) -> dict[str, Json]:
    return {
        "issuer": rule.issuer,
        "kinds": [*sorted(rule.kinds)],
        "jurisdictions": [*sorted(rule.jurisdictions)],
        "valid_from": _day_text(rule.valid_from),
        "valid_until": _day_text(rule.valid_until),
        "bodies": [*rule.bodies],
    }


def _day_text(day: int) -> str:
    try:
        return datetime.date.fromordinal(day + _EPOCH).isoformat()
    except (ValueError, OverflowError):
        raise TrustMalformedError(f"there is no day {day}") from None


EMPTY_TABLE: Final = SealTable(cas=(), makers=(), seals=(), rules=())
