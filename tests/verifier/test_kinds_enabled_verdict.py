"""A copy of a kind that was announced and not yet open on its day of issue: both sides of the day, with the notice."""

import pytest
from simulator import DAY, ROOT, Issued, World

from mingzheng.formats.civil import format_day
from mingzheng.verifier.batch import verify_batch
from mingzheng.verifier.findings import Code, Finding, Severity
from mingzheng.verifier.pipeline import verify_text
from mingzheng.verifier.report import Report

POSTS, SHAANXI = 8, 61
FILE = f"cn.post-training.{SHAANXI}.toml"
CONSTRUCTOR, CLAUSE = "cn.constructor.1.0.toml", "通知》二（一）1"


def world_of(name: str, enabled: str | None) -> World:
    """A world whose trust data open that kind on a day, never (`not-yet`), or say nothing of it."""
    world = World()
    text = (ROOT / "formats" / "profiles" / name).read_text("utf-8")
    rule = f'[enabled_from]\nvalue = "{enabled}"\nnotice = "mohurd-2021"\nclause = "二（一）1"\n'
    if "[enabled_from]" in text:
        text = text.replace('value = "not-yet"', f'value = "{enabled}"', 1)
    elif enabled is not None:
        text += "\n" + rule
    world.blobs[f"profiles/{name}"] = text.encode()
    return world


def posts(world: World, jurisdiction: int) -> Issued:
    return world.issue_one(kind=POSTS, jurisdiction=jurisdiction, usage_until=None)


def judged(world: World, issued: Issued, *, on: int = DAY, policy: str = "site") -> Report:
    context = world.context(at=on, policy=policy)
    report = verify_text(issued.text, context)
    assert verify_batch([issued.token], context) == (report.verdict,)
    return report


def closed(report: Report) -> list[Finding]:
    return [item for item in report.findings if item.evidence.get("field") == "enabled_from"]


@pytest.mark.parametrize("policy", ["site", "bid", "audit"])
@pytest.mark.parametrize("enabled", [format_day(DAY + 1), format_day(DAY + 2), "not-yet"])
def test_a_copy_from_before_the_day_is_refused_and_the_notice_cited(enabled: str, policy: str) -> None:
    world = world_of(CONSTRUCTOR, enabled)
    report = judged(world, world.issue_one(), policy=policy)
    assert report.verdict is Code.KEY_OUT_OF_SCOPE
    (found,) = closed(report)
    assert found.severity is Severity.BLOCKS
    assert CLAUSE in found.rule
    assert CLAUSE in found.rule_en
    assert found.evidence == {
        "field": "enabled_from",
        "kind": 1,
        "issued_on": format_day(DAY),
        "enabled_from": enabled,
    }


@pytest.mark.parametrize("enabled", [format_day(DAY), format_day(DAY - 1), None])
def test_from_the_day_itself_on_a_copy_passes(enabled: str | None) -> None:
    world = world_of(CONSTRUCTOR, enabled)
    report = judged(world, world.issue_one())
    assert report.verdict is Code.VALID_COMPARE
    assert not closed(report)


def test_the_day_of_issue_counts_and_not_the_judging_day() -> None:
    world = world_of(CONSTRUCTOR, format_day(DAY + 1))
    issued = world.issue_one()
    assert {judged(world, issued, on=day).verdict for day in (DAY, DAY + 1, DAY + 30)} == {Code.KEY_OUT_OF_SCOPE}


def test_the_shipped_rules_open_no_posts_anywhere() -> None:
    world = World()
    for place in (0, SHAANXI):
        report = judged(world, posts(world, place))
        assert report.verdict is Code.KEY_OUT_OF_SCOPE
        (found,) = closed(report)
        assert found.evidence["enabled_from"] == "not-yet"


def test_a_province_that_opens_posts_opens_them_there_alone() -> None:
    world = world_of(FILE, format_day(DAY))
    assert not closed(judged(world, posts(world, SHAANXI)))
    assert closed(judged(world, posts(world, 0)))
