"""How far a long command is: rows done and the time left, on standard error. Effectful.

On a terminal one line that changes; elsewhere, so that a log shows it, a line every tenth of the rows or half a minute.
Nothing with --json or with the command's --quiet, and nothing of what is quick.
"""

import logging
import sys
import time
from typing import Final, Literal

import click

__all__ = ["ProgressLine"]

_EVERY: Final = 0.2  # seconds between two lines
_AFTER: Final = 1.0  # seconds before the first: what is quick needs none
_EVERY_TENTH: Final = 3.0  # seconds, at least, between two lines of a log
_EVERY_LINE: Final = 30.0  # ... and at most, while rows get done
_WORDS: Final = {"check": ("检查", "checked"), "deliver": ("签发", "issued")}


class ProgressLine:
    """Call it with step, done and count; leave the `with` block to clear the line."""

    def __init__(self, lang: Literal["zh", "en"], *, shown: bool) -> None:
        quiet = logging.getLogger("mingzheng").getEffectiveLevel() >= logging.ERROR
        self._zh, self._shown, self._in_place = lang == "zh", shown and not quiet, sys.stderr.isatty()
        self._step, self._began, self._last, self._width, self._tenth = "", 0.0, 0.0, 0, 0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def __call__(self, step: Literal["check", "deliver"], done: int, count: int) -> None:
        """Say it, if it is time to."""
        if not self._shown:
            return
        now = time.monotonic()
        if step != self._step:
            self._step, self._began, self._tenth = step, now, 0
            self._last = now + _AFTER - _EVERY if self._in_place else now
        if done == count:
            self._clear()
        elif now - self._last >= self._wait(done, count):
            self._last, self._tenth = now, 10 * done // count
            self._show(done, count, (now - self._began) / done * (count - done))

    def _wait(self, done: int, count: int) -> float:
        """Seconds from one line to the next."""
        if self._in_place:
            return _EVERY
        return _EVERY_TENTH if 10 * done // count > self._tenth else _EVERY_LINE

    def _show(self, done: int, count: int, left: float) -> None:
        verb = _WORDS[self._step][0 if self._zh else 1]
        minutes, seconds = divmod(round(left), 60)
        if self._zh:
            text = f"{verb} {done:,} / {count:,}，约剩 {minutes}:{seconds:02d}"
        else:
            text = f"{verb} {done:,} of {count:,}, about {minutes}:{seconds:02d} left"
        if not self._in_place:
            click.echo(text, err=True)
            return
        click.echo("\r" + text.ljust(self._width), nl=False, err=True)
        self._width = len(text)

    def _clear(self) -> None:
        if self._width:
            click.echo("\r" + " " * 2 * self._width + "\r", nl=False, err=True)  # Chinese is two columns wide
            self._width = 0
