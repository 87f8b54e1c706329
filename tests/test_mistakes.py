"""The commonest mistakes of clerks, holders and verifiers: what is typed, and every word of the answer.

tests/golden/mistakes.txt has command, exit status and answer; `MINGZHENG_GOLDEN=1` writes it anew, to be read aloud.
Each answer says what, where and what to do next, in both languages, and nowhere is there a traceback.
"""

import getpass
import os
import re
import shlex
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Told, change, run, sit_down
from office import NOW

from mingzheng.issuer.options import Secret, access_of
from mingzheng.issuer.workspace import Access, Workspace

GOLDEN = Path(__file__).resolve().parent / "golden" / "mistakes.txt"
NUMBER = "沪2312006200712345"
ABOUT = f"--workspace W --registration {NUMBER} --kind cn.constructor.2"
ALONE = "--workspace W --out out --copy usage --purpose 投标 --passphrase-file pass.txt"
ISSUE = f"{ALONE} --operator 张三 --operator-passphrase-file zhang.txt"
ZHANG = "--operator 张三 --operator-passphrase-file zhang.txt --passphrase-file pass.txt"
LI = "--operator 李四 --operator-passphrase-file li.txt --passphrase-file pass.txt"

# What is typed, in this order: what one leaves, the next may meet.
MISTAKES = (
    # records
    *(f"records check {name}.csv --lang en" for name in ("empty", "wrong-kind", "wrong-date", "no-photo", "twice")),
    "records check missing.csv",
    "records check photos/1.jpg",
    "records check photos",
    "records check empty.csv",
    "records check wrong-kind.csv",
    "records check wrong-region.csv --lang en",
    "records check wrong-date.csv",
    "records check no-photo.csv",
    "records check twice.csv",
    "records check no-header.csv --lang en",
    "records template --kind cn.constructer.2",
    "rules window --kind cn.constructor.2 --jurisdiction 99 --download 2026-06-01",
    # issuing
    f"issue missing.csv {ISSUE}",
    "issue good.csv --workspace W --out out",
    "issue good.csv --workspace W --out out --copy usages",
    f"issue good.csv {ISSUE.replace('--workspace W', '--workspace nowhere')}",
    f"issue good.csv {ISSUE.replace('pass.txt', 'nowhere.txt')}",
    f"issue good.csv {ISSUE.replace('-file pass.txt', '-file zhang.txt')}",
    f"issue good.csv {ISSUE.replace('pass.txt', 'open.txt')}",
    f"issue good.csv {ISSUE.replace(' --passphrase-file pass.txt', '')}",
    f"issue good.csv {ALONE}",
    f"issue good.csv {ISSUE.replace('zhang.txt', 'li.txt')}",
    f"issue ended.csv {ISSUE}",
    f"issue ended.csv {ISSUE} --skip-faulty --lang en",
    f"issue closed.csv {ISSUE} --lang en",
    f"issue elsewhere.csv {ISSUE}",
    f"issue good.csv {ISSUE} --as-of 2026-13-01",
    f"issue good.csv {ISSUE.replace('usage', 'approval')}",
    # acts
    f"revoke {ABOUT.replace('12345', '99999')} --reason 挂证 --yes {ZHANG}",
    f"revoke {ABOUT} --yes {ZHANG}",
    f"revoke {ABOUT} --reason 挂证 --yes --passphrase-file pass.txt",
    f"revoke {ABOUT} --reason 挂证 --yes {ZHANG.replace('张三', '王五')}",
    f"revoke {ABOUT} --reason 挂证 --yes {ZHANG.replace('zhang.txt', 'li.txt')}",
    f"revoke {ABOUT} --reason 挂证 --yes {ZHANG}",
    f"approve REQUEST --workspace W --yes {ZHANG}",
    f"approve 0123456789abcdef --workspace W --yes {LI}",
    f"approve REQUEST --workspace W --yes {LI}",
    f"approve REQUEST --workspace W --yes {LI}",
    f"reinstate {ABOUT} --reason 更正 --yes {ZHANG}",
    f"issue good.csv {ISSUE}",
    "operator add 张三 --workspace W --issuer 1 --operator-passphrase-file zhang.txt --passphrase-file pass.txt",
    "init --workspace W --issuer 示范厅 --origin demo.example/log --demo --passphrase-file pass.txt",
    "init --workspace X --issuer 示范厅 --origin log.example/1 --operator 张三 --passphrase-file pass.txt",
    "seal trial --workspace nowhere --passphrase-file pass.txt",
    # keeping
    "backup --workspace W --to backup.tar",
    "backup --workspace W --to backup.tar",
    "restore good.csv --workspace V",
    "restore backup.tar --workspace V",
    f"issue good.csv {ISSUE.replace('--workspace W', '--workspace V')}",
    f"ledger forget {ABOUT.replace('12345', '12399')} --reason 申请 --yes",
    "FULL",
    "BUSY",
    # verifying
    "verify cert.pdf --trust nowhere",
    "verify missing.pdf --trust trust",
    "verify cert.pdf",
    "verify empty.csv --trust trust --policy site",
    "verify photos/1.jpg --trust trust --policy site --lang en",
    "verify cert.pdf --trust other --policy site",
    "verify cert.pdf --trust trust --policy bid --at 2026-06-08",
    "verify cert.pdf --trust trust --policy sight",
    "verify cert.pdf --trust trust --trust-fingerprint 1234",
    "verify broken.pdf --trust trust --policy site",
    "verifi cert.pdf",
    "log audit nowhere --trust trust --state a.json",
    "log prove --workspace W --serial 99",
    # days later
    "LATER verify cert.pdf --trust trust --policy site",
    "LATER verify cert.pdf --trust trust --policy site --lang en",
    f"revoke {ABOUT.replace('12345', '12346')} --reason 挂证 --yes {ZHANG}",
    f"approve REQUEST --workspace W --yes --as-of 2026-06-20 {LI}",
    f"issue good.csv {ISSUE} --as-of 2026-06-02",
)


def _records() -> None:
    Path("sample.csv").write_bytes(run("records", "template", "--kind", "cn.constructor.2").raw)
    wrong = {
        "good": {},
        "wrong-kind": {"证书种类": "cn.constructer.2"},
        "wrong-region": {"地区": "99"},
        "wrong-date": {"出生日期": "2/3/85"},
        "no-photo": {"照片": "photos/2.jpg"},
        "ended": {"注册有效期至": "2026-05-31"},
        "closed": {"注册专业": "建筑工程:2024-01-01:2026-05-31"},
        "elsewhere": {"地区": "21", "注册编号": "辽2212006200712345"},
    }
    for name, cells in wrong.items():
        change(Path("sample.csv"), Path(f"{name}.csv"), cells)
    change(Path("sample.csv"), Path("twice.csv"), {}, {})
    change(Path("sample.csv"), Path("second.csv"), {"注册编号": NUMBER.replace("12345", "12346")})
    Path("empty.csv").write_bytes(b"")
    Path("no-header.csv").write_text("王小明,男,1985-03-03\n", encoding="utf-8")
    Path("open.txt").write_text("workspace passphrase\n", encoding="utf-8")
    Path("open.txt").chmod(0o644)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        sit_down(base, patch)
        patch.setattr(getpass, "getpass", _no_terminal)
        _records()
        for workspace in ("W", "other-workspace"):
            told = run(*shlex.split(
                f"init --workspace {workspace} --issuer 示范厅 --origin demo.example/{workspace} --demo "
                "--kind cn.constructor.2 --jurisdiction sh --operator 张三 --operator 李四 --passphrase-file pass.txt "
                "--operator-passphrase-file zhang.txt --operator-passphrase-file li.txt"
            ))  # fmt: skip
            assert told.status == 0, told.err
        for records in ("good.csv", "second.csv"):  # one by one: serials are drawn at random over a file
            assert run("issue", records, *shlex.split(ISSUE)).status == 0
        for workspace, trust in (("W", "trust"), ("other-workspace", "other")):
            assert run("trust", "export", "--workspace", workspace, "--passphrase-file", "pass.txt", trust).status == 0
        made = sorted(Path("out").glob("*.pdf"))[0]
        shutil.copy(made, "cert.pdf")
        Path("broken.pdf").write_bytes(made.read_bytes()[:4000])
        yield base


def _no_terminal(prompt: str) -> str:
    raise EOFError


def _type(line: str, monkeypatch: pytest.MonkeyPatch) -> Told:
    if line in ("FULL", "BUSY"):
        return _stopped(line, monkeypatch)
    if line.startswith("LATER "):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: float(NOW + 8 * 86_400))
            return run(*shlex.split(line)[1:])
    if "REQUEST" in line:
        line = line.replace("REQUEST", _request())
    return run(*shlex.split(line))


def _request() -> str:
    with sqlite3.connect("W/ledger.sqlite") as database:
        found = dict(database.execute("SELECT state, id FROM request").fetchall())
    return bytes(found.get("open") or found["done"]).hex()


def _stopped(what: str, monkeypatch: pytest.MonkeyPatch) -> Told:
    """A full disk, and a second command in the same workspace."""
    if what == "FULL":
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _full)
            return run(*shlex.split("backup --workspace W --to full.tar"))
    with Workspace.open(Path("W"), _access()):
        return run("issue", "good.csv", *shlex.split(ISSUE))


def _access() -> Access:
    return access_of(Secret(file=Path("pass.txt"), fd=None))


def _full(_: int) -> None:
    raise OSError(28, "No space left on device", "full.tar")


def _plain(told: Told, base: Path) -> str:
    """The answer without what differs each time: this directory, ids, fingerprints, times of files."""
    text = told.out + told.err
    text = text.replace(str(base), "DESK")
    text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "ID", text)
    text = re.sub(r"[0-9a-f]{16}…", "ID…", text)
    text = re.sub(r"[0-9a-f]{20,}(?:\n\s+[0-9a-f]{20,})+", "DIGEST", text)
    text = re.sub(r"\d+ 个文件，\d+ 字节", "N 个文件", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_every_mistake_is_answered_as_it_was_read_aloud(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(desk, monkeypatch, now=NOW)
    monkeypatch.setattr(getpass, "getpass", _no_terminal)
    said = []
    for line in MISTAKES:
        told = _type(line, monkeypatch)
        assert told.status != 70, (line, told.err)
        assert "Traceback" not in told.err + told.out
        said.append(f"$ mingzheng {line}\n{_plain(told, desk)}\n→ {told.status}\n")
    text = "\n".join(said)
    if os.environ.get("MINGZHENG_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
