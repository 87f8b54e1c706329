"""From a logged copy to a file: what is printed reads back exactly, and what does not is not delivered."""

from dataclasses import replace
from pathlib import Path

import pytest
from office import ARCHITECTS, CONSTRUCTORS, NOW, Office, architect, person

import mingzheng.issuer.render as render_module
from mingzheng.formats.candidate import Source
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.issuer.issue import prepare
from mingzheng.issuer.press import Press
from mingzheng.issuer.publish import token_of
from mingzheng.issuer.refusals import NameTakenError, ReadBackError
from mingzheng.issuer.render import Renderer, check_read_back, file_name
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.schema import CopyState, FileForm
from mingzheng.issuer.workspace import Workspace


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()


def test_the_file_carries_credential_and_receipts_and_no_name_of_the_holder(office: Office) -> None:
    (item,) = office.issue([person(1)])
    data = item.path.read_bytes()
    found = extract(data, limits=LIMITS_DEFAULT)
    assert found.facts.attachments == ("credential", "receipt")
    assert found.facts.full_receipts == (item.row.proof,)
    assert {candidate.source for candidate in found.candidates} == {Source.QR, Source.ATTACHMENT}
    assert item.path.name == file_name("cn.constructor.1", item.row, FileForm.PDF) == "cn.constructor.1-1-000000.pdf"
    assert [file.name for file in item.row.files] == [item.path.name]


def test_a_listed_prefix_stands_before_the_digits(office: Office) -> None:
    (item,) = office.issue([architect(1)])
    texts = [
        candidate.text
        for candidate in extract(item.path.read_bytes(), limits=LIMITS_DEFAULT).candidates
        if candidate.source is Source.QR
    ]
    assert [text.startswith("https://zs.example.cn/v#") for text in texts if text] == [True]


def test_the_same_copy_renders_to_the_same_bytes(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        assert Press(workspace).compose(item.row, item.job.profile) == item.path.read_bytes()


def test_files_of_another_copy_or_changed_rows_do_not_read_back(office: Office) -> None:
    one, two = office.issue([person(1), person(2)])
    assert (one.row.receipt, one.row.proof) != (None, None)
    with office.open() as workspace:
        good = one.path.read_bytes()
        check_read_back(workspace, one.row, good)

        def refused(row: CopyRow, data: bytes) -> str:
            with pytest.raises(ReadBackError) as caught:
                check_read_back(workspace, row, data)
            assert caught.value.serial == row.serial
            return caught.value.what

        assert refused(one.row, two.path.read_bytes()) == "attachment credential"
        assert refused(one.row, good[:100]) == "file.unreadable"
        assert refused(one.row, b"%PDF-1.7 nonsense")
        assert refused(replace(one.row, proof=two.row.proof), good) == "attachment receipt"
        assert refused(replace(one.row, receipt=two.row.receipt), good) == "attachment credential"
        assert refused(replace(one.row, claims=two.row.claims), good) == "claims"
        assert refused(replace(one.row, leaf_index=99), good) == "index"


def test_the_visible_code_counts_as_much_as_the_attachment(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = office.issue([person(1)])
    real = render_module.extract

    def without_code(data: bytes, **options: object) -> object:
        found = real(data, **options)  # type: ignore[arg-type]
        kept = tuple(candidate for candidate in found.candidates if candidate.source is not Source.QR)
        return replace(found, candidates=kept)

    monkeypatch.setattr(render_module, "extract", without_code)
    with office.open() as workspace, pytest.raises(ReadBackError, match="QR"):
        check_read_back(workspace, item.row, item.path.read_bytes())


def test_a_key_that_is_no_longer_in_the_settings_does_not_read_back(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        keys = tuple(key for key in workspace.config.keys if str(key.role) != "credential")
        workspace.config = replace(workspace.config, keys=keys)
        with pytest.raises(ReadBackError, match="kid"):
            check_read_back(workspace, item.row, item.path.read_bytes())


def test_a_receipt_under_another_log_key_does_not_read_back(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        spec = next(key for key in workspace.config.keys if str(key.role) == "receipt")
        other = next(key for key in workspace.config.keys if str(key.role) == "authority")
        swapped = replace(spec, public_key=replace(other.public_key, alg=spec.public_key.alg))
        keys = tuple(swapped if key is spec else key for key in workspace.config.keys)
        workspace.config = replace(workspace.config, keys=keys)
        with pytest.raises(ReadBackError, match="receipt"):
            check_read_back(workspace, item.row, item.path.read_bytes())


def test_a_file_that_does_not_read_back_is_not_delivered(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(workspace: Workspace, row: CopyRow, data: bytes) -> None:
        raise ReadBackError(row.serial, "test")

    with monkeypatch.context() as patch:
        patch.setattr(render_module, "check_read_back", refuse)
        with pytest.raises(ReadBackError):
            office.issue([person(1)])
    with office.open() as workspace:
        assert workspace.ledger.copy(1, 0).state is CopyState.RENDERED
    (item,) = office.issue([person(1)], now=NOW + 1)
    assert (item.row.serial, item.row.state) == (0, CopyState.DELIVERED)


def test_a_certificate_of_another_workspace_is_never_replaced(office: Office, tmp_path: Path) -> None:
    (first,) = office.issue([person(1)])
    kept = first.path.read_bytes()
    (tmp_path / "other").mkdir()
    other = Office(tmp_path / "other", issuers=(CONSTRUCTORS, ARCHITECTS)).build()
    other.out = office.out
    with pytest.raises(NameTakenError, match=first.path.name):
        other.issue([person(2)])
    assert first.path.read_bytes() == kept
    other.out = tmp_path / "elsewhere"
    (item,) = other.issue([person(2)], now=NOW + 1)  # the same copy is finished there
    assert (item.row.serial, item.row.state) == (0, CopyState.DELIVERED)


def test_a_damaged_file_of_ours_is_made_again(office: Office) -> None:
    (item,) = office.issue([person(1)])
    good = item.path.read_bytes()
    for damage in (b"", b"hi", good[: len(good) // 2]):
        item.path.write_bytes(damage)
        office.issue([person(1)], now=NOW + 1)
        assert item.path.read_bytes() == good


def test_rules_that_vanished_stop_the_rendering(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        empty = type(workspace.profiles())([])
        workspace._profiles = empty
        with pytest.raises(ReadBackError, match="profile"):
            Renderer(workspace, office.out, now=NOW).deliver(item.row)


def test_what_cannot_be_printed_is_refused_before_it_is_logged(office: Office) -> None:
    with office.open() as workspace:
        (job,) = prepare(workspace, office.request([person(1)]), now=NOW, store_images=True).jobs
        press, claims = Press(workspace), job.preview.claims
        press.check(claims, job.profile, 1, (None, None))
        with pytest.raises(FormatError):
            press.check(replace(claims, name="\u4e02"), job.profile, 1, (None, None))
        with pytest.raises(FormatError):
            press.check(claims, job.profile, 1, (b"no picture", None))
        first = claims.specialties[0]
        many = tuple(replace(first, code=code) for code in sorted(job.profile.specialties)[:6])
        longest = replace(claims, employer="企" * 40, purpose="用" * 40, specialties=many)
        press.check(longest, job.profile, 1, (None, None))
        with pytest.raises(FormatError):  # 16 specialties of three-byte codes and long texts: no code that large fits
            far = tuple(replace(first, code=60_000 + code) for code in range(16))
            press.check(replace(longest, specialties=far), job.profile, 1, (None, None))


def test_the_token_is_what_the_code_and_the_attachment_carry(office: Office) -> None:
    (item,) = office.issue([person(1)])
    attached = [
        candidate.data
        for candidate in extract(item.path.read_bytes(), limits=LIMITS_DEFAULT).candidates
        if candidate.source is Source.ATTACHMENT
    ]
    assert attached == [token_of(item.row)]
