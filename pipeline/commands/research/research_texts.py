"""A search's record as plain text for a terminal, for somebody who is tired: the verdict first, the next step last."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from pipeline.commands.texts import table
from pipeline.core.claude.prices import dollars
from pipeline.report.draw import figures
from pipeline.report.research.told import Digest, Range, Told, Waiting

WIDTH = 100
NAMED = 60  # characters of a card's edits in a list
MOST_LISTED = 5  # decisions, and cards to come


def digest_text(told: Digest) -> str:
    """Return where a search stands: verdict, five lines, what waits, the bill, the next step."""
    parts = [_folded(f"{told.headline.upper()}: {told.sentence}")]
    parts.append("\n".join(_folded(sentence, mark="- ") for sentence in told.learned))
    parts.append(_waiting(told))
    parts.append("\n".join([_bill(told), _coming(told), _folded(told.next_step, mark="next   ")]))
    return "\n\n".join(part for part in parts if part)


def _folded(text: str, *, mark: str = "") -> str:
    """Return a text in lines of a readable width, its first line marked."""
    return textwrap.fill(
        text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _waiting(told: Digest) -> str:
    if not told.waiting:
        return "waits  nothing waits for a decision"
    count, minutes = figures.counted(len(told.waiting), "decision"), figures.counted(told.minutes, "minute")
    shown = [_decision(each) for each in told.waiting[:MOST_LISTED]]
    left = len(told.waiting) - len(shown)
    more = [f"       and {left} more: tamis cards {told.recipe} --status waiting"] if left else []
    return "\n".join([f"waits  {count}, about {minutes}; no answer is a no", *shown, *more])


def _decision(each: Waiting) -> str:
    gain = "not told" if each.gain is None else f"{ranged(each.gain)}, {each.gain_is}"
    lines = [
        _folded(f"{each.what} ({each.why})", mark="     - "),
        _folded(f"gain {gain}; cost: {each.cost}; worst guard: {each.guard}", mark="       "),
    ]
    return "\n".join([*lines, *(f"       {command}" for command in each.commands)])


def _bill(told: Digest) -> str:
    bill = told.bill
    allowed = f" of {dollars(bill.usd_allowed)}" if bill.usd_allowed else ""
    return (
        f"bill   {dollars(bill.usd)}{allowed}; {bill.hours:.2f} of {bill.hours_allowed:g} hours in "
        f"{figures.counted(bill.nights, 'night')}; {bill.experiments} of {bill.experiments_allowed} experiments, "
        f"{bill.proxies + bill.claim_proxies} proxies"
    )


def _coming(told: Digest) -> str:
    cards = told.next.cards
    if not cards:
        return "then   nothing: the space holds nothing that was not tried"
    first = "; ".join(figures.excerpt(card.words, NAMED) for card in cards[:2])
    more = f", and {len(cards) - 2} more" if len(cards) > 2 else ""
    return _folded(f"{first}{more}. {told.next.note}", mark="then   ")


def ranged(gain: Range) -> str:
    """Return a gain with its bounds."""
    return f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def cards_text(cards: Sequence[Told], *, recipe: str) -> str:
    """Return cards as a table, with the reason of those that came to nothing."""
    if not cards:
        return f"No card is like that. All of them: tamis cards {recipe}"
    rows = [
        [
            card.id, card.proposer, card.status, None if card.measured is None else round(card.measured, 5),
            figures.excerpt(card.words, NAMED), _of_interest(card),
        ]
        for card in cards
    ]  # fmt: skip
    counted = figures.counted(len(cards), "card")
    head = ["card", "by", "status", "gain", "changes", "hypothesis, health, or why not"]
    note = f"{counted}; gain: bits per byte less than the incumbent. One whole: tamis cards {recipe} CARD"
    return f"{table(rows, head=head)}\n\n{note}"


def _of_interest(card: Told) -> str:
    return figures.excerpt(
        card.why or card.needs or card.outcome or "; ".join(card.health) or card.hypothesis, 2 * NAMED
    )


def card_text(cards: Sequence[Told], proxies: Mapping[int, str]) -> str:
    """Return everything that is known of a question, each time that it was asked."""
    return "\n\n".join(_whole(card, proxies) for card in cards)


def _whole(card: Told, proxies: Mapping[int, str]) -> str:
    said = {
        "changes": card.words,
        "asked": f"card {card.number} of batch {card.batch} by {card.proposer}, {card.kind}; builds on {card.parent}",
        "hypothesis": card.hypothesis,
        "mechanism": card.mechanism,
        "falsifier": card.falsifier,
        "hint": card.hint,
        "claim": f"{card.claim} {card.outcome}".strip(),
        "foretold": "" if card.predicted is None else f"{ranged(card.predicted)} bits per byte, 80 %",
        "forces": ", ".join(card.redo) or "nothing to be done again",
        "cost": f"{figures.counted(card.nodes, 'result')} to build, {figures.counted(card.lanes, 'proxy')}, at most "
        f"{dollars(card.usd, up=True)}; paid {dollars(card.paid)}".replace("proxys", "proxies"),
        "waits": card.needs,
        "plan": card.plan,
        "status": card.status,
        "why": card.why,
        "measured": "" if card.measured is None else f"{card.measured:+.5f} bits per byte{_held(card)}",
        "by set": ", ".join(f"{name} {gain:+.5f}" for name, gain in card.by_domain.items()),
        "health": "; ".join(card.health),
        "seeds": ", ".join(map(str, card.seeds)),
        "proxies": ", ".join(proxies[seed] for seed in card.seeds if seed in proxies),
    }
    lines = [_folded(text, mark=f"{name:<12}") for name, text in said.items() if text]
    return "\n".join([f"card {card.id}", *lines])


def _held(card: Told) -> str:
    return "" if card.held is None else ", as foretold" if card.held else ", outside of what was foretold"
