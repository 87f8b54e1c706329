"""Operators' keys that come and go: what was cut short is finished, whichever key of a person it was about."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from office import DAY, NOW
from operatoroffice import NAMES, OperatorOffice, operator_office, passphrase

from mingzheng.formats.civil import day_start
from mingzheng.issuer.approvalerrors import OperatorExistsError, OperatorOutError, OperatorUnknownError
from mingzheng.issuer.config import format_config, parse_config
from mingzheng.issuer.keywork import retire_key
from mingzheng.issuer.operators import add_operator, retire_operator
from mingzheng.issuer.refusals import ConfigError, KeyStateError
from mingzheng.issuer.workspace import NewOperator, Workspace
from mingzheng.keys.kid import Kid
from mingzheng.log.entry import KeyEventEntry, KeyEventType, parse_entry

LATER = day_start(DAY + 3) + 9
THIRD = NewOperator(name="王五", passphrase=passphrase("王五"))
FOUNDING_DAYS = (DAY - 400, DAY + 1_000)


class CutShortError(Exception):
    """The program was killed here."""


@pytest.fixture
def office(tmp_path: Path) -> OperatorOffice:
    return operator_office(tmp_path)


def logged(workspace: Workspace) -> list[tuple[KeyEventType, Kid]]:
    """What the log was told of keys."""
    entries = [parse_entry(act.entry) for act in workspace.ledger.all_acts() if act.leaf_index is not None]
    return [(entry.event, entry.subject_kid) for entry in entries if isinstance(entry, KeyEventEntry)]


def cut(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def killed(*_: object, **__: object) -> None:
        raise CutShortError

    monkeypatch.setattr(f"mingzheng.issuer.{what}", killed)


def test_an_operator_of_the_days_of_the_founding_keys_is_told_when_asked_for_again(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` and `operator add` on one day give the same days."""
    with office.open() as workspace, monkeypatch.context() as patch:
        cut(patch, "operators.tell_added")
        monkeypatch.setattr("mingzheng.issuer.operators.first_day", lambda *_, **__: FOUNDING_DAYS[0])
        with pytest.raises(CutShortError):
            add_operator(workspace, 1, THIRD, days=FOUNDING_DAYS, now=NOW)
    with office.open() as workspace:
        (key,) = (key for key in workspace.config.keys if key.operator == "王五")
        for name, told in ((NAMES[0], []), ("王五", [(KeyEventType.ADDED, key.kid)])):
            for _ in range(2):
                with pytest.raises(OperatorExistsError):
                    add_operator(workspace, 1, replace(THIRD, name=name), days=FOUNDING_DAYS, now=NOW)
                assert logged(workspace) == told


def test_only_an_operator_key_is_marked_as_added(office: OperatorOffice) -> None:
    with office.open() as workspace:
        made = add_operator(workspace, 1, THIRD, days=(None, DAY + 99), now=NOW)
        config = workspace.config
        assert [key.kid for key in config.keys if key.added] == [made.kid]
        assert parse_config(format_config(config)) == config
        first, *others = config.keys
        with pytest.raises(ConfigError, match=r"keys\.added"):
            format_config(replace(config, keys=(replace(first, added=True), *others)))


def test_a_key_that_has_not_begun_is_retired_too(office: OperatorOffice) -> None:
    with office.open() as workspace:
        made = add_operator(workspace, 1, THIRD, days=(DAY + 9, DAY + 99), now=NOW)
        assert retire_operator(workspace, 1, "王五", now=NOW).kid == made.kid
        assert logged(workspace)[-1] == (KeyEventType.RETIRED, made.kid)
        assert not workspace.config.operators(1, DAY + 10)[2:]
        with pytest.raises(OperatorOutError):
            retire_operator(workspace, 1, "王五", now=NOW)
        with pytest.raises(OperatorUnknownError):
            retire_operator(workspace, 1, "赵六", now=NOW)


def test_a_retirement_that_was_cut_short_is_told_although_the_person_has_another_key_by_now(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office.open() as workspace:
        old = add_operator(workspace, 1, THIRD, days=(None, DAY + 99), now=NOW)
        with monkeypatch.context() as patch:
            cut(patch, "keywork._tell")
            with pytest.raises(CutShortError):
                retire_operator(workspace, 1, "王五", now=NOW)
        new = add_operator(workspace, 1, THIRD, days=(None, DAY + 99), now=LATER)
        assert retire_operator(workspace, 1, "王五", now=LATER).kid == new.kid
        assert logged(workspace)[-2:] == [(KeyEventType.RETIRED, old.kid), (KeyEventType.RETIRED, new.kid)]
        assert workspace.config.record(old.kid).retired_on == DAY  # type: ignore[union-attr]
    assert office.fsck().clean


def test_a_retirement_that_the_log_lacks_is_logged_on_a_later_day_before_it_is_called_done(
    office: OperatorOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, again in ((NAMES[0], "person"), (NAMES[1], "key")):
        with office.open() as workspace:
            (key,) = (key for key in workspace.config.keys if key.operator == name)
            with monkeypatch.context() as patch:
                patch.setattr("mingzheng.issuer.keywork.settle_keys", _first_then_killed(workspace))
                with pytest.raises(CutShortError):
                    retire_operator(workspace, 1, name, now=NOW if again == "person" else LATER)
        with office.open() as workspace:
            assert (KeyEventType.RETIRED, key.kid) not in logged(workspace)
            if again == "person":
                with pytest.raises(OperatorOutError):
                    retire_operator(workspace, 1, name, now=LATER)
            else:
                with pytest.raises(KeyStateError):
                    retire_key(workspace, key.kid, now=LATER + 86_400)
            assert logged(workspace)[-1] == (KeyEventType.RETIRED, key.kid)


def _first_then_killed(workspace: Workspace) -> Callable[..., None]:
    """Nothing was on its way before; what is stored then does not reach the log."""

    def settle(_workspace: Workspace, *, now: int) -> None:
        if workspace.ledger.unlogged_acts():
            raise CutShortError

    return settle
