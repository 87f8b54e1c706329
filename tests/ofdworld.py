"""A sealed office and its verifier: OFD files as an authority issues them, judged by the whole verifier.

The files are those of `issuer.issue`, the trust data what the workspace exports. What a forger has is the file; what
a body with a good key but a false page has is the same key (`Desk.sealed`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from office import ARCHITECTS, CONSTRUCTORS, NOW, Office, architect, person

from mingzheng.formats.claims import parse_claims
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.seal import SealPlacement, seal_ofd
from mingzheng.formats.ofd.ses import parse_seal
from mingzheng.formats.ofd.zipwrite import join_package, pack_file, split_package, write_package
from mingzheng.formats.page import PageSpec, Rect, SealSlot, seal_slots
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.issue import Issued
from mingzheng.issuer.press import Press
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import SealSpec
from mingzheng.keys.sealkey import SealKey
from mingzheng.verifier.bulk import FileJudge, Recipe
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pipeline import refuse
from mingzheng.verifier.report import Report

PAGE = "Doc_0/Pages/Page_0/Content.xml"
LIST = "Doc_0/Signs/Signatures.xml"
JUDGED_AT = NOW + 600
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Stamper:
    """What seals for one body: its seal, its key."""

    spec: SealSpec
    seal: bytes
    key: SealKey


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One issued copy: its sealed file, the same unsealed, its page."""

    issuer: int
    sealed: bytes
    bare: bytes
    page: PageSpec
    bodies: tuple[int, ...]

    @property
    def files(self) -> Files:
        return files_of(self.sealed)

    @property
    def slots(self) -> tuple[SealSlot, ...]:
        return seal_slots(self.page)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A verifier with the office's trust data, and what the office can do."""

    recipe: Recipe
    context: VerifyContext
    judge: FileJudge
    one: Copy
    two: Copy
    stampers: Mapping[tuple[int, int], Stamper]

    def report(self, data: bytes, name: str = "证书.ofd") -> Report:
        """What the verifier says of a file with at most one credential."""
        try:
            (found,) = self.judge.rows(data, name)
        except FormatError as error:
            return refuse(error, self.context, name)
        return found

    def verdict(self, data: bytes) -> Code:
        return self.report(data).verdict

    def put_on(self, data: bytes, issuer: int, body: int, rect: Rect, *, at: int = NOW) -> bytes:
        """The file with that body's seal over the place."""
        stamper = self.stampers[issuer, body]
        placed = [SealPlacement(page=1, rect=rect)]
        return seal_ofd(data, seal=stamper.seal, key=stamper.key, placements=placed, at=at)

    def place(self, issuer: int, body: int, slot: SealSlot) -> Rect:
        """Where the body's seal belongs in a slot: in its middle, at its own size."""
        info, rect = parse_seal(self.stampers[issuer, body].seal).info, slot.rect
        return Rect(
            x_mm=rect.x_mm + (rect.width_mm - info.width_mm) / 2,
            y_mm=rect.y_mm + (rect.height_mm - info.height_mm) / 2,
            width_mm=info.width_mm,
            height_mm=info.height_mm,
        )

    def sealed(
        self, copy: Copy, change: Callable[[Files], object] = lambda files: None, *, bodies: Sequence[int] = ()
    ) -> bytes:
        """The copy's file, changed before the rule's bodies (or these) seal it with their own good keys."""
        files = files_of(copy.bare)
        change(files)
        data = write_package([*((name, body) for name, body in files.items() if name != LIST), (LIST, files[LIST])])
        for body, slot in zip(bodies or copy.bodies, copy.slots, strict=True):
            data = self.put_on(data, copy.issuer, body, self.place(copy.issuer, body, slot))
        return data


def files_of(data: bytes) -> Files:
    return dict(read_package(data, limits=OFD_LIMITS).files)


def packed(files: Files) -> bytes:
    """A package of these files, in their order."""
    return write_package([*files.items()])


def with_file(data: bytes, name: str, body: bytes) -> bytes:
    """The package with one file in another form, the others as they stand."""
    changed = pack_file(name, body)
    return join_package(changed if file.name == name else file for file in split_package(data))


def open_desk(base: Path, *, policy: str = "site") -> Desk:
    """Build the office, issue one copy with one seal and one with two, export the trust data (2 s)."""
    office = Office(base, issuers=(CONSTRUCTORS, ARCHITECTS)).build().with_seals("ofd")
    issued = office.issue([person(1), architect(3, sealing_body="1")])
    with office.open() as workspace:
        press = Press(workspace)
        one, two = (_copy(press, item, workspace.profiles()) for item in issued)
        stampers = {
            (spec.issuer, spec.body): Stamper(
                spec=spec, seal=workspace.seals.file(str(spec.seal)), key=workspace.seals.key(spec)
            )
            for spec in workspace.config.sealing.seals
            if spec.form is FileForm.OFD
        }
        exported = export_trust(workspace, base / "trust", now=NOW + 60)
    expect = replace(Expectations(), trust_fingerprint=exported.fingerprint)
    recipe = Recipe(trust=base / "trust", now=JUDGED_AT, at=None, policy=policy, expect=expect)
    context = recipe.build()
    return Desk(recipe=recipe, context=context, judge=FileJudge(context), one=one, two=two, stampers=stampers)


def _copy(press: Press, item: Issued, profiles: object) -> Copy:
    row = item.row
    claims = parse_claims(row.claims)
    profile = profiles.select(claims.kind, claims.jurisdiction, claims.copy_issued_on)  # type: ignore[attr-defined]
    (path,) = item.paths
    return Copy(
        issuer=row.issuer,
        sealed=path.read_bytes(),
        bare=press.compose(row, profile, FileForm.OFD, seals=len(item.seals)),
        page=press.page_of(row, profile),
        bodies=tuple(item.seals),
    )
