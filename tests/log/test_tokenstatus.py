"""Token Status List export: the draft's own vectors, both signed forms read again by other means, limits."""

import base64
import json
import os
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import signer

from mingzheng.formats import cbor, cose
from mingzheng.keys.alg import Alg, verify
from mingzheng.log.acts import SerialState
from mingzheng.log.entry import OriginHead
from mingzheng.log.hashing import Hash
from mingzheng.log.status import StatusBody, status_from_events
from mingzheng.log.tokenstatus import (
    MAX_STATUSES,
    MAX_URI_CHARS,
    TokenStatusError,
    pack_statuses,
    status_cwt,
    status_jwt,
)

HEADS = (OriginHead(1, 4, Hash(bytes(32))),)
EMPTY = StatusBody(
    issuer=1, next_serial=0, this_update=1_686_920_170, next_update=2_291_720_170, origins=HEADS,
    revoked=(), superseded=(), void=(), suspended=(),
)  # fmt: skip
URI = "https://example.com/statuslists/1"
KEYS = {"ed25519": signer("status 1"), "p256": signer("status p256", Alg.ESP256)}

VECTORS = Path(__file__).parents[1] / "vectors" / "status" / "token-status-list.json"
CASES = {case["name"]: case for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]}


def unpacked(lst: str) -> bytes:
    return zlib.decompress(base64.urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))


def body_of(statuses: dict[int, int], count: int) -> StatusBody:
    return replace(
        EMPTY,
        next_serial=count,
        revoked=tuple(serial for serial, status in sorted(statuses.items()) if status == 1),
        suspended=tuple(serial for serial, status in sorted(statuses.items()) if status == 2),
    )


@pytest.mark.parametrize("name", CASES)
def test_vectors_of_the_draft(name: str) -> None:
    """Byte for byte, but for the value 3 (of an application's own), which is put in by hand."""
    case = CASES[name]
    statuses = {int(serial): status for serial, status in case["statuses"].items()}
    packed = bytearray(pack_statuses(body_of(statuses, case["count"])))
    for serial, status in statuses.items():
        if status == 3:
            packed[serial >> 2] |= 3 << 2 * (serial & 3)
    assert bytes(packed) == unpacked(case["lst"])
    head, _, tail = bytes.fromhex(case["cbor"]).partition(b"\x63lst")  # its keys are not in our order
    assert head == b"\xa2\x64bits\x02"
    coded = cbor.decode(tail, max_bytes=1000, max_depth=0)
    assert isinstance(coded, bytes)
    assert zlib.decompress(coded) == packed


@given(st.dictionaries(st.integers(0, 200), st.sampled_from(SerialState)))
def test_every_serial_reads_as_its_state(states: dict[int, SerialState]) -> None:
    body = status_from_events(states, issuer=1, this_update=1, next_update=2, origins=HEADS)
    packed = pack_statuses(body)
    assert len(packed) == max(1, (body.next_serial + 3) // 4)
    wanted = {SerialState.REVOKED: 1, SerialState.SUPERSEDED: 1, SerialState.VOID: 1, SerialState.SUSPENDED: 2}
    for serial in range(4 * len(packed)):
        assert packed[serial // 4] >> 2 * (serial % 4) & 3 == wanted.get(states.get(serial, SerialState.LIVE), 0)


@pytest.mark.parametrize("name", KEYS)
def test_cwt(name: str) -> None:
    key = KEYS[name]
    body = body_of({1: 1, 5: 2}, 9)
    data = status_cwt(body, uri=URI, signer=key)
    sign1 = cose.parse_sign1(data)
    assert sign1.payload is not None
    verify(key.public_key, signature=sign1.signature, message=cose.sig_structure(sign1.protected, sign1.payload))
    header = cbor.decode(sign1.protected, max_bytes=200, max_depth=1)
    assert header == {
        1: {"ed25519": -8, "p256": -7}[name],
        4: key.public_key.kid,
        16: "application/statuslist+cwt",
    }
    claims = cbor.decode(sign1.payload, max_bytes=1000, max_depth=2)
    assert isinstance(claims, dict)
    listed = claims.pop(65_533)
    ttl = body.next_update - body.this_update
    assert claims == {2: URI, 4: body.next_update, 6: body.this_update, 65_534: ttl}
    assert isinstance(listed, dict)
    assert listed["bits"] == 2
    assert isinstance(listed["lst"], bytes)
    assert zlib.decompress(listed["lst"]) == pack_statuses(body)


@pytest.mark.parametrize("name", KEYS)
def test_jwt(name: str) -> None:
    key = KEYS[name]
    body = body_of({1: 1, 5: 2}, 9)
    parts = status_jwt(body, uri=URI, signer=key).split(".")
    header, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts)
    verify(key.public_key, signature=signature, message=".".join(parts[:2]).encode())
    alg = {"ed25519": "EdDSA", "p256": "ES256"}[name]
    assert json.loads(header) == {"alg": alg, "kid": key.public_key.kid.hex(), "typ": "statuslist+jwt"}
    read = json.loads(claims)
    assert unpacked(read.pop("status_list")["lst"]) == pack_statuses(body)
    ttl = body.next_update - body.this_update
    assert read == {"sub": URI, "iat": body.this_update, "exp": body.next_update, "ttl": ttl}


def test_limits() -> None:
    key = KEYS["ed25519"]
    assert pack_statuses(EMPTY) == b"\x00"
    with pytest.raises(TokenStatusError, match="serials"):
        pack_statuses(replace(EMPTY, next_serial=MAX_STATUSES + 1))
    for uri in ("", "no address", "x" * (MAX_URI_CHARS - 3) + "://x", "https://例.cn/", "https://a\n"):
        for make in (status_cwt, status_jwt):
            with pytest.raises(TokenStatusError, match="URI"):
                make(EMPTY, uri=uri, signer=key)
    with pytest.raises(TokenStatusError, match="algorithm"):
        status_cwt(EMPTY, uri=URI, signer=signer("receipt 1", Alg.EDDSA))


PEER = """
import json, sys
from token_status_list import BitArray
job = json.load(sys.stdin)
array = BitArray.load({"bits": 2, "lst": job["lst"]})
print(json.dumps([array[n] for n in range(job["count"])]))
"""


@pytest.mark.peers
def test_another_implementation_reads_the_same_statuses() -> None:
    """token-status-list from PyPI, in the peers' environment."""
    python = os.environ.get("MINGZHENG_PEERS_PYTHON")
    if not python:
        pytest.skip("MINGZHENG_PEERS_PYTHON names no environment")
    body = body_of({serial: 1 + serial % 2 for serial in range(0, 1000, 7)}, 1001)
    claims = status_jwt(body, uri=URI, signer=KEYS["p256"]).split(".")[1]
    lst = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["status_list"]["lst"]
    job = json.dumps({"lst": lst, "count": 1001})
    done = subprocess.run([python, "-c", PEER], input=job, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0 if serial % 7 or serial >= 1000 else 1 + serial % 2 for serial in range(1001)]
