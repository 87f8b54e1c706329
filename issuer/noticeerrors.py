"""Why a notice is not given. One leaf per thing an operator would do differently. Pure."""

from collections.abc import Sequence
from typing import ClassVar

from mingzheng.issuer.refusals import EXIT_USAGE, RefusalError


class NoticeInvalidError(RefusalError):
    """What the notice is to say makes no sense, for example days out of order."""

    code: ClassVar[str] = "notice.option"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(
            f"公告内容的 {field} 不成立（{detail}）；请核对日期与各选项",
            f"{field} of the notice: {detail}; check the days and options",
        )


class NoticeScopeError(RefusalError):
    """The notice speaks of kinds or regions that its issuer may not issue; verifiers would refuse it."""

    code: ClassVar[str] = "notice.scope"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str, beyond: Sequence[int]) -> None:
        numbers = ", ".join(map(str, beyond))
        what = "种类" if name == "kinds" else "地区"
        super().__init__(
            f"该机构无权涉及这些{what}：{numbers}；请从公告中去掉",
            f"the issuer may not speak of {name} {numbers}: leave them out",
        )


class NoticeUnknownError(RefusalError):
    """No notice of that number was given."""

    code: ClassVar[str] = "notice.unknown"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"没有第 {number} 号公告；用 mingzheng notice list 查看",
            f"there is no notice {number}: see mingzheng notice list",
        )


class NoticeGivenError(RefusalError):
    """The same notice stands already, or its number was taken meanwhile."""

    code: ClassVar[str] = "notice.given"

    def __init__(self, number: int) -> None:
        super().__init__(
            f"第 {number} 号公告已经发布，内容相同或编号已被占用；用 mingzheng notice list 查看",
            f"notice {number} stands already, saying the same or under this number: see mingzheng notice list",
        )
