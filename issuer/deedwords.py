"""What the desk did, in words: the codes of journal and requests in Chinese and English. Pure."""

from collections.abc import Mapping
from typing import Final

__all__ = ["copy_status_word", "deed_word", "void_notice"]

_AGAIN: Final = "-again"
_MOVED: Final = "-moved"
_GONE: Final = "-gone"
_FOREIGN: Final = "foreign-"
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "issue": ("签发", "issue"),
    "revoke": ("撤销", "revoke"),
    "suspend": ("暂停", "suspend"),
    "reinstate": ("恢复", "reinstate"),
    "supersede": ("取代", "supersede"),
    "void": ("作废", "void"),
    "lock": ("锁定", "lock"),
    "unlock": ("解锁", "unlock"),
    "request": ("申请", "request"),
    "request-withdrawn": ("申请撤回", "request withdrawn"),
    "request-expired": ("申请过期", "request expired"),
    "registration-active": ("注册恢复", "registration active"),
    "registration-suspended": ("注册暂停", "registration suspended"),
    "registration-revoked": ("注册撤销", "registration revoked"),
    "key-added": ("增加密钥", "key added"),
    "key-retired": ("停用密钥", "key retired"),
    "key-compromised": ("密钥失密", "key compromised"),
    "notice-blanket_extension": ("公告：统一延期", "notice: blanket extension"),
    "notice-retired_form": ("公告：式样停用", "notice: retired form"),
    "notice-seal_change": ("公告：启用印章", "notice: seal change"),
    "notice-retraction": ("公告：撤回", "notice: retraction"),
    "blanket_extension": ("公告：统一延期", "notice: blanket extension"),
    "retired_form": ("公告：式样停用", "notice: retired form"),
    "seal_change": ("公告：启用印章", "notice: seal change"),
    "retraction": ("公告：撤回", "notice: retraction"),
    "forget": ("遗忘", "forget"),
    "backup": ("备份", "backup"),
    "restore": ("恢复备份", "restore"),
    "foreign": ("发现非本台账所写的日志条目", "foreign log entries noted"),
    "foreign-acknowledged": ("确认已查看非本台账所写的条目", "foreign log entries acknowledged"),
}
_STATUS_ZH: Final[Mapping[str, str]] = {
    "live": "在用",
    "suspended": "已暂停",
    "revoked": "已撤销",
    "superseded": "已被取代",
    "void": "已作废",
}


def copy_status_word(status: str, lang: str) -> str:
    """The word for what the acts have made of a copy."""
    return _STATUS_ZH[status] if lang == "zh" else str(status)


def void_notice(lang: str) -> str:
    """What is said beside a notice that is void (docs/spec/notices.md, Void)."""
    if lang == "zh":
        return "密钥失密，不作数；如属真实，请重新发布"
    return "void: its key is compromised; if it was genuine, give it again"


def deed_word(code: str, lang: str) -> str:
    """The words for a code; a code of a later program stands for itself."""
    at = 0 if lang == "zh" else 1
    if code not in _WORDS and code.startswith(_FOREIGN):
        return (
            f"{deed_word(code.removeprefix(_FOREIGN), lang)}{('（非本台账所写）', ' (foreign: not by this desk)')[at]}"
        )
    if code.endswith(_GONE):
        return (
            f"{deed_word(code.removesuffix(_GONE), lang)}{('（未入日志，已取消）', ' (never logged, taken back)')[at]}"
        )
    if code.endswith(_MOVED):
        return f"{deed_word(code.removesuffix(_MOVED), lang)}{('（另编号）', ' (numbered again)')[at]}"
    of = code.removesuffix(_AGAIN)
    words = _WORDS.get(of)
    if words is None:
        return code
    return words[at] if of == code else f"{words[at]}{('（重新签名）', ' (signed again)')[at]}"
