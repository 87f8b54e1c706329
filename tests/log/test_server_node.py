"""The server without its socket: forgeries, replays, paths out of the directory, scope, shares, answers."""

import asyncio
import base64
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import FULL
from logworld import CREDENTIAL, DAY, NAME, NOW, RECEIPT, act, issue, notice, signer
from serverworld import (
    STRANGER,
    SUBMIT,
    SUBMIT_2,
    SUBMIT_P256,
    Served,
    plain,
    posted,
    said,
    served,
    signed_request,
    submit_record,
    with_header,
)

import mingzheng.log.client as client
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.entry import CloseEntry, LandmarkEntry, OriginHead, TimeEntry, encode_entry
from mingzheng.log.hashing import EMPTY_ROOT, leaf_hash
from mingzheng.log.receipt import parse_compact_receipt, verify_compact_receipt
from mingzheng.log.servererrors import TooManyError
from mingzheng.log.servergate import Buckets, GateLimits, Share
from mingzheng.log.servernode import HttpRequest, Reply
from mingzheng.log.tile import encode_bundle

FORGED = 10_000 if FULL else 120
PATHS = 500


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as node:
        yield node


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("filled")) as node:
        assert node.post(*(issue(serial) for serial in range(256))).status == 200
        assert node.post(issue(256)).status == 200
        yield node


def _is(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.code, said(reply)["code"]) == (status, code, code), reply


# --- writing


@pytest.mark.parametrize("key", [SUBMIT, SUBMIT_P256], ids=["ed25519", "p256"])
def test_an_answer_is_index_and_receipt_under_the_published_checkpoint(node: Served, key: Any) -> None:
    entries = [issue(serial) for serial in range(5)]
    reply = node.post(*entries, key=key)
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
    log = node.world.root / "log"
    assert (log / "public" / "checkpoint").read_bytes().startswith(f"{NAME}\n6\n".encode())
    for place, (entry, row) in enumerate(zip(entries, said(reply)["entries"], strict=True)):
        assert row["index"] == place
        receipt = parse_compact_receipt(base64.b64decode(row["receipt"]))
        verify_compact_receipt(receipt, leaf_hash(entry), key=RECEIPT.public_key, block_height=4)
        assert receipt.index == place


def test_the_same_entry_gives_the_same_answer_whoever_asks_again_and_when(node: Served) -> None:
    request = posted(issue(0))
    first = node.ask(request)
    assert node.ask(request) == first
    assert node.post(issue(0)) == first
    assert node.post(issue(0), key=SUBMIT_P256) == first
    node.sequencing.stop()
    again = Served(node.world, clock=node.clock).start()
    try:
        assert again.ask(request) == first
        assert again.post(issue(0)) == first
        assert said(again.post(issue(1), issue(0)))["entries"][1] == said(first)["entries"][0]
    finally:
        again.sequencing.stop()


def test_a_nonce_stands_for_one_request_of_a_key(node: Served) -> None:
    nonce = "n" * 20
    first = node.post(issue(0), nonce=nonce)
    assert node.post(issue(0), nonce=nonce, created=NOW + 5) == first
    _is(node.post(issue(1), nonce=nonce), 409, "submit.nonce_reused")
    assert node.post(issue(1), nonce=nonce, key=SUBMIT_P256).status == 200


def test_answers_kept_for_twins_are_bounded_and_the_log_gives_the_same_again(tmp_path: Path) -> None:
    with served(tmp_path, gate_limits=GateLimits(address=None, answered=4)) as node:
        requests = [posted(issue(2 * serial), issue(2 * serial + 1)) for serial in range(4)]
        answers = [node.ask(request) for request in requests]
        assert [node.ask(request) for request in requests] == answers
        nonces = node.node._writing.nonces  # type: ignore[union-attr]
        assert (len(nonces._seen), len(nonces._answers), nonces._room) == (4, 2, 0)
        nonce = requests[0].headers["signature-input"].split('nonce="')[1].split('"')[0]
        _is(node.post(issue(9), nonce=nonce), 409, "submit.nonce_reused")


def test_a_refused_request_may_be_asked_again_under_its_nonce(node: Served) -> None:
    nonce = "n" * 20
    _is(node.post(act(0, ActType.REVOKE, [0]), nonce=nonce), 422, "log.submission_refused")
    assert node.post(issue(0)).status == 200
    assert node.post(act(0, ActType.REVOKE, [0]), nonce=nonce).status == 200


def test_nonces_are_forgotten_when_their_time_is_over(tmp_path: Path) -> None:
    with served(tmp_path) as node:
        nonce = "n" * 20
        node.post(issue(0), nonce=nonce)
        node.clock.seconds += 700
        node.post(issue(1), created=node.clock.seconds)
        assert node.post(issue(2), nonce=nonce, created=node.clock.seconds).status == 200


def test_forged_and_replayed_requests_append_nothing(node: Served) -> None:
    """Most forgeries start from a good request; replays are good ones again, and give what they gave."""
    chance = random.Random(11)
    good = [posted(issue(serial)) for serial in range(8)]
    answers = [node.ask(request) for request in good]
    size = (node.world.public / "checkpoint").read_bytes()

    async def attack() -> dict[str, int]:
        counts = {"forged": 0, "replayed": 0}
        for _ in range(FORGED):
            at = chance.randrange(len(good))
            if chance.random() < 0.2:
                assert await node.node.handle(good[at]) == answers[at]
                counts["replayed"] += 1
                continue
            reply = await node.node.handle(_forged(chance, good[at]))
            assert reply.status in (400, 403, 415), reply
            counts["forged"] += 1
        return counts

    counts = asyncio.run(attack())
    print(f"forged {counts['forged']}, replayed {counts['replayed']}: nothing appended")
    assert (node.world.public / "checkpoint").read_bytes() == size


def _forged(chance: random.Random, request: HttpRequest) -> HttpRequest:
    """One of twelve kinds of forgery."""
    headers = dict(request.headers)
    serial = chance.randrange(1_000, 2_000)
    match chance.randrange(12):
        case 0:  # a stranger's key
            return posted(issue(serial), key=STRANGER)
        case 1:  # a key with another role
            return posted(issue(serial), key=chance.choice([CREDENTIAL, signer("act"), signer("checkpoint")]))
        case 2:  # a stranger under a known kid
            made = posted(issue(serial), key=STRANGER)
            text = made.headers["signature-input"].replace(STRANGER.public_key.kid.hex(), SUBMIT.public_key.kid.hex())
            return with_header(made, "signature-input", text)
        case 3:  # another body under old headers
            return replace(request, body=encode_bundle([issue(serial)]))
        case 4:  # another body, with its digest
            digest = posted(issue(serial)).headers["content-digest"]
            return with_header(replace(request, body=encode_bundle([issue(serial)])), "content-digest", digest)
        case 5:  # another log
            return posted(issue(serial), origin=chance.choice([NAME + "/", "log.example.cn", "日志"]))
        case 6:  # too old, or from the future
            return posted(issue(serial), created=NOW + chance.choice([-301, 301, -86_400, 86_400]))
        case 7:  # a later time written in
            text = headers["signature-input"].replace(f"created={NOW}", f"created={NOW + chance.randrange(1, 200)}")
            return with_header(request, "signature-input", text)
        case 8:  # a new nonce written in
            nonce = "".join(chance.choices("abcdefgh", k=20))
            text = headers["signature-input"].split('nonce="')[0] + f'nonce="{nonce}"' + _after_nonce(headers)
            return with_header(request, "signature-input", text)
        case 9:  # a bit of the signature
            raw = bytearray(headers["signature"].encode())
            raw[chance.randrange(12, 90)] ^= 1 << chance.randrange(5)
            return with_header(request, "signature", raw.decode("latin-1"))
        case 10:  # a header missing
            return with_header(request, chance.choice(sorted(headers)), None)
    return posted(issue(serial, issuer=1), key=SUBMIT_2)  # the key of another issuer


def _after_nonce(headers: dict[str, str]) -> str:
    return headers["signature-input"].split('nonce="')[1].split('"', 1)[1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": Role.ACT}, "submit.unknown_key"),
        ({"role": Role.OPERATOR}, "submit.unknown_key"),
        ({"compromised": {7: 10**9}}, "submit.not_allowed"),
        ({"retired_on": DAY - 1}, "submit.not_allowed"),
        ({"valid_from": DAY + 1}, "submit.not_allowed"),
        ({"valid_until": DAY - 1}, "submit.not_allowed"),
        ({"origins": frozenset({8})}, "submit.not_allowed"),
        ({"issuer": 2}, "submit.not_allowed"),
    ],
)
def test_the_record_of_the_key_says_what_it_may(node: Served, changes: dict[str, Any], code: str) -> None:
    node.records[SUBMIT.public_key.kid] = submit_record(SUBMIT, **changes)
    _is(node.post(issue(0)), 403, code)
    del node.records[SUBMIT.public_key.kid]
    _is(node.post(issue(0)), 403, "submit.unknown_key")


def test_only_entries_of_the_own_issuer_and_none_of_the_operator(node: Served) -> None:
    landmark = LandmarkEntry(
        origins=(OriginHead(7, 0, EMPTY_ROOT),), this_update=NOW, next_update=NOW + 1, sha256=bytes(32)
    )
    _is(node.post(encode_entry(landmark)), 403, "submit.not_allowed")
    _is(node.post(issue(0), issue(1, issuer=2)), 403, "submit.not_allowed")
    reply = node.post(issue(0), encode_entry(TimeEntry(seconds=NOW)))
    _is(reply, 422, "log.submission_refused")
    assert (said(reply)["position"], said(reply)["reason"]) == (1, "log.not_submittable")
    reply = node.post(issue(0), b"\x80")
    assert (reply.status, said(reply)["position"], said(reply)["reason"]) == (422, 1, "entry.malformed")
    assert node.post(issue(0), notice(0)).status == 200


def test_a_key_of_the_log_s_own_submits_its_landmarks_and_nothing_else(node: Served) -> None:
    node.records[SUBMIT.public_key.kid] = submit_record(SUBMIT, issuer=0)
    landmark = LandmarkEntry(
        origins=(OriginHead(7, 0, EMPTY_ROOT),), this_update=NOW, next_update=NOW + 1, sha256=bytes(32)
    )
    for other in (issue(0), notice(0), encode_entry(CloseEntry(successor=8))):
        _is(node.post(other), 403, "submit.not_allowed")
        _is(node.post(encode_entry(landmark), other), 403, "submit.not_allowed")
    assert node.post(encode_entry(landmark)).status == 200
    wrong = replace(landmark, origins=(OriginHead(7, 2, EMPTY_ROOT),))
    reply = node.post(encode_entry(wrong))
    assert (reply.status, said(reply)["reason"]) == (422, "rule.wrong_head")


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0\1", b"\0\3ab", encode_bundle([issue(0)]) + b"\0", b"\0\0" * 257, b"\xff\xff" + bytes(9)]
)
def test_a_body_that_is_no_bundle_is_refused(node: Served, body: bytes) -> None:
    _is(node.ask(signed_request("POST", "/v1/entries", body)), 400, "server.bad_request")


def test_limits_of_a_body(node: Served) -> None:
    assert node.post(*(issue(serial) for serial in range(256))).status == 200
    _is(node.post(*[bytes(40_000)] * 7), 413, "server.too_large")
    for name, value in (("content-encoding", "gzip"), ("content-type", "application/json"), ("content-type", None)):
        _is(node.ask(with_header(posted(issue(0)), name, value)), 415, "server.media_refused")


def test_what_the_log_says_of_an_issuer(filled: Served) -> None:
    assert said(filled.ask(signed_request("GET", "/v1/issuers/1"))) == {
        "issuer": 1,
        "next_act": 0,
        "next_notice": 1,
        "next_serial": 257,
        "size": 260,
    }
    assert said(filled.ask(signed_request("GET", "/v1/issuers/1/serials/256"))) == {"index": 258}
    assert said(filled.ask(signed_request("GET", "/v1/issuers/1/serials/257"))) == {"index": None}
    _is(filled.ask(signed_request("GET", "/v1/issuers/2")), 403, "submit.not_allowed")
    _is(filled.ask(plain("/v1/issuers/1")), 400, "submit.malformed")
    _is(filled.ask(signed_request("POST", "/v1/issuers/1")), 405, "server.method_refused")
    _is(filled.ask(signed_request("GET", "/v1/issuers/70000000")), 404, "server.not_found")


# --- shares


def test_a_key_has_a_share_of_entries(tmp_path: Path) -> None:
    with served(tmp_path, gate_limits=GateLimits(key=Share(per_second=10, burst=20), address=None)) as node:
        assert node.post(*(issue(serial) for serial in range(20))).status == 200
        reply = node.post(issue(20), issue(21))
        _is(reply, 429, "server.too_many")
        assert reply.headers["Retry-After"] == "1"
        node.clock.ticks += 0.3
        assert node.post(issue(20), issue(21)).status == 200


def test_a_server_that_lags_or_is_full_refuses_before_it_verifies_or_promises(tmp_path: Path) -> None:
    """Nothing is charged, remembered or queued: the same request is good a moment later."""
    limits = GateLimits(key=Share(per_second=0.001, burst=1), address=Share(per_second=0.001, burst=1))
    with served(tmp_path, gate_limits=limits) as node:
        request = posted(issue(0))
        node.node.lag_seconds = 2.1
        for asked in (request, posted(issue(1), key=STRANGER)):
            reply = node.ask(asked)
            _is(reply, 503, "server.busy")
            assert reply.headers["Retry-After"] == "1"
        node.node.lag_seconds = 2.0
        node.sequencing._waiting_entries = node.limits.entries
        for asked in (request, posted(issue(1), key=STRANGER)):
            _is(node.ask(asked), 503, "server.busy")
        _is(node.get("/readyz"), 503, "server.busy")
        node.sequencing._waiting_entries = 0
        assert node.ask(request).status == 200


def test_failed_authentications_are_counted_by_address(tmp_path: Path) -> None:
    with served(tmp_path, gate_limits=GateLimits(address=Share(per_second=1, burst=3))) as node:
        codes = [node.post(issue(0), key=STRANGER).code for _ in range(5)]
        assert codes == ["submit.unknown_key"] * 3 + ["server.too_many"] * 2
        _is(node.post(issue(0)), 429, "server.too_many")
        assert node.ask(replace(posted(issue(0)), peer=b"192.0.2.9")).status == 200
        node.clock.ticks += 1.5
        assert node.post(issue(1)).status == 200


def test_buckets_forget_the_least_used() -> None:
    buckets = Buckets(Share(per_second=1, burst=1), most=2)
    for client_name in (b"a", b"b", b"c"):
        buckets.take(client_name, 1, at=0.0)
    buckets.check(b"a", 1, at=0.0)
    with pytest.raises(TooManyError):
        buckets.check(b"c", 1, at=0.5)
    buckets.check(b"c", 100, at=1.0)  # more than a bucket holds goes when it is full


# --- reading


def test_files_and_what_may_cache_them(filled: Served) -> None:
    cases = {
        "/checkpoint": ("text/plain; charset=utf-8", "public, max-age=1"),
        "/tile/0/000": ("application/octet-stream", "public, max-age=31536000, immutable"),
        "/tile/entries/000": ("application/octet-stream", "public, max-age=31536000, immutable"),
        "/tile/0/001.p/4": ("application/octet-stream", "public, max-age=60"),
        "/tile/entries/001.p/4": ("application/octet-stream", "public, max-age=60"),
        "/tile/1/000.p/1": ("application/octet-stream", "public, max-age=60"),
    }
    for target, (media, cache) in cases.items():
        reply = filled.get(target)
        assert reply.body == (filled.world.public / target[1:]).read_bytes()
        assert (reply.status, reply.headers["Content-Type"], reply.headers["Cache-Control"]) == (200, media, cache)
        for given in (reply.headers["ETag"], "W/" + reply.headers["ETag"], '"x", ' + reply.headers["ETag"], "*"):
            again = filled.get(target, headers={"if-none-match": given})
            assert (again.status, again.body, again.headers["ETag"]) == (304, b"", reply.headers["ETag"])
        assert filled.get(target, headers={"if-none-match": '"x"'}) == reply
        assert filled.ask(plain(target, method="HEAD")).headers == reply.headers
        _is(filled.get(target + "?"), 400, "server.bad_request")
        _is(filled.get(target, method="POST"), 405, "server.method_refused")


def test_a_server_that_only_reads(filled: Served) -> None:
    for target, status in (("/checkpoint", 200), ("/readyz", 200), ("/healthz", 200), ("/metrics", 200)):
        assert asyncio.run(filled.reader.handle(plain(target))).status == status
    for request in (posted(issue(0)), signed_request("GET", "/v1/issuers/1")):
        _is(asyncio.run(filled.reader.handle(request)), 404, "server.not_found")


def _outside(chance: random.Random) -> str:
    """A path that a careless server follows out of the directory, or into what is not public."""
    ups = ["..", "%2e%2e", "..%2f", "%2e%2e%2f", "..\\", "..%5c", "%252e%252e", "．．", "..;", "....//", "%c0%ae%c0%ae"]
    goals = [
        "log.sqlite",
        "log.sqlite-wal",
        "lock",
        "instance",
        "memory",
        "etc/passwd",
        "public/checkpoint",
        "temporary",
    ]
    heads = [
        "",
        "/",
        "//",
        "/tile/",
        "/tile/0/",
        "/tile/0/x001/",
        "/checkpoint/",
        "/tile/entries/000.p/",
        "/./",
        "/public/",
    ]
    tails = ["", "", "", "/", "%00", "%00.p/1", ".p/3", "\\", "/.", "#x"]
    steps = [chance.choice(ups) for _ in range(chance.randrange(0, 6))]
    return chance.choice(heads) + "/".join([*steps, chance.choice(goals)]) + chance.choice(tails)


def test_no_path_leads_out_of_the_directory(filled: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.open

    def spy(path: Any, *rest: Any, **named: Any) -> int:
        opened.append(os.fspath(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(client.os, "open", spy)
    chance = random.Random(5)
    paths = {_outside(chance) for _ in range(4 * PATHS)}
    paths |= {f"/tile/0/{spelling}" for spelling in ("0", "00", "0000", "x000/000", "256", "000.p/256", "000.p/0",
        "000.p/01", "٠٠٠", "x001/000/", "-01", "+00", " 000", "000 ", "000\n")}  # fmt: skip
    assert len(paths) >= PATHS
    for path in sorted(paths):
        assert filled.get(path).status in (400, 404), path
    public = str(filled.world.public)
    assert all(Path(name).is_relative_to(public) and ".." not in name for name in opened), opened
    print(f"{len(paths)} paths, {len(opened)} files looked for inside, none outside")


# --- operating


def test_metrics_count_and_name_no_path(filled: Served) -> None:
    filled.get("/tile/0/000/../../../secret")
    filled.get("/something/else")
    text = filled.get("/metrics").body.decode()
    assert 'mingzheng_log_requests_total{route="other",method="GET",status="404"}' in text
    assert "mingzheng_log_entries_total 257" in text
    assert "mingzheng_log_ready 1.0" in text
    assert 'mingzheng_log_inclusion_seconds_bucket{le="+Inf"} 257' in text
    assert "secret" not in text
    assert "else" not in text
    names = [line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert set(names) <= {n + s for n in _families(text) for s in ("", "_bucket", "_sum", "_count")}


def _families(text: str) -> set[str]:
    return {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def test_a_stopped_log_is_not_ready_and_promises_nothing(node: Served) -> None:
    node.sequencing.stop()
    for request in (posted(issue(0)), plain("/readyz"), plain("/healthz")):
        reply = node.ask(request)
        _is(reply, 503, "server.log_unavailable")
        assert int(reply.headers["Retry-After"]) > 0
    assert node.get("/checkpoint").status == 200
