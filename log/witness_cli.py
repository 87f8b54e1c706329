"""`mingzheng witness`: run a witness for logs, ours or any tlog-tiles log.

Source: docs/spec/witness.md. A witness is a directory: its keys, what it has cosigned, the logs it knows. Output is
data on stdout; typed errors go up to the one command. The server library is imported by `serve` alone.
"""

import json
import time
from pathlib import Path
from typing import Final

import click

from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.keys.alg import Alg
from mingzheng.keys.custody import generate, load_signer, read_passphrase, save_private_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.vkey import TYPE_ML_DSA_44, VerifierKey, check_name, format_vkey, parse_vkey
from mingzheng.log.cosign import Cosigner
from mingzheng.log.durable import make_dirs
from mingzheng.log.errors import LogError
from mingzheng.log.logargs import text_or_file
from mingzheng.log.witnessnode import WitnessNode
from mingzheng.log.witnessstore import DATABASE, WitnessExistsError, WitnessStore

DEFAULT_PORT: Final = 7380
_KINDS: Final = {"ed25519": (Alg.ED25519,), "ml-dsa-44": (Alg.ML_DSA_44,), "both": (Alg.ED25519, Alg.ML_DSA_44)}
_DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_PASSPHRASE_FILE: Final = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="File (0600) with the passphrase. 口令文件。"
)
_PASSPHRASE_FD: Final = click.option(
    "--passphrase-fd", type=int, help="Descriptor to read the passphrase from. 口令描述符。"
)


class ServerMissingError(LogError):
    """The server library is not installed: pip install 'mingzheng[server]'."""

    code = "witness.no_server"


@click.group("witness")
def witness_group() -> None:
    """Run a witness: cosign the heads of logs that only grow. 运行见证方：只为不改历史的日志树头签名。"""


@witness_group.command("init")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name in cosignatures, such as w1.example.cn. 见证方名称。")
@click.option(
    "--alg", type=click.Choice(list(_KINDS)), default="both", show_default=True, help="Keys to make. 密钥种类。"
)
@_PASSPHRASE_FILE
@_PASSPHRASE_FD
def init(directory: Path, *, name: str, alg: str, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make a witness and print its verifier keys, one a line. 建立见证方，输出验证公钥。

    \b
    mingzheng witness init w1 --name w1.example.cn --passphrase-file secret
    """
    try:
        check_name(name)
    except KeysError as error:
        raise click.UsageError(f"--name: {error} 名称不合规定。") from error
    if (directory / DATABASE).exists():
        raise WitnessExistsError(f"{directory.name}: there is a {DATABASE}")
    passphrase = _passphrase(passphrase_file, passphrase_fd, confirm=True)
    make_dirs(directory / "keys")
    signers = [generate(kind) for kind in _KINDS[alg]]
    cosigner = Cosigner(name, signers)
    for signer, vkey in zip(signers, cosigner.vkeys, strict=True):
        save_private_key(_key_file(directory, vkey), signer, passphrase)
    WitnessStore.create(directory, name=name, vkeys=cosigner.vkeys).close()
    for vkey in cosigner.vkeys:
        click.echo(format_vkey(vkey))


@witness_group.command("add-log")
@click.argument("directory", type=_DIRECTORY)
@click.argument("vkey")
@click.option("--origin", help="The log's origin line, if it is not the key's name. 日志名称。")
def add_log(directory: Path, vkey: str, *, origin: str | None) -> None:
    """Witness a log, known by its verifier key (text or file). 增加要见证的日志。

    \b
    mingzheng witness add-log w1 log.vkey
    """
    try:
        key = parse_vkey(text_or_file(vkey).strip())
    except KeysError as error:
        raise click.UsageError(f"VKEY: {error} 不是验证公钥。") from error
    store = WitnessStore(directory)
    try:
        store.add_log(key, origin=key.name if origin is None else origin)
    finally:
        store.close()


@witness_group.command("show")
@click.argument("directory", type=_DIRECTORY)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on one line. 输出 JSON。")
def show(directory: Path, *, as_json: bool) -> None:
    """Show a witness: name, keys, logs, what it last cosigned. 查看见证方。

    \b
    mingzheng witness show w1
    """
    store = WitnessStore(directory, allow_copy=True)
    try:
        logs = []
        for origin in store.logs():
            seen = store.seen(origin)
            head = {} if seen is None else {"size": seen.size, "root": seen.root.hex(), "time": seen.time}
            logs.append({"origin": origin, "vkeys": [format_vkey(key) for key in store.log_vkeys(origin)], **head})
        shown = {"name": store.name, "vkeys": [format_vkey(key) for key in store.vkeys], "logs": logs}
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo("\n".join([store.name, *(format_vkey(key) for key in store.vkeys)]))
    for log in logs:
        click.echo(f"日志 log {log['origin']}: {_head_text(log)}")


@witness_group.command("adopt")
@click.argument("directory", type=_DIRECTORY)
@click.argument("checkpoints", nargs=-1, type=_FILE)
@click.option(
    "--as-remembered",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Nothing newer was cosigned of this log than what is here. 此日志没有比这里更新的见证。",
)
def adopt(directory: Path, checkpoints: tuple[Path, ...], *, origins: tuple[str, ...]) -> None:
    """Let a moved or restored witness sign again. 让搬迁或恢复的见证方重新签名。

    Give the newest head it cosigned of every log (from each log, or from monitors): what it forgets here it may
    contradict later. 请给出每个日志最新的见证树头；此处漏掉的，它以后可能签出矛盾的树头。

    \b
    mingzheng witness adopt w1 newest-checkpoint
    mingzheng witness adopt w1 --as-remembered log.example.cn/1
    """
    store = WitnessStore(directory, allow_copy=True)
    try:
        store.adopt([path.read_bytes() for path in checkpoints], as_remembered=origins)
    finally:
        store.close()


@witness_group.command("serve")
@click.argument("directory", type=_DIRECTORY)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. 监听地址。")
@click.option("--port", type=click.IntRange(1, 65_535), default=DEFAULT_PORT, show_default=True, help="Port. 端口。")
@click.option("--prefix", default="", help="Path before every request's, such as /w1. 路径前缀。")
@_PASSPHRASE_FILE
@_PASSPHRASE_FD
def serve(
    directory: Path, *, host: str, port: int, prefix: str, passphrase_file: Path | None, passphrase_fd: int | None
) -> None:
    """Answer add-checkpoint, sign-subtree and monitors over HTTP. 提供 HTTP 服务。

    \b
    mingzheng witness serve w1 --port 7380 --passphrase-file secret
    """
    try:
        from mingzheng.log import witnessserver
    except ImportError as error:
        raise ServerMissingError(
            f"the server library is not installed ({error}): pip install 'mingzheng[server]'"
        ) from error
    store = WitnessStore(directory)
    try:
        node = WitnessNode(store, _load(directory, store, _passphrase(passphrase_file, passphrase_fd)))
        witnessserver.serve(node, host=host, port=port, prefix=prefix.rstrip("/"))
    finally:
        store.close()


def _load(directory: Path, store: WitnessStore, passphrase: bytes) -> Cosigner:
    algs = [Alg.ML_DSA_44 if vkey.sig_type == TYPE_ML_DSA_44 else Alg.ED25519 for vkey in store.vkeys]
    files = [_key_file(directory, vkey) for vkey in store.vkeys]
    return Cosigner(store.name, [load_signer(file, alg, passphrase) for file, alg in zip(files, algs, strict=True)])


def _key_file(directory: Path, vkey: VerifierKey) -> Path:
    return directory / "keys" / ("ml-dsa-44.pem" if vkey.sig_type == TYPE_ML_DSA_44 else "ed25519.pem")


def _passphrase(file: Path | None, fd: int | None, *, confirm: bool = False) -> bytes:
    if file is None and fd is None:
        return read_passphrase(prompt="见证方口令 witness passphrase: ", confirm=confirm)
    return read_passphrase(file=file, fd=fd)


def _head_text(log: dict[str, object]) -> str:
    if "size" not in log:
        return "还没有见证过 nothing cosigned yet"
    assert isinstance(log["time"], int)
    age = int(time.time()) - log["time"]
    return f"大小 size {log['size']} 根 root {log['root']} 时间 {format_day(day_of_time(log['time']))} ({age} s)"
