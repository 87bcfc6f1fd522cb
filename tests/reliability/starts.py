"""Two runs in one workspace: started at one instant, beside a holder that sleeps, after one that was killed, and with
the file of the lock removed. One of them works, the other is told who does, within two seconds."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

from tests.pipeline.house import contents
from tests.reliability.kills import MOST_SECONDS, Run, fresh, prepared
from tests.reliability.played import Played, spread

RECIPE = "seed: 2\ndatasets:\n  tasks: {make: {verified_tasks: {documents: 1500, part_documents: 100}}}\n"
ARGUMENTS = ("run", "recipe.yaml", "--workers", "1")
BUSY = 75
REFUSED_SECONDS = 2.0


def played(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Start two runs in one workspace so many times, in each of four ways."""
    found = Played(("two writers", "nobody wrote", "not refused in time", "nobody named", "other bytes", "locked out"))
    must, _ = prepared(folder, RECIPE, ARGUMENTS)
    draw, refusals = random.Random(seed), list[float]()
    for number in range(times):
        here = fresh(folder / "now", RECIPE)
        for way in (_at_once, _asleep, _killed, _unlocked)[number % 4 :][:1]:
            way(here, found, draw, refusals)
        left = Run.start(here, ARGUMENTS)
        if left.wait() != 0:
            found.breach("locked out", left.said)
        elif contents(here / "workspace") != must:
            found.breach("other bytes", left.said)
    found.measured |= spread("seconds until the other is refused", refusals)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _at_once(here: Path, found: Played, draw: random.Random, refusals: list[float]) -> None:
    found.times["at one instant"] += 1
    runs = [_apart(here, "a"), _apart(here, "b")]
    codes: dict[int, int | None] = {}
    ends: dict[int, float] = {}
    while len(codes) < 2:
        for index, run in enumerate(runs):
            if index not in codes and (code := run.wait(until=0.002)) is not None:
                codes[index], ends[index] = code, time.monotonic() - run.begun
    if sorted(codes.values(), key=str) == [0, 0]:
        found.breach("two writers", " | ".join(run.said for run in runs))
    elif 0 not in codes.values():
        found.breach("nobody wrote", f"{codes}")
    else:
        loser = next(index for index in codes if codes[index] != 0)
        _judge_refusal(runs[loser], codes[loser], ends[loser], found, refusals)


def _asleep(here: Path, found: Played, draw: random.Random, refusals: list[float]) -> None:
    """A holder that is stopped keeps its lock, and goes on when it is woken."""
    found.times["the holder is stopped"] += 1
    holder = _holding(here, draw)
    holder.send(signal.SIGSTOP)
    _refused(here, found, refusals)
    holder.send(signal.SIGCONT)
    if holder.wait() != 0:
        found.breach("nobody wrote", holder.said)


def _killed(here: Path, found: Played, draw: random.Random, refusals: list[float]) -> None:
    """After a kill the next start, which `played` makes, must not be locked out."""
    found.times["the holder is killed"] += 1
    holder = _holding(here, draw)
    holder.send(signal.SIGKILL)
    holder.wait()


def _unlocked(here: Path, found: Played, draw: random.Random, refusals: list[float]) -> None:
    """Somebody removes the file of the lock, as users do who think that it is stale."""
    found.times["the lock's file is removed"] += 1
    holder = _holding(here, draw)
    for name in ("lock", "lock.json"):
        (here / "workspace" / name).unlink(missing_ok=True)
    _refused(here, found, refusals, named=False)
    if holder.wait() != 0:
        found.breach("nobody wrote", holder.said)


def _holding(here: Path, draw: random.Random) -> Run:
    holder = Run.start(here, ARGUMENTS)
    deadline = time.monotonic() + MOST_SECONDS
    while not (here / "workspace" / "lock.json").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.1))
    return holder


def _refused(here: Path, found: Played, refusals: list[float], *, named: bool = True) -> None:
    second = _apart(here, "second")
    code = second.wait()
    _judge_refusal(second, code, time.monotonic() - second.begun, found, refusals, named=named)


def _judge_refusal(
    run: Run, code: int | None, seconds: float, found: Played, refusals: list[float], *, named: bool = True
) -> None:
    refusals.append(seconds)
    if code == 0:
        found.breach("two writers", run.said)
    elif code != BUSY or seconds > REFUSED_SECONDS:
        found.breach("not refused in time", f"{code} after {seconds:.1f} s: {run.said}")
    elif named and "in use by process" not in run.said:
        found.breach("nobody named", run.said)


def _apart(here: Path, name: str) -> Run:
    """Start a run whose words go to a file of its own."""
    told = here / f"at-{name}"
    told.mkdir()
    for each in ("recipe.yaml", "workspace"):
        (told / each).symlink_to(here / each)
    (here / "workspace").mkdir(exist_ok=True)
    return Run.start(told, ARGUMENTS)
