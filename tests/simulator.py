"""A whole world in memory: issuers, logs, witnesses, trust data, and a forger. Built on the real pure modules.

Everything is derived from fixed seeds and the days given, so a test that fails fails again. `World` stands
at noon of one day; `issue` logs credentials, `act` changes serials, `context` is what a verifier would hold.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from mingzheng.formats.civil import day_of_time, day_start, parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, image_digest
from mingzheng.formats.credential import attach_receipt, parse_credential, sign_credential
from mingzheng.formats.qrtext import to_digits
from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.note import parse_note
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import (
    IssuerRecord,
    KeyRecord,
    OriginRecord,
    Role,
    TrustData,
    fingerprint,
    format_trust,
    parse_trust,
)
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.acts import ActType, SerialEvent, SerialState, step
from mingzheng.log.block import block_of
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.cosign import Cosigner
from mingzheng.log.entry import (
    ActEntry,
    FillerEntry,
    NoticeEntry,
    OriginHead,
    Request,
    TimeEntry,
    act_message,
    asked_of,
    encode_entry,
    issue_entry,
    request_message,
)
from mingzheng.log.hashing import Hash, leaf_hash, node_hash
from mingzheng.log.landmark import BlockBook, LandmarkBody, landmark_entry, sign_landmark_list
from mingzheng.log.merkle import tree_root
from mingzheng.log.noticebody import NoticeBody, encode_body
from mingzheng.log.proof import build_block_inclusion, build_consistency, build_inclusion
from mingzheng.log.receipt import TlogProof, format_tlog_proof, parse_tlog_proof, sign_compact_receipt
from mingzheng.log.status import sign_status_list, status_entry, status_from_events
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.library import load_messages, load_policies

ROOT = Path(__file__).resolve().parent.parent
DAY = parse_day("2026-06-01")  # the day every world begins on
HOUR = 3_600
KINDS = frozenset({1, 2, 3, 6})
PREFIX = "https://zs.example.cn/v#"
FOREVER = parse_day("2099-12-31")
WITNESSES = {"w1": Alg.ED25519, "w2": Alg.ED25519, "w3": Alg.ML_DSA_44}
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # order of P-256


@cache
def signer(name: str, alg: Alg = Alg.ED25519) -> InMemorySigner:
    """The key of that name, the same in every run."""
    return InMemorySigner.from_private_bytes(alg, hashlib.sha256(f"simulator {name}".encode()).digest())


def operator(name: str) -> InMemorySigner:
    """The operator key of a person."""
    return signer(f"operator {name}")


def noon(day: int) -> int:
    """Unix seconds at 12:00+08:00."""
    return day_start(day) + 12 * HOUR


def witness_signer(name: str) -> InMemorySigner:
    """The key of a witness, or of one nobody knows."""
    return signer(f"witness {name}", WITNESSES.get(name, Alg.ED25519))


def witness(name: str) -> Cosigner:
    """A witness of the world by its name in policies."""
    return Cosigner(f"witness.example.cn/{name}", [witness_signer(name)])


class MemoryLog:
    """One origin in memory: rounds, blocks, receipts and heads, without a disk."""

    def __init__(self, number: int, *, height: int = 4) -> None:
        self.number = number
        self.name = f"log{number}.example.cn/mingzheng"
        self.height = height
        self.landmark_signer = signer(f"landmark {number}")
        self.receipt_signer = signer(f"receipt {number}", Alg.EDDSA)
        self.checkpoint_signer = signer(f"checkpoint {number}")
        self.cosigners: tuple[str, ...] = ()  # who cosigns every head
        self.now = 0  # of the last round
        self.entries: list[bytes] = []
        self._rounds: list[tuple[int, int]] = []
        self._times: list[int] = []
        self._nodes: dict[tuple[int, int], Hash] = {}

    @property
    def size(self) -> int:
        return len(self.entries)

    def append(self, entries: Sequence[bytes], *, now: int) -> list[int]:
        """One round: the entries, a time, a filler if the count is odd; returns the indexes."""
        start, self.now = self.size, now
        self.entries += [*entries, encode_entry(TimeEntry(seconds=now))]
        if self.size % 2:
            self.entries.append(encode_entry(FillerEntry()))
        self._rounds.append((start, self.size))
        self._times.append(now)
        return list(range(start, start + len(entries)))

    def node(self, level: int, index: int) -> Hash:
        """The hash of a complete subtree."""
        found = self._nodes.get((level, index))
        if found is None:
            found = (
                node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))
                if level
                else leaf_hash(self.entries[index])
            )
            self._nodes[level, index] = found
        return found

    def head(self) -> OriginHead:
        return OriginHead(self.number, self.size, tree_root(self.size, self.node))

    def checkpoint(self) -> bytes:
        """The head under the log's key and those of its cosigners."""
        head = self.head()
        note = sign_checkpoint(
            Checkpoint(origin=self.name, size=head.size, root=head.root), signer=self.checkpoint_signer
        )
        return cosigned(note, *self.cosigners, time=self.now)

    def compact_receipt(self, index: int) -> bytes:
        start, end = next(span for span in self._rounds if span[0] <= index < span[1])
        block = block_of(index, start=start, end=end, height=self.height)
        path = build_block_inclusion(index, block.start, block.end, self.node)
        return sign_compact_receipt(
            self.receipt_signer,
            origin=self.number,
            block=block,
            index=index,
            leaf=leaf_hash(self.entries[index]),
            hashes=path.hashes,
        )

    def full_receipt(self, index: int) -> bytes:
        path = build_inclusion(index, self.size, self.node)
        return format_tlog_proof(
            TlogProof(index=index, hashes=path.hashes, checkpoint_note=self.checkpoint(), extra=None)
        )

    def landmark(self) -> LandmarkBody:
        """The log's landmark list as of its head and the time of its last round."""
        book = BlockBook(origin=self.number, height=self.height)
        for (_start, end), time in zip(self._rounds, self._times, strict=True):
            book.add_round(end, time, self.node)
        return book.draw(self.head(), this_update=self.now, next_update=self.now + 24 * HOUR, read=self.node)

    def landmark_proof(self, index: int, size: int) -> bytes:
        """The file beside a landmark list of the head of that size, whose entry stands at `index`."""
        proof = parse_tlog_proof(self.full_receipt(index))
        extra = b"".join(build_consistency(size, self.size, self.node).hashes)
        return format_tlog_proof(replace(proof, extra=extra))


@dataclass(kw_only=True)
class Issuer:
    """An authority with its keys and its serials."""

    number: int
    name: str
    credential_signer: InMemorySigner
    prefixes: tuple[str, ...] = ()
    next_serial: int = 0
    act_number: int = 0
    states: dict[int, SerialState] = field(default_factory=dict)

    @property
    def act_signer(self) -> InMemorySigner:
        return signer(f"act {self.number}")

    @property
    def status_signer(self) -> InMemorySigner:
        return signer(f"status {self.number}")


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A logged credential: the token with its receipt, where it stands, and its claims."""

    token: bytes
    bare: bytes  # without receipt
    index: int
    claims: Claims

    @property
    def text(self) -> str:
        """What a scanner reads."""
        return to_digits(self.token)

    @property
    def identity(self) -> bytes:
        return parse_credential(self.token).identity


class World:
    """Two issuers (1 signs Ed25519, 2 signs P-256) and two logs; issuers log to the first unless told."""

    def __init__(self, day: int = DAY) -> None:
        self.now = noon(day)
        self.logs = {number: MemoryLog(number) for number in (1, 2)}
        self.issuers = {
            1: Issuer(number=1, name="甲省注册中心", credential_signer=signer("credential 1"), prefixes=(PREFIX,)),
            2: Issuer(number=2, name="乙省注册中心", credential_signer=signer("credential 2", Alg.ESP256)),
        }
        self.blobs: dict[str, bytes] = {
            f"profiles/{path.name}": path.read_bytes() for path in (ROOT / "formats" / "profiles").glob("*.toml")
        }
        self.generation = 1
        self.changed_keys: dict[Kid, dict[str, object]] = {}
        self.persons: dict[int, list[str]] = {}  # operators by issuer
        self.quorum: str | None = None  # tlog-policy text: see `demand`

    @property
    def day(self) -> int:
        return day_of_time(self.now)

    # --- issuing

    def claims(self, issuer: int = 1, **changes: object) -> Claims:
        """A first-class constructor's usage copy of today, with the next serial."""
        serial = self.issuers[issuer].next_serial
        base = Claims(
            name="张三丰",
            sex=Sex.MALE,
            birth=parse_day("1980-05-17"),
            kind=1,
            jurisdiction=0,
            registration_no="京111200620080001",
            specialties=(
                Specialty(code=1, first_day=self.day - 400, last_day=self.day + 600),
                Specialty(code=12, first_day=self.day - 300, last_day=self.day + 700),
            ),
            certificate_issued_on=self.day - 300,
            employer="某某建设集团有限公司",
            registered_until=self.day + 700,
            copy=Copy.USAGE,
            purpose="甲项目投标",
            issuing_body=1,
            sealing_body=2,
            serial=serial,
            salt=hashlib.sha256(f"salt {issuer} {serial}".encode()).digest()[:16],
            image_digest=image_digest(b"photo", None),
            template=1,
            copy_issued_on=self.day,
            usage_until=self.day + 180,
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    def issue(self, *claims: Claims, issuer: int = 1, log: int = 1, **changes: object) -> list[Issued]:
        """Sign and log in one round; with no claims given, one default copy with `changes`."""
        who = self.issuers[issuer]
        chosen = list(claims) or [self.claims(issuer, **changes)]
        bare = [sign_credential(item, who.credential_signer) for item in chosen]
        entries = [self.leaf(token, item, issuer=issuer) for token, item in zip(bare, chosen, strict=True)]
        indexes = self.logs[log].append(entries, now=self.now)
        for item in chosen:
            who.states[item.serial] = step(SerialState.UNKNOWN, SerialEvent.ISSUE)
            who.next_serial = max(who.next_serial, item.serial + 1)
        return [
            Issued(
                token=attach_receipt(token, self.logs[log].compact_receipt(index)),
                bare=token,
                index=index,
                claims=item,
            )
            for token, index, item in zip(bare, indexes, chosen, strict=True)
        ]

    def issue_one(self, issuer: int = 1, log: int = 1, **changes: object) -> Issued:
        """One default copy with `changes`, logged in a round of its own."""
        return self.issue(issuer=issuer, log=log, **changes)[0]

    def leaf(self, token: bytes, claims: Claims, *, issuer: int) -> bytes:
        """The log entry of a credential."""
        parsed = parse_credential(token)
        return encode_entry(issue_entry(claims, identity=parsed.identity, kid=parsed.kid, issuer=issuer))

    def act(self, act: ActType, *serials: int, issuer: int = 1, log: int = 1) -> None:
        """A signed act of the issuer, logged."""
        who = self.issuers[issuer]
        unsigned = ActEntry(
            issuer=issuer,
            kid=who.act_signer.public_key.kid,
            act_number=who.act_number,
            act=act,
            serials=tuple(sorted(serials)),
            day=self.day,
            signature=bytes(64),
        )
        signature = who.act_signer.sign(act_message(unsigned, self.logs[log].name))
        self.logs[log].append([encode_entry(replace(unsigned, signature=signature))], now=self.now)
        who.act_number += 1
        for serial in serials:
            who.states[serial] = step(who.states.get(serial, SerialState.UNKNOWN), act)
            who.next_serial = max(who.next_serial, serial + 1)

    def operators(self, *names: str, issuer: int = 1) -> None:
        """From the world's first day on the issuer has an operator key of each name: two must act together."""
        self.persons[issuer] = [*self.persons.get(issuer, ()), *names]

    def notice_entry(
        self, body: NoticeBody, *, issuer: int = 1, log: int = 1, by: tuple[str, ...] = (), **changes: object
    ) -> NoticeEntry:
        """A signed notice of today. `by`: the act key if empty; one operator; or who asked and who approved."""
        who, name = self.issuers[issuer], self.logs[log].name
        second = operator(by[-1]) if by else who.act_signer
        plain = NoticeEntry(
            issuer=issuer,
            kid=second.public_key.kid,
            act_number=who.act_number,
            notice=body.notice,
            day=self.day,
            body=encode_body(body),
            signature=bytes(64),
        )
        plain = replace(plain, **changes)  # type: ignore[arg-type]
        if len(by) == 2 and plain.request is None:
            first = operator(by[0])
            asked = request_message(asked_of(plain), name, kid=first.public_key.kid, day=self.day)
            request = Request(kid=first.public_key.kid, day=self.day, signature=first.sign(asked))
            plain = replace(plain, request=request)
        return replace(plain, signature=second.sign(act_message(plain, name)))

    def give_notice(self, body: NoticeBody, *, issuer: int = 1, log: int = 1, by: tuple[str, ...] = ()) -> NoticeEntry:
        """A notice of today, logged and in the trust data; its number is the body's."""
        entry = self.notice_entry(body, issuer=issuer, log=log, by=by)
        self.log_notice(entry, body.number, log=log)
        self.issuers[issuer].act_number += 1
        return entry

    def log_notice(self, entry: NoticeEntry, number: int, *, log: int = 1) -> int:
        """Log any entry as that notice of its issuer; returns its index."""
        data = encode_entry(entry)
        (index,) = self.logs[log].append([data], now=self.now)
        self.blobs[f"notices/{entry.issuer}-{number}.cbor"] = data
        self.blobs[f"notices/{entry.issuer}-{number}.tlog-proof"] = self.logs[log].full_receipt(index)
        return index

    # --- trust

    def publish_status(self, *issuers: int, log: int = 1) -> None:
        """A status list of each issuer as of now, logged, with its full receipt."""
        for number in issuers or tuple(self.issuers):
            who = self.issuers[number]
            body = status_from_events(
                who.states,
                issuer=number,
                this_update=self.now,
                next_update=self.now + HOUR,
                origins=[each.head() for each in self.logs.values() if each.number in self.origins_of(number)],
            )
            (index,) = self.logs[log].append([encode_entry(status_entry(body))], now=self.now)
            self.blobs[f"status/{number}.cbor"] = sign_status_list(body, who.status_signer)
            self.blobs[f"status/{number}.tlog-proof"] = self.logs[log].full_receipt(index)

    def publish_landmark(self, body: LandmarkBody | None = None, *, log: int = 1) -> LandmarkBody:
        """The log's landmark list as of now (or another body), logged, with the file beside it."""
        where = self.logs[log]
        body = body or where.landmark()
        (index,) = where.append([encode_entry(landmark_entry(body))], now=self.now)
        self.blobs[f"landmark/{log}.cbor"] = sign_landmark_list(body, where.landmark_signer)
        self.blobs[f"landmark/{log}.tlog-proof"] = where.landmark_proof(index, body.head.size)
        return body

    def change_key(self, kid: Kid, **changes: object) -> None:
        """Change fields of one key's record in all trust data made from now on."""
        self.changed_keys.setdefault(kid, {}).update(changes)

    def compromise(self, kid: Kid, sizes: Mapping[int, int]) -> None:
        """Say that a key was lost; per origin the number of entries still good."""
        self.change_key(kid, compromised=dict(sizes))

    def demand(self, *groups: str, quorum: str) -> None:
        """Trust data that demand witnesses: `demand("group g 2 w1 w2 w3", quorum="g")`."""
        lines = [f"witness {name} {format_vkey(witness(name).vkeys[0])}" for name in WITNESSES]
        self.quorum = "".join(f"{line}\n" for line in [*lines, *groups, f"quorum {quorum}"])

    def cosign(self, *names: str) -> None:
        """From now on these cosign every head of every log."""
        for log in self.logs.values():
            log.cosigners = names

    def keys(self) -> dict[Kid, KeyRecord]:
        """Every key's record."""
        records = []
        for who in self.issuers.values():
            roles = (
                (Role.CREDENTIAL, who.credential_signer),
                (Role.ACT, who.act_signer),
                (Role.STATUS, who.status_signer),
                *((Role.OPERATOR, operator(name)) for name in self.persons.get(who.number, ())),
            )
            records += [self._record(role, key, who.number) for role, key in roles]
        for log in self.logs.values():
            records.append(self._log_record(Role.RECEIPT, log.receipt_signer, log.number, ""))
            records.append(self._log_record(Role.LANDMARK, log.landmark_signer, log.number, ""))
            records.append(self._log_record(Role.CHECKPOINT, log.checkpoint_signer, log.number, log.name))
        for name in WITNESSES:
            record = self._log_record(Role.WITNESS, witness_signer(name), 1, witness(name).name)
            records.append(replace(record, origins=frozenset({1, 2})))
        changed = [replace(item, **self.changed_keys.get(item.kid, {})) for item in records]  # type: ignore[arg-type]
        return {item.kid: item for item in changed}

    def origins_of(self, issuer: int) -> frozenset[int]:
        """The logs that keys of the issuer may log in."""
        return frozenset({1, 2}) if issuer == 1 else frozenset({1})

    def _record(self, role: Role, key: InMemorySigner, issuer: int) -> KeyRecord:
        return KeyRecord(
            kid=key.public_key.kid,
            role=role,
            public_key=key.public_key,
            issuer=issuer,
            jurisdictions=frozenset({0, 21, 31, 61}),
            kinds=KINDS,
            valid_from=parse_day("2026-01-01"),
            valid_until=parse_day("2027-12-31"),
            origins=self.origins_of(issuer),
        )

    def _log_record(self, role: Role, key: InMemorySigner, origin: int, name: str) -> KeyRecord:
        return KeyRecord(
            kid=key.public_key.kid,
            role=role,
            public_key=key.public_key,
            issuer=0,
            jurisdictions=frozenset(),
            kinds=frozenset(),
            valid_from=parse_day("2026-01-01"),
            valid_until=FOREVER,
            origins=frozenset({origin}),
            name=name,
        )

    def trust_files(self) -> dict[str, bytes]:
        """The trust data as files, with the status lists published last."""
        data = TrustData(
            generation=self.generation,
            made_at=self.now,
            issuers={
                n: IssuerRecord(
                    number=n,
                    name=who.name,
                    name_en=f"Registration Centre {n}",
                    bodies={1: who.name, 2: f"{who.name}印章"},
                    prefixes=who.prefixes,
                )
                for n, who in self.issuers.items()
            },
            origins={n: OriginRecord(number=n, name=log.name, block_height=log.height) for n, log in self.logs.items()},
            keys=self.keys(),
            quorum=self.quorum,
            blobs=self.blobs,
        )
        return format_trust(data)

    def source(self) -> TrustSource:
        """The trust data as a verifier reads it out of its store."""
        files = self.trust_files()
        return TrustSource(data=parse_trust(files), fingerprint=fingerprint(files), signed=False)

    def context(
        self,
        *,
        policy: str = "site",
        now: int | None = None,
        at: int | None = None,
        expect: Expectations | None = None,
        publish: bool = True,
    ) -> VerifyContext:
        """A verifier's context now; publishes fresh status lists first unless told not to."""
        if publish:
            self.publish_status()
        return build_context(
            self.source(),
            judging=Judging(now=self.now if now is None else now, at=at, policy=load_policies()[policy]),
            expect=expect or Expectations(),
            messages=load_messages(),
        )

    def trusting(self, **settings: object) -> VerifyContext:
        """As `context`, by a reader who has confirmed the fingerprint; `bid` unless told."""
        expect = settings.pop("expect", Expectations())
        assert isinstance(expect, Expectations)
        self.publish_status()
        expect = replace(expect, trust_fingerprint=self.source().fingerprint)
        return self.context(**{"policy": "bid", **settings}, expect=expect, publish=False)  # type: ignore[arg-type]


def cosigned(note: bytes, *names: str, time: int) -> bytes:
    """The note with lines of those witnesses behind it."""
    text = parse_note(note).text
    return note + "".join(witness(name).cosign(text, time=time) for name in names).encode()


# --- the forger


def flip(data: bytes, position: int, bit: int = 0) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def twin(token: bytes) -> bytes:
    """The same ECDSA credential with the other of its two signatures (r, n − s)."""
    signature = parse_credential(token).signature
    s = int.from_bytes(signature[32:])
    other = signature[:32] + (N - s).to_bytes(32)
    assert token.count(signature) == 1
    return token.replace(signature, other)
