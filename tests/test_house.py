"""The whole house: a small recipe end to end, killed at many points, on more workers; golden outputs of every step.

Real processes, the real command line, real text (what a few small packages say about themselves).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.catalog import STEPS
from pipeline.core.files.card import read_card, verify_files
from tests.conftest import need_conformance
from tests.golden import WRITTEN_BY_A_MODEL, answer_of, differences, furnish, path_of
from tests.pipeline.house import House, contents, files_of
from tests.process import SECONDS, Tamis
from tests.samples import proof

RECIPE = """# tamis run recipe.yaml
name: small
seed: 5
sources:
  docs: {read: installed_docs, packages: [jinja2, pytest, filelock, xxhash]}
  other: {read: installed_docs, packages: [markupsafe, packaging]}
datasets:
  held: {from: other, steps: [exact_dedup]}
  raw: {from: docs, steps: [decontaminate: {against: [held]}]}
  clean:
    from: docs
    steps:
      - language: {keep: [en], min_score: 0.5}
      - gopher_quality: {min_words: 20}
      - gopher_repetition
      - c4_quality: {terminal_punctuation: false}
      - fineweb_quality
      - exact_dedup
      - minhash_dedup
      - decontaminate: {against: [held]}
  good:
    from: clean
    steps:
      - label: {documents: 100}
      - quality: {keep_fraction: 0.6}
  tasks: {make: {verified_tasks: {documents: 150, part_documents: 50}}}
mixtures:
  baseline: {weights: {raw: 1.0}}
  candidate: {weights: {good: 0.8, tasks: 0.2}, max_epochs: 8}
proxy: {tier: t0, tokens: 4k, seeds: 3, held_out_bytes: 10k}
gate: {candidate: candidate, baseline: baseline, on: [held]}
promote: {as: docs-en}
"""


def tamis(folder: Path) -> Tamis:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return Tamis(folder)


# These come first: they compile nearly every kernel in this process, and the runs below find them compiled.
@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> House:
    return furnish(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("step", [step for step in STEPS if step not in WRITTEN_BY_A_MODEL])
def test_a_steps_output_changes_only_with_its_version(furnished: House, step: str):
    if step == "datatrove" or step.endswith("@datatrove-0.10"):
        need_conformance()
    if step == "transformer":
        pytest.importorskip("transformers", reason="transformers is not installed")
    how = f"Bump `version` in the class of {step} if it is meant, then: python -m tests.golden --write {step}"
    assert path_of(step).exists(), f"{step} has no golden output yet. Write it: python -m tests.golden --write {step}"
    stored = json.loads(path_of(step).read_text(encoding="utf-8"))

    found = answer_of(step, furnished)

    changed = differences(stored, found)
    if stored["version"] == found["version"]:
        assert not changed, f"{step} answers otherwise than before under the same version: {changed[:3]}. {how}"
    else:
        assert not changed, f"{step} has a new version and an old golden output. {how}"
    assert stored["version"] == found["version"], f"{step}: python -m tests.golden --write {step}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tamis, dict[str, object]]]:
    """One uninterrupted run on one worker, and what it printed."""
    here = tamis(tmp_path_factory.mktemp("a house") / "whole")
    done = here.run("run", "recipe.yaml", "--workers", "1", "--json")
    assert done.returncode in (0, 3), done.stderr
    yield here, json.loads(done.stdout)


@pytest.mark.timeout(2 * SECONDS)
def test_the_whole_loop_ends_with_a_verdict_and_a_report(whole):
    here, outcome = whole

    kinds = {path.parent.name for path in here.workspace.glob("*/*") if (path / "card.json").exists()}
    assert kinds == {
        "source", "measured", "gathered", "made", "dataset", "tokenizer", "tokens", "mixture", "lane", "score",
        "comparison", "certificate",
    }  # fmt: skip
    assert outcome["verdict"] in ("promote", "reject", "undecided") and outcome["sentence"]
    assert (here.folder / str(outcome["report"])).stat().st_size > 10_000
    assert len(outcome["built"]) == len(list(here.workspace.glob("*/*/card.json")))


@pytest.mark.timeout(SECONDS)
def test_every_document_is_accounted_for_and_every_file_is_what_its_card_says(whole):
    here, _ = whole

    for path in here.workspace.glob("*/*/card.json"):
        card = read_card(path.parent)
        card.conserve()
        verify_files(path.parent, card)
        assert not [file for file in path.parent.iterdir() if file.name.startswith(".") or file.name == "scratch"]


@pytest.mark.timeout(SECONDS)
def test_a_second_run_does_nothing_and_says_so(whole):
    here, first = whole
    before = {path: path.stat().st_mtime_ns for path in here.workspace.rglob("*") if path.is_file()}

    again = here.run("run", "recipe.yaml", "--json")

    outcome = json.loads(again.stdout)
    assert (outcome["built"], outcome["verdict"], outcome["sentence"]) == ([], first["verdict"], first["sentence"])
    after = {path: path.stat().st_mtime_ns for path in here.workspace.rglob("*") if path.is_file()}
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed <= {"lock.json", "lock"} and set(after) == set(before)


@pytest.mark.timeout(2 * SECONDS)
def test_what_the_gate_judged_is_exported_with_its_verdict(whole):
    here, outcome = whole
    shutil.copytree(here.workspace, here.folder / "copy")  # an export keeps its counts in the workspace

    done = here.run("export", "candidate", "--workspace", "copy", "--to", "exported", "--tokens", "20k", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert told["num_tokens"] >= 20_000 and {share["dataset"] for share in told["shares"]} == {"good", "tasks"}
    assert told["gate"] == outcome["sentence"]
    promoted = "promoted as docs-en version 1" if outcome["verdict"] == "promote" else "not promoted"
    assert told["promoted"] == promoted
    certificate = json.loads((here.folder / "exported" / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["verdict"]["outcome"] == outcome["verdict"]


@pytest.mark.timeout(2 * SECONDS)
def test_four_workers_give_the_bytes_of_one(whole, tmp_path):
    here, _ = whole
    there = tamis(tmp_path / "four")

    done = there.run("run", "recipe.yaml", "--workers", "4")

    assert done.returncode in (0, 3), done.stderr
    assert contents(there.workspace) == contents(here.workspace)


@pytest.mark.few
@pytest.mark.timeout(2 * SECONDS)
def test_a_run_killed_half_way_ends_with_the_bytes_of_one_that_was_not(whole, tmp_path):
    _kill_and_compare(whole[0], tmp_path, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(4 * SECONDS)
def test_a_run_killed_at_many_points_ends_with_the_bytes_of_one_that_was_not(whole, tmp_path):
    _kill_and_compare(whole[0], tmp_path, kills=proof(5, whole=10))


def _kill_and_compare(here: Tamis, tmp_path: Path, *, kills: int) -> None:
    """Each kill takes the whole process group; the next start is the same command and goes on from there."""
    there = tamis(tmp_path / "killed")
    total = len(here.files())

    killed = 0
    for point in range(kills):
        killed += _kill_when(there, files=1 + (total - 3) * (2 * point + 1) // (2 * kills))
    done = there.run("run", "recipe.yaml", "--workers", "2", "--json")

    assert killed == kills
    assert done.returncode in (0, 3), done.stderr
    assert contents(there.workspace) == contents(here.workspace)
    assert files_of(there.workspace) == files_of(here.workspace)
    assert sorted(there.files()) == sorted(here.files())
    assert not list(there.workspace.rglob(".*.tmp"))


def _kill_when(there: Tamis, *, files: int) -> bool:
    """Run until so many files lie there, then kill everything at once; say whether it was still running."""
    process = there.start("run", "recipe.yaml", "--workers", "2")
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and len(there.files()) < files and time.monotonic() < deadline:
        time.sleep(0.002)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return running


def test_there_is_no_golden_output_of_a_step_that_is_gone():
    stored = {path.stem for path in path_of("any").parent.glob("*.json")}

    assert stored <= set(STEPS)
