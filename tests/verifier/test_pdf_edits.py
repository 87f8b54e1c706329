"""Edited sealed PDFs through the whole verifier: read, sealed by whom, compared; from an office whose files are VALID.

The files are as the issuer makes them, with one seal (constructor) and two (architect: board, then chairman). A person
who edits them has every published file and no key.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pytest
from conftest import FULL
from office import ARCHITECTS, CONSTRUCTORS, NOW, Office, architect, person
from pdfedits import EDITS, Sealed

import mingzheng.formats.pdf.seal as seal_module
from mingzheng.formats.candidate import Extracted
from mingzheng.formats.claims import parse_claims
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import SealSlot
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.sealform import Signature
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.press import Press
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import SealSpec
from mingzheng.issuer.sealing import Sealer
from mingzheng.issuer.workspace import Workspace
from mingzheng.verifier.bulk import Recipe, judge_file
from mingzheng.verifier.context import Expectations, VerifyContext
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pageoutcome import PageOutcome
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

REGULAR = ("one", "two")


@dataclass(frozen=True, kw_only=True)
class House:
    """An office that has issued one constructor's and one architect's certificate, and a verifier's view of it."""

    office: Office
    context: VerifyContext
    files: Mapping[str, Sealed]
    rows: Mapping[str, CopyRow]

    def whole(self, data: bytes) -> tuple[Report, ...]:
        """What the verifier says of a file: everything is read anew."""
        return judge_file(data, self.context, "cert.pdf")

    def generous(self, name: str, data: bytes) -> Report:
        """What it says if code and page are as in the genuine file, so that only the seals can tell."""
        seals, faults = check_pdf(data)
        genuine = self.extracted[name]
        changed = replace(genuine, facts=replace(genuine.facts, seals=seals, faults=faults))
        (report,) = verify_extracted(changed, self.context, "cert.pdf", pages=Equal())
        return report

    @cached_property
    def extracted(self) -> Mapping[str, Extracted]:
        return {name: extract(file.data, limits=LIMITS_DEFAULT) for name, file in self.files.items()}

    def sealed_by(self, name: str, *bodies: tuple[int, int], at: Sequence[int] = ()) -> bytes:
        """The page of a copy, sealed by these (issuer, body) whatever the rule says, at these seconds after logging."""
        row, moments = self.rows[name], (*at, *(0,) * (len(bodies) - len(at)))
        with self.office.open() as workspace:
            press = Press(workspace)
            claims = parse_claims(row.claims)
            profile = workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
            assert profile is not None
            page = press.page_of(row, profile)
            slots = [box for box in page.boxes if isinstance(box, SealSlot)]
            places = [slots[min(at, len(slots) - 1)] for at in range(len(bodies))]
            data = press.compose(row, profile, FileForm.PDF, seals=len(bodies))
            specs = [self._spec(workspace, body) for body in bodies]
            clock = iter(moments)
            seal = seal_module.signature_dictionary
            logged = row.logged_at or 0

            def at_its_time(signature: Signature) -> bytes:
                return seal(replace(signature, at=logged + next(clock)))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(seal_module, "signature_dictionary", at_its_time)
                sealer = Sealer(workspace, press.fonts, now=NOW)
                return sealer.apply(data, FileForm.PDF, list(zip(specs, places, strict=True)), logged)

    @staticmethod
    def _spec(workspace: Workspace, body: tuple[int, int]) -> SealSpec:
        seals = workspace.config.sealing.seals
        return next(seal for seal in seals if (seal.issuer, seal.body, seal.form) == (*body, FileForm.PDF))


class Equal:
    """A judge for whom every page shows what was signed."""

    def compare(self, subject: object, tokens: object) -> PageOutcome:
        return PageOutcome(compared=True, reason="", mismatches=())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    base = tmp_path_factory.mktemp("office")
    office = Office(base, issuers=(CONSTRUCTORS, ARCHITECTS)).build().with_seals("pdf")
    people = [person(1), person(2), architect(5, sealing_body="1"), architect(6, sealing_body="1")]
    made = office.issue(
        [row | {"name": name} for row, name in zip(people, ("王甲", "王乙", "王丙", "王丁"), strict=True)]
    )
    with office.open() as workspace:
        export_trust(workspace, base / "trust", now=NOW + 60)
    recipe = Recipe(trust=base / "trust", now=NOW + 3600, at=None, policy="site", expect=Expectations())
    files = [issued.path.read_bytes() for issued in made]
    return House(
        office=office,
        context=recipe.build(),
        files={"one": Sealed(files[0], files[1]), "two": Sealed(files[2], files[3])},
        rows={"one": made[0].row, "two": made[2].row},
    )


def reasons(report: Report, code: Code) -> list[object]:
    return [item.evidence.get("reason") for item in report.findings if item.code is code]


@pytest.mark.parametrize("name", REGULAR)
def test_the_files_as_issued_are_valid(house: House, name: str) -> None:
    (report,) = house.whole(house.files[name].data)
    assert report.verdict is Code.VALID
    assert [seal.place for seal in report.seals] == ["Seal1", "Seal2"][: 1 + REGULAR.index(name)]
    assert house.generous(name, house.files[name].data).verdict is Code.VALID


# Edits after sealing

STRANGE = (Code.VALID, Code.VALID_COMPARE)
WHOLE = [(edit, name) for edit in EDITS for name in REGULAR]
SOME = WHOLE if FULL else WHOLE[:: len(WHOLE) // 6]


@pytest.mark.parametrize(("edit", "name"), SOME)
def test_no_edited_file_passes_the_verifier(house: House, edit: str, name: str) -> None:
    assert [row.verdict for row in house.whole(EDITS[edit](house.files[name])) if row.verdict in STRANGE] == []


@pytest.mark.parametrize("name", REGULAR)
def test_no_edit_passes_even_where_code_and_page_look_right(house: House, name: str) -> None:
    passed = [edit for edit in EDITS if house.generous(name, EDITS[edit](house.files[name])).verdict in STRANGE]
    assert passed == []
    assert len(EDITS) >= 30


def _flips(file: Sealed) -> list[tuple[int, int]]:
    """(place, mask): bits of every signature's digits, of the range around it, and of bytes all over the file."""
    chance = random.Random(7)
    values = [match.span(1) for match in re.finditer(rb"/Contents <([0-9a-f]*?)0{100,}>", file.data)]
    digits = [(place, 1 << bit) for begin, end in values for place in range(begin, end) for bit in range(4)]
    anywhere = [(chance.randrange(len(file.data)), chance.randrange(1, 256)) for _ in range(1_000 if FULL else 40)]
    return [*(digits if FULL else chance.sample(digits, 40)), *anywhere]


@pytest.mark.parametrize("name", REGULAR)
def test_no_flipped_bit_passes(house: House, name: str) -> None:
    """At full counts: every bit of every CMS, and 1,000 bytes of each file; a sample of them read as a whole."""
    file, passed = house.files[name], []
    for count, (place, mask) in enumerate(_flips(file)):
        old = file.data[place]
        digit = mask < 16 and chr(old) in "0123456789abcdef"
        new = b"%x" % (int(chr(old), 16) ^ mask) if digit else bytes([old ^ mask])
        changed = file.overwrite(place, new)
        verdicts = {house.generous(name, changed).verdict}
        if count % 100 == 0:
            verdicts |= {row.verdict for row in house.whole(changed)}
        if verdicts & {*STRANGE}:
            passed.append((place, mask))
    assert passed == []


# Who must seal, when, in which order

BOARD, CHAIR, PROVINCE = (2, 1), (2, 2), (1, 1)  # issuer and body


@pytest.mark.parametrize(
    ("bodies", "at", "verdict", "code", "reason"),
    [
        ((BOARD, CHAIR), (), Code.VALID, None, None),
        ((BOARD,), (), Code.SEAL_MISSING, Code.SEAL_MISSING, "seal.missing"),
        ((CHAIR,), (), Code.SEAL_MISSING, Code.SEAL_MISSING, "seal.missing"),
        ((), (), Code.SEAL_MISSING, Code.SEAL_MISSING, "seal.none"),
        ((BOARD, BOARD), (), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.repeated"),
        ((BOARD, CHAIR, CHAIR), (), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.repeated"),
        ((BOARD, PROVINCE), (), Code.SEAL_MISSING, Code.SEAL_WRONG_BODY, "seal.other_body"),
        ((BOARD, CHAIR, PROVINCE), (), Code.SEAL_WRONG_BODY, Code.SEAL_WRONG_BODY, "seal.other_body"),
        ((PROVINCE, BOARD, CHAIR), (), Code.SEAL_WRONG_BODY, Code.SEAL_WRONG_BODY, "seal.other_body"),
        ((CHAIR, BOARD), (), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.order"),
        ((BOARD, CHAIR), (600, 0), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.times_out_of_order"),
        ((BOARD, CHAIR), (-86_400, 0), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.wrong_day"),
        ((BOARD, CHAIR), (0, 86_400), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.wrong_day"),
        ((BOARD, CHAIR), (0, 9_000 * 86_400), Code.SEAL_INVALID, Code.SEAL_INVALID, "seal.certificate_expired"),
    ],
)
def test_the_two_seal_rule_on_files(
    house: House,
    bodies: Sequence[tuple[int, int]],
    at: Sequence[int],
    verdict: Code,
    code: Code | None,
    reason: str | None,
) -> None:
    """Each file is sealed for real, by keys the trust data knows; what is wrong is only who, when or in which order."""
    data = house.sealed_by("two", *bodies, at=at)
    (report,) = house.whole(data)
    assert report.verdict is verdict
    if code is not None:
        assert reason in reasons(report, code)


def test_a_seal_taken_off_the_end_is_missed(house: House) -> None:
    file = house.files["two"]
    (report,) = house.whole(file.data[: file.skeleton.revisions[0].end])
    assert report.verdict is Code.SEAL_MISSING
    assert reasons(report, Code.SEAL_MISSING) == ["seal.missing"]
