"""What Tamis promises of reliability, as counts: `figures.json`, and the table of this folder's page from it.

python -m tests.reliability.figures            # play everything in about 40 minutes of two cores, write both
python -m tests.reliability.figures --whole    # every change of a file in place of one in four, in about two hours
python -m tests.reliability.figures --quick    # a few points of each, in a few minutes; write nothing
python -m tests.reliability.figures --rows 6   # what one row of the page rests on, or several: 6,11,13
python -m tests.reliability.figures --table    # the page again from figures.json

The paid requests have their own file, claude.json (`python -m tests.reliability.claude --write`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal

from tests.conftest import ROOT
from tests.reliability.page import PAGE, page_with, table
from tests.reliability.rows import ROWS

FIGURES = Path(__file__).with_name("figures.json")
Size = Literal["quick", "usual", "whole"]
# How many times each proof is played: quick, usual, whole.
TIMES: dict[str, tuple[int, int, int]] = {
    "faults": (40, 4, 1), "inputs": (20, 286, 286), "flips": (20, 1000, 1000), "kills": (5, 500, 500),
    "terms": (3, 60, 100), "dead workers": (3, 60, 100), "starts": (4, 200, 400), "worlds": (2, 12, 40),
    "leaves": (1, 1, 1), "conserved": (2, 60, 200), "mistakes": (1, 1, 1), "executions": (1, 1, 1),
    "poisons": (1, 6, 10), "names": (1, 1, 1), "clocks": (2, 40, 200), "spending": (4, 100, 200),
    "memory": (1, 10, 10), "upgrades": (1, 5, 20),
}  # fmt: skip

LONGEST_FIRST = ("faults", "kills", "terms", "dead workers", *(name for name in TIMES if name not in (
    "faults", "kills", "terms", "dead workers",
)))  # fmt: skip
COMPILED = ("faults", "clocks")  # what needs the shim, and with it a C compiler
AT_ONCE = 2  # proofs at a time, each mostly on one core


def play(name: str, folder: Path, times: int) -> dict[str, Any]:
    """Play one proof so many times, in a folder of its own; the folder need not be there."""
    from tests.reliability import damage, kills, machine, money, poisons, recipes, starts, worlds

    proofs: dict[str, Callable[[], Any]] = {
        "faults": lambda: damage.faults(folder, every=times),
        "inputs": lambda: damage.inputs(times),
        "flips": lambda: damage.flips(folder, times=times),
        "kills": lambda: kills.killed(folder, kills=times),
        "terms": lambda: kills.stopped(folder, times=times),
        "dead workers": lambda: kills.bereft(folder, times=times),
        "starts": lambda: starts.played(folder, times=times),
        "worlds": lambda: worlds.worlds(folder, times=times),
        "leaves": lambda: worlds.leaves(folder),
        "conserved": lambda: worlds.conserved(folder, recipes=times),
        "mistakes": lambda: recipes.mistakes(folder),
        "executions": lambda: recipes.executions(folder),
        "poisons": lambda: poisons.documents(folder, good=350 * times, each=times),
        "names": lambda: poisons.names(folder),
        "clocks": lambda: machine.clocks(folder, times=times),
        "spending": lambda: money.spending(folder, times=times),
        "memory": lambda: machine.memory(folder, times=times),
        "upgrades": lambda: machine.upgrades(folder, times=times),
    }
    found = proofs[name]()
    return found if isinstance(found, dict) else dict(found.as_data())


def apart(name: str, times: int) -> dict[str, Any]:
    """Play a proof in a process of its own, which limits and forks leave as it ends."""
    folder = Path(tempfile.mkdtemp())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.reliability.figures", "--play", name, str(times), str(folder / "told.json")]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stdout[-1000:]} {done.stderr[-3000:]}")
        return dict(json.loads((folder / "told.json").read_text(encoding="utf-8")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def all_of(size: Size, *, proofs: Iterable[str], tests: Iterable[str], known: dict[str, Any]) -> dict[str, Any]:
    """Play proofs and run tests; return the figures with those of before where nothing was played."""
    from tests.reliability.by_tests import run
    from tests.reliability.faults import can_build

    found = {"proofs": {}, "tests": {}, **known}
    at = ("quick", "usual", "whole").index(size)
    chosen = [name for name in LONGEST_FIRST if name in set(proofs) and (name not in COMPILED or can_build())]
    with ThreadPoolExecutor(AT_ONCE) as lanes:
        playing = {lanes.submit(apart, name, TIMES[name][at]): name for name in chosen}
        for done in as_completed(playing):
            name, data = playing[done], done.result()
            sys.stdout.write(f"{name}: {data.get('times', '')} {data.get('broken', '')} {data.get('told', '')}\n")
            sys.stdout.flush()
            if name in ("faults", "inputs"):
                found[name] = data
            else:
                found["proofs"] = {each: data if each == name else found["proofs"][each]
                                   for each in TIMES if each == name or each in found["proofs"]}  # fmt: skip
            yield_to(found, size)
    if wanted := list(tests):
        found["tests"] = {**found["tests"], **run(wanted)}
        yield_to(found, size)
    return found


def yield_to(found: dict[str, Any], size: Size) -> None:
    """Keep what was found so far: a night that is cut off loses one proof."""
    if size != "quick":
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


def main() -> None:
    """Play, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few points of each; write nothing")
    parser.add_argument("--whole", action="store_true", help="every change of a file")
    parser.add_argument("--table", action="store_true", help="play nothing; write the page from figures.json")
    parser.add_argument("--rows", metavar="NUMBERS", help="some of the 32 rows, with commas between")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {', '.join(TIMES)}, `tests`; commas between")
    parser.add_argument("--play", nargs=3, metavar=("NAME", "TIMES", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        name, times, told = options.play
        data = play(name, Path(told).parent / "played", int(times))
        Path(told).write_text(json.dumps(data), encoding="utf-8")
        return
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    size: Size = "quick" if options.quick else "whole" if options.whole else "usual"
    rows = [row for row in ROWS if options.rows is None or str(row.number) in options.rows.split(",")]
    proofs = dict.fromkeys(
        "faults" if name in ("power cuts", "no space") else name for row in rows for name in row.proofs
    )
    tests = dict.fromkeys(name for row in rows for name in row.tests)
    if options.only is not None:
        chosen = options.only.split(",")
        proofs, tests = dict.fromkeys(name for name in proofs if name in chosen), tests if "tests" in chosen else {}
    if options.table:
        yield_to(known, "usual")
        found = known
    else:
        found = all_of(size, proofs=proofs, tests=tests, known=known)
    sys.stdout.write(table(found) + "\n")


if __name__ == "__main__":
    main()
