"""Runs that are ended at random times: by SIGKILL, SIGTERM, the death of a worker; each goes on to the same bytes.

The oracle is a run that met nothing, in another folder. Whole recipes are played in forks of a process that has run
one, so that a start costs no import.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.pipeline.house import contents
from tests.process import Tamis
from tests.reliability.faulty import command, warm
from tests.reliability.played import Played, spread

MOST_SECONDS = 120  # of a run, after which it hangs
WHOLE = """# tamis run recipe.yaml
name: small
seed: 5
sources:
  docs: {read: installed_docs, packages: [jinja2, pytest, filelock, xxhash]}
  other: {read: installed_docs, packages: [markupsafe, packaging]}
datasets:
  held: {from: other, steps: [exact_dedup]}
  clean:
    from: docs
    steps: [language: {keep: [en]}, gopher_quality: {min_words: 20}, exact_dedup, minhash_dedup]
  good: {from: clean, steps: [label: {documents: 100}, quality: {keep_fraction: 0.6}]}
  tasks: {make: {verified_tasks: {documents: 150, part_documents: 50}}}
mixtures:
  baseline: {weights: {clean: 1.0}}
  candidate: {weights: {good: 0.8, tasks: 0.2}, max_epochs: 8}
proxy: {tier: t0, tokens: 4k, seeds: 3, held_out_bytes: 10k}
gate: {candidate: candidate, baseline: baseline, on: [held]}
"""
MANY_PARTS = "seed: 2\ndatasets:\n  tasks: {make: {verified_tasks: {documents: 4000, part_documents: 100}}}\n"
ENDS_WELL = (0, 3)  # done; the gate refused or could not decide


@dataclass
class Run:
    """A run in a fork, in a session of its own."""

    folder: Path
    pid: int
    begun: float

    @classmethod
    def start(cls, folder: Path, arguments: Sequence[str]) -> Run:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setsid()
                told = os.open(folder / "told", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(told, 1)
                os.dup2(told, 2)
                os.chdir(folder)
                sys.argv = ["tamis", *arguments]
                code = command()
            finally:
                os._exit(code)
        return cls(folder, pid, time.monotonic())

    def wait(self, *, until: float = MOST_SECONDS) -> int | None:
        """Wait so many seconds from now at most; return the exit code, negative for a signal, None while it runs."""
        deadline = time.monotonic() + until
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None

    def send(self, number: int) -> None:
        """Send a signal to all of its processes; the first may not have its session yet."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            os.kill(self.pid, number)

    def others(self) -> list[int]:
        """Return its processes beside the first."""
        return [pid for pid in Tamis(Path()).alive(self.pid) if pid != self.pid]

    def workers(self) -> list[int]:
        """Return the workers that have started to be some."""
        found = []
        for pid in self.others():
            try:
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
            except OSError:
                continue
        return found

    @property
    def said(self) -> str:
        return (self.folder / "told").read_text(encoding="utf-8", errors="replace")[-400:]


def prepared(folder: Path, recipe: str, arguments: Sequence[str]) -> tuple[dict[str, object], float]:
    """Run a recipe once here and once in a fork; return what results must be, and how many seconds the second took."""
    home = folder / "clean"
    home.mkdir(parents=True)
    (home / "recipe.yaml").write_text(recipe, encoding="utf-8")
    warm({"folder": str(home), "command": list(arguments)})
    run = Run.start(home, arguments)
    code = run.wait()
    assert code in ENDS_WELL, f"{code}: {run.said}"
    return dict(contents(home / "workspace")), time.monotonic() - run.begun


def fresh(folder: Path, recipe: str) -> Path:
    """Return an empty folder with the recipe."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return folder


def killed(folder: Path, *, kills: int, seed: int = 1) -> Played:
    """Kill runs of a whole recipe at random times, each start going on from the last, until so many were killed."""
    played = Played(("other bytes", "not finished", "left behind", "hung"))
    arguments = ["run", "recipe.yaml", "--workers", "1"]
    must, seconds = prepared(folder, WHOLE, arguments)
    draw, again = random.Random(seed), list[float]()
    played.measured["seconds of a run that met nothing"] = seconds
    while played.times["kills"] < kills:
        here = fresh(folder / "now", WHOLE)
        played.times["workspaces"] += 1
        begun, spent = time.monotonic(), 0.0
        while True:
            run = Run.start(here, arguments)
            enough = played.times["kills"] >= kills
            code = run.wait(until=MOST_SECONDS if enough else draw.uniform(0, seconds * draw.choice((0.1, 0.3, 1.2))))
            if code is not None or enough:
                break
            run.send(signal.SIGKILL)
            run.wait()
            played.times["kills"] += 1
            spent = time.monotonic() - begun
        if code is None:
            run.send(signal.SIGKILL)
            run.wait()
            played.breach("hung", run.said)
        elif code not in ENDS_WELL:
            played.breach("not finished", f"{code}: {run.said}")
        elif contents(here / "workspace") != must:
            played.breach("other bytes", run.said)
        elif left := [path for path in (here / "workspace").rglob("*") if path.name.endswith(".tmp")]:
            played.breach("left behind", str(left[:3]))
        again.append(max(0.0, time.monotonic() - begun - seconds) if spent else 0.0)
    redone = sum(again) / max(1, played.times["kills"])
    played.measured["seconds of work and start done again for each kill"] = redone
    return played


def _sent_by_term(run: Run, draw: random.Random, played: Played) -> Callable[[int | None], None]:
    """Stop a run as a schedule does: once, twice, or with SIGKILL ten seconds later."""
    how = draw.choice(("once", "twice", "to all"))
    run.send(signal.SIGTERM) if how == "to all" else os.kill(run.pid, signal.SIGTERM)
    if how == "twice":
        time.sleep(draw.uniform(0, 0.2))
        os.kill(run.pid, signal.SIGTERM)
    played.times[f"SIGTERM {how}"] += 1

    def judge(code: int | None) -> None:
        if code != 143:
            played.breach("another exit code", f"{how}: {code}: {run.said}")

    return judge


def stopped(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Send SIGTERM to runs with workers at random times; nobody stays, and the next run ends with the same bytes."""
    breaches = ("another exit code", "processes left", "over 10 s", "other bytes", "not finished", "nothing said")
    played, draw, seconds = Played(breaches), random.Random(seed), list[float]()
    arguments = ["run", "recipe.yaml", "--workers", "2"]
    must, whole = prepared(folder, MANY_PARTS, arguments)
    for _ in range(times):
        here = fresh(folder / "now", MANY_PARTS)
        run = Run.start(here, arguments)
        if run.wait(until=draw.uniform(0.3, whole)) is not None:
            played.times["ended before"] += 1
            continue
        workers = run.workers()
        judge, begun = _sent_by_term(run, draw, played), time.monotonic()
        code = run.wait()
        while run.others() and time.monotonic() - begun < 20:
            time.sleep(0.01)
        seconds.append(time.monotonic() - begun)
        judge(code)
        if run.others():
            played.breach("processes left", run.said)
            run.send(signal.SIGKILL)
        elif seconds[-1] > 10:
            played.breach("over 10 s", run.said)
        if "run the same command again" not in run.said and code == 143:
            played.breach("nothing said", run.said)
        played.times["workers at work"] += len(workers)
        _goes_on(here, must, played)
    played.measured |= spread("seconds until all are gone", seconds)
    return played


def bereft(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Kill a worker at a random time: it is noticed within 5 s, and the run ends well with the same bytes."""
    played = Played(("hung", "over 5 s", "other bytes", "not finished", "processes left"))
    draw, noticed = random.Random(seed), list[float]()
    arguments = ["run", "recipe.yaml", "--workers", "2"]
    must, whole = prepared(folder, MANY_PARTS, arguments)
    for _ in range(times):
        here = fresh(folder / "now", MANY_PARTS)
        run = Run.start(here, arguments)
        while not (workers := run.workers()) and run.wait(until=0.01) is None:
            continue
        time.sleep(draw.uniform(0, whole / 2))
        workers = run.workers()
        if not workers:
            played.times["ended before"] += 1
            run.wait()
            continue
        victim, begun = draw.choice(workers), time.monotonic()
        os.kill(victim, signal.SIGKILL)
        played.times["workers killed"] += 1
        code = None
        while set(workers) & set(run.workers()) and code is None and time.monotonic() - begun < 30:
            code = run.wait(until=0.005)  # the pool is broken: the other worker ends too, and new ones start
        noticed.append(time.monotonic() - begun)
        code = code if code is not None else run.wait()
        if noticed[-1] > 5:
            played.breach("over 5 s", run.said)
        if code is None:
            run.send(signal.SIGKILL)
            run.wait()
            played.breach("hung", run.said)
        elif code not in ENDS_WELL:
            played.breach("not finished", f"{code}: {run.said}")
        elif contents(here / "workspace") != must:
            played.breach("other bytes", run.said)
        if run.others():
            played.breach("processes left", run.said)
    played.measured |= spread("seconds until it is noticed", noticed)
    return played


def _goes_on(here: Path, must: dict[str, object], played: Played) -> None:
    """Run the same command again, and hold its results against those of a run that met nothing."""
    run = Run.start(here, ["run", "recipe.yaml", "--workers", "1"])
    code = run.wait()
    if code not in ENDS_WELL:
        run.send(signal.SIGKILL) if code is None else None
        played.breach("not finished", f"{code}: {run.said}")
    elif contents(here / "workspace") != must:
        played.breach("other bytes", run.said)
