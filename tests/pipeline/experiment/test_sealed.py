"""A part of each held-out set that only a verdict opens."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from filters.audit import floor
from pipeline.cli import app
from pipeline.core.errors import DataError, RecipeError, TamisError
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.files.reading.strict_yaml import parse
from pipeline.experiment.compare import DOCUMENTS
from pipeline.experiment.streams.encode import choose
from pipeline.experiment.streams.opened import open_part_of
from pipeline.plan.graph import Plan
from pipeline.plan.parts import Part
from pipeline.queries.diversity import draw
from pipeline.queries.errors.anew import subject_on
from pipeline.queries.proxies.lanes import find_lanes, scores_of_lane
from pipeline.queries.tables import Dataset
from pipeline.queries.trackers.runs import told_of
from pipeline.recipe.ablation import ablation_of
from pipeline.recipe.load import load_recipe
from pipeline.report.mixture.heldout import held_out
from pipeline.report.page import write_report
from tests.pipeline.experiment.conftest import Furnish
from tests.pipeline.experiment.small_experiment import certificate_of, pages
from tests.pipeline.house import House, contents

RECIPE = """
name: sealed
sources:
  one: {read: jsonl, path: DIR/one.jsonl}
  two: {read: jsonl, path: DIR/two.jsonl}
  three: {read: jsonl, path: DIR/three.jsonl}
datasets:
  held: {from: one, steps: [exact_dedup]}
  short: {from: one, steps: [length: {min_words: 40}]}
  raw: {from: two, steps: [exact_dedup]}
  good: {from: three, steps: [exact_dedup]}
mixtures: {raw: {weights: {raw: 1}}, both: {weights: {raw: 1, good: 3}}}
proxy: {tokens: 4k, seeds: 3, held_out_bytes: 1M}
gate: {candidate: both, baseline: raw, on: [held], sealed: 0.5, guards: {held: 0.1}}
"""
COPIED = 40  # from this page on they stand twice as they are, and `exact_dedup` drops the second
NEARLY = 20  # of the held-out pages stand twice, the second time with another last word


def furnished(folder: Path) -> House:
    house = House(folder)
    whole = pages(1)
    nearly = [page.rpartition(" ")[0] + " ends" for page in whole[:NEARLY]]
    house.lines("one.jsonl", [*whole, *nearly, *whole[COPIED:]])
    house.lines("two.jsonl", pages(2))
    house.lines("three.jsonl", pages(3))
    house.write(RECIPE)
    return house


@pytest.fixture(scope="module")
def furnish() -> Furnish:
    return furnished


def ids_of(plan: Plan, part: str) -> set[str]:
    assert plan.experiment is not None
    return set(read_table(plan.experiment.tokens[part].folder / "documents.parquet").column("id").to_pylist())


def first_plan(house: House) -> Plan:
    """Return the plan of the recipe as it was first."""
    house.write(RECIPE)
    return house.plan()


def texts_of(plan: Plan, part: str) -> set[str]:
    (path,) = plan.documents_node("held").folder.glob("part-*")
    table = read_table(path, columns=["id", "text"]).to_pylist()
    wanted = ids_of(plan, part)
    return {row["text"] for row in table if row["id"] in wanted}


def looks_told(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = certificate_of(plan)["verdict"]["looks"]
    return found


def test_every_document_is_in_one_part_and_near_duplicates_are_in_the_same(first_run: tuple[House, Plan]):
    one, other = (texts_of(first_run[1], part) for part in ("held", "held.sealed"))

    assert len(one) + len(other) == 60 + NEARLY and not one & other
    assert min(len(one), len(other)) > 20
    for part in (one, other):
        ends = {text.removesuffix(" ends") for text in part if text.endswith(" ends")}
        assert ends <= {text.rpartition(" ")[0] for text in part if not text.endswith(" ends")}


def test_the_division_follows_the_text_and_neither_seed_nor_names_nor_order(first_run, tmp_path: Path):
    house = furnished(tmp_path)
    lines = (house.folder / "one.jsonl").read_text().splitlines()
    (house.folder / "one.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    house.write(RECIPE.replace("name: sealed", "name: other\nseed: 9"))
    house.run()

    assert texts_of(house.plan(), "held.sealed") == texts_of(first_run[1], "held.sealed")


def test_the_verdict_rests_on_the_sealed_part_and_its_guards_go_by_the_sets_own_name(first_run: tuple[House, Plan]):
    plan = first_run[1]
    told = certificate_of(plan)

    assert plan.experiment.comparison is not None
    judged = read_table(plan.experiment.comparison.folder / DOCUMENTS).to_pylist()
    assert {row["id"] for row in judged} == ids_of(plan, "held.sealed")
    assert {row["domain"] for row in judged} == {"held"}
    assert told["sealed"] == 0.5 and [guard["domain"] for guard in told["verdict"]["guards"]] == ["held"]


def test_a_reader_sees_the_open_part_alone(first_run: tuple[House, Plan]):
    house, plan = first_run
    opened = {text[:60] for text in texts_of(plan, "held")}

    (domain,) = held_out(plan, per_side=50)
    shown = [example.text for example in (*domain.gained, *domain.lost)]
    (lane, *_) = find_lanes(house.workspace, "both")

    assert domain.num_documents == len(ids_of(plan, "held"))
    assert shown and all(text[:60] in opened for text in shown)
    assert [score.held_out for score in scores_of_lane(house.workspace, lane)] == ["held"]


def test_who_reads_documents_of_a_dataset_by_its_name_reads_nothing_sealed(first_run: tuple[House, Plan]):
    house, plan = first_run

    subject = subject_on(house.workspace, ["raw", "both"], ["held"], which="lost", threads=1, say=lambda line: None)

    assert set(subject.load().ids) == ids_of(plan, "held")
    assert open_part_of(house.workspace, "raw") is None


SHOWING = (  # every verb that shows documents, of the set, of what it was made from and of others beside it
    "look held -n 500", "look held --dropped -n 500", "look one -n 500", "look raw -n 9", "diff raw held",
    "diff held one", "stats held", "audit held --sample 200", "audit one --sample 200",
    "what-if {recipe} --set datasets.short.length.min_words=90", "compare raw both", "errors raw both --by words -n 40",
    "export held --to {folder}/out --json", "why {sealed}", "look short -n 500", "look short --dropped -n 500",
    "export-proxy both/seed0 --to {folder}/proxy", "report",
)  # fmt: skip
REFUSING = ("export held", "why {sealed}", "errors raw both")  # the last, as 28 open documents are too few


def test_no_verb_shows_a_sealed_document(built: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(floor, "LEAST_HALF", 10)
    plan = first_plan(built)
    sealed, opened = texts_of(plan, "held.sealed"), texts_of(plan, "held")
    beginnings = {text[:60] for text in sealed} - {text[:60] for text in opened}
    one = sorted(ids_of(plan, "held.sealed"))[0]
    given = {"recipe": built.recipe, "folder": tmp_path, "sealed": one}

    shown = {}
    for words in SHOWING[:-1]:
        asked = [*words.format(**given).split(), "--workspace", str(built.workspace.root)]
        ran = CliRunner().invoke(app, asked)
        assert ran.exit_code == 0 or words.startswith(REFUSING), f"{words}: {ran.exception!r}"
        shown[words] = ran.output + "".join(path.read_text() for path in tmp_path.glob("out/*.md"))
        assert isinstance(ran.exception, TamisError) or not words.startswith(REFUSING), words
    write_report(plan, path=tmp_path / "report.html")
    shown["report"] = (tmp_path / "report.html").read_text()

    assert len(beginnings) > 20
    assert {words for words, text in shown.items() for each in beginnings if each in text} == set()
    drawn = draw(built.workspace, "held", count=10**6, seed=0)
    assert {text[:60] for text in drawn.texts} == {text[:60] for text in opened} and "sealed" in drawn.sealed
    told = "documents of held are sealed for a gate's verdict, and not shown."
    assert told in shown["look held -n 500"] and told in shown["audit held --sample 200"]
    assert {words for words in SHOWING if any(text[:60] in shown[words] for text in opened)} >= set(SHOWING[:3])
    with pytest.raises(DataError, match=r"`held-.*`: 50 % of its documents are sealed for a gate's verdict"):
        Dataset(built.workspace, *built.workspace.dataset("held")).to_arrow()


def test_an_ablation_judges_on_the_open_part_and_opens_nothing(built: House):
    before = (built.workspace.root / "looks.json").read_bytes()
    ablation = ablation_of(parse(built.recipe.read_text(), path=built.recipe).data, name="sealed")
    built.recipe.write_text(json.dumps(ablation.data))

    plan = built.run()

    assert {name for _, name in plan.experiment.scores} == {"held"} and "held.sealed" not in plan.experiment.tokens
    judged = read_table(plan.experiment.comparison.folder / DOCUMENTS).column("id").to_pylist()
    assert set(judged) == ids_of(plan, "held")
    assert set(judged).isdisjoint(ids_of(first_plan(built), "held.sealed"))
    assert (built.workspace.root / "looks.json").read_bytes() == before


def test_a_search_may_look_at_the_open_part_of_what_its_gate_judges_by(tmp_path: Path):
    house = furnished(tmp_path)
    sweep = "sweep: {around: raw2, on: {held: 1}, proxies: 8, rounds: 2, anchors: 2}\n"
    mixed = RECIPE.replace("mixtures: {", "mixtures: {raw2: {weights: {raw: 1, good: 1}, max_epochs: 8}, ")
    house.write(mixed.replace("candidate: both", "candidate: proposed") + sweep)

    plan = house.run()

    (first, *_) = plan.experiment.rounds
    tried = {name for lane, name in plan.experiment.scores if lane in first.lanes}
    assert tried == {"held"}
    judged = read_table(plan.experiment.comparison.folder / DOCUMENTS).column("id").to_pylist()
    assert set(judged) == ids_of(plan, "held.sealed")

    right = house.recipe.read_text()
    for wrong in ("", "sealed: 0.5, verdict: false, "):
        house.write(right.replace("sealed: 0.5, ", wrong))
        with pytest.raises(RecipeError, match=r"Seal a part of it for the gate \(`gate.sealed: 0.5`\)"):
            load_recipe(house.recipe)


def test_openings_are_counted_by_content_over_recipes_and_not_again_when_a_run_is_taken_up(built: House):
    first = looks_told(built.plan())
    shutil.rmtree(built.plan().experiment.certificate.folder)
    again = looks_told(built.run())
    built.write(RECIPE.replace("name: sealed", "name: other").replace("good: 3", "good: 1"))
    other = built.run()
    reasons = certificate_of(other)["verdict"]["reasons"]

    assert (first["openings"], again["openings"], looks_told(other)["openings"]) == (1, 1, 2)
    assert any("This verdict was opening 2 of the sealed 50 % of the held-out sets" in reason for reason in reasons)
    assert any(
        "so the interval alone decides. The next will need odds beside it: 40 to 1" in reason
        for reason in certificate_of(first_plan(built))["verdict"]["reasons"]
    )


def test_whoever_judged_on_the_whole_set_has_opened_its_sealed_part(built: House):
    built.write(RECIPE.replace("sealed: 0.5, ", "").replace("good: 3", "good: 2"))
    built.run()
    built.write(RECIPE.replace("good: 3", "good: 1"))

    assert looks_told(built.run())["openings"] == 3


def test_without_a_sealed_part_no_result_has_another_identity(built: House):
    built.write(RECIPE.replace("sealed: 0.5, ", "").replace("guards: {held: 0.1}", "guards: {}"))
    payloads = [node.payload for node in built.plan().nodes if node.kind == "tokens"]

    assert payloads and all("share" not in payload and "part" not in payload for payload in payloads)


def test_a_second_run_changes_nothing(built: House):
    before = contents(built.workspace.root)

    assert not built.plan().to_build
    built.run()
    assert contents(built.workspace.root) == before


def divided(folder: Path, documents: int, *, sites: int) -> tuple[set[str], set[str]]:
    """Return the ids of the open and the sealed half of unlike documents that stand on so many sites."""
    house, draw = House(folder), random.Random(7)
    rows = []
    for number in range(documents):
        text = " ".join("".join(draw.choices("abcdefghij", k=6)) for _ in range(40))
        rows.append({"id": str(number), "text": text, "site": f"site {number % sites}"})
    house.lines("held.jsonl", rows)
    source, steps = "{read: jsonl, path: DIR/held.jsonl, id: id}", "{from: held, steps: [exact_dedup]}"
    house.write(f"name: held\nsources: {{held: {source}}}\ndatasets: {{all: {steps}}}\n")
    dataset = house.run().datasets["all"].node.folder
    found = []
    for is_sealed in (False, True):
        part = Part("all", is_sealed=is_sealed, share=0.5, group_by="site")
        chosen = choose(dataset, limit_bytes=10**9, seed=1, part=part)[0]
        tables = [read_table(path, columns=["id"]).take(pa.array(rows)) for path, rows in chosen]
        found.append({id for table in tables for id in table.column("id").to_pylist()})
    return found[0], found[1]


def test_groups_of_many_documents_are_sealed_as_often_as_single_ones(tmp_path: Path):
    kept, sealed = divided(tmp_path, 360, sites=60)

    assert kept.isdisjoint(sealed) and len(kept | sealed) == 360
    assert 100 < len(sealed) < 260


def test_a_set_too_large_to_divide_whole_has_both_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.experiment.streams.encode.MOST_SPLIT_BYTES", 25_000)  # of 100,000

    kept, sealed = divided(tmp_path, 360, sites=360)

    assert kept.isdisjoint(sealed) and 80 < len(kept | sealed) < 110
    assert len(kept) > 25 and len(sealed) > 25


def test_another_share_or_rate_is_a_further_experiment_and_what_was_open_is_told(built: House):
    built.write(RECIPE.replace("sealed: 0.5", "sealed: 0.3"))
    other = certificate_of(built.run())

    assert other["verdict"]["looks"]["candidate_number"] == 2
    assert any("also scored whole or as another part, of held" in reason for reason in other["verdict"]["reasons"])


def test_trackers_are_told_no_score_on_what_is_sealed(first_run):
    told = {run.name: run for run in told_of(first_run[0].plan())}

    scores = {name for run in told.values() for name in run.results if name.startswith("bits_per_byte/")}
    assert not any("sealed" in name for name in scores)
    assert told["gate/both-over-raw/lr1"].rows[0].values.keys() >= {"gain/overall", "gain_low/overall"}
