"""Bodies of notices for tests: each valid as it stands, any field changed."""

from dataclasses import replace

from simulator import DAY

from mingzheng.log.noticebody import ExtensionBody, Moves, RetiredFormBody, RetractionBody, SealChangeBody


def extension(number: int = 1, **changes: object) -> ExtensionBody:
    """Ends around day 30 become day 90; usage windows stay, old copies stay out."""
    body = ExtensionBody(
        number=number,
        citation="延期通知第一条",
        jurisdictions=(0,),
        kinds=(1,),
        effective_day=DAY,
        first_end=DAY + 30,
        last_end=DAY + 30,
        new_end=DAY + 90,
        moves=Moves.REGISTRATION,
        revives=False,
    )
    return replace(body, **changes)  # type: ignore[arg-type]


def old_form(number: int = 1, *, equal_until: int | None = DAY - 1, **changes: object) -> RetiredFormBody:
    """Copies of the world's default kind and form were equal until yesterday."""
    body = RetiredFormBody(
        number=number,
        citation="某通知第三条",
        jurisdictions=(0,),
        kinds=(1,),
        template=1,
        equal_until=equal_until,
        paper=False,
    )
    return replace(body, **changes)  # type: ignore[arg-type]


def seals(number: int = 1) -> SealChangeBody:
    """A notice without an effect on any verdict."""
    return SealChangeBody(number=number, citation="印章", jurisdictions=(0,), kinds=(1,), from_day=DAY, bodies=(1,))


def retraction(number: int, retracted: int, from_day: int) -> RetractionBody:
    """An earlier notice holds no more from that day on."""
    return RetractionBody(number=number, citation="撤回", retracted=retracted, from_day=from_day)
