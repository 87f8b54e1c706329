"""Our inclusion proofs under the Merkle code of @sigstore/verify (npm): every entry of small trees, and forged ones."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from logworld import ORIGIN_KEYS, LogWorld, issue

from mingzheng.log.client import DirectoryFetcher, LogReader

pytestmark = pytest.mark.node

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that the lock names, installed apart."""
    root = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, root / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env={**os.environ, "HOME": str(root)})
    if done.returncode != 0:
        assert "EINTEGRITY" not in done.stderr, done.stderr
        pytest.skip(f"@sigstore/verify cannot be installed: {done.stderr.strip()[-200:]}")
    return root / "node_modules"


def _check(modules: Path, proofs: list[dict[str, object]]) -> list[str]:
    text = "".join(json.dumps(proof) + "\n" for proof in proofs)
    command = ["node", str(HERE / "merkle.js"), str(modules)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout.split()


def _proofs(public: Path) -> list[dict[str, object]]:
    reader = LogReader(DirectoryFetcher(public), ORIGIN_KEYS.vkey)
    head = reader.checkpoint()
    return [
        {
            "index": index,
            "size": head.size,
            "root": head.root.hex(),
            "entry": entry.hex(),
            "hashes": [item.hex() for item in reader.inclusion(index).hashes],
        }
        for index, entry in reader.entries(0, head.size)
    ]


def test_every_entry_of_logs_of_many_sizes(modules: Path, tmp_path: Path) -> None:
    world, proofs, serial = LogWorld(root=tmp_path), list[dict[str, object]](), 0
    log = world.create()
    for count in (1, 1, 2, 3, 9, 40, 200, 20, 300):
        world.submit(log, *(issue(at) for at in range(serial, serial + count)))
        serial += count
        proofs += _proofs(world.public)
    world.close()
    assert len(proofs) > 1_000
    assert _check(modules, proofs) == ["ok"] * len(proofs)


def test_forged_proofs_are_refused(modules: Path, tmp_path: Path) -> None:
    world = LogWorld(root=tmp_path)
    world.submit(world.create(), *(issue(at) for at in range(20)))
    good = _proofs(world.public)
    world.close()
    forged = [
        changed
        for at, proof in enumerate(good)
        for changed in (
            {**proof, "entry": good[at - 1]["entry"]},
            {**proof, "index": (at + 1) % len(good)},
            {**proof, "index": len(good)},
            {**proof, "hashes": list(proof["hashes"])[:-1]},  # type: ignore[call-overload]
            {**proof, "root": "00" * 32},
        )
    ]
    assert _check(modules, forged) == ["TLOG_INCLUSION_PROOF_ERROR"] * len(forged)
