"""Evidence from mingzheng.toml: files of level B-LTA, and clear words about what cannot be used."""

import datetime
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sealpress
import stampworld
from asn1crypto import tsp
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from office import CONSTRUCTORS, DAY, NOW, Office, person
from outsideca import OutsideCa

import mingzheng.issuer.options as shared
import mingzheng.issuer.seal_cli as commands
import mingzheng.verifier.cli as verifier_commands
from mingzheng.formats.civil import format_day
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.issuer.evidence import MAX_EVIDENCE_BYTES, check_covered, read_evidence
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.refusals import SealFileError, SerialUnknownError
from mingzheng.issuer.workspace import Access
from mingzheng.keys.sealkey import SealAlg, SealPrivate

MOMENT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
HOUR = datetime.timedelta(hours=1)
CA = OutsideCa(SealAlg.P256)


def crl(
    private: SealPrivate = CA.private,
    *,
    issuer: bytes = CA.root,
    begin: datetime.timedelta = -HOUR,
    end: datetime.timedelta = 24 * HOUR,
    revoked: int | None = None,
) -> bytes:
    """DER of a revocation list."""
    key = load_der_private_key(private.private_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(issuer).subject)
        .last_update(MOMENT + begin)
        .next_update(MOMENT + end)
    )
    if revoked is not None:
        entry = x509.RevokedCertificateBuilder().serial_number(revoked).revocation_date(MOMENT - HOUR).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


class Authority(http.server.BaseHTTPRequestHandler):
    """Stamps at the office's time."""

    def do_POST(self) -> None:
        question = tsp.TimeStampReq.load(self.rfile.read(int(self.headers["Content-Length"])))
        body = stampworld.respond(question, NOW + 5).dump()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """One PDF seal under an outside CA, and its rule."""
    office = Office(tmp_path, issuers=(CONSTRUCTORS,)).build()

    def access(secret: shared.Secret) -> Access:
        return office.access

    monkeypatch.setattr(shared, "access_of", access)
    monkeypatch.setattr(commands.time, "time", lambda: float(NOW))
    monkeypatch.chdir(tmp_path)
    run("request", "--issuer", "1", "--body", "1", "--form", "pdf", "--out", "r.csr")
    Path("c.cer").write_bytes(CA.answer(Path("r.csr")))
    Path("ca.cer").write_bytes(CA.root)
    run("install", "--issuer", "1", "--body", "1", "--form", "pdf", "--certificate", "c.cer", "--ca", "ca.cer")
    run("rule", "--issuer", "1", "--kind", "cn.constructor.1", "--body", "0", "--valid-from", format_day(DAY - 5))
    return office


def run(*arguments: str) -> None:
    result = CliRunner().invoke(commands.seal_group, arguments, env={"MINGZHENG_WORKSPACE": "W"})
    assert result.exit_code == 0, result.output + repr(result.exception)


def set_up(office: Office, url: str, files: dict[str, bytes]) -> None:
    """Files into seals/, their names into mingzheng.toml."""
    for name, data in files.items():
        (office.root / "seals" / name).write_bytes(data)
    with office.open() as workspace:
        sealing = replace(workspace.config.sealing, time_stamps=url, evidence=tuple(files))
        workspace.store_config(replace(workspace.config, sealing=sealing))


def test_files_reach_level_lta_and_are_valid(office: Office, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = stampworld.LocalStamps(archive=True).evidence
    assert authority is not None
    certificates = {f"tsa{number}.cer": data for number, data in enumerate(authority.certificates)}
    set_up(office, address, {"ca.crl": crl(), "ca.cer": CA.root} | certificates)
    (item,) = office.issue([person(1)])
    data = item.path.read_bytes()
    found, faults = check_pdf(data)
    assert (faults, [(fact.faults, fact.timestamped) for fact in found]) == ((), [((), True)])
    assert b"/Type /DSS /Certs [" in data
    assert b"/CRLs [" in data
    assert data.count(b"/ETSI.RFC3161") == 1
    assert data.count(b"%%EOF") == 3  # the seal, the evidence, the time stamp over all
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 60)
    monkeypatch.setattr(verifier_commands.time, "time", lambda: float(NOW + 120))
    arguments = [str(item.path), "--trust", "trust", "--policy", "site", "--json"]
    assert json.loads(CliRunner().invoke(verifier_commands.verify, arguments).stdout)["verdict"] == "VALID"


def test_a_list_that_ran_out_stops_before_anything_is_logged_and_may_be_replaced(office: Office, address: str) -> None:
    set_up(office, address, {"ca.crl": crl(end=-HOUR / 2), "ca.cer": CA.root})
    with pytest.raises(SealFileError, match="fetch the new one"):
        office.issue([person(1)])
    with office.open() as workspace, pytest.raises(SerialUnknownError):
        workspace.ledger.copy(1, 0)
    (office.root / "seals" / "ca.crl").write_bytes(crl())
    assert len(office.issue([person(1)])) == 1


def test_a_seal_that_its_issuer_revoked_does_not_seal(office: Office, address: str) -> None:
    serial = x509.load_der_x509_certificate(Path("c.cer").read_bytes()).serial_number
    set_up(office, address, {"ca.crl": crl(revoked=serial)})
    with pytest.raises(SealFileError, match="has revoked it"):
        office.issue([person(1)])
    set_up(office, address, {"ca.crl": crl(revoked=serial + 1)})
    assert len(office.issue([person(1)])) == 1


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (lambda: {"a": CA.root}, "there is no revocation list"),
        (lambda: {"a": b"nothing"}, "neither a certificate nor a revocation list"),
        (lambda: {"a": b""}, "neither a certificate nor a revocation list"),
        (lambda: {"a": b"-----BEGIN X509 CRL-----"}, "PEM"),
        (lambda: {"a": crl(sealpress.private("stranger"))}, "no certificate at hand signed"),
        (lambda: {"a": crl(sealpress.private("root"), issuer=sealpress.root())}, "no certificate at hand signed"),
        (lambda: {"a": crl(end=-HOUR / 2)}, "ended 2026-06-01"),
        (lambda: {"a": crl(begin=HOUR)}, "later time"),
        (lambda: {"a": crl(), "b": bytes(MAX_EVIDENCE_BYTES)}, "1 MiB"),
    ],
)
def test_what_cannot_be_used_is_named(files: Callable[[], dict[str, bytes]], words: str) -> None:
    with pytest.raises(SealFileError, match=words) as caught:
        read_evidence(files(), known=[CA.root, OutsideCa(SealAlg.SM2).root], now=NOW)
    assert caught.value.name in ("a", "b")


def test_every_seal_needs_a_list_of_its_issuer() -> None:
    evidence = read_evidence({"a": crl()}, known=[CA.root], now=NOW)
    check_covered(evidence, {"ours.cer": CA.maker})
    with pytest.raises(SealFileError, match="no revocation list of its issuer") as caught:
        check_covered(evidence, {"theirs.cer": sealpress.certificate("某部")})
    assert caught.value.name == "theirs.cer"


def test_a_file_that_is_not_there(office: Office, address: str) -> None:
    set_up(office, address, {"ca.crl": crl()})
    (office.root / "seals" / "ca.crl").unlink()
    with pytest.raises(SealFileError, match="cannot be read in seals/"):
        office.issue([person(1)])
