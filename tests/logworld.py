"""One embedded log on disk with its keys and an issuer's, all from fixed seeds: for log, fault and Go tests."""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import IssuerRecord, KeyRecord, OriginRecord, Role, TrustData
from mingzheng.log.actkeys import two_from
from mingzheng.log.acts import ActType
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.collected import OriginKeys
from mingzheng.log.entry import (
    ActEntry,
    FillerEntry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    NoticeEntry,
    NoticeType,
    OriginSize,
    Request,
    SignedEntry,
    TimeEntry,
    act_message,
    asked_of,
    encode_entry,
    request_message,
)
from mingzheng.log.noticebody import RetiredFormBody, encode_body
from mingzheng.log.sequencer import EmbeddedLog, LogIdentity, Submission
from mingzheng.log.store import PosixStore
from mingzheng.log.tail import EMPTY_TAIL, append

NOW = 1_790_000_000
DAY = day_of_time(NOW)
NAME = "log.example.cn/1"
KINDS = frozenset({1, 2, 3})


def signer(name: str, alg: Alg = Alg.ED25519) -> InMemorySigner:
    """The key of that name, the same in every run."""
    return InMemorySigner.from_private_bytes(alg, hashlib.sha256(f"logworld {name}".encode()).digest())


CREDENTIAL, ACT, AUTHORITY, STATUS = (signer(name) for name in ("credential", "act", "authority", "status"))
CREDENTIAL_2 = signer("credential 2")
OPERATORS = (signer("operator 1"), signer("operator 2"), signer("operator 3"))
CHECKPOINT, RECEIPT = signer("checkpoint"), signer("receipt", Alg.EDDSA)


class Keys:
    """ActKeys: what `trust()` says, and a credential key of issuer 2. `operators`: so many, from that day on."""

    def __init__(self, operators: int = 0, since: int = DAY - 1000) -> None:
        self.of = dict(trust(operators, since).keys)
        other = CREDENTIAL_2.public_key
        self.of[other.kid] = replace(self.of[CREDENTIAL.public_key.kid], kid=other.kid, public_key=other, issuer=2)

    def record(self, kid: Kid) -> KeyRecord | None:
        return self.of.get(kid)

    def may_name(self, issuer: int, origin: int) -> bool:
        return origin == 7

    def needs_two(self, issuer: int, day: int) -> bool:
        first = two_from(self.of.values()).get(issuer)
        return first is not None and first <= day


IDENTITY = LogIdentity(
    origin_number=7, origin_name=NAME, block_height=4, checkpoint_signer=CHECKPOINT, receipt_signer=RECEIPT
)
ORIGIN_KEYS = OriginKeys(number=7, name=NAME, block_height=4, vkey=IDENTITY.vkey(), receipt_key=RECEIPT.public_key)


def trust(operators: int = 0, since: int = DAY - 1000) -> TrustData:
    """Trust data that name this log and issuer 1, with so many operators from that day on."""

    def record(key: InMemorySigner, role: Role, issuer: int, name: str = "") -> KeyRecord:
        ours = issuer > 0
        return KeyRecord(
            kid=key.public_key.kid,
            role=role,
            public_key=key.public_key,
            issuer=issuer,
            jurisdictions=frozenset({0}) if ours else frozenset(),
            kinds=KINDS if ours else frozenset(),
            valid_from=DAY - 1000,
            valid_until=DAY + 1000,
            origins=frozenset({7}),
            name=name,
        )

    records = [
        record(CREDENTIAL, Role.CREDENTIAL, 1),
        record(ACT, Role.ACT, 1),
        record(AUTHORITY, Role.AUTHORITY, 1),
        record(STATUS, Role.STATUS, 1),
        record(CHECKPOINT, Role.CHECKPOINT, 0, NAME),
        record(RECEIPT, Role.RECEIPT, 0),
        *(replace(record(key, Role.OPERATOR, 1), valid_from=since) for key in OPERATORS[:operators]),
    ]
    return TrustData(
        generation=1,
        made_at=NOW,
        issuers={1: IssuerRecord(number=1, name="某省厅", name_en="Dept", bodies={1: "某省厅"}, prefixes=())},
        origins={7: OriginRecord(number=7, name=NAME, block_height=4)},
        keys={item.kid: item for item in records},
        quorum=None,
        blobs={},
    )


def issue(serial: int, *, issuer: int = 1, day: int = DAY, kind: int = 1, kid: Kid | None = None) -> bytes:
    """An issue entry; its identity is a function of the serial."""
    return encode_entry(
        IssueEntry(
            issuer=issuer,
            kid=(CREDENTIAL_2 if issuer == 2 else CREDENTIAL).public_key.kid if kid is None else kid,
            kind=kind,
            serial=serial,
            identity=hashlib.sha256(b"identity %d" % serial).digest(),
            issued_day=day,
        )
    )


def signed(entry: SignedEntry, *, origin: str = NAME, key: InMemorySigner | None = None) -> bytes:
    """An act, notice or key event under its right key, or another."""
    if key is None:
        key = AUTHORITY if isinstance(entry, KeyEventEntry) else ACT
    return encode_entry(replace(entry, signature=key.sign(act_message(entry, origin))))


def act(number: int, kind: ActType, serials: Sequence[int], **changes: object) -> bytes:
    """A signed act of issuer 1."""
    issuer, day = changes.pop("issuer", 1), changes.pop("day", DAY)
    assert isinstance(issuer, int)
    assert isinstance(day, int)
    entry = ActEntry(
        issuer=issuer,
        kid=ACT.public_key.kid,
        act_number=number,
        act=kind,
        serials=tuple(serials),
        day=day,
        signature=bytes(64),
    )
    return signed(entry, **changes)  # type: ignore[arg-type]


def retired_form(number: int) -> bytes:
    """The body of a notice: a form that is retired."""
    return encode_body(
        RetiredFormBody(
            number=number,
            citation="某省厅〔2026〕1号，第二条",
            jurisdictions=(0,),
            kinds=(1,),
            template=1,
            equal_until=DAY,
            paper=False,
        )
    )


def notice(number: int, said: int = 1, *, body: bytes | None = None) -> bytes:
    """A signed notice of issuer 1; `said`: its own number."""
    return signed(
        NoticeEntry(
            issuer=1,
            kid=ACT.public_key.kid,
            act_number=number,
            notice=NoticeType.RETIRED_FORM,
            day=DAY,
            body=retired_form(said) if body is None else body,
            signature=bytes(64),
        )
    )


def by_two(
    entry: ActEntry | NoticeEntry,
    persons: Sequence[InMemorySigner] = OPERATORS[:2],
    *,
    asked_on: int = DAY,
    origin: str = NAME,
) -> ActEntry | NoticeEntry:
    """The same as the first person asked for it and the second approved it."""
    first, second = persons
    kid = first.public_key.kid
    signature = first.sign(request_message(asked_of(entry), origin, kid=kid, day=asked_on))
    request = Request(kid=kid, day=asked_on, signature=signature)
    entry = replace(entry, kid=second.public_key.kid, request=request)
    return replace(entry, signature=second.sign(act_message(entry, origin)))


def key_event(number: int, event: KeyEventType, subject: Kid, size: int | None = None) -> bytes:
    """A signed key event of issuer 1."""
    return signed(
        KeyEventEntry(
            issuer=1,
            kid=AUTHORITY.public_key.kid,
            act_number=number,
            event=event,
            subject_kid=subject,
            day=DAY,
            sizes=() if size is None else (OriginSize(7, size),),
            signature=bytes(64),
        )
    )


def keyed(entries: Iterable[bytes]) -> list[Submission]:
    """Each entry under a key of its own (its hash)."""
    return [Submission(key=hashlib.sha256(entry).digest(), entry=entry) for entry in entries]


@dataclass
class LogWorld:
    """A directory with a log in it, and the machine's memory of heads beside it."""

    root: Path
    now: int = NOW
    opened: list[EmbeddedLog] = field(default_factory=list)
    maker: type[EmbeddedLog] = EmbeddedLog
    keys: Keys = field(default_factory=Keys)

    @property
    def directory(self) -> Path:
        return self.root / "log"

    @property
    def public(self) -> Path:
        return self.directory / "public"

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    def create(self, *, identity: LogIdentity = IDENTITY) -> EmbeddedLog:
        log = self.maker.create(self.directory, identity, act_keys=self.keys, memory_dir=self.memory)
        self.opened.append(log)
        return log

    def open(self, *, identity: LogIdentity = IDENTITY, remember: bool = True) -> EmbeddedLog:
        memory = self.memory if remember else None
        log = self.maker.open(self.directory, identity, act_keys=self.keys, memory_dir=memory)
        self.opened.append(log)
        return log

    def submit(self, log: EmbeddedLog, *entries: bytes) -> tuple[int, ...]:
        self.now += 1
        return log.submit(keyed(entries), now=self.now)

    def close(self) -> None:
        for log in self.opened:
            log.close()
        self.opened.clear()

    def backup(self, name: str) -> Path:
        """A copy of the log directory as a backup program makes it: contents, not inodes."""
        target = self.root / name
        shutil.copytree(self.directory, target)
        return target


def write_log(directory: Path, entries: Sequence[bytes]) -> bytes:
    """A log of any entries under the right checkpoint key: what a dishonest operator can publish. The note."""
    store = PosixStore(directory, directory.with_name(directory.name + ".temporary"))
    store.prepare()
    plan = append(EMPTY_TAIL, entries)
    store.write(plan.files)
    head = Checkpoint(origin=NAME, size=len(entries), root=plan.tail.edge.root())
    note = sign_checkpoint(head, signer=CHECKPOINT)
    store.publish_checkpoint(note)
    return note


def rounded(*rounds: Sequence[bytes], now: int = NOW) -> list[bytes]:
    """Entries in proper rounds, a second apart."""
    entries: list[bytes] = []
    for number, given in enumerate(rounds):
        entries += [*given, encode_entry(TimeEntry(seconds=now + number))]
        if len(entries) % 2:
            entries.append(encode_entry(FillerEntry()))
    return entries
