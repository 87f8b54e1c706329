"""run.py says clearly what is missing: an old Python, venv, disk, network; and does nothing twice."""

import builtins
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py as a module whose checkout is an empty directory."""
    spec = importlib.util.spec_from_file_location("run_under_test", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements", "venv"):
        (tmp_path / name).mkdir()
    (tmp_path / "requirements" / "test.lock").write_text("nothing\n")
    (tmp_path / "pyproject.toml").write_text("\n")
    monkeypatch.setattr(module, "HERE", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "requirements" / "test.lock"))
    monkeypatch.setattr(module, "STAMP", str(tmp_path / ".venv" / "stamp"))
    return module


def stopped(call: Callable[[], object], capsys: pytest.CaptureFixture[str], status: int = 4) -> str:
    with pytest.raises(SystemExit) as stop:
        call()
    assert stop.value.code == status
    return capsys.readouterr().err


def test_old_python_is_named(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 2))
    try:
        message = stopped(run.check_version, capsys)
    finally:
        monkeypatch.undo()
    assert "3.11" in message
    assert "3.9" in message
    assert "需要 Python" in message


@pytest.mark.parametrize(("missing", "said"), [("ensurepip", "python3-venv"), ("venv", "python3-venv"), ("ssl", "ssl")])
def test_missing_module_is_named(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str, said: str
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == missing:
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    assert said in stopped(run.check_modules, capsys)


def test_full_disk_is_named(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 2**20))
    message = stopped(run.check_disk, capsys)
    assert "磁盘空间不足" in message
    assert "5 MB are free" in message


def test_missing_network_is_named_and_leaves_no_half_environment(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake(command: list[str], **_: object) -> SimpleNamespace:
        if "venv" in command:
            Path(run.VENV).mkdir()
            return SimpleNamespace(returncode=0, stdout=b"")
        retry = b"WARNING: Retrying (Retry(total=4)) after connection broken\n"
        return SimpleNamespace(returncode=1, stdout=retry + retry + b"ERROR: no route to host")

    monkeypatch.setattr(run.subprocess, "run", fake)
    message = stopped(run.prepare, capsys)
    assert "网络" in message
    assert "no route to host" in message
    assert message.count("Retrying") == 1
    assert not Path(run.VENV).exists()


def test_ready_environment_is_left_alone(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(run.venv_python()).parent.mkdir(parents=True)
    Path(run.venv_python()).touch()
    Path(run.STAMP).write_text(run.stamp_text(), encoding="utf-8")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a ready environment needs no command")

    monkeypatch.setattr(run.subprocess, "run", refuse)
    run.prepare()


def test_changed_lock_makes_the_environment_anew(run: ModuleType) -> None:
    Path(run.venv_python()).parent.mkdir(parents=True)
    Path(run.venv_python()).touch()
    Path(run.STAMP).write_text(run.stamp_text(), encoding="utf-8")
    assert run.is_ready()
    Path(run.LOCK).write_text("something else\n")
    assert not run.is_ready()


def test_usage_without_a_command() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py")], capture_output=True, check=False)
    assert done.returncode == 2
    assert "python3 run.py demo | test" in done.stderr.decode("utf-8")
