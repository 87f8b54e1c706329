"""Waking a thread that waits on a descriptor: any thread may `set`, one waits. POSIX and Windows."""

import contextlib
import selectors
import socket


class Wake:
    """A pair of sockets; a byte that is under way is enough, more are not sent."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)

    def set(self) -> None:
        """Wake whoever waits, or the next who will. After `close`: nothing."""
        with contextlib.suppress(OSError):  # full: it will wake anyway
            self._there.send(b"\0")

    def wait(self, seconds: float, *, other: int | None = None) -> bool:
        """Until woken, or the descriptor `other` can be read, or the seconds are over; True if `other` can be read."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._here, selectors.EVENT_READ)
            if other is not None:
                selector.register(other, selectors.EVENT_READ)
            ready = {key.fd for key, _events in selector.select(seconds)}
        with contextlib.suppress(OSError):
            while self._here.recv(1_024):
                pass
        return other in ready

    def close(self) -> None:
        """Let go of both ends; more than once is fine."""
        self._here.close()
        self._there.close()


__all__ = ["Wake"]
