"""The collection of hostile PDFs through real workers, and its seals judged with their own certificates trusted.

First pass: every file as `verify DIR --jobs 2` reads it; none holds a credential of ours, so the verdict says that,
or says why the file was not read. Second pass, as generous as a pinned table can be: the page is taken for one of ours
that holds a genuine credential and shows what was signed, every certificate that a file brings is listed as the
required body's for all days, every other one as an authority, and the copy was issued before all of them.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FULL
from simulator import World

from mingzheng.formats.candidate import FileFacts
from mingzheng.formats.confine import POOL_LIMITS
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pool import Start
from mingzheng.formats.sniff import FileKind, sniff
from mingzheng.keys.errors import KeysError
from mingzheng.keys.sealtable import SealRecord, SealRule, SealTable
from mingzheng.keys.snapshot import save_store
from mingzheng.keys.x509 import Certificate, parse_certificate
from mingzheng.verifier.bulk import Bulk, Recipe, Upload
from mingzheng.verifier.checks import Subject
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.findings import Code, Severity
from mingzheng.verifier.pipeline import Met, judge
from mingzheng.verifier.report import Report
from mingzheng.verifier.sealcheck import check_seals

VECTORS = Path(__file__).resolve().parents[1] / "vectors/pdf"
FILES = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*.pdf"))
SLOW = () if FULL else tuple(name for name in FILES if name.startswith("dss/"))  # half a second each
UNHURRIED = replace(POOL_LIMITS, wall_seconds=300.0)  # processor time counts: the machine may be busy with others
# What was not read, and why; all others were, and hold no code of ours.
UNREAD = {
    "dss/encrypted.pdf": (Code.UNREADABLE, "file.encrypted"),
    "dss/malformed-pades.pdf": (Code.UNREADABLE, "file.unreadable"),
    "dss/pades-bes-no-certificates.pdf": (Code.UNREADABLE, "file.two_kinds"),
    "dss/pades-unsupported-signature-algorithm.pdf": (Code.UNREADABLE, "file.two_kinds"),
    "dss/pdf-double-signer-info.pdf": (Code.UNREADABLE, "file.two_kinds"),
    "dss/pkcs7_sha1.pdf": (Code.RESOURCE_LIMIT, "file.resource_limit"),
    "broken-objstream6.pdf": (Code.UNREADABLE, "file.unreadable"),
    "minimal-aes256-malformed-oe.pdf": (Code.UNREADABLE, "file.encrypted"),
}
# Whose seals hold once their makers are trusted; every other file is refused all the same.
HONEST = {"dss/pdf-with-eof-cr.pdf"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    world = World()
    world.publish_status()
    place = tmp_path_factory.mktemp("trust")
    save_store(place, world.trust_files())
    return Recipe(trust=place, now=world.now + 3600, at=None, policy="site", expect=Expectations())


def test_every_file_of_the_collection_gets_its_verdict_and_none_stops_the_run(recipe: Recipe) -> None:
    names = [name for name in FILES if name not in SLOW]
    uploads = [Upload(name=name, data=(VECTORS / name).read_bytes()) for name in names]
    with Bulk(recipe, recipe.build(), jobs=2, limits=UNHURRIED, start=Start.FORK) as bulk:
        rows = list(_timed(bulk.rows(uploads)))
    assert [row.file for row in rows] == names
    wanted = {name: UNREAD.get(name, (Code.NOT_OUR_FORMAT, "no_code")) for name in names}
    assert {row.file: (row.verdict, row.findings[0].evidence.get("reason")) for row in rows} == wanted


def _timed(rows: Iterator[Report]) -> Iterator[Report]:
    """Between two rows: a file or two. What a file itself takes, the test below measures (other load aside)."""
    begun = time.monotonic()
    for row in rows:
        assert time.monotonic() - begun < 6 * POOL_LIMITS.wall_seconds, row.file
        begun = time.monotonic()
        yield row


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", FILES if FULL else ["dss/pades-same-border-annotations.pdf"])
def test_a_worker_stays_below_a_gigabyte_and_15_seconds(recipe: Recipe, name: str) -> None:
    """Resident memory at its highest and processor time of a worker that has read this file only."""
    upload = Upload(name=name, data=(VECTORS / name).read_bytes())
    with Bulk(recipe, recipe.build(), jobs=1, limits=UNHURRIED, start=Start.FORK) as bulk:
        list(bulk.rows([upload]))
        if sniff(upload.data) is FileKind.UNKNOWN:  # no worker was asked
            assert name == "dss/malformed-pades.pdf"
            assert not bulk._pool._workers
            return
        (worker,) = bulk._pool._workers  # alive: it came to no limit
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < 1 << 20  # KiB
        stat = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") < POOL_LIMITS.wall_seconds


@pytest.fixture(scope="module")
def early() -> tuple[VerifyContext, Subject]:
    """A genuine copy, taken to have been issued before any of the files was sealed, and a clock behind them all."""
    world = World()
    issued = world.issue_one()
    context = world.context()
    subject = judge([Met(data=issued.token, prefix=None)], context).subject
    assert subject is not None
    claims = replace(subject.claims, copy_issued_on=0)
    return replace(context, now=1 << 32), replace(subject, credential=replace(subject.credential, claims=claims))


def trusting(facts: FileFacts, subject: Subject) -> SealTable:
    """A table in which all that the file brings is trusted and each of its signers must seal, in this order."""
    signers = [found for seal in facts.seals for found in _read(seal.certificate)]
    others = [found for seal in facts.seals for data in seal.chain for found in _read(data)]
    records = tuple(
        SealRecord(
            issuer=subject.key.issuer,
            body=number,
            form="pdf",
            certificate=signer,
            valid_from=0,
            valid_until=40_000,
            revoked_on=None,
        )
        for number, signer in enumerate(dict.fromkeys(signers), start=1)
    )
    rule = SealRule(
        issuer=subject.key.issuer,
        kinds=frozenset({subject.claims.kind}),
        jurisdictions=frozenset({subject.claims.jurisdiction}),
        valid_from=0,
        valid_until=40_000,
        bodies=tuple(record.body for record in records) or (1,),
    )
    return SealTable(cas=tuple(dict.fromkeys(others)), makers=(), seals=records, rules=(rule,))


def _read(data: bytes) -> Iterator[Certificate]:
    try:
        yield parse_certificate(data)
    except KeysError:
        return


@pytest.mark.parametrize("name", FILES)
def test_trusting_its_certificates_does_not_make_a_hostile_file_good(
    early: tuple[VerifyContext, Subject], name: str
) -> None:
    context, subject = early
    seals, faults = check_pdf((VECTORS / name).read_bytes())
    facts = FileFacts(kind=FileKind.PDF, pages=1, attachments=(), full_receipts=(), seals=seals, faults=faults)
    trusted = replace(context, seals=trusting(facts, subject))
    blocking = {item.code for item in check_seals(trusted, subject, facts) if item.severity is Severity.BLOCKS}
    if name in HONEST:
        assert blocking == set()
        return
    assert blocking & {Code.FILE_CHANGED, Code.SEAL_INVALID, Code.SEAL_MISSING}
    if seals and trusted.seals.seals:  # not because the signer is a stranger
        untrusted = {"seal.untrusted", "seal.other_body"}
        found = list(check_seals(trusted, subject, facts))
        assert {item.evidence.get("reason") for item in found if item.severity is Severity.BLOCKS} - untrusted
