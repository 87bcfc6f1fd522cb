"""A text that a model wrote, beside what it was shown -> the first thing that is wrong with it, or nothing.

No judge and no model: numbers, names and quotes of the new text must stand in the old one, its length and script stay
within bounds, and nothing of the prompt, of an assistant's manners or of a refusal may be left in it. What these rules
cannot see (a claim turned around with the same words) they do not claim to see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.core.claude.messages.fence import stands_in
from pipeline.core.claude.messages.visible import comparable
from synth.writing.prompt import NOTHING, Prompt

NUMBER = re.compile(
    r"(?P<bare>(?<![\w.,])\.\d+)"
    r"|(?<!\d)(?P<grouped>[1-9]\d{0,2}(?P<mark>[.,'\u2019 \u00a0\u2009\u202f])\d{3}(?:(?P=mark)\d{3})*)(?!\d)"
    r"(?:(?!(?P=mark))[.,](?P<rest>\d+))?"
    r"|\d+(?:[.,]\d+)*"
)
LISTED = re.compile(
    r"^\s*(?:\d{1,2}[.)](?!\d)|#+\s*(?:Step )?\d{1,2}\b(?![.:]\d)[.:)]?|Step \d{1,2}\b(?![.:]\d)[.:)]?)",
    re.M | re.I,
)
NAME = re.compile(r"(?<=[a-z0-9,;] )[A-Z][\w'-]{2,}")  # within a sentence, so not its first word
QUOTED = re.compile('"([^"\n]*)"|\u201c([^\u201d\n]*)\u201d')
LEAST_QUOTE = 20  # characters; a shorter one may be a term between marks
MANNERS = re.compile(
    r"\b(?:as an ai\b|as a language model|i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|won't) (?:help|"
    r"assist|provide|fulfil|comply|write|rewrite)|i hope this helps|let me know if|feel free to ask|happy to help|"
    r"here(?:'s| is) (?:the|a|an|your) (?:rewritten|rewrite|rephrased|revised|new text|tutorial|lesson|table|article|"
    r"summary|text)|(?:the|this|given|above) document (?:between|you (?:gave|provided))|the original document)",
    re.I,
)
OPENING = re.compile(r"\s*(?:sure|certainly|of course|absolutely|okay|ok)\b[,!.:]", re.I)
MARK = re.compile(r"</?document-[0-9a-f]{4,}|</?task>|<\|\w+\|>|\bmin_ratio\b|\bkeep_numbers\b")
SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f", "Greek": "\u0370-\u03ff", "Cyrillic": "\u0400-\u052f", "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff", "Indic": "\u0900-\u0dff", "Thai": "\u0e00-\u0e7f", "Hangul": "\uac00-\ud7af",
    "Japanese or Chinese": "\u3040-\u30ff\u3400-\u9fff",
}  # fmt: skip
COUNTED = {script: re.compile(f"[{letters}]") for script, letters in SCRIPTS.items()}
Number = tuple[frozenset[str], ...]  # each way to read it: whole numbers and decimals as digits
LEAK_WORDS = 8  # of the instructions in a row: chance does not write so many
LOOP_WORDS, LOOP_SHARE = 6, 0.25  # so many words in a row that are there already, in this share of all places
NEW_NAMES = 0.15  # of the names in a text may be new: ours are found by capitals, which titles and lists have too
LOWEST = 3  # names that must be new before they count


def fault(shown: str, written: str, *, prompt: Prompt) -> str:
    """Return why a text must not be kept, in a word or three, or an empty text."""
    if written.strip().strip(".\"'`*").upper() == NOTHING:
        return "nothing to write"
    return (
        leaked(written, instructions=prompt.instructions)
        or _length(shown, written, prompt=prompt)
        or _script(shown, written)
        or loops(written)
        or unfounded(shown, written)
        or _lost(shown, written, share=prompt.keep_numbers)
    )


def leaked(written: str, *, instructions: str) -> str:
    """Say what of prompt, assistant or refusal is left in a text."""
    if MARK.search(written):
        return "marks of the prompt"
    if NOTHING in written:
        return "half refused"
    if OPENING.match(written) or MANNERS.search(written):
        return "assistant's voice"
    told, said = comparable(instructions).split(), comparable(written).split()
    known = {tuple(told[at : at + LEAK_WORDS]) for at in range(len(told) - LEAK_WORDS + 1)}
    if any(tuple(said[at : at + LEAK_WORDS]) in known for at in range(len(said) - LEAK_WORDS + 1)):
        return "words of the prompt"
    return ""


def unfounded(shown: str, written: str) -> str:
    """Say whether a text has numbers, quotes or names that what was shown does not have."""
    known = _known(numbers(shown))
    if not all(_stands(number, known) for number in numbers(LISTED.sub("", written))):
        return "number made up"
    document = comparable(shown)
    quotes = [one or other for one, other in QUOTED.findall(written)]
    if any(len(quote) >= LEAST_QUOTE and not stands_in(quote, document) for quote in quotes):
        return "quote made up"
    names, words = NAME.findall(written), set(re.findall(r"[\w'-]+", shown.casefold()))
    new = {name for name in names if name.casefold() not in words}
    return "name made up" if len(new) >= LOWEST and len(new) > NEW_NAMES * len(set(names)) else ""


def numbers(text: str) -> set[Number]:
    """Return the numbers of a text, so that 1,000 and 1000 are one, and 3.5 and 35 are not; signs are not seen.

    Each is what it may be read as: `20 300` is one number or two. Groups of three digits are thousands, also in 3.142.
    """
    return {_readings(found) for found in NUMBER.finditer(text)}


def _readings(found: re.Match[str]) -> Number:
    if found["bare"]:
        return (frozenset({f"0{found['bare']}"}),)
    if not found["grouped"]:
        pieces = re.split("[.,]", found[0])
        if len(pieces) == 2:
            return (frozenset({f"{_whole(pieces[0])}.{pieces[1]}"}),)
        return (frozenset(map(_whole, pieces)),)  # one alone, or a date, a version, a list without spaces
    rest = f".{found['rest']}" if found["rest"] else ""
    one = frozenset({re.sub(r"\D", "", found["grouped"]) + rest})
    if not found["mark"].isspace():
        return (one,)
    *most, last = found["grouped"].split()
    return one, frozenset({*map(_whole, most), _whole(last) + rest})


def _whole(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _known(found: Iterable[Number]) -> set[str]:
    return {each for number in found for reading in number for each in reading}


def _stands(number: Number, known: set[str]) -> bool:
    return any(reading <= known for reading in number)


def loops(written: str) -> str:
    """Say whether a text goes round in circles."""
    words = written.split()
    runs = [tuple(words[at : at + LOOP_WORDS]) for at in range(len(words) - LOOP_WORDS + 1)]
    return "goes in circles" if runs and 1 - len(set(runs)) / len(runs) > LOOP_SHARE else ""


def _length(shown: str, written: str, *, prompt: Prompt) -> str:
    ratio = len(written.strip()) / max(len(shown), 1)
    return "too short" if ratio < prompt.min_ratio else "too long" if ratio > prompt.max_ratio else ""


def _script(shown: str, written: str) -> str:
    before, after = _dominant(shown), _dominant(written)
    return "another script" if before != after and before and after else ""


def _dominant(text: str) -> str:
    counts = {script: len(letters.findall(text)) for script, letters in COUNTED.items()}
    script = max(counts, key=lambda name: counts[name])
    return script if counts[script] else ""


def _lost(shown: str, written: str, *, share: float) -> str:
    """Say whether a text has lost more of the numbers than its prompt lets it; up to three are too few to count."""
    there, known = numbers(shown), _known(numbers(written))
    kept = sum(_stands(number, known) for number in there)
    return "numbers lost" if len(there) > LOWEST and kept < share * len(there) else ""
