"""An office with operators: two of issuer 1, each with a passphrase of their own, and a copy to revoke."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from office import CONSTRUCTORS, DAY, NOW, ORIGIN, Office, person

from mingzheng.formats.claims import Copy
from mingzheng.issuer.approval import Review, approve, ask, review
from mingzheng.issuer.issue import Issued, issue
from mingzheng.issuer.lifecycle import Target, effect_of, find_registration, propose
from mingzheng.issuer.operators import Operator, unlock
from mingzheng.issuer.rows import RequestRow
from mingzheng.issuer.workspace import Foundation, NewOperator, Workspace
from mingzheng.log.acts import ActType

NUMBER = person(1)["registration_no"]
NAMES = ("张三", "李四")


def passphrase(name: str) -> bytes:
    return f"passphrase of {name}".encode()


class OperatorOffice(Office):
    """`Office` whose first issuer has two operators."""

    def build(self) -> "OperatorOffice":
        Workspace.create(
            self.root,
            Foundation(
                demo=True,
                origin=ORIGIN,
                issuers=self.issuers,
                valid_from=DAY - 400,
                valid_until=DAY + 1_000,
                operators=tuple(NewOperator(name=name, passphrase=passphrase(name)) for name in NAMES),
            ),
            self.access,
        )
        return self

    def issue(
        self, rows: Sequence[Mapping[str, str]], *, now: int = NOW, copy: Copy = Copy.USAGE, purpose: str = "投标"
    ) -> tuple[Issued, ...]:
        """As the first of them types it."""
        with self.open() as workspace:
            present(workspace, NAMES[0], now)
            return issue(workspace, self.request(rows, copy=copy, purpose=purpose), out=self.out, now=now)


def operator_office(base: Path) -> OperatorOffice:
    """With two persons who have a copy each."""
    office = OperatorOffice(base, issuers=(CONSTRUCTORS,)).build()
    office.issue([person(1), person(2)])
    return office


def present(workspace: Workspace, name: str, now: int = NOW) -> Operator:
    return unlock(workspace, 1, name, passphrase=passphrase, now=now)


def target_of(workspace: Workspace, number: int = 1) -> Target:
    return find_registration(workspace, kind=1, registration_no=person(number)["registration_no"], issuer=1)


def asked(workspace: Workspace, name: str = NAMES[0], *, number: int = 1, now: int = NOW) -> RequestRow:
    proposal = propose(workspace, ActType.REVOKE, target_of(workspace, number), reason="why", now=now)
    assert proposal is not None
    return ask(workspace, proposal, present(workspace, name, now), now=now)


def approved(workspace: Workspace, row: RequestRow, name: str = NAMES[1], *, now: int = NOW) -> None:
    approve(workspace, row.id, present(workspace, name, now), effects=effect_of, now=now)


def looked_at(workspace: Workspace, row: RequestRow, *, now: int = NOW) -> Review:
    return review(workspace, row.id, effects=effect_of, now=now)
