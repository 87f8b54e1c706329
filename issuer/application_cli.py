"""What a clerk types of holders' applications: `--application` of reissue, and `mingzheng application ca`.

Source: docs/workspace.md (Application). Parse, call, print.
"""

import base64
import binascii
import hashlib
import re
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.show as show
from mingzheng.issuer.applicationerrors import ApplicationCaError
from mingzheng.issuer.applying import MAX_APPLICATION_BYTES, MAX_SIGNATURE_BYTES, Handed, pin_holder_ca
from mingzheng.issuer.options import (
    JSON,
    LANG,
    SECRET,
    WORKSPACE,
    YES,
    confirm,
    open_workspace,
    options_of,
    print_lines,
)

__all__ = ["APPLICATION", "application_group", "handed_in"]

_CA_BYTES_MAX: Final = 64 * 1024
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

APPLICATION: Final = options_of(
    click.option("--application", type=_FILE, help="The holder's signed application (PDF). 持证人签名的申请表。"),
    click.option(
        "--application-signature",
        type=_FILE,
        help="The signature, if it is beside the application (CMS, DER). 单独的签名文件。",
    ),
)


def handed_in(options: dict[str, Any]) -> Handed | None:
    """What the holder handed in; None: nothing."""
    file, beside = options["application"], options["application_signature"]
    if file is None and beside is not None:
        raise click.UsageError(
            "--application-signature 须与 --application 一起给出 (--application-signature needs --application)"
        )
    if file is None:
        return None
    signature = None if beside is None else _read(beside, MAX_SIGNATURE_BYTES)
    return Handed(data=_read(file, MAX_APPLICATION_BYTES), signature=signature)


@click.group("application")
def application_group() -> None:
    """Whose certificates holders may sign applications with. 持证人申请所用的个人证书颁发机构。"""


@application_group.command("ca")
@click.argument("certificate", type=_FILE, required=False)
@WORKSPACE
@SECRET
@LANG
@JSON
@YES
def application_ca(
    certificate: Path | None, workspace: Path, *, as_json: bool, lang: show.Lang, yes: bool, **options: Any
) -> None:
    """Pin an authority's certificate; without one, list those that are pinned. 登记或列出个人证书颁发机构。

    Compare the SHA-256 with the authority's own announcement first. 先与该机构公布的 SHA-256 核对。

    \b
    mingzheng application ca holder-ca.cer --workspace W
    mingzheng application ca --workspace W
    """
    with open_workspace(workspace, options) as opened:
        if certificate is not None:
            data = _certificate(certificate)
            digest = _digest(data)
            click.echo(f"SHA-256 {digest}", err=True)
            opened.check_passphrase()  # no key is used: but whoever only found the files open pins nobody
            confirm(yes)
            pin_holder_ca(opened, certificate.name, data)
        names = opened.config.holder_cas
        found = [(name, _digest(opened.seals.file(name))) for name in names]
    items: list[show.Json] = [{"type": "holder_ca", "file": name, "sha256": digest} for name, digest in found]
    print_lines(items, (f"{name}  {digest}" for name, digest in found), as_json)


def _certificate(path: Path) -> bytes:
    data = _read(path, _CA_BYTES_MAX)
    if not data.lstrip().startswith(b"-----"):
        return data
    try:
        (block,) = _PEM.findall(data)
        return base64.b64decode(b"".join(block.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ApplicationCaError(path.name) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path, most: int) -> bytes:
    """One byte more than may be: what is too long is refused where the rules are."""
    with path.open("rb") as stream:
        return stream.read(most + 1)
