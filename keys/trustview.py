"""What `mingzheng trust show` says: a store described as JSON, and as text in Chinese or English.

Pure: the clock's reading and the reader of status lists (another room's format) are handed in. Times are
civil times at UTC+08:00. Nothing here is a verdict on freshness: that depends on the policy of a check.
"""

import datetime
import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from mingzheng.keys.strictjson import Json
from mingzheng.keys.trust import KeyRecord, Role, TrustData

Lang: TypeAlias = Literal["zh", "en"]
# Gives this-update (unix seconds) of a status list's bytes, or None if it cannot tell.
StatusTime: TypeAlias = Callable[[bytes], int | None]
# Names a number (a kind, a region) in a language: ("kinds" | "jurisdictions", number, language).
Namer: TypeAlias = Callable[[str, int, str], str]

_ZONE: Final = datetime.timezone(datetime.timedelta(hours=8))
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "generation": ("代次", "generation"),
    "made": ("制作时间", "made"),
    "fingerprint": ("指纹", "fingerprint"),
    "unsigned": (
        "未经签名的信任数据：请通过另一渠道核对指纹。",
        "Unsigned trust data: compare the fingerprint over another channel.",
    ),
    "signed": ("经 TUF 签名导入。", "Imported through TUF."),
    "first_root": ("签名所依的最初的根", "first root of its signatures"),
    "issuer": ("签发机构", "issuer"),
    "body": ("机关", "body"),
    "prefix": ("二维码前缀", "QR prefix"),
    "status": ("状态清单", "status list"),
    "no_status": ("没有状态清单：无法判断是否撤销。", "No status list: revocation cannot be decided."),
    "origin": ("日志", "log"),
    "height": ("块高", "block height"),
    "key": ("密钥", "key"),
    "kinds": ("证书种类", "kinds"),
    "jurisdictions": ("地区", "jurisdictions"),
    "origins": ("可记入日志", "logs"),
    "retired": ("停用于", "retired on"),
    "compromised": ("已泄露，各日志有效条数", "COMPROMISED, good entries per log"),
    "quorum": ("见证方策略", "witness policy"),
    "no_quorum": ("没有见证方策略。", "No witness policy."),
    "unknown": ("未知", "unknown"),
    "ahead": ("晚于本机时钟", "ahead of this clock"),
    "none": ("无", "none"),
    "files": ("文件数", "files"),
}
_ROLES_ZH: Final[Mapping[Role, str]] = {
    Role.AUTHORITY: "机构主密钥",
    Role.CREDENTIAL: "凭证签名",
    Role.ACT: "行为签名",
    Role.OPERATOR: "经办人签名",
    Role.RECEIPT: "回执",
    Role.CHECKPOINT: "树头",
    Role.WITNESS: "见证方",
    Role.STATUS: "状态清单",
    Role.LANDMARK: "地标",
    Role.SUBMIT: "提交",
    Role.REPORT: "报告",
}


def describe(
    data: TrustData,
    *,
    fingerprint: str,
    signed_by_tuf: bool,
    now: int,
    status_time: StatusTime | None,
    first_root: str | None = None,
) -> dict[str, Json]:
    """Everything a store holds, as JSON; ages are `now` (unix seconds) minus the time stated.

    `first_root`: fingerprint of the root that its signatures begin with, pinned here or not.
    """
    return {
        "generation": data.generation,
        "made_at": data.made_at,
        "age_seconds": now - data.made_at,
        "fingerprint": fingerprint,
        "signed_by_tuf": signed_by_tuf,
        "first_root": first_root,
        "issuers": [_issuer(data, number, now, status_time) for number in sorted(data.issuers)],
        "origins": [
            {"number": o.number, "name": o.name, "block_height": o.block_height}
            for _, o in sorted(data.origins.items())
        ],
        "keys": [_key(data.keys[kid]) for kid in sorted(data.keys)],
        "quorum": data.quorum,
        "files": [
            {"name": name, "size_bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
            for name, blob in sorted(data.blobs.items())
        ],
    }


def render(data: TrustData, shown: Mapping[str, Json], lang: Lang, namer: Namer | None = None) -> str:
    """The same for people; `shown` is what `describe` said; without `namer`, kinds and regions are numbers."""
    say = _speaker(lang)
    made = f"{_time(data.made_at)} ({_age(_number(shown['age_seconds']), lang)})"
    lines = [
        f"{say('generation')}: {data.generation}",
        f"{say('made')}: {made}",
        f"{say('fingerprint')}: {shown['fingerprint']}",
        say("signed" if shown["signed_by_tuf"] else "unsigned"),
        *([f"{say('first_root')}: {shown['first_root']}"] if shown["first_root"] else ()),
        f"{say('quorum')}: {len(data.quorum.splitlines())}" if data.quorum else say("no_quorum"),
        f"{say('files')}: {len(data.blobs) + 1}",
    ]
    assert isinstance(shown["issuers"], list)
    for issuer in shown["issuers"]:
        assert isinstance(issuer, dict)
        lines += ["", *_issuer_lines(data, issuer, lang, namer)]
    for _, origin in sorted(data.origins.items()):
        lines += ["", f"{say('origin')} {origin.number}: {origin.name} ({say('height')} {origin.block_height})"]
        lines += [
            _key_line(record, lang, namer)
            for _, record in sorted(data.keys.items())
            if record.issuer == 0 and record.may_log(origin.number)
        ]
    return "\n".join(lines) + "\n"


def _issuer(data: TrustData, number: int, now: int, status_time: StatusTime | None) -> dict[str, Json]:
    issuer = data.issuers[number]
    status = data.blobs.get(f"status/{number}.cbor")
    this_update = None if status is None or status_time is None else status_time(status)
    return {
        "number": number,
        "name": issuer.name,
        "name_en": issuer.name_en,
        "bodies": [{"number": n, "name": name} for n, name in sorted(issuer.bodies.items())],
        "prefixes": list(issuer.prefixes),
        "has_status": status is not None,
        "status_this_update": this_update,
        "status_age_seconds": None if this_update is None else now - this_update,
    }


def _key(record: KeyRecord) -> dict[str, Json]:
    lost = record.compromised
    return {
        "kid": record.kid.hex(),
        "role": record.role.value,
        "alg": int(record.public_key.alg),
        "issuer": record.issuer,
        "jurisdictions": [*sorted(record.jurisdictions)],
        "kinds": [*sorted(record.kinds)],
        "valid_from": _day(record.valid_from),
        "valid_until": _day(record.valid_until),
        "origins": [*sorted(record.origins)],
        "name": record.name,
        "compromised": None if lost is None else [{"origin": n, "good_size": lost[n]} for n in sorted(lost)],
        "retired_on": None if record.retired_on is None else _day(record.retired_on),
    }


def _issuer_lines(data: TrustData, issuer: Mapping[str, Json], lang: Lang, namer: Namer | None) -> list[str]:
    say = _speaker(lang)
    number = _number(issuer["number"])
    record = data.issuers[number]
    lines = [f"{say('issuer')} {number}: {record.name} ({record.name_en})"]
    lines += [f"  {say('body')} {n}: {name}" for n, name in sorted(record.bodies.items())]
    lines += [f"  {say('prefix')}: {prefix}" for prefix in record.prefixes]
    if not issuer["has_status"]:
        lines.append(f"  {say('no_status')}")
    elif issuer["status_this_update"] is None:
        lines.append(f"  {say('status')}: {say('unknown')}")
    else:
        when, age = _time(_number(issuer["status_this_update"])), _number(issuer["status_age_seconds"])
        lines.append(f"  {say('status')}: {when} ({_age(age, lang)})")
    keys = sorted(data.keys.items())
    return lines + [_key_line(key, lang, namer) for _, key in keys if key.issuer == number]


def _key_line(record: KeyRecord, lang: Lang, namer: Namer | None) -> str:
    say = _speaker(lang)
    alg = record.public_key.alg
    parts = [
        f"  {say('key')} {record.kid.hex()} {_role(record.role, lang)} {alg.name} ({int(alg)})",
        f"{_day(record.valid_from)} … {_day(record.valid_until)}",
    ]
    if record.name:
        parts.append(record.name)
    if record.issuer:
        numbers = {"kinds": record.kinds, "jurisdictions": record.jurisdictions, "origins": record.origins}
        for word, found in numbers.items():
            name = None if word == "origins" else namer
            text = _list(found) if name is None else ", ".join(name(word, number, lang) for number in sorted(found))
            parts.append(f"{say(word)} {text or say('none')}")
    if record.retired_on is not None:
        parts.append(f"{say('retired')} {_day(record.retired_on)}")
    if record.compromised is not None:
        sizes = " ".join(f"{n}:{size}" for n, size in sorted(record.compromised.items()))
        parts.append(f"{say('compromised')} {sizes or say('none')}")
    return "; ".join(parts)


def _role(role: Role, lang: Lang) -> str:
    return f"{_ROLES_ZH[role]} {role.value}" if lang == "zh" else role.value


def _speaker(lang: Lang) -> Callable[[str], str]:
    return lambda word: _WORDS[word][0 if lang == "zh" else 1]


def _list(numbers: frozenset[int]) -> str:
    """Numbers with runs closed up: 0, 11-15, 31."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _number(value: Json) -> int:
    assert isinstance(value, int)
    return value


def _day(day: int) -> str:
    return datetime.date.fromordinal(day + _EPOCH).isoformat()


def _time(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, _ZONE).strftime("%Y-%m-%d %H:%M:%S +08:00")


def _age(seconds: int, lang: Lang) -> str:
    """Minutes, hours or days, rounded down, as in a report of a check."""
    if seconds < 0:
        return _speaker(lang)("ahead")
    zh = lang == "zh"
    if seconds < 7_200:
        return f"{seconds // 60} 分钟前" if zh else f"{seconds // 60} min ago"
    if seconds < 172_800:
        return f"{seconds // 3_600} 小时前" if zh else f"{seconds // 3_600} h ago"
    return f"{seconds // 86_400} 天前" if zh else f"{seconds // 86_400} days ago"
