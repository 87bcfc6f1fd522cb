"""What a plan rebuilds after each kind of change, the reasons that it gives, and identities that hold everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.files.parquet.shards import read_table
from tests.pipeline import steps as test_steps
from tests.pipeline.house import House, contents, texts

RECIPE = """
name: web
seed: 7
sources:
  docs: {read: jsonl, path: DIR/docs/*.jsonl}
  more: {read: jsonl, path: DIR/more.jsonl}
datasets:
  held: {from: more, steps: [length]}
  clean:
    from: docs
    steps:
      - length: {min_length: 20}
      - shout
      - length: {max_length: 900}
      - count: {min_rank: 1}
      - poisoned: {against: [held]}
  best:
    from: clean
    steps: [count]
  tasks: {make: {write: {documents: 3}}}
"""
ALL = {
    "source docs", "source more", "measured length held", "dataset held", "measured length", "measured shout",
    "measured length_2", "gathered count", "measured poisoned", "dataset clean", "gathered count best", "dataset best",
    "made tasks",
}  # fmt: skip
AFTER_DOCS = {name for name in ALL if "held" not in name and name not in ("source more", "made tasks")}


def replace(old: str, new: str) -> Callable[[House], None]:
    def edit(house: House) -> None:
        text = house.recipe.read_text(encoding="utf-8")
        assert old in text
        house.recipe.write_text(text.replace(old, new), encoding="utf-8")

    return edit


def edit_input(house: House) -> None:
    """Other content under the same name, size and time."""
    path = house.folder / "docs" / "b.jsonl"
    before = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("text5", "text6"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def touch_input(house: House) -> None:
    os.utime(house.folder / "docs" / "b.jsonl", (1, 1))


def move_inputs(house: House) -> None:
    (house.folder / "docs").rename(house.folder / "elsewhere")
    replace("/docs/", "/elsewhere/")(house)


def bump_version(step: type) -> Callable[[House], None]:
    def edit(house: House) -> None:
        step.version = 2

    return edit


MUTATIONS: dict[str, tuple[Callable[[House], None], set[str]]] = {
    "nothing": (lambda house: None, set()),
    "a threshold": (replace("max_length: 900", "max_length: 800"), {
        "gathered count", "dataset clean", "gathered count best", "dataset best",
    }),
    "the last threshold": (replace("against: [held]", "against: [held], min_length: 6"), {
        "dataset clean", "gathered count best", "dataset best",
    }),
    "a threshold of a gathering step": (replace("min_rank: 1", "min_rank: 2"), {
        "dataset clean", "gathered count best", "dataset best",
    }),
    "an alarm": (replace("min_length: 20", "min_length: 20, max_drop_fraction: 0.9"), set()),
    "a measuring step added at the end": (replace("      - poisoned: {against: [held]}", (
        "      - poisoned: {against: [held]}\n      - length: {unit: 3}")), {
        "measured length_3", "dataset clean", "gathered count best", "dataset best",
    }),
    "a measurement before an edit": (replace("length: {min_length: 20}", "length: {min_length: 20, unit: 2}"), {
        "measured length", "gathered count", "dataset clean", "gathered count best", "dataset best",
    }),
    "a measurement of a gathering step": (replace("min_rank: 1", "min_rank: 1, noise: 5"), {
        "gathered count", "dataset clean", "gathered count best", "dataset best",
    }),
    "the edit left out": (replace("      - shout\n", ""), {
        # unedited text was measured by `length` already, so that is reused under its other label
        "gathered count", "measured poisoned", "dataset clean", "gathered count best", "dataset best",
    }),
    "an input file": (edit_input, AFTER_DOCS),
    "the time of an input file": (touch_input, set()),
    "the folder of the input files": (move_inputs, set()),
    "a held-out set's threshold": (replace("steps: [length]}", "steps: [{length: {max_length: 60}}]}"), {
        "dataset held", "measured poisoned", "dataset clean", "gathered count best", "dataset best",
    }),
    "the seed": (replace("seed: 7", "seed: 8"), {
        "gathered count", "dataset clean", "gathered count best", "dataset best", "made tasks",
    }),
    "the recipe's name": (replace("name: web", "name: net"), set()),
    "the order of the datasets": (replace("  tasks: {make: {write: {documents: 3}}}\n", ""), set()),
    "what is made": (replace("documents: 3", "documents: 4"), {"made tasks"}),
    "a default written out": (replace("min_length: 20", "min_length: 20, unit: 1"), set()),
    "the version of a measuring step": (bump_version(test_steps.Poisoned), {
        "measured poisoned", "dataset clean", "gathered count best", "dataset best",
    }),
    "the version of an editing step": (bump_version(test_steps.Shout), {
        "measured shout", "measured length_2", "gathered count", "measured poisoned", "dataset clean",
        "gathered count best", "dataset best",
    }),
}  # fmt: skip


@pytest.fixture
def built(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    for step in test_steps.STEPS:
        monkeypatch.setattr(step, "version", 1)
    (house.folder / "docs").mkdir()
    house.lines("docs/a.jsonl", [*texts(5), "loud " * 8])
    house.lines("docs/b.jsonl", texts(8, start=5))
    house.lines("more.jsonl", ["text3 unheard", "syllables"])
    house.write(RECIPE)
    house.run()
    return house


def rebuilt(house: House) -> set[str]:
    """Return the nodes that a run would build, by kind, label and dataset."""
    plan = house.plan()
    named: dict[str, str] = {}
    for name, node in plan.sources.items():
        named[node.identity] = f"source {name}"
    for dataset in plan.datasets.values():
        for step in dataset.steps:
            other = {"clean": "", "held": " held", "best": " best"}[dataset.spec.name]
            named.setdefault(step.node.identity, f"{step.node.kind} {step.spec.label}{other}")
        named[dataset.node.identity] = f"{dataset.node.kind} {dataset.spec.name}"
    return {named[node.identity] for node in plan.to_build}


def test_a_new_workspace_builds_everything_and_says_new(house: House):
    (house.folder / "docs").mkdir()
    house.lines("docs/a.jsonl", texts(5))
    house.lines("more.jsonl", texts(2))
    house.write(RECIPE)

    assert rebuilt(house) == ALL
    assert {node.reason for node in house.plan().nodes} == {"new"}
    assert not (house.folder / "workspace").exists()


@pytest.mark.parametrize("change", MUTATIONS)
def test_a_change_rebuilds_exactly_what_it_touches_and_gives_what_a_fresh_run_gives(built: House, change: str):
    edit, expected = MUTATIONS[change]

    edit(built)

    assert rebuilt(built) == expected
    built.run()
    assert rebuilt(built) == set()
    after = {name: built.documents(name) for name in built.plan().datasets}
    (built.folder / "workspace").rename(built.folder / "used")
    built.run()
    assert {name: built.documents(name) for name in built.plan().datasets} == after
    fresh, used = contents(built.folder / "workspace"), contents(built.folder / "used")
    assert {name: used[name] for name in fresh} == fresh


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("min_length: 20", "min_length: 30", "because steps.length.decides.min_length 20.0 -> 30.0"),
        ("min_length: 20", "max_length: 50", "because steps.length.decides.max_length 10000 -> 50.0; steps.length"),
        ("      - shout\n", "", "because `shout` was taken out"),
    ],
)
def test_the_reason_names_what_differs(built: House, old: str, new: str, reason: str):
    replace(old, new)(built)

    assert built.plan().datasets["clean"].node.reason.startswith(reason)


def test_a_file_of_a_step_under_another_name_is_measured_anew(house: House):
    """A step reads a file by its suffix (one item per line, or JSON) and names items after it."""
    house.lines("docs.jsonl", texts(4))
    items = house.folder / "items.txt"
    items.write_text('{"text": "the of and to"}\n', encoding="utf-8")
    house.clean(
        [f"decontaminate: {{against: [{items}], ngram: 3, min_item_words: 1}}"],
        source="{read: jsonl, path: DIR/docs.jsonl}",
    )
    first = house.run().datasets["clean"].steps[0].node
    renamed = items.rename(items.with_suffix(".jsonl"))

    replace(str(items), str(renamed))(house)

    assert house.plan().datasets["clean"].steps[0].node.identity != first.identity


def test_the_reason_of_an_edited_file_names_the_file(built: House):
    edit_input(built)

    assert built.plan().sources["docs"].reason == "because input b changed; takes over 1 of 2 files"


def test_a_threshold_put_back_is_the_result_that_is_there_and_the_name_follows(built: House):
    before = built.ids()
    replace("min_length: 20", "min_length: 60")(built)
    built.run()
    strict = built.ids()

    replace("min_length: 60", "min_length: 20")(built)

    assert rebuilt(built) == set()
    built.run()
    assert built.ids() == before != strict


def test_an_edited_recipe_never_meets_an_old_row(built: House):
    """Rows 3 and 6 of the bar: many edits on one workspace, each answered as if it were the first."""
    for smallest in (10, 45, 90, 25, 10):
        text = built.recipe.read_text(encoding="utf-8")
        built.recipe.write_text(re.sub(r"min_length: \d+", f"min_length: {smallest}", text), encoding="utf-8")

        built.run()

        paths = sorted(built.plan().sources["docs"].folder.glob("slice-*.parquet"))
        rows = [row for path in paths for row in read_table(path).to_pylist()]
        long = [row for row in rows if len(row["text"]) >= smallest]
        # count drops the first of those that are left, and one was seen in the held-out set
        assert built.ids() == [row["id"] for row in long[1:] if "text3 " not in row["text"]]


def test_two_datasets_made_alike_are_two_draws(house: House):
    house.write("datasets:\n  one: {make: {write: {documents: 3}}}\n  two: {make: {write: {documents: 3}}}\n")

    house.run()

    assert house.plan().to_build == []
    one, two = ([row["text"] for row in house.documents(name)] for name in ("one", "two"))
    assert not set(one) & set(two)


def test_two_datasets_with_the_same_steps_share_measurements_and_keep_their_names(house: House):
    house.lines("a.jsonl", texts(6))
    steps = "{from: docs, steps: [length, count]}"
    house.write(f"sources:\n  docs: {{read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n  one: {steps}\n  two: {steps}\n")

    plan = house.run()

    assert [node.kind for node in plan.nodes] == ["source", "measured", "gathered", "dataset", "dataset"]
    assert house.ids("one") == house.ids("two")
    assert house.card("one").content == house.card("two").content


def test_a_source_may_be_what_a_step_compares_with(house: House):
    house.lines("a.jsonl", ["alpha beta", "gamma delta"])
    house.lines("held.txt", ["gamma"])
    house.write(
        "sources:\n  docs: {read: jsonl, path: DIR/a.jsonl}\n  held: {read: jsonl, path: DIR/held.txt}\n"
        "datasets:\n  clean: {from: docs, steps: [{length: {against: [held]}}]}\n"
    )

    house.run()

    assert set(house.plan().sources) == {"docs", "held"}


def test_a_missing_file_of_a_step_is_a_mistake_of_the_recipe(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["length: {against: [nowhere.txt]}"])

    with pytest.raises(
        RecipeError,
        match=r"yaml:\d+: datasets\.clean\..*length\.against: `nowhere\.txt` is neither a dataset nor a file",
    ):
        house.plan()


IDENTITIES = """
import json, sys
from pathlib import Path
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.workspace import Workspace
plan = make_plan(load_recipe(Path(sys.argv[1])), Workspace(Path(sys.argv[2])))
print(json.dumps({f"{node.kind} {node.name}": node.identity for node in plan.nodes}))
"""


def test_identities_do_not_depend_on_hash_seed_folder_time_zone_or_language(house: House, tmp_path: Path):
    """Row 26 of the bar. The recipe uses only real steps, as the other processes know no others."""
    house.lines("a.jsonl", texts(4))
    house.clean(["gopher_quality: {min_words: 3}", "exact_dedup", "minhash_dedup: {bands: 10}"])
    script = tmp_path / "identities.py"
    script.write_text(IDENTITIES, encoding="utf-8")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    worlds = [
        ({"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"}, tmp_path),
        ({"PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}, elsewhere),
        ({"PYTHONHASHSEED": "random", "TZ": "America/St_Johns", "LANG": "tr_TR.UTF-8"}, Path("/")),
    ]
    path = str(Path(__file__).resolve().parents[3])

    found = [
        subprocess.run(
            [sys.executable, str(script), str(house.recipe), str(folder / "w")],
            env={**os.environ, **world, "PYTHONPATH": path}, cwd=folder, capture_output=True, check=True, timeout=250,
        ).stdout
        for world, folder in worlds
    ]  # fmt: skip

    assert len({bytes(answer) for answer in found}) == 1
    here = {f"{node.kind} {node.name}": node.identity for node in house.plan().nodes}
    assert json.loads(found[0]) == here
