"""Applications that other makers signed (pyHanko): taken where the signature is the last thing; odd CMS refused."""

import hashlib
import io
import zlib
from typing import Any

import pytest
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from holderpress import SIGNED_AT, Holder, HolderCa, lay_out, sign, signed_pdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

from mingzheng.formats.pdf.cmscheck import check_cms, check_holder_cms, hash_of
from mingzheng.formats.pdf.holdersign import (
    HolderSignature,
    HolderSignatureError,
    inflates_beyond,
    read_beside,
    read_inside,
)
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.keys.sealkey import SealAlg

CA = HolderCa()
DATA = b"what is signed"


def outside(holder: Holder, *, streams: bool, fields: int = 1, md: str = "sha256") -> bytes:
    """A page that pyHanko made and signed; `streams`: with streams of objects and of references."""
    writer: Any = PdfFileWriter(stream_xrefs=streams)
    content = writer.add_object(generic.StreamObject(stream_data=b"q Q"))
    writer.insert_page(PageObject(contents=content, media_box=(0, 0, 595, 842)))
    data = io.BytesIO()
    writer.write(data)
    signer = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(holder.certificate),
        signing_key=keys.PrivateKeyInfo.load(holder.private.private_bytes()),
        cert_registry=SimpleCertificateStore(),
        embed_roots=False,
    )
    for number in range(fields):
        data.seek(0)
        out = io.BytesIO()
        meta = signers.PdfSignatureMetadata(
            field_name=f"Holder{number}", subfilter=SigSeedSubFilter.PADES, md_algorithm=md
        )
        signers.sign_pdf(IncrementalPdfFileWriter(data), meta, signer=signer, output=out)
        data = out
    return data.getvalue()


def read(data: bytes) -> HolderSignature:
    return read_inside(data, check_pdf(data))


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("alg", [SealAlg.P256, SealAlg.RSA])
def test_what_another_program_signed_is_taken(alg: SealAlg, streams: bool) -> None:
    holder = CA.holder(alg=alg)
    data = outside(holder, streams=streams)
    assert read(data).outcome.certificate == holder.certificate
    for wrong in (data + b"\n", data[:-1], data.replace(b"595", b"596", 1)):
        with pytest.raises(HolderSignatureError):
            read(wrong)


def test_a_second_signature_of_another_program_is_one_too_many() -> None:
    with pytest.raises(HolderSignatureError, match="several"):
        read(outside(CA.holder(), streams=False, fields=2))


@pytest.mark.parametrize("streams", [False, True])
def test_longer_hashes_are_a_holders_and_no_seals(streams: bool) -> None:
    data = outside(CA.holder(alg=SealAlg.RSA), streams=streams, md="sha512")
    facts, _faults = check_pdf(data)
    assert [fact.faults for fact in facts] == [("seal.algorithm",)]
    assert read(data).outcome.faults == ()


@pytest.mark.parametrize("alg", list(SealAlg))
def test_the_statement_is_what_was_signed_and_nothing_else(alg: SealAlg) -> None:
    holder = CA.holder(alg=alg)
    first, second = (read_beside(DATA, sign(holder, DATA, signed_at=SIGNED_AT)) for _ in range(2))
    later = read_beside(DATA, sign(holder, DATA, signed_at=SIGNED_AT + 1))
    other = read_beside(DATA + b"x", sign(holder, DATA + b"x", signed_at=SIGNED_AT))
    assert first.outcome.statement == second.outcome.statement
    assert len({one.outcome.statement for one in (first, later, other)}) == 3


def test_a_chain_put_in_does_not_change_the_statement() -> None:
    holder = CA.holder()
    with_root = Holder(private=holder.private, certificate=holder.certificate, chain=(CA.root,))
    plain, chained = (read_beside(DATA, sign(one, DATA, signed_at=SIGNED_AT)) for one in (holder, with_root))
    assert chained.outcome.chain == (CA.root,)
    assert plain.outcome.statement == chained.outcome.statement


def test_a_seal_is_never_taken_from_an_sm2_key_in_cms() -> None:
    """What holders may use, seals may not: the check of seals stays as narrow as it was."""
    cms = sign(CA.holder(alg=SealAlg.SM2), DATA)
    assert check_holder_cms(cms, digest=lambda name: hash_of(name, DATA)).faults == ()
    assert check_cms(cms, digest=hash_of("sm3", DATA)).faults == ("seal.algorithm",)
    facts, _faults = check_pdf(signed_pdf(CA.holder(alg=SealAlg.SM2)))
    assert [fact.faults for fact in facts] == [("seal.algorithm",)]


@pytest.mark.parametrize("alg", list(SealAlg))
def test_every_flipped_bit_of_a_signature_beside_is_noticed(alg: SealAlg) -> None:
    cms = sign(CA.holder(alg=alg), DATA, signed_at=SIGNED_AT)
    good = read_beside(DATA, cms)
    for place in range(0, len(cms), 7):
        changed = cms[:place] + bytes([cms[place] ^ 1 << place % 8]) + cms[place + 1 :]
        try:
            found = read_beside(DATA, changed)
        except HolderSignatureError:
            continue
        assert found == good, place  # only another spelling of the same could be


def test_the_limit_of_unpacking_is_kept_to_the_byte() -> None:
    def stream(size: int) -> bytes:
        return b"1 0 obj\n<<>>\nstream\n" + zlib.compress(bytes(size)) + b"\nendstream\nendobj\n"

    assert not inflates_beyond(stream(1_000), 1_000)
    assert inflates_beyond(stream(1_001), 1_000)
    assert inflates_beyond(stream(600) + stream(401), 1_000)
    assert not inflates_beyond(b"stream\nnot deflated" * 999, 0)
    assert inflates_beyond(b"stream\nnot deflated" * 1_001, 1_000)
    assert not inflates_beyond(b"no streams", 0)


def test_a_page_without_a_signature_is_unsigned() -> None:
    with pytest.raises(HolderSignatureError, match="unsigned"):
        read(lay_out([b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [] /Count 0>>"]))
    assert hashlib.sha256(DATA).digest() == hash_of("sha256", DATA)
