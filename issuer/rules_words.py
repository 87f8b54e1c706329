"""Sentences of `mingzheng rules …`, Chinese and English, for every answer, step and word of a rule. Pure."""

from collections.abc import Mapping
from typing import Final

Words = tuple[str, str]

ANSWERS: Final[Mapping[str, Mapping[str, Words]]] = {
    "ends": {
        "IN_FORCE": ("注册及各专业均在有效期内", "the registration and every specialty are in force"),
        "SOME_ENDED": ("部分专业已届满：{ended}；其余仍有效", "ended: {ended}; the others are in force"),
        "ALL_ENDED": ("各专业均已届满：{ended}", "every specialty has ended: {ended}"),
        "REGISTRATION_ENDED": ("注册有效期已届满", "the registration has ended"),
    },
    "renewal": {
        "OPEN": (
            "{until} 届满：可以申请延续注册（{opens} 至 {closes}）",
            "ends {until}: a renewal may be applied for ({opens} to {closes})",
        ),
        "OPEN_TRANSITION": (
            "{until} 已届满：过渡期内仍可申请延续注册",
            "ended {until}: within the transition a renewal may still be applied for",
        ),
        "TOO_EARLY": (
            "{until} 届满：尚不能申请，{opens} 起可以申请",
            "ends {until}: too early, applications open on {opens}",
        ),
        "TOO_LATE": (
            "{until} 届满：已不能申请，最后一日为 {closes}",
            "ends {until}: too late, the last day was {closes}",
        ),
        "EXPIRED_LAPSED": (
            "{until} 已届满且未申请延续：该注册专业失效，须重新取得注册",
            "ended {until} without an application: lapsed, to be registered anew",
        ),
        "EXPIRED_AUTO_CANCEL": (
            "{until} 已届满且未办理延续：注册自动注销，须重新注册",
            "ended {until} without a renewal: the registration is cancelled; register anew",
        ),
        "CLOSED_BY_AGE": (
            "{until} 届满：持证人已超过年龄，不能办理延续注册",
            "ends {until}: the holder is past the age, no renewal",
        ),
        "NO_RULE": ("{until} 届满：通知没有延续注册的规则", "ends {until}: the notices have no rule of renewal"),
    },
    "renewed": {
        "GRANTED": (
            "延续后的有效期：{valid_from} 至 {valid_until}（含首尾两日）",
            "renewed: good from {valid_from} to {valid_until}, both days included",
        ),
        "CLOSED_BY_AGE": (
            "准予之日已超过年龄，没有可准予的有效期",
            "past the age on the day of approval: nothing is left to grant",
        ),
        "NO_RULE": ("通知没有延续注册的规则", "the notices have no rule of renewal"),
    },
    "change": {
        "OPEN": ("可以申请变更注册，最后一日为 {closes}", "a change may be applied for, the last day is {closes}"),
        "REFUSED": (
            "距届满天数不足，不能申请变更注册；最后一日为 {closes}，请办理延续注册",
            "too few days are left: the last day was {closes}; apply for a renewal",
        ),
        "EXPIRED": ("注册有效期已届满，不能申请变更注册", "the registration has ended: no change"),
        "CLOSED_BY_AGE": ("持证人已超过年龄，不能办理", "the holder is past the age: no change"),
        "NO_RULE": ("通知没有变更注册的期限", "the notices set no number of days for a change"),
    },
    "reissue": {
        "ALLOWED": (
            "可以换领：签发日期 {issued_on}，有效期仍至 {registered_until}，旧证书被取代",
            "may be exchanged: dated {issued_on}, still good until {registered_until}, earlier copies superseded",
        ),
        "REFUSED_EXPIRED": ("证书已过有效期，不能换领；请先办理延续", "no longer valid: renew it before an exchange"),
        "CLOSED_BY_AGE": ("持证人已超过年龄，不能换领", "the holder is past the age: no re-issue"),
        "REFUSED_PENDING": (
            "尚有其他申请事项在办，不能换领；办结后再换",
            "another matter is pending: exchange it when that is done",
        ),
        "NO_RULE": ("通知没有换领的规则", "the notices have no rule of exchange"),
    },
    "data_changed": {
        "DOWNLOAD_AGAIN": ("信息变更后须重新下载", "after a change of data the certificate is downloaded again"),
        "NO_RULE": ("通知未言信息变更后如何", "the notices do not say what changed data call for"),
    },
    "seal": {
        "COMPLETE": ("应有签章齐全：{required}", "all seals called for are there: {required}"),
        "MISSING": ("缺少签章：{missing}", "missing: {missing}"),
        "OTHER_BODY": (
            "有不应有的签章：{others}；应为：{required}",
            "not called for: {others}; called for: {required}",
        ),
        "NO_RULE": ("该日没有签章的规则", "no rule of seals on that day"),
    },
    "form": {
        "VALID_EQUAL": ("有效，与其他形式同等效力", "good, with the same force as the other forms"),
        "VALID_CONTINUES": ("在其自身有效期内可继续使用", "may be used while it is itself valid"),
        "EXPIRED": ("已过其自身有效期", "past its own end"),
        "FORM_RETIRED": (
            "该形式的证书已失效，请换领或下载新证书",
            "this form is void: exchange it or download the new one",
        ),
        "NOT_IN_USE": (
            "该日没有这种形式的证书，或其签发日期不在发放期内",
            "this form was not in use, or was not issued on the day it bears",
        ),
        "NO_RULE": ("通知未言这种形式的证书", "the notices do not speak of this form"),
    },
    "precedence": {
        "ELECTRONIC": ("与纸质证书不一致时，以电子证书为准", "where paper differs, the electronic certificate holds"),
        "NO_RULE": ("通知未言不一致时以何者为准", "the notices do not say which form holds where they differ"),
    },
    "extension": {
        "MOVED": ("有效期统一延至 {until}", "extended to {until}"),
        "UNMOVED": ("不在统一延期之列，仍至 {until}", "not extended: still {until}"),
        "NO_RULE": ("没有统一延期的规则，仍至 {until}", "no rule of extensions: still {until}"),
    },
    "handwriting": {
        "INVALID": ("该打印件无效（处理：{severity}）", "the print is invalid ({severity})"),
        "NOT_USABLE": (
            "手写本人签名后方可使用（处理：{severity}）",
            "not usable before it is signed by hand ({severity})",
        ),
        "NOT_AS_REQUIRED": ("不合签名要求（处理：{severity}）", "not signed as required ({severity})"),
        "MET": ("签名合乎要求", "signed as required"),
        "TO_COMPARE": ("须由人比对手写签名", "a person must compare the signature"),
        "NOT_ASKED": ("通知未要求手写签名", "the notices ask for no handwritten signature"),
    },
    "images": {
        "COMPLETE": ("必须的图像齐全", "the images that must be there are there"),
        "MISSING": ("缺少必须的图像：{missing}；该行不能签发", "missing: {missing}; the row cannot be issued"),
    },
    "lock": {
        "NO_NEW_COPY": (
            "已锁定：不能取得新副本；不公示，已发出的副本不受影响",
            "locked: no new copy; not public, copies already out stay as they are",
        ),
        "FREE": ("未锁定：可以取得新副本", "not locked: new copies can be obtained"),
        "NO_RULE": ("通知没有锁定的规则", "the notices have no rule of locks"),
    },
}

STEPS: Final[Mapping[str, Words]] = {
    "REGISTRATION": ("注册有效期截止", "end of the registration"),
    "SPECIALTY": ("第 {n} 个专业有效期截止", "end of specialty {n}"),
    "RENEW_OPENS": ("开始受理延续的第一日", "first day to apply"),
    "RENEW_CLOSES": ("受理延续的最后一日", "last day to apply"),
    "UNRENEWED": ("届满未延续", "end without a renewal:"),
    "TRANSITION": ("已届满者的申请截止日", "last day for what has ended"),
    "AGE": ("满 {n} 周岁当日", "the day the holder turns {n}"),
    "STARTS": ("自准予之日起", "from the day of approval"),
    "TERM": ("{n} 年", "{n} years"),
    "TERM_END": ("年限的止日", "the day on which the term ends"),
    "NO_AGE_CUT": ("不以年龄截短", "not cut by age"),
    "NO_RENEWAL": ("没有延续的规则", "no rule of renewal"),
    "NO_CHANGE": ("没有变更的期限", "no days for a change"),
    "CHANGE_CLOSES": ("可以申请变更的最后一日", "last day to apply for a change"),
    "ONLY_WHILE": ("换领的条件", "condition of an exchange:"),
    "VALIDITY": ("有效期", "validity"),
    "ISSUE_DATE": ("签发日期", "day of issue:"),
    "OLD_COPIES": ("旧证书", "earlier copies:"),
    "NO_REISSUE": ("没有换领的规则", "no rule of exchange"),
    "DATA_CHANGED": ("信息变更后", "after a change of data:"),
    "SEAL": ("签章", "seal"),
    "ISSUED": ("发放期", "days of issue of"),
    "STANDING": ("效力", "standing:"),
    "FORMS": ("已知的形式", "known form:"),
    "PRECEDENCE": ("不一致时", "where they differ:"),
    "EXTENSION": ("统一延期 {n}", "extension {n}:"),
    "MOVES": ("延期的对象", "what is extended:"),
    "USAGE_WINDOW": ("使用时限", "usage window:"),
    "NO_EXTENSION": ("没有统一延期的规则", "no rule of extensions"),
    "HANDWRITING": ("手写签名", "handwritten signature:"),
    "SEVERITY": ("按查验场合的处理", "under this policy:"),
    "LOCK_STOPS": ("锁定期间不能", "a lock stops:"),
    "LOCK_SHOWN": ("是否公示", "publication:"),
    "LOCK_COPIES_OUT": ("已发出的副本", "copies already out:"),
    "NO_LOCK": ("没有锁定的规则", "no rule of locks"),
    "PHOTO": ("照片", "photo:"),
    "SIGNATURE_IMAGE": ("签名图像", "signature image:"),
    "BORDERS": ("约定：期限首尾两日计入", "convention: days at the border count"),
    "LAST_DAY": ("约定：届满当日仍有效", "convention: the last day is good"),
    "BIRTHDAY": ("约定：满岁当日仍可", "convention: the birthday itself is good"),
    "LEAP_DAY": ("约定：2月29日在平年为2月28日", "convention: 29 February is 28 February in common years"),
    "EXACT_TERM": ("约定：恰好满年限者给足", "convention: exactly the term is the full term"),
}

# Words of the profiles, as in docs/profiles.md; a word that is not here (the name of a seal) is shown as it stands.
WORDS: Final[Mapping[str, Words]] = {
    "lapses": ("该专业失效", "that specialty lapses"),
    "cancelled": ("注册自动注销", "the registration is cancelled"),
    "valid_and_idle": ("在有效期内且无其他申请事项", "valid, and nothing else pending"),
    "kept": ("维持不变", "kept"),
    "reissue_day": ("换领日期", "the day of exchange"),
    "superseded": ("由新证书取代", "superseded"),
    "download_again": ("重新下载", "download again"),
    "silent": ("通知未提", "the notice is silent"),
    "paper": ("纸质证书", "paper"),
    "electronic-old": ("原电子证书", "the former electronic certificate"),
    "electronic": ("电子证书", "the electronic certificate"),
    "equal": ("同等效力", "equal force"),
    "continues": ("有效期内继续使用", "goes on while valid"),
    "void": ("失效", "void"),
    "APPLIED": ("适用", "applies"),
    "OUT_OF_RANGE": ("不在所延期限内", "not in its range"),
    "OUTRUN": ("另有更晚的延期", "others lead to a later end"),
    "NOT_YET": ("尚未生效", "not yet in effect"),
    "RETRACTED": ("已撤回", "retracted"),
    "registration_ends": ("注册（专业）有效期", "ends of registrations and specialties"),
    "unmoved": ("不延长", "not extended"),
    "moved": ("一并延长", "extended too"),
    "apply_again": ("不恢复，须另行申请", "not revived: apply again"),
    "revive": ("恢复有效", "good again"),
    "invalid_unless_matching": ("未签或笔迹不一致者无效", "invalid if missing or different"),
    "must_match": ("应与签名图像笔迹一致", "must match the signature image"),
    "must_sign": ("手写签名方可使用", "usable only when signed"),
    "blocks": ("不予认可", "blocks"),
    "duty": ("提请处理", "a duty"),
    "note": ("仅作提示", "a note"),
    "new_copies": ("取得新副本", "new copies"),
    "not_public": ("不公示", "not public"),
    "untouched": ("不受影响", "untouched"),
    "photo": ("照片", "photo"),
    "signature_image": ("签名图像", "signature image"),
    "required": ("必须有", "required"),
    "optional": ("可有", "optional"),
    "none": ("没有", "none"),
}
