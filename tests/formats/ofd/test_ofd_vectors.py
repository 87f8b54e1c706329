"""Every OFD file of the collections with its expected outcome: one table. Files of ofdrw, attacks, bombs, hostile XML.

Stricter than ofdrw 2.4.0, which judges neither coverage nor certificates: a file it reports as good and we do not
stands in `STRICTER` with the reason.
"""

import time
from pathlib import Path

import pytest

from mingzheng.formats.candidate import FileFacts, SealForm
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.xmlread import parse_xml

VECTORS = Path(__file__).resolve().parents[2] / "vectors/ofd"

# file -> faults of each seal in the order of sealing, faults of the file with names (each name's last part)
SEALED: dict[str, tuple[list[tuple[str, ...]], set[tuple[str, str]]]] = {
    "files/v4_ofdrw_continue.ofd": ([()], set()),
    "files/v4_ofdrw_allprotected.ofd": ([()], set()),
    "files/v4_ofdrw_riding_seal.ofd": ([()], set()),
    "files/v4_tax_test_good.ofd": ([()], set()),
    "files/v4_two_seals_first_broken_by_second.ofd": (
        [("file.sealed_after_closing",), ()],
        {("file.sealed_after_closing", "Doc_0/Signs/Signatures.xml")},
    ),
    "files/v4_tax_test_document_edited.ofd": ([("file.digest",)], {("file.digest", "Doc_0/Document.xml")}),
    "files/v4_tax_test_999_multipage.ofd": ([("file.uncovered",)], {("file.uncovered", "OFD.xml")}),
    "files/v4_partial_coverage_templates.ofd": (
        [("file.uncovered",)],
        {("file.uncovered", f"Doc_0/TPLS/TPL_{number}/Content.xml") for number in (0, 1)},
    ),
    "files/digital_raw_sm2_deprecated.ofd": (
        [("seal.format",)],
        {("seal.format", "Doc_0/Signs/Sign_0/SignedValue.dat")},
    ),
    "files/dangling_signatures_ref.ofd": ([], {("file.signatures_missing", "")}),
    "files/unsigned_nonstd_paths.ofd": ([], {("file.comment", "")}),
    **{
        f"files/unsigned_{name}.ofd": ([], set())
        for name in (
            *("archive_ofda", "attachment", "gbk_dirnames", "helloworld", "integrity_gmt0099"),
            "nonstd_namespace",
        )
    },
    "crafted/extra_file.ofd": ([("file.uncovered",)], {("file.uncovered", "Doc_0/Extra.xml")}),
    "crafted/rootswap.ofd": (
        [("file.uncovered", "seal.mark")],
        {("file.uncovered", name) for name in (
            "OFD.xml", "Doc_1/Document.xml", "Doc_1/Pages/Page_0/Content.xml", "Doc_1/PublicRes.xml")},
    ),
    "crafted/stripped.ofd": ([("file.digest",)], {("file.digest", "Doc_0/Pages/Page_0/Content.xml")}),
    "attacks/v4signed__content_edited.ofd": ([("file.digest",)], {("file.digest", "Doc_0/Tpls/Tpl_0/Content.xml")}),
    "attacks/v4signed__signatures_pointer_removed.ofd": (
        [],
        {("file.unlisted_seal", f"Doc_0/Signs/{name}") for name in (
            "Signatures.xml", "Sign_0/Signature.xml", "Sign_0/SignedValue.dat")},
    ),
    "attacks/v4signed__reference_dropped_for_content.ofd": (
        [("file.signature_xml", "file.uncovered")],
        {
            ("file.signature_xml", "Doc_0/Signs/Sign_0/Signature.xml"),
            ("file.uncovered", "Doc_0/Tpls/Tpl_0/Content.xml"),
            ("file.uncovered", "Doc_0/Pages/Page_0/Content.xml"),
        },
    ),
    "attacks/v4signed__signed_value_bitflip.ofd": ([("seal.signature",)], set()),
    "attacks/v4signed__checkmethod_downgraded_md5.ofd": ([("seal.digest_method",)], set()),
}  # fmt: skip

REFUSED = {
    "crafted/dup_evil_first.ofd": "ofd.zip.duplicate",
    "crafted/dup_evil_last.ofd": "ofd.zip.duplicate",
    "attacks/v4signed__billion_laughs_document_xml.ofd": "ofd.xml.doctype",
    "attacks/v4signed__encrypted_flag_set.ofd": "ofd.zip.encrypted",
    "attacks/v4signed__xml_deep_nesting.ofd": "ofd.zip.ratio",
    "attacks/v4signed__zip_absolute_path.ofd": "ofd.zip.path",
    "attacks/v4signed__zip_case_duplicate.ofd": "ofd.zip.duplicate",
    "attacks/v4signed__zip_comment_trailer.ofd": "ofd.zip.outside",
    "attacks/v4signed__zip_dot_segment_alias.ofd": "ofd.zip.path",
    "attacks/v4signed__zip_duplicate_annotation_overlay.ofd": "ofd.zip.duplicate",
    "attacks/v4signed__zip_duplicate_content_first_evil.ofd": "ofd.zip.duplicate",
    "zip/bomb_256MiB_flat.ofd": "ofd.zip.size",
    "zip/bomb_nested_60x64MiB.ofd": "ofd.zip.ratio",
    "zip/overlap_400x8MiB.ofd": "ofd.zip.overlap",
}

HOSTILE_XML = {
    "billion_laughs.xml": "ofd.xml.doctype",
    "dup_attr.xml": "ofd.xml.malformed",
    "nul_byte.xml": "ofd.xml.malformed",
    "utf7.xml": "ofd.xml.encoding",
    "xinclude.xml": "ofd.xml.instruction",
    "xxe_file.xml": "ofd.xml.doctype",
    "xxe_param.xml": "ofd.xml.doctype",
}

STRICTER = {  # ofdrw: integrity holds; here: a fault
    "files/v4_tax_test_999_multipage.ofd": "OFD.xml is not covered: its DocRoot can be moved (crafted/rootswap)",
    "files/v4_partial_coverage_templates.ofd": "the template pages are not covered",
    "crafted/extra_file.ofd": "a file that no seal covers",
    "crafted/rootswap.ofd": "another document behind the sealed one",
    "attacks/v4signed__checkmethod_downgraded_md5.ofd": "the digest method is not one of the accepted ones",
}


def facts_of(data: bytes) -> FileFacts:
    return extract(data, limits=LIMITS_DEFAULT).facts


def test_the_table_lists_every_file() -> None:
    there = {str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*.ofd")}
    assert there == SEALED.keys() | REFUSED.keys()
    assert {path.name for path in VECTORS.glob("xml/*")} == HOSTILE_XML.keys()
    assert {name for name in STRICTER if any(SEALED[name][0])} == STRICTER.keys()


@pytest.mark.parametrize("name", SEALED)
def test_seals_and_coverage_are_as_listed(name: str) -> None:
    seals, faults = SEALED[name]
    facts = facts_of((VECTORS / name).read_bytes())
    assert [seal.faults for seal in facts.seals] == seals
    assert set(facts.faults) == faults


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_packages_are_refused_each_with_its_code_and_at_once(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    began = time.process_time()
    with pytest.raises(FormatError) as caught:
        read_ofd(read_package(data, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert caught.value.code == REFUSED[name]
    with pytest.raises(FormatError):
        extract(data, limits=LIMITS_DEFAULT)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", HOSTILE_XML)
def test_hostile_xml_is_refused_each_with_its_code(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_xml((VECTORS / "xml" / name).read_bytes(), limits=OFD_LIMITS)
    assert caught.value.code == HOSTILE_XML[name]


def test_facts_of_a_sealed_file() -> None:
    (seal,) = facts_of((VECTORS / "files/v4_ofdrw_continue.ofd").read_bytes()).seals
    assert (seal.form, seal.place, seal.timestamped) == (SealForm.SES, "Doc_0/Signs/Sign_0", False)
    assert seal.signed_at == 1785809289
    assert seal.details is not None
    assert (seal.details.version, seal.details.name) == (4, "OFD R&W 测试用印章")
    (mark,) = seal.marks
    assert (mark.page, mark.rect.x_mm, mark.rect.width_mm) == (1, 50, 40)


def test_a_riding_seal_shows_a_slice_on_every_page() -> None:
    (seal,) = facts_of((VECTORS / "files/v4_ofdrw_riding_seal.ofd").read_bytes()).seals
    assert [mark.page for mark in seal.marks] == [1, 2, 3, 4, 5]
    assert all(mark.rect.right_mm == 210 for mark in seal.marks)


@pytest.mark.parametrize("name", [name for name in SEALED if SEALED[name][0]])
def test_no_truncated_file_is_accepted(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    for end in range(0, len(data), len(data) // 12):
        with pytest.raises(FormatError):
            read_package(data[:end], limits=OFD_LIMITS)


def test_other_documents_of_the_world_are_read() -> None:
    """Names and links as other makers write them: capitals, GBK, no namespace of 2016, relative lists."""
    for name in ("unsigned_nonstd_namespace", "unsigned_nonstd_paths", "unsigned_gbk_dirnames", "v4_tax_test_good"):
        package = read_package((VECTORS / f"files/{name}.ofd").read_bytes(), limits=OFD_LIMITS)
        file = read_ofd(package, limits=OFD_LIMITS)
        assert file.pages
        assert not file.missing
        check_ofd(package, file, limits=OFD_LIMITS)
