"""Word and line hashes -> how much of each document is said again, for Gopher's and FineWeb's rules.

An n-gram can repeat only where its (n - 1)-gram repeats. So bigrams pass through a byte-wide sieve first, only those
that collide in it reach an exact table, and each longer n starts from the positions that survived the one before: on
prose the passes from n = 3 on touch a few words in a hundred. Tables are reused over all documents by generation
stamps. Identity is a 64-bit hash of the words' hashes; linear time whatever the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.core.process.kernels import njit
from pipeline.core.text.bits import MIX_1, absorb, zeros_above

LAST_SIZE = 10
SEED = np.uint64(0x165667B19E3779F9)
MIN_BITS = 4
LOOSE_BITS = 12  # up to this size a table stays in the first-level cache, and room saves collisions
SIEVE_ROOM = 8  # slots of the sieve per bigram, up to 16: at most one in ten collides by chance


@njit(cache=True, nogil=True)
def slot_bits(num_slots: Any) -> Any:
    """Return b such that 2**b is at least this many."""
    return max(64 - zeros_above(np.uint64(max(num_slots - 1, 0))), MIN_BITS)


@njit(cache=True, nogil=True)
def table_bits(num_entries: Any) -> Any:
    """Return b such that a table of 2**b slots is at most half full with this many entries; a small one an eighth."""
    return max(slot_bits(2 * num_entries), min(slot_bits(8 * num_entries), LOOSE_BITS))


@njit(inline="always")
def find_slot(keys: Any, stamps: Any, stamp: Any, bits: Any, key: Any) -> Any:
    """Return the slot that holds `key`, or the free slot (its stamp differs) where it belongs."""
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    slot = (key * MIX_1) >> np.uint64(64 - bits)  # unsigned: no index counts from the end
    while (stamps[slot] == stamp) & (keys[slot] != key):
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, nogil=True)
def repeated_elements(keys: Any, lengths: Any, tables: Any, stamp: Any) -> Any:
    """Return (elements, characters) of `keys` that stood before in it, the first of its kind not counted."""
    slots, stamps, _ = tables
    bits = table_bits(len(keys))
    elements = characters = np.int64(0)
    for index in range(len(keys)):
        slot = find_slot(slots, stamps, stamp, bits, keys[index])
        again = np.int64(stamps[slot] == stamp)  # as good as random: nothing branches on it
        elements += again
        characters += lengths[index] * again
        stamps[slot] = stamp
        slots[slot] = keys[index]
    return elements, characters


@njit(cache=True, nogil=True)
def new_tables(num_entries: Any) -> Any:
    """Return (keys, stamps, counts) with room for this many entries; all slots free for stamps from 1 on."""
    size = 1 << table_bits(num_entries)
    return np.empty(size, np.uint64), np.zeros(size, np.int32), np.empty(size, np.int32)


@njit(cache=True, nogil=True)
def most_elements(offsets: Any) -> Any:
    """Return the length of the longest of the runs that `offsets` delimits."""
    most = 0
    for index in range(len(offsets) - 1):
        most = max(most, offsets[index + 1] - offsets[index])
    return most


@njit(cache=True, nogil=True)
def repeated_lines(doc_lines: Any, word_offsets: Any, char_starts: Any, num_chars: Any, hashes: Any) -> Any:
    """Return int64[num_docs, 6]: paragraphs, repeated ones, their characters; lines, repeated ones, their characters.

    Blank lines are no lines; they and the ends of the document separate paragraphs.
    """
    num_docs = len(doc_lines) - 1
    counts = np.zeros((num_docs, 6), np.int64)
    most = most_elements(doc_lines)
    tables = new_tables(most)
    keys, lengths = np.empty(most + 1, np.uint64), np.empty(most + 1, np.int64)
    paragraph_keys, paragraph_lengths = np.empty(most + 1, np.uint64), np.empty(most + 1, np.int64)
    for doc in range(num_docs):
        lines = paragraphs = np.uintp(0)
        was_blank = True
        first_char = np.int64(0)
        key = SEED
        for index in range(doc_lines[doc], doc_lines[doc + 1]):  # without branches: blank lines come as they like
            line = np.uintp(index)  # unsigned: no index counts from the end
            full = word_offsets[line] < word_offsets[np.uintp(index + 1)]
            begins = full & was_blank
            was_blank = not full
            keys[lines], lengths[lines] = hashes[line], num_chars[line]
            lines += np.uintp(full)
            paragraphs += np.uintp(begins)
            key = SEED if begins else key
            key = absorb(key, hashes[line]) if full else key
            first_char = np.int64(char_starts[line]) if begins else first_char
            length = np.int64(char_starts[line]) + num_chars[line] - first_char
            paragraph_keys[paragraphs] = key  # from 1 on; 0 is for blank lines before the first
            paragraph_lengths[paragraphs] = length if full else paragraph_lengths[paragraphs]
        counts[doc, 0] = paragraphs
        counts[doc, 3] = lines
        if paragraphs > 1:
            again = repeated_elements(paragraph_keys[1 : paragraphs + 1], paragraph_lengths[1:], tables, 2 * doc + 1)
            counts[doc, 1], counts[doc, 2] = again
        if lines > 1:
            counts[doc, 4], counts[doc, 5] = repeated_elements(keys[:lines], lengths, tables, 2 * doc + 2)
    return counts


@njit(cache=True, nogil=True)
def sieve_bigrams(hashes: Any, lengths: Any, sieve: Any, places: Any, grams: Any, chars: Any) -> Any:
    """Store place, hash and characters of the bigrams that may repeat; return how many there are."""
    count = len(hashes) - 1
    bits = slot_bits(SIEVE_ROOM * count)
    shift = np.uint64(64 - bits)
    sieve[: 1 << bits] = 0
    for index in range(count):
        gram = hashes[index] * MIX_1 + hashes[index + 1]
        grams[index] = gram
        slot = gram >> shift
        sieve[slot] = sieve[slot] << 1 | 1  # 0, 1, 3, 7 ... 255, 255
    found = np.uintp(0)
    for index in range(count):
        places[found] = index
        found += np.uintp(sieve[grams[index] >> shift] > 1)
    for index in range(found):
        place = np.uintp(places[index])
        grams[index] = grams[place]
        chars[index] = lengths[place] + lengths[place + np.uintp(1)]
    return np.int64(found)


@njit(cache=True, nogil=True)
def keep_repeated(found: Any, work: Any, tables: Any, stamp: Any) -> Any:
    """Keep of the first `found` n-grams those that occur twice, and in `homes` where each is counted; return how many.

    Whether one does is as good as random, so nothing branches on it.
    """
    places, grams, chars, homes = work
    keys, stamps, counts = tables
    bits = table_bits(found)
    for index in range(found):
        slot = find_slot(keys, stamps, stamp, bits, grams[index])
        counts[slot] = counts[slot] + 1 if stamps[slot] == stamp else 1
        stamps[slot] = stamp
        keys[slot] = grams[index]
        homes[index] = slot
    kept = np.uintp(0)
    for index in range(found):
        place, gram, length, home = places[index], grams[index], chars[index], homes[index]
        places[kept], grams[kept], chars[kept], homes[kept] = place, gram, length, home
        kept += np.uintp(counts[np.uintp(home)] > 1)
    return np.int64(kept)


@njit(cache=True, nogil=True)
def top_characters(size: Any, kept: Any, chars: Any, homes: Any, counts: Any) -> Any:
    """Return the characters of the most frequent n-gram, joined by spaces, times its count; the first on a tie."""
    best = 1
    characters = 0
    for index in range(kept):
        count = counts[np.uintp(homes[index])]
        if count > best:
            best = count
            characters = (chars[index] + size - 1) * best
    return characters


@njit(cache=True, nogil=True)
def again_characters(size: Any, kept: Any, places: Any, chars: Any, homes: Any, counts: Any) -> Any:
    """Return the characters of n-grams met before, walking left to right and jumping over each that counts."""
    characters = 0
    free_from = 0
    for index in range(kept):
        slot = np.uintp(homes[index])
        free = places[index] >= free_from
        again = free & (counts[slot] < 0)
        characters += chars[index] if again else 0
        free_from = places[index] + size if again else free_from
        counts[slot] = -1 if free else counts[slot]
    return characters


@njit(cache=True, nogil=True)
def extend_grams(size: Any, kept: Any, work: Any, hashes: Any, lengths: Any) -> Any:
    """Keep repeated n-grams whose right neighbour repeats too, as (n + 1)-grams; return how many there are."""
    places, grams, chars, _ = work
    longer = np.uintp(0)
    last = np.uintp(len(hashes) - 1)
    for index in range(kept - 1):
        place, follows = places[index], places[index + 1] == places[index] + 1
        end = min(np.uintp(place) + np.uintp(size), last)
        gram, length = absorb(grams[index], SEED) + hashes[end], chars[index] + lengths[end]
        places[longer], grams[longer], chars[longer] = place, gram, length
        longer += np.uintp(follows)
    return np.int64(longer)


@njit(cache=True, nogil=True)
def repeated_grams(doc_words: Any, hashes: Any, lengths: Any) -> Any:
    """Return int64[num_docs, 9]: characters of the top 2-, 3-, 4-gram and of repeated 5- to 10-grams."""
    num_docs = len(doc_words) - 1
    counts = np.zeros((num_docs, 9), np.int64)
    most = most_elements(doc_words)
    sieve = np.zeros(1 << slot_bits(SIEVE_ROOM * most), np.uint8)
    tables = new_tables(most)
    work = (np.empty(most, np.int32), np.empty(most, np.uint64), np.empty(most, np.int32), np.empty(most, np.int32))
    places, grams, chars, homes = work
    stamp = 0
    for doc in range(num_docs):
        begin, end = doc_words[doc], doc_words[doc + 1]
        if end - begin < 3:  # two words make one bigram, which cannot repeat
            continue
        word_hashes, word_lengths = hashes[begin:end], lengths[begin:end]
        found = sieve_bigrams(word_hashes, word_lengths, sieve, places, grams, chars)
        for size in range(2, LAST_SIZE + 1):
            if found < 2:
                break
            stamp += 1
            kept = keep_repeated(found, work, tables, stamp)
            if size <= 4:
                counts[doc, size - 2] = top_characters(size, kept, chars, homes, tables[2])
            else:
                counts[doc, size - 2] = again_characters(size, kept, places, chars, homes, tables[2])
            found = extend_grams(size, kept, work, word_hashes, word_lengths)
    return counts
