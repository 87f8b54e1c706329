"""A holder's application as JSON and as a line for people: nothing that names the holder or the certificate. Pure."""

import datetime
from typing import Final

from mingzheng.issuer.rows import Application
from mingzheng.issuer.rules_show import Json

__all__ = ["application_json", "application_text"]

_CHINA: Final = datetime.timezone(datetime.timedelta(hours=8))


def application_json(facts: Application) -> Json:
    """An application without what names the holder."""
    return {
        "sha256": facts.file.hex(),
        "signature_sha256": None if facts.beside is None else facts.beside.hex(),
        "signed_at": _time(facts),
        "time_stamped": facts.is_stamped,
        "bound_by": "identity_number" if facts.by_number else "name",
    }


def application_text(facts: Application, lang: str) -> str:
    """The same on one line."""
    if lang == "zh":
        bound = "姓名和证件号码相符" if facts.by_number else "仅姓名相符（证书未载证件号码）"
        return f"  申请签名于 {_time(facts)}，{bound}，SHA-256 {facts.file.hex()[:16]}"
    bound = (
        "name and identity number agree" if facts.by_number else "the name alone agrees (certificate without number)"
    )
    return f"  application signed {_time(facts)}, {bound}, SHA-256 {facts.file.hex()[:16]}"


def _time(facts: Application) -> str:
    return datetime.datetime.fromtimestamp(facts.signed_at, _CHINA).isoformat()
