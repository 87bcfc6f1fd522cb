"""A search's record -> the verdict line, what was learned in five lines, the next step. Made of numbers, by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.report.draw import figures
from pipeline.report.research.told import Digest, EffectTold, Mixture, ProposerTold, Range, Together

NAMED = 90  # characters of a card's words in a sentence
CERTAIN = 0.9999  # no model is surer than that
LEAST_TOLD = 0.0001  # bits per byte: less is no digit of what is told
FEW = 8  # predictions below which a share of them says nothing


def headline(digest: Digest, *, why: str) -> tuple[str, str]:
    """Return the verdict in a few words, and in a sentence."""
    claim = digest.claim
    if claim is not None and claim.outcome:
        return claim.outcome, claim.sentence.partition(": ")[2] or claim.sentence
    bill = digest.bill
    done = f"{bill.experiments} of {bill.experiments_allowed} experiments"
    if claim is not None:
        return "Claim under way" if digest.state == "under way" else "Claim not judged yet", (
            f"{done} are done. The head is claimed by seeds {claim.seeds[0]} to {claim.seeds[1]}; the gate has not "
            "spoken yet."
        )
    if digest.state == "ended":
        return "No claim", why or "The search ended without a claim."
    if digest.state == "under way":
        return "A night is under way", f"{done} are done; this is how the search stands after batch {digest.batches}."
    return "Not at its end", f"{done} are done, and no night is under way. Nothing is claimed yet."


def learned(digest: Digest) -> tuple[str, ...]:
    """Return five sentences: what was tried, what is best, what did it, who was right, what did not work."""
    return (_tried(digest), _best(digest), _did_it(digest), _was_right(digest), _did_not(digest))


def next_step(digest: Digest) -> str:
    """Return what to do now."""
    claim, go_on = digest.claim, f"tamis research {digest.recipe}"
    if digest.state == "under way":
        return "Wait for the night, or stop it; either way nothing is lost."
    if digest.waiting:
        yes, no = digest.waiting[0].commands
        return f"Decide, {figures.counted(len(digest.waiting), 'thing')} to decide: `{yes}`, or `{no}`."
    if digest.answered:
        return f"Let a night take in what you decided: `{go_on}`."
    if digest.state == "stopped":
        return f"Go on: `{go_on}`."
    if digest.promoted:
        return f"The head is registered as {digest.promoted}; put its edits into the recipe to search from there."
    if claim is not None and claim.outcome == "promote":
        return "Put the claimed edits into the recipe, and search from there."
    if claim is not None and claim.outcome == "undecided" and claim.next_step:
        return claim.next_step
    return "Raise `research.budget`, or widen `research.space`: what was tried holds nothing that can be claimed."


def gain_said(gain: Range, decimals: int = 4) -> str:
    """Return a gain with its interval."""
    return f"{gain.value:+.{decimals}f} ({gain.low:+.{decimals}f} to {gain.high:+.{decimals}f})"


def cut(words: str) -> str:
    """Return a card's words, short enough for a line."""
    return figures.excerpt(words, NAMED)


def _tried(digest: Digest) -> str:
    counts = {status: digest.count(status) for status in ("failed", "refused", "rejected", "waiting", "open")}
    beside = [f"{number} {'not tried yet' if name == 'open' else name}" for name, number in counts.items() if number]
    bill = digest.bill
    time = f"{figures.counted(bill.nights, 'night')}, {figures.seconds(3600 * bill.hours)}"
    told = f"; {', '.join(beside)}" if beside else ""
    return (
        f"Tried: {figures.counted(len(digest.cards), 'card')} in {_batches(digest)} by "
        f"{figures.counted(sum(each.began is not None and each.cards > 0 for each in digest.proposers), 'proposer')} "
        f"({time}); {digest.count('done')} gave a number{told}."
    )


def _batches(digest: Digest) -> str:
    return figures.counted(digest.batches, "batch").replace("batchs", "batches")


def _best(digest: Digest) -> str:
    head, chance = digest.head, digest.controls.sd
    by_chance = f" Chance moves one proxy by {chance.value:.4f}." if chance is not None else ""
    if head is None:
        return f"Best: nothing that was tried is expected to better {digest.incumbent}.{by_chance}"
    luck = f", of which {digest.head_luck:.4f} are the luck of the chosen" if digest.head_luck >= LEAST_TOLD else ""
    return (
        f"Best: {cut(head.words)}: {gain_said(head.expected)} bits per byte expected by the model of "
        f"{_modelled(digest)} (80 % interval){luck}, better with a chance of "
        f"{figures.share(min(digest.head_sure, CERTAIN), 1)}.{by_chance}"
    )


def _modelled(digest: Digest) -> str:
    """Say what the model was fitted to: of a long search not everything."""
    return "the best and the latest cards" if digest.not_modelled else "all cards"


def _did_it(digest: Digest) -> str:
    pairs = [
        f"{' and '.join(map(cut, each.changes))} {gain_said(each.gain, 3)}, {_known_by(each)}"
        for each in digest.together[:2]
    ]
    told = f" More together than each alone: {'; '.join(pairs)}." if pairs else ""
    return f"{_taken_apart(digest)}{told}"


def _known_by(pair: Together) -> str:
    return "tried in all combinations" if pair.is_measured else "by the model alone"


def _taken_apart(digest: Digest) -> str:
    if digest.effects:
        order = sorted(digest.effects, key=lambda each: -(each.mean or 0.0))
        return f"What did it: {'; '.join(_effect(each) for each in order)}."
    classes: dict[str, Mixture] = {}
    for mixture in digest.mixtures:
        classes.setdefault(mixture.cost_class, mixture)
    if len(classes) > 1:
        told = [f"{name} {best.expected.value:+.4f}" for name, best in classes.items()]
        return f"What did it: not taken apart; the best by what was done again: {', '.join(told)}."
    return f"What did it: not taken apart. {why_no_effects(digest)}"


def why_no_effects(digest: Digest) -> str:
    """Say why it is not known what each edit is worth."""
    claim = digest.claim
    if claim is not None and claim.outcome == "promote" and len(claim.edits) == 1:
        return "The head has one edit, so the claim tells what that is worth."
    if claim is not None and claim.outcome in ("reject", "undecided"):
        return "Only the edits of a promoted head are left out in turn."
    return "Once a claim is promoted, each of its edits is left out in turn."


def _effect(effect: EffectTold) -> str:
    if effect.overall is None:
        return f"{cut(effect.edit)} unknown"
    word = "" if effect.overall.settled else ", which may be nothing"
    return f"{cut(effect.edit)} {gain_said(effect.overall, 3)}{word}"


def _was_right(digest: Digest) -> str:
    scored = [each for each in digest.proposers if each.inside is not None]
    if not scored:
        return "Who was right: nobody predicted anything that was measured."
    held = sum(round(each.inside.share * each.inside.count) for each in scored if each.inside is not None)
    count = sum(each.inside.count for each in scored if each.inside is not None)
    told = f"Who was right: {held} of {count} results lay inside of the 80 % that was foretold"
    enough = [each for each in scored if each.inside is not None and each.inside.count >= FEW]
    if not enough:
        return f"{told}; of each proposer there are too few to tell how well it foretells."
    beating = [each.name for each in enough if _beats_no_change(each)]
    who = f"of those with {FEW} or more, {listed(beating) if beating else 'none'}"
    return f"{told}; {who} foretold better than who says that nothing changes."


def _beats_no_change(each: ProposerTold) -> bool:
    return each.crps is not None and each.crps_of_no_change is not None and each.crps < each.crps_of_no_change


def _did_not(digest: Digest) -> str:
    lost = [card for card in digest.cards if card.status in ("failed", "refused", "rejected")]
    worse = sum(mixture.expected.high < 0 for mixture in digest.mixtures)
    mixtures = figures.counted(len(digest.mixtures), "mixture")
    told = f"What did not work: {worse} of {mixtures} worse with a chance of nine in ten"
    if not lost:
        return f"{told}; no card failed or was refused."
    why, number = Counter(_reason(card.why) for card in lost).most_common(1)[0]
    told += f", {figures.counted(len(lost), 'card')} failed, refused or rejected"
    return f"{told}, {'all' if number == len(lost) else number} of them because: {why}."


def _reason(why: str) -> str:
    """Return a reason without the place that it names, so that alike ones are counted together."""
    return cut(why.partition(": ")[2] or why or "no reason told").rstrip(".")


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
