"""`mingzheng trust key|init|sign|install|publish|rotate|update`: parse, call, print.

Spec: docs/spec/trust.md, "Distribution over TUF". python-tuf is loaded by `publish` and `update` only, so that the
machines where keys are kept need nothing but this program. Private keys come from encrypted files, never as arguments.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from mingzheng.keys.alg import Alg, PublicKey
from mingzheng.keys.custody import generate, load_signer, read_passphrase, save_private_key
from mingzheng.keys.durable import read_file, replace_file
from mingzheng.keys.pins import add_pin, read_pins
from mingzheng.keys.signer import Signer
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.tuferrors import TufNotInstalledError, TufSettingError
from mingzheng.keys.tuffetch import open_source
from mingzheng.keys.tufmeta import (
    MAX_BYTES,
    RoleName,
    Root,
    Signed,
    Targets,
    format_expires,
    key_id,
    parse_public_key_file,
    parse_root,
    parse_targets,
    write_public_key,
)
from mingzheng.keys.tufrepo import (
    DAY,
    ROOT_DAYS,
    Holders,
    Published,
    Waiting,
    add_signature,
    current_root,
    holders_of,
    install,
    parse_signable,
    publish,
    stage_root,
    write_zip,
)
from mingzheng.keys.tufview import root_words, targets_words

__all__ = ["COMMANDS"]

EXIT_WAITING: Final = 3
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_F = TypeVar("_F", bound=Callable[..., Any])
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW: Final = click.Path(dir_okay=False, path_type=Path)
_REPO: Final = click.Path(file_okay=False, path_type=Path)
_STORE: Final = click.Path(exists=True, file_okay=False, path_type=Path)


def _secret(function: _F) -> _F:
    file = click.option("--passphrase-file", type=_NEW, help="File (0600) with the passphrase. 口令文件。")
    descriptor = click.option("--passphrase-fd", type=int, help="Descriptor to read it from. 口令描述符。")
    return file(descriptor(function))


def _as_json(function: _F) -> _F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object. 输出 JSON。")(function)


@click.command("key")
@click.argument("path", type=_NEW)
@_secret
def key(path: Path, passphrase_file: Path | None, passphrase_fd: int | None) -> None:
    """Make a key for the signing of trust data; PATH.pub is handed over. 生成一把用于签署信任数据的密钥。

    \b
    mingzheng trust key alice.key
    """
    signer = generate(Alg.ED25519)
    save_private_key(path, signer, _passphrase(path, passphrase_file, passphrase_fd, confirm=True))
    public = path.with_suffix(".pub")
    replace_file(public, write_public_key(signer.public_key))
    click.echo(f"{key_id(signer.public_key)}  {public}")


@click.command("init")
@click.argument("repo", type=_REPO)
@click.option("--root", "root", multiple=True, required=True, type=_FILE, help="A root keeper's .pub. 根保管人公钥。")
@click.option("--threshold", type=int, required=True, help="How many of them must sign. 需几人签名。")
@click.option("--targets", multiple=True, required=True, type=_FILE, help="A publisher's .pub. 发布公钥。")
@click.option("--targets-threshold", type=int, default=1, show_default=True, help="How many of them. 需几个签名。")
@click.option("--online", required=True, type=_FILE, help="The .pub of snapshots and timestamps. 在线公钥。")
@click.option("--days", type=click.IntRange(1, 3660), default=ROOT_DAYS, show_default=True, help="Lifetime. 有效天数。")
def init(repo: Path, root: tuple[Path, ...], targets: tuple[Path, ...], online: Path, days: int, **need: int) -> None:
    """Lay out the first root for its keepers to sign. 准备第一版根，等待各保管人签名。

    \b
    mingzheng trust init pub --root a.pub --root b.pub --root c.pub --threshold 2 --targets r.pub --online o.pub
    """
    holders = Holders(
        root=tuple(map(_public, root)),
        threshold=need["threshold"],
        targets=tuple(map(_public, targets)),
        targets_threshold=need["targets_threshold"],
        online=_public(online),
    )
    _tell(stage_root(repo, holders, first=True, expires=int(time.time()) + days * DAY))


@click.command("rotate")
@click.argument("repo", type=_REPO)
@click.option("--add-root", multiple=True, type=_FILE, help="A new root keeper's .pub. 新增根保管人公钥。")
@click.option("--remove-root", multiple=True, metavar="KEYID", help="A root key to take out. 移除的根密钥编号。")
@click.option("--threshold", type=int, help="How many must sign from now on. 今后需几人签名。")
@click.option("--targets", multiple=True, type=_FILE, help="The publishers' .pub, all anew. 全部发布公钥（替换）。")
@click.option("--targets-threshold", type=int, help="How many of them. 需几个签名。")
@click.option("--online", type=_FILE, help="The new online .pub. 新的在线公钥。")
@click.option("--days", type=click.IntRange(1, 3660), default=ROOT_DAYS, show_default=True, help="Lifetime. 有效天数。")
def rotate(repo: Path, add_root: tuple[Path, ...], remove_root: tuple[str, ...], days: int, **change: Any) -> None:
    """Lay out the next root; the old keepers and the new ones sign it. 准备下一版根，新旧保管人都要签名。

    \b
    mingzheng trust rotate pub --remove-root 4f0a… --add-root dave.pub
    mingzheng trust rotate pub --online new.pub
    """
    old = holders_of(current_root(repo))
    gone = {keyid.lower() for keyid in remove_root}
    kept = tuple(one for one in old.root if key_id(one) not in gone)
    if len(old.root) - len(kept) != len(gone):
        raise TufSettingError("a key to take out is not a root key")
    targets, needed = tuple(map(_public, change["targets"])) or old.targets, change["targets_threshold"]
    holders = Holders(
        root=(*kept, *map(_public, add_root)),
        threshold=old.threshold if change["threshold"] is None else change["threshold"],
        targets=targets,
        targets_threshold=min(old.targets_threshold, len(targets)) if needed is None else needed,
        online=_public(change["online"]) if change["online"] else old.online,
    )
    _tell(stage_root(repo, holders, first=False, expires=int(time.time()) + days * DAY))


@click.command("sign")
@click.argument("file", type=_FILE)
@click.option("--key", "keyfile", required=True, type=_FILE, help="Your encrypted key. 您的密钥文件。")
@click.option("--current", type=_FILE, help="The root in force; needed but for a first root. 现行的根文件。")
@click.option("--out", type=_NEW, help="Where to write; by default FILE itself. 输出文件。")
@click.option("--yes", is_flag=True, help="Do not ask. 不再询问。")
@_secret
def sign(file: Path, keyfile: Path, current: Path | None, out: Path | None, yes: bool, **secret: Any) -> None:
    """Say what a file changes, ask, and sign it; on any machine. 说明文件的内容，确认后签名。

    \b
    mingzheng trust sign 1.root.json --key alice.key --out 1.alice.json
    mingzheng trust sign 2.root.json --current 1.root.json --key alice.key
    """
    signed, old = parse_signable(_read(file)), None if current is None else parse_root(_read(current))
    for line in _words(signed, old, now=int(time.time())):
        click.echo(line, err=True)
    if not yes:
        click.confirm("签名？ Sign?", abort=True, err=True)
    (signer,) = _signers((keyfile,), secret)
    replace_file(out or file, add_signature(signed, signer, None if old is None else old.body))
    click.echo(str(out or file))


@click.command("install")
@click.argument("repo", type=_REPO)
@click.argument("files", nargs=-1, required=True, type=_FILE)
def install_command(repo: Path, files: tuple[Path, ...]) -> None:
    """Take in files that were signed elsewhere; a root comes into force when enough have signed. 收回签好的文件。

    \b
    mingzheng trust install pub 1.alice.json 1.bob.json
    """
    for file in files:
        last = install(repo, _read(file))
    _tell(last)


@click.command("publish")
@click.argument("repo", type=_REPO)
@click.option(
    "--trust", type=_STORE, help="Store that `trust export` wrote; without it, a new date only. 导出的信任数据。"
)
@click.option("--key", "keyfiles", multiple=True, required=True, type=_FILE, help="Keys to sign with. 签名密钥文件。")
@click.option("--zip", "packed", type=_NEW, help="Also write all as one ZIP file. 另存为一个 ZIP。")
@_secret
@_as_json
def publish_command(
    repo: Path, trust: Path | None, keyfiles: tuple[Path, ...], packed: Path | None, as_json: bool, **secret: Any
) -> None:
    """Publish trust data: targets, snapshot, timestamp. 发布信任数据。

    \b
    mingzheng trust publish pub --trust exported --key release.key --key online.key
    mingzheng trust publish pub --key online.key --zip trust.zip

    Exit status: 3 if the targets wait for signatures made elsewhere. 退出码：3 为等待他处签名。
    """
    files = None if trust is None else load_store(trust).files
    signers = _signers(keyfiles, secret)
    done = publish(repo, files, signers=signers, now=int(time.time()))
    if isinstance(done, Waiting):
        _tell(done)
    else:
        if packed is not None:
            write_zip(repo, packed)
        _tell_published(done, as_json)


@click.command("update")
@click.argument("store", type=_REPO)
@click.option("--from", "place", required=True, metavar="URL|DIR|ZIP", help="A mirror. 来源：网址、目录或 ZIP。")
@click.option("--root", metavar="FILE|HEX", help="First root or its fingerprint; is pinned. 最初的根或其指纹（记住）。")
@_as_json
def update(store: Path, place: str, root: str | None, as_json: bool) -> None:
    """Bring a trust store forward; all signatures are checked. 更新信任数据（核验全部签名）。

    \b
    mingzheng trust update trust --from https://trust.example/ --root 1f0c…
    mingzheng trust update trust --from /media/usb
    mingzheng trust update trust --from trust.zip
    """
    try:
        from mingzheng.keys.tufclient import FirstRoot, update_store
    except ImportError as error:
        raise TufNotInstalledError("the TUF library is needed to update: install mingzheng[trust]") from error
    first = None
    if root is not None:
        hexadecimal = _HEX.fullmatch(root.strip().lower())
        if not hexadecimal and not Path(root).is_file():
            raise click.BadParameter("写 64 位指纹或根文件 (64 hexadecimal digits, or a file)", param_hint="--root")
        first = FirstRoot(fingerprint=hexadecimal[0]) if hexadecimal else FirstRoot(data=_read(Path(root)))
    pins = read_pins(os.environ)
    done = update_store(store, open_source(place), first=first, pins=pins, now=int(time.time()))
    if first is not None:
        add_pin(os.environ, done.first_root)
    shown = {
        "changed": done.changed,
        "generation": done.generation,
        "fingerprint": done.fingerprint,
        "root": done.root_version,
        "first_root": done.first_root,
        "expires": format_expires(done.expires),
    }
    if as_json:
        click.echo(json.dumps(shown))
        return
    click.echo("已更新 updated" if done.changed else "已是最新 up to date", err=True)
    click.echo(f"代次 generation {done.generation}  根 root {done.root_version}  有效至 until {shown['expires']}")
    click.echo(f"指纹 fingerprint: {done.fingerprint}")


COMMANDS: Final = (key, init, sign, install_command, publish_command, rotate, update)


def _words(signed: Signed[Root] | Signed[Targets], old: Signed[Root] | None, *, now: int) -> Iterator[str]:
    """What the file says and changes; raises TufSettingError if that cannot be said."""
    version, before = signed.body.version, None if old is None else old.body
    is_root = isinstance(signed.body, Root)
    wanted = version == 1 if before is None else version == before.version + 1
    if (is_root and not wanted) or (not is_root and before is None):
        raise TufSettingError("give the root in force as --current (not for a first root): what changes is said by it")
    if is_root:
        yield from root_words(parse_root(signed.data), before, now=now)
    else:
        yield from targets_words(parse_targets(signed.data), now=now)
    if old is not None:
        yield f"与之比较的根 compared with root {old.body.version}: {old.fingerprint}"
        yield "  请与您上次保存的指纹核对 Compare it with the one you kept: a false root here would hide what changes"


def _tell(waiting: Waiting) -> None:
    """What is in force, or which signatures are missing; the latter ends with status 3."""
    name = f"{waiting.version}.{waiting.role}.json"
    if waiting.path is None:
        click.echo(f"已生效 in force: {name}")
        return
    for who, have, need in waiting.missing:
        click.echo(f"等待签名 waiting for signatures ({who}): {have}/{need}", err=True)
    click.echo(str(waiting.path))
    if waiting.missing:
        click.get_current_context().exit(EXIT_WAITING)


def _tell_published(done: Published, as_json: bool) -> None:
    shown = {
        "root": done.root_version,
        "targets": done.targets_version,
        "snapshot": done.snapshot_version,
        "timestamp": done.timestamp_version,
        "expires": format_expires(done.expires),
    }
    words = zip(("根", "发布清单", "快照", "时间戳", "有效至"), shown.items(), strict=True)
    click.echo(json.dumps(shown) if as_json else "  ".join(f"{zh} {name} {value}" for zh, (name, value) in words))


def _read(path: Path) -> bytes:
    return read_file(path.resolve(), cap=MAX_BYTES[RoleName.TARGETS])


def _public(path: Path) -> PublicKey:
    return parse_public_key_file(_read(path))


def _signers(paths: tuple[Path, ...], secret: Mapping[str, Any]) -> list[Signer]:
    """The keys, opened. A terminal is asked for each; a file or descriptor is read once and serves all."""
    file, fd = secret["passphrase_file"], secret["passphrase_fd"]
    shared = None if file is None and fd is None else read_passphrase(file=file, fd=fd)
    return [load_signer(path, Alg.ED25519, shared or _passphrase(path, None, None, confirm=False)) for path in paths]


def _passphrase(path: Path, file: Path | None, fd: int | None, *, confirm: bool) -> bytes:
    if file is None and fd is None:
        return read_passphrase(prompt=f"口令 passphrase ({path.name}): ", confirm=confirm)
    return read_passphrase(file=file, fd=fd)
