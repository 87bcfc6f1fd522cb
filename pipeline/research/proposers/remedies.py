"""A claim about badly predicted documents -> the edit of the recipe that it suggests, by rule; or why there is none.

First the edit that was stated with the claim. Else, where a pattern tells which texts have what is claimed, what the
datasets of the incumbent do with such texts: a step of the space that drops them more often than others goes out or is
set looser, and if none does, the dataset that has most of them gets more weight. Whatever it is, it is only a question;
proxies answer it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import RecipeError, TamisError
from pipeline.core.files.parquet.shards import row_groups_of
from pipeline.core.rng import generator
from pipeline.recipe.edits import Edit, edit_of
from pipeline.research.edits.space import Axis, EditSpace
from pipeline.research.proposers.ideas import Idea
from pipeline.research.proposers.said import Found
from pipeline.store.evidence import Evidence, evidence_at
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.claims.record import Claim

READ = 2_000  # documents of each dataset, kept or dropped
SURE = 3.0  # standard errors from which two shares differ: some tens of them are looked at
LEAST_MORE = 0.02  # by which shares must differ, so that an edit moves something
MORE = 1.5  # times the weight of a dataset, and at least so much more:
AT_LEAST = 0.1


@dataclass(frozen=True, slots=True)
class Read:
    """What the incumbent's datasets do with texts: of each, which have what is claimed, and which step dropped each."""

    has: np.ndarray  # bool[n]
    dropped_by: np.ndarray  # str[n], a step's label, nothing where a document was kept


def remedy_of(found: Found, space: EditSpace, workspace: Workspace) -> Idea | str:
    """Return an idea that tries to use a claim, or why there is none."""
    claim = found.claim
    stated = _stated(claim)
    if stated is not None:
        return _idea(claim, stated, "the edit that was stated with the claim")
    if not claim.pattern:
        return "no edit was stated with it, and no pattern finds the texts it is about"
    read = dict(_read(claim, space, workspace))
    step = max(_steps(space, read), default=None, key=lambda each: each[0])
    if step is not None:
        _, edit, words = step
        return _idea(claim, edit, words)
    weights = _weights(space, read)
    if weights is None:
        return "nothing in the space drops or holds such texts more often than others"
    return _idea(claim, *weights)


def _idea(claim: Claim, edit: Edit, why: str) -> Idea:
    which = "more" if claim.more else "less"
    return Idea(
        (edit,), f"Documents of which this is true are predicted better with {edit.words}: {claim.question}",
        f"{why}; badly predicted documents have it {which} often than others", "They gain nothing, or others alone do.",
        claim=claim.id,
    )  # fmt: skip


def _stated(claim: Claim) -> Edit | None:
    """Return the edit that whoever stated a claim would make, if it is one."""
    told: Mapping[str, Any] = claim.edit
    if not told.get("op") or not told.get("target"):
        return None
    try:
        value = json.loads(told["value"]) if str(told.get("value", "")).strip() else None
    except (ValueError, RecursionError):
        value = told["value"]
    try:
        return edit_of({"op": told["op"], "place": told["target"], "value": value})
    except RecipeError:
        return None


def _read(claim: Claim, space: EditSpace, workspace: Workspace) -> Iterator[tuple[str, Read]]:
    """Yield what some documents of every dataset of the incumbent have, and which step of it dropped them."""
    pattern = re.compile(claim.pattern)
    for name in sorted(space.recipe.mixtures[space.incumbent].weights):
        try:
            folder, card = workspace.dataset(name)
            if card.kind != "dataset":
                continue
            texts, labels = _documents(evidence_at(workspace, folder))
        except TamisError:  # gone, or its inputs are
            continue
        has = np.array([(pattern.search(text) is not None) == claim.more for text in texts], bool)
        yield name, Read(has, np.array(labels, str))


def _documents(evidence: Evidence) -> tuple[list[str], list[str]]:
    texts, labels = list[str](), list[str]()
    parts = evidence.chain.base
    for part in parts:
        rows = sum(group.rows for group in row_groups_of(part.path))
        wanted = min(rows, math.ceil(READ / len(parts)))
        chosen = np.sort(generator(0, "remedy", part.index).choice(rows, wanted, replace=False)).tolist()
        texts += [str(each["text"]) for each in evidence.documents(part, chosen, ["text"])]
        verdicts = evidence.verdict_rows(part, chosen, ["reason"]).column("reason").to_pylist()
        labels += [(reason or "").rpartition(".")[0] for reason in verdicts]
    return texts, labels


def _steps(space: EditSpace, read: Mapping[str, Read]) -> Iterator[tuple[float, Edit, str]]:
    """Yield edits that let in what a step drops, each with how surely it drops more of such texts."""
    for axis in space.axes:
        for dataset, documents in read.items():
            place = axis.place.removeprefix(f"datasets.{dataset}.")
            if place == axis.place or (edit := _looser(axis)) is None:
                continue
            label = place if axis.op == "remove_step" else place.rpartition(".")[0]
            dropped = documents.dropped_by == label
            if len(documents.has) and (score := _apart(dropped[documents.has], dropped[~documents.has])) is not None:
                shares = [100 * float(dropped[mine].mean()) for mine in (documents.has, ~documents.has)]
                yield (
                    score,
                    edit,
                    f"{label} of {dataset} drops {shares[0]:.0f} % of such texts, {shares[1]:.0f} % of others",
                )


def _looser(axis: Axis) -> Edit | None:
    """Return the edit by which a step drops less: it goes, or its bound goes half way to the looser end."""
    if axis.op == "remove_step":
        return axis.flags[0]
    name = axis.place.rpartition(".")[2]
    if axis.op != "set" or not axis.knob.is_ordered or not name.startswith(("min_", "max_")):
        return None
    own, end = axis.knob.to_unit(axis.own), float(name.startswith("max_"))
    place = axis.knob.snapped((own + end) / 2)
    return next(iter(axis.edits(place)), None)


def _weights(space: EditSpace, read: Mapping[str, Read]) -> tuple[Edit, str] | None:
    """Return the weights with more of the dataset that has most such texts among those that it keeps."""
    limits, base = space.space.limits, space.base.weights
    kept = {name: each.has[each.dropped_by == ""] for name, each in read.items() if (each.dropped_by == "").any()}
    if limits is None or base is None or len(kept) < 2:
        return None
    most = max(kept, key=lambda name: float(kept[name].mean()))
    others = np.concatenate([each for name, each in kept.items() if name != most])
    if _apart(kept[most], others) is None:
        return None
    at = limits.names.index(most)
    weights_D = np.array(base)
    raised = min(max(MORE * base[at], base[at] + AT_LEAST), float(limits.high_D[at]))
    if raised <= base[at]:
        return None
    weights_D *= (1 - raised) / max(1 - base[at], 1e-9)
    weights_D[at] = raised
    point = space.space.point(limits.nearest(weights_D[None])[0], space.base.knobs)
    edit = next((edit for edit in space.edits_of(point) if edit.op == "weight"), None)
    if edit is None:
        return None
    shares = [100 * float(each.mean()) for each in (kept[most], others)]
    return edit, f"{shares[0]:.0f} % of {most} are such texts, {shares[1]:.0f} % of the other datasets"


def _apart(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return by how many standard errors the first share is larger; None where it is not, surely and by enough."""
    if not len(one) or not len(other):
        return None
    share = (one.sum() + other.sum() + 1) / (len(one) + len(other) + 2)
    error = math.sqrt(share * (1 - share) * (1 / len(one) + 1 / len(other)))
    more = float(one.mean() - other.mean())
    return more / error if more > max(LEAST_MORE, SURE * error) else None
