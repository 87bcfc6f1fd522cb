"""The first 64 words of many seeded PCG64 streams at once, the same as numpy's, by operations on arrays.

To seed one `numpy.random.PCG64` takes 15 microseconds, a tenth of what a task costs; a thousand seeded side by side
take 2 each. The steps are numpy's own (`SeedSequence` of O'Neill's seed_seq_fe, then PCG XSL-RR 128/64), in halves of
64 bits; a test holds them to numpy's words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from blake3 import blake3

BLOCK = 64
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_LOW64 = 2**64 - 1
_LOW32 = np.uint64(2**32 - 1)
_HALF = np.uint64(32)
_U32 = 2**32

Words = npt.NDArray[np.uint64]  # (num_keys,)


def words_of(keys: Sequence[bytes]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Return 64 words for each key, and (state, increment) to go on from; a key is hashed as `rng.derive` does."""
    seeds = np.frombuffer(b"".join(blake3(key).digest(8) for key in keys), dtype="<u8") >> np.uint64(1)
    high, low, inc_high, inc_low = _seeded(seeds)
    words = np.empty((BLOCK, len(keys)), dtype=np.uint64)
    for at in range(BLOCK):
        high, low = _step(high, low, inc_high, inc_low)
        mixed, turn = high ^ low, high >> np.uint64(58)
        words[at] = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    states = zip(high.tolist(), low.tolist(), inc_high.tolist(), inc_low.tolist(), strict=True)
    return words.T.tolist(), [(a << 64 | b, c << 64 | d) for a, b, c, d in states]


def next_words(state: int, increment: int) -> tuple[list[int], int]:
    """Return the next 64 words of one stream and its state after them."""
    words = []
    for _ in range(BLOCK):
        state = (state * MULTIPLIER + increment) & (2**128 - 1)
        mixed, turn = (state >> 64) ^ (state & _LOW64), state >> 122
        words.append((mixed >> turn | mixed << (64 - turn)) & _LOW64)
    return words, state


def _seeded(seeds: Words) -> tuple[Words, Words, Words, Words]:
    """Return state and increment as (num_seeds,) halves, as `PCG64(seed)` has them."""
    state = _expanded(_pool(seeds))
    initial_high, initial_low, high, low = (state[2 * at] | state[2 * at + 1] << _HALF for at in range(4))
    one = np.uint64(1)
    inc_high, inc_low = high << one | low >> np.uint64(63), low << one | one
    low = inc_low + initial_low  # the state after a step from 0, plus the initial state
    high = inc_high + initial_high + (low < inc_low)
    high, low = _step(high, low, inc_high, inc_low)
    return high, low, inc_high, inc_low


def _pool(seeds: Words) -> list[Words]:
    """Mix the two halves of each seed into four words of 32 bits."""
    constant = 0x43B0D7E5

    def hashed(value: Words) -> Words:
        nonlocal constant
        value = value ^ np.uint64(constant)
        constant = constant * 0x931E8875 % _U32
        value = value * np.uint64(constant) & _LOW32
        return value ^ value >> np.uint64(16)

    zeros = np.zeros(len(seeds), dtype=np.uint64)
    pool: list[Words] = [hashed(part) for part in (seeds & _LOW32, seeds >> _HALF, zeros, zeros)]
    for source in range(4):
        for target in range(4):
            if source != target:
                other = hashed(pool[source])
                mixed = (np.uint64(0xCA01F9DD) * pool[target] - np.uint64(0x4973F715) * other) & _LOW32
                pool[target] = mixed ^ mixed >> np.uint64(16)
    return pool


def _expanded(pool: list[Words]) -> list[Words]:
    """Return eight words of 32 bits from the four of the pool."""
    constant, out = 0x8B51F9DD, []
    for at in range(8):
        value = pool[at % 4] ^ np.uint64(constant)
        constant = constant * 0x58F38DED % _U32
        value = value * np.uint64(constant) & _LOW32
        out.append(value ^ value >> np.uint64(16))
    return out


def _step(high: Words, low: Words, inc_high: Words, inc_low: Words) -> tuple[Words, Words]:
    """Return state * MULTIPLIER + increment in halves, modulo 2**128."""
    by_high, by_low = np.uint64(MULTIPLIER >> 64), np.uint64(MULTIPLIER & _LOW64)
    by_0, by_1 = by_low & _LOW32, by_low >> _HALF
    low_0, low_1 = low & _LOW32, low >> _HALF
    cross = low_1 * by_0 + (low_0 * by_0 >> _HALF)
    middle = low_0 * by_1 + (cross & _LOW32)
    carried = low_1 * by_1 + (cross >> _HALF) + (middle >> _HALF)
    product = low * by_low
    new_low = product + inc_low
    return carried + high * by_low + low * by_high + inc_high + (new_low < inc_low), new_low
