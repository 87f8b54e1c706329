"""`mingzheng log serve` and `log submit-key`: a workspace's log on the network, and keys that may submit to it.

Source: docs/spec/server.md. The server holds the log's own lock, not the workspace's: while it runs, offices submit to
it, this one too.
"""

import importlib.resources
import importlib.util
import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from mingzheng.issuer.logplace import FrontEmbeddedError, cloud_place, is_moved, open_log, public_files
from mingzheng.issuer.options import NUMBER, SECRET, WORKSPACE, open_workspace
from mingzheng.issuer.refusals import OptionError
from mingzheng.issuer.workspace import current_log
from mingzheng.keys.kid import Kid
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.actkeys import TrustActKeys
from mingzheng.log.book import ActKeys
from mingzheng.log.client import CHECKPOINT, DirectoryFetcher, Fetcher, LogReader
from mingzheng.log.instance import default_memory_dir
from mingzheng.log.logargs import keys_of_note
from mingzheng.log.recovery import LogIdentity
from mingzheng.log.servergate import GateLimits
from mingzheng.log.serverrun import FeedPlan, FrontPlan, JsonLines, ServePlan, WritePlan, run
from mingzheng.log.store import StoreFetcher
from mingzheng.log.writer import Log

__all__ = ["serve_command", "submit_key_command"]

LISTEN: Final = "127.0.0.1:8600"
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([1-9][0-9]{0,4})", re.ASCII)
_DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)


def read_listen(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, int]:
    """HOST:PORT."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > 65_535:
        raise click.BadParameter("写成 主机:端口 (HOST:PORT)", ctx, param)
    return found[1].strip("[]"), int(found[2])


@click.command("serve")
@click.option(
    "--workspace",
    envvar="MINGZHENG_WORKSPACE",
    type=click.Path(path_type=Path),
    help="Workspace whose log is served. 提供其日志的工作区。",
)
@click.option("--public", type=_DIRECTORY, help="Only read: a copy of any tlog-tiles log. 只读：任意日志目录的副本。")
@click.option(
    "--origin",
    type=click.IntRange(1, 65535),
    help="A closed log of the workspace by its number, to read. 只读：工作区已封存的日志编号。",
)
@click.option("--trust", type=_DIRECTORY, help="Trust store with the keys of all who submit. 信任数据目录。")
@click.option(
    "--listen", default=LISTEN, show_default=True, callback=read_listen, help="Where to listen. 监听地址：主机:端口。"
)
@click.option(
    "--no-address-limit",
    is_flag=True,
    help="Do not count failures by address: behind a proxy. 不按地址限流（前面有代理时）。",
)
@click.option(
    "--front",
    is_flag=True,
    help="Only take entries for a log in a database; another process signs. 前端：只接收条目，由另一进程签名。",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="End the signer there is, for a log in a database. 接管：结束现有的签名进程（数据库里的日志）。",
)
@SECRET
def serve_command(
    *, workspace: Path | None, public: Path | None, trust: Path | None, listen: tuple[str, int], **options: Any
) -> None:
    """Serve a log: tiles to anyone, new entries from submit keys. 在网络上提供日志。

    \b
    mingzheng log serve --workspace W --trust trust --listen 127.0.0.1:8600
    mingzheng log serve --front --trust trust --listen 127.0.0.1:8601
    mingzheng log serve --public mirror/public
    mingzheng log serve --workspace W --origin 1

    A front end needs no workspace and no key: trust data, and the MINGZHENG_LOG_ variables. 前端不需要工作区和密钥。

    Needs the extra `server`: pip install 'mingzheng[server]'. Put a proxy with TLS in front. 前面请放置带 TLS 的代理。
    """
    _check_serve(workspace, public, trust, options)
    if importlib.util.find_spec("sanic") is None:  # said before any key is asked for
        raise click.UsageError("需要 pip install 'mingzheng[server]' (needs the extra `server`)")
    write: WritePlan | FrontPlan | None = None
    fetcher: Fetcher
    if public is not None:
        fetcher = DirectoryFetcher(public)
    elif options["origin"] is not None:
        assert workspace is not None  # checked
        fetcher = _closed_log(workspace, options["origin"])
    elif options["front"]:
        assert trust is not None  # checked
        write, fetcher = _front_plan(trust, options)
    else:
        assert workspace is not None  # one of the three
        write, fetcher = _write_plan(workspace, trust, options), public_files(current_log(workspace), os.environ)
    _log_json()
    run(ServePlan(fetcher=fetcher, host=listen[0], port=listen[1], chinese=_chinese(), write=write))


def _check_serve(workspace: Path | None, public: Path | None, trust: Path | None, options: dict[str, Any]) -> None:
    """Raises a usage error, FrontEmbeddedError."""
    if options["front"]:
        if workspace is not None and not is_moved(current_log(workspace)):
            raise FrontEmbeddedError
        if workspace is not None or public is not None or options["origin"] is not None or options["take_over"]:
            raise click.UsageError(
                "--front 不与 --workspace、--public、--origin、--take-over 同用 (--front goes with none of these)"
            )
        if trust is None:
            raise click.UsageError("--front 需要 --trust (--front needs --trust)")
        return
    if (public is not None) and (trust is not None):
        raise click.UsageError("--trust 只用于 --workspace 和 --front (--trust goes with --workspace and --front)")
    if public is None and workspace is None:
        raise click.UsageError("请给出 --workspace、--front 或 --public (give --workspace, --front or --public)")
    if options["origin"] is not None and (workspace is None or public is not None or trust is not None):
        raise click.UsageError("--origin 只与 --workspace 同用 (--origin goes with --workspace alone)")
    if options["take_over"] and (workspace is None or not is_moved(current_log(workspace))):
        raise click.UsageError("--take-over 只用于数据库里的日志 (--take-over is for a log in a database)")


@click.command("submit-key")
@WORKSPACE
@click.option("--issuer", type=NUMBER, required=True, help="Issuer number; 0: the log's own. 机构编号；0 为日志自身。")
@SECRET
def submit_key_command(workspace: Path, *, issuer: int, **options: Any) -> None:
    """Make a key that submits an issuer's entries to a served log. 为机构生成提交密钥。

    \b
    mingzheng log submit-key --workspace W --issuer 1

    `trust export` takes its public half along. 公钥随 trust export 一起导出。

    Issuer 0 submits landmark lists, which a log with witnesses has. 机构 0 提交地标清单（有见证方的日志）。
    """
    with open_workspace(workspace, options) as opened:
        if issuer and opened.config.issuer(issuer) is None:
            raise OptionError(f"没有编号为 {issuer} 的机构", f"there is no issuer {issuer}")
        if issuer:
            kid = opened.add_key(Role.SUBMIT, issuer).kid
        else:
            opened.add_log_key(Role.SUBMIT)
            kid = opened.config.keys[-1].kid
    click.echo(kid.hex())


class _Keys:
    """`book.ActKeys` that can be read again while the log is open."""

    def __init__(self, read: Callable[[], ActKeys]) -> None:
        self._read = read
        self._now = read()

    def again(self) -> Callable[[Kid], KeyRecord | None]:
        """Read again; the way to the records. Raises what reading raises, and keeps what was."""
        self._now = self._read()
        return self._now.record

    def record(self, kid: Kid) -> KeyRecord | None:
        """See ActKeys."""
        return self._now.record(kid)

    def may_name(self, issuer: int, origin: int) -> bool:
        """See ActKeys."""
        return self._now.may_name(issuer, origin)

    def needs_two(self, issuer: int, day: int) -> bool:
        """See ActKeys."""
        return self._now.needs_two(issuer, day)


def _write_plan(workspace: Path, trust: Path | None, options: dict[str, Any]) -> WritePlan:
    """Read what is needed out of the workspace, and let go of its lock. Raises as `Workspace.log`."""
    with open_workspace(workspace, options) as opened:
        identity, config, directory = opened.log_identity(), opened.config, opened.log_directory()
        if options["take_over"]:
            cloud_place(os.environ).end_signer()
        opened.log.close()  # opened as a command does: an older log than the ledger knows is never served

    keys = _Keys(lambda: config if trust is None else TrustActKeys(load_store(trust).data))
    memory = default_memory_dir(os.environ)
    if is_moved(directory):
        return _cloud_plan(identity, keys, memory, options)
    return WritePlan(
        open_log=lambda: open_log(directory, identity, act_keys=keys, memory_dir=memory, environment=os.environ),
        origin_number=identity.origin_number,
        origin_name=identity.origin_name,
        records=keys.again,
        gate=_gate_limits(options),
    )


def _closed_log(workspace: Path, number: int) -> Fetcher:
    """The files of a log that was rolled over. Raises OriginUnknownError, a usage error for the one written to."""
    with open_workspace(workspace, {}) as opened:
        if opened.config.shard_of(number) == opened.config.shard:
            raise click.UsageError("--origin 用于已封存的日志 (--origin is for a closed log)")
        return public_files(opened.log_directory(number), os.environ)


def _cloud_plan(identity: LogIdentity, keys: _Keys, memory: Path | None, options: dict[str, Any]) -> WritePlan:
    """The signer of a log in a database, which takes what front ends queue there. Raises CloudSettingsError."""
    place = cloud_place(os.environ)
    from mingzheng.log.cloud import CloudLog

    opened: list[CloudLog] = []

    def open_cloud() -> Log:
        log = CloudLog.open(place, identity, act_keys=keys, memory_dir=memory)
        opened[:] = [log]
        return log

    return WritePlan(
        open_log=open_cloud,
        origin_number=identity.origin_number,
        origin_name=identity.origin_name,
        records=keys.again,
        gate=_gate_limits(options),
        feed=FeedPlan(connect=place.feed, epoch=lambda: opened[0].epoch if opened else None, vkey=identity.vkey_text()),
    )


def _front_plan(trust: Path, options: dict[str, Any]) -> tuple[FrontPlan, Fetcher]:
    """What a front end needs, none of it secret but for its accounts. The log's keys are those that the trust data
    have for the published checkpoint. Raises FrontEmbeddedError, CloudSettingsError, a usage error, LogError."""
    if not os.environ.get("MINGZHENG_LOG_DATABASE"):
        raise FrontEmbeddedError
    place = cloud_place(os.environ)
    fetcher = StoreFetcher(place.store())
    keys = keys_of_note(load_store(trust).data, fetcher.fetch(CHECKPOINT))
    LogReader(fetcher, keys.vkey).refresh()
    plan = FrontPlan(
        connect=place.front,
        vkey=format_vkey(keys.vkey),
        origin_number=keys.number,
        origin_name=keys.name,
        records=lambda: load_store(trust).data.key,
        gate=_gate_limits(options),
    )
    return plan, fetcher


def _gate_limits(options: dict[str, Any]) -> GateLimits:
    return replace(GateLimits(), address=None) if options["no_address_limit"] else GateLimits()


def _log_json() -> None:
    """From here on our own lines are JSON, from INFO up."""
    ours = logging.getLogger("mingzheng")
    for handler in ours.handlers:
        handler.setFormatter(JsonLines())
    ours.setLevel(min(ours.level or logging.INFO, logging.INFO))


def _chinese() -> Callable[[str], str]:
    text = importlib.resources.files("mingzheng").joinpath("errors_zh.json").read_text(encoding="utf-8")
    return partial(_sentence, json.loads(text))


def _sentence(table: dict[str, str], code: str) -> str:
    return table.get(code, "")
