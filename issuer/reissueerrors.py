"""Why the rule of re-issue stands in the way. Spec: docs/profiles.md, Re-issue."""

from typing import ClassVar

from mingzheng.formats.rules_source import Citation
from mingzheng.issuer.refusals import RefusalError

__all__ = ["ReissueAgeError", "ReissueExpiredError", "ReissuePendingError"]


class ReissueExpiredError(RefusalError):
    """The registration has ended: the rule of re-issue wants it valid."""

    code: ClassVar[str] = "reissue.expired"

    def __init__(self, rule: Citation) -> None:
        super().__init__(
            f"注册有效期已届满，不能换领；请先办理延续，再用 mingzheng issue 按新记录签发。依据：{rule.text_zh()}",
            "the registration has ended: it is not exchanged. Renew it, then `mingzheng issue` from the new record. "
            f"Rule: {rule.text_en()}",
        )


class ReissuePendingError(RefusalError):
    """Another matter of the registration is pending: the rule of re-issue wants it done first."""

    code: ClassVar[str] = "reissue.pending"

    def __init__(self, rule: Citation) -> None:
        super().__init__(
            f"该注册尚有其他事项在办，不能换领；用 mingzheng requests 查看，批准或撤回后再换。依据：{rule.text_zh()}",
            "another matter of this registration is pending: see `mingzheng requests`, approve or withdraw it, then "
            f"exchange. Rule: {rule.text_en()}",
        )


class ReissueAgeError(RefusalError):
    """The holder is past the age at which the rules of the place close all business."""

    code: ClassVar[str] = "reissue.age"

    def __init__(self, rule: Citation) -> None:
        super().__init__(
            f"持证人已超过规定年龄，不再办理换领；记录有误的，请先更正出生日期。依据：{rule.text_zh()}",
            "the holder is past the age of the rules: nothing is exchanged. Correct the date of birth if the record is "
            f"wrong. Rule: {rule.text_en()}",
        )
