"""Signed notes (C2SP signed-note, tlog-cosignature): real ones verify, changed ones do not."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import (
    KeysError,
    NoteKeysAmbiguousError,
    NoteMalformedError,
    NoteSignatureInvalidError,
    NoteSignerError,
    NoteTooLargeError,
    NoteUntrustedError,
)
from mingzheng.keys.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    cosign_line,
    cosignature_message,
    format_line,
    join_note,
    open_note,
    parse_note,
    sign_note,
)
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import VerifierKey, key_hash, parse_vkey, vkey_for

LOG = Path(__file__).parent.parent / "vectors" / "log"
# From the documentation of golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
TEXT = "log.example/a\n5\nAAAA\n"


def ed25519(fill: int = 1) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(Alg.ED25519, bytes([fill]) * 32)


def vkey(name: str = "log.example/a", fill: int = 1) -> VerifierKey:
    return vkey_for(name, ed25519(fill).public_key)


def signed(text: str = TEXT) -> bytes:
    return sign_note(text, [("log.example/a", ed25519())])


def line(raw: bytes) -> str:
    return raw.decode().split("\n\n")[-1]


def real() -> list[dict[str, str]]:
    names = ("real_checkpoints_sumdb.json", "real_checkpoints_rekor2.json")
    return [case for name in names for case in json.loads((LOG / name).read_text())]


def log600() -> tuple[VerifierKey, list[VerifierKey]]:
    folder = LOG / "synthetic_log600"
    witnesses = (folder / "witnesses.vkey").read_text().strip().split(",")
    return parse_vkey((folder / "log.vkey").read_text().strip()), [parse_vkey(w) for w in witnesses]


def test_opens_the_note_of_the_reference_implementation() -> None:
    note = open_note(PETERS_NOTE.encode(), [parse_vkey(PETER)])
    assert note.text.endswith("what your problem is.\n")
    assert len(note.verified) == 1


@pytest.mark.parametrize("case", real(), ids=lambda c: c["note"].split("\n")[1])
def test_opens_real_checkpoints(case: dict[str, str]) -> None:
    note = open_note(case["note"].encode(), [parse_vkey(case["vkey"])])
    assert note.text == case["note"].split("\n\n")[0] + "\n"
    assert note.verified[0].timestamp is None
    size = int(note.text.split("\n")[1])
    with pytest.raises(NoteSignatureInvalidError):
        open_note(case["note"].replace(str(size), str(size + 1)).encode(), [parse_vkey(case["vkey"])])


@pytest.mark.parametrize("size", range(16))
def test_opens_tesseras_checkpoints(size: int) -> None:
    folder = LOG / "tessera_log15"
    key = parse_vkey((folder / "log.vkey").read_text().strip())
    note = open_note((folder / f"checkpoint.{size}").read_bytes(), [key])
    assert note.text.split("\n")[:2] == ["example.com/log/testdata", str(size)]


@pytest.mark.parametrize("path", ["checkpoint", "old/checkpoint.1", "old/checkpoint.256", "old/checkpoint.599"])
def test_opens_cosigned_checkpoints(path: str) -> None:
    log, witnesses = log600()
    note = open_note((LOG / "synthetic_log600" / path).read_bytes(), [log, *witnesses])
    assert [good.vkey for good in note.verified] == [log, *witnesses]
    assert [good.timestamp for good in note.verified] == [None, 1790000000, 1790000000, 1790000000]
    assert not note.unverified


def test_cosignatures_of_unknown_witnesses_stay_unverified() -> None:
    log, witnesses = log600()
    raw = (LOG / "synthetic_log600" / "checkpoint").read_bytes()
    note = open_note(raw, [log])
    assert [(u.name, u.key_hash) for u in note.unverified] == [(w.name, w.key_hash) for w in witnesses]
    assert len(open_note(raw, [witnesses[1]]).verified) == 1


def test_a_cosignature_of_another_time_fails() -> None:
    log, witnesses = log600()
    raw = (LOG / "synthetic_log600" / "checkpoint").read_text()
    last = raw.splitlines()[-1]
    data = bytearray(base64.b64decode(last.split(" ")[2]))
    data[11] ^= 1
    changed = raw.replace(last.split(" ")[2], base64.b64encode(data).decode())
    with pytest.raises(NoteSignatureInvalidError, match=r"w3\.example/c"):
        open_note(changed.encode(), [log, *witnesses])


@pytest.mark.parametrize("text", ["a\n", "\n", "a\n\nb\n", "\n\n", "明证\n", "a\n\n\n", "— a b\n", "\x7f\u200b\n"])
def test_signs_and_opens(text: str) -> None:
    raw = signed(text)
    note = open_note(raw, [vkey()])
    assert note == Note(text=text, verified=note.verified, unverified=())
    assert parse_note(raw).text == text
    assert raw == signed(text), "deterministic"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_signed_or_refused(body: str) -> None:
    try:
        raw = signed(body + "\n")
    except NoteMalformedError:
        assert any(c < " " and c != "\n" for c in body)
        return
    assert open_note(raw, [vkey()]).text == body + "\n"


@pytest.mark.parametrize("text", ["", "a", "a\nb", "a\x00\n", "a\r\n", "a\tb\n", "\ud800\n"])
def test_does_not_sign_what_no_reader_takes(text: str) -> None:
    with pytest.raises(NoteMalformedError):
        signed(text)


def test_signs_with_several_keys_in_order() -> None:
    raw = sign_note(TEXT, [("b.example", ed25519(2)), ("a.example", ed25519(1))])
    note = open_note(raw, [vkey("a.example", 1), vkey("b.example", 2)])
    assert [good.vkey.name for good in note.verified] == ["b.example", "a.example"]


def test_a_note_needs_a_signature() -> None:
    with pytest.raises(NoteMalformedError):
        sign_note(TEXT, [])
    with pytest.raises(NoteMalformedError):
        join_note(TEXT, [])


@pytest.mark.parametrize("text", ["\ud800\n", "a\n\n— n.example AAAAAAA="])
def test_joins_only_what_reads_back(text: str) -> None:
    """The second text is a note itself but for its last newline: its end would turn into a signature."""
    with pytest.raises(NoteMalformedError):
        join_note(text, [line(signed())])


@pytest.mark.parametrize(("name", "alg"), [("a b", Alg.ED25519), ("", Alg.ED25519), ("a", Alg.ESP256)])
def test_refuses_signers_that_sign_no_notes(name: str, alg: Alg) -> None:
    made = InMemorySigner.from_private_bytes(alg, b"\x01" * 32)
    with pytest.raises(NoteSignerError):
        sign_note(TEXT, [(name, made)])
    with pytest.raises(NoteSignerError):
        cosign_line(name, made, text=TEXT, timestamp=1)


def test_refuses_every_flipped_bit() -> None:
    raw = signed()
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeysError):
            open_note(bytes(changed), [vkey()])


def test_refuses_every_cut_and_every_added_byte() -> None:
    raw = signed()
    for i in range(len(raw)):
        for changed in (raw[:i], raw[i + 1 :], raw[:i] + b"\n" + raw[i:], raw[:i] + b"A" + raw[i:]):
            with pytest.raises(KeysError):
                open_note(changed, [vkey()])


def test_a_bad_line_of_a_known_key_condemns_the_note() -> None:
    bad = format_line("b.example", vkey("b.example", 2).key_hash, bytes(64))
    raw = join_note(TEXT, [line(signed()), bad])
    assert len(open_note(raw, [vkey()]).unverified) == 1
    with pytest.raises(NoteSignatureInvalidError) as caught:
        open_note(raw, [vkey(), vkey("b.example", 2)])
    assert caught.value.name == "b.example"


def test_a_key_that_signs_twice_counts_once() -> None:
    raw = join_note(TEXT, [line(signed()), line(signed())])
    assert len(open_note(raw, [vkey()]).verified) == 1


def test_a_second_line_of_a_key_must_verify_too() -> None:
    bad = format_line("log.example/a", vkey().key_hash, bytes(64))
    for lines in ([line(signed()), bad], [bad, line(signed())]):
        with pytest.raises(NoteSignatureInvalidError):
            open_note(join_note(TEXT, lines), [vkey()])


def test_a_witness_that_signs_twice_counts_once_with_its_first_time() -> None:
    witness = vkey_for("w.example", ed25519(3).public_key, sig_type=4)
    lines = [cosign_line("w.example", ed25519(3), text=TEXT, timestamp=t) for t in (20, 10)]
    note = open_note(join_note(TEXT, lines), [witness])
    assert [good.timestamp for good in note.verified] == [20]


@pytest.mark.parametrize("timestamp", [0, 1, 1790000000, 2**63 - 1])
def test_cosigns_at_every_time(timestamp: int) -> None:
    witness = vkey_for("w.example", ed25519(3).public_key, sig_type=4)
    raw = join_note(TEXT, [cosign_line("w.example", ed25519(3), text=TEXT, timestamp=timestamp)])
    assert open_note(raw, [witness]).verified[0].timestamp == timestamp


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_refuses_times_out_of_range(timestamp: int) -> None:
    with pytest.raises(NoteSignerError):
        cosign_line("w.example", ed25519(3), text=TEXT, timestamp=timestamp)


def test_a_reader_refuses_a_time_out_of_range() -> None:
    witness = vkey_for("w.example", ed25519(3).public_key, sig_type=4)
    signature = ed25519(3).sign(cosignature_message(TEXT, 2**63))
    raw = join_note(TEXT, [format_line("w.example", witness.key_hash, (2**63).to_bytes(8) + signature)])
    with pytest.raises(NoteSignatureInvalidError):
        open_note(raw, [witness])


def test_message_of_a_cosignature() -> None:
    assert cosignature_message("a\n", 1679315147) == b"cosignature/v1\ntime 1679315147\na\n"


def test_a_log_signature_is_no_cosignature_and_the_reverse() -> None:
    witness = vkey_for("log.example/a", ed25519().public_key, sig_type=4)
    swapped = format_line("log.example/a", witness.key_hash, ed25519().sign(TEXT.encode()))
    with pytest.raises(NoteSignatureInvalidError):
        open_note(join_note(TEXT, [swapped]), [witness])
    with pytest.raises(NoteUntrustedError):
        open_note(signed(), [witness])


def test_unknown_keys_are_ignored_even_with_a_known_name_or_hash() -> None:
    others = [
        format_line("log.example/a", b"\0\0\0\0", bytes(64)),
        format_line("other.example", vkey().key_hash, bytes(64)),
        format_line("mldsa.example", b"\x06\x06\x06\x06", bytes(2428)),
        format_line("tiny.example", b"\x01\x02\x03\x04", b"x"),
    ]
    note = open_note(join_note(TEXT, [*others, line(signed())]), [vkey()])
    assert len(note.verified) == 1
    assert [u.name for u in note.unverified] == [o.split(" ")[1] for o in others]


def test_a_known_key_of_an_unknown_type_verifies_nothing() -> None:
    name, key = "q.example", b"a key of another kind"
    odd = VerifierKey(name=name, key_hash=key_hash(name, 7, key), sig_type=7, key=key)
    raw = join_note(TEXT, [format_line(name, odd.key_hash, bytes(64))])
    with pytest.raises(NoteUntrustedError):
        open_note(raw, [odd])


def test_nobody_known_signed() -> None:
    for keys in ([], [vkey("other.example")], [vkey(fill=2)]):
        with pytest.raises(NoteUntrustedError):
            open_note(signed(), keys)


def test_the_same_known_key_given_twice_is_one() -> None:
    assert len(open_note(signed(), [vkey(), vkey()]).verified) == 1


def test_two_known_keys_of_one_name_and_hash_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mingzheng.keys.vkey.key_hash", lambda name, sig_type, key: b"same")
    with pytest.raises(NoteKeysAmbiguousError):
        open_note(signed(), [vkey(fill=1), vkey(fill=2)])


HOSTILE = {
    "empty": b"",
    "newline": b"\n",
    "two newlines": b"\n\n",
    "no signatures": b"text\n\n",
    "no blank line": b"text\n\xe2\x80\x94 a AAAAAAA=\n",
    "no final newline": signed()[:-1],
    "text without newline": b"text\xe2\x80\x94 a AAAAAAA=\n",
    "hyphen for dash": signed().replace(b"\xe2\x80\x94", b"-"),
    "en dash": signed().replace(b"\xe2\x80\x94", b"\xe2\x80\x93"),
    "no space after dash": signed().replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94"),
    "two spaces": signed().replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94  "),
    "carriage returns": signed().replace(b"\n", b"\r\n"),
    "tab": signed().replace(b"/a ", b"/a\t"),
    "nul in text": signed().replace(b"5", b"\0"),
    "not utf-8": signed().replace(b"5", b"\xff"),
    "surrogate": signed().replace(b"5", b"\xed\xa0\x80"),
    "name with plus": signed().replace(b"\x94 log.example/a", b"\x94 log+example"),
    "name with space": signed().replace(b"\x94 log.example/a", b"\x94 log\xe3\x80\x80example"),
    "no signature part": b"a\n\n\xe2\x80\x94 name\n",
    "empty signature": b"a\n\n\xe2\x80\x94 name \n",
    "only a hash": b"a\n\n\xe2\x80\x94 name AAAAAA==\n",
    "not base64": b"a\n\n\xe2\x80\x94 name !!!!!!!!\n",
    "url-safe base64": b"a\n\n\xe2\x80\x94 name AAAA__-_\n",
    "base64 not canonical": b"a\n\n\xe2\x80\x94 name AAAAAAB=\n",
    "base64 unpadded": b"a\n\n\xe2\x80\x94 name AAAAAAA\n",
    "text after signature": b"a\n\n\xe2\x80\x94 name AAAAAAA= x\n",
    "line between": signed() + b"text\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses_hostile_notes(case: str) -> None:
    with pytest.raises(NoteMalformedError):
        open_note(HOSTILE[case], [vkey()])


def test_a_byte_order_mark_is_text_that_nobody_signed() -> None:
    with pytest.raises(NoteSignatureInvalidError):
        open_note(b"\xef\xbb\xbf" + signed(), [vkey()])


def test_sixteen_signatures_and_more_up_to_the_cap() -> None:
    for count in (16, MAX_SIGNATURES):
        lines = [format_line(f"k{i}.example", b"\0\0\0\0", b"x") for i in range(count - 1)]
        assert len(open_note(join_note(TEXT, [*lines, line(signed())]), [vkey()]).unverified) == count - 1
    lines = [format_line(f"k{i}.example", b"\0\0\0\0", b"x") for i in range(MAX_SIGNATURES + 1)]
    with pytest.raises(NoteTooLargeError):
        join_note(TEXT, lines)


def test_size_cap() -> None:
    assert (MAX_NOTE_BYTES, MAX_SIGNATURES) == (2**20, 100)
    room = MAX_NOTE_BYTES - len(signed("\n"))
    raw = signed("a" * room + "\n")
    assert len(raw) == MAX_NOTE_BYTES
    open_note(raw, [vkey()])
    with pytest.raises(NoteTooLargeError):
        signed("a" * (room + 1) + "\n")
    with pytest.raises(NoteTooLargeError):
        parse_note(raw + b"\n")


@given(st.binary(max_size=200))
def test_parser_raises_only_its_own_errors(data: bytes) -> None:
    with pytest.raises(KeysError):
        open_note(data, [vkey()])
