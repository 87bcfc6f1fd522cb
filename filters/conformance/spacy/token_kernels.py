"""Tokens -> what the rules ask of each: characters, a hash that can be glued, and what kinds of characters it holds.

A token's hash is a polynomial of its bytes modulo 2^61 - 1 behind a leading one, so that hashes can be glued like the
letters: datatrove tells repeated n-grams apart by their letters written together, not by their words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from filters.conformance.spacy.spacy_rules import CATEGORY_P, LETTER, MARK, STOP
from pipeline.core.process.kernels import intrinsic, njit, types
from pipeline.core.text.segment import decode

HAS_LETTER = 1  # any character str.isalpha
HAS_WORD = 2  # any character outside datatrove's PUNCTUATION_SET
IS_PUNCT = 4  # all characters of Unicode's categories P
IS_STOP = 8  # one character that ends a sentence
STOP_SHIFT = 4  # bits 4 to 7: number of the stop word that it is, 1 to 8, in lower case only
PRIME = np.uint64((1 << 61) - 1)
BASE = np.uint64(0x123B9B0D5A3C7F1D)  # any number below the prime; this one from no source
ONE = np.uint64(1)


@intrinsic
def times(typing_context: Any, left: Any, right: Any) -> Any:
    """times(left, right): their product modulo 2^61 - 1, for factors below 2^61."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, narrow = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        prime = ir.Constant(narrow, (1 << 61) - 1)
        low = builder.and_(builder.trunc(product, narrow), prime)
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 61)), narrow)
        total = builder.add(low, high)
        return builder.select(builder.icmp_unsigned(">=", total, prime), builder.sub(total, prime), total)

    return types.uint64(types.uint64, types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def plus(left: Any, right: Any) -> Any:
    """Return the sum modulo 2^61 - 1 of two numbers below it."""
    total = left + right
    return total - PRIME if total >= PRIME else total


@njit(cache=True, nogil=True, inline="always")
def glue(left: Any, right: Any, power: Any) -> Any:
    """Return the hash of two texts written together; `power` is the second's."""
    return plus(times(plus(left, PRIME - ONE), power), right)


@njit(cache=True, nogil=True)
def stop_number(value: Any, size: Any) -> Any:
    """Return 1 to 8 for one of Gopher's stop words as it stands, its bytes packed with the first lowest, else 0."""
    if size == 2:
        return 2 * (value == 0x6562) + 3 * (value == 0x6F74) + 4 * (value == 0x666F)
    if size == 3:
        return 1 * (value == 0x656874) + 5 * (value == 0x646E61)
    if size == 4:
        return 6 * (value == 0x74616874) + 7 * (value == 0x65766168) + 8 * (value == 0x68746977)
    return 0


@njit(cache=True, nogil=True)
def describe_tokens(data: Any, starts: Any, ends: Any, bits: Any, num_chars: Any, hashes: Any, powers: Any) -> Any:
    """Fill the last three arrays and return uint8 flags of every token."""
    flags = np.empty(len(starts), np.uint8)
    for token in range(len(starts)):
        at, end = starts[token], ends[token]
        state, power = ONE, ONE
        characters = 0
        packed: Any = 0
        any_kind: Any = 0
        all_kinds: Any = 0xFFFF
        words = False
        while at < end:
            code = np.int64(data[at])
            size = 1
            if code >= 0x80:
                code, size = decode(data, at)
            kind = np.int64(bits[code])
            any_kind |= kind
            all_kinds &= kind
            words |= (kind & MARK) == 0
            for _ in range(size):
                byte = np.uint64(data[at])
                state = plus(times(state, BASE), byte)
                power = times(power, BASE)
                packed = packed << 8 | np.int64(byte)
                at += 1
            characters += 1
        num_chars[token], hashes[token], powers[token] = characters, state, power
        size = end - starts[token]
        flag = (any_kind & LETTER != 0) * HAS_LETTER + words * HAS_WORD + (all_kinds & CATEGORY_P != 0) * IS_PUNCT
        flag += (characters == 1 and any_kind & STOP != 0) * IS_STOP
        if 2 <= size <= 4:
            reversed_bytes = 0
            for place in range(size):
                reversed_bytes = reversed_bytes << 8 | (packed >> (8 * place) & 0xFF)
            flag += stop_number(reversed_bytes, size) << STOP_SHIFT
        flags[token] = flag
    return flags
