"""The chain behind a status list, link by link; the clock floor; the settings."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from simulator import DAY, HOUR, World, flip, noon, signer

from mingzheng.keys.trust import Role
from mingzheng.log.entry import OriginHead, encode_entry
from mingzheng.log.status import sign_status_list, status_entry, status_from_events
from mingzheng.verifier import context as context_module
from mingzheng.verifier.context import Expectations, Judging, build_context
from mingzheng.verifier.errors import SettingError, TrustUnusableError
from mingzheng.verifier.findings import Code
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import verify_text

LIST, PROOF = "status/1.cbor", "status/1.tlog-proof"


def _world() -> World:
    world = World()
    world.issue_one()
    world.publish_status()
    return world


def _relisted(world: World, **changes: object) -> None:
    """Publish a list of issuer 1 with other fields or another signer, properly logged."""
    key = changes.pop("signer", world.issuers[1].status_signer)
    body = status_from_events(
        world.issuers[1].states,
        issuer=1,
        this_update=world.now,
        next_update=world.now + HOUR,
        origins=[log.head() for log in world.logs.values()],
    )
    body = replace(body, **changes)  # type: ignore[arg-type]
    (index,) = world.logs[1].append([encode_entry(status_entry(body))], now=world.now)
    world.blobs[LIST] = sign_status_list(body, key)  # type: ignore[arg-type]
    world.blobs[PROOF] = world.logs[1].full_receipt(index)


def _another_entry(world: World) -> None:
    world.blobs[PROOF] = world.logs[1].full_receipt(0)


def _another_list(world: World) -> None:
    world.blobs[LIST] = world.blobs["status/2.cbor"]
    world.blobs[PROOF] = world.blobs["status/2.tlog-proof"]


def _another_log(world: World) -> None:
    """Logged in a log that the status key does not name."""
    world.change_key(world.issuers[1].status_signer.public_key.kid, origins=frozenset({2}))


def _status_key(**changes: object) -> Callable[[World], None]:
    return lambda world: world.change_key(world.issuers[1].status_signer.public_key.kid, **changes)


def _heads(world: World) -> tuple[OriginHead, ...]:
    return tuple(log.head() for log in world.logs.values())


REFUSED = "verifier.status_refused"
BREAKS: dict[str, tuple[Callable[[World], None], str]] = {
    "no receipt": (lambda w: w.blobs.pop(PROOF) and None, "verifier.status_refused"),
    "receipt is no receipt": (lambda w: w.blobs.update({PROOF: b"x"}), "receipt.malformed"),
    "receipt of another entry": (_another_entry, "proof.root_mismatch"),
    "list cut": (lambda w: w.blobs.update({LIST: w.blobs[LIST][:-1]}), "status.malformed"),
    "list signature changed": (lambda w: w.blobs.update({LIST: flip(w.blobs[LIST], -1)}), "status.forged"),
    "list of another issuer": (_another_list, "status.forged"),
    "body names another issuer": (lambda w: _relisted(w, issuer=2), "verifier.status_refused"),
    "signed by the credential key": (
        lambda w: _relisted(w, signer=w.issuers[1].credential_signer),
        "status.forged",
    ),
    "signed by a stranger": (lambda w: _relisted(w, signer=signer("stranger")), "status.forged"),
    "a log the key does not name": (_another_log, "verifier.status_refused"),
    "status key compromised": (_status_key(compromised={1: 1_000}), "verifier.status_refused"),
    "status key retired before": (_status_key(retired_on=DAY - 1), "verifier.status_refused"),
    "status key not yet valid": (_status_key(valid_from=DAY + 1), "verifier.status_refused"),
    "checkpoint key compromised": (
        lambda w: w.compromise(w.logs[1].checkpoint_signer.public_key.kid, {1: 9}),
        "verifier.status_refused",
    ),
    "checkpoint key retired before": (
        lambda w: w.change_key(w.logs[1].checkpoint_signer.public_key.kid, retired_on=DAY - 1),
        "verifier.status_refused",
    ),
    "an unknown log": (
        lambda w: _relisted(w, origins=(*_heads(w), OriginHead(9999, 3, w.logs[1].head().root))),
        REFUSED,
    ),
    "a log the key may not log in": (_status_key(origins=frozenset({1})), REFUSED),
    "the proving log not named": (lambda w: _relisted(w, origins=_heads(w)[1:]), REFUSED),
    "a size beyond the entry": (
        lambda w: _relisted(w, origins=(_heads(w)[0]._replace(size=w.logs[1].size + 1), _heads(w)[1])),
        REFUSED,
    ),
    "a list that holds for more than a day": (lambda w: _relisted(w, next_update=w.now + 86_401), REFUSED),
    "quorum demanded": (lambda w: w.demand(quorum="w1"), "witness.quorum_not_met"),
}


def test_a_good_list_is_believed() -> None:
    context = _world().context(publish=False)
    assert set(context.statuses) == {1, 2}
    assert not context.refused


@pytest.mark.parametrize("name", BREAKS)
def test_a_list_with_a_missing_link_is_refused_and_named(name: str) -> None:
    world = _world()
    change, code = BREAKS[name]
    change(world)
    context = world.context(publish=False)
    assert 1 not in context.statuses
    assert context.refused[1] == code
    report = verify_text(world.issue_one().text, context)
    assert report.verdict is Code.CANNOT_DECIDE
    finding = next(item for item in report.findings if item.code is Code.STATUS_REFUSED)
    assert finding.evidence == {"issuer": 1, "reason": code}


@pytest.mark.parametrize(("lag", "believed"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_list_may_lie_one_round_below_its_entry_and_no_more(
    monkeypatch: pytest.MonkeyPatch, lag: int, believed: bool
) -> None:
    monkeypatch.setattr(context_module, "MAX_STATUS_LAG", 2)
    world = _world()
    heads = _heads(world)
    _relisted(world, origins=(heads[0]._replace(size=heads[0].size - lag), heads[1]))
    assert (1 in world.context(publish=False).statuses) is believed


def test_a_checkpoint_key_still_vouches_for_what_was_logged_in_its_days() -> None:
    world = _world()
    world.change_key(world.logs[1].checkpoint_signer.public_key.kid, retired_on=DAY)
    assert set(world.context(publish=False).statuses) == {1, 2}


def test_a_list_under_an_unknown_log_is_refused() -> None:
    world = _world()
    world.logs[1].name = "elsewhere.example/log"
    context = world.context(publish=False)
    assert context.refused[1] == "verifier.unknown_origin"


def test_without_a_checkpoint_key_of_the_origin_the_list_is_refused() -> None:
    world = _world()
    source = world.source()
    keys = {kid: key for kid, key in source.data.keys.items() if key.role is not Role.CHECKPOINT}
    context = build_context(
        replace(source, data=replace(source.data, keys=keys)),
        judging=Judging(now=world.now, at=None, policy=load_policies()["bid"]),
        expect=Expectations(),
        messages=load_messages(),
    )
    assert context.refused[1] == "verifier.unknown_origin"


def test_clock_floor_is_the_latest_time_in_the_trust_data() -> None:
    world = _world()
    assert world.context(publish=False).clock_floor == noon(DAY)
    _relisted(world, this_update=world.now + 3 * HOUR, next_update=world.now + 4 * HOUR)
    context = world.context(publish=False, now=world.now + HOUR)
    assert context.clock_floor == world.now + 3 * HOUR
    assert Code.CLOCK_SUSPECT in {item.code for item in verify_text(world.issue_one().text, context).findings}


def test_a_refused_list_does_not_move_the_floor() -> None:
    world = _world()
    _relisted(world, this_update=world.now + 3 * HOUR, next_update=world.now + 4 * HOUR, signer=signer("stranger"))
    assert world.context(publish=False).clock_floor == noon(DAY)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "G" + "0" * 63, "A" * 64, "٠" * 64])
def test_a_fingerprint_is_64_hexadecimal_digits(text: str) -> None:
    with pytest.raises(SettingError):
        _world().context(expect=Expectations(trust_fingerprint=text))


@pytest.mark.parametrize("name", ["profiles/x.toml", "notices/x.cbor"])
def test_rules_that_cannot_be_read_make_the_trust_data_unusable(name: str) -> None:
    world = _world()
    world.blobs[name] = b"= nonsense"
    with pytest.raises(TrustUnusableError):
        world.context(publish=False)


def test_judging_day_defaults_to_the_civil_day_of_the_clock() -> None:
    world = _world()
    assert world.context(publish=False).day == DAY
    assert world.context(publish=False, now=noon(DAY) + 12 * HOUR).day == DAY + 1
    assert world.context(publish=False, at=DAY - 300).day == DAY - 300
