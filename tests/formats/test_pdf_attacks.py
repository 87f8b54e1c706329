"""Hostile PDFs of other people's collections: what each one shows, and why it is no certificate of ours.

"With its own roots trusted" is the rule of the table: nothing may hang on the signer being a stranger where the
file itself is manipulated. A file without a seal is unsealed (the required seals are missing), with file.structure if
it is not plainly built, so that readers may differ;
one with a good seal of its maker is only honest about a stranger. Whether that holds through the whole verifier, in
workers and with those certificates in the seal table, is tested in tests/verifier/test_pdf_attacks.py.
"""

from pathlib import Path

import pytest

from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.lean import check_lean
from mingzheng.keys.x509 import parse_certificate

VECTORS = Path(__file__).resolve().parents[1] / "vectors/pdf"

# file -> seals it shows, faults of seals and file, in alphabetical order
TABLE: dict[str, tuple[int, str]] = {
    # BER where DER is due, a form and scripts
    "dss/BadEncodedCMS.pdf": (0, "file.active file.annotation file.form file.structure"),
    "dss/DSS1376-rev_n.pdf": (0, "file.structure"),  # objects its tables do not announce
    "dss/certified-changes-permitted.pdf": (1, "file.active"),  # good signature, OpenAction in the catalogue
    "dss/encrypted.pdf": (0, "file.encrypted"),
    "dss/fieldmdp-exclude.pdf": (0, "file.active file.structure"),  # not signed
    "dss/hello_signed_INCSAVE_signed_EDITED.pdf": (0, "file.structure"),  # incremental saving, tables out of order
    "dss/malformed-pades.pdf": (0, "file.structure"),  # bytes before the head
    "dss/pades-bes-no-certificates.pdf": (1, "file.active seal.certificate"),
    "dss/pades-enveloping-empty-bytes-cms.pdf": (0, "file.structure"),  # hybrid tables
    "dss/pades-same-border-annotations.pdf": (0, "file.structure"),
    "dss/pades-signed-filled-form.pdf": (
        1,
        "file.active file.annotation file.form file.later_change file.structure",
    ),
    "dss/pades-unsupported-signature-algorithm.pdf": (1, "file.active seal.algorithm"),
    "dss/pades_opposite_infinite_loop.pdf": (0, "file.structure"),
    "dss/pdf-double-signer-info.pdf": (0, "file.structure"),
    "dss/pdf-removed-pages.pdf": (1, "file.active file.coverage seal.subfilter"),
    "dss/pdf-signed-corrupted.pdf": (0, "file.structure"),
    "dss/pdf-signed-out-of-byteRange.pdf": (1, "file.coverage"),
    "dss/pdf-structtreeroot-changes.pdf": (0, "file.structure"),
    "dss/pdf-with-eof-cr.pdf": (1, ""),  # honest: a good seal of a stranger
    "dss/pkcs7_sha1.pdf": (1, "file.structure seal.algorithm seal.subfilter"),
    "dss/retrieved-modified_after_signature.pdf": (0, "file.structure"),  # its signature was taken out
    "dss/siwa.pdf": (0, "file.structure"),  # signature wrapping
    "pyhanko/broken-objstream2.pdf": (0, "file.structure"),
    "pyhanko/broken-objstream4.pdf": (0, "file.structure"),
    "pyhanko/broken-objstream6.pdf": (0, "file.structure"),
    "pyhanko/coverage-anomalies_base.pdf": (1, "file.coverage seal.subfilter"),
    "pyhanko/coverage-anomalies_signature-gap-too-big.pdf": (1, "file.coverage seal.subfilter"),
    "pyhanko/coverage-anomalies_weird-byterange.pdf": (1, "file.coverage seal.subfilter"),
    "pyhanko/form-tree-circular-ref-input.pdf": (0, "file.annotation file.form"),
    "pyhanko/form-update-no-override-appearance-stream-ap-indirect-sneaky.pdf": (2, "seal.subfilter"),
    "pyhanko/form-update-original-ap-type-wrong.pdf": (2, "seal.subfilter"),
    "pyhanko/form-update-override-appearance-stream-ap-indirect.pdf": (2, "seal.subfilter"),
    "pyhanko/form-update-override-appearance-stream.pdf": (2, "seal.subfilter"),
    "pyhanko/malformed-encrypt-dict2.pdf": (0, "file.encrypted file.structure"),
    "pyhanko/minimal-aes256-malformed-oe.pdf": (0, "file.encrypted file.structure"),
    "pyhanko/minimal-badxref.pdf": (0, "file.structure"),
    "pyhanko/minimal-signed-twice-both-created.pdf": (2, "seal.certificate seal.subfilter"),
    "pyhanko/minimal-startxref-hopeless.pdf": (0, "file.structure"),
    "pyhanko/minimal-startxref-hopeless3.pdf": (0, "file.structure"),
    "pyhanko/minimal-with-nonexistent-refs.pdf": (0, ""),
    "pyhanko/pdf-sig-with-econtent.pdf": (1, "seal.cms seal.subfilter"),
    "pyhanko/scribble-decomp.pdf": (0, ""),
    "pyhanko/scribble.pdf": (0, "file.structure"),
    # unsealed pages that say one thing and show another: the page comparison's business
    "visible_vs_text/actualtext_spoof.pdf": (0, ""),
    "visible_vs_text/annot_overlay.pdf": (0, "file.annotation"),
    "visible_vs_text/clipped_away.pdf": (0, ""),
    "visible_vs_text/covered_by_box.pdf": (0, ""),
    "visible_vs_text/honest.pdf": (0, ""),
    "visible_vs_text/invisible_mode3_plus_image_text.pdf": (0, ""),
}


def _data(name: str) -> bytes:
    inside = VECTORS / name
    return (inside if inside.exists() else VECTORS / Path(name).name).read_bytes()


@pytest.mark.parametrize("name", TABLE)
def test_hostile_file_shows_what_the_table_says(name: str) -> None:
    data = _data(name)
    seals, faults = check_pdf(data)
    codes = {fault for seal in seals for fault in seal.faults} | {code for code, _ in faults}
    assert (len(seals), " ".join(sorted(codes))) == TABLE[name]
    if seals and not codes:
        assert parse_certificate(seals[0].certificate).subject_text


@pytest.mark.parametrize("name", TABLE)
def test_the_quick_way_never_says_good_of_one(name: str) -> None:
    checked = check_lean(_data(name))
    if checked is not None:
        seals, faults = checked
        assert not seals or faults or any(seal.faults for seal in seals)


def test_every_file_of_the_collection_is_in_the_table() -> None:
    assert {path.name for path in VECTORS.rglob("*.pdf")} == {Path(name).name for name in TABLE}
