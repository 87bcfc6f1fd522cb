"""How soon collapsed text leaves the band of real text, and how often real text does: figures for eval/LOG.md.

`python -m tests.synth.diversity.figures [SEEDS]`, a minute and a half with 20.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from pipeline.core.rng import generator
from synth.diversity.bands import Bands
from synth.diversity.governor import Governor
from tests.synth.diversity.real import CORPORA, batch, halves, one_template, own_words

MOST_WORDS = 60


def healthy(seed: int, bands: Bands, texts: list[str]) -> tuple[int, Counter[str], float]:
    """Return (windows, numbers outside their band, the least weight) of real text in two groups."""
    governor = Governor(bands)
    order = generator(seed, "groups").permutation(len(texts))
    governor.watch(batch([texts[row] for row in order]), groups={"family": [f"f{row % 2}" for row in order]})
    names = Counter(name for window in governor.windows for name in window.left)
    least = min(weight for groups in governor.weights().values() for weight in groups.values())
    return len(governor.windows), names, least


def retired_at(bands: Bands, texts: list[str]) -> tuple[int | None, int | None, tuple[str, ...]]:
    """Return the rows after which the weight fell, and after which it was 0, and what left its band first."""
    governor = Governor(bands)
    windows = governor.watch(batch(texts), groups={"family": ["one"] * len(texts)})
    own = [window for window in windows if window.axis == "family"]
    fell = next((window for window in own if window.weight < 1), None)
    retired = next((window for window in own if window.weight == 0), None)
    rows = [None if window is None else window.rows for window in (fell, retired)]
    return rows[0], rows[1], fell.left if fell else ()


def mixed(texts: list[str], others: list[str], *, seed: int) -> list[str]:
    """Return the two in one order that is drawn."""
    both = texts + others
    return [both[row] for row in generator(seed, "mixed").permutation(len(both))]


def say(line: str) -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def main(seeds: int) -> None:
    """Print one line for each corpus and kind of text."""
    for corpus in CORPORA:
        outside: Counter[str] = Counter()
        windows = flagged = 0
        seconds = 0.0
        soon: dict[str, list[tuple[int | None, int | None]]] = {}
        first: dict[str, Counter[str]] = {}
        for seed in range(seeds):
            real, other = halves(seed, of=corpus)
            start = time.perf_counter()
            bands = Bands.of(batch(real), most_words=MOST_WORDS, seed=seed)
            seconds += time.perf_counter() - start
            found, names, least = healthy(seed, bands, other)
            windows, flagged = windows + found, flagged + (least < 1)
            outside += names
            generation = own_words(other, 1000, seed=seed)
            collapsed = {
                "one template": one_template(1000, seed=seed),
                "first generation of a trigram model of other text": generation,
                "the same, trained on the text of the bands": own_words(real, 1000, seed=seed),
                "the same, of the 5 likeliest words": own_words(other, 1000, seed=seed, top=5),
                "half of it, half real": mixed(other[:300], generation[:300], seed=seed),
            }
            for kind, texts in collapsed.items():
                fell, retired, left = retired_at(bands, texts)
                soon.setdefault(kind, []).append((fell, retired))
                first.setdefault(kind, Counter()).update(left[:1])
        say(f"{corpus}: {len(real)} texts for the bands, {seconds / seeds:.2f} s; {len(other)} others")
        say(f"  real text: {flagged} of {seeds} seeds flagged; {windows} windows, outside {dict(outside)}")
        for kind, at in soon.items():
            say(f"  {kind}: (rows to half, to none) {Counter(at).most_common()}; by {dict(first[kind])}")
    governor, many = Governor(bands), batch(own_words(real, 10_000, seed=1))
    governor.watch(batch(many.strings()[:500]))
    start = time.perf_counter()
    governor.watch(many)
    spent = time.perf_counter() - start
    say(f"one axis: {many.offsets[-1] / 1e6 / spent:.1f} MB/s, {len(many) / spent:,.0f} rows/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
