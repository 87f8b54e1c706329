"""What asks a person to look is never VALID, however well the page compares."""

import re
from pathlib import Path

import pytest
from simulator import World

from mingzheng.verifier.findings import LOOK_YOURSELF, Code
from mingzheng.verifier.pipeline import verdict_for

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "spec" / "verdicts.md"


def test_the_document_names_what_a_person_must_look_at() -> None:
    (named,) = re.findall(r"nothing asks a person to look \((.*?)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert {Code(word) for word in re.findall(r"`(\w+)`", named)} == LOOK_YOURSELF


@pytest.mark.parametrize("code", sorted(LOOK_YOURSELF))
def test_what_a_person_must_look_at_holds_the_verdict_at_compare(code: Code) -> None:
    context = World().context(policy="site")
    assert verdict_for([], context, compared=True) is Code.VALID
    assert verdict_for([], context, compared=False) is Code.VALID_COMPARE
    assert verdict_for([context.finding(code)], context, compared=True) is Code.VALID_COMPARE
