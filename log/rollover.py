"""From one shard to the next: close the old log, begin the new one with what it carries over (docs/spec/storage.md).

Each step is durable and done once: cut short anywhere, the same call is made again.
"""

from collections.abc import Callable

from mingzheng.log.refusal import LogFrozenError
from mingzheng.log.state import Carry
from mingzheng.log.writer import Log


def roll_over(old: Log, make: Callable[[Carry], Log], *, successor: int, now: int) -> Log:
    """Freeze `old`, and give the open log of origin `successor` that goes on from it.

    `make` creates the new log from what is carried over, or opens it where an earlier call had come that far.
    Raises as `Log.submit` and as `make`; RolledElsewhereError if `old` was closed for another successor.
    """
    if not isinstance(old.read_only, LogFrozenError):
        old.close_for(successor, now=now)
    old.check_closed_for(successor)
    new = make(old.carry())
    try:
        new.check_follows(old)
        new.begin_shard(now=now)
    except BaseException:
        new.close()
        raise
    return new
