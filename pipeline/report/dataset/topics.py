"""The topics in the card of a step -> a table: which there are, how large, by which words, and how clear each is.

Expected in `details` (`filters/topics/topics.py` writes it): topics, each with topic, name, words, documents and
silhouette; silhouette, agreement_of_halves and both by_chance; warnings.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.dataset.steps import DatasetShown, StepShown
from pipeline.report.draw import figures


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic."""

    number: int
    name: str
    documents: int
    more_words: str  # besides those of the name
    silhouette: str


@dataclass(frozen=True, slots=True)
class TopicsShown:
    """The topics of a step, and what was measured of them all."""

    step: str
    documents: int
    without: int  # documents that have no topic
    sample: int
    facts: tuple[tuple[str, str, str], ...]  # what, its value, by chance
    topics: tuple[Topic, ...]
    warnings: tuple[str, ...]

    @property
    def largest(self) -> int:
        return max((topic.documents for topic in self.topics), default=1) or 1


def topics_in(shown: DatasetShown) -> list[TopicsShown]:
    """Return what every step of a dataset that finds topics has found."""
    return [_topics(step) for step in shown.steps if {"topics", "agreement_of_halves"} <= set(step.card.details)]


def topic_kept(shown: DatasetShown) -> str:
    """Return the name of the one topic that a dataset keeps; nothing where it keeps several, or knows none."""
    for step in shown.steps:
        kept = [int(rule.threshold) for rule in step.rules if rule.signal == "topic" and rule.op == "=="]
        for found in step.card.details.get("topics", ()):
            if [int(found["topic"])] == kept:
                return str(found["name"])
    return ""


def _topics(step: StepShown) -> TopicsShown:
    details = step.card.details
    measured = (("silhouette", "silhouette"), ("agreement of two halves of the sample", "agreement"))
    keys = {"silhouette": "silhouette", "agreement": "agreement_of_halves"}
    return TopicsShown(
        step=step.label,
        documents=int(details["documents"]),
        without=int(details["documents_without_topic"]),
        sample=int(details["sample"]),
        facts=tuple(
            (name, figures.fixed(details[keys[key]], 3), figures.fixed(details[f"{key}_by_chance"], 3))
            for name, key in measured
        ),
        topics=tuple(
            Topic(
                number=int(found["topic"]),
                name=str(found["name"]),
                documents=int(found["documents"]),
                more_words=" ".join(str(word) for word in found["words"][len(str(found["name"]).split()) :]),
                silhouette=figures.fixed(found["silhouette"], 2),
            )
            for found in details["topics"]
        ),
        warnings=tuple(str(warning) for warning in details.get("warnings", ())),
    )
