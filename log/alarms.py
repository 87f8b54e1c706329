"""The auditor's alarms, and what they mean for people, in Chinese and English: one sentence a code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Lang: TypeAlias = Literal["zh", "en"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something the log must not do. `code` is stable; `index` is the entry's, None for the log as a whole."""

    code: str
    index: int | None
    detail: str
    evidence: Mapping[str, str | int] = field(default_factory=dict)


_SENTENCES: dict[str, tuple[str, str]] = {
    "audit.split_view": (
        "日志对同一大小签署了两个不同的树头：这是分叉，请保存证据文件并公开。",
        "The log signed two different heads of one size: a fork. Keep the evidence file and make it public.",
    ),
    "audit.rollback": (
        "日志现在比它签署过的更短：有条目被撤下。",
        "The log now shows fewer entries than it has signed: entries were withdrawn.",
    ),
    "audit.history_changed": (
        "以前签署过的条目被改动。",
        "Entries that were signed before have been changed.",
    ),
    "audit.backdated": (
        "签发日期与写入日志的日期相差超过一天。",
        "The day of issue is more than a day away from the day of logging.",
    ),
    "audit.time_backwards": ("日志时间倒退。", "The log's time goes back."),
    "audit.round_shape": (
        "轮次格式不对：缺少或多出时间、填充条目。",
        "A round is not entries, one time, and a filler where needed.",
    ),
    "audit.status_mismatch": (
        "状态清单与日志条目重算的结果不一致。",
        "A status list is not the one that the entries give.",
    ),
    "audit.landmark_mismatch": (
        "地标清单与日志条目重算的结果不一致。",
        "A landmark list is not the one that the entries give.",
    ),
    "audit.status_unchecked": (
        "状态清单还依据别的日志，本次审计无法重算：不能算作没有异常。",
        "A status list also rests on other logs, so this audit cannot draw it again: it is not clean.",
    ),
    "audit.compromised_key_used": (
        "已泄露的密钥在最后可信位置之后仍有条目：这些条目不算数。",
        "A compromised key has entries at or above its last good size: they do not count.",
    ),
    "audit.gap": (
        "序号缺口已超过 24 小时：既未签发，也未作废。",
        "Serials were left out for more than 24 hours: neither issued nor voided.",
    ),
    "audit.burst": (
        "短时间内签发数量超过限额。",
        "More copies of a kind were issued in a day or hour than the limit.",
    ),
    "audit.key_chain": ("密钥事件前后矛盾。", "Key events of one key do not follow one another."),
    "audit.witness_time": (
        "日志时间与见证人的时间相差超过 24 小时。",
        "The log's times are more than 24 hours away from a witness's.",
    ),
    "witness.quorum_not_met": (
        "见证人不足：所要求的见证人未全部签署这个树头。",
        "Too few of the demanded witnesses cosigned the head.",
    ),
    "audit.receipt_fork": (
        "收集到的回执与日志不符：这是分叉证据。",
        "A collected receipt contradicts the log: proof of a fork.",
    ),
    "audit.receipt_invalid": ("收集到的回执无效。", "A collected receipt does not verify."),
    "audit.receipt_unproven": (
        "回执与日志不符，但缺少所属凭证，不能证明分叉。",
        "A receipt does not fit the log; without its credential this proves no fork.",
    ),
    "audit.receipt_beyond_head": (
        "回执所指位置超出日志现有大小。",
        "A receipt vouches for an entry beyond the log's head.",
    ),
    "audit.receipt_absent": ("凭证不带回执。", "A credential carries no receipt."),
    "audit.receipt_unreadable": ("文件不是回执。", "A file is no receipt."),
    "audit.receipt_unchecked": (
        "信任数据里没有该日志的回执密钥。",
        "The trust data hold no receipt key of this origin.",
    ),
    "audit.receipt_too_many": ("回执文件太多，其余未读。", "Too many receipt files: the rest is unread."),
    "client.fetch_failed": (
        "日志缺少文件，或不能读取。",
        "A file of the log is missing or cannot be read.",
    ),
    "client.tile_untrue": (
        "日志给出的数据与签署的树头不符。",
        "The log serves something that its signed head does not cover.",
    ),
    "rule.unknown_key": (
        "条目使用了不属于该机构的密钥。",
        "An entry uses a key that is not that issuer's for this purpose.",
    ),
    "rule.key_retired": ("条目使用了已停用的密钥。", "An entry uses a key that was retired before."),
    "rule.key_kind": ("签发了密钥无权签发的种类。", "A key issued a kind that is not in its scope."),
    "rule.key_day": ("条目的日期不在密钥有效期内。", "An entry is of a day outside its key's days."),
    "rule.act_day": (
        "行为的日期与写入日志的日期相差超过一天。",
        "The day of an act is more than a day away from the day of logging.",
    ),
    "rule.serial_order": (
        "序号重复，或状态变更顺序不对。",
        "A serial comes twice, or an act may not follow its state.",
    ),
    "rule.act_number": ("行为号不连续：有重复或缺失。", "Act numbers are not dense: one is repeated or missing."),
    "rule.act_signature": ("行为条目的签名不对。", "The signature of an act is not good."),
    "rule.one_person": (
        "撤销、作废已签发的序号或公告只有一人签名，而该机构须由两名经办人签名。",
        "A revocation, the voiding of an issued serial or a notice by one person, though its issuer has operators: "
        "two of them must sign.",
    ),
    "rule.same_person": ("提出和批准的是同一把密钥。", "What was asked for and approved is signed by one key twice."),
    "rule.request_signature": (
        "第一人的申请签名不对：他没有申请这件事。",
        "The first person's signature is not good: this is not what was asked for.",
    ),
    "rule.request_day": (
        "第一人的申请日期早于批准超过七天，或在批准之后。",
        "The first person asked more than 7 days before the second approved, or after that.",
    ),
    "rule.notice_body": ("公告内容不合规定格式。", "A notice's body is not in its form."),
    "rule.notice_number": (
        "公告号不连续：有重复或缺失。",
        "Notice numbers are not dense: one is repeated or missing.",
    ),
    "rule.wrong_head": ("条目引用的树头不属于本日志。", "An entry names a head that this log never had."),
    "rule.status_time": ("状态清单的时间倒退。", "Status lists go back in time."),
    "rule.status_incomplete": (
        "状态清单没有计入该机构在它之前的条目：可能掩盖了撤销。",
        "A status list leaves out entries of its issuer that stand below it: it may hide a revocation.",
    ),
    "rule.status_clock": (
        "状态清单的时间与所在轮次不符，或有效期过长。",
        "A status list's times do not fit its round, or it holds for too long.",
    ),
    "rule.head_shrinks": (
        "列表所述的日志大小比上一份还小，或少了一个日志。",
        "A list states a smaller size of a log than the one before, or leaves the log out.",
    ),
    "rule.unknown_origin": (
        "列表引用了信任数据里没有、或该机构不得写入的日志。",
        "A list names a log that the trust data lack, or that its issuer may not log in.",
    ),
    "rule.origin_missing": ("状态清单没有覆盖本日志。", "A status list does not cover this log."),
    "rule.log_closed": (
        "日志已经封存，之后仍有新的条目。",
        "The log was closed, and entries were added after that.",
    ),
    "rule.wrong_shard": (
        "日志的第一条没有如实说明它接续哪一份已封存的日志；审计后继日志请用 --before。",
        "Entry 0 does not say what this log goes on from; auditing a successor takes --before.",
    ),
    "note.untrusted": ("检查点没有受信任的签名。", "The checkpoint carries no trusted signature."),
}

_FAMILIES: dict[str, tuple[str, str]] = {
    "entry.": ("条目格式不对。", "An entry is malformed."),
    "note.": ("检查点签名或格式不对。", "The checkpoint's note or signature is not good."),
    "checkpoint.": ("检查点内容不对。", "The checkpoint is not good."),
    "policy.": ("信任数据里的见证人规则不能使用。", "The quorum policy of the trust data cannot be used."),
}


def sentence(code: str, lang: Lang) -> str:
    """What the code means; the code's family for one that has no sentence of its own."""
    found = _SENTENCES.get(code)
    if found is None:
        found = next((text for start, text in _FAMILIES.items() if code.startswith(start)), (code, code))
    return found[0] if lang == "zh" else found[1]


def codes() -> tuple[str, ...]:
    """Every code with a sentence of its own."""
    return tuple(_SENTENCES)
