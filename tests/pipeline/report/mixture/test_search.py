"""The page says of a search what was found, how sure that is, and what each proxy gave; the plan groups its rounds."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.texts import plan_rows, plan_text
from pipeline.plan.graph import Plan
from pipeline.plan.sweep import FOUND
from pipeline.report.draw import figures
from pipeline.report.mixture.search import mixed, search_in, shown_of
from pipeline.report.page import write_report
from tests.pipeline.report.report_parts import plan_of
from tests.pipeline.report.search_parts import NAMES, bowl, recipe, searched
from tests.pipeline.report.test_report import words_of

THREE = recipe("books", "web", "code", gate="gate: {candidate: best, baseline: even, on: [test]}")
SCORE = bowl(books=0.6, web=0.3, code=0.1)


@pytest.fixture(scope="module")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """A finished search among three datasets, one of whose proxies diverged, and its page."""
    folder = tmp_path_factory.mktemp("hunt")
    broken = {"best.1.6": "its loss <b>rose</b> at the end"}
    plan = searched(THREE, folder=folder, score=SCORE, rounds=2, broken=broken)
    write_report(plan, path=folder / "hunt.html")
    return plan, folder / "hunt.html"


def told(plan: Plan) -> dict[str, Any]:
    assert plan.experiment is not None
    found: dict[str, Any] = json.loads((plan.experiment.rounds[-1].node.folder / FOUND).read_bytes())
    return found


def section(page: Path) -> str:
    """Return the page's search, as it is written."""
    written = page.read_text(encoding="utf-8")
    return written[written.index('<h2 id="search">') : written.index('<h2 id="evidence">')]


def rows(page: Path, name: str) -> list[dict[str, str]]:
    with (page.with_suffix("") / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_first_sentences_say_what_was_found_what_it_gains_and_what_chance_does(hunt) -> None:
    plan, page = hunt
    known, seen = told(plan), words_of(section(page))

    gain = known["of_around"]["value"] - known["optimum"]["value"]
    assert f"best: {mixed(known['optimum']['weights'])}" in seen
    assert f"predicted to save {gain:.4f} bits per byte on dev over even, give or take 0.0" in seen
    assert f"{len(known['runs']) - 1} proxies in 2 rounds say so" in seen
    assert f"differ by {figures.number(known['noise_sd'], 2)} through chance alone (3 of even, standard" in seen
    assert "It is a prediction: the gate judges it by fresh proxies." in seen


def test_where_nothing_can_be_gained_the_page_says_so(tmp_path: Path) -> None:
    plan = searched(recipe("books", "web"), folder=tmp_path, score=lambda weights: 2.0, rounds=2)
    write_report(plan, path=tmp_path / "hunt.html")

    seen = words_of(section(tmp_path / "hunt.html"))

    assert "No gain over even can be told from none" in seen and "predicted to save" not in seen
    assert "the recipe has no gate that would judge it" in seen


@pytest.mark.parametrize(("pairs", "guess"), [(0.6, True), (0.9, False), (None, False)])
def test_an_order_near_the_best_that_is_a_guess_is_called_one(hunt, pairs: float | None, guess: bool) -> None:
    known = told(hunt[0])
    known["accuracy"]["pairs_best_quarter"] = pairs

    shown = shown_of([known], name="best", capped=set())

    assert shown.best_is_a_guess == guess
    assert shown.measures[2].text == (figures.NONE if pairs is None else f"{100 * pairs:.0f} %")


def test_tables_and_files_hold_the_numbers_of_the_result(hunt) -> None:
    plan, page = hunt
    known, seen = told(plan), html.unescape(words_of(section(page)))

    weights, proxies = rows(page, "search-weights"), rows(page, "search-proxies")
    assert {row["dataset"]: float(row["best"]) for row in weights} == known["optimum"]["weights"]
    assert [float(row["5 %"]) for row in weights] == known["optimum"]["low"]
    for row in weights:
        low, high = (figures.share(round(float(row[key]), 6), 1) for key in ("5 %", "95 %"))
        assert f"{row['dataset']} 33.3 % {figures.share(float(row['best']), 1)}" in seen and f"{low} to {high}" in seen
    by_lane = {run["lane"]["name"]: run for run in known["runs"]}
    assert len(proxies) == len(by_lane)
    for row in proxies[:-1]:
        assert float(row["measured"]) == by_lane[row["proxy"]]["goal"]
        assert float(row["predicted unseen"]) == by_lane[row["proxy"]]["unseen"]
        assert float(row["books"]) == by_lane[row["proxy"]]["weights"][0]
    assert [int(row["proxies so far"]) for row in rows(page, "search-rounds")] == [11, 19]
    assert float(rows(page, "search-trust")[0]["value"]) == known["accuracy"]["rank_correlation"]
    assert sum(float(row["say"]) for row in rows(page, "search-models")) == pytest.approx(1)


def test_a_proxy_that_was_dropped_half_trained_is_told_with_stop_and_reason_and_drawn_nowhere(tmp_path: Path) -> None:
    text = recipe("books", "web", "code", sweep=", stops: [0.35], keep: 0.5")
    plan = searched(text, folder=tmp_path, score=SCORE, rounds=2)
    write_report(plan, path=tmp_path / "hunt.html")

    state = search_in(plan)
    assert state is not None and state.shown is not None
    dropped, tried = state.shown.dropped, state.shown.tried
    assert len(dropped) > 0 and len(dropped) + len(tried) == 19 and not state.shown.left_out
    assert f"{len(dropped)} of 19 proxies were dropped half-trained" in words_of(section(tmp_path / "hunt.html"))
    assert all(each.dropped.startswith("at 35.0 % of its tokens: 0.") and each.measured is None for each in dropped)
    told = [row for row in rows(tmp_path / "hunt.html", "search-proxies") if row["dropped"]]
    assert [row["proxy"] for row in told] == [each.lane for each in dropped] and not any(
        row["measured"] for row in told
    )


def test_a_proxy_that_was_left_out_is_named_with_its_reason_and_drawn_nowhere(hunt) -> None:
    _, page = hunt
    written = section(page)

    assert "1 of 19 proxies was left out , so nothing above rests on it" in words_of(written)
    assert "best.1.6/seed1000/lr1: its loss &lt;b&gt;rose&lt;/b&gt; at the end" in written
    assert "best.1.6:" not in written
    assert rows(page, "search-proxies")[-1]["left out"] == "its loss <b>rose</b> at the end"


def test_every_other_proxy_is_a_sign_in_each_picture_that_says_what_it_is(hunt) -> None:
    state = search_in(hunt[0])
    assert state is not None and state.shown is not None
    pictures, tried = state.shown.pictures, state.shown.tried

    assert pictures.simplex is not None and len(tried) == 18
    drawn = (pictures.simplex, pictures.unseen, pictures.progress, *(picture for _, picture in pictures.panels))
    for picture in drawn:
        for each in tried:
            assert picture.count(f"<title>{each.mixture}: {figures.number(each.measured, 5)} bits per byte") == 1
    assert pictures.parallel.count("<polyline") == 18
    assert len(pictures.panels) == 3


def test_quarters_are_by_what_was_measured_and_the_best_is_the_largest_sign(hunt) -> None:
    state = search_in(hunt[0])
    assert state is not None and state.shown is not None and state.shown.pictures.simplex is not None

    tried = state.shown.tried
    assert [each.quarter for each in tried] == sorted(each.quarter for each in tried)
    assert [number for _, number in state.shown.quarters] == [4, 5, 5, 4]
    radii = re.findall(r'class="run (q[1-4])"[^>]* r="([0-9.]+)"', state.shown.pictures.simplex)
    assert dict(radii) == {"q1": "5", "q2": "4", "q3": "3.2", "q4": "2.6"}


def test_many_datasets_have_no_simplex_and_limits_and_held_out_sets_are_told(tmp_path: Path) -> None:
    sweep = ", least: {books: 0.3}, most: {web: 0.2}"
    text = (
        recipe(*NAMES, sweep=sweep)
        .replace("on: {dev: 1}", "on: {dev: 3, test: 1}")
        .replace("proxies: 16", "proxies: 24")
    )
    plan = searched(text, folder=tmp_path, score=bowl(books=0.1, web=0.5, code=0.2), rounds=2)
    write_report(plan, path=tmp_path / "hunt.html")

    state, seen = search_in(plan), words_of(section(tmp_path / "hunt.html"))

    assert state is not None and state.shown is not None and state.shown.pictures.simplex is None
    assert "on dev (75 %) and test (25 %)" in seen
    assert "at least 30.0 %" in seen and "at most 20.0 %" in seen
    assert {row.dataset: row.at for row in state.shown.weights if row.at} == {
        "books": "at its least",
        "web": "at its most",
    }
    assert len(rows(tmp_path / "hunt.html", "search-models")) == 6


def test_an_unfinished_search_says_what_is_known_and_what_is_to_come(tmp_path: Path) -> None:
    plan = searched(THREE, folder=tmp_path, score=SCORE, rounds=1)
    write_report(plan, path=tmp_path / "hunt.html")

    seen = words_of(section(tmp_path / "hunt.html"))

    assert "11 proxies in 1 round say so" in seen
    assert "Not finished: 1 of 2 rounds. The gate judges best after round 2, by 6 proxies of its own." in seen


def test_the_flow_leads_from_what_the_search_looks_at_through_it_to_what_it_finds(hunt) -> None:
    flow = hunt[1].read_text(encoding="utf-8").partition('<svg class="flow"')[2].partition("</title>")[0]

    assert "search: 2 rounds, 19 proxies from dev;" in flow
    assert "best: not built, mixture, candidate from books, code, web, search" in flow


def test_before_its_first_round_a_search_says_that_nothing_is_finished(tmp_path: Path) -> None:
    plan = searched(THREE, folder=tmp_path, score=SCORE, rounds=0)
    write_report(plan, path=tmp_path / "hunt.html")

    assert "No round of the search around even is finished yet." in words_of(section(tmp_path / "hunt.html"))


def test_a_plan_shows_a_rounds_mixtures_proxies_and_scores_in_a_line_each(tmp_path: Path) -> None:
    plan = searched(THREE, folder=tmp_path, score=SCORE, rounds=1)
    before = plan_text(
        plan_of(THREE.replace("DIR", str(tmp_path)).replace("proxies: 16", "proxies: 20"), folder=tmp_path)
    )

    now = plan_text(plan)

    lines = [" ".join(line.split()) for line in now.splitlines()]
    assert "reuse mixture round 1: 8 mixtures - unchanged" in lines
    assert "reuse lane round 1: 11 proxies - unchanged" in lines
    assert "reuse score round 1: 11 proxies on dev - unchanged" in lines
    assert "build mixture round 2: 8 mixtures - new" in lines and "best.2.1" not in now
    to_come = "The gate judges best after round 2, by 6 proxies of its own."
    assert to_come in lines
    assert (
        "Round 2 follows from what round 1 shows: 10 more mixtures, one proxy each. Then the gate judges best, by 6 "
        "proxies of its own." in before
    )
    assert plan_rows(plan)["to_come"] == to_come


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"a": 1.0}, "100.0 % a"),
        ({"a": 0.25, "b": 0.75, "c": 0.0}, "75.0 % b and 25.0 % a, no c"),
        (
            {"a": 0.6, "b": 0.2, "c": 0.1, "d": 0.05, "e": 0.03, "f": 0.02},
            "60.0 % a, 20.0 % b, 10.0 % c, 5.0 % d and 5.0 % of 2 others",
        ),
    ],
)  # fmt: skip
def test_a_mixture_is_told_in_a_few_words(weights: dict[str, float], text: str) -> None:
    assert mixed(weights) == text
