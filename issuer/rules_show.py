"""Answers of `mingzheng rules …` as JSON objects (rules-*.schema.json) and as lines for people. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from mingzheng.formats.civil import format_day, format_day_zh
from mingzheng.formats.profile import Citation, Profile
from mingzheng.formats.rules_extension import MovedEnd
from mingzheng.formats.rules_renewal import Application, Renewed
from mingzheng.formats.rules_trace import Outcome, RuleStep
from mingzheng.issuer.rules_words import ANSWERS, STEPS, WORDS

A = TypeVar("A", bound=StrEnum)

Json = dict[str, object]


def day_json(day: int | None) -> str | None:
    """A day, or null."""
    return None if day is None else format_day(day)


def citation_json(citation: Citation) -> Json:
    """A source: the notice's key and clause (null where the profile itself sets the value), both phrases."""
    return {
        "notice": None if citation.notice is None else citation.notice.key,
        "clause": citation.clause,
        "by_analogy": citation.by_analogy,
        "citation_zh": citation.text_zh(),
        "citation_en": citation.text_en(),
    }


def step_json(step: RuleStep) -> Json:
    """A step of a trace."""
    return {
        "rule": step.rule,
        "day": day_json(step.day),
        "word": step.word,
        "binding": step.binding,
        **citation_json(step.citation),
    }


def outcome_json(outcome: Outcome[A], **more: object) -> Json:
    """An answer with its trace, and what else the rule gives."""
    return {
        "answer": str(outcome.answer),
        **more,
        "binding": list(outcome.binding),
        "trace": [step_json(step) for step in outcome.trace],
    }


def head_json(rule: str, profile: Profile, jurisdiction: int) -> Json:
    """What was asked, and the profile that answers."""
    return {
        "rule": rule,
        "kind": profile.id,
        "jurisdiction": jurisdiction,
        "profile": {
            "jurisdiction": profile.jurisdiction,
            "effective_from": format_day(profile.effective_from),
            **citation_json(profile.effective),
        },
    }


def application_json(end: int, found: Application) -> Json:
    """Whether a renewal may be applied for, for one end."""
    return {
        "until": format_day(end),
        **outcome_json(found, opens=day_json(found.opens), closes=day_json(found.closes)),
    }


def renewed_json(found: Renewed) -> Json:
    """The validity an approval gives."""
    return outcome_json(found, valid_from=day_json(found.valid_from), valid_until=day_json(found.valid_until))


def moved_json(found: MovedEnd) -> Json:
    """Where an end stands, with the history of extensions."""
    history = [
        {
            "first_end": format_day(use.extension.first_end),
            "last_end": format_day(use.extension.last_end),
            "new_end": format_day(use.extension.new_end),
            "effective_on": format_day(use.extension.effective_on),
            "retracted_on": day_json(use.extension.retracted_on),
            "state": str(use.state),
            **citation_json(use.extension.citation),
        }
        for use in found.history
    ]
    return outcome_json(
        found,
        until=format_day(found.end),
        usage_until=day_json(found.usage_until),
        apply_again=found.apply_again,
        history=history,
    )


def head_line(profile: Profile, lang: str) -> str:
    """The kind, the profile that answers and since when; its source if it governs by analogy only."""
    name = profile.name_zh if lang == "zh" else profile.name_en
    day = format_day_zh(profile.effective_from) if lang == "zh" else format_day(profile.effective_from)
    line = f"{name} {profile.id}.{profile.jurisdiction}"
    line += f"（{day} 起）" if lang == "zh" else f" (from {day})"
    if profile.effective.by_analogy:
        line += f"\n  {_source(profile.effective, lang)}"
    return line


def outcome_lines(rule: str, outcome: Outcome[A], lang: str, **words: object) -> Iterable[str]:
    """The answer as a sentence, then every step: a star before those that decide, the source below."""
    yield sentence(rule, str(outcome.answer), lang, words)
    for step in outcome.trace:
        yield from step_lines(step, lang)


def sentence(rule: str, answer: str, lang: str, words: Mapping[str, object]) -> str:
    """One answer of a rule as a sentence, with its code."""
    zh, en = ANSWERS[rule][answer]
    return f"{(zh if lang == 'zh' else en).format(**words)} [{answer}]"


def step_lines(step: RuleStep, lang: str) -> tuple[str, str]:
    """A step of a trace."""
    mark = "*" if step.binding else " "
    day = "-" * 10 if step.day is None else format_day(step.day)
    word = "" if step.word is None else f" {word_text(step.word, lang)}"
    return f"{mark} {day}  {step.rule:<15} {step_name(step.rule, lang)}{word}", f"      {_source(step.citation, lang)}"


def word_text(word: str, lang: str) -> str:
    """A word of a profile for people."""
    return WORDS.get(word, (word, word))[0 if lang == "zh" else 1]


def step_name(rule: str, lang: str) -> str:
    """What a step is about: AGE65 and TERM3 carry their number, EXTENSION1 its place."""
    stem = rule.rstrip("0123456789")
    zh, en = STEPS[stem]
    return (zh if lang == "zh" else en).format(n=rule[len(stem) :])


def _source(citation: Citation, lang: str) -> str:
    return citation.text_zh() if lang == "zh" else citation.text_en()
