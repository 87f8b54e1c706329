"""`mingzheng log status-export`, `status-delta`, `status-apply`: status lists in other programs' form and as steps.

Spec: docs/spec/status.md. Files in, files out; what is written is public.
"""

from pathlib import Path
from typing import Any

import click

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.exporting import read_status
from mingzheng.issuer.options import ISSUER_NUMBER, SECRET, WORKSPACE, open_workspace
from mingzheng.issuer.refusals import RefusalError
from mingzheng.keys.trust import Role
from mingzheng.log.cli import log_group
from mingzheng.log.statusdelta import apply_deltas, make_delta
from mingzheng.log.tokenstatus import status_cwt, status_jwt

__all__ = ["status_apply", "status_delta", "status_export"]

MAX_BYTES = 17 << 20

_IN = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@log_group.command("status-export")
@click.argument("out", type=_OUT)
@click.option("--uri", required=True, help="Where the list will be served (its `sub`). 清单的网址。")
@click.option(
    "--form",
    type=click.Choice(["cwt", "jwt"]),
    default="cwt",
    show_default=True,
    help="As CBOR or as JSON Web Token. 形式。",
)
@WORKSPACE
@ISSUER_NUMBER
@SECRET
def status_export(out: Path, *, uri: str, form: str, workspace: Path, issuer: int | None, **options: Any) -> None:
    """Write an issuer's last status list as an IETF Token Status List. 导出为 IETF Token Status List。

    Serials are the indexes. Programs of ours never read this form. 序号即下标；本系统自己不读这种形式。

    \b
    mingzheng log status-export --workspace W --uri https://zs.example.cn/status/1 list.cwt
    """
    with open_workspace(workspace, options) as opened:
        numbers = [spec.number for spec in opened.config.issuers if issuer in (None, spec.number)]
        if len(numbers) != 1:
            raise RefusalError("请用 --issuer 指定一个机构", "name one issuer with --issuer")
        body = read_status(opened, numbers[0])
        if body is None:
            raise RefusalError("还没有状态清单，请先运行 log status", "there is no status list yet: run log status")
        signer = opened.signer(Role.STATUS, numbers[0], day_of_time(body.this_update))
        made = status_cwt(body, uri=uri, signer=signer) if form == "cwt" else status_jwt(body, uri=uri, signer=signer)
    out.write_bytes(made if isinstance(made, bytes) else made.encode())


@log_group.command("status-delta")
@click.argument("held", type=_IN)
@click.argument("after", type=_IN)
@click.argument("out", type=_OUT)
def status_delta(held: Path, after: Path, out: Path) -> None:
    """Write what leads from one status list to a later one. 写出两份状态清单之间的增量。

    \b
    mingzheng log status-delta yesterday.cbor today.cbor step.delta
    """
    out.write_bytes(make_delta(_read(held), _read(after)))


@log_group.command("status-apply")
@click.argument("held", type=_IN)
@click.argument("deltas", type=_IN, nargs=-1, required=True)
@click.argument("out", type=_OUT)
def status_apply(held: Path, deltas: tuple[Path, ...], out: Path) -> None:
    """Follow deltas from a status list to the newest, byte for byte; nothing is verified. 由增量还原状态清单。

    \b
    mingzheng log status-apply yesterday.cbor step.delta today.cbor
    """
    out.write_bytes(apply_deltas(_read(held), map(_read, deltas)))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES)
