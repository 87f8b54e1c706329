"""Request signatures against the examples that AWS publishes for them, and the client against answers it must refuse.

Source of the examples: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header", four
requests of 2013-05-24 with the published example key.
"""

import datetime
import http.client
from collections.abc import Callable

import pytest

from mingzheng.log.s3 import (
    ATTEMPTS,
    Answer,
    Bucket,
    EndpointError,
    ObjectsRefusedError,
    ObjectsUnavailableError,
    S3Client,
)
from mingzheng.log.sigv4 import Account, Request, signed_headers, target

AWS = Account(
    access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region="us-east-1"
)
AT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
HOST = "examplebucket.s3.amazonaws.com"
EXAMPLES = {
    "get object": (
        Request(method="GET", host=HOST, path="/test.txt", headers={"Range": "bytes=0-9"}),
        "/test.txt",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": (
        Request(
            method="PUT",
            host=HOST,
            path="/test$file.text",
            headers={"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            body=b"Welcome to Amazon S3.",
        ),
        "/test%24file.text",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get lifecycle": (
        Request(method="GET", host=HOST, path="/", query=[("lifecycle", "")]),
        "/?lifecycle=",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        Request(method="GET", host=HOST, path="/", query=[("prefix", "J"), ("max-keys", "2")]),
        "/?max-keys=2&prefix=J",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}


@pytest.mark.parametrize("case", EXAMPLES)
def test_signatures_are_those_of_the_published_examples(case: str) -> None:
    request, line, signature = EXAMPLES[case]
    headers = signed_headers(request, AWS, at=AT)
    assert headers["authorization"].endswith(f",Signature={signature}")
    assert target(request) == line


def test_every_part_of_a_request_changes_its_signature() -> None:
    def signature(account: Account = AWS, at: datetime.datetime = AT, **changes: object) -> str:
        parts: dict[str, object] = {"method": "PUT", "host": HOST, "path": "/a/b", "headers": {"if-match": '"1"'}}
        request = Request(**{**parts, "body": b"x", **changes})  # type: ignore[arg-type]
        return signed_headers(request, account, at=at)["authorization"].rpartition("=")[2]

    changes: list[dict[str, object]] = [
        *({"method": "GET"}, {"host": "other"}, {"path": "/a%2Fb"}, {"path": "/a/中"}, {"query": [("a", "b")]}),
        *({"headers": {}}, {"headers": {"if-match": '"2"'}}, {"body": b"y"}),
    ]
    seen = {signature(), *(signature(**change) for change in changes)}
    seen.add(signature(at=AT + datetime.timedelta(seconds=1)))
    seen.add(signature(account=Account(access_key="A", secret_key="other", region="us-east-1")))
    seen.add(signature(account=Account(access_key="A", secret_key=AWS.secret_key, region="cn-north-1")))
    assert len(seen) == len(changes) + 4


def test_the_secret_is_in_no_repr() -> None:
    bucket = Bucket(endpoint="https://s3.example", name="b", account=AWS)
    assert AWS.secret_key not in repr(bucket)


@pytest.mark.parametrize(
    "endpoint",
    [
        *("http://s3.example.cn", "http://192.0.2.1:8333", "ftp://127.0.0.1", "https://", "s3.example.cn", ""),
        *("https://s3.example.cn/path", "http://127.0.0.1.example.cn", "http://localhost.example.cn"),
    ],
)
def test_only_https_or_this_machine(endpoint: str) -> None:
    with pytest.raises(EndpointError):
        S3Client(Bucket(endpoint=endpoint, name="b", account=AWS))


@pytest.mark.parametrize(
    "endpoint", ["https://s3.example.cn", "http://127.0.0.1:8333", "http://[::1]:1", "http://localhost"]
)
def test_good_endpoints(endpoint: str) -> None:
    S3Client(Bucket(endpoint=endpoint, name="b", account=AWS)).close()


class Scripted(S3Client):
    """Answers from a script; what is asked is written down."""

    def __init__(self, *script: Answer | Exception) -> None:
        self.pauses: list[float] = []
        super().__init__(Bucket(endpoint="https://s3.example", name="b", account=AWS), pause=self.pauses.append)
        self.script, self.asked = list(script), list[Request]()

    def _once(self, request: Request) -> Answer:
        self.asked.append(request)
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def _answer(status: int, body: bytes = b"") -> Answer:
    return Answer(status=status, etag='"e"', body=body)


TROUBLE: list[Answer | Exception] = [
    *(_answer(500), _answer(503), _answer(429), _answer(409)),
    *(ConnectionResetError(), TimeoutError(), http.client.BadStatusLine("x")),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=repr)
def test_trouble_is_tried_again_a_few_times(trouble: Answer | Exception) -> None:
    client = Scripted(trouble, trouble, _answer(200, b"data"))
    found = client.get("key")
    assert found is not None
    assert found.body == b"data"
    assert client.pauses == [0.1, 0.2]
    client = Scripted(*[trouble] * 10)
    with pytest.raises(ObjectsUnavailableError):
        client.get("key")
    assert len(client.asked) == ATTEMPTS


CALLS: dict[str, Callable[[S3Client], object]] = {
    "get": lambda client: client.get("key"),
    "put": lambda client: client.put("key", b"data", if_match=None),
    "put over": lambda client: client.put("key", b"data", if_match='"e"'),
    "delete": lambda client: client.delete("key"),
    "names": lambda client: list(client.names("")),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 400, 401, 403])
def test_refusals_are_told_and_not_tried_again(call: str, status: int) -> None:
    client = Scripted(_answer(status))
    with pytest.raises(ObjectsRefusedError):
        CALLS[call](client)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [206, 302, 418])
def test_answers_that_mean_nothing_here_are_refused(call: str, status: int) -> None:
    with pytest.raises(ObjectsUnavailableError):
        CALLS[call](Scripted(_answer(status)))


def test_conditions_that_do_not_hold_are_no_error() -> None:
    assert Scripted(_answer(412)).put("k", b"", if_match=None) is None
    assert Scripted(_answer(412)).put("k", b"", if_match='"e"') is None
    assert Scripted(_answer(404)).put("k", b"", if_match='"e"') is None
    assert Scripted(_answer(404)).get("k") is None
    Scripted(_answer(404)).delete("k")
    with pytest.raises(ObjectsRefusedError):  # no bucket
        Scripted(_answer(404)).put("k", b"", if_match=None)
    client = Scripted(_answer(200), _answer(200))
    client.put("k", b"", if_match=None)
    client.put("k", b"", if_match='"e"')
    assert [dict(item.headers).get("if-none-match") for item in client.asked] == ["*", None]
    assert [dict(item.headers).get("if-match") for item in client.asked] == [None, '"e"']


def _listing(keys: str, more: str = "", space: str = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"') -> Answer:
    return _answer(200, f"<ListBucketResult{space}>{keys}{more}</ListBucketResult>".encode())


def test_listings_go_on_page_by_page() -> None:
    one, two = "<Contents><Key>a&amp;b</Key></Contents>", "<Contents><Key>c</Key></Contents>"
    goes_on = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    client = Scripted(_listing(one, goes_on), _listing(two, "<IsTruncated>false</IsTruncated>", space=""))
    assert list(client.names("p/")) == ["a&b", "c"]
    assert ("continuation-token", "t") in client.asked[1].query


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<a>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ],
)
def test_listings_that_cannot_be_read_are_refused(body: bytes) -> None:
    with pytest.raises(ObjectsUnavailableError):
        list(Scripted(_answer(200, body)).names(""))
