"""What each code says to a reader: a title, one sentence on what to do next, and the rule.

Source: docs/spec/verdicts.md; the words are shipped data (`messages.json`), Chinese and English side
by side. Sentences are fixed: nothing out of the input is ever put into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from mingzheng.keys.errors import TrustError
from mingzheng.keys.strictjson import Json, load_json, take_int, take_object, take_text
from mingzheng.verifier.errors import TableError
from mingzheng.verifier.findings import Code

SCHEMA: Final = 1
Lang = Literal["zh", "en"]
_KEYS: Final = ("title_zh", "title_en", "zh", "en", "rule")
_MOST: Final = 200  # characters of a sentence
_MAX_PAIRS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The words of one code."""

    title_zh: str
    title_en: str
    zh: str
    en: str
    rule: str

    def title(self, lang: Lang) -> str:
        """A few words that name the verdict."""
        return self.title_zh if lang == "zh" else self.title_en

    def sentence(self, lang: Lang) -> str:
        """What the reader should do next."""
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """All words: by code, the labels of evidence, and the reasons it names."""

    codes: Mapping[Code, Message]
    labels: Mapping[str, tuple[str, str]]  # evidence key -> (zh, en)
    reasons: Mapping[str, tuple[str, str]]  # reason, or what stands before its dot -> (zh, en)

    def of(self, code: Code) -> Message:
        """The words of a code."""
        return self.codes[code]

    def label(self, key: str, lang: Lang) -> str:
        """The label of a piece of evidence."""
        return self.labels[key][0 if lang == "zh" else 1]

    def reason(self, code: str, lang: Lang) -> str:
        """The evidence `reason` in words with its code behind; a reason that is no code, as it is."""
        words = self.reasons.get(code) or self.reasons.get(code.partition(".")[0])
        return code if words is None else f"{words[0]}（{code}）" if lang == "zh" else f"{words[1]} ({code})"


def parse_messages(data: bytes) -> Messages:
    """Read the table; raises TableError unless every code has its words, and nothing else has."""
    try:
        document = take_object(load_json(data), "messages.json", ("schema", "codes", "evidence", "reasons"))
        take_int(document["schema"], "schema", low=SCHEMA, high=SCHEMA)
        codes = take_object(document["codes"], "codes", [str(code) for code in Code])
        messages = {code: _message(codes[code], f"codes.{code}") for code in Code}
        labels, reasons = (_pairs(document[name], name) for name in ("evidence", "reasons"))
    except TrustError as error:
        raise TableError(str(error)) from error
    return Messages(
        codes=MappingProxyType(messages), labels=MappingProxyType(labels), reasons=MappingProxyType(reasons)
    )


def _pairs(value: Json, where: str) -> dict[str, tuple[str, str]]:
    if not isinstance(value, dict) or len(value) > _MAX_PAIRS:
        raise TableError(f"{where}: not an object of at most {_MAX_PAIRS} keys")
    pairs = {}
    for key, item in value.items():
        pair = take_object(item, f"{where}.{key}", ("zh", "en"))
        pairs[key] = (take_text(pair["zh"], key, most=_MOST), take_text(pair["en"], key, most=_MOST))
    return pairs


def _message(value: Json, where: str) -> Message:
    words = {
        key: take_text(item, f"{where}.{key}", most=_MOST) for key, item in take_object(value, where, _KEYS).items()
    }
    return Message(**words)
