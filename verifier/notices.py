"""The notices of the trust data: which are believed, and which of them stand on a day.

Source: docs/spec/notices.md, "Believing a notice" and "Standing". A notice is believed if the log's own rule book, with
the keys of the trust data, would have taken it where its full receipt proves it (docs/spec/log.md, Two persons). One
that is not, or a gap in the numbers, takes all notices of its issuer with it: a retraction must not get lost. One whose
only fault is that its key is compromised is void: it holds its number and does nothing. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from mingzheng.formats.claims import EVERYWHERE
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.keys.errors import KeysError
from mingzheng.keys.trust import TrustData
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.book import DAY_TOLERANCE, Book, KeyCompromisedError
from mingzheng.log.entry import NoticeEntry, kids_of, parse_entry
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.noticebody import (
    FIRST_NUMBER,
    MAX_NOTICES,
    ExtensionBody,
    NoticeBody,
    RetiredFormBody,
    RetractionBody,
    parse_body,
)
from mingzheng.log.noticestanding import extension_of, is_void, standing_numbers
from mingzheng.log.policy import QuorumNotMetError
from mingzheng.log.quorum import Quorum
from mingzheng.verifier.errors import NoticeRefusedError, TrustUnusableError, VerifierError
from mingzheng.verifier.heads import HeadKey, Proved, included, witnessed

NOTICE_BLOBS: Final = "notices/"
FORMER_FORMS: Final = "forms.json"  # what retired forms before notices did
_NO_ROOTS: Final[Mapping[int, Hash]] = {}  # a notice names no head
_NAME: Final = re.compile(r"notices/([1-9][0-9]{0,4})-([1-9][0-9]{0,4})\.(cbor|tlog-proof)", re.ASCII)


class Cites(Protocol):
    """What a finding may rest on beside the specification: a clause of a profile, or a notice."""

    def text_zh(self) -> str:
        """In Chinese."""

    def text_en(self) -> str:
        """In English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A believed notice; `day` is its entry's. `void`: it holds its number and does nothing."""

    issuer: int
    number: int
    act_number: int
    day: int
    body: NoticeBody
    void: bool = False

    def text_zh(self) -> str:
        """See Cites."""
        return f"第 {self.number} 号公告：{self.body.citation}"

    def text_en(self) -> str:
        """See Cites."""
        return f"notice {self.number}: {self.body.citation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A standing notice of type 1, as the rule of `formats.rules_extension`."""

    notice: Notice
    rule: BlanketExtension


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerNotices:
    """What stands of one issuer's notices on the judging day."""

    extensions: tuple[Extension, ...] = ()
    forms: Mapping[int, tuple[tuple[Notice, RetiredFormBody], ...]] = field(default_factory=dict)  # the latest first

    def form(self, *, kind: int, jurisdiction: int, template: int) -> tuple[Notice, RetiredFormBody] | None:
        """The latest notice about the form of such a copy."""
        for notice, body in self.forms.get(template, ()):
            if kind in body.kinds and not {jurisdiction, EVERYWHERE}.isdisjoint(body.jurisdictions):
                return notice, body
        return None


NO_NOTICES: Final = IssuerNotices()


def open_notices(
    trust: TrustData, heads: Mapping[str, HeadKey], quorum: Quorum | None, *, day: int
) -> tuple[dict[int, IssuerNotices], dict[int, str]]:
    """What stands on `day`, by issuer; and of which issuers a notice was refused, with the stable code of why.

    Raises TrustUnusableError for a name under `notices/` that is none, and for a table of forms: it would retire
    nothing.
    """
    standing: dict[int, IssuerNotices] = {}
    refused: dict[int, str] = {}
    for issuer, numbers in _numbers(trust.blobs).items():
        try:
            standing[issuer] = standing_on(_believe(trust, issuer, numbers, heads, quorum), day)
        except (LogError, KeysError, VerifierError) as error:
            refused[issuer] = error.code
    return standing, refused


def standing_on(notices: Iterable[Notice], day: int) -> IssuerNotices:
    """What of these notices holds on a day: all but void ones that no standing retraction has ended by then."""
    by_number = {notice.number: notice for notice in notices if not notice.void}
    extensions: list[Extension] = []
    forms: dict[int, tuple[tuple[Notice, RetiredFormBody], ...]] = {}
    for number in standing_numbers({number: notice.body for number, notice in by_number.items()}, day):
        notice = by_number[number]
        if isinstance(notice.body, ExtensionBody):
            extensions.append(Extension(notice=notice, rule=extension_of(notice.body)))
        elif isinstance(notice.body, RetiredFormBody):
            forms[notice.body.template] = ((notice, notice.body), *forms.get(notice.body.template, ()))
    return IssuerNotices(extensions=tuple(extensions), forms=forms)


def _numbers(blobs: Mapping[str, bytes]) -> dict[int, set[int]]:
    """Issuer → numbers of its notices, whichever of their two blobs is there."""
    if FORMER_FORMS in blobs:
        raise TrustUnusableError("forms.json is no longer read: a form is retired by a notice")
    numbers: dict[int, set[int]] = {}
    for name in blobs:
        if not name.startswith(NOTICE_BLOBS):
            continue
        match = _NAME.fullmatch(name)
        if match is None:
            raise TrustUnusableError("a blob under notices/ is named neither ISSUER-NUMBER.cbor nor .tlog-proof")
        numbers.setdefault(int(match[1]), set()).add(int(match[2]))
    return numbers


def _believe(
    trust: TrustData, issuer: int, numbers: set[int], heads: Mapping[str, HeadKey], quorum: Quorum | None
) -> list[Notice]:
    """All notices of an issuer by number, or an error that says which link of the chain is missing."""
    if len(numbers) > MAX_NOTICES or numbers != set(range(FIRST_NUMBER, FIRST_NUMBER + len(numbers))):
        raise NoticeRefusedError(f"the numbers are not 1 to at most {MAX_NOTICES} without a gap")
    keys = TrustActKeys(trust)
    found = [_notice(trust, keys, issuer, number, heads, quorum) for number in sorted(numbers)]
    acts = [notice.act_number for notice in found]
    if acts != sorted(set(acts)):
        raise NoticeRefusedError("the act numbers do not rise with the notices' numbers")
    return found


def _notice(
    trust: TrustData,
    keys: TrustActKeys,
    issuer: int,
    number: int,
    heads: Mapping[str, HeadKey],
    quorum: Quorum | None,
) -> Notice:
    data = trust.blobs.get(f"{NOTICE_BLOBS}{issuer}-{number}.cbor")
    proof = trust.blobs.get(f"{NOTICE_BLOBS}{issuer}-{number}.tlog-proof")
    if data is None or proof is None:
        raise NoticeRefusedError("no entry, or no full receipt of it")
    entry = parse_entry(data)
    if not isinstance(entry, NoticeEntry) or entry.issuer != issuer:
        raise NoticeRefusedError("the entry is no notice of this issuer")
    proved = included(proof, leaf_hash(data), heads)
    _check_head(proved, entry.day)
    _check_rules(keys, proved, entry, number)
    body = parse_body(entry.notice, entry.body)
    _check_scope(trust, entry, body)
    if quorum is not None and not witnessed(proved, quorum):
        raise QuorumNotMetError("too few of the demanded witnesses cosigned the head that holds the notice")
    void = is_void(entry, trust.keys, origin=proved.head.origin.number, index=proved.index)
    return Notice(issuer=issuer, number=number, act_number=entry.act_number, day=entry.day, body=body, void=void)


def _check_head(proved: Proved, day: int) -> None:
    """The round's own day may differ from the entry's, as an act's may (docs/spec/log.md, Rounds)."""
    head = proved.head
    near = range(day - DAY_TOLERANCE, day + DAY_TOLERANCE + 1)
    if not head.sound or not any(head.key.allows_day(each) for each in near):
        raise NoticeRefusedError("the log that holds the entry is compromised, or not one of that day")


def _check_rules(keys: TrustActKeys, proved: Proved, entry: NoticeEntry, number: int) -> None:
    """Whether the rule book takes the entry as that notice at its place; raises the first rule it breaks.

    That a key of its is compromised there is no reason to refuse: else whoever stole a key could, by one notice under
    it, make verifiers refuse the issuer for good. It is void (`is_void`).
    """
    origin = proved.head.origin
    book = Book(origin=origin.number, origin_name=origin.name, keys=keys)
    issuer = book.issuer(entry.issuer)
    issuer.next_act, issuer.next_notice = entry.act_number, number
    for fault in book.apply(entry, proved.index, _NO_ROOTS.get):
        if not isinstance(fault, KeyCompromisedError):
            raise fault


def _check_scope(trust: TrustData, entry: NoticeEntry, body: NoticeBody) -> None:
    """Every signer's key must have all the kinds and jurisdictions that the notice speaks of."""
    if isinstance(body, RetractionBody):
        return
    for kid in kids_of(entry):
        key = trust.key(kid)
        assert key is not None  # the rule book knew it
        if not (set(body.kinds) <= key.kinds and set(body.jurisdictions) <= key.jurisdictions):
            raise NoticeRefusedError("the notice speaks of kinds or jurisdictions outside its key's scope")


__all__ = [
    *("NOTICE_BLOBS", "NO_NOTICES"),
    *("Cites", "Extension", "IssuerNotices", "Notice", "open_notices", "standing_on"),
]
