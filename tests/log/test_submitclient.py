"""Issuing into a served log: the same indexes however often it fails, and no answer believed unseen."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logworld import ORIGIN_KEYS, act, issue, keyed, signer
from serverworld import SUBMIT, SUBMIT_2, Served, served

from mingzheng.keys.alg import Alg
from mingzheng.log.acts import ActType
from mingzheng.log.client import DirectoryFetcher, LogReader
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.httpfetch import LogUrlError
from mingzheng.log.receipt import parse_tlog_proof, verify_full_receipt
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.servernode import HEADERS, HttpRequest
from mingzheng.log.submitclient import (
    Answer,
    AnswerUntrueError,
    HttpTransport,
    Patience,
    RemoteLog,
    ServerRefusedError,
    ServerUnreachableError,
)


class Wire:
    """A transport into a node, with faults on the way there and on the way back."""

    def __init__(self, node: Served) -> None:
        self.node = node
        self.faults: list[str] = []
        self.change: Callable[[Answer], Answer] = lambda answer: answer
        self.asked = 0

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise ConnectionResetError
        if fault == "busy":
            return Answer(status=503, retry_after=1, body=b"{}")
        given = {name.lower(): value for name, value in headers.items() if name.lower() in HEADERS}
        request = HttpRequest(method=method, target=path, headers=given, body=body, peer=b"")
        reply = asyncio.run(self.node.node.handle(request))
        if fault == "answer lost":
            raise TimeoutError
        return self.change(Answer(status=reply.status, retry_after=None, body=reply.body))

    def close(self) -> None:
        pass


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as node:
        yield node


def _remote(node: Served, wire: Wire, *, seconds: float = 60.0) -> RemoteLog:
    patience = Patience(
        seconds=seconds,
        monotonic=lambda: node.clock.ticks,
        sleep=lambda wait: setattr(node.clock, "ticks", node.clock.ticks + wait),
        now=node.clock.now,
    )
    reader = LogReader(DirectoryFetcher(node.world.public), ORIGIN_KEYS.vkey)
    signers = {1: SUBMIT, 2: SUBMIT_2}
    return RemoteLog(wire, reader, ORIGIN_KEYS, signers=signers, patience=patience)


def test_entries_get_indexes_and_receipts_that_verify(node: Served) -> None:
    with _remote(node, Wire(node)) as log:
        entries = [issue(serial) for serial in range(600)]
        indexes = log.submit(keyed(entries), now=node.clock.now())
        assert len(set(indexes)) == 600
        assert list(indexes) == sorted(indexes)
        for entry, index in list(zip(entries, indexes, strict=True))[::97]:
            proof = parse_tlog_proof(log.full_receipt(index))
            assert proof.index == index
            verify_full_receipt(proof, leaf_hash(entry), vkey=ORIGIN_KEYS.vkey, origin=ORIGIN_KEYS.name)
            assert log.compact_receipt(index)
        assert log.issuer_row(1).next_serial == 600
        assert log.next_act_number(1) == 0
        assert log.index_of_serial(1, 3) == indexes[3]
        assert log.index_of_serial(1, 600) is None
        assert log.read_only is None
        log.check_clock(0)


@pytest.mark.parametrize("faults", [["lost"], ["answer lost"], ["busy", "lost", "answer lost", "busy", "answer lost"]])
def test_a_request_is_repeated_until_it_is_answered_and_appended_once(node: Served, faults: list[str]) -> None:
    wire = Wire(node)
    wire.faults = list(faults)
    with _remote(node, wire) as log:
        assert log.submit(keyed([issue(0), issue(1)]), now=0) == (0, 1)
        assert wire.asked == len(faults) + 1
        assert log.submit(keyed([issue(1), issue(0)]), now=0) == (1, 0)
    size = (node.world.public / "checkpoint").read_text(encoding="utf-8").split("\n")[1]
    assert size == "4"


def test_patience_ends(node: Served) -> None:
    wire = Wire(node)
    wire.faults = ["busy"] * 100
    with _remote(node, wire, seconds=5) as log, pytest.raises(ServerUnreachableError):
        log.submit(keyed([issue(0)]), now=0)
    assert wire.asked < 10


def test_several_issuers_in_one_call_keep_their_order(node: Served) -> None:
    with _remote(node, Wire(node)) as log:
        entries = [issue(0), issue(0, issuer=2), issue(1), issue(2)]
        indexes = log.submit(keyed(entries), now=0)
        assert list(indexes) == sorted(indexes)
        assert log.submit(keyed(entries), now=0) == indexes


def test_a_refusal_names_the_place_in_the_whole_call(node: Served) -> None:
    with _remote(node, Wire(node)) as log:
        entries = [*(issue(serial) for serial in range(300)), act(5, ActType.REVOKE, [0])]
        with pytest.raises(SubmissionError) as caught:
            log.submit(keyed(entries), now=0)
        assert (caught.value.position, caught.value.reason) == (300, "rule.act_number")
        del node.records[SUBMIT.public_key.kid]
        with pytest.raises(ServerRefusedError) as refused:
            log.submit(keyed([issue(9)]), now=0)
        assert (refused.value.status, refused.value.reason) == (403, "submit.unknown_key")


@pytest.mark.parametrize("status", [403, 422])
def test_a_refusal_s_words_are_cut_and_cannot_move_the_cursor(node: Served, status: int) -> None:
    told = {"code": "c\x1b[2J", "reason": "r\x1b", "detail": "\x1b]0;t\x07\n" + "d" * 999, "position": 0}
    wire = Wire(node)
    wire.change = lambda answer: replace(answer, status=status, body=json.dumps(told).encode())
    with _remote(node, wire) as log, pytest.raises((SubmissionError, ServerRefusedError)) as caught:
        log.submit(keyed([issue(0)]), now=0)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def _told(change: Callable[[Any], object]) -> Callable[[Answer], Answer]:
    def changed(answer: Answer) -> Answer:
        value = json.loads(answer.body)
        made = change(value)
        return replace(answer, body=json.dumps(value if made is None else made).encode())

    return changed


def _other_receipt(value: Any) -> None:
    value["entries"][0]["receipt"] = value["entries"][1]["receipt"]


def _bit(value: Any) -> None:
    raw = bytearray(base64.b64decode(value["entries"][0]["receipt"]))
    raw[-1] ^= 1
    value["entries"][0]["receipt"] = base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: replace(answer, body=b""),
        lambda answer: replace(answer, body=b"[]"),
        lambda answer: replace(answer, body=b'{"entries":[],"entries":[]}'),
        lambda answer: replace(answer, body=b"<html>"),
        _told(lambda value: {"entries": value["entries"][:1]}),
        _told(lambda value: {"entries": {}}),
        _told(lambda value: value["entries"][0].update(index=1)),
        _told(lambda value: value["entries"][0].update(index=True)),
        _told(lambda value: value["entries"][0].update(index=-1)),
        _told(lambda value: value["entries"][0].update(receipt="!")),
        _told(lambda value: value["entries"][0].update(receipt=7)),
        _told(lambda value: value["entries"][0].update(more=7)),
        _told(_other_receipt),
        _told(_bit),
    ],
)
def test_no_answer_is_believed_unseen(node: Served, change: Callable[[Answer], Answer]) -> None:
    wire = Wire(node)
    wire.change = change
    with _remote(node, wire) as log, pytest.raises(AnswerUntrueError):
        log.submit(keyed([issue(0), issue(1)]), now=0)


def test_a_receipt_of_another_log_or_key_is_untrue(node: Served) -> None:
    other = signer("other receipt", Alg.EDDSA).public_key
    for keys in (replace(ORIGIN_KEYS, receipt_key=other), replace(ORIGIN_KEYS, number=8)):
        wire = Wire(node)
        reader = LogReader(DirectoryFetcher(node.world.public), ORIGIN_KEYS.vkey)
        remote = RemoteLog(wire, reader, keys, signers={1: SUBMIT}, patience=Patience(now=node.clock.now))
        with remote, pytest.raises(AnswerUntrueError):
            remote.submit(keyed([issue(0)]), now=0)


def test_counters_must_be_what_they_say(node: Served) -> None:
    wire = Wire(node)
    with _remote(node, wire) as log:
        for change in (
            lambda value: {},
            lambda value: value.update(next_act="1"),
            lambda value: value.update(next_act=True),
            lambda value: value.update(next_notice=None),
            lambda value: value.update(next_serial=-1),
            lambda value: value.update(next_serial=2**63),
            lambda value: value.update(more=1),
        ):
            wire.change = _told(change)
            with pytest.raises(AnswerUntrueError):
                log.issuer_row(1)


@pytest.mark.parametrize("url", ["http://log.example", "https://log.example/prefix", "ftp://127.0.0.1", "https://a@b"])
def test_addresses_that_entries_do_not_go_to(url: str) -> None:
    with pytest.raises(LogUrlError):
        HttpTransport(url)
