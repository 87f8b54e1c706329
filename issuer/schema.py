"""The ledger's tables, their version, and what may follow what.

Source: docs/life-of-a-certificate.md ("States of a copy in the ledger", "Acts"). Pure: SQL text and closed sets only.
A change of the tables adds a migration and raises `SCHEMA_VERSION`; a released migration is never edited.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SCHEMA_VERSION", "CopyState", "CopyStatus", "RegistrationState"]

APPLICATION_ID: Final = 0x6D7A6C67  # "mzlg": tells a ledger from any other SQLite file
SCHEMA_VERSION: Final = 1


class CopyState(StrEnum):
    """How far a copy has come; only ever forward."""

    PLANNED = "planned"  # serial, salt and claims fixed
    SIGNED = "signed"  # the exact signed bytes stored
    LOGGED = "logged"  # index and receipts stored
    RENDERED = "rendered"  # the file written and renamed into place
    DELIVERED = "delivered"  # the file read back and found true


class CopyStatus(StrEnum):
    """What the acts in the ledger have made of a copy; revoked, superseded and void are final."""

    LIVE = "live"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    VOID = "void"


class RegistrationState(StrEnum):
    """Whether new copies of a registration may be planned: only of an active one."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


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

# version reached -> statements that lead to it from the version before
MIGRATIONS: Final[Mapping[int, tuple[str, ...]]] = {1: _VERSION_1}
