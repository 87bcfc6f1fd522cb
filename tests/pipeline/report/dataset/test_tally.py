"""What the page counts by rule, pair of rules, source, language and length is what a plain count of verdicts gives."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from pipeline import catalog
from pipeline.core.files.parquet.shards import read_table
from pipeline.report.dataset import groups, tally
from pipeline.report.dataset.signals import Signals
from pipeline.report.dataset.steps import DatasetShown, dataset_shown
from pipeline.store.evidence import Evidence, evidence_of
from pipeline.store.sizes import LENGTH_BINS
from tests.pipeline.report.report_parts import STEPS, finish, write_lines
from tests.pipeline.report.test_report import documents, words_of

RECIPE = """
sources:
  one: {read: jsonl, path: DIR/one.jsonl}
  two: {read: jsonl, path: DIR/two.jsonl}
datasets: {clean: {from: [one, two], steps: [toy_words, {language: {keep: [en], min_score: 0.5}}, toy_twins]}}
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> DatasetShown:
    folder = tmp_path_factory.mktemp("tally")
    lines = list(documents(300))
    write_lines(folder / "one.jsonl", [{"id": line["id"], "text": line["text"]} for line in lines[:200]])
    write_lines(folder / "two.jsonl", [{"id": line["id"], "text": f"un deux {line['text']}"} for line in lines[200:]])
    with pytest.MonkeyPatch.context() as patch:
        for name, place in STEPS.items():
            patch.setitem(catalog.STEPS, name, place)
        plan = finish(RECIPE.replace("DIR", str(folder)), folder=folder)
        evidence = evidence_of(plan.workspace, plan.datasets["clean"].node.folder.name)
        return dataset_shown(Signals(evidence), name="clean", meanings={})


def verdicts(evidence: Evidence) -> list[dict[str, Any]]:
    language = next(link for link in evidence.chain.links if link.label == "language")
    rows: list[dict[str, Any]] = []
    for part in evidence.chain.base:
        base = read_table(part.path, columns=["source", "text"]).to_pylist()
        codes = evidence.signals(language, part, ["language", "kept_language_score"]).to_pylist()
        rows += [{**a, **b, **c} for a, b, c in zip(base, codes, evidence.verdicts(part).to_pylist(), strict=True)]
    return rows


def test_rules_and_pairs_of_rules_are_counted(shown: DatasetShown) -> None:
    rows, found = verdicts(shown.evidence), shown.tally

    assert found.first == Counter(row["reason"] for row in rows if row["reason"])
    assert found.alone == Counter(rule for row in rows for rule in row["failed"])
    assert found.only == Counter(row["failed"][0] for row in rows if len(row["failed"]) == 1 and not row["quarantined"])
    assert found.broken == Counter(row["quarantined"] for row in rows if row["quarantined"])
    pairs = Counter(pair for row in rows for pair in combinations(sorted(row["failed"]), 2))
    assert pairs
    for (one, other), count in pairs.items():
        a, b = found.rules.index(one), found.rules.index(other)
        assert found.together[a, b] == found.together[b, a] == count
    assert found.together.sum() == 2 * sum(pairs.values()) + sum(found.alone.values())


@pytest.mark.parametrize("kind", ["source", "language"])
def test_groups_are_counted(shown: DatasetShown, kind: str) -> None:
    rows, found = verdicts(shown.evidence), shown.tally.groups[kind]

    assert {name: group.documents for name, group in found.items()} == Counter(row[kind] for row in rows)
    for name, group in found.items():
        mine = [row for row in rows if row[kind] == name]
        assert group.kept == sum(row["kept"] for row in mine)
        assert group.first == Counter(row["reason"] for row in mine if row["reason"])
        assert group.broken == sum(row["quarantined"] is not None for row in mine)


def test_scores_by_language_hold_every_document(shown: DatasetShown) -> None:
    rows, scores = verdicts(shown.evidence), shown.tally.scores

    assert scores is not None and scores.signal == "kept_language_score"
    assert {name: int(counts.sum()) for name, counts in scores.counts.items()} == Counter(
        row["language"] for row in rows
    )
    strips = groups.strips_of(shown.tally)
    assert strips is not None and strips.rows[0].documents == max(int(c.sum()) for c in scores.counts.values())


def test_lengths_before_and_after_hold_every_document(shown: DatasetShown) -> None:
    rows = verdicts(shown.evidence)
    sizes = np.array([len(row["text"].encode()) for row in rows])
    edges = 2 ** (np.arange(LENGTH_BINS + 1) / 4)

    assert np.array_equal(shown.sizes.before, np.histogram(sizes, edges)[0])
    assert np.array_equal(shown.sizes.after, np.histogram(sizes[np.array([row["kept"] for row in rows])], edges)[0])


def test_more_groups_than_a_page_can_hold_are_left_out(shown: DatasetShown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_GROUPS", 1)

    assert tally.tally_of(Signals(shown.evidence)).groups == {}


def test_the_smaller_groups_are_summed(shown: DatasetShown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_SHOWN", 1)

    (found,) = [item for item in groups.groups_of(shown) if item.kind == "source"]

    assert [row.name for row in found.rows] == ["one", "1 other"]
    assert sum(row.documents for row in found.rows) == shown.rows_in


def test_a_share_of_the_matrix_is_that_of_its_row(shown: DatasetShown) -> None:
    found = groups.together_of(shown.tally)

    assert found is not None
    for row, (name, number) in enumerate(zip(found.names, found.documents, strict=True)):
        assert number == shown.tally.alone[name] and found.shares[row][row] == 100
    assert words_of(str(groups.lengths_picture(shown))) != ""
