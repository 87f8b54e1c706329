"""Forks at every size from 1 to 64 by the number of witnesses that lie: the table of docs/spec/witness.md.

Two of three witnesses are the quorum. The log shows its victim another history than everybody else, from the last entry
on; witnesses that lie sign both histories and show monitors the main one; honest ones follow what they saw first.
Every size at full counts, the small ones and those around powers of two by default.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import FULL
from witnessworld import LOG_VKEY, MAIN, NOW, ORIGIN, Branch, cosigner

from mingzheng.keys.alg import Alg
from mingzheng.keys.note import parse_note
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.cosign import Cosigner, open_cosigned
from mingzheng.log.errors import RootMismatchError
from mingzheng.log.evidence import (
    EvidenceError,
    HistoryChanged,
    SplitView,
    check_evidence,
    format_evidence,
    parse_evidence,
)
from mingzheng.log.policy import count_cosignatures, parse_policy
from mingzheng.log.proof import verify_consistency
from mingzheng.log.witness import AddCheckpoint, Seen, decide_checkpoint

NAMES = ("w1", "w2", "w3")
COSIGNERS = {name: cosigner(name, Alg.ED25519) for name in NAMES}
LINES = "".join(f"witness {name} {format_vkey(who.vkeys[0])}\n" for name, who in COSIGNERS.items())
POLICY = parse_policy(f"{LINES}group g 2 w1 w2 w3\nquorum g\n".encode())
PAGE = Path(__file__).parents[2] / "docs" / "spec" / "witness.md"
SIZES = range(1, 65) if FULL else (*range(1, 10), 15, 16, 17, 31, 32, 33, 63, 64)

# (liars, honest witnesses that saw the fork first): is the fork witnessed, do the witnesses' own records show it
TABLE = {
    (0, 0): (False, False),
    (0, 1): (False, True),
    (1, 0): (False, False),
    (1, 1): (True, True),
    (2, 0): (True, False),
    (3, 0): (True, False),
}


class Honest:
    """A witness by the rules: it cosigns what continues what it saw."""

    def __init__(self, who: Cosigner) -> None:
        self.who, self.seen = who, None
        self.refused = 0

    seen: Seen | None

    def cosign(self, branch: Branch, size: int) -> str:
        old = 0 if self.seen is None else self.seen.size
        if old > size:
            return ""
        answers = []
        for history in (branch, MAIN):  # whatever proof the log can think of
            hashes = history.prove(old, size).hashes if old else ()
            request = AddCheckpoint(old=old, hashes=hashes, note=branch.note(size), origin=ORIGIN)
            decision = decide_checkpoint(request, log_vkeys=[LOG_VKEY], seen=self.seen, cosigner=self.who, time=NOW)
            if decision.state is not None:
                self.seen = decision.state
                return decision.answer.body.decode()
            answers.append(decision.answer.status)
        self.refused += answers == [422, 422]
        return ""

    def record(self) -> bytes:
        assert self.seen is not None
        return self.seen.note


class Liar(Honest):
    """A witness that signs whatever the log wants, and shows monitors the main history."""

    def cosign(self, branch: Branch, size: int) -> str:
        text = parse_note(branch.note(size)).text
        lines = self.who.cosign(text, time=NOW)
        if branch is MAIN:
            self.seen = Seen(size=size, root=MAIN.root(size), time=NOW, note=MAIN.note(size) + lines.encode())
        return lines


@dataclass
class Game:
    """What the log has from its witnesses at a fork, and what the witnesses show."""

    main: bytes
    fork: bytes
    witnesses: list[Honest]


def play(size: int, liars: int, split: int) -> Game:
    """The log grows to `size` - 1, then has two heads of `size`; `split` honest witnesses see the other one first."""
    fork = Branch("fork", size - 1)
    crowd: list[Honest] = [(Liar if at < liars else Honest)(COSIGNERS[name]) for at, name in enumerate(NAMES)]
    if size > 1:
        for witness in crowd:
            assert witness.cosign(MAIN, size - 1)
    first = crowd[liars : liars + split]
    early = {id(witness): witness.cosign(fork, size) for witness in first}
    main = MAIN.note(size) + "".join(witness.cosign(MAIN, size) for witness in crowd).encode()
    lines = "".join(early.get(id(witness)) or witness.cosign(fork, size) for witness in crowd)
    return Game(main=main, fork=fork.note(size) + lines.encode(), witnesses=crowd)


def is_witnessed(note: bytes) -> bool:
    """What a verifier with the quorum sees."""
    return count_cosignatures(note, POLICY, origin=ORIGIN, log_vkeys=[LOG_VKEY]).satisfied


def proved(first: bytes, second: bytes) -> bool:
    """Whether two heads are evidence of a fork, checked as a third party does: from the file alone."""
    data = format_evidence(SplitView(first=first, second=second))
    try:
        check_evidence(parse_evidence(data), vkey=LOG_VKEY, origin=ORIGIN, receipt_key=None, block_height=8)
    except EvidenceError:
        return False
    return True


@pytest.mark.parametrize(("liars", "split"), TABLE)
def test_the_table_at_every_size(liars: int, split: int) -> None:
    witnessed, shown = TABLE[liars, split]
    for size in SIZES:
        game = play(size, liars, split)
        assert is_witnessed(game.main)
        assert is_witnessed(game.fork) is witnessed
        records = [witness.record() for witness in game.witnesses]
        assert any(proved(one, other) for one in records for other in records) is shown
        assert proved(game.main, game.fork)  # whoever holds both heads has the proof
        refusals = sum(witness.refused for witness in game.witnesses)
        assert refusals == len(game.witnesses) - liars  # every honest witness tells the log so: 422


@pytest.mark.parametrize("liars", range(4))
def test_a_client_that_remembers_finds_every_later_head(liars: int) -> None:
    """State from before: no proof of any history leads from a head of one to a head of the other, whoever cosigned."""
    for size in SIZES:
        fork = Branch("fork", size - 1)
        for later in (size, size + 1, size + 7):
            for history in (MAIN, fork):
                with pytest.raises(RootMismatchError):
                    verify_consistency(history.prove(size, later), MAIN.root(size), fork.root(later))
            newer = MAIN.note(later)
            if later > size:
                proof = MAIN.prove(size, later)
                changed = HistoryChanged(older=fork.note(size), newer=newer, root=MAIN.root(size), hashes=proof.hashes)
                evidence = parse_evidence(format_evidence(changed))
                check_evidence(evidence, vkey=LOG_VKEY, origin=ORIGIN, receipt_key=None, block_height=8)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 64])
def test_honest_logs_are_no_forks(size: int) -> None:
    """Nothing of this proves anything against a log that only grows."""
    crowd = [Honest(COSIGNERS[name]) for name in NAMES]
    notes = [MAIN.note(at) + "".join(witness.cosign(MAIN, at) for witness in crowd).encode() for at in (size, size + 3)]
    assert all(is_witnessed(note) for note in notes)
    assert not any(proved(one, other) for one in notes for other in notes)
    assert not any(witness.refused for witness in crowd)


def test_liars_are_named_by_their_own_signatures() -> None:
    """A witness under two heads of one size has signed the proof against itself; an honest one never is."""
    for liars, split in TABLE:
        game = play(9, liars, split)
        keys = [who.vkeys[0] for who in COSIGNERS.values()]
        sides = [
            {
                item.vkey
                for item in open_cosigned(note, origin=ORIGIN, log_vkeys=[LOG_VKEY], witnesses=keys).cosignatures
            }
            for note in (game.main, game.fork)
        ]
        assert {keys.index(vkey) for vkey in sides[0] & sides[1]} == set(range(liars))


def test_the_page_states_this_table() -> None:
    rows = re.findall(r"^\| (\d) \| (\d) \| (yes|no) \| (yes|no) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    stated = {(int(liars), int(split)): (fork == "yes", shown == "yes") for liars, split, fork, shown in rows}
    assert stated == TABLE
