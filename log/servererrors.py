"""Why the log's server refuses a request: each reason with its code, its HTTP status, and when to come back.

Pure. Source: docs/spec/server.md, "Refusals". What the log itself says of an entry is `refusal.SubmissionError`.
"""

from typing import ClassVar

from mingzheng.log.errors import LogError


class ServerError(LogError):
    """A request that the server does not do. `retry_after`: seconds after which it may be asked again."""

    code: ClassVar[str] = "server.error"
    status: ClassVar[int] = 500
    retry_after: int | None = None


class NotServedError(ServerError):
    """Nothing is served under this path."""

    code: ClassVar[str] = "server.not_found"
    status: ClassVar[int] = 404

    def __init__(self) -> None:
        super().__init__("nothing is served here")


class MethodError(ServerError):
    """The path takes other methods; `allow` names them."""

    code: ClassVar[str] = "server.method_refused"
    status: ClassVar[int] = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path takes {allow}")
        self.allow = allow


class BadRequestError(ServerError):
    """No well-formed request of this server: a query, a wrong body, bytes where text belongs."""

    code: ClassVar[str] = "server.bad_request"
    status: ClassVar[int] = 400


class TimeoutRequestError(ServerError):
    """The request did not arrive in time."""

    code: ClassVar[str] = "server.timeout"
    status: ClassVar[int] = 408

    def __init__(self) -> None:
        super().__init__("the request did not arrive in time")


class BodyTooLargeError(ServerError):
    """Header or body over the limit."""

    code: ClassVar[str] = "server.too_large"
    status: ClassVar[int] = 413

    def __init__(self) -> None:
        super().__init__("header or body over the limit")


class MediaError(ServerError):
    """The body is of another type than application/octet-stream, or compressed."""

    code: ClassVar[str] = "server.media_refused"
    status: ClassVar[int] = 415

    def __init__(self) -> None:
        super().__init__("the body is application/octet-stream, not compressed")


class TooManyError(ServerError):
    """This client asks for more than its share."""

    code: ClassVar[str] = "server.too_many"
    status: ClassVar[int] = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"this client's share is used up, again in {retry_after} s")
        self.retry_after = retry_after


class BusyError(ServerError):
    """The queue is full. Nothing was taken, nothing promised."""

    code: ClassVar[str] = "server.busy"
    status: ClassVar[int] = 503
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("the queue is full: nothing was taken, ask again")


class LogUnavailableError(ServerError):
    """The log writes nothing now; `reason` is its code. What was asked may have happened: ask again and see."""

    code: ClassVar[str] = "server.log_unavailable"
    status: ClassVar[int] = 503
    retry_after = 10

    def __init__(self, reason: str) -> None:
        super().__init__(f"the log does not write ({reason}): nothing is promised, ask again")
        self.reason = reason


class InternalError(ServerError):
    """A fault of the server's own; the log of the server has more."""

    code: ClassVar[str] = "server.internal"
    status: ClassVar[int] = 500

    def __init__(self) -> None:
        super().__init__("internal error")


class SubmitHeaderError(ServerError):
    """A header of a signed request is missing or not in its one spelling."""

    code: ClassVar[str] = "submit.malformed"
    status: ClassVar[int] = 400

    def __init__(self, header: str) -> None:
        super().__init__(f"{header} is missing or not in its one spelling")
        self.header = header


class SubmitDigestError(ServerError):
    """Content-Digest is not that of the body."""

    code: ClassVar[str] = "submit.digest_mismatch"
    status: ClassVar[int] = 400

    def __init__(self) -> None:
        super().__init__("Content-Digest is not the SHA-256 of the body")


class SubmitOriginError(ServerError):
    """The request is meant for another log."""

    code: ClassVar[str] = "submit.wrong_origin"
    status: ClassVar[int] = 403

    def __init__(self) -> None:
        super().__init__("the request was signed for another log")


class SubmitKeyError(ServerError):
    """No submit key of that kid in the trust data."""

    code: ClassVar[str] = "submit.unknown_key"
    status: ClassVar[int] = 403

    def __init__(self) -> None:
        super().__init__("the trust data have no submit key of that kid")


class SubmitTimeError(ServerError):
    """Signed too long ago, or in the future: one of the two clocks is wrong, or the request is an old one."""

    code: ClassVar[str] = "submit.bad_time"
    status: ClassVar[int] = 403

    def __init__(self, created: int, now: int) -> None:
        super().__init__(f"signed at {created}, the server's clock says {now}")
        self.created, self.now = created, now


class SubmitForgedError(ServerError):
    """The key did not sign this request."""

    code: ClassVar[str] = "submit.forged"
    status: ClassVar[int] = 403

    def __init__(self) -> None:
        super().__init__("the signature is not of that key over this request")


class SubmitScopeError(ServerError):
    """The key may not submit this: its days, its origins, another issuer's entry, retired or compromised."""

    code: ClassVar[str] = "submit.not_allowed"
    status: ClassVar[int] = 403


class NonceReusedError(ServerError):
    """The nonce stands for another request of this key."""

    code: ClassVar[str] = "submit.nonce_reused"
    status: ClassVar[int] = 409

    def __init__(self) -> None:
        super().__init__("this nonce stands for another request: take a new one")
