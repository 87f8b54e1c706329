"""`mingzheng.toml` of a workspace: which log, which issuers, which keys. Public facts only.

Source: DESIGN §4 (roles and scopes), §7. Pure: text in, `WorkspaceConfig` out and back. A table [defaults] belongs to
the command line and is carried along unread; the tables about seals are `sealconfig`'s. Private keys are in the files
that `file` names, encrypted.
"""

import base64
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import format_day
from mingzheng.issuer.configread import Reader, quote
from mingzheng.issuer.refusals import ConfigError
from mingzheng.issuer.sealconfig import NO_SEALS, SealConfig, format_seals, read_seals
from mingzheng.keys.alg import Alg, PublicKey, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import LOG_ROLES, IssuerRecord, KeyRecord, OriginRecord, Role

__all__ = [
    "CREDENTIAL_ALGS",
    "ORIGIN_ROLES",
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
    good_size: int | None = None  # compromised: how many of the log's entries still count

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
class WorkspaceConfig:
    """Everything mingzheng.toml says."""

    demo: bool
    origin: OriginRecord
    issuers: tuple[IssuerSpec, ...]  # by number
    keys: tuple[KeySpec, ...]
    defaults: Mapping[str, str]
    sealing: SealConfig = NO_SEALS

    def issuer(self, number: int) -> IssuerSpec | None:
        """The issuer of that number."""
        return next((issuer for issuer in self.issuers if issuer.number == number), None)

    def key_for(self, role: Role, issuer: int, day: int) -> KeySpec | None:
        """The newest key of that role and issuer that may sign on `day`."""
        fitting = [key for key in self.keys if (key.role, key.issuer) == (role, issuer) and key.may_sign(day)]
        return max(fitting, key=lambda key: (key.valid_from, key.kid), default=None)

    def issuer_records(self) -> dict[int, IssuerRecord]:
        """The issuers as trust data has them."""
        return {
            spec.number: IssuerRecord(
                number=spec.number,
                name=spec.name,
                name_en=spec.name_en,
                bodies=dict(spec.bodies),
                prefixes=spec.prefixes,
            )
            for spec in self.issuers
        }

    def key_records(self) -> dict[Kid, KeyRecord]:
        """The keys as trust data has them: an issuer's keys have its scope, the log's keys have none."""
        return {key.kid: self._record(key) for key in self.keys}

    def _record(self, key: KeySpec) -> KeyRecord:
        spec = self.issuer(key.issuer)
        return KeyRecord(
            kid=key.kid,
            role=key.role,
            public_key=key.public_key,
            issuer=key.issuer,
            jurisdictions=frozenset(spec.jurisdictions if spec else ()),
            kinds=frozenset(spec.kinds if spec else ()),
            valid_from=key.valid_from,
            valid_until=key.valid_until,
            origins=frozenset({self.origin.number}),
            name=self.origin.name if key.role is Role.CHECKPOINT else "",
            compromised=None if key.good_size is None else {self.origin.number: key.good_size},
            retired_on=key.retired_on,
        )

    # what the log asks of whoever keeps the keys (log.book.ActKeys)

    def record(self, kid: Kid) -> KeyRecord | None:
        """See ActKeys."""
        return next((self._record(key) for key in self.keys if key.kid == kid), None)

    def may_name(self, issuer: int, origin: int) -> bool:
        """See ActKeys: a workspace has one log."""
        return origin == self.origin.number


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
        issuers=tuple(sorted((_issuer(item) for item in top.tables("issuers")), key=lambda spec: spec.number)),
        keys=tuple(_key(item) for item in top.tables("keys")),
        defaults=_defaults(top.table("defaults")) if top.has("defaults") else {},
        sealing=read_seals(top),
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
        f"number = {config.origin.number}",
        f"name = {quote(config.origin.name)}",
        f"block_height = {config.origin.block_height}",
    ]
    if config.defaults:
        lines += ["", "[defaults]", *(f"{quote(k)} = {quote(v)}" for k, v in sorted(config.defaults.items()))]
    for spec in config.issuers:
        lines += ["", *_issuer_lines(spec)]
    for key in config.keys:
        lines += ["", *_key_lines(key)]
    lines += format_seals(config.sealing)
    text = "\n".join(lines) + "\n"
    data = text.encode()
    parse_config(data)  # never write what cannot be read
    return data


def _origin(item: Reader) -> OriginRecord:
    record = OriginRecord(
        number=item.integer("number", 1, MAX_NUMBER),
        name=item.text("name"),
        block_height=item.integer("block_height", 1, 8),
    )
    item.done()
    return record


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
        )
    except (ValueError, KeysError) as error:
        raise ConfigError(item.place("spki"), f"no {role} key of algorithm {number}") from error
    item.done()
    return spec


def _check(config: WorkspaceConfig) -> None:
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
        if (key.issuer == 0) != (key.role in LOG_ROLES) or (key.issuer and key.issuer not in numbers):
            raise ConfigError("keys.issuer", f"{key.issuer} does not fit role {key.role}")
    if len({key.kid for key in config.keys}) != len(config.keys):
        raise ConfigError("keys", "one key twice")
    _check_sealing(config)


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
        f"alg = {int(key.public_key.alg)}",
        f"spki = {quote(base64.b64encode(key.public_key.spki).decode())}",
        f"file = {quote(key.file)}",
        f"valid_from = {quote(format_day(key.valid_from))}",
        f"valid_until = {quote(format_day(key.valid_until))}",
        *([] if key.retired_on is None else [f"retired_on = {quote(format_day(key.retired_on))}"]),
        *([] if key.good_size is None else [f"good_size = {key.good_size}"]),
    ]
