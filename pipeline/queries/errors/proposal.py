"""What somebody says of the worst documents -> what can be tested of it: its quotes stand there, its question is one.

Whoever stated it, a claim is void if a quote does not stand letter by letter in the document that it names, if it does
not ask a question that a text alone decides, if it speaks of quality, which goes along with everything, or if what it
looks for is personal data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.core.shown import one_line
from pipeline.queries.errors.masked import is_personal, mask, mask_within

MOST_CLAIMS = 10  # of a round: with more, each needs more documents
LEAST_QUOTE, MOST_QUOTE = 12, 300  # characters: less stands anywhere
MOST_QUESTION = 240
MOST_STEP, MOST_VALUE = 100, 300  # characters of a suspected step, and of each value of an edit
QUALITY = re.compile(
    r"\b(?:(?:high|low|poor|good|bad)[- ]quality|quality|good|bad|better|worse|best|worst|poor(?:ly)?|well[- ]written|"
    r"useful|useless|informative|educational|interesting|coherent|clear(?:ly)?|unclear|confusing|helpful|spammy?|"
    r"valuable|noisy?|clean|hard|easy|difficult|perplexity|predict\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One document as the proposer saw it."""

    doc_id: str
    text: str
    whole: str = ""  # with what follows where it was cut, as it stands in the document

    def masked(self, quote: str) -> str:
        """Return words of the text without the personal data that they hold or cut."""
        return mask_within(self.whole if quote in self.whole else self.text, quote)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One claim as it was stated; `quotes` name documents by their place among those that were shown."""

    question: str
    more: bool
    quotes: tuple[tuple[int, str], ...]
    pattern: str = ""
    predicted: tuple[float, float] | None = None
    step: str = ""
    edit: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""  # it is void


@dataclass(frozen=True, slots=True)
class Proposed:
    """All claims of a round, who stated them, and what to know of that."""

    by: str
    shown: Sequence[Shown]
    proposals: Sequence[Proposal]
    notes: tuple[str, ...] = ()
    cost_usd: float = 0.0


def checked(proposed: Proposed) -> list[Proposal]:
    """Return the first claims, void ones with the reason."""
    found: list[Proposal] = []
    seen: set[str] = set()
    for proposal in proposed.proposals[:MOST_CLAIMS]:
        question = mask(one_line(proposal.question))
        why = _why_void(replace(proposal, question=question), proposed.shown)
        if not why and question.casefold() in seen:
            why = "it asks what another claim asks"
        seen.add(question.casefold())
        found.append(replace(proposal, question=question[:MOST_QUESTION], why=why))
    return found


def _why_void(proposal: Proposal, shown: Sequence[Shown]) -> str:
    question = proposal.question
    if not question.endswith("?") or len(question) > MOST_QUESTION:
        return f"it is not one question of at most {MOST_QUESTION} characters"
    word = QUALITY.search(question)
    if word is not None:
        return f"it speaks of quality ({word[0]}), which goes along with everything"
    if is_personal(proposal.pattern):
        return "its pattern holds personal data"
    if not proposal.quotes:
        return "it quotes nothing"
    for place, quote in proposal.quotes:
        if len(quote.strip()) < LEAST_QUOTE and not proposal.pattern:
            return f"a quote has fewer than {LEAST_QUOTE} characters"
        if not 0 <= place < len(shown):
            return "a quote names a document that was not shown"
        if quote not in shown[place].text:
            return "a quote does not stand in the document that it names"
    return ""
