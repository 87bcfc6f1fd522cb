"""Strings as 64-bit hashes, and hashes looked up in a sorted array of millions: the kernels behind lists.

One bit for every beginning of a hash, four to eight times as many as hashes, says no to seven of eight that are not
listed. The others are looked up: hashes are spread evenly, so a hash says where it stands in a sorted array of n, off
by about sqrt(n) / 2 places at first and by a few after two corrections. All look-ups of a batch take each step
together, so that they wait for the memory at the same time: 0.015 us each among 4.6 million, 4,000 at a time on one
Zen 5 core (without the bits 0.09 us, np.searchsorted 0.75 us).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import ONE_BIT, address_of, fold_product, load_byte, load_word

HASH_VERSION = 1  # of `hash_span`: bump with its definition, or lists that were stored before are looked up wrongly
SEED = np.uint64(0xA0761D6478BD642F)
MULTIPLIER = np.uint64(0xE7037ED1A0B428DB)
LAST_MULTIPLIER = np.uint64(0x8EBC6AF09C88C6E3)
ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
RANGE = 2.0**64  # of a hash
WORD_BITS, WORD_MASK = np.uint64(6), np.uint64(63)
CORRECTIONS = 2  # of a place; then it is off by 3 on average among 4.6 million
NEAR = 32  # places looked at one by one before the rest is bisected
NEWLINE, NUMBER_SIGN, SPACE = 0x0A, 0x23, 0x20


@njit(cache=True, nogil=True)
def hash_span(start: Any, end: Any, limit: Any) -> Any:
    """Return the hash of the bytes between two addresses; reads nothing at or beyond `limit`."""
    state, at = SEED, start
    while at + 8 <= end:
        state = fold_product(state ^ load_word(at), MULTIPLIER)
        at += 8
    if at < end:
        if at + 8 <= limit:
            group = load_word(at) & (ALL_BITS >> np.uint64(64 - 8 * (end - at)))
        else:
            group = np.uint64(0)
            for offset in range(end - at):
                group |= np.uint64(load_byte(at + offset)) << np.uint64(8 * offset)
        state = fold_product(state ^ group, MULTIPLIER)
    return fold_product(state ^ np.uint64(end - start), LAST_MULTIPLIER)


@njit(cache=True, nogil=True)
def hash_spans(data: Any, starts: Any, ends: Any) -> Any:
    """Return uint64[len(starts)]: the hash of each data[start:end]."""
    hashes = np.empty(len(starts), np.uint64)
    base = address_of(data)
    for row in range(len(starts)):
        hashes[row] = hash_span(base + starts[row], base + ends[row], base + len(data))
    return hashes


@njit(cache=True, nogil=True)
def is_blank(byte: Any) -> Any:
    """Say whether `str.strip` takes this ASCII character off."""
    return byte == SPACE or 0x09 <= byte <= 0x0D or 0x1C <= byte <= 0x1F


@njit(cache=True, nogil=True)
def hash_lines(data: Any, hashes: Any) -> Any:
    """Hash every stripped line that does not begin with `#` into `hashes`; return how many. ASCII without `\\r`."""
    base, size = address_of(data), len(data)
    count = start = 0
    while start < size:
        end = start
        while end < size and data[end] != NEWLINE:
            end += 1
        left, right = start, end
        while left < right and is_blank(data[left]):
            left += 1
        while right > left and is_blank(data[right - 1]):
            right -= 1
        if data[start] != NUMBER_SIGN:
            hashes[count] = hash_span(base + left, base + right, base + size)
            count += 1
        start = end + 1
    return count


@njit(cache=True, nogil=True)
def place_of(values: Any, wanted: Any, guess: Any) -> Any:
    """Return where `wanted` stands in sorted hashes, or -1, looking around `guess` first."""
    low, high = 0, len(values)
    for _ in range(NEAR):
        if low >= high:
            return -1
        found = values[guess]
        if found == wanted:
            return guess
        if found < wanted:
            low = guess + 1
            guess += guess + 1 < high
        else:
            high = guess
            guess -= guess > low
    while low < high:
        middle = (low + high) >> 1
        if values[middle] == wanted:
            return middle
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return -1


@njit(cache=True, nogil=True)
def mark_hashes(values: Any, num_bits: Any) -> Any:
    """Return uint64[2 ** (num_bits - 6)]: one bit for each beginning of `num_bits` bits, set where a hash has it."""
    marks, shift = np.zeros(1 << (num_bits - 6), np.uint64), np.uint64(64 - num_bits)
    for row in range(len(values)):
        place = values[row] >> shift
        marks[place >> WORD_BITS] |= ONE_BIT << (place & WORD_MASK)
    return marks


@njit(cache=True, nogil=True)
def are_marked(marks: Any, wanted: Any) -> Any:
    """Return bool[len(wanted)]: whether some marked hash begins as each of these."""
    marked, shift = np.empty(len(wanted), np.bool_), np.uint64(58) - np.uint64(np.log2(len(marks)))
    for row in range(len(wanted)):
        place = wanted[row] >> shift
        marked[row] = (marks[place >> WORD_BITS] >> (place & WORD_MASK)) & ONE_BIT
    return marked


@njit(cache=True, nogil=True)
def are_listed(values: Any, marks: Any, wanted: Any) -> Any:
    """Return bool[len(wanted)]: which hashes stand among the sorted ones, of which `marks` are."""
    listed = are_marked(marks, wanted)
    rows = np.flatnonzero(listed)
    density, last = len(values) / RANGE, len(values) - 1
    guesses = np.minimum((wanted[rows] * density).astype(np.int64), last)
    for _ in range(CORRECTIONS):  # all rows a step at a time, so that the memory answers several at once
        for index in range(len(rows)):
            distance = np.float64(np.int64(wanted[rows[index]] - values[guesses[index]]))  # signed, modulo 2^64
            guesses[index] = min(max(guesses[index] + np.int64(distance * density), 0), last)
    for index in range(len(rows)):
        listed[rows[index]] = place_of(values, wanted[rows[index]], guesses[index]) >= 0
    return listed
