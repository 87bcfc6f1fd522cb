"""Documents of planted topics: a third of the words from the topic's own ten, the rest from what all share."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.rng import generator

THEMES = {
    "sea": "ship sail harbour tide captain anchor wave gull deck mast",
    "kitchen": "flour butter oven recipe spoon salt onion bake pan sugar",
    "law": "court judge statute appeal contract plaintiff verdict clause jury lawyer",
    "sky": "planet orbit telescope comet star galaxy moon lunar eclipse crater",
}
COMMON = "the of and a in to is it that was for on with as by at from"


@dataclass(frozen=True)
class Planted:
    texts: list[str]
    themes: list[str]  # of each text


def planted(count: int, *, themes: dict[str, str] = THEMES, seed: int = 1) -> Planted:
    """Write documents, each of a theme drawn by chance; the first theme has twice as many as another."""
    draw, names = generator(seed, "planted"), list(themes)
    shared = COMMON.split()
    texts, drawn = [], []
    for _ in range(count):
        theme = names[max(int(draw.integers(len(names) + 1)) - 1, 0)]
        own = themes[theme].split()
        words = [str(draw.choice(own if draw.random() < 0.35 else shared)) for _ in range(int(draw.integers(30, 80)))]
        texts.append(" ".join(words))
        drawn.append(theme)
    return Planted(texts, drawn)


def one_bag(count: int) -> Planted:
    """Write documents that all draw from one bag of words, so that there are no topics."""
    return planted(count, themes={"all": " ".join(THEMES.values())})
