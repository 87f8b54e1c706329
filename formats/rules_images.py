"""The images a record must bring: photo and signature image.

Spec: docs/profiles.md, "File" (`photo`, `signature_image`). Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from mingzheng.formats.profile_model import Profile, Requirement
from mingzheng.formats.rules_trace import Outcome, step

__all__ = ["ImageAnswer", "ImageCheck", "required_images"]


class ImageAnswer(StrEnum):
    """Whether the images that the kind must have are there."""

    COMPLETE = "COMPLETE"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck(Outcome[ImageAnswer]):
    """`missing`: "photo", "signature_image"."""

    missing: tuple[str, ...]


def required_images(profile: Profile, *, photo: bool, signature_image: bool) -> ImageCheck:
    """Compare the images of a record with those the profile requires."""
    asked = (("photo", profile.photo, photo), ("signature_image", profile.signature_image, signature_image))
    missing = tuple(name for name, rule, there in asked if rule.value is Requirement.REQUIRED and not there)
    steps = tuple(
        step(name.upper(), rule.citation, name in missing or not missing, word=rule.value) for name, rule, _ in asked
    )
    return ImageCheck(answer=ImageAnswer.MISSING if missing else ImageAnswer.COMPLETE, trace=steps, missing=missing)
