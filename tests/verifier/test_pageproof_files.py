"""An OFD that holds other attachments than ours, or sealed otherwise, is no file of ours: its page has to be drawn."""

import re

import pytest
from ofdforge import pack
from pagepress import OFD, everyday, ofd

from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.compose import compose_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pageproof import read_file


def is_ours(data: bytes) -> bool:
    return read_file(data, FileKind.OFD, limits=LIMITS_DEFAULT) is not None


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        (("credential",), True),
        (("credential", "receipt"), True),
        (("credential", "other"), False),
        (("credential", "receipt", "credential_2"), False),
    ],
)
def test_attachments_are_the_credential_and_its_receipt(names: tuple[str, ...], ours: bool) -> None:
    attachments = dict.fromkeys(names, b"c")
    page = everyday().page
    assert is_ours(compose_ofd(page, fonts=load_fonts(), attachments=attachments, metadata=OFD, seals=0)) is ours


@pytest.mark.parametrize("change", ["twice", "no file"])
def test_an_attachment_named_twice_or_without_a_file_is_not_ours(change: str) -> None:
    files = dict(read_package(ofd(everyday().page), limits=OFD_LIMITS).files)
    (name,) = [name for name in files if name.endswith("Attachments.xml")]
    (entry,) = re.findall(rb"<ofd:Attachment .*?</ofd:Attachment>", files[name], re.DOTALL)
    other = re.sub(rb' ID="\w+"', b' ID="9"', entry)
    if change == "no file":
        other = other.replace(b'Name="credential"', b'Name="receipt"').replace(b"</ofd:FileLoc>", b"x</ofd:FileLoc>")
    files[name] = files[name].replace(entry, entry + other)
    assert not is_ours(pack(files))
