"""The example bytes of docs/spec/credential.md and docs/spec/qr.md are the reference vectors."""

from __future__ import annotations

import json
import pathlib
import re

from mingzheng.formats.qrimage import encode_qr

ROOT = pathlib.Path(__file__).parents[2]
CREDENTIAL = (ROOT / "docs" / "spec" / "credential.md").read_text("utf-8")
QR = (ROOT / "docs" / "spec" / "qr.md").read_text("utf-8")
SAMPLE = json.loads((ROOT / "tests" / "vectors" / "credential" / "sample.json").read_text("utf-8"))
DIGITS = json.loads((ROOT / "tests" / "vectors" / "qr" / "sample.json").read_text("utf-8"))[0]
REFERENCE = SAMPLE["references"][0]


def blocks(text: str, heading: str) -> list[str]:
    """The code blocks of a section, comments after `;` and white space taken out."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return ["".join(line.split(";")[0] for line in block.splitlines()).replace(" ", "") for block in found]


def test_bytes_of_the_credential() -> None:
    spki, protected, payload, credential, identity = blocks(CREDENTIAL, "Example bytes")
    assert spki == REFERENCE["spki"]
    assert protected == REFERENCE["protected"]
    assert payload == REFERENCE["payload"]
    assert credential == REFERENCE["credential"]
    assert identity == REFERENCE["identity"]


def test_words_of_the_credential() -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", CREDENTIAL.split("\n## Conventions")[0], re.MULTILINE))
    words = SAMPLE["claims"]
    assert rows["holder name 姓名"] == words["name"]
    assert rows["registration number 注册编号"] == words["registration_no"]
    assert rows["employer 聘用企业"] == words["employer"]
    assert rows["purpose 用途"] == words["purpose"]
    assert rows["birth date 出生日期"] == words["birth"]
    assert rows["usage until 使用时限"] == words["usage_until"]
    assert rows["copy issued on"] == words["copy_issued_on"]
    assert rows["registered until 注册有效期"] == words["registered_until"]
    assert rows["serial"] == str(words["serial"])
    assert rows["salt"].strip("`") == words["salt"]
    specialties = [f"{item['code']}: {item['first_day']} to {item['last_day']}" for item in words["specialties"]]
    assert rows["specialties 注册专业"] == "; ".join(specialties)


def test_lengths_and_comments_of_the_breakdown() -> None:
    assert f"Payload, {len(REFERENCE['payload']) // 2} bytes" in CREDENTIAL
    assert f"The credential, {len(REFERENCE['credential']) // 2} bytes" in CREDENTIAL
    for hexed, text in re.findall(r"^ {9}([0-9a-f]+) +; (.+)$", CREDENTIAL, re.MULTILINE):
        assert bytes.fromhex(hexed).decode() == text


def test_digits() -> None:
    (digits,) = blocks(QR, "Example")
    assert digits == DIGITS["digits"]
    assert f"({len(DIGITS['hex']) // 2} bytes" in QR
    assert f"as {len(digits)} digits" in QR
    assert f"`{DIGITS['prefix']}` ({len(DIGITS['prefix'])} characters)" in QR
    bare, behind = encode_qr(digits), encode_qr(digits, DIGITS["prefix"])
    assert f"version {bare.version} at level M" in QR
    assert f"characters), version {behind.version}:" in QR
