"""What commands about a log take: the log as a directory or an address, its key from trust data or as text."""

from pathlib import Path
from types import TracebackType
from typing import Self

import click

from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import parse_note
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import TrustData
from mingzheng.keys.vkey import parse_vkey, vkey_for
from mingzheng.log.block import MAX_HEIGHT
from mingzheng.log.client import CHECKPOINT, DirectoryFetcher, Fetcher
from mingzheng.log.collected import OriginKeys
from mingzheng.log.httpfetch import HttpFetcher, HttpLimits, is_log_url

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
TRUST = click.option("--trust", type=DIRECTORY, help="Trust store that names the log. 信任数据目录。")
LANG = click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language. 语言。")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on one line. 输出 JSON。")
VKEY = click.option("--vkey", help="Verifier key (text or file) of any tlog-tiles log. 任意日志的验证公钥。")


class OpenLog:
    """A log to read, with the keys to believe it by; a context, for the connection it may hold."""

    def __init__(self, where: str, *, trust: Path | None, vkey: str | None) -> None:
        """Raises a usage error for both or neither of `trust` and `vkey`, or a log that is not there; FetchError."""
        if (trust is None) == (vkey is None):
            raise click.UsageError("give either --trust or --vkey. 请给出 --trust 或 --vkey 之一。")
        keys = None if vkey is None else keys_of_vkey(text_or_file(vkey))
        self.data = None if trust is None else load_store(trust).data
        self._http = HttpFetcher(where, limits=HttpLimits()) if is_log_url(where) else None
        if self._http is None and not Path(where).is_dir():
            raise click.UsageError(f"{where!r} is neither a directory nor an http address. 既不是目录也不是网址。")
        if self._http is None and _is_store(Path(where)):
            public = Path(where) / "public"
            raise click.UsageError(f"what this log shows to everyone is in {public}. 日志公开的文件在 {public}。")
        self.fetcher: Fetcher = DirectoryFetcher(Path(where)) if self._http is None else self._http
        note = self.fetcher.fetch(CHECKPOINT)  # without one it is no log: the caller's mistake, not the log's
        if keys is None:
            assert self.data is not None  # one of the two options was given
            keys = keys_of_note(self.data, note)
        self.keys = keys

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._http is not None:
            self._http.close()


def _is_store(place: Path) -> bool:
    """The directory of a log's own store, whose part for everyone lies below it."""
    return not (place / CHECKPOINT).exists() and (place / "public" / CHECKPOINT).is_file()


def keys_of_vkey(text: str) -> OriginKeys:
    """A log known by its verifier key alone: its name is the origin. Raises a usage error."""
    try:
        vkey = parse_vkey(text.strip())
    except KeysError as error:
        raise click.UsageError(f"--vkey: {error}") from error
    return OriginKeys(number=0, name=vkey.name, block_height=MAX_HEIGHT, vkey=vkey, receipt_key=None)


def keys_of_note(data: TrustData, note: bytes) -> OriginKeys:
    """The keys of the log that a checkpoint names. Raises a usage error if the trust data lack it, KeysError."""
    return keys_of_origin(data, parse_note(note).text.split("\n", 1)[0])


def keys_of_origin(data: TrustData, name: str) -> OriginKeys:
    """The keys of an origin by its name. Raises a usage error."""
    for origin in data.origins.values():
        record = data.checkpoint_key(origin.number)
        if origin.name == name and record is not None:
            receipt = data.receipt_key(origin.number)
            return OriginKeys(
                number=origin.number,
                name=origin.name,
                block_height=origin.block_height,
                vkey=vkey_for(record.name, record.public_key),
                receipt_key=None if receipt is None else receipt.public_key,
            )
    raise click.UsageError(f"the trust data know no log {name!r}. 信任数据里没有这个日志。")


def text_or_file(value: str) -> str:
    """A key given as itself or as the name of a file. Raises a usage error."""
    path = Path(value)
    if "+" in value and not path.is_file():
        return value
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = f"{path.name}: neither a verifier key nor a text file with one. 既不是验证公钥，也不是含公钥的文本文件。"
        raise click.UsageError(said) from error
