"""Policies: what each finding weighs, and how old the revocation data may be.

Source: docs/spec/verdicts.md, "Policies". The table is shipped data (`policies.json`); this module
reads it strictly and refuses one that would let a false or undecided certificate pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mingzheng.keys.errors import TrustError
from mingzheng.keys.strictjson import Json, load_json, take_int, take_object, take_string, take_text
from mingzheng.verifier.errors import SettingError, TableError
from mingzheng.verifier.findings import FINDINGS, VERDICTS, Code, Freshness, Severity

SCHEMA: Final = 1
POLICY_NAMES: Final = ("site", "bid", "audit")  # in the order of the documents
STRICTEST: Final = "bid"
MAX_SECONDS: Final = 366 * 86_400

# No table may make these weigh less: each means "false", "withdrawn" or "not known".
MUST_BLOCK: Final[frozenset[Code]] = (VERDICTS & FINDINGS - {Code.NOT_A_USAGE_COPY}) | {
    Code.TRUST_FINGERPRINT_DIFFERS,
    Code.PROFILE_MISSING,
    Code.VERSION_UNKNOWN,
    Code.STATUS_MISSING,
    Code.STATUS_REFUSED,
    Code.NOTICE_REFUSED,
    Code.SERIAL_NOT_IN_LIST,
}
_KEYS: Final = ("name_zh", "name_en", "fresh_seconds", "stale", "stale_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One use's view of the findings. `stale_seconds` None: stale past the list's next update."""

    name: str
    name_zh: str
    name_en: str
    fresh_seconds: int
    stale_seconds: int | None
    severities: Mapping[Code, Severity]

    def severity(self, code: Code) -> Severity:
        """What a finding weighs here."""
        return self.severities[code]

    def freshness(self, *, now: int, this_update: int, next_update: int) -> Freshness:
        """The age of a status list against the numbers of this policy; the borders are inside."""
        age = now - this_update
        stale = now > next_update if self.stale_seconds is None else age > self.stale_seconds
        if stale:
            return Freshness.STALE
        return Freshness.AGED if age > self.fresh_seconds else Freshness.FRESH


def parse_policies(data: bytes) -> Mapping[str, Policy]:
    """The policies by name; raises TableError for anything but one complete table."""
    try:
        document = take_object(load_json(data), "policies.json", ("schema", "policies", "table"))
        take_int(document["schema"], "schema", low=SCHEMA, high=SCHEMA)
        policies = take_object(document["policies"], "policies", POLICY_NAMES)
        rows = take_object(document["table"], "table", [str(code) for code in FINDINGS])
        table = {code: _row(rows[code], f"table.{code}") for code in FINDINGS}
        return MappingProxyType({name: _policy(name, policies[name], table) for name in POLICY_NAMES})
    except TrustError as error:
        raise TableError(str(error)) from error


def select_policy(policies: Mapping[str, Policy], name: str) -> Policy:
    """The policy of that name; raises SettingError."""
    if name not in policies:
        raise SettingError(f"policy is one of {', '.join(POLICY_NAMES)}")
    return policies[name]


def _row(value: Json, where: str) -> Mapping[str, Severity]:
    row = take_object(value, where, POLICY_NAMES)
    try:
        return {name: Severity(take_string(row[name], where, most=16)) for name in POLICY_NAMES}
    except ValueError:
        raise TableError(f"{where}: not one of blocks, duty, note") from None


def _policy(name: str, value: Json, table: Mapping[Code, Mapping[str, Severity]]) -> Policy:
    where = f"policies.{name}"
    fields = take_object(value, where, _KEYS)
    severities = {code: row[name] for code, row in table.items()}
    for code in sorted(MUST_BLOCK):
        if severities[code] is not Severity.BLOCKS:
            raise TableError(f"table.{code}: must block under {name}")
    return Policy(
        name=name,
        name_zh=take_text(fields["name_zh"], where, most=40),
        name_en=take_text(fields["name_en"], where, most=40),
        fresh_seconds=take_int(fields["fresh_seconds"], where, low=1, high=MAX_SECONDS),
        stale_seconds=_stale(fields, where),
        severities=MappingProxyType(severities),
    )


def _stale(fields: Mapping[str, Json], where: str) -> int | None:
    match fields["stale"]:
        case "age":
            return take_int(fields["stale_seconds"], where, low=1, high=MAX_SECONDS)
        case "next_update":
            take_int(fields["stale_seconds"], where, low=0, high=0)
            return None
        case _:
            raise TableError(f'{where}: stale is "age" or "next_update"')
