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
    """A table of policies or messages is not of its one accepted form; the text says where."""

    code: ClassVar[str] = "verifier.bad_table"


class TrustUnusableError(VerifierError):
    """The trust data as a whole cannot serve as a basis; the cause is chained."""

    code: ClassVar[str] = "verifier.trust_unusable"


class KeySharedError(TrustUnusableError):
    """A key of trust.json also seals, makes seals or certifies them: a thief of one would have the other."""

    code: ClassVar[str] = "verifier.key_shared"


class SettingError(VerifierError):
    """A setting of the caller makes no sense (policy name, fingerprint)."""

    code: ClassVar[str] = "verifier.bad_setting"
    exit_code: ClassVar[int] = 2


class StatusRefusedError(VerifierError):
    """A status list is well signed but not one this trust data may rest on."""

    code: ClassVar[str] = "verifier.status_refused"


class LandmarkRefusedError(VerifierError):
    """A landmark list is well signed but not one this trust data may rest on."""

    code: ClassVar[str] = "verifier.landmark_refused"


class NoticeRefusedError(VerifierError):
    """A notice is well signed but not one this trust data may rest on, or one is missing before it."""

    code: ClassVar[str] = "verifier.notice_refused"


class UnknownHeadError(VerifierError):
    """A full receipt rests on a checkpoint of an origin that the trust data does not know."""

    code: ClassVar[str] = "verifier.unknown_origin"


class NotAFileError(VerifierError):
    """A path names a pipe, a device or a socket, which could keep the program waiting for ever."""

    code: ClassVar[str] = "verifier.not_a_file"
