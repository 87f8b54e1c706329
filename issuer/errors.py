"""Errors of the issuer room: one base, one leaf per thing an operator would do differently.

Every leaf has a stable `code` ("room.what") and the `exit_code` of the command that meets it (DESIGN's list:
1 cannot be met, 2 wrong use, 4 what is on disk). A message is one Chinese and one English sentence and names no
holder. Refusals of workspace, ledger and acts: `refusals`.
"""

from typing import ClassVar

from mingzheng.formats.civil import format_day
from mingzheng.formats.profile import Cited
from mingzheng.keys.errors import WrongPassphraseError

__all__ = [
    "BilingualError",
    "BirthAfterIssueError",
    "ClaimsRefusedError",
    "CopyBeforeCertificateError",
    "ImageError",
    "ImageFormatError",
    "ImageShapeError",
    "ImageTooLargeError",
    "IssuerError",
    "NoProfileError",
    "NotEnabledError",
    "PlanError",
    "PurposeError",
    "RecordFaultyError",
    "RegistrationEndedError",
    "RequiredImageError",
    "SpecialtiesEndedError",
    "WindowRefusedError",
    "WrongProfileError",
]


class IssuerError(Exception):
    """Base of every error of this room."""

    code: ClassVar[str] = "issuer.error"
    exit_code: ClassVar[int] = 1


class BilingualError(IssuerError):
    """Carries the same sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.zh, self.en = zh, en


def wrong_passphrase(file: str, operator: str) -> WrongPassphraseError:
    """The error of a wrong passphrase in words of whose it should have been: an operator's own, or the workspace's."""
    whose = (f"经办人 {operator} 自己", f"{operator}'s own") if operator else ("工作区", "the workspace's")
    zh, en = f"这不是{whose[0]}的口令：{file}", f"this is not {whose[1]} passphrase: {file}"
    return WrongPassphraseError(f"{zh} / {en}", zh=zh, en=en)


# --- images


class ImageError(BilingualError):
    """Base: a photo or signature image that is not taken; `what` is "photo" or "signature"."""

    code: ClassVar[str] = "image.refused"

    def __init__(self, what: str, zh: str, en: str) -> None:
        super().__init__(f"{'照片' if what == 'photo' else '签名图像'}：{zh}", f"{what} image: {en}")
        self.what = what
        self.told = (zh, en)  # without saying which image: a fault names the column


class ImageFormatError(ImageError):
    """Not a PNG or JPEG that can be decoded, or of a colour model that is not taken."""

    code: ClassVar[str] = "image.format"


class ImageTooLargeError(ImageError):
    """More bytes or pixels than are taken."""

    code: ClassVar[str] = "image.too_large"


class ImageShapeError(ImageError):
    """Too small, or of a shape that cannot be a portrait or a signature."""

    code: ClassVar[str] = "image.shape"


# --- planning a copy


class PlanError(BilingualError):
    """Base: no copy may be planned from this record on this day."""

    code: ClassVar[str] = "plan.refused"


class NoProfileError(PlanError):
    """No profile governs that kind and jurisdiction on that day."""

    code: ClassVar[str] = "plan.no_profile"

    def __init__(self, kind: str, jurisdiction: int, day: int) -> None:
        super().__init__(
            f"没有适用于种类 {kind}、地区 {jurisdiction}、{format_day(day)} 的规则文件",
            f"no profile governs kind {kind}, jurisdiction {jurisdiction} on {format_day(day)}",
        )


class NotEnabledError(PlanError):
    """Electronic certificates of that kind are announced there and not yet enabled; no copy is issued."""

    code: ClassVar[str] = "plan.not_enabled"

    def __init__(self, profile_id: str, rule: Cited[int | None]) -> None:
        zh, en = ("未定", "a day not yet set") if rule.value is None else (format_day(rule.value),) * 2
        super().__init__(
            f"{profile_id} 的电子证书尚未启用（启用日：{zh}；依据：{rule.citation.text_zh()}），不能签发；"
            "启用后在规则文件写明 enabled_from",
            f"electronic certificates of {profile_id} are enabled from {en} ({rule.citation.text_en()}): no copy is"
            " issued; once they are, state enabled_from in the profile",
        )


class WrongProfileError(PlanError):
    """The profile offered is not the record's, or does not govern on that day."""

    code: ClassVar[str] = "plan.wrong_profile"

    def __init__(self, profile_id: str) -> None:
        super().__init__(
            f"规则文件 {profile_id} 不适用于该记录或该日期",
            f"profile {profile_id} does not govern this record on this day",
        )


class RecordFaultyError(PlanError):
    """The record does not meet its profile or its issuer; `codes` are codes of record faults."""

    code: ClassVar[str] = "plan.record_faulty"

    def __init__(self, row: int, codes: tuple[str, ...]) -> None:
        super().__init__(
            f"第 {row} 行记录有误（{'、'.join(codes)}），不能签发",
            f"the record of row {row} is faulty ({', '.join(codes)}): no copy is issued",
        )
        self.row, self.codes = row, codes


class RegistrationEndedError(PlanError):
    """The registration had ended before the day of issue."""

    code: ClassVar[str] = "plan.registration_ended"

    def __init__(self, registered_until: int) -> None:
        super().__init__(
            f"注册有效期已于 {format_day(registered_until)} 届满，不能签发",
            f"the registration ended on {format_day(registered_until)}: no copy is issued",
        )


class SpecialtiesEndedError(PlanError):
    """No specialty is in force on the day of issue."""

    code: ClassVar[str] = "plan.specialties_ended"

    def __init__(self, day: int) -> None:
        super().__init__(
            f"{format_day(day)} 没有一个注册专业在有效期内，不能签发",
            f"no specialty is in force on {format_day(day)}: no copy is issued",
        )


class CopyBeforeCertificateError(PlanError):
    """The copy would bear a day before the certificate's own 签发日期."""

    code: ClassVar[str] = "plan.before_certificate"

    def __init__(self, certificate_issued_on: int) -> None:
        super().__init__(
            f"证书签发日期为 {format_day(certificate_issued_on)}，此前不能签发其副本",
            f"the certificate is issued on {format_day(certificate_issued_on)}: no copy before that day",
        )


class BirthAfterIssueError(PlanError):
    """The holder would be born after the certificate was issued."""

    code: ClassVar[str] = "plan.birth_after_issue"

    def __init__(self) -> None:
        super().__init__("出生日期晚于证书签发日期", "the date of birth lies after the certificate's day of issue")


class WindowRefusedError(PlanError):
    """The usage window would end before it starts (the holder is past the age, the end has passed)."""

    code: ClassVar[str] = "plan.window_closed"

    def __init__(self, rules: tuple[str, ...], last_day: int) -> None:
        super().__init__(
            f"使用时限已于 {format_day(last_day)} 截止（{'、'.join(rules)}），不能签发使用件",
            f"the usage window ended on {format_day(last_day)} ({', '.join(rules)}): no usage copy is issued",
        )
        self.rules, self.last_day = rules, last_day


class PurposeError(PlanError):
    """A purpose on an approval copy."""

    code: ClassVar[str] = "plan.purpose_on_approval"

    def __init__(self) -> None:
        super().__init__("批准件不带用途", "an approval copy bears no purpose")


class RequiredImageError(PlanError):
    """A photo or signature image that the profile requires is not there."""

    code: ClassVar[str] = "plan.image_missing"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"缺少{'照片' if what == 'photo' else '签名图像'}，该种类必须有",
            f"the {what} image is missing and this kind requires it",
        )
        self.what = what


class ClaimsRefusedError(PlanError):
    """A value does not fit the credential; `field` names it, the cause says how much to cut."""

    code: ClassVar[str] = "plan.claims"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} 不能写入凭证：{detail}", f"{field} does not fit the credential: {detail}")
        self.field = field
