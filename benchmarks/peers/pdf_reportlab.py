"""Peer of bench_pdf: the same certificate by qrcode and reportlab, as the first tutorial would do it.

Runs in an environment of its own. Reads one JSON line with the job, then one line per round; answers each round
with the CPU seconds it took and the size of the file.
"""

import base64
import io
import json
import sys
import time

import qrcode
import qrcode.constants
import reportlab
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas


def certificate(job):
    """One file: code as a PNG image, text, photo and signature image."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(job["digits"])
    code.make(fit=True)
    picture = io.BytesIO()
    code.make_image().save(picture)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for text, x, y, size in job["texts"]:
        canvas.setFont("Kai", size * mm)
        canvas.drawString(x * mm, A4[1] - y * mm, text)
    for data, (x, y, width, height) in (
        *((io.BytesIO(image), rect) for image, rect in job["images"]),
        (picture, job["qr"]),
    ):
        data.seek(0)
        canvas.drawImage(ImageReader(data), x * mm, A4[1] - (y + height) * mm, width * mm, height * mm)
    canvas.save()
    return out.getvalue()


def main():
    """Serve rounds until the input ends."""
    job = json.loads(sys.stdin.readline())
    job["images"] = [(base64.b64decode(data), rect) for data, rect in job["images"]]
    pdfmetrics.registerFont(TTFont("Kai", job["font"]))
    versions = {"reportlab": reportlab.Version, "python": sys.version.split()[0]}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        start = time.process_time()
        file = certificate(job)
        print(json.dumps([time.process_time() - start, len(file)]), flush=True)


if __name__ == "__main__":
    main()
