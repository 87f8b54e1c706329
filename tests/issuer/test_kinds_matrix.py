"""Eight kinds by jurisdictions: usage copy, approval copy, re-issue, renewal, revoke; the verifier judges every file.

One workspace of six authorities. `MINGZHENG_FULL=1` runs every cell in every way; by default each kind, each
jurisdiction and each way occurs.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from office import DAY, NOW, Office, person

from mingzheng.formats.civil import day_start, parse_day
from mingzheng.formats.claims import Copy, parse_claims
from mingzheng.formats.library import load_shipped_profiles, read_shipped_profiles
from mingzheng.formats.profile import Handwriting, Profile, ProfileSet, Requirement
from mingzheng.formats.rules_renewal import ApplicationFacts, renewal_application
from mingzheng.issuer.config import IssuerSpec
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.issue import Issued, issue, prepare
from mingzheng.issuer.lifecycle import Target, perform, reissue
from mingzheng.issuer.render import Outbox
from mingzheng.issuer.rules_cli import rules_group
from mingzheng.issuer.schema import FileForm
from mingzheng.log.acts import ActType
from mingzheng.verifier.bulk import FileJudge, Recipe
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import Code
from mingzheng.verifier.report import Report, report_to_json

FULL = os.environ.get("MINGZHENG_FULL") == "1"
SHIPPED = load_shipped_profiles()
ENABLED = "2026-01-01"
POSTS = "cn.post-training.61.toml"
Cell = tuple[int, int]  # kind, jurisdiction
FORMS = (FileForm.PDF, FileForm.OFD)


def authority(
    number: int, name: str, kinds: tuple[int, ...], places: tuple[int, ...], bodies: tuple[str, ...]
) -> IssuerSpec:
    return IssuerSpec(
        number=number,
        name=name,
        name_en=f"Authority {number}",
        kinds=kinds,
        jurisdictions=places,
        bodies=dict(enumerate(bodies, start=1)),
        prefixes=(),
    )


CENTRE = "陕西省住房和城乡建设厅综合服务中心"
REST = (2, 4, 5, 6, 7, 8)
AUTHORITIES = (
    authority(1, "住房和城乡建设部", (1,), (0, 11, 31, 33, 46), ("住房和城乡建设部",)),
    authority(2, "全国注册建筑师管理委员会", (3,), (0,), ("全国注册建筑师管理委员会", "主任委员")),
    authority(3, "陕西", REST, (61,), ("陕西省住房和城乡建设厅", CENTRE, "陕西省注册建筑师管理委员会")),
    authority(4, "上海", REST, (31,), ("上海市住房和城乡建设管理委员会",)),
    authority(5, "辽宁", REST, (21,), ("辽宁省住房和城乡建设厅",)),
    authority(6, "示范省", REST, (0,), ("示范省住房和城乡建设厅",)),
)
EVERY: tuple[Cell, ...] = (
    *((1, place) for place in (0, 11, 31, 33, 46)),
    (3, 0),
    *((kind, place) for kind in REST[:-1] for place in (0, 21, 31, 61)),
    (8, 61),
)
USED: tuple[Cell, ...] = (
    *((1, 0), (1, 31), (2, 0), (2, 21), (2, 31), (2, 61), (3, 0), (4, 31), (4, 61)),
    *((5, 31), (5, 61), (6, 21), (6, 61), (7, 0), (7, 61), (8, 61)),
)
CELLS = EVERY if FULL else USED
APPROVED = EVERY if FULL else ((1, 31), (2, 61), (3, 0), (4, 61), (5, 31), (6, 21), (7, 0), (8, 61))
CHANGED = EVERY if FULL else ((1, 0), (2, 21), (3, 0), (4, 31), (5, 61), (6, 61), (7, 61), (8, 61))


def forms_of(cell: Cell) -> tuple[FileForm, ...]:
    """Both forms; by default of kinds that have several cells one or the other."""
    several = [other for other in CELLS if other[0] == cell[0]]
    return FORMS if FULL or len(several) == 1 else (FORMS[several.index(cell) % 2],)


def row(cell: Cell, use: int) -> dict[str, str]:
    """An invented person of that kind there; `use`: whose registration, one for each way."""
    kind, place = cell
    profile = SHIPPED.select(kind, place, DAY)
    assert profile is not None
    serial = f"{kind}{place:02}{use:02}"
    number = {1: f"京11120062007{serial}", 2: f"沪23120062007{serial}"}.get(kind, f"示A{serial}")
    named = next((item.name_zh for item in profile.specialties.values()), "")
    bodies = {"issuing_body": "1", "sealing_body": "1"}
    if place == 61:  # one named signature, which is not the issuing body's
        bodies = {"issuing_body": "3" if kind == 4 else "1", "sealing_body": "2"}
    return person(
        use,
        kind=profile.id,
        jurisdiction=str(place),
        registration_no=number,
        specialties=f"{named}:2024-01-01:2028-06-01" if named else "",
        **bodies,
    )


@dataclass(frozen=True)
class Desk:
    """What was issued, by cell, and the verifier after each stage: copies, re-issues, revocations."""

    profiles: ProfileSet
    usage: dict[Cell, Issued]
    approval: dict[Cell, Issued]
    fresh: dict[Cell, Issued]
    judge: FileJudge
    later: FileJudge  # the same, on the day after the longest window
    reissued: FileJudge
    revoked: FileJudge

    def governing(self, cell: Cell) -> Profile:
        found = self.profiles.select(*cell, DAY)
        assert found is not None
        return found


def report(judge: FileJudge, path: Path) -> Report:
    (found,) = judge.rows(path.read_bytes(), path.name)
    return found


def make_office(base: Path) -> Office:
    """Six authorities with trial seals; posts enabled in Shaanxi by the authority's own file."""
    office = Office(base, issuers=AUTHORITIES).build()
    own = office.root / "profiles"
    own.mkdir(exist_ok=True)
    text = read_shipped_profiles()[POSTS].decode()
    assert text.count('"not-yet"') == 1
    (own / POSTS).write_text(text.replace('"not-yet"', f'"{ENABLED}"'), encoding="utf-8")
    return office.with_seals("both")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def desk(office: Office) -> Desk:
    """Every act of the matrix in one workspace."""

    def judge(stage: int, at: int | None = None) -> FileJudge:
        recipe = Recipe(trust=office.base / f"trust{stage}", now=NOW + 240, at=at, policy="site", expect=Expectations())
        return FileJudge(recipe.build())

    with office.open() as workspace:

        def copies(cells: Iterable[Cell], copy: Copy, forms: tuple[FileForm, ...]) -> dict[Cell, Issued]:
            wanted = tuple(cells)
            request = replace(office.request([row(cell, 1) for cell in wanted], copy=copy), forms=forms)
            return dict(zip(wanted, issue(workspace, request, out=office.out, now=NOW), strict=True))

        usage: dict[Cell, Issued] = {}
        for forms in sorted({forms_of(cell) for cell in CELLS}):
            usage |= copies([cell for cell in CELLS if forms_of(cell) == forms], Copy.USAGE, forms)
        approval = copies(APPROVED, Copy.APPROVAL, FORMS if FULL else FORMS[:1])
        export_trust(workspace, office.base / "trust1", now=NOW + 30)
        targets = {cell: Target(registration=usage[cell].row.registration, serial=None) for cell in CHANGED}
        out, fresh = Outbox(directory=office.out, forms=FORMS[:1]), {}
        for cell, target in targets.items():
            wanted = usage[cell].job.wanted
            fresh[cell] = reissue(workspace, target, wanted=wanted, reason="换领", now=NOW + 60, out=out)
        export_trust(workspace, office.base / "trust2", now=NOW + 90)
        for target in targets.values():
            perform(workspace, ActType.REVOKE, target, reason="测试", now=NOW + 120)
        export_trust(workspace, office.base / "trust3", now=NOW + 180)
        profiles = workspace.profiles()
    return Desk(profiles, usage, approval, fresh, judge(1), judge(1, DAY + 181), judge(2), judge(3))


def cell_id(cell: Cell) -> str:
    return f"{SHIPPED.id_of(cell[0])}-{cell[1]}"


def check_rules(desk: Desk, cell: Cell, found: Report) -> None:
    """The report names the rules of this kind and place, and every seal they call for is there and good."""
    profile = desk.governing(cell)
    assert found.subject is not None
    assert found.subject.profile is not None
    assert (found.subject.profile.id, found.subject.profile.jurisdiction) == (profile.id, profile.jurisdiction)
    credential = report_to_json(found)["credential"]
    assert isinstance(credential, dict)
    assert (credential["kind"], credential["jurisdiction"]) == (
        {"number": cell[0], "id": profile.id, "zh": profile.name_zh, "en": profile.name_en},
        cell[1],
    )
    ink = [item.rule for item in found.findings if item.code is Code.HANDWRITING_COMPARE]
    silent = profile.handwriting.value is Handwriting.SILENT
    assert ink == ([] if silent else [f"docs/spec/verdicts.md §compare; {profile.handwriting.citation.text_zh()}"])
    assert len(found.seals) == len(profile.seals_on(DAY))
    assert not any(item.code.value.startswith("SEAL_") for item in found.findings)


@pytest.mark.parametrize("cell", CELLS, ids=cell_id)
def test_usage_copies_of_both_forms_are_valid_under_the_rules_of_the_place(desk: Desk, cell: Cell) -> None:
    item, profile = desk.usage[cell], desk.governing(cell)
    assert len(item.paths) == len(forms_of(cell))
    claims = parse_claims(item.row.claims)
    assert claims.template == profile.template
    assert claims.usage_until == (None if profile.usage_window is None else DAY + profile.usage_window.days.value)
    for path in item.paths:
        found = report(desk.judge, path)
        assert (found.verdict, found.compared) == (Code.VALID, True)
        check_rules(desk, cell, found)
        late = report(desk.later, path)
        if profile.usage_window is None:
            assert late.verdict is Code.VALID
        else:
            assert late.verdict is Code.USAGE_EXPIRED
            rules = [step.rule for step in late.findings if step.code is Code.USAGE_EXPIRED]
            assert rules == [f"docs/spec/verdicts.md §windows; {profile.usage_window.days.citation.text_zh()}"]


@pytest.mark.parametrize("cell", APPROVED, ids=cell_id)
def test_approval_copies_say_that_they_are_none_for_use(desk: Desk, cell: Cell) -> None:
    item, profile = desk.approval[cell], desk.governing(cell)
    claims = parse_claims(item.row.claims)
    assert (claims.usage_until, claims.purpose) == (None, None)
    for path in item.paths:
        found = report(desk.judge, path)
        assert found.verdict is Code.VALID  # on a site; other policies may ask for a usage copy
        told = [finding.rule for finding in found.findings if finding.code is Code.NOT_A_USAGE_COPY]
        assert told == ["docs/spec/verdicts.md §windows"] * (profile.usage_window is not None)
        check_rules(desk, cell, found)


@pytest.mark.parametrize("cell", CHANGED, ids=cell_id)
def test_a_reissue_is_valid_and_supersedes_and_a_revocation_ends(desk: Desk, cell: Cell) -> None:
    old, fresh = desk.usage[cell], desk.fresh[cell]
    claims, kept = parse_claims(fresh.row.claims), parse_claims(old.row.claims)
    assert claims.certificate_issued_on == DAY
    assert (claims.registered_until, claims.specialties) == (kept.registered_until, kept.specialties)
    replaced = report(desk.reissued, old.path)
    after, ended = report(desk.reissued, fresh.path), report(desk.revoked, fresh.path)
    assert (replaced.verdict, after.verdict, ended.verdict) == (Code.SUPERSEDED, Code.VALID, Code.REVOKED)
    for found in (replaced, after, ended):
        check_rules(desk, cell, found)
        by_status = [item.rule for item in found.findings if item.code in (Code.SUPERSEDED, Code.REVOKED)]
        assert by_status == ["docs/spec/status.md; docs/spec/verdicts.md §status"] * (found is not after)


# Renewal: who may apply when, for the registrations issued above, which end on 2028-06-01

MOHURD, LIAONING = "关于开展一级建造师电子注册证书试点工作的通知", "关于对新版二级建造师注册申报系统的几点参考事项"
NAAB = "全国注册建筑师管理委员会关于开展使用一级注册建筑师电子注册证书工作的通知"
SHAANXI = "陕西省住房和城乡建设厅关于试行住房和城乡建设领域从业人员有关电子证书的通知"
THIRTY_TO_NONE = (  # 住建部 二（二）1: within 30 days before the end, which lapses unrenewed
    ("2028-05-01", "TOO_EARLY", {"RENEW_OPENS": "二（二）1"}),
    ("2028-05-02", "OPEN", {"RENEW_OPENS": "二（二）1", "RENEW_CLOSES": "二（二）1", "BORDERS": None}),
    ("2028-05-15", "OPEN", {"RENEW_OPENS": "二（二）1", "RENEW_CLOSES": "二（二）1"}),
    ("2028-05-28", "OPEN", {"RENEW_OPENS": "二（二）1", "RENEW_CLOSES": "二（二）1"}),
    ("2028-06-01", "OPEN", {"RENEW_OPENS": "二（二）1", "RENEW_CLOSES": "二（二）1", "LAST_DAY": None}),
    ("2028-06-02", "EXPIRED_LAPSED", {"UNRENEWED": "二（二）1"}),
)
THIRTY_TO_FIVE = (  # 辽宁: 30 to 5 days before the end, cancelled by itself after it
    ("2028-05-01", "TOO_EARLY", {"RENEW_OPENS": "二、一、1"}),
    ("2028-05-02", "OPEN", {"RENEW_OPENS": "二、一、1", "RENEW_CLOSES": "一、3", "BORDERS": None}),
    ("2028-05-15", "OPEN", {"RENEW_OPENS": "二、一、1", "RENEW_CLOSES": "一、3"}),
    ("2028-05-27", "OPEN", {"RENEW_OPENS": "二、一、1", "RENEW_CLOSES": "一、3", "BORDERS": None}),
    ("2028-05-28", "TOO_LATE", {"RENEW_CLOSES": "一、3"}),
    ("2028-06-01", "TOO_LATE", {"RENEW_CLOSES": "一、3"}),
    ("2028-06-02", "EXPIRED_AUTO_CANCEL", {"UNRENEWED": "二、一、2"}),
)
SILENT = tuple((day, "NO_RULE", {"NO_RENEWAL": "全文"}) for day in ("2028-05-01", "2028-05-15", "2028-06-02"))
Renewals = tuple[tuple[str, str, dict[str, str | None]], ...]


def renewals(cell: Cell) -> tuple[str, bool, Renewals]:
    """The notice whose rule holds there, whether by analogy, and what it answers on which day."""
    kind, place = cell
    if kind == 2 and place == 21:
        return LIAONING, False, THIRTY_TO_FIVE
    if kind in (1, 2):
        return MOHURD, kind == 2 or place == 0, THIRTY_TO_NONE  # 二（二）1 is of first class in the pilot provinces
    return (NAAB if kind in (3, 4, 5) else SHAANXI), True, SILENT


@pytest.mark.parametrize("cell", CELLS, ids=cell_id)
def test_a_renewal_is_answered_by_the_rule_of_the_place(desk: Desk, cell: Cell) -> None:
    claims, (title, analogous, answers) = parse_claims(desk.usage[cell].row.claims), renewals(cell)
    ends = {claims.registered_until, *(item.last_day for item in claims.specialties)}
    assert ends == {parse_day("2028-06-01")}
    for day, answer, binding in answers:
        facts = ApplicationFacts(end=max(ends), on=parse_day(day), birth=claims.birth)
        found = renewal_application(desk.governing(cell), facts)
        steps = [step for step in found.trace if step.binding]
        assert (found.answer, {step.rule: step.citation.clause for step in steps}) == (answer, binding), day
        for step in steps:
            source = None if step.citation.notice is None else step.citation.notice.title
            pinned = binding[step.rule] is None  # the notices are silent: the profile says so itself
            assert (source, step.citation.by_analogy) == ((None, True) if pinned else (title, analogous)), day


@pytest.mark.parametrize("cell", [(1, 31), (2, 0), (2, 21), (3, 0), (6, 61)], ids=cell_id)
def test_the_command_gives_the_same_answer_about_a_renewal(cell: Cell) -> None:
    title, analogous, answers = renewals(cell)
    day, answer, binding = answers[-1]
    words = ["--kind", SHIPPED.id_of(cell[0]), "--jurisdiction", str(cell[1]), "--until", "2028-06-01", "--on", day]
    told = CliRunner().invoke(rules_group, ["renewal", *words, "--birth", "1985-03-03", "--json"])
    assert told.exit_code == 0, told.output
    (end,) = json.loads(told.stdout)["ends"]
    assert (end["answer"], end["binding"]) == (answer, list(binding))
    (step,) = [step for step in end["trace"] if step["binding"]]
    assert (step["clause"], step["by_analogy"]) == (binding[step["rule"]], analogous)
    assert f"《{title}》" in step["citation_zh"]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell[1] == 61], ids=cell_id)
def test_in_shaanxi_the_named_body_seals_and_another_issues(desk: Desk, cell: Cell) -> None:
    """陕西 2018 二（四）、二（五）"""
    claims, bodies = parse_claims(desk.usage[cell].row.claims), AUTHORITIES[2].bodies
    (seal,) = desk.governing(cell).seals
    assert bodies[claims.sealing_body] == seal.name == CENTRE
    issued_by = "陕西省注册建筑师管理委员会" if cell[0] == 4 else "陕西省住房和城乡建设厅"
    assert bodies[claims.issuing_body] == seal.on_behalf_of == issued_by
    assert desk.usage[cell].seals == (claims.sealing_body,)


def test_first_class_architects_bear_committee_and_chairman(desk: Desk) -> None:
    """注建〔2021〕2号 一（一）"""
    item = desk.usage[3, 0]
    assert item.seals == (1, 2)
    assert len(report(desk.judge, item.path).seals) == 2


# What does not exist is refused


@dataclass(frozen=True)
class Wrong:
    """A row that must be refused, or not: what is changed, on which day, as which copy."""

    cell: Cell
    codes: tuple[str, ...]
    changes: tuple[tuple[str, str], ...] = ()
    now: int = NOW
    copy: Copy = Copy.USAGE

    def __str__(self) -> str:
        words = [cell_id(self.cell), self.copy.name, *(f"{key}={value[:3]}" for key, value in self.changes)]
        return "-".join([*words, *(["early"] if self.now < NOW else []), *self.codes])


def refusals() -> Iterable[Wrong]:
    """Kinds that a place has not, days before a notice, what a kind requires and what it has not."""
    for copy in Copy:
        for kind, place in ((1, 61), (3, 31), (2, 44)):  # first class is the ministry's and the national committee's
            yield Wrong((kind, place), ("workspace.unknown_issuer",), copy=copy)
        for place in (0, 21, 31):
            yield Wrong((8, place), ("plan.not_enabled",), copy=copy)
    for cell in ((1, 31), (1, 0), (3, 0)):
        first = SHIPPED.select(*cell, DAY)
        assert first is not None
        yield Wrong(cell, ("record.no_profile",), now=day_start(first.effective_from - 1))
    eve = day_start(parse_day(ENABLED) - 1)
    yield Wrong((8, 61), ("plan.not_enabled",), now=eve)
    yield Wrong((8, 61), (), now=eve + 86_400)
    for cell in ((6, 61), (7, 61), (4, 61), (4, 31), (2, 61), (2, 31)):
        yield Wrong(cell, ("record.photo_missing",), (("photo", ""),))
        required = cell[1] == 31  # 上海 2022 附件二 步骤3; 陕西 2018 is silent
        yield Wrong(cell, ("record.signature_image_missing",) * required, (("signature_image", ""),))
    for cell, text, code in (
        ((7, 61), "", "missing"),
        ((7, 61), "焊工", "unknown"),
        ((8, 61), "", "missing"),
        ((8, 61), "造价员", "unknown"),
        ((4, 31), "建筑工程", "unexpected"),
        ((5, 31), "结构", "unexpected"),
        ((6, 61), "D", "unknown"),
        ((6, 61), "", ""),
        ((6, 61), "C2", ""),
        ((6, 61), "B类项目负责人", ""),
    ):
        named = f"{text}:2024-01-01:2028-01-01" if text else ""
        yield Wrong(cell, (f"record.specialty_{code}",) * bool(code), (("specialties", named),))


WRONG = tuple(refusals())


@pytest.fixture(scope="module")
def found_codes(office: Office) -> dict[int, list[str]]:
    """The codes of the faults of every row, by its place in WRONG; one file for each day and type of copy."""
    codes: dict[int, list[str]] = {}
    with office.open() as workspace:
        for now, copy in sorted({(wrong.now, wrong.copy) for wrong in WRONG}):
            places = [place for place, wrong in enumerate(WRONG) if (wrong.now, wrong.copy) == (now, copy)]
            # numbers of their own, so that no two rows are of one registration
            rows = [row(WRONG[place].cell, 20 + place) | dict(WRONG[place].changes) for place in places]
            faults = prepare(workspace, office.request(rows, copy=copy), now=now, store_images=False).faults
            for line, place in enumerate(places, start=2):
                codes[place] = [fault.code for fault in faults if fault.row == line]
    return codes


@pytest.mark.parametrize("place", range(len(WRONG)), ids=lambda place: str(WRONG[place]))
def test_what_does_not_exist_is_refused_with_its_code(found_codes: dict[int, list[str]], place: int) -> None:
    assert found_codes[place] == list(WRONG[place].codes)


def test_what_images_a_place_asks_for_is_what_its_profile_says() -> None:
    cells: tuple[Cell, ...] = ((6, 61), (7, 61), (4, 61), (4, 31), (2, 61), (2, 31))
    for cell in cells:
        profile = SHIPPED.select(*cell, DAY)
        assert profile is not None
        assert (profile.signature_image.value is Requirement.REQUIRED) is (cell[1] == 31)
