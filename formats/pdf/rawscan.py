"""Names that make a PDF act, found without understanding the file: for unsealed files that are not plainly built.

A word is looked for outside of streams and inside streams of objects (ISO 32000-1 §7.5.7), disguised spellings
(#4A) undone. This is a fact for a report, no proof of harmlessness: a file that is not plain may show one page here and
another one elsewhere (hybrid tables, object streams, annotations drawn by some readers only), so that it is not plain
is the first of the faults. Pure.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from mingzheng.formats.pdf.document import Fault, fault_of

__all__ = ["raw_dangers"]

_INFLATED_MAX: Final = 4 * 1024 * 1024
_STREAMS_MAX: Final = 256
_STREAM: Final = re.compile(rb"stream\r?\n")
_NAME: Final = re.compile(rb"/([A-Za-z0-9]{1,24})(?![^\0\t\n\f\r ()<>\[\]{}/%])")
_DISGUISE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_DICTIONARY: Final = 512  # bytes before a stream that are taken for its dictionary


def raw_dangers(data: bytes) -> tuple[Fault, ...]:
    """That the file is not plain, and the faults of words that stand in it, each once."""
    text = b"\n".join(_texts(data))
    if b"#" in text:
        text = _DISGUISE.sub(lambda match: bytes([int(match[1], 16)]), text)
    found: dict[Fault, None] = {("file.structure", "unusual"): None}
    for word in dict.fromkeys(_NAME.findall(text)):
        code = fault_of(word.decode("ascii"))
        if code is not None and code != "file.structure":
            found[code, word.decode("ascii")] = None
    return tuple(found)


def _texts(data: bytes) -> list[bytes]:
    """The file without its streams, and the streams that hold objects."""
    texts, place, opened = [], 0, 0
    while (match := _STREAM.search(data, place)) is not None:
        end = data.find(b"endstream", match.end())
        if end < 0:
            break
        texts.append(data[place : match.start()])
        if b"/ObjStm" in data[max(place, match.start() - _DICTIONARY) : match.start()] and opened < _STREAMS_MAX:
            opened += 1
            texts.append(_inflated(data[match.end() : end]))
        place = end + len(b"endstream")
    texts.append(data[place:])
    return texts


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _INFLATED_MAX)
    except zlib.error:
        return b""
