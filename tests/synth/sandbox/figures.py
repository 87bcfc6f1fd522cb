"""What boxes hold and how fast they are, as counts: `synth/sandbox/figures.json`.

python -m tests.synth.sandbox.figures          # play every attack and cheat, and measure; print (about a minute)
python -m tests.synth.sandbox.figures --write  # write the file; as root it also plays as a user without rights
python -m tests.synth.sandbox.figures --write --speed  # what was played as the file has it, measured anew
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.process.box import Builder
from synth.sandbox.sandbox import Execution, Sandbox
from synth.sandbox.values import Value
from tests.synth.sandbox.cheats import CHEATS
from tests.synth.sandbox.matrix import ATTACKS, escapes_from_boxes, escapes_without_a_box, living_below

ROOT = Path(__file__).resolve().parents[3]
FIGURES = ROOT / "synth" / "sandbox" / "figures.json"
PAGE = ROOT / "synth" / "README.md"
MARKER = "[`sandbox/figures.json`](sandbox/figures.json)):\n  "
BUILDERS: tuple[Builder, ...] = ("namespaces", "bubblewrap")
NOBODY = 65534
EXECUTIONS, ROUNDS = 300, 8
CODE = "def solve(items):\n    return sorted(items)\n"


def main() -> None:
    """Print the figures, or write them."""
    parser = argparse.ArgumentParser(description="Attacks on boxes, and executions a second.")
    parser.add_argument("--write", action="store_true", help=f"write {FIGURES.relative_to(ROOT)}")
    parser.add_argument("--as-it-is", action="store_true", help="this user alone")
    parser.add_argument("--speed", action="store_true", help="measure, and play nothing")
    asked = parser.parse_args()
    if asked.speed:
        played = json.loads(FIGURES.read_text(encoding="utf-8"))["by"]
    else:
        played = {_who(): _as_this_user()}
        if not asked.as_it_is and os.geteuid() == 0:
            played |= _as_nobody()
    text = json.dumps(played if asked.as_it_is else _figures(played), indent=1) + "\n"
    if asked.write:
        FIGURES.write_text(text, encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        before, _, after = page.partition(MARKER)
        PAGE.write_text(
            before + MARKER + sentences(json.loads(text)) + "\n" + after.partition("\n")[2], encoding="utf-8"
        )
    else:
        sys.stdout.write(text)


def sentences(figures: dict[str, Any]) -> str:
    """Return the figures as the room's page tells them."""
    tried, by = figures["attacks"] + figures["cheats"], figures["by"]
    escaped = sum(len(each["escapes"]) for one in by.values() for name, each in one.items() if name in BUILDERS)
    bare = " and ".join(f"{one['without a box']['escapes']} as {who}" for who, one in by.items())
    fast = " and ".join(
        f"{each['executions per second']} by {name} ({each['processor ms each']:.1f} ms of processor each)"
        for name, each in figures["speed"].items()
    )
    return (
        f"of {figures['attacks']} attacks and {figures['cheats']} cheats {escaped} escape; without a box {bare}, of "
        f"{tried}. Executions a second, two warm boxes on {figures['machine']['cores']} cores "
        f"that had other work (a load of {figures['machine']['load_before']:.0f} before): {fast}."
    )


def _figures(played: dict[str, Any]) -> dict[str, Any]:
    return {
        "attacks": len(ATTACKS), "cheats": len(CHEATS), "by": played, "speed": _speeds(),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release().split("-")[0],
                    "python": platform.python_version(), "load_before": round(os.getloadavg()[0], 1)},
    }  # fmt: skip


def _who() -> str:
    return "root" if os.geteuid() == 0 else "user"


def _as_this_user() -> dict[str, Any]:
    """Return what escaped from the boxes of each builder, and what went well for how many without one."""
    found: dict[str, Any] = {builder: _in_a_folder(_escapes(builder)) for builder in builders()}
    bare = _in_a_folder(escapes_without_a_box)
    stopped = sorted({*ATTACKS, *CHEATS} - set(bare))
    return {**{name: {"escapes": escaped} for name, escaped in found.items()},
            "without a box": {"escapes": len(bare), "stopped by the system": stopped}}  # fmt: skip


def builders() -> list[Builder]:
    """Return who could build a box here."""
    return [name for name in BUILDERS if name != "bubblewrap" or shutil.which("bwrap")]


def _escapes(builder: Builder) -> Callable[[Path], list[str]]:
    return lambda folder: escapes_from_boxes(folder, builder=builder)


def _in_a_folder(play: Callable[[Path], list[str]]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return play(Path(folder))


def _as_nobody() -> dict[str, Any]:
    """Return the same of a user without rights, by the system's Python: nobody may not reach root's own."""
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    if python is None:
        return {}
    command = [python, "-B", "-m", "tests.synth.sandbox.figures", "--as-it-is"]
    ran = subprocess.run(
        command, cwd=ROOT, user=NOBODY, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE, check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
    )  # fmt: skip
    return dict(json.loads(ran.stdout))


def _speeds() -> dict[str, Any]:
    return {builder: speed(builder) for builder in builders()}


def speed(builder: Builder) -> dict[str, float]:
    """Return how many small executions two warm boxes do in a second, each a process of its own with two calls.

    The best of some rounds counts: other work on the machine only takes. Beside it the processor time of each in
    milliseconds, of all processes together.
    """
    with Sandbox(builders=[builder]) as sandbox:
        rounds = [_measured(sandbox) for _ in range(ROUNDS)]
    wall_seconds, cpu_seconds = min(rounds)
    return {
        "executions per second": round(EXECUTIONS / wall_seconds),
        "processor ms each": round(1e3 * cpu_seconds / EXECUTIONS, 2),
    }


def _measured(sandbox: Sandbox) -> tuple[float, float]:
    jobs = [Execution(CODE, "solve", [[[3, 1, 2, each]], [[each, 2]]]) for each in range(EXECUTIONS)]
    used, began = _processor_seconds(), time.perf_counter()
    outcomes = list(sandbox.execute_all(jobs))
    wall_seconds, cpu_seconds = time.perf_counter() - began, _processor_seconds() - used
    assert outcomes[7] == [Value([1, 2, 3, 7]), Value([2, 7])]
    return wall_seconds, cpu_seconds


def _processor_seconds() -> float:
    """Return what this process, those below it, and those of them that ended have used."""
    ticks = 0
    for process in {os.getpid()} | living_below(os.getpid()):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
