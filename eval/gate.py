"""The rule fixed before the experiment and the comparison made after it in, one verdict out.

Promote only if the whole interval of the gain lies at or above `min_gain`; reject only if the whole interval lies
below it. So both errors are bounded by the same confidence, the two can never both hold, and what lies between is
*undecided*. The looser reading (interval above zero, estimate above `min_gain`) would promote every second candidate
whose true gain just misses `min_gain`; this one promotes at most 2.5 of 100 of them at 95 % confidence.
Guards are one-sided non-inferiority tests and all must pass, so they need no correction for their number. The first
comparison decides; others, at other learning rates, can only block (a sign that flips).
A certificate is plain JSON that carries its own hash: an edit shows, but it is no signature against forgery.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.paired import Comparison, Gain, check_rates, lower_bound, seeds_to_resolve, upper_bound
from pipeline.core.errors import GateError, RecipeError, nearest_names

Outcome = Literal["promote", "reject", "undecided"]
FORMAT = 1


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
    min_seeds: int = Field(default=3, ge=2, description="Paired seeds needed at every learning rate.")

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


def decide(
    comparisons: Sequence[Comparison],
    *,
    rule: GateRule,
    unhealthy_lanes: Sequence[str] = (),
    candidate: str = "candidate",
    baseline: str = "baseline",
) -> Verdict:
    """Apply the rule. The first comparison decides; those at other learning rates can only block."""
    if not comparisons:
        raise GateError("gate: no comparison was made, so nothing can be decided. Run the proxies first.")
    case = _case(comparisons, rule=rule, unhealthy_lanes=unhealthy_lanes)
    outcome = _outcome(case)
    rates = check_rates(comparisons)
    reasons = (
        *case.weak,
        _about_gain(case),
        *(_about_guard(guard, rule=rule) for guard in case.guards),
        rates.sentence,
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
    )


def _case(comparisons: Sequence[Comparison], *, rule: GateRule, unhealthy_lanes: Sequence[str]) -> _Case:
    """Bring the numbers to the rule's confidence."""
    first = comparisons[0]
    level = (1 + rule.confidence) / 2
    short = [item for item in comparisons if item.overall.num_seeds < rule.min_seeds]
    weak = [f"Lane {lane} is not healthy, so its pair cannot be used." for lane in unhealthy_lanes]
    weak += [
        f"Only {item.overall.num_seeds} seeds were run at learning rate {item.learning_rate:g}; the rule asks for "
        f"{rule.min_seeds}."
        for item in short
    ]
    rates = check_rates(comparisons)
    return _Case(
        rule=rule,
        gain=first.overall,
        low=lower_bound(first.overall, level=level),
        high=upper_bound(first.overall, level=level),
        guards=tuple(_guard(first, domain=domain, rule=rule) for domain in sorted(rule.guards)),
        flip=rates.sentence if rates.status == "flip" else "",
        weak=tuple(weak),
    )


def _guard(comparison: Comparison, *, domain: str, rule: GateRule) -> GuardResult:
    """Test one domain for a loss of more than its margin, one-sided."""
    gain = _gain_in(comparison, domain=domain)
    low, high = lower_bound(gain, level=rule.confidence), upper_bound(gain, level=rule.confidence)
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
    if enough and not case.flip and all(guard.status == "kept" for guard in case.guards):
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
    if case.low >= case.rule.min_gain and case.low > 0:
        still = ", ".join(guard.domain for guard in case.guards if guard.status == "open")
        return f"Undecided: {fact}, above the required {needed}, but a loss on {still} cannot be ruled out."
    return f"Undecided: {fact}, which does not settle whether it gains the required {needed}."


def _about_gain(case: _Case) -> str:
    """State the deciding numbers and what the experiment could have seen."""
    show = _Digits(case.low, case.high, case.rule.min_gain)
    needed = case.rule.min_gain
    side = "lies above" if case.low >= needed else "lies below" if case.high < needed else "includes"
    return (
        f"The interval {show(case.low)} to {show(case.high)} {side} the required {needed:g}; with "
        f"{case.gain.num_seeds} seeds and {case.gain.num_documents} documents a gain of {show(case.gain.detectable)} "
        "is detectable in 80 of 100 runs."
    )


def _about_guard(guard: GuardResult, *, rule: GateRule) -> str:
    show = _Digits(guard.low, guard.high, guard.max_loss)
    verb = {"kept": "is kept", "broken": "is broken", "open": "is not settled"}[guard.status]
    return (
        f"Guard {guard.domain} {verb}: gain {show(guard.gain)}, {rule.confidence * 100:g} % one-sided bounds "
        f"{show(guard.low)} and {show(guard.high)}, loss allowed {guard.max_loss:g}."
    )


def _next_step(case: _Case, *, comparisons: Sequence[Comparison]) -> str:
    """Say what would decide the case, at what price."""
    if case.weak:
        return "Train the named lanes again or add seeds, then judge anew."
    if case.flip:
        return "Tune the learning rate or judge at a larger proxy; more seeds would not settle a flip."
    needs = []
    if case.low < max(case.rule.min_gain, 0.0) or case.low <= 0:
        level = (1 + case.rule.confidence) / 2
        needs.append((case.gain, seeds_to_resolve(case.gain, threshold=case.rule.min_gain, level=level)))
    for guard in case.guards:
        if guard.status == "open":
            gain = _gain_in(comparisons[0], domain=guard.domain)
            needs.append((gain, seeds_to_resolve(gain, threshold=-guard.max_loss, level=case.rule.confidence)))
    stuck = [gain.domain for gain, seeds in needs if seeds is None]
    if stuck:
        names = ", ".join(stuck)
        return f"More seeds alone would not settle {names}: add held-out documents, or judge at a larger proxy."
    more = max(seeds for _, seeds in needs if seeds is not None)
    return f"About {more} more seed{'s' if more > 1 else ''} would decide it, if the gain stays as it is."


class _Digits:
    """Print numbers with as many decimals as keep the bounds apart from each other and from what is required."""

    def __init__(self, low: float, high: float, required: float) -> None:
        gaps = [gap for gap in (high - low, abs(low - required), abs(high - required)) if gap > 0]
        self.decimals = min(6, max([3, *(math.ceil(-math.log10(gap)) for gap in gaps)]))

    def __call__(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"


def certificate(
    verdict: Verdict,
    *,
    rule: GateRule,
    comparisons: Sequence[Comparison],
    candidate: Mapping[str, Any],
    baseline: Mapping[str, Any],
    tokenizer: str,
    held_out: Mapping[str, str],
    code_version: str,
    proxy: Mapping[str, Any],
    lanes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the evidence as plain JSON that carries its own hash.

    `candidate` and `baseline` need the keys `name` and `identity`; `held_out` maps domain to content identity; `lanes`
    describes each trained proxy (arm, seed, learning rate, health).
    """
    import json

    from pipeline.core.identity import identity_of

    content = {
        "kind": "certificate",
        "format": FORMAT,
        "rule": rule.model_dump(mode="json"),
        "rule_hash": rule.identity,
        "verdict": asdict(verdict),
        "comparisons": [asdict(comparison) for comparison in comparisons],
        "learning_rates": asdict(check_rates(comparisons)),
        "candidate": dict(candidate),
        "baseline": dict(baseline),
        "tokenizer": tokenizer,
        "held_out": dict(held_out),
        "code_version": code_version,
        "proxy": dict(proxy),
        "seeds": sorted({seed for comparison in comparisons for seed in comparison.seeds}),
        "lanes": [dict(lane) for lane in lanes],
    }
    plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return {**plain, "certificate_id": identity_of(plain)}


def check_certificate(content: Mapping[str, Any]) -> str:
    """Return the certificate's id; raise GateError if it was changed since it was made or is not one."""
    from pipeline.core.identity import identity_of

    body = {key: value for key, value in content.items() if key != "certificate_id"}
    found = content.get("certificate_id")
    if body.get("kind") != "certificate" or body.get("format") != FORMAT or not isinstance(found, str):
        raise GateError(
            f"certificate: is not one of format {FORMAT}; the gate makes them. Run the recipe's gate again."
        )
    try:
        intact = found == identity_of(body) and body.get("rule_hash") == identity_of(body.get("rule"))
    except TypeError:  # NaN and its like, which the gate never writes
        intact = False
    if not intact:
        raise GateError(
            f"certificate {found[:12]}: its content does not match its hash, so it was changed after the gate wrote "
            "it. Run the recipe's gate again."
        )
    return found
