"""Who may write to a log, answered from trust data (used by the command and by workspaces)."""

from collections.abc import Iterable

from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord, Role, TrustData


class TrustActKeys:
    """`book.ActKeys` over trust data."""

    def __init__(self, trust: TrustData) -> None:
        self._trust = trust
        self._origins: dict[int, set[int]] = {0: set(trust.origins)}
        self._two_from = two_from(trust.keys.values())
        for record in trust.keys.values():
            if record.issuer:
                self._origins.setdefault(record.issuer, set()).update(record.origins & trust.origins.keys())

    def record(self, kid: Kid) -> KeyRecord | None:
        """See ActKeys."""
        return self._trust.key(kid)

    def may_name(self, issuer: int, origin: int) -> bool:
        """See ActKeys."""
        return origin in self._origins.get(issuer, ())

    def needs_two(self, issuer: int, day: int) -> bool:
        """See ActKeys."""
        first = self._two_from.get(issuer)
        return first is not None and first <= day


def two_from(records: Iterable[KeyRecord]) -> dict[int, int]:
    """Issuer → the first day of its first operator key. Whatever became of the key since: a thief of keys must not
    be able to bring one person's acts back."""
    found: dict[int, int] = {}
    for record in records:
        if record.role is Role.OPERATOR:
            found[record.issuer] = min(record.valid_from, found.get(record.issuer, record.valid_from))
    return found
