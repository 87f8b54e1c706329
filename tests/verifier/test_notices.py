"""Which notices of the trust data are believed (docs/spec/notices.md, "Believing a notice")."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noticebodies import old_form, retraction, seals
from simulator import DAY, World, flip, operator, signer

from mingzheng.log.entry import NoticeEntry, NoticeType, act_message, encode_entry, parse_entry
from mingzheng.log.noticebody import (
    MAX_NOTICES,
    ExtensionBody,
    Moves,
    NoticeBody,
    RetiredFormBody,
    encode_body,
)
from mingzheng.log.policy import QuorumNotMetError
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.errors import TrustUnusableError
from mingzheng.verifier.findings import Code, Severity
from mingzheng.verifier.library import load_policies
from mingzheng.verifier.notices import Notice, standing_on
from mingzheng.verifier.pipeline import verify_text

TWO = ("甲", "乙")


def reason_of(world: World, issuer: int = 1) -> str | None:
    """Why the issuer's notices are refused; None: they are believed."""
    return world.context(publish=False).notices_refused.get(issuer)


def believed(world: World) -> bool:
    """A form retired by notice is seen as such: the notice took effect."""
    report = verify_text(world.issue_one().text, world.context())
    return report.verdict is Code.FORM_RETIRED


# --- believed


def test_a_notice_takes_effect_and_is_cited() -> None:
    world = World()
    world.give_notice(old_form())
    report = verify_text(world.issue_one().text, world.context())
    assert report.verdict is Code.FORM_RETIRED
    (found,) = [item for item in report.findings if item.code is Code.FORM_RETIRED]
    assert found.evidence == {"template": 1, "until": "2026-05-31", "notice": 1}
    assert "第 1 号公告：某通知第三条" in found.rule
    assert "notice 1: 某通知第三条" in found.rule_en


def test_trust_data_without_notices_refuse_none() -> None:
    world = World()
    context = world.context()
    assert (dict(context.notices), dict(context.notices_refused)) == ({}, {})


def test_two_operators_where_the_issuer_has_operators() -> None:
    world = World()
    world.operators(*TWO)
    world.give_notice(old_form(), by=TWO)
    assert believed(world)


def test_one_operator_signs_for_an_issuer_without_a_second_only_before_it_had_operators() -> None:
    """`needs_two` counts from the first day of the first operator key."""
    world = World()
    world.operators(*TWO)
    for name in TWO:
        world.change_key(operator(name).public_key.kid, valid_from=DAY + 1)
    world.give_notice(old_form())
    assert believed(world)


def test_under_a_head_that_the_quorum_cosigned() -> None:
    world = World()
    world.demand("group g 2 w1 w2", quorum="g")
    world.cosign("w1", "w2")
    world.give_notice(old_form())
    assert reason_of(world) is None


def test_numbers_and_acts_rise_across_the_logs_of_an_issuer() -> None:
    world = World()
    world.give_notice(seals(), log=2)
    world.give_notice(old_form(2), log=1)
    assert believed(world)


def test_a_compromised_key_counts_below_its_last_good_size() -> None:
    world = World()
    world.give_notice(old_form())
    world.compromise(world.issuers[1].act_signer.public_key.kid, {1: 1})
    assert believed(world)


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
def test_one_refused_notice_blocks_every_credential_of_its_issuer_and_of_no_other(policy: str) -> None:
    world = World()
    world.give_notice(seals())
    world.give_notice(old_form(2))
    del world.blobs["notices/1-2.tlog-proof"]
    mine, other = world.issue_one(), world.issue_one(issuer=2)
    context = world.context(policy=policy)
    report = verify_text(mine.text, context)
    (found,) = [item for item in report.findings if item.code is Code.NOTICE_REFUSED]
    assert found.severity is Severity.BLOCKS
    assert found.evidence == {"issuer": 1, "reason": "verifier.notice_refused"}
    assert report.verdict is Code.CANNOT_DECIDE
    assert Code.NOTICE_REFUSED not in {item.code for item in verify_text(other.text, context).findings}
    assert verify_batch([mine.token, other.token], context) == (
        report.verdict,
        verify_text(other.text, context).verdict,
    )


def test_every_policy_blocks_refused_notices() -> None:
    assert {policy.severity(Code.NOTICE_REFUSED) for policy in load_policies().values()} == {Severity.BLOCKS}


def test_a_finding_worse_than_undecided_keeps_its_place() -> None:
    world = World()
    world.give_notice(old_form())
    del world.blobs["notices/1-1.cbor"]
    issued = world.issue_one(registered_until=DAY + 1, usage_until=DAY + 1)
    assert verify_text(issued.text, world.context(at=DAY + 2)).verdict is Code.REGISTRATION_EXPIRED


# --- refused: the chain


def _without(name: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.give_notice(old_form())
        del world.blobs[name]

    return change


def _gap(world: World) -> None:
    world.log_notice(world.notice_entry(old_form(2)), 2)


def _misnumbered(world: World) -> None:
    """The trust data give a notice another number than its body."""
    world.log_notice(world.notice_entry(old_form(2)), 1)


def _swapped(world: World) -> None:
    for number in (1, 2):
        world.give_notice(old_form(number))
    for ending in ("cbor", "tlog-proof"):
        one, two = f"notices/1-1.{ending}", f"notices/1-2.{ending}"
        world.blobs[one], world.blobs[two] = world.blobs[two], world.blobs[one]


def _acts_fall(world: World) -> None:
    world.log_notice(world.notice_entry(old_form(1), act_number=7), 1)
    world.log_notice(world.notice_entry(old_form(2), act_number=7), 2)


def _stranger(world: World) -> None:
    entry = world.notice_entry(old_form(), kid=signer("stranger").public_key.kid)
    world.log_notice(entry, 1)


def _resigned(world: World) -> None:
    entry = world.notice_entry(old_form())
    forged = signer("stranger").sign(act_message(entry, world.logs[1].name))
    world.log_notice(replace(entry, signature=forged), 1)


def _other_origin(world: World) -> None:
    """Signed for the second log, shown in the first."""
    world.log_notice(world.notice_entry(old_form(), log=2), 1)


def _other_role(world: World) -> None:
    key = world.issuers[1].status_signer
    entry = world.notice_entry(old_form(), kid=key.public_key.kid)
    world.log_notice(replace(entry, signature=key.sign(act_message(entry, world.logs[1].name))), 1)


def _unlogged(world: World) -> None:
    world.give_notice(old_form())
    world.blobs["notices/1-1.cbor"] = encode_entry(world.notice_entry(old_form(equal_until=DAY)))


def _flipped_proof(world: World) -> None:
    world.give_notice(old_form())
    name = "notices/1-1.tlog-proof"
    world.blobs[name] = flip(world.blobs[name], -3)


def _unknown_log(world: World) -> None:
    world.give_notice(old_form())
    world.logs[1].name = "log9.example.cn/mingzheng"


def _head_compromised(world: World) -> None:
    world.give_notice(old_form())
    world.compromise(world.logs[1].checkpoint_signer.public_key.kid, {})


def _head_later(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.logs[1].checkpoint_signer.public_key.kid, valid_from=DAY + 2)


def _key_later(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.issuers[1].act_signer.public_key.kid, valid_from=DAY + 1)


def _key_retired(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.issuers[1].act_signer.public_key.kid, retired_on=DAY - 1)


def _key_elsewhere(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.issuers[1].act_signer.public_key.kid, origins=frozenset({2}))


def _no_entry(world: World) -> None:
    world.give_notice(old_form())
    world.blobs["notices/1-1.cbor"] = b"\xff"


def _an_act(world: World) -> None:
    issued = world.issue_one()
    data = world.logs[1].entries[issued.index]
    world.blobs["notices/1-1.cbor"] = data
    world.blobs["notices/1-1.tlog-proof"] = world.logs[1].full_receipt(issued.index)


def _another_issuers(world: World) -> None:
    world.give_notice(old_form(), issuer=2)
    for ending in ("cbor", "tlog-proof"):
        world.blobs[f"notices/1-1.{ending}"] = world.blobs.pop(f"notices/2-1.{ending}")


def _quorum_missed(world: World) -> None:
    world.demand("group g 2 w1 w2", quorum="g")
    world.cosign("w1")
    world.give_notice(old_form())


def _kind_outside(world: World) -> None:
    world.give_notice(old_form(kinds=(1, 9)))


def _place_outside(world: World) -> None:
    world.give_notice(old_form(jurisdictions=(0, 44)))


def _one_operator(world: World) -> None:
    world.operators(*TWO)
    world.give_notice(old_form(), by=TWO[:1])


def _act_key(world: World) -> None:
    world.operators(*TWO)
    world.give_notice(old_form())


def _same_person(world: World) -> None:
    world.operators(*TWO)
    world.give_notice(old_form(), by=("甲", "甲"))


def _operators_gone(world: World) -> None:
    """A thief who takes the operators' keys back does not bring one person's notices back."""
    world.operators(*TWO)
    for name in TWO:
        world.change_key(operator(name).public_key.kid, retired_on=DAY - 100)
    world.give_notice(old_form())


def _first_out_of_scope(world: World) -> None:
    world.operators(*TWO)
    world.change_key(operator("甲").public_key.kid, kinds=frozenset({2}))
    world.give_notice(old_form(), by=TWO)


def _second_out_of_scope(world: World) -> None:
    world.operators(*TWO)
    world.change_key(operator("乙").public_key.kid, jurisdictions=frozenset({31}))
    world.give_notice(old_form(), by=TWO)


def _request_of_other_body(world: World) -> None:
    world.operators(*TWO)
    asked = world.notice_entry(old_form(equal_until=DAY), by=TWO).request
    world.log_notice(world.notice_entry(old_form(), by=TWO, request=asked), 1)


def _request_too_old(world: World) -> None:
    world.operators(*TWO)
    asked = world.notice_entry(old_form(), by=TWO).request
    world.now += 8 * 86_400
    world.log_notice(world.notice_entry(old_form(), by=TWO, request=asked), 1)


REFUSALS = {
    _without("notices/1-1.cbor"): "verifier.notice_refused",
    _without("notices/1-1.tlog-proof"): "verifier.notice_refused",
    _gap: "verifier.notice_refused",
    _misnumbered: "rule.notice_number",
    _swapped: "rule.notice_number",
    _acts_fall: "verifier.notice_refused",
    _stranger: "rule.unknown_key",
    _resigned: "rule.act_signature",
    _other_origin: "rule.act_signature",
    _other_role: "rule.unknown_key",
    _unlogged: "proof.root_mismatch",
    _flipped_proof: "",
    _unknown_log: "verifier.unknown_origin",
    _head_compromised: "verifier.notice_refused",
    _head_later: "verifier.notice_refused",
    _key_later: "rule.key_day",
    _key_retired: "rule.key_day",
    _key_elsewhere: "rule.unknown_key",
    _no_entry: "entry.malformed",
    _an_act: "verifier.notice_refused",
    _another_issuers: "verifier.notice_refused",
    _quorum_missed: QuorumNotMetError.code,
    _kind_outside: "verifier.notice_refused",
    _place_outside: "verifier.notice_refused",
    _one_operator: "rule.one_person",
    _act_key: "rule.one_person",
    _same_person: "rule.same_person",
    _operators_gone: "rule.one_person",
    _first_out_of_scope: "verifier.notice_refused",
    _second_out_of_scope: "verifier.notice_refused",
    _request_of_other_body: "rule.request_signature",
    _request_too_old: "rule.request_day",
}


@pytest.mark.parametrize(("change", "code"), REFUSALS.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_refuses(change: Callable[[World], None], code: str) -> None:
    world = World()
    change(world)
    reason = reason_of(world)
    assert reason is not None
    assert not code or reason == code
    assert not world.context(publish=False).notices_of(1).forms


def test_the_logs_own_day_may_differ_by_one() -> None:
    world = World()
    world.give_notice(old_form())
    world.change_key(world.logs[1].checkpoint_signer.public_key.kid, valid_from=DAY + 1)
    assert reason_of(world) is None


@pytest.mark.parametrize(
    "name",
    [
        *("notices/", "notices/1.cbor", "notices/1-0.cbor", "notices/0-1.cbor", "notices/01-1.cbor"),
        *("notices/1-1.json", "notices/1-１.cbor", "notices/1-1.cbor.cbor", "notices/1-100000.cbor", "notices/x"),
        "forms.json",  # what retired forms before notices did: it would retire nothing
    ],
)
def test_a_name_that_is_none_makes_the_trust_data_unusable(name: str) -> None:
    """Else a notice under another spelling could hide."""
    world = World()
    source = world.source()
    data = replace(source.data, blobs={**source.data.blobs, name: b""})
    with pytest.raises(TrustUnusableError):
        world_context(world, replace(source, data=data))


def world_context(world: World, source: object) -> object:
    """A context over changed trust data."""
    world.source = lambda: source  # type: ignore[assignment,return-value,method-assign]
    return world.context(publish=False)


def test_no_more_notices_than_are_read() -> None:
    world = World()
    for number in range(1, MAX_NOTICES + 2):
        world.blobs |= {f"notices/1-{number}.cbor": b"\xff", f"notices/1-{number}.tlog-proof": b""}
    assert reason_of(world) == "verifier.notice_refused"
    for ending in ("cbor", "tlog-proof"):
        del world.blobs[f"notices/1-{MAX_NOTICES + 1}.{ending}"]
    assert reason_of(world) == "entry.malformed"  # all are looked at, the first fails


@pytest.mark.parametrize(
    "body", [b"", b"\x80", b"\x81\x02", encode_body(old_form()) + b"\x00", encode_body(seals()), b"\xbf"]
)
def test_hostile_bodies_are_refused(body: bytes) -> None:
    world = World()
    key = world.issuers[1].act_signer
    entry = replace(world.notice_entry(old_form()), body=body)
    entry = replace(entry, signature=key.sign(act_message(entry, world.logs[1].name)))
    world.log_notice(entry, 1)
    assert reason_of(world) == "rule.notice_body"


@given(position=st.integers(0, 400), bit=st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_a_flipped_bit_in_entry_or_proof_is_never_believed(position: int, bit: int) -> None:
    world = World()
    world.give_notice(old_form())
    for name in ("notices/1-1.cbor", "notices/1-1.tlog-proof"):
        good = world.blobs[name]
        world.blobs[name] = flip(good, position % len(good), bit)
        assert reason_of(world) is not None
        world.blobs[name] = good
    assert reason_of(world) is None


@given(data=st.binary(max_size=200))
@settings(max_examples=25, deadline=None)
def test_any_bytes_as_an_entry_refuse_and_never_raise(data: bytes) -> None:
    world = World()
    world.blobs["notices/1-1.cbor"] = data
    world.blobs["notices/1-1.tlog-proof"] = data
    assert reason_of(world) is not None


def test_an_issuer_that_is_not_in_the_trust_data_harms_nobody() -> None:
    world = World()
    world.blobs["notices/9-1.cbor"] = b""
    assert set(world.context().notices_refused) == {9}
    assert Code.NOTICE_REFUSED not in {f.code for f in verify_text(world.issue_one().text, world.context()).findings}


# --- standing


def notice(body: NoticeBody, *, day: int = DAY) -> Notice:
    return Notice(issuer=1, number=body.number, act_number=body.number, day=day, body=body)


def forms_on(day: int, *bodies: NoticeBody) -> list[int]:
    found = standing_on([notice(body) for body in bodies], day).forms
    return sorted(item.number for items in found.values() for item, _ in items)


def test_a_retraction_ends_a_notice_from_its_day_on() -> None:
    bodies = (old_form(1), retraction(2, 1, DAY + 5))
    assert forms_on(DAY + 4, *bodies) == [1]
    assert forms_on(DAY + 5, *bodies) == []


def test_a_retracted_retraction_brings_the_notice_back() -> None:
    bodies = (old_form(1), retraction(2, 1, DAY + 5), retraction(3, 2, DAY + 9))
    assert [forms_on(DAY + step, *bodies) for step in (4, 5, 8, 9)] == [[1], [], [], [1]]


def test_two_retractions_of_one_notice_hold_each_for_itself() -> None:
    bodies = (old_form(1), retraction(2, 1, DAY + 5), retraction(3, 1, DAY + 7), retraction(4, 2, DAY + 6))
    assert [forms_on(DAY + step, *bodies) for step in (4, 5, 6, 7)] == [[1], [], [1], []]


def _any_notice(number: int) -> st.SearchStrategy[NoticeBody]:
    days = st.integers(DAY - 5, DAY + 5)
    kinds = st.sampled_from([(1,), (1, 2), (2,)])
    forms = st.builds(
        RetiredFormBody,
        number=st.just(number),
        citation=st.just("某"),
        jurisdictions=st.just((0,)),
        kinds=kinds,
        template=st.integers(1, 2),
        equal_until=st.none() | days,
        paper=st.booleans(),
    )
    extensions = st.builds(
        lambda first, span, more, **rest: ExtensionBody(
            first_end=first, last_end=first + span, new_end=first + span + more, **rest
        ),
        first=days,
        span=st.integers(0, 4),
        more=st.integers(1, 6),
        number=st.just(number),
        citation=st.just("某"),
        jurisdictions=st.just((0,)),
        kinds=kinds,
        effective_day=days,
        moves=st.sampled_from(Moves),
        revives=st.booleans(),
    )
    found: st.SearchStrategy[NoticeBody] = forms | extensions
    if number > 1:
        found |= st.builds(retraction, st.just(number), st.integers(1, number - 1), days)
    return found


@given(data=st.data(), many=st.integers(1, 6), day=st.integers(DAY - 6, DAY + 6))
@settings(max_examples=100, deadline=None)
def test_order_of_notices_does_not_matter_beyond_their_numbers(data: st.DataObject, many: int, day: int) -> None:
    notices = [notice(data.draw(_any_notice(number))) for number in range(1, many + 1)]
    shuffled = data.draw(st.permutations(notices))
    assert standing_on(notices, day) == standing_on(shuffled, day)


@given(data=st.data(), many=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_any_body_that_can_be_written_is_believed_and_judged(data: st.DataObject, many: int) -> None:
    world = World()
    for number in range(1, many + 1):
        world.give_notice(data.draw(_any_notice(number)))
    context = world.context()
    assert not context.notices_refused
    assert verify_text(world.issue_one().text, context).verdict in {Code.VALID_COMPARE, Code.FORM_RETIRED}


def test_types_of_notice_are_all_read() -> None:
    world = World()
    extension = ExtensionBody(
        number=3,
        citation="延期",
        jurisdictions=(0,),
        kinds=(1,),
        effective_day=DAY,
        first_end=DAY,
        last_end=DAY,
        new_end=DAY + 1,
        moves=Moves.REGISTRATION,
        revives=False,
    )
    entries = [world.give_notice(body) for body in (seals(1), old_form(2), extension, retraction(4, 3, DAY))]
    assert {entry.notice for entry in entries} == set(NoticeType)
    assert all(isinstance(parse_entry(encode_entry(entry)), NoticeEntry) for entry in entries)
    standing = world.context().notices_of(1)
    assert (len(standing.forms), len(standing.extensions)) == (1, 0)
