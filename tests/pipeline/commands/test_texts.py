"""What a terminal shows: ids are whole, and a run ends with what it made."""

from __future__ import annotations

from pipeline.commands.run.run_recipe import FinalDataset, Outcome, run_recipe
from pipeline.commands.texts import look_text, outcome_text, plan_rows, plan_text, status_text, why_text
from pipeline.engine.progress import Silent
from pipeline.queries.documents import look, why
from tests.pipeline.house import House, texts


def test_the_id_of_what_was_kept_instead_is_never_cut(house: House):
    kept = "/a folder/with a name/" + "of/many/folders/" * 8 + "kept.txt"
    house.lines("a.jsonl", [{"id": name, "text": "the same text in both of them"} for name in (kept, "again")])
    house.clean(["exact_dedup"], source="{read: jsonl, path: DIR/*.jsonl, id: id}")
    house.run()

    told = why_text(why(house.workspace, "again")).splitlines()

    assert f"exact_dedup  duplicate_of  {kept}" in told
    assert max(len(line) for line in told if kept not in line) < 100  # it stands under the table, not in it


EXPERIMENT = (
    "sources: {a: {read: jsonl, path: DIR/a.jsonl}, b: {read: jsonl, path: DIR/b.jsonl}}\n"
    "datasets: {web: {from: b}, news: {from: a, steps: [length]}, code: {from: a, steps: [pii]}}\n"
    "mixtures: {raw: {weights: {web: 1}}, good: {weights: {web: 1}, max_epochs: 2}}\n"
    "proxy: {tokens: 4k, seeds: 5, learning_rates: [1.0, 0.3]}\n"
    "gate: {candidate: good, baseline: raw, on: [news, code]}\n"
)


def test_a_plan_of_twenty_proxies_and_forty_scores_fits_a_screen(house: House):
    house.lines("a.jsonl", texts(5))
    house.lines("b.jsonl", texts(5, start=7))
    house.write(EXPERIMENT)

    plan = house.plan()

    told = plan_text(plan).splitlines()
    assert len(told) < 24 and max(map(len, told)) < 120
    assert [" ".join(line.split()) for line in told if line.split()[1:2] in (["lane"], ["score"])] == [
        "build lane good: 5 seeds x 2 rates - new",
        "build lane raw: 5 seeds x 2 rates - new",
        "build score good: 5 seeds x 2 rates on code, news - new",
        "build score raw: 5 seeds x 2 rates on code, news - new",
    ]
    assert told[-1] == f"{len(plan.nodes)} of {len(plan.nodes)} to build, no paid requests."
    names = [node["name"] for node in plan_rows(plan)["nodes"] if node["kind"] == "score"]
    assert len(names) == 40 and names[0] == "good/seed0/lr1 on code"


def test_a_short_id_stands_in_the_table(house: House):
    house.lines("a.jsonl", [{"id": name, "text": "the same text in both of them"} for name in ("kept", "again")])
    house.clean(["exact_dedup"], source="{read: jsonl, path: DIR/*.jsonl, id: id}")
    house.run()

    assert "exact_dedup  duplicate_of  kept\n" in why_text(why(house.workspace, "again")) + "\n"


def test_a_run_ends_with_the_documents_and_bytes_that_are_left_also_when_nothing_was_to_do(house: House):
    house.lines("a.jsonl", ["short", *texts(30)])
    house.clean(["length: {min_length: 30}"])

    for _ in range(2):
        outcome = run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())

        documents = house.documents()
        size = sum(len(row["text"].encode()) for row in documents)
        assert outcome.made == (FinalDataset("clean", len(documents), size),)
        assert outcome_text(outcome).splitlines()[-1] == f"clean: {len(documents)} documents, {size / 1000:.2f} kB"


def test_an_undecided_verdict_is_followed_by_its_next_step():
    more = "About 5 more seeds settle it."
    outcome = Outcome("web", (), 0, 0.0, 0.0, "undecided", "Undecided: it may gain.", "r.html", None, next_step=more)
    verdict = {"certificate": "web-1a", "sentence": outcome.sentence, "next_step": more}
    empty = {
        "workspace": "w", "results": [], "registry": [], "stores": [], "unfinished": ["made/x-1"], "cost_usd": 0.0,
        "store": None,
    }  # fmt: skip

    assert outcome_text(outcome).splitlines()[1:3] == ["Undecided: it may gain.", more]
    assert f"web-1a: Undecided: it may gain. {more}" in status_text({**empty, "verdicts": [verdict]})


def test_a_look_says_how_many_documents_came_in(house: House):
    house.lines("a.jsonl", ["short", "tiny", *texts(3)])
    house.clean(["length: {min_length: 8}"])
    house.run()

    dropped, kept = (
        look_text(look(house.workspace, "clean", dropped=each, rule=None, count=2)).splitlines()[-1]
        for each in (True, False)
    )

    assert dropped == "2 of 2 documents of clean dropped; 5 documents came in"
    assert kept == "2 of 3 documents of clean; 5 documents came in"
