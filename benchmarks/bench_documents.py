"""Whole verification of one issued file, ours beside what others would do: sealed PDF, sealed OFD, photo, a folder.

Files are issued by our own commands (benchmarks/office.py); ours ends with the verdict each time, the credential's
signature, its receipt, the status list and the trust in the seals included, and every call asserts it. As in a batch
from the same bodies, certificates met before are remembered, and of an OFD the seal (the picture with its maker's
signature); never a signature over a file. A table has a floor: what nobody can avoid.

PDF: the peer is pyHanko's validation under the seals' CA, the page drawn at 200 dpi and read by pyzbar; it has to
find the signature trusted and the credential's own digits, and verifies no credential. Tables of the same rounds:
ours as far as the peer goes, ours to the verdict from the attachment alone, and everything that `mingzheng verify`
does, which for a file that nobody touched compares page and visible code without drawing. `…_drawn` is what a file
costs that is not proved so: the code read from the drawn page, and the page compared as a picture. OFD: the peer is
benchmarks/peers/ofd_gmssl.py; the floor unzips, parses every XML and takes SM3 of every file. Photo: a page
photographed with 12 million pixels; the peer decodes and calls pyzbar. Folder: `Bulk` over mixed sealed PDFs, as
`mingzheng verify DIR` does it. CPU time, but for the folder's files a second.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

import benchmarks.ofdpeer as ofdpeer
from benchmarks.office import Office
from benchmarks.peer import Peer, peers_python
from benchmarks.rounds import Timed, Work, rounds_of, table
from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.confine import processors
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.lean import Checked
from mingzheng.formats.pdf.raster import open_sheet
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.bulk import Bulk, FileJudge, Upload
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.pagejudge import PageBench
from mingzheng.verifier.pipeline import verify_extracted

OFD_PHOTO_BYTES = 355_000  # issuing makes it smaller; bench_seal has a package of 370 KB
PHOTO_PIXELS = (3000, 4000)


class Pdf:
    """One sealed PDF."""

    def __init__(self, data: bytes, ctx: VerifyContext) -> None:
        self.data, self.ctx, self.judge = data, ctx, FileJudge(ctx)
        self.bench = PageBench(ctx, limits=LIMITS_DEFAULT, drawn=False)
        found = extract(data, limits=LIMITS_DEFAULT)
        self.token = next(one.data for one in found.candidates if one.source is Source.ATTACHMENT and one.data)

    def attachment(self) -> None:
        """Seals, contents, our attachments, and everything a verdict needs but the page."""
        facts, files = self.read()
        verdict_of(attached(FileKind.PDF, files, *facts), self.ctx, "VALID_COMPARE")

    def seal(self) -> None:
        """Seals, contents and the attachments' bytes alone: what the peer finds out."""
        (seals, faults), files = self.read()
        assert seals
        assert not faults
        assert not any(seal.faults for seal in seals)
        assert files["credential"] == self.token

    def read(self) -> tuple[Checked, dict[str, bytes]]:
        """What the seals say, and the attachments."""
        import pypdfium2

        checked = check_pdf(self.data)
        with pypdfium2.PdfDocument(self.data) as document:
            files = [document.get_attachment(at) for at in range(document.count_attachments())]
            return checked, {str(one.get_name()): bytes(one.get_data()) for one in files}

    def visible(self) -> None:
        """The page drawn and its code read beside the attachment; the page is not compared."""
        verdict_of(extract(self.data, limits=LIMITS_DEFAULT), self.ctx, "VALID_COMPARE")

    def compared(self) -> None:
        """Everything that `mingzheng verify` does."""
        (report,) = self.judge.rows(self.data, "bench.pdf")
        assert report.verdict == "VALID", report.verdict

    def drawn(self) -> None:
        """The same for a file whose page has to be drawn."""
        (report,) = self.bench.rows(self.data, extract(self.data, limits=LIMITS_DEFAULT), "bench.pdf")
        assert report.verdict == "VALID", report.verdict

    def digest(self) -> bytes:
        """The floor."""
        return hashlib.sha256(self.data).digest()

    def pyhanko(self) -> None:
        """pyHanko's own validation in a fresh context."""
        from asn1crypto import x509
        from pyhanko.pdf_utils.reader import PdfFileReader
        from pyhanko.sign.validation import validate_pdf_signature
        from pyhanko_certvalidator import ValidationContext

        roots = [x509.Certificate.load(ca.der) for ca in self.ctx.seals.cas]
        context = ValidationContext(trust_roots=roots, allow_fetching=False)
        found = PdfFileReader(io.BytesIO(self.data)).embedded_signatures
        checked = [validate_pdf_signature(one, context) for one in found]
        assert checked
        assert all(one.bottom_line for one in checked)

    def peer(self) -> None:
        """pyHanko, the page at 200 dpi, pyzbar."""
        import pypdfium2
        from pyzbar.pyzbar import decode

        self.pyhanko()
        with pypdfium2.PdfDocument(self.data) as document:
            picture = document[0].render(scale=200 / 72, grayscale=True).to_pil()
        assert to_digits(self.token).encode() in [one.data for one in decode(picture)]


class Ofd:
    """One sealed OFD."""

    def __init__(self, data: bytes, ctx: VerifyContext) -> None:
        self.data, self.ctx, self.judge = data, ctx, FileJudge(ctx)
        self.bench = PageBench(ctx, limits=LIMITS_DEFAULT, drawn=False)

    def attachment(self) -> None:
        """Package, document, seals, coverage, our attachments, and everything a verdict needs but the page."""
        package = read_package(self.data, limits=OFD_LIMITS)
        file = read_ofd(package, limits=OFD_LIMITS)
        seals, faults = check_ofd(package, file, limits=OFD_LIMITS)
        files = {one.name: package.files[one.file] for one in file.bodies[0].attachments if one.file}
        verdict_of(attached(FileKind.OFD, files, seals, faults), self.ctx, "VALID_COMPARE")

    def checked(self) -> None:
        """Package, document, seals and coverage alone, which is what the peer and the floor are about."""
        package = read_package(self.data, limits=OFD_LIMITS)
        seals, faults = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
        assert seals
        assert not faults
        assert not any(seal.faults for seal in seals)

    def compared(self) -> None:
        """Everything that `mingzheng verify` does."""
        (report,) = self.judge.rows(self.data, "bench.ofd")
        assert report.verdict == "VALID", report.verdict

    def drawn(self) -> None:
        """The same for a file whose page has to be drawn."""
        (report,) = self.bench.rows(self.data, extract(self.data, limits=LIMITS_DEFAULT), "bench.ofd")
        assert report.verdict == "VALID", report.verdict


class Photo:
    """A printed page photographed: turned, a little out of focus, with noise, on a desk."""

    def __init__(self, pdf: Pdf) -> None:
        self.ctx, self.digits = pdf.ctx, to_digits(pdf.token).encode()
        with open_sheet(pdf.data, limits=LIMITS_DEFAULT) as sheet:
            page = sheet.render(320, colour=True, paper=True)
        desk = (188, 170, 150)
        page = page.rotate(2.5, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=desk)
        paper = Image.new("RGB", PHOTO_PIXELS, desk)
        paper.paste(page, ((paper.width - page.width) // 2, (paper.height - page.height) // 2))
        paper = paper.filter(ImageFilter.GaussianBlur(1.2))
        paper = Image.blend(paper, Image.effect_noise(paper.size, 40).convert("RGB"), 0.08)
        out = io.BytesIO()
        paper.save(out, "JPEG", quality=88)
        self.data = out.getvalue()

    def ours(self) -> None:
        """Read and judged."""
        verdict_of(extract(self.data, limits=LIMITS_DEFAULT), self.ctx, "VALID_COMPARE")

    def floor(self) -> None:
        """Decoded, grey, in whole."""
        with Image.open(io.BytesIO(self.data)) as picture:
            picture.draft("L", picture.size)
            picture.load()

    def peer(self) -> None:
        """Decoded, grey, pyzbar."""
        from pyzbar.pyzbar import decode

        with Image.open(io.BytesIO(self.data)) as picture:
            assert self.digits in [one.data for one in decode(picture.convert("L"))]


def attached(kind: FileKind, files: Mapping[str, bytes], seals: Any, faults: Any) -> Extracted:
    """A file of which only the attachments were read."""
    data = files["credential"]
    candidate = Candidate(source=Source.ATTACHMENT, page=None, text=None, data=data, where="attachment:credential")
    receipts = tuple(body for name, body in files.items() if name == "receipt")
    facts = FileFacts(
        kind=kind, pages=1, attachments=tuple(files), full_receipts=receipts, seals=seals, faults=tuple(faults)
    )
    return Extracted(kind=kind, candidates=(candidate,), facts=facts, problems=())


def verdict_of(extracted: Extracted, ctx: VerifyContext, wanted: str) -> None:
    """Judge without a page; a new file each time: nothing remembered of the receipt."""
    ctx.blocks_seen.clear()
    (report,) = verify_extracted(extracted, ctx, "bench")
    assert report.verdict == wanted, (report.verdict, [finding.code for finding in report.findings])


def pdf_tables(pdf: Pdf, rounds: int) -> dict[str, object]:
    """Tables of the same rounds."""
    works: dict[str, Work] = {"seal_and_attachment": pdf.seal, "page_not_compared": pdf.attachment}
    works |= {"visible_code_drawn": pdf.visible, "page_compared_drawn": pdf.drawn}
    works |= {"page_compared": pdf.compared, "sha256_of_the_file": pdf.digest, "pyhanko_alone": pdf.pyhanko}
    if has_pyzbar():
        works["pyhanko_pdfium_200_dpi_pyzbar"] = pdf.peer
    spent = rounds_of({name: Timed(work) for name, work in works.items()}, rounds)
    others = ("sha256_of_the_file", "pyhanko_alone", "pyhanko_pdfium_200_dpi_pyzbar")
    drawn = ("visible_code_drawn", "page_compared_drawn")
    names = ("seal_and_attachment", "page_not_compared", "page_compared", *drawn)
    return {"bytes": len(pdf.data)} | {name: table(spent, name, others) for name in names}


def ofd_tables(ofd: Ofd, rounds: int) -> dict[str, object]:
    """The seals alone and the whole verification beside the peer and the floor."""
    contestants = {"seals": ofd.checked, "page_not_compared": ofd.attachment, "page_compared": ofd.compared}
    contestants["page_compared_drawn"] = ofd.drawn
    contestants["unzip_parse_sm3"] = partial(ofdpeer.floor, ofd.data)
    rows = {name: Timed(work) for name, work in contestants.items()}
    names = ("seals", "page_not_compared", "page_compared", "page_compared_drawn")
    spent = rounds_of(rows, rounds)
    result: dict[str, object] = {"bytes": len(ofd.data)}
    result |= {f"{name}_and_floor": table(spent, name, ["unzip_parse_sm3"]) for name in names}
    if python := peers_python():
        peer = Peer(python, "ofd_gmssl.py", ofdpeer.job(ofd.data))
        spent = rounds_of({**rows, "gmssl": peer.ask}, min(rounds, 5))
        peer.close()
        result |= {f"{name}_and_gmssl": table(spent, name, ["gmssl"]) for name in names}
        result["gmssl"] = peer.versions
    return result


def photo_table(photo: Photo, rounds: int) -> dict[str, object]:
    """Ours beside decoding and pyzbar."""
    works: dict[str, Work] = {"ours": photo.ours, "decode_alone": photo.floor}
    if has_pyzbar():
        works["decode_and_pyzbar"] = photo.peer
    spent = rounds_of({name: Timed(work) for name, work in works.items()}, rounds)
    return {"bytes": len(photo.data), "table": table(spent, "ours", ("decode_alone", "decode_and_pyzbar"))}


def folder(office: Office, ctx: VerifyContext, files: Sequence[Path]) -> dict[str, object]:
    """As `mingzheng verify DIR`: every file in a worker, its page compared."""
    load, begin, before = os.getloadavg()[0], time.perf_counter(), _cpu()
    with Bulk(office.recipe(), ctx, jobs=processors()) as bulk:
        found = Counter(report.verdict for report in bulk.rows(Upload(name=p.name, data=p.read_bytes()) for p in files))
    wall, cpu = time.perf_counter() - begin, _cpu() - before
    assert found == {"VALID": len(files)}, found
    return {
        "files": len(files),
        "workers": processors(),
        "wall_s": round(wall, 2),
        "files_per_second": round(len(files) / wall, 2),
        "cpu_ms_per_file": round(cpu / len(files) * 1000, 1),
        "load": f"{load:.1f} before, {os.getloadavg()[0]:.1f} after",
    }


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def has_pyzbar() -> bool:
    """Whether the peer reader is installed here, its C library included."""
    try:
        import pyzbar.pyzbar  # noqa: F401
    except ImportError:
        return False
    return True


def measure(*, smoke: bool) -> dict[str, object]:
    """Every table."""
    logging.disable(logging.CRITICAL)
    rounds, count = (1, 1) if smoke else (20, 100)
    with tempfile.TemporaryDirectory() as place:
        office = Office(Path(place))
        mixed = [office.issue(kind, count, form="pdf") for kind in range(3)]
        (heavy,) = office.issue(0, 1, form="ofd", first=count, photo_bytes=OFD_PHOTO_BYTES)
        ctx = office.context()
        one_seal, two_seals = (Pdf(files[0].read_bytes(), ctx) for files in mixed[:2])
        result: dict[str, object] = {
            "rounds": rounds,
            "python": platform.python_version(),
            "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "absent": [] if has_pyzbar() else ["pyzbar"],
            "pdf_one_seal": pdf_tables(one_seal, rounds),
            "pdf_two_seals": pdf_tables(two_seals, rounds),
            "ofd_one_seal": ofd_tables(Ofd(heavy.read_bytes(), ctx), rounds),
            "photo_12_million_pixels": photo_table(Photo(one_seal), min(rounds, 10)),
            "folder_of_sealed_pdf": folder(office, ctx, [path for files in mixed for path in files]),
        }
    return result


if __name__ == "__main__":
    print(json.dumps(measure(smoke="--smoke" in sys.argv[1:]), ensure_ascii=False, indent=1))
