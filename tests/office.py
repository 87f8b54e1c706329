"""An issuing office in a temporary directory: a workspace with cheap test keys, invented people, one fixed day.

Keys come from fixed seeds and are stored in clear: a stand-in for `keys.custody`, whose scrypt would cost a second a
test. Products never use it: it has to be handed to `Workspace` by the caller.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from PIL import Image, ImageDraw

from mingzheng.formats.civil import day_start, parse_day
from mingzheng.formats.claims import Copy
from mingzheng.issuer.config import IssuerSpec
from mingzheng.issuer.issue import Issued, Request, issue
from mingzheng.issuer.record import COLUMNS
from mingzheng.issuer.sealconfig import FORMATS
from mingzheng.issuer.sealtrial import make_trial_seals
from mingzheng.issuer.workspace import LOG, Access, Foundation, Workspace, log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.sealkey import SealAlg, SealPrivate, parse_seal_private, sm2_seal_private
from mingzheng.keys.signer import InMemorySigner, Signer
from mingzheng.keys.trust import OriginRecord
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.fsck import FsckReport, fsck

DAY = parse_day("2026-06-01")
NOW = day_start(DAY) + 36_000
ORIGIN = OriginRecord(number=1, name="test.example/log", block_height=4)
CONSTRUCTORS = IssuerSpec(
    number=1,
    name="示范省住房和城乡建设厅",
    name_en="Demonstration Department",
    kinds=(1, 2),
    jurisdictions=(0, 31),
    bodies={1: "示范省住房和城乡建设厅"},
    prefixes=(),
)
ARCHITECTS = IssuerSpec(
    number=2,
    name="示范注册建筑师管理委员会",
    name_en="Demonstration Board of Architects",
    kinds=(3,),
    jurisdictions=(0,),
    bodies={1: "示范注册建筑师管理委员会", 2: "示范主任委员"},
    prefixes=("https://zs.example.cn/v#",),
)


class SeededVault:
    """Keys from seeds, stored in clear."""

    def __init__(self, seed: str = "office") -> None:
        self._seed, self._made = seed, 0

    def generate(self, alg: Alg) -> InMemorySigner:
        self._made += 1
        raw = hashlib.sha256(f"{self._seed} {self._made}".encode()).digest()
        return InMemorySigner.from_private_bytes(alg, raw)

    def save(self, path: Path, signer: InMemorySigner, passphrase: bytes) -> None:
        with path.open("xb") as stream:
            stream.write(passphrase + signer.private_bytes())

    def load(self, path: Path, alg: Alg, passphrase: bytes) -> Signer:
        return InMemorySigner.from_private_bytes(alg, path.read_bytes().removeprefix(passphrase))


class SeededSealVault:
    """Seal keys from seeds (P-256, SM2), stored in clear."""

    def __init__(self, seed: str = "office") -> None:
        self._seed, self._made = seed, 0

    def generate(self, alg: SealAlg) -> SealPrivate:
        self._made += 1
        scalar = hashlib.sha256(f"{self._seed} seal {self._made}".encode()).digest()
        if alg is SealAlg.SM2:
            return sm2_seal_private(scalar)
        key = ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1())
        return parse_seal_private(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), alg=alg)

    def save(self, path: Path, private: SealPrivate, passphrase: bytes) -> None:
        with path.open("xb") as stream:
            stream.write(passphrase + private.private_bytes())

    def load(self, path: Path, alg: SealAlg, passphrase: bytes) -> SealPrivate:
        return parse_seal_private(path.read_bytes().removeprefix(passphrase), alg=alg)


class Reversing:
    """Randomness that is none: serials in reverse order of the rows, salts that count."""

    def __init__(self) -> None:
        self._salts = 0

    def shuffle(self, items: list[int]) -> None:
        items.reverse()

    def salt(self) -> bytes:
        self._salts += 1
        return self._salts.to_bytes(16, "big")


class Office:
    """A workspace, its output directory, and records to issue."""

    def __init__(self, base: Path, *, issuers: Sequence[IssuerSpec] = (CONSTRUCTORS,), seed: str = "office") -> None:
        self.base, self.root, self.out = base, base / "W", base / "out"
        self.access = Access(
            passphrase=lambda: b"secret",
            vault=SeededVault(seed),
            memory_dir=base / "memory",
            seal_vault=SeededSealVault(seed),
        )
        self.issuers = tuple(issuers)
        (base / "photo.png").write_bytes(picture(300, 420))
        (base / "sign.png").write_bytes(picture(300, 100))

    def build(self) -> "Office":
        """Make the workspace."""
        Workspace.create(
            self.root,
            Foundation(demo=True, origin=ORIGIN, issuers=self.issuers, valid_from=DAY - 400, valid_until=DAY + 1_000),
            self.access,
        )
        return self

    def with_seals(self, forms: str = "both") -> "Office":
        """Trial seals and rules for every issuer, made anew (0.2 s), and that form of files by default."""
        with self.open() as workspace:
            make_trial_seals(workspace, now=NOW)
            sealing = replace(workspace.config.sealing, forms=FORMATS[forms])
            workspace.store_config(replace(workspace.config, sealing=sealing))
        return self

    def open(self) -> Workspace:
        return Workspace.open(self.root, self.access)

    def request(
        self, rows: Sequence[Mapping[str, str]], *, copy: Copy = Copy.USAGE, purpose: str | None = "投标"
    ) -> Request:
        return Request(
            data=table(rows),
            images=self.base,
            copy=copy,
            purpose=purpose if copy is Copy.USAGE else None,
            issuer=None,
        )

    def issue(
        self, rows: Sequence[Mapping[str, str]], *, now: int = NOW, copy: Copy = Copy.USAGE, purpose: str = "投标"
    ) -> tuple[Issued, ...]:
        with self.open() as workspace:
            return issue(workspace, self.request(rows, copy=copy, purpose=purpose), out=self.out, now=now)

    def fsck(self) -> FsckReport:
        with self.open() as workspace:
            vkey = parse_vkey(log_vkey(workspace.config))
        return fsck(self.root / LOG, vkey=vkey)


def person(number: int, **changes: str) -> dict[str, str]:
    """One row of a records file: an invented constructor."""
    row = {
        "kind": "cn.constructor.1",
        "jurisdiction": "0",
        "name": f"王{'甲乙丙丁戊己庚辛壬癸'[number % 10]}明",
        "sex": "男",
        "birth_date": "1985-03-03",
        "registration_no": f"京11120062007{number:05d}",
        "specialties": "建筑工程:2024-01-01:2027-01-01",
        "certificate_issued_on": "2024-01-01",
        "employer": "北京示例建设有限公司",
        "registered_until": "2028-06-01",
        "issuing_body": "1",
        "photo": "photo.png",
        "signature_image": "sign.png",
    }
    return row | changes


def architect(number: int, **changes: str) -> dict[str, str]:
    """An invented architect."""
    row = person(number) | {
        "kind": "cn.architect.1",
        "registration_no": f"2024{number:07d}",
        "specialties": "",
        "sealing_body": "2",
    }
    return row | changes


def table(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@cache
def picture(width: int, height: int) -> bytes:
    """A drawn picture as PNG."""
    image = Image.new("RGB", (width, height), (230, 225, 220))
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill=(40, 50, 60))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
