"""Import a file of records: read, check, normalise and store the images, plan every copy in the ledger.

Ours beside its floor: Pillow alone, decoding and encoding the same images with the same settings. CPU milliseconds a
row, round by round of 500 rows, reading processes and their start included. Before that one import of 10,000 rows by
the clock, with the growth of memory and what one more row takes of it; then reading alone as CSV and as .xlsx (where
openpyxl is installed). Photos are drawn, 413 x 579 pixels, as scanned two-inch photos are.
"""

import csv
import io
import json
import math
import os
import platform
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from benchmarks.office import Office
from benchmarks.rounds import table
from mingzheng.formats.civil import day_of_time
from mingzheng.formats.claims import Copy
from mingzheng.issuer.issue import Request, plan_jobs, prepare
from mingzheng.issuer.options import Secret, access_of
from mingzheng.issuer.record import COLUMNS
from mingzheng.issuer.recordfile import read_records
from mingzheng.issuer.workbook import can_write, write_workbook
from mingzheng.issuer.workspace import Workspace

ROWS = 10_000
ROWS_OF_A_ROUND = 500
MEMORY_ROWS = 1_000
AIM_SECONDS = 60


def drawn() -> tuple[Image.Image, Image.Image]:
    """A portrait and a signature, such as scanners make them."""
    photo = Image.new("RGB", (413, 579), (200, 210, 230))
    draw = ImageDraw.Draw(photo)
    draw.ellipse((90, 80, 320, 400), fill=(220, 180, 150))
    draw.rectangle((60, 400, 350, 579), fill=(40, 50, 90))
    grain = Image.effect_noise(photo.size, 12).convert("RGB")
    photo = Image.blend(photo.filter(ImageFilter.GaussianBlur(2)), grain, 0.06)
    sign = Image.new("L", (400, 150), 255)
    for start in range(20, 370, 70):
        line = [(start + x, 75 + int(40 * math.sin(x / 9 + start))) for x in range(60)]
        ImageDraw.Draw(sign).line(line, fill=30, width=4)
    return photo, sign


def write_images(folder: Path, first: int, count: int) -> None:
    """Images of their own for every row."""
    photo, sign = drawn()
    for number in range(first, first + count):
        place = number % 100_000
        photo.putpixel((place % 413, place // 413), (number % 256, 3, 4))
        sign.putpixel((place % 400, place // 400 % 150), number % 200)
        photo.save(folder / f"{number}.jpg", quality=88)
        sign.save(folder / f"{number}.png")


def rows_of(first: int, count: int) -> list[list[str]]:
    """Header and invented constructors."""
    people = [
        {
            "kind": "cn.constructor.1",
            "jurisdiction": "0",
            "name": "王小明",
            "sex": "男",
            "birth_date": "1985-03-03",
            "registration_no": f"京111{2000 + number // 100_000}{number % 100_000:05}",
            "specialties": "建筑工程:2024-01-01:2090-01-01",
            "certificate_issued_on": "2024-01-01",
            "employer": "北京示例建设（集团）有限公司",
            "registered_until": "2090-01-01",
            "issuing_body": "1",
            "photo": f"{number}.jpg",
            "signature_image": f"{number}.png",
        }
        for number in range(first, first + count)
    ]
    return [list(COLUMNS), *([person.get(column, "") for column in COLUMNS] for person in people)]


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """The rows as a file."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def import_rows(workspace: Workspace, folder: Path, data: bytes, count: int) -> None:
    """What a clerk waits for before the first certificate is signed."""
    request = Request(data=data, images=folder, copy=Copy.USAGE, purpose="投标", issuer=None)
    prepared = prepare(workspace, request, now=int(time.time()), store_images=True)
    assert not prepared.faults, prepared.faults[:3]
    assert len(plan_jobs(workspace, prepared.jobs)) == count


def pillow_alone(folder: Path, first: int, count: int) -> None:
    """Decode and encode; no checks, no rows, nothing stored."""
    for number in range(first, first + count):
        with Image.open(folder / f"{number}.jpg") as photo:
            settings = {"quality": 85, "subsampling": 2, "optimize": True}
            photo.convert("RGB").save(io.BytesIO(), "JPEG", **settings)
        with Image.open(folder / f"{number}.png") as sign:
            sign.convert("L").save(io.BytesIO(), "PNG", compress_level=6)


def rounds_of_imports(workspace: Workspace, folder: Path, *, rounds: int, count: int) -> dict[str, dict[str, float]]:
    """CPU seconds a row, side by side."""
    spent: dict[str, list[float]] = {"ours": [], "pillow_alone": []}
    for round_ in range(rounds):
        first = ROWS + round_ * count
        write_images(folder, first, count)
        data = as_csv(rows_of(first, count))
        begin = cpu_seconds()
        import_rows(workspace, folder, data, count)
        spent["ours"].append((cpu_seconds() - begin) / count)
        begin = time.process_time()
        pillow_alone(folder, first, count)
        spent["pillow_alone"].append((time.process_time() - begin) / count)
    return table(spent, "ours", ["pillow_alone"])


def cpu_seconds() -> float:
    """Of this process and of the reading processes that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def bytes_a_row(workspace: Workspace, folder: Path) -> dict[str, float]:
    """Memory of Python objects that one more row costs: from check to planning, and at most; text only, one image."""
    found = []
    for count in (MEMORY_ROWS // 10, MEMORY_ROWS // 10, MEMORY_ROWS):  # the first loads what is loaded once
        rows = rows_of(2 * ROWS, count)
        places = [rows[0].index(column) for column in ("photo", "signature_image")]
        for row in rows[1:]:
            row[places[0]], row[places[1]] = "0.jpg", "0.png"
        request = Request(data=as_csv(rows), images=folder, copy=Copy.USAGE, purpose="投标", issuer=None)
        tracemalloc.start()
        prepared = prepare(workspace, request, now=int(time.time()), store_images=False)
        assert not prepared.faults
        found.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
    more = MEMORY_ROWS - MEMORY_ROWS // 10
    held, most = ((found[2][place] - found[1][place]) / more for place in (0, 1))
    return {"rows": MEMORY_ROWS, "held_bytes_a_row": round(held), "most_bytes_a_row": round(most)}


def one_import(workspace: Workspace, folder: Path, count: int) -> dict[str, float]:
    """One file by the clock, and how much memory it took at most beyond what the process had."""
    write_images(folder, 0, count)
    data = as_csv(rows_of(0, count))
    before, load = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, round(os.getloadavg()[0], 1)
    begin, cpu = time.monotonic(), cpu_seconds()
    import_rows(workspace, folder, data, count)
    seconds, cpu = time.monotonic() - begin, cpu_seconds() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "rows": count,
        "seconds": round(seconds, 1),
        "aim_seconds": AIM_SECONDS,
        "cpu_seconds": round(cpu, 1),
        "rows_a_second": round(count / seconds, 1),
        "load_before": load,
        "memory_grown_mib": round(grown / 1024, 1),
        "memory_of_a_reader_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    }


def reading(count: int) -> dict[str, float]:
    """Seconds of CPU to read and check that many rows, images aside."""
    rows, found = rows_of(0, count), {}
    files = {"csv": as_csv(rows)} | ({"xlsx": write_workbook(rows)} if can_write() else {})
    for name, data in files.items():
        begin = time.process_time()
        assert len(read_records(data).parsed.records) == count
        found[f"{name}_cpu_seconds"] = round(time.process_time() - begin, 2)
    return found


def main() -> None:
    """Print the JSON."""
    smoke = "--smoke" in sys.argv
    count = 20 if smoke else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        office = Office(folder)
        with Workspace.open(office.workspace, access_of(Secret(file=office.secret, fd=None))) as workspace:
            whole = one_import(workspace, folder, count)
            rounds = 1 if smoke else 5
            memory = {} if smoke else bytes_a_row(workspace, folder)
            compared = rounds_of_imports(workspace, folder, rounds=rounds, count=20 if smoke else ROWS_OF_A_ROUND)
    result = {
        "bench": "import",
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "day": day_of_time(int(time.time())),
        "one_import": whole,
        "memory": memory,
        "row": {"contestants": compared},
        "reading": {"rows": count, **reading(count)},
    }
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
