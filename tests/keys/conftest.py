"""A small world of trust data for the tests of trust, snapshot and cli."""

import dataclasses
from collections.abc import Callable

import pytest

from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import IssuerRecord, KeyRecord, OriginRecord, Role, TrustData

LOG = {"issuer": 0, "jurisdictions": frozenset(), "kinds": frozenset()}
MakeRecord = Callable[..., KeyRecord]


@pytest.fixture
def make_record() -> MakeRecord:
    """A key record made from a seed byte; any field can be changed."""

    def make(fill: int, role: Role, alg: Alg = Alg.ED25519, **changes: object) -> KeyRecord:
        key = InMemorySigner.from_private_bytes(alg, bytes([fill]) * 32).public_key
        record = KeyRecord(
            kid=key.kid,
            role=role,
            public_key=key,
            issuer=1,
            jurisdictions=frozenset({0, 11, 12}),
            kinds=frozenset({1, 2}),
            valid_from=20000,
            valid_until=21000,
            origins=frozenset({1}),
        )
        return dataclasses.replace(record, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def world(make_record: MakeRecord) -> TrustData:
    """Two issuers, two logs, a key of every role."""
    records = [
        make_record(1, Role.AUTHORITY),
        make_record(2, Role.CREDENTIAL, origins=frozenset({1, 2})),
        make_record(3, Role.CREDENTIAL, Alg.ESP256, issuer=2, compromised={1: 5}, retired_on=20500),
        make_record(4, Role.ACT, compromised={}),
        make_record(5, Role.STATUS),
        make_record(6, Role.SUBMIT, origins=frozenset()),
        make_record(7, Role.REPORT, kinds=frozenset(), jurisdictions=frozenset()),
        make_record(8, Role.RECEIPT, Alg.EDDSA, **LOG),
        make_record(9, Role.RECEIPT, Alg.ES256, **LOG | {"origins": frozenset({2})}),
        make_record(10, Role.CHECKPOINT, name="log.example/a", **LOG),
        make_record(11, Role.CHECKPOINT, name="log.example/b", **LOG | {"origins": frozenset({2})}),
        make_record(12, Role.WITNESS, name="w.example", **LOG | {"origins": frozenset({1, 2})}),
        make_record(13, Role.LANDMARK, **LOG),
        make_record(14, Role.OPERATOR, retired_on=20900),
        make_record(15, Role.OPERATOR, Alg.ESP256, issuer=2),
    ]
    return TrustData(
        generation=3,
        made_at=1_790_000_000,
        issuers={
            1: IssuerRecord(
                number=1,
                name="某省住房和城乡建设厅",
                name_en="Housing Department",
                bodies={1: "住房和城乡建设厅", 2: "注册管理中心"},
                prefixes=("https://a.example/v#", "https://b.example/v#"),
            ),
            2: IssuerRecord(number=2, name="𠮷市", name_en="Ji City", bodies={}, prefixes=()),
        },
        origins={
            1: OriginRecord(number=1, name="log.example/a", block_height=4),
            2: OriginRecord(number=2, name="log.example/b", block_height=8),
        },
        keys={record.kid: record for record in records},
        quorum="log log.example/a\nquorum 1\n",
        blobs={"profiles/cn.constructor.1.0.toml": b"x = 1\n", "status/1.cbor": b"\xd2", "checkpoints/1": b""},
    )
