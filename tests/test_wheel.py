"""The built wheel holds every module and data file and gives a working command in an empty environment."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("keys", "formats", "log", "issuer", "verifier")
DATA = {".toml", ".json", ".ttf", ".txt", ".py", ".typed"}
PIP = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    source = tmp_path_factory.mktemp("source")
    for name in listed.decode("utf-8").split("\0"):
        path = ROOT / name
        if name and path.is_file() and not path.is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(path.read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*build, str(source)], check=True)
    return next(out.glob("mingzheng-*.whl"))


@pytest.mark.wheel
def test_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix in DATA and "__pycache__" not in path.parts:
                wanted.add("mingzheng/" + path.relative_to(ROOT).as_posix())
    for path in (ROOT / "mingzheng").glob("*.*"):
        if path.suffix in DATA:
            wanted.add("mingzheng/" + path.name)
    assert len(wanted) > 80
    assert wanted <= packed, sorted(wanted - packed)
    assert not {name for name in packed if name.split("/")[0] in ROOMS}


@pytest.mark.wheel
def test_command_from_the_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "empty 环境"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "test.lock"
    subprocess.run([python, *PIP, "--no-deps", str(wheel)], check=True)
    subprocess.run([python, *PIP, "--require-hashes", "-r", str(lock)], check=True)
    command = environment / "bin" / "mingzheng"
    run = {"cwd": tmp_path, "capture_output": True, "check": False, "env": {"LANG": "C", "HOME": str(tmp_path)}}
    version = subprocess.run([command, "--version"], **run)  # type: ignore[call-overload]
    assert version.returncode == 0
    assert b"mingzheng, version 0." in version.stdout
    rules = [command, "rules", "window", "--kind", "cn.constructor.1", "--download", "2022-06-27", "--json"]
    window = subprocess.run([*rules, "--specialty-until", "2025-01-01", "--birth", "1985-03-03"], **run)  # type: ignore[call-overload]
    assert window.returncode == 0, window.stderr.decode("utf-8")
    assert b'"2022-12-24"' in window.stdout
    demo = subprocess.run([command, "demo", "--out", "demo-out"], **run)  # type: ignore[call-overload]
    assert demo.returncode == 0, demo.stderr.decode("utf-8")[-2000:]
    assert list((tmp_path / "demo-out" / "certificates").glob("*.pdf"))
