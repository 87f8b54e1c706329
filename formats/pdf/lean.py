"""The quick way to judge a sealed PDF that is built as our own sealing builds it; no foreign library.

Specs: ISO 32000-1 §12.8 (signatures), ISO 32000-2 §12.8.2.2 (DocMDP), ETSI EN 319 142-1 (PAdES). One to four
seals; each signs a whole revision but for the hole its CMS stands in; the last covers the file to its end; what
a later save changed is the next seal and nothing else. Behind the last seal only evidence (DSS) and one time stamp
over the whole file may stand. `None` means "not of this shape": a slower judge
looks at it. A verdict with faults is final: nothing a slower judge knows could mend them. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.pdf.cmscheck import check_cms, check_stamp
from mingzheng.formats.pdf.document import Document, Fault, SealField, dangers, is_suspect, read_document
from mingzheng.formats.pdf.second import is_evidence, is_second_seal, shows_the_same
from mingzheng.formats.pdf.skeleton import Skeleton, read_skeleton
from mingzheng.formats.pdf.syntax import NotPlainError, Ref, Value, parse_value
from mingzheng.keys.sm3 import Sm3

__all__ = [
    "HIDDEN",
    "ORPHAN",
    "Checked",
    "Hole",
    "add_faults",
    "check_lean",
    "check_skeleton",
    "digest_around",
    "hides_objects",
    "judge_seal",
    "read_hole",
    "signing_time",
]

SEALS_MAX: Final = 4
SUBFILTER: Final = "ETSI.CAdES.detached"
ORPHAN: Final[Fault] = ("file.structure", "signature without a field")  # someone took a seal off, or hid one
HIDDEN: Final[Fault] = ("file.structure", "object that no table announces")
_BLANK: Final = rb"[\0\t\n\x0b\f\r \x85\xa0]+"  # to some reader or other
_OBJECT: Final = re.compile(rb"\d" + _BLANK + rb"\d+" + _BLANK + rb"obj")
_OBJ: Final = re.compile(rb"obj")  # half the time of counting
_COMMENT: Final = re.compile(rb"%[^\r\n]*")
_ESCAPED: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_EXTERNAL: Final = re.compile(rb"/(?:F|#46)(?=[\0\t\n\f\r (<\[])")
_STAMP: Final = "DocTimeStamp"
_STAMP_FILTER: Final = "ETSI.RFC3161"
_FILTER: Final = "Adobe.PPKLite"
_STAMP_SLACK: Final = 86_400  # seconds between the signer's word and the time stamp
_CONTENTS: Final = re.compile(rb"/Contents[\0\t\n\f\r ]*(<[0-9A-Fa-f]*>)")
_DIGITS: Final = (b"0123456789abcdef", b"0123456789ABCDEF")  # one case all through
_MOMENT: Final = re.compile(rb"D:(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:Z(?:00'00'?)?|([+-])(\d\d)'(\d\d)'?)")
_SEAL_KEYS: Final = frozenset(
    (
        *("Type", "Filter", "SubFilter", "ByteRange", "Contents", "M"),
        *("Reference", "Name", "Reason", "Location", "ContactInfo", "Prop_Build"),
    )
)

Checked = tuple[tuple[SealFacts, ...], tuple[Fault, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """What a seal signs: everything from 0 to `end` but start..stop, where its CMS stands."""

    start: int
    stop: int
    end: int
    cms: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seal:
    field: SealField
    number: int
    entries: Mapping[str, Value]
    hole: Hole | None

    @property
    def is_stamp(self) -> bool:
        """A time stamp over the whole file, no seal."""
        return self.entries.get("Type") == _STAMP


def check_lean(data: bytes) -> Checked | None:
    """The seals and faults of a plainly built file, or None. Never raises. Cost: about 1 ms plus the digests."""
    try:
        return check_skeleton(read_skeleton(data))
    except NotPlainError:
        return None


def check_skeleton(skeleton: Skeleton) -> Checked | None:
    """The same for the bones of a file that were read already."""
    try:
        document = read_document(skeleton.view(len(skeleton.revisions)))
        signed = _signed(skeleton, document)
        skeleton.check_objects()  # at one that cannot be read some readers look for others
        text = skeleton.text()
        faults = (*document.faults, *_dangers(skeleton, text), *_elsewhere(skeleton, text))
        if text.count(b"/ByteRange") > len(signed):
            faults = (*faults, ORPHAN)
        seals = [one for one in signed if not one.is_stamp]
        if not seals:
            return (), faults
        facts = _judged(skeleton, seals, [one for one in signed if one.is_stamp])
        if not any(fact.faults for fact in facts):
            _check_permissions(document, signed)
        return facts, faults
    except NotPlainError:
        return None


def _dangers(skeleton: Skeleton, text: bytes) -> tuple[Fault, ...]:
    """Words that act or hide, in every object ever written; the objects are only read where a word stands out."""
    if not is_suspect(text):
        return ()
    found: dict[Fault, None] = {}
    for count in range(1, len(skeleton.revisions) + 1):
        view = skeleton.view(count)
        found.update(dict.fromkeys(dangers(view.object(number) for number in skeleton.revisions[count - 1].spans)))
    return tuple(found)


def _elsewhere(skeleton: Skeleton, text: bytes) -> Iterator[Fault]:
    """Objects and data that only some readers find: inside a stream (whoever mends a table), in another file."""
    if b"/ObjStm" in (_ESCAPED.sub(_unescaped, text) if b"#" in text else text):
        yield HIDDEN
    spans = [span for revision in skeleton.revisions for span in revision.spans.values()]
    data = skeleton.data
    if hides_objects(data, len(spans)):
        yield HIDDEN
    for span in spans:
        if span.data_start >= 0 and _EXTERNAL.search(data, span.start, span.end):
            entries = parse_value(data, span.start, span.end)
            if isinstance(entries, Mapping) and "F" in entries:
                yield "file.active", "external stream"


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def hides_objects(data: bytes, announced: int) -> bool:
    """Whether there are more heads of objects than the tables announce, comments between their words left out."""
    if next(itertools.islice(_OBJ.finditer(data), 2 * announced, None), None) is None:
        return False
    bare = _COMMENT.sub(lambda match: b" " * len(match[0]), data)
    return len({match.end() for text in (data, bare) for match in _OBJECT.finditer(text)}) > announced


def _signed(skeleton: Skeleton, document: Document) -> list[_Seal]:
    """Seals and time stamps in the order of what they cover."""
    view = skeleton.view(len(skeleton.revisions))
    seals: list[_Seal] = []
    for field in document.fields:
        if field.value is None:
            continue
        if not isinstance(field.value, Ref) or any(field.value.number == seal.number for seal in seals):
            raise NotPlainError("two fields with one signature, or a signature without a number")
        entries = view.dictionary(field.value)
        if entries.get("Type") not in ("Sig", _STAMP) or not entries.keys() <= _SEAL_KEYS:
            raise NotPlainError("a signature of another kind")
        span = view.spans[field.value.number]
        places = [match.span(1) for match in _CONTENTS.finditer(skeleton.data, span.start, span.end)]
        hole = read_hole(skeleton.data, entries.get("ByteRange"), places)
        seals.append(_Seal(field=field, number=field.value.number, entries=entries, hole=hole))
    if len(seals) > SEALS_MAX + 1:
        raise NotPlainError("too many signatures")
    seals.sort(key=lambda seal: 0 if seal.hole is None else seal.hole.end)
    return seals


def read_hole(data: bytes, value: Value, places: list[tuple[int, int]]) -> Hole | None:
    """The hole of a ByteRange that is [0 a b c] with the one string of /Contents in a..b, padded with zeros."""
    if not isinstance(value, tuple) or len(value) != 4 or not all(type(item) is int for item in value):
        return None
    zero, start, stop, rest = (item for item in value if isinstance(item, int))
    if zero != 0 or rest <= 0 or places != [(start, stop)] or stop + rest > len(data):
        return None
    digits = data[start + 1 : stop - 1]
    if data[start : start + 1] != b"<" or data[stop - 1 : stop] != b">" or len(digits) % 2:
        return None
    if all(digits.translate(None, allowed) for allowed in _DIGITS):
        return None
    body = bytes.fromhex(digits.decode("ascii"))
    size = _der_size(body)
    if size is None or body.count(0, size) != len(body) - size:
        return None
    return Hole(start=start, stop=stop, end=stop + rest, cms=body[:size])


def _der_size(body: bytes) -> int | None:
    """How long the DER value at the beginning of the bytes says it is."""
    if len(body) < 4 or body[1] < 0x80 or not 1 <= (octets := body[1] & 0x7F) <= 3:
        return None
    size = 2 + octets + int.from_bytes(body[2 : 2 + octets])
    return size if size <= len(body) else None


def digest_around(data: bytes, hole: Hole, name: str = "sha256") -> bytes:
    """The digest of what a seal signs."""
    view = memoryview(data)
    if name == "sm3":
        running = Sm3(bytes(view[: hole.start]))
        running.update(bytes(view[hole.stop : hole.end]))
        return running.digest()
    digest = hashlib.new(name, view[: hole.start])
    digest.update(view[hole.stop : hole.end])
    return digest.digest()


def signing_time(value: Value) -> int | None:
    """Unix seconds of a date with its time zone (§7.9.4); None for anything else."""
    match = _MOMENT.fullmatch(value) if isinstance(value, bytes) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None
    shift = (int(match[8]) * 60 + int(match[9])) * 60 if match[7] else 0
    return int(moment.timestamp()) + (shift if match[7] == b"-" else -shift)


def judge_seal(data: bytes, field: SealField, entries: Mapping[str, Value], hole: Hole | None) -> SealFacts:
    """One seal by itself: kind, hole, time, CMS. What others did to the file is not looked at here."""
    faults = []
    if entries.get("SubFilter") != SUBFILTER or entries.get("Filter") != _FILTER:
        faults.append("seal.subfilter")
    signed_at = signing_time(entries.get("M"))
    if signed_at is None:
        faults.append("seal.time")
    certificate, stamped_at = b"", None
    chain: tuple[bytes, ...] = ()
    if hole is None:
        faults.append("file.coverage")
    else:
        outcome = check_cms(hole.cms, digest=digest_around(data, hole))
        certificate, chain, stamped_at = outcome.certificate, outcome.chain, outcome.stamped_at
        faults.extend(outcome.faults)
    if stamped_at is not None and signed_at is not None:
        if abs(stamped_at - signed_at) > _STAMP_SLACK:
            faults.append("seal.timestamp")
        signed_at = stamped_at
    return SealFacts(
        form=SealForm.PADES,
        place=field.name,
        certificate=certificate,
        chain=chain,
        signed_at=signed_at,
        timestamped=stamped_at is not None,
        details=None,
        marks=field.marks,
        faults=tuple(faults),
    )


def _judged(skeleton: Skeleton, seals: list[_Seal], stamps: list[_Seal]) -> tuple[SealFacts, ...]:
    """Each seal by itself, then what happened to the file after it."""
    facts = [judge_seal(skeleton.data, seal.field, seal.entries, seal.hole) for seal in seals]
    counts = [_covered(skeleton, seal) for seal in seals]
    for place, count in enumerate(counts):
        if count is None and "file.coverage" not in facts[place].faults:
            facts[place] = add_faults(facts[place], "file.coverage")
    if any(fact.faults for fact in facts):
        return tuple(facts)
    extra = _later(skeleton, [count for count in counts if count is not None], seals, stamps)
    return tuple(add_faults(fact, extra) for fact in facts) if extra else tuple(facts)


def add_faults(facts: SealFacts, *faults: str) -> SealFacts:
    """The same seal with more faults."""
    return dataclasses.replace(facts, faults=(*facts.faults, *faults))


def _covered(skeleton: Skeleton, seal: _Seal) -> int | None:
    """How many revisions a seal covers: the last of them must be the one that brought it."""
    ends = [revision.end for revision in skeleton.revisions]
    if seal.hole is None or seal.hole.end not in ends:
        return None
    count = ends.index(seal.hole.end) + 1
    return count if seal.number in skeleton.revisions[count - 1].spans else None


def _later(skeleton: Skeleton, counts: list[int], seals: list[_Seal], stamps: list[_Seal]) -> str:
    """The fault if anything came after the first seal but the next ones, and evidence with its time stamp."""
    count = counts[0]
    for seal, covered in zip(seals[1:], counts[1:], strict=True):
        if covered != count + 1:
            return "file.later_change"
        if not is_second_seal(skeleton, count, seal.field.number, seal.number):
            raise NotPlainError("a second save that changed more than ours does")
        count = covered
    if not stamps:
        return "" if count == len(skeleton.revisions) else "file.later_change"
    (stamp,) = stamps if len(stamps) == 1 else (stamps[-1],)
    if len(stamps) > 1 or _covered(skeleton, stamp) != len(skeleton.revisions):
        return "file.later_change"
    if count + 2 == len(skeleton.revisions) and is_evidence(skeleton, count):
        count += 1
    if count + 1 != len(skeleton.revisions):
        return "file.later_change"
    if not is_second_seal(skeleton, count, stamp.field.number, stamp.number):
        raise NotPlainError("a time stamp that changed more than ours does")
    if not shows_the_same(skeleton, count, stamp.field.number):
        return "file.later_change"  # anybody can have a file stamped
    hole = stamp.hole
    if hole is None or stamp.entries.get("SubFilter") != _STAMP_FILTER or stamp.field.marks:
        return "seal.timestamp"
    if check_stamp(hole.cms, digest=lambda name: digest_around(skeleton.data, hole, name)) is None:
        return "seal.timestamp"
    return ""


def _check_permissions(document: Document, signed: list[_Seal]) -> None:
    """The first seal may certify (§12.8.2.2), every seal may lock fields (§12.8.2.4): later ones must be allowed."""
    rights = document.root.get("Perms")
    if rights is not None and rights != {"DocMDP": Ref(signed[0].number, 0)}:
        raise NotPlainError("other permissions than the first seal's")
    for place, one in enumerate(signed):
        later = signed[place + 1 :]
        for method, parameters in _transforms(one.entries.get("Reference")):
            if method == "DocMDP" and rights is not None and one is signed[0]:
                allowed = parameters.get("P", 2)
                if allowed not in (2, 3) and any(not other.is_stamp for other in later):
                    raise NotPlainError("a further seal where the first forbade it")
            elif method != "FieldMDP" or any(_is_locked(other.field.name, parameters) for other in later):
                raise NotPlainError("a field that was locked, or a transform of another kind")


def _transforms(value: Value) -> Iterator[tuple[Value, Mapping[str, Value]]]:
    """Method and parameters of each signature reference."""
    for reference in value if isinstance(value, tuple) else () if value is None else (None,):
        parameters = reference.get("TransformParams") if isinstance(reference, Mapping) else None
        if not isinstance(reference, Mapping) or not isinstance(parameters, Mapping):
            raise NotPlainError("a transform that cannot be read")
        yield reference.get("TransformMethod"), parameters


def _is_locked(name: str, parameters: Mapping[str, Value]) -> bool:
    """Whether FieldMDP parameters lock a field; unreadable ones lock all."""
    action, fields = parameters.get("Action"), parameters.get("Fields")
    if action not in ("Include", "Exclude") or not isinstance(fields, tuple):
        return True
    return (name.encode("latin-1", "replace") in fields) == (action == "Include")
