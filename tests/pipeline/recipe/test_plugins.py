"""Plugins: steps of a file or a package work like ours, in workers too; an edit rebuilds; a broken one is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.commands.texts import plugins_text
from pipeline.core.errors import RecipeError, ServiceError
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.queries.measure_files import measure
from pipeline.recipe import plugins
from pipeline.recipe.plugins import PluginFile, add_plugin, list_plugins
from tests.pipeline.house import House, texts

VOWELS = '''
import numpy as np
import pyarrow as pa
from tamis import Measured, MeasuringStep, Params as Base, Rule, Signal, decides

class Vowels(MeasuringStep):
    """Counts one letter."""
    name = "vowels"
    signals = (Signal("count", pa.int64(), "letters", "How many there are."),)

    class Params(Base):
        letter: str = "e"
        max_count: int = decides(9)

    def measure(self, batch):
        return Measured({"count": np.array([text.count(self.params.letter) for text in batch.strings()])})

    def rules(self, *, quantile):
        return (Rule("too_many", "count", "<=", self.params.max_count, "max_count"),)
'''
GATHERING = """
from dataclasses import dataclass
import pyarrow as pa
from tamis import GatheringStep, Signal

@dataclass
class Found:
    rows: int

def count(found):
    return Found(found.rows + 1)

class Counted(GatheringStep):
    name = "counted"
    signals = (Signal("one_more", pa.int64(), "documents", "Documents of the part and one."),)

    def gather(self, work):
        found = work.map(count, [Found(part.num_rows) for part in work.parts], label="count")
        for part, answer in zip(work.parts, found):
            work.write(part, {"one_more": [answer.rows] * part.num_rows})
"""


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(plugins, "_from_files", {})
    yield


def plugin(house: House, source: str = VOWELS, name: str = "mine.py") -> Path:
    path = house.folder / name
    path.write_text(source)
    return path


@pytest.fixture
def vowels(house: House) -> House:
    add_plugin(plugin(house))
    house.lines("a.jsonl", texts(12))
    house.lines("b.jsonl", texts(9, start=12))
    house.clean(["vowels: {max_count: 6}", "gopher_quality: {min_words: 5}"])
    return house


def test_a_step_of_a_file_measures_and_decides(vowels: House):
    vowels.run()

    counts = [row["count"] for row in vowels.signals("vowels")]
    assert counts == [text.count("e") for text in [*texts(12), *texts(9, start=12)]]
    assert vowels.card().dropped["vowels.too_many"] == sum(count > 6 for count in counts)


def test_workers_find_a_step_that_only_the_parent_loaded(vowels: House):
    executor = Local(workers=2)
    try:
        vowels.run(executor=executor)
    finally:
        executor.close()

    assert sum(row["count"] for row in vowels.signals("vowels")) == sum(text.count("e") for text in texts(21))


DEADLY = VOWELS.replace(
    "    def measure(self, batch):",
    """
    def measure(self, batch):
        import os, signal
        if any("died" in text for text in batch.strings()):
            os.kill(os.getpid(), signal.SIGKILL)
""".rstrip(),
)


def test_a_plugin_that_ends_its_process_does_not_end_a_small_run(house: House, two_workers: Local):
    add_plugin(plugin(house, DEADLY))
    house.lines("a.jsonl", texts(3))
    house.lines("b.jsonl", ["The worker died of this text."])
    house.clean(["exact_dedup"])
    house.run()
    house.clean(["vowels"])

    with pytest.raises(ServiceError, match="vowels: the worker died twice on vowels on"):
        house.run(executor=two_workers)


def test_a_gathering_plugin_that_ends_its_process_does_not_end_a_small_run(house: House, two_workers: Local):
    add_plugin(plugin(house, GATHERING.replace("return Found", "import os; os._exit(9); return Found")))
    house.lines("a.jsonl", texts(3))
    house.lines("b.jsonl", texts(5, start=3))
    house.clean(["exact_dedup"])
    house.run()
    house.clean(["counted"])

    with pytest.raises(ServiceError, match="the worker died twice"):
        house.run(executor=two_workers)


@pytest.fixture
def two_workers() -> Iterator[Local]:
    executor = Local(workers=2)
    yield executor
    executor.close()


def test_a_gathering_plugin_may_map_its_own_functions_over_its_own_classes(house: House):
    add_plugin(plugin(house, GATHERING))
    house.lines("a.jsonl", texts(3))
    house.lines("b.jsonl", texts(5, start=3))
    house.clean(["counted"])
    executor = Local(workers=2)
    try:
        house.run(executor=executor)
    finally:
        executor.close()

    assert [row["one_more"] for row in house.signals("counted")] == [4] * 3 + [6] * 5


def test_an_edit_of_the_file_rebuilds_its_steps_and_no_other(vowels: House):
    vowels.run()
    add_plugin(plugin(vowels, VOWELS.replace(".count(self.params.letter)", ".count(self.params.letter) + 1")))

    todo = vowels.plan().to_build
    vowels.run()

    assert [(node.kind, node.name) for node in todo] == [("measured", "vowels"), ("dataset", "clean")]
    assert "plugin" in todo[0].reason
    assert vowels.signals("vowels")[0]["count"] == texts(1)[0].count("e") + 1


def test_the_same_file_elsewhere_rebuilds_nothing(vowels: House, monkeypatch: pytest.MonkeyPatch):
    vowels.run()
    monkeypatch.setattr(plugins, "_from_files", {})
    add_plugin(plugin(vowels, name="moved.py"))

    assert vowels.plan().to_build == []


def test_measure_knows_plugins(vowels: House):
    out = vowels.folder / "out.parquet"
    told = measure(
        [vowels.folder / "a.jsonl", vowels.folder / "b.jsonl"], steps=["vowels"], out=out,
        settings={"vowels.letter": "a"}, text=False, columns={}, executor=Local(workers=1), progress=Silent(),
    )  # fmt: skip

    assert "vowels.count" in told["columns"]


def test_no_bytecode_and_no_path_is_left_behind(vowels: House):
    assert [path for path in vowels.folder.iterdir() if path.name.startswith("__")] == []


BROKEN = {
    "no such file": (None, r"cannot be read"),
    "a syntax error": ("def f(:\n", r"mine\.py:1: SyntaxError"),
    "an exception": ("x = 1\ny = x / 0\n", r"mine\.py:2: ZeroDivisionError: division by zero\. Fix the plugin"),
    "an import that fails": ("import nowhere_at_all\n", r"mine\.py:1: ModuleNotFoundError: .*nowhere_at_all"),
    "an exit": ("import sys\nsys.exit(0)\n", r"mine\.py:2: SystemExit"),
    "no step": ("x = 1\n", r"defines no step; a step is a class"),
    "no name": (VOWELS.replace('name = "vowels"', ""), r"Vowels has the name None"),
    "a name of ours": (VOWELS.replace('"vowels"', '"language"'), r"called `language` like a step of Tamis's own"),
    "signals that are no signals": (VOWELS.replace('there are."),)', 'there are.").name)'), r"Mind the comma"),
    "a signal of the engine": (
        VOWELS.replace('Signal("count"', 'Signal("error"'),
        r"none may be error, id, kept_ranges, text",
    ),
    "the engine's edits": (VOWELS.replace('Signal("count"', 'Signal("kept_ranges"'), r"none may be .* kept_ranges"),
    "a rule on nothing": (VOWELS.replace('"too_many", "count"', '"too_many", "cuont"'), r"a rule on `cuont`.*: count"),
    "an unknown operator": (VOWELS.replace('"<="', '"=<"'), r"a rule with '=<'"),
    "rules that break": (VOWELS.replace("self.params.max_count,", "self.params.max_conut,"), r"Vowels\.rules broke"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_its_mistake(house: House, case: str):
    source, told = BROKEN[case]
    path = house.folder / "mine.py" if source is None else plugin(house, source)

    with pytest.raises(RecipeError, match=told):
        add_plugin(path)

    assert list_plugins() == []


def test_two_files_with_one_step_are_refused(house: House):
    add_plugin(plugin(house))

    with pytest.raises(RecipeError, match=r"mine\.py has a step `vowels` too"):
        add_plugin(plugin(house, VOWELS, name="other.py"))


def test_a_step_that_was_not_loaded_is_unknown_and_one_that_was_is_suggested(house: House):
    house.lines("a.jsonl", texts(2))
    house.clean(["vowls"])

    with pytest.raises(RecipeError, match="unknown step `vowls`"):
        house.plan()
    add_plugin(plugin(house))
    with pytest.raises(RecipeError, match="Did you mean vowels"):
        house.plan()


@pytest.fixture
def package(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with one entry point, as pip leaves it."""
    (house.folder / "site" / "vowels_of_others-1.2.dist-info").mkdir(parents=True)
    info = house.folder / "site" / "vowels_of_others-1.2.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vowels-of-others\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[tamis.steps]\nvowels = vowels_of_others:Vowels\n")
    (house.folder / "site" / "vowels_of_others.py").write_text(VOWELS)
    monkeypatch.syspath_prepend(house.folder / "site")
    monkeypatch.delitem(plugins.sys.modules, "vowels_of_others", raising=False)
    return info


def test_a_step_of_an_installed_package_needs_no_flag_and_counts_by_its_version(house: House, package: Path):
    house.lines("a.jsonl", texts(12))
    house.clean(["vowels: {max_count: 6}"])
    house.run()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: vowels-of-others\nVersion: 1.3\n")

    reasons = [node.reason for node in house.plan().to_build]

    assert reasons[0] == "because plugin vowels-of-others 1.2 -> vowels-of-others 1.3"


def test_plugins_are_listed_with_origin_and_a_broken_one_with_its_problem(house: House, package: Path):
    add_plugin(plugin(house, GATHERING))
    (package / "entry_points.txt").write_text("[tamis.steps]\nvowels = vowels_of_others:Vowels\nlost = nowhere:Lost\n")

    rows = {row["step"]: row for row in list_plugins()}

    assert (rows["counted"]["kind"], rows["counted"]["problem"]) == ("gathering", None)
    assert (rows["vowels"]["origin"], rows["vowels"]["about"]) == ("vowels-of-others 1.2", "Counts one letter.")
    assert rows["lost"]["problem"].startswith("step `lost` of vowels-of-others 1.2: nowhere:Lost cannot be loaded")
    assert "cannot be loaded" in plugins_text({"plugins": list(rows.values())})
    with pytest.raises(RecipeError, match="cannot be loaded"):
        plugins.plugin_of("lost")


def test_a_pickled_file_arrives_with_its_steps(house: House):
    import pickle

    stored = pickle.dumps(PluginFile(path="mine.py", source=VOWELS))
    assert plugins.plugin_of("vowels") is None

    file = pickle.loads(stored)

    found = plugins.plugin_of("vowels")
    assert found is not None and found.file == file
