"""Texts while they are made -> a weight for every group that they come from, and whether making more is worth it.

Groups are whatever the caller names, on any axis: prompt, family, cluster of seeds, model. Each is measured in windows
and held against the bands of real text. Out of its band twice in a row, or once by far, a group counts half; again, a
quarter; the third time it is retired for good. A window inside its band doubles the weight, to 1 at most. Making ends
when every group of an axis is retired, or when for a while nearly nothing that comes is new. Which numbers judge is the
caller's to say: what the form of a style moves (skeletons, openings) is measured all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.text.batch import Batch
from synth.diversity.bands import FAR, Bands
from synth.diversity.measures import NAMES, first_words, novelty_keys
from synth.diversity.words import Words, joined

EVERYTHING = "all"  # the axis with one group
HALVINGS = 3  # the third retires
NOVEL = 0.05  # least share of runs that did not come before
STALE = 3  # windows in a row with less
SEEN_BITS = 25  # of the table of runs that came: 4 MiB
ONE_IN = 8  # runs are remembered


@dataclass(frozen=True, slots=True)
class Window:
    """What one window of one group was, and what became of the group."""

    axis: str
    group: str
    number: int  # of its windows, from 1
    rows: int  # rows of the group up to its end
    found: np.ndarray  # float64[len(NUMBERS)]
    strays: np.ndarray  # float64[len(NUMBERS)], 1 is the end of the band
    judged: np.ndarray  # bool[len(NUMBERS)]
    novel: float  # share of its runs that no window of the axis had before
    weight: float  # after it

    @property
    def left(self) -> tuple[str, ...]:
        """The numbers that judge and are outside their band, the farthest first."""
        strays = np.where(self.judged, self.strays, 0)
        return tuple(NAMES[place] for place in np.argsort(-strays, kind="stable").tolist() if strays[place] > 1)


@dataclass
class _Group:
    waiting: list[Words] = field(default_factory=list)
    weight: float = 1.0
    halvings: int = 0
    in_a_row: int = 0
    rows: int = 0
    windows: int = 0


class Governor:
    """Watches texts in the order in which they are made; the same texts give the same weights."""

    def __init__(
        self, bands: Bands, *, judged: Collection[str] = NAMES, steering: Collection[str] | None = None
    ) -> None:
        """Watch by the numbers whose names are in `judged`; KeyError for a name that no number has.

        Making ends when all groups of an axis in `steering` are retired; None: of any axis that is named.
        """
        if unknown := set(judged) - set(NAMES):
            raise KeyError(f"no such numbers: {sorted(unknown)}")
        self.bands = bands
        self._steering = steering
        self.judged = np.array([name in judged for name in NAMES])
        self.windows: list[Window] = []
        self._groups: dict[tuple[str, str], _Group] = {}
        self._seen: dict[str, np.ndarray] = {}
        self._stale: dict[str, int] = {}

    def watch(self, texts: Batch, *, groups: Mapping[str, Sequence[str]] | None = None) -> list[Window]:
        """Take texts, with the group of each on every axis; return the windows that they completed."""
        axes: dict[str, Sequence[str]] = {EVERYTHING: ["all"] * len(texts), **(groups or {})}
        words = self.bands.read(texts)
        found: list[Window] = []
        for axis, names in axes.items():
            if len(names) != len(texts):
                raise ValueError(f"axis {axis!r} names {len(names)} groups of {len(texts)} texts")
            for group, rows in _rows_of(names):
                found += self._take(axis, group, words.take(rows))
        self.windows += found
        return found

    def weight(self, axis: str, group: str) -> float:
        """Return what a group counts, 1 for one that was never measured, 0 for one that is retired."""
        state = self._groups.get((axis, group))
        return 1.0 if state is None else state.weight

    def weights(self) -> dict[str, dict[str, float]]:
        """Return the weight of every group that was seen, by axis."""
        found: dict[str, dict[str, float]] = {}
        for (axis, group), state in self._groups.items():
            found.setdefault(axis, {})[group] = state.weight
        return found

    def rows(self, axis: str, group: str) -> int:
        """Return how many texts of a group were taken."""
        state = self._groups.get((axis, group))
        return 0 if state is None else state.rows

    @property
    def stop(self) -> str:
        """Why making should end, or "" while it is worth its price."""
        axes = self.weights()
        for axis, weights in axes.items():  # one bad group among good ones is no reason: it is retired by itself
            steers = axis in self._steering if self._steering is not None else axis != EVERYTHING or len(axes) == 1
            if steers and not any(weights.values()):
                return f"every {'text' if axis == EVERYTHING else axis} has left the band of real text"
        if self._stale.get(EVERYTHING, 0) >= STALE:
            return f"less than {NOVEL:.0%} of the last {STALE} windows was new"
        return ""

    def _take(self, axis: str, group: str, words: Words) -> Iterator[Window]:
        state = self._groups.setdefault((axis, group), _Group())
        for start in range(0, len(words), self.bands.size.documents):
            part = words.take(np.arange(start, min(start + self.bands.size.documents, len(words))))
            state.waiting.append(part)
            state.rows += len(part)
            together = joined(state.waiting)
            if self.bands.size.fits(together):
                state.waiting = []
                yield self._judge(axis, group, state, together)
            else:
                state.waiting = [together]

    def _judge(self, axis: str, group: str, state: _Group, window: Words) -> Window:
        found = self.bands.measure(window)
        strays = self.bands.strays(found)
        farthest = float(strays[self.judged].max(initial=0))
        novel = self._novel(axis, window)
        state.windows += 1
        state.in_a_row = state.in_a_row + 1 if farthest > 1 else 0
        if state.in_a_row >= 2 or farthest > FAR:
            state.halvings += 1
            state.weight = 0.0 if state.halvings >= HALVINGS else state.weight / 2
        elif state.in_a_row == 0 and state.weight > 0:
            state.halvings = max(0, state.halvings - 1)
            state.weight = min(1.0, 2 * state.weight)
        return Window(axis, group, state.windows, state.rows, found, strays, self.judged, novel, state.weight)

    def _novel(self, axis: str, window: Words) -> float:
        """Return the share of a window's runs that are new, and remember them; counts windows that bring little."""
        seen = self._seen.setdefault(axis, np.zeros(1 << (SEEN_BITS - 3), np.uint8))
        keys = novelty_keys(first_words(window, self.bands.size.words), one_in=ONE_IN)
        places = (keys >> np.uint64(8)) & np.uint64((1 << SEEN_BITS) - 1)
        byte, bit = (places >> np.uint64(3)).astype(np.int64), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)
        old = (seen[byte] & bit) > 0
        np.bitwise_or.at(seen, byte, bit)
        runs = self.bands.size.words / ONE_IN  # what a window without repetition brings
        novel = min(1.0, float((~old).sum()) / runs)
        self._stale[axis] = self._stale.get(axis, 0) + 1 if novel < NOVEL else 0
        return novel


def _rows_of(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every group with its rows, in the order in which groups first come."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    for name, own in rows.items():
        yield name, np.array(own)
