"""The issuing workspace on disk: `mingzheng.toml`, `keys/`, `ledger.sqlite`, `log/`, `images/`, `lock`;
`applications/` what holders signed, `profiles/` may hold rules of the authority's own, `fonts/fallback.ttf` a font for
rare characters, `seals/` the public files of its seals (`sealstore`); `log-2/` and so on are the logs after the first,
by origin number (`rollover`).

Source: DESIGN §3–§6. One command at a time: the file `lock` is held from `open` to `close`. `create` builds everything
in a directory beside the target and renames it, so a workspace is there whole or not at all. Keys are loaded when they
are first needed; the passphrase is asked for once. Left out: what the stores hold (`ledger`, the log's sequencer).
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mingzheng.formats.civil import format_day
from mingzheng.formats.library import read_shipped_profiles
from mingzheng.formats.profile import ProfileSet, parse_profiles
from mingzheng.issuer.config import (
    ORIGIN_ROLES,
    IssuerSpec,
    KeySpec,
    WorkspaceConfig,
    format_config,
    issuer_roles,
    parse_config,
)
from mingzheng.issuer.errors import wrong_passphrase
from mingzheng.issuer.issuinglog import IssuingLog
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.logplace import open_log
from mingzheng.issuer.refusals import (
    DemoNameError,
    DemoOnlyError,
    ImageMissingError,
    KeyMismatchError,
    KeyMissingError,
    LogBehindLedgerError,
    OptionError,
    OriginUnknownError,
    RollOverUnfinishedError,
    UnknownIssuerError,
    WorkspaceExistsError,
    WorkspaceMissingError,
    WorkspaceUnfinishedError,
)
from mingzheng.issuer.sealconfig import TokenSpec
from mingzheng.issuer.sealstore import FileSealVault, SealStore, SealVault, no_pin
from mingzheng.issuer.vault import FileVault, KeyPlace, Vault, make_keys
from mingzheng.issuer.workspacelock import lock_to_read, lock_workspace
from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import WrongPassphraseError
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import KeyRecord, OriginRecord, Role
from mingzheng.keys.vkey import format_vkey, vkey_for
from mingzheng.log.durable import fsync_dir, publish, write_file
from mingzheng.log.refusal import LogFrozenError, LogMissingError
from mingzheng.log.sequencer import EmbeddedLog, LogIdentity
from mingzheng.log.state import Carry
from mingzheng.log.statusmaker import ListingLog
from mingzheng.log.writer import Log

__all__ = [
    "APPLICATIONS",
    "CONFIG",
    "Access",
    "FileVault",
    "Foundation",
    "NewOperator",
    "Vault",
    "Workspace",
    "check_demo_name",
    "current_log",
    "log_vkey",
]

CONFIG: Final = "mingzheng.toml"
LEDGER: Final = "ledger.sqlite"
LOG: Final = "log"
KEYS: Final = "keys"
IMAGES: Final = "images"
APPLICATIONS: Final = "applications"  # what holders signed, by SHA-256
PROFILES: Final = "profiles"
FALLBACK_FONT: Final = "fonts/fallback.ttf"
DEMO_PREFIXES: Final = ("demo.", "test.")
_PRIVATE_DIR: Final = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to get at the keys, and where this machine remembers the heads it signed (None: nowhere)."""

    passphrase: Callable[[], bytes]  # called once, when a key is first needed
    vault: Vault
    memory_dir: Path | None
    seal_vault: SealVault = field(default_factory=FileSealVault)
    pin: Callable[[TokenSpec], str] = no_pin  # called once a token
    remote: "Callable[[Workspace], IssuingLog] | None" = None  # a log that is served elsewhere: issuing goes there
    follow: "Callable[[Workspace], ListingLog] | None" = None  # and its lists are drawn from what it serves


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperator:
    """A person who is to have a key, and the passphrase that opens it: theirs, not the office's."""

    name: str
    passphrase: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What a new workspace begins with. Days are inclusive and limit every key made now."""

    demo: bool
    origin: OriginRecord
    issuers: tuple[IssuerSpec, ...]
    valid_from: int
    valid_until: int
    operators: tuple[NewOperator, ...] = ()  # of the first issuer


class Workspace:
    """An open, locked workspace. Close it, or use it as a context manager."""

    def __init__(self, root: Path, access: Access, *, reading: bool = False) -> None:
        """Use `open`."""
        self.root = root
        self._lock, settled = lock_to_read(root) if reading else (lock_workspace(root), True)
        try:
            self.config = parse_config((root / CONFIG).read_bytes())
            self.ledger = Ledger.open_to_read(root / LEDGER, settled=settled) if reading else Ledger.open(root / LEDGER)
        except BaseException:
            self._release()
            raise
        self._access = access
        self._passphrase: bytes | None = None
        self._proved = False  # has it opened a key?
        self._signers: dict[bytes, Signer] = {}
        self.persons: dict[Kid, Signer] = {}  # operators' keys that somebody opened in this command
        self.seals = SealStore(root, access.seal_vault, self._proved_secret, access.pin)
        self._log: Log | None = None
        self._remote: IssuingLog | None = None
        self._followed: ListingLog | None = None
        self._profiles: ProfileSet | None = None

    @classmethod
    def open(cls, root: Path, access: Access, *, reading: bool = False) -> Self:
        """Open a workspace and take its lock. `reading`: where it cannot be written, nothing is, and it can be read.

        Raises WorkspaceMissingError, WorkspaceBusyError, ConfigError or an error of the ledger.
        """
        for name in (CONFIG, LEDGER, LOG, KEYS):
            if not (root / name).exists():
                raise WorkspaceMissingError(root.name or str(root), name)
        return cls(root, access, reading=reading)

    @staticmethod
    def create(root: Path, foundation: Foundation, access: Access) -> WorkspaceConfig:
        """Make a workspace: keys, empty ledger, empty log. All or nothing; nothing is overwritten."""
        check_demo_name(foundation.origin.name, demo=foundation.demo)
        root = root.resolve()
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise WorkspaceExistsError(root.name)
        build = root.parent / f".{root.name}.init"
        if build.exists():
            raise WorkspaceUnfinishedError(str(build.name))
        root.parent.mkdir(parents=True, exist_ok=True)
        build.mkdir()
        try:
            config = _build(build, foundation, access)
            os.rename(build, root)
        except BaseException:
            shutil.rmtree(build, ignore_errors=True)
            raise
        fsync_dir(root.parent)
        return config

    def close(self) -> None:
        """Close log and ledger, forget the keys, give up the lock; more than once is fine."""
        self._close_log()
        self.ledger.close()
        self._signers.clear()
        self.persons.clear()
        self.seals.forget()
        self._passphrase, self._proved = None, False
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # keys

    def signer(self, role: Role, issuer: int, day: int) -> Signer:
        """The newest key of that role and issuer (0: the log) valid on `day`. Raises KeyMissingError."""
        spec = self.config.key_for(role, issuer, day)
        if spec is None:
            raise KeyMissingError(str(role), issuer, format_day(day))
        return self._signer_of(spec)

    def authority(self, issuer: int, day: int, kid: Kid) -> Signer:
        """The issuer's authority key of that kid if it may sign on `day`, else the newest that may."""
        place = (Role.AUTHORITY, issuer, kid)
        named = [key for key in self.config.keys if (key.role, key.issuer, key.kid) == place and key.may_sign(day)]
        return self._signer_of(named[0]) if named else self.signer(Role.AUTHORITY, issuer, day)

    def person(self, key: KeySpec, passphrase: bytes) -> Signer:
        """Open an operator's key with that person's passphrase; it stays open until the workspace is closed."""
        if key.kid not in self.persons:
            self.persons[key.kid] = self._load(key, passphrase)
        return self.persons[key.kid]

    def check_passphrase(self) -> None:
        """Open one key, whichever; raises what a wrong passphrase raises."""
        self._load(self.config.keys[0])

    def key_record(self, kid: bytes) -> KeyRecord | None:
        """The trust record of one of the workspace's keys."""
        return self.config.key_records().get(Kid(kid))

    @property
    def log(self) -> Log:
        """The log that is written to, opened at first use (recovers what a killed command left).

        Raises RollOverUnfinishedError where a roll-over has closed it and was cut short.
        """
        log = self.stored_log()
        if isinstance(log.read_only, LogFrozenError) and self.config.following is not None:
            raise RollOverUnfinishedError(self.config.following.number)
        return log

    def stored_log(self) -> Log:
        """The same, whether a roll-over that was cut short has closed it or not."""
        if self._log is None:
            identity = self.log_identity()
            memory_dir = self._access.memory_dir
            self._log = open_log(
                self.log_directory(), identity, act_keys=self.config, memory_dir=memory_dir, environment=os.environ
            )
            self._check_ledger(self._log)
        return self._log

    def successor_log(self, carry: Carry) -> Log:
        """The announced log, made from what is carried over, or opened where an earlier call had made it."""
        following = self.config.following
        assert following is not None  # `rollover` has announced it
        directory = self.beside(LOG, following.number)
        identity, memory_dir = self._identity_of(following), self._access.memory_dir
        try:
            return EmbeddedLog.open(directory, identity, act_keys=self.config, memory_dir=memory_dir)
        except LogMissingError:
            make = EmbeddedLog.create
            return make(directory, identity, act_keys=self.config, memory_dir=memory_dir, carry=carry)

    @property
    def is_remote(self) -> bool:
        """Whether new entries go to a log that is served elsewhere."""
        return self._access.remote is not None

    def log_directory(self, number: int | None = None) -> Path:
        """The directory of a log, by default of the one that is written to. Raises OriginUnknownError."""
        return self.beside(LOG, self.config.origin.number if number is None else number)

    def beside(self, name: str, number: int) -> Path:
        """What belongs to one log: `name` for the first, `name-N` for origin N after it."""
        return self.root / _name_of(self.config, name, number)

    def _check_ledger(self, log: Log) -> None:
        """An older log put back in its place looks whole where nothing outside remembers; the ledger does."""
        known = 1 + self.last_event()
        size, _root = log.head()
        if log.read_only is None and known > size:
            self._close_log()
            raise LogBehindLedgerError(size, known)

    def last_event(self) -> int:
        """The highest index that the ledger knows of the log that is written to, -1 if there is none."""
        shard, issuers = self.config.shard, self.config.issuers
        return max((self.ledger.last_event_index(spec.number, shard=shard) for spec in issuers), default=-1)

    @property
    def issuing_log(self) -> IssuingLog:
        """Where new entries go: the workspace's log, here or where it is served."""
        if self._access.remote is None:
            return self.log
        if self._remote is None:
            self._remote = self._access.remote(self)
        return self._remote

    @property
    def listing_log(self) -> ListingLog:
        """What lists are drawn from: the workspace's log, here or followed where it is served."""
        if self._access.follow is None:
            return self.log
        if self._followed is None:
            self._followed = self._access.follow(self)
        return self._followed

    def newest_signer(self, role: Role, issuer: int) -> Signer:
        """The key of that role and issuer that is valid longest. Raises KeyMissingError."""
        fits = (role, issuer, 0 if issuer else self.config.origin.number, False)
        keys = self.config.keys
        fitting = [key for key in keys if (key.role, key.issuer, self.config.origin_of(key), key.is_out) == fits]
        if not fitting:
            raise KeyMissingError(str(role), issuer, "")
        last = max(fitting, key=_last_day)
        return self.signer(role, issuer, last.valid_until)

    def log_identity(self) -> LogIdentity:
        """Name and keys of the log that is written to."""
        return self._identity_of(self.config.origin)

    def _identity_of(self, origin: OriginRecord) -> LogIdentity:
        checkpoint, receipt = (self.config.log_key(role, origin.number) for role in (Role.CHECKPOINT, Role.RECEIPT))
        if checkpoint is None or receipt is None:
            raise KeyMissingError(str(Role.CHECKPOINT if checkpoint is None else Role.RECEIPT), 0, "")
        return _identity(origin, self._load(checkpoint), self._load(receipt))

    # issuers

    def issuer_for(self, kind: int, jurisdiction: int, number: int | None) -> IssuerSpec:
        """The issuer of that number, or the one issuer whose scope has that kind and jurisdiction.

        Raises UnknownIssuerError if there is none, or several.
        """
        fitting = [spec for spec in self.config.issuers if kind in spec.kinds and jurisdiction in spec.jurisdictions]
        if number is not None:
            fitting = [spec for spec in fitting if spec.number == number]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UnknownIssuerError(
                "有多个机构可以签发，请用 --issuer 指定编号", "several issuers may issue this: name one with --issuer"
            )
        raise UnknownIssuerError(
            "没有机构可以签发该种类和地区", "no issuer of this workspace may issue that kind and jurisdiction"
        )

    def add_issuer(
        self, spec: IssuerSpec, *, valid_from: int, valid_until: int, operators: Sequence[NewOperator] = ()
    ) -> WorkspaceConfig:
        """Make keys for another issuer, then name both in mingzheng.toml. A kill in between leaves unused key files."""
        if self.config.issuer(spec.number) is not None:
            raise OptionError(f"机构编号 {spec.number} 已存在", f"there is an issuer {spec.number} already")
        days = (valid_from, valid_until)
        place = KeyPlace(
            directory=self.root / KEYS, vault=self._access.vault, passphrase=self._proved_secret(), days=days
        )
        keys = [key for key, _ in make_keys(place, issuer_roles(spec), spec.number)]
        keys += _operator_keys(place, spec.number, operators)
        issuers = tuple(sorted((*self.config.issuers, spec), key=lambda item: item.number))
        self.store_config(replace(self.config, issuers=issuers, keys=(*self.config.keys, *keys)))
        return self.config

    def add_log_key(self, role: Role, alg: Alg = Alg.ED25519) -> None:
        """Make a key of the log that is written to, for the days of its checkpoint key, and name it in
        mingzheng.toml."""
        own = self.config.log_key(Role.CHECKPOINT, self.config.origin.number)
        assert own is not None  # `_identity_of`
        keys = self._log_keys([(role, alg)], (own.valid_from, own.valid_until), origin=own.origin)
        self.store_config(replace(self.config, keys=(*self.config.keys, *keys)))

    def announce(self, following: OriginRecord, days: tuple[int, int]) -> None:
        """Make the keys of the log that comes next for those days, and name both in mingzheng.toml.

        A kill in between leaves unused key files.
        """
        keys = self._log_keys(ORIGIN_ROLES, days, origin=following.number)
        self.store_config(replace(self.config, following=following, keys=(*self.config.keys, *keys)))

    def _log_keys(self, roles: Sequence[tuple[Role, Alg]], days: tuple[int, int], *, origin: int) -> list[KeySpec]:
        place = KeyPlace(
            directory=self.root / KEYS, vault=self._access.vault, passphrase=self._proved_secret(), days=days
        )
        return [replace(key, origin=origin) for key, _ in make_keys(place, roles, 0)]

    def add_key(
        self, role: Role, issuer: int, *, alg: Alg = Alg.ED25519, days: tuple[int, int] | None = None
    ) -> KeySpec:
        """Make a key of that issuer for those days, by default its newest act key's, and name it in mingzheng.toml."""
        if days is None:
            own = max((key for key in self.config.keys if (key.role, key.issuer) == (Role.ACT, issuer)), key=_last_day)
            days = (own.valid_from, own.valid_until)
        place = KeyPlace(
            directory=self.root / KEYS, vault=self._access.vault, passphrase=self._proved_secret(), days=days
        )
        ((spec, _signer),) = make_keys(place, [(role, alg)], issuer)
        self.store_config(replace(self.config, keys=(*self.config.keys, spec)))
        return spec

    def add_operator(self, issuer: int, person: NewOperator, *, days: tuple[int, int]) -> KeySpec:
        """Make that person's key for those days, and name it in mingzheng.toml."""
        place = KeyPlace(directory=self.root / KEYS, vault=self._access.vault, passphrase=b"", days=days)
        (made,) = _operator_keys(place, issuer, [person])
        key = replace(made, added=True)
        self.store_config(replace(self.config, keys=(*self.config.keys, key)))
        return key

    def store_config(self, config: WorkspaceConfig) -> None:
        """Replace mingzheng.toml, durable on return. Raises ConfigError for what could not be read again."""
        data = format_config(config)
        parse_config(data)
        publish(self.root / CONFIG, data, temporary=self.root / f".{CONFIG}.tmp")
        if (_issuers_keys(config), config.origin) != (_issuers_keys(self.config), self.config.origin):
            self._close_log()  # it checks entries by the keys it was opened with
        self.config = config

    # dates and images

    def check_as_of(self) -> None:
        """Refuse to move dates in a real workspace. Raises DemoOnlyError."""
        if not (self.config.demo and self.config.origin.name.startswith(DEMO_PREFIXES)):
            raise DemoOnlyError

    def read_image(self, digest: bytes | None) -> bytes | None:
        """A stored image; None for None. Raises ImageMissingError if it is gone or changed."""
        if digest is None:
            return None
        path = self.root / IMAGES / digest.hex()
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).digest() != digest:
            raise ImageMissingError(digest.hex())
        return data

    # rules

    def profile_files(self) -> dict[str, bytes]:
        """Profile files by name: the shipped ones, overridden and joined by those in `profiles/`."""
        files = read_shipped_profiles()
        own = self.root / PROFILES
        if own.is_dir():
            files.update((path.name, path.read_bytes()) for path in sorted(own.glob("*.toml")))
        return files

    def profiles(self) -> ProfileSet:
        """The rules in force here."""
        if self._profiles is None:
            self._profiles = parse_profiles(self.profile_files())
        return self._profiles

    def fallback_font(self) -> Path | None:
        """The authority's own TrueType font for characters that the shipped one lacks: `fonts/fallback.ttf`."""
        path = self.root / FALLBACK_FONT
        return path if path.is_file() else None

    # within

    def _secret(self) -> bytes:
        if self._passphrase is None:
            self._passphrase = self._access.passphrase()
        return self._passphrase

    def _proved_secret(self) -> bytes:
        """The passphrase, once it has opened a key: nothing new goes under another one."""
        if not self._proved:
            self.check_passphrase()
        return self._secret()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _close_log(self) -> None:
        for log in (self._log, self._remote, self._followed):
            if log is not None:
                log.close()
        self._log = self._remote = self._followed = None

    def _signer_of(self, spec: KeySpec) -> Signer:
        if spec.kid not in self._signers:
            self._signers[spec.kid] = self._load(spec)
        return self._signers[spec.kid]

    def _load(self, spec: KeySpec, passphrase: bytes | None = None) -> Signer:
        secret = self._secret() if passphrase is None else passphrase
        try:
            signer = self._access.vault.load(self.root / KEYS / spec.file, spec.public_key.alg, secret)
        except WrongPassphraseError as error:
            raise wrong_passphrase(spec.file, spec.operator) from error
        if signer.public_key.spki != spec.public_key.spki:
            raise KeyMismatchError(spec.file)
        self._proved = self._proved or passphrase is None
        return signer


def _issuers_keys(config: WorkspaceConfig) -> list[KeySpec]:
    return [key for key in config.keys if key.issuer]


def _last_day(key: KeySpec) -> int:
    return key.valid_until


def check_demo_name(name: str, *, demo: bool) -> None:
    """Demo workspaces, and only they, have an origin name that says so. Raises DemoNameError."""
    if demo and not name.startswith(DEMO_PREFIXES):
        raise DemoNameError(
            "演示工作区的日志名必须以 demo. 或 test. 开头", "the origin of a demo workspace begins with demo. or test."
        )
    if not demo and name.startswith(DEMO_PREFIXES):
        raise DemoNameError(
            "日志名以 demo. 或 test. 开头时必须加 --demo", "an origin that begins with demo. or test. needs --demo"
        )


def log_vkey(config: WorkspaceConfig, number: int | None = None) -> str:
    """The verifier key of a log, by default of the one that is written to: what any tlog-tiles client needs."""
    origin = config.origin if number is None else config.origins[number]
    key = config.log_key(Role.CHECKPOINT, origin.number)
    if key is None:
        raise KeyMissingError(str(Role.CHECKPOINT), 0, "")
    return format_vkey(vkey_for(origin.name, key.public_key))


def current_log(root: Path) -> Path:
    """The directory of the log that is written to; no lock is taken and no key opened."""
    path = root / CONFIG
    if not path.is_file():
        return root / LOG  # opening the workspace says what is missing
    config = parse_config(path.read_bytes())
    return root / _name_of(config, LOG, config.origin.number)


def _name_of(config: WorkspaceConfig, name: str, number: int) -> str:
    if number not in config.origins:
        raise OriginUnknownError(number)
    return name if number == config.begun[0].number else f"{name}-{number}"


def _identity(origin: OriginRecord, checkpoint: Signer, receipt: Signer) -> LogIdentity:
    return LogIdentity(
        origin_number=origin.number,
        origin_name=origin.name,
        block_height=origin.block_height,
        checkpoint_signer=checkpoint,
        receipt_signer=receipt,
    )


def _build(build: Path, foundation: Foundation, access: Access) -> WorkspaceConfig:
    """Everything of a new workspace, in `build`; mingzheng.toml last."""
    for name in (KEYS, IMAGES, APPLICATIONS):
        (build / name).mkdir(mode=_PRIVATE_DIR)
    place = KeyPlace(
        directory=build / KEYS,
        vault=access.vault,
        passphrase=access.passphrase(),
        days=(foundation.valid_from, foundation.valid_until),
    )
    made = make_keys(place, ORIGIN_ROLES, 0)
    signers = {spec.role: signer for spec, signer in made}
    for issuer in foundation.issuers:
        made += make_keys(place, issuer_roles(issuer), issuer.number)
    operators = _operator_keys(place, foundation.issuers[0].number, foundation.operators)
    config = WorkspaceConfig(
        demo=foundation.demo,
        origin=foundation.origin,
        issuers=foundation.issuers,
        keys=(*(spec for spec, _ in made), *operators),
        defaults={},
    )
    data = format_config(config)
    Ledger.create(build / LEDGER).close()
    identity = _identity(foundation.origin, signers[Role.CHECKPOINT], signers[Role.RECEIPT])
    EmbeddedLog.create(build / LOG, identity, act_keys=config, memory_dir=access.memory_dir).close()
    write_file(build / CONFIG, data)
    fsync_dir(build)
    return config


def _operator_keys(place: KeyPlace, issuer: int, persons: Sequence[NewOperator]) -> list[KeySpec]:
    """A key for each person, under their own passphrase."""
    found = []
    for person in persons:
        own = replace(place, passphrase=person.passphrase, operator=person.name)
        found += [key for key, _ in make_keys(own, [(Role.OPERATOR, Alg.ED25519)], issuer)]
    return found
