"""C2SP tlog-policy: which witnesses must have cosigned a head before it is believed.

Read strictly: one accepted spelling of every number, no unknown line, every name defined before it is used, each name
the member of one group at most. Beyond the specification a log's key may not be a witness's as well, and only keys
this program can verify are accepted (logs 0x01; witnesses 0x04 and 0x06): a policy that cannot be counted is refused.
Names are opaque bytes, held as text with surrogate escapes.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from mingzheng.keys.errors import BadVkeyError
from mingzheng.keys.vkey import COSIGNER_TYPES, TYPE_ED25519, VerifierKey, format_vkey, parse_vkey
from mingzheng.log.checkpoint import Checkpoint
from mingzheng.log.cosign import open_cosigned
from mingzheng.log.errors import LogError, MalformedError

MAX_POLICY_BYTES: Final = 131_072
MAX_LOGS: Final = 64  # the specification asks for 32 of each
MAX_WITNESSES: Final = 64
MAX_GROUPS: Final = 64
NONE: Final = "none"
_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS: Final = re.compile("[ \t]+")
_NUMBER: Final = re.compile("[1-9][0-9]{0,3}", re.ASCII)


class PolicyError(MalformedError):
    """A quorum policy that is not one of tlog-policy's in its one reading; the offset is the line, from 1."""

    code: ClassVar[str] = "policy.malformed"


class PolicyTooLargeError(PolicyError):
    """A quorum policy over the caps of bytes, logs, witnesses or groups."""

    code: ClassVar[str] = "policy.too_large"


class PolicyKeyError(PolicyError):
    """A key in a quorum policy that is malformed, of an unusable type, or there twice."""

    code: ClassVar[str] = "policy.bad_key"


class PolicyNameError(PolicyError):
    """A name in a quorum policy that is undefined, defined twice, or a member twice."""

    code: ClassVar[str] = "policy.bad_name"


class QuorumNotMetError(LogError):
    """A head that the log signed and too few of the demanded witnesses cosigned."""

    code: ClassVar[str] = "witness.quorum_not_met"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKey:
    """A log or witness as the policy states it. A log's `name` is its origin, a witness's only the policy's word."""

    name: str
    vkey: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Counts as a witness if `threshold` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumPolicy:
    """A well-formed policy. `groups` in the order of definition: members come before."""

    logs: tuple[PolicyKey, ...]
    witnesses: Mapping[str, PolicyKey]
    groups: tuple[Group, ...]
    quorum: str

    @property
    def demands_witnesses(self) -> bool:
        """False only for `quorum none`."""
        return self.quorum != NONE

    def satisfied_by(self, cosigners: Collection[VerifierKey]) -> bool:
        """Whether these keys' good cosignatures are a quorum. Cost: one look at each member of each group."""
        if self.quorum == NONE:
            return True
        held = {name for name, witness in self.witnesses.items() if witness.vkey in cosigners}
        for group in self.groups:
            if sum(member in held for member in group.members) >= group.threshold:
                held.add(group.name)
        return self.quorum in held

    def accepts_log(self, vkey: VerifierKey) -> bool:
        """Whether heads of this log's key may be believed; a policy without logs leaves them to its context."""
        return not self.logs or any(log.vkey == vkey for log in self.logs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A verified head and who cosigned it: the policy's names with the time of each cosignature."""

    checkpoint: Checkpoint
    times: Mapping[str, int]
    satisfied: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The witnesses whose cosignatures count, by name."""
        return tuple(sorted(self.times))


def count_cosignatures(
    note: bytes, policy: QuorumPolicy, *, origin: str, log_vkeys: Sequence[VerifierKey]
) -> Witnessed:
    """Verify a head of `origin` and count its witnesses.

    Lines of unknown keys count nothing. Raises as `open_cosigned`: among others if a line of a known key fails, or if
    the policy accepts some of `log_vkeys` and another of them signed.
    """
    accepted = [vkey for vkey in log_vkeys if policy.accepts_log(vkey)]
    keys = [witness.vkey for witness in policy.witnesses.values()]
    head = open_cosigned(note, origin=origin, log_vkeys=accepted or log_vkeys, witnesses=keys)
    times = {item.vkey: item.time for item in head.cosignatures}
    return Witnessed(
        checkpoint=head.checkpoint,
        times=MappingProxyType({n: times[w.vkey] for n, w in policy.witnesses.items() if w.vkey in times}),
        satisfied=bool(accepted) and policy.satisfied_by(times),
    )


def parse_policy(text: bytes) -> QuorumPolicy:
    """Read a policy file. Raises PolicyError or a leaf of it, with the line's number."""
    if len(text) > MAX_POLICY_BYTES:
        raise PolicyTooLargeError(f"over {MAX_POLICY_BYTES} bytes", field="policy")
    wrong = _FORBIDDEN.search(text)
    if wrong is not None:
        raise PolicyError("a control character", field="policy", offset=text.count(b"\n", 0, wrong.start()) + 1)
    if not text.endswith(b"\n"):
        raise PolicyError("the last line does not end in a newline", field="policy")
    reader = _Reader()
    for number, line in enumerate(text.decode(errors="surrogateescape")[:-1].split("\n"), 1):
        words = _BLANKS.split(line.strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            reader.take(number, words)
    return reader.finish()


def format_policy(policy: QuorumPolicy) -> bytes:
    """The policy's text with single spaces: logs, witnesses, groups, quorum. Raises as `parse_policy`."""
    lines = [["log", format_vkey(log.vkey), *_url(log)] for log in policy.logs]
    lines += [["witness", name, format_vkey(w.vkey), *_url(w)] for name, w in policy.witnesses.items()]
    lines += [["group", group.name, str(group.threshold), *group.members] for group in policy.groups]
    lines.append(["quorum", policy.quorum])
    text = "".join(" ".join(words) + "\n" for words in lines).encode(errors="surrogateescape")
    if parse_policy(text) != policy:
        raise PolicyError("the policy would not read back as it is", field="policy")
    return text


class _Reader:
    """What the lines so far have defined."""

    def __init__(self) -> None:
        self._logs: list[PolicyKey] = []
        self._witnesses: dict[str, PolicyKey] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: str | None = None
        self._members: set[str] = set()
        self._keys: set[bytes] = set()

    def take(self, number: int, words: list[str]) -> None:
        keyword, rest = words[0], words[1:]
        try:
            match keyword:
                case "log" if 1 <= len(rest) <= 2:
                    self._log(*rest)
                case "witness" if 2 <= len(rest) <= 3:
                    self._witness(*rest)
                case "group" if len(rest) >= 3:
                    self._group(rest[0], rest[1], rest[2:])
                case "quorum" if len(rest) == 1:
                    self._set_quorum(rest[0])
                case _:
                    raise PolicyError("not a log, witness, group or quorum line with its parts", field="line")
        except PolicyError as error:
            raise type(error)(error.detail, field=error.field, offset=number) from error

    def finish(self) -> QuorumPolicy:
        if self._quorum is None:
            raise PolicyError("no quorum line", field="policy")
        return QuorumPolicy(
            logs=tuple(self._logs),
            witnesses=MappingProxyType(self._witnesses),
            groups=tuple(self._groups.values()),
            quorum=self._quorum,
        )

    def _log(self, text: str, url: str | None = None) -> None:
        if len(self._logs) >= MAX_LOGS:
            raise PolicyTooLargeError(f"more than {MAX_LOGS} logs", field="log")
        vkey = self._key(text, frozenset({TYPE_ED25519}))
        self._logs.append(PolicyKey(name=vkey.name, vkey=vkey, url=url))

    def _witness(self, name: str, text: str, url: str | None = None) -> None:
        if len(self._witnesses) >= MAX_WITNESSES:
            raise PolicyTooLargeError(f"more than {MAX_WITNESSES} witnesses", field="witness")
        self._check_new(name)
        self._witnesses[name] = PolicyKey(name=name, vkey=self._key(text, COSIGNER_TYPES), url=url)

    def _group(self, name: str, count: str, members: list[str]) -> None:
        if len(self._groups) >= MAX_GROUPS:
            raise PolicyTooLargeError(f"more than {MAX_GROUPS} groups", field="group")
        self._check_new(name)
        for member in members:
            if member not in self._witnesses and member not in self._groups:
                raise PolicyNameError(f"member {member!r} is not defined above", field="group")
            if member in self._members:
                raise PolicyNameError(f"{member!r} is a member already", field="group")
            self._members.add(member)
        self._groups[name] = Group(name=name, threshold=_threshold(count, len(members)), members=tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise PolicyError("a second quorum line", field="quorum")
        if name != NONE and name not in self._witnesses and name not in self._groups:
            raise PolicyNameError(f"{name!r} is not defined above", field="quorum")
        self._quorum = name

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise PolicyNameError(f"{name!r} is defined already", field="name")

    def _key(self, text: str, types: frozenset[int]) -> VerifierKey:
        try:
            vkey = parse_vkey(text)
        except BadVkeyError as error:
            raise PolicyKeyError(str(error), field="vkey") from error
        if vkey.sig_type not in types:
            raise PolicyKeyError(f"a key of signature type {vkey.sig_type} cannot serve here", field="vkey")
        if vkey.key in self._keys:
            raise PolicyKeyError("one public key stands twice", field="vkey")
        self._keys.add(vkey.key)
        return vkey


def _threshold(text: str, members: int) -> int:
    if text in ("all", "any"):
        return members if text == "all" else 1
    if not _NUMBER.fullmatch(text) or int(text) > members:
        raise PolicyError(f"not all, any or a number from 1 to {members}", field="threshold")
    return int(text)


def _url(key: PolicyKey) -> tuple[str, ...]:
    return () if key.url is None else (key.url,)
