"""Seals on what is issued: the rule's bodies in order, the time of logging, and nothing that cannot be sealed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, Office, architect, person
from stampworld import LocalStamps

import mingzheng.issuer.render as render_module
import mingzheng.issuer.sealing as sealing_module
from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.civil import day_start
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.page import SealShape
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.seal import Evidence
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.issue import Issued, issue, prepare
from mingzheng.issuer.press import Press
from mingzheng.issuer.refusals import (
    FaultyRecordsError,
    ReadBackError,
    SealFileError,
    SealMissingError,
    SealPlacesError,
    SealRuleMissingError,
)
from mingzheng.issuer.render import Outbox, Renderer
from mingzheng.issuer.schema import CopyState, FileForm
from mingzheng.issuer.sealconfig import FORMATS, SealConfig
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.sealtable import EMPTY_TABLE, parse_seal_table
from mingzheng.keys.snapshot import load_store

SEALED_ARCHITECT = architect(3, sealing_body="1")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build().with_seals()


def change(office: Office, **changes: object) -> None:
    """Other tables about seals."""
    with office.open() as workspace:
        sealing = replace(workspace.config.sealing, **changes)  # type: ignore[arg-type]
        workspace.store_config(replace(workspace.config, sealing=sealing))


def sealing_of(office: Office) -> SealConfig:
    with office.open() as workspace:
        return workspace.config.sealing


def facts(path: Path) -> tuple[SealFacts, ...]:
    """The seals of a file, all of which hold."""
    data = path.read_bytes()
    if path.suffix == ".pdf":
        found, faults = check_pdf(data)
    else:
        package = read_package(data, limits=OFD_LIMITS)
        found, faults = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert faults == ()
    assert [fact.faults for fact in found] == [()] * len(found)
    return found


def bodies(office: Office, found: Sequence[SealFacts]) -> list[int]:
    with office.open() as workspace:
        by_certificate = {
            workspace.seals.file(spec.certificate): spec.body
            for spec in workspace.config.sealing.seals
            if spec.certificate is not None
        }
    return [by_certificate[fact.certificate] for fact in found]


def test_both_forms_bear_the_rules_seals_in_order_at_the_time_of_logging(office: Office) -> None:
    for item, wanted in zip(office.issue([person(1), SEALED_ARCHITECT]), ([1], [1, 2]), strict=True):
        assert [path.suffix for path in item.paths] == [".pdf", ".ofd"]
        assert [file.name for file in item.row.files] == [path.name for path in item.paths]
        assert item.row.logged_at == NOW
        assert list(item.seals) == wanted
        for path in item.paths:
            found = facts(path)
            assert bodies(office, found) == wanted
            assert [fact.signed_at for fact in found] == [NOW] * len(wanted)


def test_seals_stand_in_their_places_and_do_not_touch(office: Office) -> None:
    (item,) = office.issue([SEALED_ARCHITECT])
    with office.open() as workspace:
        slots = [box for box in Press(workspace).page_of(item.row, item.job.profile).boxes if hasattr(box, "shape")]
    for path in item.paths:
        for fact, slot in zip(facts(path), slots, strict=True):
            (mark,) = fact.marks
            assert mark.page == 1
            assert mark.rect.inside(slot.rect, slack_mm=0.05)


def test_the_same_command_again_gives_the_same_files_and_what_is_missing_is_made_anew(office: Office) -> None:
    (first,) = office.issue([person(1)])
    before = [path.read_bytes() for path in first.paths]
    (again,) = office.issue([person(1)], now=NOW + 1)
    assert again.row == first.row
    assert [path.read_bytes() for path in again.paths] == before
    first.paths[1].unlink()
    (third,) = office.issue([person(1)], now=NOW + 2)
    assert third.paths[0].read_bytes() == before[0]
    assert [fact.signed_at for fact in facts(third.paths[1])] == [NOW]
    assert third.row.state is CopyState.DELIVERED


def ask(office: Office, form: str | None, *, now: int = NOW) -> Issued:
    request = replace(office.request([person(1)]), forms=None if form is None else FORMATS[form])
    with office.open() as workspace:
        (item,) = issue(workspace, request, out=office.out, now=now)
    return item


def test_a_form_can_be_added_to_a_delivered_copy(office: Office) -> None:
    assert [path.suffix for path in ask(office, "pdf").paths] == [".pdf"]
    item = ask(office, "ofd", now=NOW + 1)
    assert [path.suffix for path in item.paths] == [".ofd"]
    assert [file.form for file in item.row.files] == [FileForm.PDF, FileForm.OFD]
    assert item.row.serial == 0
    assert ask(office, None, now=NOW + 2).row == item.row


def test_unsealed_bytes_are_the_same_every_time(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        press = Press(workspace)
        for form in FileForm:
            made = {press.compose(item.row, item.job.profile, form, seals=seals) for seals in (1, 1)}
            assert len(made) == 1


def test_a_workspace_without_rules_issues_unsealed_files_of_both_forms(tmp_path: Path) -> None:
    office = Office(tmp_path).build()
    item = ask(office, "both")
    assert item.seals == ()
    assert [facts(path) for path in item.paths] == [(), ()]
    with office.open() as workspace:
        export_trust(workspace, tmp_path / "trust", now=NOW + 1)
    assert parse_seal_table(load_store(tmp_path / "trust").data.blobs["seals.json"]) == EMPTY_TABLE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"revoked_on": DAY}, "sealing.no_seal"),
        ({"valid_until": DAY - 1}, "sealing.no_seal"),
        ({"valid_from": DAY + 1}, "sealing.no_seal"),
        ({"certificate": None}, "sealing.no_seal"),
    ],
)
def test_a_body_without_a_seal_on_that_day_is_refused_before_anything_is_planned(
    office: Office, changes: dict[str, object], code: str
) -> None:
    change(office, seals=tuple(replace(seal, **changes) for seal in sealing_of(office).seals))  # type: ignore[arg-type]
    with pytest.raises(FaultyRecordsError) as caught:
        office.issue([person(1)])
    assert [(fault.row, fault.field, fault.code) for fault in caught.value.faults] == [(2, "sealing_body", code)]
    with office.open() as workspace:
        assert workspace.ledger.counters(1) == (0, 0)
        assert workspace.log.issuer_row(1).next_serial == 0


def test_a_day_without_a_rule_is_refused_where_there_are_rules(office: Office) -> None:
    change(office, rules=tuple(replace(rule, valid_from=DAY + 1) for rule in sealing_of(office).rules))
    with pytest.raises(FaultyRecordsError) as caught:
        office.issue([person(1)])
    assert [fault.code for fault in caught.value.faults] == [SealRuleMissingError.code]


def test_a_rule_that_does_not_fit_the_page_or_names_a_body_twice_is_refused(office: Office) -> None:
    with pytest.raises(FaultyRecordsError) as caught:  # the record's sealing body is the second one, too
        office.issue([architect(1)])
    assert [fault.code for fault in caught.value.faults] == [SealPlacesError.code]
    change(office, rules=tuple(replace(rule, bodies=(1,)) for rule in sealing_of(office).rules))
    with pytest.raises(FaultyRecordsError) as caught:
        office.issue([SEALED_ARCHITECT])
    assert [fault.code for fault in caught.value.faults] == [SealPlacesError.code]


def test_a_dry_run_names_the_missing_seal_too(office: Office) -> None:
    change(office, seals=())
    request = office.request([person(1)])
    with office.open() as workspace:
        found = prepare(workspace, request, now=NOW, store_images=False)
    assert [fault.code for fault in found.faults] == [SealMissingError.code]


@pytest.mark.parametrize("what", ["certificate", "key", "esl"])
def test_a_seal_that_cannot_be_opened_stops_the_command_before_a_serial_is_given_out(office: Office, what: str) -> None:
    (spec,) = [seal for seal in sealing_of(office).seals if (seal.issuer, seal.form) == (1, FileForm.OFD)]
    if what == "certificate":
        (office.root / "seals" / str(spec.certificate)).write_bytes(b"other")
    elif what == "esl":
        (office.root / "seals" / str(spec.seal)).unlink()
    else:
        other = next(seal for seal in sealing_of(office).seals if (seal.issuer, seal.form) == (2, FileForm.OFD))
        (office.root / "keys" / spec.key).write_bytes((office.root / "keys" / other.key).read_bytes())
    with pytest.raises(SealFileError):
        office.issue([person(1)])
    with office.open() as workspace:
        assert workspace.ledger.counters(1) == (0, 0)


def test_a_seal_replaced_between_logging_and_rendering_states_the_time_of_the_command(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Renderer, row: object) -> None:
        raise ReadBackError(0, "stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Renderer, "deliver", stop)
        with pytest.raises(ReadBackError):
            office.issue([person(1)])
    change(office, seals=tuple(replace(seal, valid_from=DAY + 1) for seal in sealing_of(office).seals))
    later = day_start(DAY + 1) + 60
    (item,) = office.issue([person(1)], now=later)
    assert item.row.serial == 0
    assert item.row.logged_at == NOW
    assert [fact.signed_at for path in item.paths for fact in facts(path)] == [later] * 2


def test_a_file_whose_seals_are_not_the_rules_is_not_delivered(office: Office) -> None:
    (item,) = office.issue([SEALED_ARCHITECT])
    with office.open() as workspace:
        sealing = workspace.config.sealing
        swapped = tuple(replace(seal, body=3 - seal.body) if seal.issuer == 2 else seal for seal in sealing.seals)
        workspace.config = replace(workspace.config, sealing=replace(sealing, seals=swapped))
        item.paths[0].unlink()
        with workspace.ledger._transaction():
            workspace.ledger._db.execute("UPDATE copy SET state = 'rendered'")
        with pytest.raises(ReadBackError, match="seals"):
            Renderer(workspace, office.out, now=NOW).deliver(workspace.ledger.copy(2, 0))


def test_a_file_changed_after_sealing_is_not_delivered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    real = render_module.publish

    def damaging(path: Path, data: bytes, *, temporary: Path) -> None:
        real(path, data.replace(b"/Subject", b"/Subjekt") if path.suffix == ".pdf" else data, temporary=temporary)

    monkeypatch.setattr(render_module, "publish", damaging)
    with pytest.raises(ReadBackError):
        office.issue([person(1)])
    with office.open() as workspace:
        assert workspace.ledger.copy(1, 0).state is not CopyState.DELIVERED


def test_a_supplied_picture_takes_the_place_of_the_drawn_seal(office: Office) -> None:
    with office.open() as workspace:
        name = workspace.seals.keep(red_ring(), "picture", "png")
    change(office, seals=tuple(replace(seal, picture=name) for seal in sealing_of(office).seals))
    (item,) = office.issue([person(1)])
    assert [len(facts(path)) for path in item.paths] == [1, 1]


def test_with_a_time_stamping_authority_pdf_seals_bear_its_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(office, time_stamps="https://tsa.example.cn/tsp")
    asked = []

    def local(*, url: str, timeout_s: float, evidence: Evidence | None) -> LocalStamps:
        assert evidence is None
        asked.append((url, timeout_s))
        return LocalStamps(archive=False, at=NOW)

    monkeypatch.setattr(sealing_module, "HttpTimeStamps", local)
    (item,) = office.issue([person(1)])
    assert [[fact.timestamped for fact in facts(path)] for path in item.paths] == [[True], [False]]
    assert asked == [("https://tsa.example.cn/tsp", 20.0)]


def red_ring() -> bytes:
    import io

    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (300, 300), (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((10, 10, 290, 290), outline=(210, 14, 22, 255), width=12)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_the_trust_data_tell_verifiers_everything_about_seals(office: Office) -> None:
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW)
        sealing = workspace.config.sealing
    found = parse_seal_table(load_store(office.base / "trust").data.blobs["seals.json"])
    assert len(found.cas) == 2
    assert len(found.makers) == 1
    assert len(found.seals) == len(sealing.seals) == 6
    rule = found.rule_for(2, 3, 0, DAY)
    assert rule is not None
    assert rule.bodies == (0, 2)


def test_trial_seals_say_so_cover_everything_once_and_only_in_a_demo(office: Office) -> None:
    sealing = sealing_of(office)
    assert {(seal.issuer, seal.body, seal.form) for seal in sealing.seals} == {
        (issuer, body, form) for issuer, body in ((1, 1), (2, 1), (2, 2)) for form in FileForm
    }
    assert {seal.line for seal in sealing.seals if seal.art is SealShape.CIRCLE} == {"试用"}
    with office.open() as workspace:
        for seal in sealing.seals:
            assert "试用 TRIAL" in workspace.seals.certificate(str(seal.certificate)).subject_text
    assert sealing_of(office.with_seals()) == sealing


def test_outboxes_name_their_forms(office: Office) -> None:
    with office.open() as workspace:
        renderer = Renderer(workspace, Outbox(directory=office.out / "x", forms=FORMATS["ofd"]), now=NOW)
        assert isinstance(workspace, Workspace)
    assert (office.out / "x").is_dir()
    assert renderer._forms == (FileForm.OFD,)
