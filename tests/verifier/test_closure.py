"""What the check of a QR text loads: pure modules of ours, no library for PDF, pictures, servers or TUF."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from simulator import World

from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.keys.snapshot import save_store

HEAVY = (
    "pyhanko",
    "sanic",
    "tuf",
    "PIL",
    "pypdfium2",
    "zxingcpp",
    "pyzbar",
    "uharfbuzz",
    "rich",
    "sqlite3",
    "asn1crypto",
)
EFFECTFUL = ("extract", "qrimage", "snapshot", "sequencer", "store", "client", "cli", "library", "compose", "custody")


def loaded(statement: str, *arguments: str) -> set[str]:
    """The modules a fresh interpreter holds after a statement."""
    program = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_verify_text_loads_nothing_heavy_and_no_effectful_module_of_ours() -> None:
    modules = loaded(
        "from mingzheng.verifier.pipeline import verify_text; from mingzheng.verifier.report import Report"
    )
    assert not [name for name in modules if name.split(".")[0] in HEAVY]
    ours = [name.removeprefix("mingzheng.") for name in modules if name.startswith("mingzheng.")]
    assert not [name for name in ours if name.rpartition(".")[2] in EFFECTFUL]
    assert not [name for name in ours if name.startswith("issuer")]


def _run(*words: str) -> str:
    return f"""
from mingzheng.verifier.cli import verify
try:
    verify.main({list(words)!r}, standalone_mode=False)
except SystemExit:
    pass"""


def test_the_command_on_a_text_loads_no_picture_library(tmp_path: Path) -> None:
    world = World()
    issued = world.issue_one()
    world.publish_status()
    save_store(tmp_path / "trust", world.trust_files())
    (tmp_path / "code.txt").write_text(issued.text)
    statement = f"exec({_run(str(tmp_path / 'code.txt'), '--trust', str(tmp_path / 'trust'))!r})"
    assert not {name.split(".")[0] for name in loaded(statement)} & set(HEAVY)


@pytest.mark.parametrize("heavy", ["pyhanko", "sanic", "tuf", "pypdfium2"])
def test_a_qr_picture_loads_no_pdf_library(tmp_path: Path, heavy: str) -> None:
    world = World()
    issued = world.issue_one()
    world.publish_status()
    save_store(tmp_path / "trust", world.trust_files())
    picture = tmp_path / "code.png"
    picture.write_bytes(matrix_to_png(encode_qr(issued.text), 4))
    statement = f"exec({_judge(tmp_path / 'trust', picture)!r})"
    modules = {name.split(".")[0] for name in loaded(statement)}
    assert heavy not in modules
    assert "zxingcpp" in modules


def _judge(trust: Path, picture: Path) -> str:
    """What a worker process does with one file, in this process."""
    return f"""
import time
from pathlib import Path
from mingzheng.verifier.bulk import Recipe, judge_file
from mingzheng.verifier.context import Expectations
recipe = Recipe(trust=Path({str(trust)!r}), now=int(time.time()), at=None, policy="site", expect=Expectations())
(report,) = judge_file(Path({str(picture)!r}).read_bytes(), recipe.build(), "code.png")
assert report.subject is not None"""
