"""A person's word on what waits: yes or no to one plan, given at a terminal, kept in a record that only grows.

    <search>/approvals/ledger.jsonl   one chained line a word; a night takes words into its own ledger between batches

A yes names the hash of the plan that was shown and counts for no other: where the text, the code or the recipe changed
since, it has expired. The last word on a card counts, and no word is no. Nothing that a proposer answers is read as a
word, and its process can neither write here nor start a command (`core/process/confined.py`). An agent that has a shell
of the same user can do what a person can: nothing on one machine tells the two apart, so a word also keeps who gave it,
when, and whether it was typed at a terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from pipeline.core.errors import RecipeError, listed_names
from pipeline.core.identity import identity_of
from pipeline.core.process.start import USUAL_WORKSPACE
from pipeline.core.shown import one_line
from pipeline.recipe.edits import edit_of
from pipeline.research.record.card import Card, Cost
from pipeline.research.record.fold import Standing
from pipeline.research.record.ledger import FILE, Ledger
from pipeline.store.names.versions import now, user

if TYPE_CHECKING:
    from pipeline.recipe.edits import Edit
    from pipeline.research.edits.space import EditSpace
    from pipeline.research.search.search import Search

FOLDER = "approvals"
HEAD = "head"  # what waits is the promotion of what was claimed
LEAST = 8  # characters of a plan's hash that are typed

Answer = Literal["approved", "rejected"]
How = Literal["terminal", "flag"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that a person is asked about: what it is in a few lines, and the hash of what a yes would be to."""

    id: str
    plan: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said."""

    card: str
    plan: str
    answer: Answer
    why: str
    user: str
    at: str  # UTC, ISO 8601
    how: How


def waiting_in(standing: Standing) -> list[Waiting]:
    """Return what waits for a person: cards, and the promotion of a head whose claim held."""
    found = [Waiting(card.id, card.plan, _lines(card)) for card in standing.waiting]
    claim, verdict = standing.claim, standing.verdict
    held = verdict is not None and verdict["outcome"] == "promote" and verdict.get("waits", False)
    if claim is not None and verdict is not None and held and standing.promoted is None:
        edits = "; ".join(edit_of(told).words for told in claim["head"])
        lines = (f"promotion: {verdict['sentence']}", f"it changes: {edits}")
        found.append(Waiting(HEAD, identity_of([claim, verdict]), tuple(map(one_line, lines))))
    return found


def _lines(card: Card) -> tuple[str, ...]:
    cost = card.cost
    lines = (
        f"card {card.id} of {card.proposer}: {card.words}",
        f"it expects: {card.hypothesis}",
        f"because: {card.mechanism}",
        f"it waits, as {card.needs}",
        f"to do again: {', '.join(cost.redo) or 'nothing'}; {cost.lanes} proxies, up to ${cost.usd:.2f}",
    )
    return tuple(map(one_line, lines))  # what a proposer wrote looks like no line of ours


def asked_about(waiting: Sequence[Waiting], name: str) -> Waiting:
    """Return what is meant by an id or its first characters; RecipeError names what waits."""
    found = [each for each in waiting if name and each.id.startswith(name)]
    if len(found) != 1:
        known = listed_names([each.id for each in waiting])
        way_out = f"These do: {known}." if waiting else "Nothing does."
        raise RecipeError(f"`{name}`: {'several cards begin so' if found else 'no card of that id waits'}. {way_out}")
    return found[0]


def say(folder: Path, asked: Waiting, answer: Answer, *, why: str, how: How, typed: str = "") -> Word:
    """Record a word on what waits; RecipeError for a yes that does not name the plan, and for a no without a reason."""
    if answer == "approved" and not (len(typed) >= LEAST and asked.plan.startswith(typed)):
        raise RecipeError(
            f"{asked.id}: `{typed}` does not begin the hash of its plan, {asked.plan[:LEAST]}. Read what it does, and "
            f"type these {LEAST} characters. Nothing was approved."
        )
    if answer == "rejected" and not why.strip():
        raise RecipeError(f"{asked.id}: a rejection needs its reason, which proposers are told: --why REASON.")
    word = Word(asked.id, asked.plan, answer, why.strip(), user=user(), at=now(), how=how)
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / "lock"):
        Ledger(place).append("word", asdict(word))
    return word


def words_in(folder: Path) -> dict[str, Word]:
    """Return the last word on each card; DataError if the record was edited."""
    words = [Word(**event.body) for event in Ledger(folder / FOLDER).of("word")]
    return {word.card: word for word in words}


def word_on(asked: Waiting, words: Mapping[str, Word]) -> Answer | Literal["expired", ""]:
    """Return what was said of what waits now: nothing, no, yes, or a yes to another plan."""
    word = words.get(asked.id)
    if word is None:
        return ""
    return "expired" if word.answer == "approved" and word.plan != asked.plan else word.answer


def take_in(search: Search) -> None:
    """Write down people's words on cards that wait: an approved one is tried next, a rejected one never.

    Where the plan of an approved one is another by now, its card shows that one from here on, and waits again. A yes
    for which no experiment is left goes on standing, and is taken in once the budget is larger.
    """
    left = 0
    for kind, body in answers_to(search, words_in(search.ledger.path.parent)):
        room = search.research.budget.experiments - search.standing.tried - len(search.standing.open_cards)
        if kind == "answered" and body["answer"] == "approved" and room < 1:
            left += 1
            continue
        search.write(kind, **body)
        if kind == "repriced":
            search.progress.say(
                f"card {body['card']} was approved, and its plan is another now; "
                + (
                    body["why"]
                    or f"it must be approved again: tamis approve {body['card']}{reach_of(search.ledger.path.parent)}"
                )
            )
    if left:
        search.progress.say(f"approved cards that wait for a larger research.budget.experiments: {left}")


def reach_of(folder: Path) -> str:
    """Return the flags by which `approve` and `reject` find a search: none for the only one of the usual workspace."""
    workspace = folder.parent.parent
    flags = "" if workspace == USUAL_WORKSPACE else f" -w {shlex.quote(str(workspace))}"
    several = len(list(folder.parent.glob(f"*/{FILE}"))) > 1
    return flags + (f" --search {shlex.quote(folder.name)}" if several else "")


def has_approved(search: Search) -> bool:
    """Say whether a person approved a card that waits, for the plan that it has now."""
    told = answers_to(search, words_in(search.ledger.path.parent))
    return any(kind == "answered" and body["answer"] == "approved" for kind, body in told)


def answers_to(search: Search, words: Mapping[str, Word]) -> list[tuple[str, dict[str, Any]]]:
    """Return the events that words bring, `answered` or `repriced`, each checked against the plan as it is now."""
    from pipeline.research.edits.space import space_of  # numpy and the models, which a word does without

    asked = [card for card in search.standing.waiting if card.id in words]
    if not asked:
        return []
    space = space_of(search.recipe, supply=search.standing.supply)  # as it is written: what is let in is another card's
    found: list[tuple[str, dict[str, Any]]] = []
    for card in asked:
        word = words[card.id]
        if word.answer == "approved":
            if word.plan != card.plan:  # a yes to what it was before
                continue
            cost, plan, why = _plan_now(search, card)
            if plan != word.plan:
                now = {"plan": plan, "cost": asdict(cost)}
                found.append(("repriced", {"number": card.number, "card": card.id, "why": why, **now}))
                continue
        outside = [edit.key for edit in card.edits if _is_outside(space, edit)]
        body = {"card": card.id, "answer": word.answer, "why": word.why, "user": word.user, "how": word.how,
                "plan": word.plan, "outside": outside}  # fmt: skip
        found.append(("answered", body))
    return found


def _plan_now(search: Search, card: Card) -> tuple[Cost, str, str]:
    """Return what a card costs now and its plan's hash; none, with the reason, where it cannot be done any more."""
    try:
        return *search.bench.price(card.edits, name=search.name_of(card), seeds=card.seeds), ""
    except RecipeError as error:
        return card.cost, "", str(error)


def _is_outside(space: EditSpace, edit: Edit) -> bool:
    from pipeline.research.edits.space import OutsideError

    try:
        space.point_of((edit,))
    except OutsideError:
        return True
    return False
