"""Real text of one kind, and texts that have collapsed: by one template, by a model trained on its own words."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache

from pipeline.core.rng import generator
from pipeline.core.text.batch import Batch

LEAST_WORDS = 40
END = "\0"


@cache
def paragraphs() -> tuple[str, ...]:
    """Return paragraphs of Python's language reference, short ones together, none twice: about 1,400 texts."""
    from pydoc_data.topics import topics

    found: dict[str, None] = {}
    for topic in sorted(topics):
        found |= dict.fromkeys(topics[topic].split("\n\n"))
    texts: list[str] = []
    waiting: list[str] = []
    for paragraph in found:
        waiting.append(paragraph)
        if sum(len(part.split()) for part in waiting) >= LEAST_WORDS:
            texts.append("\n\n".join(waiting))
            waiting = []
    return tuple(texts)


@cache
def docstrings() -> tuple[str, ...]:
    """Return docstrings of the standard library, none twice: about 2,000 texts by many hands."""
    import ast
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_paths()["stdlib"])
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.py")) + sorted(folder.glob("[a-z]*/*.py")):
        if {"site-packages", "test", "idlelib", "pydoc_data"} & set(path.parts):
            continue
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node) or ""
                if len(text.split()) >= LEAST_WORDS:
                    found[text] = None
    return tuple(found)


CORPORA = {"reference": paragraphs, "docstrings": docstrings}


def halves(seed: int, *, of: str = "reference") -> tuple[list[str], list[str]]:
    """Return real texts to make bands of, and others of the same kind."""
    texts = CORPORA[of]()
    order = generator(seed, "real").permutation(len(texts))
    cut = 6 * len(texts) // 10
    return [texts[row] for row in order[:cut]], [texts[row] for row in order[cut:]]


TEMPLATE = (
    "Once upon a time in {place} there lived a {trade} named {name}, who loved the {thing} more than anything else in "
    "the whole wide world. One day the {thing} was gone, and {name} went out to find it. In the end {name} learned "
    "that a true friend is worth more than any {thing}, and everybody in {place} lived happily ever after."
)


def one_template(count: int, *, seed: int) -> list[str]:
    """Return rows that one template gave, with 160,000 ways to fill it."""
    draw = generator(seed, "template")
    filled = draw.integers(0, 20, (count, 4)).tolist()
    names = ["Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo", "Kit", "Lou", "Max", "Ned", "Oz"]
    names += ["Pip", "Ray", "Sam", "Tess", "Una"]
    return [
        TEMPLATE.format(place=f"{names[a]}ville", trade=f"{names[b].lower()}smith", name=names[c], thing=f"{names[d]}x")
        for a, b, c, d in filled
    ]


def own_words(texts: list[str], count: int, *, seed: int, top: int = 0) -> list[str]:
    """Return texts of a trigram model of `texts`, of which it has learned words, line ends and where texts end.

    `top` draws from the so many most frequent words alone, as samplers do that cut the tail.
    """
    after: dict[tuple[str, str], list[str]] = defaultdict(list)
    for text in texts:
        words = ["", "", *text.replace("\n", " \n ").split(" "), END]
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            after[first, second].append(third)
    if top:
        after = defaultdict(list, {state: _most(follow, top) for state, follow in after.items()})
    draw = generator(seed, "own words")
    made = []
    for _ in range(count):
        state, words = ("", ""), []
        while len(words) < 150:
            follow = after[state]
            word = follow[int(draw.integers(len(follow)))]
            if word == END:
                break
            words.append(word)
            state = state[1], word
        made.append(" ".join(words).replace(" \n ", "\n"))
    return made


def _most(words: list[str], top: int) -> list[str]:
    kept = {word for word, _ in Counter(words).most_common(top)}
    return [word for word in words if word in kept]


def batch(texts: list[str]) -> Batch:
    """Wrap texts."""
    return Batch.from_texts(texts)
