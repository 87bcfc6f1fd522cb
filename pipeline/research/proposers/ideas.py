"""What a proposer outside the optimiser says: ideas as edits with reasons, from a model or from a script.

Whoever has ideas sees a `View` and nothing else: the recipe, the space, what cards showed on the open held-out sets.
No sealed document, no verdict's numbers, no key and no path of a result are in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.errors import RecipeError
from pipeline.recipe.edits import Edit, edit_of
from pipeline.recipe.python_recipe import plain_copy
from pipeline.research.record.card import Prediction

View = Mapping[str, Any]  # plain JSON
MOST_WORDS = 600  # characters of each text of an idea


@dataclass(frozen=True, slots=True)
class Idea:
    """Edits of the incumbent, why they should help, and what would show that they do not."""

    edits: tuple[Edit, ...]
    hypothesis: str
    mechanism: str
    falsifier: str = ""
    prediction: Prediction | None = None
    claim: str = ""  # id of the finding that it tries to use


@dataclass(frozen=True, slots=True)
class Advice:
    """What came of asking: ideas, what was no idea, why nothing came, and what it cost."""

    ideas: tuple[Idea, ...] = ()
    unusable: Sequence[str] = field(default_factory=tuple)
    why_none: str = ""
    usd: float = 0.0
    hint: str = ""  # what the adviser was told to look at


class Adviser(Protocol):
    """Somebody with ideas. The same view, count and seed give the same advice, as a killed night asks again."""

    @property
    def name(self) -> str: ...

    def ideas(self, view: View, count: int, seed: int) -> Advice: ...


def idea_of(told: Any) -> Idea:
    """Return the idea that JSON tells; RecipeError says what is missing or no edit."""
    if not isinstance(told, Mapping):
        raise RecipeError("an idea must be a mapping of edits, hypothesis and mechanism.")
    told = plain_copy(told)
    edits = told.get("edits")
    if not isinstance(edits, list) or not edits:
        raise RecipeError("an idea needs `edits`, a list of one or more.")
    words = {key: told.get(key, "") for key in ("hypothesis", "mechanism", "falsifier")}
    for key, text in words.items():
        if not isinstance(text, str) or (key != "falsifier" and not text.strip()):
            raise RecipeError(f"an idea needs `{key}`, a sentence.")
    short = {key: " ".join(text.split())[:MOST_WORDS] for key, text in words.items()}
    claim = told.get("claim") or ""
    if not isinstance(claim, str):
        raise RecipeError("the `claim` of an idea must be the id of a finding.")
    return Idea(
        tuple(edit_of(edit) for edit in edits), prediction=_prediction(told.get("prediction")),
        claim=claim[:MOST_WORDS], **short,
    )  # fmt: skip


def _prediction(told: Any) -> Prediction | None:
    if told is None:
        return None
    keys = ("median", "low", "high")
    values = [told.get(key) for key in keys] if isinstance(told, Mapping) else []
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) != len(keys) or not numbers[1] <= numbers[0] <= numbers[2] or max(map(abs, numbers)) > 100:
        raise RecipeError("a prediction is {median, low, high} of the gain in bits per byte, low <= median <= high.")
    return Prediction(*numbers)
