"""`mingzheng records …`: a sample to fill in, and every fault of a filled-in file, without a workspace.

Spec: docs/records.md. Parse, call, print.
"""

import sys
import time
from pathlib import Path
from typing import Final

import click

import mingzheng.issuer.show as show
from mingzheng.formats.civil import day_of_time
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.issuer.cells import CellError, read_jurisdiction
from mingzheng.issuer.faults import Fault
from mingzheng.issuer.options import JSON, LANG, print_lines, read_day
from mingzheng.issuer.precheck import check_file
from mingzheng.issuer.progress import ProgressLine
from mingzheng.issuer.record import nearest
from mingzheng.issuer.recordfile import read_records
from mingzheng.issuer.sample import format_sample, sample_rows
from mingzheng.issuer.tables import MAX_FILE_BYTES
from mingzheng.issuer.workbook import can_write, write_workbook

__all__ = ["print_faults", "read_file", "records_group"]

EXIT_FAULTY: Final = 1
_NOTES_SHOWN: Final = 3  # of each code; --json has all


@click.group("records")
def records_group() -> None:
    """Records to be issued: a sample to fill in, and a check of the file. 申请记录：模板与检查。

    \b
    mingzheng records template --kind cn.constructor.1 --format xlsx > records.xlsx
    mingzheng records check records.xlsx
    """


@records_group.command("template")
@click.option("--kind", required=True, help="Kind id, such as cn.constructor.1. 证书种类。")
@click.option("--jurisdiction", help="GB/T 2260 code, 31 or sh; by default one with rules. 地区代码。")
@click.option(
    "--format", "form", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True, help="Format. 格式。"
)
@click.option(
    "--on", callback=read_day, help="Day on which the sample is in force; today. 样本在这一天有效，默认今天。"
)
@LANG
def template(kind: str, jurisdiction: str | None, form: str, on: int | None, lang: show.Lang) -> None:
    """Write a sample with notes to standard output. 输出带说明的样本。

    \b
    mingzheng records template --kind cn.constructor.2 > records.csv
    mingzheng records template --kind cn.constructor.1 --format xlsx > records.xlsx
    """
    profiles, place = load_shipped_profiles(), _place(jurisdiction)
    code = profiles.code_of(kind)
    if code is None:
        known = profiles.ids()
        raise click.UsageError(
            f"没有这个种类，最接近的是 (unknown kind, the nearest is) {nearest(kind, known)};"
            f" 可用 (known): {', '.join(known)}"
        )
    of_kind = [head.profile for head in profiles.of_kind(code)]
    day = day_of_time(int(time.time())) if on is None else on
    of_day = [profile for profile in of_kind if profile.effective_on(day)] or of_kind
    fitting = [profile for profile in of_day if place is None or profile.jurisdiction in (0, place)]
    chosen = max(fitting or of_kind, key=lambda profile: (profile.jurisdiction == (place or 0), profile.effective_from))
    default = 31 if kind.endswith(".2") else chosen.jurisdiction  # what provinces issue
    rows = sample_rows(chosen, jurisdiction=default if place is None else place, zh=lang == "zh", day=day)
    if form == "csv":
        sys.stdout.buffer.write(format_sample(rows))
        return
    if not can_write():
        raise click.UsageError(
            '写 .xlsx 需要 openpyxl：pip install "mingzheng[xlsx]"；或用 --format csv '
            '(openpyxl is needed: pip install "mingzheng[xlsx]"; or use --format csv)'
        )
    sys.stdout.buffer.write(write_workbook(rows))


@records_group.command("check")
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--no-images", is_flag=True, help="Do not read the image files. 不检查图片文件。")
@click.option("--on", callback=read_day, help="Day for which rules are asked; today. 按哪一天的规则，默认今天。")
@JSON
@LANG
@click.pass_context
def check(
    ctx: click.Context, records: Path, *, no_images: bool, on: int | None, as_json: bool, lang: show.Lang
) -> None:
    """Say every fault of a records file at once; no workspace is needed. 一次列出记录文件的全部错误。

    Whether the bodies are the issuer's, and what the ledger has, is known to `issue --dry-run` only.

    \b
    mingzheng records check records.xlsx
    mingzheng records check records.csv --no-images --json

    Exit status 1: there are faults.
    """
    file = read_records(read_file(records))
    with ProgressLine(lang, shown=not as_json) as line:
        found = check_file(
            file,
            load_shipped_profiles(),
            day=day_of_time(int(time.time())) if on is None else on,
            images=None if no_images else images_of(records),
            done=lambda done, count: line("check", done, count),
        )
    print_faults(found.faults, found.notes, lang, as_json)
    if as_json:
        print_lines([show.checked_json(found.good, len(found.faults), len(found.notes))], [], as_json)
    else:
        click.echo(show.checked_text(found.good, len(found.faults), lang), err=True)
    ctx.exit(EXIT_FAULTY if found.faults else 0)


def read_file(path: Path) -> bytes:
    """A records file, or standard input for -; one byte more than is taken."""
    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    with path.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def images_of(path: Path) -> Path:
    """Where the image paths of a records file start."""
    return Path.cwd() if str(path) == "-" else path.parent


def print_faults(faults: tuple[Fault, ...], notes: tuple[Fault, ...], lang: show.Lang, as_json: bool) -> None:
    """Faults, then notes; of notes of one code only the first few unless as JSON."""
    everything = (*faults, *notes)
    print_lines(
        map(show.fault_json, everything), (show.fault_text(fault, lang) for fault in faults), as_json, err=not as_json
    )
    if not as_json:
        for text in show.notes_texts(notes, lang, most=_NOTES_SHOWN):
            click.echo(text, err=True)


def _place(text: str | None) -> int | None:
    try:
        return None if text is None else read_jurisdiction(text)
    except CellError:
        raise click.BadParameter("写成 cn、sh 或 31 这样的代码 (a code such as cn, sh or 31)") from None
