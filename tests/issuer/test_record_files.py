"""Files as clerks send them (tests/vectors/records): every one says exactly what is wrong with it, and no more."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from mingzheng.formats.civil import parse_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.precheck import Checked, check_file
from mingzheng.issuer.recordfile import RecordsFile, read_records

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "records"
EXPECTED = json.loads((VECTORS / "expected.json").read_text("utf-8"))
FILES: dict[str, dict[str, Any]] = EXPECTED["files"]
NO_XLSX = importlib.util.find_spec("openpyxl") is None
needs_xlsx = pytest.mark.skipif(NO_XLSX, reason='openpyxl is not installed: pip install "mingzheng[xlsx]"')


def checked(name: str) -> tuple[RecordsFile, Checked]:
    file = read_records((VECTORS / name).read_bytes())
    return file, check_file(
        file,
        load_shipped_profiles(),
        day=parse_day(EXPECTED["on"]),
        images=VECTORS if FILES[name]["images"] else None,
        done=lambda done, count: None,
    )


every_file = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_xlsx) if name.endswith(".xlsx") else name for name in sorted(FILES)]
)


@every_file
def test_says_exactly_what_is_wrong(name: str) -> None:
    _, found = checked(name)
    said = [
        {
            "row": fault.row,
            "column": fault.field,
            "cell": fault.cell,
            "code": fault.code,
            "severity": str(fault.severity),
        }
        for fault in (*found.faults, *found.notes)
    ]
    assert said == FILES[name]["said"]
    assert found.good == FILES[name]["good"]


def test_there_are_enough_of_them_and_they_are_small() -> None:
    on_disk = {path.name for path in VECTORS.iterdir() if path.is_file()} - {"expected.json"}
    assert on_disk == set(FILES)
    assert len(FILES) >= 60
    assert sum(path.stat().st_size for path in VECTORS.rglob("*") if path.is_file()) < 1_500_000


@every_file
def test_no_fault_repeats_a_cell(name: str) -> None:
    file, found = checked(name)
    words = " ".join(
        text
        for fault in (*found.faults, *found.notes)
        for text in (fault.message_zh, fault.message_en, fault.remedy_zh, fault.remedy_en)
    )
    columns = file.parsed.columns
    for row in file.rows[1:]:
        for column, cell in zip(columns, row.cells, strict=False):
            if len(cell) > 1 and column in ("name", "id_number", "registration_no", "birth_date", "employer"):
                assert cell not in words or cell in ("TRUE", "#N/A"), f"{column} of row {row.number}"
