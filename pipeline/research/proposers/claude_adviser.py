"""Claude as one who has ideas: one request a batch, by a schema, through the client that buys every answer once.

What is asked follows from the ledger of the search alone, so a night that was killed asks the same again, finds the
answer among those that are paid for, and has the same ideas. Whatever comes back is data: it passes the schema, then
`idea_of`, then the checks of every card. Nothing that goes wrong here stops a night.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from pipeline.core.claude.messages.request import BYTES_PER_TOKEN, Buyer, Request
from pipeline.core.claude.prices import NANO, BilledTokens, cost_nano, dollars, load_prices
from pipeline.core.errors import BudgetError, RecipeError, TamisError
from pipeline.recipe.edits import OPS
from pipeline.research.proposers.ideas import Advice, Idea, View, idea_of
from pipeline.research.proposers.view import kind_of

if TYPE_CHECKING:
    from pipeline.core.claude.buying.bought import Answer
    from pipeline.core.claude.client import ClaudeClient

NAME = "claude"
STEP = "research.claude"  # for whom answers are bought, in the bill
# All money that a search spent by these words counts against its cap, so they stay the same from version to version.
SYSTEM = "You propose changes of a recipe for pretraining data, as JSON. You have no tools, and judge nothing."
TEXT = Path(__file__).with_name("claude_adviser.txt")
ANGLES = "# Angles, one a batch\n"
MAX_TOKENS = 8000  # thoughts included
TIMEOUT_SECONDS = 180.0
MOST_WAITS = 2  # that a server asks for by 429: the others need no Claude to go on
IN_A_ROW = 3  # ideas of one kind
MOST_IDEAS = 100  # that are looked at
MOST_BYTES = 200_000  # of a view
PROSE = 160  # characters of an answer that is shown
OUTPUT_TOKENS = 2500  # assumed of an answer with its thoughts, before any was bought
CARDS_BYTES = 6000  # assumed: what a view says of cards, and the rules


def schema() -> dict[str, Any]:
    """Return the JSON schema of an answer: words before numbers, so that an idea is thought before it is weighed."""
    text = {"type": "string"}
    edit = _object(op={"type": "string", "enum": list(OPS)}, place=text, value=text)
    number = {"type": "number"}
    idea = _object(
        hypothesis=text, mechanism=text, falsifier=text, edits={"type": "array", "items": edit},
        prediction=_object(median=number, low=number, high=number), claim=text,
    )  # fmt: skip
    return _object(ideas={"type": "array", "items": idea})


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "additionalProperties": False, "required": list(properties), "properties": properties,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClaudeAdviser:
    """Claude, by a model's name, with the ledger of paid requests and the cap of all nights together."""

    recipe: str  # whose search it is, for the bill and the cap
    model: str
    ledger: Path
    max_usd: float
    backoff_seconds: float = 1.0
    name: str = NAME
    left: Callable[[], float] | None = None  # dollars that all else in the search leaves for it by now

    def ideas(self, view: View, count: int, seed: int) -> Advice:
        """Ask for ideas; whatever goes wrong is said in `why_none`."""
        from pipeline.core.claude.client import ClaudeClient

        angle = angle_of(view)
        most = self.max_usd if self.left is None else max(min(self.max_usd, self.left()), 0.0)
        try:
            request = request_of(view, count, model=self.model)
            with ClaudeClient(
                self.ledger, max_usd=most, workers=1, buyer=Buyer(self.recipe, STEP),
                timeout_seconds=TIMEOUT_SECONDS, backoff_seconds=self.backoff_seconds, most_waits=MOST_WAITS,
            ) as client:  # fmt: skip
                return _asked(client, request, view, angle)
        except TamisError as error:
            return Advice(why_none=str(error), hint=angle)


def _asked(client: ClaudeClient, request: Request, view: View, angle: str) -> Advice:
    """Return what comes of a request, with what it cost: also where no answer came, and it may have been billed."""
    try:
        (answer,) = client.ask(client.fitted([request]))
    except TamisError as error:
        money = "out of money: " if isinstance(error, BudgetError) else ""
        return Advice(why_none=f"{money}{error}", usd=client.spent_usd, hint=angle)
    return _read(answer, view, angle)


def _read(answer: Answer, view: View, angle: str) -> Advice:
    """Return the ideas of an answer, what in it was none, and why there are none."""
    if answer.data is None:
        return Advice(why_none=_why(answer), usd=answer.cost_usd, hint=angle)
    found, unusable = list[Idea](), list[str]()
    for told in answer.data["ideas"][:MOST_IDEAS]:
        try:
            found.append(idea_of(_decoded(told)))
        except RecipeError as error:
            unusable.append(str(error))
    kept, same = _varied(found, view)
    why = "" if kept else "no idea in its answer can be used" if answer.data["ideas"] else "it had no ideas"
    return Advice(tuple(kept), (*unusable, *same), why, usd=answer.cost_usd, hint=angle)


def _why(answer: Answer) -> str:
    if answer.status == "refused":
        return f"the model refused ({answer.reason})"
    if answer.status == "truncated":
        return f"its answer was cut off ({answer.reason})"
    shown = " ".join(answer.text.split())[:PROSE]
    return f"its answer is not what was asked for ({answer.reason})" + (f": {shown!r}" if shown else "")


def _decoded(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an idea with the values of its edits as JSON; what is none is a word."""
    return {**told, "edits": [{**edit, "value": _value(edit["value"])} for edit in told["edits"]]}


def _value(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        return text


def _varied(ideas: list[Idea], view: View) -> tuple[list[Idea], list[str]]:
    """Return ideas of which no more than `IN_A_ROW` follow each other with one kind, those of before counted."""
    kept, same = list[Idea](), list[str]()
    kinds = [row["kind"] for row in view["yours"]]
    one_kind = len({each["op"] for each in view["space"]}) < 2  # nothing else could be said
    for idea in ideas:
        kind = kind_of(idea)
        if not one_kind and kinds[-IN_A_ROW:] == [kind] * IN_A_ROW:
            same.append(f"a further idea in a row of the kind {kind}: {'; '.join(edit.words for edit in idea.edits)}")
            continue
        kinds.append(kind)
        kept.append(idea)
    return kept, same


def request_of(view: View, count: int, *, model: str) -> Request:
    """Return what is asked of a view: it stands between marks that hold its own hash, which nothing in it can close."""
    told = json.dumps(view, ensure_ascii=True, indent=1, allow_nan=False)
    if len(told) > MOST_BYTES:
        raise RecipeError(f"the recipe and its space take {len(told):,} bytes to tell; {MOST_BYTES:,} are the most.")
    filled = {
        "count": count, "most_edits": view["most_edits"], "in_a_row": IN_A_ROW, "angle": angle_of(view),
        "mark": blake3(told.encode()).hexdigest()[:16], "view": told,
    }  # fmt: skip
    prompt, _ = _text()
    for key, value in filled.items():  # the view last: what stands in it is not filled in
        prompt = prompt.replace(f"{{{key}}}", str(value))
    return Request(
        model=model, system=SYSTEM, prompt=prompt, max_tokens=MAX_TOKENS, schema=schema(), thinking="adaptive",
        effort="medium", purpose=STEP,
    )  # fmt: skip


def angle_of(view: View) -> str:
    """Return where the ideas of a batch are to start from: another one each time, so that they do not become alike."""
    _, angles = _text()
    return angles[view["batch"] % len(angles)]


@cache
def _text() -> tuple[str, tuple[str, ...]]:
    prompt, _, angles = TEXT.read_text(encoding="utf-8").partition(ANGLES)
    return prompt, tuple(line.removeprefix("- ") for line in angles.splitlines())


def bill_ahead(*, recipe_bytes: int, model: str, requests: int, bought: Sequence[float], max_usd: float) -> str:
    """Return in a line what a night's requests will probably cost; `bought` is what each cost so far.

    RecipeError for a model without a price. Before any was bought, tokens are guessed from the size of the recipe.
    """
    prompt = round((recipe_bytes + CARDS_BYTES) / BYTES_PER_TOKEN[1])
    price = load_prices().price_of(model, prompt_tokens=prompt, on=datetime.now(tz=UTC).date())
    guessed = cost_nano(price, BilledTokens(input=prompt, output=OUTPUT_TOKENS)) / NANO
    spent, each = math.fsum(bought), math.fsum(bought) / len(bought) if bought else guessed
    basis = f"as the {len(bought)} before" if bought else "a guess by the size of the recipe"
    return (
        f"claude: up to {requests} requests to {model}, one a batch, about {dollars(each * requests, up=True)} "
        f"({basis}); {dollars(spent)} spent by this search, and never more than {dollars(max_usd)} in all its nights"
    )
