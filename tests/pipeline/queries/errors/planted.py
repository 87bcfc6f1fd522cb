"""Made-up documents of which it is known what the worst have in common, and judges who see it, or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.claims.record import Which
from pipeline.core.identity import identity_of
from pipeline.core.rng import generator
from pipeline.queries.errors.judging import Judged, Question, Specimen, match
from pipeline.queries.errors.material import Material

COUNT = 1_600
SYLLABLES = ("ta", "ro", "mi", "nek", "sol", "bu", "ver", "lin", "da", "gor", "pe", "hul")
# What stands in a document -> how often in the worst third and in the others.
PLANTED = {
    "see also the table below": (0.50, 0.15),
    ">>> print(value)": (0.45, 0.15),
    "all rights reserved by owner": (0.40, 0.10),
    "parameter {name} is required": (0.40, 0.12),
    "zweiter Abschnitt des Textes": (0.35, 0.08),
}
BLIND = {
    "the river runs to the sea": (0.3, 0.3),
    "a letter from the north": (0.2, 0.2),
    "in the year of the comet": (0.1, 0.1),
    "twelve apples in a basket": (0.5, 0.5),
    "under the old stone bridge": (0.15, 0.15),
}
SENTENCES = PLANTED | BLIND


def material(*, count: int = COUNT, seed: int = 1, which: Which = "lost", hostile: str = "") -> Material:
    """Return documents in which sentences stand as often as SENTENCES says; every tenth has a copy in its group."""
    draw = generator(seed, "material")
    badness = draw.standard_normal(count)
    worst = badness > np.quantile(badness, 2 / 3)
    texts = []
    for row in range(count):
        words = [SYLLABLES[k] + SYLLABLES[-k] for k in draw.integers(0, len(SYLLABLES), 60)]
        said = [text for text, pair in SENTENCES.items() if draw.random() < pair[0 if worst[row] else 1]]
        said += [hostile] if hostile and worst[row] and row % 7 == 0 else []
        texts.append(f"item{row}. {'. '.join(said)}. {' '.join(words)}"[: 300 + row % 40])  # long for nothing else
    cluster = np.arange(count)
    cluster[9::10] -= 1
    size = np.array([len(text.encode()) for text in texts])
    return Material(
        experiment=identity_of([count, seed, hostile]), first="first",
        other="other", which=which, on=("held",), domain=np.array(["held"] * count),
        ids=[f"doc-{row}" for row in range(count)], texts=texts, num_bytes=size, cluster=cluster,
        bits=badness * size,
    )  # fmt: skip


def noisy(questions: Sequence[Question], specimens: Sequence[Specimen]) -> Judged:
    """See 90 % of what is there and deny 95 % of what is not; a few documents are refused."""
    seen = match(questions, specimens).answers
    draw = generator(11, "noisy", len(specimens))
    chance = draw.random(seen.shape)
    answers = np.where(seen == 1, chance < 0.90, chance < 0.05).astype(float)
    refused = draw.random(len(specimens)) < 0.03
    answers[refused] = np.nan
    return Judged(answers, ["refused" if each else "answered" for each in refused], agreement=0.93, reread=40)


def answer_of(body: Mapping[str, Any], *, claims: Sequence[Mapping[str, Any]]) -> str:
    """Answer as Claude would that knows these claims: them, or yes where what a question asks for stands there."""
    schema = body["output_config"]["format"]["schema"]
    if "claims" in schema["properties"]:
        return json.dumps({"claims": list(claims)})
    prompt, asked = body["messages"][0]["content"], dict(questions_in(body))
    return json.dumps({key: is_so(question, prompt) for key, question in asked.items()})


def questions_in(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return key and words of every question that the judge is asked."""
    lines = [line.partition(": ") for line in body["system"].splitlines()]
    return [(key, words) for key, _, words in lines if key[:1] == "q" and key[1:].isdigit()]


def is_so(question: str, prompt: str) -> bool:
    """Look for what a question asks for: a label, a person, a sentence between quotation marks."""
    if question.startswith("Is label "):
        return f"label {question.split()[2]}: amber" in prompt
    if "a person called " in question:
        return question.rpartition("called ")[2].rstrip("?") in prompt
    return question.split('"')[1] in prompt


def claim_of(sentence: str, *, quotes: Sequence[tuple[int, str]], more: bool = True) -> dict[str, Any]:
    """Return a claim as Claude states it."""
    return {
        "quotes": [{"document": place, "text": text} for place, text in quotes],
        "question": f'Does the document hold the sentence "{sentence}"?',
        "more_in_a": more, "percent_in_a": 40, "percent_in_b": 10, "step": "c4_quality",
        "edit": {"op": "add_step", "target": "datasets.clean", "value": "c4_quality", "why": "left-overs"},
    }  # fmt: skip


def shown_documents(body: Mapping[str, Any]) -> list[str]:
    """Return the documents that the proposer was shown, in order."""
    prompt = body["messages"][0]["content"]
    return [part.partition(">\n")[2].rpartition("\n</document-")[0] for part in prompt.split("\n\nDocument ")]
