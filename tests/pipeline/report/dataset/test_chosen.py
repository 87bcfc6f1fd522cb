"""The report reads part by part: it shows what a look at everything at once would show, in the memory of one part."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline import catalog
from pipeline.core.arrow import as_numbers
from pipeline.core.rng import generator
from pipeline.plan.graph import Plan
from pipeline.report.dataset import findings, looks
from pipeline.report.dataset.chosen import Side
from pipeline.report.dataset.findings import clusters_in
from pipeline.report.dataset.looks import look_twice
from pipeline.report.dataset.signals import Signals
from pipeline.report.dataset.steps import dataset_shown
from pipeline.report.draw.bins import Spread, bin_values, counted, three_of
from pipeline.report.page import write_report
from pipeline.store.dataset.decide import passes
from pipeline.store.evidence import evidence_of
from tests.pipeline.report.report_parts import STEPS, finish, write_lines

RECIPE = """
name: parts
sources:
  docs: {read: jsonl, path: DIR/docs-*.jsonl, id: id}
  more: {read: jsonl, path: DIR/held.jsonl}
datasets:
  held: {from: more}
  clean:
    from: docs
    steps: [shout, toy_words, toy_twins, {decontaminate: {against: [held]}}]
"""
SECTION = re.compile(r'<section aria-labelledby="dataset-clean">.*?</section>', re.S)


@pytest.fixture(autouse=True)
def toy_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in {**STEPS, "shout": "tests.pipeline.steps:Shout"}.items():
        monkeypatch.setitem(catalog.STEPS, name, place)


def documents(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        base = number % 170  # so that some texts come twice
        words = [f"word{(base * 7 + k * k) % 90}" for k in range(base % 40)]
        if number % 60 == 3:
            words = ["poison", *words]
        if number % 30 == 5:
            words = [held_out(number % 4), "read again"]
        yield {"id": f"d{number}", "text": " ".join(["loud" if number % 4 == 1 else "calm", *words])}


def held_out(number: int) -> str:
    return " ".join(f"held{chr(97 + number)}{chr(97 + k)}" for k in range(20))


def built(folder: Path, *, files: int, lines: list[dict[str, Any]] | None = None) -> Plan:
    """Build the recipe over the same documents in so many files, which become as many parts."""
    folder.mkdir()
    lines = list(documents(600)) if lines is None else lines
    for index, rows in enumerate(np.array_split(np.arange(len(lines)), files)):
        write_lines(folder / f"docs-{index:03d}.jsonl", [lines[row] for row in rows])
    write_lines(folder / "held.jsonl", [{"text": held_out(n)} for n in range(10)])
    return finish(RECIPE.replace("DIR", str(folder)), folder=folder)


def section_of(plan: Plan, folder: Path) -> str:
    write_report(plan, path=folder / "report.html")
    found = SECTION.search((folder / "report.html").read_text(encoding="utf-8"))
    assert found is not None
    return found.group()


def signals_of(plan: Plan) -> Signals:
    return Signals(evidence_of(plan.workspace, plan.datasets["clean"].node.folder.name))


@pytest.mark.parametrize("most_held", [0, 20_000, looks.MOST_HELD], ids=["none held", "some held", "all held"])
def test_the_cut_into_parts_changes_nothing_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_held: int
) -> None:
    monkeypatch.setattr(looks, "MOST_HELD", most_held)
    whole, cut = (built(tmp_path / str(files), files=files) for files in (1, 7))
    assert len(signals_of(cut).evidence.chain.base) == 7

    shown = section_of(cut, tmp_path)

    assert shown == section_of(whole, tmp_path)
    for told in ("nearest to the threshold", "Kept in their place", "documents, one kept", "Items met most often"):
        assert told in shown
    assert "LOUD WORD" in shown  # as the step read it: the edit before it applied
    assert "loud word" not in shown


def test_chosen_documents_are_those_of_a_choice_from_all_rows_at_once(tmp_path: Path) -> None:
    signals = signals_of(built(tmp_path / "data", files=5))
    evidence = signals.evidence
    link = next(link for link in evidence.chain.links if link.label == "toy_words")
    sides = [Side(link, rule, dropped) for rule in link.rules for dropped in (True, False)]
    verdicts = pl.concat([pl.DataFrame(evidence.verdicts(part)) for part in evidence.chain.base])
    starts = np.cumsum([0, *(part.num_rows for part in evidence.chain.base)])

    found = look_twice(signals, sides, dataset="clean", per_side=3).chosen

    for side, chosen in found.items():
        values = np.concatenate(
            [as_numbers(table[side.rule.signal]) for _, table in signals.parts(link, ["words", "letters"])]
        )
        if side.dropped:
            rows = np.flatnonzero((verdicts["reason"] == f"toy_words.{side.rule.name}").fill_null(False))
        else:
            rows = np.flatnonzero(verdicts["kept"].to_numpy() & passes(side.rule, values) & ~np.isnan(values))
        near = [rows[np.abs(values[rows] - side.rule.threshold).argmin()]] if len(np.unique(values[rows])) > 2 else []
        rest = rows[~np.isin(rows, near)]
        size = min(3 - len(near), len(rest))
        drawn: Any = (
            generator(0, "report", "clean", side.name).choice(rest, size=size, replace=False) if len(rows) else []
        )
        assert [starts[item.place.part] + item.place.row for item in chosen] == [*near, *sorted(drawn)]
    assert any(chosen for chosen in found.values())


@pytest.mark.parametrize("shape", ["long tail", "whole numbers", "mostly one value"])
def test_bins_of_pieces_are_bins_of_the_whole(shape: str) -> None:
    draw = generator(1, shape)
    values = {
        "long tail": draw.lognormal(3, 2, 5000),
        "whole numbers": draw.integers(0, 90, 5000).astype(float),
        "mostly one value": np.where(draw.random(5000) < 0.999, 1.0, draw.random(5000)),
    }[shape]
    values[::17] = np.nan
    spread = Spread()
    for piece in np.array_split(values, 9):
        spread.add(piece)
    bins = spread.bins([20.0])
    assert bins is not None

    for piece in np.array_split(values, 9):
        bins = counted(bins, piece, piece < 20)

    whole = bin_values(values, values < 20, [20.0])
    assert whole is not None
    for name in ("edges", "kept", "dropped", "below", "above", "log", "whole"):
        assert np.array_equal(getattr(bins, name), getattr(whole, name))


def test_a_drawn_range_still_counts_every_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = built(tmp_path / "data", files=4)
    signals = signals_of(plan)
    exact = dataset_shown(signals, name="clean", meanings={}).steps[1].histograms

    monkeypatch.setattr(looks, "MOST_DRAWN", 200)

    drawn = dataset_shown(signals, name="clean", meanings={}).steps[1].histograms
    assert len(drawn) == len(exact) == 2
    for ours, theirs in zip(drawn, exact, strict=True):
        bins = ours.bins
        assert int(bins.kept.sum() + bins.dropped.sum()) + bins.below + bins.above == ours.num_values
        assert ours.num_values == theirs.num_values


@pytest.mark.parametrize("at_a_time", [None, 4_000_000, 40])
def test_clusters_are_those_of_a_count_of_all_duplicates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int | None
) -> None:
    lines = list(documents(600)) + [{"id": f"x{n}", "text": f"five words are quite enough {n % 9}"} for n in range(90)]
    signals = signals_of(built(tmp_path / "data", files=5, lines=lines))
    link = next(link for link in signals.evidence.chain.links if link.label == "toy_twins")
    twins = Counter(
        twin for _, table in signals.parts(link, ["duplicate_of"]) for twin in table["duplicate_of"].to_pylist() if twin
    )
    shown = dataset_shown(signals, name="clean", meanings={})

    if at_a_time is not None:
        monkeypatch.setattr(findings, "MOST_COUNTED", 100)
        monkeypatch.setattr(findings, "MOST_HASHES", at_a_time)

    found = clusters_in(shown, signals)["toy_twins"]
    assert found.by_size == Counter(count + 1 for count in twins.values())
    largest = sorted(twins.items(), key=lambda item: (-item[1], item[0]))[:6]
    assert list(found.largest) == [(name, count + 1) for name, count in largest]


def test_the_report_takes_the_memory_of_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MOST_HELD", 0)
    filler = " ".join(f"filler{n}" for n in range(300))
    peaks = []
    for files in (2, 16):
        lines = [{"id": f"d{n}", "text": f"{n} {filler if n % 3 else ''}"} for n in range(150 * files)]
        plan = built(tmp_path / str(files), files=files, lines=lines)
        pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            write_report(plan, path=tmp_path / "report.html")
        finally:
            pa.set_memory_pool(before)
        peaks.append(pool.max_memory())
    text = len(json.dumps(lines))

    assert peaks[1] < 1.2 * peaks[0] < text / 2


@pytest.mark.parametrize(
    ("values", "different"),
    [([], 0), ([2.0], 1), ([1.0, 1.0, 2.0], 2), ([1.0] * 200 + [2.0, 3.0], 3), ([3.0, 1.0, 2.0, 4.0], 3)],
)
def test_up_to_three_different_values_are_found_wherever_they_stand(values, different):
    found = three_of(np.array(values))

    assert len(set(found.tolist())) == len(found) == different
    assert set(found.tolist()) <= set(values)
