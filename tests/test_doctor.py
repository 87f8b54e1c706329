"""`mingzheng doctor` names what is missing and what that means, and fails only where nothing works."""

import datetime
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

import mingzheng.doctor as face
from mingzheng.doctor import Check, checks, doctor, library
from mingzheng.keys import sm2backend

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
NEEDED = {"python", "cryptography", "click", "sqlite", "disk", "clock", "font"}


def without(monkeypatch: pytest.MonkeyPatch, missing: str, *, says: str = "No module named it") -> None:
    real = importlib.import_module

    def load(name: str) -> ModuleType:
        if name == missing:
            raise ImportError(says)
        return real(name)

    monkeypatch.setattr(face.importlib, "import_module", load)


def by_name(rows: list[Check]) -> dict[str, Check]:
    return {row.name: row for row in rows}


def test_here_everything_needed_is_there(tmp_path: Path) -> None:
    rows = checks(NOW, tmp_path)
    assert {row.name for row in rows if row.level == "ok"} >= NEEDED
    assert all(row.zh and row.en and row.found for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_report_for_people() -> None:
    result = CliRunner().invoke(doctor, [])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mingzheng ")
    assert "✓ cryptography" in result.stdout
    assert "签名与验签 · signatures" in result.stdout
    assert result.stderr == ""


def test_report_as_json() -> None:
    result = CliRunner().invoke(doctor, ["--json"])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(set(row) == {"name", "level", "found", "zh", "en"} for row in rows)
    assert {row["name"] for row in rows} >= NEEDED


def test_missing_library_is_named_and_not_fatal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without(monkeypatch, "zxingcpp", says="libstdc++.so.6: cannot open\nsecond line")
    row = by_name(checks(NOW, tmp_path))["zxing-cpp"]
    assert (row.level, row.found) == ("optional", "missing: libstdc++.so.6: cannot open")
    assert "二维码" in row.zh
    result = CliRunner().invoke(doctor, [])
    assert result.exit_code == 0
    assert "– zxing-cpp" in result.stdout


def test_missing_needed_library_is_bad_and_exits_4(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "cryptography")
    result = CliRunner().invoke(doctor, [])
    assert result.exit_code == 4
    assert "✗ cryptography" in result.stdout
    assert "mend first" in result.stderr
    assert "cryptography" in result.stderr
    assert CliRunner().invoke(doctor, ["--json"]).exit_code == 4


def test_library_without_package_data_is_present(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library("json", "no-such-package", zh="x", en="x").found == "present"


def test_old_python_full_disk_and_a_clock_before_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(face.sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(face.shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    monkeypatch.setattr(face.sqlite3, "sqlite_version_info", (3, 30, 0))
    try:
        rows = by_name(checks(datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC), tmp_path))
    finally:
        monkeypatch.undo()
    assert {name for name, row in rows.items() if row.level == "bad"} == {"python", "disk", "sqlite", "clock"}
    assert rows["disk"].found == "3 MiB free"


def test_missing_font_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(face, "__file__", str(tmp_path / "mingzheng" / "doctor.py"))
    row = by_name(checks(NOW, tmp_path))["font"]
    assert (row.level, row.found) == ("optional", "missing")


def test_sm2_backend_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = by_name(checks(NOW, tmp_path))["sm2"]
    assert row.found == sm2backend.backend_name()
    assert row.level == ("ok" if sm2backend.can_sign() else "optional")
    monkeypatch.setattr(sm2backend, "_library", lambda: None)
    row = by_name(checks(NOW, tmp_path))["sm2"]
    assert (row.level, row.found) == ("optional", "python")
    assert "OpenSSL 3" in row.zh
    assert "OpenSSL 3" in row.en
    without(monkeypatch, "mingzheng.keys.sm2backend")
    row = by_name(checks(NOW, tmp_path))["sm2"]
    assert (row.level, row.found) == ("optional", "missing")


def test_an_old_library_lacks_ml_dsa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert by_name(checks(NOW, tmp_path))["ml-dsa-44"].level == "ok"
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    assert by_name(checks(NOW, tmp_path))["ml-dsa-44"].level == "optional"
    without(monkeypatch, "mingzheng.keys.mldsa")
    assert by_name(checks(NOW, tmp_path))["ml-dsa-44"].level == "optional"
