"""Rules of sealing beside each other: one ends another for the certificates that both speak of, and for no others."""

from dataclasses import replace
from pathlib import Path

import pytest
from noticebodies import seals
from office import CONSTRUCTORS, DAY, NOW, Office

from mingzheng.formats.civil import MAX_DAY
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.sealconfig import RuleSpec
from mingzheng.issuer.sealrules import add_rule, in_the_way, keep_seal_rules
from mingzheng.issuer.workspace import Workspace

OLD, NEW, LATER = (0,), (1,), (2,)
PLACES = tuple((kind, region) for kind in (1, 2) for region in (0, 31))


def rule(bodies: tuple[int, ...], day: int, kinds: tuple[int, ...], regions: tuple[int, ...]) -> RuleSpec:
    return RuleSpec(issuer=1, kinds=kinds, jurisdictions=regions, bodies=bodies, valid_from=day, valid_until=MAX_DAY)


def seal_change(workspace: Workspace) -> None:
    """From DAY + 5 on, for both kinds in both regions."""
    body = replace(seals(), kinds=(1, 2), jurisdictions=(0, 31), from_day=DAY + 5, bodies=NEW)
    give(workspace, propose(workspace, 1, lambda number: replace(body, number=number)), reason="", now=NOW)


def who_seals(workspace: Workspace, day: int) -> list[tuple[int, ...] | None]:
    """The bodies for each of PLACES."""
    found = (workspace.config.sealing.rule_for(1, kind, region, day) for kind, region in PLACES)
    return [None if one is None else one.bodies for one in found]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    spec = replace(CONSTRUCTORS, kinds=(1, 2), jurisdictions=(0, 31), bodies={1: "一", 2: "二"})
    return Office(tmp_path, issuers=(spec,)).build().open()


@pytest.mark.parametrize("kinds", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("regions", [(0,), (31,), (0, 31)])
def test_a_rule_ends_an_earlier_one_for_its_own_certificates_alone(
    workspace: Workspace, kinds: tuple[int, ...], regions: tuple[int, ...]
) -> None:
    with workspace:
        add_rule(workspace, rule(OLD, DAY, (1, 2), (0, 31)))
        add_rule(workspace, rule(NEW, DAY + 5, kinds, regions))
        assert who_seals(workspace, DAY + 4) == [OLD] * 4
        for day in (DAY + 5, MAX_DAY):
            expected = [NEW if kind in kinds and region in regions else OLD for kind, region in PLACES]
            assert who_seals(workspace, day) == expected


def test_a_seal_change_that_is_late_leaves_a_later_rule_its_certificates_and_no_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rule is written whole, in one write; and never again, in whatever parts it stands."""
    with workspace:
        with monkeypatch.context() as patch:
            patch.setattr("mingzheng.issuer.publish.keep_seal_rules", lambda _: 0)
            seal_change(workspace)
        add_rule(workspace, rule(OLD, DAY, (1, 2), (0, 31)))
        add_rule(workspace, rule(LATER, DAY + 9, (1,), (31,)))
        writes = []
        store = workspace.store_config
        monkeypatch.setattr(workspace, "store_config", lambda config: (writes.append(config), store(config)))
        assert keep_seal_rules(workspace) == 1
        assert len(writes) == 1
        assert who_seals(workspace, DAY + 4) == [OLD] * 4
        assert who_seals(workspace, DAY + 8) == [NEW] * 4
        assert who_seals(workspace, DAY + 9) == [NEW, LATER, NEW, NEW]
        assert keep_seal_rules(workspace) == 0


def test_a_seal_change_whose_rule_ended_in_part_is_neither_made_again_nor_replaced(workspace: Workspace) -> None:
    with workspace:
        seal_change(workspace)
        add_rule(workspace, rule(LATER, DAY + 9, (1,), (31,)))
        assert who_seals(workspace, DAY + 9) == [NEW, LATER, NEW, NEW]
        assert keep_seal_rules(workspace) == 0
        for kinds, regions in (((1,), (31,)), ((2,), (0,))):
            with pytest.raises(SealOptionError, match="retract 1"):
                in_the_way(workspace, rule(OLD, DAY + 5, kinds, regions))
        assert len(in_the_way(workspace, rule(OLD, DAY + 6, (1,), (31,)))) == 1
