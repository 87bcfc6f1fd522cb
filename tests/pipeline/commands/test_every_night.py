"""`tamis run --new-only` over seven days: new files, a day of bad data, a day of none, a crash, a day of copies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.proxies.tiers import TIERS, Tier
from pipeline.commands.run.run_recipe import Outcome, run_recipe
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.engine.progress import Silent
from pipeline.plan.only_new import _parts, _sources_of
from pipeline.plan.pinned import drift_of, pinned_of, with_pinned
from pipeline.recipe.load import load_recipe
from pipeline.store.names.registry import current, versions
from pipeline.store.results import document_paths
from tests.conftest import ROOT
from tests.pipeline.house import House, texts

TINY = Tier("tiny", 1, 32, 1, 512, 64, 512, 32_000, muon_lr=0.05, embed_lr=0.6, head_lr=0.015)
RECIPE = """
name: nightly
sources:
  crawl: {read: jsonl, path: DIR/in/*.jsonl}
  asked: {read: jsonl, path: DIR/asked.jsonl}
  noise: {read: jsonl, path: DIR/noise.jsonl}
datasets:
  clean:
    from: crawl
    steps:
      - length: {min_words: 20, max_drop_fraction: 0.5}
      - minhash_dedup
  held_out: {from: asked}
  junk: {from: noise}
mixtures: {nothing: {weights: {junk: 1}}, grown: {weights: {clean: 1}}}
proxy: {tier: tiny, tokens: 20k, seeds: 3, held_out_bytes: 80k}
gate: {candidate: grown, baseline: nothing, on: [held_out], min_gain: 0.0}
promote: {as: web}
"""


def texts_of(day: int, count: int, *, seed: int = 0) -> list[str]:
    """Return texts in letters of the day's own: who never read them predicts them badly."""
    draw, letters = random.Random(1000 * day + seed), "abcdefghijklmnopqrstuvwx"[4 * day - 4 : 4 * day]
    return [" ".join("".join(draw.choices(letters, k=draw.randint(2, 7))) for _ in range(40)) for _ in range(count)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setitem(TIERS, "tiny", TINY)
    house = House(tmp_path)
    (tmp_path / "in").mkdir()
    house.lines("asked.jsonl", [text for day in range(1, 6) for text in texts_of(day, 100, seed=1)])
    house.lines("noise.jsonl", [" ".join(str(number * k) for k in range(60)) for number in range(300, 380)])
    house.write(RECIPE)
    return house


NIGHT = """
import sys
from pathlib import Path
from eval.proxies.tiers import TIERS
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.parquet.shards import read_table
from pipeline.engine.progress import Silent
from pipeline.store.workspace import Workspace
from tests.pipeline.commands.test_every_night import TINY
TIERS["tiny"] = TINY
root = Path(sys.argv[1])
run_recipe(root / "recipe.yaml", workspace=Workspace(root / "workspace"), workers=1, progress=Silent(), new_only=True)
"""


VERB = """
import sys
from eval.proxies.tiers import TIERS
from pipeline.cli import main
from tests.pipeline.commands.test_every_night import TINY
TIERS["tiny"] = TINY
main()
"""


def night(house: House) -> Outcome:
    return run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent(), new_only=True)


def killed_night(house: House) -> None:
    """Begin a night in a process of its own, and kill it while it trains."""
    before = len(list(house.workspace.root.glob("lane/*")))
    process = subprocess.Popen([sys.executable, "-c", NIGHT, str(house.folder)])
    while len(list(house.workspace.root.glob("lane/*"))) == before:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def standing(house: House) -> tuple[int, set[str]]:
    """Return which version counts, and the ids of all documents of its mixture."""
    version = current(house.workspace, "web")
    assert version is not None
    mixture = read_card(house.workspace.root / version.folder)
    ids = set[str]()
    for part, _ in mixture.payload["weights"].values():
        tokens = house.workspace.by_identity("tokens", part)
        assert tokens is not None
        folder = house.workspace.by_identity("dataset", read_card(tokens).payload["dataset"])
        assert folder is not None
        ids |= {row["id"] for path in document_paths(folder) for row in read_table(path, columns=["id"]).to_pylist()}
    return version.version, ids


def ids_of(**days: int) -> set[str]:
    return {f"crawl/{day}:{row}" for day, count in days.items() for row in range(count)}


@pytest.mark.slow  # trains 15 small proxies
def test_seven_days_end_in_the_right_versions(here: House) -> None:
    here.lines("in/day1.jsonl", [*texts_of(1, 60), *texts_of(2, 60)])
    assert night(here).promoted == "web is now version 1"

    here.lines("in/day2.jsonl", [*texts_of(3, 90), *texts_of(1, 10)])
    second = night(here)
    assert second.promoted == "web is now version 2" and "than incumbent" in second.sentence
    trained = [name for name in second.built if name.startswith(("lane", "tokens", "source", "measured"))]
    assert sorted(trained) == ["lane tiny-seed0-lr1", "lane tiny-seed1-lr1", "lane tiny-seed2-lr1", "measured length",
                               "source crawl", "tokens clean"]  # fmt: skip
    assert here.card("crawl").rows_in == 100
    two = ids_of(day1=120, day2=90)
    assert standing(here) == (2, two)

    here.lines("in/day3.jsonl", ["too short to be a page"] * 80)
    with pytest.raises(DataError, match=r"clean: length dropped 80 of 80 documents .* it may drop 50"):
        night(here)
    assert standing(here) == (2, two)

    here.lines("in/day3.jsonl", texts_of(4, 90))  # whoever writes it repaired it a day later
    assert night(here).promoted == "web is now version 3"
    three = two | ids_of(day3=90)
    assert standing(here) == (3, three)

    fifth = night(here)
    assert (fifth.nothing_new, fifth.built, fifth.exit_code) == (True, (), 0)
    assert fifth.sentence == "Nothing new: web version 3 was read from every file of crawl."
    verb = [sys.executable, "-c", VERB, "run", "recipe.yaml", "--new-only", "--skip-code"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    skipped = subprocess.run(verb, cwd=here.folder, env=environment, capture_output=True, text=True)
    assert skipped.returncode == 99 and fifth.sentence in skipped.stdout

    here.lines("in/day6.jsonl", texts_of(5, 90))
    killed_night(here)
    assert standing(here) == (3, three)
    assert night(here).promoted == "web is now version 4"
    four = three | ids_of(day6=90)
    assert standing(here) == (4, four)

    here.lines("in/day7.jsonl", [*texts_of(1, 20), *texts_of(4, 20), *texts_of(5, 20)])
    seventh = night(here)
    assert seventh.nothing_new and seventh.sentence == "Of 1 new file of crawl nothing is left to judge."
    assert standing(here) == (4, four) and len(versions(here.workspace, "web")) == 4


RARE = RECIPE.replace(
    "  held_out:",
    "  rare: {from: crawl, steps: [patterns: {patterns: {mark: qqq}, min_matches: {mark: 1}}]}\n"
    "  long: {from: crawl, steps: [length: {min_words: 20}]}\n"
    "  deep: {from: long, steps: [patterns: {patterns: {mark: qqq}, min_matches: {mark: 1}}, minhash_dedup]}\n"
    "  held_out:",
).replace("grown: {weights: {clean: 1}}", "grown: {weights: {clean: 0.6, rare: 0.2, deep: 0.2}}")


@pytest.mark.slow  # trains 12 small proxies
def test_what_a_dataset_has_too_little_of_waits_while_others_of_the_same_files_are_promoted(here: House) -> None:
    """Texts of a night on which they were too few are in the mixture of the night that completes them.

    `rare` reads the files itself, `deep` another dataset, which is no part of the mixture.
    """

    def rare(name: str = "rare") -> set[str]:
        version = current(here.workspace, "web")
        assert version is not None
        folders = [folder for folder in _parts(here.workspace, version).values() if read_card(folder).name == name]
        paths = [path for folder in folders for path in document_paths(folder)]
        return {row["id"] for path in paths for row in read_table(path, columns=["id"]).to_pylist()}

    def marked(day: int, count: int) -> list[str]:
        return [f"qqq {text}" for text in texts_of(day, count, seed=7)]

    here.write(RARE)
    here.lines("in/day1.jsonl", [*marked(1, 40), *texts_of(1, 60), *texts_of(2, 60)])
    assert night(here).promoted == "web is now version 1"
    assert rare() == ids_of(day1=40)

    here.lines("in/day2.jsonl", [*marked(3, 2), *texts_of(3, 90)])
    assert night(here).promoted == "web is now version 2"
    assert rare() == ids_of(day1=40) and standing(here)[1] == ids_of(day1=160, day2=92)

    here.lines("in/day3.jsonl", [*marked(4, 4), *texts_of(4, 90)])
    assert night(here).promoted == "web is now version 3"
    assert rare() == rare("deep") == ids_of(day1=40, day2=2, day3=4)
    assert standing(here)[1] == ids_of(day1=160, day2=92, day3=94)
    assert night(here).nothing_new


def graded(house: House, quality: str) -> House:
    """Write a recipe whose classifier learns what the offline rubric says, or is given one."""
    label = "" if "pinned" in quality else "      - label: {rubric: educational, teacher: offline, documents: 200}\n"
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/docs.jsonl}}\ndatasets:\n  good:\n    from: docs\n    steps:\n"
        f"{label}      - quality: {quality}\n"
    )
    return house


def test_a_classifier_is_kept_until_the_recipe_or_its_alarm_has_it_trained_anew(tmp_path: Path) -> None:
    """The same scores at the same threshold, without a grade; other documents beyond `max_drift` ring."""
    house = House(tmp_path)
    prose = (
        "The rain in the valley explains why the river is high: water runs from the hills, because stone holds none. "
    )
    rows = [prose * (1 + n % 9) if n % 2 else f"<li>{n} | buy | now | {n}</li>\n" * (2 + n % 5) for n in range(260)]
    house.lines("docs.jsonl", [f"Text {n}. {row}" for n, row in enumerate(rows)])
    graded(house, "{keep_fraction: 0.5, min_spearman: -1, max_drift: 0.2}").run()
    folder, card = house.workspace.dataset("good")
    spec = load_recipe(house.recipe).datasets["good"]
    scores = read_table(house.plan().datasets["good"].steps[1].node.folder / "part-00000.parquet").column("score")

    pin = pinned_of(house.workspace, spec, [folder])
    assert pin is not None and [item.label for item in with_pinned(spec.steps, pin)] == ["quality"]
    given = pin.step.params.model_dump(mode="json", include={"pinned", "min_score"})
    graded(house, json.dumps(given)).run()
    again = read_table(house.plan().datasets["good"].steps[0].node.folder / "part-00000.parquet").column("score")

    assert again == scores and house.card("good").rows_out == card.rows_out
    assert drift_of(spec, house.workspace.dataset("good")[0], earlier=[folder]) == ""
    house.lines("docs.jsonl", [f"Text {n}. {row}" for n, row in enumerate(rows[::2])])
    house.run()
    assert "quality dropped" in drift_of(spec, house.workspace.dataset("good")[0], earlier=[folder])
    other = load_recipe(graded(house, "{keep_fraction: 0.4}").recipe).datasets["good"]
    assert pinned_of(house.workspace, other, [folder]) is None


def test_a_classifier_is_trained_anew_where_the_rubric_or_the_grades_it_learnt_from_were_edited(house: House) -> None:
    """Beside what the recipe says of `label`, what the files that it names hold."""
    rows = [f"Text {n}. The rain falls because warm air rises. " * (1 + n % 7) for n in range(120)]
    house.lines("docs.jsonl", [{"id": f"d{n}", "text": row} for n, row in enumerate(rows)])
    house.lines("grades.jsonl", [{"id": f"d{n}", "grade": n % 6} for n in range(120)])
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/docs.jsonl, id: id}}\ndatasets:\n  good:\n    from: docs\n    steps:\n"
        "      - label: {teacher: file, path: DIR/grades.jsonl}\n"
        "      - quality: {keep_fraction: 0.5, min_spearman: -1}\n"
    )
    house.run()
    folder, _ = house.workspace.dataset("good")
    spec = load_recipe(house.recipe).datasets["good"]

    assert pinned_of(house.workspace, spec, [folder]) is not None
    house.lines("grades.jsonl", [{"id": f"d{n}", "grade": 5 - n % 6} for n in range(120)])
    assert pinned_of(house.workspace, spec, [folder]) is None


def test_what_documents_were_made_from_counts_as_read(house: House) -> None:
    house.lines("a.jsonl", texts(5))
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\n"
        "datasets: {made: {from: docs, make: {write: {documents: 3}}, steps: [length]}}\n"
    )
    house.run()

    assert [card.name for card in _sources_of(house.workspace, house.card("made"))] == ["docs"]


def test_a_recipe_that_cannot_grow_says_why(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", ["a text"])
    house.clean([], source="{read: jsonl, path: DIR/docs.jsonl}")

    with pytest.raises(RecipeError, match="has no `gate:` with a verdict and `promote:`"):
        night(house)
