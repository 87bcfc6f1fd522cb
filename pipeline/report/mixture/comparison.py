"""The scores of a gate without a verdict -> what the candidate is better by than each other mixture, and at what price.

One row for each other mixture, the largest effect first: bits per byte saved, with an interval, and the text that both
have. Where every other mixture is the candidate without one step, rows speak of steps: what each is worth and drops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.core.errors import DataError, GateError
from pipeline.experiment.findings.effects import Effect, documents_of, effects_on
from pipeline.plan.graph import Plan
from pipeline.recipe.ablation import step_left_out
from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis, Interval, interval, ruler
from pipeline.report.draw.forest import Forest, Row
from pipeline.report.mixture.experiment import decimals_for
from pipeline.report.run.account import finished

NO_DIFFERENCE = [(0.0, "zero")]


@dataclass(frozen=True, slots=True)
class Text:
    """How much text a mixture has to draw from; bytes where they are known of every dataset of it."""

    documents: int
    num_bytes: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The candidate against one other mixture; `step` is the one that this mixture is without, if it is made so."""

    effect: Effect
    step: str
    text: Text

    @property
    def name(self) -> str:
        return self.step or self.effect.mixture

    @property
    def sign(self) -> int:
        """1 if the interval lies above no difference, -1 below it, 0 if it holds it."""
        return int(self.effect.low > 0) - int(self.effect.high < 0)


@dataclass(frozen=True, slots=True)
class ComparisonShown:
    """All that is compared, as far as it is finished."""

    candidate: str
    text: Text | None  # None before anything is compared
    confidence: float
    learning_rates: tuple[float, ...]
    domains: tuple[str, ...]
    rows: tuple[Compared, ...]
    left_out: tuple[tuple[str, str], ...]  # mixture and why it cannot be compared
    of_steps: bool
    forest: Forest | None
    decimals: int

    @property
    def summary(self) -> str:
        """What came out, in a line."""
        counts = {sign: sum(row.sign == sign for row in self.rows) for sign in (1, -1, 0)}
        words = {1: ("helps", "help"), -1: ("hurts", "hurt"), 0: ("is not settled", "are not settled")}
        if not self.of_steps:
            words |= {1: ("needs more bits", "need more bits"), -1: ("needs fewer bits", "need fewer bits")}
        said = [f"{count:,} {words[sign][count > 1]}" for sign, count in counts.items() if count]
        head = f"{figures.counted(len(self.rows), 'step')} of {self.candidate} left out, one at a time"
        if not self.of_steps:
            head = f"{self.candidate} against {figures.counted(len(self.rows), 'other mixture')}"
        return f"{head}: {', '.join(said)}."

    @property
    def misses(self) -> int:
        """One interval in how many misses by chance."""
        return round(1 / (1 - self.confidence))

    def by_domain(self, row: Compared) -> list[str]:
        """Return the effect on each held-out set, with its interval."""
        return [
            f"{figures.signed(gain, self.decimals)} ({_range(low, high, self.decimals)})"
            for gain, low, high in (row.effect.by_domain[domain] for domain in self.domains)
        ]


def comparison_in(plan: Plan, *, num_bytes: Mapping[str, int]) -> ComparisonShown | None:
    """Return what a recipe compares without a verdict; `num_bytes` is known of the text of some datasets."""
    experiment, gate, proxy = plan.experiment, plan.recipe.gate, plan.recipe.proxy
    if experiment is None or gate is None or proxy is None or gate.verdict:
        return None
    mixtures = {lane.mixture for lane in experiment.judged}
    others = [name for name in plan.mixtures if name != gate.candidate and name in mixtures]
    steps = {name: step_left_out(plan.recipe, candidate=gate.candidate, mixture=name) for name in others}
    of_steps = bool(others) and all(steps.values())
    compared, left_out = list[Compared](), list[tuple[str, str]]()
    done = finished(experiment.comparison) is not None and all(map(finished, experiment.scores.values()))
    for mixture in others if done else ():
        try:
            (effect,) = effects_on(plan, base=gate.candidate, mixtures=[mixture])
        except (GateError, DataError) as error:
            left_out.append((mixture, str(error).removeprefix(f"{mixture}: ")))
        else:
            step = steps[mixture] or "" if of_steps else ""
            compared.append(Compared(effect, step, _text(plan, mixture, num_bytes)))
    rows = tuple(sorted(compared, key=lambda row: -row.effect.gain))
    text = _text(plan, gate.candidate, num_bytes) if done else None
    decimals = decimals_for([{"low": row.effect.low, "high": row.effect.high} for row in rows], 0.0)
    return ComparisonShown(
        candidate=gate.candidate,
        text=text,
        confidence=gate.confidence,
        learning_rates=proxy.learning_rates,
        domains=tuple(gate.on),
        rows=rows,
        left_out=tuple(left_out),
        of_steps=of_steps,
        forest=_forest(rows, text, seeds=proxy.seeds, decimals=decimals) if text is not None and rows else None,
        decimals=decimals,
    )


def _text(plan: Plan, mixture: str, num_bytes: Mapping[str, int]) -> Text:
    datasets = list(plan.mixtures[mixture].weights)
    known = [num_bytes[name] for name in datasets if name in num_bytes]
    documents = sum(documents_of(plan, name) for name in datasets)
    return Text(documents, sum(known) if len(known) == len(datasets) else None)


def _forest(rows: Sequence[Compared], text: Text, *, seeds: int, decimals: int) -> Forest:
    """Draw the rows over one axis; where there are several held-out sets, each is a small dot below the interval."""
    points = {row.name: tuple(gain for gain, _, _ in row.effect.by_domain.values()) for row in rows}
    points = {name: found if len(found) > 1 else () for name, found in points.items()}
    ends = [0.0, *(value for found in points.values() for value in found)]
    ends += [end for row in rows for end in (row.effect.low, row.effect.high)]
    pad = 0.05 * (max(ends) - min(ends)) or 0.001
    axis = Axis(min(ends) - pad, max(ends) + pad)
    drawn = []
    for row in rows:
        effect, says = row.effect, _says(row)
        value, range_ = figures.signed(effect.gain, decimals), _range(effect.low, effect.high, decimals)
        pairs = f"; {effect.seeds} of {seeds} pairs of proxies" if effect.seeds < seeds else ""
        drawn.append(
            Row(
                name=row.name,
                picture=interval(
                    Interval(effect.gain, effect.low, effect.high, points=points[row.name]),
                    axis=axis, marks=NO_DIFFERENCE, strong=row.sign != 0,
                    title=f"{row.name}: {value} bits per byte, interval {range_}, {says}",
                ),
                gain=value,
                range=range_,
                guard=(_cost(text, row.text) if row.step else _has(row.text)) + pairs,
                strong=row.sign != 0,
                says=says,
            )
        )  # fmt: skip
    return Forest(rows=tuple(drawn), axis=_axis(axis))


def _axis(axis: Axis) -> Markup:
    return ruler(axis, marks=NO_DIFFERENCE)


def _says(row: Compared) -> str:
    """Say in a word what an interval settles."""
    if row.sign == 0:
        return "not settled"
    if row.step:
        return "helps" if row.sign > 0 else "hurts"
    return "candidate better" if row.sign > 0 else "candidate worse"


def _range(low: float, high: float, decimals: int) -> str:
    return f"{figures.signed(low, decimals)} to {figures.signed(high, decimals)}"


def _has(text: Text) -> str:
    """Return what a mixture has to draw from."""
    size = f", {figures.size(text.num_bytes)}" if text.num_bytes is not None else ""
    return figures.counted(text.documents, "document") + size


def _cost(kept: Text, without: Text) -> str:
    """Return what a step costs in text: what is there without it and not with it."""
    lost = without.documents - kept.documents
    taken = without.num_bytes - kept.num_bytes if without.num_bytes is not None and kept.num_bytes is not None else 0
    size = f", {figures.size(taken)} of text" if taken > 0 else ""
    if lost > 0:
        return f"drops {lost:,} of {figures.counted(without.documents, 'document')}{size}"
    if lost < 0:
        return f"leaves {figures.counted(-lost, 'document')} more"
    return f"drops no document{size and ', takes' + size[1:]}" if taken > 0 else "costs no text"
