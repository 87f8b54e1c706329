"""Every act of the desk as the command that a person types, in one office, and what the office holds afterwards.

The office stays in its place: `put_back` restores every file but those that say which directory the log was made in, so
a command can be run, killed and starved of room over and over, each time from the same state.
"""

import contextlib
import csv
import importlib
import io
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import thief
from crashpoints import Outcome, Report, Stop, run
from holderpress import HolderCa, signed_pdf
from ledgerhistory import take_back
from office import CONSTRUCTORS, DAY, NOW, SeededSealVault, SeededVault, person, picture, table
from operatoroffice import NAMES, OperatorOffice, operator_office, passphrase
from outsideca import OutsideCa

import mingzheng.issuer.options as options
import mingzheng.issuer.workspace as workspaces
from mingzheng.cli import COMMANDS, main
from mingzheng.formats.civil import format_day
from mingzheng.formats.library import load_shipped_profiles, read_shipped_profiles
from mingzheng.formats.profile import ProfileSet, parse_profiles
from mingzheng.issuer.config import WorkspaceConfig, parse_config
from mingzheng.issuer.journal import faults_of, parse_deed
from mingzheng.issuer.keywork import compromise_key
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.schema import SCHEMA_VERSION
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import parse_entry
from mingzheng.log.fsck import fsck

Words = tuple[str, ...]

NO = person(1)["registration_no"]
KIND = "cn.constructor.1"
ONE = ("--registration", NO, "--kind", KIND)
WHY = ("--reason", "因故", "--yes")
HOLDERS = HolderCa()
MADE_IN = "instance"  # of a log: by inode and change time, which no copy keeps
_RANDOM = re.compile(r"[0-9a-f]{12,}|-[0-9a-f]{8,}")
_NUMBERED = re.compile(r"(?<=generations)/[0-9]+")
_CRYPTO = frozenset({"kid", "signature", "request", "commitment", "hash", "digest", "subject_kid", "sizes", "root"})
_OF_ROUNDS = frozenset({"TimeEntry", "FillerEntry"})
_SAID_AGAIN = frozenset({"StatusEntry", "LandmarkEntry"})  # how things stand: said twice it is true twice
_MASKED = frozenset(
    (
        *("key", "request", "record", "claims", "signed", "receipt", "proof", "sha256", "entry", "seal"),
        *("salt", "digest", "list", "id", "body", "batch", "covered"),
    )
)


@cache
def _parsed(files: tuple[tuple[str, bytes], ...]) -> ProfileSet:
    return parse_profiles(dict(files))


def parse_once(files: Mapping[str, bytes]) -> ProfileSet:
    """As the workspace reads its rules, but once for all children: it takes longer than most acts."""
    return _parsed(tuple(files.items()))


def by(name: str, base: Path) -> Words:
    return ("--operator", name, "--operator-passphrase-file", str(base / name))


@dataclass(frozen=True)
class Act:
    """What is typed; `before` what was typed earlier. `again`: how the same command is refused once it is done."""

    name: str
    words: Words
    before: tuple[Words, ...] = ()
    status: int = 0
    dear: bool = False  # composes pages: a point less by default
    again: str = ""  # code of the refusal, if it is one
    twice: str = ""  # of the journal: a row that a kill leaves, and the same command makes another
    prepare: Callable[[Path], None] | None = None
    where: str = "W"
    leftovers: tuple[str, ...] = field(default=("keys/", "seals/"))  # where a kill may leave unused files


class Desk:
    """The office of the acts: two operators, two persons with a copy each, trial seals."""

    def __init__(self, base: Path) -> None:
        self.base, self.typed = base, 0
        load_shipped_profiles()
        parse_once(read_shipped_profiles())
        for module, _line in COMMANDS.values():  # once, not in every child
            importlib.import_module(module.partition(":")[0])
        self.office: OperatorOffice = operator_office(base)
        self.office.with_seals("both")
        for name in NAMES:
            (base / name).write_bytes(passphrase(name))
            (base / name).chmod(0o600)
        (base / "王五").write_bytes(passphrase("王五"))
        (base / "王五").chmod(0o600)
        (base / "records.csv").write_bytes(table([person(3)]))
        (base / "faulty.csv").write_bytes(table([person(3), person(4, sex="?")]))
        (base / "photo.png").write_bytes(picture(300, 420))
        (base / "holder-ca.cer").write_bytes(HOLDERS.root)
        (base / "application.pdf").write_bytes(signed_pdf(HOLDERS.holder()))

    def type_it(
        self, words: Words, *, kill_at: int | None = None, stop: tuple[Stop, int] | None = None, now: int = NOW + 60
    ) -> "Typed":
        """Run the command in a child; points are counted from its first word."""

        self.typed += 1  # real keys never come twice
        seed = f"typed {self.typed}"
        access = replace(self.office.access, vault=SeededVault(seed), seal_vault=SeededSealVault(seed))

        def child(report: Report) -> None:
            os.chdir(self.base)
            options.access_of = lambda _secret: access  # type: ignore[assignment]
            for module in ("mingzheng.issuer.cli", "mingzheng.issuer.keep_cli"):
                if module in sys.modules and hasattr(sys.modules[module], "access_of"):
                    sys.modules[module].access_of = options.access_of  # type: ignore[attr-defined]
            workspaces.parse_profiles = parse_once
            time.time = lambda: float(now)
            sys.argv = ["mingzheng", *words]
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main()
                except SystemExit as end:
                    code = end.code
            report([code, out.getvalue(), err.getvalue()])

        return Typed(words=words, outcome=run(child, kill_at=kill_at, stop=stop, files=True))

    def must(self, words: Words, status: int = 0) -> None:
        typed = self.type_it(words)
        assert typed.status == status, (words, typed.said)

    # the office's files

    def keep(self) -> dict[Path, tuple[bytes, int] | None]:
        """Every file with its mode, None for a directory."""
        return {
            path: None if path.is_dir() else (path.read_bytes(), path.stat().st_mode)
            for path in sorted(self.base.rglob("*"))
        }

    def put_back(self, kept: dict[Path, tuple[bytes, int] | None]) -> None:
        for path in sorted(self.base.rglob("*"), reverse=True):
            if path not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, was in kept.items():
            if was is None:
                path.mkdir(exist_ok=True)
            elif path.name != MADE_IN and (not path.is_file() or path.read_bytes() != was[0]):
                path.write_bytes(was[0])
                path.chmod(was[1])

    # what it holds

    def config(self, where: str = "W") -> WorkspaceConfig:
        return parse_config((self.base / where / "mingzheng.toml").read_bytes())

    def world(self, where: str = "W") -> dict[str, Any]:
        """Ledger, journal, log, settings and names of files, without what is random; the auditor's own faults."""
        root = self.base / where
        found: dict[str, Any] = {"files": self._names()}
        found |= {"settings": _settings(self.config(where)), "log": _logs(root, self.config(where))}
        found["ledger"] = _rows(root / "ledger.sqlite")
        with Ledger.open(root / "ledger.sqlite") as ledger:
            desk = ledger.desk
            assert faults_of(desk.journal(), desk.told(), desk.journal_starts()) == ()
            deeds = [parse_deed(row.body) for row in desk.journal()]
            assert not ledger.unlogged()
            assert not ledger.unlogged_acts()
            for spec in self.config(where).issuers:
                numbers = [_number(row.entry) for row in ledger.notices(spec.number)]
                assert numbers == list(range(1, len(numbers) + 1))
        found["journal"] = [
            (deed.what, deed.time, deed.issuer, deed.count, deed.serials.hex(), deed.acts, deed.operators)
            for deed in deeds
        ]
        return found

    def _names(self) -> list[str]:
        paths = (path.relative_to(self.base) for path in self.base.rglob("*"))
        names = [
            _NUMBERED.sub("/#", _RANDOM.sub("#", str(path)))
            for path in paths
            if not {"tile", "memory"}.intersection(path.parts)
        ]
        return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


@dataclass(frozen=True)
class Typed:
    """A command that was typed: what it said, unless it was killed."""

    words: Words
    outcome: Outcome

    @property
    def points(self) -> int:
        return len(self.outcome.points)

    @property
    def status(self) -> object:
        return self.outcome.reports[0][0]

    @property
    def said(self) -> str:
        return str(self.outcome.reports[0][2])


def _settings(config: WorkspaceConfig) -> dict[str, Any]:
    return {
        "keys": sorted((str(key.role), key.issuer, key.operator, key.is_out, key.origin) for key in config.keys),
        "seals": [(s.issuer, s.body, str(s.form), s.name, s.certificate is not None) for s in config.sealing.seals],
        "rules": list(config.sealing.rules),
        "makers": len(config.sealing.makers),
        "authorities": len(config.sealing.authorities),
        "origins": (config.origin, config.following, [closed.origin for closed in config.closed]),
        "issuers": config.issuers,
    }


def _logs(root: Path, config: WorkspaceConfig) -> list[list[Any]]:
    """Of every log the entries in order, without keys and signatures; what stands is said at least once."""
    found = []
    for number in sorted(config.origins):
        place = root / ("log" if number == config.begun[0].number else f"log-{number}")
        if not place.is_dir():
            continue
        vkey = parse_vkey(log_vkey(config, number))
        assert fsck(place, vkey=vkey).clean
        reader = LogReader(DirectoryFetcher(place / "public"), vkey)
        reader.refresh()
        entries = [parse_entry(data) for _, data in reader.entries(0, reader.checkpoint().size)]
        found.append([_told(entry) for entry in entries if type(entry).__name__ not in _OF_ROUNDS | _SAID_AGAIN])
        found.append(sorted({type(entry).__name__ for entry in entries if type(entry).__name__ in _SAID_AGAIN}))
    return found


def _told(entry: Any) -> tuple[Any, ...]:
    names = [name for name in type(entry).__slots__ if name not in _CRYPTO]
    shard = type(entry).__name__ == "ShardEntry"
    values = (getattr(entry, name) for name in names if not shard or name != "origins")  # how long it grew till then
    return (type(entry).__name__, *(value for value in values if not (isinstance(value, bytes) and len(value) >= 8)))


def _number(entry: bytes) -> int:
    from mingzheng.log.noticebody import parse_body

    notice: Any = parse_entry(entry)
    return parse_body(notice.notice, notice.body).number


def _rows(path: Path) -> dict[str, list[Any]]:
    database = sqlite3.connect(path)
    try:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: _of(database, name) for name in sorted(tables)}
    finally:
        database.close()


def _of(database: sqlite3.Connection, name: str) -> list[Any]:
    rows = database.execute(f"SELECT * FROM {name}")
    columns = [column for (column, *_rest) in rows.description]
    masked = [
        tuple(
            "#"
            if column in _MASKED and value is not None
            else _RANDOM.sub("#", value)
            if isinstance(value, str)
            else value
            for column, value in zip(columns, row, strict=True)
        )
        for row in rows
        if row[0] != "generation"  # of trust data: only ever higher
    ]
    return sorted(masked, key=repr)


# --- the acts


def acts(base: Path) -> Sequence[Act]:
    """All of them, in the order of a registration's life."""
    at = ("--workspace", "W")
    me, other = by(NAMES[0], base), by(NAMES[1], base)
    both = (*me, *other)
    usage = ("--out", "out", "--copy", "usage", "--purpose", "投标", *me)
    notice = ("--citation", "通知", "--issuer", "1", *WHY)
    about = ("--kind", KIND, "--jurisdiction", "cn")
    kinds = {
        "extension": (
            "extension",
            *about,
            "--first-end",
            "2026-06-01",
            "--last-end",
            "2028-12-31",
            "--new-end",
            "2029-01-31",
        ),
        "form": ("form", *about, "--template", "1", "--equal-until", "2026-12-31"),
        "seal": ("seal", *about, "--from", format_day(DAY + 5), "--body", "1"),
        "retract": ("retract", "1"),
    }
    form = ("notice", "add", *kinds["form"], *notice, *at, *me)
    suspend = ("suspend", *ONE, *WHY, *at, *me)
    revoke = ("revoke", *ONE, *WHY, *at, *me)
    void = ("void", "--serial", "0", *WHY, *at, *me)
    pin = ("application", "ca", "holder-ca.cer", *at, "--yes")
    applied = ("reissue", *ONE, *WHY, *usage, *at, "--format", "pdf", "--application", "application.pdf")
    lock = ("lock", *ONE, *WHY, *at, *me)
    approve = ("approve", "REQUEST", "--yes", *at, *other)
    withdraw = ("withdraw", "REQUEST", "--reason", "写错", *at, *me)
    backup = ("backup", *at, "--to", "b")
    init = ("--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--kind", KIND, "--operator", NAMES[0])
    init = ("init", *init, "--operator", NAMES[1], "--workspace", "V")
    alone = (*init[:-6], "--one-person", "--workspace", "V")
    by_key = ("notice", "add", *kinds["form"], *notice, "--workspace", "V")
    init = (*init, *by(NAMES[0], base)[2:], *by(NAMES[1], base)[2:])
    founded = (
        "issuer",
        "add",
        *at,
        "--name",
        "委员会",
        "--number",
        "2",
        "--kind",
        "cn.architect.1",
        "--body",
        "1=委员会",
    )
    founded = (*founded, "--body", "2=主任委员", "--one-person")
    third = ("--issuer", "1", *by("王五", base)[2:])
    rule = ("seal", "rule", *at, "--issuer", "1", "--kind", "cn.constructor.2", "--body", "1")
    skip = ("issue", "faulty.csv", *usage, *at, "--format", "pdf")
    body = ("--issuer", "1", "--body", "1", "--form", "pdf")
    request = ("seal", "request", *at, *body, "--name", "新章", "--out", "pdf.csr")
    answered = ("--certificate", "pdf.cer", "--ca", "ca.cer")
    found = [
        Act("init", init, again="workspace.exists", where="V"),
        Act("operator-add", ("operator", "add", "王五", *at, *third), again="operator.exists"),
        Act("issue-csv", ("issue", "records.csv", *usage, *at, "--format", "pdf"), dear=True),
        Act("issue-both", ("issue", "records.csv", *usage, *at, "--format", "both"), dear=True),
        Act("issue-xlsx", ("issue", "records.xlsx", *usage, *at, "--format", "pdf"), dear=True, prepare=_workbook),
        Act("issue-skip-faulty", (*skip, "--skip-faulty"), status=1),
        Act("application-ca", pin),
        Act("reissue-application", applied, before=(pin,)),
        Act("reissue", ("reissue", *ONE, *WHY, *usage, *at, "--format", "pdf")),
        Act("lock", lock),
        Act("unlock", ("unlock", *lock[1:]), before=(lock,)),
        Act("suspend", suspend),
        Act("reinstate", ("reinstate", *suspend[1:]), before=(suspend,)),
        Act("void-request", void, status=3),
        Act("void-approve", approve, before=(void,), again="approval.done"),
        Act("revoke-request", revoke, status=3),
        Act("revoke-approve", approve, before=(revoke,), again="approval.done"),
        Act("revoke-withdraw", withdraw, before=(revoke,), again="approval.withdrawn"),
    ]
    for name, words in kinds.items():
        ask = ("notice", "add", *words, *notice, *at, *me)
        earlier = (form, approve) if name == "retract" else ()
        found.append(Act(f"notice-{name}-request", ask, before=earlier, status=3))
        found.append(Act(f"notice-{name}-approve", approve, before=(*earlier, ask), again="approval.done"))
    found += [
        Act("seal-request", request),
        Act("seal-install", ("seal", "install", *at, *body, *answered), before=(request,), prepare=_certified),
        Act("seal-rule", (*rule, "--valid-from", format_day(DAY + 9))),
        Act("seal-maker", ("seal", "maker", *at, "--request", "maker.csr", "--name", "制章中心")),
        Act("seal-make", ("seal", "make", *at, "--issuer", "1", "--body", "1")),
        Act("seal-revoke", ("seal", "revoke", *at, *body[:6], "--on", format_day(DAY + 3), "--yes")),
        Act("notice-alone", by_key, before=(alone,), where="V", again="notice.given"),
        Act("key-add", ("key", "add", *at, "--role", "status", "--issuer", "1")),
        Act("key-retire", ("key", "retire", "KEY:credential", *at, "--yes")),
        Act("key-compromise", ("key", "compromise", "KEY:status", *at, "--good-size", "2", "--yes")),
        Act(
            "key-compromise-behind",
            ("key", "compromise", "KEY:credential", *at, "--good-size", "2", "--yes"),
            prepare=_robbed,
        ),
        Act("acknowledge", ("log", "acknowledge", *at, *both, "--reason", "失窃", "--yes"), prepare=_told_of_it),
        Act("operator-retire", ("operator", "retire", NAMES[1], *at, "--issuer", "1", "--yes"), again="operator.out"),
        Act("issuer-add", founded, again="workspace.option"),
        Act("seal-trial", ("seal", "trial", *at), prepare=_without_seals),
        Act("trust-export", ("trust", "export", "trust", *at)),
        Act("backup", backup, again="backup.exists", twice="backup"),
        Act("restore", ("restore", "b", "--workspace", "V"), before=(backup,), again="workspace.exists", where="V"),
        Act("migrate", ("migrate", *at, "--to", "b", "--yes"), prepare=_older),
        Act("forget", ("ledger", "forget", *ONE, *WHY, *at, *me), before=(revoke, approve), again="forget.unknown"),
        Act("roll-over", ("log", "roll-over", *at, "--number", "2", "--name", "test.example/log-2", "--yes")),
    ]
    return found


READING: tuple[Words, ...] = (
    ("status", "--registration", NO),
    ("journal",),
    ("journal", "--check"),
    ("expiring", "--within", "900d"),
    ("requests",),
    ("key", "list"),
    ("seal", "list"),
    ("notice", "list"),
    ("operator", "list"),
)
"""Commands that change nothing."""


def _robbed(base: Path) -> None:
    """A thief has written to the log around the ledger."""
    with OperatorOffice(base, issuers=(CONSTRUCTORS,)).open() as workspace:
        assert thief.issues(workspace, 2) >= 2


def _told_of_it(base: Path) -> None:
    """And the authority has called the key stolen."""
    _robbed(base)
    with OperatorOffice(base, issuers=(CONSTRUCTORS,)).open() as workspace:
        compromise_key(workspace, thief.key_of_config(workspace, Role.CREDENTIAL), good_size=2, now=NOW + 50)


def _without_seals(base: Path) -> None:
    path = base / "W" / "mingzheng.toml"
    path.write_text(re.sub(r"(?ms)^\[\[seal.*?(?=^\[\[?(?!seal)|\Z)", "", path.read_text("utf-8")), "utf-8")


def _workbook(base: Path) -> None:
    """The same record as a spreadsheet."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(table([person(3)]).decode())):
        book.active.append(row)
    book.save(base / "records.xlsx")


def _certified(base: Path) -> None:
    """What the authority outside answers to the request."""
    outside = OutsideCa(SealAlg.P256)
    (base / "pdf.cer").write_bytes(outside.answer(base / "pdf.csr"))
    (base / "ca.cer").write_bytes(outside.root)


def _older(base: Path) -> None:
    take_back(base / "W" / "ledger.sqlite")
    assert SCHEMA_VERSION > 1
