"""Trial seals: a certificate authority, a maker and seals for every issuer in one go, for demos and tests only.

Every certificate and every round seal says 试用 (trial). The authorities' keys are used once and never kept, so nobody
can add a seal to them later; the maker's key is kept, so that `seal make` can be tried, too. Source: docs/workspace.md.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats.civil import MAX_DAY, day_of_time, day_start, parse_day
from mingzheng.formats.library import read_shipped_templates
from mingzheng.formats.page import SealShape
from mingzheng.formats.template import parse_templates
from mingzheng.issuer.places import kind_name
from mingzheng.issuer.refusals import SealOptionError
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import SEALING_BODY, MakerSpec, RuleSpec, SealSpec
from mingzheng.issuer.sealwork import electronic_seal, store
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.certmake import CA_USAGE, SEAL_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import SealAlg, SealPrivate
from mingzheng.keys.x509 import Certificate, parse_certificate

__all__ = ["make_trial_seals"]

TRIAL: Final = "试用"
TRIAL_FROM: Final = parse_day("2000-01-01")  # a demo may act on past days
TRIAL_YEARS: Final = 5
_ALGS: Final = {FileForm.PDF: SealAlg.P256, FileForm.OFD: SealAlg.SM2}
_NAME_MAX: Final = 48  # of a certificate's name, the mark left out


def make_trial_seals(workspace: Workspace, *, now: int) -> tuple[SealSpec, ...]:
    """Seals and rules for every issuer and kind that has no rule yet; running it again adds what is missing.

    A kind whose page has further places for seals gets the issuer's last bodies there. Raises DemoOnlyError outside a
    demo workspace, SealOptionError if an issuer has too few bodies.
    """
    workspace.check_as_of()
    trial = _Trial(workspace, now)
    for issuer in workspace.config.issuers:
        for kind in issuer.kinds:
            trial.cover(issuer.number, kind)
    return trial.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authority:
    """A root: its key lives as long as this run."""

    private: SealPrivate
    certificate: Certificate
    file: str


class _Trial:
    """One run; nothing is named in mingzheng.toml before `finish`."""

    def __init__(self, workspace: Workspace, now: int) -> None:
        self._workspace, self._vault = workspace, workspace.seals
        self._now, self._last = now, day_of_time(now) + TRIAL_YEARS * 366
        self._issuers = {spec.number: spec for spec in workspace.config.issuers}
        self._templates = parse_templates(read_shipped_templates().values())
        self._roots: dict[SealAlg, _Authority] = {}
        self._maker: MakerSpec | None = None
        self._seals: list[SealSpec] = []
        self._rules: list[RuleSpec] = []

    def cover(self, issuer: int, kind: int) -> None:
        """Seals and a rule for one kind of an issuer, unless a rule is there."""
        sealing, spec = self._workspace.config.sealing, self._issuers[issuer]
        regions = tuple(place for place in spec.jurisdictions if not sealing.is_ruled(issuer, kind, place))
        shapes = self._shapes(kind, regions)
        if not shapes:
            return
        bodies = sorted(spec.bodies)
        if len(bodies) < len(shapes):
            zh, en = (kind_name(self._workspace.profiles(), kind, lang) for lang in ("zh", "en"))
            raise SealOptionError(
                f"机构 {issuer} 的机关有 {len(bodies)} 个，{zh} 要 {len(shapes)} 枚不同机关的印章；"
                f'在 mingzheng.toml 的 [issuers.bodies] 中加上 {max(bodies) + 1} = "名称"，或去掉这个种类',
                f"issuer {issuer}: {en} takes the seals of {len(shapes)} bodies, {len(bodies)} named; add "
                f'{max(bodies) + 1} = "name" to [issuers.bodies] of mingzheng.toml, or take the kind out',
            )
        others = bodies[len(bodies) - len(shapes) + 1 :]
        for body in bodies:
            shape = shapes[1 + others.index(body)] if body in others else shapes[0]
            for form in FileForm:
                self._seal(issuer, body, form, shape)
        rule = RuleSpec(
            issuer=issuer,
            kinds=(kind,),
            jurisdictions=regions,
            bodies=(SEALING_BODY, *others),
            valid_from=TRIAL_FROM,
            valid_until=MAX_DAY,
        )
        self._rules.append(rule)

    def finish(self) -> tuple[SealSpec, ...]:
        """Name everything in mingzheng.toml; the seals made."""
        sealing = self._workspace.config.sealing
        made = replace(
            sealing,
            authorities=(*sealing.authorities, *(root.file for root in self._roots.values())),
            makers=(*sealing.makers, *((self._maker,) if self._maker else ())),
            seals=(*sealing.seals, *self._seals),
            rules=(*sealing.rules, *self._rules),
        )
        if self._rules:
            store(self._workspace, made)
        return tuple(self._seals)

    def _shapes(self, kind: int, regions: tuple[int, ...]) -> tuple[SealShape, ...]:
        """The shapes of the places for seals on the page of that kind today; none if no rules govern it."""
        today = day_of_time(self._now)
        for region in regions:
            profile = self._workspace.profiles().select(kind, region, today)
            if profile is not None:
                count = len(profile.seals_on(today)) or 1
                return tuple(place.shape for place in self._templates[profile.template].seals[:count])
        return ()

    def _seal(self, issuer: int, body: int, form: FileForm, shape: SealShape) -> None:
        every = (*self._workspace.config.sealing.seals, *self._seals)
        if any((seal.issuer, seal.body, seal.form) == (issuer, body, form) for seal in every):
            return
        name = self._issuers[issuer].bodies[body]
        root = self._root(_ALGS[form])
        private, key = self._vault.new_key(_ALGS[form], f"issuer{issuer}-seal{body}-{form}")
        certificate = self._certificate(root, private, name, name)
        spec = SealSpec(
            issuer=issuer,
            body=body,
            form=form,
            name=name,
            art=shape,
            line=TRIAL if shape is SealShape.CIRCLE else None,
            code=None,
            alg=_ALGS[form],
            key=key,
            certificate=self._vault.keep(certificate, "seal", "cer"),
            chain=(root.file,),
            seal=None,
            picture=None,
            valid_from=TRIAL_FROM,
            valid_until=self._last,
            revoked_on=None,
        )
        if form is FileForm.OFD:
            made = electronic_seal(self._workspace, spec, self._vault.key(self._own_maker()), day_start(TRIAL_FROM))
            spec = replace(spec, seal=self._vault.keep(made, "seal", "esl"))
        self._seals.append(spec)

    def _own_maker(self) -> MakerSpec:
        there = self._workspace.config.sealing.maker(day_of_time(self._now)) or self._maker
        if there is not None:
            return there
        root = self._root(SealAlg.SM2)
        private, key = self._vault.new_key(SealAlg.SM2, "seal-maker")
        certificate = self._certificate(root, private, "印章制作", "mingzheng")
        file = self._vault.keep(certificate, "maker", "cer")
        self._maker = MakerSpec(certificate=file, chain=(root.file,), key=key, revoked_on=None)
        return self._maker

    def _root(self, alg: SealAlg) -> _Authority:
        if alg not in self._roots:
            private = self._vault.throwaway(alg)
            data = self._certificate(None, private, f"印章根证书 {alg.name}", "mingzheng")
            file = self._vault.keep(data, "ca", "cer")
            self._roots[alg] = _Authority(private=private, certificate=parse_certificate(data), file=file)
        return self._roots[alg]

    def _certificate(self, root: _Authority | None, private: SealPrivate, name: str, organisation: str) -> bytes:
        spec = CertSpec(
            subject_cn=f"{name[:_NAME_MAX]}（{TRIAL} TRIAL）",
            subject_o=organisation[:_NAME_MAX],
            spki=private.spki,
            serial=secrets.randbits(120) | 1 << 120,
            not_before=day_start(TRIAL_FROM),
            not_after=day_start(self._last + 1) - 1,
            ca=root is None,
            path_len=0 if root is None else None,
            key_usage=CA_USAGE if root is None else SEAL_USAGE,
        )
        issuer = CertIssuer(key=private) if root is None else CertIssuer(key=root.private, certificate=root.certificate)
        return make_certificate(spec, issuer)
