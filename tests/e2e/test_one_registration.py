"""One registration from its first copy to its revocation: every copy, after every step, read four ways.

From the picture of its code, the sealed PDF, the sealed OFD and `status`; by trust data of that step and of the step
before. Everything is typed as a clerk, a verifier or an auditor types it; the clock is moved. The expected tables are
`constructorstory` and `architectstory`; docs/life-of-a-certificate.md shows them. By default each story is one test;
`MINGZHENG_FULL=1` reads every copy from a drawn page, too.
"""

import csv
import json
import os
import re
import time
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from architectstory import ARCHITECT
from constructorstory import CONSTRUCTOR
from desk import Told, run, sit_down
from holderpress import HolderCa, signed_pdf
from registrationstory import Line, Step, Story

from mingzheng.demo_files import scan_png
from mingzheng.formats.candidate import Source
from mingzheng.formats.civil import day_start, parse_day
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.qrtext import to_digits
from mingzheng.issuer.config import parse_config
from mingzheng.issuer.record import COLUMNS
from mingzheng.issuer.workspace import log_vkey
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.entry import IssueEntry, parse_entry

FULL = os.environ.get("MINGZHENG_FULL") == "1"
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
STORIES = (CONSTRUCTOR, ARCHITECT)
WORKSPACE = ("--workspace", "W", "--passphrase-file", "pass.txt")
FIRST = ("--operator", "张三", "--operator-passphrase-file", "zhang.txt")
SECOND = ("--operator", "李四", "--operator-passphrase-file", "li.txt")
PUBLIC = "W/log/public"
PASSING = ("VALID", "VALID_COMPARE")
EVERY = {"LOG_UNWITNESSED", "HANDWRITING_COMPARE"}  # findings of every copy here
SUFFIXES = ("ofd", "pdf", "png", *(("scan.png",) if FULL else ()))


def table_rules() -> dict[str, str]:
    """The rule of every code, as docs/spec/verdicts.md has it."""
    text = (DOCS / "spec" / "verdicts.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| ([^|]+) \|$", text, flags=re.MULTILINE))


RULES = table_rules()


class Play:
    """A desk, a verifier with the trust data of every step, and an auditor."""

    def __init__(self, story: Story, base: Path, patch: pytest.MonkeyPatch) -> None:
        self.story, self._row = story, dict(story.row)
        self._now = day_start(parse_day(story.steps[0].day)) + 36_000
        sit_down(base, patch)
        patch.setattr(time, "time", lambda: float(self._now))
        self.serials: dict[str, int] = {}  # by letter of the copy
        self.identities: dict[str, str] = {}
        self._fingerprints: list[str] = []
        self._request = ""
        self._holders, self.applications = HolderCa(), 0
        self._journal, self._size = 0, 0
        self._counts: Counter[str] = Counter()
        bodies = [word for number, name in enumerate(story.bodies, 1) for word in ("--body", f"{number}={name}")]
        persons = ("--operator", "张三", "--operator", "李四", *FIRST[2:], *SECOND[2:])
        self.type("init", "--issuer", story.issuer, "--origin", "demo.example/2026", "--demo", "--kind", story.kind,
                  "--jurisdiction", story.jurisdiction, *bodies, *persons)  # fmt: skip
        self.type("seal", "trial")
        Path("files").mkdir()
        Path("holder-ca.cer").write_bytes(self._holders.root)

    def type(self, *words: str, status: int = 0) -> Told:
        """One command in the workspace, a minute after the one before."""
        self._now += 60
        told = run(*words, *WORKSPACE)
        assert told.status == status, (words, told.out, told.err)
        return told

    def take(self, number: int, step: Step) -> None:
        """What the clerks do on that day; the files of the new copies are put beside the others under their letters."""
        self._now = day_start(parse_day(step.day)) + 36_000 + number * 600
        self._row |= step.row
        made = []
        for text in step.typed:
            line, _, code = text.partition(" -> ")
            if code:
                told = self._command(line, status=1)
                assert f'"{code}"' in told.out or f"[{code}]" in told.err, text
                continue
            asks = line.startswith(("revoke", "void", "notice"))
            rows = [json.loads(said) for said in self._command(line, status=3 if asks else 0).out.splitlines()]
            made += [row for row in rows if row.get("type") == "copy"]
            self._request = next((row["id"] for row in rows if row.get("type") == "request"), self._request)
        assert len(made) == len(step.makes)
        for letter, row in zip(step.makes, made, strict=True):
            self._file_away(letter, row["serial"], [Path(item["file"]) for item in row["files"]])

    def _command(self, line: str, *, status: int) -> Told:
        words = line.format("", *self.story.citations.values()).split()
        words = [str(self.serials[word[1:]]) if word.startswith("@") else word for word in words]
        named = (
            () if "--serial" in words else ("--registration", self._row["registration_no"], "--kind", self.story.kind)
        )
        files = ("--out", "certificates", "--format", "both")
        match words[0]:
            case "issue":
                self._write_records()
                words = ["issue", "records.csv", *words[1:], *files, *FIRST]
            case "reissue":
                if "--application" in words:
                    self._sign_application()
                words += [*named, *files, *FIRST, "--yes"]
            case "application":
                words += ["--yes"]
            case "approve":
                words += [self._request, *SECOND, "--yes"]
            case "notice":
                retracts = words[2] == "retract"
                about = () if retracts else ("--kind", self.story.kind, "--jurisdiction", self.story.jurisdiction)
                words += [*about, *FIRST, "--yes"]
            case _:
                words += [*named, *FIRST, "--yes"]
        return self.type(*words, "--json", status=status)

    def _sign_application(self) -> None:
        """The holder's own: signed an hour ago with the certificate of an authority that the desk has pinned."""
        holder = self._holders.holder(self._row["name"])
        Path("application.pdf").write_bytes(signed_pdf(holder, at=self._now - 3_600))
        self.applications += 1

    def _write_records(self) -> None:
        with Path("records.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            images = {"photo": "photos/1.jpg", "signature_image": "signatures/1.png"}
            place = {"kind": self.story.kind, "jurisdiction": self.story.jurisdiction}
            writer.writerow(place | images | {"issuing_body": "1", "sealing_body": "1"} | self._row)

    def _file_away(self, letter: str, serial: int, made: list[Path]) -> None:
        self.serials[letter] = serial
        for path in made:
            data = path.read_bytes()
            Path(f"files/{letter}{path.suffix}").write_bytes(data)
            if path.suffix == ".pdf":
                Path(f"files/{letter}.png").write_bytes(picture_of_code(data))
                if FULL:
                    Path(f"files/{letter}.scan.png").write_bytes(scan_png(data))

    def export(self) -> None:
        """Trust data as they are after this step, in a store of their own."""
        told = json.loads(self.type("trust", "export", f"trust{len(self._fingerprints)}", "--json").out)
        self._fingerprints.append(told["fingerprint"])

    def reports(self, files: list[str], *, ago: int) -> dict[str, dict[str, object]]:
        """What a verifier is told of these files, by name, with the trust data of so many steps ago."""
        number = len(self._fingerprints) - 1 - ago
        trust = ("--trust", f"trust{number}", "--trust-fingerprint", self._fingerprints[number])
        told = run("verify", *(f"files/{name}" for name in files), *trust, "--policy", "site", "--jobs", "1", "--json")
        assert told.status in (0, 1, 3), told.err
        return {Path(row["file"]).name: row for row in map(json.loads, told.out.splitlines())}

    def status(self) -> dict[str, object]:
        """`mingzheng status` of the registration."""
        told = run("status", "--workspace", "W", "--registration", self._row["registration_no"], "--json")
        assert told.status == 0, told.err
        (found,) = map(json.loads, told.out.splitlines())
        return dict(found)

    def journal(self) -> tuple[str, ...]:
        """The rows that this step added, and a check of all."""
        assert run("journal", "--workspace", "W", "--check").status == 0
        rows = [json.loads(text) for text in run("journal", "--workspace", "W", "--json").out.splitlines()]
        new, self._journal = rows[self._journal :], len(rows)
        return tuple(" ".join([row["what"], *row["operators"]]) for row in new)

    def audit(self) -> dict[str, int]:
        """The entries that this step added, by an auditor who follows; a mirror takes them, too."""
        trust = ("--trust", f"trust{len(self._fingerprints) - 1}")
        told = run("log", "audit", PUBLIC, *trust, "--state", "audit.json", "--json")
        assert told.status == 0, told.out
        report = json.loads(told.out)
        assert (report["clean"], report["alarms"], report["followed_from"] or 0) == (True, [], self._size)
        assert run("log", "mirror", PUBLIC, "mirror", *trust).status == 0
        assert Path("mirror/checkpoint").read_bytes() == Path(f"{PUBLIC}/checkpoint").read_bytes()
        self._size = report["size"]
        counts = sum((Counter(day) for day in report["counts"].values()), Counter[str]())
        new, self._counts = counts - self._counts, counts
        return dict(new)

    def entries(self) -> dict[int, IssueEntry]:
        """The issue entries of the public log, by index."""
        vkey = log_vkey(parse_config(Path("W/mingzheng.toml").read_bytes()))
        reader = LogReader(DirectoryFetcher(Path(PUBLIC)), parse_vkey(vkey))
        size = reader.refresh().size
        read = {index: parse_entry(data) for index, data in reader.entries(0, size)}
        return {index: entry for index, entry in read.items() if isinstance(entry, IssueEntry)}

    def bodies_of_seals(self) -> dict[str, int]:
        """The number of the body by the digest (its first 20 digits) of its seal's certificate."""
        config = tomllib.loads(Path("W/mingzheng.toml").read_text(encoding="utf-8"))
        return {seal["certificate"].removeprefix("seal-").removesuffix(".cer"): seal["body"] for seal in config["seal"]}


def picture_of_code(pdf: bytes) -> bytes:
    """The code of a page as a picture."""
    found = extract(pdf, limits=LIMITS_DEFAULT)
    token = next(item.data for item in found.candidates if item.source is Source.ATTACHMENT and item.data is not None)
    return matrix_to_png(encode_qr(to_digits(token)), 4)


# What is expected


def by_copy(step: Step) -> dict[str, Line]:
    """The line of every copy; no copy has two."""
    lines = {letter: line for line in step.lines for letter in line.copies}
    assert len(lines) == sum(len(line.copies) for line in step.lines)
    return lines


def expected(story: Story, letter: str, told: str, suffix: str) -> tuple[str, set[tuple[str, str]]]:
    """The verdict and the findings, each with its rule, of one file; `told` as in a table."""
    first, *beside = told.split(" +")
    verdict = first.partition("(")[0]
    marks = {*EVERY, *beside, *(() if verdict in PASSING else (first,))}
    if letter in story.approval:
        marks.add("NOT_A_USAGE_COPY")
    if suffix.endswith("png"):
        marks.add("SEAL_ABSENT")
        verdict = "VALID_COMPARE" if verdict == "VALID" else verdict
    return verdict, {(mark.partition("(")[0], rule_of(story, mark)) for mark in marks}


def rule_of(story: Story, mark: str) -> str:
    """The rule that a finding must name: of its code, and the notice or the clause it rests on."""
    code, _, notice = mark.removesuffix(")").partition("(")
    if notice:
        return f"{RULES[code]}; 第 {notice} 号公告：{story.citations[int(notice)]}"
    return "; ".join([RULES[code], *([story.clauses[code]] if code in story.clauses else [])])


def judged(report: Mapping[str, object]) -> tuple[str, set[tuple[str, str]]]:
    findings = report["findings"]
    assert isinstance(findings, list)
    found = [(item["code"], item["rule"]) for item in findings]
    assert len(found) == len(set(found))
    return str(report["verdict"]), set(found)


def check_files(play: Play, number: int, *, ago: int) -> None:
    """Every copy's files by the trust data of this step; one of them, in turn, by those of the step before."""
    step = play.story.steps[number]
    lines, bodies = by_copy(step), play.bodies_of_seals()
    assert set(lines) == set(play.serials)
    files = {
        letter: SUFFIXES if FULL or not ago else (SUFFIXES[(turn + number) % len(SUFFIXES)],)
        for turn, letter in enumerate(sorted(lines))
    }
    names = [f"{letter}.{suffix}" for letter, suffixes in files.items() for suffix in suffixes]
    reports = play.reports(names, ago=ago)
    assert list(reports) == names
    for name, report in reports.items():
        letter, suffix = name.split(".", 1)
        line = lines[letter]
        told = line.fresh if ago == 0 or line.stale == "=" else line.stale
        told += f" +{step.age}" if ago and step.age and not told.startswith(step.age) else ""
        told += " +DUPLICATE" if suffix != files[letter][0] else ""  # the same credential as in the file before
        assert judged(report) == expected(play.story, letter, told, suffix), (step.title, name, ago)
        credential = report["credential"]
        assert isinstance(credential, dict)
        assert play.identities.setdefault(letter, credential["identity"]) == credential["identity"]
        seals = report["seals"]
        assert isinstance(seals, list)
        worn = next(found for letters, found in play.story.sealed.items() if letter in letters)
        seen = tuple(bodies[seal["certificate_sha256"][:20]] for seal in seals)
        assert seen == (worn if suffix in ("pdf", "ofd") else ()), (step.title, name)


def check_ledger(play: Play, step: Step) -> None:
    """What `status` says of every copy, and that the log has it at that place."""
    story, entries = play.status(), play.entries()
    copies, applications = story["copies"], story["applications"]
    assert isinstance(copies, list)
    assert isinstance(applications, list)
    assert [item["bound_by"] for item in applications] == ["name"] * play.applications
    rows = {copy["serial"]: copy for copy in copies}
    lines = by_copy(step)
    assert set(rows) == {play.serials[letter] for letter in lines}
    for letter, line in lines.items():
        row = rows[play.serials[letter]]
        words = [row["status"], *(["past"] if row["window"] == "USAGE_EXPIRED" else [])]
        assert ", ".join(words) == line.ledger, (step.title, letter)
        assert row["state"] == "delivered"
        entry = entries[row["log"]["index"]]
        assert (entry.serial, entry.identity.hex()) == (row["serial"], play.identities[letter])


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.kind)
def test_every_copy_after_every_step(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(story, tmp_path, monkeypatch)
    for number, step in enumerate(story.steps):
        play.take(number, step)
        play.export()
        check_files(play, number, ago=0)
        if number:
            check_files(play, number, ago=1)
        check_ledger(play, step)
        assert (play.journal(), play.audit()) == (step.journal, dict(step.log)), step.title


# The tables in docs/life-of-a-certificate.md


def shown(story: Story) -> str:
    """A story as the page shows it."""
    head = f"### {story.title}\n| day | done | copies | judged | by trust data of the step before | ledger | why |\n|"
    rows = [head + "---|" * 7]
    for step in story.steps:
        day, title = step.day, step.title
        for line in step.lines:
            stale = line.fresh if line.stale == "=" else line.stale
            stale += f" +{step.age}" if step.age and not stale.startswith(step.age) else ""
            cells = (day, title, " ".join(line.copies), line.fresh, stale or "–", line.ledger, line.why)
            rows.append(f"| {' | '.join(cells)} |")
            day, title = "", ""
    notices = "; ".join(f"({number}) {text}" for number, text in story.citations.items())
    return "\n".join([*rows, f"\nNotices: {notices}."])


def test_the_page_shows_these_tables() -> None:
    """After a change `MINGZHENG_GOLDEN=1` writes them; look at the difference."""
    page = DOCS / "life-of-a-certificate.md"
    text = page.read_text(encoding="utf-8")
    start, end = "<!-- stories -->\n", "\n<!-- /stories -->"
    assert text.count(start) == text.count(end) == 1
    before, rest = text.split(start)
    after = rest.split(end)[1]
    tables = "\n\n".join(map(shown, STORIES))
    if os.environ.get("MINGZHENG_GOLDEN") == "1":
        page.write_text(f"{before}{start}{tables}{end}{after}", encoding="utf-8")
    assert page.read_text(encoding="utf-8") == f"{before}{start}{tables}{end}{after}"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.kind)
def test_every_table_speaks_of_every_copy_in_every_step(story: Story) -> None:
    made = ""
    for step in story.steps:
        made += step.makes
        assert set(by_copy(step)) == set(made), step.title
        assert all(line.why for line in step.lines)
        assert all(line.stale for line in step.lines) or step is story.steps[0]
