"""All faults of a records file that can be known without a workspace: its form, the rules of its kinds, its images.

Spec: docs/records.md, "Check". Bodies and the ledger are the workspace's to check. Effectful: images are decoded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mingzheng.formats.claims import Copy
from mingzheng.formats.profile import ProfileSet
from mingzheng.issuer.faults import Fault, name_cells
from mingzheng.issuer.pictures import PictureWork, SameImages
from mingzheng.issuer.plan import CopyOrder, check_records
from mingzheng.issuer.record import ApplicationRecord, ParsedRecords
from mingzheng.issuer.recordfile import RecordsFile
from mingzheng.keys.trust import IssuerRecord

__all__ = ["Checked", "check_file"]

_ANYBODY: Final = IssuerRecord(number=1, name="", name_en="", bodies={}, prefixes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How many rows have no fault, every fault and every note."""

    good: int
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


def check_file(
    file: RecordsFile, profiles: ProfileSet, *, day: int, images: Path | None, done: Callable[[int, int], None]
) -> Checked:
    """Check every row as for an approval copy on `day`; images below `images` too, unless that is None."""
    faults, sound = list(file.parsed.faults), list[ApplicationRecord]()
    order = CopyOrder(copy=Copy.APPROVAL, purpose=None, day=day)
    for record in file.parsed.records:
        bodies = {1: record.issuing_body, 2: record.sealing_body}
        found = check_records(
            ParsedRecords(records=(record,), faults=()),
            profiles=profiles,
            issuer=replace(_ANYBODY, bodies=bodies),
            order=order,
        )
        faults += found.faults
        sound += found.records
    good = len(sound)
    if images is not None:
        same = SameImages(sound)
        for count, (record, pictures) in enumerate(PictureWork(images, None).of(sound), start=1):
            faults += pictures.faults
            good -= bool(pictures.faults)
            if not pictures.faults:
                same.add(record, pictures)
            done(count, len(sound))
        differing = same.faults()
        good -= len(differing)
        faults += differing
    ordered = sorted(faults, key=lambda fault: fault.row)
    return Checked(good=good, faults=name_cells(ordered, file.parsed.columns), notes=file.parsed.notes)
