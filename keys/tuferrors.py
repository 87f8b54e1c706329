"""Errors of trust data over TUF: one leaf for each thing that can be wrong, each with a stable code.

Spec: docs/spec/trust.md, "Distribution over TUF".
"""

from typing import ClassVar

from mingzheng.keys.errors import TrustError


class TufError(TrustError):
    """Base of the refusals of signed trust data."""

    code: ClassVar[str] = "tuf.error"


class TufMalformedError(TufError):
    """Metadata that is not strict JSON of the stated shape."""

    code = "tuf.malformed"


class TufSpecVersionError(TufError):
    """Metadata of a version of TUF that this program does not know."""

    code = "tuf.spec_version"


class TufWrongRoleError(TufError):
    """Metadata of one role where another's was expected."""

    code = "tuf.wrong_role"


class TufThresholdError(TufError):
    """Fewer good signatures of the role's keys than its threshold."""

    code = "tuf.threshold"


class TufOldThresholdError(TufError):
    """A new root without the signatures of the previous root's threshold."""

    code = "tuf.old_threshold"


class TufRootVersionError(TufError):
    """A root file that does not say the number it stands under."""

    code = "tuf.root_version"


class TufRootGapError(TufError):
    """The publication rests on a newer root than could be reached."""

    code = "tuf.root_gap"


class TufNoRootError(TufError):
    """No first root is known: it must be given."""

    code = "tuf.no_root"


class TufRootUnknownError(TufError):
    """The first root is not the one that was pinned."""

    code = "tuf.root_unknown"


class TufRollbackError(TufError):
    """Older metadata than was seen before."""

    code = "tuf.rollback"


class TufExpiredError(TufError):
    """The newest metadata to be had is over its date."""

    code = "tuf.expired"


class TufMixedError(TufError):
    """Metadata that is not the file which the level above lists: parts of different publications."""

    code = "tuf.mixed"


class TufEndlessError(TufError):
    """More bytes than the limit, or than were announced."""

    code = "tuf.endless"


class TufWrongLengthError(TufError):
    """A file that is longer or shorter than listed."""

    code = "tuf.wrong_length"


class TufWrongHashError(TufError):
    """A file whose SHA-256 is not the one listed."""

    code = "tuf.wrong_hash"


class TufMissingFileError(TufError):
    """The mirror does not hold a file it must hold."""

    code = "tuf.missing_file"


class TufMissingTargetError(TufError):
    """The publication does not list trust.json."""

    code = "tuf.missing_target"


class TufClockError(TufError):
    """This machine's clock is behind the trust data."""

    code = "tuf.clock_behind"


class TufFetchError(TufError):
    """The mirror cannot be read."""

    code = "tuf.fetch"


class TufSlowError(TufError):
    """The mirror takes too long."""

    code = "tuf.slow"


class TufBadSourceError(TufError):
    """A source that is no directory, ZIP file or http(s) address as described."""

    code = "tuf.bad_source"


class TufRefusedError(TufError):
    """The TUF library refuses what our own reader accepts."""

    code = "tuf.refused"


class TufNotInstalledError(TufError):
    """The TUF library is not installed."""

    code = "tuf.not_installed"


class TufNotStagedError(TufError):
    """A signed file that answers nothing which waits for signatures."""

    code = "tuf.not_staged"


class TufInForceError(TufError):
    """What was to be made is already in force and stays."""

    code = "tuf.in_force"


class TufWrongKeyError(TufError):
    """A key that has no part in what it was to sign."""

    code = "tuf.wrong_key"


class TufSettingError(TufError):
    """Roles, thresholds or lifetimes that no root may have."""

    code = "tuf.bad_setting"
