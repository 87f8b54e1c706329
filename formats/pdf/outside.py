"""The slow way to judge a sealed PDF: pyHanko 0.38 under our rules, for files that are not built as ours are.

Its strict reader finds the objects, its difference analysis says what came after a seal; hole, CMS and closed
world are checked by our own code as well, so both must agree. Nothing is fetched, no certificate is trusted here.
Every exception of the library becomes a fault. Effectful: imports and drives a foreign library when called.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.pdf.document import Document, SealField, dangers, read_document
from mingzheng.formats.pdf.lean import (
    HIDDEN,
    ORPHAN,
    SEALS_MAX,
    Checked,
    add_faults,
    hides_objects,
    judge_seal,
    read_hole,
)
from mingzheng.formats.pdf.syntax import Name, NotPlainError, Ref, StreamValue, Value

__all__ = ["judge_outside"]

_OBJECTS_MAX: Final = 20_000
_DEPTH: Final = 64
_CONTENTS: Final = re.compile(rb"/Contents[\0\t\n\f\r ]*(<[0-9A-Fa-f]*>)")
_HYBRID: Final = "hybrid references"


def judge_outside(data: bytes) -> Checked:
    """Seals and faults by pyHanko. Raises nothing; without pyHanko: the fault file.not_judged."""
    try:
        import pyhanko.sign.diff_analysis  # noqa: F401
    except ImportError:
        return (), (("file.not_judged", "pyhanko"),)
    for name in ("pyhanko", "pyhanko_certvalidator"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # it logs what it refuses, with traces
    try:
        return _judge(data)
    except NotPlainError:
        return (), (("file.structure", "unusual"),)
    except Exception as error:  # noqa: BLE001 - it raises whatever it likes
        return (), (("file.structure", type(error).__name__),)


def _judge(data: bytes) -> Checked:
    from pyhanko.pdf_utils.reader import PdfFileReader

    if not data.startswith(b"%PDF-"):
        return (), (("file.structure", "head"),)
    reader = PdfFileReader(io.BytesIO(data), strict=True)
    if reader.encrypted:
        return (), (("file.encrypted", "Encrypt"),)
    if reader.xrefs.hybrid_xrefs_present:
        return (), (("file.structure", _HYBRID),)
    document = read_document(_Objects(reader))
    values = list(_every_value(reader))
    faults = (*document.faults, *dict.fromkeys(dangers(values)))
    if hides_objects(data, len(values)):
        faults = (*faults, HIDDEN)
    signed = sorted(reader.embedded_signatures, key=lambda one: int(one.byte_range[2]) + int(one.byte_range[3]))
    seals = [one for one in signed if one.sig_object_type != "/DocTimeStamp"]
    if len({id(one.sig_object) for one in signed}) != len(signed) or len(seals) > SEALS_MAX:
        return (), (*faults, ("file.structure", "signatures"))
    filled = sum(field.value is not None for field in document.fields)
    if max(filled, data.count(b"/ByteRange")) > len(signed):
        faults = (*faults, ORPHAN)
    if signed and seals and signed[: len(seals)] != seals:
        return (), (*faults, ("file.structure", "order"))
    return tuple(_facts(data, document, signed, place) for place in range(len(seals))), faults


def _facts(data: bytes, document: Document, signed: list[Any], place: int) -> SealFacts:
    """One seal, by our code and by pyHanko."""
    seal = signed[place]
    fields = {field.name: field for field in document.fields}
    field = fields.get(seal.field_name)
    if field is None:
        raise NotPlainError("a signature outside the form")
    entries = _dictionary(seal.sig_object, _DEPTH)
    hole = read_hole(data, entries.get("ByteRange"), _places(data, entries))
    facts = judge_seal(data, field, entries, hole)
    if facts.faults:
        return facts
    return add_faults(facts, *_disagreements(seal, signed[place + 1 :], fields))


def _places(data: bytes, entries: Mapping[str, Value]) -> list[tuple[int, int]]:
    """Where the string of /Contents stands, if it stands where the ByteRange says."""
    value = entries.get("ByteRange")
    start = value[1] if isinstance(value, tuple) and len(value) == 4 else None
    found = [match for match in _CONTENTS.finditer(data) if match.start(1) == start]
    good = [match for match in found if bytes.fromhex(match[1][1:-1].decode("ascii")) == entries.get("Contents")]
    return [match.span(1) for match in good]


def _disagreements(seal: Any, later: list[Any], fields: Mapping[str, SealField]) -> Iterator[str]:
    """What pyHanko has against a seal that our own checks let pass."""
    from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
    from pyhanko.sign.validation.generic_cms import validate_sig_integrity
    from pyhanko.sign.validation.status import SignatureCoverageLevel

    seal.compute_integrity_info(diff_policy=_policy())
    if not all(validate_sig_integrity(seal.signer_info, seal.signer_cert, "data", seal.compute_digest())):
        yield "seal.signature"
    wanted = SignatureCoverageLevel.ENTIRE_REVISION if later else SignatureCoverageLevel.ENTIRE_FILE
    if seal.coverage < wanted:
        yield "file.coverage" if later else "file.later_change"
        return
    if not later:
        return
    result = seal.diff_result
    names = {one.field_name for one in later}
    allowed = ModificationLevel.FORM_FILLING
    if all(one.sig_object_type == "/DocTimeStamp" for one in later):
        allowed = ModificationLevel.LTA_UPDATES
    good = (
        isinstance(result, DiffResult) and result.modification_level <= allowed and result.changed_form_fields <= names
    )
    if not good or not seal.summarise_integrity_info()["docmdp_ok"] or not names <= fields.keys():
        yield "file.later_change"
    last = later[-1]
    if last.sig_object_type == "/DocTimeStamp":
        last.compute_integrity_info(diff_policy=_policy())
        if last.coverage < SignatureCoverageLevel.ENTIRE_FILE:
            yield "file.later_change"


def _policy() -> Any:
    """What may come after a seal: seals in fields that were there, and evidence; no orphans, no other title."""
    from pyhanko.sign import diff_analysis as diff

    catalogue: Any = diff.CatalogModificationRule
    level = diff.ModificationLevel.LTA_UPDATES
    rules = [rule().as_qualified(level) for rule in (diff.XrefStreamRule, diff.ObjectStreamRule)]
    rules.append(diff.DSSCompareRule().as_qualified(level))
    return diff.StandardDiffPolicy(
        global_rules=[catalogue(), *rules],
        form_rule=diff.FormUpdatingRule(field_rules=[diff.SigFieldModificationRule()]),
        ignore_orphaned_objects=False,
    )


class _Objects:
    """The newest state of the document as pyHanko reads it, in our values."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.trailer: Mapping[str, Value] = {"Root": _value(reader.trailer.raw_get("/Root"), _DEPTH)}

    def resolve(self, value: Value) -> Value:
        """The value itself, or what it refers to."""
        if not isinstance(value, Ref):
            return value
        from pyhanko.pdf_utils.generic import Reference

        return _value(self._reader.get_object(Reference(value.number, value.generation, self._reader)), _DEPTH)

    def dictionary(self, value: Value) -> Mapping[str, Value]:
        """What must be a dictionary."""
        found = self.resolve(value)
        if not isinstance(found, Mapping):
            raise NotPlainError("a dictionary expected")
        return found

    def array(self, value: Value) -> tuple[Value, ...]:
        """What must be an array."""
        found = self.resolve(value)
        if not isinstance(found, tuple) or isinstance(found, Ref):
            raise NotPlainError("an array expected")
        return found


def _every_value(reader: Any) -> Iterator[Value]:
    """Every object ever written, replaced ones too."""
    left = _OBJECTS_MAX
    for revision in range(reader.xrefs.total_revisions):
        state = reader.get_historical_resolver(revision)
        for reference in reader.xrefs.explicit_refs_in_revision(revision):
            left -= 1
            if left < 0:
                raise NotPlainError("too many objects")
            yield _value(state(reference), _DEPTH)


def _value(item: Any, depth: int) -> Value:
    from pyhanko.pdf_utils import generic

    if depth == 0:
        raise NotPlainError("values nested too deep")
    match item:
        case generic.IndirectObject():
            return Ref(int(item.idnum), int(item.generation))
        case generic.NameObject():
            return Name(str(item)[1:])
        case generic.BooleanObject():
            return bool(item.value)
        case generic.NumberObject():
            return int(item)
        case generic.FloatObject():
            return float(item)
        case generic.TextStringObject() | generic.ByteStringObject():
            return bytes(item.original_bytes)
        case generic.ArrayObject():
            return tuple(_value(list.__getitem__(item, place), depth - 1) for place in range(len(item)))
        case generic.StreamObject():
            return StreamValue(_dictionary(item, depth), 0, 0)
        case generic.DictionaryObject():
            return _dictionary(item, depth)
        case _:
            return None


def _dictionary(item: Any, depth: int) -> Mapping[str, Value]:
    return {str(key)[1:]: _value(item.raw_get(key), depth - 1) for key in item}
