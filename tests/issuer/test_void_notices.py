"""Notices of a compromised key at the desk: no effect, shown as void, given again (docs/spec/notices.md, "Void")."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from noticebodies import extension, old_form, retraction, seals
from office import CONSTRUCTORS, DAY, NOW, Office, person

from mingzheng.cli import cli
from mingzheng.formats.civil import MAX_DAY, format_day
from mingzheng.formats.claims import parse_claims
from mingzheng.issuer.expiring import EndingOf, expiring
from mingzheng.issuer.exporting import export_trust, read_status, refresh_status
from mingzheng.issuer.forget import _Ends
from mingzheng.issuer.kept import parse_kept
from mingzheng.issuer.keywork import add_key, compromise_key, lost_notices
from mingzheng.issuer.lifecycle import find_serial, perform
from mingzheng.issuer.noticebook import counting, list_notices
from mingzheng.issuer.noticeerrors import NoticeGivenError
from mingzheng.issuer.noticework import extensions_in_force, give, preview, propose
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.sealrules import keep_seal_rules
from mingzheng.issuer.showstory import story_json, story_lines
from mingzheng.issuer.story import registrations_of, story_of
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.noticebody import NoticeBody
from mingzheng.verifier.context import Expectations, Judging, TrustSource, build_context
from mingzheng.verifier.library import load_messages, load_policies

YEARS = extension(first_end=DAY, last_end=DAY + 1_500, new_end=DAY + 2_000)
DAYS = (DAY, DAY + 900)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()
    made.issue([person(1)])
    return made


def gives(workspace: Workspace, body: NoticeBody, *, now: int = NOW + 1) -> None:
    give(workspace, propose(workspace, 1, numbered(body)), reason="通知", now=now)


def numbered(body: NoticeBody) -> Callable[[int], NoticeBody]:
    return lambda number: replace(body, number=number)


def stolen(workspace: Workspace, *, good_size: int, now: int = NOW + 5) -> list[int]:
    """The act key is replaced and called stolen; the numbers of the notices that no longer count."""
    old = next(key for key in workspace.config.keys if key.role is Role.ACT)
    if old.good_size is None:
        add_key(workspace, Role.ACT, 1, days=DAYS, now=now)
    key = compromise_key(workspace, old.kid, good_size=good_size, now=now)
    return [item.body.number for item in lost_notices(workspace, key)]


def size(workspace: Workspace) -> int:
    return workspace.log.head()[0]


def ends(workspace: Workspace) -> list[int]:
    """Where the first registration ends: for `expiring`, and before it may be forgotten."""
    (registration,) = registrations_of(workspace, person(1)["registration_no"], kind=None, issuer=None)
    current = workspace.ledger.current_record(registration)
    assert current is not None
    shown = expiring(workspace, today=DAY, within=3_000, kind=None)
    return [
        _Ends(workspace, 1, DAY).of_registration(1, parse_kept(current[1]).record),
        *(item.end for item in shown if item.what is EndingOf.REGISTRATION),
    ]


def test_the_desk_and_a_verifier_find_the_same_void(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form())
        good = size(workspace)
        gives(workspace, YEARS, now=NOW + 2)
        gives(workspace, retraction(0, 1, DAY), now=NOW + 3)
        assert stolen(workspace, good_size=good) == [2, 3]
        gives(workspace, old_form(template=9), now=NOW + 6)
        found = list_notices(workspace, 1)
        assert [item.void for item in found] == [False, True, True, False]
        assert [body.number for body in counting(found)] == [1, 4]
        export_trust(workspace, office.base / "trust", now=NOW + 9)
    stored = load_store(office.base / "trust")
    context = build_context(
        TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False),
        judging=Judging(now=NOW + 9, at=None, policy=load_policies()["site"]),
        expect=Expectations(),
        messages=load_messages(),
    )
    assert not context.notices_refused
    standing = context.notices_of(1)
    assert standing.extensions == ()
    assert [notice.number for items in standing.forms.values() for notice, _ in items] == [1, 4]


def test_a_void_extension_moves_nothing_of_what_the_desk_makes_or_shows(office: Office) -> None:
    with office.open() as workspace:
        end = parse_claims(workspace.ledger.copy(1, 0).claims).registered_until
        before = ends(workspace)
        assert set(before) == {end}
        good = size(workspace)
        gives(workspace, YEARS)
        assert set(ends(workspace)) == {YEARS.new_end}
        stolen(workspace, good_size=good)
        assert ends(workspace) == before
        assert extensions_in_force(workspace, 1, DAY) == ()
    (made,) = office.issue([person(2)], now=NOW + 9)
    with office.open() as workspace:
        new = workspace.ledger.copy(1, made.row.serial)
        assert parse_claims(new.claims).registered_until == end


def test_status_and_list_call_it_void_in_both_languages(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        good = size(workspace)
        gives(workspace, YEARS)
        stolen(workspace, good_size=good)
        (registration,) = registrations_of(workspace, person(1)["registration_no"], kind=None, issuer=None)
        story = story_of(workspace, registration, today=DAY)
    (event,) = [item for item in story.events if item.what.startswith("notice-")]
    assert event.void
    shown = json.loads(json.dumps(story_json(story, full=False)))["events"]
    assert [item["void"] for item in shown if "void" in item] == [True]
    assert any("密钥失密，不作数；如属真实，请重新发布" in line for line in story_lines(story, "zh", full=False))
    assert any("void: its key is compromised" in line for line in story_lines(story, "en", full=False))
    monkeypatch.setattr("mingzheng.issuer.notice_cli.open_workspace", lambda *_: office.open())
    words = ["notice", "list", "--workspace", "W"]
    assert "密钥失密，不作数" in CliRunner().invoke(cli, words).output
    assert "give it again" in CliRunner().invoke(cli, [*words, "--lang", "en"]).output
    assert json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)["void"] is True


def test_what_is_void_is_given_again_and_then_counts_once(office: Office) -> None:
    with office.open() as workspace:
        good = size(workspace)
        gives(workspace, YEARS)
        with pytest.raises(NoticeGivenError):
            propose(workspace, 1, numbered(YEARS))
        stolen(workspace, good_size=good)
        gives(workspace, YEARS, now=NOW + 8)
        assert [item.number for item in counting(list_notices(workspace, 1))] == [2]
        assert len(extensions_in_force(workspace, 1, DAY)) == 1
        with pytest.raises(NoticeGivenError):
            propose(workspace, 1, numbered(YEARS))


def test_a_void_retraction_does_not_free_the_notice_to_be_given_twice(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, YEARS)
        good = size(workspace)
        gives(workspace, retraction(0, 1, DAY), now=NOW + 2)
        assert extensions_in_force(workspace, 1, DAY) == ()
        stolen(workspace, good_size=good)
        assert len(extensions_in_force(workspace, 1, DAY)) == 1
        with pytest.raises(NoticeGivenError):
            propose(workspace, 1, numbered(YEARS))


def test_a_seal_change_that_is_void_before_its_rule_makes_none(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        good = size(workspace)
        with monkeypatch.context() as killed:
            killed.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
            gives(workspace, seals())
            stolen(workspace, good_size=good)
        assert keep_seal_rules(workspace) == 0
        assert workspace.config.sealing.rules == ()


WORDS = ("seal", "rule", "--workspace", "W", "--issuer", "1")
KIND = ("--kind", "cn.constructor.1", "--body", "0", "--valid-from", format_day(DAY))


@pytest.fixture
def typed(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`seal rule …` as typed, with what is answered."""
    monkeypatch.setattr("mingzheng.issuer.seal_cli.open_workspace", lambda *_: office.open())
    return lambda *words, answer=None: CliRunner().invoke(cli, [*WORDS, *words], input=answer)


def rules_of(office: Office) -> list[tuple[tuple[int, ...], int, int, tuple[int, ...]]]:
    with office.open() as workspace:
        rules = workspace.config.sealing.rules
    return [(rule.kinds, rule.valid_from, rule.valid_until, rule.bodies) for rule in rules]


@pytest.mark.parametrize("how", ["void", "retracted"])
def test_the_rule_that_a_false_seal_change_left_is_replaced_by_seal_rule(
    office: Office, typed: Callable[..., Result], how: str
) -> None:
    typed(*KIND[:-1], format_day(DAY - 9), "--jurisdiction", "cn")
    with office.open() as workspace:
        good = size(workspace)
        gives(workspace, replace(seals(), from_day=DAY + 5, bodies=(1,)))
        if how == "void":
            stolen(workspace, good_size=good)
        else:
            gives(workspace, retraction(0, 1, DAY), now=NOW + 2)
    left = rules_of(office)
    assert left == [((1,), DAY - 9, DAY + 4, (0,)), ((1,), DAY + 5, MAX_DAY, (1,))]
    refused = typed(*KIND, "--jurisdiction", "cn")
    assert isinstance(refused.exception, SealOptionError)
    assert "--replace" in str(refused.exception)
    asked = typed(*KIND, "--jurisdiction", "cn", "--replace", answer="n\n")
    assert asked.exit_code != 0
    assert format_day(DAY + 5) in asked.output  # what goes
    assert rules_of(office) == left
    assert typed(*KIND, "--jurisdiction", "cn", "--replace", answer="y\n").exit_code == 0
    assert rules_of(office) == [((1,), DAY - 9, DAY - 1, (0,)), ((1,), DAY, MAX_DAY, (0,))]
    again = typed(*KIND, "--jurisdiction", "cn", "--replace")  # nothing goes, nobody is asked
    assert again.exit_code == 0
    with office.open() as workspace:
        assert keep_seal_rules(workspace) == 0  # nor does it come back


def test_the_rule_of_a_seal_change_that_counts_is_not_replaced(office: Office, typed: Callable[..., Result]) -> None:
    with office.open() as workspace:
        gives(workspace, replace(seals(), from_day=DAY + 5))
    left = rules_of(office)
    refused = typed(*KIND, "--replace", "--yes")
    assert isinstance(refused.exception, SealOptionError)
    assert "notice add retract 1" in str(refused.exception)
    assert rules_of(office) == left


def test_replacing_a_rule_keeps_what_it_says_of_other_certificates(
    office: Office, typed: Callable[..., Result]
) -> None:
    later = ("--body", "1", "--valid-from", format_day(DAY + 5))
    both = ("--kind", "cn.constructor.1", "--kind", "cn.architect.1", "--jurisdiction", "cn", "--jurisdiction", "31")
    typed(*both, *later)
    assert typed(*KIND, "--jurisdiction", "31", "--replace", "--yes").exit_code == 0
    with office.open() as workspace:
        found = [(rule.kinds, rule.jurisdictions, rule.bodies) for rule in workspace.config.sealing.rules]
        ((first, *_), _regions, _bodies) = found[0]
    assert found == [((first,), (0, 31), (1,)), ((1,), (0,), (1,)), ((1,), (31,), (0,))]


def test_retracting_a_void_extension_names_the_copies_that_bear_its_end_and_no_others(office: Office) -> None:
    with office.open() as workspace:
        good = size(workspace)
        gives(workspace, YEARS)
    (bearing,) = office.issue([person(2)], now=NOW + 3)
    with office.open() as workspace:
        stolen(workspace, good_size=good)
        seen = preview(workspace, propose(workspace, 1, numbered(retraction(0, 1, DAY))))
        assert [(item.serial, item.ends) for item in seen.copies] == [(bearing.row.serial, (YEARS.new_end,))]


def test_retracting_a_void_form_or_a_void_retraction_concerns_nobody(office: Office) -> None:
    with office.open() as workspace:
        template = parse_claims(workspace.ledger.copy(1, 0).claims).template
        gives(workspace, old_form(template=template))
        good = size(workspace)
        gives(workspace, retraction(0, 1, DAY), now=NOW + 2)
        assert len(preview(workspace, propose(workspace, 1, numbered(retraction(0, 2, DAY)))).copies) == 1
        stolen(workspace, good_size=good)
        assert preview(workspace, propose(workspace, 1, numbered(retraction(0, 2, DAY)))).copies == ()
        stolen(workspace, good_size=0)
        assert preview(workspace, propose(workspace, 1, numbered(retraction(0, 1, DAY)))).copies == ()


def test_a_lower_size_voids_more_and_a_sound_key_none(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form())
        good = size(workspace)
        gives(workspace, YEARS, now=NOW + 2)
        assert not any(item.void for item in list_notices(workspace, 1))
        assert stolen(workspace, good_size=good) == [2]
        assert stolen(workspace, good_size=0) == [1, 2]


def test_only_notices_under_that_key_are_named(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form())
        stolen(workspace, good_size=0)
        second = [key for key in workspace.config.keys if key.role is Role.ACT][-1]
        gives(workspace, YEARS, now=NOW + 8)
        add_key(workspace, Role.ACT, 1, days=DAYS, now=NOW + 8)
        said = compromise_key(workspace, second.kid, good_size=0, now=NOW + 9)
        assert [item.body.number for item in lost_notices(workspace, said)] == [2]


def test_the_command_names_them_and_says_what_to_do(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        gives(workspace, YEARS)
        gives(workspace, seals(), now=NOW + 2)
        kid = next(key.kid for key in workspace.config.keys if key.role is Role.ACT).hex()
        add_key(workspace, Role.ACT, 1, days=DAYS, now=NOW + 3)
    monkeypatch.setattr("mingzheng.issuer.key_cli.open_workspace", lambda *_: office.open())
    monkeypatch.setattr(Workspace, "check_as_of", lambda _: None)
    day = format_day(DAY)
    words = ["key", "compromise", kid, "--workspace", "W", "--good-size", "0", "--yes", "--as-of", day]
    chinese = CliRunner().invoke(cli, words, catch_exceptions=False).output
    assert "不作数的公告 2 项，其中真实的请用 mingzheng notice add 重新发布" in chinese
    assert "延期通知第一条" in chinese
    assert "mingzheng seal rule" in chinese  # the rule that the seal change made stays
    english = CliRunner().invoke(cli, [*words, "--lang", "en"], catch_exceptions=False).output
    assert "2 notices are void; give again those that were genuine" in english
    row = json.loads(CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False).output)
    assert row["void_notices"] == [
        {"number": 1, "notice": "blanket_extension", "citation": "延期通知第一条"},
        {"number": 2, "notice": "seal_change", "citation": "印章"},
    ]


def test_acts_of_a_stolen_key_go_on_counting_in_the_status_list(office: Office) -> None:
    """docs/spec/log.md, Keys: the order of acts is the log's, whoever signed."""
    with office.open() as workspace:
        perform(workspace, ActType.SUSPEND, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 1)
        stolen(workspace, good_size=0)
        refresh_status(workspace, 1, now=NOW + 6)
        listed = read_status(workspace, 1)
        assert listed is not None
        assert listed.suspended == (0,)
        perform(workspace, ActType.REINSTATE, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 8)
        refresh_status(workspace, 1, now=NOW + 9)
        listed = read_status(workspace, 1)
        assert listed is not None
        assert listed.suspended == ()
