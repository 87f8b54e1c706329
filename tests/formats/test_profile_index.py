"""Shipped profiles are read when they are asked for; whatever is not word for word a shipped file is read at once."""

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mingzheng.formats import profile, profile_index
from mingzheng.formats.library import read_shipped_profiles
from mingzheng.formats.profile import (
    Profile,
    ProfileConflictError,
    ProfileSyntaxError,
    ProfileValueError,
    parse_profile,
    parse_profiles,
)
from mingzheng.formats.profile_index import known_file, known_files

ROOT = Path(__file__).resolve().parents[2]
FILES = read_shipped_profiles()
DAY = 19_170  # 2022-06-27


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_profiles", ROOT / "docs" / "make_profiles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def whole(name: str) -> Profile:
    """A shipped profile read at once, whatever the index says."""
    known = known_file(FILES[name])
    assert known is not None
    return parse_profile(FILES[name], base=None if known.base is None else FILES[f"{known.base}.toml"])


def test_the_index_is_what_the_files_say() -> None:
    held = (ROOT / "formats" / "profile_index.py").read_text("utf-8")
    assert maker().index(held) == held, "run docs/make_profiles.py"
    assert [f"{known.name}.toml" for known in known_files()] == list(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_is_whole_and_its_head_is_in_the_index(name: str) -> None:
    known, found = known_file(FILES[name]), whole(name)
    assert known is not None
    assert f"{known.name}.toml" == name
    head = (known.id, known.code, known.jurisdiction, known.effective_from, known.effective_until)
    assert head == (found.id, found.code, found.jurisdiction, found.effective_from, found.effective_until)
    assert parse_profiles(FILES.values()).select(known.code, known.jurisdiction, known.effective_from) == found


def test_only_what_is_asked_for_is_read() -> None:
    found = parse_profiles(FILES.values())
    assert [head.id for head in found.heads if head.loaded] == []
    assert found.code_of("cn.architect.1") == 3
    assert found.id_of(8) == "cn.post-training"
    assert found.ids()[0] == "cn.architect.1"
    first = found.select(2, 31, DAY)
    assert [(head.id, head.jurisdiction) for head in found.heads if head.loaded] == [("cn.constructor.2", 31)]
    assert found.select(2, 31, DAY) is first
    assert len(found.profiles) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_byte_changed_is_read_at_once(name: str) -> None:
    files = {**FILES, name: FILES[name] + b"\n"}
    loaded = [head for head in parse_profiles(files.values()).heads if head.loaded is not None]
    assert f"{loaded[0].id}.{loaded[0].jurisdiction}.toml" in {name, *files}
    resting = {known.name for known in known_files() if f"{known.base}.toml" == name}
    assert {f"{head.id}.{head.jurisdiction}" for head in loaded} == {name.removesuffix(".toml"), *resting}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_shipped_file_is_an_error_at_once(name: str) -> None:
    for broken, error in ((b"\xff", ProfileSyntaxError), (b"\nunknown_key = 1\n", ProfileValueError)):
        data = broken + FILES[name] if broken == b"\xff" else broken.lstrip() + FILES[name]
        with pytest.raises(error):
            parse_profiles({**FILES, name: data}.values())


def test_a_shipped_overlay_without_its_base_is_refused() -> None:
    with pytest.raises(ProfileValueError, match="no national profile"):
        parse_profiles([FILES["cn.constructor.2.31.toml"]])


def test_a_shipped_overlay_on_another_base_is_read_at_once_and_on_that_base() -> None:
    base = FILES["cn.constructor.2.0.toml"].replace("二级建造师".encode(), "二等建造师".encode(), 1)
    other = FILES["cn.constructor.2.0.toml"].replace(b'name_en = "', b'name_en = "Other ', 1)
    assert base != other != FILES["cn.constructor.2.0.toml"]
    found = parse_profiles([FILES["cn.constructor.2.31.toml"], other])
    assert all(head.loaded is not None for head in found.heads)
    shanghai = found.select(2, 31, DAY)
    assert shanghai is not None
    assert shanghai.name_en.startswith("Other ")
    fault = (
        FILES["cn.constructor.2.0.toml"].replace(b"[notices.shanghai", b"[notices.other", 1) + b"\nunknown_key = 1\n"
    )
    with pytest.raises(ProfileValueError):
        parse_profiles([FILES["cn.constructor.2.31.toml"], fault])


def test_two_of_a_shipped_file_conflict_without_being_read() -> None:
    with pytest.raises(ProfileConflictError, match="overlap"):
        parse_profiles([FILES["cn.architect.1.0.toml"]] * 2)


def test_a_name_or_a_head_alone_makes_no_file_known(monkeypatch: pytest.MonkeyPatch) -> None:
    data = FILES["cn.safety.0.toml"]
    assert known_file(data) is not None
    assert known_file(data[:-1]) is None
    assert known_file(b"") is None
    monkeypatch.setattr(profile_index, "_BY_DIGEST", {})
    assert [head.loaded is None for head in profile.parse_profiles(FILES.values()).heads] == [False] * len(FILES)


def test_the_index_holds_digests_of_the_files() -> None:
    text = (ROOT / "formats" / "profile_index.py").read_text("utf-8")
    assert all(hashlib.sha256(data).hexdigest() in text for data in FILES.values())
