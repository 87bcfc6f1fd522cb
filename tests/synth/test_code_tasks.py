"""Exercises that a model writes: which are kept, why others are not, and when nothing is paid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process import box
from pipeline.queries.export.environment import export_tasks
from synth.coding.cheats import cheats_of
from synth.coding.mutants import mutants_of
from synth.coding.probes import probes_of
from synth.coding.problem import Case, Exercise
from synth.coding.trial import Trials
from tests.claude_server import claude_server
from tests.conftest import ROOT
from tests.pipeline.house import House
from tests.synth.coding_server import ORDERS, SECOND, SUMS, TESTS, coded
from tests.synth.sandbox.matrix import living_below
from tests.synth.writing.room import made_details, room
from tests.synth.writing.server import document

PLAY = """
from exercises import load_tasks, message, reward
print({(
    reward(task, f"I think so.\\n```python\\nanswer: int = 1\\n{task['answer']}```\\nThat is it."),
    reward(task, task["answer"]),
    reward(task, "```python\\n" + task["answer"].replace("return", "return 0 and") + "```"),
    reward(task, "No."),
) for task in load_tasks()})
"""


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    try:
        built = Trials()
    except RecipeError as error:
        pytest.skip(str(error))
    with built:
        yield built


def test_an_exercise_is_kept_if_its_tests_can_be_trusted_and_each_other_end_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: Trials
) -> None:
    texts = [document(0), *(document(number, order=word) for number, word in enumerate(ORDERS, 1))]
    with claude_server(default=coded) as server:
        house = room(tmp_path, server, monkeypatch, texts, step="code_tasks", documents=50, max_useless=1)
        house.run()
        arrived = len(server.arrivals)
        House(tmp_path).run()

    details, rows = made_details(house), house.documents("new")
    assert details["refused"] == Counter(reason for _, reason in ORDERS.values() if reason)
    assert details["kept"] == len(rows) == 3 and details["short"] == "there are no more documents to write from"
    assert details["by_stage"]["solved again"]["kept"] == 3 and details["mutants_killed"] >= 3 * 8
    assert len(server.arrivals) == arrived == len(texts) + 7  # seven were worth a second solution
    for row in rows:
        about = json.loads(row["metadata"])
        tests = [Case(*each) for each in about["tests"]]
        assert len(tests) > len(TESTS[:5]) and about["prompt"] in row["text"]
        assert about["solution"] in row["text"] and "returns" in about["prompt"]
        assert trials.passes(about["solution"], function=about["function"], tests=tests)
        cheats = cheats_of(about["function"], tests).values()
        assert not any(trials.passes(cheat, function=about["function"], tests=tests) for cheat in cheats)
    done = export_tasks(house.workspace, "new", form="jsonl", to=tmp_path / "exercises")
    assert done.by_family == {"code_tasks": 3} and not done.left_out
    path = f"{tmp_path / 'exercises'}:{ROOT}"
    played = [sys.executable, "-c", PLAY]
    ran = subprocess.run(played, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert ran.stdout.strip() == "{(1.0, 1.0, 0.0, 0.0)}", ran.stderr
    (maker,) = (json.loads(row["lineage"])[-1] for row in rows if '"longest"' in row["metadata"])
    assert "mutants" in maker["verified_by"] and maker["step"] == "code_tasks" and maker["depth"] == 1


def test_nothing_is_asked_where_no_box_can_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "_order", lambda: ())
    with claude_server(default=coded) as server:
        house = room(tmp_path, server, monkeypatch, [document(0)], step="code_tasks")
        with pytest.raises(RecipeError, match="Install bubblewrap"):
            house.run()

    assert server.arrivals == []


def test_exactly_as_many_are_made_as_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: Trials):
    with claude_server(default=coded) as server:
        house = room(
            tmp_path, server, monkeypatch, [document(number) for number in range(6)], step="code_tasks", documents=2
        )
        house.run()

    assert len(house.documents("new")) == 2 and len(server.arrivals) == 4


def test_a_cheat_whose_box_is_lost_was_not_refused(trials: Trials) -> None:
    boxes, ended = trials._boxes, Event()
    idle = len(living_below(boxes._all[0]._child.pid))

    def lose() -> None:
        seen = set[int]()
        while not ended.wait(0.05):  # seen twice: it is at work, and not being built
            busy = {box._child.pid for box in boxes._all if box._child and len(living_below(box._child.pid)) > idle}
            for keeper in seen & busy:
                os.kill(keeper, signal.SIGKILL)
            seen = busy - seen

    with ThreadPoolExecutor(1) as threads:
        threads.submit(lose)
        try:
            with pytest.raises(ServiceError, match="could not be tried: the box was lost twice"):
                trials.passes("import time\ndef f(x):\n    time.sleep(9)", function="f", tests=[Case([1], 1)])
        finally:
            ended.set()


def test_a_signature_has_every_argument() -> None:
    assert Exercise("", "f", (), "def f(a, /, b: int = 1, *c):\n    return 1\n", "").signature == "f(a, b, *c)"


def test_mutants_differ_from_their_solution_in_one_place_each_and_nearly_all_fail(trials: Trials) -> None:
    tests = [Case(*each) for each in TESTS]
    mutants = mutants_of(SUMS)

    assert mutants == mutants_of(SUMS) and len({mutant.code for mutant in mutants}) == len(mutants) >= 9
    assert {"operator", "constant", "off by one", "result", "statement"} <= {mutant.kind for mutant in mutants}
    assert not any(trials.passes(mutant.code, function="window_sums", tests=tests) for mutant in mutants)
    assert trials.passes(SUMS, function="window_sums", tests=tests)
    assert trials.passes(SECOND, function="window_sums", tests=tests)
    branches = "def f(a):\n    '''Doc.'''\n    if a and not a < 3:\n        return a[1:]\n    return -a if a else 0.5\n"
    assert {mutant.kind for mutant in mutants_of(branches)} >= {"branch", "comparison", "logic", "off by one"}
    assert mutants_of("def f(:") == []


def test_probes_are_near_the_calls_and_none_of_them() -> None:
    calls = [[[3, 1], "ab", True, {"a": 1.5}], [[], "", False, {}]]
    probes = probes_of(calls)

    assert len(probes) >= 15 and not any(each in calls for each in probes)
    assert len(probes) == len({json.dumps(each) for each in probes}) and len(probes_of(calls, most=4)) == 4
    assert all([type(one) for one in probe] == [list, str, bool, dict] for probe in probes)
    assert probes == probes_of(calls) and probes_of([[None]]) == []
