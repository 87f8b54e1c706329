"""Profiles: TOML in, `Profile` out.

Spec: docs/profiles.md. A file is either complete or an overlay: it names the national profile it rests on
(`base`) and replaces whole top-level entries of it. This module is the face of the profile engine: types come
from `profile_model`, sets from `profile_set`, the usage-window rule from `window`. Pure; the shipped files: `library`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from mingzheng.formats.civil import format_day
from mingzheng.formats.profile_index import KnownFile, known_file
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
from mingzheng.formats.profile_set import NATIONAL, ProfileConflictError, ProfileHead, ProfileSet, head_of
from mingzheng.formats.rules_model import HandwritingSeverity, Renewal, Severity, Unit
from mingzheng.formats.rules_read import (
    one_of,
    read_citation,
    read_cited,
    read_day,
    read_either,
    read_optional,
    read_optional_day,
    read_sources,
    read_whole,
    the_word,
)
from mingzheng.formats.rules_source import Sources
from mingzheng.formats.rules_tables import read_rules, read_severity
from mingzheng.formats.strict_toml import (
    ProfileError,
    ProfileSyntaxError,
    ProfileValueError,
    Table,
    naming,
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
    "NATIONAL",
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
    "ProfileHead",
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

SCHEMA: Final = 1
MAX_PROFILES: Final = 256
MAX_SPECIALTIES: Final = 64
MAX_SEALS: Final = 8


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


def parse_profiles(files: Iterable[bytes] | Mapping[str, bytes]) -> ProfileSet:
    """Read a set of profile files, overlays among them, in any order; errors say the name of a file that has one.

    A file that the index knows by its digest was read whole when the index was made: it is read again when somebody
    asks for that profile. All others are read here and now. Raises ProfileError.
    """
    named = files.items() if isinstance(files, Mapping) else ((None, data) for data in files)
    given = [(name, data, known_file(data)) for name, data in named]
    if len(given) > MAX_PROFILES:
        raise ProfileConflictError(f"{len(given)} profiles, at most {MAX_PROFILES} are read")
    bases: list[tuple[ProfileHead, bytes]] = []
    overlays: list[tuple[str | None, Callable[[], ProfileHead]]] = []
    for name, data, known in given:
        with naming(name):
            document = None if known is not None else read_document(data)
            if known is not None and known.base is not None:
                overlays.append((name, partial(_known_overlay, data, known, bases)))
            elif known is not None:
                bases.append((_head(known, partial(parse_profile, data)), data))
            elif document is not None and "base" in document:
                overlays.append((name, partial(_overlay_head, document, bases)))
            elif document is not None:
                bases.append((head_of(_profile(Table(document, ""))), data))
    heads = [head for head, _ in bases]
    for name, make in overlays:
        with naming(name):
            heads.append(make())
    return ProfileSet(heads)


def _overlay_head(document: dict[str, object], bases: Sequence[tuple[ProfileHead, bytes]]) -> ProfileHead:
    first_day = read_day(Table(document, "").table("effective"), "from")
    base = _base_of(document["base"], first_day, bases)
    return head_of(_profile(Table(_overlay(read_document(base), document), "")))


def _known_overlay(data: bytes, known: KnownFile, bases: Sequence[tuple[ProfileHead, bytes]]) -> ProfileHead:
    """The head of an overlay that ships; on another base than it was made for it is read at once."""
    base = _base_of(known.id, known.effective_from, bases)
    under = known_file(base)
    if under is not None and under.name == known.base:
        return _head(known, partial(parse_profile, data, base=base))
    return head_of(parse_profile(data, base=base))


def _head(known: KnownFile, read: Callable[[], Profile]) -> ProfileHead:
    return ProfileHead(
        id=known.id,
        code=known.code,
        jurisdiction=known.jurisdiction,
        effective_from=known.effective_from,
        effective_until=known.effective_until,
        read=read,
    )


def _base_of(profile_id: object, first_day: int, bases: Sequence[tuple[ProfileHead, bytes]]) -> bytes:
    """Find the national profile of that id that governs on the overlay's first day."""
    for head, data in bases:
        if head.id == profile_id and head.jurisdiction == NATIONAL and head.effective_on(first_day):
            return data
    raise ProfileValueError("base", f"no national profile of that id governs on {format_day(first_day)}")


# Entries that only the base may state, and entries that an overlay must state itself.
_BASE_ONLY: Final = frozenset({"schema", "id", "code", "specialties", "specialty_codes"})
_OVERLAY_OWN: Final = frozenset({"jurisdiction", "effective"})
# A rule, or `no_…` with the reason why there is none: what the overlay states replaces either.
_EITHER: Final = ("usage_window", "renewal", "age_limit", "change", "reissue", "extension", "lock")
_SHARED: Final = ("notices", "reasons")


def _overlay(base: Mapping[str, object], overlay: Mapping[str, object]) -> dict[str, object]:
    """Merge: the overlay's top-level entries replace the base's whole; notices of both are known."""
    if base.get("id") != overlay["base"] or base.get("jurisdiction") != NATIONAL:
        raise ProfileValueError("base", "the profile offered is not the national profile named")
    for key in sorted(_BASE_ONLY & overlay.keys()):
        if key != "schema" or overlay[key] != SCHEMA:
            raise ProfileValueError(key, "only the base may state this")
    for key in sorted(_OVERLAY_OWN - overlay.keys()):
        raise ProfileValueError(key, "an overlay must state this itself")
    merged = dict(base)
    for rule in _EITHER:
        pair = {rule, f"no_{rule}"}
        for key in pair if pair & overlay.keys() else ():
            merged.pop(key, None)
    merged.update((key, value) for key, value in overlay.items() if key != "base" and key not in _SHARED)
    for key in _SHARED:
        merged[key] = _shared(key, _raw_table(base, key), _raw_table(overlay, key))
    if merged["jurisdiction"] == NATIONAL:
        raise ProfileValueError("jurisdiction", "an overlay is never national")
    return merged


def _shared(name: str, ours: dict[str, object], theirs: dict[str, object]) -> dict[str, object]:
    for key in sorted(ours.keys() & theirs.keys()):
        if ours[key] != theirs[key]:
            raise ProfileValueError(f"{name}.{key}", "the base has another one of that key")
    return {**ours, **theirs}


def _raw_table(document: Mapping[str, object], key: str) -> dict[str, object]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ProfileValueError(key, "table expected")
    return value


def _profile(top: Table) -> Profile:
    top.integer("schema", SCHEMA, SCHEMA)
    sources = read_sources(top)
    effective = top.table("effective")
    first, last = read_day(effective, "from"), read_optional_day(effective, "until")
    if last is not None and last < first:
        raise ProfileValueError(effective.at("until"), "lies before from")
    page = top.table("page")
    code, jurisdiction = top.integer("code", 1, 65_535), _jurisdiction(top)
    handwriting, severity = _handwriting(top.table("handwriting"), sources)
    window = read_either(top, "usage_window", sources, _usage_window)
    profile = Profile(
        id=_profile_id(top),
        code=code,
        jurisdiction=jurisdiction,
        name_zh=top.text("name_zh"),
        name_en=top.text("name_en"),
        title_zh=top.text("title_zh"),
        title_en=top.text("title_en"),
        template=top.integer("template", 1, 65_535),
        effective_from=first,
        effective_until=last,
        effective=read_citation(effective, sources),
        notices=sources.notices,
        specialty=read_cited(top, "specialty", sources, one_of(Requirement)),
        specialties=_specialties(top),
        specialty_codes=read_whole(top, "specialty_codes", sources),
        employer=read_cited(top, "employer", sources, one_of(Requirement)),
        registration_no=read_cited(top, "registration_no", sources, one_of(NumberForm)),
        usage_window=None if isinstance(window, Citation) else window,
        no_usage_window=window if isinstance(window, Citation) else None,
        photo=read_cited(top, "photo", sources, one_of(Requirement)),
        signature_image=read_cited(top, "signature_image", sources, one_of(Requirement)),
        handwriting=handwriting,
        seals=_seals(top, sources),
        enabled_from=read_optional(top, "enabled_from", sources, _enabled_from),
        rules=read_rules(top, sources, code=code, jurisdiction=jurisdiction, severity=severity),
        fields=_fields(page),
        fields_source=read_citation(page, sources),
    )
    for table in (effective, page, top):
        table.done()
    _check_whole(profile)
    return profile


def _check_whole(profile: Profile) -> None:
    """What no single entry can show."""
    has_specialties = bool(profile.specialties)
    if has_specialties != (profile.specialty.value is not Requirement.NONE):
        raise ProfileValueError("specialties", "names are needed exactly when the kind has specialties")
    if has_specialties != (profile.specialty_codes is not None):
        raise ProfileValueError("specialty_codes", "needed exactly when the kind has specialties")
    verbs = {cap.verb for cap in profile.usage_window.caps} if profile.usage_window else set()
    if CapVerb.SPECIALTY_UNTIL in verbs and profile.specialty.value is not Requirement.REQUIRED:
        raise ProfileValueError("usage_window.caps", "specialty_until needs a kind that always has specialties")
    renewal = profile.rules.renewal
    if isinstance(renewal, Renewal) and renewal.unit.value is Unit.SPECIALTY and not has_specialties:
        raise ProfileValueError("renewal.unit", "the kind has no specialties")


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


def _enabled_from(table: Table, key: str) -> int | None:
    return None if table.text(key) == "not-yet" else read_day(table, key)


def _handwriting(table: Table, sources: Sources) -> tuple[Cited[Handwriting], HandwritingSeverity]:
    cited = Cited(value=one_of(Handwriting)(table, "value"), citation=read_citation(table, sources))
    severity = read_severity(table.table("severity"), sources)
    table.done()
    unasked: list[Iterable[Severity]] = []
    if cited.value is Handwriting.SILENT:
        unasked.append(severity.missing.values())
    if cited.value in (Handwriting.SILENT, Handwriting.MUST_SIGN):
        unasked.append(severity.differs.values())
    if any(level is not Severity.NOTE for levels in unasked for level in levels):
        raise ProfileValueError(table.at("severity"), "what the notice does not ask for is a note")
    return cited, severity


def _window_days(table: Table, key: str) -> int:
    return table.integer(key, 1, 3_660)


def _usage_window(table: Table, sources: Sources) -> UsageWindow:
    caps = tuple(_cap(item, sources) for item in table.tables("caps", low=0, high=len(CapVerb)))
    verbs = [cap.verb for cap in caps]
    if len(set(verbs)) != len(verbs):
        raise ProfileValueError(table.at("caps"), "one verb twice")
    turns, several = CapVerb.HOLDER_TURNS in verbs, CapVerb.SPECIALTY_UNTIL in verbs
    return UsageWindow(
        starts=read_cited(table, "starts", sources, the_word("issue_day")),
        days=read_cited(table, "days", sources, _window_days),
        last_day=read_cited(table, "last_day", sources, the_word("inclusive")),
        leap_birthday=read_cited(table, "leap_birthday", sources, the_word("feb-28")) if turns else None,
        several_specialties=(
            read_cited(table, "several_specialties", sources, one_of(SpecialtyPick)) if several else None
        ),
        caps=caps,
    )


def _cap(table: Table, sources: Sources) -> Cap:
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
    cap = Cap(verb=verb, years=years, citation=read_citation(table, sources))
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


def _seals(top: Table, sources: Sources) -> tuple[SealSlot, ...]:
    slots = []
    for item in top.tables("seals", low=1, high=MAX_SEALS):
        slots.append(
            SealSlot(
                kind=one_of(SealKind)(item, "kind"),
                name=item.text("name"),
                on_behalf_of=item.optional_text("on_behalf_of"),
                first_day=read_optional_day(item, "from"),
                last_day=read_optional_day(item, "until"),
                citation=read_citation(item, sources),
            )
        )
        item.done()
    return tuple(slots)


def _fields(page: Table) -> tuple[PageField, ...]:
    fields = []
    for item in page.tables("fields", low=1, high=len(FieldName)):
        fields.append(
            PageField(name=one_of(FieldName)(item, "name"), label_zh=item.text("zh"), label_en=item.text("en"))
        )
        item.done()
    if len({field.name for field in fields}) != len(fields):
        raise ProfileValueError(page.at("fields"), "a field twice")
    return tuple(fields)
