"""Rows on their way from a model, watched by prompt: one whose texts leave the band of real text is retired.

The band is that of the documents that may be written from. What the form of a style moves (layout, openings, rare
words, loss) is told and judges nothing: judged is what no form asks for, such as phrases that come again in one text
after the other. With too few documents for a band nothing is watched, and the card says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.step import Part
from pipeline.core.text.batch import Batch
from synth.writing.seeds import Seed, Seeds
from synth.writing.writer import WatchedParams

if TYPE_CHECKING:
    from synth.diversity.governor import Governor
    from synth.writing.clusters import Clusters

REAL_DOCUMENTS = 2_000  # that the band is made of, at most
FEWEST_WORDS = 10
AT_FIRST = 400  # rows of a prompt asked for at once while it is new, so that a collapse costs no more
NEW = 1_000  # rows of a prompt


class Watch:
    """A governor over rows, each made by one of `prompts`; weights, a reason to stop, and what the card tells."""

    def __init__(
        self, parts: Sequence[Part], params: WatchedParams, *, prompts: Sequence[str], judged: Sequence[str],
        most_words: int, seed: int,
    ) -> None:  # fmt: skip
        from synth.diversity.bands import Bands
        from synth.diversity.governor import Governor
        from synth.diversity.words import read_words
        from synth.writing.clusters import Clusters

        self._prompts = prompts
        self._credit = dict.fromkeys(prompts, 0.0)
        self._governor: Governor | None = None
        self._clusters: Clusters
        self._why = "" if params.watch_diversity else "watch_diversity is off"
        if self._why:
            return
        seeds = Seeds(parts, seed=seed, min_chars=params.min_chars, max_chars=params.max_chars)
        shown = [seed.shown for seed in seeds.take(REAL_DOCUMENTS)]
        real = Batch.from_texts(shown)
        counts = read_words(real, most=most_words).counts
        least = int(np.quantile(counts, 0.25)) if len(counts) else 0
        try:
            bands = Bands.of(real, most_words=max(FEWEST_WORDS, least), seed=seed)
        except ValueError as error:
            self._why = str(error)
        else:
            self._governor, self._clusters = Governor(bands, judged=judged, steering=["prompt"]), Clusters(shown)

    def see(self, texts: Sequence[str], *, seeds: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        """Watch rows that were kept, in their order, with what each was written from.

        `groups` has `prompt` and whatever else is to be told apart.
        """
        if self._governor is not None and texts:
            told = {**groups, "seed cluster": self._clusters.of(seeds)}
            self._governor.watch(Batch.from_texts(list(texts)), groups=told)

    def next_prompts(self, count: int) -> list[int]:
        """Return by which of `prompts` the next documents are written: in turns, a lighter one more seldom."""
        weights = [self.weight(prompt) for prompt in self._prompts]
        chosen = []
        for _ in range(count):
            for prompt, weight in zip(self._prompts, weights, strict=True):
                self._credit[prompt] += weight
            most = max(self._prompts, key=lambda prompt: (self.weight(prompt) > 0, self._credit[prompt]))
            self._credit[most] -= sum(weights)
            chosen.append(self._prompts.index(most))
        return chosen

    def weight(self, prompt: str) -> float:
        """Return what a prompt counts, 1 while nothing is known against it."""
        return 1.0 if self._governor is None else self._governor.weight("prompt", prompt)

    def portion(self, most: int, *, kept: int) -> int:
        """Return how many rows to ask for at once: fewer while the prompts are new."""
        new = self._governor is not None and kept < NEW * len(self._prompts)
        return min(most, AT_FIRST * len(self._prompts)) if new else most

    @property
    def stop(self) -> str:
        """Why nothing more should be bought, or ""."""
        return "" if self._governor is None else self._governor.stop

    def details(self) -> dict[str, Any]:
        """Return what was seen as plain JSON, for the card."""
        from synth.diversity.told import told

        return {"diversity": {"not_watched": self._why} if self._governor is None else told(self._governor)}


def shown_of(seeds: Sequence[Seed], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the model was shown for each row, by the metadata of the rows."""
    shown = {seed.row["id"]: seed.shown for seed in seeds}
    return [shown[row["written_from"]] for row in rows]
