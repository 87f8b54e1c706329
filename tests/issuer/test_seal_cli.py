"""`mingzheng seal`: from a request over an outside CA to a sealed file; what does not fit is refused."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, Office, SeededSealVault, person
from outsideca import FIRST, PNG, OutsideCa

import mingzheng.issuer.options as shared
import mingzheng.issuer.seal_cli as commands
from mingzheng.formats.civil import day_start, format_day
from mingzheng.formats.page import SealShape
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.refusals import DemoOnlyError, SealFileError, SealOptionError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import FORMATS, SealSpec
from mingzheng.issuer.sealwork import Pieces, install_seal, request_seal, store
from mingzheng.issuer.workspace import Access
from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import SealKeySharedError
from mingzheng.keys.sealkey import SealAlg, SealPrivate
from mingzheng.keys.trust import Role
from mingzheng.keys.x509 import parse_certificate


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()

    def access(secret: shared.Secret) -> Access:
        return office.access

    monkeypatch.setattr(shared, "access_of", access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    return office


def run(*arguments: str, group: click.Group = commands.seal_group) -> Result:
    return CliRunner().invoke(group, arguments, env={"MINGZHENG_WORKSPACE": "W"})


def good(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


PLAIN: dict[str, Any] = {
    "issuer": 1,
    "body": 1,
    "form": FileForm.PDF,
    "name": "示范厅",
    "art": SealShape.CIRCLE,
    "line": None,
    "code": None,
    "alg": SealAlg.P256,
    "key": "",
    "certificate": None,
    "chain": (),
    "seal": None,
    "picture": None,
    "valid_from": DAY - 5,
    "valid_until": DAY + 100,
    "revoked_on": None,
}
PLACE_PDF = ("--issuer", "1", "--body", "1", "--form", "pdf")
PLACE_OFD = ("--issuer", "1", "--body", "1", "--form", "ofd")


def put(name: str, data: bytes) -> str:
    Path(name).write_bytes(data)
    return name


def spec_of(office: Office, form: str) -> SealSpec:
    with office.open() as workspace:
        return next(seal for seal in workspace.config.sealing.seals if seal.form == form)


def test_from_the_request_to_a_sealed_pdf_under_an_outside_ca(office: Office) -> None:
    ca = OutsideCa(SealAlg.P256)
    good("request", *PLACE_PDF, "--line", "专用章", "--code", "3301", "--out", "r.csr")
    assert "等证书" in good("list")
    certificate = put("c.cer", ca.answer(Path("r.csr")))
    shown = good("install", *PLACE_PDF, "--certificate", certificate, "--ca", put("ca.cer", ca.root))
    assert "可用" in shown
    good("rule", "--issuer", "1", "--kind", "cn.constructor.1", "--body", "0", "--valid-from", format_day(DAY - 5))
    (item,) = office.issue([person(1)])
    assert item.seals == (1,)
    spec = spec_of(office, "pdf")
    assert (spec.valid_from, spec.valid_until, spec.line, spec.code) == (DAY, DAY + 699, "专用章", "3301")


def pem(data: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"


def test_an_ofd_seal_made_by_an_outside_maker_is_installed_and_used(office: Office) -> None:
    ca = OutsideCa(SealAlg.SM2)
    good("request", *PLACE_OFD, "--out", "r.csr")
    certificate = ca.answer(Path("r.csr"))
    chain = ("--chain", put("chain.cer", pem(ca.root)))
    shown = good(
        "install", *PLACE_OFD, "--certificate", put("c.cer", pem(certificate)), "--ca", put("ca.cer", ca.root), *chain
    )
    assert "等电子印章" in shown
    esl = put("s.esl", ca.seal(certificate))
    refused = run("install", *PLACE_OFD, "--seal", esl)
    assert isinstance(refused.exception, SealOptionError)  # nobody said that this maker counts
    assert "可用" in good("install", *PLACE_OFD, "--seal", esl, "--maker", put("m.cer", ca.maker))
    good("rule", "--issuer", "1", "--kind", "cn.constructor.1", "--body", "1")
    with office.open() as workspace:
        sealing = replace(workspace.config.sealing, forms=FORMATS["ofd"])
        workspace.store_config(replace(workspace.config, sealing=sealing))
    (item,) = office.issue([person(1)])
    assert (item.seals, item.path.suffix) == ((1,), ".ofd")


def test_an_authority_makes_its_own_electronic_seals(office: Office) -> None:
    ca = OutsideCa(SealAlg.SM2)
    good("request", *PLACE_OFD, "--out", "r.csr")
    refused = run("make", "--issuer", "1", "--body", "1")
    assert isinstance(refused.exception, SealOptionError)  # no maker
    good("maker", "--request", "m.csr", "--name", "示范印章制作中心")
    maker = put("m.cer", ca.answer(Path("m.csr"), "maker"))
    assert "本工作区" in good("maker", "--certificate", maker, "--ca", put("ca.cer", ca.root))
    assert "本工作区" in good("maker", "--certificate", maker)  # again
    refused = run("make", "--issuer", "1", "--body", "1")
    assert isinstance(refused.exception, SealOptionError)  # no certificate
    good("install", *PLACE_OFD, "--certificate", put("c.cer", ca.answer(Path("r.csr"))))
    assert "可用" in good("make", "--issuer", "1", "--body", "1")
    with office.open() as workspace:
        (listed,) = workspace.config.sealing.makers
    assert listed.key is not None


def test_a_makers_certificate_of_another_key_is_listed_without_one(office: Office) -> None:
    ca = OutsideCa(SealAlg.SM2)
    good("maker", "--request", "m.csr", "--name", "示范印章制作中心")
    good("maker", "--certificate", put("m.cer", ca.maker), "--ca", put("ca.cer", ca.root))
    with office.open() as workspace:
        assert [maker.key is None for maker in workspace.config.sealing.makers] == [False, True]
    rows = [json.loads(line) for line in good("list", "--json").splitlines()]
    assert [(row["type"], row["own"]) for row in rows] == [("maker", True), ("maker", False)]


def stranger(ca: OutsideCa) -> SealPrivate:
    return SeededSealVault("stranger").generate(ca.alg)


@pytest.mark.parametrize(
    "files",
    [
        lambda ca, _: {"certificate": b"nothing"},
        lambda ca, _: {"certificate": ca.root},
        lambda ca, _: {"certificate": pem(ca.root) * 2},
        lambda ca, _: {"certificate": b"-----BEGIN nothing"},
        lambda ca, mine: {"certificate": mine},  # of a CA that nobody listed
        lambda ca, mine: {"certificate": mine, "ca": OutsideCa(SealAlg.SM2).root},
        lambda ca, mine: {"certificate": mine, "ca": ca.maker},
        lambda ca, mine: {"certificate": mine, "ca": ca.root, "picture": b"GIF89a"},
        lambda ca, mine: {"certificate": mine, "ca": ca.root, "picture": PNG[:200]},
        lambda ca, mine: {"certificate": mine, "ca": ca.root, "picture": PNG[:20] + b"\xff" + PNG[21:]},
        lambda ca, mine: {"certificate": mine, "ca": ca.root, "seal": b"nothing"},
        lambda ca, mine: {"seal": b"nothing"},
    ],
)
def test_what_does_not_fit_is_not_installed(
    office: Office, files: Callable[[OutsideCa, bytes], dict[str, bytes]]
) -> None:
    ca = OutsideCa(SealAlg.P256)
    good("request", *PLACE_PDF, "--out", "r.csr")
    given = files(ca, ca.answer(Path("r.csr")))
    result = run(
        "install", *PLACE_PDF, *(part for name, data in given.items() for part in (f"--{name}", put(name, data)))
    )
    assert isinstance(result.exception, SealOptionError)
    assert spec_of(office, "pdf").certificate is None


def test_a_key_that_signs_anything_else_gets_no_seal(office: Office) -> None:
    """Refused when its certificate comes in, and, if mingzheng.toml was edited, when the trust data go out."""
    (office.base / "p256").mkdir()
    office = Office(office.base / "p256", issuers=(replace(CONSTRUCTORS, credential_alg=Alg.ESP256),)).build()
    with office.open() as workspace:
        shared_key = next(key for key in workspace.config.keys if key.role is Role.CREDENTIAL)
        request_seal(workspace, SealSpec(**PLAIN))
        ca = OutsideCa(SealAlg.P256)
        both = ca.certify(shared_key.public_key.spki, "both")
        for pieces in (Pieces(certificate=both, authority=ca.root), Pieces(maker=both, authority=ca.root)):
            with pytest.raises(SealOptionError, match="keys of their own"):
                install_seal(workspace, (1, 1, FileForm.PDF), pieces)
        sealing = workspace.config.sealing
        store(
            workspace,
            replace(
                sealing,
                seals=(replace(sealing.seals[0], certificate=workspace.seals.keep(both, "seal", "cer")),),
            ),
        )
        with pytest.raises(SealKeySharedError) as caught:
            export_trust(workspace, office.base / "trust", now=NOW)
        assert caught.value.code == "seals.key_shared"


def test_an_electronic_seal_of_another_certificate_or_a_changed_one_is_refused(office: Office) -> None:
    ca = OutsideCa(SealAlg.SM2)
    good("request", *PLACE_OFD, "--out", "r.csr")
    certificate = ca.answer(Path("r.csr"))
    good("install", *PLACE_OFD, "--certificate", put("c.cer", certificate), "--ca", put("ca.cer", ca.root))
    other = ca.seal(ca.maker)
    changed = ca.seal(certificate)[:-1] + b"\x00"
    for data in (other, changed):
        result = run("install", *PLACE_OFD, "--seal", put("s.esl", data), "--maker", put("m.cer", ca.maker))
        assert isinstance(result.exception, SealOptionError)
    assert spec_of(office, "ofd").seal is None


def test_a_certificate_that_ran_out_or_would_replace_another_is_refused(office: Office) -> None:
    """The first would leave the seal no day and the trust data unmade, the second would orphan what is sealed."""
    ca = OutsideCa(SealAlg.P256)
    good("request", *PLACE_PDF, "--out", "r.csr")
    key = ca.answer(Path("r.csr"))
    spki = parse_certificate(key).spki
    old = ca.certify(spki, "old", not_before=FIRST, not_after=day_start(DAY - 2))
    files = ("--certificate", put("old.cer", old), "--ca", put("ca.cer", ca.root))
    result = run("install", *PLACE_PDF, *files)
    assert isinstance(result.exception, SealOptionError)
    assert "no day in common" in str(result.exception)
    foreign = put("f.cer", ca.certify(ca.maker_private.spki, "foreign"))
    assert "not of this seal's key" in str(run("install", *PLACE_PDF, "--certificate", foreign, *files[2:]).exception)
    assert spec_of(office, "pdf").certificate is None
    good("install", *PLACE_PDF, "--certificate", put("c.cer", key))
    before = spec_of(office, "pdf")
    renewed = put("n.cer", ca.certify(spki, "new"))
    assert "另一张证书" in str(run("install", *PLACE_PDF, "--certificate", renewed).exception)
    good("install", *PLACE_PDF, "--certificate", "c.cer")
    assert spec_of(office, "pdf") == before
    days = ("--valid-from", "2030-01-01", "--valid-until", "2029-01-01")
    backwards = run("request", *PLACE_PDF, *days, "--out", "x.csr")
    assert isinstance(backwards.exception, SealOptionError)
    good("request", *PLACE_PDF, "--out", "next.csr")
    good("install", *PLACE_PDF, "--certificate", put("next.cer", ca.answer(Path("next.csr"))))
    with office.open() as workspace:
        first, second = workspace.config.sealing.seals
    assert first == before
    assert second.certificate not in (None, before.certificate)


def test_a_trial_says_which_kind_lacks_a_body(office: Office) -> None:
    with office.open() as workspace:
        alone = replace(ARCHITECTS, bodies={1: "示范注册建筑师管理委员会"})
        workspace.store_config(replace(workspace.config, issuers=(CONSTRUCTORS, alone)))
    result = run("trial")
    assert isinstance(result.exception, SealOptionError)
    assert '2 = "' in str(result.exception)
    assert "cn.architect.1" in str(result.exception)


def test_a_revoked_seal_is_listed_as_such_and_the_trust_data_say_so(office: Office) -> None:
    office.with_seals("pdf")
    assert run("revoke", *PLACE_PDF).exit_code == 1  # asks first
    assert "已吊销" in good("revoke", *PLACE_PDF, "--on", format_day(DAY), "--yes")
    states = [json.loads(line).get("state") for line in good("list", "--json").splitlines()]
    assert states.count("revoked") == 1
    assert "revoked" in good("list", "--lang", "en")


def test_a_new_rule_ends_the_old_one_the_day_before(office: Office) -> None:
    common = ("rule", "--issuer", "2", "--kind", "cn.architect.1")
    good(*common, "--body", "1", "--valid-from", "2026-01-01")
    good(*common, "--body", "1", "--body", "2", "--valid-from", "2026-06-01", "--lang", "en")
    with office.open() as workspace:
        first, second = workspace.config.sealing.rules
    assert first.valid_until == second.valid_from - 1
    for refused in (
        run(*common, "--body", "1", "--valid-from", "2026-06-01"),
        run(*common, "--body", "7"),
        run("rule", "--issuer", "9", "--kind", "cn.architect.1", "--body", "1"),
    ):
        assert isinstance(refused.exception, SealOptionError)


def test_requests_name_a_body_and_a_key_that_there_is(office: Office) -> None:
    assert isinstance(
        run("request", "--issuer", "1", "--body", "9", "--form", "pdf", "--out", "x").exception, SealOptionError
    )
    assert isinstance(run("install", *PLACE_PDF, "--picture", put("p.png", PNG)).exception, SealOptionError)
    assert run("maker").exit_code == 2
    assert run("maker", "--request", "x").exit_code == 2


def test_trial_seals_are_for_demos(office: Office) -> None:
    assert good("trial").count("可用") == 6
    assert good("trial") == ""
    with office.open() as workspace:
        workspace.config = replace(workspace.config, demo=False)
        with pytest.raises(DemoOnlyError):
            commands.make_trial_seals(workspace, now=NOW)


def test_trial_seals_need_a_body_for_every_place(tmp_path: Path) -> None:
    office = Office(tmp_path, issuers=(replace(ARCHITECTS, bodies={1: "示范注册建筑师管理委员会"}),)).build()
    with pytest.raises(SealOptionError, match="bodies"):
        office.with_seals()


def test_public_files_of_seals_are_checked_against_their_names(office: Office) -> None:
    office.with_seals("pdf")
    with office.open() as workspace:
        name = str(workspace.config.sealing.seals[0].certificate)
        esl = str(workspace.config.sealing.seals[1].seal)
        assert workspace.seals.keep(workspace.seals.file(name), "seal", "cer") == name
        with pytest.raises(SealFileError):
            workspace.seals.certificate(esl)
        with pytest.raises(SealFileError):
            workspace.seals.file("none.cer")
    big = office.root / "seals" / "big.cer"
    big.write_bytes(bytes(9 << 20))
    with office.open() as workspace, pytest.raises(SealFileError, match="8 MiB"):
        workspace.seals.file("big.cer")
