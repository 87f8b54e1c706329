"""`log/openapi.json` and the server say the same: every path, status, header and body."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from logworld import NOW, issue
from serverworld import SUBMIT, Served, plain, posted, served, signed_request, submit_record, with_header

from mingzheng.log.servererrors import LogUnavailableError
from mingzheng.log.servergate import GateLimits, Share
from mingzheng.log.servernode import HttpRequest, Reply
from mingzheng.log.serverqueue import QueueLimits
from mingzheng.log.serverrun import openapi

DOC: Any = json.loads(openapi())


def _at(pointer: str) -> Any:
    value = DOC
    for name in pointer.removeprefix("#/").split("/"):
        value = value[name]
    return value


def _plain(value: Any) -> Any:
    """Every reference replaced by what it names."""
    if isinstance(value, dict):
        return _plain(_at(value["$ref"])) if "$ref" in value else {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def operations() -> dict[tuple[str, str], Any]:
    """(method, path template) -> operation."""
    return {
        (method.upper(), path): _plain(operation)
        for path, item in DOC["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def template_of(target: str) -> str | None:
    """The path template that a target is of."""
    for path in sorted(DOC["paths"], key=len, reverse=True):
        form = re.sub(r"\\\{index\\\}", "(?:x[0-9]{3}/){0,6}[0-9]{3}", re.escape(path))
        if re.fullmatch(re.sub(r"\\\{[a-z]+\\\}", "[^/?]+", form), target):
            return str(path)
    return None


def check(request: HttpRequest, reply: Reply) -> str:
    """The answer is one that the file promises for this request. Returns the operation's name."""
    path = template_of(request.target)
    assert path is not None, request.target
    operation = operations()[request.method, path]
    promised = operation["responses"].get(str(reply.status))
    assert promised is not None, f"{request.method} {path}: {reply.status} is not in the file"
    for name, header in promised.get("headers", {}).items():
        assert name in reply.headers
        Draft202012Validator(header["schema"]).validate(reply.headers[name])
    content = promised.get("content")
    if content is not None:
        media = reply.headers["Content-Type"]
        assert media in content
        if media.endswith("json"):
            Draft202012Validator(content[media]["schema"]).validate(json.loads(reply.body))
    return str(operation["operationId"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served(tmp_path_factory.mktemp("openapi")) as node:
        node.post(*(issue(serial) for serial in range(256)))
        node.post(issue(256))
        yield node


def test_the_file_is_openapi_and_its_schemas_are_schemas() -> None:
    assert DOC["openapi"].startswith("3.1.")
    for schema in DOC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(ids) == len(set(ids))


def test_the_server_gives_out_the_file(node: Served) -> None:
    assert (node.get("/healthz").status, node.get("/readyz").status) == (200, 200)
    assert node.get("/openapi.json").headers["Content-Type"] == "application/json"


def _every(node: Served) -> list[tuple[HttpRequest, int]]:
    """A request for every operation and every status it promises that a working log can give."""
    tag = node.get("/checkpoint").headers["ETag"]
    same = {"if-none-match": tag}
    tile = {"if-none-match": node.get("/tile/0/000").headers["ETag"]}
    partial = {"if-none-match": node.get("/tile/0/001.p/4").headers["ETag"]}
    return [
        *((plain(path, method=method), 200) for path in ("/checkpoint", "/tile/0/000", "/tile/0/001.p/4",
            "/tile/entries/001.p/4") for method in ("GET", "HEAD")),
        *((plain(path, method=method, headers=given), 304) for path, given in (("/checkpoint", same),
            ("/tile/0/000", tile), ("/tile/0/001.p/4", partial)) for method in ("GET", "HEAD")),
        *((plain(path, method=method), 404) for path in ("/tile/1/001", "/tile/7/000.p/3")
            for method in ("GET", "HEAD")),
        *((plain(path), 200) for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")),
        (posted(issue(0)), 200),
        (posted(), 400),
        (with_header(posted(issue(1)), "signature", "x"), 400),
        (posted(issue(1), origin="other"), 403),
        (with_header(posted(issue(1)), "content-type", "text/plain"), 415),
        (with_header(posted(issue(1)), "content-encoding", "gzip"), 415),
        (posted(*[bytes(40_000)] * 7), 413),
        (posted(issue(0, kind=2)), 422),
        (signed_request("GET", "/v1/issuers/1"), 200),
        (signed_request("GET", "/v1/issuers/2"), 403),
        (signed_request("GET", "/v1/issuers/1/serials/3"), 200),
        (signed_request("GET", "/v1/issuers/1/serials/3000"), 200),
        (signed_request("GET", "/v1/issuers/2/serials/3"), 403),
        (with_header(signed_request("GET", "/v1/issuers/1"), "signature", None), 400),
        (with_header(signed_request("GET", "/v1/issuers/1/serials/3"), "signature-input", None), 400),
        (posted(issue(5), nonce="a" * 16), 200),
        (posted(issue(6), nonce="a" * 16), 409),
    ]  # fmt: skip


def test_every_operation_answers_as_the_file_says(node: Served) -> None:
    asked = set()
    for request, status in _every(node):
        reply = node.ask(request)
        assert reply.status == status, (request.method, request.target, reply)
        asked.add(check(request, reply))
    assert asked == {operation["operationId"] for operation in operations().values()}


@pytest.mark.parametrize("path", sorted({path for _method, path in operations()}))
def test_queries_are_refused_everywhere(node: Served, path: str) -> None:
    target = path.format(level=0, index="000", width=4, issuer=1, serial=1)
    for query in ("?", "?x", "?x=1", "?%00"):
        request = plain(target + query, method="POST" if path == "/v1/entries" else "GET")
        reply = node.ask(request)
        assert (reply.status, reply.code) == (400, "server.bad_request")


def test_shares_and_full_queues_answer_as_the_file_says(tmp_path: Path) -> None:
    shares = GateLimits(key=Share(per_second=1, burst=2), address=None)
    with served(tmp_path, gate_limits=shares, limits=QueueLimits(entries=4, linger_seconds=0.0)) as node:
        replies = [(request, node.ask(request)) for request in (posted(issue(n)) for n in range(4))]
        assert [reply.status for _request, reply in replies] == [200, 200, 429, 429]
        asked = signed_request("GET", "/v1/issuers/1")
        replies.append((asked, node.ask(asked)))
        big = posted(*(issue(serial) for serial in range(5)), key=SUBMIT)
        node.records[SUBMIT.public_key.kid] = submit_record(SUBMIT)
        node.clock.ticks += 10
        replies.append((big, node.ask(big)))
        assert [reply.status for _request, reply in replies[4:]] == [429, 503]
        node.sequencing.stop()
        for request in (posted(issue(9)), signed_request("GET", "/v1/issuers/1"), plain("/readyz"), plain("/healthz")):
            replies.append((request, node.ask(request)))
            assert (replies[-1][1].status, replies[-1][1].code) == (503, LogUnavailableError.code)
        for request, reply in replies:
            check(request, reply)


# --- fuzzing from the file


def _strategy(operation: Any, path: str) -> st.SearchStrategy[HttpRequest]:
    """Requests as the file describes them, well or badly signed, and with pieces that it does not allow."""
    values: dict[str, st.SearchStrategy[str]] = {}
    headers: dict[str, st.SearchStrategy[str]] = {}
    parameters = [*operation.get("parameters", []), *_plain(DOC["paths"][path].get("parameters", []))]
    for parameter in parameters:
        schema = parameter["schema"]
        if "enum" in schema:
            made = st.sampled_from(schema["enum"])
        elif "pattern" in schema:
            made = st.from_regex(re.compile(schema["pattern"].replace("$", r"\Z"), re.ASCII))
        else:
            made = st.integers(schema["minimum"], schema["maximum"]).map(str)
        anything = st.one_of(made, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
        if parameter["in"] == "path":
            values[parameter["name"]] = anything.filter(bool)
        else:
            headers[parameter["name"].lower()] = anything
    body = st.just(b"") if "requestBody" not in operation else st.one_of(
        st.binary(max_size=400), st.lists(st.integers(0, 400).map(issue), max_size=4).map(_bundle)
    )  # fmt: skip
    media = st.sampled_from(["application/octet-stream"] * 3 + ["text/plain", "application/octet-stream; x=1"])
    return st.builds(
        _built,
        st.just(path),
        st.fixed_dictionaries(values),
        st.fixed_dictionaries({}, optional={**headers, "content-type": media}),
        body,
        st.sampled_from(["", "", "", "?", "?a=b"]),
        st.sampled_from(["signed", "signed", "as made"]),
    )


def _bundle(entries: list[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def _built(
    path: str, values: dict[str, str], headers: dict[str, str], body: bytes, query: str, how: str
) -> HttpRequest:
    target = re.sub(r"\{([a-z]+)\}", lambda name: values[name[1]], path) + query
    method = "POST" if path == "/v1/entries" else "GET"
    if how == "signed":
        request = signed_request(method, target, body, created=NOW)
        return with_header(request, *next(iter(headers.items()))) if headers and len(body) % 3 == 0 else request
    return HttpRequest(method=method, target=target, headers=headers, body=body, peer=b"192.0.2.2")


FUZZED = {path: operation for (method, path), operation in operations().items() if method != "HEAD"}


@settings(max_examples=40 if settings().max_examples < 300 else 400)
@given(data=st.data())
def test_no_request_made_from_the_file_breaks_the_server(node: Served, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(FUZZED)))
    request = data.draw(_strategy(FUZZED[path], path))
    reply = node.ask(request)
    assert reply.status < 500, (request, reply)
    if template_of(request.target) is not None:
        check(request, reply)
