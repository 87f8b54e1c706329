"""The public files of a log over HTTP: which path is a file, what may cache it, how it is compared.

Source: C2SP tlog-tiles (layout, immutability, media types), RFC 9110 §13 (conditional requests), RFC 9111. A path is
opened only after it was read as `checkpoint` or as the one spelling of a tile.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from mingzheng.log.client import CHECKPOINT, Fetcher, FetchError
from mingzheng.log.errors import TilePathError
from mingzheng.log.servererrors import NotServedError
from mingzheng.log.tile import TILE_WIDTH, parse_path

IMMUTABLE: Final = "public, max-age=31536000, immutable"
PARTIAL: Final = "public, max-age=60"
HEAD: Final = "public, max-age=1"
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
CACHE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicFile:
    """A file as it is served."""

    data: bytes
    media_type: str
    cache: str
    etag: str

    def matches(self, if_none_match: str | None) -> bool:
        """Whether the client's copy (RFC 9110 §13.1.2) is this one."""
        if if_none_match is None:
            return False
        tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return self.etag in tags or tags == ["*"]


class PublicFiles:
    """Reads through a fetcher; full tiles are kept in memory, the newest used ones up to `cache_bytes`."""

    def __init__(self, fetcher: Fetcher, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._fetcher, self._cap, self._used = fetcher, cache_bytes, 0
        self._kept: OrderedDict[str, PublicFile] = OrderedDict()

    def get(self, path: str) -> PublicFile:
        """The file at a path below the log's prefix (no slash in front). Raises NotServedError."""
        kept = self._kept.get(path)
        if kept is not None:
            self._kept.move_to_end(path)
            return kept
        try:
            full = path != CHECKPOINT and parse_path(path).width == TILE_WIDTH
            data = self._fetcher.fetch(path)
        except (TilePathError, FetchError) as error:
            raise NotServedError from error
        media_type, cache = (TEXT, HEAD) if path == CHECKPOINT else (BYTES, IMMUTABLE if full else PARTIAL)
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        found = PublicFile(data=data, media_type=media_type, cache=cache, etag=etag)
        if full:
            self._keep(path, found)
        return found

    def _keep(self, path: str, found: PublicFile) -> None:
        self._kept[path] = found
        self._used += len(found.data)
        while self._used > self._cap:
            _path, dropped = self._kept.popitem(last=False)
            self._used -= len(dropped.data)


__all__ = ["PublicFile", "PublicFiles"]
