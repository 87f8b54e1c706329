"""Sealed files, judged and made: ours beside pyHanko + pdfium + pyzbar, and beside a check by gmssl, round by round.

PDF: `ours` is the check of seals and contents plus reading our attachment, page not looked at; peers are pyHanko's
validation alone, the same with the page rendered at 200 dpi and read by pyzbar, and the SHA-256 of the file (what
nobody can avoid). OFD: package, XML, digests, seal and SM2 signature; the peer unzips, reads the references, and
checks digests and the outer SM2 signature with gmssl (less than ours does). Peer for OFD: MINGZHENG_PEERS_PYTHON
names an environment with gmssl. CPU time of each process; the credential's own signature is in bench_verify.
"""

import hashlib
import io
import json
import logging
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import benchmarks.ofdpeer as ofdpeer
from benchmarks.bench_pdf import Ours
from benchmarks.office import photo
from benchmarks.peer import Peer, peers_python
from benchmarks.rounds import Timed, rounds_of, table
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.compose import OfdMetadata, compose_ofd
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import SealDesign, SealPlacement, make_seal, seal_ofd
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.outside import judge_outside
from mingzheng.formats.pdf.seal import PdfSealing, seal_pdf
from mingzheng.formats.sealart import organisation_seal, seal_art_pdf, seal_art_png
from mingzheng.keys.certmake import CA_USAGE, SEAL_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import (
    MemorySealKey,
    SealAlg,
    SealPrivate,
    make_seal_key,
    parse_seal_private,
    sm2_seal_private,
)
from mingzheng.keys.x509 import parse_certificate

AT, DAY = 1_795_248_000, 86_400
OFD_PHOTO_BYTES = 216_000  # with the seal's picture twice and the font a package of some 370 KB
PLACES = (Rect(x_mm=140, y_mm=220, width_mm=42, height_mm=42), Rect(x_mm=100, y_mm=232, width_mm=22, height_mm=22))


def private(number: int, alg: SealAlg) -> SealPrivate:
    """A key that follows from its number."""
    if alg is SealAlg.SM2:
        return sm2_seal_private((0x5EA1 + number).to_bytes(32))
    key = ec.derive_private_key(0x5EA1 + number, ec.SECP256R1())
    return parse_seal_private(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=alg)


def spec(name: str, key: SealPrivate, serial: int, *, ca: bool = False) -> CertSpec:
    """A certificate of two years."""
    begin, end = AT - 300 * DAY, AT + 430 * DAY
    usage = CA_USAGE if ca else SEAL_USAGE
    return CertSpec(
        subject_cn=name,
        subject_o="bench",
        spki=key.spki,
        serial=serial,
        not_before=begin,
        not_after=end,
        ca=ca,
        key_usage=usage,
    )


def seal_key(number: int, alg: SealAlg) -> MemorySealKey:
    """A seal key under a root of the same kind."""
    above, key = private(0, alg), private(number, alg)
    root = make_certificate(spec("root", above, 1, ca=True), CertIssuer(key=above))
    issuer = CertIssuer(key=above, certificate=parse_certificate(root))
    return make_seal_key(
        key, certificate=make_certificate(spec(f"seal {number}", key, 1 + number), issuer), chain=(root,)
    )


class SealedPdf:
    """Our certificate with one or two seals, and everything a judge needs."""

    def __init__(self, page: bytes, seals: int) -> None:
        self.page, self.keys = page, [seal_key(number, SealAlg.P256) for number in range(1, seals + 1)]
        art = seal_art_pdf(organisation_seal("某省住房和城乡建设厅", number=None, fonts=load_fonts()))
        self.seals = [
            PdfSealing(key=key, field=f"Seal{at}", rect=place, art_pdf=art, art_png=None, reason="", alt=f"seal {at}")
            for at, (key, place) in enumerate(zip(self.keys, PLACES, strict=False), start=1)
        ]
        self.data = self.make()
        checked = check_pdf(self.data)
        assert len(checked[0]) == seals
        assert not checked[1]
        assert not any(seal.faults for seal in checked[0])

    def make(self) -> bytes:
        """Seal the page."""
        return seal_pdf(self.page, seals=self.seals, at=AT, timestamps=None)

    def ours(self) -> object:
        """Seals, contents, our attachment."""
        import pypdfium2

        checked = check_pdf(self.data)
        with pypdfium2.PdfDocument(self.data) as document:
            return checked, bytes(document.get_attachment(0).get_data())

    def seals_only(self) -> object:
        """Seals and contents."""
        return check_pdf(self.data)

    def outside(self) -> object:
        """The way files of other makers go: pyHanko under our rules."""
        return judge_outside(self.data)

    def digest(self) -> object:
        """What nobody can avoid."""
        return hashlib.sha256(self.data).digest()

    def pyhanko(self) -> object:
        """pyHanko's own validation, in a fresh context."""
        from asn1crypto import x509
        from pyhanko.pdf_utils.reader import PdfFileReader
        from pyhanko.sign.validation import validate_pdf_signature
        from pyhanko_certvalidator import ValidationContext

        root = x509.Certificate.load(self.keys[0].chain[0])
        context = ValidationContext(trust_roots=[root], allow_fetching=False)
        found = PdfFileReader(io.BytesIO(self.data)).embedded_signatures
        return [validate_pdf_signature(one, context).bottom_line for one in found]

    def peer(self) -> object:
        """pyHanko, the page at 200 dpi, pyzbar."""
        import pypdfium2
        from pyzbar.pyzbar import decode

        validated = self.pyhanko()
        with pypdfium2.PdfDocument(self.data) as document:
            picture = document[0].render(scale=200 / 72, grayscale=True).to_pil()
        return validated, decode(picture)


class SealedOfd:
    """The same certificate as OFD with one SM2 seal."""

    def __init__(self, drawn: Ours) -> None:
        key, maker = seal_key(1, SealAlg.SM2), seal_key(2, SealAlg.SM2)
        design = SealDesign(
            esid="S1",
            name="某省住房和城乡建设厅",
            kind=1,
            picture_type="png",
            picture=seal_art_png(organisation_seal("某省住房和城乡建设厅", number=None, fonts=load_fonts())),
            width_mm=42,
            height_mm=42,
            signers=(key.certificate,),
            created=AT - DAY,
            valid_from=AT - DAY,
            valid_until=AT + 300 * DAY,
        )
        metadata = OfdMetadata(
            doc_id="00112233445566778899aabbccddeeff",
            author="住房和城乡建设部",
            subject="使用件",
            creator="mingzheng",
            made_on=AT // DAY,
            valid_from=None,
            valid_until=None,
            fields=(),
            licence_id=None,
        )
        files = {"credential": drawn.token, "receipt": bytes(700)}
        plain = compose_ofd(drawn.page(0), fonts=drawn.fonts, attachments=files, metadata=metadata, seals=1)
        placement = SealPlacement(page=1, rect=PLACES[0])
        self.data = seal_ofd(plain, seal=make_seal(design, maker=maker), key=key, placements=[placement], at=AT)
        seals, faults = self.ours()
        assert not faults
        assert not any(seal.faults for seal in seals)

    def ours(self) -> Any:
        """Package, document, seals, coverage."""
        package = read_package(self.data, limits=OFD_LIMITS)
        return check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)


def compared(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, float]]:
    """All of them beside `ours`."""
    return table(rounds_of(contestants, rounds), "ours", [name for name in contestants if name != "ours"])


def measure(rounds: int) -> dict[str, object]:
    """Every table."""
    logging.disable(logging.CRITICAL)
    drawn = Ours()
    page = drawn.file(drawn.page(0))
    result: dict[str, object] = {"rounds": rounds, "python": platform.python_version(), "load": os.getloadavg()[0]}
    for seals in (1, 2):
        file = SealedPdf(page, seals)
        contestants = {"ours": file.ours, "ours_seals_only": file.seals_only, "sha256_of_the_file": file.digest}
        contestants |= {"pyhanko_under_our_rules": file.outside, "pyhanko_alone": file.pyhanko}
        try:
            import pyzbar.pyzbar  # noqa: F401

            contestants["pyhanko_pdfium_200_dpi_pyzbar"] = file.peer
        except ImportError as error:
            result["pyzbar"] = f"not installed: {error}"
        contestants["ours_sealing"] = file.make
        result[f"pdf_{seals}_seal"] = {
            "bytes": len(file.data),
            "table": compared({name: Timed(one) for name, one in contestants.items()}, rounds),
        }
    drawn.photo = photo(OFD_PHOTO_BYTES)
    ofd, python = SealedOfd(drawn), peers_python()
    facts: dict[str, object] = {"bytes": len(ofd.data)}
    facts["floor"] = compared(
        {"ours": Timed(ofd.ours), "unzip_parse_sm3": Timed(partial(ofdpeer.floor, ofd.data))}, rounds
    )
    if python:
        peer = Peer(python, "ofd_gmssl.py", ofdpeer.job(ofd.data))
        facts["peer"] = compared({"ours": Timed(ofd.ours), "gmssl": peer.ask}, min(rounds, 5))
        facts["gmssl"] = peer.versions
        peer.close()
    result["ofd_1_seal"] = facts
    return result


if __name__ == "__main__":
    print(json.dumps(measure(1 if "--smoke" in sys.argv[1:] else 20), ensure_ascii=False, indent=1))
