"""Finished proxies of several mixtures in, what can be compared of them out: proxies alike, on the same documents.

What was not trained alike, or not scored on the same text, is refused with what would make it comparable. Groups of
documents that say much the same are those of the comparison that a gate built, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import DataError, RecipeError, TamisError, listed_names
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.chance.earlier import VERSIONS
from pipeline.experiment.compare import DOCUMENTS, clusters_of
from pipeline.experiment.scores import BITS, ScoreFacts
from pipeline.queries.proxies.arms import Arm, ScoredLane
from pipeline.queries.proxies.lanes import folder_of, name_of_held_out
from pipeline.store.workspace import Workspace

LEAST_PAIRS = 2  # from which chance can be seen at all
IN_ONE_RECIPE = (
    "Put both into one recipe, under one `proxy:`, with `gate: {candidate: ONE, baseline: OTHER, on: [...], verdict: "
    "false}`, and run it: tamis run RECIPE"
)
KINDS_OF_DOCUMENTS = ("dataset", "made", "source")

Lanes = Mapping[tuple[float, int], ScoredLane]  # by learning rate and seed


@dataclass(frozen=True, slots=True)
class StoredComparison:
    """A comparison that some gate built: its documents with their groups, and what it knew of earlier proxies."""

    folder: Path
    card: Card

    @property
    def held_out(self) -> dict[str, str]:
        """The name of each held-out set by the identity of its tokens."""
        return {identity: name for name, identity in self.card.payload["held_out"].items()}

    @property
    def lanes(self) -> set[str]:
        return {lane["identity"] for lane in self.card.details["lanes"]}


@dataclass(frozen=True, slots=True)
class HeldOutDocuments:
    """The held-out documents, one set after the other."""

    held_out: Mapping[str, str]  # name -> identity of its tokens, in the order of the rows
    documents: Mapping[str, str]  # name -> identity of the documents
    folders: Mapping[str, Path]  # of the documents
    payloads: Mapping[str, Mapping[str, Any]]  # of the tokens
    domain: np.ndarray
    ids: list[str]
    num_bytes: np.ndarray
    cluster: np.ndarray


def refuse_unlike(arms: Sequence[Arm]) -> None:
    """Raise RecipeError where proxies were not made alike, whatever was trained."""
    first = arms[0]
    for other in arms[1:]:
        told = [
            f"{what} ({first.name}: {mine}, {other.name}: {its})"
            for what, mine, its in (
                ("the tier", first.card.payload["tier"], other.card.payload["tier"]),
                ("the tokens of a proxy", *(f"{arm.card.payload['tokens']:,}" for arm in (first, other))),
                ("the tokenizer", first.tokenizer[:12], other.tokenizer[:12]),
            )
            if mine != its
        ]
        if told:
            raise RecipeError(
                f"compare: {other.name} cannot be held against {first.name}: they differ in {' and '.join(told)}, and "
                "proxies must be trained and read alike. A tokenizer is trained on all datasets that a recipe mixes. "
                + IN_ONE_RECIPE
            )


def lanes_alike(arms: Sequence[Arm]) -> list[Lanes]:
    """Return the sound proxies of every mixture, by versions that all have; DataError where there are none."""
    for arm in arms:
        if not arm.lanes:
            raise DataError(f"compare: no proxy of {arm.name} is finished, so nothing is known of it. {arm.way_out}")
        if not any(found.scores for found in arm.lanes):
            raise DataError(f"compare: no proxy of {arm.name} was scored on held-out text. {arm.way_out}")
        if not any(found.lane.facts.healthy for found in arm.lanes):
            why = "; ".join(f"{found.lane.facts.seed}: {found.lane.facts.findings[0]}" for found in arm.lanes[:3])
            raise DataError(
                f"compare: no proxy of {arm.name} trained soundly (by seed: {why}), and others show nothing. Lower "
                "proxy.learning_rates and run its recipe again."
            )
    common = set.intersection(*({found.versions for found in arm.lanes} for arm in arms))
    if not common:
        told = "; ".join(f"{arm.name}: {arm.lanes[0].versions}" for arm in arms)
        raise DataError(
            f"compare: proxies were trained by different versions of {', '.join(VERSIONS)} ({told}), which round and "
            f"train otherwise. Run the recipe of both again: what is older is trained anew. {arms[0].way_out}"
        )
    best = max(common, key=lambda found: (sum(lane.versions == found for arm in arms for lane in arm.lanes), found))
    return [
        {
            (found.lane.facts.learning_rate, found.lane.facts.seed): found
            for found in arm.lanes
            if found.versions == best and found.lane.facts.healthy
        }
        for arm in arms
    ]


def built_by_gates(workspace: Workspace, arms: Sequence[Arm]) -> list[StoredComparison]:
    """Return what gates built of these mixtures: a named recipe's own first, then of most of them, then the newest."""
    asked = {arm.recipe.comparison for arm in arms if arm.recipe is not None}
    identities = {arm.card.identity for arm in arms}
    found = []
    for path in (workspace.root / "comparison").glob(f"*/{CARD}"):
        try:
            card = read_card(path.parent)
        except TamisError:  # not a question's to repair
            continue
        about = identities & set(card.payload["mixtures"].values())
        if about:
            found.append(
                ((card.identity in asked, len(about), path.stat().st_mtime_ns), StoredComparison(path.parent, card))
            )
    return [stored for _, stored in sorted(found, key=lambda item: item[0], reverse=True)]


def shared_by(
    arms: Sequence[Arm], lanes: Sequence[Lanes], stored: Sequence[StoredComparison]
) -> tuple[float, frozenset[str]]:
    """Return the learning rate and the held-out sets on which all can be compared; DataError where there are none."""
    scored = [{key for found in mine.values() for key in found.scores} for mine in lanes]
    common = set.intersection(*scored)
    if not common:
        told = "; ".join(f"{arm.name} on {_sets_of(mine.values())}" for arm, mine in zip(arms, lanes, strict=True))
        raise DataError(
            f"compare: no held-out set was scored by proxies of all ({told}; a set of the same name may hold other "
            f"documents). {IN_ONE_RECIPE}"
        )
    common &= _newest(lanes[0], common)
    rates = [rate for item in stored for rate in item.card.payload["learning_rates"]]
    rates += sorted({rate for mine in lanes for rate, _ in mine}, reverse=True)
    sets = [frozenset(item.held_out) & common for item in stored]
    of_lanes = {item for mine in lanes for found in mine.values() for item in _read_alike(found, common)}
    sets += [found for _, found in sorted(of_lanes, key=lambda item: (-len(item[1]), -item[0], sorted(item[1])))]
    for rate in dict.fromkeys(rates):
        for wanted in sets:
            pairs = [pairs_of(lanes[0], mine, rate, wanted) for mine in lanes[1:]]
            if wanted and min(map(len, pairs)) >= LEAST_PAIRS:
                return rate, wanted
    few = min(
        zip(arms[1:], lanes[1:], strict=True),
        key=lambda item: max(len(pairs_of(lanes[0], item[1], rate, found)) for rate in rates for found in sets),
    )[0]
    raise DataError(
        f"compare: {few.name} and {arms[0].name} have fewer than {LEAST_PAIRS} sound proxies each with the same seeds, "
        f"learning rate and held-out sets, and a difference of single ones may be chance. {few.way_out}"
    )


def _read_alike(found: ScoredLane, common: set[str]) -> set[tuple[int, frozenset[str]]]:
    """Return the sets on which a proxy was scored: together those of which as many bytes were read, with the number."""
    by_length: dict[int, set[str]] = {}
    for identity in common & found.scores.keys():
        facts = ScoreFacts(**found.scores[identity].card.details)
        by_length.setdefault(facts.held_out_bytes, set()).add(identity)
    return {(length, frozenset(alike)) for length, alike in by_length.items()}


def _newest(lanes: Lanes, common: set[str]) -> set[str]:
    """Return of sets with one name that which was scored last: an edited set takes the place of what it was."""
    scores = [(held, bits) for found in lanes.values() for held, bits in found.scores.items() if held in common]
    scores.sort(key=lambda item: (item[1].folder / CARD).stat().st_mtime_ns)
    return set({name_of_held_out(bits.card): held for held, bits in scores}.values())


def pairs_of(first: Lanes, other: Lanes, rate: float, held_out: frozenset[str]) -> list[int]:
    """Return the seeds of which both mixtures have a proxy that was scored on some sets."""
    return sorted(
        seed
        for (at, seed), found in first.items()
        if at == rate
        and (at, seed) in other
        and held_out <= found.scores.keys()
        and held_out <= other[at, seed].scores.keys()
    )


def _sets_of(lanes: Any) -> str:
    names = sorted({name_of_held_out(bits.card) for found in lanes for bits in found.scores.values()})
    return listed_names(names)


def not_compared(arms: Sequence[Arm], lanes: Sequence[Lanes], documents: HeldOutDocuments) -> tuple[str, ...]:
    """Return held-out sets on which only some were scored, or none of what a named recipe asks for; each with why."""
    names: dict[str, set[str]] = {}
    for arm, mine in zip(arms, lanes, strict=True):
        for bits in (bits for found in mine.values() for bits in found.scores.values()):
            names.setdefault(name_of_held_out(bits.card), set()).add(arm.name)
    told = []
    for name, having in sorted(names.items()):
        if name not in documents.held_out:
            lacking = [arm.name for arm in arms if arm.name not in having]
            otherwise = "not scored by the same proxies, or with another proxy.held_out_bytes"
            told.append(f"{name} ({'not scored by ' + ', '.join(lacking) if lacking else otherwise})")
    return (*told, *_not_scored(arms, lanes, documents))


def _not_scored(arms: Sequence[Arm], lanes: Sequence[Lanes], documents: HeldOutDocuments) -> Iterator[str]:
    """Yield the sets that the gate of a named recipe asks for and on which no proxy was scored, with the way out."""
    scored = {identity for mine in lanes for found in mine.values() for identity in found.scores}
    recipes = {arm.recipe.path: arm.recipe for arm in arms if arm.recipe is not None}
    for path, recipe in recipes.items():
        for name, node in sorted(recipe.held_out.items()):
            if node.identity not in scored:
                which = " as it is now" if name in documents.held_out else ""
                yield f"{name}{which} (asked for by {path}, not scored yet: tamis run {path})"


def held_out_documents(
    workspace: Workspace, first: Arm, lanes: Lanes, held_out: frozenset[str], stored: Sequence[StoredComparison]
) -> HeldOutDocuments:
    """Read the documents of the held-out sets and the groups that say much the same, as a gate grouped them."""
    some = next(found for found in lanes.values() if held_out <= found.scores.keys())
    bits = {name_of_held_out(some.scores[identity].card): some.scores[identity] for identity in held_out}
    bits = dict(sorted(bits.items()))
    tables = {name: read_table(found.folder / BITS, columns=["id", "num_bytes"]) for name, found in bits.items()}
    documents = {name: str(found.card.details["documents"]) for name, found in bits.items()}
    columns: dict[str, Any] = {
        "domain": [name for name, table in tables.items() for _ in range(table.num_rows)],
        "id": [doc_id for table in tables.values() for doc_id in table.column("id").to_pylist()],
    }
    held = {name: str(found.card.payload["held_out"]) for name, found in bits.items()}
    tokens = [read_card(folder_of(workspace, "tokens", identity, of=first.name)).payload for identity in held.values()]
    folders = {
        name: _documents_of(workspace, payload["dataset"], of=first.name)
        for name, payload in zip(held, tokens, strict=True)
    }
    group_by = tokens[0].get("group_by")  # of a set with a sealed part, as its parts were told apart
    return HeldOutDocuments(
        held_out=held,
        documents=documents,
        folders=folders,
        payloads=dict(zip(held, tokens, strict=True)),
        domain=np.array(columns["domain"]),
        ids=columns["id"],
        num_bytes=np.concatenate([table.column("num_bytes").to_numpy() for table in tables.values()]),
        cluster=_clusters(columns, folders, held, stored, group_by=group_by),
    )


def _documents_of(workspace: Workspace, identity: str, *, of: str) -> Path:
    for kind in KINDS_OF_DOCUMENTS[:-1]:
        try:
            return folder_of(workspace, kind, identity, of=of)
        except DataError:
            continue
    return folder_of(workspace, KINDS_OF_DOCUMENTS[-1], identity, of=of)


def _clusters(
    columns: Mapping[str, Any],
    folders: Mapping[str, Path],
    held_out: Mapping[str, str],
    stored: Sequence[StoredComparison],
    *,
    group_by: str | None,
) -> np.ndarray:
    for item in stored:
        if set(held_out.values()) <= item.held_out.keys():
            table = read_table(item.folder / DOCUMENTS, columns=["domain", "id", "cluster"])
            theirs = {item.held_out[identity]: name for name, identity in held_out.items()}
            known = {
                (theirs[row["domain"]], row["id"]): row["cluster"]
                for row in table.to_pylist()
                if row["domain"] in theirs
            }
            return np.array([known[key] for key in zip(columns["domain"], columns["id"], strict=True)], np.int64)
    return clusters_of(columns, folders, group_by=group_by)
