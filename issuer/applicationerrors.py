"""Why a holder's application is refused: one leaf per thing a clerk would do differently.

Source: docs/workspace.md (Application). Neither the holder nor the certificate's subject is named.
"""

from typing import ClassVar, Final

from mingzheng.issuer.refusals import EXIT_STORED, EXIT_USAGE, RefusalError

__all__ = [
    "AnotherApplicationError",
    "ApplicationCaError",
    "ApplicationChangedError",
    "ApplicationDateError",
    "ApplicationError",
    "ApplicationExpiredError",
    "ApplicationFileError",
    "ApplicationMissingError",
    "ApplicationPdfError",
    "ApplicationReplayedError",
    "ApplicationUnsignedError",
    "HolderCaMissingError",
    "HolderCertificateError",
    "OtherPersonError",
    "SeveralSignaturesError",
    "UnknownCaError",
]

_CHANGED: Final = {
    "file.digest": ("签名后内容被改动", "its content was changed after signing"),
    "file.later_change": ("签名后又有改动", "something was changed after signing"),
    "file.coverage": ("签名没有覆盖整个文件", "the signature does not cover the whole file"),
    "holder.coverage": ("签名没有覆盖整个文件", "the signature does not cover the whole file"),
    "holder.time": ("签名没有写明时间", "the signature does not say when it was made"),
    "seal.signature": ("签名值不对", "the signature value is wrong"),
    "seal.algorithm": ("签名算法不受支持", "its algorithm is not taken"),
    "seal.subfilter": ("不是 PAdES 签名", "no PAdES signature"),
}


class ApplicationError(RefusalError):
    """Base."""

    code: ClassVar[str] = "application.refused"


class HolderCaMissingError(ApplicationError):
    """No authority is pinned whose certificates holders may sign with."""

    code: ClassVar[str] = "application.no_ca"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self) -> None:
        super().__init__(
            "没有登记个人数字证书的颁发机构，无法核验申请人的签名；先运行 mingzheng application ca CA证书",
            "no authority of personal certificates is pinned, so no holder's signature can be checked: "
            "`mingzheng application ca CA-CERTIFICATE` first",
        )


class ApplicationCaError(ApplicationError):
    """What is to be pinned is no CA's certificate."""

    code: ClassVar[str] = "application.ca_file"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} 不是证书颁发机构的证书（DER 或 PEM，CA，可签发证书）；请向颁发机构索取",
            f"{name} is no certificate of a CA (DER or PEM, may issue certificates): ask the authority for it",
        )


class ApplicationFileError(ApplicationError):
    """The file, or the signature beside it, is empty or too large."""

    code: ClassVar[str] = "application.file"
    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"申请文件{zh}；请核对是否选错文件", f"the application {en}: is it the right file?")


class ApplicationPdfError(ApplicationError):
    """Not a PDF that shows one thing only; `fault` is the file's fault code."""

    code: ClassVar[str] = "application.not_plain"

    def __init__(self, fault: str) -> None:
        super().__init__(
            f"申请文件不是可接受的 PDF（{fault}）：不得含脚本、附件、表单域、批注或图层；"
            "其他格式请用 --application-signature 给出单独的签名文件",
            f"the application is no PDF that can be taken ({fault}): no scripts, attachments, form fields, annotations "
            "or layers; for other formats give the signature beside it with --application-signature",
        )


class ApplicationUnsignedError(ApplicationError):
    """Nobody signed it."""

    code: ClassVar[str] = "application.unsigned"

    def __init__(self) -> None:
        super().__init__(
            "申请文件没有数字签名；请持证人用个人数字证书签名后再交",
            "the application bears no digital signature: the holder signs it with their own certificate",
        )


class SeveralSignaturesError(ApplicationError):
    """More signatures than the holder's one."""

    code: ClassVar[str] = "application.several"

    def __init__(self) -> None:
        super().__init__(
            "申请文件有不止一个签名；只收持证人一人签名的申请表",
            "the application bears more than one signature: it is taken with the holder's alone",
        )


class ApplicationChangedError(ApplicationError):
    """The signature does not hold over the whole file; `fault` is the code of the check."""

    code: ClassVar[str] = "application.signature"

    def __init__(self, fault: str) -> None:
        zh, en = _CHANGED.get(fault, ("签名结构不合规范", "the signature is not built by the rules"))
        super().__init__(
            f"申请文件的签名无效：{zh}（{fault}）；请持证人重新签名",
            f"the signature on the application does not hold: {en} ({fault}); the holder signs again",
        )


class UnknownCaError(ApplicationError):
    """The certificate is not one of a pinned authority."""

    code: ClassVar[str] = "application.unknown_ca"

    def __init__(self, fault: str) -> None:
        super().__init__(
            f"签名人的证书不是已登记机构颁发的（{fault}）；核实该机构后用 mingzheng application ca 登记",
            f"the signer's certificate is not of a pinned authority ({fault}): "
            "if it is one to believe, `mingzheng application ca`",
        )


class ApplicationExpiredError(ApplicationError):
    """The certificate was not valid when it signed, or is not today."""

    code: ClassVar[str] = "application.expired"

    def __init__(self) -> None:
        super().__init__(
            "签名人的证书（或其上级证书）在签名时或今天不在有效期内；请持证人更新证书后重新签名",
            "the signer's certificate, or one above it, is out of its validity at the time of signing or today: "
            "the holder renews it and signs again",
        )


class HolderCertificateError(ApplicationError):
    """The certificate is not one for signing documents."""

    code: ClassVar[str] = "application.certificate"

    def __init__(self) -> None:
        super().__init__(
            "签名人的证书不是用于签名的个人证书（是 CA 证书、没有签名用途或写法不合规范）；请换用个人签名证书",
            "the signer's certificate is not a person's for signing (a CA's, without that key usage, or malformed): "
            "use a personal signing certificate",
        )


class OtherPersonError(ApplicationError):
    """The certificate names somebody else than the registration."""

    code: ClassVar[str] = "application.other_person"

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(
            f"签名人不是本注册的持证人：证书的{zh}与台账不符；请本人签名",
            f"not signed by the holder of this registration: {en} of the certificate differs from the ledger; "
            "the holder signs in person",
        )


class ApplicationDateError(ApplicationError):
    """Signed before the certificate that it asks to exchange, or in the future."""

    code: ClassVar[str] = "application.date"

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(
            f"申请的签名日期{zh}；请持证人重新签名", f"the application is dated {en}: the holder signs again"
        )


class ApplicationReplayedError(ApplicationError):
    """The same signed application served another re-issue already."""

    code: ClassVar[str] = "application.replayed"

    def __init__(self) -> None:
        super().__init__(
            "这份申请已用于另一次换领；每次换领须有新签名的申请",
            "this application served another re-issue already: each takes one that is signed anew",
        )


class AnotherApplicationError(ApplicationError):
    """The re-issue of today has another application."""

    code: ClassVar[str] = "application.another"

    def __init__(self) -> None:
        super().__init__(
            "今天的这次换领已附有另一份申请，不能替换；去掉 --application 可再次交付",
            "today's re-issue has another application, which stays: without --application it is delivered again",
        )


class ApplicationMissingError(ApplicationError):
    """A kept file is gone or changed."""

    code: ClassVar[str] = "application.missing"
    exit_code: ClassVar[int] = EXIT_STORED

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"applications/{digest[:16]}… 不在或被改动；请从备份恢复",
            f"applications/{digest[:16]}… is gone or changed: bring it back from a backup",
        )
