"""Errors of the verifier room: its own data and settings, never the input that is judged.

What is wrong with an uploaded file is a finding in a report (`pipeline` never raises on input); what
is wrong with the shipped tables, the trust data or the settings raises one of these.
"""

from __future__ import annotations

from typing import ClassVar


class VerifierError(Exception):
    """Base of every error this room raises; `code` is stable."""

    code: ClassVar[str] = "verifier.error"


class TableError(VerifierError):
    """A table of policies, messages or forms is not of its one accepted form; the text says where."""

    code: ClassVar[str] = "verifier.bad_table"


class TrustUnusableError(VerifierError):
    """The trust data as a whole cannot serve as a basis; the cause is chained."""

    code: ClassVar[str] = "verifier.trust_unusable"


class SettingError(VerifierError):
    """A setting of the caller makes no sense (policy name, fingerprint)."""

    code: ClassVar[str] = "verifier.bad_setting"
