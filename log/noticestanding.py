"""Which notices of an issuer stand on a day, and an extension's body as the rule of `formats.rules_extension`.

Source: docs/spec/notices.md, "Standing" and "Extension". One reading for verifiers and issuers. Pure.
"""

from collections.abc import Mapping

from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_source import Citation, Notice
from mingzheng.log.noticebody import ExtensionBody, Moves, NoticeBody, RetractionBody

__all__ = ["extension_of", "standing_numbers"]


def standing_numbers(bodies: Mapping[int, NoticeBody], day: int) -> list[int]:
    """The numbers of those that no standing retraction has ended by that day, rising."""
    ended: set[int] = set()
    for number in sorted(bodies, reverse=True):  # a retraction has a higher number than what it ends
        body = bodies[number]
        if isinstance(body, RetractionBody) and number not in ended and day >= body.from_day:
            ended.add(body.retracted)
    return sorted(bodies.keys() - ended)


def extension_of(body: ExtensionBody) -> BlanketExtension:
    """The rule of a standing extension: what is retracted is not among the standing ones."""
    title = Notice(key=f"{body.number}", issuer="", title=body.citation, number=None, issued_on=None, note=None)
    return BlanketExtension(
        first_end=body.first_end,
        last_end=body.last_end,
        new_end=body.new_end,
        kinds=body.kinds,
        jurisdictions=body.jurisdictions,
        effective_on=body.effective_day,
        retracted_on=None,
        moves_usage_window=body.moves is Moves.USAGE,
        revives_copies=body.revives,
        citation=Citation(notice=title, clause="", by_analogy_zh=None, by_analogy_en=None),
    )
