"""Evaluation items told in other words: how much of an item one stretch of a document tells, whatever its wording.

An item is its words of content, cut to stems (the first five letters), each with the three that follow it: pairs. A
stretch of a document, at most 1.5 times as long as the item, tells a pair if both words stand within ten words of each
other there; in the other order it counts half. Words weigh as much as few documents of a background have them, but no
more than REACHES: names are what a paraphrase changes first. The similarity is the weight of the told pairs, of all.

An index of each item's rarest words lets most text pass unread: a stretch is looked at where three of them meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from filters.words.shingles import words_of
from pipeline.core.process.kernels import njit
from pipeline.core.text.batch import Batch
from pipeline.core.text.bits import address_of, load_word

STRETCH = 1.5  # words of a document for one of the item
LEAST_CONTENT = 8  # different words of content that an item needs; of fewer some stretch has most by chance
PIECE = 40  # words of content; a longer item is looked for piece by piece
AHEAD = 4  # words of content that make pairs with one
NEAR = 10  # words of a document within which a pair is told
OTHER_ORDER = 0.5
MOST_WEIGHT, LEAST_WEIGHT = 1.5, 0.05  # nats
RARE, MEET = 10, 3  # words of an item that are in the index, and how many of them must meet
LEAST_TOLD = 0.2  # less similar is told as 0
BACKGROUND_BITS = 20
STEM = 5  # bytes
FUNCTION_WORDS = (
    "a about after all also am an and any are as at be because been before being between both but by can could did do "
    "does doing down during each few for from further had has have having he her here hers him his how i if in into is "
    "it its just me more most my no nor not now of off on once only or other our out over own same she should so some "
    "such than that the their theirs them then there these they this those through to too under until up very was we "
    "were what when where which while who whom why will with would you your yours may might must shall"
)
_LOWER, _LETTERS, _HIGH = (np.uint64(0x0101010101 * byte) for byte in (0x20, 0x40, 0x80))
_UPPER_BYTE, _S = np.uint64(0xDF), np.uint64(0x53)
_ONE, _EIGHT, _SIX = np.uint64(1), np.uint64(8), np.uint64(6)
_MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT_29, _SHIFT_32, _TOP_6 = np.uint64(29), np.uint64(32), np.uint64(58)
_BACKGROUND_SHIFT = np.uint64(64 - BACKGROUND_BITS)


@dataclass(frozen=True, slots=True)
class Told:
    """Evaluation items, ready to be looked for. Piece p is of item owners[p]; its words of content are in `content`."""

    owners: np.ndarray  # int64[num_pieces], item numbers
    reaches: np.ndarray  # int64[num_pieces], words of a stretch
    stems: np.ndarray  # uint64: of piece p, different and ascending, stems[stem_starts[p]:stem_starts[p + 1]]
    weights: np.ndarray  # float64, of each stem, nats
    stem_starts: np.ndarray  # int64[num_pieces + 1]
    content: np.ndarray  # int64: number of the stem within its piece, in the item's order
    content_starts: np.ndarray  # int64[num_pieces + 1]
    rare: np.ndarray  # uint64, a power of two long: stems by their low bits, 0 for none (open addressing)
    posted: np.ndarray  # int64[len(rare), 2]: where in `posts` the pieces of the stem begin and end
    posts: np.ndarray  # int64[num_posts, 2]: piece, and number of the stem among the piece's rare ones
    bits: np.ndarray  # uint64 bit table of the rare stems, a power of two long
    num_items: int
    num_short: int  # items with less than LEAST_CONTENT words of content, which nothing finds


@dataclass(frozen=True, slots=True)
class Background:
    """In how many documents each stem stands, by its upper bits; additive."""

    counts: np.ndarray  # int32[2**BACKGROUND_BITS]
    num_docs: int

    @staticmethod
    def of(batch: Batch) -> Background:
        stems, offsets = stems_of(batch)
        return Background(_document_counts(stems, offsets), len(batch))

    def __add__(self, other: Background) -> Background:
        return Background(self.counts + other.counts, self.num_docs + other.num_docs)

    def weights(self, stems: np.ndarray) -> np.ndarray:
        """Return float64[num_stems], nats."""
        having = self.counts[stems >> _BACKGROUND_SHIFT]
        return np.clip(np.log((self.num_docs + 1) / (having + 0.5)), LEAST_WEIGHT, MOST_WEIGHT)

    def rarity(self, stems: np.ndarray) -> np.ndarray:
        return np.asarray(self.counts[stems >> _BACKGROUND_SHIFT])


@dataclass(frozen=True, slots=True)
class Retold:
    """For every document the item of which one stretch tells most, the first of equals."""

    similarity: np.ndarray  # float32[num_docs], 0 below LEAST_TOLD
    items: np.ndarray  # int64[num_docs], -1 if none
    spans: np.ndarray  # int64[num_docs, 2], bytes of the stretch in the document


def stems_of(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint64[num_words] stems, int64[num_docs + 1] offsets)."""
    words = words_of(batch, spans=True)
    return _stems(batch.data, words.spans, words.hashes), words.offsets


def told(texts: Sequence[str], *, background: Background) -> Told:
    """Index evaluation items."""
    ignored = np.unique(stems_of(Batch.from_texts([FUNCTION_WORDS]))[0])
    stems, offsets = stems_of(Batch.from_texts(list(texts)))
    pieces, num_short = list[tuple[int, int, np.ndarray]](), 0
    for item in range(len(texts)):
        own = stems[offsets[item] : offsets[item + 1]]
        places = np.flatnonzero(~np.isin(own, ignored))
        parts = np.array_split(places, max(1, -(-len(places) // PIECE)))
        found = [(item, int(part[-1] - part[0]) + 1, own[part]) for part in parts if len(part) >= LEAST_CONTENT]
        found = [each for each in found if len(np.unique(each[2])) >= LEAST_CONTENT]
        num_short += not found
        pieces += found
    distinct = [np.unique(piece[2]) for piece in pieces]
    empty = np.zeros(0, np.uint64)
    posts: dict[int, list[tuple[int, int]]] = {}
    for number, own in enumerate(distinct):
        order = np.argsort(background.rarity(own), kind="stable")[:RARE]
        for place, stem in enumerate(own[order].tolist()):
            posts.setdefault(stem, []).append((number, place))
    every = np.concatenate([empty, *distinct])
    rare, posted, bits = _table(posts)
    return Told(
        owners=np.array([piece[0] for piece in pieces], np.int64),
        reaches=np.array([int(STRETCH * piece[1]) + 1 for piece in pieces], np.int64),
        stems=every,
        weights=background.weights(every),
        stem_starts=_starts(distinct),
        content=np.concatenate(
            [
                np.zeros(0, np.int64),
                *(np.searchsorted(own, piece[2]) for own, piece in zip(distinct, pieces, strict=True)),
            ]
        ),
        content_starts=_starts([piece[2] for piece in pieces]),
        rare=rare,
        posted=posted,
        posts=np.array([post for stem in posts for post in posts[stem]], np.int64).reshape(-1, 2),
        bits=bits,
        num_items=len(texts),
        num_short=num_short,
    )


def _starts(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.cumsum([0, *map(len, arrays)]).astype(np.int64)


def _table(posts: dict[int, list[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the open table of rare stems, where each one's posts lie, and the bit table before it."""
    size = 1 << max(4 * len(posts), 64).bit_length()
    rare, posted = np.zeros(size, np.uint64), np.zeros((size, 2), np.int64)
    bits, past = np.zeros(max(size // 8, 1), np.uint64), 0
    for stem, own in posts.items():
        place = stem & (size - 1)
        while rare[place]:
            place = (place + 1) & (size - 1)
        rare[place], posted[place] = stem, (past, past + len(own))
        past += len(own)
        bits[(stem >> 6) & (len(bits) - 1)] |= _ONE << np.uint64(stem & 63)
    return rare, posted, bits


def retold_in(batch: Batch, items: Told) -> Retold:
    """Find for each document the item that it tells most of."""
    words = words_of(batch, spans=True)
    similarity, found, spans = _retold(
        _stems(batch.data, words.spans, words.hashes), words.offsets,
        (items.rare, items.posted, items.posts, items.bits),
        (items.owners, items.reaches, items.stems, items.weights, items.stem_starts, items.content,
         items.content_starts),
    )  # fmt: skip
    hit = np.flatnonzero(found >= 0)
    for doc in hit:
        first, last = words.offsets[doc] + spans[doc, 0], words.offsets[doc] + spans[doc, 1] - 1
        spans[doc] = words.spans[first, 0] - batch.offsets[doc], words.spans[last, 1] - batch.offsets[doc]
    return Retold(similarity, found, spans)


@njit(cache=True, nogil=True)
def _stems(data: np.ndarray, spans: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return the hash of each word's first letters, a plural s aside; of the whole word if they are not ASCII."""
    found = np.empty(len(spans), np.uint64)
    origin, last_safe = address_of(data), len(data) - 8
    for word in range(len(spans)):
        start, end = spans[word, 0], spans[word, 1]
        if start <= last_safe:
            letters = load_word(origin + start)
        else:
            letters = np.uint64(0)
            for at in range(end - 1, start - 1, -1):
                letters = letters << _EIGHT | np.uint64(data[at])
        size = min(end - start, STEM)
        if end - start == size > 3:
            last = letters >> np.uint64(8 * size - 8) & _UPPER_BYTE
            before = letters >> np.uint64(8 * size - 16) & _UPPER_BYTE
            size -= np.int64((last == _S) & (before != _S))
        letters &= (_ONE << np.uint64(8 * size)) - _ONE
        value = letters | _LOWER
        if letters & _HIGH or not letters & _LETTERS:
            value = hashes[word]
        value *= _MIX_1
        value = (value ^ (value >> _SHIFT_29)) * _MIX_2
        found[word] = max(value ^ (value >> _SHIFT_32), _ONE)
    return found


@njit(cache=True, nogil=True)
def _document_counts(stems: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    counts = np.zeros(1 << BACKGROUND_BITS, np.int32)
    last = np.full(1 << BACKGROUND_BITS, -1, np.int32)
    for doc in range(len(offsets) - 1):
        for index in range(offsets[doc], offsets[doc + 1]):
            place = stems[index] >> _BACKGROUND_SHIFT
            counts[place] += last[place] != doc
            last[place] = doc
    return counts


@njit(cache=True, nogil=True)
def _retold(stems: Any, offsets: Any, index: Any, items: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rare, posted, posts, bits = index
    owners, reaches = items[0], items[1]
    num_docs, num_pieces = len(offsets) - 1, len(owners)
    best, found = np.zeros(num_docs, np.float32), np.full(num_docs, -1)
    spans = np.zeros((num_docs, 2), np.int64)
    last_place, last_word = np.uint64(len(rare) - 1), np.uint64(len(bits) - 1)
    met = np.full((num_pieces, RARE), -(1 << 60))  # where each rare word of a piece stood last, in words of the batch
    looked = np.full(num_pieces, -1)  # up to which word stretches of a piece have been looked at
    longest = 0
    for piece in range(num_pieces):
        longest = max(longest, 2 * reaches[piece])
    room = _room(items)
    for doc in range(num_docs):
        first, end = offsets[doc], offsets[doc + 1]
        for at in range(first, end):
            stem = stems[at]
            if not bits[(stem >> _SIX) & last_word] >> (stem & np.uint64(63)) & _ONE:
                continue
            place = stem & last_place
            while rare[place] != stem and rare[place]:
                place = (place + _ONE) & last_place
            if rare[place] != stem:
                continue
            for post in range(posted[place, 0], posted[place, 1]):
                piece, number = posts[post, 0], posts[post, 1]
                met[piece, number] = at
                if at < looked[piece]:
                    continue
                since = max(at - reaches[piece], first - 1)
                together = 0
                for other in range(RARE):
                    together += met[piece, other] > since
                if together < MEET:
                    continue
                reach = reaches[piece]
                begin = max(first, at - reach)
                looked[piece] = min(at + reach, end)
                told, start, past = _best_stretch(stems[begin : min(end, at + 2 * reach)], piece, items, room)
                similarity = np.float32(told)
                owner = owners[piece]
                if similarity > best[doc] or (similarity == best[doc] > 0 and owner < found[doc]):
                    best[doc], found[doc] = similarity, owner
                    spans[doc, 0], spans[doc, 1] = begin - first + start, begin - first + past
    return best, found, spans


@njit(cache=True, nogil=True)
def _room(items: Any) -> Any:
    """Return arrays to work in, as large as any piece or stretch needs."""
    most_stems = longest = 1
    for piece in range(len(items[0])):
        most_stems = max(most_stems, items[4][piece + 1] - items[4][piece])
        longest = max(longest, 3 * items[1][piece] + 1)
    return (
        np.zeros(longest, np.int64), np.zeros(longest, np.int64), np.zeros(most_stems, np.int64),
        np.zeros((most_stems, most_stems), np.float64), np.zeros((most_stems, most_stems), np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _best_stretch(stretch: Any, piece: Any, items: Any, room: Any) -> Any:
    """Return (similarity, first word, end) of the stretch within these words that tells most of a piece."""
    _, reaches, stems, weights, stem_starts, _, _ = items
    places, which, counts, _, _ = room
    low, high = stem_starts[piece], stem_starts[piece + 1]
    sieve, total = np.uint64(0), 0.0
    for index in range(low, high):
        sieve |= _ONE << (stems[index] >> _TOP_6)
        total += weights[index]
        counts[index - low] = 0
    size = 0
    for at in range(len(stretch)):
        stem = stretch[at]
        if sieve >> (stem >> _TOP_6) & _ONE:
            place = low + np.searchsorted(stems[low:high], stem)
            if place < high and stems[place] == stem:
                places[size], which[size] = at, place - low
                size += 1
    weight, left, all_pairs, drawn = 0.0, 0, 0.0, False
    best, start, past = 0.0, 0, 0
    for right in range(size):
        if counts[which[right]] == 0:
            weight += weights[low + which[right]]
        counts[which[right]] += 1
        while places[right] - places[left] >= reaches[piece]:
            counts[which[left]] -= 1
            if counts[which[left]] == 0:
                weight -= weights[low + which[left]]
            left += 1
        if weight < LEAST_TOLD * total or (right + 1 < size and places[right + 1] - places[left] < reaches[piece]):
            continue  # too little, or the next stretch holds this one
        if not drawn:
            all_pairs, drawn = _draw_pairs(piece, items, room), True
        told = _pairs_told(left, right, room) / all_pairs
        if told > best:
            best, start, past = told, places[left], places[right] + 1
    if best < LEAST_TOLD:
        return 0.0, 0, 0
    return best, start, past


@njit(cache=True, nogil=True)
def _draw_pairs(piece: Any, items: Any, room: Any) -> Any:
    """Write down what each pair of a piece's words weighs, first word by second; return the weight of all."""
    _, _, _, weights, stem_starts, content, content_starts = items
    pairs, told = room[3], room[4]
    low = stem_starts[piece]
    size = stem_starts[piece + 1] - low
    pairs[:size, :size] = 0
    told[:size, :size] = -1
    first, end = content_starts[piece], content_starts[piece + 1]
    for second in range(first, end):
        for one in range(max(first, second - AHEAD), second):
            x, y = content[one], content[second]
            if x != y:
                weight = np.sqrt(weights[low + x] * weights[low + y] / (second - one))
                pairs[x, y] = max(pairs[x, y], weight)
                pairs[y, x] = max(pairs[y, x], OTHER_ORDER * weight)
    total = 0.0
    for x in range(size):
        for y in range(x):
            total += max(pairs[x, y], pairs[y, x])
    return total


@njit(cache=True, nogil=True)
def _pairs_told(left: Any, right: Any, room: Any) -> Any:
    """Return the weight of the pairs that the words from hit `left` to hit `right` tell."""
    places, which, _, pairs, told = room
    weight = 0.0
    for second in range(left + 1, right + 1):
        one = second - 1
        while one >= left and places[second] - places[one] <= NEAR:
            x, y = which[one], which[second]
            if pairs[x, y] > 0 and told[x, y] != right:
                told[x, y] = right
                other = pairs[y, x] if told[y, x] == right else 0.0
                weight += max(0.0, pairs[x, y] - other)
            one -= 1
    return weight
