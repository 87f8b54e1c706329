"""Every code that journal and requests bear has words in both languages."""

import re

import pytest

from mingzheng.issuer.deedwords import copy_status_word, deed_word
from mingzheng.issuer.journal import deed_name
from mingzheng.issuer.rows import NOTICE_ACT
from mingzheng.issuer.schema import CopyStatus, RegistrationState, RequestState
from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventType, NoticeType

ACTS = [*map(int, ActType), *(-int(event) for event in KeyEventType), *(NOTICE_ACT + int(one) for one in NoticeType)]
CODES = [
    *(deed_name(act) for act in ACTS),
    *(f"{deed_name(act)}-again" for act in ACTS),
    *(one.name.lower() for one in (*ActType, *NoticeType)),
    *(f"registration-{state}" for state in RegistrationState),
    *(f"request-{state}" for state in (RequestState.WITHDRAWN, RequestState.EXPIRED)),
    *("issue", "request", "lock", "unlock", "forget", "backup", "restore"),
]


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_words(code: str) -> None:
    zh, en = deed_word(code, "zh"), deed_word(code, "en")
    assert not re.search("[A-Za-z]", zh)
    assert en.isascii()
    assert not re.search(r"[_\d]|-again", en)


def test_no_two_deeds_of_the_journal_read_alike() -> None:
    codes = [code for code in CODES if code not in {one.name.lower() for one in NoticeType}]
    for lang in ("zh", "en"):
        assert len({deed_word(code, lang) for code in codes}) == len(set(codes))


def test_a_code_of_a_later_program_stands_for_itself() -> None:
    assert deed_word("x-new", "zh") == deed_word("x-new", "en") == "x-new"


@pytest.mark.parametrize("status", list(CopyStatus))
def test_every_state_of_a_copy_has_a_word_in_both_languages(status: CopyStatus) -> None:
    assert re.fullmatch(r"[\u4e00-\u9fff]+", copy_status_word(status, "zh"))
    assert copy_status_word(status, "en") == status.value
