"""A dataset that a recipe splits by topic -> one dataset for each topic, in its place wherever it is mixed.

`docs: {from: clean, by_topic: {count: 8}}` stands for `docs_0` to `docs_7`, of which each keeps one topic of the same
`topics` step, so they share one measurement. A mixture that names `docs` has its weight in equal parts; one that names
`docs_3` has that topic.
"""

from __future__ import annotations

from typing import Any

from pipeline.core.errors import shortened
from pipeline.core.files.reading.strict_yaml import Document
from pipeline.recipe.make_step import note_or_make
from pipeline.recipe.names import step_class

KEY, STEP = "by_topic", "topics"


def split_by_topic(document: Document) -> dict[str, str]:
    """Put the datasets of topics in the place of those that are split, in a document's data; return of which each is.

    What is wrong with a split is noted; the dataset then stays as it is, without it.
    """
    datasets = document.data.get("datasets")
    if not isinstance(datasets, dict):
        return {}
    of: dict[str, str] = {}
    every: dict[str, Any] = {}
    for name, body in datasets.items():
        if not isinstance(body, dict) or KEY not in body:
            every[name] = body
            continue
        kept = {key: value for key, value in body.items() if key != KEY}
        count = _count(document, name, body)
        steps = kept.get("steps") or []
        for topic in range(count) if isinstance(steps, list) else ():
            new = f"{name}_{topic}"
            if new in datasets:
                document.mistake(
                    ("datasets", new), f"datasets.{new}: `{name}` is split by topic and needs this name; use another."
                )
            every[new] = kept | {"steps": [*steps, {STEP: {**(body[KEY] or {}), "keep": [topic]}}]}
            of[new] = name
        every |= {name: kept} if name not in of.values() else {}
    document.data = document.data | {"datasets": every}
    if of and isinstance(document.data.get("mixtures"), dict):
        mixtures = {name: _mixed(body, of) for name, body in document.data["mixtures"].items()}
        document.data |= {"mixtures": mixtures}
        for new, name in of.items():
            for mixture in mixtures:
                place = ("mixtures", mixture, "weights")
                document.lines.setdefault((*place, new), document.line((*place, name)))
    return of


def _count(document: Document, name: str, body: dict[str, Any]) -> int:
    """Return into how many topics a dataset is split; none, noted, where that is not said right."""
    place, given = ("datasets", name, KEY), body[KEY]
    where = f"datasets.{name}.{KEY}"
    if isinstance(given, dict) and "keep" in given:
        document.mistake(
            (*place, "keep"),
            f"{where}.keep: every topic is a dataset of its own; leave it out and mix those you want.",
        )
        return 0
    if given is not None and not isinstance(given, dict):
        document.mistake(
            place, f"{where} is {shortened(repr(given))}; it must be a mapping such as {{count: 8}}. Write one."
        )
        return 0
    step = note_or_make(
        step_class(STEP), given, where=where, note=lambda rest, message: document.mistake((*place, *rest), message)
    )
    return 0 if step is None else int(step.params.count)


def _mixed(body: Any, of: dict[str, str]) -> Any:
    """Return a mixture with the weight of a split dataset in equal parts on its topics."""
    weights = body.get("weights") if isinstance(body, dict) else None
    if not isinstance(weights, dict):
        return body
    found: dict[str, Any] = {}
    for name, weight in weights.items():
        parts = [new for new, whole in of.items() if whole == name]
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        for part in parts or [name]:
            found[part] = found.get(part, 0) + weight / max(1, len(parts)) if number else weight
    return {**body, "weights": found}
