"""`mingzheng.toml` of a workspace: which logs, which issuers, which keys. Public facts only.

Source: DESIGN §4 (roles and scopes), §7, docs/spec/storage.md ("The logs of a workspace"). Pure: text in,
`WorkspaceConfig` out and back. A table [defaults] belongs to the command line and is carried along unread; the tables
about seals are `sealconfig`'s. Private keys are in the files that `file` names, encrypted.
"""

import base64
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mingzheng.formats.civil import format_day
from mingzheng.issuer.configread import Reader, quote
from mingzheng.issuer.refusals import ConfigError, OriginUnknownError
from mingzheng.issuer.sealconfig import NO_SEALS, SealConfig, format_seals, read_seals
from mingzheng.keys.alg import Alg, PublicKey, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import LOG_ROLES, IssuerRecord, KeyRecord, OriginRecord, Role

__all__ = [
    "CREDENTIAL_ALGS",
    "MAX_OPERATOR",
    "ORIGIN_ROLES",
    "ClosedOrigin",
    "IssuerSpec",
    "KeySpec",
    "WorkspaceConfig",
    "format_config",
    "issuer_roles",
    "parse_config",
]

VERSION: Final = 1
MAX_BYTES: Final = 1_048_576
MAX_NUMBER: Final = 65_535
MAX_SIZE: Final = 2**62 - 1  # of a log
MAX_OPERATOR: Final = 40  # characters of a person's name

# What an issuer may sign its credentials with: `credential_alg` of [[issuers]], docs/adr/0014 on SM2.
CREDENTIAL_ALGS: Final[Mapping[str, Alg]] = {"ed25519": Alg.ED25519, "p256": Alg.ESP256, "sm2": Alg.SM2}
_OTHER_ALGS: Final = {name: alg for name, alg in CREDENTIAL_ALGS.items() if alg is not Alg.ED25519}
# The keys `init` makes for a log. Receipts carry −8: see docs/adr on the receipt algorithm.
ORIGIN_ROLES: Final[tuple[tuple[Role, Alg], ...]] = ((Role.RECEIPT, Alg.EDDSA), (Role.CHECKPOINT, Alg.ED25519))


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSpec:
    """An issuing authority of the workspace and what it may issue."""

    number: int
    name: str
    name_en: str
    kinds: tuple[int, ...]  # codes of docs/spec/credential.md, rising
    jurisdictions: tuple[int, ...]  # 0 national, else GB/T 2260 province codes, rising
    bodies: Mapping[int, str]
    prefixes: tuple[str, ...]  # of QR texts
    credential_alg: Alg = Alg.ED25519  # of the credential keys made from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """One key: what it is for, from when to when, and which file holds its private half."""

    role: Role
    issuer: int  # 0: a key of the log
    public_key: PublicKey
    file: str  # under keys/
    valid_from: int
    valid_until: int
    retired_on: int | None = None  # the last day whose copies may bear it
    good_size: int | None = None  # compromised: how many entries of `good_origin` still count
    origin: int = 0  # a key of the log: its origin's number; 0: the workspace's first
    good_origin: int = 0  # the log that was written to when the key was stolen; 0: the workspace's first
    operator: str = ""  # an operator key: the person who holds it; said nowhere else
    added: bool = False  # an operator key that was not made with the issuer: the log is told of it

    @property
    def kid(self) -> Kid:
        """The public key's name."""
        return self.public_key.kid

    def may_sign(self, day: int) -> bool:
        """Whether the workspace signs with it on that day: never once it is retired or compromised."""
        return not self.is_out and self.valid_from <= day <= self.valid_until

    @property
    def is_out(self) -> bool:
        """Retired or compromised."""
        return self.retired_on is not None or self.good_size is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedOrigin:
    """A log of the workspace that was rolled over, and how many entries it holds for ever."""

    origin: OriginRecord
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceConfig:
    """Everything mingzheng.toml says."""

    demo: bool
    origin: OriginRecord  # the log that is written to
    issuers: tuple[IssuerSpec, ...]  # by number
    keys: tuple[KeySpec, ...]
    defaults: Mapping[str, str]
    sealing: SealConfig = NO_SEALS
    closed: tuple[ClosedOrigin, ...] = ()  # the logs before, oldest first
    following: OriginRecord | None = None  # the log that is announced: its keys are there, it is not
    holder_cas: tuple[str, ...] = ()  # under seals/: whose certificates holders may sign applications with
    _records: dict[int, IssuerRecord] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def shard(self) -> int:
        """Which of the workspace's logs is written to: 0 the first. The ledger counts them so."""
        return len(self.closed)

    @property
    def begun(self) -> tuple[OriginRecord, ...]:
        """The logs that there are, by shard."""
        return (*(closed.origin for closed in self.closed), self.origin)

    @property
    def origins(self) -> dict[int, OriginRecord]:
        """Every log by number, the announced one with them."""
        known = self.begun if self.following is None else (*self.begun, self.following)
        return {origin.number: origin for origin in known}

    def shard_of(self, number: int) -> int:
        """Which log an origin is. Raises OriginUnknownError if it was not begun here."""
        for shard, origin in enumerate(self.begun):
            if origin.number == number:
                return shard
        raise OriginUnknownError(number)

    def log_key(self, role: Role, number: int) -> KeySpec | None:
        """The first key of that role of a log."""
        return next((key for key in self.keys if key.role is role and self.origin_of(key) == number), None)

    @property
    def has_log_submitter(self) -> bool:
        """Whether a key submits what is the own of the log that is written to: its landmark lists."""
        fits = (Role.SUBMIT, self.origin.number, False)
        return any((key.role, self.origin_of(key), key.is_out) == fits for key in self.keys)

    def origin_of(self, key: KeySpec) -> int:
        """The number of the log that a log's key is of; 0 for an issuer's."""
        return 0 if key.issuer else key.origin or self.begun[0].number

    def issuer(self, number: int) -> IssuerSpec | None:
        """The issuer of that number."""
        return next((issuer for issuer in self.issuers if issuer.number == number), None)

    def key_for(self, role: Role, issuer: int, day: int) -> KeySpec | None:
        """The newest key of that role and issuer (0: the log that is written to) that may sign on `day`."""
        owner = 0 if issuer else self.origin.number
        fitting = [
            key
            for key in self.keys
            if (key.role, key.issuer, self.origin_of(key)) == (role, issuer, owner) and key.may_sign(day)
        ]
        return max(fitting, key=lambda key: (key.valid_from, key.kid), default=None)

    def issuer_records(self) -> dict[int, IssuerRecord]:
        """The issuers as trust data has them; the records are made once, the dict is the caller's."""
        if not self._records:
            for spec in self.issuers:
                self._records[spec.number] = IssuerRecord(
                    number=spec.number,
                    name=spec.name,
                    name_en=spec.name_en,
                    bodies=dict(spec.bodies),
                    prefixes=spec.prefixes,
                )
        return dict(self._records)

    def key_records(self) -> dict[Kid, KeyRecord]:
        """The keys as trust data has them: an issuer's keys have its scope, the log's keys have none."""
        return {key.kid: self._record(key) for key in self.keys}

    def _record(self, key: KeySpec) -> KeyRecord:
        spec, own = self.issuer(key.issuer), self.origin_of(key)
        return KeyRecord(
            kid=key.kid,
            role=key.role,
            public_key=key.public_key,
            issuer=key.issuer,
            jurisdictions=frozenset(spec.jurisdictions if spec else ()),
            kinds=frozenset(spec.kinds if spec else ()),
            valid_from=key.valid_from,
            valid_until=key.valid_until,
            origins=frozenset({own} if own else self.origins),
            name=self.origins[own].name if key.role is Role.CHECKPOINT else "",
            compromised=None if key.good_size is None else self._good_sizes(key, key.good_size),
            retired_on=key.retired_on,
        )

    def _good_sizes(self, key: KeySpec, good_size: int) -> dict[int, int]:
        """How much of each log still counts: all of those closed before the theft, nothing of those after it."""
        if not key.issuer:
            return {self.origin_of(key): good_size}
        shard = self.shard_of(key.good_origin or self.begun[0].number)
        return {item.origin.number: item.size for item in self.closed[:shard]} | {self.begun[shard].number: good_size}

    # what the log asks of whoever keeps the keys (log.book.ActKeys)

    def record(self, kid: Kid) -> KeyRecord | None:
        """See ActKeys."""
        return next((self._record(key) for key in self.keys if key.kid == kid), None)

    def operator_of(self, kid: Kid) -> str:
        """Whose operator key that is; empty for a key of the office's, or none of ours."""
        return next((key.operator for key in self.keys if key.kid == kid), "")

    def may_name(self, issuer: int, origin: int) -> bool:
        """See ActKeys: every issuer of a workspace uses all of its logs."""
        return origin in self.origins

    def operators(self, issuer: int, day: int) -> tuple[KeySpec, ...]:
        """The operator keys that may sign for the issuer on `day`."""
        return tuple(
            key for key in self.keys if (key.role, key.issuer) == (Role.OPERATOR, issuer) and key.may_sign(day)
        )

    def needs_two(self, issuer: int, day: int) -> bool:
        """See ActKeys: from the first day of the issuer's first operator key, whatever became of it."""
        return any(key.role is Role.OPERATOR and key.issuer == issuer and key.valid_from <= day for key in self.keys)


def issuer_roles(spec: IssuerSpec) -> tuple[tuple[Role, Alg], ...]:
    """The keys made for an issuer, and with what each signs."""
    return (
        (Role.AUTHORITY, Alg.ED25519),
        (Role.CREDENTIAL, spec.credential_alg),
        (Role.ACT, Alg.ED25519),
        (Role.STATUS, Alg.ED25519),
    )


def parse_config(data: bytes) -> WorkspaceConfig:
    """Read mingzheng.toml of a workspace. Raises ConfigError that names the place."""
    if len(data) > MAX_BYTES:
        raise ConfigError("mingzheng.toml", f"over {MAX_BYTES} bytes")
    try:
        top = Reader("", tomllib.loads(data.decode("utf-8")))
    except (RecursionError, ValueError) as error:  # no UTF-8, no TOML, nested too deep, thousands of digits
        raise ConfigError("mingzheng.toml", "not UTF-8 TOML") from error
    head = top.table("workspace")
    if (version := head.integer("version", 1, MAX_NUMBER)) != VERSION:
        raise ConfigError("workspace.version", f"{version}: this program reads {VERSION}")
    config = WorkspaceConfig(
        demo=head.flag("demo"),
        origin=_origin(top.table("origin")),
        closed=tuple(_closed(item) for item in top.tables("closed_origins")),
        following=_origin(top.table("next_origin")) if top.has("next_origin") else None,
        issuers=tuple(sorted((_issuer(item) for item in top.tables("issuers")), key=lambda spec: spec.number)),
        keys=tuple(_key(item) for item in top.tables("keys")),
        defaults=_defaults(top.table("defaults")) if top.has("defaults") else {},
        sealing=read_seals(top),
        holder_cas=_holder_cas(top),
    )
    head.done()
    top.done()
    _check(config)
    return config


def format_config(config: WorkspaceConfig) -> bytes:
    """mingzheng.toml of a workspace; `parse_config` gives `config` back."""
    lines = [
        "# mingzheng 签发工作区 (issuing workspace). 公开信息；私钥在 keys/ 中加密保存。",
        "[workspace]",
        f"version = {VERSION}",
        f"demo = {str(config.demo).lower()}",
        "",
        "[origin]",
        *_origin_lines(config.origin),
    ]
    for closed in config.closed:
        lines += ["", "[[closed_origins]]", *_origin_lines(closed.origin), f"size = {closed.size}"]
    if config.following is not None:
        lines += ["", "[next_origin]", *_origin_lines(config.following)]
    if config.defaults:
        lines += ["", "[defaults]", *(f"{quote(k)} = {quote(v)}" for k, v in sorted(config.defaults.items()))]
    for spec in config.issuers:
        lines += ["", *_issuer_lines(spec)]
    for key in config.keys:
        lines += ["", *_key_lines(key)]
    lines += format_seals(config.sealing)
    for file in config.holder_cas:
        lines += ["", "[[holder_ca]]", f"certificate = {quote(file)}"]
    text = "\n".join(lines) + "\n"
    data = text.encode()
    parse_config(data)  # never write what cannot be read
    return data


def _holder_cas(top: Reader) -> tuple[str, ...]:
    files = []
    for item in top.tables("holder_ca"):
        file = item.text("certificate")
        if "/" in file or "\\" in file or file.startswith(".") or file in files:
            raise ConfigError(item.place("certificate"), "a plain file name expected, each once")
        item.done()
        files.append(file)
    return tuple(files)


def _origin(item: Reader) -> OriginRecord:
    record = _origin_record(item)
    item.done()
    return record


def _closed(item: Reader) -> ClosedOrigin:
    closed = ClosedOrigin(origin=_origin_record(item), size=item.integer("size", 1, MAX_SIZE))
    item.done()
    return closed


def _origin_record(item: Reader) -> OriginRecord:
    return OriginRecord(
        number=item.integer("number", 1, MAX_NUMBER),
        name=item.text("name"),
        block_height=item.integer("block_height", 1, 8),
    )


def _origin_lines(origin: OriginRecord) -> list[str]:
    return [
        f"number = {origin.number}",
        f"name = {quote(origin.name)}",
        f"block_height = {origin.block_height}",
    ]


def _defaults(item: Reader) -> dict[str, str]:
    return {key: item.text(key) for key in item.names()}


def _issuer(item: Reader) -> IssuerSpec:
    bodies = item.table("bodies")
    spec = IssuerSpec(
        number=item.integer("number", 1, MAX_NUMBER),
        name=item.text("name"),
        name_en=item.text("name_en"),
        kinds=item.numbers("kinds", 1, MAX_NUMBER),
        jurisdictions=item.numbers("jurisdictions", 0, 82),
        bodies={_body_number(bodies, key): bodies.text(key) for key in bodies.names()},
        prefixes=item.texts("prefixes"),
        credential_alg=_credential_alg(item),
    )
    item.done()
    return spec


def _credential_alg(item: Reader) -> Alg:
    name = item.text("credential_alg") if item.has("credential_alg") else "ed25519"
    if name not in CREDENTIAL_ALGS:
        raise ConfigError(item.place("credential_alg"), f"one of {', '.join(CREDENTIAL_ALGS)} expected")
    return CREDENTIAL_ALGS[name]


def _body_number(item: Reader, key: str) -> int:
    if not (key.isascii() and key.isdecimal() and key == str(int(key)) and 1 <= int(key) <= MAX_NUMBER):
        raise ConfigError(item.place(key), f"a body's number 1..{MAX_NUMBER} expected")
    return int(key)


def _key(item: Reader) -> KeySpec:
    role, number = item.text("role"), item.integer("alg", -131_072, -1)
    try:
        spki = base64.b64decode(item.text("spki"), validate=True)
        spec = KeySpec(
            role=Role(role),
            issuer=item.integer("issuer", 0, MAX_NUMBER),
            public_key=parse_public_key(spki, alg=Alg(number)),
            file=item.text("file"),
            valid_from=item.day("valid_from"),
            valid_until=item.day("valid_until"),
            retired_on=item.day("retired_on") if item.has("retired_on") else None,
            good_size=item.integer("good_size", 0, MAX_SIZE) if item.has("good_size") else None,
            origin=item.integer("origin", 1, MAX_NUMBER) if item.has("origin") else 0,
            good_origin=item.integer("good_origin", 1, MAX_NUMBER) if item.has("good_origin") else 0,
            operator=item.text("operator") if item.has("operator") else "",
            added=item.flag("added") if item.has("added") else False,
        )
    except (ValueError, KeysError) as error:
        raise ConfigError(item.place("spki"), f"no {role} key of algorithm {number}") from error
    item.done()
    return spec


def _check(config: WorkspaceConfig) -> None:
    _check_origins(config)
    numbers = [spec.number for spec in config.issuers]
    if len(set(numbers)) != len(numbers):
        raise ConfigError("issuers", "a number twice")
    for spec in config.issuers:
        if not spec.bodies or not spec.kinds or not spec.jurisdictions:
            raise ConfigError(f"issuers {spec.number}", "at least one kind, jurisdiction and body expected")
        if any(0 < region < 11 for region in spec.jurisdictions):
            raise ConfigError(f"issuers {spec.number}", "jurisdictions are 0 and 11..82")
    for key in config.keys:
        if "/" in key.file or "\\" in key.file or key.file.startswith("."):
            raise ConfigError("keys.file", "a plain file name expected")
        is_log_s = key.role in LOG_ROLES or (key.role, key.issuer) == (Role.SUBMIT, 0)
        if (key.issuer == 0) != is_log_s or (key.issuer and key.issuer not in numbers):
            raise ConfigError("keys.issuer", f"{key.issuer} does not fit role {key.role}")
        if bool(key.operator) != (key.role is Role.OPERATOR) or len(key.operator) > MAX_OPERATOR:
            raise ConfigError("keys.operator", f"an operator key names its person in at most {MAX_OPERATOR} characters")
        if key.added and not key.operator:
            raise ConfigError("keys.added", "of an operator key only")
    if len({key.kid for key in config.keys}) != len(config.keys):
        raise ConfigError("keys", "one key twice")
    _check_sealing(config)


def _check_origins(config: WorkspaceConfig) -> None:
    """Numbers rise from log to log, names differ; a key names its log, unless that is the first."""
    known = config.begun if config.following is None else (*config.begun, config.following)
    numbers = [origin.number for origin in known]
    if sorted(set(numbers)) != numbers or len({origin.name for origin in known}) != len(known):
        raise ConfigError("origin", "numbers of logs rise from the first to the next one, and no name comes twice")
    later = {0, *numbers[1:]}
    for key in config.keys:
        if key.origin not in later or (key.issuer and key.origin):
            raise ConfigError(
                "keys.origin", f"{key.origin} is no later log of this workspace, or the key is an issuer's"
            )
        stolen_later = key.good_origin in later - {0 if config.following is None else config.following.number}
        if key.good_origin and (not stolen_later or not key.issuer or key.good_size is None):
            raise ConfigError("keys.good_origin", f"{key.good_origin} fits no stolen key of an issuer")


def _check_sealing(config: WorkspaceConfig) -> None:
    """Seals and rules name issuers of the workspace and bodies of those issuers."""
    bodies = {spec.number: spec.bodies for spec in config.issuers}
    for seal in config.sealing.seals:
        if seal.body not in bodies.get(seal.issuer, {}):
            raise ConfigError("seal.body", f"issuer {seal.issuer} has no body {seal.body}")
    for rule in config.sealing.rules:
        if any(body and body not in bodies.get(rule.issuer, {}) for body in rule.bodies):
            raise ConfigError("seal_rule.bodies", f"not bodies of issuer {rule.issuer}")


def _issuer_lines(spec: IssuerSpec) -> list[str]:
    return [
        "[[issuers]]",
        f"number = {spec.number}",
        f"name = {quote(spec.name)}",
        f"name_en = {quote(spec.name_en)}",
        f"kinds = {list(spec.kinds)}",
        f"jurisdictions = {list(spec.jurisdictions)}",
        f"prefixes = [{', '.join(map(quote, spec.prefixes))}]",
        *(f"credential_alg = {quote(name)}" for name, alg in _OTHER_ALGS.items() if alg is spec.credential_alg),
        "[issuers.bodies]",
        *(f"{number} = {quote(name)}" for number, name in sorted(spec.bodies.items())),
    ]


def _key_lines(key: KeySpec) -> list[str]:
    return [
        "[[keys]]",
        f"role = {quote(str(key.role))}",
        f"issuer = {key.issuer}",
        *([f"origin = {key.origin}"] if key.origin else []),
        f"alg = {int(key.public_key.alg)}",
        f"spki = {quote(base64.b64encode(key.public_key.spki).decode())}",
        f"file = {quote(key.file)}",
        f"valid_from = {quote(format_day(key.valid_from))}",
        f"valid_until = {quote(format_day(key.valid_until))}",
        *([] if key.retired_on is None else [f"retired_on = {quote(format_day(key.retired_on))}"]),
        *([] if key.good_size is None else [f"good_size = {key.good_size}"]),
        *([f"good_origin = {key.good_origin}"] if key.good_origin else []),
        *([f"operator = {quote(key.operator)}"] if key.operator else []),
        *(["added = true"] if key.added else []),
    ]
