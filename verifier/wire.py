"""Reports on their way from a worker to its parent, and uploads' outcomes with them.

Everything both sides hold anyway (the context, its keys, issuers and profiles) travels as a name. The rest is pickled,
and read back only into our own dataclasses and enumerations: a reader taken over by a file cannot make the parent
call anything. Effectful (io).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Final

from mingzheng.verifier.context import VerifyContext
from mingzheng.verifier.errors import VerifierError
from mingzheng.verifier.report import Report

__all__ = ["WireError", "pack_reports", "unpack_reports"]

_OURS: Final = "mingzheng."


class WireError(VerifierError):
    """A worker's answer that is none: it is not believed, and the file counts as not read."""

    code: ClassVar[str] = "verifier.bad_answer"


def pack_reports(reports: Sequence[Report], ctx: VerifyContext) -> bytes:
    """The reports as bytes, without the context they were made in."""
    out = io.BytesIO()
    _Packer(out, {id(value): name for name, value in _held(ctx)}).dump(tuple(reports))
    return out.getvalue()


def unpack_reports(data: bytes, ctx: VerifyContext) -> tuple[Report, ...]:
    """The reports in this context; WireError for anything but reports that `pack_reports` made."""
    try:
        found = _Unpacker(io.BytesIO(data), dict(_held(ctx))).load()
    except (pickle.UnpicklingError, *_PICKLE_ERRORS) as error:
        raise WireError("the answer of a worker cannot be read") from error
    if not (isinstance(found, tuple) and found and all(isinstance(item, Report) for item in found)):
        raise WireError("the answer of a worker is no report")
    return found


# What pickle is known to raise on bytes that are no pickle.
_PICKLE_ERRORS: Final = (
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    MemoryError,
)


def _held(ctx: VerifyContext) -> Iterable[tuple[str, object]]:
    yield "context", ctx
    for number, issuer in ctx.trust.issuers.items():
        yield f"issuer/{number}", issuer
    for kid, key in ctx.trust.keys.items():
        yield f"key/{kid.hex()}", key
    for place, profile in enumerate(ctx.profiles.profiles):
        yield f"profile/{place}", profile


class _Packer(pickle.Pickler):
    def __init__(self, out: io.BytesIO, names: Mapping[int, str]) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = names

    def persistent_id(self, obj: object) -> str | None:
        return self._names.get(id(obj))

    def reducer_override(self, obj: Any) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (frozen_mapping, (dict(obj),)) if isinstance(obj, MappingProxyType) else NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, data: io.BytesIO, values: Mapping[str, object]) -> None:
        super().__init__(data)
        self._values = values

    def persistent_load(self, pid: str) -> object:
        return self._values[pid]

    def find_class(self, module_name: str, global_name: str, /) -> object:
        """Our dataclasses and enumerations by their own names, and read-only mappings; nothing else can be called."""
        if (module_name, global_name) == (__name__, frozen_mapping.__name__):
            return frozen_mapping
        if not module_name.startswith(_OURS) or "." in global_name:
            raise pickle.UnpicklingError("not one of ours")
        found = super().find_class(module_name, global_name)
        if not (isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum))):
            raise pickle.UnpicklingError("not a value")
        return found


def frozen_mapping(items: dict[Any, Any]) -> Mapping[Any, Any]:
    """A read-only mapping of these items."""
    return MappingProxyType(items)
