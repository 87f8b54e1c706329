"""`mingzheng seal`: whose seals stand on certificates, with which keys, in which order.

Source: docs/workspace.md ("Seals"). Parse, call, print: `sealwork` and `sealtrial` decide. Certificates are read as DER
or PEM, requests are written as PEM. Private keys never leave `keys/`.
"""

import base64
import binascii
import json
import re
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

import mingzheng.issuer.sealrules as sealrules
import mingzheng.issuer.sealwork as sealwork
from mingzheng.formats.civil import MAX_DAY, day_of_time, format_day
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.page import SealShape
from mingzheng.issuer.options import (
    JSON,
    LANG,
    NUMBER,
    SECRET,
    WORKSPACE,
    YES,
    confirm,
    open_workspace,
    options_of,
    read_day,
    read_kinds,
    read_regions,
    time_of,
)
from mingzheng.issuer.places import kind_name
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import WHOLE_PATH, MakerSpec, RuleSpec, SealSpec, TokenSpec
from mingzheng.issuer.sealtrial import make_trial_seals
from mingzheng.issuer.sealwork import Pieces, Place
from mingzheng.issuer.show import Json, Lang
from mingzheng.keys.sealkey import SealAlg
from mingzheng.log.durable import publish

__all__ = ["seal_group"]

MAX_FILE_BYTES: Final = 8 * 1024 * 1024
YEARS: Final = 5
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_ALGS: Final = {"sm2": SealAlg.SM2, "p256": SealAlg.P256, "rsa": SealAlg.RSA}
_ART: Final = {"round": SealShape.CIRCLE, "square": SealShape.SQUARE}

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT: Final = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File for the request. 请求文件。"
)
_PLACE: Final = options_of(
    click.option("--issuer", type=NUMBER, required=True, help="Issuer number. 机构编号。"),
    click.option("--body", type=NUMBER, required=True, help="Number of the body that seals. 机关编号。"),
    click.option(
        "--form", type=click.Choice([str(form) for form in FileForm]), required=True, help="Files it seals. 文件格式。"
    ),
)
_CHAIN: Final = options_of(
    click.option("--chain", type=_FILE, multiple=True, help="Certificates above it, its issuer's first. 上级证书。"),
    click.option("--ca", type=_FILE, help="The CA that issued it, for verifiers to trust. 签发者 CA 证书。"),
)

_TOKEN: Final = options_of(
    click.option("--token-module", help="PKCS #11 library, whole path: the key is in a token. 令牌程序库。"),
    click.option("--token", "token_label", help="Label of the token. 令牌标签。"),
    click.option("--token-key", help="Label of the key in it. 密钥标签。"),
    click.option("--token-key-id", help="Id of the key in it, hexadecimal. 密钥编号。"),
    click.option("--token-pin-env", help="Environment variable with the PIN; asked for if absent. 口令所在环境变量。"),
)


@click.group("seal")
def seal_group() -> None:
    """Seals of the bodies: keys, certificates, order. 印章：密钥、证书与用印次序。"""


@seal_group.command("list")
@WORKSPACE
@JSON
@LANG
def seal_list(workspace: Path, *, as_json: bool, lang: Lang) -> None:
    """List seals, seal makers and rules. 列出印章、制章人与用印规则。

    \b
    mingzheng seal list --workspace W
    """
    with open_workspace(workspace, {}, True) as opened:
        sealing, today = opened.config.sealing, day_of_time(int(time.time()))
    profiles = load_shipped_profiles()
    rows = [_seal_json(seal, today) for seal in sealing.seals]
    rows += [_maker_json(maker) for maker in sealing.makers]
    rows += [_rule_json(rule) for rule in sealing.rules]
    texts = [_seal_text(seal, today, lang) for seal in sealing.seals]
    texts += [_maker_text(maker, lang) for maker in sealing.makers]
    texts += [
        _rule_text(rule, [kind_name(profiles, code, lang) for code in rule.kinds], lang) for rule in sealing.rules
    ]
    for line in (json.dumps(row, ensure_ascii=False) for row in rows) if as_json else texts:
        click.echo(line)
    if not sealing.seals:
        click.echo("没有印章，签发的文件不盖章 / no seals: files are issued unsealed", err=True)


@seal_group.command("request")
@WORKSPACE
@_PLACE
@click.option("--name", help="Name in the seal; the body's if absent. 印章名称。")
@click.option(
    "--art",
    type=click.Choice(list(_ART)),
    default="round",
    show_default=True,
    help="Round for a body, square for a person. 圆章 / 方章。",
)
@click.option("--line", help="Words below the star, such as 专用章. 五角星下的文字。")
@click.option("--code", help="Number on the lower arc. 印章编码。")
@click.option("--alg", type=click.Choice(list(_ALGS)), help="sm2 for ofd; p256 (usual) or rsa for pdf. 算法。")
@click.option("--valid-from", callback=read_day, help="First day; today if absent. 起用日。")
@click.option("--valid-until", callback=read_day, help="Last day; five years if absent. 截止日。")
@_TOKEN
@_OUT
@SECRET
def seal_request(
    workspace: Path, *, issuer: int, body: int, form: str, name: str | None, out: Path, **options: Any
) -> None:
    """Make a key, or use a token's, and the request for its certificate. 生成印章密钥（或用令牌里的）与证书请求。

    \b
    mingzheng seal request --workspace W --issuer 1 --body 1 --form pdf --out pdf.csr
    mingzheng seal request --workspace W --issuer 2 --body 2 --form ofd --art square --name 张三 --out ofd.csr
    mingzheng seal request --workspace W --issuer 1 --body 1 --form pdf --out pdf.csr \\
      --token-module /usr/lib/softhsm/libsofthsm2.so --token seals --token-key body1 --token-pin-env SEAL_PIN
    """
    token = _token_of(options, form)
    today = day_of_time(int(time.time()))
    alg = _ALGS[options["alg"]] if options["alg"] else (SealAlg.P256 if form == FileForm.PDF else SealAlg.SM2)
    first = today if options["valid_from"] is None else options["valid_from"]
    last = today + 365 * YEARS + 1 if options["valid_until"] is None else options["valid_until"]
    with open_workspace(workspace, options) as opened:
        spec = opened.config.issuer(issuer)
        wanted = SealSpec(
            issuer=issuer,
            body=body,
            form=FileForm(form),
            name=name or (spec.bodies.get(body, "") if spec else ""),
            art=_ART[options["art"]],
            line=options["line"],
            code=options["code"],
            alg=alg,
            key=None,
            certificate=None,
            chain=(),
            seal=None,
            picture=None,
            valid_from=first,
            valid_until=last,
            revoked_on=None,
            token=token,
        )
        request = sealwork.request_seal(opened, wanted)
    if request is None:
        click.echo(
            "令牌不给出公钥，没有写出请求：用设备自带的工具生成证书请求，交给 CA，然后 seal install / "
            "the token does not show its public key, no request was written: make it with the device's own tool, "
            "give it to a CA, then `seal install`",
            err=True,
        )
        return
    _write_request(out, request)
    click.echo("把请求交给 CA，然后 seal install / give the request to a CA, then `seal install`", err=True)


@seal_group.command("install")
@WORKSPACE
@_PLACE
@click.option("--certificate", type=_FILE, help="The certificate that came back. 印章证书。")
@_CHAIN
@click.option("--seal", "esl", type=_FILE, help="Electronic seal (.esl), of ofd seals. 电子印章。")
@click.option("--maker", type=_FILE, help="Certificate of the electronic seal's maker. 制章人证书。")
@click.option("--picture", type=_FILE, help="PNG of the seal instead of the drawn one. 印章图片。")
@SECRET
@LANG
def seal_install(workspace: Path, *, issuer: int, body: int, form: str, lang: Lang, **options: Any) -> None:
    """Install certificate, chain, electronic seal or picture. 安装证书、电子印章或图片。

    \b
    mingzheng seal install --workspace W --issuer 1 --body 1 --form pdf --certificate pdf.cer --ca ca.cer
    mingzheng seal install --workspace W --issuer 1 --body 1 --form ofd --seal body.esl --maker maker.cer
    """
    pieces = Pieces(
        certificate=_read_certificate(options["certificate"]),
        chain=_read_chain(options["chain"]),
        authority=_read_certificate(options["ca"]),
        maker=_read_certificate(options["maker"]),
        seal=_read(options["esl"]),
        picture=_read(options["picture"]),
    )
    with open_workspace(workspace, options) as opened:
        spec = sealwork.install_seal(opened, _place(issuer, body, form), pieces)
    today = day_of_time(int(time.time()))
    click.echo(_seal_text(spec, today, lang))
    if _state(spec, today) == "unmade":
        click.echo(
            "还要电子印章：seal make 自制，或 seal install --seal … --maker … 装上外制的 / "
            "now its electronic seal: `seal make`, or `seal install --seal … --maker …` for one made outside",
            err=True,
        )


@seal_group.command("make")
@WORKSPACE
@click.option("--issuer", type=NUMBER, required=True, help="Issuer number. 机构编号。")
@click.option("--body", type=NUMBER, required=True, help="Number of the body that seals. 机关编号。")
@SECRET
@LANG
def seal_make(workspace: Path, *, issuer: int, body: int, lang: Lang, **options: Any) -> None:
    """Make an electronic seal (SES v4) with the workspace's own maker key. 自行制作电子印章。

    \b
    mingzheng seal make --workspace W --issuer 1 --body 1
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, None)
        spec = sealwork.make_electronic_seal(opened, _place(issuer, body, FileForm.OFD), now=now)
    click.echo(_seal_text(spec, day_of_time(now), lang))


@seal_group.command("maker")
@WORKSPACE
@click.option(
    "--request", "out", type=click.Path(dir_okay=False, path_type=Path), help="Make a key; request. 请求文件。"
)
@click.option("--name", help="Name of the maker, with --request. 制章人名称。")
@click.option("--certificate", type=_FILE, help="Install or list a maker's certificate. 制章人证书。")
@_CHAIN
@SECRET
@LANG
def seal_maker(workspace: Path, *, out: Path | None, name: str | None, lang: Lang, **options: Any) -> None:
    """Become a seal maker, or list one that verifiers shall trust. 建立或列入制章人。

    \b
    mingzheng seal maker --workspace W --request maker.csr --name 某省印章制作中心
    mingzheng seal maker --workspace W --certificate maker.cer --ca ca.cer
    """
    certificate = _read_certificate(options["certificate"])
    if (out is None) == (certificate is None) or (out is None) != (name is None):
        raise click.UsageError("给出 --request 与 --name，或 --certificate (--request with --name, or --certificate)")
    with open_workspace(workspace, options) as opened:
        if out is not None:
            _write_request(out, sealwork.request_maker(opened, str(name)))
            click.echo(
                "把请求交给 CA，然后 seal maker --certificate … --ca … / "
                "give the request to a CA, then `seal maker --certificate … --ca …`",
                err=True,
            )
        else:
            chain, authority = _read_chain(options["chain"]), _read_certificate(options["ca"])
            pieces = Pieces(maker=certificate, chain=chain, authority=authority)
            click.echo(_maker_text(sealwork.install_maker(opened, pieces), lang))


@seal_group.command("rule")
@WORKSPACE
@click.option("--issuer", type=NUMBER, required=True, help="Issuer number. 机构编号。")
@click.option("--kind", "kinds", multiple=True, required=True, callback=read_kinds, help="Kind; repeatable. 证书种类。")
@click.option("--jurisdiction", "regions", multiple=True, callback=read_regions, help="Region; repeatable. 地区。")
@click.option(
    "--body",
    "bodies",
    type=int,
    multiple=True,
    required=True,
    help="Who seals, in this order; 0: the sealing body of the record. 用印机关，按次序。",
)
@click.option("--valid-from", callback=read_day, help="First day; today if absent. 生效日。")
@click.option("--valid-until", callback=read_day, help="Last day; open if absent. 截止日。")
@click.option(
    "--replace",
    "replacing",
    is_flag=True,
    help="Take the place of rules from the same or a later day; they are shown first. 取代同日及以后的规则，先列出。",
)
@YES
@SECRET
@LANG
def seal_rule(
    workspace: Path, *, issuer: int, bodies: tuple[int, ...], replacing: bool, lang: Lang, **options: Any
) -> None:
    """Say whose seals a kind bears, in which order. 规定某种证书盖谁的章、什么次序。

    \b
    mingzheng seal rule --workspace W --issuer 1 --kind cn.constructor.1 --body 0
    mingzheng seal rule --workspace W --issuer 2 --kind cn.architect.1 --body 1 --body 2
    mingzheng seal rule --workspace W --issuer 1 --kind cn.constructor.1 --body 0 --replace
    """
    profiles = load_shipped_profiles()

    def text(rule: RuleSpec) -> str:
        return _rule_text(rule, [kind_name(profiles, code, lang) for code in rule.kinds], lang)

    with open_workspace(workspace, options) as opened:
        spec = opened.config.issuer(issuer)
        today = day_of_time(int(time.time()))
        rule = RuleSpec(
            issuer=issuer,
            kinds=options["kinds"],
            jurisdictions=options["regions"] or (spec.jurisdictions if spec else (0,)),
            bodies=bodies,
            valid_from=today if options["valid_from"] is None else options["valid_from"],
            valid_until=MAX_DAY if options["valid_until"] is None else options["valid_until"],
        )
        gone = sealrules.in_the_way(opened, rule) if replacing else ()
        sealrules.rules_with(opened, rule, gone=gone)  # refuses before it asks
        if gone:
            click.echo("将被取代：" if lang == "zh" else "to be replaced:", err=True)
            for other in gone:
                click.echo(text(other), err=True)
            confirm(options["yes"])
        sealrules.add_rule(opened, rule, gone=gone)
    click.echo(text(rule))


@seal_group.command("revoke")
@WORKSPACE
@_PLACE
@click.option("--on", "day", callback=read_day, help="First day it counts no more; today if absent. 失效日。")
@SECRET
@YES
@LANG
def seal_revoke(
    workspace: Path, *, issuer: int, body: int, form: str, day: int | None, yes: bool, lang: Lang, **options: Any
) -> None:
    """Use a seal no more, and tell verifiers. 吊销印章。

    \b
    mingzheng seal revoke --workspace W --issuer 1 --body 1 --form pdf --on 2026-07-01
    """
    today = day_of_time(int(time.time()))
    with open_workspace(workspace, options) as opened:
        confirm(yes)
        spec = sealwork.revoke_seal(opened, _place(issuer, body, form), today if day is None else day)
    click.echo(_seal_text(spec, today, lang))


@seal_group.command("trial")
@WORKSPACE
@SECRET
@LANG
def seal_trial(workspace: Path, *, lang: Lang, **options: Any) -> None:
    """Trial CA, maker, seals and rules for every issuer; demo workspaces only. 一次做好试用印章，仅限演示工作区。

    \b
    mingzheng seal trial --workspace W
    """
    with open_workspace(workspace, options) as opened:
        now = time_of(opened, None)
        made = make_trial_seals(opened, now=now)
    for seal in made:
        click.echo(_seal_text(seal, day_of_time(now), lang))


def _token_of(options: Mapping[str, Any], form: str) -> TokenSpec | None:
    """Where the key is, if it is in a token. Raises a usage error."""
    names = ("token_module", "token_label", "token_key", "token_key_id", "token_pin_env")
    module, label, key, key_id, pin_env = (options[name] for name in names)
    if not any((module, label, key, key_id, pin_env)):
        return None
    if not (module and label and (key or key_id)):
        raise click.UsageError(
            "令牌要写全：--token-module、--token、--token-key 或 --token-key-id "
            "(of a token: --token-module, --token, and --token-key or --token-key-id)"
        )
    if form != FileForm.PDF:
        raise click.UsageError("令牌里的密钥只能用于 pdf 印章 (keys in tokens seal pdf only)")
    if not WHOLE_PATH.match(module):
        raise click.UsageError("--token-module 要写绝对路径 (--token-module: the whole path)")
    try:
        found = bytes.fromhex(key_id) if key_id else None
    except ValueError:
        raise click.UsageError("--token-key-id 是十六进制 (--token-key-id is hexadecimal)") from None
    return TokenSpec(module=module, label=label, key=key, key_id=found, pin_env=pin_env)


def _place(issuer: int, body: int, form: str) -> Place:
    return issuer, body, FileForm(form)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise SealOptionError(f"{path.name} 超过 8 MiB", f"{path.name} is over 8 MiB")
    return data


def _read_certificate(path: Path | None) -> bytes | None:
    """DER of a file that is DER or holds one PEM block."""
    data = _read(path)
    if data is None or not data.lstrip().startswith(b"-----"):
        return data
    blocks = _PEM.findall(data)
    try:
        (block,) = blocks
        return base64.b64decode(b"".join(block.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        name = path.name if path else ""
        raise SealOptionError(f"{name} 里应有一张证书", f"one certificate expected in {name}") from error


def _read_chain(paths: Sequence[Path]) -> tuple[bytes, ...]:
    return tuple(data for path in paths if (data := _read_certificate(path)) is not None)


def _write_request(path: Path, der: bytes) -> None:
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    text = f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"
    if path.exists() and not path.is_file():  # a pipe, a terminal
        path.write_text(text, "ascii")
    else:
        publish(path, text.encode("ascii"), temporary=path.with_name(f".{path.name}.tmp"))


def _state(seal: SealSpec, day: int) -> str:
    if seal.certificate is None:
        return "requested"
    if seal.form is FileForm.OFD and seal.seal is None:
        return "unmade"
    if seal.revoked_on is not None and day >= seal.revoked_on:
        return "revoked"
    return "ready" if seal.ready(day) else "out_of_validity"


_STATES: Final = {
    "requested": ("等证书", "waits for its certificate"),
    "unmade": ("等电子印章", "waits for its electronic seal"),
    "revoked": ("已吊销", "revoked"),
    "ready": ("可用", "ready"),
    "out_of_validity": ("不在有效期内", "not valid today"),
}


def _seal_json(seal: SealSpec, day: int) -> Json:
    return {
        "type": "seal",
        "issuer": seal.issuer,
        "body": seal.body,
        "form": str(seal.form),
        "name": seal.name,
        "state": _state(seal, day),
        "alg": str(seal.alg),
        "key": "file" if seal.token is None else "token",
        "certificate": seal.certificate,
        "valid_from": format_day(seal.valid_from),
        "valid_until": format_day(seal.valid_until),
        "revoked_on": None if seal.revoked_on is None else format_day(seal.revoked_on),
    }


def _seal_text(seal: SealSpec, day: int, lang: Lang) -> str:
    zh, en = _STATES[_state(seal, day)]
    days = f"{format_day(seal.valid_from)} – {format_day(seal.valid_until)}"
    if lang == "zh":
        return f"机构 {seal.issuer} 机关 {seal.body} {seal.form} 印章“{seal.name}”：{zh}，{days}"
    return f"issuer {seal.issuer} body {seal.body} {seal.form} seal “{seal.name}”: {en}, {days}"


def _maker_json(maker: MakerSpec) -> Json:
    return {
        "type": "maker",
        "certificate": maker.certificate,
        "own": maker.key is not None,
        "revoked_on": None if maker.revoked_on is None else format_day(maker.revoked_on),
    }


def _maker_text(maker: MakerSpec, lang: Lang) -> str:
    zh, en = _STATES["requested"]
    name = maker.certificate or (zh if lang == "zh" else en)
    if lang == "zh":
        return f"制章人 {name}{'（本工作区）' if maker.key else ''}"
    return f"seal maker {name}{' (of this workspace)' if maker.key else ''}"


def _rule_json(rule: RuleSpec) -> Json:
    return {
        "type": "rule",
        "issuer": rule.issuer,
        "kinds": list(rule.kinds),
        "jurisdictions": list(rule.jurisdictions),
        "bodies": list(rule.bodies),
        "valid_from": format_day(rule.valid_from),
        "valid_until": None if rule.valid_until == MAX_DAY else format_day(rule.valid_until),
    }


def _rule_text(rule: RuleSpec, kinds: Sequence[str], lang: Lang) -> str:
    first = format_day(rule.valid_from)
    if lang == "zh":
        order = "，然后 ".join("记录中的用章机关" if body == 0 else f"机关 {body}" for body in rule.bodies)
        return f"用印规则：机构 {rule.issuer} {'、'.join(kinds)} 由 {order} 盖章，{first} 起"
    order = ", then ".join("the record's sealing body" if body == 0 else f"body {body}" for body in rule.bodies)
    return f"rule: issuer {rule.issuer}, {', '.join(kinds)}: sealed by {order}, from {first}"
