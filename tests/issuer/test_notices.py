"""Notices at the desk: proposed, previewed, given once, exported, believed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from noticebodies import extension, old_form, retraction, seals
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, Office, person
from operatoroffice import NAMES, operator_office, present

from mingzheng.formats.civil import MAX_DAY
from mingzheng.formats.claims import parse_claims
from mingzheng.issuer.approval import approve, ask
from mingzheng.issuer.approvalerrors import RequestChangedError, SamePersonError, TwoPersonsError
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.noticeerrors import (
    NoticeGivenError,
    NoticeInvalidError,
    NoticeScopeError,
    NoticeUnknownError,
)
from mingzheng.issuer.noticework import (
    asking,
    effect_of_notice,
    give,
    list_notices,
    preview,
    propose,
    reread,
)
from mingzheng.issuer.publish import settle
from mingzheng.issuer.refusals import SealOptionError, UnknownIssuerError
from mingzheng.issuer.rollover import roll_over
from mingzheng.issuer.sealconfig import RuleSpec
from mingzheng.issuer.sealrules import add_rule, keep_seal_rules
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.snapshot import load_store
from mingzheng.log.noticebody import NoticeBody
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.library import load_messages, load_policies


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()
    made.issue([person(1), person(2)])
    return made


def numbered(body: NoticeBody) -> Callable[[int], NoticeBody]:
    """The body with whatever number comes."""
    return lambda number: replace(body, number=number)


def gives(workspace: Workspace, body: NoticeBody, *, now: int = NOW + 1) -> None:
    give(workspace, propose(workspace, 1, numbered(body)), reason="通知", now=now)


def context_of(office: Office, workspace: Workspace, *, now: int = NOW + 9) -> VerifyContext:
    """What a verifier holds after an export."""
    export_trust(workspace, office.base / "trust", now=now)
    stored = load_store(office.base / "trust")
    return build_context(
        TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False),
        judging=Judging(now=now, at=None, policy=load_policies()["site"]),
        expect=Expectations(),
        messages=load_messages(),
    )


def test_notices_are_numbered_logged_exported_and_believed(office: Office) -> None:
    with office.open() as workspace:
        for body in (old_form(), extension(), retraction(0, 1, DAY + 3)):
            gives(workspace, body)
        found = list_notices(workspace, 1)
        context = context_of(office, workspace)
    assert [item.body.number for item in found] == [1, 2, 3]
    assert [item.row.reason for item in found] == ["通知"] * 3
    assert all(item.row.leaf_index is not None for item in found)
    assert not context.notices_refused
    assert [item.notice.number for item in context.notices_of(1).extensions] == [2]
    assert set(context.notices_of(1).forms) == {1}


def test_no_more_are_given_than_verifiers_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("issuer.noticework", "verifier.notices"):
        monkeypatch.setattr(f"mingzheng.{module}.MAX_NOTICES", 2)
    with office.open() as workspace:
        for template in (7, 8):
            gives(workspace, old_form(template=template))
        with pytest.raises(NoticeInvalidError, match="number"):
            propose(workspace, 1, numbered(old_form(template=9)))
        assert not context_of(office, workspace).notices_refused
        monkeypatch.setattr("mingzheng.issuer.noticework.MAX_NOTICES", 3)
        gives(workspace, old_form(template=9), now=NOW + 10)
        assert context_of(office, workspace, now=NOW + 20).notices_refused


def test_reasons_stay_in_the_ledger(office: Office) -> None:
    with office.open() as workspace:
        give(workspace, propose(workspace, 1, numbered(old_form())), reason="内部事由", now=NOW + 1)
        export_trust(workspace, office.base / "trust", now=NOW + 2)
    written = b"".join(path.read_bytes() for path in (office.base / "trust").rglob("*") if path.is_file())
    assert "内部事由".encode() not in written


def test_a_preview_names_the_copies_in_force_and_changes_nothing(office: Office) -> None:
    with office.open() as workspace:
        before = workspace.ledger.counters(1)
        seen = preview(workspace, propose(workspace, 1, numbered(old_form(template=_template(workspace)))))
        assert len(seen.registrations) == len(seen.copies) == 2
        assert workspace.ledger.counters(1) == before
        assert list_notices(workspace, 1) == ()
        other = propose(workspace, 1, numbered(old_form(template=999)))
        assert preview(workspace, other).copies == ()
        assert preview(workspace, propose(workspace, 1, numbered(old_form(kinds=(2,))))).copies == ()


def test_a_retraction_of_a_retraction_concerns_whom_the_first_notice_had(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form(template=_template(workspace)))
        for retracted in (1, 2):
            body = retraction(0, retracted, DAY + 3)
            assert len(preview(workspace, propose(workspace, 1, numbered(body))).copies) == 2
            gives(workspace, body, now=NOW + 1 + retracted)


def _template(workspace: Workspace) -> int:
    (first, *_) = workspace.ledger.all_copies()
    return parse_claims(first.claims).template


def test_a_preview_of_an_extension_names_the_ends_that_move(office: Office) -> None:
    with office.open() as workspace:
        end = parse_claims(next(workspace.ledger.all_copies()).claims).registered_until
        body = extension(first_end=end, last_end=end, new_end=end + 30)
        seen = preview(workspace, propose(workspace, 1, numbered(body)))
        assert seen.copies
        assert all(item.ends == (end,) for item in seen.copies)
        gives(workspace, body)
        back = preview(workspace, propose(workspace, 1, numbered(retraction(0, 1, DAY))))
        assert back.copies == seen.copies
        far = extension(first_end=end + 1, last_end=end + 1, new_end=end + 30, kinds=(1,), jurisdictions=(31,))
        assert preview(workspace, propose(workspace, 1, numbered(far))).copies == ()


def test_the_same_notice_is_not_given_twice_but_again_after_its_retraction(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form())
        with pytest.raises(NoticeGivenError):
            propose(workspace, 1, numbered(old_form()))
        gives(workspace, retraction(0, 1, DAY))
        gives(workspace, old_form())
        assert len(list_notices(workspace, 1)) == 3


def test_a_proposal_that_was_overtaken_is_refused(office: Office) -> None:
    with office.open() as workspace:
        first = propose(workspace, 1, numbered(old_form()))
        gives(workspace, extension())
        with pytest.raises(NoticeGivenError):
            give(workspace, first, reason="", now=NOW + 2)


def test_what_was_asked_for_is_read_again_before_it_is_approved(office: Office) -> None:
    with office.open() as workspace:
        asked = propose(workspace, 1, numbered(old_form()))
        assert reread(workspace, 1, asked.body.notice, asked.body_bytes) == asked
        gives(workspace, extension())
        with pytest.raises(NoticeGivenError):
            reread(workspace, 1, asked.body.notice, asked.body_bytes)


def test_killed_before_the_log_it_is_logged_by_the_next_command(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with office.open() as workspace, monkeypatch.context() as patch:
        proposal = propose(workspace, 1, numbered(old_form()))
        patch.setattr("mingzheng.issuer.publish.submit_acts", lambda *_: None)
        settle(workspace, now=NOW + 1)
        patch.setattr("mingzheng.issuer.publish.submit_acts", lambda w, acts, now: kill() if acts else None)
        with pytest.raises(Killed):
            give(workspace, proposal, reason="", now=NOW + 1)
    with office.open() as workspace:
        assert list_notices(workspace, 1)[0].row.leaf_index is None
        late = NOW + 5 * 86_400  # too late for its day: signed again under its number
        settle(workspace, now=late)
        (found,) = list_notices(workspace, 1)
        assert found.row.leaf_index is not None
        assert found.entry.day == DAY + 5
        assert found.body == replace(old_form(), number=1)


def test_beyond_the_issuers_scope(office: Office) -> None:
    with office.open() as workspace:
        for body in (old_form(kinds=(1, 3)), old_form(jurisdictions=(0, 21))):
            with pytest.raises(NoticeScopeError):
                propose(workspace, 1, numbered(body))


def test_what_makes_no_sense(office: Office) -> None:
    with office.open() as workspace:
        with pytest.raises(NoticeInvalidError):
            propose(workspace, 1, numbered(extension(last_end=DAY)))
        with pytest.raises(NoticeUnknownError):
            propose(workspace, 1, numbered(retraction(0, 1, DAY)))


def test_issuer_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    made = Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()
    with made.open() as workspace:
        with pytest.raises(UnknownIssuerError):
            propose(workspace, None, numbered(old_form()))
        assert propose(workspace, 1, numbered(old_form())).issuer == 1
        with pytest.raises(UnknownIssuerError):
            propose(workspace, 7, numbered(old_form()))


def test_two_operators_give_a_notice_and_one_does_not(tmp_path: Path) -> None:
    office = operator_office(tmp_path)
    body = replace(seals(), from_day=DAY + 5)
    with office.open() as workspace:
        proposal = propose(workspace, 1, numbered(body))
        with pytest.raises(TwoPersonsError):
            give(workspace, proposal, reason="通知", now=NOW + 1)
        first, second = (present(workspace, name) for name in NAMES)
        row = ask(workspace, asking(proposal, reason="通知"), first, now=NOW + 1)
        assert list_notices(workspace, 1) == ()
        with pytest.raises(SamePersonError):
            approve(workspace, row.id, first, effects=effect_of_notice, now=NOW + 2)
        approve(workspace, row.id, second, effects=effect_of_notice, now=NOW + 2)
        (found,) = list_notices(workspace, 1)
        assert found.entry.request is not None
        assert _rules(workspace) == [(DAY + 5, MAX_DAY, (1,))]
        context = context_of(office, workspace)
    assert not context.notices_refused


def test_a_request_that_another_notice_overtook_is_not_approved(tmp_path: Path) -> None:
    office = operator_office(tmp_path)
    with office.open() as workspace:
        first, second = (present(workspace, name) for name in NAMES)
        rows = [
            ask(workspace, asking(propose(workspace, 1, numbered(body)), reason=""), first, now=NOW + 1)
            for body in (old_form(), extension())
        ]
        approve(workspace, rows[0].id, second, effects=effect_of_notice, now=NOW + 2)
        with pytest.raises(RequestChangedError):
            approve(workspace, rows[1].id, second, effects=effect_of_notice, now=NOW + 3)
        assert len(list_notices(workspace, 1)) == 1


def test_notices_of_a_log_that_was_rolled_over_go_on_being_exported_and_believed(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, old_form())
    with office.open() as workspace:
        days = (DAY - 400, DAY + 1_000)
        roll_over(workspace, 2, "test.example/log-2", days=days, now=NOW + 60)
    with office.open() as workspace:
        gives(workspace, extension(), now=NOW + 70)
        assert [item.row.shard for item in list_notices(workspace, 1)] == [0, 1]
        context = context_of(office, workspace, now=NOW + 80)
    assert not context.notices_refused
    assert set(context.notices_of(1).forms) == {1}
    assert len(context.notices_of(1).extensions) == 1


# --- seal changes


def _rules(workspace: Workspace) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(rule.valid_from, rule.valid_until, rule.bodies) for rule in workspace.config.sealing.rules]


def test_a_seal_change_ends_and_begins_the_workspaces_rule_on_its_day(office: Office) -> None:
    with office.open() as workspace:
        old = RuleSpec(issuer=1, kinds=(1,), jurisdictions=(0,), bodies=(0,), valid_from=DAY - 9, valid_until=MAX_DAY)
        add_rule(workspace, old)
        gives(workspace, replace(seals(), from_day=DAY + 5))
        assert _rules(workspace) == [(DAY - 9, DAY + 4, (0,)), (DAY + 5, MAX_DAY, (1,))]
        assert keep_seal_rules(workspace) == 0  # once
        gives(workspace, replace(seals(), from_day=DAY + 9, bodies=(0,)), now=NOW + 2)
        assert _rules(workspace)[1:] == [(DAY + 5, DAY + 8, (1,)), (DAY + 9, MAX_DAY, (0,))]
        assert keep_seal_rules(workspace) == 0


def test_a_seal_change_before_a_later_rule_is_refused_before_anything_is_signed(office: Office) -> None:
    with office.open() as workspace:
        gives(workspace, replace(seals(), from_day=DAY + 9))
        with pytest.raises(SealOptionError):
            propose(workspace, 1, numbered(replace(seals(), from_day=DAY + 5)))
        with pytest.raises(SealOptionError):
            propose(workspace, 1, numbered(replace(seals(), from_day=DAY + 20, bodies=(9,))))
        assert len(list_notices(workspace, 1)) == 1


def test_a_rule_that_was_not_written_in_time_is_written_by_the_next_notice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office.open() as workspace:
        with monkeypatch.context() as patch:
            patch.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
            gives(workspace, replace(seals(), from_day=DAY + 5))
        assert _rules(workspace) == []
        gives(workspace, old_form())
        assert _rules(workspace) == [(DAY + 5, MAX_DAY, (1,))]


def test_a_retracted_seal_change_makes_no_rule(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        with monkeypatch.context() as patch:
            patch.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
            gives(workspace, replace(seals(), from_day=DAY + 5))
            gives(workspace, retraction(0, 1, DAY))
        assert keep_seal_rules(workspace) == 0
