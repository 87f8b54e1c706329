"""What a keeper of a key is about to sign, in words; Chinese and English on each line. Pure.

Spec: docs/spec/trust.md, "Distribution over TUF". A signature under a root can hand over everything, so nothing that
changes is left out: every key that comes or goes, every number of signatures, the date, the fingerprint.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from mingzheng.keys.tufmeta import RoleKeys, RoleName, Root, Signed, Targets, format_expires

_DAY: Final = 86_400
_NAMES: Final = {
    RoleName.ROOT: "根 root",
    RoleName.TARGETS: "发布 targets",
    RoleName.SNAPSHOT: "快照 snapshot",
    RoleName.TIMESTAMP: "时间戳 timestamp",
}


def root_words(signed: Signed[Root], old: Root | None, *, now: int) -> Iterator[str]:
    """A root: its number, date, fingerprint, who holds which role, and what differs from the root before."""
    root = signed.body
    before = "没有前一版 none before" if old is None else f"前一版 after {old.version}"
    yield f"根 root {root.version}（{before}）"
    yield f"指纹 fingerprint: {signed.fingerprint}"
    yield _expiry(root.expires, now)
    for role in RoleName:
        held = root.roles[role]
        count, need = len(held.keyids), held.threshold
        yield f"{_NAMES[role]}: {count} 把密钥，需 {need} 个签名 ({count} keys, {need} must sign)"
        was = RoleKeys(keyids=(), threshold=need) if old is None else old.roles[role]
        if was.threshold != need:
            yield f"  ! 签名数由 {was.threshold} 改为 {need} (signatures needed: {was.threshold} → {need})"
        for keyid in sorted({*held.keyids, *was.keyids}):
            yield f"  {_mark(keyid, held.keyids, was.keyids)} {keyid}"


def targets_words(signed: Signed[Targets], *, now: int) -> Iterator[str]:
    """Targets: number, date, and the fingerprint of the trust data, as `trust show` gives it."""
    body = signed.body
    size = sum(file.length for file in body.files.values())
    yield f"发布清单 targets {body.version}: {len(body.files)} 个文件 files, {size} 字节 bytes"
    yield f"信任数据指纹 fingerprint of the trust data: {hashlib.sha256(body.listing()).hexdigest()}"
    yield _expiry(body.expires, now)


def _expiry(expires: int, now: int) -> str:
    days = (expires - now) // _DAY
    return f"有效至 expires: {format_expires(expires)}（{days} 天 days）"


def _mark(keyid: str, now: tuple[str, ...], before: tuple[str, ...]) -> str:
    if keyid not in before:
        return "+ 新增 added"
    return "- 移除 removed" if keyid not in now else "="
