"""Receipts collected in the field against the tiles, and evidence that third parties check without the log."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logworld import (
    CHECKPOINT,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    ORIGIN_KEYS,
    RECEIPT,
    LogWorld,
    issue,
    rounded,
    signer,
    trust,
    write_log,
)

from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, image_digest
from mingzheng.formats.credential import attach_receipt, parse_credential, sign_credential
from mingzheng.keys.alg import Alg
from mingzheng.log import collected as collected_module
from mingzheng.log.block import Block
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.collected import Found, ReceiptCheck
from mingzheng.log.entry import encode_entry, issue_entry
from mingzheng.log.evidence import (
    EvidenceError,
    HistoryChanged,
    ReceiptAgainstCheckpoint,
    SplitView,
    check_evidence,
    format_evidence,
    parse_evidence,
)
from mingzheng.log.hashing import Hash, leaf_hash
from mingzheng.log.monitor import AuditPlan, AuditReport, audit
from mingzheng.log.receipt import sign_compact_receipt


def _claims(serial: int) -> Claims:
    return Claims(
        name="张三",
        sex=Sex.MALE,
        birth=DAY - 14_000,
        kind=1,
        jurisdiction=0,
        registration_no="京1110000000001",
        specialties=(Specialty(code=1, first_day=DAY - 100, last_day=DAY + 100),),
        certificate_issued_on=DAY - 100,
        employer="某工程有限公司",
        registered_until=DAY + 100,
        copy=Copy.USAGE,
        purpose="投标",
        issuing_body=1,
        sealing_body=1,
        serial=serial,
        salt=bytes(16),
        image_digest=image_digest(None, None),
        template=1,
        copy_issued_on=DAY,
        usage_until=DAY + 90,
    )


def _credential(serial: int) -> tuple[bytes, bytes]:
    """A credential and its log entry."""
    data = sign_credential(_claims(serial), CREDENTIAL)
    unverified = parse_credential(data)
    entry = issue_entry(_claims(serial), identity=unverified.identity, kid=unverified.kid, issuer=1)
    return data, encode_entry(entry)


def _forged_receipt(entries: list[bytes], index: int) -> bytes:
    """What a dishonest operator signs: a receipt at `index` over the block of these entries."""
    start = index // 2 * 2
    sibling = leaf_hash(entries[index ^ 1])
    block = Block(start=start, end=start + 2)
    return sign_compact_receipt(
        RECEIPT, origin=7, block=block, index=index, leaf=leaf_hash(entries[index]), hashes=[sibling]
    )


def _audit(public: Path, receipts: Path, state: Path | None = None) -> AuditReport:
    return audit(
        AuditPlan(
            fetcher=DirectoryFetcher(public), keys=ORIGIN_KEYS, trust=trust(), state_file=state, receipts_dir=receipts
        )
    )


@pytest.fixture
def receipts(tmp_path: Path) -> Path:
    made = tmp_path / "receipts"
    made.mkdir()
    return made


def test_honest_receipts_of_every_form_agree(world: LogWorld, receipts: Path) -> None:
    log = world.create()
    data, entry = _credential(3)
    (index,) = world.submit(log, entry)
    world.submit(log, issue(4), issue(5))
    (receipts / "a.cbor").write_bytes(log.compact_receipt(index))
    (receipts / "b.cbor").write_bytes(attach_receipt(data, log.compact_receipt(index)))
    (receipts / "c.tlog-proof").write_bytes(log.full_receipt(index))
    (receipts / "folder").mkdir()
    report = _audit(world.public, receipts)
    assert report.alarms == ()
    assert report.receipts_agreed == 3


def test_a_receipt_for_an_entry_that_is_not_there_is_a_fork_proof(tmp_path: Path, receipts: Path) -> None:
    """The operator showed the holder one log and publishes another."""
    data, entry = _credential(3)
    shown = rounded([issue(1), entry])
    write_log(tmp_path / "log", rounded([issue(1), issue(2)]))
    token = attach_receipt(data, _forged_receipt(shown, 1))
    (receipts / "holder.cbor").write_bytes(token)
    report = _audit(tmp_path / "log", receipts, tmp_path / "state.json")
    assert [(alarm.code, alarm.index) for alarm in report.alarms] == [("audit.receipt_fork", 1)]
    proof = Path(report.evidence_files[0]).read_bytes()
    keys = {"vkey": IDENTITY.vkey(), "origin": NAME, "number": 7, "block_height": 4}
    assert check_evidence(parse_evidence(proof), receipt_key=RECEIPT.public_key, **keys) == "receipt_against_checkpoint"  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match="needed"):
        check_evidence(parse_evidence(proof), **keys)  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match="of origin 7"):  # a receipt key may serve two logs
        check_evidence(parse_evidence(proof), receipt_key=RECEIPT.public_key, **{**keys, "number": 8})  # type: ignore[arg-type]
    with pytest.raises(EvidenceError):
        other = signer("other", Alg.EDDSA).public_key
        check_evidence(parse_evidence(proof), receipt_key=other, **keys)  # type: ignore[arg-type]


def _check(world: LogWorld, data: bytes, *, keys: bool = True, trusted: bool = True) -> list[Found]:
    reader = LogReader(DirectoryFetcher(world.public), IDENTITY.vkey())
    origin = ORIGIN_KEYS if keys else replace(ORIGIN_KEYS, receipt_key=None)
    return list(ReceiptCheck(reader, origin, trust() if trusted else None).check("file", data))


def _codes(found: list[Found]) -> list[str]:
    return [item.alarm.code for item in found]


def test_receipts_that_show_nothing_are_named(world: LogWorld) -> None:
    log = world.create()
    data, entry = _credential(3)
    world.submit(log, entry, *(issue(serial) for serial in range(10, 20)))
    good = log.compact_receipt(0)
    other_data, other_entry = _credential(4)
    beyond = _forged_receipt([b""] * 40 + [entry, issue(9)], 40)
    assert _codes(_check(world, good)) == []
    assert _codes(_check(world, data)) == ["audit.receipt_absent"]
    assert _codes(_check(world, b"")) == ["audit.receipt_unreadable"]
    assert _codes(_check(world, bytes(70_000))) == ["audit.receipt_unreadable"]
    assert _codes(_check(world, good, keys=False)) == ["audit.receipt_unchecked"]
    assert _codes(_check(world, attach_receipt(other_data, good))) == ["audit.receipt_invalid"]
    assert _codes(_check(world, beyond)) == ["audit.receipt_beyond_head"]
    assert _codes(_check(world, attach_receipt(data, beyond))) == ["audit.receipt_beyond_head"]
    elsewhere = _forged_receipt([issue(50), other_entry], 0)
    assert _codes(_check(world, elsewhere)) == ["audit.receipt_unproven"]
    assert _codes(
        _check(world, attach_receipt(other_data, _forged_receipt([other_entry, entry], 0)), trusted=False)
    ) == ["audit.receipt_unproven"]
    foreign = sign_compact_receipt(
        RECEIPT, origin=8, block=Block(start=0, end=2), index=0, leaf=leaf_hash(entry), hashes=[leaf_hash(b"")]
    )
    assert _codes(_check(world, foreign)) == []


def test_a_wide_block_of_a_small_origin_is_invalid(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, *(issue(serial) for serial in range(40)))
    hashes = [log.reader().node(level, 1) for level in range(5)]
    wide = sign_compact_receipt(
        RECEIPT, origin=7, block=Block(start=0, end=32), index=0, leaf=leaf_hash(issue(0)), hashes=hashes
    )
    assert _codes(_check(world, wide)) == ["audit.receipt_invalid"]


def test_tlog_proofs_are_checked_by_head_and_path(world: LogWorld, tmp_path: Path) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1))
    proof = log.full_receipt(0)
    world.submit(log, issue(2))
    assert _codes(_check(world, proof)) == []
    assert _codes(_check(world, proof.replace(b"index 0", b"index 1"))) == ["audit.receipt_invalid"]
    assert _codes(_check(world, proof.replace(b"index 0", b"index 99"))) == ["audit.receipt_invalid"]
    assert _codes(_check(world, proof[:-5])) == ["audit.receipt_unreadable"]
    other = LogWorld(root=tmp_path / "other")
    with other.create() as fork:
        other.submit(fork, issue(9), issue(8))
        assert _codes(_check(world, fork.full_receipt(0))) == ["audit.history_changed"]
        other.submit(fork, issue(7))
        assert _codes(_check(world, fork.full_receipt(0))) == ["audit.split_view"]
        other.submit(fork, issue(6))
        assert _codes(_check(world, fork.full_receipt(0))) == ["audit.rollback"]


def test_the_number_of_files_is_capped(world: LogWorld, receipts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collected_module, "MAX_FILES", 2)
    log = world.create()
    world.submit(log, issue(0))
    for number in range(3):
        (receipts / f"{number}").write_bytes(log.compact_receipt(0))
    (receipts / "0").write_bytes(log.compact_receipt(0)[:-1])
    report = _audit(world.public, receipts)
    assert [alarm.code for alarm in report.alarms] == ["audit.receipt_unreadable", "audit.receipt_too_many"]


def test_receipts_of_other_origins_are_counted(world: LogWorld, receipts: Path) -> None:
    world.create()
    foreign = sign_compact_receipt(
        RECEIPT, origin=8, block=Block(start=0, end=2), index=0, leaf=leaf_hash(b"a"), hashes=[leaf_hash(b"b")]
    )
    (receipts / "x").write_bytes(foreign)
    assert _audit(world.public, receipts).notes == ("1 receipts are of other origins",)


# --- evidence by itself


def _note(size: int, root: bytes, *, key: str = "") -> bytes:
    head = Checkpoint(origin=NAME, size=size, root=Hash(root))
    return sign_checkpoint(head, signer=signer(key) if key else CHECKPOINT)


ONE, TWO = bytes([1]) * 32, bytes([2]) * 32

NOTHING: dict[str, Callable[[], SplitView | HistoryChanged | ReceiptAgainstCheckpoint]] = {
    "same head twice": lambda: SplitView(first=_note(4, ONE), second=_note(4, ONE)),
    "two sizes": lambda: SplitView(first=_note(4, ONE), second=_note(5, TWO)),
    "another key": lambda: SplitView(first=_note(4, ONE), second=_note(4, TWO, key="other")),
    "no note": lambda: SplitView(first=b"", second=_note(4, TWO)),
    "proof that proves nothing": lambda: HistoryChanged(
        older=_note(4, ONE), newer=_note(8, TWO), root=Hash(bytes(32)), hashes=()
    ),
    "honest growth": lambda: HistoryChanged(older=_note(4, ONE), newer=_note(4, ONE), root=Hash(ONE), hashes=()),
    "head of another origin": lambda: SplitView(
        first=_note(4, ONE),
        second=sign_checkpoint(Checkpoint(origin="other", size=4, root=Hash(TWO)), signer=CHECKPOINT),
    ),
    "no receipt": lambda: ReceiptAgainstCheckpoint(
        receipt=b"", leaf=Hash(ONE), note=_note(4, ONE), first_leaf=Hash(ONE), hashes=()
    ),
}


@pytest.mark.parametrize("case", NOTHING)
def test_what_proves_nothing_is_refused(case: str) -> None:
    evidence = NOTHING[case]()
    assert parse_evidence(format_evidence(evidence)) == evidence
    with pytest.raises(EvidenceError):
        check_evidence(evidence, vkey=IDENTITY.vkey(), origin=NAME, receipt_key=RECEIPT.public_key)


def test_an_honest_receipt_is_no_evidence(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1))
    honest = ReceiptAgainstCheckpoint(
        receipt=log.compact_receipt(1),
        leaf=leaf_hash(issue(1)),
        note=log.checkpoint(),
        first_leaf=leaf_hash(issue(0)),
        hashes=log.reader().inclusion(0).hashes,
    )
    keys = {"vkey": IDENTITY.vkey(), "origin": NAME, "number": 7, "receipt_key": RECEIPT.public_key}
    with pytest.raises(EvidenceError, match="agrees"):
        check_evidence(honest, **keys)  # type: ignore[arg-type]
    for change in ({"first_leaf": Hash(ONE)}, {"hashes": (Hash(ONE), *honest.hashes[1:])}):  # not in the signed tree
        with pytest.raises(EvidenceError, match="does not verify"):
            check_evidence(replace(honest, **change), **keys)  # type: ignore[arg-type]
    with pytest.raises(EvidenceError, match="beyond"):
        check_evidence(replace(honest, note=_note(1, ONE)), **keys)  # type: ignore[arg-type]


BAD_FILES = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"kind": "split_view"}',
    b'{"kind": "split_view", "first": "*", "second": ""}',
    b'{"kind": "history_changed", "older": "", "newer": "", "root": "AA=="}',
    json.dumps({"kind": "history_changed", "older": "", "newer": "", "root": base64.b64encode(ONE).decode()}).encode(),
    json.dumps(
        {
            "kind": "history_changed",
            "older": "",
            "newer": "",
            "root": base64.b64encode(ONE).decode(),
            "hashes": ["AA=="],
        }
    ).encode(),
    bytes(1 << 21),
]


@pytest.mark.parametrize("data", BAD_FILES)
def test_files_that_are_no_evidence_are_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_evidence(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_evidence_or_a_typed_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_evidence(data)
