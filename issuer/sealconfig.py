"""Seals in mingzheng.toml: which body seals what with which key, in which order, and what a copy is delivered as.

Source: docs/workspace.md ("Seals"), DESIGN §8. Pure. The tables name files: keys (encrypted) in `keys/`, certificates,
electronic seals (.esl) and pictures in `seals/`; a key in a token is named by its place, its PIN stands nowhere. A seal
without a certificate was requested and is not in use yet. Without these tables a workspace issues unsealed PDF.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import MAX_DAY, format_day
from mingzheng.formats.page import SealShape
from mingzheng.issuer.configread import Reader, quote
from mingzheng.issuer.refusals import ConfigError
from mingzheng.issuer.schema import FileForm
from mingzheng.keys.sealkey import SealAlg

__all__ = [
    "FORMATS",
    "NO_SEALS",
    "SEALING_BODY",
    "MakerSpec",
    "RuleSpec",
    "SealConfig",
    "SealSpec",
    "TokenSpec",
    "format_seals",
    "read_seals",
]

SEALING_BODY: Final = 0  # in a rule: the sealing body that the claims name
MAX_BODIES: Final = 4  # of one rule
_NUMBER_MAX: Final = 65_535
_REGION_MAX: Final = 82
WHOLE_PATH: Final = re.compile(r"/|[A-Za-z]:[\\/]|\\\\")  # of a library: nothing that depends on where one stands
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){1,64}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# what `--format` and `[documents] format` may say
FORMATS: Final[dict[str, tuple[FileForm, ...]]] = {
    "pdf": (FileForm.PDF,),
    "ofd": (FileForm.OFD,),
    "both": (FileForm.PDF, FileForm.OFD),
}
_ALGS: Final = {FileForm.PDF: (SealAlg.P256, SealAlg.RSA), FileForm.OFD: (SealAlg.SM2,)}
_ART: Final = {"round": SealShape.CIRCLE, "square": SealShape.SQUARE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpec:
    """Where a key lives behind PKCS #11."""

    module: str  # absolute path of the maker's library
    label: str  # of the token
    key: str | None  # label of the key
    key_id: bytes | None
    pin_env: str | None  # name of an environment variable; None: asked at the terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class SealSpec:
    """One seal of one body for one form of file. Days are inclusive."""

    issuer: int
    body: int
    form: FileForm
    name: str  # in the seal: around the star, or in the square
    art: SealShape
    line: str | None  # below the star: 专用章, 试用
    code: str | None  # on the lower arc
    alg: SealAlg
    key: str | None  # under keys/; None: in a token
    certificate: str | None  # under seals/; None: requested, not installed
    chain: tuple[str, ...]  # under seals/, signer's issuer first
    seal: str | None  # .esl under seals/; OFD only
    picture: str | None  # PNG under seals/ instead of the drawn art
    valid_from: int
    valid_until: int
    revoked_on: int | None
    token: TokenSpec | None = None

    def ready(self, day: int) -> bool:
        """May it seal on that day?"""
        complete = self.certificate is not None and (self.form is FileForm.PDF or self.seal is not None)
        revoked = self.revoked_on is not None and day >= self.revoked_on
        return complete and not revoked and self.valid_from <= day <= self.valid_until


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerSpec:
    """A maker of electronic seals that verifiers may trust; with a key if this workspace makes them."""

    certificate: str | None  # under seals/; None: requested, not installed
    chain: tuple[str, ...]
    key: str | None  # under keys/; SM2
    revoked_on: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """Who seals certificates of these kinds, in this order; 0 is the sealing body the claims name."""

    issuer: int
    kinds: tuple[int, ...]
    jurisdictions: tuple[int, ...]
    bodies: tuple[int, ...]
    valid_from: int
    valid_until: int

    def covers(self, issuer: int, kind: int, jurisdiction: int) -> bool:
        """Is it about these certificates, whatever the day?"""
        return issuer == self.issuer and kind in self.kinds and jurisdiction in self.jurisdictions

    def meets(self, other: "RuleSpec") -> bool:
        """Do two rules speak of the same certificate on the same day?"""
        return (
            self.issuer == other.issuer
            and bool(set(self.kinds) & set(other.kinds))
            and bool(set(self.jurisdictions) & set(other.jurisdictions))
            and self.valid_from <= other.valid_until
            and other.valid_from <= self.valid_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SealConfig:
    """Everything mingzheng.toml says about seals and forms."""

    forms: tuple[FileForm, ...]  # made unless the command says otherwise
    authorities: tuple[str, ...]  # certificates of CAs under seals/
    makers: tuple[MakerSpec, ...]
    seals: tuple[SealSpec, ...]
    rules: tuple[RuleSpec, ...]
    time_stamps: str | None = None  # address of a time-stamping authority for PDF seals
    evidence: tuple[str, ...] = ()  # certificates and revocation lists under seals/, for level B-LTA

    def maker(self, day: int) -> MakerSpec | None:
        """The workspace's own maker of seals, if it has one in force."""
        for maker in self.makers:
            if maker.key and maker.certificate and (maker.revoked_on is None or day < maker.revoked_on):
                return maker
        return None

    def is_ruled(self, issuer: int, kind: int, jurisdiction: int) -> bool:
        """Must such certificates be sealed, on whatever day?"""
        return any(rule.covers(issuer, kind, jurisdiction) for rule in self.rules)

    def rule_for(self, issuer: int, kind: int, jurisdiction: int, day: int) -> RuleSpec | None:
        """The rule in force on that day."""
        for rule in self.rules:
            if rule.covers(issuer, kind, jurisdiction) and rule.valid_from <= day <= rule.valid_until:
                return rule
        return None

    def seal_for(self, issuer: int, body: int, form: FileForm, day: int) -> SealSpec | None:
        """The newest seal of that body and form that is ready on that day."""
        fitting = [
            (seal.valid_from, place, seal)
            for place, seal in enumerate(self.seals)
            if (seal.issuer, seal.body, seal.form) == (issuer, body, form) and seal.ready(day)
        ]
        return max(fitting)[2] if fitting else None


NO_SEALS: Final = SealConfig(forms=(FileForm.PDF,), authorities=(), makers=(), seals=(), rules=())


def read_seals(top: Reader) -> SealConfig:
    """The tables `documents`, `seal_ca`, `seal_maker`, `seal` and `seal_rule`. Raises ConfigError."""
    documents = _documents(top.table("documents")) if top.has("documents") else (NO_SEALS.forms, None, ())
    config = SealConfig(
        forms=documents[0],
        time_stamps=documents[1],
        evidence=documents[2],
        authorities=tuple(_authority(item) for item in top.tables("seal_ca")),
        makers=tuple(_maker(item) for item in top.tables("seal_maker")),
        seals=tuple(_seal(item) for item in top.tables("seal")),
        rules=tuple(_rule(item) for item in top.tables("seal_rule")),
    )
    _check(config)
    return config


def format_seals(config: SealConfig) -> list[str]:
    """The lines of mingzheng.toml that `read_seals` reads back."""
    lines: list[str] = []
    if (config.forms, config.time_stamps) != (NO_SEALS.forms, None):
        name = next(name for name, forms in FORMATS.items() if forms == config.forms)
        lines += ["", "[documents]", f"format = {quote(name)}"]
        lines += _optional(("time_stamps", _quoted(config.time_stamps)), ("evidence", _list(config.evidence)))
    for file in config.authorities:
        lines += ["", "[[seal_ca]]", f"certificate = {quote(file)}"]
    for maker in config.makers:
        lines += ["", *_maker_lines(maker)]
    for seal in config.seals:
        lines += ["", *_seal_lines(seal)]
    for rule in config.rules:
        lines += ["", *_rule_lines(rule)]
    return lines


def _documents(item: Reader) -> tuple[tuple[FileForm, ...], str | None, tuple[str, ...]]:
    name = item.text("format")
    if name not in FORMATS:
        raise ConfigError(item.place("format"), f"one of {', '.join(FORMATS)} expected")
    url = item.text("time_stamps") if item.has("time_stamps") else None
    if url is not None and not url.startswith(("https://", "http://")):
        raise ConfigError(item.place("time_stamps"), "an address that begins with https:// or http:// expected")
    evidence = _files(item, "evidence")
    _once(item.place("evidence"), evidence)
    if evidence and url is None:
        raise ConfigError(item.place("evidence"), "needs time_stamps: without a time stamp evidence proves nothing")
    item.done()
    return FORMATS[name], url, evidence


def _authority(item: Reader) -> str:
    file = _file(item, "certificate")
    item.done()
    return file


def _maker(item: Reader) -> MakerSpec:
    spec = MakerSpec(
        certificate=_file(item, "certificate") if item.has("certificate") else None,
        chain=_files(item, "chain"),
        key=_file(item, "key") if item.has("key") else None,
        revoked_on=item.day("revoked_on") if item.has("revoked_on") else None,
    )
    item.done()
    return spec


def _seal(item: Reader) -> SealSpec:
    form, art, alg = item.text("form"), item.text("art"), item.text("alg")
    if form not in tuple(FileForm):
        raise ConfigError(item.place("form"), f"one of {', '.join(FileForm)} expected")
    if art not in _ART:
        raise ConfigError(item.place("art"), f"one of {', '.join(_ART)} expected")
    if alg not in _ALGS[FileForm(form)]:
        raise ConfigError(item.place("alg"), f"not an algorithm of {form} seals")
    spec = SealSpec(
        issuer=item.integer("issuer", 1, _NUMBER_MAX),
        body=item.integer("body", 1, _NUMBER_MAX),
        form=FileForm(form),
        name=item.text("name"),
        art=_ART[art],
        line=item.text("line") if item.has("line") else None,
        code=item.text("code") if item.has("code") else None,
        alg=SealAlg(alg),
        key=_file(item, "key") if item.has("key") else None,
        certificate=_file(item, "certificate") if item.has("certificate") else None,
        chain=_files(item, "chain"),
        seal=_file(item, "seal") if item.has("seal") else None,
        picture=_file(item, "picture") if item.has("picture") else None,
        valid_from=item.day("valid_from"),
        valid_until=item.day("valid_until"),
        revoked_on=item.day("revoked_on") if item.has("revoked_on") else None,
        token=_token(item.table("token")) if item.has("token") else None,
    )
    if (spec.key is None) == (spec.token is None):
        raise ConfigError(item.place("key"), "either key or token expected")
    if spec.token is not None and spec.form is not FileForm.PDF:
        raise ConfigError(item.place("token"), "keys in tokens seal pdf only: SM2 has no mechanism that tokens share")
    item.done()
    return spec


def _token(item: Reader) -> TokenSpec:
    key_id, pin_env = None, None
    if item.has("id"):
        text = item.text("id")
        if not _HEX.fullmatch(text):
            raise ConfigError(item.place("id"), "hexadecimal digits in pairs expected")
        key_id = bytes.fromhex(text)
    if item.has("pin_env"):
        pin_env = item.text("pin_env")
        if not _VARIABLE.fullmatch(pin_env):
            raise ConfigError(item.place("pin_env"), "the name of an environment variable expected, not the PIN")
    spec = TokenSpec(
        module=item.text("module"),
        label=item.text("label"),
        key=item.text("key") if item.has("key") else None,
        key_id=key_id,
        pin_env=pin_env,
    )
    if not WHOLE_PATH.match(spec.module):
        raise ConfigError(item.place("module"), "the whole path of a library expected")
    if spec.key is None and spec.key_id is None:
        raise ConfigError(item.place("key"), "the key's label or id expected")
    item.done()
    return spec


def _rule(item: Reader) -> RuleSpec:
    bodies = item.take("bodies", list)
    assert isinstance(bodies, list)
    if not 1 <= len(bodies) <= MAX_BODIES or any(type(n) is not int or not 0 <= n <= _NUMBER_MAX for n in bodies):
        raise ConfigError(item.place("bodies"), f"1 to {MAX_BODIES} bodies' numbers expected")
    rule = RuleSpec(
        issuer=item.integer("issuer", 1, _NUMBER_MAX),
        kinds=item.numbers("kinds", 1, _NUMBER_MAX),
        jurisdictions=item.numbers("jurisdictions", 0, _REGION_MAX),
        bodies=tuple(bodies),
        valid_from=item.day("valid_from"),
        valid_until=item.day("valid_until") if item.has("valid_until") else MAX_DAY,
    )
    item.done()
    return rule


def _file(item: Reader, key: str) -> str:
    return _plain(item.text(key), item.place(key))


def _files(item: Reader, key: str) -> tuple[str, ...]:
    return tuple(_plain(name, item.place(key)) for name in item.texts(key)) if item.has(key) else ()


def _plain(name: str, place: str) -> str:
    if "/" in name or "\\" in name or name.startswith("."):
        raise ConfigError(place, "a plain file name expected")
    return name


def _check(config: SealConfig) -> None:
    _once("seal_ca", config.authorities)
    _once("seal_maker", [name for maker in config.makers for name in (maker.certificate, maker.key) if name])
    if any(maker.certificate is None and maker.key is None for maker in config.makers):
        raise ConfigError("seal_maker", "a certificate or a key expected")
    _once("seal", [seal.key for seal in config.seals if seal.key is not None])
    owners: dict[tuple[object, ...], int] = {}
    for number, seal in enumerate(config.seals):
        if seal.token is not None:
            place = (seal.issuer, seal.token.module, seal.token.label, seal.token.key, seal.token.key_id)
            if owners.setdefault(place, seal.body) != seal.body:
                raise ConfigError(f"seal[{number}].token", "that key seals for another body of the issuer")
    _once("seal", [seal.certificate for seal in config.seals if seal.certificate is not None])
    for number, seal in enumerate(config.seals):
        if seal.valid_from > seal.valid_until:
            raise ConfigError(f"seal[{number}].valid_until", "before valid_from: no day is left")
    for number, rule in enumerate(config.rules):
        if not rule.kinds or not rule.jurisdictions or rule.valid_from > rule.valid_until:
            raise ConfigError(f"seal_rule[{number}]", "at least one kind, jurisdiction and day expected")
        if len(set(rule.bodies)) != len(rule.bodies):
            raise ConfigError(f"seal_rule[{number}]", "a body twice")
        if any(rule.meets(other) for other in config.rules[:number]):
            raise ConfigError(f"seal_rule[{number}]", "overlaps another rule")


def _once(table: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ConfigError(table, "a file twice")


def _maker_lines(maker: MakerSpec) -> list[str]:
    return [
        "[[seal_maker]]",
        *_optional(
            ("certificate", _quoted(maker.certificate)),
            ("chain", _list(maker.chain)),
            ("key", _quoted(maker.key)),
            ("revoked_on", _day(maker.revoked_on)),
        ),
    ]


def _seal_lines(seal: SealSpec) -> list[str]:
    art = next(name for name, shape in _ART.items() if shape is seal.art)
    return [
        "[[seal]]",
        f"issuer = {seal.issuer}",
        f"body = {seal.body}",
        f"form = {quote(seal.form)}",
        f"name = {quote(seal.name)}",
        f"art = {quote(art)}",
        *_optional(("line", _quoted(seal.line)), ("code", _quoted(seal.code))),
        f"alg = {quote(seal.alg)}",
        *_optional(
            ("key", _quoted(seal.key)),
            ("token", _token_table(seal.token)),
            ("certificate", _quoted(seal.certificate)),
            ("chain", _list(seal.chain)),
            ("seal", _quoted(seal.seal)),
            ("picture", _quoted(seal.picture)),
        ),
        f"valid_from = {_day(seal.valid_from)}",
        f"valid_until = {_day(seal.valid_until)}",
        *_optional(("revoked_on", _day(seal.revoked_on))),
    ]


def _token_table(token: TokenSpec | None) -> str | None:
    """An inline table."""
    if token is None:
        return None
    parts = _optional(
        ("module", quote(token.module)),
        ("label", quote(token.label)),
        ("key", _quoted(token.key)),
        ("id", None if token.key_id is None else quote(token.key_id.hex())),
        ("pin_env", _quoted(token.pin_env)),
    )
    return f"{{ {', '.join(parts)} }}"


def _rule_lines(rule: RuleSpec) -> list[str]:
    return [
        "[[seal_rule]]",
        f"issuer = {rule.issuer}",
        f"kinds = {list(rule.kinds)}",
        f"jurisdictions = {list(rule.jurisdictions)}",
        f"bodies = {list(rule.bodies)}",
        f"valid_from = {_day(rule.valid_from)}",
        *_optional(("valid_until", None if rule.valid_until == MAX_DAY else _day(rule.valid_until))),
    ]


def _optional(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"{key} = {value}" for key, value in pairs if value is not None]


def _quoted(text: str | None) -> str | None:
    return None if text is None else quote(text)


def _list(names: Iterable[str]) -> str | None:
    quoted = ", ".join(map(quote, names))
    return f"[{quoted}]" if quoted else None


def _day(day: int | None) -> str | None:
    return None if day is None else quote(format_day(day))
