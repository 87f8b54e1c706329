"""Seals whose key lives in a token: named in mingzheng.toml by place, PIN nowhere; SoftHSM stands for the device."""

import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
import softtoken
from click.testing import CliRunner, Result
from office import CONSTRUCTORS, DAY, NOW, Office, person
from outsideca import OutsideCa

import mingzheng.issuer.options as shared
import mingzheng.issuer.seal_cli as commands
import mingzheng.issuer.sealstore as sealstore
import mingzheng.verifier.cli as verifier_commands
from mingzheng.formats.civil import format_day
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.refusals import ConfigError, SealOptionError
from mingzheng.issuer.sealconfig import TokenSpec
from mingzheng.issuer.workspace import Access
from mingzheng.keys.errors import PassphraseError, SealTokenError
from mingzheng.keys.sealkey import SealAlg
from mingzheng.keys.sealtoken import TokenRequestKey

PLACE = ("--issuer", "1", "--body", "1", "--form", "pdf")
TOKEN = ("--token-module", "/nowhere/p11.so", "--token", "seals", "--token-key", "P256", "--token-pin-env", "SEAL_PIN")
SPEC = TokenSpec(module="/nowhere/p11.so", label="seals", key="P256", key_id=None, pin_env="SEAL_PIN")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()
    office.access = replace(office.access, pin=shared.read_pin)

    def access(secret: shared.Secret) -> Access:
        return office.access

    monkeypatch.setattr(shared, "access_of", access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.setenv("SEAL_PIN", softtoken.PIN)
    monkeypatch.chdir(tmp_path)
    return office


def run(*arguments: str, group: click.Group = commands.seal_group) -> Result:
    return CliRunner().invoke(group, arguments, env={"MINGZHENG_WORKSPACE": "W"})


def good(*arguments: str) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.mark.pkcs11
@pytest.mark.parametrize("alg", [SealAlg.P256, SealAlg.RSA])
def test_a_token_seals_what_is_issued_and_the_verifier_finds_it_valid(
    office: Office, alg: SealAlg, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, ca = softtoken.library(), OutsideCa(SealAlg.P256)
    where = ("--token-module", str(library), "--token", softtoken.TOKEN, "--token-key", alg.name)
    good("request", *PLACE, *where, "--token-pin-env", "SEAL_PIN", "--alg", alg.name.lower(), "--out", "r.csr")
    Path("c.cer").write_bytes(ca.answer(Path("r.csr")))
    Path("ca.cer").write_bytes(ca.root)
    other = ca.certify(ca.maker_private.spki, "other")
    Path("other.cer").write_bytes(other)
    refused = run("install", *PLACE, "--certificate", "other.cer", "--ca", "ca.cer")
    assert isinstance(refused.exception, SealOptionError)
    assert "可用" in good("install", *PLACE, "--certificate", "c.cer").stdout
    good("rule", "--issuer", "1", "--kind", "cn.constructor.1", "--body", "0", "--valid-from", format_day(DAY - 5))
    text = (office.root / "mingzheng.toml").read_text("utf-8")
    assert softtoken.PIN not in text
    assert "SEAL_PIN" in text
    (seal, _) = (json.loads(line) for line in good("list", "--json").stdout.splitlines())
    assert (seal["key"], seal["state"], seal["alg"]) == ("token", "ready", alg)
    (item,) = office.issue([person(1)])
    assert item.seals == (1,)
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 60)
    monkeypatch.setattr(verifier_commands.time, "time", lambda: float(NOW + 120))
    arguments = [str(item.path), "--trust", "trust", "--policy", "site", "--json"]
    result = CliRunner().invoke(verifier_commands.verify, arguments)
    assert json.loads(result.stdout)["verdict"] == "VALID"


@pytest.mark.pkcs11
def test_a_wrong_pin_asks_for_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ("--token-module", str(softtoken.library()), "--token", softtoken.TOKEN, "--token-key", "P256")
    monkeypatch.setenv("SEAL_PIN", "000000")
    result = run("request", *PLACE, *where, "--token-pin-env", "SEAL_PIN", "--out", "r.csr")
    assert isinstance(result.exception, SealTokenError)
    assert not Path("r.csr").exists()
    assert "000000" not in result.output


def test_a_token_that_hides_its_public_key(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seal is named, and the message says whose tool makes the request."""
    monkeypatch.setattr(sealstore, "open_request_key", lambda place, *, pin: None)
    result = good("request", *PLACE, *TOKEN, "--out", "r.csr")
    assert "device's own tool" in result.stderr
    assert "seal install" in result.stderr
    assert not Path("r.csr").exists()
    with office.open() as workspace:
        (seal,) = workspace.config.sealing.seals
        assert (seal.key, seal.token) == (None, SPEC)


def test_a_key_of_another_kind_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    key = TokenRequestKey(alg=SealAlg.RSA, spki=b"", _key=None)
    monkeypatch.setattr(sealstore, "open_request_key", lambda place, *, pin: key)
    result = run("request", *PLACE, *TOKEN, "--out", "r.csr")
    assert isinstance(result.exception, SealOptionError)
    assert "--alg" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token-key", "a"),
        ("--token-module", "/a.so", "--token", "a"),
        ("--token-module", "a.so", "--token", "a", "--token-key", "a"),
        ("--token-module", "/a.so", "--token", "a", "--token-key-id", "xyz"),
    ],
)
def test_half_a_token_is_a_wrong_use(office: Office, arguments: tuple[str, ...]) -> None:
    assert run("request", *PLACE, *arguments, "--out", "r.csr").exit_code == 2


def test_tokens_do_not_seal_ofd(office: Office) -> None:
    result = run("request", "--issuer", "1", "--body", "1", "--form", "ofd", *TOKEN, "--out", "r.csr")
    assert result.exit_code == 2
    assert "pdf only" in result.output


def test_what_could_not_be_read_again_is_not_written(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealstore, "open_request_key", lambda place, *, pin: None)
    monkeypatch.setenv("a name", "1")
    before = (office.root / "mingzheng.toml").read_bytes()
    result = run("request", *PLACE, *TOKEN[:-1], "a name", "--out", "r.csr")
    assert isinstance(result.exception, ConfigError)
    assert (office.root / "mingzheng.toml").read_bytes() == before


def test_where_a_pin_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL_PIN", "1234")
    assert shared.read_pin(SPEC) == "1234"
    monkeypatch.delenv("SEAL_PIN")
    with pytest.raises(SealTokenError, match="SEAL_PIN"):
        shared.read_pin(SPEC)
    asked = []

    def ask(*, prompt: str) -> bytes:
        asked.append(prompt)
        return b"4321"

    def nobody(*, prompt: str) -> bytes:
        raise PassphraseError(prompt)

    monkeypatch.setattr(shared, "read_passphrase", ask)
    assert shared.read_pin(replace(SPEC, pin_env=None)) == "4321"
    assert "seals" in asked[0]
    monkeypatch.setattr(shared, "read_passphrase", nobody)
    with pytest.raises(SealTokenError, match="pin_env"):
        shared.read_pin(replace(SPEC, pin_env=None))
    with pytest.raises(SealTokenError):
        sealstore.no_pin(SPEC)
