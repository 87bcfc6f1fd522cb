"""`what-if`: other thresholds over stored signals -> documents and tokens gained and lost, with examples.

Of each changed dataset, only the steps that rule otherwise are decided again from their signals; who fails the others
is read from the stored verdicts. A million documents take 0.4 s of one core, 1 s with Python's start. A gathering
step that follows a changed decision (dedup, a trained classifier) would see other documents in a real run; its stored
signals stand in for it, documents that it never saw count as passing it, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.arrow import as_flags, as_numbers
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.step import GatheringStep
from pipeline.experiment.streams.opened import Closed, closed_in
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import DatasetSpec, Recipe, StepSpec
from pipeline.store.dataset.chain import ERROR, BasePart, ChainReader, Link, Quantiles, passing, unbroken
from pipeline.store.dataset.decide import Reasons, failures
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.sizes import bytes_per_token
from pipeline.store.workspace import Workspace

Flips = list[tuple[BasePart, np.ndarray]]  # of every part, the rows decided otherwise, int64[num_flips]

EXAMPLES = 5


def what_if(workspace: Workspace, path: Path, *, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return, for every dataset that the settings change directly, what would be gained and lost."""
    before, after = load_recipe(path), load_recipe(path, settings=settings, look_at_inputs=False)
    changed = [name for name in after.datasets if _decisions(before.datasets[name]) != _decisions(after.datasets[name])]
    if not changed:
        raise RecipeError(
            f"what-if: {', '.join(settings)} changes no decision of {path}. Set a threshold that `tamis why` names."
        )
    plan = make_plan(before, workspace)
    found = []
    for name in changed:
        node = plan.datasets[name].node
        if not node.complete:
            raise DataError(
                f"what-if: {name} has no stored signals for {path} as it stands ({node.reason}). "
                f"Run it first: tamis run {path}"
            )
        evidence = evidence_at(workspace, node.folder)
        found.append(_compare(workspace, after, before.datasets[name], after.datasets[name], evidence))
    return {"settings": dict(settings), "datasets": found}


def _decisions(spec: DatasetSpec) -> list[Any]:
    return [
        (item.label, item.step.params.of_role("decide"), item.step.params.of_role("measure")) for item in spec.steps
    ]


def _compare(
    workspace: Workspace, recipe: Recipe, before: DatasetSpec, spec: DatasetSpec, evidence: Evidence
) -> dict[str, Any]:
    links, alive = _decided_anew(evidence, before, spec)
    closed = closed_in(workspace, evidence.folder)
    gained, lost = _Flips(evidence, closed, links=None), _Flips(evidence, closed, links=links)
    kept = 0
    for part in evidence.chain.base:
        verdicts = evidence.verdicts(part, ["kept", "num_bytes"])
        old = as_flags(verdicts.column("kept"))
        new = alive[part.index]
        size = as_numbers(verdicts.column("num_bytes"))
        kept += int(new.sum())
        gained.add(part, new & ~old, size)
        lost.add(part, old & ~new, size)
    rate, source = bytes_per_token(workspace, spec.name)
    return {
        "dataset": spec.name,
        "kept_before": evidence.card.rows_out,
        "kept_after": kept,
        "gained": gained.told(rate),
        "lost": lost.told(rate),
        "tokens_by": source,
        "approximate_after": _stale(before, spec),
        "also_affected": [name for name, other in recipe.datasets.items() if spec.name in other.inputs],
    }


def _decided_anew(
    evidence: Evidence, before: DatasetSpec, after: DatasetSpec
) -> tuple[list[Link], dict[int, np.ndarray]]:
    """Return the steps as `after` has them, and bool[base rows] by part: who passes them all."""
    who = _Standing(evidence)
    links: list[Link] = []
    for was, item, link in zip(before.steps, after.steps, evidence.chain.links, strict=True):
        _refuse_new_measurement(was, item, after.name)
        same = was.step.params.of_role("decide") == item.step.params.of_role("decide")
        if same and links == list(evidence.chain.links[: len(links)]):
            links.append(link)  # the same documents reach it, so a target share is at the same threshold too
            continue
        earlier = tuple(links)
        alive, sizes = partial(who.alive, earlier), partial(_sizes, evidence, earlier)
        rules = item.step.rules(quantile=Quantiles(folder=link.folder, alive=alive, sizes=sizes))
        links.append(replace(link, rules=rules))
    return links, dict(who.alive(links))


def _sizes(evidence: Evidence, links: Sequence[Link]) -> Iterator[np.ndarray]:
    """Yield the bytes of every part's documents as some links leave them."""
    return (ChainReader(base=part, links=tuple(links)).sizes() for part in evidence.chain.base)


class _Standing:
    """Tells who passes the first links of a chain, by stored verdicts where a link rules as it did."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.broke = {link.label: bool(read_card(link.folder).quarantined) for link in evidence.chain.links}

    def alive(self, links: Sequence[Link]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every part's index and bool[base rows]."""
        same = [link for link, was in zip(links, self.evidence.chain.links, strict=False) if link == was]
        rules = {f"{link.label}.{rule.name}" for link in same for rule in link.rules}
        for part in self.evidence.chain.base:
            alive = ~_fails(self.evidence.verdicts(part, ["failed"]).column("failed"), rules)
            for link in links:
                if link not in same:
                    alive &= passing(link, part)
                elif self.broke[link.label]:
                    alive &= unbroken(link, part.index)
            yield part.index, alive


def _fails(failed: pa.ChunkedArray, rules: set[str]) -> np.ndarray:
    """Return bool[base rows]: whose list of failed rules names one of `rules`."""
    found = [np.zeros(0, dtype=bool)]
    for chunk in failed.chunks:
        names = pc.dictionary_encode(chunk.values)
        hits = np.array([name in rules for name in names.dictionary.to_pylist()], dtype=bool)
        counts = np.concatenate([[0], np.cumsum(hits[names.indices.to_numpy()])])
        offsets = chunk.offsets.to_numpy()
        found.append(counts[offsets[1:]] > counts[offsets[:-1]])
    return np.concatenate(found)


def _refuse_new_measurement(was: StepSpec, item: StepSpec, dataset: str) -> None:
    old, new = was.step.params.of_role("measure"), item.step.params.of_role("measure")
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            raise RecipeError(
                f"what-if: datasets.{dataset}.{item.label}.{key} changes what is measured "
                f"({old.get(key, 'default')} -> {new.get(key, 'default')}), which stored signals cannot answer. "
                "Edit the recipe and run it."
            )


def _stale(before: DatasetSpec, after: DatasetSpec) -> list[str]:
    """Name the gathering steps that come after the first changed decision."""
    changed = False
    stale = []
    for was, item in zip(before.steps, after.steps, strict=True):
        if changed and isinstance(item.step, GatheringStep):
            stale.append(item.label)
        changed = changed or was.step.params.of_role("decide") != item.step.params.of_role("decide")
    return stale


class _Flips:
    """Documents that the answer turns one way, and the rules to name: those that dropped them, or would by `links`."""

    def __init__(self, evidence: Evidence, closed: Closed, *, links: Sequence[Link] | None) -> None:
        self.evidence, self.closed = evidence, closed
        self.changed = None if links is None else [link for link in links if link not in evidence.chain.links]
        self.rows: Flips = []
        self.num_bytes = 0
        self.by: Counter[str] = Counter()

    def add(self, part: BasePart, flipped: np.ndarray, size: np.ndarray) -> None:
        """Count what flips in one part."""
        rows = np.flatnonzero(flipped)
        self.rows.append((part, rows))
        self.num_bytes += int(size[flipped].sum())
        self.by.update(self._rules(part, rows) if len(rows) else ())

    def told(self, rate: float) -> dict[str, Any]:
        """Return counts and examples, each with what it `was` and is `now`: kept, or the rule against it."""
        examples: list[dict[str, Any]] = []
        shown = _shown([(part, self.closed.open_rows(self.evidence, part, rows)) for part, rows in self.rows])
        for part in dict.fromkeys(part for part, _ in shown):
            rows = [row for other, row in shown if other is part]
            reader = ChainReader(base=part, links=self.evidence.chain.links)
            documents = reader.load_rows(("id", "text"), rows).to_pylist()
            rules = self._rules(part, np.array(rows))
            for document, rule in zip(documents, rules, strict=True):
                was, now = (rule, "kept") if self.changed is None else ("kept", rule)
                examples.append({**document, "was": was, "now": now})
        by = sorted(self.by.items(), key=lambda item: (-item[1], item[0]))
        return {
            "documents": self.by.total(),
            "tokens": round(self.num_bytes / rate),
            "bytes": self.num_bytes,
            "by": [{"rule": rule, "documents": number} for rule, number in by],
            "examples": examples,
        }

    def _rules(self, part: BasePart, rows: np.ndarray) -> list[str]:
        """Return the first rule against each of some rows, as `step.rule`."""
        if self.changed is None:
            reasons = self.evidence.verdicts(part, ["reason"]).column("reason").to_pylist()
            return [str(reasons[row]) for row in rows.tolist()]
        names = [f"{link.label}.{rule.name}" for link in self.changed for rule in link.rules]
        reasons = Reasons(len(rows))
        for link in self.changed:  # the other steps let these documents pass
            wanted = sorted({rule.signal for rule in link.rules} | {ERROR})
            reasons.add(failures(link.rules, read_table(link.file(part.index), columns=wanted))[:, rows])
        return [names[index] for index in reasons.rule.tolist()]


def _shown(found: Flips) -> list[tuple[BasePart, int]]:
    """Return the part and row of some flips: all if they are few, else of the two fullest parts, as texts are large."""
    total = sum(len(rows) for _, rows in found)
    if total > EXAMPLES:
        fullest = sorted(found, key=lambda flips: (-len(flips[1]), flips[0].index))[:2]
        found = sorted(fullest, key=lambda flips: flips[0].index)
    places = [(part, int(row)) for part, rows in found for row in rows]
    return places[:: max(len(places) // EXAMPLES, 1)][:EXAMPLES]
