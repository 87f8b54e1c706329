"""`mingzheng demo`: the whole life of a batch for three issuers, with the very commands a user would type.

Every case names its expected verdict before it is verified; any surprise makes the demo fail.
"""

import contextlib
import datetime
import io
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mingzheng.demo_data import ARCHITECTS, CONSTRUCTORS, SAFETY, Person, write_records

MARK = ".mingzheng-demo"
ORIGIN = "demo.mingzheng.example/log"
FOREIGN_ORIGIN = "demo.elsewhere.example/log"
CHINA = datetime.timezone(datetime.timedelta(hours=8))
OLD_DAYS = 200  # a copy of that age is past its 180 days
STALE_DAYS = 10  # trust data of that age is stale under policy site
FORGERIES = {
    "code": "真码的图片 picture of the genuine code",
    "tampered": "大桥改成小桥 one character changed",
    "unlogged": "去掉日志回执 its log receipt removed",
    "lookalike": "真码前加仿冒网址 a look-alike address in front",
}
SHOWN = 240  # characters of a command line
PURPOSE = "示范大桥项目投标"


class DemoError(Exception):
    """The demo cannot go on, or something in it came out otherwise than named beforehand."""

    code = "demo.failed"
    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One copy in both forms; `ofd` of an issuer elsewhere is its PDF."""

    pdf: Path
    ofd: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file, the trust data to check it with, and the verdict named beforehand."""

    title: str
    path: Path
    trust: str
    expected: str


class Stage:
    """The output directory and the commands run in it; each is shown the way a user would type it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.workspace = out / "workspace"
        self.passphrase = out / "passphrase.txt"
        self.now = datetime.datetime.now(CHINA)

    @property
    def today(self) -> datetime.date:
        """The civil day at UTC+08:00."""
        return self.now.date()

    def day(self, ago: int) -> str:
        """The day that many days ago."""
        return str(self.today - datetime.timedelta(days=ago))

    def run(self, *arguments: str | Path, status: int = 0, quiet: bool = False) -> str:
        """Run one command in this process, show it, and return what it printed; `quiet` drops its talk."""
        from mingzheng.cli import cli

        words = [str(word) for word in arguments]
        shown = " ".join(_shown(word.removeprefix(f"{self.out}{os.sep}")) for word in words)
        short = shown if len(shown) <= SHOWN else f"{shown[: SHOWN // 2]} … {shown[-SHOWN // 2 :]}"
        click.echo(click.style(f"$ mingzheng {short}", fg="cyan"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO() if quiet else sys.stderr):
            result = cli.main(words, standalone_mode=False)
        result = result if isinstance(result, int) else 0
        if result != status:
            click.echo(printed.getvalue())
            raise DemoError(f"the command ended with status {result}, not {status}: mingzheng {shown}")
        return printed.getvalue()

    def secret(self) -> tuple[str | Path, ...]:
        """The option that names the passphrase file."""
        return ("--passphrase-file", self.passphrase)

    def issue(self, name: str, people: Sequence[Person], *, days_ago: int = 0, where: Path | None = None) -> list[Pair]:
        """Write the records, issue usage copies, and return the files in the order of the records."""
        records = self.out / "records" / f"{name}.csv"
        write_records(records, people, body="1", today=self.today)
        arguments: list[str | Path] = ["issue", records, "--workspace", where or self.workspace]
        arguments += [
            "--out",
            self.out / ("cases" if where else "certificates"),
            "--copy",
            "usage",
            "--purpose",
            PURPOSE,
            "--format",
            "pdf" if where else "both",
            "--json",
        ]
        arguments += [*self.secret(), *(("--as-of", self.day(days_ago)) if days_ago else ())]
        rows = [json.loads(line) for line in self.run(*arguments).splitlines()]
        files = {row["row"]: _pair(row) for row in rows if row["type"] == "copy"}
        if len(files) != len(people):
            raise DemoError(f"{len(people)} records gave {len(files)} files")
        return [files[row] for row in sorted(files)]

    def act(self, command: str, person: Person, *, reason: str) -> None:
        """Revoke or suspend a registration."""
        which = ("--registration", person.registration_no, "--kind", person.kind)
        self.run(command, "--workspace", self.workspace, *which, "--reason", reason, "--yes", *self.secret())


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True,
              help="Where to write. 输出目录。")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an earlier demo there. 覆盖以前的演示。")
def demo(out: Path, force: bool) -> None:
    """Play the whole life of a batch for three issuers. 演示三个机构一批证书的一生。

    \b
    mingzheng demo
    mingzheng demo --out demo-out --force

    Leaves certificates, trust data, a log any tlog client can read, and reports. Everything in it is invented.
    """
    start = time.monotonic()
    stage = Stage(_fresh(out.resolve(), force))
    cases = _play(stage)
    surprises = _verify(stage, cases)
    _audit(stage)
    _say_results(stage.out)
    click.echo(f"{len(cases)} 例，{surprises} 例意外，{time.monotonic() - start:.0f} 秒 "
               f"(cases {len(cases)}, surprises {surprises})")  # fmt: skip
    if surprises:
        raise DemoError(f"{surprises} of {len(cases)} cases came out otherwise than named beforehand")


def _say_results(out: Path) -> None:
    click.echo(f"\n结果在 Results in {out}")
    click.echo("  certificates/  证书 certificates: PDF, OFD")
    click.echo("  cases/         扫描件、照片与伪造件 scans, photos, forgeries")
    click.echo("  trust/         信任数据 trust data")
    click.echo("  log/ log.vkey  公开日志及其公钥 the public log and its key")
    click.echo("  reports/       核验与审计报告 reports: zh, en, JSON")
    words = (sys.executable, "-m", "mingzheng", "verify", out / "certificates", "--trust", out / "trust")
    click.echo(f"再试 Try: {' '.join(_shown(str(word)) for word in words)} --policy site")


def _pair(row: dict[str, Any]) -> Pair:
    files = [Path(item["file"]) for item in row["files"]]
    return Pair(pdf=files[0], ofd=files[-1])


def _note(zh: str, en: str) -> None:
    click.echo(f"# {zh} {en}")


def _shown(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _fresh(out: Path, force: bool) -> Path:
    """An empty directory; an earlier demo is replaced only on request, anything else never."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (out / MARK).exists():
            raise click.UsageError(
                f"{out} 不是演示目录，不会覆盖；请用 --out 另选。 Not a demo directory, left alone; choose another."
            )
        if not force:
            raise click.UsageError(
                f"{out} 已有演示结果；加 --force 覆盖。 There is an earlier demo; add --force to replace it."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()
    passphrase = out / "passphrase.txt"
    passphrase.touch(mode=0o600)
    passphrase.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
    return out


def _play(stage: Stage) -> list[Case]:
    """Found the issuers, issue on three days, act; return the cases with their verdicts named."""
    click.echo("一、三个机构，一个日志 Three issuers, one log")
    _found(stage)
    click.echo("\n二、签发 Issue")
    constructor, expired_holder, revoked_holder = CONSTRUCTORS
    expired, stale = _old_copies(stage)
    _note("今天的三批：", "today's three batches:")
    good, fresh, revoked = stage.issue("constructors", [constructor, expired_holder, revoked_holder])
    architect, suspended = stage.issue("architects", ARCHITECTS)
    superseded = stage.issue("safety", [SAFETY[0]])[0]
    click.echo("\n三、换领、撤销、暂停 Re-issue, revoke, suspend")
    renewed = _reissue(stage, SAFETY[0])
    stage.act("revoke", revoked_holder, reason="演示：以欺骗手段取得注册")
    stage.act("suspend", ARCHITECTS[1], reason="演示：正在核查")
    _note("别处的机构，不在我们的信任数据里，也没有印章：", "an issuer elsewhere that our trust data do not know:")
    foreign = stage.issue("foreign", [SAFETY[0]], where=stage.out / "foreign-workspace")[0]
    _publish(stage)
    click.echo("\n五、伪造 Forge")
    made = _forge(stage, good.pdf) | _print(stage, good, architect)
    misused = _misuse_seals(stage, good, architect, renewed)
    return [
        *_both("一级建造师 good copy", good, "VALID"),
        *_both("一级建筑师，两枚印章 good copy, two seals", architect, "VALID"),
        *_both("安管人员 re-issued copy", renewed, "VALID"),
        *_both("再次下载 fresh copy beside an expired one", fresh, "VALID"),
        Case(title="二维码图片 picture of a good code", path=made["code"], trust="trust", expected="VALID_COMPARE"),
        Case(title="打印后扫描 scan of a print", path=made["scan"], trust="trust", expected="VALID_COMPARE"),
        Case(title="打印后拍照 photo of a print", path=made["photo"], trust="trust", expected="VALID_COMPARE"),
        *_both("超出使用时限 past its window", expired, "USAGE_EXPIRED"),
        *_both("已撤销 revoked", revoked, "REVOKED"),
        *_both("已暂停 suspended", suspended, "SUSPENDED"),
        *_both("已换领 superseded", superseded, "SUPERSEDED"),
        *_both("缺第二枚印章 second seal missing", misused["one_seal"], "SEAL_MISSING"),
        *_both("同一印章盖两次 same seal twice", misused["twice"], "SEAL_INVALID"),
        *_both("多出别的机关的印章 another body's seal added", misused["stranger"], "SEAL_WRONG_BODY"),
        *_both("盖章后改动 changed after sealing", misused["changed"], "FILE_CHANGED"),
        Case(title="改过一个字 one character changed", path=made["tampered"], trust="trust", expected="FORGED"),
        Case(title="悄悄签发 signed but not logged", path=made["unlogged"], trust="trust", expected="NOT_LOGGED"),
        Case(title="别处的机构 a foreign issuer", path=foreign.pdf, trust="trust", expected="UNKNOWN_ISSUER"),
        Case(title="仿冒网址 a look-alike address", path=made["lookalike"], trust="trust", expected="NOT_OUR_FORMAT"),
        Case(title="信任数据过旧 stale trust data", path=stale.pdf, trust="trust-old", expected="STALE"),
    ]


def _publish(stage: Stage) -> None:
    click.echo("\n四、信任数据与公开日志 Trust data and the public log")
    stage.run("trust", "export", stage.out / "trust", "--workspace", stage.workspace, *stage.secret())
    shutil.copytree(stage.workspace / "log" / "public", stage.out / "log")


def _old_copies(stage: Stage) -> tuple[Pair, Pair]:
    """A copy whose window is over, and one with the trust data of its own day."""
    _note(f"{OLD_DAYS} 天前的一份，如今已过使用时限：", f"a copy of {OLD_DAYS} days ago, past its window today:")
    expired = stage.issue("expired", [CONSTRUCTORS[1]], days_ago=OLD_DAYS)[0]
    _note(
        f"{STALE_DAYS} 天前的一份，连同当时的信任数据：",
        f"a copy of {STALE_DAYS} days ago, with the trust data of that day:",
    )
    stale = stage.issue("stale", [SAFETY[1]], days_ago=STALE_DAYS)[0]
    stage.run("trust", "export", stage.out / "trust-old", "--workspace", stage.workspace, *stage.secret(),
              "--as-of", stage.day(STALE_DAYS))  # fmt: skip
    return expired, stale


def _both(title: str, pair: Pair, expected: str) -> tuple[Case, Case]:
    """A case for each form of a copy."""
    return (
        Case(title=f"{title} PDF", path=pair.pdf, trust="trust", expected=expected),
        Case(title=f"{title} OFD", path=pair.ofd, trust="trust", expected=expected),
    )


def _found(stage: Stage) -> None:
    first = ("--issuer", "示范住房城乡建设部门", "--name-en", "Demo Ministry", "--kind", "cn.constructor.1")
    stage.run("init", "--workspace", stage.workspace, *first, "--origin", ORIGIN, "--demo",
              "--body", "1=示范住房城乡建设部门", *stage.secret())  # fmt: skip
    (stage.out / "log.vkey").write_text(_vkey(stage), encoding="ascii")
    for number, name, english, kind, place, second in (
        ("2", "示范注册建筑师管理委员会", "Demo Board of Architects", "cn.architect.1", "cn", ("--body", "2=范主任")),
        ("3", "示范省住房和城乡建设厅", "Demo Province", "cn.safety", "sn", ()),
    ):
        stage.run("issuer", "add", "--workspace", stage.workspace, "--number", number, "--name", name, "--name-en",
                  english, "--kind", kind, "--jurisdiction", place, "--body", f"1={name}", *second,
                  *stage.secret())  # fmt: skip
    _note("试用印章：一个 CA、一个制章人、每个机关一枚：", "trial seals: a CA, a maker, one for each body:")
    click.echo(stage.run("seal", "trial", "--workspace", stage.workspace, *stage.secret()).strip())
    stage.run("init", "--workspace", stage.out / "foreign-workspace", "--issuer", "别处的机构", "--origin",
              FOREIGN_ORIGIN, "--demo", "--kind", "cn.safety", "--jurisdiction", "sn", "--body", "1=别处的机构",
              *stage.secret())  # fmt: skip


def _vkey(stage: Stage) -> str:
    from mingzheng.issuer.config import parse_config
    from mingzheng.issuer.workspace import log_vkey

    return log_vkey(parse_config((stage.workspace / "mingzheng.toml").read_bytes())) + "\n"


def _reissue(stage: Stage, person: Person) -> Pair:
    which = ("--registration", person.registration_no, "--kind", person.kind)
    printed = stage.run("reissue", "--workspace", stage.workspace, *which, "--out", stage.out / "certificates",
                        "--copy", "usage", "--purpose", PURPOSE, "--format", "both", "--reason", "演示：换领新版",
                        "--yes", "--json",
                        *stage.secret())  # fmt: skip
    return next(_pair(row) for row in map(json.loads, printed.splitlines()) if "file" in row)


def _forge(stage: Stage, good: Path) -> dict[str, Path]:
    """Pictures of codes: the genuine one, one character changed, its receipt removed, an address in front."""
    from mingzheng.formats.candidate import Source
    from mingzheng.formats.credential import detach_receipt
    from mingzheng.formats.extract import extract
    from mingzheng.formats.limits import LIMITS_DEFAULT
    from mingzheng.formats.qrimage import encode_qr, matrix_to_png
    from mingzheng.formats.qrtext import to_digits

    found = extract(good.read_bytes(), limits=LIMITS_DEFAULT)
    token = next(c.data for c in found.candidates if c.source is Source.ATTACHMENT and c.data is not None)
    changed = token.replace("大桥".encode(), "小桥".encode())
    if changed == token:
        raise DemoError("the purpose is not in the credential, nothing to tamper with")
    unlogged, _receipt = detach_receipt(token)
    codes = {
        "code": encode_qr(to_digits(token)),
        "tampered": encode_qr(to_digits(changed)),
        "unlogged": encode_qr(to_digits(unlogged)),
        "lookalike": encode_qr(to_digits(token), "https://zhujianbu-chaxun.example/v#"),
    }
    folder = stage.out / "cases"
    folder.mkdir(exist_ok=True)
    for name, matrix in codes.items():
        (folder / f"{name}.png").write_bytes(matrix_to_png(matrix, 4))
        click.echo(f"  cases/{name + '.png':<14} {FORGERIES[name]}")
    return {name: folder / f"{name}.png" for name in codes}


def _print(stage: Stage, good: Pair, architect: Pair) -> dict[str, Path]:
    """A scan of one print and a photo of another."""
    from mingzheng.demo_files import photo_jpeg, scan_png

    made = {"scan": stage.out / "cases" / "scan.png", "photo": stage.out / "cases" / "photo.jpg"}
    made["scan"].write_bytes(scan_png(good.pdf.read_bytes()))
    made["photo"].write_bytes(photo_jpeg(architect.pdf.read_bytes()))
    click.echo("  cases/scan.png       打印后扫描 a print, scanned")
    click.echo("  cases/photo.jpg      打印后拍照 a print, photographed")
    return made


def _misuse_seals(stage: Stage, good: Pair, architect: Pair, safety: Pair) -> dict[str, Pair]:
    """Seals that the rules do not allow, and files changed after sealing."""
    from mingzheng.demo_files import change_in_ofd, cover_in_pdf, sealed_otherwise
    from mingzheng.issuer.options import open_workspace
    from mingzheng.issuer.schema import FileForm

    wrong = {
        "one_seal": (architect, [(2, 1)], "缺第二枚印章 the second seal missing"),
        "twice": (architect, [(2, 1), (2, 1)], "同一印章盖两次 the same seal twice"),
        "stranger": (safety, [(3, 1), (1, 1)], "多出别的机关的印章 another body's seal added"),
    }
    made, folder = {}, stage.out / "cases"
    with open_workspace(stage.workspace, {"passphrase_file": stage.passphrase}) as workspace:
        rows = {file.name: row for row in workspace.ledger.all_copies() for file in row.files}
        for name, (pair, bodies, words) in wrong.items():
            files = sealed_otherwise(workspace, rows[pair.pdf.name], bodies, now=int(time.time()))
            made[name] = _save_pair(folder, name, files[FileForm.PDF], files[FileForm.OFD], words)
    pdf, ofd = cover_in_pdf(good.pdf.read_bytes()), change_in_ofd(good.ofd.read_bytes(), "大桥", "小桥")
    made["changed"] = _save_pair(folder, "changed", pdf, ofd, "盖章后改动 changed after sealing")
    return made


def _save_pair(folder: Path, name: str, pdf: bytes, ofd: bytes, words: str) -> Pair:
    pair = Pair(pdf=folder / f"{name}.pdf", ofd=folder / f"{name}.ofd")
    pair.pdf.write_bytes(pdf)
    pair.ofd.write_bytes(ofd)
    click.echo(f"  cases/{name + '.*':<14} {words}")
    return pair


def _verify(stage: Stage, cases: Sequence[Case]) -> int:
    """Check every case under policy site; write the reports; return how many came out otherwise."""
    click.echo("\n六、离线核验 Verify offline (--policy site)")
    reports = stage.out / "reports"
    reports.mkdir()
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for trust in dict.fromkeys(case.trust for case in cases):
        paths = [case.path for case in cases if case.trust == trust]
        common: tuple[str | Path, ...] = ("verify", *paths, "--trust", stage.out / trust, "--policy", "site")
        status = 1 if trust == "trust" else 3
        printed = stage.run(*common, "--json", status=status)
        (reports / f"{trust}.ndjson").write_text(printed, encoding="utf-8")
        told = {case.expected: case.path for case in reversed(cases) if case.trust == trust}  # one of each verdict
        for language in ("zh", "en"):
            words: tuple[str | Path, ...] = ("verify", *told.values(), *common[1 + len(paths) :])
            text = stage.run(*words, "--lang", language, "--full", status=status, quiet=True)
            (reports / f"{trust}.{language}.txt").write_text(text, encoding="utf-8")
        for row in map(json.loads, printed.splitlines()):
            rows[trust, str(Path(row["file"]).resolve())] = row
    surprises = 0
    click.echo()
    for case in cases:
        row = rows.get((case.trust, str(case.path.resolve())), {"verdict": "no row"})
        good = row["verdict"] == case.expected
        surprises += not good
        click.echo(
            f"{'✓' if good else '✗'} {row['verdict']!s:<16}{'' if good else f' (≠ {case.expected})'} {case.title}"
        )
    return surprises


def _audit(stage: Stage) -> None:
    """Follow the log as an outsider: once with its key alone, once with the trust data."""
    click.echo("\n七、外人审计日志 An outsider audits the log")
    state = stage.out / "reports" / "audit-state.json"
    stage.run("log", "audit", stage.out / "log", "--vkey", stage.out / "log.vkey")
    printed = stage.run("log", "audit", stage.out / "log", "--trust", stage.out / "trust", "--state", state)
    (stage.out / "reports" / "audit.txt").write_text(printed, encoding="utf-8")
    click.echo(printed.strip())
