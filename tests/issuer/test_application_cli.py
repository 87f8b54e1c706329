"""`reissue --application` and `application ca` as they are typed: preview, question, refusals in two languages."""

import base64
import json
from pathlib import Path

import pytest
from desk import change, run, sit_down
from holderpress import ID_NUMBER, SIGNED_AT, HolderCa, sign, signed_pdf

NUMBER = "京1112006200712345"
OF = ("--workspace", "W", "--registration", NUMBER, "--kind", "cn.constructor.1", "--reason", "换领", "--out", "out")
PASS = ("--passphrase-file", "pass.txt")
CA = HolderCa()
SAMPLE = "王小明"


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace with the sample's person, the holder's files beside it."""
    sit_down(tmp_path, monkeypatch)
    kinds = ("--kind", "cn.constructor.1", "--jurisdiction", "cn")
    start = ("--issuer", "示范厅", "--origin", "demo.example/log", "--demo", "--one-person", *kinds)
    assert run("init", "--workspace", "W", *start, *PASS).status == 0
    Path("sample.csv").write_bytes(run("records", "template", "--kind", "cn.constructor.1").raw)
    change(Path("sample.csv"), Path("records.csv"), {"注册编号": NUMBER, "地区": "0"})
    issued = run("issue", "records.csv", "--workspace", "W", "--out", "out", "--copy", "approval", *PASS)
    assert issued.status == 0, issued.err
    Path("ca.cer").write_bytes(CA.root)
    Path("a.pdf").write_bytes(signed_pdf(CA.holder(SAMPLE)))


def pin() -> None:
    assert run("application", "ca", "ca.cer", "--workspace", "W", "--yes", *PASS).status == 0


def ledger() -> bytes:
    return Path("W/ledger.sqlite").read_bytes()


def test_an_authority_is_pinned_once_it_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pem = base64.encodebytes(CA.root).decode()
    Path("ca.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{pem}-----END CERTIFICATE-----\n", encoding="ascii")
    refused = run("application", "ca", "ca.pem", "--workspace", "W", *PASS, typed=b"n\n")
    assert (refused.status, "SHA-256 " in refused.err) == (1, True)
    assert run("application", "ca", "--workspace", "W").out == ""
    wrong = run("application", "ca", "ca.pem", "--workspace", "W", "--yes", "--passphrase-file", "li.txt")
    assert wrong.status != 0
    for name in ("ca.pem", "ca.cer"):
        assert run("application", "ca", name, "--workspace", "W", *PASS, typed=b"y\n").status == 0
    told = run("application", "ca", "--workspace", "W", "--json")
    (item,) = [json.loads(line) for line in told.out.splitlines()]
    assert item["file"] in Path("W/mingzheng.toml").read_text("utf-8")
    for name in ("a.pdf", "pass.txt", "records.csv"):
        assert "[application.ca_file]" in run("application", "ca", name, "--workspace", "W", "--yes", *PASS).err


def test_the_preview_shows_it_and_stores_nothing() -> None:
    pin()
    before, files = ledger(), sorted(Path("W").rglob("*"))
    told = run("reissue", *OF, "--application", "a.pdf", "--dry-run")
    assert told.status == 0, told.err
    assert "仅姓名相符" in told.out
    item = json.loads(run("reissue", *OF, "--application", "a.pdf", "--dry-run", "--json").out)
    assert item["application"]["bound_by"] == "name"
    assert item["application"]["signed_at"] == "2026-06-01T09:00:00+08:00"
    assert SAMPLE not in told.out + told.err
    assert [path for path in sorted(Path("W").rglob("*")) if path.suffix not in (".sqlite-wal",)] == files
    assert ledger() == before
    assert "application" not in json.loads(run("reissue", *OF, "--dry-run", "--json").out)


def test_it_is_attached_and_told_in_the_status() -> None:
    pin()
    no = run("reissue", *OF, "--application", "a.pdf", *PASS, typed=b"n\n")
    assert (no.status, list(Path("W/applications").iterdir())) == (1, [])
    done = run("reissue", *OF, "--application", "a.pdf", *PASS, typed=b"y\n")
    assert done.status == 0, done.err
    assert "仅姓名相符" in done.err
    status = ("status", "--workspace", "W", "--registration", NUMBER)
    (item,) = json.loads(run(*status, "--json").out)["applications"]
    assert [path.name for path in Path("W/applications").iterdir()] == [item["sha256"]]
    assert "持证人申请" in run(*status).out
    assert "applications of the holder" in run(*status, "--lang", "en").out
    journal = run("journal", "--workspace", "W", "--json").out
    assert [json.loads(line)["what"] for line in journal.splitlines()].count("application") == 1
    assert run("journal", "--workspace", "W", "--check").status == 0
    assert item["sha256"] not in journal


def test_a_signature_beside_needs_its_file() -> None:
    pin()
    data = b"an OFD, say"
    Path("a.ofd").write_bytes(data)
    Path("a.p7s").write_bytes(sign(CA.holder(SAMPLE), data, signed_at=SIGNED_AT))
    assert run("reissue", *OF, "--application-signature", "a.p7s", "--dry-run").status == 2
    told = run("reissue", *OF, "--application", "a.ofd", "--application-signature", "a.p7s", "--dry-run", "--json")
    assert json.loads(told.out)["application"]["signature_sha256"]


@pytest.mark.parametrize("pinned", [False, True])
def test_refusals_say_what_to_do_and_name_nobody(pinned: bool) -> None:
    if pinned:
        pin()
    Path("b.pdf").write_bytes(signed_pdf(CA.holder("李某", number=ID_NUMBER)))
    told = run("reissue", *OF, "--application", "b.pdf", *PASS, "--yes")
    assert told.status == (1 if pinned else 2)
    assert f"[application.{'other_person' if pinned else 'no_ca'}]" in told.err
    assert "holder" in told.err
    assert not any(word in told.err for word in ("李某", SAMPLE, ID_NUMBER))
    assert list(Path("W/applications").iterdir()) == []
