"""What a machine does around a run: its clock jumps, its data grows tenfold, its software is upgraded."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.pipeline.house import House, texts
from tests.reliability.faults import COMMANDS, build, bytes_of, furnish, server
from tests.reliability.matrix import play
from tests.reliability.modes import BATCH_MODES
from tests.reliability.played import Played

HOUR, YEAR = 3600, 365 * 24 * 3600
JUMPS = (2 * HOUR, -2 * HOUR, HOUR, -HOUR, 26 * HOUR, -26 * HOUR, YEAR, -YEAR)


def clocks(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Let the clock jump at a read of it while a recipe runs, or a batch is waited for: the same bytes and bill."""
    played, draw = Played(("other bytes", "not finished", "not reused", "lost", "bought twice")), random.Random(seed)
    home = folder / "home"
    home.mkdir(parents=True)
    furnish(home)
    library = build(folder)
    case = {"command": list(COMMANDS["run"]), "at": 0, "kind": 0, "lasting": False}
    with server(library) as player:
        player({**case, "folder": str(home), "warm": True})
        here = shutil.copytree(home, folder / "now")
        clean = player({**case, "folder": str(here), "below": str(here), "clock": [1, 0, 0]})
        must = bytes_of(here)
        shutil.rmtree(here)
        for _ in range(times):
            here = shutil.copytree(home, folder / "now")
            clock = [draw.randrange(1, clean["points"] + 1), draw.choice(JUMPS), draw.choice((0, 0, 1, 3, 17))]
            done = player({**case, "folder": str(here), "below": str(here), "clock": clock})
            played.times["runs"] += 1
            if done["code"] != 0:
                played.breach("not finished", f"{clock}: {done['said'][-300:]}")
            elif bytes_of(here) != must:
                played.breach("other bytes", str(clock))
            again = player({**case, "folder": str(here), "below": str(here), "clock": [1, draw.choice(JUMPS), 0]})
            if "nothing to do" not in again["said"]:
                played.breach("not reused", f"{clock}: {again['said'][-300:]}")
            shutil.rmtree(here)
    played.times["reads of the clock in a run"] = clean["points"]
    modes = dict(draw.sample(sorted(BATCH_MODES.items()), min(times, len(BATCH_MODES))))
    modes.pop("a day passes", None)  # whose server has a clock of its own
    (folder / "bought").mkdir()
    done_all = play(
        folder / "bought", batches=True, modes=modes, kills=["created, not recorded"], library=library,
        clock=(40, draw.choice(JUMPS[:4]), 60),
    )  # fmt: skip
    played.times["runs that buy batches"] = done_all.sums["runs"]
    for breach, name in (("lost", "lost"), ("bought twice", "bought twice"), ("not finished", "not finished")):
        for _ in range(done_all.sums[breach]):
            played.breach(name, " | ".join(done_all.broken)[:300])
    return played


MEASURE = """
import os, resource, sys
from pathlib import Path
from pipeline.core.process.start import start
start()
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from tests.pipeline.house import House
house = House(Path(sys.argv[1]))
before = len(os.listdir("/proc/self/fd"))
Run(plan=house.plan(), executor=Local(workers=1), progress=Silent(), threads=1, memory_bytes=int(sys.argv[2])).execute()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak, len(os.listdir("/proc/self/fd")) - before)
"""
STAGES = {
    "measuring": ["gopher_quality", "c4_quality: {terminal_punctuation: false}", "fineweb_quality"],
    "editing": ["pii"],
    "exact dedup": ["exact_dedup"],
    "near dedup": ["minhash_dedup"],
}
WORDS = 300  # of a document of the texts that memory is measured on
FILE_DOCUMENTS = 2500
MEMORY = 32 << 20  # `--memory 32M`; 100,000 documents need 9.6 MB of it for their clusters


def memory(folder: Path, *, times: int) -> Played:
    """Run each kind of step over some data and over so many times as much, with one process: the peak of its memory.

    Steps that gather take what they are allowed, so they are allowed little: MEMORY.
    """
    played = Played(("over 1.25 times the memory", "files left open"))
    peaks: dict[str, list[int]] = {}
    for more in (1, times):
        here = folder / f"{more} times"
        (here / "in").mkdir(parents=True)
        for number in range(4 * more):
            _write_documents(here / "in" / f"{number:03d}.jsonl", start=number * FILE_DOCUMENTS)
        size = sum(path.stat().st_size for path in (here / "in").iterdir())
        played.times[f"MB of text{'' if more == 1 else ', the second time'}"] = size // 1_000_000
        for name, steps in STAGES.items():
            house = House(here)
            house.clean(steps, source="{read: jsonl, path: DIR/in/*.jsonl}")
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
            command = [sys.executable, "-c", MEASURE, str(here), str(MEMORY)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            peak, left = map(int, done.stdout.split()[-2:])
            peaks.setdefault(name, []).append(peak)
            played.times["runs"] += 1
            if left > 2:
                played.breach("files left open", f"{name}: {left}")
            shutil.rmtree(here / "workspace")
        shutil.rmtree(here)
    for name, (once, more) in peaks.items():
        played.measured[f"{name}: MB"] = once / 1024
        played.measured[f"{name}: ratio"] = more / once
        if more / once > 1.25:
            played.breach("over 1.25 times the memory", f"{name}: {once / 1024:.0f} MB, then {more / 1024:.0f} MB")
    return played


def _write_documents(path: Path, *, start: int) -> None:
    draw = random.Random(start)
    words = " ".join(texts(40)).split()
    with path.open("w", encoding="utf-8") as file:
        for number in range(FILE_DOCUMENTS):
            text = " ".join(draw.choices(words, k=WORDS))
            file.write(json.dumps({"text": f"{text}. It is number {start + number}."}) + "\n")


UPGRADED = """sources: {docs: {read: jsonl, path: docs.jsonl}}
datasets:
  clean: {from: docs, steps: [gopher_quality: {min_words: 3}, exact_dedup]}
  tasks: {make: {verified_tasks: {documents: 40}}}
"""


def upgrades(folder: Path, *, times: int) -> Played:
    """Let earlier states of the code write workspaces, as git has them; read each with the code as it is now."""
    played = Played(("a traceback", "no way out told", "other documents than a fresh run"))
    folder.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(ROOT)]
    listed = subprocess.run([*git, "log", "--first-parent", "--format=%h %cs"], capture_output=True, text=True).stdout
    commits = listed.splitlines()
    if len(commits) < 2:
        played.times["states, as there is no history here"] = 0
        return played
    fresh = _furnished(folder / "fresh")
    assert _tamis(ROOT, fresh, "run", "recipe.yaml", "--workers", "1").returncode == 0
    must = {kind: sorted(House(fresh).ids(kind)) for kind in ("clean", "tasks")}
    step = max(1, (len(commits) - 1) // times)
    for line in commits[step::step][:times]:
        commit, day = line.split()
        code = folder / commit
        code.mkdir()
        archive = subprocess.run([*git, "archive", commit], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", code], input=archive, check=True)
        here = _furnished(folder / f"by {commit}")
        wrote = _tamis(code, here, "run", "recipe.yaml", "--workers", "1")
        shutil.rmtree(code)
        if wrote.returncode != 0:
            played.times["states that cannot run this recipe here"] += 1
            continue
        played.times["workspaces of earlier states"] += 1
        for arguments in (["verify"], ["status"], ["look", "clean"], ["plan", "recipe.yaml"], ["run", "recipe.yaml"]):
            done = _tamis(ROOT, here, *arguments)
            how = f"{day} {commit}: {arguments[0]}: {done.returncode}: {done.stderr[-300:]}"
            if "Traceback" in done.stderr:
                played.breach("a traceback", how)
            elif done.returncode not in (0, 1, 2):
                played.breach("no way out told", how)
            elif done.returncode != 0:
                played.times["commands that told what to do"] += 1
            if arguments[0] == "run" and done.returncode == 0:
                played.times["of them reused"] += "nothing to do" in done.stdout + done.stderr
                if {kind: sorted(House(here).ids(kind)) for kind in must} != must:
                    played.breach("other documents than a fresh run", how)
    return played


def _furnished(folder: Path) -> Path:
    folder.mkdir()
    House(folder).lines("docs.jsonl", texts(60))
    (folder / "recipe.yaml").write_text(UPGRADED, encoding="utf-8")
    return folder


def _tamis(code: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
