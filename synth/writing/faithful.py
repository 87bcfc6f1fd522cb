"""A text that a model wrote, beside what it was shown -> the first thing that is wrong with it, or nothing.

No judge and no model: numbers, names and quotes of the new text must stand in the old one, its length and script stay
within bounds, and nothing of the prompt, of an assistant's manners or of a refusal may be left in it. What these rules
cannot see (a claim turned around with the same words) they do not claim to see.
"""

from __future__ import annotations

import re
from collections import Counter

from pipeline.core.claude.messages.fence import comparable, stands_in
from synth.writing.prompt import NOTHING, Prompt

NUMBER = re.compile(r"\d+(?:[.,:/\u2019' -]?\d+)*")
LISTED = re.compile(r"^\s*(?:\d{1,2}[.)]|#+\s*(?:Step )?\d{1,2}\b[.:)]?|Step \d{1,2}\b[.:)]?)", re.M | re.I)
NAME = re.compile(r"(?<=[a-z0-9,;] )[A-Z][\w'-]{2,}")  # within a sentence, so not its first word
QUOTED = re.compile('"([^"\n]{20,400})"|\u201c([^\u201d\n]{20,400})\u201d')
MANNERS = re.compile(
    r"\b(?:as an ai\b|as a language model|i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|won't) (?:help|"
    r"assist|provide|fulfil|comply|write|rewrite)|i hope this helps|let me know if|feel free to ask|happy to help|"
    r"here(?:'s| is) (?:the|a|an|your) (?:rewritten|rewrite|rephrased|revised|new text|tutorial|lesson|table|article|"
    r"summary|text)|(?:the|this|given|above) document (?:between|you (?:gave|provided))|the original document)",
    re.I,
)
OPENING = re.compile(r"\s*(?:sure|certainly|of course|absolutely|okay|ok)\b[,!.:]", re.I)
MARK = re.compile(r"</?document-[0-9a-f]{4,}|</?task>|\bmin_ratio\b|\bkeep_numbers\b")
SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f", "Greek": "\u0370-\u03ff", "Cyrillic": "\u0400-\u052f", "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff", "Indic": "\u0900-\u0dff", "Thai": "\u0e00-\u0e7f", "Hangul": "\uac00-\ud7af",
    "Japanese or Chinese": "\u3040-\u30ff\u3400-\u9fff",
}  # fmt: skip
COUNTED = {script: re.compile(f"[{letters}]") for script, letters in SCRIPTS.items()}
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
    if numbers(LISTED.sub("", written)).keys() - numbers(shown).keys():
        return "number made up"
    document = comparable(shown)
    if any(not stands_in(one or other, document) for one, other in QUOTED.findall(written)):
        return "quote made up"
    names, words = NAME.findall(written), set(re.findall(r"[\w'-]+", shown.casefold()))
    new = {name for name in names if name.casefold() not in words}
    return "name made up" if len(new) >= LOWEST and len(new) > NEW_NAMES * len(set(names)) else ""


def numbers(text: str) -> Counter[str]:
    """Return the numbers of a text by their digits, so that 1,000 and 1000 are one."""
    return Counter(re.sub(r"\D", "", found).lstrip("0") or "0" for found in NUMBER.findall(text))


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
    there = numbers(shown).keys()
    return "numbers lost" if len(there) > LOWEST and len(numbers(written).keys() & there) < share * len(there) else ""
