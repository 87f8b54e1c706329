"""What the commands `mingzheng seal …` do: request, install, make, order, revoke.

Source: docs/workspace.md ("Seals"), GB/T 38540-2020 (seals), RFC 2986 (requests). Keys and files are on disk before
mingzheng.toml names them, so a kill leaves unused files at most. Whatever is installed is checked first: the
certificate is of our key and chains to an authority that verifiers are told of, an electronic seal holds, names the
certificate and comes from a maker that verifiers are told of.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mingzheng.formats.civil import day_of_time, day_start, format_day
from mingzheng.formats.errors import FormatError
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.ofd.seal import SealDesign, make_seal
from mingzheng.formats.ofd.ses import parse_seal
from mingzheng.formats.page import SealShape
from mingzheng.formats.sealart import seal_art_png
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import MakerSpec, SealConfig, SealSpec
from mingzheng.issuer.sealing import ROUND_MM, SQUARE_MM, draw_seal
from mingzheng.issuer.sealrules import check_body
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.certmake import RequestKey, make_csr
from mingzheng.keys.errors import KeysError, SealKeyMismatchError
from mingzheng.keys.sealkey import SealAlg, SealKey
from mingzheng.keys.x509 import Certificate, check_chain, may_sign, parse_certificate, verify_signed

__all__ = [
    "Pieces",
    "Place",
    "electronic_seal",
    "install_maker",
    "install_seal",
    "make_electronic_seal",
    "request_maker",
    "request_seal",
    "revoke_seal",
    "store",
]

Place: TypeAlias = tuple[int, int, FileForm]  # issuer, body, form


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What came back from a certificate authority and a seal maker, as bytes of the files."""

    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    authority: bytes | None = None
    maker: bytes | None = None
    seal: bytes | None = None
    picture: bytes | None = None


def request_seal(workspace: Workspace, wanted: SealSpec) -> bytes | None:
    """Make a key for a seal, name it in mingzheng.toml and return the request for its certificate (DER).

    `wanted` has no key, certificate or seal yet; with a token the key is there already, and None is returned if the
    token does not show its public key: then the device's own tool makes the request. Asked for again before its
    certificate has come, it is the same key. Raises SealOptionError.
    """
    check_body(workspace, wanted.issuer, wanted.body)
    if wanted.valid_from > wanted.valid_until:
        raise SealOptionError("印章的起用日在截止日之后", "the seal's first day is after its last")
    organisation = workspace.config.issuer_records()[wanted.issuer].name
    key: RequestKey | None
    asked = _asked_before(workspace, wanted)
    if asked is not None and asked.key is not None:
        return make_csr(
            subject_cn=wanted.name, subject_o=organisation, key=workspace.seals.private(asked.key, asked.alg)
        )
    if wanted.token is not None:
        key = workspace.seals.request_key(wanted.token)
        if key is not None and key.alg is not wanted.alg:
            raise SealOptionError(
                f"令牌里的密钥是 {key.alg}，用 --alg 写明", f"the token's key is {key.alg}: say so with --alg"
            )
    else:
        owner = f"issuer{wanted.issuer}-seal{wanted.body}-{wanted.form}"
        key, file = workspace.seals.new_key(wanted.alg, owner)
        wanted = replace(wanted, key=file)
    request = None if key is None else make_csr(subject_cn=wanted.name, subject_o=organisation, key=key)
    if asked is None:
        _store(workspace, seals=(*workspace.config.sealing.seals, wanted))
    return request


def request_maker(workspace: Workspace, name: str) -> bytes:
    """Make a key for a maker of electronic seals and return the request for its certificate (DER).

    Asked for again before a certificate has come, it is the same key.
    """
    for waiting in workspace.config.sealing.makers:
        if waiting.certificate is None and waiting.key is not None:
            kept = workspace.seals.private(waiting.key, SealAlg.SM2)
            return make_csr(subject_cn=name, subject_o=name, key=kept)
    private, file = workspace.seals.new_key(SealAlg.SM2, "seal-maker")
    maker = MakerSpec(certificate=None, chain=(), key=file, revoked_on=None)
    request = make_csr(subject_cn=name, subject_o=name, key=private)
    _store(workspace, makers=(*workspace.config.sealing.makers, maker))
    return request


def install_seal(workspace: Workspace, place: Place, pieces: Pieces) -> SealSpec:
    """Put certificate, chain, electronic seal and picture to the newest seal of (issuer, body, form).

    Raises SealOptionError for whatever does not fit.
    """
    spec = _newest(workspace, place)
    if pieces.authority is not None:
        _add_authority(workspace, pieces.authority)
    if pieces.certificate is not None:
        spec = _with_certificate(workspace, spec, pieces.certificate, pieces.chain)
    if pieces.maker is not None:
        install_maker(workspace, pieces)
    if pieces.seal is not None:
        spec = _with_seal(workspace, spec, pieces.seal)
    if pieces.picture is not None:
        _check_picture(pieces.picture)
        spec = replace(spec, picture=workspace.seals.keep(pieces.picture, "picture", "png"))
    return _replace(workspace, spec)


def install_maker(workspace: Workspace, pieces: Pieces) -> MakerSpec:
    """Put the certificate to our own maker's key if it is of that key, else list the maker as one to be trusted."""
    assert pieces.maker is not None  # the callers ask
    if pieces.authority is not None:
        _add_authority(workspace, pieces.authority)
    certificate = _certificate(workspace, pieces.maker)
    _check_chain(workspace, certificate)
    sealing, file = workspace.config.sealing, workspace.seals.keep(pieces.maker, "maker", "cer")
    chain = tuple(workspace.seals.keep(data, "ca", "cer") for data in pieces.chain)
    for maker in sealing.makers:
        if maker.certificate == file:
            return maker
        requested = maker.certificate is None and maker.key is not None
        if requested and workspace.seals.private(str(maker.key), SealAlg.SM2).spki == certificate.spki:
            made = replace(maker, certificate=file, chain=chain)
            _store(workspace, makers=tuple(made if item is maker else item for item in sealing.makers))
            return made
    made = MakerSpec(certificate=file, chain=chain, key=None, revoked_on=None)
    _store(workspace, makers=(*sealing.makers, made))
    return made


def make_electronic_seal(workspace: Workspace, place: Place, *, now: int) -> SealSpec:
    """Make the electronic seal (SES version 4) of an OFD seal with the workspace's own maker key.

    Raises SealOptionError, or what drawing raises.
    """
    spec, maker = _newest(workspace, place), workspace.config.sealing.maker(day_of_time(now))
    if maker is None:
        raise SealOptionError(
            "工作区没有制章人；用 mingzheng seal maker 建立", "the workspace has no seal maker: `mingzheng seal maker`"
        )
    if spec.certificate is None or spec.form is not FileForm.OFD:
        raise SealOptionError("该印章没有已安装的 OFD 证书", "that seal has no certificate for OFD installed")
    made = electronic_seal(workspace, spec, workspace.seals.key(maker), now)
    spec = replace(spec, seal=workspace.seals.keep(made, "seal", "esl"))
    return _replace(workspace, spec)


def revoke_seal(workspace: Workspace, place: Place, day: int) -> SealSpec:
    """Seals of (issuer, body, form) are not used, and not believed, from that day on."""
    return _replace(workspace, replace(_newest(workspace, place), revoked_on=day))


# within


def electronic_seal(workspace: Workspace, spec: SealSpec, maker: SealKey, created: int) -> bytes:
    """SES version 4 of a seal with an installed certificate: its art or its picture, its own days."""
    assert spec.certificate is not None  # the callers ask
    certificate = workspace.seals.file(spec.certificate)
    side = ROUND_MM if spec.art is SealShape.CIRCLE else SQUARE_MM
    if spec.picture is None:
        picture = seal_art_png(draw_seal(spec, load_fonts(workspace.fallback_font())))
    else:
        picture = workspace.seals.file(spec.picture)
    design = SealDesign(
        esid=f"{spec.issuer:05}{spec.body:05}{hashlib.sha256(certificate).hexdigest()[:10]}",
        name=spec.name,
        kind=1 if spec.art is SealShape.CIRCLE else 2,
        picture_type="png",
        picture=picture,
        width_mm=side,
        height_mm=side,
        signers=(certificate,),
        created=created,
        valid_from=day_start(spec.valid_from),
        valid_until=day_start(spec.valid_until + 1) - 1,
    )
    return make_seal(design, maker=maker)


def store(workspace: Workspace, sealing: SealConfig) -> None:
    """Write mingzheng.toml with these tables about seals."""
    workspace.store_config(replace(workspace.config, sealing=sealing))


def _store(
    workspace: Workspace,
    *,
    seals: Sequence[SealSpec] | None = None,
    makers: Sequence[MakerSpec] | None = None,
) -> None:
    sealing = workspace.config.sealing
    sealing = replace(
        sealing,
        seals=sealing.seals if seals is None else tuple(seals),
        makers=sealing.makers if makers is None else tuple(makers),
    )
    store(workspace, sealing)


def _asked_before(workspace: Workspace, wanted: SealSpec) -> SealSpec | None:
    """The seal of this request, if it was made before and waits for its certificate: nothing but its key is new."""
    same = (spec for spec in workspace.config.sealing.seals if replace(spec, key=wanted.key) == wanted)
    return next(same, None)


def _newest(workspace: Workspace, place: Place) -> SealSpec:
    """The seal of that place that was requested last."""
    found = [s for s in workspace.config.sealing.seals if (s.issuer, s.body, s.form) == place]
    if not found:
        raise SealOptionError(
            f"机构 {place[0]} 的机关 {place[1]} 没有 {place[2]} 印章；先用 mingzheng seal request",
            f"body {place[1]} of issuer {place[0]} has no {place[2]} seal: begin with `mingzheng seal request`",
        )
    return found[-1]


def _replace(workspace: Workspace, spec: SealSpec) -> SealSpec:
    """Put it in the stead of the newest seal of its place."""
    seals = list(workspace.config.sealing.seals)
    place = (spec.issuer, spec.body, spec.form)
    number = max(n for n, item in enumerate(seals) if (item.issuer, item.body, item.form) == place)
    seals[number] = spec
    _store(workspace, seals=seals)
    return spec


def _certificate(workspace: Workspace, data: bytes) -> Certificate:
    """A certificate from outside, of a key that signs nothing but seals."""
    try:
        certificate = parse_certificate(data)
    except KeysError as error:
        raise SealOptionError(f"证书读不了（{error.code}）", f"the certificate cannot be read: {error}") from error
    if any(certificate.spki == key.public_key.spki for key in workspace.config.keys):
        raise SealOptionError(
            "这是凭证、回执或办理签名用的密钥的证书；印章要用另外的密钥",
            "the certificate is of a key that signs credentials, acts or the log: seals need keys of their own",
        )
    return certificate


def _add_authority(workspace: Workspace, data: bytes) -> None:
    certificate = _certificate(workspace, data)
    if not certificate.is_ca:
        raise SealOptionError("该证书不是 CA 证书", "that certificate is no CA's")
    sealing, name = workspace.config.sealing, workspace.seals.keep(data, "ca", "cer")
    if name not in sealing.authorities:
        store(workspace, replace(sealing, authorities=(*sealing.authorities, name)))


def _check_chain(workspace: Workspace, certificate: Certificate) -> None:
    """It may sign, and a listed authority issued it: what the table that verifiers get asks for, too."""
    roots = [workspace.seals.certificate(name) for name in workspace.config.sealing.authorities]
    faults = check_chain(certificate, pool=(), roots=roots, at=certificate.not_before)
    if faults:
        raise SealOptionError(
            f"证书不是已列的 CA 签发的（{'、'.join(faults)}）；用 --ca 给出其签发者的证书",
            f"no listed CA issued the certificate ({', '.join(faults)}): give its issuer's with --ca",
        )
    if not may_sign(certificate):
        raise SealOptionError("证书的用途不含签名", "the certificate is not for signing")


def _with_certificate(workspace: Workspace, spec: SealSpec, data: bytes, chain: Sequence[bytes]) -> SealSpec:
    certificate = _certificate(workspace, data)
    _check_key(workspace, spec, certificate)
    _check_chain(workspace, certificate)
    above = tuple(workspace.seals.keep(item, "ca", "cer") for item in chain)
    if spec.certificate is not None:
        if workspace.seals.file(spec.certificate) != data:
            raise SealOptionError(
                "这枚印章已有另一张证书，换下它会使已盖的章失去依据；用 mingzheng seal request 另申请一枚",
                "this seal has another certificate, which its files need: begin with a new `mingzheng seal request`",
            )
        return replace(spec, chain=above or spec.chain)
    named = replace(spec, certificate=workspace.seals.keep(data, "seal", "cer"), chain=above)
    return _narrowed(named, certificate.not_before, certificate.not_after, "证书", "the certificate")


def _narrowed(spec: SealSpec, begin: int, end: int, zh: str, en: str) -> SealSpec:
    """The seal on those of its days that lie wholly within two times. Raises SealOptionError if none does."""
    first = max(spec.valid_from, day_of_time(begin - 1) + 1)
    last = min(spec.valid_until, day_of_time(end + 1) - 1)
    if first > last:
        days = [format_day(day) for day in (day_of_time(begin), day_of_time(end), spec.valid_from, spec.valid_until)]
        raise SealOptionError(
            f"{zh}（{days[0]} – {days[1]}）与印章（{days[2]} – {days[3]}）的有效期没有共同的一天；换一张有效的",
            f"{en} is of {days[0]} – {days[1]}, the seal of {days[2]} – {days[3]}: no day in common",
        )
    return replace(spec, valid_from=first, valid_until=last)


def _check_picture(data: bytes) -> None:
    """A PNG that can be drawn, in whole: found out now, not when a logged copy waits for its seal."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise SealOptionError("印章图片须为 PNG", "the picture of a seal is a PNG")
    try:
        decode_image(data, limits=LIMITS_DEFAULT)
    except FormatError as error:
        raise SealOptionError(
            f"印章图片读不了（{error.code}），可能不完整", f"the picture of the seal cannot be read: {error}"
        ) from error


def _check_key(workspace: Workspace, spec: SealSpec, certificate: Certificate) -> None:
    if spec.token is not None and certificate.key_alg.name == spec.alg.name:
        try:
            workspace.seals.check_token(spec.token, certificate.der)
            return
        except SealKeyMismatchError:
            pass
    elif spec.token is None and workspace.seals.private(str(spec.key), spec.alg).spki == certificate.spki:
        return
    raise SealOptionError("证书不是这枚印章的密钥的", "the certificate is not of this seal's key")


def _with_seal(workspace: Workspace, spec: SealSpec, data: bytes) -> SealSpec:
    """Take an electronic seal that holds, is of this certificate and from a listed maker."""
    if spec.certificate is None or spec.form is not FileForm.OFD:
        raise SealOptionError("该印章没有已安装的 OFD 证书", "that seal has no certificate for OFD installed")
    makers = {workspace.seals.file(maker.certificate) for maker in workspace.config.sealing.makers if maker.certificate}
    try:
        seal = parse_seal(data)
        maker = parse_certificate(seal.maker_certificate)
        verify_signed(maker, algorithm_oid=seal.algorithm, message=seal.signed, signature=seal.signature)
    except (FormatError, KeysError) as error:
        raise SealOptionError(
            f"电子印章不成立（{error.code}）", f"the electronic seal does not hold: {error}"
        ) from error
    if seal.maker_certificate not in makers:
        raise SealOptionError("电子印章的制章人未列；用 --maker 给出其证书", "its maker is not listed: give --maker")
    if workspace.seals.file(spec.certificate) not in seal.info.certs:
        raise SealOptionError("电子印章不是这张证书的", "the electronic seal is not of this certificate")
    narrowed = _narrowed(spec, seal.info.valid_from, seal.info.valid_until, "电子印章", "the electronic seal")
    return replace(narrowed, seal=workspace.seals.keep(data, "seal", "esl"))
