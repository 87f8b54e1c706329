"""Issue one sealed PDF or OFD: QR code, page, file and seal; ours beside qrcode + reportlab + pyHanko, round by round.

Ours seals a PDF with P-256 and with RSA through `pdf.seal`, an OFD with SM2. pyHanko seals the same unsealed file with
the same RSA key in two ways: as its documentation shows (signer and PNG stamp loaded for every file), and with
everything kept and the size of the signature given. The peer's page: MINGZHENG_PEERS_PYTHON as in bench_pdf; without
it only the seals are compared. CPU seconds.
"""

import datetime
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pyhanko import stamp
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from benchmarks.bench_pdf import Ours, peer_of
from benchmarks.peer import peers_python
from benchmarks.rounds import table
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.compose import OfdMetadata, compose_ofd
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import SealDesign, SealPlacement, make_seal, seal_ofd
from mingzheng.formats.page import PageSpec, SealSlot, seal_slots, without_slots
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.seal import PdfSealing, seal_pdf
from mingzheng.formats.sealart import organisation_seal, seal_art_pdf, seal_art_png
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.custody import generate_seal_key
from mingzheng.keys.sealkey import MemorySealKey, SealAlg, make_seal_key

AT = int(datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC).timestamp())


def seal_key(alg: SealAlg) -> tuple[MemorySealKey, bytes]:
    """A fresh key with a self-signed certificate, and its PKCS #8."""
    private = generate_seal_key(alg)
    spec = CertSpec(
        subject_cn="某部",
        subject_o="某部",
        spki=private.spki,
        serial=1,
        not_before=AT - 86_400,
        not_after=AT + 86_400_000,
    )
    certificate = make_certificate(spec, CertIssuer(key=private))
    return make_seal_key(private, certificate=certificate), private.private_bytes()


class PyHanko:
    """The usual way to seal."""

    def __init__(self, key: MemorySealKey, pkcs8: bytes, png: bytes, folder: Path) -> None:
        self.png, self.folder = png, folder
        (folder / "seal.key").write_bytes(pkcs8)
        (folder / "seal.cer").write_bytes(key.certificate)
        self.signer = self.load()
        self.style = self.stamp()

    def load(self) -> signers.SimpleSigner:
        """Key and certificate from their files."""
        signer = signers.SimpleSigner.load(str(self.folder / "seal.key"), str(self.folder / "seal.cer"))
        assert signer is not None
        return signer

    def stamp(self) -> stamp.StaticStampStyle:
        """The seal's picture."""
        from PIL import Image

        picture = PdfImage(Image.open(io.BytesIO(self.png)))
        return stamp.StaticStampStyle(background=picture, background_opacity=1, border_width=0)

    def seal(self, data: bytes, box: tuple[int, int, int, int], *, kept: bool) -> bytes:
        """One certifying PAdES signature."""
        signer, style = (self.signer, self.style) if kept else (self.load(), self.stamp())
        metadata = signers.PdfSignatureMetadata(
            field_name="Seal1",
            subfilter=fields.SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=fields.MDPPerm.NO_CHANGES,
            md_algorithm="sha256",
        )
        maker = signers.PdfSigner(
            metadata, signer=signer, stamp_style=style, new_field_spec=fields.SigFieldSpec("Seal1", box=box)
        )
        out = io.BytesIO()
        size = 8192 if kept else None
        maker.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(data)), output=out, bytes_reserved=size)
        return out.getvalue()


def timed(work: Callable[[], bytes], times: list[float]) -> bytes:
    """Run it and note its CPU seconds."""
    start = time.process_time()
    result = work()
    times.append(time.process_time() - start)
    return result


def ofd_maker(ours: Ours, slot: SealSlot, png: bytes) -> Callable[[int], bytes]:
    """What makes one sealed OFD: QR code, layout, package, one SM2 seal; the seal itself is made once."""
    key, maker = seal_key(SealAlg.SM2)[0], seal_key(SealAlg.SM2)[0]
    design = SealDesign(
        esid="S1",
        name=slot.body,
        kind=1,
        picture_type="png",
        picture=png,
        width_mm=42,
        height_mm=42,
        signers=(key.certificate,),
        created=AT,
        valid_from=AT,
        valid_until=AT + 86_400_000,
    )
    metadata = OfdMetadata(
        doc_id="00112233445566778899aabbccddeeff",
        author="住房和城乡建设部",
        subject="使用件",
        creator="mingzheng",
        made_on=AT // 86_400,
        valid_from=None,
        valid_until=None,
        fields=(),
        licence_id=None,
    )
    seal, files = make_seal(design, maker=maker), {"credential": ours.token, "receipt": bytes(700)}
    placement = SealPlacement(page=1, rect=slot.rect)

    def make(number: int) -> bytes:
        page = without_slots(ours.page(number))
        plain = compose_ofd(page, fonts=ours.fonts, attachments=files, metadata=metadata, seals=1)
        return seal_ofd(plain, seal=seal, key=key, placements=[placement], at=AT)

    package = read_package(make(0), limits=OFD_LIMITS)
    seals, faults = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert len(seals) == 1
    assert not faults
    assert not seals[0].faults
    return make


def measure(rounds: int) -> dict[str, object]:
    """Times of `rounds` rounds, every way in turn."""
    ours, python = Ours(), peers_python()
    peer = peer_of(python, ours) if python else None
    (slot,) = seal_slots(ours.page(0))
    art = organisation_seal(slot.body, number=None, fonts=ours.fonts)
    keys = {alg: seal_key(alg) for alg in (SealAlg.P256, SealAlg.RSA)}
    box = (408, 116, 527, 235)  # the slot, in points

    def sealed(data: bytes, alg: SealAlg) -> bytes:
        seal = PdfSealing(
            key=keys[alg][0], field="Seal1", rect=slot.rect, art_pdf=seal_art_pdf(art), art_png=None, reason="签发"
        )
        return seal_pdf(data, seals=[seal], at=AT, timestamps=None)

    def issued(number: int, alg: SealAlg) -> bytes:
        page: PageSpec = without_slots(ours.page(number))
        return sealed(ours.file(page), alg)

    for alg in keys:
        assert_sealed(issued(0, alg))
    names = ("ours_p256", "ours_rsa", "ours_ofd_sm2", "seal_p256", "seal_rsa", "pyhanko_kept", "pyhanko_tutorial")
    spent: dict[str, list[float]] = {name: [] for name in names}
    pages: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        hanko = PyHanko(*keys[SealAlg.RSA], seal_art_png(art), Path(folder))
        data, make = ours.file(without_slots(ours.page(0))), ofd_maker(ours, slot, seal_art_png(art))
        assert_sealed(hanko.seal(data, box, kept=False), signatures_only=True)
        for at in range(rounds):
            size = len(timed(partial(issued, at, SealAlg.P256), spent["ours_p256"]))
            timed(partial(issued, at, SealAlg.RSA), spent["ours_rsa"])
            timed(partial(make, at), spent["ours_ofd_sm2"])
            timed(partial(sealed, data, SealAlg.P256), spent["seal_p256"])
            timed(partial(sealed, data, SealAlg.RSA), spent["seal_rsa"])
            timed(partial(hanko.seal, data, box, kept=True), spent["pyhanko_kept"])
            timed(partial(hanko.seal, data, box, kept=False), spent["pyhanko_tutorial"])
            if peer is not None:
                pages.append(peer.ask()[0])
    result: dict[str, object] = {
        "what": "one sealed certificate: QR code, layout, file, one seal; an OFD has no peer in Python",
        "rounds": rounds,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "ours_bytes": size,
        "one_sealed_ofd": {"ours": table({"ours": spent["ours_ofd_sm2"]}, "ours", ())["ours"]},
    }
    for alg in ("p256", "rsa"):
        mine = {"ours": spent[f"ours_{alg}"]}
        if peer is not None:
            for way in ("kept", "tutorial"):
                theirs = zip(pages, spent[f"pyhanko_{way}"], strict=True)
                mine[f"qrcode_reportlab_pyhanko_{way}_rsa"] = [page + seal for page, seal in theirs]
        result[f"one_sealed_pdf_{alg}"] = table(mine, "ours", [name for name in mine if name != "ours"])
        seals = {"ours": spent[f"seal_{alg}"], **{name: spent[name] for name in ("pyhanko_kept", "pyhanko_tutorial")}}
        result[f"seal_alone_{alg}"] = table(seals, "ours", ("pyhanko_kept", "pyhanko_tutorial"))
    if peer is not None:
        result["peer"] = dict(peer.versions)
        peer.close()
    return result


def assert_sealed(data: bytes, *, signatures_only: bool = False) -> None:
    """The seal holds; a file sealed by others need not be of our shape, so of theirs only the signature counts."""
    seals, faults = check_pdf(data)
    assert len(seals) == 1
    assert signatures_only or not faults
    wrong = [code for code in seals[0].faults if not signatures_only or code == "seal.signature"]
    assert not wrong, wrong


if __name__ == "__main__":
    print(json.dumps(measure(2 if "--smoke" in sys.argv[1:] else 20), ensure_ascii=False, indent=1))
