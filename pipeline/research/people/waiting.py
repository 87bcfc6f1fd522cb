"""A search's record -> what waits for a person: the three numbers that decide, the commands, how long it takes."""

from __future__ import annotations

import math
from collections.abc import Collection

from pipeline.core.claude.prices import dollars
from pipeline.report.research.told import ClaimTold, Digest, Told, Waiting
from pipeline.research.people.approvals import HEAD

WORDS_A_MINUTE = 200  # that a tired person reads; an assumption, not measured
DECIDING = 1.0  # minutes for the decision itself; an assumption, not measured


def waiting_of(digest: Digest, ids: Collection[str], *, reach: str = "") -> tuple[Waiting, ...]:
    """Return what waits by its id, the promotion of a claimed head first; `reach` are flags of the commands."""
    found = [_promotion(digest, digest.claim, reach)] if HEAD in ids and digest.claim is not None else []
    return (*found, *(_card(card, reach) for card in digest.cards if card.status == "waiting" and card.id in ids))


def _promotion(digest: Digest, claim: ClaimTold, reach: str) -> Waiting:
    words = "; ".join(claim.edits)
    return Waiting(
        card=HEAD, what=f"Take the claimed head in place of {digest.incumbent}: {words}",
        why="the recipe asks a person",
        hypothesis=claim.sentence, mechanism="", by="the claim", gain=claim.gain, gain_is="measured by fresh proxies",
        cost="nothing more to pay", guard=_worst_guard(claim), minutes=_minutes(words, claim.sentence),
        commands=_commands(HEAD, reach),
    )  # fmt: skip


def _worst_guard(claim: ClaimTold) -> str:
    if not claim.guards:
        return "the gate has no guards"
    worst = min(claim.guards, key=lambda guard: guard.low + guard.max_loss)
    return (
        f"{worst.domain} {worst.gain:+.4f} ({worst.low:+.4f} at the least), may lose {worst.max_loss:g}: {worst.status}"
    )


def _card(card: Told, reach: str) -> Waiting:
    return Waiting(
        card=card.id, what=card.words, why=card.needs, hypothesis=card.hypothesis, mechanism=card.mechanism,
        by=card.proposer, gain=card.predicted, gain_is=f"expected by {card.proposer}, nothing is measured yet",
        cost=_cost(card), guard="not measured before it runs",
        minutes=_minutes(card.words, card.needs, card.hypothesis, card.mechanism, card.falsifier),
        commands=_commands(card.id, reach),
    )  # fmt: skip


def _commands(id: str, reach: str) -> tuple[str, ...]:
    return f"tamis approve {id}{reach}", f'tamis reject {id}{reach} --why "..."'


def _cost(card: Told) -> str:
    paid = f"up to {dollars(card.usd, up=True)}" if card.usd else "no dollars"
    return f"{paid}; {', '.join(card.redo) or 'nothing to build'}"


def _minutes(*texts: str) -> int:
    """Return in how many minutes texts are read and decided on."""
    words = sum(len(text.split()) for text in texts)
    return math.ceil(DECIDING + words / WORDS_A_MINUTE)
