"""Names of two mixtures -> the documents on which their proxies were scored, and how badly each is predicted.

Read from stored scores alone: the same proxies, sets and groups of documents as `tamis compare` takes, none of them
sealed. How bad a document is: bits for each byte that the second mixture needs more than the first (`lost`), or less
(`gained`), or all that it needs (`hard`), in the mean over pairs of proxies with one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from eval.claims.record import Which
from eval.claims.sides import strata_of
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import iterate_tables, read_table
from pipeline.core.identity import identity_of
from pipeline.experiment.findings.judged import judged_too, uncounted
from pipeline.experiment.scores import BITS
from pipeline.queries.errors.masked import BEYOND
from pipeline.queries.proxies.arms import Arm, find_arms
from pipeline.queries.proxies.comparable import (
    HeldOutDocuments,
    Lanes,
    built_by_gates,
    held_out_documents,
    lanes_alike,
    pairs_of,
    refuse_unlike,
    shared_by,
)
from pipeline.store.results import document_paths
from pipeline.store.workspace import Workspace

KEY_SEED = 20_261_130  # of the draw that puts a document into a split


@dataclass(frozen=True, slots=True)
class Material:
    """Documents, as far as they were predicted, with how badly."""

    experiment: str  # identity of all that the numbers depend on
    first: str
    other: str
    which: Which
    on: tuple[str, ...]
    domain: np.ndarray  # str[D]
    ids: Sequence[str]
    texts: Sequence[str]
    num_bytes: np.ndarray  # int64[D]
    cluster: np.ndarray  # int64[D]
    bits: np.ndarray  # float64[D]: what makes a document bad, for all its bytes
    folders: Mapping[str, Path] = field(default_factory=dict)  # of the documents, by domain
    notes: tuple[str, ...] = ()
    beyond: Sequence[str] = ()  # what follows each text where it was cut, some characters of it

    def whole(self, row: int) -> str:
        """Return a text with what follows, to see whole what it cuts."""
        return self.texts[row] + self.beyond[row] if self.beyond else self.texts[row]

    @property
    def badness(self) -> np.ndarray:
        """Bits for each byte, float64[D]."""
        rates: np.ndarray = self.bits / np.maximum(self.num_bytes, 1)
        return rates

    @property
    def strata(self) -> np.ndarray:
        return strata_of(self.domain, self.num_bytes)

    @property
    def keys(self) -> np.ndarray:
        """What a document's split is drawn from, uint64[D]: its text."""
        drawn = [xxhash.xxh64_intdigest(text.encode(errors="replace"), KEY_SEED) for text in self.texts]
        return np.array(drawn, np.uint64)

    def known(self) -> Material:
        """Return the material without documents on which a proxy broke, or of which nothing was predicted."""
        known = np.isfinite(self.bits) & (self.num_bytes > 0)
        if known.all():
            return self
        rows = np.flatnonzero(known).tolist()
        return replace(
            self, domain=self.domain[known], ids=[self.ids[row] for row in rows],
            texts=[self.texts[row] for row in rows], num_bytes=self.num_bytes[known], cluster=self.cluster[known],
            bits=self.bits[known], beyond=[self.beyond[row] for row in rows] if self.beyond else (),
        )  # fmt: skip


def two_arms(workspace: Workspace, names: Sequence[str]) -> tuple[Arm, Arm]:
    """Return the mixtures that are meant: two by name, or a recipe's baseline and candidate."""
    if len(names) > 2:
        raise RecipeError(
            f"errors: {len(names)} names; it is about two mixtures, what is there and what is tried. Name two, or a "
            "recipe with a `gate:`."
        )
    first, other, *_ = find_arms(workspace, names)
    return first, other


@dataclass(frozen=True, slots=True)
class Subject:
    """What a round is about, before any document is read: enough to find one that was held."""

    experiment: str  # identity of all that the numbers depend on
    mixtures: tuple[str, str]  # identities
    label: str  # of the second mixture, for a folder
    load: Callable[[], Material]


def subject_of(workspace: Workspace, names: Sequence[str], *, which: Which) -> Subject:
    """Return the documents on which two mixtures were scored; DataError where they cannot be compared."""
    arms = two_arms(workspace, names)
    refuse_unlike(arms)
    lanes = lanes_alike(arms)
    stored = built_by_gates(workspace, arms)
    rate, wanted = shared_by(arms, lanes, stored)
    seeds = pairs_of(lanes[0], lanes[1], rate, wanted)
    scores = sorted(
        mine[rate, seed].scores[held].card.identity for mine in lanes for seed in seeds for held in sorted(wanted)
    )
    mixtures = (arms[0].card.identity, arms[1].card.identity)
    experiment = identity_of({"mixtures": list(mixtures), "rate": rate, "scores": scores})

    def load() -> Material:
        documents = held_out_documents(workspace, arms[0], lanes[0], wanted, stored)
        bits = [_mean_bits(mine, rate, seeds, documents) for mine in lanes]
        texts, beyond = _texts(documents)
        return Material(
            experiment=experiment, first=arms[0].name, other=arms[1].name, which=which,
            on=tuple(documents.held_out), domain=documents.domain, ids=documents.ids, texts=texts,
            num_bytes=documents.num_bytes, cluster=documents.cluster, bits=badness_of(bits[0], bits[1], which=which),
            folders=documents.folders, notes=_notes(workspace, arms, documents),
            beyond=beyond,
        ).known()  # fmt: skip

    return Subject(experiment, mixtures, arms[1].card.name, load)


def badness_of(first: np.ndarray, other: np.ndarray, *, which: Which) -> np.ndarray:
    """Return what makes documents bad, from the bits that they need under each mixture."""
    found: np.ndarray = {"lost": other - first, "gained": first - other, "hard": other}[which]
    return found


def _mean_bits(lanes: Lanes, rate: float, seeds: Sequence[int], documents: HeldOutDocuments) -> np.ndarray:
    """Return float64[D]: bits of every document in the mean over seeds."""
    found = []
    for seed in seeds:
        scores = lanes[rate, seed].scores
        tables = [read_table(scores[held].folder / BITS, columns=["bits"]) for held in documents.held_out.values()]
        found.append(np.concatenate([table.column("bits").to_numpy() for table in tables]))
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def _texts(documents: HeldOutDocuments) -> tuple[list[str], list[str]]:
    """Return the text of every document as far as it was predicted, and what follows; no other text is kept."""
    found: dict[tuple[str, str], str] = {}
    for domain, folder in documents.folders.items():
        rows = np.flatnonzero(documents.domain == domain)
        wanted = pa.array([documents.ids[row] for row in rows.tolist()], pa.string())
        for path in document_paths(folder):
            for table in iterate_tables(path, columns=["id", "text"]):
                mine = table.filter(pc.is_in(table.column("id"), value_set=wanted))
                ids, texts = (mine.column(name).to_pylist() for name in ("id", "text"))
                found |= {(domain, doc_id): text for doc_id, text in zip(ids, texts, strict=True)}
    keys = zip(documents.domain.tolist(), documents.ids, documents.num_bytes.tolist(), strict=True)
    texts, beyond = [], []
    for domain, doc_id, size in keys:
        text = found.get((domain, doc_id))
        if text is None:
            raise DataError(f"{documents.folders[domain]}: document {doc_id} is gone. Run its recipe again.")
        read, follows = cut(text, size)
        texts.append(read)
        beyond.append(follows)
    return texts, beyond


def cut(text: str, num_bytes: int) -> tuple[str, str]:
    """Return the whole characters of so many bytes of a text, and some that follow."""
    read = text.encode()[:num_bytes].decode(errors="ignore")
    return read, text[len(read) : len(read) + BEYOND]


def _notes(workspace: Workspace, arms: Sequence[Arm], documents: HeldOutDocuments) -> tuple[str, ...]:
    """Say where a gate judges by the documents that are read here."""
    judged = [node.payload for arm in arms if arm.recipe is not None for node in arm.recipe.judged]
    names = judged_too(workspace, documents.payloads, judged=judged)
    return (uncounted(names),) if names else ()
