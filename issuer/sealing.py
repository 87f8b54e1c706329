"""Seals onto a finished page: which body's, in which order, at what time, and whether they hold.

Source: DESIGN §8, docs/workspace.md ("Seals"). The rule of issuer, kind and region on the day of the copy names the
bodies; each needs a seal of the form asked for that is ready on that day, else nothing is issued. A seal states the
time its copy was logged; only if none was ready or no certificate ran then, the time of the command. What was sealed
is read again by the checks a verifier makes before the file is delivered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.civil import day_of_time, format_day
from mingzheng.formats.claims import Claims
from mingzheng.formats.errors import FormatError
from mingzheng.formats.fontfile import FontSet
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import SealPlacement, seal_ofd
from mingzheng.formats.ofd.ses import parse_seal
from mingzheng.formats.page import PageSpec, Rect, SealShape, SealSlot
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.seal import Evidence, PdfSealing, TimeStampService, seal_pdf
from mingzheng.formats.sealart import SealArt, organisation_seal, personal_seal, seal_art_pdf
from mingzheng.issuer.evidence import EvidenceFiles, check_covered, read_evidence
from mingzheng.issuer.refusals import (
    ReadBackError,
    SealMissingError,
    SealPlacesError,
    SealRuleMissingError,
)
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import SEALING_BODY, SealSpec
from mingzheng.issuer.timestamps import HttpTimeStamps
from mingzheng.issuer.workspace import Workspace

__all__ = ["ROUND_MM", "SQUARE_MM", "Sealer", "Sheet", "draw_seal"]

ROUND_MM: Final = 42
SQUARE_MM: Final = 22
STAMP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page that is to be sealed."""

    issuer: int
    claims: Claims
    page: PageSpec

    @property
    def slots(self) -> tuple[SealSlot, ...]:
        """The places for seals, in the order of sealing."""
        return tuple(box for box in self.page.boxes if isinstance(box, SealSlot))


class Sealer:
    """Seals the copies of one workspace; `now` is the time of the command."""

    def __init__(self, workspace: Workspace, fonts: FontSet, *, now: int) -> None:
        self._workspace, self._fonts, self._now = workspace, fonts, now
        self._evidence: EvidenceFiles | None = None
        self._covered: set[frozenset[str]] = set()  # certificates that the evidence was found to cover

    def check(self, sheet: Sheet, forms: Sequence[FileForm]) -> None:
        """Refuse before anything is logged what could not be sealed today.

        Raises SealMissingError, SealRuleMissingError or SealPlacesError, SealFileError for evidence that is none.
        """
        for form in forms:
            seals = self._seals(sheet, form, self._now)
            if form is FileForm.PDF and seals:
                self._check_evidence(seals)

    def open_keys(self, sheet: Sheet, forms: Sequence[FileForm]) -> None:
        """Load what today's seals need; raises whatever would keep one from sealing."""
        for form in forms:
            for spec in self._seals(sheet, form, self._now):
                self._workspace.seals.key(spec)
                if spec.seal is not None:
                    parse_seal(self._workspace.seals.file(spec.seal))
                if spec.picture is not None:
                    decode_image(self._workspace.seals.file(spec.picture), limits=LIMITS_DEFAULT)

    def seal(self, data: bytes, sheet: Sheet, form: FileForm, *, logged_at: int) -> bytes:
        """The file with its seals; as it came where no rule asks for any.

        Raises SealMissingError and its kin, a FormatError or a KeysError.
        """
        seals, at = self._chosen(sheet, form, logged_at)
        return self.apply(data, form, list(zip(seals, sheet.slots, strict=True)) if seals else [], at)

    def apply(self, data: bytes, form: FileForm, placed: Sequence[tuple[SealSpec, SealSlot]], at: int) -> bytes:
        """The file with these seals in these places, whatever the rules say; raises as `seal`."""
        if not placed:
            return data
        if form is FileForm.PDF:
            sealings = [self._pdf_sealing(number, *pair) for number, pair in enumerate(placed, start=1)]
            return seal_pdf(data, seals=sealings, at=at, timestamps=self._time_stamps())
        for spec, slot in placed:
            data = self._seal_ofd(data, spec, slot, at)
        return data

    def bodies(self, issuer: int, claims: Claims) -> tuple[int, ...]:
        """The bodies that seal such a certificate, in order; none where no rule asks for any."""
        return self._rule(issuer, claims) or ()

    def check_sealed(self, data: bytes, sheet: Sheet, form: FileForm) -> None:
        """Read a file as a verifier does: the rule's bodies sealed it, in order, each seal holds, nothing came after.

        Raises ReadBackError.
        """
        serial, wanted = sheet.claims.serial, self._rule(sheet.issuer, sheet.claims)
        if wanted is None:
            return
        try:
            found, faults = _facts(data, form)
        except FormatError as error:
            raise ReadBackError(serial, error.code) from error
        if faults:
            raise ReadBackError(serial, faults[0][0])
        for fact in found:
            if fact.faults:
                raise ReadBackError(serial, fact.faults[0])
        bodies = [self._body_of(fact, sheet.issuer, form) for fact in found]
        if bodies != list(wanted):
            raise ReadBackError(serial, "seals")

    # within

    def _rule(self, issuer: int, claims: Claims) -> tuple[int, ...] | None:
        """The bodies that seal, in order; None where no rule was ever made for such certificates."""
        sealing = self._workspace.config.sealing
        if not sealing.is_ruled(issuer, claims.kind, claims.jurisdiction):
            return None
        rule = sealing.rule_for(issuer, claims.kind, claims.jurisdiction, claims.copy_issued_on)
        if rule is None:
            raise SealRuleMissingError(issuer, claims.kind, format_day(claims.copy_issued_on))
        return tuple(claims.sealing_body if body == SEALING_BODY else body for body in rule.bodies)

    def _seals(self, sheet: Sheet, form: FileForm, at: int) -> tuple[SealSpec, ...]:
        """The seals to be set at that time, one per place of the page."""
        bodies = self._rule(sheet.issuer, sheet.claims)
        if bodies is None:
            return ()
        if len(bodies) != len(sheet.slots) or len(set(bodies)) != len(bodies):
            raise SealPlacesError(len(set(bodies)), len(sheet.slots))
        return tuple(self._seal_for(sheet.issuer, body, form, at) for body in bodies)

    def _seal_for(self, issuer: int, body: int, form: FileForm, at: int) -> SealSpec:
        day = day_of_time(at)
        spec = self._workspace.config.sealing.seal_for(issuer, body, form, day)
        if spec is None or spec.certificate is None:
            raise SealMissingError(form, issuer, body, format_day(day))
        if not self._workspace.seals.certificate(spec.certificate).valid_at(at):
            raise SealMissingError(form, issuer, body, format_day(day))
        return spec

    def _chosen(self, sheet: Sheet, form: FileForm, logged_at: int) -> tuple[tuple[SealSpec, ...], int]:
        """The seals of the logging time, else those of now, and the time they state."""
        try:
            return self._seals(sheet, form, logged_at), logged_at
        except SealMissingError:
            return self._seals(sheet, form, self._now), self._now

    def _time_stamps(self) -> TimeStampService | None:
        """Seals of level B-T where an authority is named, of B-LTA with evidence, else of level B-B."""
        url = self._workspace.config.sealing.time_stamps
        if url is None:
            return None
        files = self._read_evidence()
        evidence = None if files is None else Evidence(certificates=files.certificates, crls=files.crls, ocsps=())
        return HttpTimeStamps(url=url, timeout_s=STAMP_SECONDS, evidence=evidence)

    def _read_evidence(self) -> EvidenceFiles | None:
        """Read once a command."""
        sealing, store = self._workspace.config.sealing, self._workspace.seals
        if self._evidence is None and sealing.evidence:
            files = {name: store.loose_file(name) for name in sealing.evidence}
            chains = {name for seal in sealing.seals if seal.form is FileForm.PDF for name in seal.chain}
            known = [store.file(name) for name in (*sealing.authorities, *chains)]
            self._evidence = read_evidence(files, known=known, now=self._now)
        return self._evidence

    def _check_evidence(self, seals: Sequence[SealSpec]) -> None:
        evidence, names = self._read_evidence(), frozenset(str(seal.certificate) for seal in seals)
        if evidence is not None and names not in self._covered:
            check_covered(evidence, {name: self._workspace.seals.file(name) for name in sorted(names)})
            self._covered.add(names)

    def _pdf_sealing(self, number: int, spec: SealSpec, slot: SealSlot) -> PdfSealing:
        picture = None if spec.picture is None else self._workspace.seals.file(spec.picture)
        art = None if picture is not None else seal_art_pdf(draw_seal(spec, self._fonts))
        return PdfSealing(
            key=self._workspace.seals.key(spec),
            field=f"Seal{number}",
            rect=_centred(slot.rect, *_size(spec)),
            art_pdf=art,
            art_png=picture,
            reason=spec.name,
        )

    def _seal_ofd(self, data: bytes, spec: SealSpec, slot: SealSlot, at: int) -> bytes:
        assert spec.seal is not None  # SealSpec.ready
        seal = self._workspace.seals.file(spec.seal)
        info = parse_seal(seal).info
        place = SealPlacement(page=1, rect=_centred(slot.rect, info.width_mm, info.height_mm))
        return seal_ofd(data, seal=seal, key=self._workspace.seals.key(spec), placements=[place], at=at)

    def _body_of(self, fact: SealFacts, issuer: int, form: FileForm) -> int:
        """The body whose seal that is; 0 for a certificate that is none of ours."""
        for spec in self._workspace.config.sealing.seals:
            ours = (spec.issuer, spec.form) == (issuer, form) and spec.certificate is not None
            if ours and self._workspace.seals.file(str(spec.certificate)) == fact.certificate:
                return spec.body
        return 0


def draw_seal(spec: SealSpec, fonts: FontSet) -> SealArt:
    """The face of a seal from its name: round with a star, or square. Raises SealArtError or MissingGlyphError."""
    if spec.art is SealShape.CIRCLE:
        return organisation_seal(spec.name, number=spec.code, size_mm=ROUND_MM, fonts=fonts, line=spec.line)
    return personal_seal(spec.name, size_mm=SQUARE_MM, fonts=fonts)


def _size(spec: SealSpec) -> tuple[float, float]:
    side = ROUND_MM if spec.art is SealShape.CIRCLE else SQUARE_MM
    return side, side


def _centred(place: Rect, width_mm: float, height_mm: float) -> Rect:
    """A seal of that size in the middle of its place; as large as the place if it would stick out."""
    share = min(1.0, place.width_mm / width_mm, place.height_mm / height_mm)
    width, height = width_mm * share, height_mm * share
    return Rect(
        x_mm=place.x_mm + (place.width_mm - width) / 2,
        y_mm=place.y_mm + (place.height_mm - height) / 2,
        width_mm=width,
        height_mm=height,
    )


def _facts(data: bytes, form: FileForm) -> tuple[tuple[SealFacts, ...], tuple[tuple[str, str], ...]]:
    if form is FileForm.PDF:
        return check_pdf(data)
    package = read_package(data, limits=OFD_LIMITS)
    return check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
