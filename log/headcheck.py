"""What witnesses say of a head: whether enough cosigned it, and whether the log's times fit theirs (docs/audit.md).

Nothing here where the trust data demand no quorum. What counts for a verifier counts here (`quorum`). A false clock of
one witness raises no alarm: the log's times must contradict every one of them.
"""

from collections.abc import Iterator

from mingzheng.keys.trust import TrustData
from mingzheng.log.alarms import Alarm
from mingzheng.log.checkpoint import Checkpoint
from mingzheng.log.client import LogReader
from mingzheng.log.collected import Found, OriginKeys
from mingzheng.log.gather import Gatherer
from mingzheng.log.policy import QuorumNotMetError, Witnessed
from mingzheng.log.quorum import quorum_of

WITNESS_SLACK = 86_400
"""Seconds between the log's times and its witnesses'."""


def check_witnesses(
    reader: LogReader,
    gatherer: Gatherer,
    keys: OriginKeys,
    trust: TrustData,
    before: tuple[bytes, Checkpoint] | None,
) -> Iterator[Found]:
    """Alarms about the head being read and, for its times, the one kept before.

    Raises as `quorum_of` and `Quorum.count`.
    """
    quorum = quorum_of(trust)
    if quorum is None:
        return

    def count(note: bytes) -> Witnessed:
        return quorum.count(note, origin=keys.number, name=keys.name, vkey=keys.vkey)

    now = count(reader.note())
    if not now.satisfied:
        names = ", ".join(now.names) or "nobody"
        yield _found(QuorumNotMetError.code, None, f"the head of {now.checkpoint.size} entries is cosigned by {names}")
    last = gatherer.last_time()
    if now.times and last is not None and last[1] > max(now.times.values()) + WITNESS_SLACK:
        seen = max(now.times.values())
        yield _found("audit.witness_time", last[0], f"time {last[1]} in a head that witnesses saw at {seen}")
    then = None if before is None else count(before[0])
    if then is None or not then.times:
        return
    first, seen = gatherer.first_time(then.checkpoint.size), min(then.times.values())
    if first is not None and first[1] < seen - WITNESS_SLACK:
        detail = f"time {first[1]}, though witnesses saw the log end before it at {seen}"
        yield _found("audit.witness_time", first[0], detail)


def _found(code: str, index: int | None, detail: str) -> Found:
    return Found(alarm=Alarm(code=code, index=index, detail=detail), evidence=None)
