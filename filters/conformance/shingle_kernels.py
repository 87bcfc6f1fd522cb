"""Words of simplified text -> hashed 5-grams -> MinHash signatures, in datatrove 0.10's own arithmetic.

A shingle is words joined by one space; its hash is xxh64 (seed 0) or the first 8 bytes of SHA-1, little-endian. Value i
of a signature is the least of `(hash * a[i] + b[i]) mod 2^64 mod (2^61 - 1)`. Wrapping at 2^64 is datatrove's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit

PRIME = np.uint64((1 << 61) - 1)
SHIFT_61 = np.uint64(61)
LARGEST = np.uint64((1 << 64) - 1)
P1, P2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
P3, P4, P5 = np.uint64(0x165667B19E3779F9), np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)


@njit(cache=True, nogil=True, inline="always")
def turned(value: Any, by: Any) -> Any:
    """Return a 64-bit number with its bits turned left."""
    return value << np.uint64(by) | value >> np.uint64(64 - by)


@njit(cache=True, nogil=True, forceinline=True)
def load(data: Any, at: Any, size: Any) -> Any:
    """Return `size` bytes as one little-endian number."""
    value = np.uint64(0)
    for offset in range(size):
        value |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
    return value


@njit(cache=True, nogil=True, inline="always")
def xxh_round(state: Any, value: Any) -> Any:
    """Return one lane of XXH64 that has taken in 8 bytes."""
    return turned(state + value * P2, 31) * P1


@njit(cache=True, nogil=True)
def xxh64(data: Any, start: Any, end: Any) -> Any:
    """Return XXH64 of data[start:end], seed 0 (xxHash, specification 0.1.1)."""
    zero = np.uint64(0)
    at = start
    if end - start >= 32:
        one, two, three, four = P1 + P2, P2, zero, zero - P1
        while at + 32 <= end:
            one, two = xxh_round(one, load(data, at, 8)), xxh_round(two, load(data, at + 8, 8))
            three, four = xxh_round(three, load(data, at + 16, 8)), xxh_round(four, load(data, at + 24, 8))
            at += 32
        state = turned(one, 1) + turned(two, 7) + turned(three, 12) + turned(four, 18)
        for lane in (one, two, three, four):
            state = (state ^ xxh_round(zero, lane)) * P1 + P4
    else:
        state = P5
    state += np.uint64(end - start)
    while at + 8 <= end:
        state = turned(state ^ xxh_round(zero, load(data, at, 8)), 27) * P1 + P4
        at += 8
    if at + 4 <= end:
        state = turned(state ^ load(data, at, 4) * P1, 23) * P2 + P3
        at += 4
    while at < end:
        state = turned(state ^ np.uint64(data[at]) * P5, 11) * P1
        at += 1
    state = (state ^ state >> np.uint64(33)) * P2
    state = (state ^ state >> np.uint64(29)) * P3
    return state ^ state >> np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def turned_32(value: Any, by: Any) -> Any:
    """Return a 32-bit number with its bits turned left."""
    return np.uint32(value << np.uint32(by)) | np.uint32(value >> np.uint32(32 - by))


@njit(cache=True, nogil=True)
def sha1(data: Any, start: Any, end: Any, words: Any) -> Any:
    """Return the first 8 bytes of SHA-1 of data[start:end], little-endian (FIPS 180-4). `words` is uint32[80]."""
    a0, b0, c0 = np.uint32(0x67452301), np.uint32(0xEFCDAB89), np.uint32(0x98BADCFE)
    d0, e0 = np.uint32(0x10325476), np.uint32(0xC3D2E1F0)
    length = end - start
    blocks = (length + 8) // 64 + 1
    for block in range(blocks):
        for word in range(16):
            value = np.uint32(0)
            for offset in range(4):
                place = 64 * block + 4 * word + offset
                byte = data[start + place] if place < length else 0x80 if place == length else 0
                value = np.uint32(value << np.uint32(8)) | np.uint32(byte)
            words[word] = value
        if block == blocks - 1:
            words[14], words[15] = np.uint32((8 * length) >> 32), np.uint32((8 * length) & 0xFFFFFFFF)
        for word in range(16, 80):
            words[word] = turned_32(words[word - 3] ^ words[word - 8] ^ words[word - 14] ^ words[word - 16], 1)
        a, b, c, d, e = a0, b0, c0, d0, e0
        for word in range(80):
            if word < 20:
                mixed, constant = (b & c) | (~b & d), np.uint32(0x5A827999)
            elif word < 40:
                mixed, constant = b ^ c ^ d, np.uint32(0x6ED9EBA1)
            elif word < 60:
                mixed, constant = (b & c) | (b & d) | (c & d), np.uint32(0x8F1BBCDC)
            else:
                mixed, constant = b ^ c ^ d, np.uint32(0xCA62C1D6)
            following = np.uint32(turned_32(a, 5) + mixed + e + constant + words[word])
            e, d, c, b, a = d, c, turned_32(b, 30), a, following
        a0, b0, c0 = np.uint32(a0 + a), np.uint32(b0 + b), np.uint32(c0 + c)
        d0, e0 = np.uint32(d0 + d), np.uint32(e0 + e)
    digest = np.uint64(0)
    for offset in range(8):
        value = a0 if offset < 4 else b0
        digest |= np.uint64((value >> np.uint32(24 - 8 * (offset & 3))) & np.uint32(0xFF)) << np.uint64(8 * offset)
    return digest


@njit(cache=True, nogil=True)
def signatures(data: Any, words: Any, size: Any, family: Any, use_sha1: Any, values: Any) -> Any:
    """Fill uint64 values[num_docs, num_values] and return the number of shingles of every document.

    `words` = (starts, ends, offsets by document) in the simplified text, `family` = (factors, addends) uint64.
    """
    starts, ends, doc_words = words
    factors, addends = family
    num_shingles = np.zeros(len(doc_words) - 1, np.int64)
    scratch, schedule = np.empty(256, np.uint8), np.empty(80, np.uint32)
    for doc in range(len(doc_words) - 1):
        minimum = values[doc]
        minimum[:] = LARGEST
        for first in range(doc_words[doc], doc_words[doc + 1] - size + 1):
            last = first + size - 1
            spaced = True
            for word in range(first, last):
                spaced &= starts[word + 1] - ends[word] == 1
            if spaced:  # one space between any two: the shingle stands in the text as it is
                key = hash_of(data, starts[first], ends[last], use_sha1, schedule)
            else:
                length = size - 1
                for word in range(first, last + 1):
                    length += ends[word] - starts[word]
                if length > len(scratch):
                    scratch = np.empty(2 * length, np.uint8)
                cursor = 0
                for word in range(first, last + 1):
                    for at in range(starts[word], ends[word]):
                        scratch[cursor] = data[at]
                        cursor += 1
                    scratch[cursor] = 0x20
                    cursor += word < last
                key = hash_of(scratch, 0, length, use_sha1, schedule)
            lower_minima(minimum, key, factors, addends)
            num_shingles[doc] += 1
    return num_shingles


@njit(cache=True, nogil=True)
def hash_of(data: Any, start: Any, end: Any, use_sha1: Any, schedule: Any) -> Any:
    """Return the hash of data[start:end] by the wanted function."""
    return sha1(data, start, end, schedule) if use_sha1 else xxh64(data, start, end)


@njit(cache=True, nogil=True)
def lower_minima(minimum: Any, key: Any, factors: Any, addends: Any) -> None:
    """Lower each minimum by one shingle's values; LLVM makes lanes of it."""
    for index in range(len(minimum)):
        value = key * factors[index] + addends[index]
        value = (value & PRIME) + (value >> SHIFT_61)
        value = value - PRIME if value >= PRIME else value
        minimum[index] = min(minimum[index], value)
