"""A SoftHSM token with one key of each kind, made once a process: the library reads its configuration only once."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
import sealpress

from mingzheng.keys.sealkey import SealAlg

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "271828"
TOKEN = "seals"
NAMES = {SealAlg.P256: "章p256", SealAlg.RSA: "章rsa"}  # label in the token: P256, RSA; ids 01, 02


def library() -> Path:
    """The library, its token in place; skips where there is none."""
    path = next((Path(path) for path in LIBRARIES if Path(path).exists()), None)
    if path is None:
        pytest.skip("the library of SoftHSM is not where Debian puts it")
    _fill(path)
    import pkcs11

    pkcs11.lib(str(path)).reinitialize()  # forget who is logged in
    return path


@cache
def _fill(path: Path) -> None:
    import atexit

    home = Path(tempfile.mkdtemp(prefix="softhsm-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")
    tool = ["softhsm2-util", "--module", str(path)]
    command = [*tool, "--init-token", "--free", "--label", TOKEN, "--so-pin", "314159", "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    for number, alg in enumerate(NAMES, start=1):
        key = home / f"{alg}.pem"
        _write_pem(key, sealpress.private(NAMES[alg], alg).private_bytes())
        command = [*tool, "--import", str(key), "--token", TOKEN, "--label", alg.name, "--id", f"0{number}"]
        subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)


def _write_pem(path: Path, pkcs8: bytes) -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
    )

    key = load_der_private_key(pkcs8, None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
