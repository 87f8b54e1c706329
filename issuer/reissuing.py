"""The rule of re-issue at the desk: the same function as `mingzheng rules reissue`, with the facts of the ledger.

Spec: docs/profiles.md, Re-issue. What is refused, and the line that says which rule it was. Pure.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from mingzheng.formats.profile import Profile
from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_reissue import Exchange, ReissueAnswer, ReissueFacts, exchange
from mingzheng.issuer.record import ApplicationRecord
from mingzheng.issuer.reissueerrors import ReissueAgeError, ReissueExpiredError, ReissuePendingError
from mingzheng.issuer.rules_show import Json, day_json, outcome_json, sentence
from mingzheng.issuer.standing import as_extended

__all__ = ["check_reissue", "reissue_json", "reissue_of", "reissue_text"]

_INSTEAD: Final = (
    "本类证书的规则没有换领：改为按相同数据、以今天为签发日期另出一份，在用的旧证书一并被取代",
    "the rules of this kind know no exchange: a new copy with the same data and today's date is made instead, and "
    "supersedes all live ones",
)


def reissue_of(
    record: ApplicationRecord, profile: Profile, extensions: Sequence[BlanketExtension], *, on: int, pending: bool
) -> Exchange:
    """What the rule says of a registration with its end where extensions have moved it by that day."""
    moved, _ = as_extended(record, profile, extensions, on=on)
    return exchange(
        profile,
        ReissueFacts(on=on, registered_until=moved.registered_until, pending=pending, birth=record.birth),
    )


def check_reissue(found: Exchange) -> None:
    """Refuse what the rule refuses; without a rule nothing is. Raises a leaf of `reissueerrors`."""
    source = next(step.citation for step in found.trace if step.binding)
    match found.answer:
        case ReissueAnswer.ALLOWED | ReissueAnswer.NO_RULE:
            return
        case ReissueAnswer.REFUSED_EXPIRED:
            raise ReissueExpiredError(source)
        case ReissueAnswer.REFUSED_PENDING:
            raise ReissuePendingError(source)
        case ReissueAnswer.CLOSED_BY_AGE:
            raise ReissueAgeError(source)
        case _ as never:
            assert_never(never)


def reissue_json(found: Exchange) -> Json:
    """As `rules reissue --json` says it."""
    days = {"issued_on": day_json(found.issued_on), "registered_until": day_json(found.registered_until)}
    return outcome_json(found, **days, supersedes=found.supersedes)


def reissue_text(found: Exchange, lang: str) -> str:
    """The answer and the rule that decides, in a line."""
    zh = lang == "zh"
    source = next(step.citation for step in found.trace if step.binding)
    rule = f"依据：{source.text_zh()}" if zh else f"Rule: {source.text_en()}"
    if found.answer is ReissueAnswer.NO_RULE:
        return f"提示：{_INSTEAD[0]}。{rule}" if zh else f"note: {_INSTEAD[1]}. {rule}"
    days = {"issued_on": day_json(found.issued_on), "registered_until": day_json(found.registered_until)}
    return f"{sentence('reissue', str(found.answer), lang, days)} {rule}"
