"""Files that fail, arrive spoilt or rot: every change of a file failed, spoilt inputs read, stored results damaged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.core.errors import TamisError
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.shards import read_table
from pipeline.queries.verify import verify
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.reliability.faults import BREACHES as FAULT_BREACHES
from tests.reliability.faults import COMMANDS, KINDS, build, furnish, server, sweep
from tests.reliability.inputs import MADE, played
from tests.reliability.played import Played


def faults(folder: Path, *, every: int) -> dict[str, Any]:
    """Fail one in so many changes of a file that each command makes, in every way, and run the command again."""
    found: dict[str, Any] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with server(build(folder)) as player:
        for name in COMMANDS:
            swept = sweep(name, folder, player, every=every)
            found[name] = {"points": swept.points, "tried": swept.tried, **{kind: swept.runs[kind] for kind in KINDS}}
            found[name] |= {breach: swept.breaches[breach] for breach in FAULT_BREACHES}
            found[name]["told"] = swept.told
    return found


def inputs(each: int) -> dict[str, Any]:
    """Read so many spoilt files of each kind, in processes with little memory."""
    return {name: dict(sorted(played(name, each).items())) for name in MADE}


def flips(folder: Path, *, times: int) -> Played:
    """Damage one committed file, many times: `verify` must name that file; count how often a plain read notices too."""
    found = Played(("not named",))
    folder.mkdir(parents=True, exist_ok=True)
    furnish(folder)
    run = [sys.executable, "-m", "pipeline.cli", *COMMANDS["run"]]
    subprocess.run(run, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    workspace, draw = Workspace(folder / "workspace"), random.Random(1)
    files = [
        path for card in sorted(workspace.root.glob(f"*/*/{CARD}")) for path in sorted(card.parent.iterdir())
        if path.is_file() and path.stat().st_size
    ]  # fmt: skip
    found.times["files"] = len(files)
    noticed = parts = 0
    for number in range(times):
        way = "a bit flipped" if number % 10 < 7 else ("cut", "swapped", "gone")[number % 10 - 7]
        path, other = draw.sample(files, 2)
        content, others = path.read_bytes(), other.read_bytes()
        if way == "swapped" and content == others:
            continue
        if way == "gone":
            path.unlink()
        elif way == "cut":
            path.write_bytes(content[: draw.randrange(len(content))])
        elif way == "swapped":
            path.write_bytes(others)
            other.write_bytes(content)
        else:
            broken = bytearray(content)
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
            path.write_bytes(broken)
        found.times[way] += 1
        if path.suffix == ".parquet" and way == "a bit flipped":
            parts += 1
            try:
                read_table(path)
            except TamisError:
                noticed += 1
        named = {Path(each["path"]) for each in verify(workspace)["damaged"]}
        if way == "gone" and path.name == CARD:  # without its card a result is unfinished: it is made again
            found.times["of these cards, whose results are made again"] += 1
        elif path not in named and path.with_name(CARD) not in named:  # without a sound card none of its files counts
            found.breach("not named", f"{way}: {path}")
        path.write_bytes(content)
        other.write_bytes(others)
    found.measured["share of flipped bits of tables that a plain read notices"] = noticed / max(1, parts)
    return found
