"""A log in memory that can lie, and witnesses in directories: for tests of witnesses, clients and forks."""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from mingzheng.keys.alg import Alg
from mingzheng.keys.note import sign_note
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.vkey import VerifierKey, vkey_for
from mingzheng.log.checkpoint import Checkpoint, format_checkpoint
from mingzheng.log.cosign import Cosigner
from mingzheng.log.hashing import EMPTY_ROOT, Hash, leaf_hash, node_hash
from mingzheng.log.merkle import tree_root
from mingzheng.log.proof import ConsistencyProof, build_consistency
from mingzheng.log.witness import format_add_checkpoint
from mingzheng.log.witnessnode import WitnessNode
from mingzheng.log.witnessstore import WitnessStore

ORIGIN = "log.example.cn/witnessed"
NOW = 1_800_000_000


def signer(name: str, alg: Alg = Alg.ED25519) -> InMemorySigner:
    """The key of that name, the same in every run."""
    return InMemorySigner.from_private_bytes(alg, hashlib.sha256(f"witnessworld {name}".encode()).digest())


LOG_KEY = signer("log")
LOG_VKEY = vkey_for(ORIGIN, LOG_KEY.public_key)


@lru_cache(maxsize=100_000)
def _node(branch: str, fork: int, level: int, index: int) -> Hash:
    if level == 0:
        return leaf_hash(f"{'main' if index < fork else branch} {index}".encode())
    left = _node(branch, fork, level - 1, 2 * index)
    return node_hash(left, _node(branch, fork, level - 1, 2 * index + 1))


@dataclass(frozen=True)
class Branch:
    """One history of the log: the main one, or one that leaves it at entry `fork`."""

    name: str = "main"
    fork: int = 0
    origin: str = ORIGIN

    def read(self, level: int, index: int) -> Hash:
        return _node(self.name, self.fork, level, index)

    def root(self, size: int) -> Hash:
        return tree_root(size, self.read) if size else EMPTY_ROOT

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(origin=self.origin, size=size, root=self.root(size))

    def note(self, size: int, key: InMemorySigner = LOG_KEY) -> bytes:
        return sign_note(format_checkpoint(self.head(size)), [(self.origin, key)])

    def prove(self, old: int, new: int) -> ConsistencyProof:
        return build_consistency(old, new, self.read)

    def request(self, old: int, new: int, *, note: bytes | None = None) -> bytes:
        """An `add-checkpoint` body, with the proof this branch has where there is one."""
        hashes = self.prove(old, new).hashes if 0 < old <= new else ()
        return format_add_checkpoint(old=old, hashes=hashes, note=self.note(new) if note is None else note)


MAIN = Branch()


def cosigner(name: str = "w1", *algs: Alg) -> Cosigner:
    """A witness with an Ed25519 and an ML-DSA-44 key unless told."""
    chosen = algs or (Alg.ED25519, Alg.ML_DSA_44)
    return Cosigner(f"witness.example.cn/{name}", [signer(f"{name} {alg.name}", alg) for alg in chosen])


@dataclass
class WitnessWorld:
    """A witness in a directory; `restart` loses everything that is not in the file."""

    directory: Path
    cosigner: Cosigner = field(default_factory=cosigner)
    maker: type[WitnessStore] = WitnessStore
    now: int = NOW

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.store = self.maker.create(self.directory, name=self.cosigner.name, vkeys=self.cosigner.vkeys)
        self.store.add_log(LOG_VKEY, origin=ORIGIN)
        self.node = WitnessNode(self.store, self.cosigner)

    def restart(self) -> None:
        self.store.close()
        self.store = self.maker(self.directory)
        self.node = WitnessNode(self.store, self.cosigner)

    def add(self, body: bytes) -> tuple[int, bytes]:
        self.now += 1
        answer = self.node.handle("POST", "/add-checkpoint", body, now=self.now)
        return answer.status, answer.body

    def vkeys(self) -> tuple[VerifierKey, ...]:
        return self.cosigner.vkeys
