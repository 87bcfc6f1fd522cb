"""spaCy's English tokenizer -> its rules as tables that kernels read, and the tokenizer itself for what they cannot.

The tables are read off the installed spaCy: which characters its regular expressions strip from the front or the back
of a chunk, split it at, or look for beside such a place; its 1,347 special cases; the token sequences that it joins
afterwards. How the expressions work together is written out in `chunk_kernels.py`, so a digest of their texts is
checked here (spaCy 3.8): under another version kernels settle nothing and spaCy answers everything, slower and right.
Loading takes about 1.6 s, once per process: 1.3 s of it to import spaCy, 0.2 s the tables of characters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from blake3 import blake3

from filters.conformance.spacy.marks import PUNCTUATION_SET
from pipeline.core.errors import RecipeError

SPACE = 1  # str.isspace
ALPHA, LOWER, UPPER = 2, 4, 8  # spaCy's letters; scripts without case are both
QUOTE = 16
DOT_BEFORE = 32  # a full stop after it comes off the end of a chunk
PREFIX, SUFFIX = 64, 128  # comes off alone, whatever stands beside it
ICON = 256
UNIT = 512  # outside ASCII, in a unit or currency that comes off behind a digit
LETTER = 1024  # str.isalpha
MARK = 2048  # in datatrove's PUNCTUATION_SET
CATEGORY_P = 4096  # Unicode punctuation
STOP = 8192  # the sentencizer's ends of sentences
DIGIT = 16384  # any decimal digit, \d of a regular expression
WORD = 32768  # \w of a regular expression

KNOWN = {
    "prefix_search": "978b274152b82e29",
    "suffix_search": "6fcf30b0480c8815",
    "infix_finditer": "32ed95f4f40858d1",
    "url_match": "df8ed50a712f1bbc",
}
PAST_KNOWN = 0x40000  # from here on no character is of any kind below (tests/filters/conformance/spacy/test_words.py)
MAX_SPECIAL = 12  # characters of the longest special case
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MASK_64 = (1 << 64) - 1
TABLE_BITS = 13  # of every hash table: six slots for each special case
BITS_AT = 0  # where each table begins in `Rules.tables`, in bytes
SPECIALS_AT = BITS_AT + 4 * 0x110000  # uint64 hash table
SPECIAL_ROWS_AT = SPECIALS_AT + (8 << TABLE_BITS)  # uint32 by slot
JOINS_AT = SPECIAL_ROWS_AT + (4 << TABLE_BITS)  # uint64 hash table: beginnings of joined token sequences
JOIN_ENDS_AT = JOINS_AT + (8 << TABLE_BITS)  # uint32 by slot: 1 where the sequence is whole
LINKS_AT = JOIN_ENDS_AT + (4 << TABLE_BITS)  # uint64 hash table: characters between which a join may cross a space
UNITS_AT = LINKS_AT + (8 << TABLE_BITS)  # int64[63] and a 0: ASCII units of measure, packed
WIDE_UNITS_AT = UNITS_AT + 8 * 64  # uint64[127] and a 0: hashes of units and currencies with other characters
SPECIAL_SIZES_AT = WIDE_UNITS_AT + 8 * 128  # uint32[specials, 4]: characters of each token, zeros behind
LONE = 1 << 63  # of a link: the character on the right is a token only if no letter or digit follows it


@dataclass(frozen=True, slots=True)
class Rules:
    """spaCy's rules for kernels."""

    bits: np.ndarray  # uint16[0x110000]: what each character is
    tables: np.ndarray  # uint8: that and all else, one table behind the other, for kernels that work on addresses


@dataclass(frozen=True, slots=True)
class SpacyTokenizer:
    """spaCy, and what kernels need to do without it."""

    nlp: Any
    rules: Rules
    known: bool  # the rules are those that the kernels were written for

    def ask(self, text: str) -> list[tuple[int, int]]:
        """Return [start, end) of every token of `text`, white space left out, in characters."""
        with self.nlp.memory_zone():
            self.nlp.max_length = len(text) + 10
            return [(token.idx, token.idx + len(token)) for token in self.nlp.make_doc(text) if not token.is_space]


@cache
def tokenizer() -> SpacyTokenizer:
    """Load spaCy's blank English pipeline, once per process; RecipeError says how to install it."""
    try:
        import spacy
    except ImportError as error:
        raise RecipeError(
            "steps @datatrove-0.10 split words as spaCy does, and spaCy is not installed. "
            "Install it: pip install -e '.[conformance]'."
        ) from error
    nlp = spacy.blank("en")
    found = {name: getattr(nlp.tokenizer, name).__self__.pattern for name in KNOWN}
    known = all(blake3(found[name].encode()).hexdigest()[:16] == digest for name, digest in KNOWN.items())
    known = known and nlp.tokenizer.token_match is None and max(map(len, nlp.tokenizer.rules)) <= MAX_SPECIAL
    return SpacyTokenizer(nlp=nlp, rules=_rules(nlp), known=known)


def _rules(nlp: Any) -> Rules:
    from spacy.symbols import ORTH

    specials = {text: [token[ORTH] for token in tokens] for text, tokens in nlp.tokenizer.rules.items()}
    keys, rows = hash_table([span_hash(text) for text in specials])
    sizes = np.zeros((len(specials), 4), np.int64)
    for row, tokens in enumerate(specials.values()):
        sizes[row, : len(tokens)] = [len(token) for token in tokens]
    joins = _joined_sequences(nlp)
    beginnings: dict[int, int] = {}
    links = set()
    for sequence in joins:
        state = 0
        for place, token in enumerate(sequence):
            state = sequence_hash(state, span_hash(token))
            beginnings[state] = beginnings.get(state, 0) | (place == len(sequence) - 1)
        links |= {_link(left, right, specials) for left, right in pairwise(sequence)}
    join_keys, join_rows = hash_table(list(beginnings))
    ends = np.array(list(beginnings.values()), np.uint8)[join_rows]
    link_keys, _ = hash_table(sorted(links))
    bits = _characters(nlp)
    parts = (
        bits.astype(np.uint32), keys, rows, join_keys, ends.astype(np.uint32), link_keys, _units(),
        _wide_units(), sizes.astype(np.uint32),
    )  # fmt: skip
    return Rules(bits=bits, tables=np.concatenate([part.reshape(-1).view(np.uint8) for part in parts]))


def _link(left: str, right: str, specials: dict[str, list[str]]) -> int:
    """Return the characters on both sides of a space that a join may cross, LONE if a letter may not follow.

    No rule cuts a lone letter off the letters or digits behind it, unless a special case does.
    """
    lone = len(right) == 1 and right.isascii() and right.isalpha()
    lone = lone and not any(
        tokens[0] == right and len(tokens) > 1 and text[1].isalnum() for text, tokens in specials.items()
    )
    return ord(left[-1]) << 21 | ord(right[0]) | (LONE if lone else 0)


def _joined_sequences(nlp: Any) -> list[list[str]]:
    """Return the token sequences that spaCy replaces by a special case after all chunks are split.

    As in its `add_special_case`: special cases that an affix rule would cut, as they are cut without special cases.
    """
    from spacy.tokenizer import Tokenizer as Plain

    own = nlp.tokenizer
    plain = Plain(
        nlp.vocab, rules={}, prefix_search=own.prefix_search, suffix_search=own.suffix_search,
        infix_finditer=own.infix_finditer, url_match=own.url_match,
    )  # fmt: skip
    cut = [text for text in own.rules if own.find_prefix(text) or own.find_infix(text) or own.find_suffix(text)]
    sequences = [[token.text for token in plain(text)] for text in cut]
    return [sequence for sequence in sequences if len(sequence) > 1]  # one token is replaced by itself


def _characters(nlp: Any) -> np.ndarray:
    import re

    from spacy.lang import char_classes as classes
    from spacy.pipeline import Sentencizer

    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, PAST_KNOWN)]))
    bits = np.zeros(0x110000, np.uint16)

    def mark(bit: int, characters: Any) -> None:
        codes = np.fromiter(map(ord, characters), np.int64)
        bits[codes] |= np.uint16(bit)

    def of_class(inside: str) -> list[str]:
        return re.findall(f"[{inside}]", everything)

    stops = r"0-9{al}{e}{p}(?:{q})".format(
        al=classes.ALPHA_LOWER, e="%\u00b2\\-\\+", q=classes.CONCAT_QUOTES, p=classes.PUNCT
    )
    for bit, inside in (
        (ALPHA, classes.ALPHA), (LOWER, classes.ALPHA_LOWER), (UPPER, classes.ALPHA_UPPER),
        (QUOTE, classes.CONCAT_QUOTES), (DOT_BEFORE, stops), (ICON, classes.ICONS),
    ):  # fmt: skip
        mark(bit, of_class(inside))
    prefix, suffix = nlp.tokenizer.prefix_search, nlp.tokenizer.suffix_search
    icons = of_class(classes.ICONS)  # the only ranges among what comes off alone; all else is spelt out
    mark(PREFIX, [char for char in {*prefix.__self__.pattern, *icons} - {"+"} if prefix(char)])
    mark(SUFFIX, [char for char in {*suffix.__self__.pattern, *icons} if suffix(char)])
    units = {char for unit in (*classes.LIST_UNITS, *classes.LIST_CURRENCY) for char in unit if ord(char) >= 0x80}
    mark(UNIT, sorted(units))
    mark(SPACE, filter(str.isspace, everything))
    mark(DIGIT, filter(str.isdecimal, everything))
    mark(WORD, [char for char in everything if char.isalnum() or char == "_"])
    mark(LETTER, filter(str.isalpha, everything))
    mark(MARK, PUNCTUATION_SET)
    mark(CATEGORY_P, [char for char in everything if unicodedata.category(char)[0] == "P"])
    mark(STOP, Sentencizer.default_punct_chars)
    bits.flags.writeable = False
    return bits


def _units() -> np.ndarray:
    from spacy.lang.char_classes import LIST_UNITS

    units = sorted({pack(unit) for unit in LIST_UNITS if unit.isascii()})
    return np.array(units + [0] * (64 - len(units)), np.int64)


def _wide_units() -> np.ndarray:
    from spacy.lang.char_classes import LIST_CURRENCY, LIST_UNITS

    wide = sorted({span_hash(unit) for unit in (*LIST_UNITS, *LIST_CURRENCY) if not unit.isascii()})
    return np.array(wide + [0] * (128 - len(wide)), np.uint64)


def pack(text: str) -> int:
    """Return ASCII characters as one number, the first lowest."""
    return sum(ord(char) << (8 * place) for place, char in enumerate(text))


def span_hash(text: str) -> int:
    """Return the hash that kernels compute of a run of characters."""
    state = int(FNV_START)
    for char in text:
        state = ((state ^ ord(char)) * int(FNV_PRIME)) & MASK_64
    return state ^ (state >> 32)


def sequence_hash(state: int, token: int) -> int:
    """Return the hash of a token sequence that goes on with a token of this hash."""
    return (((state * int(FNV_PRIME)) & MASK_64) + token) & MASK_64


def hash_table(keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint64 keys, int32 rows) of an open hash table of 2^TABLE_BITS slots; key 0 marks a free slot."""
    assert 0 not in keys and len(set(keys)) == len(keys) < 1 << (TABLE_BITS - 1)
    table, rows = np.zeros(1 << TABLE_BITS, np.uint64), np.zeros(1 << TABLE_BITS, np.int32)
    for row, key in enumerate(keys):
        slot = ((key * 0x9E3779B97F4A7C15) & MASK_64) >> (64 - TABLE_BITS)
        while table[slot]:
            slot = (slot + 1) & ((1 << TABLE_BITS) - 1)
        table[slot], rows[slot] = key, row
    return table, rows
