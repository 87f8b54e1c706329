"""A long log with nine misdeeds in it, for the auditor: what it must find, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from logworld import CREDENTIAL, DAY, NOW, STATUS, act, issue, key_event, signer, trust

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.trust import Role, TrustData
from mingzheng.log.acts import ActType
from mingzheng.log.entry import FillerEntry, KeyEventType, OriginHead, TimeEntry, encode_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.merkle import EMPTY_EDGE, RightEdge, grow
from mingzheng.log.status import StatusBody, status_entry

STOLEN = signer("credential 3")
BURST = "2:50/hour"
NINE = [
    "audit.history_changed",
    *["audit.backdated"] * 5,
    "audit.burst",
    "audit.compromised_key_used",
    "rule.act_signature",
]


def crooked_trust() -> TrustData:
    """As `trust()`, with a second credential key of issuer 1."""
    data = trust()
    key = STOLEN.public_key
    record = replace(data.keys[CREDENTIAL.public_key.kid], kid=key.kid, public_key=key, role=Role.CREDENTIAL)
    return replace(data, keys={**data.keys, key.kid: record})


@dataclass
class CrookedLog:
    """Entries round by round, an hour apart, with a list of each day."""

    entries: list[bytes] = field(default_factory=list)
    edge: RightEdge = EMPTY_EDGE
    now: int = NOW
    serial: int = 0
    acts: int = 0
    revoked: list[int] = field(default_factory=list)

    @property
    def day(self) -> int:
        return day_of_time(self.now)

    def issues(self, count: int, **changes: int) -> list[bytes]:
        made = [issue(at, **{"day": self.day, **changes}) for at in range(self.serial, self.serial + count)]
        self.serial += count
        return made

    def stolen(self) -> bytes:
        self.serial += 1
        return issue(self.serial - 1, day=self.day, kid=STOLEN.public_key.kid)

    def revoke(self, serial: int, *, forged: bool = False) -> bytes:
        self.revoked.append(serial)
        self.acts += 1
        key = {"key": STATUS} if forged else {}
        return act(self.acts - 1, ActType.REVOKE, [serial], day=self.day, **key)

    def lose(self) -> bytes:
        self.acts += 1
        event = key_event(self.acts - 1, KeyEventType.COMPROMISED, STOLEN.public_key.kid, len(self.entries))
        assert self.day == DAY  # `key_event` dates it so
        return event

    def status(self) -> bytes:
        body = StatusBody(
            issuer=1,
            next_serial=self.serial,
            this_update=self.now,
            next_update=self.now + 3_600,
            origins=(OriginHead(7, len(self.entries), self.edge.root()),),
            revoked=tuple(sorted(self.revoked)),
            superseded=(),
            void=(),
            suspended=(),
        )
        return encode_entry(status_entry(body))

    def round(self, given: Sequence[bytes], *, hours: int = 1) -> None:
        new = [*given, encode_entry(TimeEntry(seconds=self.now))]
        if (len(self.entries) + len(new)) % 2:
            new.append(encode_entry(FillerEntry()))
        self.edge = grow(self.edge, [leaf_hash(entry) for entry in new]).edge
        self.entries += new
        self.now += 3_600 * hours


def crooked(size: int) -> CrookedLog:
    """About `size` entries: 5 dated back, a burst, a stolen key's one, a forged act; the fork is the test's."""
    log = CrookedLog()
    each = max(size // 120, 10)
    log.round([*log.issues(each), *log.issues(1, day=log.day - 2), log.stolen()])  # no time entry before it
    log.round([log.lose()])
    log.round(log.issues(each) + log.issues(50, kind=2))  # at the limit
    log.round([*log.issues(each), log.stolen()])
    late, burst, forged = 100, 60, 90
    for number in range(4, 120):
        given = log.issues(each)
        if number in (20, 40, 119):
            given += log.issues(1, day=log.day - 3)
        if number == late:  # after days of silence only the round's own time tells
            given += log.issues(1, day=log.day - 4)
        if number == burst:
            given += log.issues(30, kind=2)
            log.round(given, hours=0)
            given = log.issues(30, kind=2)
        if number in (30, 70, 110):
            given.append(log.revoke(number))
        if number == forged:
            given.append(log.revoke(7, forged=True))
        log.round(given, hours=24 * 5 if number == late - 1 else 1)
        if number % 24 == 0:
            log.round([log.status()])
    while len(log.entries) < size:
        log.round(log.issues(min(999, size - len(log.entries))))
    return log
