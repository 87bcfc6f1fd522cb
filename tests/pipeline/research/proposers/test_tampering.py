"""A proposer that cheats is called for real, knows every path, and gets nowhere: whatever it wants, what stops it.

Permissions stop nobody here: every file may be read and written by anybody, so that only the confinement is in the way.
On a machine without Landlock (before Linux 5.13, or no Linux) files are open to it; then the last tests say what hashes
still show afterwards: an edited judge, ledger, word, certificate or score. What was only read, they do not show.
Flooding, stalling, spinning and taking all memory are in tests/pipeline/core/process/test_confined.py.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.identity import hash_file
from pipeline.core.process import landlock
from pipeline.core.process.confined import Limits, Outcome, ask_confined
from pipeline.core.process.system_calls import PROCESSORS
from pipeline.recipe.edits import edit_of, refuse_forbidden
from pipeline.recipe.load import load_recipe
from pipeline.research.people.approvals import FOLDER, HEAD, Waiting, say, words_in
from pipeline.research.record.ledger import FILE, Ledger
from pipeline.store.judge import HOUSE, judging_code
from tests.pipeline.research import hostile
from tests.pipeline.research.small_search import furnished

KEY = "sk-ant-secret-of-the-tests"
LIMITS = Limits(wall_seconds=30, cpu_seconds=10, answer_bytes=100_000)
confines = pytest.mark.skipif(
    landlock.version() < 3 or platform.machine() not in PROCESSORS,
    reason="needs Linux 6.2 or later on a known processor",
)

WORKSPACE = {
    "dataset/judged-0123/part-00000.parquet": "the sealed text",
    "score/judged-0123/scores.parquet": "0.993",
    "certificate/small-0123/certificate.json": '{"verdict": {"outcome": "reject"}}',
    "registry/web/current.json": '{"version": 1}',
    "small.yaml": "research: {budget: {experiments: 24}}\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace that anybody may write, with a search in it."""
    for name, text in WORKSPACE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    ledger = Ledger(tmp_path / "research" / "small")
    for number in range(3):
        ledger.append("remark", {"number": number})
    say(ledger.path.parent, Waiting(HEAD, "a" * 64, ()), "rejected", why="not yet", how="flag")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for folder in tmp_path.parents[:3]:  # pytest's own, closed to others
        folder.chmod(0o755)
    return tmp_path


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user, in the judge's place."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, env={"ANTHROPIC_API_KEY": KEY}, start_new_session=True) as process:
        yield process
        process.kill()


def attack(name: str, root: Path, **told: Any) -> Outcome:
    known = {
        "parent": os.getpid(), "home": str(Path.home()), "house": str(HOUSE), "key": KEY,
        "libraries": [sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")],
    }  # fmt: skip
    return ask_confined(f"{hostile.__name__}:{name}", known | told, limits=LIMITS, hidden=[root])


def stopped(outcome: Outcome) -> dict[str, str]:
    """Return what stopped each way that was tried, after showing that every one was."""
    assert outcome.kind == "answer", outcome.told
    assert outcome.answer["went"] == {}
    return outcome.answer["stopped"]


def state(root: Path) -> dict[str, Any]:
    """Return everything of a folder that a tamperer could change."""
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.stat()
        content = hash_file(path) if path.is_file() else ""
        found[str(path)] = (content, about.st_mode, about.st_uid, about.st_mtime_ns, about.st_nlink)
    return found


TARGETS = {
    "the recipe's budget": "small.yaml",
    "the sealed text": "dataset/judged-0123/part-00000.parquet",
    "a stored score": "score/judged-0123/scores.parquet",
    "a certificate": "certificate/small-0123/certificate.json",
    "what is promoted": "registry/web/current.json",
    "the ledger": "research/small/ledger.jsonl",
    "people's words": f"research/small/{FOLDER}/{FILE}",
}


@confines
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_in_a_workspace_can_be_written_removed_or_replaced(target: str, root: Path):
    before = state(root)

    ways = stopped(attack("change", root, file=str(root / TARGETS[target])))

    assert state(root) == before
    assert len(ways) == 15 and all(error.startswith("PermissionError") for error in ways.values())


@confines
def test_the_code_that_judges_cannot_be_edited(root: Path):
    gate = HOUSE / "eval" / "verdict" / "gate.py"
    text, before = gate.read_bytes(), judging_code()

    outcome = attack("change", root, file=str(gate))
    after = judging_code()
    if after != before:  # the tree that this runs in stays as it was
        gate.write_bytes(text)

    ways = stopped(outcome)
    assert after == before and all(error.startswith("PermissionError") for error in ways.values())


@confines
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_in_a_workspace_can_be_read(target: str, root: Path):
    ways = stopped(attack("read", root, file=str(root / TARGETS[target])))

    assert len(ways) == 8 and all(error.startswith("PermissionError") for error in ways.values())


@confines
def test_the_key_is_in_no_variable_file_or_memory_that_it_reaches(root: Path, victim, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)

    for parent in (os.getpid(), victim.pid):
        outcome = attack("read_key", root, parent=parent)

        assert len(stopped(outcome)) == 11 and "no variable holds it" in stopped(outcome)["variables"]


@confines
def test_the_process_that_judges_cannot_be_ended_stopped_traced_or_starved(root: Path, victim):
    ways = stopped(attack("stop_parent", root, parent=victim.pid))

    assert victim.poll() is None and len(ways) == 10
    assert all(error.startswith("PermissionError") for error in ways.values())


@confines
@pytest.mark.skipif(platform.machine() != "x86_64", reason="some processors have no call for each of them")
def test_it_shares_no_memory_or_queue_with_others_and_watches_none_of_their_folders(root: Path):
    ways = stopped(attack("share", root, folder=str(root)))

    assert len(ways) == 12 and all(error.startswith("PermissionError") for error in ways.values())


@confines
def test_nothing_leaves_over_the_network_or_a_socket_of_this_machine(root: Path, tmp_path: Path):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        port = server.getsockname()[1]
        local.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0tamis-test-{os.getpid()}")
        datagrams.bind(("127.0.0.1", port))
        for each in (server, local, abstract):
            each.listen()
        for each in (server, local, abstract, datagrams):
            each.setblocking(False)
        (tmp_path / "socket").chmod(0o777)

        ways = stopped(
            attack(
                "call_home", root, port=port, socket=str(tmp_path / "socket"), abstract=f"\0tamis-test-{os.getpid()}"
            )
        )

        assert len(ways) == 8
        for each in (server, local, abstract):
            with pytest.raises(BlockingIOError):
                each.accept()
        with pytest.raises(BlockingIOError):
            datagrams.recv(16)


@confines
def test_no_process_or_thread_stays_behind(root: Path):
    ways = stopped(attack("stay", root, file=str(root / "left.txt")))

    assert len(ways) == 6 and not (root / "left.txt").exists()


@confines
def test_no_code_is_planted_where_the_next_python_would_run_it(root: Path):
    ways = stopped(attack("plant", root))

    assert len(ways) == 25 and all(error.startswith("PermissionError") for error in ways.values())


@confines
def test_it_cannot_say_yes_in_a_persons_place(root: Path):
    folder = root / "research" / "small"
    before = state(folder)

    ways = stopped(attack("approve_itself", root, file=str(folder / FOLDER / FILE), card=HEAD, plan="a" * 64))

    assert len(ways) == 3 and state(folder) == before
    assert words_in(folder)[HEAD].answer == "rejected"


def test_a_judge_that_is_replaced_in_its_own_memory_judges_nobody_else(root: Path):
    from eval.verdict import gate

    before = gate.decide
    outcome = attack("turn_the_judge", root)

    assert gate.decide is before and json.loads("{}") == {}
    assert outcome.kind != "answer" or outcome.answer == {"outcome": "promote"}  # its answer, and no verdict


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "set", "place": "gate.min_gain", "value": 0.0},
        {"op": "set", "place": "gate.on", "value": ["looked"]},
        {"op": "set", "place": "research.budget.experiments", "value": 10_000},
        {"op": "set", "place": "research.person", "value": []},
        {"op": "set", "place": "proxy.first_seed", "value": 5},
        {"op": "set", "place": "seed", "value": 5},
        {"op": "set", "place": "sources.shut.path", "value": "mine.jsonl"},
        {"op": "set", "place": "datasets.judged.from", "value": "plain"},
        {"op": "remove_step", "place": "datasets.judged.exact_dedup"},
        {"op": "add_step", "place": "datasets.looked", "value": {"step": {"gopher_quality": {}}}},
        {"op": "weight", "place": "mixtures.other", "value": {"rivers": 1.0}},
    ],
)
def test_no_proposal_edits_what_judges_pays_or_is_read(edit: dict[str, Any], tmp_path: Path):
    recipe = load_recipe(furnished(tmp_path).recipe)

    with pytest.raises(RecipeError):
        refuse_forbidden(recipe, [edit_of(edit)])


def unconfined(name: str, **told: Any) -> dict[str, Any]:
    """Call an attack in a process that nothing confines."""
    code = f"import json, sys; from {hostile.__name__} import {name}; print(json.dumps({name}(json.load(sys.stdin))))"
    given = json.dumps({"parent": os.getpid(), "key": KEY, **told})
    environment = os.environ | {"TMPDIR": told["folder"], "PYTHONPATH": str(HOUSE)}
    ran = subprocess.run(
        [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True, env=environment
    )
    return dict(json.loads(ran.stdout))


def test_the_same_attacks_go_well_where_nothing_confines_them(root: Path, tmp_path: Path):
    """Else the tests above would show nothing."""
    own = tmp_path / "own"
    own.mkdir()
    file = str(root / TARGETS["a stored score"])

    seen = unconfined("read", file=file, folder=str(own))
    changed = unconfined("change", file=file, folder=str(own))

    assert {"open", "list", "walk", "symlink", "shell"} <= seen["went"].keys()
    assert {"append", "overwrite", "truncate", "mapped", "remove", "beside", "shell"} <= changed["went"].keys()


@pytest.mark.parametrize("name", [f"research/small/{FILE}", f"research/small/{FOLDER}/{FILE}"])
@pytest.mark.parametrize("forgery", ["a line more", "the past"])
def test_without_confinement_a_forged_line_of_ledger_or_words_is_found(name: str, forgery: str, root: Path):
    path = root / name
    line = path.read_text().splitlines()[-1]
    path.write_text(
        path.read_text() + line + "\n"
        if forgery == "a line more"
        else path.read_text().replace(":", ": ", 1)[:-2] + "x\n"
    )

    with pytest.raises(DataError, match="somebody edited the ledger"):
        Ledger(path.parent)
