"""The heuristic signals once more, in slow plain Python and from the definitions alone; the kernels must agree.

Shares nothing with the kernels but the lists of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from pipeline.core.text.characters import BULLETS, TERMINALS

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
LINE_END_CHARACTERS = tuple("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
MARKER = re.compile(r"\[[1-9][0-9]{0,2}\]|\[edit\]|\[citation needed\]")
Signals = dict[str, float | None]


def is_closer(char: str) -> bool:
    return char in "\"'*_`" or (ord(char) < 0x10000 and unicodedata.category(char) in ("Pe", "Pf", "Pi"))


def without_closers(text: str) -> str:
    while text and is_closer(text[-1]) and text[-1] not in TERMINALS:
        text = text[:-1]
    return text


def ends_terminal(text: str) -> bool:
    return without_closers(text)[-1:] in set(TERMINALS)


def ends_sentence(word: str) -> bool:
    core = without_closers(word)
    if not core or core[-1] not in TERMINALS:
        return False
    if core[-1] != "." or len(core) == 1:
        return True
    before = core[-2]
    if before == ".":
        return False
    lone = len(core) < 3 or not (core[-3].isalnum() or ord(core[-3]) >= 128)
    return not (lone and before.isalnum() and ord(before) < 128)


def full_lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.split()]


def spans(text: str) -> tuple[list[tuple[tuple[str, ...], int]], list[tuple[tuple[str, ...], int]]]:
    """Return lines and paragraphs as (identity, characters from first to last word)."""
    lines: list[tuple[tuple[str, ...], int]] = []
    paragraphs: list[tuple[list[str], str]] = []
    gap = True
    for line in text.splitlines(keepends=True):
        words = line.split()
        if not words:
            gap = True
            continue
        lines.append((tuple(words), len(line.strip())))
        if gap:
            paragraphs.append(([], ""))
        identity, body = paragraphs.pop()
        paragraphs.append(([*identity, "\n".join([" ".join(words)])], body + line))
        gap = False
    return lines, [(tuple(identity), len(body.strip().replace("\r\n", "\n"))) for identity, body in paragraphs]


def repeats(items: list[tuple[tuple[str, ...], int]]) -> tuple[int, int]:
    seen: set[tuple[str, ...]] = set()
    count = chars = 0
    for identity, length in items:
        if identity in seen:
            count += 1
            chars += length
        seen.add(identity)
    return count, chars


def over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def gopher_quality(text: str) -> Signals:
    words, lines = text.split(), full_lines(text)
    real = [word for word in words if any(char.isalnum() for char in word)]
    cores = {re.sub(r"^[\W_]+|[\W_]+$", "", word).lower() for word in words}
    ellipses = len(re.findall(r"\.\.\.|\u2026", text))
    return {
        "num_words": len(real),
        "mean_word_length": over(sum(map(len, real)), len(real)),
        "hash_ratio": over(text.count("#"), len(words)),
        "ellipsis_ratio": over(ellipses, len(words)),
        "bullet_line_frac": over(sum(line[0] in BULLETS for line in lines), len(lines)),
        "ellipsis_line_frac": over(sum(line.endswith(("...", "\u2026")) for line in lines), len(lines)),
        "alpha_word_frac": over(sum(any(char.isalpha() for char in word) for word in words), len(words)),
        "num_stop_words": len(cores & STOP_WORDS),
    }


def gopher_repetition(text: str) -> Signals:
    words = text.split()
    length = len(text.replace("\r\n", "\n")) if words else 0
    lines, paragraphs = spans(text)
    signals: Signals = {"num_words": len(words)}
    for name, items in (("para", paragraphs), ("line", lines)):
        count, chars = repeats(items)
        signals[f"dup_{name}_frac"] = over(count, len(items))
        signals[f"dup_{name}_char_frac"] = over(chars, length)
    for size in (2, 3, 4):
        grams = Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
        gram, count = grams.most_common(1)[0] if grams else ((), 0)
        signals[f"top_{size}_gram_char_frac"] = over(len(" ".join(gram)) * count if count > 1 else 0, length)
    for size in range(5, 11):
        seen: set[tuple[str, ...]] = set()
        chars = at = 0
        while at + size <= len(words):
            gram = tuple(words[at : at + size])
            if gram in seen:
                chars += len("".join(gram))
                at += size
            else:
                seen.add(gram)
                at += 1
        signals[f"dup_{size}_gram_char_frac"] = over(chars, length)
    return signals


def fineweb_quality(text: str, *, short_line_length: int) -> Signals:
    lines, _ = spans(text)
    line_ends = sum(line.endswith(LINE_END_CHARACTERS) for line in text.splitlines(keepends=True))
    return {
        "num_lines": len(lines),
        "line_punct_ratio": over(sum(ends_terminal(words[-1]) for words, _ in lines), len(lines)),
        "short_line_ratio": over(sum(length <= short_line_length for _, length in lines), len(lines)),
        "char_dup_ratio": over(repeats(lines)[1], len(text.replace("\r\n", "\n")) - line_ends if lines else 0),
        "list_ratio": over(line_ends, len(text.split())),
    }


def ends_well(word: str) -> bool:
    if word[-1] in "\"'\u201d\u2019":
        return True
    core = without_closers(word)
    return core[-1:] in set(TERMINALS) and not core.endswith("...")


def c4_quality(text: str, *, max_word_length: int, terminal: bool) -> tuple[Signals, str | None]:
    names = ("kept", "long_word", "not_ended", "few_words", "javascript", "policy")
    signals: dict[str, float] = {f"num_lines_{name}": 0 for name in names}
    signals |= {"num_sentences": 0, "num_citations": 0}
    lowered = re.sub("[A-Z]", lambda match: match[0].lower(), text)
    signals["num_lorem_ipsum"] = len(re.findall("(?=lorem ipsum)", lowered))
    signals["num_curly_brackets"] = text.count("{")
    out: list[str] = []
    gap: list[str] = []
    for whole in text.splitlines(keepends=True):
        line = whole.splitlines()[0]
        if not line.split():
            gap.append(whole)
            continue
        line, markers = MARKER.subn("", line) if MARKER.search(line) else (line, 0)
        words = line.split()
        low = re.sub("[A-Z]", lambda match: match[0].lower(), line)
        if any(len(word) > max_word_length for word in words):
            verdict = "long_word"
        elif terminal and not (words and ends_well(words[-1])):
            verdict = "not_ended"
        elif len(words) < 3:
            verdict = "few_words"
        elif "javascript" in low:
            verdict = "javascript"
        else:
            verdict = "policy" if any(policy in low for policy in POLICIES) else "kept"
        signals[f"num_lines_{verdict}"] += 1
        if verdict == "kept":
            signals["num_sentences"] += sum(map(ends_sentence, words)) + (not ends_sentence(words[-1]))
            signals["num_citations"] += markers
            out += [*(gap if out else []), line, whole[len(whole.splitlines()[0]) :]]
        gap = []
    edited = signals["num_citations"] or any(signals[f"num_lines_{name}"] for name in names[1:])
    return dict(signals), "".join(out[:-1]) if edited else None
