"""What a story of one registration is made of: steps, and what every copy is judged to be after each.

Played by tests/e2e/test_one_registration.py, shown in docs/life-of-a-certificate.md. A verdict is followed by the
findings that others of that day do not have: `SUPERSEDED +USAGE_EXPIRED(1)` blocks by its status; its window is over by
notice 1, which that finding's rule cites. `USAGE_EXPIRED(1)` as a verdict is a finding with that rule, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Line(NamedTuple):
    """Copies judged alike after one step, and why.

    `fresh`: by trust data of that step; `stale`: by those of the step before, which a verifier who did not update has
    (`=`: the same; the age of the data is the step's); `ledger`: the status in the ledger, with `past` if the day is
    past the copy's last usable one.
    """

    copies: str
    fresh: str
    stale: str
    ledger: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One day's work, and what it leaves.

    `row`: cells of the record that change first, for good. `typed`: commands, short of the options that are always the
    same; of one that is refused, its code follows `->`. `makes`: letters of the new copies.
    `journal`: the rows it adds, with the persons named. `log`: the entries it adds, as the auditor counts them. `age`:
    what the trust data of the step before are called, beside every verdict by them.
    """

    day: str
    title: str
    typed: tuple[str, ...]
    lines: tuple[Line, ...]
    journal: tuple[str, ...] = ()
    log: Mapping[str, int] = field(default_factory=dict)
    makes: str = ""
    row: Mapping[str, str] = field(default_factory=dict)
    age: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A registration of one kind and jurisdiction, its authority and its steps."""

    kind: str
    jurisdiction: str
    title: str
    issuer: str
    bodies: tuple[str, ...]
    row: Mapping[str, str]
    approval: str  # the letters of copies that are no usage copies
    sealed: Mapping[str, tuple[int, ...]]  # the bodies whose seals a copy bears, in order
    citations: Mapping[int, str]  # of notices
    clauses: Mapping[str, str]  # of the profile, by the code of the finding that cites them
    steps: tuple[Step, ...]
