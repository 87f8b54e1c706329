"""TUF metadata: one accepted form, the same signed bytes as securesystemslib, read and written alike by python-tuf."""

import datetime
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api import metadata as tuf
from tuf.api.serialization.json import JSONSerializer
from tufworld import ALICE, BOB, CAROL, DAVE, NOW, ONLINE, RELEASE, World, make_root, resigned, signed, trust_files

from mingzheng.keys.errors import KeySharedError, TrustError
from mingzheng.keys.trust import MAX_FILES
from mingzheng.keys.tufchain import Evidence, add_root, add_snapshot, add_targets, add_timestamp, start_chain
from mingzheng.keys.tuferrors import TufMalformedError, TufWrongRoleError
from mingzheng.keys.tufmeta import (
    MAX_BYTES,
    RoleName,
    canonical,
    format_expires,
    key_id,
    key_json,
    parse_any,
    parse_public_key_file,
    parse_root,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
    with_signatures,
    write_public_key,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)
WORLD = World()
FILES = {
    RoleName.ROOT: (WORLD.first, parse_root, [ALICE, BOB]),
    RoleName.TIMESTAMP: (WORLD.files["metadata/timestamp.json"], parse_timestamp, [ONLINE]),
    RoleName.SNAPSHOT: (WORLD.snapshot, parse_snapshot, [ONLINE]),
    RoleName.TARGETS: (WORLD.targets, parse_targets, [RELEASE]),
}


@given(JSON)
def test_canonical_json_is_securesystemslibs(value: object) -> None:
    assert canonical(value).decode() == encode_canonical(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", RoleName)
def test_what_is_written_is_read_again(role: RoleName) -> None:
    data, parse, signers = FILES[role]
    read = parse(data)
    assert signed(read.body, signers) == data
    assert parse_any(data) == read
    assert with_signatures(read, {}) == data


@pytest.mark.parametrize("role", RoleName)
def test_python_tuf_reads_ours_and_agrees_on_the_signatures(role: RoleName) -> None:
    data = FILES[role][0]
    theirs: tuf.Metadata[tuf.Signed] = tuf.Metadata.from_bytes(data)
    assert theirs.signed_bytes == FILES[role][1](data).payload
    root = tuf.Metadata[tuf.Root].from_bytes(WORLD.first).signed
    root.verify_delegate(role.value, theirs.signed_bytes, theirs.signatures)


def test_key_ids_are_those_of_securesystemslib() -> None:
    for signer in (ALICE, ONLINE):
        theirs = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(signer.public_key.raw()))
        assert theirs.keyid == key_id(signer.public_key)
        assert theirs.to_dict() == json.loads(write_public_key(signer.public_key))


def test_a_publication_made_by_python_tuf_is_read() -> None:
    """Roots, rotation and all, by another program's hands; only root.json in the snapshot is ours to ask for."""
    when = datetime.datetime.fromtimestamp(NOW + 86_400, datetime.UTC)
    signers = {role: CryptoSigner.generate_ed25519() for role in ("root", "targets", "online")}
    keys = {role: signer.public_key for role, signer in signers.items()}
    root = tuf.Root(version=1, expires=when, consistent_snapshot=True)
    for role in ("root", "targets"):
        root.add_key(keys[role], role)
    for role in ("snapshot", "timestamp"):
        root.add_key(keys["online"], role)

    def packed(body: tuf.Signed, *roles: str) -> bytes:
        whole = tuf.Metadata(body)
        for role in roles:
            whole.sign(signers[role], append=True)
        return whole.to_bytes(JSONSerializer())

    first = packed(root, "root")
    root.version = 2
    second = packed(root, "root")
    trust = trust_files(generation=1)["trust.json"]
    file = tuf.TargetFile.from_data("trust.json", trust, ["sha256"])
    targets = tuf.Targets(1, expires=when, targets={"trust.json": file})
    targets_data = packed(targets, "targets")
    meta = {
        "root.json": tuf.MetaFile.from_data(2, second, ["sha256"]),
        "targets.json": tuf.MetaFile.from_data(1, targets_data, ["sha256"]),
    }
    snapshot = packed(tuf.Snapshot(1, expires=when, meta=meta), "online")
    listed = tuf.MetaFile.from_data(1, snapshot, ["sha256"])
    timestamp = packed(tuf.Timestamp(1, expires=when, snapshot_meta=listed), "online")
    chain = add_root(start_chain([first]), second)
    nothing = Evidence(roots=(first,))
    chain = add_timestamp(chain, timestamp, seen=nothing, now=NOW)
    chain = add_snapshot(chain, snapshot, seen=nothing, now=NOW)
    assert list(add_targets(chain, targets_data, now=NOW).files().files) == ["trust.json"]


def test_a_public_key_comes_back_from_its_file() -> None:
    assert parse_public_key_file(write_public_key(ALICE.public_key)) == ALICE.public_key
    for data in (b"", b"{}", b"[]", write_public_key(ALICE.public_key) + b"x", b" " * 5000):
        with pytest.raises(TufMalformedError):
            parse_public_key_file(data)


def edited(role: RoleName, edit: Callable[[dict[str, object]], object]) -> bytes:
    document = json.loads(FILES[role][0])
    edit(document)
    return json.dumps(document).encode()


def at(path: str, value: object) -> Callable[[dict[str, object]], object]:
    """Sets what stands at a path of names, or takes it out."""

    def edit(document: dict[str, object]) -> None:
        *above, last = path.split(" ")
        place: object = document
        for part in above:
            place = place[int(part)] if isinstance(place, list) else place[part]  # type: ignore[index]
        assert isinstance(place, dict)
        if value is None:
            del place[last]
        else:
            place[last] = value

    return edit


R, T, S, G = RoleName.ROOT, RoleName.TIMESTAMP, RoleName.SNAPSHOT, RoleName.TARGETS
HEX = "0" * 64
BAD = [
    (R, at("signed expires", "2027-01-01")),
    (R, at("signed expires", "2027-02-30T00:00:00Z")),
    (R, at("signed expires", "2027-01-01T00:00:00+00:00")),
    (R, at("signed expires", 5)),
    (R, at("signed version", True)),
    (R, at("signed version", 2**53)),
    (R, at("signed version", "1")),
    (R, at("signed spec_version", 1)),
    (R, at("signed spec_version", None)),
    (R, at("signed _type", None)),
    (R, at("signed _type", "mirror")),
    (R, at("signed consistent_snapshot", 1)),
    (R, at("signed keys", [])),
    (R, at("signed keys", {})),
    (R, at("signed roles mirrors", {"keyids": [HEX], "threshold": 1})),
    (R, at("signed roles root keyids", [])),
    (R, at("signed roles root keyids", [HEX, HEX])),
    (R, at("signed roles root keyids", ["x"])),
    (R, at("signed roles root threshold", 4)),
    (R, at("signed roles snapshot", None)),
    (R, at("signatures", {})),
    (R, at("signatures", [{"keyid": HEX}])),
    (R, at("signatures", [{"keyid": HEX, "sig": ""}])),
    (R, at("signatures", [{"keyid": HEX, "sig": "AA" * 64}])),
    (R, at("signatures", [{"keyid": HEX, "sig": "00" * 64}] * 2)),
    (R, at("note", "x")),
    (T, at("signed meta", {})),
    (T, at("signed meta targets.json", {"version": 1})),
    (T, at("signed meta snapshot.json", {"version": 1})),
    (T, at("signed meta snapshot.json length", MAX_BYTES[S] + 1)),
    (T, at("signed meta snapshot.json length", -1)),
    (T, at("signed meta snapshot.json version", 0)),
    (T, at("signed meta snapshot.json hashes", {"sha512": HEX})),
    (T, at("signed meta snapshot.json hashes", {"sha256": HEX, "sha512": HEX})),
    (T, at("signed meta snapshot.json hashes sha256", "0" * 63)),
    (S, at("signed meta root.json", None)),
    (S, at("signed meta other.json", {"version": 1})),
    (G, at("signed targets", [])),
    (G, at("signed targets trust.json custom", {})),
    (G, at("signed targets trust.json length", (16 << 20) + 1)),
    (G, at("signed delegations", {})),
]


@pytest.mark.parametrize(("role", "edit"), BAD)
def test_another_form_is_refused(role: RoleName, edit: Callable[[dict[str, object]], object]) -> None:
    data = edited(role, edit)
    with pytest.raises(TufMalformedError):
        FILES[role][1](data)


@pytest.mark.parametrize("name", ["", "A", "../x", "a//b", "/a", "a/", ".hidden", "a" * 129])
def test_a_file_name_that_no_store_takes_is_refused(name: str) -> None:
    with pytest.raises(TrustError):
        parse_targets(edited(G, at("signed targets", {name: {"length": 1, "hashes": {"sha256": HEX}}})))


def test_keys_of_another_kind_or_no_point_are_refused() -> None:
    for key in (
        {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": "x"}},
        {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00" * 32}},
        {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "ff" * 32}},
    ):
        with pytest.raises(TufMalformedError):
            parse_root(edited(R, at("signed keys", {HEX: key})))


def test_a_root_holds_the_keys_of_its_roles_and_no_others() -> None:
    """A key without a role would be one that no keeper is told of; one that says it is of another kind, too."""
    whole = json.loads(FILES[R][0])["signed"]["keys"]
    more = {**whole, key_id(DAVE.public_key): key_json(DAVE.public_key)}
    with pytest.raises(TufMalformedError, match="those the roles name"):
        parse_root(edited(R, at("signed keys", more)))
    name = key_id(ALICE.public_key)
    for field in ("keytype", "scheme"):
        with pytest.raises(TufMalformedError, match="not an Ed25519"):
            parse_root(edited(R, at("signed keys", {**whole, name: {**whole[name], field: "ecdsa"}})))


def test_a_role_names_a_keeper_once() -> None:
    """Twice, and a threshold could be one that its keepers never reach."""
    names = json.loads(FILES[R][0])["signed"]["roles"]["root"]["keyids"]
    with pytest.raises(TufMalformedError, match="twice"):
        parse_root(edited(R, at("signed roles root keyids", [*names, names[0]])))


def test_targets_list_no_more_files_than_a_store_holds() -> None:
    files = {f"f{number}": {"length": 0, "hashes": {"sha256": HEX}} for number in range(MAX_FILES + 1)}
    with pytest.raises(TufMalformedError, match="at most"):
        parse_targets(edited(G, at("signed targets", files)))
    del files["f0"]
    assert len(parse_targets(edited(G, at("signed targets", files))).body.files) == MAX_FILES


def test_one_key_never_holds_two_roles_that_must_be_apart() -> None:
    for changes in ({"targets": [ALICE]}, {"online": CAROL}, {"online": RELEASE}):
        with pytest.raises(KeySharedError):
            parse_root(signed(make_root(1, **changes), []))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", RoleName)
def test_nothing_longer_than_its_cap_is_parsed(role: RoleName) -> None:
    data, parse, _ = FILES[role]
    pad = MAX_BYTES[role] - len(data)
    assert parse(data + b" " * pad).body == parse(data).body
    with pytest.raises(TufMalformedError):
        parse(data + b" " * (pad + 1))


def test_a_file_of_another_role_is_told_from_a_broken_one() -> None:
    with pytest.raises(TufWrongRoleError):
        parse_root(WORLD.targets)
    for data in (b"", b"[]", b"{}", b'{"signed": 1}', b" " * (3 << 20)):
        with pytest.raises(TufMalformedError):
            parse_any(data)


@given(st.sampled_from(list(RoleName)), st.integers(0), st.integers(0, 7))
def test_one_flipped_bit_is_refused_or_signs_nothing_else(role: RoleName, place: int, bit: int) -> None:
    data, parse, _ = FILES[role]
    place %= len(data)
    changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    try:
        read = parse(changed)
    except TrustError:
        return
    root = parse_root(WORLD.first).body
    good = parse(data)
    assert read.payload == good.payload or not read.signers(root, role)


@given(st.binary(max_size=300))
def test_junk_raises_typed_errors_only(data: bytes) -> None:
    for parse in (parse_root, parse_any, parse_public_key_file):
        with pytest.raises(TrustError):
            parse(data)


def test_times_are_those_of_python_tuf() -> None:
    theirs = tuf.Metadata[tuf.Root].from_bytes(resigned(WORLD.first, [], expires=format_expires(NOW))).signed
    assert int(theirs.expires.timestamp()) == NOW
