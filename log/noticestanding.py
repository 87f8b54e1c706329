"""Which notices of an issuer are void, which stand on a day, and an extension's body as a rule of rules_extension.

Source: docs/spec/notices.md, "Void", "Standing" and "Extension". One reading for verifiers and issuers. Pure.
"""

from collections.abc import Mapping

from mingzheng.formats.rules_extension import BlanketExtension
from mingzheng.formats.rules_source import Citation, Notice
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord
from mingzheng.log.entry import NoticeEntry, kids_of
from mingzheng.log.noticebody import ExtensionBody, Moves, NoticeBody, RetractionBody

__all__ = ["extension_of", "is_void", "standing_numbers"]


def is_void(entry: NoticeEntry, keys: Mapping[Kid, KeyRecord], *, origin: int, index: int | None) -> bool:
    """Whether a key it rests on, the second person's or the first's, counts no more at its place in that log.

    `index` None: not in a log yet. Such a notice holds its number and does nothing, whatever it says.
    """
    records = (keys.get(kid) for kid in kids_of(entry))
    return any(record is None or not record.counts_at(origin=origin, index=index) for record in records)


def standing_numbers(bodies: Mapping[int, NoticeBody], day: int) -> list[int]:
    """The numbers of those that no standing retraction has ended by that day, rising. No void one is among `bodies`."""
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
