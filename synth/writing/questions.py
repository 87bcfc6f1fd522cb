"""A question about a document: how a model is asked to write one, how two others answer it, and what is wrong with it.

An answer that the checker (`agreement.py`) cannot tell apart from a planted wrong one is refused before it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from pipeline.core.claude.messages.fence import fenced, stands_in
from pipeline.core.claude.messages.request import Request
from pipeline.core.claude.messages.visible import comparable, visible
from synth.writing.agreement import agree, normal, number_in
from synth.writing.faithful import leaked
from synth.wrong_answers import wrong_answers

SKILLS = ("fact", "reason", "comparison", "computation", "order", "definition", "condition")
MOST_ANSWER_WORDS = 12
WRITE = """You write tasks that test whether a reader has understood a document.

Write one question that the document answers and that nobody could answer without it.
- question: names what it is about; whoever answers it sees the document. It does not contain its answer.
- answer: at most {most} words: a name, a number with its unit, a date or a short phrase, as the document writes it.
  Only an answer of the skill `computation` may be a number that does not stand there.
- quote: the sentence of the document from which the answer follows, word for word.
- skill: what it takes: {skills}.
Give an empty question if the document answers none."""
TASK = "Write one question about the document between the two marks."
SOLVE = """You answer a question about a document, from the document alone. At most {most} words: a name, a number with
its unit, a date or a short phrase, as the document writes it. An empty answer if the document does not say."""
GUESS = """You answer a question without any text to look into. At most {most} words, your best guess: a name, a number
with its unit, a date or a short phrase."""
QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb"
STOPS = re.compile(rf"^[{QUOTES}(\[{{]+|[\s.,;:!?{QUOTES})\]}}]+$")  # around an answer; comparing takes them away


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


QUESTION = _object(
    {"quote": {"type": "string"}, "question": {"type": "string"}, "answer": {"type": "string"},
     "skill": {"type": "string", "enum": list(SKILLS)}}
)  # fmt: skip
ANSWER = _object({"answer": {"type": "string"}})
INSTRUCTIONS = WRITE.format(most=MOST_ANSWER_WORDS, skills=", ".join(SKILLS))
HASH = blake3("\n".join([INSTRUCTIONS, SOLVE, GUESS]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer, the words of the document that it rests on, and the skill that it takes."""

    question: str
    answer: str
    quote: str
    skill: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Question:
        """Return what an answer by the schema QUESTION says."""
        return cls(*(" ".join(str(data[key]).split()) for key in ("question", "answer", "quote", "skill")))


def to_write(shown: str, *, model: str) -> Request:
    """Return the request for a question about what is shown of a document."""
    return Request(
        model=model, system=INSTRUCTIONS, prompt=fenced(shown, task=TASK), schema=QUESTION, max_tokens=500,
        purpose="document_tasks/write",
    )  # fmt: skip


def to_solve(shown: str, question: str, *, model: str) -> Request:
    """Return the request that answers a question from the document."""
    told = f"Answer this question about the document between the two marks: {visible(question)}"
    return Request(
        model=model, system=SOLVE.format(most=MOST_ANSWER_WORDS), prompt=fenced(shown, task=told), schema=ANSWER,
        max_tokens=150, purpose="document_tasks/solve",
    )  # fmt: skip


def to_guess(question: str, *, model: str) -> Request:
    """Return the request that answers a question without the document."""
    return Request(
        model=model, system=GUESS.format(most=MOST_ANSWER_WORDS), prompt=visible(question), schema=ANSWER,
        max_tokens=150, purpose="document_tasks/guess",
    )  # fmt: skip


def fault(shown: str, written: Question) -> str:
    """Return why a question is not worth solving, in a few words, or an empty text."""
    document, answer = comparable(shown), normal(written.answer)
    if not written.question:
        return "nothing to ask"
    if not answer or len(written.answer.split()) > MOST_ANSWER_WORDS:
        return "no short answer"
    if not stands_in(written.quote, document):
        return "quote made up"
    if f" {answer} " in f" {normal(written.question)} ":
        return "answer in the question"
    if f" {answer} " not in f" {normal(shown)} " and not (written.skill == "computation" and number_in(answer)):
        return "answer not in the document"
    return leaked(f"{written.question} {written.answer}", instructions=INSTRUCTIONS)


def accepts_wrong(written: Question, *, neighbour: str) -> list[str]:
    """Return the kinds of planted wrong answers that the checker takes for right: such an answer cannot be checked."""
    bare = STOPS.sub("", written.answer)  # or the answer without its full stop would count as a wrong one
    tries = wrong_answers(bare, neighbour=neighbour, prompt=written.question)
    return [kind for kind, wrong in tries.items() if STOPS.sub("", wrong) != bare and agree(wrong, written.answer)]
