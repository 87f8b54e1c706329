"""`mingzheng issue`: from a file of records to delivered certificates.

Spec: docs/records.md, docs/life-of-a-certificate.md. Parse, call, print; stdout is data, stderr is talk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.claims import Copy
from mingzheng.issuer.issue import Issued, Request, issue_file, prepare
from mingzheng.issuer.operators import come_forward
from mingzheng.issuer.options import (
    COMMON,
    DRY_RUN,
    FORMAT,
    ISSUER_NUMBER,
    OPERATOR,
    open_workspace,
    person_secret,
    print_lines,
    time_of,
)
from mingzheng.issuer.progress import ProgressLine
from mingzheng.issuer.records_cli import images_of, print_faults, read_file
from mingzheng.issuer.refusals import FaultyRecordsError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import FORMATS
from mingzheng.issuer.workspace import Workspace

__all__ = ["forms_of", "issue", "say_unsealed"]

EXIT_SOME_REFUSED: Final = 1


@click.command("issue")
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory for the files. 输出目录。")
@click.option(
    "--copy",
    "copy",
    type=click.Choice(["approval", "usage"]),
    required=True,
    help="Approval or usage copy. 批准件 / 使用件。",
)
@click.option("--purpose", help="Purpose of the usage copies; a row's own counts if absent. 用途。")
@click.option(
    "--skip-faulty",
    is_flag=True,
    help="Issue the good rows; the faulty ones go to faults.csv beside RECORDS. 有误的行写入 faults.csv。",
)
@ISSUER_NUMBER
@FORMAT
@OPERATOR
@COMMON
@DRY_RUN
@click.pass_context
def issue(
    ctx: click.Context, /, records: Path, *, out: Path, copy: str, as_json: bool, lang: show.Lang, **options: Any
) -> None:
    """Issue copies from records: CSV, .xlsx or JSON, told by the bytes; - is stdin. 按记录签发。

    Where the issuer has operators, say who you are: the journal keeps it. 机构设有经办人的，用 --operator 写明您是谁。

    Run it again after any interruption: it goes on where it was, with the same serials and files.

    \b
    mingzheng issue records.xlsx --workspace W --out certificates --copy usage --purpose "某项目投标" --dry-run
    mingzheng issue records.csv --workspace W --out certificates --copy approval --operator 张三 --json
    mingzheng issue records.xlsx --workspace W --out certificates --copy usage --skip-faulty --operator 张三
    """
    request = Request(
        data=read_file(records),
        images=images_of(records),
        copy=Copy.USAGE if copy == "usage" else Copy.APPROVAL,
        purpose=options["purpose"],
        issuer=options["issuer"],
        forms=forms_of(options),
        faulty_beside=images_of(records) if options["skip_faulty"] else None,
    )
    with open_workspace(options["workspace"], options) as opened, ProgressLine(lang, shown=not as_json) as line:
        now = time_of(opened, options["as_of"])
        if options["dry_run"]:
            status = _preview(opened, request, now, line, (lang, as_json))
        else:
            issuers = [spec.number for spec in opened.config.issuers] if request.issuer is None else [request.issuer]
            secret = person_secret(options)
            come_forward(opened, issuers, options["operator"], passphrase=secret.read, now=now)
            status = _issue(opened, request, (out, now), line, (lang, as_json))
    ctx.exit(status)


def _preview(workspace: Workspace, request: Request, now: int, line: ProgressLine, said: tuple[show.Lang, bool]) -> int:
    lang, as_json = said
    found = prepare(workspace, request, now=now, store_images=False, progress=line)
    texts = (show.job_text(job, lang, numbered=True) for job in found.jobs)
    print_lines((show.job_json(job) for job in found.jobs), texts, as_json)
    if not as_json:
        click.echo(show.planned_text(found.jobs, lang))
    print_faults(found.faults, found.notes, lang, as_json)
    return EXIT_SOME_REFUSED if found.faults else 0


def _issue(
    workspace: Workspace,
    request: Request,
    where: tuple[Path, int],
    line: ProgressLine,
    said: tuple[show.Lang, bool],
) -> int:
    lang, as_json = said
    try:
        done = issue_file(workspace, request, out=where[0], now=where[1], progress=line)
    except FaultyRecordsError as error:
        click.echo(error.zh if lang == "zh" else error.en, err=True)
        print_faults(error.faults, error.notes, lang, as_json)
        return EXIT_SOME_REFUSED
    issued = done.issued
    lines = (show.issued_text(item, lang, numbered=True) for item in issued)
    print_lines(map(show.issued_json, issued), lines, as_json)
    say_unsealed(issued, lang)
    print_faults(done.prepared.faults, done.prepared.notes, lang, as_json)
    if done.faulty is not None:
        click.echo(show.faulty_text(done.faulty.name, len(issued), lang), err=True)
    return EXIT_SOME_REFUSED if done.prepared.faults else 0


def forms_of(options: dict[str, Any]) -> tuple[FileForm, ...] | None:
    """What files were asked for; None: what the workspace makes by default."""
    return None if options["form"] is None else FORMATS[options["form"]]


def say_unsealed(issued: Sequence[Issued], lang: show.Lang) -> None:
    """Say how many of the copies no rule sealed."""
    count = sum(not item.seals for item in issued)
    if count:
        click.echo(show.unsealed_text(count, lang), err=True)
