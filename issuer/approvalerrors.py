"""Why an operator, a request or an approval is refused: one leaf per thing somebody would do differently.

Source: docs/workspace.md, Operators. Names of operators are the office's own and are said; a holder's never.
"""

from typing import ClassVar

from mingzheng.issuer.refusals import EXIT_STORED, EXIT_USAGE, RefusalError

__all__ = [
    "AlreadyAskedError",
    "ApprovalError",
    "AskedKeyOutError",
    "OperatorError",
    "OperatorExistsError",
    "OperatorNeededError",
    "OperatorOutError",
    "OperatorUnknownError",
    "OtherIssuerError",
    "OtherLogError",
    "PersonNeededError",
    "RequestAlteredError",
    "RequestChangedError",
    "RequestDoneError",
    "RequestExpiredError",
    "RequestForgedError",
    "RequestMalformedError",
    "RequestTooLargeError",
    "RequestUnknownError",
    "RequestWithdrawnError",
    "SamePersonError",
    "TwoOperatorsError",
    "TwoPersonsError",
]


# --- operators


class OperatorError(RefusalError):
    """Base: a person who is none of the issuer's operators, or whose key cannot be used."""

    code: ClassVar[str] = "operator.refused"
    exit_code: ClassVar[int] = EXIT_USAGE


class OperatorNeededError(OperatorError):
    """The issuer has operators, and nobody is named."""

    code: ClassVar[str] = "operator.needed"

    def __init__(self, issuer: int, names: tuple[str, ...] = ()) -> None:
        zh, en = (f"（{'、'.join(names)}）", f" ({', '.join(names)})") if names else ("", "")
        super().__init__(
            f"机构 {issuer} 由经办人办理：用 --operator 写明您是谁{zh}",
            f"issuer {issuer} acts through operators: say who you are with --operator{en}",
        )


class OperatorUnknownError(OperatorError):
    """No operator of that name."""

    code: ClassVar[str] = "operator.unknown"

    def __init__(self, name: str, issuer: int) -> None:
        super().__init__(
            f"机构 {issuer} 没有名为 {name} 的经办人；用 mingzheng operator list 查看",
            f"issuer {issuer} has no operator {name}: see `mingzheng operator list`",
        )


class OperatorOutError(OperatorError):
    """An operator without a key that may sign today: retired, stolen, past or not begun."""

    code: ClassVar[str] = "operator.out"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"经办人 {name} 今天没有可用的密钥（已停用、已失密、过期或未到起用日）；用 mingzheng operator add 另加",
            f"operator {name} has no key that may sign today (retired, stolen, past, not begun): "
            "`mingzheng operator add` makes one",
        )


class OperatorExistsError(OperatorError):
    """An operator of that name has a key already."""

    code: ClassVar[str] = "operator.exists"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"经办人 {name} 已有可用的密钥；要换密钥，先 mingzheng operator retire，同名者请加以区别",
            f"operator {name} has a key already: retire it first, or tell two persons of one name apart",
        )


class TwoOperatorsError(OperatorError):
    """A new issuer names neither two operators nor says that one person does it all."""

    code: ClassVar[str] = "operator.two_needed"

    def __init__(self) -> None:
        super().__init__(
            "撤销、作废和公告应由两人办理：用两个不同的 --operator 写明经办人；确实只有一人时写 --one-person",
            "revocations, voids and notices take two persons: name them with two different --operator, "
            "or say --one-person if there is only one",
        )


class TwoPersonsError(OperatorError):
    """One person alone would revoke, void or give notice, though the issuer has operators."""

    code: ClassVar[str] = "act.two_persons"

    def __init__(self, issuer: int) -> None:
        super().__init__(
            f"机构 {issuer} 的撤销、作废和公告须由两名经办人办理：一人提出，另一人 mingzheng approve",
            f"revocations, voids and notices of issuer {issuer} take two operators: one asks, the other runs "
            "`mingzheng approve`",
        )


class PersonNeededError(RefusalError):
    """An act that never reached the log must be signed again, and a person whose key it takes is not here."""

    code: ClassVar[str] = "act.person_needed"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, issuer: int, number: int, *names: str) -> None:
        typed = " ".join(f"--operator {name}" for name in names)
        super().__init__(
            f"机构 {issuer} 的行为 {number} 多日未写入日志，须由经办人 {'、'.join(names)} 重新签名：运行 "
            f"mingzheng operator sign-again {typed}；此前不办理其他事项",
            f"act {number} of issuer {issuer} did not reach the log for days and must be signed again by operator "
            f"{', '.join(names)}: run `mingzheng operator sign-again {typed}`; nothing else is done before",
        )
        self.names = names


# --- requests and approvals


class ApprovalError(RefusalError):
    """Base: a request that cannot be approved."""

    code: ClassVar[str] = "approval.refused"


class RequestMalformedError(ApprovalError):
    """A request file that is not one, in its one spelling."""

    code: ClassVar[str] = "approval.malformed"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, what: str) -> None:
        super().__init__(f"不是申请文件（{what}）", f"not a request file: {what}")


class RequestUnknownError(ApprovalError):
    """The ledger has no such request."""

    code: ClassVar[str] = "approval.unknown"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"台账里没有申请 {request}：只能在提出申请的工作区批准；用 mingzheng requests 查看",
            f"the ledger has no request {request}: approve it in the workspace where it was asked for, see "
            "`mingzheng requests`",
        )


class RequestAlteredError(ApprovalError):
    """A request file that is not what the ledger keeps under its id."""

    code: ClassVar[str] = "approval.altered"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请文件与台账中的申请 {request} 不同：不要批准，向申请人核实",
            f"the file differs from request {request} in the ledger: do not approve, ask whoever asked",
        )


class RequestForgedError(ApprovalError):
    """The first person's key did not sign what the ledger says was asked for."""

    code: ClassVar[str] = "approval.forged"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请 {request} 不是所写的经办人签名的，或已被改动：不要批准，保留台账并核实",
            f"request {request} was not signed by the operator it names, or was altered: do not approve, keep the "
            "ledger and find out",
        )


class RequestDoneError(ApprovalError):
    """A request that was approved before."""

    code: ClassVar[str] = "approval.done"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请 {request} 已经批准并办理，无需再办",
            f"request {request} was approved and done before: nothing is left to do",
        )


class RequestWithdrawnError(ApprovalError):
    """A request that was withdrawn."""

    code: ClassVar[str] = "approval.withdrawn"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请 {request} 已撤回；需要时重新提出", f"request {request} was withdrawn: ask again if need be"
        )


class RequestExpiredError(ApprovalError):
    """A request older than seven days, or dated ahead of today."""

    code: ClassVar[str] = "approval.expired"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请 {request} 已超过七天（或日期不对），不能再批准；请重新提出",
            f"request {request} is older than seven days (or dated ahead): ask again",
        )


class RequestChangedError(ApprovalError):
    """What the act would do now is not what was asked for."""

    code: ClassVar[str] = "approval.changed"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"提出申请 {request} 之后情况有变（证书增减或状态已变）；请核对后重新提出",
            f"since request {request} things have changed (other copies, another state): look again, then ask again",
        )


class SamePersonError(ApprovalError):
    """The person who asked would approve."""

    code: ClassVar[str] = "approval.same_person"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"申请是 {name} 提出的，须由另一名经办人批准", f"{name} asked for it: another operator must approve"
        )


class AskedKeyOutError(ApprovalError):
    """The key of whoever asked has been retired or stolen since, or its days are over."""

    code: ClassVar[str] = "approval.key_out"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"提出申请 {request} 的密钥已停用、失密或过期；请由在任的经办人重新提出",
            f"the key that asked in request {request} is retired, stolen or past: let another operator ask again",
        )


class OtherIssuerError(ApprovalError):
    """An operator of another issuer than the one it is about."""

    code: ClassVar[str] = "approval.other_issuer"

    def __init__(self, issuer: int) -> None:
        super().__init__(
            f"这是机构 {issuer} 的事项，须由该机构的经办人办理",
            f"this is issuer {issuer}'s: it takes that issuer's operators",
        )


class OtherLogError(ApprovalError):
    """A request for a log that was rolled over since."""

    code: ClassVar[str] = "approval.other_log"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"申请 {request} 之后工作区换了日志，签名不再适用；请重新提出",
            f"the workspace went on to another log since request {request}: ask again",
        )


class AlreadyAskedError(ApprovalError):
    """Another operator has asked for just this."""

    code: ClassVar[str] = "approval.already_asked"

    def __init__(self, request: str, name: str) -> None:
        super().__init__(
            f"{name} 已提出同样的申请 {request}；同意请运行 mingzheng approve {request}",
            f"{name} has asked for the same in request {request}: to agree, run `mingzheng approve {request}`",
        )


class RequestTooLargeError(ApprovalError):
    """More serials than one request may hold."""

    code: ClassVar[str] = "approval.too_large"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"一次申请最多 {most} 份；请按序号分批提出", f"one request holds at most {most} copies: ask by serial"
        )
