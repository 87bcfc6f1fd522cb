"""What comes of a question to a function that is not trusted, whatever it does; attacks: tests/pipeline/research."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.process import landlock
from pipeline.core.process.confined import Confinement, Limits, Outcome, ask_confined, confinement
from pipeline.core.process.system_calls import PROCESSORS

STRANGERS = "tests.pipeline.core.process.strangers"
QUICK = Limits(wall_seconds=20, cpu_seconds=5, answer_bytes=10_000)


def ask(name: str, question: object = None, *, limits: Limits = QUICK) -> Outcome:
    return ask_confined(f"{STRANGERS}:{name}", question, limits=limits)


def test_an_answer_comes_back_as_it_was_given():
    question = {"points": [[0.1, 1e300], []], "text": "\N{SNOWMAN} \n \u2028", "none": None, "big": 2**70}

    outcome = ask("echo", question)

    assert (outcome.kind, outcome.answer, outcome.told) == ("answer", {"heard": question}, "")


def test_a_question_larger_than_a_pipe_is_heard_whole():
    outcome = ask("echo", "a" * 3_000_000, limits=Limits(answer_bytes=4_000_000))

    assert len(outcome.answer["heard"]) == 3_000_000


@pytest.mark.skipif(
    landlock.version() < 3 or platform.machine() not in PROCESSORS, reason="Linux before 6.2, or no Linux"
)
def test_a_linux_of_today_leaves_no_door_open():
    held = ask("echo").confinement

    assert held.open_doors == () and "no files but Python and our code" in held.sentence


def test_what_a_machine_does_not_enforce_is_said_in_words():
    bare = Confinement(memory=True, unprivileged=True)

    assert "reading and writing files" in bare.sentence and "using the network" in bare.sentence
    assert "memory" not in bare.sentence and "root" not in bare.sentence


def test_it_sees_no_variable_file_or_right_of_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with Path(__file__).open() as kept:
        os.set_inheritable(kept.fileno(), True)
        seen = ask("surroundings").answer

    assert {"ANTHROPIC_API_KEY", "PYTHONPATH"}.isdisjoint(seen["variables"]) and len(seen["variables"]) < 12
    assert seen["folder"] == []
    assert seen["files"] == [0, 1, 2, 3] and seen["user"] != 0


def test_what_our_own_proposers_import_works_there():
    assert ask("heavy", {"a": 1}).answer["found"] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("name", "question", "kind", "told"),
    [
        ("prose", None, "refused", 'answered in prose: "I would rather not\\nsay'),
        ("infinite", None, "died", "ended without an answer that can be read"),
        ("raising", None, "died", "ValueError: no idea left"),
        ("leaving", None, "died", "ended without an answer that can be read (exit 7)"),
        ("missing", None, "died", "AttributeError"),
        ("greedy", None, "died", "MemoryError"),
        ("long_answer", 20_000, "too_long", "wrote more than the 10,000 bytes"),
        ("flooding", None, "too_long", "wrote more than the 10,000 bytes"),
    ],
)
def test_an_end_without_an_answer_is_told_and_raises_nothing(name: str, question: object, kind: str, told: str):
    outcome = ask(name, question)

    assert (outcome.kind, outcome.answer) == (kind, None)
    assert told in outcome.told and "\n" not in outcome.told


@pytest.mark.parametrize(
    ("name", "limits"), [("stalling", Limits(wall_seconds=1)), ("spinning", Limits(cpu_seconds=1))]
)
def test_it_is_ended_when_its_time_is_over(name: str, limits: Limits):
    began = time.monotonic()

    outcome = ask(name, limits=limits)

    assert outcome.kind == "timed_out" and time.monotonic() - began < 30


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the process by Linux's /proc")
def test_it_ends_with_a_parent_that_is_killed_whatever_it_asks_of_the_kernel():
    code = f"from pipeline.core.process.confined import ask_confined; ask_confined('{STRANGERS}:clinging', None)"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        child = _soon(lambda: children.read_text().strip())
        _soon(lambda: "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text())
        time.sleep(0.3)  # what it does when it is confined takes less
        parent.kill()

    assert _soon(lambda: not Path(f"/proc/{child}").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text())


def _soon(found: Callable[[], Any]) -> Any:
    """Return what is found in the next seconds."""
    deadline = time.monotonic() + 10
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


def test_a_file_may_answer_and_sees_nothing_of_the_folder_that_it_lies_in(tmp_path: Path):
    (tmp_path / "key.txt").write_text("secret")
    own = tmp_path / "own.py"
    own.write_text(
        "from pathlib import Path\n"
        "def answer(asked):\n"
        "    try:\n        return {'read': Path(__file__).with_name('key.txt').read_text()}\n"
        "    except PermissionError:\n        return {**asked}\n"
    )

    outcome = ask_confined("own:answer", {"a": 1}, files={"own": own}, limits=QUICK)

    assert outcome.kind == "answer" and outcome.answer.get("a") == 1


def test_a_function_that_is_not_there_is_told():
    assert ask_confined("nowhere.at_all:f", None).told.startswith("ModuleNotFoundError")


def test_what_it_prints_is_no_answer_and_no_harm():
    assert ask("chatty").answer == {"said": "enough"}


def test_what_a_machine_holds_a_process_to_can_be_asked_beforehand():
    assert confinement() == ask("echo").confinement


def test_a_workspace_inside_of_what_python_needs_is_told_as_readable(tmp_path: Path):
    inside = ask_confined(f"{STRANGERS}:echo", None, hidden=[Path(os.__file__).parent / "workspace"])
    outside = ask_confined(f"{STRANGERS}:echo", None, hidden=[tmp_path])

    assert not inside.confinement.files and outside.confinement.files == (landlock.version() > 0)
