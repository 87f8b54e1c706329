"""What only looks changes nothing: every `--dry-run`, and `requests`, in an office with matter on its way.

The bytes of every file are compared, the ledger by its dump: opening it may bring its write-ahead file in.
"""

import importlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from office import DAY, NOW, person, table
from operatoroffice import NAMES, OperatorOffice, asked, operator_office, present, target_of

from mingzheng.cli import COMMANDS, cli
from mingzheng.formats.civil import format_day
from mingzheng.issuer.approval import ask
from mingzheng.issuer.issue import plan_jobs
from mingzheng.issuer.lifecycle import plan_reissue, propose
from mingzheng.log.acts import ActType

ONE = ("--registration", person(1)["registration_no"], "--kind", "cn.constructor.1")
WHY = ("--reason", "why", "--operator", NAMES[1])
ABOUT = ("--kind", "cn.constructor.1", "--jurisdiction", "cn", "--citation", "x", "--issuer", "1", *WHY)
ENDS = ("--first-end", "2026-06-01", "--last-end", "2028-12-31", "--new-end", "2029-01-31")
OUT = ("--out", "out", "--copy", "usage", "--purpose", "x")
WORDS: dict[str, tuple[str, ...]] = {
    "issue": ("records.csv", *OUT),
    "reissue": (*ONE, *WHY, *OUT),
    "revoke": (*ONE, *WHY),
    "suspend": (*ONE, *WHY),
    "reinstate": (*ONE, *WHY),
    "lock": (*ONE, *WHY),
    "unlock": (*ONE, *WHY),
    "void": ("--serial", "1", *WHY),
    "approve": ("REQUEST", "--operator", NAMES[1]),
    "notice add extension": (*ABOUT, *ENDS),
    "notice add form": (*ABOUT, "--template", "1", "--equal-until", "2026-12-31"),
    "notice add seal": (*ABOUT, "--from", format_day(DAY + 5), "--body", "1"),
    "notice add retract": ("1", "--citation", "x", "--issuer", "1", *WHY),
    "migrate": (),
    "ledger forget": (*ONE, *WHY),
}
REFUSED = {"notice add retract", "ledger forget"}
"""Refused here: there is no such notice, and the registration still counts."""


def dry_runs() -> set[str]:
    """Every command that has the option."""

    def below(command: click.Command, name: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for word, one in command.commands.items():
                yield from below(one, f"{name} {word}")
        elif any("--dry-run" in option.opts for option in command.params):
            yield name

    found = set()
    for name, (place, _line) in COMMANDS.items():
        module, _, attribute = place.partition(":")
        found |= set(below(getattr(importlib.import_module(module), attribute), name))
    return found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> OperatorOffice:
    """A revocation that waits, one that was withdrawn and left its file, and a copy that never reached the log."""
    made = operator_office(tmp_path_factory.mktemp("dry"))
    with made.open() as workspace:
        asked(workspace, NAMES[0])
        plan_jobs(workspace, [plan_reissue(workspace, target_of(workspace, 2), wanted=None, reason="", now=NOW)])
    (made.root / "requests" / "0123456789abcdef.request").write_bytes(b"left behind")
    (made.base / "records.csv").write_bytes(table([person(3)]))
    return made


def held(office: OperatorOffice) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(office.base.rglob("*")):
        if not path.name.startswith("ledger.sqlite"):
            found[str(path)] = None if path.is_dir() else (path.read_bytes(), path.stat().st_mode)
    with sqlite3.connect(office.root / "ledger.sqlite") as ledger:
        found["ledger"] = tuple(ledger.iterdump())
    ledger.close()
    return found


def typed(office: OperatorOffice, patch: pytest.MonkeyPatch, *words: str) -> Result:
    patch.chdir(office.base)
    patch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)
    patch.setattr("time.time", lambda: float(NOW + 60))
    return CliRunner().invoke(cli, [*words, "--workspace", str(office.root)])


def test_every_dry_run_is_tried() -> None:
    assert set(WORDS) == dry_runs()


@pytest.mark.parametrize("name", WORDS)
def test_a_dry_run_changes_nothing(office: OperatorOffice, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        (row,) = workspace.ledger.desk.open_requests()
        assert workspace.ledger.unlogged()
    before = held(office)
    words = [row.id.hex() if word == "REQUEST" else word for word in WORDS[name]]
    told = typed(office, monkeypatch, *name.split(), *words, "--dry-run")
    assert held(office) == before
    assert (told.exit_code != 0) is (name in REFUSED), (told.output, told.exception)


@pytest.mark.parametrize("on", ["2026-06-01", "2026-06-09", "2030-01-01"])
def test_a_listing_ends_no_request_whatever_day_it_is_asked_for(
    office: OperatorOffice, on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(office)
    told = typed(office, monkeypatch, "requests", "--as-of", on, "--json")
    assert told.exit_code == 0, told.output
    assert bool(told.stdout.strip()) is (on == "2026-06-01")
    assert held(office) == before


def test_asking_ends_what_has_waited_too_long(tmp_path: Path) -> None:
    with operator_office(tmp_path).open() as workspace:
        row, late = asked(workspace, NAMES[0]), NOW + 8 * 86_400
        proposal = propose(workspace, ActType.REVOKE, target_of(workspace, 2), reason="", now=late)
        assert proposal is not None
        ask(workspace, proposal, present(workspace, NAMES[0], late), now=late)
        found = workspace.ledger.desk.request(row.id)
        assert found is not None
        assert found.state == "expired"
