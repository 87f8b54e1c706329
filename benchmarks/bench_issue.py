"""Issue one sealed PDF: QR code, page, file and seal; ours beside qrcode + reportlab + pyHanko, round by round.

Ours seals with P-256 and with RSA through `pdf.seal`. pyHanko seals the same unsealed file with the same RSA key in two
ways: as its documentation shows (signer and PNG stamp loaded for every file), and with everything kept and the size of
the signature given. The peer's page: MINGZHENG_PEERS_PYTHON as in bench_pdf; without it only the seals are compared.
CPU seconds.
"""

import datetime
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pyhanko import stamp
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from benchmarks.bench_pdf import Ours, peer_of, summary
from benchmarks.peer import peers_python
from mingzheng.formats.page import PageSpec, seal_slots, without_slots
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

    def issued(number: int) -> bytes:
        page: PageSpec = without_slots(ours.page(number))
        return sealed(ours.file(page), SealAlg.P256)

    sealed(ours.file(without_slots(ours.page(0))), SealAlg.P256)
    whole: list[float] = []
    seals: dict[str, list[float]] = {"p256": [], "rsa": [], "pyhanko_kept": [], "pyhanko_tutorial": []}
    pages: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        hanko = PyHanko(*keys[SealAlg.RSA], seal_art_png(art), Path(folder))
        data = ours.file(without_slots(ours.page(0)))
        for number in range(rounds):
            size = len(timed(lambda number=number: issued(number), whole))  # type: ignore[misc]
            timed(lambda: sealed(data, SealAlg.P256), seals["p256"])
            timed(lambda: sealed(data, SealAlg.RSA), seals["rsa"])
            timed(lambda: hanko.seal(data, box, kept=True), seals["pyhanko_kept"])
            timed(lambda: hanko.seal(data, box, kept=False), seals["pyhanko_tutorial"])
            if peer is not None:
                pages.append(peer.ask()[0])
    result: dict[str, object] = {
        "what": "one sealed certificate PDF: QR code, layout, file, one P-256 seal",
        "rounds": rounds,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "ours_ms": summary(whole),
        "ours_bytes": size,
        **{f"seal_{name}_ms": summary(times) for name, times in seals.items()},
    }
    if peer is not None:
        theirs = [a + b for a, b in zip(pages, seals["pyhanko_tutorial"], strict=True)]
        result["peer"] = {"what": "qrcode + reportlab + pyHanko (RSA)", **dict(peer.versions)}
        result["peer_ms"] = summary(theirs)
        result["ratio_median"] = round(statistics.median(p / o for p, o in zip(theirs, whole, strict=True)), 2)
        peer.close()
    return result


if __name__ == "__main__":
    print(json.dumps(measure(2 if "--smoke" in sys.argv[1:] else 20), ensure_ascii=False, indent=1))
