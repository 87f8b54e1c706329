"""The quorum of the trust data: a tlog-policy bound to the witness keys that the same trust data hold.

Source: docs/spec/witness.md, "What counts". A policy may name only keys with a record of role `witness`, whose scope
(origins, days, compromise) then decides with the policy whether a cosignature counts. `quorum none` is no quorum.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from mingzheng.formats.civil import day_of_time
from mingzheng.keys.trust import KeyRecord, Role, TrustData
from mingzheng.keys.vkey import VerifierKey, cosigner_vkey, vkey_for
from mingzheng.log.errors import LogError
from mingzheng.log.policy import QuorumPolicy, Witnessed, count_cosignatures, parse_policy


class QuorumUnboundError(LogError):
    """The policy of the trust data names a log or witness that the same trust data do not know."""

    code: ClassVar[str] = "policy.unbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """A policy that demands witnesses, and the record of each. Only `quorum_of` makes it."""

    policy: QuorumPolicy
    records: Mapping[str, KeyRecord]  # by the policy's name of the witness

    def count(self, note: bytes, *, origin: int, name: str, vkey: VerifierKey) -> Witnessed:
        """Verify a head of the origin (number and name) under its key, and count who cosigned it.

        Raises as `count_cosignatures`.
        """
        found = count_cosignatures(note, self.policy, origin=name, log_vkeys=[vkey])
        times = {who: time for who, time in found.times.items() if _counts(self.records[who], origin, time)}
        keys = [self.policy.witnesses[who].vkey for who in times]
        satisfied = found.satisfied and self.policy.satisfied_by(keys)
        return replace(found, times=MappingProxyType(times), satisfied=satisfied)


def quorum_of(trust: TrustData) -> Quorum | None:
    """The quorum that the trust data demand; None if they demand no witness.

    Raises PolicyError, QuorumUnboundError.
    """
    if trust.quorum is None:
        return None
    policy = parse_policy(trust.quorum.encode(errors="surrogatepass"))
    witnesses = {cosigner_vkey(key.name, key.public_key): key for key in trust.keys_of(Role.WITNESS, 0)}
    logs = {vkey_for(key.name, key.public_key) for key in trust.keys_of(Role.CHECKPOINT, 0)}
    unknown = [w.name for w in policy.witnesses.values() if w.vkey not in witnesses]
    unknown += [log.name for log in policy.logs if log.vkey not in logs]
    if unknown:
        raise QuorumUnboundError(f"the quorum policy names {unknown[0]!r}, of which the trust data hold no record")
    if not policy.demands_witnesses:
        return None
    records = {name: witnesses[witness.vkey] for name, witness in policy.witnesses.items()}
    return Quorum(policy=policy, records=MappingProxyType(records))


def _counts(record: KeyRecord, origin: int, time: int) -> bool:
    """A sound key that may cosign this origin, on one of its days by its own word."""
    return record.compromised is None and record.may_log(origin) and record.allows_day(day_of_time(time))
