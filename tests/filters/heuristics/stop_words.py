"""Derives the packaged lists of stop words from translated manual pages, and measures them on others.

    python -m tests.filters.language.labelled FOLDER               gets the pages
    python -m tests.filters.heuristics.stop_words FOLDER           measures the lists, in a minute
    python -m tests.filters.heuristics.stop_words FOLDER --write   derives them anew

A list is made of the words that many manual pages of a language hold, and many texts of the Universal Declaration of
Human Rights too, three paragraphs each, but few texts of most other languages: so of no option names, commands,
licences or rights. Lines that several pages share, footers and headings, do not count, nor words of content that
`no_stop_words.txt` names, by eye. Half the texts derive, by a hash of their names; the other half measures.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from unicodedata import normalize

import numpy as np

from filters.heuristics.definitions import STOP_WORDS
from filters.heuristics.stop_word_kernels import StopWords
from filters.heuristics.stop_words import LISTS, packaged
from pipeline.core.text.batch import Batch
from tests.filters.language.labelled import WORD, Labelled, labelled, printed

UNSPACED = ("ja", "zh")  # a character is a word, and so are two in a row
MIN_WORDS = 50  # of a page that counts, as `gopher_quality` asks for
SHARED = 2  # pages that may have a line before it is none of their own
LENGTH = 20
TAKEN_OUT = Path(__file__).with_name("no_stop_words.txt")  # words of content, by eye: a language and some, a line
HEAD = """\
# Stop words by language, for `gopher_quality: {stop_words: LANGUAGE}`: the words that most manual pages of a language
# hold and few of most others, most frequent first. Written by `python -m tests.filters.heuristics.stop_words --write`.
"""


def pages(folder: Path) -> list[Labelled]:
    """Return the manual pages that are long enough, without markup, and not half in English."""
    found = []
    for text in labelled(folder):
        if text.kind in ("page", "source"):
            plain = printed(text.text) if text.kind == "source" else text.text
            if len(WORD.findall(plain)) >= MIN_WORDS:
                found.append(Labelled(text.name, text.language, "page", plain))
    return found


def declarations(folder: Path) -> list[Labelled]:
    """Return three paragraphs of a declaration at a time, as texts."""
    paragraphs = [text for text in labelled(folder) if text.kind == "paragraph"]
    found = []
    for name, own in groupby(paragraphs, key=lambda text: text.name.partition("/")[0]):
        texts = [*own]
        for at in range(0, len(texts) - 2, 3):
            joined = "\n".join(text.text for text in texts[at : at + 3])
            found.append(Labelled(f"{name}/{at}", texts[0].language, "declaration", joined))
    return found


def without_shared_lines(texts: list[Labelled]) -> list[Labelled]:
    """Return the texts without the lines that more than SHARED of them have: who translated, under which licence."""
    known = Counter(line for text in texts for line in set(text.text.splitlines()))
    return [
        replace(text, text="\n".join(line for line in text.text.splitlines() if known[line] <= SHARED))
        for text in texts
    ]


def words_in(text: Labelled) -> set[str]:
    """Return the words of a page that could stand in a list: letters, at least two; pairs without spaces."""
    runs = WORD.findall(normalize("NFC", text.text).lower())
    if text.language in UNSPACED:
        runs = [run for run in runs if not run.isascii()]
        return {run[at : at + size] for size in (1, 2) for run in runs for at in range(len(run) - size + 1)}
    least = 1 if text.language == "ko" else 2  # a syllable of Hangul is several letters
    return {run for run in runs if len(run) >= least}


def shares(texts: list[Labelled]) -> dict[str, dict[str, float]]:
    """Return for each language what share of its texts holds a word."""
    sizes = Counter(text.language for text in texts)
    holding: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        holding[text.language].update(words_in(text))
    return {own: {word: count / sizes[own] for word, count in words.items()} for own, words in holding.items()}


def derive(manuals: list[Labelled], rights: list[Labelled]) -> dict[str, list[str]]:
    """Return a list for each language but English that has texts of both kinds."""
    in_manuals, in_rights = shares(without_shared_lines(manuals)), shares(rights)
    taken_out = {line.split()[0]: set(line.split()[1:]) for line in TAKEN_OUT.read_text("utf-8").splitlines()}
    lists = {}
    for own in sorted(in_manuals.keys() - {"en"}):
        others = [other for other in in_manuals if other != own]
        scores = {}
        for word in (in_manuals[own].keys() & in_rights[own].keys()) - taken_out.get(own, set()):
            elsewhere = sorted((in_manuals[other].get(word, 0.0) for other in others), reverse=True)
            # a near relative may share a word; many languages, and English, may not
            nearest = 0.5 if own in UNSPACED else 0.2
            shared = nearest * elsewhere[0] + 0.25 * elsewhere[1] + elsewhere[3] + 2 * in_manuals["en"].get(word, 0.0)
            scores[word] = min(in_manuals[own][word], in_rights[own][word]) - shared
        lists[own] = sorted(scores, key=lambda word: (-scores[word], word))[:LENGTH]
    return lists


def measure(texts: list[Labelled]) -> dict[str, dict[str, float]]:
    """Return for each list the share of texts of each language that hold at least two of its words."""
    batch = Batch.from_texts([text.text for text in texts])
    spoken = np.array([text.language for text in texts])
    lists = {"en": tuple(sorted(STOP_WORDS)), **packaged()}
    found = {}
    for language, words in lists.items():
        passes = StopWords.of(words).count(batch) >= 2
        found[language] = {other: float(passes[spoken == other].mean()) for other in sorted(set(spoken))}
    return found


def table(title: str, texts: list[Labelled]) -> None:
    say = sys.stdout.write
    say(f"\n{title}: {len(texts)} texts\nlist   own texts   pass   others that pass   most of them\n")
    sizes = Counter(text.language for text in texts)
    for language, shares in measure(texts).items():
        others = {other: share for other, share in shares.items() if other != language}
        passed = sum(share * sizes[other] for other, share in others.items()) / sum(sizes[other] for other in others)
        worst = sorted(others, key=lambda other: -others[other])[:4]
        names = ", ".join(f"{other} {others[other]:.0%}" for other in worst if others[other] >= 0.05)
        own = f"{shares[language]:7.1%}" if sizes[language] else "      -"
        say(f"{language:4} {sizes[language]:10} {own} {passed:17.1%}   {names}\n")


def main(folder: Path, *, write: bool) -> None:
    manuals, rights = pages(folder), declarations(folder)
    if write:
        lists = derive(*([text for text in texts if not text.held_out] for texts in (manuals, rights)))
        LISTS.write_text(HEAD + "".join(f'{code} = "{" ".join(words)}"\n' for code, words in lists.items()), "utf-8")
        packaged.cache_clear()
    table("Manual pages held back", [text for text in manuals if text.held_out])
    table("Paragraphs of the Declaration held back", [text for text in rights if text.held_out])


if __name__ == "__main__":
    main(Path(sys.argv[1]), write="--write" in sys.argv)
