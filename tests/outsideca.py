"""A certificate authority outside, and a maker of electronic seals beside it, for tests of what is installed."""

import base64
from dataclasses import replace
from pathlib import Path

from office import DAY, SeededSealVault

from mingzheng.formats.civil import day_start
from mingzheng.formats.ofd.seal import SealDesign, make_seal
from mingzheng.keys import der
from mingzheng.keys.certmake import CA_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import SealAlg, make_seal_key
from mingzheng.keys.x509 import parse_certificate

FIRST, LAST = day_start(DAY - 10), day_start(DAY + 700) - 1


class OutsideCa:
    """A certificate authority that answers requests, and a seal maker beside it."""

    def __init__(self, alg: SealAlg) -> None:
        vault = SeededSealVault(f"outside {alg}")
        self.alg, self.private, self.maker_private = alg, vault.generate(alg), vault.generate(alg)
        self.root = self.certify(self.private.spki, "root", ca=True)
        self.maker = self.certify(self.maker_private.spki, "maker")

    def answer(self, request: Path, name: str = "seal") -> bytes:
        """DER of the certificate for a PEM request; its signature is the request's own business."""
        text = request.read_text("ascii")
        assert text.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
        info = der.parse_der(base64.b64decode("".join(text.splitlines()[1:-1]))).children()[0]
        return self.certify(info.children()[2].raw(), name)

    def seal(self, *certificates: bytes, **changes: object) -> bytes:
        """An electronic seal for these certificates."""
        design = SealDesign(
            esid="33010000000001",
            name="外制印章",
            kind=1,
            picture_type="png",
            picture=PNG,
            width_mm=40,
            height_mm=40,
            signers=certificates,
            created=FIRST,
            valid_from=FIRST,
            valid_until=LAST,
        )
        return make_seal(
            replace(design, **changes),  # type: ignore[arg-type]
            maker=make_seal_key(self.maker_private, certificate=self.maker, chain=()),
        )

    def certify(
        self, spki: bytes, name: str, *, ca: bool = False, not_before: int = FIRST, not_after: int = LAST
    ) -> bytes:
        """DER of a certificate."""
        spec = CertSpec(
            subject_cn=name,
            subject_o="outside",
            spki=spki,
            serial=len(name) + spki[-1] * 256 + 1,
            not_before=not_before,
            not_after=not_after,
            ca=ca,
            **({"key_usage": CA_USAGE} if ca else {}),  # type: ignore[arg-type]
        )
        issuer = None if ca else parse_certificate(self.root)
        return make_certificate(spec, CertIssuer(key=self.private, certificate=issuer))


def _png() -> bytes:
    import io

    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (320, 320), (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((8, 8, 312, 312), outline=(210, 14, 22, 255), width=10)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PNG = _png()
