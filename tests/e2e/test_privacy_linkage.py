"""What the log gives away about people: nothing beyond the cohort (issuer, key, day, kind).

The attacker holds every log entry and, of everybody, the true name, identity number, birth date, kind, employer,
registration number, specialties and download day. The input of the issuing command is sorted by registration number.
Attacks: (1) recompute each entry's identity from what is known, for every person and serial of the cohort; (2) read the
input order off serials and log positions; (3) tell people whose window was cut by age or specialty from the others.
None may do better than a guess within the cohort. The same program, run on a control whose salts are zeros, links
every one: the attack is a real one. Planning and entries are the product's own; nothing is written to disk.
"""

import math
import random
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

import pytest
from conftest import FULL

from mingzheng.formats import cbor
from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import SERIAL_MAX, Claims, Copy, Sex, encode_claims
from mingzheng.formats.cose import protected_header, sig_structure
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.profile import Profile
from mingzheng.issuer.kept import KeptRecord, copy_key, format_kept, image_digest_of, request_key
from mingzheng.issuer.ledger import Ledger
from mingzheng.issuer.plan import Allotment, CopyOrder, plan_copy
from mingzheng.issuer.randomness import SystemRandomness
from mingzheng.issuer.record import ApplicationRecord, RecordSpecialty
from mingzheng.issuer.rows import Order, Registration
from mingzheng.issuer.schema import MIGRATIONS
from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import IssuerRecord
from mingzheng.log.entry import IssueEntry, encode_entry, issue_entry, parse_entry

PEOPLE = 10_000 if FULL else 600
COHORTS = 20 if FULL else 3
KID = Kid(b"\x11" * 8)
PROTECTED = protected_header(int(Alg.ED25519), KID)
ISSUER = IssuerRecord(number=1, name="示范厅", name_en="Demonstration", bodies={1: "示范厅"}, prefixes=())
FIRST_DAY = parse_day("2026-06-01")
CAUSES = ("D180", "AGE65", "SPECIALTY")


@dataclass(frozen=True)
class Person:
    """What the attacker knows of one person."""

    record: ApplicationRecord
    day: int
    cause: str  # what binds the usage window


class ZeroSalt(SystemRandomness):
    """The control: real shuffle, salts that hide nothing."""

    def salt(self) -> bytes:
        return bytes(16)


@cache
def profile() -> Profile:
    found = load_shipped_profiles().select(1, 0, FIRST_DAY)
    assert found is not None
    return found


@cache
def people() -> tuple[Person, ...]:
    """Everybody, sorted by registration number; a third each by what binds their window."""
    drawn = random.Random(7)
    found = []
    for number in range(PEOPLE):
        cause = CAUSES[drawn.randrange(3)]
        day = FIRST_DAY + number * COHORTS // PEOPLE
        birth = parse_day("1961-08-01") if cause == "AGE65" else parse_day("1980-01-01")
        birth += drawn.randrange(60)
        until = day + 30 if cause == "SPECIALTY" else day + 900
        record = ApplicationRecord(
            row=number + 2,
            kind="cn.constructor.1",
            jurisdiction=0,
            name="赵钱孙李"[number % 4] + "甲乙丙丁戊己庚辛"[number % 8],
            sex=Sex.MALE,
            birth=birth,
            id_number=f"{number:018d}",
            registration_no=f"京11120062007{number:05d}",
            specialties=(RecordSpecialty(name="建筑工程", first_day=day - 900, last_day=until),),
            certificate_issued_on=day - 900,
            employer=f"示例第{number % 50}建设有限公司",
            registered_until=day + 900,
            issuing_body="1",
            sealing_body="1",
            photo=None,
            signature_image=None,
            purpose="投标",
        )
        found.append(Person(record=record, day=day, cause=cause))
    return tuple(found)


def claims_of(person: Person, serial: int, salt: bytes) -> Claims:
    """The product's own plan; with a guessed salt, the attacker's."""
    allotment = Allotment(
        serial=serial,
        salt=salt,
        image_digest=image_digest_of(None, None),
        has_photo=True,
        has_signature_image=True,
    )
    order = CopyOrder(copy=Copy.USAGE, purpose="投标", day=person.day)
    return plan_copy(person.record, profile(), issuer=ISSUER, order=order, allotment=allotment).claims


def identity_of(payload: bytes) -> bytes:
    return sha256(sig_structure(PROTECTED, payload)).digest()


def order_of(person: Person) -> Order:
    kept = KeptRecord(record=person.record, photo=None, signature_image=None, reissued=0)
    request = request_key(record=kept.digest, copy=2, purpose="投标", issuer=1)
    return Order(
        key=copy_key(request=request, day=person.day),
        request=request,
        batch=b"b",
        registration=Registration(issuer=1, kind=1, registration_no=person.record.registration_no),
        record_digest=kept.digest,
        record_body=format_kept(kept),
        day=person.day,
        reason="",
        photo=None,
        signature_image=None,
    )


def world(randomness: SystemRandomness) -> tuple[list[IssueEntry], dict[int, Person]]:
    """The log as the attacker reads it, and the truth: who has which serial. One issuing command per day."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statements in MIGRATIONS.values():
        for statement in statements:
            connection.execute(statement)
    ledger = Ledger(connection)
    log: list[bytes] = []
    truth: dict[int, Person] = {}
    by_day: dict[int, list[Person]] = defaultdict(list)
    for person in people():
        by_day[person.day].append(person)
    for group in by_day.values():
        who = {order.key: (person, order) for person in group for order in [order_of(person)]}

        def claims(order: Order, serial: int, salt: bytes, who: dict[bytes, tuple[Person, Order]] = who) -> bytes:
            truth[serial] = who[order.key][0]
            return encode_claims(claims_of(who[order.key][0], serial, salt))

        orders = [order for _, order in who.values()]
        planned = ledger.plan(orders, make_claims=claims, randomness=randomness)
        for row in sorted(planned, key=lambda row: row.serial):  # appended in serial order: issuer.publish
            made = claims_of(truth[row.serial], row.serial, bytes(16))
            entry = issue_entry(made, identity=identity_of(row.claims), kid=KID, issuer=1)
            log.append(encode_entry(entry))
        ledger._db.execute("UPDATE copy SET status = 'void'")  # nothing of a day is found again the next day
    ledger.close()
    entries = [entry for data in log if isinstance(entry := parse_entry(data), IssueEntry)]
    return entries, truth


def cohorts(entries: list[IssueEntry]) -> list[tuple[list[IssueEntry], list[Person]]]:
    """What the attacker starts from: entries and people that share issuer, key, day and kind."""
    by_day: dict[int, list[IssueEntry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.issued_day].append(entry)
    return [(group, [p for p in people() if p.day == day]) for day, group in sorted(by_day.items())]


def around_serial(claims: Claims) -> tuple[bytes, bytes]:
    """The payload before and after its serial: encoding once per person makes the attack twenty times faster."""
    head, _, tail = encode_claims(claims).partition(cbor.encode(SERIAL_MAX))
    assert head + cbor.encode(5) + tail == encode_claims(replace(claims, serial=5))
    return head, tail


def link_by_identity(entries: list[IssueEntry]) -> dict[int, Person]:
    """Attack 1: everything known, every serial, no salt."""
    linked = {}
    for group, known in cohorts(entries):
        wanted = {entry.identity: entry.serial for entry in group}
        for person in known:
            head, tail = around_serial(claims_of(person, SERIAL_MAX, bytes(16)))
            for entry in group:
                if identity_of(head + cbor.encode(entry.serial) + tail) in wanted:
                    linked[entry.serial] = person
    return linked


def link_by_order(entries: list[IssueEntry]) -> dict[int, Person]:
    """Attack 2: the n-th entry of a cohort is the n-th row of the sorted input."""
    linked = {}
    for group, known in cohorts(entries):
        ranked = sorted(known, key=lambda person: person.record.registration_no)
        linked.update({entry.serial: person for entry, person in zip(group, ranked, strict=True)})
    return linked


@pytest.fixture(scope="module")
def real() -> tuple[list[IssueEntry], dict[int, Person]]:
    return world(SystemRandomness())


def test_identities_link_nobody(real: tuple[list[IssueEntry], dict[int, Person]]) -> None:
    entries, _ = real
    assert len(entries) == PEOPLE
    assert link_by_identity(entries) == {}


def test_order_links_no_better_than_a_guess(real: tuple[list[IssueEntry], dict[int, Person]]) -> None:
    entries, truth = real
    linked = link_by_order(entries)
    hits = sum(truth[serial] is person for serial, person in linked.items())
    # one expected hit per cohort (fixed points of a random permutation: Poisson with mean 1 each)
    assert hits <= COHORTS + 6 * math.sqrt(COHORTS) + 3, f"{hits} of {PEOPLE} linked by order"


def test_positions_do_not_follow_registration_numbers(real: tuple[list[IssueEntry], dict[int, Person]]) -> None:
    entries, truth = real
    for group, known in cohorts(entries):
        rank = {person.record.registration_no: at for at, person in enumerate(known)}
        ranks = [rank[truth[entry.serial].record.registration_no] for entry in group]
        correlation = spearman(ranks)
        assert abs(correlation) < 5 / math.sqrt(len(group) - 1), f"rank correlation {correlation:.3f}"


def test_a_window_cut_by_age_or_specialty_shows_nowhere(real: tuple[list[IssueEntry], dict[int, Person]]) -> None:
    entries, truth = real
    # An entry has eight fields; within a cohort only serial and identity differ.
    for group, _ in cohorts(entries):
        assert len({(e.issuer, e.kid, e.kind, e.issued_day) for e in group}) == 1
        by_cause: dict[str, list[int]] = defaultdict(list)
        for place, entry in enumerate(group):
            by_cause[truth[entry.serial].cause].append(place)
        count = len(group)
        for places in by_cause.values():  # mean position: as of a random subset (normal, 5 sigma)
            size = len(places)
            sigma = math.sqrt((count + 1) * (count - size) / (12 * size)) if size < count else 1.0
            assert abs(sum(places) / size - (count - 1) / 2) < 5 * sigma + 1
        assert len(by_cause) == 3


def test_no_known_string_is_in_the_log(real: tuple[list[IssueEntry], dict[int, Person]]) -> None:
    entries, _ = real
    log = b"".join(encode_entry(entry) for entry in entries)
    for person in people()[:: max(1, PEOPLE // 200)]:
        record = person.record
        for text in (record.name, record.registration_no, record.id_number, record.employer):
            assert text is not None
            assert text.encode() not in log


def test_the_same_attack_links_everyone_when_identities_are_unsalted() -> None:
    entries, truth = world(ZeroSalt())
    linked = link_by_identity(entries)
    assert len(linked) == PEOPLE
    assert all(truth[serial] is person for serial, person in linked.items())


def spearman(ranks: list[int]) -> float:
    """Rank correlation of a permutation with its own order."""
    count = len(ranks)
    squares = sum((at - rank) ** 2 for at, rank in enumerate(ranks))
    return 1 - 6 * squares / (count * (count * count - 1))
