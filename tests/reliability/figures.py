"""What Tamis promises of reliability, as counts: `figures.json`, and the table of this folder's page from it.

python -m tests.reliability.figures            # play everything in about an hour of one core, write both
python -m tests.reliability.figures --quick    # a few points of each, in about a minute; write nothing
python -m tests.reliability.figures --table    # the page again from figures.json

The paid requests have their own file, claude.json (`python -m tests.reliability.claude --write`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files.names import CARD
from pipeline.queries.verify import verify
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.reliability import claude
from tests.reliability.faults import BREACHES, COMMANDS, KINDS, build, can_build, furnish, server, sweep
from tests.reliability.inputs import MADE, played

FIGURES = Path(__file__).with_name("figures.json")
PAGE = Path(__file__).with_name("README.md")
MARKER = "<!-- figures -->"
Figures = dict[str, Any]


def faults(folder: Path, *, quick: bool, every: int = 1) -> Figures:
    """Fail every change of a file that each command makes, in every way, and run the command again."""
    found: Figures = {}
    with server(build(folder)) as player:
        for name in COMMANDS:
            swept = sweep(name, folder, player, every=(97 if name == "run" else 23) if quick else every)
            found[name] = {"points": swept.points, "tried": swept.tried, **{kind: swept.runs[kind] for kind in KINDS}}
            found[name] |= {breach: swept.breaches[breach] for breach in BREACHES}
            found[name]["told"] = swept.told
    return found


def inputs(folder: Path, *, quick: bool, every: int = 1) -> Figures:
    """Read 2,000 spoilt files, in processes with little memory."""
    return {name: dict(sorted(played(name, 20 if quick else 2000 // len(MADE) + 1).items())) for name in MADE}


def flips(folder: Path, *, quick: bool, every: int = 1) -> Figures:
    """Flip one bit of one committed file, many times; count how often `verify` names that file."""
    furnish(folder)
    run = [sys.executable, "-m", "pipeline.cli", *COMMANDS["run"]]
    subprocess.run(run, cwd=folder, env=_environment(), check=True, capture_output=True)
    workspace, draw, told = Workspace(folder / "workspace"), random.Random(1), Counter[str]()
    files = [
        path for card in sorted(workspace.root.glob(f"*/*/{CARD}")) for path in sorted(card.parent.iterdir())
        if path.is_file() and path.stat().st_size
    ]  # fmt: skip
    for _ in range(20 if quick else 1000):
        path = draw.choice(files)
        content = path.read_bytes()
        broken = bytearray(content)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        told["named" if str(path) in {each["path"] for each in verify(workspace)["damaged"]} else "missed"] += 1
        path.write_bytes(content)
    return {"files": len(files), "flipped": told.total(), "named": told["named"], "missed": told["missed"]}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


PLAYED: Mapping[str, Callable[..., Figures]] = {"faults": faults, "inputs": inputs, "flips": flips}


def play(*, quick: bool, every: int = 1, only: str | None = None) -> Figures:
    """Play everything, each in a folder of its own; what cannot be built here is left out."""
    found: Figures = {}
    for name, played_by in PLAYED.items():
        if (only is not None and name not in only.split(",")) or (name == "faults" and not can_build()):
            continue
        folder = Path(tempfile.mkdtemp())
        try:
            found[name] = played_by(folder, quick=quick, every=every)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def table(figures: Figures) -> str:
    """Return the table of what was tried, and of what broke a promise."""
    rows = [["what is done to it", "times", "promises broken"]]
    for name, counts in _in_order(COMMANDS, figures.get("faults", {})):
        broken = ", ".join(f"{counts[breach]} {breach}" for breach in BREACHES if counts[breach]) or "0"
        times = ", ".join(f"{counts[kind]:,} x {kind}" for kind in KINDS)
        what = f"`tamis {name}`: {counts['tried']:,} of its {counts['points']:,} changes of files fail once"
        rows.append([what, times, broken])
    for name, counts in _in_order(MADE, figures.get("inputs", {})):
        wrong = {why: n for why, n in counts.items() if why.startswith(("raised", "crashed", "not named"))}
        rows.append([f"a spoilt {name} file is read", f"{sum(counts.values()):,}", _told(wrong)])
    if found := figures.get("flips"):
        rows.append(
            ["a bit of a stored file flips, then `tamis verify`", f"{found['flipped']:,}", str(found["missed"])]
        )
    paid = json.loads(claude.COUNTS.read_text(encoding="utf-8"))
    for kind, title in claude.KINDS.items():
        sums = Counter[str]()
        for counts in paid[kind].values():
            sums.update(counts)
        wrong = {breach: sums[breach] for breach in ("lost", "bought twice", "above the cap") if sums[breach]}
        what = f"a run that buys by {title} is killed at {len(paid[kind])} ways of the server to answer"
        rows.append([what, f"{sums['killed']:,} kills, {sums['requests']:,} requests", _told(wrong)])
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def _in_order(names: Iterable[str], found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is found by name in the order of the names, however a file has it."""
    return ((name, found[name]) for name in names if name in found)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {why}" for why, count in counts.items()) or "0"


def page_with(page: str, figures: Figures) -> str:
    """Return the page with the table between its two markers."""
    before, _, after = page.split(MARKER)
    return f"{before}{MARKER}\n{table(figures)}\n{MARKER}{after}"


def main() -> None:
    """Play, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few points of each; write nothing")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one in so many changes of files fails")
    parser.add_argument("--table", action="store_true", help="play nothing; write the page from figures.json")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {', '.join(PLAYED)}, with commas between")
    options = parser.parse_args()
    known = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    figures = known if options.table else known | play(quick=options.quick, every=options.every, only=options.only)
    told = [line for each in figures.get("faults", {}).values() for line in each["told"]]
    sys.stdout.write("\n".join([*told, table(figures)]) + "\n")
    if not options.quick:
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
