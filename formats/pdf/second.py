"""Whether the last save of a PDF did nothing but put a second seal on it.

The page was signed by the first seal; whoever holds the second key must not be able to change what the first one
saw. Allowed: the second field's value and appearance, the objects these two bring along, dates and producer in
the metadata, the flag "append only", and objects written again word for word. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from mingzheng.formats.pdf.skeleton import Skeleton, View
from mingzheng.formats.pdf.syntax import Ref, StreamValue, Value

__all__ = ["is_evidence", "is_second_seal", "shows_the_same"]

_FIELD_FREE: Final = frozenset({"V", "AP"})
_STORE_KEYS: Final = frozenset({"Type", "Certs", "CRLs", "OCSPs"})
_INFO_FREE: Final = frozenset({"ModDate", "Producer"})
_DATES: Final = re.compile(
    rb"<(xmp:ModifyDate|xmp:MetadataDate|pdf:Producer)>[^<>]{0,200}</\1>"
    rb"|(?:xmp:ModifyDate|xmp:MetadataDate|pdf:Producer)=\"[^\"<>]{0,200}\""
)


def is_second_seal(skeleton: Skeleton, covered: int, field: int, signature: int) -> bool:
    """Compare the state after `covered` revisions with the next one. Raises NotPlainError for unreadable objects."""
    before, after = skeleton.view(covered), skeleton.view(covered + 1)
    if not _same(before.trailer.get("Info"), after.trailer.get("Info")) or not _same(
        _identity(before), _identity(after)
    ):
        return False
    written = skeleton.revisions[covered].spans.keys()
    fresh = {number for number in written if number not in before.spans}
    if signature not in fresh or field not in written:
        return False
    old, new = before.object(field), after.object(field)
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or "V" in old:
        return False
    if not _same(_without(old, _FIELD_FREE), _without(new, _FIELD_FREE)) or new.get("V") != Ref(signature, 0):
        return False
    if not all(_harmless(before, after, number) for number in written - fresh - {field}):
        return False
    brought = (new["V"],) if _same(new.get("AP"), old.get("AP")) else (new["V"], new.get("AP"))
    return _reached(after, brought, stop=before) == fresh


def shows_the_same(skeleton: Skeleton, covered: int, field: int) -> bool:
    """Whether the next save left the picture of a field as it was."""
    before, after = (skeleton.view(count).dictionary(Ref(field, 0)) for count in (covered, covered + 1))
    return _same(before.get("AP"), after.get("AP"))


def is_evidence(skeleton: Skeleton, covered: int) -> bool:
    """Whether the next save only added the certificates and revocation data of EN 319 142-1 §5.4.2 to the catalogue."""
    before, after = skeleton.view(covered), skeleton.view(covered + 1)
    root = before.trailer.get("Root")
    old, new = before.dictionary(root), after.dictionary(root)
    written = skeleton.revisions[covered].spans.keys()
    fresh = {number for number in written if number not in before.spans}
    if (
        not isinstance(root, Ref)
        or written - fresh != {root.number}
        or "DSS" in old
        or not _same(_identity(before), _identity(after))
    ):
        return False
    if not _same(_without(new, frozenset({"DSS"})), old):
        return False
    if not _same(before.trailer.get("Info"), after.trailer.get("Info")):
        return False
    store = after.dictionary(new.get("DSS"))
    if not store.keys() <= _STORE_KEYS or store.get("Type", "DSS") != "DSS":
        return False
    return _reached(after, (new.get("DSS"),), stop=before) == fresh


def _identity(view: View) -> Value:
    """The first half of the file identifier, which no save may change (§14.4)."""
    value = view.trailer.get("ID")
    return value[0] if isinstance(value, tuple) and value else None


def _same(old: Value, new: Value) -> bool:
    """Whether two values are the same to every reader; for Python 1 is true as well, and 5 0 R is [5 0]."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if type(old) is not type(new):
        return False
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old == new


def _without(entries: Mapping[str, Value], keys: frozenset[str]) -> dict[str, Value]:
    return {key: value for key, value in entries.items() if key not in keys}


def _harmless(before: View, after: View, number: int) -> bool:
    """Whether an object that was written again says the same."""
    old, new = before.object(number), after.object(number)
    if isinstance(old, StreamValue) and isinstance(new, StreamValue):
        same = before.data[old.start : old.end] == after.data[new.start : new.end]
        if same and _same(old.entries, new.entries):
            return True
        return _is_metadata(before, number) and _same_metadata(before, old, new)
    if _same(old, new):
        return True
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    if before.trailer.get("Info") == Ref(number, 0):
        return _same(_without(old, _INFO_FREE), _without(new, _INFO_FREE))
    form = before.dictionary(before.trailer.get("Root")).get("AcroForm")
    if form == Ref(number, 0):
        flags = frozenset({"SigFlags"})
        return _same(_without(old, flags), _without(new, flags)) and _same(new.get("SigFlags"), 3)
    return False


def _is_metadata(view: View, number: int) -> bool:
    return view.dictionary(view.trailer.get("Root")).get("Metadata") == Ref(number, 0)


def _same_metadata(view: View, old: StreamValue, new: StreamValue) -> bool:
    """Metadata alike but for its dates; only when it is not compressed."""
    free = frozenset({"Length"})
    if "Filter" in old.entries or not _same(_without(old.entries, free), _without(new.entries, free)):
        return False
    texts = [_DATES.sub(b"", view.data[one.start : one.end]) for one in (old, new)]
    return texts[0] == texts[1]


def _reached(view: View, values: tuple[Value, ...], *, stop: View) -> set[int] | None:
    """The numbers of the objects that hang on these values and were not there before; None if an old one does.

    The signature may name the catalogue as what it protects; nothing else leads back into the document.
    """
    found: set[int] = set()
    pending = list(values)
    root = stop.trailer.get("Root")
    while pending:
        for ref in _references(pending.pop()):
            if ref == root:
                continue
            if ref.generation or ref.number in stop.spans:
                return None
            if ref.number not in found:
                found.add(ref.number)
                pending.append(view.object(ref.number))
    return found


def _references(value: Value) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, StreamValue):
        yield from _references(dict(value.entries))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _references(inner)
