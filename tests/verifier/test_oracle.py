"""Against a second opinion: a plain model of the rules, hostile vectors, and random files."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import DAY, PREFIX, World, flip
from strategies import claims

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.claims import Claims, Copy, Specialty
from mingzheng.formats.credential import sign_credential
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.findings import PASSING, Code
from mingzheng.verifier.pipeline import verify_extracted, verify_text

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
KEY_FIRST, KEY_LAST = 20_454, 21_183  # 2026-01-01 … 2027-12-31, the simulator's keys

SPANS = st.sampled_from([-400, -30, -1, 0, 1, 30, 179, 180, 181, 400])
PERTURBED = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from([1, 1, 1, 7]),
        "jurisdiction": st.sampled_from([0, 0, 11]),
        "issuing_body": st.sampled_from([1, 2, 3]),
        "copy_issued_on": SPANS.map(lambda span: DAY + min(span, 0)),
        "certificate_issued_on": SPANS.map(lambda span: DAY + span),
        "registered_until": SPANS.map(lambda span: DAY + span),
        "usage_until": st.none() | SPANS.map(lambda span: DAY + span),
        "copy": st.sampled_from(Copy),
        "specialties": st.lists(st.tuples(SPANS, SPANS), min_size=0, max_size=3).map(
            lambda spans: tuple(
                Specialty(code=code, first_day=DAY + min(span), last_day=DAY + max(span))
                for code, span in enumerate(spans, start=1)
            )
        ),
        "purpose": st.sampled_from([None, "甲项目投标"]),
    },
)


def passes_on_site(copy: Claims, day: int) -> bool:
    """The rules for a logged, live first-class constructor's copy, in plain words."""
    in_scope = copy.kind == 1 and copy.jurisdiction == 0 and copy.issuing_body in {1, 2}
    in_time = KEY_FIRST <= copy.copy_issued_on <= KEY_LAST
    begun = day >= copy.copy_issued_on and day >= copy.certificate_issued_on
    registered = day <= copy.registered_until
    specialties = not copy.specialties or any(item.first_day <= day <= item.last_day for item in copy.specialties)
    usable = copy.copy is Copy.APPROVAL if copy.usage_until is None else day <= copy.usage_until
    return in_scope and in_time and begun and registered and specialties and usable


@settings(max_examples=40)
@given(PERTURBED, SPANS)
def test_site_verdict_agrees_with_a_plain_model(changes: dict[str, object], span: int) -> None:
    world = World()
    issued = world.issue_one(**changes)
    day = DAY + span
    verdict = verify_text(issued.text, world.context(at=day)).verdict
    assert (verdict in PASSING) is passes_on_site(issued.claims, day)


@settings(max_examples=30)
@given(claims(), st.integers(0, 40_000))
def test_any_claims_the_issuer_may_sign_give_a_report(copy: Claims, day: int) -> None:
    world = World()
    (issued,) = world.issue(copy)
    context = world.context(at=day, policy="audit")
    report = verify_text(issued.text, context)
    assert report.verdict not in PASSING  # the trust data's fingerprint is not confirmed
    assert verify_batch([issued.token], context) == (report.verdict,)


def _hostile() -> list[tuple[str, bytes]]:
    found = []
    for folder in ("cbor", "cose"):
        vectors = json.loads((VECTORS / folder / "vectors.json").read_text(encoding="utf-8"))
        items = vectors["vectors"] if isinstance(vectors, dict) else vectors
        found += [
            (f"{folder}/{item.get('name', number)}", bytes.fromhex(item["hex"])) for number, item in enumerate(items)
        ]
    return found


def test_no_hostile_vector_passes() -> None:
    world = World()
    context = world.context()
    hostile = _hostile()
    assert len(hostile) > 40
    for name, data in hostile:
        (verdict,) = verify_batch([data], context)
        assert verdict in {Code.FORGED, Code.UNKNOWN_ISSUER}, name
        if data[:1] == b"\xd2" and len(data) <= 1_411:
            assert verify_text(to_digits(data), context).verdict not in PASSING, name


WORLD = World()
GOOD, OTHER = WORLD.issue(WORLD.claims(), WORLD.claims(serial=1))
CONTEXT = WORLD.context()
FULL = WORLD.logs[1].full_receipt(GOOD.index)
STRANGER = to_digits(sign_credential(WORLD.claims(), WORLD.issuers[1].act_signer))
TEXTS = st.sampled_from([GOOD.text, OTHER.text, PREFIX + GOOD.text, STRANGER, "https://a.example/v", "", "1"])
BYTES = st.sampled_from([GOOD.token, GOOD.bare, OTHER.token, flip(GOOD.token, 30), b"", b"x"])
CANDIDATES = st.one_of(
    st.builds(
        lambda text, page, slot: Candidate(
            source=Source.QR, page=page, text=text, data=None, where=f"page:{page}:{slot}"
        ),
        TEXTS,
        st.integers(1, 2),
        st.sampled_from(["qr", "code:1", "code:2"]),
    ),
    st.builds(
        lambda data, number: Candidate(
            source=Source.ATTACHMENT, page=None, text=None, data=data, where=f"attachment:{number}"
        ),
        BYTES,
        st.integers(1, 2),
    ),
)


@given(
    st.lists(CANDIDATES, max_size=4),
    st.sampled_from([FileKind.PDF, FileKind.PNG]),
    st.lists(st.sampled_from([FULL, WORLD.logs[1].full_receipt(OTHER.index), b"x"]), max_size=2),
)
def test_any_file_gives_rows_and_only_whole_ones_pass(
    candidates: list[Candidate], kind: FileKind, receipts: list[bytes]
) -> None:
    facts = FileFacts(kind=kind, pages=2, attachments=(), full_receipts=tuple(receipts), seals=())
    file = Extracted(kind=kind, candidates=tuple(candidates), facts=facts, problems=())
    reports = verify_extracted(file, CONTEXT, "x")
    assert reports
    attached = {item.data for item in candidates if item.source is Source.ATTACHMENT}
    for report in reports:
        if report.verdict in PASSING:
            assert report.subject is not None
            identity = report.subject.credential.identity
            assert identity in {GOOD.identity, OTHER.identity}
            allowed = {GOOD.token, GOOD.bare} if identity == GOOD.identity else {OTHER.token}
            assert attached <= allowed


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_no_policy_passes_a_pdf_without_comparison_but_site(policy: str) -> None:
    facts = FileFacts(kind=FileKind.PDF, pages=1, attachments=(), full_receipts=(FULL,), seals=())
    attachment = Candidate(source=Source.ATTACHMENT, page=None, text=None, data=GOOD.token, where="attachment:1")
    file = Extracted(kind=FileKind.PDF, candidates=(attachment,), facts=facts, problems=())
    (report,) = verify_extracted(file, WORLD.trusting(policy=policy), "x")
    assert (report.verdict in PASSING) is (policy == "site")
