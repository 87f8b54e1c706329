"""Jobs: one copy each, with all that planning needs. A file has tens of thousands: they are kept as bytes.

Source: docs/life-of-a-certificate.md. Effectful: what is kept of a copy that is there already is its serial; the ledger
has the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mingzheng.formats import cbor
from mingzheng.formats.profile import Profile, ProfileSet
from mingzheng.issuer.kept import KeptRecord, format_kept, image_digest_of
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.packed import Packed
from mingzheng.issuer.plan import Allotment, CopyOrder, Plan, plan_copy, profile_of
from mingzheng.issuer.record import pack_record, unpack_record
from mingzheng.issuer.rows import CopyRow, Order, Registration
from mingzheng.keys.trust import IssuerRecord

__all__ = ["Job", "JobPress", "plan_job", "plan_kept"]

_MAX_BYTES: Final = 65_536
_PREVIEW_SALT: Final = bytes(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One copy to be issued: all that planning needs, and what it will supersede."""

    row: int
    kept: KeptRecord
    profile: Profile
    issuer: IssuerRecord
    wanted: CopyOrder
    order: Order
    existing: CopyRow | None
    supersedes: tuple[int, ...]

    @property
    def preview(self) -> Plan:
        """The copy as it will be but for serial and salt; planned anew each time: it is larger than the record."""
        return plan_job(self, 0, _PREVIEW_SALT)


def plan_job(job: Job, serial: int, salt: bytes) -> Plan:
    """The copy with that serial and salt."""
    return plan_kept(job.kept, job.profile, job.issuer, job.wanted, (serial, salt))


def plan_kept(
    kept: KeptRecord,
    profile: Profile,
    issuer: IssuerRecord,
    wanted: CopyOrder,
    allotted: tuple[int, bytes] = (0, _PREVIEW_SALT),
) -> Plan:
    """As `plan_copy`, of data as the ledger keeps it; by default as a preview."""
    return plan_copy(
        kept.record,
        profile,
        issuer=issuer,
        order=wanted,
        allotment=Allotment(
            serial=allotted[0],
            salt=allotted[1],
            image_digest=image_digest_of(kept.photo, kept.signature_image),
            has_photo=kept.photo is not None,
            has_signature_image=kept.signature_image is not None,
        ),
    )


class JobPress:
    """Makes jobs small and whole again: what all jobs of a file share is here, once."""

    def __init__(
        self,
        ledger: Ledger,
        profiles: ProfileSet,
        named: Mapping[int, IssuerRecord],
        orders: Mapping[int, CopyOrder],
        *,
        batch: bytes,
    ) -> None:
        self._ledger, self._profiles, self._named, self._orders, self._batch = ledger, profiles, named, orders, batch

    def packed(self, jobs: Iterable[Job] = ()) -> Packed[Job]:
        """These jobs; more may follow."""
        return Packed(self._pack, self._unpack, jobs)

    def _pack(self, job: Job) -> bytes:
        order, kept, existing = job.order, job.kept, job.existing
        assert (order.batch, order.reason, order.application) == (self._batch, "", None)
        return cbor.encode(
            (
                pack_record(kept.record),
                (kept.photo or b"", kept.signature_image or b"", kept.reissued),
                (order.key, order.request, order.record_digest),
                job.issuer.number,
                () if existing is None else (existing.issuer, existing.serial),
                job.supersedes,
            )
        )

    def _unpack(self, data: bytes) -> Job:
        found: Any = cbor.decode(data, max_bytes=_MAX_BYTES, max_depth=2)
        packed, (photo, signature, reissued), (key, request, digest), issuer, existing, supersedes = found
        record = unpack_record(packed)
        kept = KeptRecord(record=record, photo=photo or None, signature_image=signature or None, reissued=reissued)
        wanted = self._orders[issuer]
        profile = profile_of(record, self._profiles, day=wanted.day)
        assert profile is not None  # it was packed
        registration = Registration(issuer=issuer, kind=profile.code, registration_no=record.registration_no)
        order = Order(
            key=key,
            request=request,
            batch=self._batch,
            registration=registration,
            record_digest=digest,
            record_body=format_kept(kept),
            day=wanted.day,
            reason="",
            photo=kept.photo,
            signature_image=kept.signature_image,
        )
        return Job(
            row=record.row,
            kept=kept,
            profile=profile,
            issuer=self._named[issuer],
            wanted=wanted,
            order=order,
            existing=self._ledger.copy(*existing) if existing else None,
            supersedes=supersedes,
        )
