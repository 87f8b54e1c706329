"""`log audit` and `log evidence`: exit status, both languages, JSON."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from logworld import IDENTITY, LogWorld, issue, rounded, trust, write_log

from mingzheng.keys.snapshot import save_store
from mingzheng.keys.trust import format_trust
from mingzheng.log.cli import _count, fsck_json, fsck_text, log_group
from mingzheng.log.client import FetchError
from mingzheng.log.fsck import fsck

LOGS = Path(__file__).parent.parent / "vectors" / "log"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(log_group, [str(item) for item in arguments])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "trust"
    save_store(made, format_trust(trust()))
    return made


def test_audits_a_foreign_log_by_key_file_and_by_key_text() -> None:
    for key in (LOGS / "tessera_log15/log.vkey", (LOGS / "tessera_log15/log.vkey").read_text().strip()):
        done = _run("audit", LOGS / "tessera_log15", "--vkey", key, "--lang", "en")
        assert done.exit_code == 0, done.output
        assert "size 15" in done.output
        assert done.output.endswith("clean.\n")


def test_audits_ours_by_trust_data_in_both_languages(world: LogWorld, store: Path, tmp_path: Path) -> None:
    log = world.create()
    world.submit(log, issue(0), issue(1))
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts/a").write_bytes(log.compact_receipt(0))
    options = ("--trust", store, "--state", tmp_path / "state.json", "--receipts", tmp_path / "receipts")
    done = _run("audit", world.public, *options)
    assert done.exit_code == 0, done.output
    assert "没有异常" in done.output
    assert "签发 cn.constructor.1（种类 1）2 份" in done.output
    done = _run("audit", world.public, *options, "--json")
    value = json.loads(done.output)
    assert (value["clean"], value["size"], value["followed_from"], value["receipts_agreed"]) == (True, 4, 4, 1)
    assert "followed from size 4" in _run("audit", world.public, *options, "--lang", "en").output


def test_a_kind_without_a_profile_of_ours_stays_a_number() -> None:
    assert (_count("issue.1", 2, "en"), _count("issue.65000", 2, "en")) == (
        "issued cn.constructor.1 (kind 1): 2",
        "issued kind 65000: 2",
    )


@pytest.mark.parametrize("command", ["audit", "mirror"])
def test_a_logs_own_store_names_the_part_that_is_for_everyone(
    world: LogWorld, store: Path, tmp_path: Path, command: str
) -> None:
    world.submit(world.create(), issue(0))
    rest = [tmp_path / "mirror"] if command == "mirror" else []
    done = _run(command, world.public.parent, *rest, "--trust", store)
    assert done.exit_code == 2
    assert done.output.count(str(world.public)) == 2


def test_alarms_exit_with_one_and_evidence_is_checked_alone(store: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "a", rounded([issue(0)]))
    write_log(tmp_path / "b", rounded([issue(1)]))
    state = tmp_path / "state.json"
    assert _run("audit", tmp_path / "a", "--trust", store, "--state", state).exit_code == 0
    done = _run("audit", tmp_path / "b", "--trust", store, "--state", state)
    assert done.exit_code == 1
    assert "警报 [audit.split_view]" in done.output
    done = _run("audit", tmp_path / "b", "--trust", store, "--state", state, "--json")
    value = json.loads(done.output)
    assert (done.exit_code, value["alarms"][0]["code"]) == (1, "audit.split_view")
    (proof,) = value["evidence_files"]
    vkey = IDENTITY.vkey_text()
    done = _run("evidence", proof, "--vkey", vkey)
    assert (done.exit_code, "proved 已证明: split_view" in done.output) == (0, True)
    assert _run("evidence", proof, "--trust", store, "--origin", IDENTITY.origin_name).exit_code == 0
    other = (LOGS / "tessera_log15/log.vkey").read_text().strip()
    done = _run("evidence", proof, "--vkey", other)
    assert (done.exit_code, "not proved" in done.output) == (1, True)


def test_many_alarms_are_shown_up_to_a_hundred(store: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "log", rounded([b"\x00"] * 150))
    done = _run("audit", tmp_path / "log", "--trust", store, "--lang", "en")
    assert done.exit_code == 1
    assert done.output.count("ALARM") == 100
    assert "150 alarms." in done.output
    assert "… 50" in done.output


USAGE = [
    ("audit", LOGS),
    ("audit", LOGS, "--vkey", "x+y+z", "--trust", LOGS),
    ("audit", LOGS, "--vkey", "x+y+z"),
    ("audit", LOGS / "nowhere", "--vkey", "x+y+z"),
    ("evidence", LOGS / "tessera_log15/log.vkey"),
    ("evidence", LOGS / "tessera_log15/log.vkey", "--trust", LOGS),
]


@pytest.mark.parametrize("arguments", USAGE)
def test_wrong_usage_exits_with_two(arguments: tuple[object, ...]) -> None:
    assert _run(*arguments).exit_code == 2


def test_a_key_file_that_is_no_text_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    assert _run("audit", LOGS / "tessera_log15", "--vkey", tmp_path / "key").exit_code == 2


def test_a_log_that_the_trust_data_do_not_know_is_wrong_usage(store: Path, tmp_path: Path) -> None:
    done = _run("audit", LOGS / "tessera_log15", "--trust", store)
    assert (done.exit_code, "know no log" in done.output) == (2, True)
    (tmp_path / "empty").mkdir()
    assert _run("audit", tmp_path / "empty", "--trust", store).exit_code != 0


def test_fsck_reports_for_people_and_programs(world: LogWorld) -> None:
    log = world.create()
    world.submit(log, issue(0))
    log.close()
    good = fsck(world.directory, vkey=IDENTITY.vkey())
    assert fsck_text(good, "en") == "2 entries, 1 entry files, 1 hash files: clean."
    assert fsck_json(good)["clean"] is True
    shutil.rmtree(world.public / "tile")
    bad = fsck(world.directory, vkey=IDENTITY.vkey())
    assert "损坏 public/tile/0/000.p/2" in fsck_text(bad, "zh")
    assert fsck_json(bad)["faults"]


def test_a_directory_without_a_checkpoint_is_a_wrong_input_and_no_alarm(tmp_path: Path) -> None:
    done = _run("audit", tmp_path, "--vkey", IDENTITY.vkey_text())
    assert isinstance(done.exception, FetchError)
    assert done.output == ""
