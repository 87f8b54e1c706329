"""Closed-world coverage: which files of a package each seal must cover, and which it does not.

Every file that is there must be covered by every seal, whether a link leads to it or not: a file nobody covered is
where a forger puts a page, a template or a second document. Excepted by rule are the list of signatures, the seal's
own Signature.xml (its digest is inside the signature) and SignedValue.dat, its Seal.esl if that is the seal inside
the signature, and the files of seals put on later. In the order of sealing a later seal covers the earlier ones'
signature values, so that seals chain. Source: DESIGN §8, GB/T 33190 §18 (continue mode). Pure.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mingzheng.formats.ofd.document import OfdFile
    from mingzheng.formats.ofd.package import Package
    from mingzheng.formats.ofd.signedinfo import SignedInfo

__all__ = ["in_order", "seal_files", "uncovered", "unlisted"]

_SEAL_NAMES: Final = frozenset({"signatures.xml", "signature.xml", "signedvalue.dat", "signvalue.dat", "seal.esl"})
_ENTRIES: Final = "OFDEntries.xml"  # whole-package protection of GM/T 0099, with its own signature value
_ENTRIES_VALUE: Final = "signedvalue.dat"


def in_order(infos: Sequence[SignedInfo]) -> tuple[int, ...]:
    """The order of sealing as places in the list: a seal comes behind those whose signature value it covers."""
    values = [info.value_file for info in infos]
    behind = [sum(value in info.covered for value in values) for info in infos]
    return tuple(sorted(range(len(infos)), key=lambda place: behind[place]))


def seal_files(info: SignedInfo) -> frozenset[str]:
    """The files of a seal itself."""
    files = {info.file, info.value_file}
    if info.seal_file is not None:
        files.add(info.seal_file)
    return frozenset(files)


def uncovered(
    package: Package, file: OfdFile, info: SignedInfo, *, later: Sequence[SignedInfo], seal_checked: bool
) -> tuple[str, ...]:
    """The files this seal should cover and does not, in the order of the package.

    `seal_checked`: its Seal.esl holds the very seal that is inside the signature.
    """
    spared = {info.file, info.value_file}
    if seal_checked and info.seal_file is not None:
        spared.add(info.seal_file)
    for other in later:
        spared |= seal_files(other)
    spared -= file.reachable  # whatever a reader comes to is content, also under a seal's name
    spared |= {body.signature_list for body in file.bodies if body.signature_list is not None}
    covered = info.covered
    return tuple(name for name in package.files if name not in covered and name not in spared)


def unlisted(package: Package, file: OfdFile, infos: Sequence[SignedInfo]) -> tuple[str, ...]:
    """Files that look like a seal's and belong to none of the list: a seal was struck off it, or hidden."""
    known: set[str | None] = {entry.file for body in file.bodies for entry in body.signatures}
    known |= {body.signature_list for body in file.bodies}
    for info in infos:
        known |= seal_files(info)
    if _ENTRIES in package.files:
        known.add(_ENTRIES_VALUE)
    return tuple(
        name for name in package.files if posixpath.basename(name).lower() in _SEAL_NAMES and name not in known
    )
