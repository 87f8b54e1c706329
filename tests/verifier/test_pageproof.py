"""The proof of a page without drawing it: yes for honest files of every kind, no where a drawn object differs."""

import random

import pagepress
import pytest
from conftest import FULL
from pagepress import KINDS, edited, everyday, is_equal, kit, make, pdf, sealed_pdf

from mingzheng.formats.claims import Copy
from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.pdf.samepage import read_own
from mingzheng.verifier.pagecheck import PageResult
from mingzheng.verifier.pageproof import prove_page

HONEST = 300 if FULL else 12


def proof(made: pagepress.Certificate, data: bytes) -> PageResult | None:
    """What is proved of a file that should be this certificate's."""
    try:
        own = read_own(data)
        return prove_page(own, made.subject, [made.token], kit=kit(), limits=LIMITS_DEFAULT)
    except FormatError:
        return None


@pytest.mark.parametrize("seed", range(HONEST))
def test_what_is_proved_is_what_a_comparison_finds(seed: int) -> None:
    made = make(70_000 + seed, kind=KINDS[seed % 3], copy=list(Copy)[seed // 3 % 2])
    data = sealed_pdf(made.page) if seed % 4 else pdf(made.page)
    found = proof(made, data)
    assert found is not None
    assert is_equal(found)
    assert found == pagepress.compare(made, data)


@pytest.mark.parametrize("seed", range(HONEST))
def test_no_page_of_other_claims_is_proved(seed: int) -> None:
    rng = random.Random(seed)
    made = make(80_000 + seed, kind=KINDS[seed % 3])
    page = edited(made, rng)[0]
    assert proof(made, sealed_pdf(page) if seed % 2 else pdf(page)) is None


def test_the_files_of_another_certificate_are_not_proved() -> None:
    assert proof(everyday(), sealed_pdf(make(1).page)) is None
    assert proof(everyday(), sealed_pdf(everyday().page)) is not None
