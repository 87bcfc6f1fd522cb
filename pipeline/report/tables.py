"""What the page shows in tables -> the same tables as CSV files beside it, numbers whole and not rounded for reading.

One file for each table, named after its section. They are written before the page that lists them, each atomically,
and what an earlier page left there is removed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.files.writing.durable import sweep, write_text
from pipeline.report.dataset.steps import DatasetShown
from pipeline.report.mixture.comparison import ComparisonShown
from pipeline.report.mixture.search import SearchState

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell of words that begins so is run by spreadsheets


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table: the name of its file, its columns, its rows of words and numbers."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def text(self) -> str:
        """The table as CSV."""
        written = io.StringIO()
        lines = csv.writer(written, lineterminator="\n")
        lines.writerows([self.head, *([_cell(value) for value in row] for row in self.rows)])
        return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value


def write_tables(folder: Path, tables: Sequence[ReportTable]) -> None:
    """Write all tables into a folder that holds nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    for table in tables:
        write_text(folder / table.file, table.text)
    kept = {table.file for table in tables}
    for path in folder.glob("*.csv"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def tables_of(content: Mapping[str, Any]) -> list[ReportTable]:
    """Return every table of the page, in its order."""
    found = [_flow(content)]
    if content["changes"] is not None:
        rows = [(item.dataset, item.what, item.before, item.after, item.by) for item in content["changes"].datasets]
        found.append(_table("changes", ("dataset", "what", "before", "now", "change"), rows))
    for item in content["datasets"]:
        found += _of_dataset(item)
    for item in content["made"]:
        found.append(
            _table(
                f"{item.name}-families",
                (item.group, "kept", "of", "refused most"),
                [(f.name, f.kept, f.asked, f.refused) for f in item.families],
            )
        )
        found.append(
            _table(
                f"{item.name}-rejected",
                (f"{item.group} and reason", "tasks" if item.group == "family" else "answers"),
                item.rejected,
            )
        )
        if item.diversity is not None and item.diversity.groups:
            head = ("by", "group", "rows", "weight", "new", "out of its band")
            groups = [(g.axis, g.name, g.rows, g.weight, g.new, g.left) for g in item.diversity.groups]
            found.append(_table(f"{item.name}-diversity", head, groups))
    found += _of_search(content["search"])
    found += _of_comparison(content["comparison"])
    found += _of_experiment(content)
    found.append(_evidence(content))
    return [table for table in found if table.rows]


def _table(name: str, head: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> ReportTable:
    return ReportTable(name, head, tuple(tuple(row) for row in rows))


def _flow(content: Mapping[str, Any]) -> ReportTable:
    rows: list[tuple[Any, ...]] = []
    for name, card in content["sources"]:
        broken = sum(card.quarantined.values())
        rows.append((name, "source", card.rows_in, 0, broken, card.rows_out, None, None, card.seconds, card.cost_usd))
    for item in content["made"]:
        rows.append((item.name, item.step, None, None, None, item.rows, None, None, item.seconds, item.cost_usd))
    for item in content["datasets"]:
        rows += [
            (
                item["shown"].name, step.label, step.reached, step.dropped, step.quarantined, step.left,
                step.size.reached, step.size.left, None if step.shared else step.seconds, step.cost_usd,
            )
            for step in item["shown"].steps
        ]  # fmt: skip
    head = ("dataset", "step", "in", "dropped", "quarantined", "out", "bytes in", "bytes out", "seconds", "usd")
    return _table("flow", head, rows)


def _of_dataset(item: Mapping[str, Any]) -> Iterator[ReportTable]:
    shown: DatasetShown = item["shown"]
    rules = [(step.label, rule) for step in shown.steps for rule in step.rules if rule.alone or rule.first]
    yield _table(
        f"{shown.name}-rules",
        ("step", "rule", "first reason", "fail it at all", "fail only it", "signal", "kept if", "threshold"),
        [(step, r.name, r.first, r.alone, r.only, r.signal, r.op, r.threshold) for step, r in rules],
    )
    head: tuple[str, ...]
    rows: list[Sequence[Any]]
    for groups in item["groups"]:
        head = (groups.kind, "documents", "kept", "dropped", "quarantined", "rule that drops most", "by it")
        rows = [(g.name, g.documents, g.kept, g.dropped, g.broken, g.most, g.num_most) for g in groups.rows]
        yield _table(f"{shown.name}-by-{groups.kind}", head, rows)
    together = item["together"]
    if together is not None:
        head = ("rule", "documents that fail it", *(f"% also fail {name}" for name in together.names))
        rows = list(zip(together.names, together.documents, *zip(*together.shares, strict=True), strict=True))
        yield _table(f"{shown.name}-together", head, rows)
    yield _table(f"{shown.name}-quarantined", ("what broke", "documents"), item["quarantine"])
    for teacher in item["teachers"]:
        yield _table(f"{shown.name}-{teacher.step}-outcomes", ("outcome", "documents"), teacher.outcomes)
    for model in item["classifiers"]:
        head = ("graded by", "spearman", "95 % interval", "root mean square error", "the classifier's gain")
        rows = [(row.name, row.spearman, row.interval, row.rmse, row.gain) for row in model.agreements]
        yield _table(f"{shown.name}-{model.step}-agreement", head, rows)
        head = ("side", "of", "spearman", "95 % interval", "says")
        sides = model.triangle.plot.rows if model.triangle.plot else ()
        rows = [(row.name, row.guard, row.gain, row.range, row.says) for row in sides]
        yield _table(f"{shown.name}-{model.step}-triangle", head, rows)
        head = ("held out, by source", "documents", "spearman", "95 % interval")
        rows = [(row.name, row.documents, row.spearman, row.interval) for row in model.sources]
        yield _table(f"{shown.name}-{model.step}-sources", head, rows)
        head = ("keeps", "threshold", "precision", "recall", "f1", "in force")
        rows = [(row.keeps, row.threshold, row.precision, row.recall, row.f1, row.chosen) for row in model.points]
        yield _table(f"{shown.name}-{model.step}-thresholds", head, rows)
        head = ("mean score", "mean grade", "documents")
        yield _table(f"{shown.name}-{model.step}-calibration", head, model.bins)
    yield from _of_findings(shown.name, item)


def _of_findings(name: str, item: Mapping[str, Any]) -> Iterator[ReportTable]:
    rows: list[Sequence[Any]]
    for found in item["duplicates"]:
        if found.audit is not None:
            head = ("similarity", "planted", "recall", "95 % interval", "theory", "joined pairs sampled")
            rows = [(b.similarity, b.planted, b.recall, b.interval, b.theory, b.joined) for b in found.audit.bins]
            yield _table(f"{name}-{found.step}-audit", head, rows)
        sizes = [row for row in found.sizes if row[1]]
        yield _table(f"{name}-{found.step}-clusters", ("documents in the cluster", "clusters"), sizes)
    for found in item["topics"]:
        rows = [(each.number, each.name, each.documents, each.silhouette, each.more_words) for each in found.topics]
        columns = ("topic", "name", "documents", "silhouette", "more words")
        yield _table(f"{name}-{found.step}-topics", columns, rows)
    for found in item["contamination"]:
        kind = "met" if found.over is None else "met-reworded"
        rows = [(hit.item, hit.excerpt, hit.documents) for hit in found.hits]
        yield _table(f"{name}-{found.step}-{kind}", ("held-out item", "shared words", "documents"), rows)


def _of_search(state: SearchState | None) -> Iterator[ReportTable]:
    if state is None or state.shown is None:
        return
    search, rows = state.shown, list[Sequence[Any]]()
    head: tuple[str, ...] = (
        "dataset",
        search.around,
        search.name,
        "5 %",
        "95 %",
        "least",
        "most",
        "most is its supply",
    )
    rows = [(w.dataset, w.around, w.found, w.low, w.high, w.least, w.most, w.supplied) for w in search.weights]
    yield _table("search-weights", head, rows)
    head = (
        "round",
        "proxies so far",
        "best measured",
        "predicted",
        "deviation",
        f"predicted of {search.around}",
        "regret",
    )
    rows = [(s.number, s.num_proxies, s.best, s.value, s.sd, s.around, s.regret, *s.weights) for s in search.steps]
    yield _table("search-rounds", (*head, *search.datasets), rows)
    head = ("proxy", "round", "quarter", "measured", "predicted unseen", "left out", "dropped", *search.datasets)
    rows = [
        (
            each.lane, each.round, None if each.measured is None else each.quarter + 1, each.measured, each.unseen,
            each.left_out, each.dropped, *each.weights, *each.metrics.values(),
        )
        for each in (*search.tried, *search.dropped, *search.left_out)
    ]  # fmt: skip
    yield _table("search-proxies", (*head, *(f"bits per byte on {domain}" for domain in search.goal)), rows)
    yield _table("search-trust", ("measure", "value"), [(each.name, each.value) for each in search.measures])
    rows = [(model.domain, model.name, model.say, model.error) for model in search.models]
    yield _table("search-models", ("held-out set", "model", "say", "error"), rows)


def _of_comparison(shown: ComparisonShown | None) -> Iterator[ReportTable]:
    if shown is None or shown.text is None:
        return
    kept, rows = shown.text, list[Sequence[Any]]()
    for row in shown.rows:
        effect = row.effect
        texts = (row.text.documents, kept.documents, row.text.num_bytes, kept.num_bytes)
        found = {"overall": (effect.gain, effect.low, effect.high)} | effect.by_domain
        rows += [(effect.mixture, row.step, name, *value, effect.seeds, *texts) for name, value in found.items()]
    of = f"of {shown.candidate}"
    head = ("mixture", "without the step", "held-out set", "gain", "low", "high", "pairs of proxies")
    yield _table("comparison", (*head, "documents", f"documents {of}", "bytes", f"bytes {of}"), rows)


def _of_experiment(content: Mapping[str, Any]) -> Iterator[ReportTable]:
    keys: tuple[str, ...] = ("dataset", "nominal", "realised", "tokens", "epochs", "capped")
    rows: list[Sequence[Any]] = [
        (item["name"], *(share.get(key) for key in keys)) for item in content["mixtures"] for share in item["shares"]
    ]
    yield _table("mixtures", ("mixture", "dataset", "share asked", "share realised", *keys[3:]), rows)
    certificate = content["certificate"]
    if certificate is None:
        return
    keys = (
        "domain", "baseline", "candidate", "gain", "low", "high", "relative", "probability_better", "detectable",
        "num_documents", "num_clusters", "num_bytes",
    )  # fmt: skip
    compared = certificate["comparisons"]
    rows = [
        (item["learning_rate"], *(gain.get(key) for key in keys))
        for item in compared
        for gain in (item["overall"], *item["domains"])
    ]
    yield _table("gains", ("learning rate", *(key.replace("_", " ") for key in keys)), rows)
    rows = [
        (item["learning_rate"], seed, gain)
        for item in compared
        for seed, gain in zip(item["seeds"], item["overall"]["per_seed"], strict=True)
    ]
    yield _table("seeds", ("learning rate", "seed", "gain"), rows)


def _evidence(content: Mapping[str, Any]) -> ReportTable:
    keys = (
        "kind", "name", "used_by", "identity", "version", "rows_in", "rows_out", "num_files", "size_bytes", "seconds",
        "cost_usd",
    )  # fmt: skip
    rows = [tuple(getattr(row, key) for key in keys) for row in content["spent"]]
    return _table("evidence", tuple(key.replace("_", " ") for key in keys), rows)
