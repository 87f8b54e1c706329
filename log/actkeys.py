"""Who may write to a log, answered from trust data (used by the command and by workspaces)."""

from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord, TrustData


class TrustActKeys:
    """`book.ActKeys` over trust data."""

    def __init__(self, trust: TrustData) -> None:
        self._trust = trust
        self._origins: dict[int, set[int]] = {0: set(trust.origins)}
        for record in trust.keys.values():
            if record.issuer:
                self._origins.setdefault(record.issuer, set()).update(record.origins & trust.origins.keys())

    def record(self, kid: Kid) -> KeyRecord | None:
        """See ActKeys."""
        return self._trust.key(kid)

    def may_name(self, issuer: int, origin: int) -> bool:
        """See ActKeys."""
        return origin in self._origins.get(issuer, ())
