"""Quorum policies (C2SP tlog-policy): the specification's example, every subset of witnesses, every hostile line."""

import base64
import contextlib
import hashlib
from collections.abc import Collection, Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import KeysError, NoteSignatureInvalidError, NoteUntrustedError
from mingzheng.keys.note import cosign_line, format_line, parse_note
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import VerifierKey, cosigner_vkey, format_vkey, vkey_for
from mingzheng.log.checkpoint import Checkpoint, sign_checkpoint
from mingzheng.log.errors import CheckpointOriginError
from mingzheng.log.hashing import Hash
from mingzheng.log.policy import (
    MAX_GROUPS,
    MAX_LOGS,
    MAX_POLICY_BYTES,
    MAX_WITNESSES,
    PolicyError,
    PolicyKeyError,
    PolicyNameError,
    PolicyTooLargeError,
    QuorumPolicy,
    count_cosignatures,
    format_policy,
    parse_policy,
)

ORIGIN = "log.example/policy"


def signer(name: str, alg: Alg = Alg.ED25519) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(alg, hashlib.sha256(f"policy {name}".encode()).digest())


LOG = signer("log")
LOG_VKEY = vkey_for(ORIGIN, LOG.public_key)
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
SIGNERS = {name: signer(name, Alg.ML_DSA_44 if name == "X3" else Alg.ED25519) for name in NAMES}
VKEYS = {name: cosigner_vkey(f"witness.example/{name}", key.public_key) for name, key in SIGNERS.items()}
W = {name: f"witness {name} {format_vkey(vkey)}\n" for name, vkey in VKEYS.items()}
ALL = "".join(W.values())
EXAMPLE = f"""# the example of the specification
log {format_vkey(LOG_VKEY)}

witness X1 {format_vkey(VKEYS["X1"])}
witness X2 {format_vkey(VKEYS["X2"])} https://w.example/x2
\twitness  X3\t{format_vkey(VKEYS["X3"])}
group X-witnesses 2 X1 X2 X3

witness Y1 {format_vkey(VKEYS["Y1"])}
witness Y2 {format_vkey(VKEYS["Y2"])}
witness Y3 {format_vkey(VKEYS["Y3"])}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def subsets(names: Collection[str] = NAMES) -> Iterator[frozenset[str]]:
    for count in range(len(names) + 1):
        yield from map(frozenset, combinations(sorted(names), count))


def satisfied(policy: QuorumPolicy, names: Collection[str]) -> bool:
    return policy.satisfied_by({VKEYS[name] for name in names})


def test_reads_the_example_of_the_specification() -> None:
    policy = parse_policy(EXAMPLE.encode())
    assert [log.name for log in policy.logs] == [ORIGIN]
    assert {name: witness.vkey for name, witness in policy.witnesses.items()} == VKEYS
    assert {name for name, witness in policy.witnesses.items() if witness.url} == {"X2"}
    assert [(g.name, g.threshold, g.members) for g in policy.groups] == [
        ("X-witnesses", 2, ("X1", "X2", "X3")),
        ("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        ("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    ]
    assert parse_policy(format_policy(policy)) == policy


def test_example_by_every_subset() -> None:
    """64 subsets: at least two of X and at least one of Y."""
    policy = parse_policy(EXAMPLE.encode())
    for names in subsets():
        x, y = sum(name[0] == "X" for name in names), sum(name[0] == "Y" for name in names)
        assert satisfied(policy, names) == (x >= 2 and y >= 1), names


@pytest.mark.parametrize("members", range(1, 7))
def test_k_of_n_by_every_subset(members: int) -> None:
    """Every threshold of every group of up to six, by every subset of six witnesses."""
    inside = NAMES[:members]
    for threshold in range(1, members + 1):
        words = [str(threshold)]
        words += ["any"] if threshold == 1 else []
        words += ["all"] if threshold == members else []
        for word in words:
            policy = parse_policy(f"{ALL}group g {word} {' '.join(inside)}\nquorum g\n".encode())
            for names in subsets():
                assert satisfied(policy, names) == (len(names & set(inside)) >= threshold)


def test_groups_of_groups_by_every_subset() -> None:
    """Every pair of thresholds of two groups of three under every threshold above them."""
    for a in range(1, 4):
        for b in range(1, 4):
            for top in (1, 2):
                text = f"{ALL}group a {a} X1 X2 X3\ngroup b {b} Y1 Y2 Y3\ngroup t {top} a b\nquorum t\n"
                policy = parse_policy(text.encode())
                for names in subsets():
                    met = (sum(n[0] == "X" for n in names) >= a) + (sum(n[0] == "Y" for n in names) >= b)
                    assert satisfied(policy, names) == (met >= top)


def test_single_witness_and_none() -> None:
    one = parse_policy((ALL + "quorum Y2\n").encode())
    none = parse_policy(b"quorum none\n")
    assert none.demands_witnesses is False
    assert one.demands_witnesses
    for names in subsets():
        assert satisfied(one, names) == ("Y2" in names)
        assert satisfied(none, names)


def test_a_witness_more_never_hurts() -> None:
    policy = parse_policy(EXAMPLE.encode())
    for names in subsets():
        if satisfied(policy, names):
            assert all(satisfied(policy, names | {name}) for name in NAMES)


def test_keys_of_nobody_count_nothing() -> None:
    policy = parse_policy(EXAMPLE.encode())
    others = {cosigner_vkey("witness.example/X1", signer(f"other {i}").public_key) for i in range(9)}
    assert not policy.satisfied_by(others)
    renamed = {cosigner_vkey("other", key.public_key) for key in SIGNERS.values()}
    assert not policy.satisfied_by(renamed)


BAD: dict[str, tuple[str, type[PolicyError]]] = {
    "empty": ("", PolicyError),
    "no newline at the end": ("quorum none", PolicyError),
    "no quorum": (ALL, PolicyError),
    "comment only": ("# quorum none\n", PolicyError),
    "two quorums": ("quorum none\nquorum none\n", PolicyError),
    "unknown line": ("quorum none\nlogs x\n", PolicyError),
    "keyword in capitals": ("Quorum none\n", PolicyError),
    "carriage return": ("quorum none\r\n", PolicyError),
    "nul": ("quorum none\n\0\n", PolicyError),
    "delete": ("# \x7f\nquorum none\n", PolicyError),
    "vertical tab": ("quorum\vnone\n", PolicyError),
    "quorum without a name": ("quorum\n", PolicyError),
    "quorum of two names": (ALL + "quorum X1 X2\n", PolicyError),
    "quorum of an undefined name": ("quorum X1\n", PolicyNameError),
    "quorum before its witness": ("quorum X1\n" + W["X1"], PolicyNameError),
    "witness without a key": ("witness X1\nquorum none\n", PolicyError),
    "witness of four parts": (W["X1"].strip() + " u v\nquorum none\n", PolicyError),
    "witness twice": (W["X1"] * 2 + "quorum none\n", PolicyNameError),
    "witness called none": (W["X1"].replace(" X1 ", " none ") + "quorum none\n", PolicyNameError),
    "one key under two names": (W["X1"] + W["X1"].replace(" X1 ", " X9 ") + "quorum none\n", PolicyKeyError),
    "one key under two key names": (
        W["X1"] + f"witness X9 {format_vkey(cosigner_vkey('else', SIGNERS['X1'].public_key))}\nquorum none\n",
        PolicyKeyError,
    ),
    "a log's key as a witness": (
        f"log {format_vkey(vkey_for('l', SIGNERS['X1'].public_key))}\n{W['X1']}quorum none\n",
        PolicyKeyError,
    ),
    "log twice": (f"log {format_vkey(LOG_VKEY)}\n" * 2 + "quorum none\n", PolicyKeyError),
    "log key as witness type": (f"witness X1 {format_vkey(LOG_VKEY)}\nquorum none\n", PolicyKeyError),
    "witness key as log": (f"log {format_vkey(VKEYS['X1'])}\nquorum none\n", PolicyKeyError),
    "key cut short": (W["X1"][:-3] + "\nquorum none\n", PolicyKeyError),
    "group without members": (ALL + "group g any\nquorum none\n", PolicyError),
    "group of an undefined name": (W["X1"] + "group g any X1 X2\nquorum none\n", PolicyNameError),
    "group of itself": (W["X1"] + "group g any X1 g\nquorum none\n", PolicyNameError),
    "group before its member": ("group g any X1\n" + W["X1"] + "quorum g\n", PolicyNameError),
    "member twice in a group": (ALL + "group g any X1 X1\nquorum g\n", PolicyNameError),
    "member of two groups": (ALL + "group g any X1\ngroup h any X1 X2\nquorum h\n", PolicyNameError),
    "none as a member": (ALL + "group g any X1 none\nquorum g\n", PolicyNameError),
    "group called none": (ALL + "group none any X1\nquorum none\n", PolicyNameError),
    "group named as a witness": (ALL + "group X2 any X1\nquorum X2\n", PolicyNameError),
    **{
        f"threshold {word!r}": (ALL + f"group g {word} X1 X2\nquorum g\n", PolicyError)
        for word in ("0", "3", "-1", "+1", "01", "1.0", "٢", "two", "ALL", "2_0", "9" * 30)
    },
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    text, error = BAD[case]
    with pytest.raises(error) as caught:
        parse_policy(text.encode())
    assert type(caught.value) is error


def test_errors_name_the_line() -> None:
    with pytest.raises(PolicyNameError) as caught:
        parse_policy(b"# one\n\n  quorum X1\n")
    assert caught.value.offset == 3
    with pytest.raises(PolicyError) as other:
        parse_policy(b"# one\n\n\r\n")
    assert other.value.offset == 3


def test_names_are_opaque_bytes() -> None:
    """The letter K and the Kelvin sign are two names; bytes that are no UTF-8 are a name like another."""
    for name in (b"K", "\u212a".encode(), b"\xff\xfe", "甲".encode(), b"1", b"any", b"#x"):
        line = W["X1"].encode().replace(b" X1 ", b" " + name + b" ")
        policy = parse_policy(line + b"quorum " + name + b"\n")
        assert satisfied(policy, {"X1"})
        assert format_policy(policy).endswith(b"quorum " + name + b"\n")
    with pytest.raises(PolicyNameError):
        parse_policy(W["X1"].encode().replace(b" X1 ", b" K ") + "quorum \u212a\n".encode())


def many(count: int, line: str) -> str:
    kind = 4 if "witness" in line else 1
    keys = (vkey_for(f"k{i}", signer(f"many {i}").public_key, sig_type=kind) for i in range(count))
    return "".join(line.format(i=i, vkey=format_vkey(key)) for i, key in enumerate(keys))


def test_caps() -> None:
    """At the cap and one above it."""
    for cap, line in ((MAX_LOGS, "log {vkey}\n"), (MAX_WITNESSES, "witness w{i} {vkey}\n")):
        parse_policy((many(cap, line) + "quorum none\n").encode())
        with pytest.raises(PolicyTooLargeError):
            parse_policy((many(cap + 1, line) + "quorum none\n").encode())
    chain = W["X1"] + "group g0 all X1\n"
    chain += "".join(f"group g{i} all g{i - 1}\n" for i in range(1, MAX_GROUPS))
    policy = parse_policy((chain + f"quorum g{MAX_GROUPS - 1}\n").encode())
    assert satisfied(policy, {"X1"})
    assert not satisfied(policy, set())
    with pytest.raises(PolicyTooLargeError):
        parse_policy((chain + f"group more all g{MAX_GROUPS - 1}\nquorum more\n").encode())
    pad = "quorum none\n"
    parse_policy((pad + "#" * (MAX_POLICY_BYTES - len(pad) - 1) + "\n").encode())
    with pytest.raises(PolicyTooLargeError):
        parse_policy((pad + "#" * (MAX_POLICY_BYTES - len(pad)) + "\n").encode())


def test_a_policy_with_no_spelling_is_not_written() -> None:
    policy = parse_policy((ALL + "quorum X1\n").encode())
    with pytest.raises(PolicyError):
        format_policy(QuorumPolicy(logs=(), witnesses=policy.witnesses, groups=(), quorum="X1 X2"))
    with pytest.raises(PolicyError):
        format_policy(QuorumPolicy(logs=(), witnesses={"a b": policy.witnesses["X1"]}, groups=(), quorum="none"))
    with pytest.raises(PolicyError, match="read back"):
        format_policy(QuorumPolicy(logs=(), witnesses={"X2": policy.witnesses["X1"]}, groups=(), quorum="none"))


@given(st.lists(st.sampled_from([*EXAMPLE.splitlines(keepends=True), "quorum none\n", "group g 1 X1\n"]), max_size=14))
def test_any_lines_give_a_policy_or_a_policy_error(lines: list[str]) -> None:
    try:
        policy = parse_policy("".join(lines).encode())
    except PolicyError:
        return
    assert parse_policy(format_policy(policy)) == policy


@given(st.binary(max_size=200))
def test_any_bytes_give_a_policy_error(data: bytes) -> None:
    with contextlib.suppress(PolicyError):
        parse_policy(data + b"\n")


# --- counting on real notes

HEAD = Checkpoint(origin=ORIGIN, size=7, root=Hash(hashlib.sha256(b"root").digest()))
NOTE = sign_checkpoint(HEAD, signer=LOG)
TEXT = parse_note(NOTE).text
LINES = {
    name: cosign_line(f"witness.example/{name}", key, text=TEXT, timestamp=1_000 + i)
    for i, (name, key) in enumerate(SIGNERS.items())
}


def note(*names: str) -> bytes:
    return NOTE + "".join(LINES[name] for name in names).encode()


def count(raw: bytes, policy: str = EXAMPLE, log: VerifierKey = LOG_VKEY) -> tuple[tuple[str, ...], bool]:
    found = count_cosignatures(raw, parse_policy(policy.encode()), origin=ORIGIN, log_vkeys=[log])
    assert found.checkpoint == HEAD
    assert all(found.times[name] == 1_000 + NAMES.index(name) for name in found.names)
    return found.names, found.satisfied


def test_counts_every_subset_on_a_real_note() -> None:
    policy = parse_policy(EXAMPLE.encode())
    for names in subsets():
        assert count(note(*sorted(names))) == (tuple(sorted(names)), satisfied(policy, names))


def test_order_and_repetition_of_lines_change_nothing() -> None:
    assert count(note("Y1", "X2", "X1")) == (("X1", "X2", "Y1"), True)
    assert count(note("X1", "X1", "X1", "Y1")) == (("X1", "Y1"), False)


def test_lines_of_unknown_keys_count_nothing() -> None:
    stranger = cosign_line("witness.example/X1", signer("stranger"), text=TEXT, timestamp=1)
    raw = note("X2", "Y1") + stranger.encode()
    assert count(raw) == (("X2", "Y1"), False)


def test_a_line_for_a_smaller_head_spoils_the_note() -> None:
    smaller = TEXT.replace("\n7\n", "\n6\n")
    line = cosign_line("witness.example/X1", SIGNERS["X1"], text=smaller, timestamp=1)
    with pytest.raises(NoteSignatureInvalidError):
        count(note("X2", "Y1") + line.encode())


@pytest.mark.parametrize("name", ["X1", "X3"])
def test_a_bad_line_of_a_known_witness_spoils_the_note(name: str) -> None:
    blob = bytearray(base64.b64decode(LINES[name].split(" ")[2]))
    blob[-1] ^= 1
    with pytest.raises(NoteSignatureInvalidError):
        count(note("X2", "Y1") + format_line(VKEYS[name].name, bytes(blob[:4]), bytes(blob[4:])).encode())


@pytest.mark.parametrize("name", ["X1", "X3"])
def test_time_zero_is_verified_and_not_counted(name: str) -> None:
    line = cosign_line(VKEYS[name].name, SIGNERS[name], text=TEXT, timestamp=0)
    assert count(note("X2", "Y1") + line.encode()) == (("X2", "Y1"), False)


def test_witnesses_alone_make_no_head() -> None:
    """All six witnesses over a head that the log never signed, or another key of its name did."""
    bare = TEXT.encode() + b"\n" + "".join(LINES.values()).encode()
    with pytest.raises(NoteUntrustedError):
        count(bare)
    forged = sign_checkpoint(HEAD, signer=signer("thief")) + "".join(LINES.values()).encode()
    with pytest.raises(NoteUntrustedError):
        count(forged)


def test_a_log_that_the_policy_does_not_list_is_not_satisfied() -> None:
    other = signer("another log")
    raw = sign_checkpoint(HEAD, signer=other) + "".join(LINES.values()).encode()
    vkey = vkey_for(ORIGIN, other.public_key)
    assert count(raw, log=vkey) == (tuple(sorted(NAMES)), False)
    with pytest.raises(NoteUntrustedError):  # another of the log's keys is listed, and did not sign
        count_cosignatures(raw, parse_policy(EXAMPLE.encode()), origin=ORIGIN, log_vkeys=[LOG_VKEY, vkey])
    without_logs = "\n".join(line for line in EXAMPLE.split("\n") if not line.startswith("log "))
    assert count(raw, without_logs, log=vkey) == (tuple(sorted(NAMES)), True)


def test_another_origin_and_extension_lines_are_refused() -> None:
    policy = parse_policy(EXAMPLE.encode())
    with pytest.raises(CheckpointOriginError):
        count_cosignatures(note("X1"), policy, origin="else", log_vkeys=[LOG_VKEY])
    with pytest.raises(KeysError):
        count(note("X1").replace(b"\n7\n", b"\n8\n"))
