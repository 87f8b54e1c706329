"""Instants as people in China read them: 2026-11-21T17:05:00+08:00.

Source: docs/spec/verdicts.md, "Report". Days are `formats.civil`'s business.
"""

from __future__ import annotations

import datetime
from typing import Final

from mingzheng.formats.civil import UTC_OFFSET

_ZONE: Final = datetime.timezone(datetime.timedelta(seconds=UTC_OFFSET))


def format_time(seconds: int) -> str:
    """Unix seconds as RFC 3339 text at +08:00."""
    return datetime.datetime.fromtimestamp(seconds, tz=_ZONE).isoformat()
