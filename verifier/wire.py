"""Reports on their way from a worker to its parent, and uploads' outcomes with them.

Everything both sides hold anyway (the context, its keys, issuers and profiles) travels as a name. The rest travels as
a tree of plain values, which says nothing of what it means: the parent builds reports out of it by the types that our
dataclasses declare, each object a new one, and refuses what is of another type, out of its range, or names what it
does not hold. A reader taken over by a file can say what it likes about that file; it cannot make the parent call
anything, change what other files are judged by, or end the run with a report that cannot be written. Pickle carries
the tree for its speed; it may name no class and hold no object, for its opcode BUILD writes into whatever it is given.
Effectful (io).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, ClassVar, Final, get_args, get_origin, get_type_hints

from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.civil import date_of, day_of_time
from mingzheng.formats.claims import Claims, check_claims
from mingzheng.formats.errors import FormatError
from mingzheng.formats.profile import Profile, ProfileHead
from mingzheng.keys.trust import IssuerRecord, KeyRecord
from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.errors import VerifierError
from mingzheng.verifier.findings import FINDINGS, VERDICTS, Finding
from mingzheng.verifier.report import Report

__all__ = ["WireError", "pack_reports", "unpack_reports"]

_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_HELD: Final = frozenset({VerifyContext, IssuerRecord, KeyRecord, Profile})
# In one answer; pickle can write down a value once and mean it often.
_MOST_VALUES: Final = 1_000_000
_MOST_LENGTH: Final = 256 * 1024 * 1024  # characters and bytes
_MOST_NUMBER: Final = 1 << 63


class WireError(VerifierError):
    """A worker's answer that is none: it is not believed, and the file counts as not read."""

    code: ClassVar[str] = "verifier.bad_answer"


def pack_reports(reports: Sequence[Report], ctx: VerifyContext) -> bytes:
    """The reports as bytes, without the context they were made in."""
    return pickle.dumps(_tree(tuple(reports), _names(ctx)), protocol=pickle.HIGHEST_PROTOCOL)


def unpack_reports(data: bytes, ctx: VerifyContext) -> tuple[Report, ...]:
    """The reports in this context; WireError for anything but reports that `pack_reports` could have made."""
    try:
        tree = _PlainUnpickler(io.BytesIO(data)).load()
        found: tuple[Report, ...] = _Builder(ctx).value(tree, tuple[Report, ...])
    except (pickle.UnpicklingError, FormatError, *_PICKLE_ERRORS) as error:
        raise WireError("the answer of a worker cannot be read") from error
    if not found:
        raise WireError("the answer of a worker is no report")
    return found


# What pickle, and building, are known to raise on bytes that are no answer.
_PICKLE_ERRORS: Final = (
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    MemoryError,
    OverflowError,
    RecursionError,
)


def _names(ctx: VerifyContext) -> dict[int, str]:
    """What stands for an object that both sides hold, by its identity here."""
    loaded = ((name, head.loaded) for name, head in _heads(ctx))
    return {id(value): name for name, value in (*_held(ctx), *loaded) if value is not None}


def _held(ctx: VerifyContext) -> Iterable[tuple[str, object]]:
    yield "context", ctx
    for number, issuer in ctx.trust.issuers.items():
        yield f"issuer/{number}", issuer
    for kid, key in ctx.trust.keys.items():
        yield f"key/{kid.hex()}", key


def _heads(ctx: VerifyContext) -> Iterable[tuple[str, ProfileHead]]:
    """The profiles by name, most of them not read: which one a report rests on is known by the end of its making."""
    for place, head in enumerate(ctx.profiles.heads):
        yield f"profile/{place}", head


def _tree(value: Any, names: Mapping[int, str]) -> object:
    """Plain values as they are, members as their values, all others as tuples of what they hold."""
    if type(value) in _PLAIN:
        return value
    if type(value) in _HELD:
        return names[id(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return tuple(_tree(item, names) for item in value)
    if isinstance(value, Mapping):
        return tuple((_tree(key, names), _tree(item, names)) for key, item in value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(_tree(getattr(value, name), names) for name in _types(type(value)))
    raise TypeError(f"a {type(value).__name__} does not travel")


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain values and tuples; whatever names a class or an object of ours is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        raise pickle.UnpicklingError("no class travels")


class _Builder:
    """Builds values again; every object is a new one but for those that are held here."""

    def __init__(self, ctx: VerifyContext) -> None:
        self._ctx, self._held, self._heads = ctx, dict(_held(ctx)), dict(_heads(ctx))
        self._values_left, self._length_left = _MOST_VALUES, _MOST_LENGTH

    def value(self, tree: Any, wanted: Any) -> Any:
        """The value of a tree as the type `wanted`; raises FormatError or one of `_PICKLE_ERRORS`."""
        self._values_left -= 1
        if self._values_left < 0:
            raise ValueError("too many values")
        wanted = _arm(wanted, type(tree))
        if wanted in _PLAIN:
            return self._plain(tree, wanted)
        if wanted in _HELD:
            held = self._heads[tree].profile if tree in self._heads else self._held[tree]
            return held if isinstance(held, wanted) else _refuse("another object is meant")
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            return wanted(tree)
        if type(tree) is not tuple:
            raise TypeError("not a tree")
        parts = get_args(wanted)
        if get_origin(wanted) is Mapping:
            return MappingProxyType({self.value(key, parts[0]): self.value(item, parts[1]) for key, item in tree})
        if get_origin(wanted) is tuple:
            each = [parts[0]] * len(tree) if parts[-1] is Ellipsis else parts
            return tuple(self.value(item, part) for item, part in zip(tree, each, strict=True))
        return self._object(tree, wanted)

    def _plain(self, tree: Any, wanted: type) -> Any:
        if type(tree) is not wanted and not (wanted is float and type(tree) is int):
            raise TypeError(f"not a {wanted.__name__}")
        if isinstance(tree, str | bytes):
            self._length_left -= len(tree)
            if self._length_left < 0:
                raise ValueError("too long")
        if isinstance(tree, str):
            tree.encode("utf-8", "surrogateescape")  # as file names are; UnicodeEncodeError for what nobody can write
        elif isinstance(tree, int | float) and not -_MOST_NUMBER <= tree < _MOST_NUMBER:
            raise ValueError("a number out of range")
        return tree

    def _object(self, tree: tuple[object, ...], kind: type) -> object:
        made: object = object.__new__(kind)
        for (field, wanted), part in zip(_types(kind).items(), tree, strict=True):
            object.__setattr__(made, field, self.value(part, wanted))
        check = _RANGES.get(kind)
        if check is not None:
            check(made, self._ctx)
        return made


def _arm(wanted: Any, found: type) -> Any:
    """The type itself; of `A | B` the one that is found, else the one that is not plain."""
    arms = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
    arms = tuple(getattr(arm, "__supertype__", arm) for arm in arms)
    return next((arm for arm in arms if arm is found or (arm not in _PLAIN and found is not type(None))), arms[0])


@cache
def _types(kind: type[Any]) -> Mapping[str, Any]:
    """The fields of a dataclass and the types that it declares for them."""
    hints = get_type_hints(kind)
    return MappingProxyType({field.name: hints[field.name] for field in fields(kind)})


def _refuse(why: str) -> Any:
    raise ValueError(why)


# What a type does not say, and what writes a report relies on.


def _check_report(report: Report, ctx: VerifyContext) -> None:
    if report.verdict not in VERDICTS or any(origin not in ctx.trust.origins for origin, _ in report.places):
        _refuse("no verdict, or a log nobody knows")


def _check_finding(finding: Finding, ctx: VerifyContext) -> None:
    if finding.code not in FINDINGS or not finding.evidence.keys() <= ctx.messages.labels.keys():
        _refuse("no finding, or evidence without a name")


def _check_seal(seal: SealFacts, ctx: VerifyContext) -> None:
    if seal.signed_at is not None:
        date_of(day_of_time(seal.signed_at))


_RANGES: Final[Mapping[type, Callable[[Any, VerifyContext], None]]] = {
    Report: _check_report,
    Finding: _check_finding,
    SealFacts: _check_seal,
    Claims: lambda claims, ctx: check_claims(claims),
}
