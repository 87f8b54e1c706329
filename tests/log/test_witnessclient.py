"""Collecting a quorum: every state a witness can be in, every lie it can tell, time running out, HTTP on loopback."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from witnessworld import LOG_VKEY, MAIN, NOW, ORIGIN, Branch, WitnessWorld, cosigner, signer

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import KeysError
from mingzheng.keys.note import cosign_line, open_note, parse_note
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.cosign import Cosigner
from mingzheng.log.errors import ProofSizeError
from mingzheng.log.policy import QuorumPolicy, parse_policy
from mingzheng.log.proof import ConsistencyProof
from mingzheng.log.witness import SIZE, TEXT
from mingzheng.log.witnessclient import (
    MAX_REPLY_BYTES,
    Head,
    HttpTransport,
    Reply,
    TransportError,
    WitnessUrlError,
    collect,
    split_url,
    urls_of,
)

NAMES = {"w1": Alg.ED25519, "w2": Alg.ED25519, "w3": Alg.ML_DSA_44}
Script = Callable[[bytes], Reply]


@dataclass
class Net:
    """Witnesses behind URLs, in memory; a script in a witness's place lies for it."""

    worlds: dict[str, WitnessWorld]
    scripts: dict[str, Script] = field(default_factory=dict)
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    def post(self, url: str, body: bytes, *, timeout: float) -> Reply:
        assert timeout > 0
        name = url.removeprefix("https://").removesuffix("/add-checkpoint")
        self.asked.append((name, body))
        if name in self.scripts:
            return self.scripts[name](body)
        world = self.worlds[name]
        world.now += 1
        answer = world.node.handle("POST", "/add-checkpoint", body, now=world.now)
        return Reply(status=answer.status, content_type=answer.content_type.split(";")[0], body=answer.body)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    made = Net({name: WitnessWorld(tmp_path / name, cosigner=cosigner(name, alg)) for name, alg in NAMES.items()})
    yield made
    for world in made.worlds.values():
        world.store.close()


def policy(rule: str = "2", url: str = "https://{}") -> QuorumPolicy:
    lines = [
        f"witness {name} {format_vkey(cosigner(name, alg).vkeys[0])} {url.format(name)}" for name, alg in NAMES.items()
    ]
    return parse_policy("\n".join([*lines, f"group g {rule} w1 w2 w3", "quorum g", ""]).encode())


def head(size: int, branch: Branch = MAIN, note: bytes | None = None) -> Head:
    return Head(
        note=branch.note(size) if note is None else note,
        vkey=LOG_VKEY,
        origin=ORIGIN,
        prove=lambda old: branch.prove(old, size),
    )


def test_collects_from_all_and_remembers_their_sizes(net: Net) -> None:
    sizes: dict[str, int] = {}
    for size in (0, 1, 5, 5, 64, 65):
        found = collect(head(size), policy("all"), transport=net, sizes=sizes)
        assert found.witnessed.satisfied
        assert found.witnessed.names == ("w1", "w2", "w3")
        assert not found.failures
        sizes = dict(found.sizes)
        assert sizes == dict.fromkeys(NAMES, size)
        assert found.note.startswith(MAIN.note(size))
    assert len(net.asked) == 18  # what they cosigned is known: no 409 in between


def test_learns_sizes_by_409(net: Net) -> None:
    collect(head(3), policy(), transport=net, sizes={})
    net.asked.clear()
    found = collect(head(9), policy(), transport=net, sizes={"w2": 3, "w3": 999})
    assert found.witnessed.satisfied
    assert sorted(name for name, _ in net.asked) == ["w1", "w1", "w2", "w3", "w3"]


def test_quorum_met_without_one(net: Net) -> None:
    def down(_: bytes) -> Reply:
        raise TransportError("down")

    net.scripts["w2"] = down
    found = collect(head(4), policy(), transport=net, sizes={})
    assert found.witnessed.satisfied
    assert found.witnessed.names == ("w1", "w3")
    assert found.failures["w2"].status == 0
    net.scripts["w1"] = down
    found = collect(head(5), policy(), transport=net, sizes=found.sizes)
    assert not found.witnessed.satisfied
    assert found.witnessed.names == ("w3",)
    assert found.sizes == {"w1": 4, "w3": 5}


def test_what_the_note_carries_already_is_kept(net: Net) -> None:
    def down(_: bytes) -> Reply:
        raise TransportError("down")

    first = collect(head(4), policy(), transport=net, sizes={})
    net.scripts = dict.fromkeys(NAMES, down)
    again = collect(head(4, note=first.note), policy(), transport=net, sizes={})
    assert again.witnessed.satisfied
    assert again.note == first.note
    assert all(body.endswith(MAIN.note(4)) for _, body in net.asked)  # witnesses see the log's signature only


def reply(status: int, body: bytes, content_type: str = TEXT.split(";")[0]) -> Script:
    return lambda _: Reply(status=status, content_type=content_type, body=body)


def line(who: Cosigner, size: int, time: int = NOW, branch: Branch = MAIN) -> bytes:
    text = parse_note(branch.note(size)).text
    if time:
        return who.cosign(text, time=time).encode()
    return cosign_line(who.name, signer("w1 ED25519"), text=text, timestamp=0).encode()


W1, STRANGER = cosigner("w1", Alg.ED25519), cosigner("stranger", Alg.ED25519)
LIES: dict[str, tuple[Script, int, bool]] = {
    "nothing": (reply(200, b""), 200, False),
    "no note lines": (reply(200, b"hello\n"), 200, False),
    "a stranger's line": (reply(200, line(STRANGER, 6)), 200, False),
    "a line for another head": (reply(200, line(W1, 5)), 200, False),
    "a line for a fork": (reply(200, line(W1, 6, branch=Branch("fork", 2))), 200, False),
    "a good line and a bad one": (reply(200, line(W1, 6) + line(W1, 5)), 200, False),
    "a line without a time": (reply(200, line(W1, 6, time=0)), 200, False),
    "an endless answer": (reply(200, b"x" * (MAX_REPLY_BYTES + 1)), 200, False),
    "another text before the lines": (reply(200, b"else\n\n" + line(W1, 6)), 200, False),
    "404": (reply(404, b"unknown log\n"), 404, False),
    "403": (reply(403, b""), 403, False),
    "a redirect": (reply(301, b""), 301, False),
    "500": (reply(500, b""), 500, False),
    "422": (reply(422, b""), 422, True),
    "409 without its media type": (reply(409, b"3\n"), 409, False),
    "409 without a number": (reply(409, b"", SIZE), 409, False),
    "409 with a sign": (reply(409, b"+3\n", SIZE), 409, False),
    "409 with zeros": (reply(409, b"03\n", SIZE), 409, False),
    "409 in other digits": (reply(409, "٣\n".encode(), SIZE), 409, False),
    "409 of a hundred digits": (reply(409, b"9" * 100 + b"\n", SIZE), 409, False),
    "409 with the size that was sent": (reply(409, b"0\n", SIZE), 409, False),
    "409 with a size ahead": (reply(409, b"7\n", SIZE), 409, False),
    "409 for ever": (
        lambda body: Reply(status=409, content_type=SIZE, body=b"3\n" if b"old 3" not in body else b"2\n"),
        409,
        False,
    ),
}


@pytest.mark.parametrize("case", LIES)
def test_lies_count_nothing(net: Net, case: str) -> None:
    net.scripts["w1"], status, fork = LIES[case]
    found = collect(head(6), policy(), transport=net, sizes={})
    assert found.witnessed.names == ("w2", "w3")
    assert found.witnessed.satisfied
    assert (found.failures["w1"].status, found.failures["w1"].fork) == (status, fork)
    assert "w1" not in found.sizes
    assert len(net.asked) <= 3 + 2


def test_lines_for_others_are_not_taken(net: Net) -> None:
    """A witness that repeats another's line does not speak for it."""
    net.scripts["w1"] = lambda _: Reply(
        status=200, content_type=TEXT, body=line(W1, 6) + line(cosigner("w2", Alg.ED25519), 6)
    )
    net.scripts["w2"] = reply(500, b"")
    net.scripts["w3"] = reply(500, b"")
    found = collect(head(6), policy(), transport=net, sizes={})
    assert found.witnessed.names == ("w1",)
    assert len(open_note(found.note, [LOG_VKEY]).unverified) == 1


def test_a_fork_is_told_apart_from_an_outage(net: Net) -> None:
    """Two of three witnesses have seen the main history; the log now shows another."""
    fork = Branch("fork", 3)
    for name in ("w1", "w2"):
        assert net.worlds[name].add(MAIN.request(0, 8))[0] == 200
    found = collect(head(9, fork), policy(), transport=net, sizes={})
    assert not found.witnessed.satisfied
    assert {name for name, failure in found.failures.items() if failure.fork} == {"w1", "w2"}
    assert found.witnessed.names == ("w3",)


@pytest.mark.parametrize("body", [b"", b"6\n", b"x"])
def test_another_root_at_one_size_is_a_fork_in_the_older_answer_too(net: Net, body: bytes) -> None:
    """tlog-witness said 409 for it before it said 422."""
    net.scripts["w1"] = reply(409, body, SIZE)
    found = collect(head(6), policy(), transport=net, sizes={"w1": 6})
    assert (found.failures["w1"].status, found.failures["w1"].fork) == (409, True)
    assert found.witnessed.names == ("w2", "w3")


def test_a_log_that_cannot_prove_says_so(net: Net) -> None:
    net.worlds["w1"].add(MAIN.request(0, 2))

    def broken(old: int) -> ConsistencyProof:
        raise ProofSizeError(old=old, new=6)

    asked = Head(note=MAIN.note(6), vkey=LOG_VKEY, origin=ORIGIN, prove=broken)
    found = collect(asked, policy(), transport=net, sizes={})
    assert "no proof from size 2" in found.failures["w1"].detail
    assert found.witnessed.satisfied


def test_a_slow_witness_does_not_hold_up_the_others(net: Net) -> None:
    release = threading.Event()

    def slow(_: bytes) -> Reply:
        release.wait(60)
        raise TransportError("late")

    net.scripts["w2"] = slow
    start = time.monotonic()
    found = collect(head(6), policy(), transport=net, sizes={}, deadline=1.5)
    assert time.monotonic() - start < 30  # it does not wait for the slow one, which takes a minute
    release.set()
    assert found.witnessed.satisfied
    assert "in time" in found.failures["w2"].detail


def test_no_time_at_all_asks_nobody(net: Net) -> None:
    found = collect(head(6), policy(), transport=net, sizes={}, deadline=0.0)
    assert not net.asked
    assert set(found.failures) == set(NAMES)


def test_a_note_with_a_bad_line_loses_what_it_carries(net: Net) -> None:
    bad = MAIN.note(6) + line(W1, 5)
    found = collect(head(6, note=bad), policy(), transport=net, sizes={})
    assert found.witnessed.satisfied
    assert found.witnessed.names == ("w1", "w2", "w3")


def test_a_head_that_is_none_is_not_sent(net: Net) -> None:
    with pytest.raises(KeysError):
        collect(head(6, note=MAIN.note(6, signer("thief"))), policy(), transport=net, sizes={})
    assert not net.asked


def test_witnesses_without_an_address_are_not_asked(net: Net) -> None:
    found = collect(head(6), policy(url=""), transport=net, sizes={})
    assert not net.asked
    assert not found.witnessed.satisfied
    assert found.note == MAIN.note(6)


GOOD_URLS = ("http://127.0.0.1:8000", "https://w.example", "https://w.example:444/a/b", "http://[::1]:80/x")
BAD_URLS = (
    "",
    "w.example",
    "ftp://w.example",
    "file:///etc/passwd",
    "https://",
    "https://u:p@w.example",
    "https://w.example/?a",
    "https://w.example/#a",
    "https://w.example:99999",
    "https://w.example:0",
    "https://w.example/a b",
    "https://w.example/\n",
    "https://日.example",
    "https://[::1",
)


def test_addresses() -> None:
    for url in GOOD_URLS:
        split_url(url)
    for url in BAD_URLS:
        with pytest.raises(WitnessUrlError):
            split_url(url)
    assert len(urls_of(policy())) == 3
    with pytest.raises(WitnessUrlError):
        urls_of(policy(url="ftp://{}"))


# --- over HTTP


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's `node` does, or as its `script` says."""

    server: "Server"

    def do_POST(self) -> None:  # http.server's word
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.node.handle("POST", self.path.removeprefix("/prefix"), body, now=NOW)
        if self.server.script:
            self.wfile.write(self.server.script)
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    node: object
    script = b""


@pytest.fixture
def served(net: Net) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.node = net.worlds["w1"].node
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/prefix"


@pytest.mark.parametrize("end", ["", "/"])
def test_over_http(served: Server, net: Net, end: str) -> None:
    text = f"witness w1 {format_vkey(net.worlds['w1'].vkeys()[0])} {url_of(served)}{end}\nquorum w1\n"
    sizes: dict[str, int] = {}
    for size in (4, 9):
        found = collect(head(size), parse_policy(text.encode()), transport=HttpTransport(), sizes=sizes)
        assert found.witnessed.satisfied
        assert not found.failures


BROKEN = {
    "no HTTP": b"hello\r\n\r\n",
    "no answer": b"\n",
    "a body cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "a body that drips for ever": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "a status that is none": b"HTTP/1.1 9999 OK\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_http_is_a_failure(served: Server, net: Net, case: str) -> None:
    served.script = BROKEN[case]
    text = f"witness w1 {format_vkey(net.worlds['w1'].vkeys()[0])} {url_of(served)}\nquorum w1\n"
    found = collect(head(4), parse_policy(text.encode()), transport=HttpTransport(), sizes={}, deadline=5)
    assert not found.witnessed.satisfied
    assert set(found.failures) == {"w1"}


def test_nobody_there() -> None:
    with pytest.raises(TransportError):
        HttpTransport().post("http://127.0.0.1:1/x", b"", timeout=1)
    with pytest.raises(WitnessUrlError):
        HttpTransport().post("file:///etc/passwd", b"", timeout=1)
    with pytest.raises(TransportError):
        HttpTransport().post("https://127.0.0.1:1/x", b"", timeout=1)
