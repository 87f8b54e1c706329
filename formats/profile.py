"""Profiles: TOML in, `Profile` out; sets of profiles, and which one governs a copy.

Spec: docs/profiles.md. A file is either complete or an overlay: it names the national profile it rests on
(`base`) and replaces whole top-level entries of it. This module is the face of the profile engine: types come
from `profile_model`, the usage-window rule from `window`. Pure; the shipped files: `library`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Final, TypeVar

from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.profile_model import (
    Cap,
    CapVerb,
    Citation,
    Cited,
    FieldName,
    Handwriting,
    Notice,
    NumberForm,
    PageField,
    Profile,
    Requirement,
    SealKind,
    SealSlot,
    SpecialtyName,
    SpecialtyPick,
    UsageWindow,
)
from mingzheng.formats.strict_toml import (
    ProfileError,
    ProfileSyntaxError,
    ProfileValueError,
    Table,
    read_document,
)
from mingzheng.formats.window import (
    MissingFactError,
    TraceStep,
    Window,
    WindowClosedError,
    WindowFacts,
    WindowState,
    usage_last_day,
    usage_window,
    window_state,
)

__all__ = [
    "Cap",
    "CapVerb",
    "Citation",
    "Cited",
    "FieldName",
    "Handwriting",
    "MissingFactError",
    "Notice",
    "NumberForm",
    "PageField",
    "Profile",
    "ProfileConflictError",
    "ProfileError",
    "ProfileSet",
    "ProfileSyntaxError",
    "ProfileValueError",
    "Requirement",
    "SealKind",
    "SealSlot",
    "SpecialtyName",
    "SpecialtyPick",
    "TraceStep",
    "UsageWindow",
    "Window",
    "WindowClosedError",
    "WindowFacts",
    "WindowState",
    "parse_profile",
    "parse_profiles",
    "usage_last_day",
    "usage_window",
    "window_state",
]

NATIONAL: Final = 0  # jurisdiction of a profile that holds where no province has its own
SCHEMA: Final = 1
MAX_PROFILES: Final = 256
MAX_SPECIALTIES: Final = 64
MAX_SEALS: Final = 8

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class ProfileConflictError(ProfileError):
    """Two profiles claim the same kind, jurisdiction and day, or one id has two codes."""

    code: ClassVar[str] = "profile.conflict"


class ProfileSet:
    """Profiles of all kinds, jurisdictions and times; at most one per kind, jurisdiction and day."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self.profiles = tuple(sorted(profiles, key=lambda item: (item.code, item.jurisdiction, item.effective_from)))
        _refuse_two_codes(self.profiles)
        for left, right in zip(self.profiles, self.profiles[1:], strict=False):
            same = (left.code, left.jurisdiction) == (right.code, right.jurisdiction)
            if same and (left.effective_until is None or left.effective_until >= right.effective_from):
                raise ProfileConflictError(f"{left.id} jurisdiction {left.jurisdiction}: two profiles overlap")

    def select(self, kind: int, jurisdiction: int, on_day: int) -> Profile | None:
        """Return the profile that governs on `on_day`: the jurisdiction's own, else the national one."""
        for place in (jurisdiction, NATIONAL):
            for profile in self.profiles:
                if (profile.code, profile.jurisdiction) == (kind, place) and profile.effective_on(on_day):
                    return profile
        return None

    def code_of(self, profile_id: str) -> int | None:
        """Return the kind code of an id such as `cn.constructor.1`."""
        return next((profile.code for profile in self.profiles if profile.id == profile_id), None)

    def id_of(self, code: int) -> str | None:
        """Return the id of a kind code."""
        return next((profile.id for profile in self.profiles if profile.code == code), None)


def _refuse_two_codes(profiles: tuple[Profile, ...]) -> None:
    pairs = {(profile.id, profile.code) for profile in profiles}
    if len({left for left, _ in pairs}) != len(pairs) or len({right for _, right in pairs}) != len(pairs):
        raise ProfileConflictError("a kind id has two codes or a code two ids")


def parse_profile(data: bytes, *, base: bytes | None = None) -> Profile:
    """Read one profile file; an overlay needs the file it rests on as `base`.

    Raises ProfileSyntaxError, or ProfileValueError naming the dotted place of the fault.
    """
    document = read_document(data)
    if "base" not in document:
        return _profile(Table(document, ""))
    if base is None:
        raise ProfileValueError("base", "an overlay cannot be read without the profile it rests on")
    return _profile(Table(_overlay(read_document(base), document), ""))


def parse_profiles(files: Iterable[bytes]) -> ProfileSet:
    """Read a set of profile files, overlays among them, in any order."""
    documents = [read_document(data) for data in files]
    if len(documents) > MAX_PROFILES:
        raise ProfileConflictError(f"{len(documents)} profiles, at most {MAX_PROFILES} are read")
    complete = [item for item in documents if "base" not in item]
    bases = [(_profile(Table(item, "")), item) for item in complete]
    profiles = [profile for profile, _ in bases]
    for document in documents:
        if "base" in document:
            profiles.append(_profile(Table(_overlay(_base_of(document, bases), document), "")))
    return ProfileSet(profiles)


def _base_of(
    overlay: Mapping[str, object], bases: Sequence[tuple[Profile, Mapping[str, object]]]
) -> Mapping[str, object]:
    """Find the national profile of that id that governs on the overlay's first day."""
    first_day = _day(Table(overlay, "").table("effective"), "from")
    for profile, document in bases:
        national = profile.id == overlay["base"] and profile.jurisdiction == NATIONAL
        if national and profile.effective_on(first_day):
            return document
    raise ProfileValueError("base", f"no national profile of that id governs on {format_day(first_day)}")


# Entries that only the base may state, and entries that an overlay must state itself.
_BASE_ONLY: Final = frozenset({"schema", "id", "code", "specialties", "specialty_codes"})
_OVERLAY_OWN: Final = frozenset({"jurisdiction", "effective"})
_WINDOWS: Final = frozenset({"usage_window", "no_usage_window"})


def _overlay(base: Mapping[str, object], overlay: Mapping[str, object]) -> dict[str, object]:
    """Merge: the overlay's top-level entries replace the base's whole; notices of both are known."""
    if base.get("id") != overlay["base"] or base.get("jurisdiction") != NATIONAL:
        raise ProfileValueError("base", "the profile offered is not the national profile named")
    for key in sorted(_BASE_ONLY & overlay.keys()):
        if key != "schema" or overlay[key] != SCHEMA:
            raise ProfileValueError(key, "only the base may state this")
    for key in sorted(_OVERLAY_OWN - overlay.keys()):
        raise ProfileValueError(key, "an overlay must state this itself")
    merged = {key: value for key, value in base.items() if not (key in _WINDOWS and _WINDOWS & overlay.keys())}
    merged.update((key, value) for key, value in overlay.items() if key not in {"base", "notices"})
    ours, theirs = _raw_table(base, "notices"), _raw_table(overlay, "notices")
    for key in sorted(ours.keys() & theirs.keys()):
        raise ProfileValueError(f"notices.{key}", "the base has a notice of that key")
    merged["notices"] = {**ours, **theirs}
    if merged["jurisdiction"] == NATIONAL:
        raise ProfileValueError("jurisdiction", "an overlay is never national")
    return merged


def _raw_table(document: Mapping[str, object], key: str) -> dict[str, object]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ProfileValueError(key, "table expected")
    return value


def _profile(top: Table) -> Profile:
    top.integer("schema", SCHEMA, SCHEMA)
    notices = _notices(top.table("notices"))
    effective = top.table("effective")
    first, last = _day(effective, "from"), _optional_day(effective, "until")
    if last is not None and last < first:
        raise ProfileValueError(effective.at("until"), "lies before from")
    page = top.table("page")
    profile = Profile(
        id=_profile_id(top),
        code=top.integer("code", 1, 65_535),
        jurisdiction=_jurisdiction(top),
        name_zh=top.text("name_zh"),
        name_en=top.text("name_en"),
        title_zh=top.text("title_zh"),
        title_en=top.text("title_en"),
        template=top.integer("template", 1, 65_535),
        effective_from=first,
        effective_until=last,
        effective=_citation(effective, notices),
        notices=notices,
        specialty=_cited(top, "specialty", notices, _enum(Requirement)),
        specialties=_specialties(top),
        specialty_codes=_whole(top, "specialty_codes", notices),
        employer=_cited(top, "employer", notices, _enum(Requirement)),
        registration_no=_cited(top, "registration_no", notices, _enum(NumberForm)),
        usage_window=_usage_window(top, notices),
        no_usage_window=_whole(top, "no_usage_window", notices),
        photo=_cited(top, "photo", notices, _enum(Requirement)),
        signature_image=_cited(top, "signature_image", notices, _enum(Requirement)),
        handwriting=_cited(top, "handwriting", notices, _enum(Handwriting)),
        seals=_seals(top, notices),
        fields=_fields(page),
        fields_source=_citation(page, notices),
    )
    for table in (effective, page, top):
        table.done()
    _check_whole(profile)
    return profile


def _check_whole(profile: Profile) -> None:
    """What no single entry can show."""
    if (profile.usage_window is None) == (profile.no_usage_window is None):
        raise ProfileValueError("usage_window", "state either usage_window or no_usage_window")
    has_specialties = bool(profile.specialties)
    if has_specialties != (profile.specialty.value is not Requirement.NONE):
        raise ProfileValueError("specialties", "names are needed exactly when the kind has specialties")
    if has_specialties != (profile.specialty_codes is not None):
        raise ProfileValueError("specialty_codes", "needed exactly when the kind has specialties")
    verbs = {cap.verb for cap in profile.usage_window.caps} if profile.usage_window else set()
    if CapVerb.SPECIALTY_UNTIL in verbs and profile.specialty.value is not Requirement.REQUIRED:
        raise ProfileValueError("usage_window.caps", "specialty_until needs a kind that always has specialties")


def _profile_id(top: Table) -> str:
    value = top.text("id")
    parts = value.split(".")
    plain = all(part and part.isascii() and part.replace("-", "").isalnum() for part in parts)
    if not 2 <= len(parts) <= 4 or not plain or value != value.lower() or len(value) > 40:
        raise ProfileValueError("id", "an id is 2 to 4 lower-case words joined by dots")
    return value


def _jurisdiction(top: Table) -> int:
    value = top.integer("jurisdiction", 0, 82)
    if 0 < value < 11:
        raise ProfileValueError("jurisdiction", "0 is national, provinces have GB/T 2260 codes 11 to 82")
    return value


def _day(table: Table, key: str) -> int:
    try:
        return parse_day(table.text(key))
    except ValueError as error:
        raise ProfileValueError(table.at(key), "a day is written YYYY-MM-DD") from error


def _optional_day(table: Table, key: str) -> int | None:
    return _day(table, key) if table.has(key) else None


def _notices(table: Table) -> dict[str, Notice]:
    notices: dict[str, Notice] = {}
    for key in table.names():
        item = table.table(key)
        notices[key] = Notice(
            key=key,
            issuer=item.text("issuer"),
            title=item.text("title"),
            number=item.optional_text("number"),
            issued_on=_optional_day(item, "issued_on"),
            note=item.optional_text("note"),
        )
        item.done()
    return notices


def _citation(table: Table, notices: Mapping[str, Notice]) -> Citation:
    """Read `notice` + `clause` and/or `by_analogy.{zh,en}` of a table; one of the two must be there."""
    notice: Notice | None = None
    clause: str | None = None
    if table.has("notice"):
        key = table.choice("notice", notices)
        notice, clause = notices[key], table.text("clause")
    reason_zh: str | None = None
    reason_en: str | None = None
    if table.has("by_analogy"):
        reason = table.table("by_analogy")
        reason_zh, reason_en = reason.text("zh"), reason.text("en")
        reason.done()
    elif notice is None:
        raise ProfileValueError(table.path, "neither a notice nor a reason by analogy is given")
    return Citation(notice=notice, clause=clause, by_analogy_zh=reason_zh, by_analogy_en=reason_en)


def _cited(table: Table, key: str, notices: Mapping[str, Notice], read: Callable[[Table, str], T]) -> Cited[T]:
    item = table.table(key)
    cited = Cited(value=read(item, "value"), citation=_citation(item, notices))
    item.done()
    return cited


def _whole(top: Table, key: str, notices: Mapping[str, Notice]) -> Citation | None:
    """Read a table that is nothing but a citation, or None."""
    if not top.has(key):
        return None
    item = top.table(key)
    citation = _citation(item, notices)
    item.done()
    return citation


def _enum(kind: type[E]) -> Callable[[Table, str], E]:
    def read(table: Table, key: str) -> E:
        return kind(table.choice(key, [member.value for member in kind]))

    return read


def _word(word: str) -> Callable[[Table, str], str]:
    """A convention with one known value: it is stated, and a file with another one is refused."""

    def read(table: Table, key: str) -> str:
        return table.choice(key, [word])

    return read


def _window_days(table: Table, key: str) -> int:
    return table.integer(key, 1, 3_660)


def _usage_window(top: Table, notices: Mapping[str, Notice]) -> UsageWindow | None:
    if not top.has("usage_window"):
        return None
    table = top.table("usage_window")
    caps = tuple(_cap(item, notices) for item in table.tables("caps", low=0, high=len(CapVerb)))
    verbs = [cap.verb for cap in caps]
    if len(set(verbs)) != len(verbs):
        raise ProfileValueError(table.at("caps"), "one verb twice")
    turns, several = CapVerb.HOLDER_TURNS in verbs, CapVerb.SPECIALTY_UNTIL in verbs
    window = UsageWindow(
        starts=_cited(table, "starts", notices, _word("issue_day")),
        days=_cited(table, "days", notices, _window_days),
        last_day=_cited(table, "last_day", notices, _word("inclusive")),
        leap_birthday=_cited(table, "leap_birthday", notices, _word("feb-28")) if turns else None,
        several_specialties=(_cited(table, "several_specialties", notices, _enum(SpecialtyPick)) if several else None),
        caps=caps,
    )
    table.done()
    return window


def _cap(table: Table, notices: Mapping[str, Notice]) -> Cap:
    text, years = table.text("verb"), None
    name, colon, argument = text.partition(":")
    if name not in set(CapVerb):
        raise ProfileValueError(table.at("verb"), f"{text!r} is no known verb")
    verb = CapVerb(name)
    if verb is CapVerb.HOLDER_TURNS:
        if not (argument.isascii() and argument.isdecimal() and len(argument) <= 3 and argument[0] != "0"):
            raise ProfileValueError(table.at("verb"), "an age in years is needed, as in holder_turns:65")
        years = int(argument)
        if years > 150:
            raise ProfileValueError(table.at("verb"), "nobody turns that old")
    elif colon:
        raise ProfileValueError(table.at("verb"), f"{name} takes no argument")
    cap = Cap(verb=verb, years=years, citation=_citation(table, notices))
    table.done()
    return cap


def _specialties(top: Table) -> dict[int, SpecialtyName]:
    names: dict[int, SpecialtyName] = {}
    for item in top.tables("specialties", low=0, high=MAX_SPECIALTIES):
        entry = SpecialtyName(
            number=item.integer("number", 1, 65_535),
            official_code=item.optional_text("official_code"),
            name_zh=item.text("name_zh"),
            name_en=item.text("name_en"),
        )
        item.done()
        if entry.number in names or any(entry.name_zh == other.name_zh for other in names.values()):
            raise ProfileValueError(item.path, "a specialty twice")
        names[entry.number] = entry
    return names


def _seals(top: Table, notices: Mapping[str, Notice]) -> tuple[SealSlot, ...]:
    slots = []
    for item in top.tables("seals", low=1, high=MAX_SEALS):
        slots.append(
            SealSlot(
                kind=_enum(SealKind)(item, "kind"),
                name=item.text("name"),
                first_day=_day(item, "from"),
                last_day=_optional_day(item, "until"),
                citation=_citation(item, notices),
            )
        )
        item.done()
    return tuple(slots)


def _fields(page: Table) -> tuple[PageField, ...]:
    fields = []
    for item in page.tables("fields", low=1, high=len(FieldName)):
        fields.append(
            PageField(name=_enum(FieldName)(item, "name"), label_zh=item.text("zh"), label_en=item.text("en"))
        )
        item.done()
    if len({field.name for field in fields}) != len(fields):
        raise ProfileValueError(page.at("fields"), "a field twice")
    return tuple(fields)
