"""The ledger's tables, their version, and what may follow what.

Source: docs/life-of-a-certificate.md ("States of a copy in the ledger", "Acts"). Pure: SQL text and closed sets only.
A change of the tables adds a migration and raises `SCHEMA_VERSION`; a released migration is never edited.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "STEPS",
    "CopyState",
    "CopyStatus",
    "FileForm",
    "RegistrationState",
    "RequestState",
]

APPLICATION_ID: Final = 0x6D7A6C67  # "mzlg": tells a ledger from any other SQLite file
SCHEMA_VERSION: Final = 4


class CopyState(StrEnum):
    """How far a copy has come; only ever forward."""

    PLANNED = "planned"  # serial, salt and claims fixed
    SIGNED = "signed"  # the exact signed bytes stored
    LOGGED = "logged"  # index and receipts stored
    RENDERED = "rendered"  # its files written and renamed into place
    DELIVERED = "delivered"  # every file read back and found true


class CopyStatus(StrEnum):
    """What the acts in the ledger have made of a copy; revoked, superseded and void are final."""

    LIVE = "live"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    VOID = "void"


class FileForm(StrEnum):
    """What a copy is delivered as; a copy has at most one file of each form."""

    PDF = "pdf"
    OFD = "ofd"


class RegistrationState(StrEnum):
    """Whether new copies of a registration may be planned: only of an active one."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class RequestState(StrEnum):
    """Where a request stands; whatever is not open is final."""

    OPEN = "open"
    DONE = "done"  # approved, and what it asked for stored
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


_VERSION_1: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # next_serial and next_act are dense per issuer and only grow
    """CREATE TABLE counter (
        issuer INTEGER PRIMARY KEY, next_serial INTEGER NOT NULL, next_act INTEGER NOT NULL) STRICT""",
    # body: the whole application record, identity number included; it goes nowhere else
    "CREATE TABLE record (digest BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE registration (
        issuer INTEGER NOT NULL, kind INTEGER NOT NULL, registration_no TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
        record BLOB NOT NULL REFERENCES record (digest),
        PRIMARY KEY (issuer, kind, registration_no)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE copy (
        issuer INTEGER NOT NULL, serial INTEGER NOT NULL,
        key BLOB NOT NULL, request BLOB NOT NULL, batch BLOB NOT NULL,
        kind INTEGER NOT NULL, registration_no TEXT NOT NULL, record BLOB NOT NULL REFERENCES record (digest),
        day INTEGER NOT NULL, claims BLOB NOT NULL, reason TEXT NOT NULL, photo BLOB, signature_image BLOB,
        state TEXT NOT NULL CHECK (state IN ('planned', 'signed', 'logged', 'rendered', 'delivered')),
        status TEXT NOT NULL CHECK (status IN ('live', 'suspended', 'revoked', 'superseded', 'void')),
        signed BLOB, leaf_index INTEGER, receipt BLOB, proof BLOB, file_name TEXT, file_sha256 BLOB,
        PRIMARY KEY (issuer, serial),
        FOREIGN KEY (issuer, kind, registration_no) REFERENCES registration (issuer, kind, registration_no),
        CHECK (state = 'planned' OR signed IS NOT NULL OR status = 'void'),
        CHECK (state IN ('planned', 'signed') OR (leaf_index IS NOT NULL AND receipt IS NOT NULL)),
        CHECK (state NOT IN ('rendered', 'delivered') OR file_sha256 IS NOT NULL)) STRICT, WITHOUT ROWID""",
    # idempotency: one copy per key; a voided copy (burnt serial) gives its key back
    "CREATE UNIQUE INDEX copy_key ON copy (key) WHERE status <> 'void'",
    "CREATE INDEX copy_request ON copy (request)",
    "CREATE INDEX copy_batch ON copy (batch)",
    "CREATE INDEX copy_registration ON copy (issuer, kind, registration_no)",
    "CREATE INDEX copy_unlogged ON copy (state) WHERE state IN ('planned', 'signed')",
    # entry: the signed act exactly as it is submitted; reason stays here
    """CREATE TABLE act (
        issuer INTEGER NOT NULL, number INTEGER NOT NULL, act INTEGER NOT NULL, serials BLOB NOT NULL,
        day INTEGER NOT NULL, reason TEXT NOT NULL, entry BLOB NOT NULL, leaf_index INTEGER,
        PRIMARY KEY (issuer, number)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX act_unlogged ON act (issuer, number) WHERE leaf_index IS NULL",
    # every change of a registration's state and why
    """CREATE TABLE decision (
        id INTEGER PRIMARY KEY, issuer INTEGER NOT NULL, kind INTEGER NOT NULL, registration_no TEXT NOT NULL,
        state TEXT NOT NULL, day INTEGER NOT NULL, reason TEXT NOT NULL) STRICT""",
    # the last status list of each issuer: signed list, full receipt of its log entry
    """CREATE TABLE status_list (
        issuer INTEGER PRIMARY KEY, covered INTEGER NOT NULL, this_update INTEGER NOT NULL,
        list BLOB NOT NULL, proof BLOB NOT NULL) STRICT""",
)

# A file per form instead of one file; the time of logging, which seals state. A copy logged before bears the noon of
# its day at UTC+08:00. The table is made anew: its CHECK names the columns that go.
_VERSION_2: Final = (
    """CREATE TABLE copy_2 (
        issuer INTEGER NOT NULL, serial INTEGER NOT NULL,
        key BLOB NOT NULL, request BLOB NOT NULL, batch BLOB NOT NULL,
        kind INTEGER NOT NULL, registration_no TEXT NOT NULL, record BLOB NOT NULL REFERENCES record (digest),
        day INTEGER NOT NULL, claims BLOB NOT NULL, reason TEXT NOT NULL, photo BLOB, signature_image BLOB,
        state TEXT NOT NULL CHECK (state IN ('planned', 'signed', 'logged', 'rendered', 'delivered')),
        status TEXT NOT NULL CHECK (status IN ('live', 'suspended', 'revoked', 'superseded', 'void')),
        signed BLOB, leaf_index INTEGER, receipt BLOB, proof BLOB, logged_at INTEGER,
        PRIMARY KEY (issuer, serial),
        FOREIGN KEY (issuer, kind, registration_no) REFERENCES registration (issuer, kind, registration_no),
        CHECK (state = 'planned' OR signed IS NOT NULL OR status = 'void'),
        CHECK (state IN ('planned', 'signed')
            OR (leaf_index IS NOT NULL AND receipt IS NOT NULL AND logged_at IS NOT NULL))) STRICT, WITHOUT ROWID""",
    """INSERT INTO copy_2 SELECT
        issuer, serial, key, request, batch, kind, registration_no, record, day, claims, reason, photo,
        signature_image, state, status, signed, leaf_index, receipt, proof,
        CASE WHEN leaf_index IS NULL THEN NULL ELSE day * 86400 + 14400 END FROM copy""",
    "CREATE TABLE file_2 (issuer INTEGER, serial INTEGER, name TEXT, sha256 BLOB) STRICT",
    "INSERT INTO file_2 SELECT issuer, serial, file_name, file_sha256 FROM copy WHERE file_sha256 IS NOT NULL",
    "DROP TABLE copy",
    "ALTER TABLE copy_2 RENAME TO copy",
    "CREATE UNIQUE INDEX copy_key ON copy (key) WHERE status <> 'void'",
    "CREATE INDEX copy_request ON copy (request)",
    "CREATE INDEX copy_batch ON copy (batch)",
    "CREATE INDEX copy_registration ON copy (issuer, kind, registration_no)",
    "CREATE INDEX copy_unlogged ON copy (state) WHERE state IN ('planned', 'signed')",
    """CREATE TABLE file (
        issuer INTEGER NOT NULL, serial INTEGER NOT NULL, form TEXT NOT NULL CHECK (form IN ('pdf', 'ofd')),
        name TEXT NOT NULL, sha256 BLOB NOT NULL,
        PRIMARY KEY (issuer, serial, form),
        FOREIGN KEY (issuer, serial) REFERENCES copy (issuer, serial)) STRICT, WITHOUT ROWID""",
    "INSERT INTO file SELECT issuer, serial, 'pdf', name, sha256 FROM file_2",
    "DROP TABLE file_2",
    """CREATE TRIGGER copy_born BEFORE INSERT ON copy WHEN NEW.state IN ('rendered', 'delivered')
        BEGIN SELECT RAISE(ABORT, 'a new copy has no file'); END""",
    """CREATE TRIGGER copy_rendered BEFORE UPDATE OF state ON copy WHEN NEW.state IN ('rendered', 'delivered')
        AND NOT EXISTS (SELECT 1 FROM file WHERE issuer = NEW.issuer AND serial = NEW.serial)
        BEGIN SELECT RAISE(ABORT, 'a rendered copy has a file'); END""",
)

# Which of the workspace's logs the leaf index is of, by shard: 0 is the first log, and all there was before.
_VERSION_3: Final = (
    "ALTER TABLE copy ADD COLUMN shard INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE act ADD COLUMN shard INTEGER NOT NULL DEFAULT 0",
)

# What one operator asks for and another approves (body: `requestform`; target, reason: what it is about and why; seal:
# the first person's signature over all of it; these three can be emptied once it has ended, for who has the signature
# can try guesses at what it signs), and the journal: rows that name the digest of the row before. Reasons
# are apart, under a salted digest, so that one can be erased and the chain still holds.
_VERSION_4: Final = (
    """CREATE TABLE request (
        id BLOB PRIMARY KEY, issuer INTEGER NOT NULL, body BLOB NOT NULL, target BLOB NOT NULL, reason TEXT NOT NULL,
        operator TEXT NOT NULL, seal BLOB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'done', 'withdrawn', 'expired'))) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER request_kept BEFORE UPDATE ON request
        WHEN (OLD.id, OLD.issuer, OLD.body, OLD.operator)
            IS NOT (NEW.id, NEW.issuer, NEW.body, NEW.operator)
            OR ((OLD.target, OLD.reason, OLD.seal) IS NOT (NEW.target, NEW.reason, NEW.seal)
                AND (OLD.state = 'open' OR (NEW.target, NEW.reason, NEW.seal) IS NOT (x'', '', x'')))
            OR (OLD.state <> 'open' AND NEW.state <> OLD.state)
        BEGIN SELECT RAISE(ABORT, 'a request only ends, once'); END""",
    """CREATE TRIGGER request_stays BEFORE DELETE ON request
        BEGIN SELECT RAISE(ABORT, 'a request stays'); END""",
    "CREATE TABLE journal (number INTEGER PRIMARY KEY, body BLOB NOT NULL, digest BLOB NOT NULL) STRICT",
    """CREATE TABLE journal_reason (
        number INTEGER PRIMARY KEY REFERENCES journal (number), salt BLOB NOT NULL, reason TEXT NOT NULL) STRICT""",
    """CREATE TRIGGER journal_grows BEFORE INSERT ON journal
        WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM journal)
        BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END""",
    """CREATE TRIGGER journal_kept BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'a row of the journal stays as it is'); END""",
    """CREATE TRIGGER journal_stays BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'a row of the journal stays'); END""",
    # from which act number on the journal must name every act
    "CREATE TABLE journal_start (issuer INTEGER PRIMARY KEY, next_act INTEGER NOT NULL) STRICT",
    "INSERT INTO journal_start SELECT issuer, next_act FROM counter",
    # What was forgotten, under the random name that stands in place of the registration number. While `meta` has a row
    # 'unswept', files and free pages may still hold it.
    """CREATE TABLE forgotten (
        name TEXT PRIMARY KEY, day INTEGER NOT NULL, reason TEXT NOT NULL, copies INTEGER NOT NULL)
        STRICT, WITHOUT ROWID""",
    # every lock and unlock of a registration (the last one holds), and its row of the journal
    """CREATE TABLE lock_change (
        id INTEGER PRIMARY KEY, issuer INTEGER NOT NULL, kind INTEGER NOT NULL, registration_no TEXT NOT NULL,
        locked INTEGER NOT NULL CHECK (locked IN (0, 1)), day INTEGER NOT NULL, reason TEXT NOT NULL,
        journal INTEGER NOT NULL REFERENCES journal (number)) STRICT""",
    "CREATE INDEX lock_registration ON lock_change (issuer, kind, registration_no)",
    # what the story of one registration is read by: its row of the journal beside each act and decision (none for those
    # of before), which acts name a serial (eight bytes each, as in act.serials), and what is few among many
    "ALTER TABLE act ADD COLUMN journal INTEGER",
    "ALTER TABLE decision ADD COLUMN journal INTEGER",
    """CREATE TABLE act_serial (
        issuer INTEGER NOT NULL, serial BLOB NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (issuer, serial, number)) STRICT, WITHOUT ROWID""",
    """INSERT INTO act_serial WITH RECURSIVE part (issuer, number, at) AS (
        SELECT issuer, number, 1 FROM act WHERE length(serials) >= 8
        UNION ALL SELECT part.issuer, part.number, at + 8 FROM part JOIN act
            ON act.issuer = part.issuer AND act.number = part.number WHERE at + 15 <= length(act.serials))
        SELECT part.issuer, substr(act.serials, at, 8), part.number FROM part JOIN act
            ON act.issuer = part.issuer AND act.number = part.number""",
    "CREATE INDEX act_notice ON act (issuer, number) WHERE act > 100",
    "CREATE INDEX decision_registration ON decision (issuer, kind, registration_no)",
    "CREATE INDEX request_open ON request (id) WHERE state = 'open'",
    # what a holder signed for a re-issue (record: its data; serial: the first copy of it); once for one re-issue only
    """CREATE TABLE application (
        statement BLOB PRIMARY KEY, issuer INTEGER NOT NULL, kind INTEGER NOT NULL, registration_no TEXT NOT NULL,
        record BLOB NOT NULL UNIQUE REFERENCES record (digest), serial INTEGER NOT NULL,
        file BLOB NOT NULL, beside BLOB, certificate BLOB NOT NULL, subject TEXT NOT NULL,
        by_number INTEGER NOT NULL CHECK (by_number IN (0, 1)), signed_at INTEGER NOT NULL,
        is_stamped INTEGER NOT NULL CHECK (is_stamped IN (0, 1)), day INTEGER NOT NULL,
        journal INTEGER NOT NULL REFERENCES journal (number)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX application_registration ON application (issuer, kind, registration_no)",
    # Entries of the log under an issuer's keys that this desk did not write, and the serials that they take. noted,
    # agreed: the rows of the journal that say so; until a row is agreed nothing is issued or revoked. An act of ours
    # whose number one of them took waits under a number below 0: first_number is what its row of the journal names.
    """CREATE TABLE foreign_entry (
        shard INTEGER NOT NULL, leaf_index INTEGER NOT NULL, issuer INTEGER NOT NULL, number INTEGER,
        act INTEGER, day INTEGER NOT NULL, entry BLOB NOT NULL, noted INTEGER NOT NULL REFERENCES journal (number),
        agreed INTEGER REFERENCES journal (number), PRIMARY KEY (shard, leaf_index)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX foreign_waiting ON foreign_entry (issuer) WHERE agreed IS NULL",
    """CREATE TABLE foreign_serial (
        issuer INTEGER NOT NULL, serial INTEGER NOT NULL, PRIMARY KEY (issuer, serial)) STRICT, WITHOUT ROWID""",
    "ALTER TABLE act ADD COLUMN first_number INTEGER",
)

# version reached -> statements that lead to it from the version before
MIGRATIONS: Final[Mapping[int, tuple[str, ...]]] = {1: _VERSION_1, 2: _VERSION_2, 3: _VERSION_3, 4: _VERSION_4}

# version reached -> what it brings, in Chinese and English: shown before `mingzheng migrate` begins
STEPS: Final[Mapping[int, tuple[str, str]]] = {
    1: ("建立台账", "the ledger's first tables"),
    2: ("每份副本可有 PDF 和 OFD 两个文件，并记下写入日志的时刻", "a file per form, and the time a copy was logged"),
    3: ("日志换届：记下条目在哪一个日志", "logs that follow one another: which one holds an entry"),
    4: ("双人操作与操作日志；可以遗忘：抹去个人数据", "two persons for one act, a journal, and forgetting"),
}
