"""Why a registration cannot be forgotten. Source: docs/workspace.md (Forgetting)."""

from typing import ClassVar

from mingzheng.formats.civil import format_day
from mingzheng.issuer.refusals import RefusalError

__all__ = ["ForgetReasonError", "ForgetRequestOpenError", "ForgetTooEarlyError", "ForgetUnknownError"]


class ForgetUnknownError(RefusalError):
    """Nothing to forget under that number: never issued here, or forgotten already. The ledger cannot tell which."""

    code: ClassVar[str] = "forget.unknown"

    def __init__(self) -> None:
        super().__init__(
            "台账里没有该种类的这个注册编号：从未签发，或已被遗忘；请核对编号",
            "the ledger has no registration of that kind and number: never issued, or forgotten already; check it",
        )


class ForgetTooEarlyError(RefusalError):
    """Something of the registration still counts: `last_day` is the last day on which it does."""

    code: ClassVar[str] = "forget.too_early"

    def __init__(self, copies: int, last_day: int) -> None:
        day = format_day(last_day)
        super().__init__(
            f"该注册到 {day} 仍有效（{copies} 份副本在用），不能遗忘；先撤销 (revoke)，或等到期之后",
            f"the registration counts until {day} ({copies} copies in use): revoke it first, or wait until then",
        )
        self.copies, self.last_day = copies, last_day


class ForgetRequestOpenError(RefusalError):
    """An operator's request about the registration waits for a second person, who must see what it is about."""

    code: ClassVar[str] = "forget.request_open"

    def __init__(self, request: str) -> None:
        super().__init__(
            f"关于该注册的申请 {request} 还在等待批准，不能遗忘；先批准 (approve) 或撤回 (withdraw)",
            f"request {request} about the registration waits for approval: `approve` or `withdraw` it first",
        )


class ForgetReasonError(RefusalError):
    """The reason stays in the ledger, and it names whom it is about."""

    code: ClassVar[str] = "forget.reason"

    def __init__(self) -> None:
        super().__init__(
            "事由会留在台账里，其中却写了被遗忘者的姓名、证件号码或注册编号；请改写，例如“持证人申请”",
            "the reason stays in the ledger, and it tells the name, identity number or registration number of whom is "
            "to be forgotten: word it without, such as “asked by the holder”",
        )
