"""The proof of a page without drawing it: yes for honest files of every kind, no where a drawn object differs."""

import dataclasses
import random

import ofdoffice
import pagepress
import pytest
from conftest import FULL
from pagepress import KINDS, edited, everyday, is_equal, kit, make, pdf, sealed_pdf

from mingzheng.formats.claims import Copy
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pagecheck import PageResult
from mingzheng.verifier.pageproof import prove_page, read_file

HONEST = 300 if FULL else 12


def proof(made: pagepress.Certificate, data: bytes, kind: FileKind = FileKind.PDF) -> PageResult | None:
    """What is proved of a file that should be this certificate's."""
    try:
        own = read_file(data, kind, limits=LIMITS_DEFAULT)
        return own and prove_page(own, made.subject, [made.token], kit=kit(), limits=LIMITS_DEFAULT)
    except FormatError:
        return None


@pytest.mark.parametrize("seed", range(HONEST))
def test_what_is_proved_is_what_a_comparison_finds(seed: int) -> None:
    made = make(70_000 + seed, kind=KINDS[seed % 3], copy=list(Copy)[seed // 3 % 2])
    for data, kind in honest(made, seed):
        found = proof(made, data, kind)
        assert found is not None
        assert is_equal(found)
        assert found == pagepress.compare(made, data, kind)


def honest(made: pagepress.Certificate, seed: int) -> list[tuple[bytes, FileKind]]:
    """One PDF and one OFD of a page: sealed by shapes or by pictures, or not sealed."""
    if seed % 4 == 0:
        return [(pdf(made.page), FileKind.PDF), (pagepress.ofd(made.page), FileKind.OFD)]
    data = sealed_pdf(made.page, png=seed % 4 == 1)
    return [(data, FileKind.PDF), (ofdoffice.sealed(made.page), FileKind.OFD)]


@pytest.mark.parametrize("seed", range(HONEST))
def test_no_page_of_other_claims_is_proved(seed: int) -> None:
    rng = random.Random(seed)
    made = make(80_000 + seed, kind=KINDS[seed % 3])
    page = edited(made, rng)[0]
    for data, kind in honest(dataclasses.replace(made, page=page), seed):
        assert proof(made, data, kind) is None


def test_the_files_of_another_certificate_are_not_proved() -> None:
    assert proof(everyday(), sealed_pdf(make(1).page)) is None
    assert proof(everyday(), sealed_pdf(everyday().page)) is not None
