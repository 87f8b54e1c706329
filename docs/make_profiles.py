"""Writes docs/profile-values.md (every value of every shipped profile with its source) and formats/profile_index.py.

Run it after changing a profile: `python docs/make_profiles.py`. Tests compare both with what this would write. The
index holds the head and digest of every shipped file; each is read whole before it is written down.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from mingzheng.formats.civil import format_day
from mingzheng.formats.library import load_shipped_profiles, read_shipped_profiles
from mingzheng.formats.profile import NATIONAL, Cap, Citation, Cited, Profile, SealSlot, parse_profile
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_model import Form, HandwritingSeverity

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# 规则文件的全部取值 Values of the shipped profiles

由 `docs/make_profiles.py` 写成；各项含义见 [profiles.md](profiles.md)。各省文件只列与全国文件不同之处。
Written by `docs/make_profiles.py`; what the entries mean: [profiles.md](profiles.md).
“类推” is by analogy, “本规则文件规定” set by the profile itself; a province's table shows only what differs.
"""
DAYS = {"renewal.transition", "enabled_from", "extension.granted_from"}  # values that are days

Row = tuple[str, str, Citation]


def rows(profile: Profile) -> Iterator[Row]:
    """Every entry of a profile that has a source: its key in the file, its value, the source."""
    yield "effective", _span(profile.effective_from, profile.effective_until), profile.effective
    for name in ("specialty", "employer", "registration_no"):
        yield from _walk(name, getattr(profile, name))
    if profile.specialty_codes is not None:
        yield "specialty_codes", f"{len(profile.specialties)} 个", profile.specialty_codes
    yield from _walk("usage_window", profile.usage_window or profile.no_usage_window)
    for name in ("enabled_from", "photo", "signature_image", "handwriting", "seals"):
        yield from _walk(name, getattr(profile, name))
    yield from _walk("", profile.rules)
    yield "page", f"{len(profile.fields)} 栏", profile.fields_source


def _walk(key: str, value: object) -> Iterator[Row]:
    match value:
        case Cited():
            yield key, _word(key, value.value), value.citation
        case Citation():
            head, _, name = key.rpartition(".")
            yield f"{head}.no_{name}" if head else f"no_{name}", "—", value
        case tuple():
            for item in value:
                yield from _walk(key, item)
        case Cap():
            yield key, f"{value.verb}:{value.years}" if value.years else str(value.verb), value.citation
        case SealSlot():
            behalf = f"，代 {value.on_behalf_of}" if value.on_behalf_of else ""
            yield key, f"{value.name}（{value.kind}，{_span(value.first_day, value.last_day)}{behalf}）", value.citation
        case Form():
            yield (
                key,
                f"{value.name} {value.name_zh}，签发：{_span(value.issued_from, value.issued_until)}",
                value.citation,
            )
            for period in value.periods:
                span = _span(period.first_day, period.last_day)
                yield f"{key}.standing", f"{value.name}：{period.standing}，{span}", period.citation
        case BlanketExtension():
            ends = f"{format_day(value.first_end)}–{format_day(value.last_end)} → {format_day(value.new_end)}"
            yield key, f"{ends}（{_span(value.effective_on, value.retracted_on)}）", value.citation
        case HandwritingSeverity():
            for name in ("missing", "differs"):
                yield f"handwriting.severity.{name}", _policies(getattr(value, name)), value.citation
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from _walk(f"{key}.{field.name}".removeprefix("."), getattr(value, field.name))
        case None:
            return
        case _:
            raise TypeError(f"{key}: {type(value).__name__} has no row")


def _policies(levels: Mapping[str, str]) -> str:
    return "，".join(f"{policy} {level}" for policy, level in levels.items())


def _word(key: str, value: object) -> str:
    if key in DAYS:
        return "not-yet" if value is None else format_day(int(str(value)))
    return str(value)


def _span(first: int | None, last: int | None) -> str:
    if first is None and last is None:
        return "不限"
    begin = "" if first is None else f"{format_day(first)} 起"
    return begin if last is None else f"{begin}{'，' if begin else ''}{format_day(last)} 止"


def page() -> str:
    """docs/profile-values.md as text."""
    profiles = load_shipped_profiles().profiles
    lines = [HEAD]
    for profile in profiles:
        national = next(one for one in profiles if one.code == profile.code and one.jurisdiction == NATIONAL)
        known = set() if profile is national else {_line(row) for row in rows(national)}
        lines += [
            f"## `{profile.id}.{profile.jurisdiction}` {profile.name_zh}",
            "",
            "| verb | value | source |",
            "|---|---|---|",
        ]
        lines += [line for line in map(_line, rows(profile)) if line not in known]
        lines.append("")
    return "\n".join(lines)


def _line(row: Row) -> str:
    key, value, citation = row
    return f"| `{key}` | {value} | {citation.text_zh()} |"


INDEX_MARK = "# Written by docs/make_profiles.py"


def index(before: str) -> str:
    """formats/profile_index.py as text: what stands above the mark, then a row for each shipped file."""
    files = read_shipped_profiles()
    lines = [f"{before.split(INDEX_MARK)[0]}{INDEX_MARK}: name, SHA-256, code, first and last day, base of an overlay."]
    lines += ["_ROWS: Final[tuple[tuple[str, str, int, int, int | None, str | None], ...]] = ("]
    for name, data in files.items():
        base = tomllib.loads(data.decode("utf-8")).get("base")
        under = None if base is None else f"{base}.{NATIONAL}"
        profile = parse_profile(data, base=None if under is None else files[f"{under}.toml"])
        days = f"{profile.effective_from}, {profile.effective_until}"
        own, stated = hashlib.sha256(data).hexdigest(), "None" if under is None else f'"{under}"'
        lines += ["    (", f'        "{name.removesuffix(".toml")}",', f'        "{own}",']
        lines += [f"        {profile.code},", *(f"        {day}," for day in days.split(", "))]
        lines += [f"        {stated},", "    ),"]
    return "\n".join([*lines, ")", "_BY_DIGEST: Final = {row[1]: _known(*row) for row in _ROWS}", ""])


if __name__ == "__main__":
    held = ROOT / "formats" / "profile_index.py"
    held.write_text(index(held.read_text("utf-8")), encoding="utf-8")
    (ROOT / "docs" / "profile-values.md").write_text(page(), encoding="utf-8")
