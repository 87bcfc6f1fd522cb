"""Passages of documents -> the same told otherwise, by six kinds of edit: what paraphrases are planted with.

All by a seeded program. Three words in ten are replaced, from a short thesaurus where it knows one, else by any other
word of the same corpus, which a matcher cannot tell from a synonym that it does not know.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"[A-Za-z]+")
TOKEN = re.compile(r"\S+")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
COMMON_WORDS = (
    "a about after all also an and any are as at be been before but by can could do does each for from had has have "
    "if in into is it its may more most must no not of on one only or other same should so some such than that the "
    "their then there these they this those to two up use used using was when where which while will with would you "
    "your we how what who why very were being between both during either further here just once out over own per "
    "through under until upon via within without yet"
)
COMMON = frozenset(COMMON_WORDS.split())
THESAURUS = (
    "file:document directory:folder show:display return:give error:failure begin:start large:big small:little "
    "create:make remove:delete change:modify value:quantity number:count function:routine argument:parameter "
    "list:sequence string:text set:assign get:obtain call:invoke allow:permit find:locate write:store read:load "
    "default:standard specify:state option:setting contain:hold current:present previous:former next:following "
    "message:notice output:result input:data program:application user:person system:machine process:task "
    "command:instruction example:illustration describe:explain provide:supply require:need ignore:skip "
    "first:initial last:final name:title type:kind line:row character:letter memory:storage buffer:area "
    "pointer:reference object:thing method:way check:test match:fit print:emit select:choose send:transmit "
    "receive:accept wait:pause stop:halt open:access close:shut copy:duplicate move:shift add:append "
    "multiple:several single:lone different:distinct similar:alike available:usable invalid:bad valid:proper "
    "empty:blank entire:whole maximum:most minimum:least length:size address:location structure:record field:member"
)
SYNONYMS = {
    a: b for pair in THESAURUS.split() for one, other in [pair.split(":")] for a, b in ((one, other), (other, one))
}
FILLERS = (
    "really", "in practice", "of course", "for example", "as a rule", "generally", "in this case", "quite", "perhaps",
    "as noted before", "usually", "in other words", "clearly", "at this point", "on most systems", "indeed",
)  # fmt: skip
PAST = re.compile(r"\b([a-z]{3,})(s|es)\b")
MODALS = {
    "can": "could", "will": "would", "may": "might", "is": "was", "are": "were", "has": "had", "have": "had",
    "does": "did", "must": "had to", "shall": "should",
}  # fmt: skip
VERB_STEMS = (
    "return set create specif contain use call allow provide indicate describe read write open close copy print "
    "remove change take require support define display wait start stop send receive give mean add match check accept "
    "load ignore control need perform represent cause store determine handle fail report include run produce"
)
VERBS = frozenset(VERB_STEMS.split())
PASSIVE = re.compile(
    r"\b((?:the|this|an?|each) (?:[a-z_()]+ ){1,2})([a-z]{3,}?)s ((?:the|a|an|its|all) (?:[a-z_]+ ?){1,3})\b"
)


class Retelling:
    """Tells passages otherwise; `corpus` is whose words stand in for those that the thesaurus does not know."""

    def __init__(self, corpus: Sequence[str], *, seed: int) -> None:
        self._random = random.Random(seed)
        words = [word.lower() for text in corpus for word in WORD.findall(text)]
        self._words = sorted({word for word in words if len(word) > 3 and word not in COMMON})
        self._names = sorted({word for text in corpus for word in TOKEN.findall(text) if is_name(word)}) or ["Ada"]

    def synonyms(self, text: str) -> str:
        """Replace three in ten of the words that carry meaning."""
        return self._each(text, lambda word: self._other(word) if self._random.random() < 0.3 else word)

    def reordered(self, text: str) -> str:
        """Put the clauses, or where there are none the halves, into another order."""
        clauses = [
            part.strip(" ,;:") for part in re.split(r"[,;:.!?](?:\s+|$)|\s(?=(?:and|or|when|if|which|that)\s)", text)
        ]
        clauses = [part for part in clauses if part]
        if len(clauses) < 2:
            words = text.split()
            clauses = [" ".join(words[len(words) // 2 :]), " ".join(words[: len(words) // 2])]
        before = list(clauses)
        while clauses == before and len(set(before)) > 1:
            self._random.shuffle(clauses)
        return ", ".join(clauses) + "."

    def inserted(self, text: str) -> str:
        """Put a filler behind one word in four."""
        words = text.split()
        return " ".join(
            f"{word} {self._random.choice(FILLERS)}" if self._random.random() < 0.25 else word for word in words
        )

    def renamed(self, text: str) -> str:
        """Change every number and every name: capitals inside a sentence, identifiers, options, paths."""
        changed: dict[str, str] = {}

        def other(found: re.Match[str]) -> str:
            word = found[0]
            if word not in changed:
                digits = re.sub(r"\d", lambda _: str(self._random.randrange(10)), word)
                changed[word] = self._random.choice(self._names) if is_name(word) else digits
            return changed[word]

        return TOKEN.sub(other, text)

    def dropped(self, text: str) -> str:
        """Leave out one word in four."""
        return " ".join(word for word in text.split() if self._random.random() >= 0.25)

    def tense(self, text: str) -> str:
        """Put verbs into the past and, where the sentence is of the simplest form, into the passive."""
        text = PASSIVE.sub(
            lambda m: f"{m[3].strip()} was {past(m[2])} by {m[1].strip()}" if stem(m[2]) in VERBS else m[0], text
        )
        text = PAST.sub(lambda m: past(m[1]) if stem(m[1]) in VERBS else m[0], text)
        return re.sub(r"\b(" + "|".join(MODALS) + r")\b", lambda m: MODALS[m[0]], text)

    def _each(self, text: str, change: Callable[[str], str]) -> str:
        return WORD.sub(lambda found: found[0] if found[0].lower() in COMMON else change(found[0]), text)

    def _other(self, word: str) -> str:
        known = SYNONYMS.get(word.lower()) or SYNONYMS.get(word.lower().removesuffix("s"))
        return known or self._random.choice(self._words)


KINDS = ("synonyms", "reordered", "inserted", "renamed", "dropped", "tense")


def is_name(word: str) -> bool:
    """Say whether a word is no word of the language: an identifier, an option, a path, a proper name."""
    bare = word.strip(".,;:()[]\"'`*")
    return len(bare) > 1 and bool(re.search(r"[_/<>=$@~\\]|^-|\(\)|[a-z0-9][A-Z]|^[A-Z]{2,}|[a-zA-Z]\d|\w\.\w", bare))


def stem(verb: str) -> str:
    return verb.removesuffix("e") if verb.removesuffix("e") in VERBS else verb


def past(verb: str) -> str:
    return verb + ("d" if verb.endswith("e") else "ed")


def passages(text: str, *, least: int = 25, most: int = 60) -> list[str]:
    """Return the stretches of whole sentences of so many words, none of which overlap; tables and code aside."""
    found, words = [], list[str]()
    for paragraph in re.split(r"\n\s*\n", text):
        words = []
        for sentence in SENTENCE.split(" ".join(paragraph.split())):
            letters = sum(map(str.isalpha, sentence)) / max(len(sentence), 1)
            if letters < 0.72 or not sentence.rstrip().endswith((".", "!", "?")) or not sentence[:1].isupper():
                words = []
                continue
            words += sentence.split()
            if least <= len(words) <= most:
                found.append(" ".join(words))
            if len(words) >= least:
                words = []
    return found
