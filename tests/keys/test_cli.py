"""`mingzheng trust show`: what it prints, in two languages and as JSON."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mingzheng.keys.cli import show_command, trust_group
from mingzheng.keys.errors import StoreMissingError
from mingzheng.keys.snapshot import load_store, save_store
from mingzheng.keys.trust import Role, TrustData, format_trust
from mingzheng.keys.trustview import describe, render

NOW = 1_790_000_000 + 90_061


@pytest.fixture
def store(tmp_path: Path, world: TrustData) -> Path:
    save_store(tmp_path / "信任", format_trust(world))
    return tmp_path / "信任"


def text(data: TrustData, lang: str, *, now: int = NOW, this_update: int | None = None, signed: bool = False) -> str:
    reader = None if this_update is None else lambda blob: this_update
    shown = describe(data, fingerprint="f" * 64, signed_by_tuf=signed, now=now, status_time=reader)
    return render(data, shown, lang)  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_shows_everything(store: Path, world: TrustData, lang: str) -> None:
    result = CliRunner().invoke(trust_group, ["show", str(store), "--lang", lang])
    assert result.exit_code == 0, result.output
    assert load_store(store).fingerprint in result.output
    for record in world.keys.values():
        assert record.kid.hex() in result.output
        assert record.role.value in result.output
    for word in ("某省住房和城乡建设厅", "𠮷市", "https://a.example/v#", "log.example/b", "w.example", "注册管理中心"):
        assert word in result.output


def test_speaks_one_language_at_a_time(world: TrustData) -> None:
    assert "未经签名" in text(world, "zh")
    assert "25 小时前" in text(world, "zh")
    assert "Unsigned" in text(world, "en")
    assert "25 h ago" in text(world, "en")
    assert "TUF" in text(world, "en", signed=True)


def test_json_is_one_line_and_complete(store: Path, world: TrustData) -> None:
    result = CliRunner().invoke(trust_group, ["show", str(store), "--json"])
    assert result.exit_code == 0
    assert result.output.count("\n") == 1
    shown = json.loads(result.output)
    assert shown["generation"] == 3
    assert shown["signed_by_tuf"] is False
    assert {key["kid"] for key in shown["keys"]} == {kid.hex() for kid in world.keys}
    assert [issuer["has_status"] for issuer in shown["issuers"]] == [True, False]
    assert shown["issuers"][0]["status_age_seconds"] is None
    assert {f["name"]: f["sha256"] for f in shown["files"]} == {
        name: hashlib.sha256(blob).hexdigest() for name, blob in world.blobs.items()
    }
    compromised = [key["compromised"] for key in shown["keys"] if key["compromised"] is not None]
    assert sorted(compromised, key=len) == [[], [{"origin": 1, "good_size": 5}]]


def test_age_of_status_lists_when_a_reader_is_given(store: Path, world: TrustData) -> None:
    result = CliRunner().invoke(show_command(lambda blob: 1_700_000_000), [str(store), "--json"])
    shown = json.loads(result.output)
    assert shown["issuers"][0]["status_this_update"] == 1_700_000_000
    assert shown["issuers"][0]["status_age_seconds"] > 0
    assert shown["issuers"][1]["status_this_update"] is None
    assert "2023-11-15 06:13:20 +08:00" in text(world, "en", this_update=1_700_000_000)
    assert "status list: unknown" in text(world, "en")
    assert "revocation cannot be decided" in text(world, "en")


def test_a_clock_behind_the_data_is_said(world: TrustData) -> None:
    assert "ahead of this clock" in text(world, "en", now=world.made_at - 1)
    assert "晚于本机时钟" in text(world, "zh", now=world.made_at - 1)


def test_witness_policy(world: TrustData) -> None:
    assert "witness policy: 2" in text(world, "en")
    assert "No witness policy" in text(dataclasses.replace(world, quorum=None), "en")


def test_compromise_and_retirement_stand_out(world: TrustData) -> None:
    shown = text(world, "en")
    assert "COMPROMISED, good entries per log 1:5" in shown
    assert "COMPROMISED, good entries per log none" in shown
    assert "retired on 2026-02-16" in shown


def test_numbers_close_up(world: TrustData) -> None:
    shown = text(world, "en")
    assert "jurisdictions 0, 11-12" in shown
    assert "kinds none" in shown
    assert sum(record.role is Role.REPORT for record in world.keys.values()) == 1


def test_no_store_is_a_typed_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(trust_group, ["show", str(tmp_path)])
    assert isinstance(result.exception, StoreMissingError)
    assert CliRunner().invoke(trust_group, ["show", str(tmp_path / "nowhere")]).exit_code == 2


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(trust_group, ["show", "--help"])
    assert "mingzheng trust show trust" in result.output
