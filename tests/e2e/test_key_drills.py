"""The drills of docs/drills.md, played: every cell of its tables is what the verifier says at that moment.

An authority with a workspace, three witnesses of which two are a quorum, and verifiers who have confirmed the
fingerprint of the trust data: `code` is a print's QR text, `file` the same credential with the full receipt that its
file carries. The clock is set by the test.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from noticebodies import extension, old_form
from office import CONSTRUCTORS, DAY, NOW, Office, person
from operatoroffice import NAMES, OperatorOffice, passphrase
from simulator import World
from tufworld import ALICE, BOB, CAROL, DAVE, EVE, ONLINE, ONLINE2, RELEASE, RELEASE2
from witnessnet import LoopbackWitness

import mingzheng.issuer.approval as approval
import mingzheng.issuer.witnessing as witnessing
from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import CredentialBytes, attach_receipt, parse_credential, sign_credential
from mingzheng.formats.qrtext import to_digits
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.keywork import add_key, compromise_key, lost_copies, lost_notices, retire_key, tell_added
from mingzheng.issuer.lifecycle import find_serial, perform, reissue
from mingzheng.issuer.noticework import asking, effect_of_notice, give, propose
from mingzheng.issuer.operators import unlock
from mingzheng.issuer.publish import token_of
from mingzheng.issuer.refusals import KeyMissingError
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.witnessing import POLICY
from mingzheng.issuer.workspace import LOG, NewOperator, log_vkey
from mingzheng.keys.alg import Alg
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner, Signer
from mingzheng.keys.snapshot import load_store
from mingzheng.keys.trust import Role
from mingzheng.keys.tufclient import FirstRoot, update_store
from mingzheng.keys.tuffetch import DirectorySource
from mingzheng.keys.tufmeta import parse_root
from mingzheng.keys.tufrepo import (
    Holders,
    add_signature,
    current_root,
    install,
    parse_signable,
    publish,
    stage_root,
)
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.block import Block
from mingzheng.log.client import DirectoryFetcher
from mingzheng.log.entry import encode_entry, issue_entry
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.logargs import keys_of_origin
from mingzheng.log.monitor import AuditPlan, audit
from mingzheng.log.noticebody import NoticeBody
from mingzheng.log.policy import QuorumNotMetError
from mingzheng.log.receipt import sign_compact_receipt
from mingzheng.log.refusal import AnchorRefusedError, BehindMemoryError, RestoredBackupError
from mingzheng.log.sequencer import PUBLIC
from mingzheng.verifier.context import Expectations, Judging, TrustSource, VerifyContext, build_context
from mingzheng.verifier.findings import Code, Finding
from mingzheng.verifier.library import load_messages, load_policies
from mingzheng.verifier.pipeline import Met, judge, verdict_for, verify_text

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "drills.md"
POLICIES = ("site", "bid", "audit")
NOTED = (
    Code.RECEIPT_KEY_COMPROMISED,
    Code.LOG_WORD_ONLY,
    Code.LOG_UNWITNESSED,
    Code.DATA_AGED,
    Code.STATUS_REFUSED,
    Code.TRUST_UNSIGNED,
    Code.REGISTRATION_EXTENDED,
)
HOUR = 3_600
A_DAY = 24 * HOUR

Row = tuple[str, str]
Cells = tuple[str, ...]


def table(number: int) -> dict[Row, Cells]:
    """The rows of a drill: (moment, sample) and the cells of the three policies."""
    text = PAGE.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {number}\. .*?(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    rows: dict[Row, Cells] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = [re.match(r"`([a-z-]+)`", cell) for cell in cells[:2]]
        if line.startswith("|") and len(cells) == 5 and all(names):
            moment, sample = (name[1] for name in names if name is not None)
            assert (moment, sample) not in rows
            rows[moment, sample] = tuple(cells[2:])
    return rows


def cell(verdict: Code, findings: Sequence[Finding]) -> str:
    """A verdict and what the tables name beside it."""
    found = {finding.code for finding in findings} - {verdict}
    return " + ".join(f"`{code}`" for code in (verdict, *(code for code in NOTED if code in found)))


class Seen:
    """What verifiers saw, row by row."""

    def __init__(self) -> None:
        self.rows: dict[Row, Cells] = {}

    def add(self, moment: str, sample: str, cells: Sequence[str]) -> None:
        self.rows[moment, sample] = tuple(cells)

    def is_drill(self, number: int) -> None:
        """Exactly the table of that drill."""
        told = table(number)
        for row, cells in self.rows.items():
            assert cells == told.get(row), row
        assert list(told) == list(self.rows)


def contexts_of(source: TrustSource, now: int, expect: Expectations) -> list[VerifyContext]:
    """A verifier's context under each policy; what does not depend on the policy is read once."""
    first, *others = (load_policies()[name] for name in POLICIES)
    context = build_context(
        source, judging=Judging(now=now, at=None, policy=first), expect=expect, messages=load_messages()
    )
    return [context, *(replace(context, policy=policy, blocks_seen=set(), constants={}) for policy in others)]


class Play(Seen):
    """An authority with witnesses, the trust data it exported last, and those who verify with them."""

    def __init__(self, base: Path, *, witnessed: bool = True, office: Office | None = None) -> None:
        super().__init__()
        self.office, self.now = office or Office(base).build(), NOW
        self.store = base / "trust"
        with self.office.open() as workspace:
            self.vkey = parse_vkey(log_vkey(workspace.config))
        self.witnesses: dict[str, LoopbackWitness] = {}
        for name in ("w1", "w2", "w3") if witnessed else ():
            self.hire(name)
        if witnessed:
            self.policy("w1", "w2", "w3")

    # the authority

    def hire(self, name: str) -> None:
        self.witnesses[name] = LoopbackWitness(self.office.base / name, name, Alg.ED25519, now=self.now)
        self.witnesses[name].watch(self.vkey)

    def policy(self, *names: str) -> None:
        lines = "".join(self.witnesses[name].policy_line() for name in names)
        text = f"{lines}group g 2 {' '.join(names)}\nquorum g\n"
        (self.office.root / POLICY).write_text(text, encoding="utf-8")

    def later(self, seconds: int) -> None:
        self.now += seconds
        for witness in self.witnesses.values():
            witness.now = self.now

    def issue(self, number: int) -> CopyRow:
        (issued,) = self.office.issue([person(number)], now=self.now)
        with self.office.open() as workspace:
            return workspace.ledger.copy(issued.row.issuer, issued.row.serial)

    def export(self) -> None:
        self.later(60)
        with self.office.open() as workspace:
            export_trust(workspace, self.store, now=self.now)

    def key(self, role: Role) -> Kid:
        """The first key of that role."""
        with self.office.open() as workspace:
            return next(key.kid for key in workspace.config.keys if key.role is role)

    def thief(self, role: Role) -> Signer:
        """The newest private key of that role, copied."""
        with self.office.open() as workspace:
            spec = [key for key in workspace.config.keys if key.role is role][-1]
            path = self.office.root / "keys" / spec.file
            return self.office.access.vault.load(path, spec.public_key.alg, b"secret")

    def audited(self) -> set[str]:
        """The alarms of the log."""
        trust, name = load_store(self.store).data, self.vkey.name
        fetcher = DirectoryFetcher(self.office.root / LOG / PUBLIC)
        keys = keys_of_origin(trust, name)
        plan = AuditPlan(fetcher=fetcher, keys=keys, trust=trust, state_file=None, receipts_dir=None)
        return {alarm.code for alarm in audit(plan).alarms}

    # those who verify

    def contexts(self) -> list[VerifyContext]:
        stored = load_store(self.store)
        source = TrustSource(data=stored.data, fingerprint=stored.fingerprint, signed=False)
        return contexts_of(source, self.now, Expectations(trust_fingerprint=stored.fingerprint))

    def look(self, moment: str, **samples: bytes | CopyRow) -> None:
        """A row of each sample; of a copy of the ledger two: `…-code` and `…-file`."""
        contexts = self.contexts()
        for name, sample in samples.items():
            token = sample if isinstance(sample, bytes) else token_of(sample)
            text = to_digits(token)
            reports = [verify_text(text, context) for context in contexts]
            shown = name if isinstance(sample, bytes) else f"{name}-code"
            self.add(moment, shown, [cell(report.verdict, report.findings) for report in reports])
            if isinstance(sample, CopyRow):
                assert sample.proof is not None
                self.add(moment, f"{name}-file", [_file(token, sample.proof, context) for context in contexts])

    def close(self) -> None:
        for witness in self.witnesses.values():
            witness.close()


def _file(token: bytes, proof: bytes, context: VerifyContext) -> str:
    judged = judge([Met(data=token, prefix=None)], context, full_receipts=[proof])
    return cell(verdict_for(judged.findings, context), judged.findings)


def forged(row: CopyRow, signer: Signer, **changes: object) -> bytes:
    """Another copy of that person, with a good signature."""
    claims: Claims = replace(parse_claims(row.claims), salt=bytes(16), **changes)  # type: ignore[arg-type]
    return bytes(sign_credential(claims, signer))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not look like a lost witness: those that are lost hang up at once."""
    monkeypatch.setattr(witnessing, "ISSUE_DEADLINE", 60.0)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Play]:
    """Without witnesses."""
    made = Play(tmp_path, witnessed=False)
    yield made
    made.close()


def test_1_an_issuer_key_expires_while_copies_live(play: Play) -> None:
    first = play.key(Role.CREDENTIAL)
    with play.office.open() as workspace:
        add_key(workspace, Role.CREDENTIAL, 1, days=(DAY, DAY + 30), now=NOW)
        retire_key(workspace, first, now=NOW)
    old = play.issue(1)
    play.export()
    play.look("before", old=old)
    play.later(31 * A_DAY)
    with pytest.raises(KeyMissingError):
        play.issue(2)
    play.export()
    late = forged(old, play.thief(Role.CREDENTIAL), serial=9, copy_issued_on=DAY + 31, usage_until=DAY + 40)
    play.look("expired", old=old, late=late)
    with play.office.open() as workspace:
        add_key(workspace, Role.CREDENTIAL, 1, days=(DAY + 31, DAY + 900), now=play.now)
    new = play.issue(2)
    play.look("added", new=new)
    play.export()
    play.look("after", old=old, new=new, late=late)
    with play.office.open() as workspace:
        add_key(workspace, Role.CREDENTIAL, 1, days=(DAY + 32, DAY + 900), now=play.now)
    play.later(A_DAY)
    play.export()
    play.look("ahead", next=play.issue(3))
    play.is_drill(1)


def test_2_an_issuer_key_is_stolen(play: Play) -> None:
    stolen = play.key(Role.CREDENTIAL)
    good = play.issue(1)
    with play.office.open() as workspace:
        size, _ = workspace.log.head()
    late = play.issue(2)
    thief = play.thief(Role.CREDENTIAL)
    false = forged(good, thief, serial=9)
    play.export()
    play.look("before", good=good, late=late, false=false)
    with play.office.open() as workspace:
        add_key(workspace, Role.CREDENTIAL, 1, days=(DAY, DAY + 900), now=play.now)
        said = compromise_key(workspace, stolen, good_size=size, now=play.now)
        assert lost_copies(workspace, said) == (late.serial,)
    play.look("said", good=good, late=late, false=false)
    play.export()
    play.look("exported", good=good, late=late, false=false)
    assert "audit.compromised_key_used" in play.audited()
    with play.office.open() as workspace:
        target = find_serial(workspace, serial=late.serial, issuer=1)
        new = reissue(workspace, target, wanted=None, reason="", now=play.now, out=play.office.out).row
    play.export()
    with play.office.open() as workspace:
        new = workspace.ledger.copy(1, new.serial)
    play.look("reissued", good=good, late=late, new=new, false=false)
    play.is_drill(2)


def unlogged(row: CopyRow, credential: Signer, receipt: Signer) -> bytes:
    """A credential that the log never saw, under a receipt of the log's key: by whoever has both."""
    bare = forged(row, credential, serial=9)
    parsed = parse_credential(bare)
    entry = issue_entry(parse_claims(parsed.payload), identity=parsed.identity, kid=parsed.kid, issuer=row.issuer)
    leaf, block = leaf_hash(encode_entry(entry)), Block(start=4096, end=4098)
    false = sign_compact_receipt(receipt, origin=1, block=block, index=4096, leaf=leaf, hashes=[bytes(32)])
    return bytes(attach_receipt(CredentialBytes(bare), false))


def test_3_the_receipt_key_is_stolen(play: Play) -> None:
    good = play.issue(1)
    false = unlogged(good, play.thief(Role.CREDENTIAL), play.thief(Role.RECEIPT))
    play.export()
    play.look("before", good=good, false=false)
    stolen = play.key(Role.RECEIPT)
    with play.office.open() as workspace:
        compromise_key(workspace, stolen, good_size=0, now=play.now)
    play.export()
    play.look("exported", good=good, false=false)
    new = play.issue(2)
    play.look("issued", new=new)
    play.export()
    play.look("after", good=good, new=new, false=false)
    play.is_drill(3)


def test_4_the_receipt_key_is_stolen_and_there_are_no_witnesses(lonely: Play) -> None:
    play = lonely
    good = play.issue(1)
    false = unlogged(good, play.thief(Role.CREDENTIAL), play.thief(Role.RECEIPT))
    play.export()
    play.look("before", good=good, false=false)
    stolen = play.key(Role.RECEIPT)
    with play.office.open() as workspace:
        compromise_key(workspace, stolen, good_size=0, now=play.now)
    play.export()
    play.look("exported", good=good, false=false)
    for name in ("w1", "w2", "w3"):
        play.hire(name)
    play.policy("w1", "w2", "w3")
    play.export()
    play.look("witnessed", good=good, false=false)
    play.is_drill(4)


def test_5_witnesses_are_lost(play: Play) -> None:
    old = play.issue(1)
    play.export()
    play.witnesses["w3"].down = True
    one = play.issue(2)
    play.export()
    play.look("one", old=old, one=one)
    play.witnesses["w2"].down = True
    new = play.issue(3)
    with pytest.raises(QuorumNotMetError):
        play.export()
    play.look("two", old=old, new=new)
    play.later(2 * A_DAY)
    play.look("days", old=old, new=new)
    play.later(6 * A_DAY)
    play.look("week", old=old, new=new)
    play.hire("w4")
    play.policy("w1", "w2", "w4")
    play.export()
    play.look("replaced", old=old, new=new)
    play.is_drill(5)


class Keepers:
    """A publisher of signed trust data in a directory, and a verifier who updates from it."""

    def __init__(self, base: Path, world: World) -> None:
        self.repo, self.world = base, world

    def root(
        self, keepers: Sequence[InMemorySigner], signers: Sequence[InMemorySigner], **keys: InMemorySigner
    ) -> bool:
        """Stage a root for two of those keepers, let the signers sign it; whether it came into force."""
        first = not self.repo.exists()
        holders = Holders(
            root=tuple(one.public_key for one in keepers),
            threshold=2,
            targets=(keys.get("targets", RELEASE).public_key,),
            targets_threshold=1,
            online=keys.get("online", ONLINE).public_key,
        )
        waiting = stage_root(self.repo, holders, first=first, expires=self.world.now + 365 * A_DAY)
        assert waiting.path is not None
        data, current = waiting.path.read_bytes(), None if first else current_root(self.repo)
        for signer in signers:
            waiting = install(self.repo, add_signature(parse_signable(data), signer, current))
        return waiting.path is None

    def publish(self, *signers: InMemorySigner) -> None:
        self.world.publish_status()
        self.world.generation += 1
        publish(self.repo, self.world.trust_files(), signers=signers or (RELEASE, ONLINE), now=self.world.now)

    @property
    def fingerprint(self) -> str:
        return parse_root((self.repo / "metadata" / "1.root.json").read_bytes()).fingerprint


class Site(Seen):
    """A verifier with a store of signed trust data."""

    def __init__(self, store: Path, world: World) -> None:
        super().__init__()
        self.store, self.world, self.pins = store, world, frozenset[str]()

    def update(self, source: Keepers, *, root: str | None = None) -> str:
        """ok, or the code of the refusal."""
        first = None if root is None else FirstRoot(fingerprint=root)
        place = DirectorySource(source.repo)
        try:
            done = update_store(self.store, place, first=first, pins=self.pins, now=self.world.now)
        except KeysError as error:
            return error.code
        self.pins |= {done.first_root}
        return "ok"

    def look(self, moment: str, text: str) -> None:
        stored = load_store(self.store, pins=self.pins)
        source = TrustSource(
            data=stored.data, fingerprint=stored.fingerprint, signed=stored.signed_by_tuf, expires=stored.expires
        )
        reports = [verify_text(text, context) for context in contexts_of(source, self.world.now, Expectations())]
        self.add(moment, "code", [cell(report.verdict, report.findings) for report in reports])


def test_6_too_few_keepers_of_the_root_are_left(tmp_path: Path) -> None:
    world = World()
    world.demand("group g 2 w1 w2 w3", quorum="g")
    world.cosign("w1", "w2")
    old, site = Keepers(tmp_path / "old", world), Site(tmp_path / "store", world)
    assert old.root([ALICE, BOB, CAROL], [ALICE, BOB])
    text = world.issue_one().text
    world.publish_landmark()
    old.publish()
    assert site.update(old, root=old.fingerprint) == "ok"
    site.look("before", text)
    assert not old.root([ALICE, DAVE, EVE], [ALICE, DAVE, EVE])  # Bob's and Carol's keys are gone
    world.now += 30 * A_DAY
    old.publish()
    assert site.update(old) == "ok"
    site.look("gone", text)
    world.now += 2 * A_DAY
    assert site.update(old) == "tuf.expired"
    site.look("silent", text)
    old.publish()
    assert site.update(old) == "ok"
    world.now += 340 * A_DAY
    with pytest.raises(KeysError, match="expired"):
        old.publish()
    assert site.update(old) == "tuf.expired"
    text = world.issue_one(copy_issued_on=world.day).text
    site.look("ended", text)
    new = Keepers(tmp_path / "new", world)
    assert new.root([DAVE, EVE, ALICE], [DAVE, EVE], targets=RELEASE2, online=ONLINE2)
    world.publish_landmark()
    new.publish(RELEASE2, ONLINE2)
    assert site.update(new) == "tuf.expired"  # the old chain does not lead there
    assert site.update(new, root=new.fingerprint) == "ok"
    site.look("anew", text)
    site.is_drill(6)


def test_7_the_workspace_is_lost_and_restored(play: Play, tmp_path: Path) -> None:
    old = play.issue(1)
    play.export()
    shutil.copytree(play.office.root, tmp_path / "monday")
    new = play.issue(2)
    play.export()
    shutil.copytree(play.office.root, tmp_path / "tuesday")
    anchor = (play.office.root / LOG / PUBLIC / "checkpoint").read_bytes()
    play.look("before", old=old, new=new)
    shutil.rmtree(play.office.root)
    play.later(2 * A_DAY)
    play.look("lost", old=old, new=new)
    shutil.copytree(tmp_path / "monday", play.office.root)
    refuses_to_write(play)
    with play.office.open() as workspace, pytest.raises((AnchorRefusedError, BehindMemoryError)):
        workspace.log.resume_from_anchor(anchor)
    refuses_to_write(play)
    play.look("old-backup", old=old, new=new)
    shutil.rmtree(play.office.root)
    shutil.copytree(tmp_path / "tuesday", play.office.root)
    refuses_to_write(play)
    with play.office.open() as workspace:
        workspace.log.resume_from_anchor(anchor)
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=old.serial, issuer=1), reason="", now=play.now)
    later = play.issue(3)
    play.export()
    play.look("restored", old=old, new=new, later=later)
    play.is_drill(7)


def refuses_to_write(play: Play) -> None:
    """Neither a block nor a checkpoint is signed."""
    before = (play.office.root / LOG / PUBLIC / "checkpoint").read_bytes()
    with pytest.raises((RestoredBackupError, BehindMemoryError)):
        play.issue(3)
    assert (play.office.root / LOG / PUBLIC / "checkpoint").read_bytes() == before


def announce(play: Play, body: NoticeBody, *persons: str) -> None:
    """By the act key; or asked for by one of those persons and approved by the other."""
    play.later(1)
    with play.office.open() as workspace:
        proposal = propose(workspace, 1, lambda number: replace(body, number=number))
        if not persons:
            give(workspace, proposal, reason="通知", now=play.now)
            return
        first, second = (unlock(workspace, 1, name, passphrase=passphrase, now=play.now) for name in persons)
        row = approval.ask(workspace, asking(proposal, reason="通知"), first, now=play.now)
        approval.approve(workspace, row.id, second, effects=effect_of_notice, now=play.now)


def a_false_notice(play: Play, role: Role, persons: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Drill 8 in a workspace whose notices are given by the keys of that role."""
    good = play.issue(1)
    template = parse_claims(good.claims).template
    genuine = extension(first_end=DAY, last_end=DAY + 2_000, new_end=DAY + 2_100)
    false = old_form(template=template)
    play.export()
    play.look("before", good=good)
    with play.office.open() as workspace:
        stolen = [key.kid for key in workspace.config.keys if key.role is role]
        size, _ = workspace.log.head()
    announce(play, genuine, *persons)
    announce(play, false, *persons)
    play.export()
    play.look("posted", good=good)
    with play.office.open() as workspace:
        if not persons:
            add_key(workspace, role, 1, days=(DAY, DAY + 900), now=play.now)
        for kid in stolen:
            said = compromise_key(workspace, kid, good_size=size, now=play.now)
            assert [item.body.number for item in lost_notices(workspace, said)] == [1, 2]
        for name in new:
            person = NewOperator(name=name, passphrase=passphrase(name))
            made = workspace.add_operator(1, person, days=(DAY, DAY + 900))
            authority = workspace.config.key_for(Role.AUTHORITY, 1, DAY)
            assert authority is not None
            tell_added(workspace, made, by=authority, now=play.now)
    play.export()
    play.look("exported", good=good)
    assert "audit.compromised_key_used" in play.audited()
    announce(play, genuine, *new)
    play.export()
    play.look("again", good=good)
    play.is_drill(8)


def test_8_a_stolen_act_key_gives_a_false_notice(play: Play) -> None:
    a_false_notice(play, Role.ACT, (), ())


def test_8_two_stolen_operator_keys_give_a_false_notice(tmp_path: Path) -> None:
    office = OperatorOffice(tmp_path, issuers=(CONSTRUCTORS,)).build()
    play = Play(tmp_path, office=office)
    try:
        a_false_notice(play, Role.OPERATOR, NAMES, ("王五", "赵六"))
    finally:
        play.close()
