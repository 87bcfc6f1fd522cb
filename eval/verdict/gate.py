"""The rule fixed before the experiment and the comparison made after it in, one verdict out.

Promote only if the whole interval of the gain lies at or above `min_gain`; reject only if the whole interval lies
below it. So both errors are bounded by the same confidence, the two can never both hold, and what lies between is
*undecided*. The looser reading (interval above zero, estimate above `min_gain`) would promote every second candidate
whose true gain just misses `min_gain`; this one promotes at most 2.5 of 100 of them at 95 % confidence.
Guards are one-sided non-inferiority tests and all must be kept, so keeping them needs no correction for their number; a
reject needs one of them broken, so that bound is as wide as their number asks for (Bonferroni). Too little evidence
(tokens, seeds, held-out text) decides nothing. The first comparison decides; others, at other learning rates, can only
block (a sign that flips). The interval is that of one look. A later look at the same candidate, and a later candidate
against the same baseline, must also show odds that hold however often one looks (`eval/verdict/sequential.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.verdict.interval import detectable
from eval.verdict.paired import Comparison, Gain, check_rates, lower_bound, seeds_to_resolve, upper_bound
from eval.verdict.sequential import (
    FIRST_LOOK,
    Looks,
    about_looks,
    about_openings,
    gain_for_odds,
    odds_of,
    odds_said,
    seeds_for_odds,
)
from pipeline.core.errors import GateError, RecipeError, nearest_names

Outcome = Literal["promote", "reject", "undecided"]
MIXED = (
    "Not all proxies were trained alike: {}. Another rounding moves one by about a tenth of what chance does "
    "(eval/LOG.md); another `seed` of the recipe trains all of them anew, on one machine."
)


class GateRule(BaseModel):
    """What a candidate must show; fixed, and hashed, before the experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    metric: Literal["bits_per_byte"] = Field(default="bits_per_byte", description="What is compared; lower is better.")
    min_gain: float = Field(ge=0, description="Smallest gain worth having, in bits per byte.")
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="Of the two-sided interval, and of each one-sided guard."
    )
    guards: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="Held-out domain -> largest loss allowed there, in bits per byte."
    )
    min_seeds: int = Field(default=3, ge=2, description="Seeds needed at every learning rate.")
    min_tokens: int = Field(default=0, ge=0, description="Training tokens needed of every proxy.")
    min_clusters: int = Field(default=30, ge=2, description="Groups of documents needed in every held-out domain.")
    min_bytes: int = Field(default=30_000, ge=0, description="Bytes of text needed in every held-out domain.")

    @property
    def identity(self) -> str:
        """The hash under which this rule is cited."""
        from pipeline.core.identity import identity_of

        return identity_of(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class GuardResult:
    """One guard: the gain in its domain with one-sided bounds, and whether it is surely kept, surely broken or open."""

    domain: str
    max_loss: float
    gain: float
    low: float
    high: float
    status: Literal["kept", "broken", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, in one sentence, with its reasons and, when undecided, what would decide it."""

    outcome: Outcome
    sentence: str
    reasons: tuple[str, ...]
    next_step: str
    gain: float
    low: float
    high: float
    guards: tuple[GuardResult, ...]
    looks: Looks = FIRST_LOOK
    odds: float | None = None  # that the gain is what is required; None if infinite
    odds_needed: float | None = None  # None at a first look, where the interval decides


@dataclass(frozen=True, slots=True)
class _Case:
    """What `decide` looks at, with the bounds at the rule's own confidence."""

    rule: GateRule
    gain: Gain
    low: float
    high: float
    guards: tuple[GuardResult, ...]
    flip: str  # the sentence about learning rates when the sign flips, else empty
    weak: tuple[str, ...]  # why the evidence cannot be used at all
    more: str  # what there must be more of, where that is all that is wrong
    looks: Looks
    odds: float
    odds_needed: float  # 0 at a first look

    @property
    def has_odds(self) -> bool:
        return self.odds >= self.odds_needed


def decide(
    comparisons: Sequence[Comparison],
    *,
    rule: GateRule,
    num_tokens: int | None = None,
    unhealthy_lanes: Mapping[str, str] | None = None,
    trained_on: Sequence[str] = (),
    candidate: str = "candidate",
    baseline: str = "baseline",
    looks: Looks = FIRST_LOOK,
    sealed: float = 0.0,
    remarks: Sequence[str] = (),
) -> Verdict:
    """Apply the rule. The first comparison decides; those at other learning rates can only block.

    `num_tokens` is what each proxy was trained on; `unhealthy_lanes` maps a lane to what is wrong with it;
    `trained_on` names the kinds of machine, of which more than one is told among the reasons; `looks` says what was
    looked at before, and `sealed` how much of the held-out sets nobody but a gate looks at; `remarks` are
    told after the other reasons.
    """
    if not comparisons:
        raise GateError("gate: no comparison was made, so nothing can be decided. Run the proxies first.")
    case = _case(comparisons, rule=rule, num_tokens=num_tokens, unhealthy_lanes=unhealthy_lanes or {}, looks=looks)
    outcome = _outcome(case)
    rates = check_rates(comparisons)
    told = sealed or looks.openings > 1
    reasons = (
        *case.weak,
        _about_gain(case),
        _about_lanes(case),
        *(_about_guard(guard, rule=rule) for guard in case.guards),
        rates.sentence,
        *([] if looks.is_first else [about_looks(looks, confidence=rule.confidence, odds=case.odds)]),
        *([about_openings(looks, case.gain, confidence=rule.confidence, sealed=sealed)] if told else []),
        *([MIXED.format(" and ".join(trained_on))] if len(trained_on) > 1 else []),
        *remarks,
    )
    return Verdict(
        outcome=outcome,
        sentence=_sentence(case, outcome=outcome, candidate=candidate, baseline=baseline),
        reasons=reasons,
        next_step=_next_step(case, comparisons=comparisons) if outcome == "undecided" else "",
        gain=case.gain.gain,
        low=case.low,
        high=case.high,
        guards=case.guards,
        looks=looks,
        odds=case.odds if math.isfinite(case.odds) else None,
        odds_needed=None if looks.is_first else case.odds_needed,
    )


def _case(
    comparisons: Sequence[Comparison],
    *,
    rule: GateRule,
    num_tokens: int | None,
    unhealthy_lanes: Mapping[str, str],
    looks: Looks,
) -> _Case:
    """Bring the numbers to the rule's confidence."""
    first = comparisons[0]
    level = (1 + rule.confidence) / 2
    weak = [f"Lane {lane} is not sound, so its pair cannot be used: {why}." for lane, why in unhealthy_lanes.items()]
    weak += too_little(comparisons, rule=rule, num_tokens=num_tokens)
    rates = check_rates(comparisons)
    return _Case(
        rule=rule,
        gain=first.overall,
        low=lower_bound(first.overall, level=level),
        high=upper_bound(first.overall, level=level),
        guards=tuple(_guard(first, domain=domain, rule=rule) for domain in sorted(rule.guards)),
        flip=rates.sentence if rates.status == "flip" else "",
        weak=tuple(weak),
        more="" if unhealthy_lanes or not weak else _more(comparisons, rule=rule, num_tokens=num_tokens),
        looks=looks,
        odds=odds_of(first.overall, threshold=rule.min_gain),
        odds_needed=0.0 if looks.is_first else looks.odds_needed(confidence=rule.confidence),
    )


def too_little(comparisons: Sequence[Comparison], *, rule: GateRule, num_tokens: int | None) -> list[str]:
    """Return a sentence for everything that there is too little of for a verdict."""
    found = [
        f"Only {item.overall.num_seeds} seeds were run at learning rate {item.learning_rate:g}; the rule asks for "
        f"{rule.min_seeds}."
        for item in comparisons
        if item.overall.num_seeds < rule.min_seeds
    ]
    if num_tokens is not None and num_tokens < rule.min_tokens:
        found.append(f"Each proxy read {num_tokens:,} tokens; at this tier a verdict needs {rule.min_tokens:,}.")
    for gain in comparisons[0].domains:
        if gain.num_clusters < rule.min_clusters or gain.num_bytes < rule.min_bytes:
            found.append(
                f"Held-out set {gain.domain} has {gain.num_bytes:,} bytes in {gain.num_clusters:,} groups of "
                f"documents; a verdict needs {rule.min_bytes:,} in {rule.min_clusters:,}."
            )
    return found


def _more(comparisons: Sequence[Comparison], *, rule: GateRule, num_tokens: int | None) -> str:
    """Say what there must be more of."""
    needs = []
    if any(item.overall.num_seeds < rule.min_seeds for item in comparisons):
        needs.append(f"run {rule.min_seeds} seeds")
    if num_tokens is not None and num_tokens < rule.min_tokens:
        needs.append(f"set proxy.tokens to {rule.min_tokens:,} or more")
    small = [
        gain.domain
        for gain in comparisons[0].domains
        if gain.num_clusters < rule.min_clusters or gain.num_bytes < rule.min_bytes
    ]
    if small:
        needs.append(f"add documents to {', '.join(small)}, or raise proxy.held_out_bytes if there are more")
    text = "; ".join(needs)
    return f"{text[:1].upper()}{text[1:]}."


def _guard(comparison: Comparison, *, domain: str, rule: GateRule) -> GuardResult:
    """Test one domain for a loss of more than its margin, one-sided; `high` allows for the number of guards."""
    gain = _gain_in(comparison, domain=domain)
    low = lower_bound(gain, level=rule.confidence)
    high = upper_bound(gain, level=1 - (1 - rule.confidence) / len(rule.guards))
    floor = -rule.guards[domain]
    status: Literal["kept", "broken", "open"] = "kept" if low >= floor else "broken" if high < floor else "open"
    return GuardResult(domain=domain, max_loss=-floor, gain=gain.gain, low=low, high=high, status=status)


def _gain_in(comparison: Comparison, *, domain: str) -> Gain:
    for gain in comparison.domains:
        if gain.domain == domain:
            return gain
    nearest = nearest_names(domain, [gain.domain for gain in comparison.domains])
    raise RecipeError(
        f"gate.guards: '{domain}' is not a held-out domain; a guard needs one that was measured. Use {nearest}."
    )


def _outcome(case: _Case) -> Outcome:
    """Decide. Unusable evidence decides nothing; a flip can only stop a promotion."""
    if case.weak:
        return "undecided"
    if case.high < case.rule.min_gain or case.high <= 0 or any(guard.status == "broken" for guard in case.guards):
        return "reject"
    enough = case.low >= case.rule.min_gain and case.low > 0
    if enough and case.has_odds and not case.flip and all(guard.status == "kept" for guard in case.guards):
        return "promote"
    return "undecided"


def _sentence(case: _Case, *, outcome: Outcome, candidate: str, baseline: str) -> str:
    """Say the verdict in one plain sentence with its numbers."""
    show = _Digits(case.low, case.high, case.rule.min_gain)
    amount = f"{show(abs(case.gain.gain))} bits per byte {'less' if case.gain.gain >= 0 else 'more'} than {baseline}"
    interval = f"{case.rule.confidence * 100:g} % interval {show(case.low)} to {show(case.high)}"
    fact = f"{candidate} needs {amount} ({interval})"
    needed = f"{case.rule.min_gain:g}"
    broken = [guard.domain for guard in case.guards if guard.status == "broken"]
    if outcome == "promote":
        return f"Promote: {fact}, {'above' if case.low > case.rule.min_gain else 'at'} the required {needed}."
    if outcome == "reject" and broken:
        return f"Reject: {fact}, and loses more than its guard allows on {', '.join(broken)}."
    if outcome == "reject":
        return f"Reject: {fact}, so its gain is below the required {needed}."
    if case.weak:
        return f"Undecided: {fact}, but the evidence cannot be used: {case.weak[0]}"
    if case.flip:
        return f"Undecided: {fact}, but the sign of the gain flips with the learning rate."
    if case.low >= case.rule.min_gain and case.low > 0 and not case.has_odds:
        return (
            f"Undecided: {fact}, above the required {needed}, but this was looked at before: it needs odds of "
            f"{case.odds_needed:,.0f} to 1 and has {odds_said(case.odds)}."
        )
    if case.low >= case.rule.min_gain and case.low > 0:
        still = ", ".join(guard.domain for guard in case.guards if guard.status == "open")
        return f"Undecided: {fact}, above the required {needed}, but a loss on {still} cannot be ruled out."
    return f"Undecided: {fact}, which does not settle whether it gains the required {needed}."


def _about_gain(case: _Case) -> str:
    """State the deciding numbers and what the experiment could have seen."""
    show = _Digits(case.low, case.high, case.rule.min_gain)
    needed = case.rule.min_gain
    visible = case.gain.detectable
    if not case.looks.is_first:
        chance, level = case.gain.chance, (1 + case.rule.confidence) / 2
        variance = float(chance.lanes + chance.documents)
        least = gain_for_odds(case.gain.lane_variance, variance, needed=case.odds_needed)
        visible = detectable(chance, level=level, least=least)
    side = "lies above" if case.low >= needed else "lies below" if case.high < needed else "includes"
    return (
        f"The interval {show(case.low)} to {show(case.high)} {side} the required {needed:g}; with "
        f"{case.gain.num_seeds} seeds and {case.gain.num_documents:,} documents a true gain of "
        f"{show(needed + visible)} would be promoted in 80 of 100 runs."
    )


def _about_lanes(case: _Case) -> str:
    """State how much single proxies differ by chance, and how well that is known."""
    gain = case.gain
    lent = (
        f"{gain.lane_freedom:g} degrees of freedom here and {gain.earlier_freedom:g} from earlier runs"
        if gain.earlier_freedom > 0
        else f"{gain.lane_freedom:g} degrees of freedom"
    )
    documents = math.sqrt(gain.document_variance)
    return (
        f"Single proxies differ by {gain.lane_sd:.4f} bits per byte by chance ({lent}); the choice of held-out "
        f"documents moves the gain by {documents:.4f} ({gain.document_freedom:.0f} degrees of freedom)."
    )


def _about_guard(guard: GuardResult, *, rule: GateRule) -> str:
    show = _Digits(guard.low, guard.high, guard.max_loss)
    verb = {"kept": "is kept", "broken": "is broken", "open": "is not settled"}[guard.status]
    return (
        f"Guard {guard.domain} {verb}: gain {show(guard.gain)}, one-sided bounds {show(guard.low)} and "
        f"{show(guard.high)} ({rule.confidence * 100:g} %, the upper one for all guards together), loss allowed "
        f"{guard.max_loss:g}."
    )


def _next_step(case: _Case, *, comparisons: Sequence[Comparison]) -> str:
    """Say what would decide the case, at what price."""
    if case.more:
        return f"{case.more} {_price_of_the_next(case)}"
    if case.weak:
        return (
            "Look at the named lanes' curves. Other learning rates (proxy.learning_rates) or more tokens usually help; "
            "a lane that trains the same way again will be named again."
        )
    if case.flip:
        return "Tune the learning rate or judge at a larger proxy; more seeds would not settle a flip."
    needs = []
    if case.low < max(case.rule.min_gain, 0.0) or case.low <= 0:
        level = (1 + case.rule.confidence) / 2
        needs.append((case.gain, seeds_to_resolve(case.gain, threshold=case.rule.min_gain, level=level)))
    again = replace(case.looks, number=case.looks.number + 1)
    needed = again.odds_needed(confidence=case.rule.confidence)
    if case.gain.gain > case.rule.min_gain:
        needs.append((case.gain, seeds_for_odds(case.gain, threshold=case.rule.min_gain, needed=needed)))
    for guard in case.guards:
        if guard.status == "open":
            gain = _gain_in(comparisons[0], domain=guard.domain)
            needs.append((gain, seeds_to_resolve(gain, threshold=-guard.max_loss, level=case.rule.confidence)))
    stuck = [gain.domain for gain, seeds in needs if seeds is None]
    if stuck:
        names = ", ".join(stuck)
        return f"More seeds alone would not settle {names}: add held-out documents, or judge at a larger proxy."
    more = max(seeds for _, seeds in needs if seeds is not None)
    return (
        f"About {more} more seed{'s' if more > 1 else ''} would decide it, if the gain stays as it is. That is a "
        f"further look, so a promotion then needs odds of {needed:,.0f} to 1 as well, which is reckoned in."
    )


def _price_of_the_next(case: _Case) -> str:
    """Say that this look is taken, although it could not have promoted."""
    confidence, looks = case.rule.confidence, case.looks
    again = replace(looks, number=looks.number + 1).odds_needed(confidence=confidence)
    other = replace(looks, candidate_number=looks.candidate_number + 1).odds_needed(confidence=confidence)
    return (
        f"That is a further look: a promotion then needs odds beside the interval, {again:,.0f} to 1 with these "
        f"proxies and more, {other:,.0f} to 1 with others."
    )


class _Digits:
    """Print numbers with as many decimals as keep the bounds apart from each other and from what is required."""

    def __init__(self, low: float, high: float, required: float) -> None:
        gaps = [gap for gap in (high - low, abs(low - required), abs(high - required)) if gap > 0]
        self.decimals = min(6, max([3, *(math.ceil(-math.log10(gap)) for gap in gaps)]))

    def __call__(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"
