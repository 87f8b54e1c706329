"""Notices of a compromised key: void, numbered, and no way to switch an issuer off (docs/spec/notices.md, "Void")."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from noticebodies import extension, old_form, retraction, seals
from simulator import DAY, World, operator

from mingzheng.log.entry import act_message
from mingzheng.log.noticebody import NoticeBody
from mingzheng.log.policy import QuorumNotMetError
from mingzheng.verifier.findings import Code
from mingzheng.verifier.notices import IssuerNotices, Notice, standing_on
from mingzheng.verifier.pipeline import verify_text

TWO = ("甲", "乙")
NOTHING = IssuerNotices()


def stolen(world: World, good_size: int) -> None:
    world.compromise(world.issuers[1].act_signer.public_key.kid, {1: good_size})


def reason_of(world: World) -> str | None:
    return world.context(publish=False).notices_refused.get(1)


def standing(world: World) -> IssuerNotices:
    context = world.context(publish=False)
    assert not context.notices_refused
    return context.notices_of(1)


@pytest.mark.parametrize("body", [old_form(), extension(), seals()], ids=lambda body: type(body).__name__)
def test_a_notice_of_a_stolen_act_key_does_nothing_and_harms_no_certificate(body: NoticeBody) -> None:
    world = World()
    world.give_notice(body)
    stolen(world, 0)
    report = verify_text(world.issue_one().text, world.context())
    assert report.verdict is Code.VALID_COMPARE
    assert not {Code.NOTICE_REFUSED, Code.FORM_RETIRED, Code.REGISTRATION_EXTENDED} & {f.code for f in report.findings}
    assert standing(world) == NOTHING


@pytest.mark.parametrize("lost", [{"甲"}, {"乙"}, {"甲", "乙"}], ids=sorted)
def test_of_two_operators_either_stolen_key_is_enough(lost: set[str]) -> None:
    world = World()
    world.operators(*TWO)
    world.give_notice(old_form(), by=TWO)
    for name in lost:
        world.compromise(operator(name).public_key.kid, {1: 0})
    assert standing(world) == NOTHING


@pytest.mark.parametrize(("above", "counts"), [(0, False), (1, True)])
def test_the_border_is_the_good_size(above: int, counts: bool) -> None:
    world = World()
    index = world.log_notice(world.notice_entry(old_form()), 1)
    stolen(world, index + above)
    assert bool(standing(world).forms) is counts


def test_it_holds_its_number_and_what_comes_after_it_counts() -> None:
    """Given again by a new key, under the next number."""
    world = World()
    world.operators(*TWO)
    world.give_notice(old_form(1), by=TWO)
    world.give_notice(old_form(2, equal_until=DAY + 9), by=("丙", "丁"))
    world.operators("丙", "丁")
    for name in TWO:
        world.compromise(operator(name).public_key.kid, {1: 0})
    assert [notice.number for notice, _ in standing(world).forms[1]] == [2]
    for ending in ("cbor", "tlog-proof"):
        del world.blobs[f"notices/1-1.{ending}"]
    assert reason_of(world) == "verifier.notice_refused"  # a void one may not be left out either


def test_a_void_retraction_retracts_nothing() -> None:
    world = World()
    world.give_notice(old_form(1))
    index = world.log_notice(world.notice_entry(retraction(2, 1, DAY)), 2)
    assert not standing(world).forms
    stolen(world, index)
    assert [notice.number for notice, _ in standing(world).forms[1]] == [1]


def test_a_retraction_of_a_void_notice_is_harmless() -> None:
    notices = [
        Notice(issuer=1, number=1, act_number=1, day=DAY, body=old_form(1), void=True),
        Notice(issuer=1, number=2, act_number=2, day=DAY, body=retraction(2, 1, DAY)),
        Notice(issuer=1, number=3, act_number=3, day=DAY, body=old_form(3)),
        Notice(issuer=1, number=4, act_number=4, day=DAY, body=retraction(4, 2, DAY)),  # brings no void one back
    ]
    assert [notice.number for notice, _ in standing_on(notices, DAY).forms[1]] == [3]


@pytest.mark.parametrize(
    ("bodies", "void", "stands"),
    [
        ((extension(1), old_form(2)), {2}, [1]),
        ((extension(1), retraction(2, 1, DAY + 5)), {2}, [1]),
        ((extension(1), retraction(2, 1, DAY + 5), retraction(3, 1, DAY + 9)), {2}, []),
        ((extension(1), retraction(2, 1, DAY), extension(3)), {1}, [3]),
    ],
)
def test_the_table_of_the_specification(bodies: tuple[NoticeBody, ...], void: set[int], stands: list[int]) -> None:
    notices = [
        Notice(issuer=1, number=body.number, act_number=body.number, day=DAY, body=body, void=body.number in void)
        for body in bodies
    ]
    found = standing_on(notices, DAY + 9)
    numbers = [item.notice.number for item in found.extensions]
    assert numbers + [notice.number for items in found.forms.values() for notice, _ in items] == stands


def test_a_key_without_a_size_for_this_log_counts_for_nothing_there() -> None:
    world = World()
    world.give_notice(old_form())
    world.compromise(world.issuers[1].act_signer.public_key.kid, {2: 99})
    assert standing(world) == NOTHING


# --- any other fault still refuses all


def _forged(world: World) -> None:
    entry = world.notice_entry(old_form())
    forged = operator("甲").sign(act_message(entry, world.logs[1].name))
    world.log_notice(replace(entry, signature=forged), 1)


def _of_another_day(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.issuers[1].act_signer.public_key.kid, valid_from=DAY + 1)


def _of_another_log(world: World) -> None:
    world.give_notice(old_form())
    world.change_key(world.issuers[1].act_signer.public_key.kid, origins=frozenset({2}))


def _by_one_person(world: World) -> None:
    world.operators(*TWO)
    world.give_notice(old_form())


def _misnumbered(world: World) -> None:
    world.log_notice(world.notice_entry(old_form(2)), 1)


def _out_of_scope(world: World) -> None:
    world.give_notice(old_form(kinds=(1, 9)))


def _without_receipt(world: World) -> None:
    world.give_notice(old_form())
    del world.blobs["notices/1-1.tlog-proof"]


def _acts_fall(world: World) -> None:
    world.log_notice(world.notice_entry(old_form(1), act_number=7), 1)
    world.log_notice(world.notice_entry(old_form(2), act_number=7), 2)


def _unwitnessed(world: World) -> None:
    world.demand("group g 2 w1 w2", quorum="g")
    world.cosign("w1")
    world.give_notice(old_form())


def _under_a_compromised_head(world: World) -> None:
    world.give_notice(old_form())
    world.compromise(world.logs[1].checkpoint_signer.public_key.kid, {})


STILL: Mapping[Callable[[World], None], str] = {
    _forged: "rule.act_signature",
    _of_another_day: "rule.key_day",
    _of_another_log: "rule.unknown_key",
    _by_one_person: "rule.one_person",
    _misnumbered: "rule.notice_number",
    _out_of_scope: "verifier.notice_refused",
    _without_receipt: "verifier.notice_refused",
    _acts_fall: "verifier.notice_refused",
    _unwitnessed: QuorumNotMetError.code,
    _under_a_compromised_head: "verifier.notice_refused",
}


@pytest.mark.parametrize(("change", "code"), STILL.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_a_compromised_key_excuses_no_other_fault(change: Callable[[World], None], code: str) -> None:
    world = World()
    change(world)
    stolen(world, 0)
    assert reason_of(world) == code
    assert not world.context(publish=False).notices_of(1).forms
