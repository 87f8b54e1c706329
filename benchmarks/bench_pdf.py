"""One certificate PDF: QR code, page and file; ours beside qrcode + reportlab in one run, round by round.

Ours includes everything an issued copy has: layout, font subset, tags, two attachments. The peer draws the same
texts and images without tags, attachments and line breaking. Peer: MINGZHENG_PEERS_PYTHON names an environment
with qrcode, reportlab and pillow; without it only our times are given. CPU seconds of each process.
"""

import base64
import io
import json
import os
import platform
import random
import statistics
import sys
import time
from pathlib import Path

from PIL import Image

from benchmarks.peer import Peer, peers_python
from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.library import load_shipped_profiles, read_shipped_templates
from mingzheng.formats.page import ImageBox, PageSpec, QrSlot, TextRun
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.template import parse_templates

ROOT = Path(__file__).resolve().parent.parent
FONT = ROOT / "formats/fonts/MingZhengKai-Regular.ttf"
NAMES = "张王李赵陈杨黄周吴徐孙马朱胡林郭何高罗郑"
TOKEN_BYTES = 480  # credential with a receipt


def claims(number: int) -> Claims:
    """A copy of a holder whose name differs from the last one's."""
    day = parse_day
    return Claims(
        name=NAMES[number % 20] + NAMES[number // 20 % 20] + "建国",
        sex=Sex.MALE,
        birth=day("1985-03-12"),
        kind=1,
        jurisdiction=0,
        registration_no=f"京1112006200800{number % 1000:03}",
        specialties=(
            Specialty(code=1, first_day=day("2024-06-01"), last_day=day("2027-05-31")),
            Specialty(code=6, first_day=day("2025-01-10"), last_day=day("2028-01-09")),
        ),
        certificate_issued_on=day("2024-06-01"),
        employer="北京市某某第三建筑工程集团有限责任公司总部",
        registered_until=day("2027-05-31"),
        copy=Copy.USAGE,
        purpose="某某市轨道交通一号线工程施工总承包第二标段投标",
        issuing_body=1,
        sealing_body=1,
        serial=number,
        salt=bytes(16),
        image_digest=bytes(32),
        template=1,
        copy_issued_on=day("2026-11-21"),
        usage_until=day("2027-05-20"),
    )


def images() -> tuple[bytes, bytes]:
    """A photo of some 40 KB as JPEG, a signature image as PNG."""
    noise = Image.effect_noise((413, 579), 40).convert("RGB")
    photo, signature = io.BytesIO(), io.BytesIO()
    noise.save(photo, "JPEG", quality=60)
    Image.linear_gradient("L").resize((600, 200)).point(lambda level: 255 * (level > 40)).save(signature, "PNG")
    return photo.getvalue(), signature.getvalue()


class Ours:
    """Everything that is loaded once; then one file per call."""

    def __init__(self) -> None:
        self.fonts = load_fonts()
        profile = load_shipped_profiles().select(1, 0, parse_day("2026-11-21"))
        assert profile is not None
        self.profile = profile
        self.template = parse_templates(read_shipped_templates().values())[profile.template]
        self.photo, self.signature = images()
        self.token = b"\xd2" + random.Random(1).randbytes(TOKEN_BYTES - 1)
        self.digits = str(int.from_bytes(self.token, "big"))

    def page(self, number: int) -> PageSpec:
        """QR code and layout."""
        material = PageMaterial(
            bodies={1: "中华人民共和国住房和城乡建设部"},
            photo=self.photo,
            signature=self.signature,
            qr_rows=encode_qr(self.digits).rows,
            identity=bytes(32),
        )
        return layout(claims(number), self.profile, self.template, material=material, measure=self.fonts)

    def file(self, page: PageSpec) -> bytes:
        """The PDF."""
        return compose_pdf(
            page,
            fonts=self.fonts,
            attachments={"credential": self.token, "receipt": bytes(700)},
            metadata=PdfMetadata(author="住房和城乡建设部", subject="使用件", producer="mingzheng"),
        )


def peer_of(python: str, ours: Ours) -> Peer:
    """qrcode and reportlab, told the same texts, images and places."""
    boxes = ours.page(0).boxes
    rects = {box.name: box.rect for box in boxes if isinstance(box, ImageBox | QrSlot)}
    places = {name: (rect.x_mm, rect.y_mm, rect.width_mm, rect.height_mm) for name, rect in rects.items()}
    job = {
        "font": str(FONT),
        "digits": ours.digits,
        "texts": [(box.text, box.x_mm, box.y_mm, box.size_mm) for box in boxes if isinstance(box, TextRun)],
        "images": [
            (base64.b64encode(ours.photo).decode(), places["photo"]),
            (base64.b64encode(ours.signature).decode(), places["signature.image"]),
        ],
        "qr": places["qr"],
    }
    return Peer(python, "pdf_reportlab.py", job)


def measure(rounds: int) -> dict[str, object]:
    """Times of `rounds` rounds, ours and the peer's in turn."""
    ours, python = Ours(), peers_python()
    peer = peer_of(python, ours) if python else None
    ours.file(ours.page(0))
    pages, files, totals, peers, size, peer_size = [], [], [], [], 0, 0
    for number in range(rounds):
        start = time.process_time()
        page = ours.page(number)
        middle = time.process_time()
        size = len(ours.file(page))
        end = time.process_time()
        pages.append(middle - start)
        files.append(end - middle)
        totals.append(end - start)
        if peer is not None:
            seconds, peer_size = peer.ask()
            peers.append(seconds)
    result: dict[str, object] = {
        "what": "one certificate PDF, unsealed: QR code, layout, file",
        "rounds": rounds,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "ours_ms": summary(totals),
        "ours_qr_and_layout_ms": summary(pages),
        "ours_file_ms": summary(files),
        "ours_bytes": size,
    }
    if peer is not None:
        result["peer"] = {"what": "qrcode + reportlab", **dict(peer.versions)}
        result["peer_ms"] = summary(peers)
        result["peer_bytes"] = peer_size
        result["ratio_median"] = round(statistics.median(p / o for p, o in zip(peers, totals, strict=True)), 2)
        peer.close()
    return result


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    return {
        "median": round(statistics.median(ordered) * 1000, 3),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000, 3),
    }


if __name__ == "__main__":
    print(json.dumps(measure(3 if "--smoke" in sys.argv[1:] else 40), ensure_ascii=False, indent=1))
