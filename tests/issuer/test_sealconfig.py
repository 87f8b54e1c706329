"""The tables about seals in mingzheng.toml: read back as written, found by day, every fault named by its place."""

from dataclasses import replace

import pytest
from office import ARCHITECTS, CONSTRUCTORS, ORIGIN

from mingzheng.formats.civil import MAX_DAY
from mingzheng.formats.page import SealShape
from mingzheng.issuer.config import WorkspaceConfig, format_config, parse_config
from mingzheng.issuer.refusals import ConfigError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import FORMATS, NO_SEALS, MakerSpec, RuleSpec, SealConfig, SealSpec, TokenSpec
from mingzheng.keys.sealkey import SealAlg

PDF = SealSpec(
    issuer=2,
    body=1,
    form=FileForm.PDF,
    name="示范注册建筑师管理委员会",
    art=SealShape.CIRCLE,
    line="专用章",
    code="3100000000017",
    alg=SealAlg.P256,
    key="a.pem",
    certificate="a.cer",
    chain=("c.cer",),
    seal=None,
    picture="a.png",
    valid_from=100,
    valid_until=200,
    revoked_on=180,
)
OFD = replace(
    PDF,
    form=FileForm.OFD,
    line=None,
    code=None,
    alg=SealAlg.SM2,
    key="b.pem",
    certificate="b.cer",
    seal="b.esl",
    picture=None,
    revoked_on=None,
)
TOKEN = TokenSpec(module="/usr/lib/p11.so", label="印章", key="a", key_id=b"\x01\xff", pin_env="SEAL_PIN")
IN_TOKEN = replace(PDF, key=None, token=TOKEN, certificate="t.cer", valid_from=300, valid_until=400, revoked_on=None)
PENDING = replace(OFD, body=2, art=SealShape.SQUARE, key="d.pem", certificate=None, chain=(), seal=None)
RULE = RuleSpec(issuer=2, kinds=(3,), jurisdictions=(0,), bodies=(0, 2), valid_from=100, valid_until=MAX_DAY)
SEALING = SealConfig(
    forms=FORMATS["both"],
    authorities=("c.cer",),
    makers=(
        MakerSpec(certificate="m.cer", chain=("c.cer",), key="m.pem", revoked_on=None),
        MakerSpec(certificate="n.cer", chain=(), key=None, revoked_on=150),
        MakerSpec(certificate=None, chain=(), key="o.pem", revoked_on=None),
    ),
    time_stamps="https://tsa.example.cn/tsp",
    evidence=("ca.cer", "ca.crl"),
    seals=(PDF, OFD, PENDING, IN_TOKEN),
    rules=(RULE, replace(RULE, issuer=1, kinds=(1, 2), bodies=(1,), valid_until=300)),
)
CONFIG = WorkspaceConfig(
    demo=True, origin=ORIGIN, issuers=(CONSTRUCTORS, ARCHITECTS), keys=(), defaults={}, sealing=SEALING
)
TEXT = format_config(CONFIG).decode()


def test_reads_back_what_it_writes() -> None:
    assert parse_config(TEXT.encode()) == CONFIG
    plain = replace(CONFIG, sealing=NO_SEALS)
    assert parse_config(format_config(plain)) == plain
    assert b"seal" not in format_config(plain)


def test_a_seal_is_ready_from_its_first_day_to_its_last_and_not_from_its_revocation_on() -> None:
    assert [OFD.ready(day) for day in (99, 100, 200, 201)] == [False, True, True, False]
    assert [PDF.ready(day) for day in (100, 179, 180, 200)] == [True, True, False, False]
    assert not replace(OFD, seal=None).ready(150)
    assert not PENDING.ready(150)


def test_the_newest_ready_seal_of_body_and_form_is_taken() -> None:
    newer = replace(OFD, key="e.pem", certificate="e.cer", valid_from=150)
    config = replace(SEALING, seals=(replace(OFD, key="z.pem"), OFD, newer, PDF))
    assert config.seal_for(2, 1, FileForm.OFD, 149) == OFD
    assert config.seal_for(2, 1, FileForm.OFD, 150) == newer
    assert config.seal_for(2, 1, FileForm.OFD, 201) is None
    assert config.seal_for(2, 2, FileForm.OFD, 150) is None
    assert config.seal_for(1, 1, FileForm.OFD, 150) is None


def test_a_key_in_a_token_seals_for_one_body_of_an_issuer() -> None:
    """The same body may use it again, with a new certificate."""
    assert TOKEN.label in TEXT
    again = replace(IN_TOKEN, certificate="u.cer")
    for second, good in ((again, True), (replace(again, body=2), False), (replace(again, issuer=1), True)):
        config = replace(CONFIG, sealing=replace(SEALING, seals=(IN_TOKEN, second)))
        if good:
            assert parse_config(format_config(config)) == config
        else:
            with pytest.raises(ConfigError):
                parse_config(format_config(config))
    assert replace(SEALING, seals=(IN_TOKEN, again)).seal_for(2, 1, FileForm.PDF, 300) == again


def test_the_own_maker_has_key_and_certificate_and_is_not_revoked() -> None:
    assert SEALING.maker(150) == SEALING.makers[0]
    revoked = replace(SEALING.makers[0], revoked_on=150)
    assert replace(SEALING, makers=(revoked,)).maker(149) == revoked
    assert replace(SEALING, makers=(revoked, *SEALING.makers[1:])).maker(150) is None


def test_a_rule_is_found_by_issuer_kind_region_and_day() -> None:
    assert SEALING.rule_for(2, 3, 0, 100) == RULE
    assert SEALING.rule_for(2, 3, 0, 99) is None
    assert SEALING.rule_for(1, 2, 0, 301) is None
    assert SEALING.is_ruled(1, 2, 0)
    assert not SEALING.is_ruled(1, 3, 0)
    assert not SEALING.is_ruled(2, 3, 31)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('format = "both"', 'format = "docx"', "documents.format"),
        ('format = "both"', 'format = "both"\nmore = 1', "documents.more"),
        ("https://tsa", "ftp://tsa", "documents.time_stamps"),
        ('time_stamps = "https://tsa.example.cn/tsp"\n', "", "documents.evidence"),
        ('"ca.cer", "ca.crl"', '"ca.crl", "ca.crl"', "documents.evidence"),
        ('"ca.cer", "ca.crl"', '"../ca.crl"', "documents.evidence"),
        ('valid_from = "1970-10-28"', 'valid_from = "1971-10-28"', "seal[3].valid_until"),
        ('art = "square"', 'art = "star"', "seal[2].art"),
        ('form = "pdf"', 'form = "png"', "seal[0].form"),
        ('alg = "ecdsa-p256-sha256"', 'alg = "sm2-sm3"', "seal[0].alg"),
        ('key = "a.pem"', 'key = "../a.pem"', "seal[0].key"),
        ("token = {", 'key = "t.pem"\ntoken = {', "seal[3].key"),
        ('key = "a.pem"\n', "", "seal[0].key"),
        ('key = "b.pem"', 'token = { module = "/a.so", label = "a", key = "a" }', "seal[1].token"),
        ('module = "/usr/lib/p11.so"', 'module = "p11.so"', "seal[3].token.module"),
        ('key = "a", id = "01ff"', 'key = "a", id = "01f"', "seal[3].token.id"),
        (', key = "a", id = "01ff"', "", "seal[3].token.key"),
        ('pin_env = "SEAL_PIN"', 'pin_env = "271828"', "seal[3].token.pin_env"),
        ('pin_env = "SEAL_PIN"', 'pin = "271828"', "seal[3].token.pin"),
        ('seal = "b.esl"', 'seal = ".b.esl"', "seal[1].seal"),
        ('chain = ["c.cer"]', 'chain = ["x/c.cer"]', "seal_maker[0].chain"),
        ('key = "b.pem"', 'key = "a.pem"', "seal"),
        ('certificate = "b.cer"', 'certificate = "a.cer"', "seal"),
        ('certificate = "n.cer"', 'certificate = "m.cer"', "seal_maker"),
        ('certificate = "n.cer"\n', "", "seal_maker"),
        ("body = 2", "body = 9", "seal.body"),
        ("bodies = [0, 2]", "bodies = [0, 9]", "seal_rule.bodies"),
        ("bodies = [0, 2]", "bodies = []", "seal_rule[0].bodies"),
        ("bodies = [0, 2]", "bodies = [0, 1, 2, 3, 4]", "seal_rule[0].bodies"),
        ("bodies = [0, 2]", "bodies = [2, 2]", "seal_rule[0]"),
        ("bodies = [0, 2]", 'bodies = ["0"]', "seal_rule[0].bodies"),
        ("kinds = [3]\njurisdictions = [0]\nbodies", "kinds = []\njurisdictions = [0]\nbodies", "seal_rule[0]"),
        ('valid_until = "1970-10-28"', 'valid_until = "1970-02-01"', "seal_rule[1]"),
        ("issuer = 1\nkinds = [1, 2]", "issuer = 2\nkinds = [1, 3]", "seal_rule[1]"),
    ],
)
def test_faults_are_named_by_their_place(old: str, new: str, where: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        parse_config(TEXT.replace(old, new, 1).encode())
    assert caught.value.where == where
