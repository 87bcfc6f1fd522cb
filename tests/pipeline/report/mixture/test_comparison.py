"""Without a verdict the page compares: what each step is worth and costs, by which interval, and that nobody judged."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from pipeline.core.files.reading.strict_yaml import parse
from pipeline.experiment.findings.effects import effects_on
from pipeline.plan.graph import Plan
from pipeline.recipe.ablation import ablation_of
from pipeline.recipe.load import load_recipe
from pipeline.report.mixture.comparison import ComparisonShown, comparison_in
from pipeline.report.page import write_report
from tests.pipeline.report.report_parts import finish, plan_of, write_lines
from tests.pipeline.report.test_report import words_of

RECIPE = """
name: worth
sources: {docs: {read: jsonl, path: DIR/docs.jsonl}, one: {read: jsonl, path: DIR/one.jsonl},
  two: {read: jsonl, path: DIR/two.jsonl}}
datasets:
  one_held: {from: one}
  two_held: {from: two}
  clean: {from: docs, steps: [length: {min_words: 4}, exact_dedup]}
  good: {from: clean, steps: [length: {max_words: 60}]}
mixtures: {all: {weights: {clean: 1}}, kept: {weights: {good: 0.5, clean: 0.5}}}
proxy: {tokens: 1M, seeds: 3}
gate: {candidate: kept, baseline: all, on: [one_held, two_held]}
"""
LENGTH, EXACT, GOOD = "without-clean-length", "without-clean-exact_dedup", "without-good-length"
GAINS = {LENGTH: -0.08, EXACT: 0.08, GOOD: 0.0}  # what a mixture loses without a step is what the step is worth


def inputs(folder: Path) -> None:
    """Write 40 documents, 6 more that came before and 5 that are too short, and two held-out sets."""
    texts = [f"document {n} is written here " * 3 for n in range(40)]
    rows = [*texts, *texts[:6], *(f"short {n}" for n in range(5))]
    write_lines(folder / "docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(rows)])
    for name in ("one", "two"):
        held = [{"id": f"{name}{n}", "text": f"held out text {n} of {name} " * 4} for n in range(40)]
        write_lines(folder / f"{name}.jsonl", held)


def ablation(folder: Path) -> str:
    """Return the ablation of RECIPE as a recipe's text."""
    text = RECIPE.replace("DIR", str(folder))
    return load_recipe(ablation_of(parse(text, path=folder / "worth.yaml").data, name="worth").data).text


@pytest.fixture(scope="module")
def worth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """An ablation in which one step helps, one hurts and one is not settled, and its page."""
    folder = tmp_path_factory.mktemp("worth")
    inputs(folder)
    unsound = {f"{GOOD}/seed1/lr1": "its loss <b>rose</b>"}
    plan = finish(ablation(folder), folder=folder, gain=GAINS, unsound=unsound)
    write_report(plan, path=folder / "worth.html")
    return plan, folder / "worth.html"


def shown_of(plan: Plan) -> ComparisonShown:
    found = comparison_in(plan, num_bytes={})
    assert found is not None
    return found


def section(page: Path) -> str:
    written = page.read_text(encoding="utf-8")
    return written[written.index('<h2 id="comparison">') : written.index('<h2 id="flow">')]


def test_steps_stand_in_the_order_of_their_worth_with_what_they_drop_and_a_plain_word(worth) -> None:
    seen = words_of(section(worth[1]))

    helps, open_, hurts = (
        seen.index(word) for word in ("clean.length drops", "good.length", "clean.exact_dedup drops")
    )
    assert helps < open_ < hurts
    assert "clean.length drops 10 of 90 documents" in seen and "helps" in seen[helps:open_]
    assert "good.length costs no text; 2 of 3 pairs of proxies" in seen and "not settled" in seen[open_:hurts]
    assert "clean.exact_dedup drops 12 of 92 documents" in seen and "hurts" in seen[hurts : seen.index("no difference")]
    assert "one interval in 20 misses by chance" in seen


def test_the_numbers_and_the_table_are_those_of_the_scores(worth) -> None:
    plan, page = worth
    seen = words_of(section(page))

    with (page.with_suffix("") / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for effect in effects_on(plan, base="kept", mixtures=[LENGTH, EXACT, GOOD]):
        mine = {row["held-out set"]: row for row in rows if row["mixture"] == effect.mixture}
        assert [float(mine["overall"][key]) for key in ("gain", "low", "high")] == [
            effect.gain,
            effect.low,
            effect.high,
        ]
        assert tuple(float(mine["two_held"][key]) for key in ("gain", "low", "high")) == effect.by_domain["two_held"]
        assert int(mine["overall"]["pairs of proxies"]) == effect.seeds
        assert f"{effect.gain:+.3f}".replace("-", "\N{MINUS SIGN}") in seen
    assert [row["without the step"] for row in rows[::3]] == ["clean.length", "good.length", "clean.exact_dedup"]
    assert {(row["documents"], row["documents of kept"]) for row in rows[::3]} == {
        ("90", "80"),
        ("80", "80"),
        ("92", "80"),
    }


def test_the_head_says_that_nothing_was_judged_and_what_came_out(worth) -> None:
    written = worth[1].read_text(encoding="utf-8")
    head = words_of(written[written.index("<h1>") : written.index("<nav")])

    assert "Nothing was judged The gate asks for no verdict ( verdict: false )" in head
    assert "3 steps of kept left out, one at a time: 1 helps, 1 hurts, 1 is not settled." in head
    assert "not finished" not in head and "<title>worth-ablation: comparison</title>" in written
    assert "baseline" not in words_of(written[written.index("<nav") :])


def test_every_row_is_an_interval_over_a_line_at_no_difference_with_a_dot_for_each_held_out_set(worth) -> None:
    forest = shown_of(worth[0]).forest
    assert forest is not None

    places = {re.search(r'class="zero" x1="([0-9.]+%)"', row.picture)[1] for row in forest.rows}
    assert len(places) == 1
    assert all(row.picture.count('class="seed"') == 2 for row in forest.rows)
    assert [row.strong for row in forest.rows] == [True, False, True]


def test_the_flow_leads_every_mixture_into_the_comparison_and_each_has_a_colour(worth) -> None:
    written = worth[1].read_text(encoding="utf-8")
    flow = written.partition('<svg class="flow"')[2].partition("</title>")[0]

    assert f"comparison: no verdict asked, on 2 held-out sets from kept, {LENGTH}, {EXACT}, {GOOD}, one_held" in flow
    assert all(f'<polyline class="mean other hue{number}"' in written for number in (1, 2, 3))
    assert f"against <wbr>{LENGTH}" in written or f"against {LENGTH}" in written.replace("<wbr>", "")
    assert "its loss &lt;b&gt;rose&lt;/b&gt;" in written


def test_mixtures_that_are_not_one_step_apart_are_spoken_of_as_mixtures(tmp_path: Path) -> None:
    inputs(tmp_path)
    text = RECIPE.replace("DIR", str(tmp_path)).replace("two_held]}", "two_held], verdict: false}")
    shown = shown_of(finish(text, folder=tmp_path, gain=0.08))

    assert not shown.of_steps and [row.name for row in shown.rows] == ["all"]
    assert shown.summary == "kept against 1 other mixture: 1 needs more bits."
    assert shown.forest is not None and shown.forest.rows[0].says == "candidate better"
    assert shown.forest.rows[0].guard == "40 documents"


def test_a_mixture_whose_proxies_broke_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    inputs(tmp_path)
    unsound = {f"{LENGTH}/seed{seed}/lr1": "its loss rose" for seed in (0, 1)}
    shown = shown_of(finish(ablation(tmp_path), folder=tmp_path, gain=0.08, unsound=unsound))

    assert [name for name, _ in shown.left_out] == [LENGTH]
    assert shown.left_out[0][1].startswith("only 1 of 3 pairs of proxies trained without breaking")
    assert {row.effect.mixture for row in shown.rows} == {EXACT, GOOD}


def test_before_its_experiment_the_page_says_that_it_is_not_finished(tmp_path: Path) -> None:
    inputs(tmp_path)
    finish(ablation(tmp_path), folder=tmp_path)
    plan = plan_of(ablation(tmp_path), folder=tmp_path)
    write_report(plan, path=tmp_path / "worth.html")

    written = (tmp_path / "worth.html").read_text(encoding="utf-8")

    assert "No comparison yet The experiment is not finished." in words_of(written)
    assert "Not finished: nothing can be compared yet." in words_of(section(tmp_path / "worth.html"))
