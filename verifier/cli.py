"""`mingzheng verify` and `mingzheng inspect`: parse, call, print; stdout is data, stderr is talk.

Spec: docs/spec/verdicts.md, "Run". What reads pictures and PDF is loaded only when such a file comes.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from mingzheng.formats.civil import parse_day
from mingzheng.formats.confine import processors
from mingzheng.formats.errors import ResourceLimitError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.sniff import FileKind, sniff
from mingzheng.verifier.bulk import Bulk, Recipe, Upload, inspect_file
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.errors import NotAFileError
from mingzheng.verifier.findings import PASSING
from mingzheng.verifier.library import load_messages
from mingzheng.verifier.messages import Lang
from mingzheng.verifier.pipeline import refuse, verify_text
from mingzheng.verifier.policy import POLICY_NAMES, STRICTEST
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.reporttext import printable, report_to_text, summary_line
from mingzheng.verifier.run import RunSoFar, count_verdicts, exit_status, mark_run

__all__ = ["inspect", "verify"]

EXIT_NOTHING: Final = 1
EXIT_IO: Final = 4
STDIN: Final = "-"
FEW: Final = 3  # rows whose reports are all written out
_LANG: Final = click.option("--lang", type=click.Choice(["zh", "en"]), help="Language; by default the locale's. 语言。")


def _day(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_day(text)
    except ValueError:
        raise click.BadParameter("日期写成 YYYY-MM-DD (a day is written YYYY-MM-DD)", ctx, param) from None


def _fingerprint(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    return None if text is None else text.strip().lower()


@click.command("verify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--trust",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Trust store, as `trust export` writes it. 信任数据目录。",
)
@click.option("--at", callback=_day, metavar="DATE", help="Judging day, say the bid opening. 判定日，如开标日。")
@click.option(
    "--policy",
    type=click.Choice(POLICY_NAMES),
    default=STRICTEST,
    show_default=True,
    help="What the answer is for: site check, bid evaluation, audit. 用途：现场、评标、审计。",
)
@click.option(
    "--trust-fingerprint",
    callback=_fingerprint,
    metavar="HEX",
    help="Fingerprint of the trust data, confirmed with the authority. 已核对的信任数据指纹。",
)
@click.option(
    "--trust-log",
    is_flag=True,
    help="Where a landmark list holds a copy, do not check the signatures in it. 已列入地标清单的，不再检验签名。",
)
@click.option("--expect-purpose", metavar="TEXT", help="The purpose the copy must name. 应注明的用途。")
@click.option(
    "--expect-specialty", metavar="CODE", help="The specialty that must run: number, code or name. 必须有效的专业。"
)
@_LANG
@click.option(
    "--jobs", type=click.IntRange(1, 256), metavar="N", help="Reading processes; by default one a core. 并行进程数。"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line (NDJSON). 输出 NDJSON。")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Also write the report on one file as a page to keep. 另存为一页 HTML 报告（一个文件）。",
)
@click.option("--full", is_flag=True, help="Whole reports of those that pass, too. 通过的也列全文。")
def verify(
    paths: tuple[Path, ...],
    trust: Path,
    lang: Lang | None,
    jobs: int | None,
    as_json: bool,
    page: Path | None,
    full: bool,
    **settings: str | int | None,
) -> None:
    """Check certificates offline. 离线核验证书。

    PATH is a PDF, OFD, PNG, JPEG or text file, a directory, or - for standard input (QR texts, one a line, or a file).
    PATH 可以是 PDF、OFD、PNG、JPEG 或文本文件、目录，或 -（标准输入：每行一个码，或一个文件）。

    Several rows begin with a line for each; of more than three, those that pass are shown in full with --full only.
    有多份时先逐份列一行；超过三份时，通过的只在加 --full 时列全文。

    \b
    mingzheng verify cert.pdf --trust trust --trust-fingerprint 947b…
    mingzheng verify uploads --trust trust --at 2026-11-21 --policy bid --json > report.ndjson
    echo 2612… | mingzheng verify - --trust trust --policy site --lang en

    Each file is read in a process of its own, with 15 seconds and 1 GiB; what needs more is refused.
    每个文件在受限的进程中读取：15 秒、1 GiB；超出的不予采用。

    Exit status: 0 all pass, 1 some do not, 3 some cannot be decided, 4 something could not be read.
    退出码：0 全部通过，1 有不通过，3 有无法判定，4 有读不到的文件。
    """
    recipe = _recipe(trust, settings, drawn=page is not None)
    context = recipe.build()
    reader = _Reader(context)
    with Bulk(recipe, context, jobs=jobs or processors()) as bulk:
        found = bulk.rows(item for path in _files(paths) for item in reader.uploads(path))
        reports = tuple(_as_they_come(found)) if as_json else mark_run(list(found))
    if not reports and not reader.failed:
        raise click.UsageError("没有找到文件 (no files found)")
    if page is not None:
        _keep(reports, page, lang or _locale())
    if not as_json:
        click.echo(_for_people(reports, lang or _locale(), full=full), nl=False)
    if len(reports) > 1:
        click.echo(_total(reports, None if as_json else lang or _locale()), err=True)
    click.get_current_context().exit(EXIT_IO if reader.failed else exit_status(report.verdict for report in reports))


def _total(reports: Sequence[Report], lang: Lang | None) -> str:
    """How many rows of each verdict: by its title, as in the rows above, or by its code where those are JSON."""
    counts = count_verdicts(reports).items()
    if lang is None:
        return f"合计 total {len(reports)}: " + "  ".join(f"{code} {count}" for code, count in counts)
    messages = load_messages()
    named = [f"{messages.of(code).title(lang)} {count}" for code, count in counts]
    return f"合计 {len(reports)}：{'；'.join(named)}" if lang == "zh" else f"Total {len(reports)}: {'; '.join(named)}"


def _recipe(trust: Path, settings: dict[str, str | int | None], *, drawn: bool) -> Recipe:
    at, purpose, specialty = settings["at"], settings["expect_purpose"], settings["expect_specialty"]
    fingerprint = settings["trust_fingerprint"]
    return Recipe(
        trust=trust,
        now=int(time.time()),
        at=at if isinstance(at, int) else None,
        policy=str(settings["policy"]),
        expect=Expectations(
            purpose=None if purpose is None else str(purpose),
            specialty=None if specialty is None else str(specialty),
            trust_fingerprint=None if fingerprint is None else str(fingerprint),
        ),
        trust_log=bool(settings["trust_log"]),
        files=LIMITS_DEFAULT,
        drawn=drawn,
    )


def _keep(reports: Sequence[Report], page: Path, lang: Lang) -> None:
    """Write the HTML report of one file; of several certificates in it the second goes to `page-2.html` and so on."""
    from mingzheng.verifier.htmlreport import report_to_html

    if len({report.file for report in reports}) > 1:
        raise click.UsageError("--html 只用于一个文件 (--html is for one file)")
    for number, report in enumerate(reports, start=1):
        path = page if number == 1 else page.with_stem(f"{page.stem}-{number}")
        path.write_text(report_to_html(report, lang), encoding="utf-8")


def _as_they_come(reports: Iterable[Report]) -> Iterator[Report]:
    """Each row is written out at once, so that a run that is killed keeps what it had finished."""
    run = RunSoFar()
    for report in map(run.add, reports):
        click.echo(json.dumps(report_to_json(report), ensure_ascii=False))
        sys.stdout.flush()
        yield report


def _for_people(reports: Sequence[Report], lang: Lang, *, full: bool) -> str:
    """One report as it is; several numbered, below a line for each."""
    if len(reports) < 2:
        return "".join(report_to_text(report, lang) for report in reports)
    numbered = list(enumerate(reports, 1))
    blocks = ["".join(summary_line(report, lang, number=number) + "\n" for number, report in numbered)]
    shown = [item for item in numbered if full or len(reports) <= FEW or item[1].verdict not in PASSING]
    blocks += [report_to_text(report, lang, number=number) for number, report in shown]
    if left := len(reports) - len(shown):
        zh = f"通过的 {left} 份未列全文；要逐项比对，请加 --full。\n"
        en = f"{left} that pass are not shown in full; to compare their fields, add --full.\n"
        blocks.append(zh if lang == "zh" else en)
    return "\n".join(blocks)


def _locale() -> Lang:
    """English if the locale says so, else Chinese."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "en" if next(filter(None, names), "").lower().startswith("en") else "zh"


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those below directories in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        else:
            yield path


class _Reader:
    """Reads one file after the other; what cannot be read is named on stderr and remembered."""

    def __init__(self, context: VerifyContext) -> None:
        self.context = context
        self.failed = False

    def uploads(self, path: Path) -> Iterable[Upload | Iterable[Report]]:
        """One file, or the rows of QR texts; nothing if the system refuses to give it."""
        try:
            data = _read(path)
        except NotAFileError as error:
            self.failed = True
            click.echo(f"读不到文件 (cannot be read) [{error.code}] {printable(str(path))}: {error}", err=True)
            return ()
        except OSError as error:
            self.failed = True
            click.echo(f"读不到文件 (cannot be read) [io] {printable(str(path))}: {error.strerror}", err=True)
            return ()
        name = str(path)
        texts = _lines(data) if name == STDIN else None
        if texts is not None:
            return (self._texts(texts, whole=len(data) <= LIMITS_DEFAULT.file_bytes),)
        return (Upload(name=name, data=data),)

    def _texts(self, texts: Sequence[str], *, whole: bool) -> Iterator[Report]:
        """A row for each QR text; what is over a limit is a row RESOURCE_LIMIT and never left out in silence."""
        limits, name = LIMITS_DEFAULT, STDIN
        for text in texts[: limits.lines]:
            if len(text) > limits.text_bytes:
                error = ResourceLimitError("text_bytes", limit=limits.text_bytes, got=len(text))
                yield refuse(error, self.context, name)
            else:
                yield verify_text(text, self.context, file=name)
        if len(texts) > limits.lines:
            yield refuse(ResourceLimitError("lines", limit=limits.lines, got=len(texts)), self.context, name)
        elif not whole:
            yield refuse(ResourceLimitError("file_bytes", limit=limits.file_bytes), self.context, name)


def _read(path: Path) -> bytes:
    """At most one byte more than any file may have. A pipe or device as PATH could wait for ever: NotAFileError."""
    most = LIMITS_DEFAULT.file_bytes + 1
    if str(path) == STDIN:
        return sys.stdin.buffer.read(most)
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotAFileError("不是普通文件；标准输入请写 - (not a regular file; for standard input write -)")
    with open(path, "rb", opener=_at_once) as file:
        return file.read(most)


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting, should the file have become a pipe meanwhile."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _lines(data: bytes) -> list[str] | None:
    """QR texts, one a line; None if it is the bytes of a file of another kind.

    Beyond the limit the last line may be cut short, so it is left to the row that names the limit.
    """
    if len(data) > LIMITS_DEFAULT.file_bytes:
        data = data[: data.rfind(b"\n") + 1]
    if sniff(data) is not FileKind.TEXT:
        return None
    return [line for line in data.decode("utf-8").splitlines() if line]


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@_LANG
@click.option("--json", "as_json", is_flag=True, help="One JSON object. 输出 JSON。")
def inspect(path: Path, lang: Lang | None, as_json: bool) -> None:
    """Show what a file or a code contains; nothing is trusted. 查看文件或码的内容，不作信任判断。

    \b
    mingzheng inspect cert.pdf
    mingzheng inspect photo.jpg --json

    Exit status: 0 a credential was found, 1 none. 退出码：0 有证书数据，1 没有。
    """
    from mingzheng.verifier.inspection import flatten, holds_credential, label

    found = inspect_file(_read(path), str(path), files=LIMITS_DEFAULT)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo("以下内容未经任何核验 (nothing below was verified)", err=True)
        for name, value in flatten(found):
            click.echo(f"{label(name, lang or _locale())}: {printable(value)}")
    click.get_current_context().exit(0 if holds_credential(found) else EXIT_NOTHING)
