"""Who may write to a log, answered from trust data (used by the command and by workspaces)."""

from mingzheng.keys.alg import PublicKey
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role, TrustData


class TrustActKeys:
    """`book.ActKeys` over trust data, for one origin. Retirement and compromise are the log's own to tell."""

    def __init__(self, trust: TrustData, origin: int) -> None:
        self._trust, self._origin = trust, origin

    def act_key(self, issuer: int, kid: Kid, role: str) -> PublicKey | None:
        """See ActKeys."""
        record = self._trust.key(kid)
        if record is None or record.role != role or record.issuer != issuer or not record.may_log(self._origin):
            return None
        return record.public_key

    def issues_for(self, issuer: int, kid: Kid) -> bool:
        """See ActKeys."""
        record = self._trust.key(kid)
        return (
            record is not None
            and record.role == Role.CREDENTIAL
            and record.issuer == issuer
            and record.may_log(self._origin)
        )
