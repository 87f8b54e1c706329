"""How many simulated prints are read back: `python -m benchmarks.photo_matrix [--n 300] [--jobs N] [--write]`.

A cell is a QR version (15, 18, 20; numeric mode, level M, module 0.33 mm), a resolution of the final picture and what
happened to the print on its way. Every picture is drawn from a seed of its own, so a cell is the same on every
machine with the same Pillow. Counted is whether `read_qr` gives exactly the text printed, and nothing else; a wrong
text would be counted apart. `--write` writes docs/results/photos.md. Prints one JSON object.

Simulated, not photographed: a real set is needed before robustness is claimed.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import multiprocessing
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import MODULE_MM_MIN, encode_qr, matrix_to_png, read_qr
from mingzheng.formats.qrtext import to_digits

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "photos.md"
FULL_COUNT = 300
FINE = 8  # pixels a module on paper: a printer of 616 dpi
SIZES = {15: 400, 18: 545, 20: 655}  # version -> bytes that need it
RESOLUTIONS = (150, 200, 250, 300)
PAPER, INK = 222, 48
WANTED = 0.99  # in every cell of at least two pixels a module


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What happens to a print: degrees of turning, skew of the corners, blur in pixels of the picture, copies."""

    name: str
    turn: float  # the angle is drawn from ± this
    skew: float = 0.0  # corners move by up to this part of the side
    blur: float = 0.4  # of the lens or the scanner, beside the pixel's own
    noise: float = 0.05
    quality: int = 75  # JPEG
    copies: int = 0
    shade: float = 0.0  # how much darker one side is


WAYS = (
    Way(name="flatbed scan", turn=2.0),
    Way(name="turned any way", turn=180.0),
    Way(name="blurred", turn=3.0, blur=0.9),
    Way(name="badly blurred", turn=3.0, blur=1.3),
    Way(name="phone, in perspective", turn=15.0, skew=0.08, blur=0.6, noise=0.08, shade=0.35, quality=80),
    Way(name="photocopied twice", turn=2.0, copies=2),
)


def printed(version: int, seed: random.Random) -> tuple[str, Image.Image]:
    """The text and a piece of paper with its code and some lines of print around it, FINE pixels a module."""
    digits = to_digits(b"\xd2" + seed.randbytes(SIZES[version] - 1))
    matrix = encode_qr(digits)
    assert matrix.version == version
    code = Image.open(io.BytesIO(matrix_to_png(matrix, FINE))).convert("L")
    side = code.width + 2 * FINE * 14
    sheet = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(sheet)
    for line in range(4):  # what stands above and below a code on a page
        for place in (FINE * (1 + 3 * line), side - FINE * (3 + 3 * line)):
            x = FINE * 2
            while x < side - 4 * FINE:
                width = seed.randrange(FINE, 5 * FINE)
                pen.rectangle((x, place, x + width, place + FINE * 3 // 2), fill=0)
                x += width + FINE
    sheet.paste(code, (FINE * 14, FINE * 14))
    spread = sheet.filter(ImageFilter.GaussianBlur(FINE * 0.12))  # ink on paper
    return digits, spread.point(lambda level: INK + level * (PAPER - INK) // 255)


def copied(sheet: Image.Image, seed: random.Random) -> Image.Image:
    """One turn through a copier: scanned at 300 dpi, harder contrast, specks, a degree askew, printed again."""
    small = round(sheet.width * 300 / _fine_dpi())
    scan = sheet.resize((small, small), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.45))
    middle = (PAPER + INK) / 2 + seed.uniform(-12, 12)
    scan = scan.point(lambda level: int(255 / (1 + math.exp(-(level - middle) / 16))))
    specks = Image.frombytes("L", scan.size, seed.randbytes(small * small))
    dark = specks.point(lambda level: 255 if level == 0 else 0)  # one pixel in 256
    scan.paste(40, mask=dark)
    turned = scan.rotate(seed.uniform(-1, 1), Image.Resampling.BICUBIC, fillcolor=255)
    again = turned.resize(sheet.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(FINE * 0.12))
    return again.point(lambda level: INK + level * (PAPER - INK) // 255)


def pictured(sheet: Image.Image, way: Way, dpi: int, seed: random.Random) -> bytes:
    """The paper as a JPEG file of that resolution."""
    for _ in range(way.copies):
        sheet = copied(sheet, seed)
    scale = dpi / _fine_dpi()
    sharp = sheet.filter(ImageFilter.GaussianBlur(way.blur / scale))
    angle = math.radians(seed.uniform(-way.turn, way.turn))
    half = sheet.width * scale / 2
    reach = half * (abs(math.cos(angle)) + abs(math.sin(angle))) * (1 + way.skew)
    size = math.ceil(2 * reach) + 8
    corners = []
    for x, y in ((-half, -half), (half, -half), (half, half), (-half, half)):
        moved = [side * (1 + seed.uniform(-way.skew, way.skew)) for side in (x, y)]
        corners.append(
            (
                size / 2 + moved[0] * math.cos(angle) - moved[1] * math.sin(angle) + seed.random(),
                size / 2 + moved[0] * math.sin(angle) + moved[1] * math.cos(angle) + seed.random(),
            )
        )
    full = float(sheet.width)
    data = _projection(corners, [(0.0, 0.0), (full, 0.0), (full, full), (0.0, full)])
    seen = sharp.transform(
        (size, size), Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC, fillcolor=PAPER - 30
    )
    if way.shade:
        dark = Image.linear_gradient("L").resize(seen.size).rotate(seed.choice((0, 90, 180, 270)))
        shadow = dark.point(lambda level: int(255 * (1 - way.shade * level / 255)))
        seen = Image.composite(seen, Image.new("L", seen.size, 0), shadow)
    grain = Image.frombytes("L", seen.size, seed.randbytes(size * size))
    out = io.BytesIO()
    Image.blend(seen, grain, way.noise).save(out, "JPEG", quality=way.quality)
    return out.getvalue()


def _fine_dpi() -> float:
    return FINE / MODULE_MM_MIN * 25.4


def _projection(seen: list[tuple[float, float]], paper: list[tuple[float, float]]) -> tuple[float, ...]:
    """The eight numbers that take a point of the picture to one of the paper (Pillow's PERSPECTIVE)."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(seen, paper, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for column in range(8):
        best = max(range(column, 8), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column]
        for row in range(8):
            if row != column:
                factor = rows[row][column] / pivot[column]
                rows[row] = [own - factor * other for own, other in zip(rows[row], pivot, strict=True)]
    return tuple(rows[index][8] / rows[index][index] for index in range(8))


def pixels_a_module(dpi: int) -> float:
    """Of the final picture."""
    return MODULE_MM_MIN / 25.4 * dpi


def cell(version: int, dpi: int, way: Way, count: int) -> dict[str, Any]:
    """One cell of the table."""
    right = wrong = 0
    spent = time.process_time()
    reading = 0.0
    for number in range(count):
        seed = random.Random(f"{way.name}/{version}/{dpi}/{number}")
        digits, sheet = printed(version, seed)
        file = pictured(sheet, way, dpi, seed)
        begun = time.process_time()
        texts = {symbol.text for symbol in read_qr(file, limits=LIMITS_DEFAULT)}
        reading += time.process_time() - begun
        right += texts == {digits}
        wrong += bool(texts - {digits})
    return {
        "version": version,
        "dpi": dpi,
        "way": way.name,
        "pixels_a_module": round(pixels_a_module(dpi), 2),
        "n": count,
        "read": right,
        "wrong": wrong,
        "rate": right / count,
        "reading_ms": round(reading / count * 1000, 1),
        "cpu_s": round(time.process_time() - spent, 1),
    }


def run(count: int, *, jobs: int = 1) -> dict[str, Any]:
    """All cells; the commit is the one at the beginning."""
    commit = _commit()
    wanted = [(version, dpi, way, count) for way in WAYS for version in SIZES for dpi in RESOLUTIONS]
    if jobs > 1:
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            cells = pool.starmap(cell, wanted, chunksize=1)
    else:
        cells = [cell(*words) for words in wanted]
    return {
        "bench": "photo_matrix",
        "n": count,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "commit": commit,
        "versions": {name: metadata.version(name) for name in ("zxing-cpp", "pillow")},
        "cells": cells,
        "below": [item for item in cells if item["pixels_a_module"] >= 2 and item["rate"] < WANTED],
    }


def table(result: dict[str, Any]) -> Iterator[str]:
    """The lines of docs/results/photos.md."""
    yield "# Prints read back"
    yield ""
    count = result["n"]
    yield "Written by `python -m benchmarks.photo_matrix --n 300 --write`. Simulated pictures, not photographs:"
    yield f"numeric mode, level M, module {MODULE_MM_MIN} mm, grey JPEG, {count} pictures a cell, each from its seed."
    yield "A figure is the part of the pictures whose text came back exactly; no picture gave another text unless a"
    yield f"cell says so. Wanted: {WANTED:.0%} in every cell of at least two pixels a module in the final, blurred"
    yield "picture. In brackets: CPU time of reading (ms, mean)."
    yield ""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield f"Python {result['python']}, {versions}; commit {result['commit']}; {result['machine']}."
    yield ""
    heads = [f"{dpi} dpi ({pixels_a_module(dpi):.2f} px)" for dpi in RESOLUTIONS]
    yield "| what happened | version | " + " | ".join(heads) + " |"
    yield "|---|---|" + "---|" * len(heads)
    found = {(item["way"], item["version"], item["dpi"]): item for item in result["cells"]}
    for way in WAYS:
        for version in SIZES:
            row = [found[way.name, version, dpi] for dpi in RESOLUTIONS]
            yield f"| {way.name} | {version} | " + " | ".join(_figure(item) for item in row) + " |"
    yield ""
    yield "| what happened | turned | corners moved | blur (σ, px) | noise | JPEG | copies |"
    yield "|---|---|---|---|---|---|---|"
    for way in WAYS:
        numbers = f"{way.skew:.0%} | {way.blur:g} | {way.noise:.0%} | {way.quality} | {way.copies}"
        yield f"| {way.name} | ±{way.turn:g}° | {numbers} |"
    yield ""
    below = result["below"]
    yield (
        "Every cell of at least two pixels a module reaches what is wanted."
        if not below
        else f"{len(below)} cells of at least two pixels a module stay below what is wanted."
    )


def _figure(item: dict[str, Any]) -> str:
    wrong = f", {item['wrong']} wrong" if item["wrong"] else ""
    return f"{item['rate']:.1%} ({item['reading_ms']:g}{wrong})"


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Run, print, and write the page if asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=FULL_COUNT)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    words = parser.parse_args()
    result = run(1 if words.smoke else words.n, jobs=words.jobs)
    if words.write:
        PAGE.write_text("\n".join(table(result)) + "\n", encoding="utf-8")
    json.dump(result, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
