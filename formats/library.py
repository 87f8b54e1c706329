"""The profiles and templates that ship inside the package, read through `importlib.resources`.

Spec: docs/profiles.md. Effectful: reads package data. A trust store may carry newer profiles; those are parsed
by `profile.parse_profiles` from the store's bytes.
"""

from functools import cache
from importlib.resources import files
from typing import Final

from mingzheng.formats.profile import ProfileSet, parse_profiles

__all__ = ["load_shipped_profiles", "read_shipped_profiles", "read_shipped_templates"]

PROFILES: Final = "mingzheng.formats.profiles"
TEMPLATES: Final = "mingzheng.formats.templates"


def read_shipped_profiles() -> dict[str, bytes]:
    """Return the shipped profile files by name (`<kind id>.<jurisdiction>.toml`), in the order of the names."""
    return _read(PROFILES)


def read_shipped_templates() -> dict[str, bytes]:
    """Return the shipped template files by name, in the order of the names."""
    return _read(TEMPLATES)


@cache
def load_shipped_profiles() -> ProfileSet:
    """Return the shipped profiles, parsed once per process."""
    return parse_profiles(read_shipped_profiles().values())


def _read(package: str) -> dict[str, bytes]:
    entries = sorted(files(package).iterdir(), key=lambda entry: entry.name)
    return {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".toml")}
