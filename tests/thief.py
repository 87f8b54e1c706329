"""Somebody with the office's keys who writes to its log around its ledger."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from office import DAY, NOW, Office

from mingzheng.issuer.publish import sign_act, sign_key_event, sign_notice
from mingzheng.issuer.rows import NOTICE_ACT, NewAct
from mingzheng.issuer.schema import CopyStatus
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import Role
from mingzheng.log.acts import ActType
from mingzheng.log.entry import IssueEntry, KeyEventEntry, KeyEventType, encode_entry
from mingzheng.log.noticebody import NoticeBody
from mingzheng.log.noticebody import encode_body as encode_notice
from mingzheng.log.rounds import Submission


def submitted(workspace: Workspace, entry: bytes, *, now: int = NOW + 5) -> int:
    key = hashlib.sha256(entry).digest()
    (index,) = workspace.issuing_log.submit([Submission(key=key, entry=entry)], now=now)
    return index


def acts(workspace: Workspace, act: ActType, serials: Sequence[int], *, now: int = NOW + 5) -> int:
    """Where in the log it stands."""
    number = workspace.issuing_log.next_act_number(1)
    return submitted(workspace, sign_act(workspace, _new(int(act), serials), number), now=now)


def gives(workspace: Workspace, body: NoticeBody, *, now: int = NOW + 5) -> int:
    row = workspace.issuing_log.issuer_row(1)
    body = replace(body, number=row.next_notice)
    new = _new(NOTICE_ACT + int(body.notice), ())
    return submitted(workspace, sign_notice(workspace, new, row.next_act, encode_notice(body)), now=now)


def issues(workspace: Workspace, serial: int, *, now: int = NOW + 5) -> int:
    kid = workspace.signer(Role.CREDENTIAL, 1, DAY).public_key.kid
    entry = IssueEntry(issuer=1, kid=kid, kind=1, serial=serial, identity=bytes(32), issued_day=DAY)
    return submitted(workspace, encode_entry(entry), now=now)


def retires(workspace: Workspace, kid: Kid, *, now: int = NOW + 5) -> int:
    event = KeyEventEntry(
        issuer=1,
        kid=workspace.signer(Role.AUTHORITY, 1, DAY).public_key.kid,
        act_number=workspace.issuing_log.next_act_number(1),
        event=KeyEventType.RETIRED,
        subject_kid=kid,
        day=DAY,
        sizes=(),
        signature=bytes(64),
    )
    return submitted(workspace, sign_key_event(workspace, event), now=now)


def key_of(office: Office, role: Role) -> Kid:
    with office.open() as workspace:
        return key_of_config(workspace, role)


def key_of_config(workspace: Workspace, role: Role) -> Kid:
    """The first one of issuer 1."""
    return next(key.kid for key in workspace.config.keys if (key.role, key.issuer) == (role, 1))


def _new(act: int, serials: Sequence[int]) -> NewAct:
    return NewAct(issuer=1, act=act, serials=tuple(serials), day=DAY, reason="", status=CopyStatus.LIVE)
