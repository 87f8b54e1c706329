"""`log watch`, `log mirror` and `log repair`: what a holder or employer is told, by directory and by address."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from logserver import serving, static
from logworld import (
    ACT,
    CHECKPOINT,
    CREDENTIAL,
    DAY,
    IDENTITY,
    NAME,
    NOW,
    OPERATORS,
    ORIGIN_KEYS,
    STATUS,
    LogWorld,
    act,
    by_two,
    issue,
    key_event,
    rounded,
    signer,
    trust,
    write_log,
)
from witnessworld import cosigner

from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, image_digest
from mingzheng.formats.credential import UnverifiedCredential, parse_credential, sign_credential
from mingzheng.formats.qrtext import to_digits
from mingzheng.keys.alg import Alg
from mingzheng.keys.custody import save_private_key
from mingzheng.keys.kid import Kid
from mingzheng.keys.snapshot import save_store
from mingzheng.keys.trust import Role, TrustData, format_trust
from mingzheng.keys.vkey import format_vkey
from mingzheng.log.acts import ActType, SerialState
from mingzheng.log.cli import log_group
from mingzheng.log.client import DirectoryFetcher, FetchError, LogReader
from mingzheng.log.entry import (
    ActEntry,
    CloseEntry,
    KeyEventType,
    act_message,
    encode_entry,
    issue_entry,
    parse_entry,
)
from mingzheng.log.repair import LogBehindError
from mingzheng.log.watch import Course, watch


def _claims(serial: int) -> Claims:
    return Claims(
        name="张三",
        sex=Sex.MALE,
        birth=DAY - 14_000,
        kind=1,
        jurisdiction=0,
        registration_no="京1110000000001",
        specialties=(Specialty(code=1, first_day=DAY - 100, last_day=DAY + 100),),
        certificate_issued_on=DAY - 100,
        employer="某工程有限公司",
        registered_until=DAY + 100,
        copy=Copy.USAGE,
        purpose="投标",
        issuing_body=1,
        sealing_body=1,
        serial=serial,
        salt=bytes(16),
        image_digest=image_digest(None, None),
        template=1,
        copy_issued_on=DAY,
        usage_until=DAY + 90,
    )


W1 = cosigner("w1", Alg.ED25519)
DATA = sign_credential(_claims(5), CREDENTIAL)
MINE = parse_credential(DATA)
ENTRY = encode_entry(issue_entry(_claims(5), identity=MINE.identity, kid=MINE.kid, issuer=1))


def _watch(root: Path, entries: list[bytes], credential: UnverifiedCredential = MINE, *, operators: int = 0) -> Course:
    write_log(root, entries)
    course = watch(LogReader(DirectoryFetcher(root), ORIGIN_KEYS.vkey), credential, trust(operators), ORIGIN_KEYS)
    assert course is not None
    return course


def _whats(course: Course) -> list[tuple[int, str, bool]]:
    return [(item.index, item.what, item.counts) for item in course.happenings]


def test_a_life_is_told_in_log_order(tmp_path: Path) -> None:
    entries = rounded(
        [issue(4), ENTRY, issue(6)],
        [act(0, ActType.SUSPEND, [4, 5]), act(1, ActType.SUSPEND, [6])],
        [act(2, ActType.REINSTATE, [5])],
        [b"\xff", key_event(3, KeyEventType.RETIRED, CREDENTIAL.public_key.kid), act(4, ActType.REVOKE, [4])],
    )
    course = _watch(tmp_path / "log", entries)
    assert _whats(course) == [
        (1, "issue", True),
        (4, "suspend", True),
        (8, "reinstate", True),
        (11, "key_retired", True),
    ]
    assert (course.issuer, course.serial, course.issued_here, course.state) == (1, 5, True, SerialState.LIVE)
    assert [item.logged_at for item in course.happenings] == sorted(item.logged_at or 0 for item in course.happenings)
    assert course.live
    over = _watch(tmp_path / "over", [*entries, *rounded([act(5, ActType.REVOKE, [5])])])
    assert (over.state, over.live) == (SerialState.REVOKED, False)


def test_acts_that_are_forged_or_may_not_follow_do_not_count(tmp_path: Path) -> None:
    entries = rounded(
        [ENTRY],
        [act(0, ActType.REVOKE, [5], key=STATUS), act(0, ActType.REINSTATE, [5])],
        [act(1, ActType.REVOKE, [5], issuer=2)],
    )
    course = _watch(tmp_path / "log", entries)
    assert _whats(course) == [(0, "issue", True), (2, "revoke", False), (3, "reinstate", False)]
    assert course.live


def test_a_revocation_counts_only_with_the_persons_it_takes(tmp_path: Path) -> None:
    alone = parse_entry(act(0, ActType.REVOKE, [5]))
    assert isinstance(alone, ActEntry)
    two = by_two(alone)
    assert two.request is not None
    forged = replace(two, request=replace(two.request, signature=bytes(64)))
    cases = {
        "one person": alone,
        "one person twice": by_two(alone, (OPERATORS[0], OPERATORS[0])),
        "asked for long ago": by_two(alone, asked_on=DAY - 8),
        "not asked for": replace(forged, signature=OPERATORS[1].sign(act_message(forged, NAME))),
    }
    for name, entry in cases.items():
        course = _watch(tmp_path / name, rounded([ENTRY], [encode_entry(entry)]), operators=2)
        assert (_whats(course), course.live) == ([(0, "issue", True), (2, "revoke", False)], True), name
    course = _watch(tmp_path / "two persons", rounded([ENTRY], [encode_entry(two)]), operators=2)
    assert (_whats(course), course.live) == ([(0, "issue", True), (2, "revoke", True)], False)


def test_a_copy_that_was_never_logged_is_not_live(tmp_path: Path) -> None:
    """Another credential under its serial, or none."""
    other = _watch(tmp_path / "other", rounded([issue(5)]))
    assert (_whats(other), other.issued_here, other.live) == ([(0, "issue", False)], False, False)
    none = _watch(tmp_path / "none", rounded([issue(6)]))
    assert (_whats(none), none.state, none.live) == ([], SerialState.UNKNOWN, False)
    empty = _watch(tmp_path / "empty", [])
    assert (empty.last_time, empty.live) == (None, False)
    cut = _watch(tmp_path / "cut", [ENTRY])
    assert [item.logged_at for item in cut.happenings] == [None]


def test_a_second_issue_of_a_serial_is_not_live(tmp_path: Path) -> None:
    """Another credential took the serial first: this one's entry does not count, so it says nothing good."""
    course = _watch(tmp_path / "log", rounded([issue(5), ENTRY]))
    assert (_whats(course), course.issued_here, course.live) == (
        [(0, "issue", False), (1, "issue", False)],
        True,
        False,
    )


def test_a_closed_log_says_nothing_good(tmp_path: Path) -> None:
    """A revocation of later stands in its successor."""
    course = _watch(tmp_path / "log", rounded([ENTRY], [encode_entry(CloseEntry(successor=8))]))
    assert (course.closed, course.issued_here, course.state) == (True, True, SerialState.LIVE)
    assert not course.live


def _witnessed_trust() -> TrustData:
    data, key = trust(), W1.vkeys[0]
    ours = data.keys[CHECKPOINT.public_key.kid]
    record = replace(ours, kid=key.public_key.kid, role=Role.WITNESS, public_key=key.public_key, name=key.name)
    quorum = f"witness w {format_vkey(key)}\nquorum w\n"
    return replace(data, keys={**data.keys, record.kid: record}, quorum=quorum)


def test_a_head_without_the_quorum_says_nothing_good(tmp_path: Path) -> None:
    public, data = tmp_path / "log", _witnessed_trust()
    note = write_log(public, rounded([ENTRY]))

    def course() -> Course:
        found = watch(LogReader(DirectoryFetcher(public), ORIGIN_KEYS.vkey), MINE, data, ORIGIN_KEYS)
        assert found is not None
        return found

    assert (course().witnessed, course().live) == (False, False)
    text = note.decode().split("\n\n", 1)[0] + "\n"
    (public / "checkpoint").write_bytes(note + W1.cosign(text, time=NOW).encode())
    assert (course().witnessed, course().live) == (True, True)


def test_a_key_nobody_knows_tells_nothing(tmp_path: Path) -> None:
    write_log(tmp_path / "log", rounded([ENTRY]))
    stranger = replace(MINE, kid=Kid(bytes(8)))
    assert (
        watch(LogReader(DirectoryFetcher(tmp_path / "log"), ORIGIN_KEYS.vkey), stranger, trust(), ORIGIN_KEYS) is None
    )


# --- the commands


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(log_group, [str(item) for item in arguments])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "trust"
    save_store(made, format_trust(trust()))
    return made


def test_watch_reads_bytes_texts_and_addresses(store: Path, tmp_path: Path) -> None:
    public = tmp_path / "log"
    write_log(public, rounded([ENTRY], [act(0, ActType.SUSPEND, [5])]))
    (tmp_path / "copy.bin").write_bytes(DATA)
    (tmp_path / "copy.txt").write_text(to_digits(DATA) + "\n")
    for name in ("copy.bin", "copy.txt"):
        done = _run("watch", tmp_path / name, "--log", public, "--trust", store, "--json")
        assert done.exit_code == 1, done.output
        value = json.loads(done.output)
        assert (value["state"], value["live"], value["issued_here"]) == ("suspended", False, True)
        assert [item["what"] for item in value["happenings"]] == ["issue", "suspend"]
    with serving(static(public)) as server:
        done = _run("watch", tmp_path / "copy.txt", "--log", server.url, "--trust", store)
    assert "暂停中" in done.output
    assert "签发  写入" in done.output
    assert "张三" not in done.output
    english = _run("watch", tmp_path / "copy.txt", "--log", public, "--trust", store, "--lang", "en").output
    assert "suspended" in english


def test_watch_says_when_nothing_is_wrong_and_when_there_is_no_issue(store: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(DATA)
    write_log(tmp_path / "log", rounded([ENTRY]))
    assert _run("watch", tmp_path / "copy", "--log", tmp_path / "log", "--trust", store).exit_code == 0
    write_log(tmp_path / "other", rounded([issue(5)]))
    done = _run("watch", tmp_path / "copy", "--log", tmp_path / "other", "--trust", store, "--lang", "en")
    assert done.exit_code == 1
    assert "no issue of this very copy" in done.output
    assert "does not count" in done.output


def test_watch_says_why_a_head_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(DATA)
    write_log(tmp_path / "log", rounded([ENTRY], [encode_entry(CloseEntry(successor=8))]))
    save_store(tmp_path / "trust", format_trust(_witnessed_trust()))
    arguments = ["watch", tmp_path / "copy", "--log", tmp_path / "log", "--trust", tmp_path / "trust"]
    for lang, closed, few in (("zh", "日志已封存", "见证人不足"), ("en", "was closed", "Too few witnesses")):
        done = _run(*arguments, "--lang", lang)
        assert (done.exit_code, closed in done.output, few in done.output) == (1, True, True), done.output
    value = json.loads(_run(*arguments, "--json").output)
    assert (value["closed"], value["witnessed"], value["live"]) == (True, False, False)


def test_watch_wants_one_credential_of_a_known_key(store: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "log", rounded([ENTRY]))
    (tmp_path / "text").write_text("12345 and more")
    (tmp_path / "alien").write_bytes(sign_credential(_claims(5), ACT))
    (tmp_path / "stranger").write_bytes(sign_credential(_claims(5), signer("stranger")))
    for name in ("text", "stranger"):
        done = _run("watch", tmp_path / name, "--log", tmp_path / "log", "--trust", store)
        assert done.exit_code == 2, done.output
    done = _run("watch", tmp_path / "alien", "--log", tmp_path / "log", "--trust", store)
    assert done.exit_code == 1


def test_mirror_and_repair_by_command(world: LogWorld, store: Path, tmp_path: Path) -> None:
    log, mirror = world.create(), tmp_path / "mirror"
    world.submit(log, *(issue(at) for at in range(300)))
    world.close()
    with serving(static(world.public)) as server:
        done = _run("mirror", server.url, mirror, "--trust", store)
    assert (done.exit_code, "已镜像" in done.output) == (0, True), done.output
    english = _run("mirror", world.public, mirror, "--vkey", IDENTITY.vkey_text(), "--lang", "en")
    assert english.output == f"mirrored {log.head()[0]} entries, 0 new files\n"
    bad = world.public / "tile/entries/000"
    good = bad.read_bytes()
    bad.write_bytes(good[:-1] + b"x")
    (world.public / "checkpoint").unlink()
    done = _run("repair", world.directory, "--from", mirror, "--trust", store, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["repaired"] == ["tile/entries/000", "checkpoint"]
    assert bad.read_bytes() == good
    (mirror / "tile/0/000").write_bytes(b"")
    (world.public / "tile/0/000").write_bytes(b"")
    done = _run("repair", world.public, "--from", mirror, "--trust", store, "--lang", "en")
    assert (done.exit_code, "LOST tile/0/000" in done.output) == (1, True), done.output


def test_a_mirror_of_a_fork_stops_with_its_alarm(store: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "a", rounded([issue(0)]))
    write_log(tmp_path / "b", rounded([issue(1)]))
    assert _run("mirror", tmp_path / "a", tmp_path / "m", "--trust", store).exit_code == 0
    done = _run("mirror", tmp_path / "b", tmp_path / "m", "--trust", store)
    assert (done.exit_code, "audit.split_view" in done.output) == (1, True)


def test_a_cosigning_mirror_by_command(store: Path, tmp_path: Path) -> None:
    write_log(tmp_path / "log", rounded([issue(0)]))
    key, words = tmp_path / "mirror.key", tmp_path / "words"
    words.write_bytes(b"a good long passphrase\n")
    words.chmod(0o600)
    save_private_key(key, signer("mirror"), b"a good long passphrase")
    options = ("--trust", store, "--cosign-key", key, "--passphrase-file", words)
    assert _run("mirror", tmp_path / "log", tmp_path / "m", *options).exit_code == 2
    done = _run("mirror", tmp_path / "log", tmp_path / "m", *options, "--cosign-name", "mirror.example.cn/1")
    assert done.exit_code == 0, done.output
    assert b"mirror.example.cn/1" in (tmp_path / "m/checkpoint").read_bytes()
    assert signer("mirror").public_key.alg == Alg.ED25519


def test_repair_of_an_older_backup_is_refused(world: LogWorld, store: Path, tmp_path: Path) -> None:
    log = world.create()
    world.submit(log, issue(0))
    backup = world.backup("backup")
    world.submit(log, issue(1))
    assert _run("mirror", world.public, tmp_path / "m", "--trust", store).exit_code == 0
    done = _run("repair", backup, "--from", tmp_path / "m", "--trust", store)
    assert isinstance(done.exception, LogBehindError)


def test_logs_that_are_not_there(store: Path, tmp_path: Path) -> None:
    assert _run("audit", "nowhere", "--trust", store).exit_code == 2
    done = _run("audit", "http://127.0.0.1:1/log", "--trust", store)
    assert isinstance(done.exception, FetchError)
    write_log(tmp_path / "log", rounded([issue(0)]))
    assert _run("audit", tmp_path / "log", "--trust", store, "--burst", "1:1").exit_code == 2
    assert _run("audit", tmp_path / "log", "--trust", store, *["--burst", "1:1/day"] * 65).exit_code == 2
    done = _run("audit", tmp_path / "log", "--trust", store, "--burst", "1:1/day", "--from-start")
    assert done.exit_code == 0, done.output
