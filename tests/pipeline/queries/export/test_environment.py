"""Exported tasks: what a consumer's own library makes of them, without this project; and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.export.environment import check_families, export_tasks
from synth.environments.tasks import CHANGED, MADE_ANEW, NO_TASK, REPEATED, TAKES_WRONG, Chosen
from synth.families import ALL_FAMILIES
from tests.pipeline.house import House

ALONE = "import sys\nfor ours in ('synth', 'pipeline', 'tamis'): sys.modules[ours] = None\n"
JUDGE = """
from numbers_of_all import load_tasks, message, reward
for task in load_tasks():
    right = task["answer"]
    for text in (right, f"So 7 it is. Answer: 3\\nNo. **Answer:** {right}", f"answer: `{right}`."):
        assert reward(task, text) == 1.0, (task, text)
    for text in ("", "Answer:", right + "1", f"Answer: {right}\\nAnswer: 8888888", "9" * 199, "9" * 20_000,
                 "((" * 4_000, "Answer: \\u0664\\u00b2", task["prompt"], message(task)):
        assert reward(task, text) == 0.0, (task, text[:99])
print(len(load_tasks()), sorted({task["family"] for task in load_tasks()}))
"""
GYM = """
import gymnasium
from gymnasium.utils.env_checker import check_env
from small_sums import load_tasks
made = gymnasium.make("small_sums:small_sums/Tasks-v0")
check_env(made.unwrapped)
tasks = {task["id"]: task["answer"] for task in load_tasks()}
def play(seed):
    shown, told = made.reset(seed=seed)
    for _ in range(10):
        yield told["id"], *made.step("Answer: " + tasks[told["id"]])[1:4]
        shown, told = made.reset()
        assert made.step("Answer: none of these")[1:4] == (0.0, True, False)
        shown, told = made.reset()
first = list(play(3))
assert first == list(play(3)) != list(play(4))
print({each[1:] for each in first}, made.reset(options={"task": 2})[1]["id"] == list(tasks)[2])
"""
VERIFIERS = """
import asyncio
import verifiers.v1 as vf
from verifiers.v1.utils.loaders import taskset_class
kind = taskset_class("small_sums")
def rewarded(task, reply):
    trace = vf.Trace(task=vf.TraceTask(type="Task", data=task.data), agent=vf.AgentInfo(config=vf.AgentConfig()),
                     root_reply=reply)
    asyncio.run(task.score(trace))
    return trace.reward
from small_sums import TasksConfig
tasks = list(kind(TasksConfig(id="small_sums", max_difficulty=3)))
assert {task.data.task["difficulty"] for task in tasks} <= {1, 2, 3}
print({(rewarded(each, "Answer: " + each.data.task["answer"]), rewarded(each, "Answer: 0/0"),
        asyncio.run(each.validate(None))) for each in tasks})
"""


def consumer(program: str, *, folder: Path) -> str:
    """Return what a program prints that has an exported folder on its path, and nothing of this project."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(folder)}
    ran = subprocess.run([sys.executable, "-c", ALONE + program], cwd=folder, env=clean, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_every_family_is_judged_without_this_project(house: House, tmp_path: Path) -> None:
    count = 4 * len(ALL_FAMILIES)

    done = export_tasks(
        house.workspace, None, families=ALL_FAMILIES, count=count, seed=5, form="jsonl", to=tmp_path / "numbers_of_all"
    )

    assert set(done.by_family.values()) == {4} and not done.left_out and not done.short
    assert consumer(JUDGE, folder=tmp_path / "numbers_of_all") == f"{count} {sorted(ALL_FAMILIES)}"
    first = json.loads((tmp_path / "numbers_of_all/numbers_of_all/tasks.jsonl").read_text().splitlines()[0])
    assert set(first) == {"id", "prompt", "answer", "family", "difficulty", "checker", "seed", "index"}


@pytest.mark.parametrize(
    ("form", "program", "printed"),
    [("gymnasium", GYM, "{(1.0, True, False)} True"), ("verifiers", VERIFIERS, "{(1.0, 0.0, True)}")],
)
def test_the_library_itself_plays_them(house: House, tmp_path: Path, form, program: str, printed: str) -> None:
    if find_spec(form) is None:
        pytest.skip(f"{form} is not installed: pip install {form}")
    export_tasks(house.workspace, None, families=["fractions"], count=20, form=form, to=tmp_path / "small_sums")

    assert consumer(program, folder=tmp_path / "small_sums") == printed


def test_tasks_of_a_dataset_are_exported_as_long_as_they_stand_in_their_rows(house: House, tmp_path: Path) -> None:
    house.lines("a.jsonl", ["A text that is no task."])
    house.write(
        "name: made\nseed: 7\nsources:\n  docs: {read: jsonl, path: DIR/a.jsonl}\n"
        "datasets:\n  plain: {from: docs}\n  tasks:\n"
        "    make: {verified_tasks: {families: [fractions, sorting], documents: 40, max_difficulty: 2}}\n"
    )
    house.run()
    to = tmp_path / "from_rows"

    done = export_tasks(house.workspace, "tasks", form="jsonl", to=to)

    rows = house.documents("tasks")
    assert done.tasks == len(rows) == 40 and not done.short
    exported = [json.loads(line) for line in (to / "from_rows/tasks.jsonl").read_text().splitlines()]
    assert [each["id"] for each in exported] == [row["id"] for row in rows]
    assert all(each["prompt"] in row["text"] for each, row in zip(exported, rows, strict=True))
    assert {each["difficulty"] for each in exported} == {1, 2}

    chosen, first = Chosen(), rows[0]
    other = json.dumps(json.loads(first["metadata"]) | {"answer": "other"})
    asked = {"question": "How high is it?", "answer": "42 metres", "quote": "It is 42 metres high.", "skill": "fact"}
    question = {
        "id": "q", "text": "It is 42 metres high.\n\nQuestion: How high is it?\nAnswer: 42 metres\n",
        "lineage": json.dumps([{"step": "document_tasks"}]), "metadata": json.dumps(asked),
    }  # fmt: skip
    odd = [
        first, first, first | {"text": first["text"][40:]}, first | {"metadata": other}, first | {"lineage": "[]"},
        question, question | {"text": "It is 42 metres high."},
        question | {"metadata": json.dumps(asked | {"question": "42 Metres"}),  # its echo would pass
                    "text": question["text"].replace("How high is it?", "42 Metres")},
    ]  # fmt: skip
    taken = list(chosen.of_rows(odd))
    assert [each.checker for each in taken] == [json.loads(first["metadata"])["family"], "short_answers"]
    assert taken[1].prompt == "It is 42 metres high.\n\nQuestion: How high is it?"
    assert chosen.left_out == {REPEATED: 1, CHANGED: 2, MADE_ANEW: 1, NO_TASK: 1, TAKES_WRONG: 1}
    with pytest.raises(DataError, match=f"plain: holds no task .*{NO_TASK} 1"):
        export_tasks(house.workspace, "plain", form="jsonl", to=tmp_path / "nothing")
    assert not list(tmp_path.glob("*nothing*"))


def test_what_cannot_be_exported_is_said_and_nothing_is_replaced(house: House, tmp_path: Path) -> None:
    def export(name: str, *, overwrite: bool = False) -> None:
        export_tasks(house.workspace, None, families=["fractions"], count=2, form="jsonl", to=tmp_path / name,
                     overwrite=overwrite)  # fmt: skip

    for name in ("My-Tasks", "class", "json", "gymnasium", "7up"):
        with pytest.raises(RecipeError, match="Name another folder"):
            export(name)
    with pytest.raises(RecipeError, match="did you mean fractions"):
        check_families(["sorting, fraction"])
    export("sums")
    with pytest.raises(RecipeError, match="holds another export"):
        export("sums")
    export("sums", overwrite=True)
    (tmp_path / "sums/mine.txt").write_text("mine")
    with pytest.raises(RecipeError, match="was not written by an export"):
        export("sums", overwrite=True)


def test_a_family_that_has_no_more_tasks_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.environments.tasks.DULL", 3)
    chosen = Chosen()
    tasks = list(chosen.of_families(["fractions"], count=5, seed=0, min_difficulty=1, max_difficulty=1))
    again = list(chosen.of_families(["fractions"], count=2, seed=0, min_difficulty=1, max_difficulty=1))

    assert len(tasks) == 5 and not {each.prompt for each in again} & {each.prompt for each in tasks}
    assert chosen.left_out[REPEATED] == 3 and again == []
