"""Every hostile OFD, ZIP and XML file of the collection through the worker pool: a row each, in time, within memory.

Once with the trust data of an authority, once with the files' own signers and seal makers pinned as that authority's
as well as a table can. Trust in a certificate must not make a changed file good: the last tests give these files a
good credential and an equal page, so that nothing but their seals can tell.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from ofdforge import Zipped, deflated, zipped
from ofdworld import PAGE, Desk, files_of, open_desk, packed
from sealcases import Equal, table
from simulator import DAY, World, noon

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, Source
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.keys.errors import KeysError
from mingzheng.keys.sealtable import MakerRecord, SealRecord, SealRule, SealTable, format_seal_table
from mingzheng.keys.sm2backend import can_sign
from mingzheng.keys.x509 import Certificate, parse_certificate
from mingzheng.verifier.bulk import Bulk, Upload
from mingzheng.verifier.findings import PASSING, Code
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "ofd"
SECONDS, MEMORY = 15, 1 << 30
ISSUER, BODY = 1, 1

# file -> verdict and what it says; those of the collection's index that are to be rejected, all of crafted/
UNREADABLE, LIMIT, FOREIGN = Code.UNREADABLE, Code.RESOURCE_LIMIT, Code.NOT_OUR_FORMAT
KIND = "file.unsupported_kind"
HOSTILE: dict[str, tuple[Code, str]] = {
    "attacks/v4signed__billion_laughs_document_xml.ofd": (UNREADABLE, "ofd.xml.doctype"),
    "attacks/v4signed__encrypted_flag_set.ofd": (UNREADABLE, "ofd.zip.encrypted"),
    "attacks/v4signed__xml_deep_nesting.ofd": (LIMIT, "ofd.zip.ratio"),
    "attacks/v4signed__zip_absolute_path.ofd": (UNREADABLE, "ofd.zip.path"),
    "attacks/v4signed__zip_case_duplicate.ofd": (UNREADABLE, "ofd.zip.duplicate"),
    "attacks/v4signed__zip_comment_trailer.ofd": (UNREADABLE, "ofd.zip.outside"),
    "attacks/v4signed__zip_dot_segment_alias.ofd": (UNREADABLE, "ofd.zip.path"),
    "attacks/v4signed__zip_duplicate_annotation_overlay.ofd": (UNREADABLE, "ofd.zip.duplicate"),
    "attacks/v4signed__zip_duplicate_content_first_evil.ofd": (UNREADABLE, "ofd.zip.duplicate"),
    "crafted/dup_evil_first.ofd": (UNREADABLE, "ofd.zip.duplicate"),
    "crafted/dup_evil_last.ofd": (UNREADABLE, "ofd.zip.duplicate"),
    # no OFD to begin with: turned away by their first bytes, before anything is unpacked
    "zip/bomb_256MiB_flat.ofd": (UNREADABLE, KIND),
    "zip/bomb_nested_60x64MiB.ofd": (UNREADABLE, KIND),
    "zip/overlap_400x8MiB.ofd": (UNREADABLE, KIND),
    # the same kinds of bomb behind an OFD.xml, so that they are read as OFD
    "made/bomb_flat.ofd": (LIMIT, "ofd.zip.ratio"),
    "made/bomb_many.ofd": (LIMIT, "ofd.zip.size"),
    "made/bomb_overlap.ofd": (UNREADABLE, "ofd.zip.overlap"),
    # readable: no certificate of ours is in them, and their seals do not hold (below)
    **{f"attacks/v4signed__{name}.ofd": (FOREIGN, "qr.not_our_format") for name in (
        "checkmethod_downgraded_md5", "content_edited", "reference_dropped_for_content",
        "signatures_pointer_removed", "signed_value_bitflip",
    )},
    **{f"crafted/{name}.ofd": (FOREIGN, "no_code") for name in ("extra_file", "rootswap", "stripped")},
}  # fmt: skip
# what an XML file says when it is the page of a package; alone it is text without a code, or too long a text
XML = {
    "attr_10000.xml": "ofd.xml.attributes",
    "billion_laughs.xml": "ofd.xml.doctype",
    "dup_attr.xml": "",  # broken, not hostile: a page that is damaged
    "nul_byte.xml": "",
    "utf7.xml": "ofd.xml.encoding",
    "xinclude.xml": "ofd.xml.instruction",
    "xxe_file.xml": "ofd.xml.doctype",
    "xxe_param.xml": "ofd.xml.doctype",
}
LONG = "e77c260b102797ccdedfd07b40b3a47d80f9a7442983a1de778bc8e666838933"  # SHA-256 of attr_10000.xml of the index
BENIGN = ("v4_tax_test_good", "v4_ofdrw_allprotected", "digital_raw_sm2_deprecated")  # "parse-ok" in the index


def xml_file(name: str) -> bytes:
    """A hostile XML file; the longest is made here."""
    if name != "attr_10000.xml":
        return (VECTORS / "xml" / name).read_bytes()
    made = ("<a " + " ".join(f'k{at}="v"' for at in range(100_000)) + "/>").encode()
    assert hashlib.sha256(made).hexdigest() == LONG
    return made


def bomb(name: str) -> bytes:
    """A package that begins as an OFD does and unpacks to far more than it is."""
    root, big = Zipped(name=b"OFD.xml", body=b"<OFD/>"), deflated(bytes(1 << 23))
    match name:
        case "made/bomb_flat.ofd":
            return zipped([root, Zipped(name=b"a", body=bytes(1 << 23), packed=big)])
        case "made/bomb_many.ofd":
            each = deflated(os.urandom(1 << 10) * (1 << 6))
            return zipped([root, *(Zipped(name=b"%d" % at, packed=each, size=50 * len(each)) for at in range(1_500))])
        case _:
            one = Zipped(name=b"a", body=bytes(1 << 23), packed=big)
            return zipped([root, one, *(replace(one, name=b"%d" % at, packed=b"", offset=44) for at in range(400))])


@cache
def uploads() -> dict[str, bytes]:
    """Every file by name: hostile packages, hostile XML alone, and the honest ones of the index."""
    found = {name: bomb(name) if name.startswith("made/") else (VECTORS / name).read_bytes() for name in HOSTILE}
    found |= {f"xml/{name}": xml_file(name) for name in XML}
    return found | {f"files/{name}.ofd": (VECTORS / f"files/{name}.ofd").read_bytes() for name in BENIGN}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return open_desk(tmp_path_factory.mktemp("desk"))


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A table that takes every signer and maker met in the files for those of one body of issuer 1."""

    table: SealTable
    facts: dict[str, FileFacts]


@cache
def pinned() -> Pinned:
    signers: dict[bytes, Certificate] = {}
    makers: dict[bytes, Certificate] = {}
    facts = {}
    for name, data in uploads().items():
        try:
            facts[name] = extract(data, limits=LIMITS_DEFAULT).facts
        except FormatError:
            continue
        for seal in facts[name].seals:
            signers |= dict(certified(seal.certificate))
            if seal.details is not None:
                makers |= dict(certified(seal.details.maker_certificate))
    records = [
        SealRecord(issuer=ISSUER, body=BODY, form="ofd", certificate=item, valid_from=0,
                   valid_until=90_000, revoked_on=None) for item in signers.values()
    ]  # fmt: skip
    records_of_makers = [MakerRecord(certificate=item, revoked_on=None) for item in makers.values()]
    rule = SealRule(issuer=ISSUER, kinds=frozenset({1}), jurisdictions=frozenset({0}), valid_from=0,
                    valid_until=90_000, bodies=(BODY,))  # fmt: skip
    return Pinned(table=table(*records, *records_of_makers, rule), facts=facts)


def certified(der: bytes) -> Iterator[tuple[bytes, Certificate]]:
    """The certificate, good for all time, by its digest."""
    try:
        found = parse_certificate(der)
    except KeysError:
        return
    yield found.sha256, replace(found, not_before=0, not_after=1 << 33)


def test_the_tables_list_every_file_of_the_collection() -> None:
    there = {str(path.relative_to(VECTORS)) for place in ("attacks", "crafted", "zip")
             for path in (VECTORS / place).iterdir()}  # fmt: skip
    assert there == {name for name in HOSTILE if not name.startswith("made/")}
    assert {path.name for path in (VECTORS / "xml").iterdir()} == XML.keys() - {"attr_10000.xml"}


@pytest.mark.parametrize("trusted", [False, True], ids=["as it is", "their signers pinned"])
def test_each_file_has_its_row_and_the_run_goes_on(desk: Desk, trusted: bool) -> None:
    """As `verify DIR --jobs 2` does it, a good certificate before, between and behind."""
    context = replace(desk.context, seals=pinned().table) if trusted else desk.context
    files = [("good.ofd", desk.one.sealed)]
    for at, (name, data) in enumerate(uploads().items()):
        files.append((name, data))
        files += [("good.ofd", desk.one.sealed)] if at % 12 == 11 else []
    begun = time.monotonic()
    with Bulk(desk.recipe, context, jobs=2) as bulk:
        rows = list(bulk.rows(Upload(name=name, data=data) for name, data in files))
    assert time.monotonic() - begun < 8 * SECONDS  # all of them; each is held to its own time by the pool
    assert [row.file for row in rows] == [name for name, _ in files]
    for row in rows:
        if row.file == "good.ofd":
            assert row.verdict is (Code.SEAL_INVALID if trusted else Code.VALID)  # the office's seals are not pinned
        elif row.file in HOSTILE:
            assert (row.verdict, row.findings[0].evidence["reason"]) == HOSTILE[row.file], row.file
        elif row.file == "xml/attr_10000.xml":
            assert (row.verdict, row.findings[0].evidence["reason"]) == (LIMIT, "file.resource_limit")
        else:
            assert row.verdict in {FOREIGN, UNREADABLE}, row.file
            assert row.file.startswith("xml/") or row.verdict is FOREIGN


def today(seal: SealFacts) -> SealFacts:
    """The seal as if put on the world's day, within the time of its seal."""
    details = seal.details and replace(seal.details, valid_from=0, valid_until=1 << 33)
    return replace(seal, signed_at=noon(DAY), details=details)


def with_good_credential(name: str) -> Report:
    """The file's seals beside a good credential and an equal page, its signers and makers trusted."""
    world = World()
    world.blobs["seals.json"] = format_seal_table(table())
    issued = world.issue_one(jurisdiction=0)
    context = replace(world.context(), seals=pinned().table)
    place = Candidate(source=Source.QR, page=1, text=issued.text, data=None, where="page:1:qr")
    facts = pinned().facts[name]
    facts = replace(facts, seals=tuple(today(seal) for seal in facts.seals))
    extracted = Extracted(kind=facts.kind, candidates=(place,), facts=facts, problems=())
    (report,) = verify_extracted(extracted, context, name, pages=Equal())
    return report


SEALS_SAY = {
    "attacks/v4signed__checkmethod_downgraded_md5.ofd": Code.SEAL_INVALID,
    "attacks/v4signed__content_edited.ofd": Code.FILE_CHANGED,
    "attacks/v4signed__reference_dropped_for_content.ofd": Code.FILE_CHANGED,
    "attacks/v4signed__signatures_pointer_removed.ofd": Code.SEAL_MISSING,
    "attacks/v4signed__signed_value_bitflip.ofd": Code.SEAL_INVALID,
    "crafted/extra_file.ofd": Code.FILE_CHANGED,
    "crafted/rootswap.ofd": Code.SEAL_INVALID,
    "crafted/stripped.ofd": Code.FILE_CHANGED,
}


@pytest.mark.parametrize("name", SEALS_SAY)
def test_trust_in_its_signer_makes_no_hostile_file_good(name: str) -> None:
    report = with_good_credential(name)
    assert report.verdict is SEALS_SAY[name], report.findings


def test_the_table_lists_every_file_that_can_be_read() -> None:
    assert {name for name, (verdict, _) in HOSTILE.items() if verdict is FOREIGN} == SEALS_SAY.keys()


def test_the_trust_is_real_an_honest_file_passes() -> None:
    """The control: with the same trust the file that the attacks were made from is VALID."""
    assert with_good_credential("files/v4_tax_test_good.ofd").verdict is Code.VALID
    assert with_good_credential("files/v4_ofdrw_allprotected.ofd").verdict is Code.VALID


@pytest.mark.parametrize("place", ["OFD.xml", "Doc_0/Document.xml", PAGE, "Doc_0/Signs/Sign_0/Signature.xml",
                                   "Doc_0/Signs/Signatures.xml", "Doc_0/Attachs/Attachments.xml"])  # fmt: skip
@pytest.mark.parametrize("name", XML)
def test_hostile_xml_within_a_sealed_file(desk: Desk, name: str, place: str) -> None:
    files = files_of(desk.one.sealed) | {place: xml_file(name)}
    begun = time.process_time()
    report = desk.report(packed(files))
    assert time.process_time() - begun < SECONDS
    assert report.verdict not in PASSING
    if XML[name]:
        assert report.verdict in {UNREADABLE, LIMIT}
        assert report.findings[0].evidence["reason"] == XML[name]


_MEASURE = """
import json, resource, sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from mingzheng.verifier.bulk import Recipe, judge_file
from mingzheng.verifier.context import Expectations
recipe = Recipe(trust=Path({trust!r}), now={now}, at=None, policy="site", expect=Expectations())
context = recipe.build()
for name in sys.stdin.read().split("\\n"):
    begun = time.process_time()
    (row,) = judge_file(Path(name).read_bytes(), context, name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([name, row.verdict, time.process_time() - begun, peak]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory as Linux counts it")
def test_no_file_takes_long_or_much_memory(desk: Desk, tmp_path: Path) -> None:
    """In one process, which so bounds each; at full counts a process for each file."""
    names = []
    for name, data in uploads().items():
        path = tmp_path / name.replace("/", "_")
        path.write_bytes(data)
        names.append(str(path))
    tests = str(Path(__file__).resolve().parents[1])
    program = _MEASURE.format(tests=tests, trust=str(desk.recipe.trust), now=desk.recipe.now)
    lots = [[name] for name in names] if os.environ.get("MINGZHENG_FULL") == "1" else [names]
    for lot in lots:
        done = subprocess.run([sys.executable, "-c", program], input="\n".join(lot), capture_output=True, text=True,
                              check=True, timeout=600)  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == len(lot)
        for name, verdict, seconds, peak in lines:
            print(Path(name).name, verdict, f"{seconds:.2f} s", f"{peak >> 20} MiB")
            assert verdict not in PASSING
            assert seconds < SECONDS
            assert peak < MEMORY
