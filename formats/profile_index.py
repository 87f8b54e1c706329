"""Heads of the shipped profile files by digest, so that a command reads only the files it needs.

Source: docs/make_profiles.py, which reads every file whole before it writes it down here; a test compares. Bytes that
are not here word for word are not known, whatever their name. Pure.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

__all__ = ["KnownFile", "known_file", "known_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """The head of a shipped file; `base`: name of the file that an overlay rests on, None of a complete file."""

    name: str
    id: str
    code: int
    jurisdiction: int
    effective_from: int
    effective_until: int | None
    base: str | None


def known_file(data: bytes) -> KnownFile | None:
    """The head of a file with these very bytes, if it ships."""
    return _BY_DIGEST.get(hashlib.sha256(data).hexdigest())


def known_files() -> tuple[KnownFile, ...]:
    """All of them, in the order of their names."""
    return tuple(_BY_DIGEST.values())


def _known(name: str, _digest: str, code: int, first: int, last: int | None, base: str | None) -> KnownFile:
    kind, _, place = name.rpartition(".")
    return KnownFile(
        name=name,
        id=kind,
        code=code,
        jurisdiction=int(place),
        effective_from=first,
        effective_until=last,
        base=base,
    )


# Written by docs/make_profiles.py: name, SHA-256, code, first and last day, base of an overlay.
_ROWS: Final[tuple[tuple[str, str, int, int, int | None, str | None], ...]] = (
    (
        "cn.architect.1.0",
        "ee1040346a4a2d6a7aa50a20c0f240085b9869bcf45b1ef9a4acebe93bf82d99",
        3,
        18840,
        None,
        None,
    ),
    (
        "cn.architect.2.0",
        "da60b865485664c811fa97ef5a7307465596ae49ab649581f5fcbae34d461410",
        4,
        17836,
        None,
        None,
    ),
    (
        "cn.architect.2.31",
        "38b1e3b28c3bffda31504d4a140a26062c68fb37988e1e532235fbaacfd73de4",
        4,
        19170,
        None,
        "cn.architect.2.0",
    ),
    (
        "cn.architect.2.61",
        "49f141748757f43dd8becd4bbc42a8bea5619faf4adc389728879b9cbdf4e08a",
        4,
        17836,
        None,
        "cn.architect.2.0",
    ),
    (
        "cn.constructor.1.0",
        "3bbacb8cba8523776e2bf652ad5aa308e736310ac7ebe6667505cf43aa4c74ff",
        1,
        18659,
        None,
        None,
    ),
    (
        "cn.constructor.1.11",
        "75f09a98df797474a4b1620e43395cddc3f76128597e68d775705578d124d31c",
        1,
        18659,
        None,
        "cn.constructor.1.0",
    ),
    (
        "cn.constructor.1.31",
        "cc1ee9cba5fc827ab199ec97e214afd3138995629734c3d142e9853cad4f1a5d",
        1,
        18659,
        None,
        "cn.constructor.1.0",
    ),
    (
        "cn.constructor.1.33",
        "98220331023a9ca7f0264f21cfe4a59308b5efc2f8c0c9ae041b34fe515bf146",
        1,
        18659,
        None,
        "cn.constructor.1.0",
    ),
    (
        "cn.constructor.1.46",
        "34003652d2bc492800a5b28111a6568ddab973e5501952dc568fc81ab62693ac",
        1,
        18659,
        None,
        "cn.constructor.1.0",
    ),
    (
        "cn.constructor.2.0",
        "0fc8993bfb17f4cf42da04fc694a4543e815a75655710fb8b9540b8ea6499696",
        2,
        17836,
        None,
        None,
    ),
    (
        "cn.constructor.2.21",
        "c26479c4f7de3c72fc91aba91584f89371d0776c78c844a659a54d8f26aceba8",
        2,
        19058,
        None,
        "cn.constructor.2.0",
    ),
    (
        "cn.constructor.2.31",
        "d43de49ef33e900f4bd64669eeffdbe53de046c78c6de53a8a03f377ce3b0f37",
        2,
        19170,
        None,
        "cn.constructor.2.0",
    ),
    (
        "cn.constructor.2.61",
        "38c20a9dc87d518fb66616282aa1097e7bd440447a58321b41a695112d28a056",
        2,
        17836,
        None,
        "cn.constructor.2.0",
    ),
    (
        "cn.post-training.0",
        "4a63350792aba9133efbe3f1e29b657656726c255c915c2e7c897797c3caef70",
        8,
        17836,
        None,
        None,
    ),
    (
        "cn.post-training.61",
        "50f61f175ecb2cd1630e8a6b502585e0868367b887bf079cb335ab0e1c06168c",
        8,
        17836,
        None,
        "cn.post-training.0",
    ),
    (
        "cn.safety.0",
        "cd90f1cde247f6e4a264f883a98023747ba077dc77b336fad4ee96ee03c32c66",
        6,
        17836,
        None,
        None,
    ),
    (
        "cn.safety.61",
        "c569c881a56c35a4a9d55ec3b64a960d96ff659a8e7206e2d5009f8827a4f964",
        6,
        17836,
        None,
        "cn.safety.0",
    ),
    (
        "cn.special-operation.0",
        "7354ae33b0edaff0ccd9e98365880402458c28f697218ae768afd5317b960c06",
        7,
        17836,
        None,
        None,
    ),
    (
        "cn.special-operation.61",
        "e9efb85850671459f44415a2b469a7d49d8e9cd89b42b12016ba448591a42377",
        7,
        17836,
        None,
        "cn.special-operation.0",
    ),
    (
        "cn.structural.2.0",
        "22ee9c7c6f8652e4889600beb3413b8bd4b4aa0aab39242a027cdcb95a9342e1",
        5,
        17836,
        None,
        None,
    ),
    (
        "cn.structural.2.31",
        "e215d8cbb43ccd52b36245ae982de75947d14f3e1d74ed4735e25527af4c990e",
        5,
        19170,
        None,
        "cn.structural.2.0",
    ),
    (
        "cn.structural.2.61",
        "0260909e8a413c5c12e32f9b407ca22295cc493b40765d6bf6accc712a2af0dd",
        5,
        17836,
        None,
        "cn.structural.2.0",
    ),
)
_BY_DIGEST: Final = {row[1]: _known(*row) for row in _ROWS}
