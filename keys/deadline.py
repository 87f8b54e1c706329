"""An end to waiting for a peer that drips: the time of an answer runs in all, not from byte to byte.

A socket's own timeout begins anew with every byte. A watchdog thread shuts the socket instead, and whoever waits on
it wakes. Sources: shutdown(2); CPython's `http.client`, which reads a head without a limit of time.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Final

__all__ = ["within"]

_AGAIN_SECONDS: Final = 0.05


@contextlib.contextmanager
def within(find: Callable[[], socket.socket | None], seconds: float) -> Iterator[None]:
    """Whoever waits on the socket wakes when the seconds are over, however it drips; TimeoutError is raised then.

    `find` gives the socket of the moment and is called from another thread, again and again until the end: another
    one may be about to take its place.
    """
    late, done = threading.Event(), threading.Event()

    def watch() -> None:
        wait = min(max(0.0, seconds), threading.TIMEOUT_MAX)
        while not done.wait(wait):
            late.set()
            wait = _AGAIN_SECONDS
            sock = find()
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Thread(target=watch, daemon=True)
    watchdog.start()
    try:
        yield
    except (OSError, HTTPException) as error:
        if late.is_set():
            raise TimeoutError(f"not done within {seconds:.0f} s") from error
        raise
    finally:
        done.set()
        watchdog.join()
    if late.is_set():
        raise TimeoutError(f"not done within {seconds:.0f} s")
