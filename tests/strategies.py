"""Hypothesis strategies shared by the rooms: claims, texts that pass the text rule, digits, hostile bytes."""

import unicodedata

from hypothesis import strategies as st

from mingzheng.formats.claims import Claims, Copy, Sex, Specialty

DAYS = st.integers(min_value=1, max_value=40_000)  # 1970 … 2079
_CHARACTERS = st.sampled_from("张王李赵喆堃燚犇镕珺𬭎䶮𠮷建设集团有限公司ABCxyz0189·-（）")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def texts(most: int = 40) -> st.SearchStrategy[str]:
    """Texts that the text rule of docs/spec/credential.md accepts."""
    return st.text(_CHARACTERS, min_size=1, max_size=most).map(_normal).filter(lambda text: 1 <= len(text) <= most)


@st.composite
def specialties(draw: st.DrawFn) -> tuple[Specialty, ...]:
    """Up to four specialties with rising codes."""
    codes = sorted(draw(st.sets(st.integers(1, 65_535), max_size=4)))
    spans = [sorted((draw(DAYS), draw(DAYS))) for _ in codes]
    return tuple(Specialty(code=c, first_day=s[0], last_day=s[1]) for c, s in zip(codes, spans, strict=True))


@st.composite
def claims(draw: st.DrawFn) -> Claims:
    """Claims inside all bounds of the format, whatever a profile would say of them."""
    return Claims(
        name=draw(texts()),
        sex=draw(st.sampled_from(Sex)),
        birth=draw(st.integers(-25_567, 40_000)),
        kind=draw(st.integers(1, 65_535)),
        jurisdiction=draw(st.sampled_from([0, 11, 21, 31, 61, 82])),
        registration_no=draw(texts()),
        specialties=draw(specialties()),
        certificate_issued_on=draw(DAYS),
        employer=draw(st.none() | texts()),
        registered_until=draw(DAYS),
        copy=draw(st.sampled_from(Copy)),
        purpose=draw(st.none() | texts()),
        issuing_body=draw(st.integers(1, 65_535)),
        sealing_body=draw(st.integers(1, 65_535)),
        serial=draw(st.integers(0, 2**40 - 1)),
        salt=draw(st.binary(min_size=16, max_size=16)),
        image_digest=draw(st.binary(min_size=32, max_size=32)),
        template=draw(st.integers(1, 65_535)),
        copy_issued_on=draw(DAYS),
        usage_until=draw(st.none() | DAYS),
    )


def hostile_texts() -> st.SearchStrategy[str]:
    """What a scanner may hand over: digits of all kinds, addresses, anything."""
    digits = st.text("0123456789", min_size=1, max_size=3_500)
    other_digits = st.text("٠١٢３４５²①", min_size=1, max_size=40)
    address = st.builds("https://{}/v#{}".format, st.text("abc.-@", min_size=1, max_size=20), digits)
    return st.one_of(st.text(), digits, other_digits, address, digits.map(lambda text: f" +{text}\n"))


def hostile_credentials() -> st.SearchStrategy[bytes]:
    """Bytes that begin as a credential does, and bytes that do not."""
    head = st.sampled_from(
        [b"", b"\xd2", b"\xd2\x84", b"\xd2\x84\x4d\xa2\x01\x32\x04\x48", b"\xd2\x84\x43\xa1\x01\x26"]
    )
    return st.builds(lambda first, rest: first + rest, head, st.binary(max_size=600))
