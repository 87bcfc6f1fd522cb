"""Columns of one dataset, or of two -> every number of an audit beside its noise floor. Knows no files.

What a document's columns say is decided here for all documents at once; which numbers are worth asking for, too. A
number of which a dataset has too little is not asked for, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from filters.audit import kinds
from filters.audit.columns import Columns, Labels, code_of
from filters.audit.floor import LEAST_HALF, ROUNDS, Split, Statistic, hold, splits_of
from filters.audit.found import Found, Row, Unit
from filters.audit.shapes import NO_SKELETON, SCRIPTS
from filters.audit.spread import NUM_BINS, gini, quantile_bins, top_share
from filters.audit.terms import false_discovery, load_terms, odds_errors, shrunk_odds, votes
from filters.audit.units import UNKNOWN, Units, units_of
from filters.dedup.clusters import equal_key_edges, new_forest, settle, unite
from filters.privacy.pii import KINDS

MOST_ROWS = 30  # of a table
MOVED = 4  # categories that are told of a number
REPEATED = 3  # documents in which a line stands
LEAST_NAMING = 50  # documents that name a group
LEAST_OF_LANGUAGE = 200  # documents
EXPLAINED = 0.05  # false share among associations that are told


@dataclass(frozen=True, slots=True)
class Asked:
    """Numbers to hold against their floor: one statistic, a name for each of its numbers."""

    group: str
    names: Sequence[str]
    unit: Unit
    statistic: Statistic
    shown: bool = True  # whether the numbers themselves say something, and not only their distance
    told: Callable[[np.ndarray, np.ndarray | None], Sequence[str]] | None = None  # old and new rows -> what moved
    trend: bool = False
    by_document: bool = False  # whether halves are cut between documents, whatever comes together


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out, and what halves were cut by."""

    numbers: tuple[Found, ...]
    tables: Mapping[str, tuple[Row, ...]]
    notes: tuple[str, ...]
    units: Units


def check(columns: Columns, *, seed: int, rounds: int = ROUNDS) -> Checked:
    """Hold every number of the new documents, or without any of the old ones, against the floor of the old ones."""
    measured = columns.measured
    near = near_duplicates(measured.bands, measured.num_words > 0)
    units = units_of(columns.labels.get("host"), near, old=columns.old)
    between_units, between_documents = (
        splits_of(columns.old, columns.new, seed=seed, rounds=rounds, units=codes) for codes in (units.codes, None)
    )
    tables: dict[str, tuple[Row, ...]] = {}
    notes: list[str] = []
    asked = [
        *_spreads(columns, units, tables, notes), *_lengths(columns), *_duplicates(columns, near, units),
        *_people(columns, units, notes), *_style(columns, units), *_fertility(columns, notes),
    ]  # fmt: skip
    numbers = [
        found
        for each in asked
        for found in held(
            each, between_documents if each.by_document else between_units, old=columns.old, new=columns.new
        )
    ]
    return Checked(tuple(worst_first(numbers)), tables, tuple(notes), units)


def worst_first(numbers: Sequence[Found]) -> list[Found]:
    """Order numbers by how many floors they moved."""
    return sorted(numbers, key=lambda found: -(found.times or 0.0))


def held(asked: Asked, splits: Sequence[Split], *, old: np.ndarray, new: np.ndarray | None) -> Iterator[Found]:
    """Yield the numbers that were asked for, each beside its floor."""
    measured = hold(asked.statistic, splits)
    values = asked.statistic.of(old if new is None else new) if asked.shown else None
    others = asked.statistic.of(old) if asked.shown and new is not None else None
    told = tuple(asked.told(old, new)) if asked.told is not None else ()
    for place, name in enumerate(asked.names):
        yield Found(
            group=asked.group, name=name, unit=asked.unit,
            value=None if values is None else float(values[place]),
            other=None if others is None else float(others[place]),
            distance=None if measured.distances is None else float(measured.distances[place]),
            floor=float(measured.floors[place]), told=told, trend=asked.trend,
        )  # fmt: skip


def _spreads(columns: Columns, units: Units, tables: dict[str, tuple[Row, ...]], notes: list[str]) -> Iterator[Asked]:
    """Ask how documents are spread over languages, scripts, sources, hosts, years and stored signals."""
    measured = columns.measured
    scripts = Labels(np.array(SCRIPTS, object), measured.scripts.astype(np.int64))
    labels = {"language": Labels.of(measured.languages), "script": scripts, **columns.labels}
    for name, values in labels.items():
        names, codes = values.names, values.codes
        if name in ("host", "year") and values.are(UNKNOWN).all():
            notes.append(f"No {name} is known: no document has it in its metadata.")
            continue
        tables[name] = table_of(names, codes, old=columns.old, new=columns.new)
        told = moved(names, codes)
        yield Asked(
            _group_of(name), [f"{name}s, all together"], "bits", kinds.spread(codes, count=len(names)), False, told,
            by_document=name == "host",  # halves without a host in common would lie as far apart as can be
        )  # fmt: skip
        if name in ("source", "host") and len(names) > 1:
            yield Asked(
                "sources", [f"effective number of {name}s"], "effective", kinds.effective(codes, count=len(names))
            )
            largest = kinds.concentration(codes, count=len(names), function=top_share)
            yield Asked("sources", [f"share of the largest {name}"], "share", largest)
            unequal = kinds.concentration(codes, count=len(names), function=gini)
            yield Asked("sources", [f"Gini coefficient of {name}s"], "gini", unequal)
        if name == "year":
            yield Asked(
                "years",
                ["documents without a year"],
                "share",
                kinds.shares(values.are(UNKNOWN)[:, None], units=units.codes),
            )
    for name, signal in columns.signals.items():
        bins = quantile_bins(signal, like=signal[columns.old])
        yield Asked("signals", [name], "bits", kinds.spread(bins, count=NUM_BINS), False, _moved_mean(signal))


def _group_of(name: str) -> str:
    return {"language": "languages", "script": "languages", "year": "years"}.get(name, "sources")


def table_of(names: np.ndarray, codes: np.ndarray, *, old: np.ndarray, new: np.ndarray | None) -> tuple[Row, ...]:
    """Return the largest categories with their shares."""
    of = old if new is None else new
    shares = np.bincount(codes[of], minlength=len(names)) / len(of)
    others = None if new is None else np.bincount(codes[old], minlength=len(names)) / len(old)
    weight = shares if others is None else np.maximum(shares, others)
    order = np.argsort(-weight, kind="stable")[:MOST_ROWS]
    return tuple(
        Row(str(names[place]), float(shares[place]), None if others is None else float(others[place]))
        for place in order.tolist()
    )


def moved(names: np.ndarray, codes: np.ndarray) -> Callable[[np.ndarray, np.ndarray | None], Sequence[str]]:
    """Tell the categories whose shares moved most, or without new documents the largest."""

    def told(old: np.ndarray, new: np.ndarray | None) -> list[str]:
        before = np.bincount(codes[old], minlength=len(names)) / len(old)
        if new is None:
            return [f"{names[place]} {percent(before[place])}" for place in np.argsort(-before, kind="stable")[:MOVED]]
        after = np.bincount(codes[new], minlength=len(names)) / len(new)
        order = np.argsort(-np.abs(after - before), kind="stable")[:MOVED]
        return [
            f"{names[place]} {percent(before[place])} -> {percent(after[place])}"
            for place in order if before[place] != after[place]
        ]  # fmt: skip

    return told


def _moved_mean(values: np.ndarray) -> Callable[[np.ndarray, np.ndarray | None], Sequence[str]]:
    def told(old: np.ndarray, new: np.ndarray | None) -> list[str]:
        means = [values[rows][np.isfinite(values[rows])] for rows in (old, new) if rows is not None]
        return [" -> ".join(f"mean {mean.mean():.4g}" if len(mean) else "never measured" for mean in means)]

    return told


def percent(share: float) -> str:
    """Return a share as it stands in a sentence: `3.1 %`, and never none for a few."""
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.001 else "< 0.1 %"


def _lengths(columns: Columns) -> Iterator[Asked]:
    words = columns.measured.num_words
    bins = quantile_bins(words.astype(np.float64), like=words[columns.old].astype(np.float64))
    yield Asked("length", ["words, by quantiles"], "bits", kinds.spread(bins, count=NUM_BINS), False)
    yield Asked("length", ["words, geometric mean"], "words", kinds.geometric_mean(np.maximum(words, 1.0)))


def _duplicates(columns: Columns, near: np.ndarray, units: Units) -> Iterator[Asked]:
    """Ask how much stands twice. Halves between near-duplicates would have all of them, and fewer documents fewer."""
    measured = columns.measured
    every = np.ones(len(measured), np.bool_)
    wordy, template = measured.num_words > 0, measured.skeletons != NO_SKELETON
    docs = np.repeat(np.arange(len(measured)), measured.num_lines)
    lines = kinds.repeated_lines(code_of(measured.lines), docs, num_docs=len(measured), times=REPEATED)
    together = units.codes if units.by_host else None
    for name, statistic in (
        ("the same text as another", kinds.repeats(code_of(measured.texts), every, units=together)),
        ("nearly the same text as another", kinds.repeats(near, wordy, units=together)),
        ("the same skeleton of lines as another", kinds.repeats(code_of(measured.skeletons), template, units=together)),
        (f"lines that stand in {REPEATED} documents or more", lines),
    ):
        group = "boilerplate" if "line" in name else "duplication"
        yield Asked(group, [name], "share", statistic, by_document=not units.by_host)


def near_duplicates(bands: np.ndarray, wordy: np.ndarray) -> np.ndarray:
    """Return int64[num_docs]: clusters of documents that share a band; those without words stand alone."""
    parents, rows = new_forest(len(bands)), np.flatnonzero(wordy)
    for band in range(bands.shape[1]):
        edges = equal_key_edges(np.ascontiguousarray(bands[rows, band]), rows=rows)
        unite(parents, edges.left, edges.right)
    return settle(parents)


def _people(columns: Columns, units: Units, notes: list[str]) -> Iterator[Asked]:
    """Ask for personal data, insults, and who is spoken ill of."""
    measured = columns.measured
    names = [f"documents with {kind}" for kind, *_ in KINDS]
    yield Asked("personal data", names, "share", kinds.shares(measured.pii > 0, units=units.codes))
    matches = kinds.rate(measured.pii.sum(axis=1), measured.num_words, per=1e6, units=units.codes)
    yield Asked("personal data", ["matches, all kinds"], "per million words", matches)
    yield Asked(
        "toxicity", ["documents with insults"], "share", kinds.shares((measured.toxic > 0)[:, None], units=units.codes)
    )
    yield Asked(
        "toxicity",
        ["insults"],
        "per million words",
        kinds.rate(measured.toxic, measured.num_words, per=1e6, units=units.codes),
    )
    groups = load_terms().groups
    met = np.flatnonzero(np.count_nonzero(measured.windows[columns.old], axis=0) >= LEAST_NAMING)
    if len(met) < len(groups):
        few = [group for place, group in enumerate(groups) if place not in met]
        notes.append(f"Associations: named by fewer than {LEAST_NAMING} documents, so not judged: {', '.join(few)}.")
    if len(met):
        windows, ill = measured.windows[:, met], measured.ill[:, met]
        wanted = [f"ill words near {groups[place]}" for place in met]
        yield Asked("associations", wanted, "log-odds", kinds.associations(windows, ill))


def associated(columns: Columns) -> tuple[str, ...]:
    """Say which groups are spoken ill of more, or less, than all groups together, false discoveries held to 5 %."""
    rows = columns.old if columns.new is None else columns.new
    ill_votes, named = votes(columns.measured.ill[rows], columns.measured.windows[rows])
    ill, naming = ill_votes.sum(axis=0), named.sum(axis=0)
    judged = np.flatnonzero(naming >= LEAST_NAMING)
    odds = shrunk_odds(ill, naming) / odds_errors(ill, naming)
    chance = false_discovery(2 * ndtr(-np.abs(odds[judged])))
    groups = load_terms().groups
    return tuple(
        f"{groups[place]}: in {naming[place]:,.0f} documents that name them a word that speaks ill is near "
        f"in {percent(ill[place] / naming[place])} of places, beside {percent(ill.sum() / naming.sum())} of all groups "
        f"(false discovery rate {false:.2g})"
        for place, false in zip(judged.tolist(), chance.tolist(), strict=True)
        if false <= EXPLAINED
    )


def _style(columns: Columns, units: Units) -> Iterator[Asked]:
    measured = columns.measured
    per = kinds.rate(measured.markers, measured.num_words, per=1e6, units=units.codes)
    yield Asked("machine style", ["marker words"], "per million words", per, trend=True)
    several = kinds.shares((measured.markers > 2)[:, None], units=units.codes)
    yield Asked("machine style", ["documents with 3 marker words or more"], "share", several, trend=True)


def _fertility(columns: Columns, notes: list[str]) -> Iterator[Asked]:
    """Ask what a byte, or a word, costs in every language that has documents enough on both sides."""
    measured = columns.measured
    if columns.tokens is None:
        notes.append("No tokenizer is stored for this dataset: bytes a word stand in for tokens a byte.")
    above = measured.num_bytes if columns.tokens is None else columns.tokens
    below = measured.num_words if columns.tokens is None else measured.num_bytes
    unit: Unit = "bytes per word" if columns.tokens is None else "tokens per byte"
    sides = [columns.old] if columns.new is None else [columns.old, columns.new]
    for language in np.unique(measured.languages[columns.old]).tolist():
        own = measured.languages == language
        if columns.tokens is not None:
            own &= columns.tokens >= 0  # of the others none were counted
        if min(np.count_nonzero(own[side]) for side in sides) >= max(LEAST_OF_LANGUAGE, LEAST_HALF):
            yield Asked("fertility", [f"{unit}, {language}"], unit, kinds.ratio(above * own, below * own))
