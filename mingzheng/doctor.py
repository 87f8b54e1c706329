"""`mingzheng doctor`: what is installed, what is missing, and what that means for a person."""

import datetime
import importlib
import importlib.metadata
import json
import platform
import shutil
import sqlite3
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from mingzheng import __version__
from mingzheng.formats.civil import day_of_time

MIN_FREE_MIB = 200
EARLIEST_YEAR = 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report. `level`: ok, optional (missing, something is not possible), bad (nothing works)."""

    name: str
    level: str
    found: str
    zh: str
    en: str


def library(module: str, package: str, *, zh: str, en: str, needed: bool = False) -> Check:
    """Whether a library imports, and its version."""
    try:
        importlib.import_module(module)
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # an ImportError too: it comes first
        found = "present"
    except ImportError as error:
        reason = (str(error).splitlines() or ["?"])[0][:80]
        level = "bad" if needed else "optional"
        return Check(name=package, level=level, found=f"missing: {reason}", zh=zh, en=en)
    return Check(name=package, level="ok", found=found, zh=zh, en=en)


def checks(now: datetime.datetime, where: Path) -> list[Check]:
    """Every check, in the order a person would mend them. Reads nothing but versions, free space and the clock."""
    free = shutil.disk_usage(where).free // 2**20
    sqlite_ok = sqlite3.sqlite_version_info >= (3, 31)
    return [
        Check(
            name="python",
            level="ok" if sys.version_info >= (3, 11) else "bad",
            found=platform.python_version(),
            zh="需要 3.11 或更新",
            en="3.11 or newer is needed",
        ),
        library("cryptography", "cryptography", zh="签名与验签", en="signatures", needed=True),
        _sm2(),
        _ml_dsa(),
        library("click", "click", zh="命令行", en="command line", needed=True),
        Check(
            name="sqlite",
            level="ok" if sqlite_ok else "bad",
            found=sqlite3.sqlite_version,
            zh="台账与日志",
            en="ledger and log",
        ),
        library("zxingcpp", "zxing-cpp", zh="读取、生成二维码", en="reads and writes QR codes"),
        library("PIL", "pillow", zh="读取照片", en="reads photos"),
        library("pypdfium2", "pypdfium2", zh="读取 PDF", en="reads PDF"),
        library("pyhanko", "pyHanko", zh="核验别处生成的盖章 PDF", en="judges sealed PDF made elsewhere"),
        library("uharfbuzz", "uharfbuzz", zh="签发 PDF（字体子集）", en="issues PDF (font subsets)"),
        library("openpyxl", "openpyxl", zh="读取 Excel 记录（.xlsx）", en="reads records from Excel (.xlsx)"),
        library("pkcs11", "python-pkcs11", zh="令牌里的印章密钥（可选）", en="seal keys in tokens (optional)"),
        library("psycopg", "psycopg", zh="数据库里的日志（可选）", en="logs in a database server (optional)"),
        library("tuf.ngclient", "tuf", zh="更新、发布签名的信任数据", en="updates and publishes signed trust data"),
        library("pyzbar.pyzbar", "pyzbar", zh="第二个二维码识别器（可选）", en="second QR reader (optional)"),
        library("sanic", "sanic", zh="见证方与日志的服务（可选）", en="serves witnesses and logs (optional)"),
        library("rich", "rich", zh="终端进度显示（可选）", en="progress on a terminal (optional)"),
        _font(),
        Check(
            name="disk",
            level="ok" if free >= MIN_FREE_MIB else "bad",
            found=f"{free} MiB free",
            zh=f"至少 {MIN_FREE_MIB} MiB",
            en=f"at least {MIN_FREE_MIB} MiB",
        ),
        Check(
            name="clock",
            level="ok" if now.year >= EARLIEST_YEAR else "bad",
            found=now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            zh="时钟不对会得到 CLOCK_SUSPECT",
            en="a wrong clock gives CLOCK_SUSPECT",
        ),
    ]


def _sm2() -> Check:
    """Which library does SM2; without `cryptography` none does."""
    try:
        backend = importlib.import_module("mingzheng.keys.sm2backend")
        signs, found = backend.can_sign(), backend.backend_name()
    except ImportError:
        signs, found = False, "missing"
    zh, en = "国密 SM2 验签与签章", "SM2 seals and signatures"
    if not signs:
        zh, en = (
            "国密 SM2 只能验签（较慢）；签章需要 OpenSSL 3",
            "SM2 is verified only (slower); signing needs OpenSSL 3",
        )
    return Check(name="sm2", level="ok" if signs else "optional", found=found, zh=zh, en=en)


def _ml_dsa() -> Check:
    """Whether `cryptography` knows ML-DSA-44: witnesses may sign with it."""
    try:
        there = bool(importlib.import_module("mingzheng.keys.mldsa").available())
    except ImportError:
        there = False
    return Check(
        name="ml-dsa-44",
        level="ok" if there else "optional",
        found="present" if there else "missing: a newer cryptography has it",
        zh="后量子的见证签名",
        en="post-quantum cosignatures of witnesses",
    )


def _font() -> Check:
    folder = Path(__file__).resolve().parent.parent / "formats" / "fonts"
    installed = Path(__file__).resolve().parent / "formats" / "fonts"
    fonts = sorted(f.name for base in (folder, installed) if base.is_dir() for f in base.glob("*.ttf"))
    return Check(
        name="font",
        level="ok" if fonts else "optional",
        found=", ".join(dict.fromkeys(fonts)) or "missing",
        zh="证书字体（生僻字见工作区 fonts/fallback.ttf）",
        en="certificate font (rare characters: the workspace's fonts/fallback.ttf)",
    )


def persons(workspace: Path, day: int) -> list[Check]:
    """For each issuer of a workspace: whether one person can revoke alone."""
    from mingzheng.issuer.config import parse_config  # only where a workspace is named
    from mingzheng.issuer.showdesk import persons_lines

    config = parse_config((workspace / "mingzheng.toml").read_bytes())
    lines = list(zip(persons_lines(config, day, "zh"), persons_lines(config, day, "en"), strict=True))
    if not lines:
        return [Check(name="operators", level="ok", found="two or more", zh="撤销须两人", en="two persons revoke")]
    return [Check(name="operators", level="optional", found="fewer than two", zh=zh, en=en) for zh, en in lines]


@click.command()
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Also look at it. 一并查看工作区。",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line. 每行一个 JSON。")
def doctor(as_json: bool, workspace: Path | None) -> None:
    """Say what is installed and what is missing. 检查运行环境，说明缺什么。

    \b
    mingzheng doctor
    mingzheng doctor --json
    mingzheng doctor --workspace W
    """
    now = datetime.datetime.now(datetime.UTC)
    rows = checks(now, Path.cwd())
    if workspace is not None and (workspace / "mingzheng.toml").is_file():
        rows += persons(workspace, day_of_time(int(now.timestamp())))
    if as_json:
        for row in rows:
            click.echo(json.dumps(asdict(row), ensure_ascii=False))
    else:
        marks = {"ok": "✓", "optional": "–", "bad": "✗"}
        click.echo(f"mingzheng {__version__} · {platform.platform()}")
        for row in rows:
            click.echo(f"{marks[row.level]} {row.name:<14}{row.found:<34} {row.zh} · {row.en}")
    bad = [row.name for row in rows if row.level == "bad"]
    if bad:
        click.echo(f"不能运行，请先修好 (mend first): {', '.join(bad)}", err=True)
        click.get_current_context().exit(4)
