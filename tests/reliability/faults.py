"""Every change of a file that a command makes, failed once in every way; then the same command again.

A promise is broken where a faulted command ends with 0 and lacks something, says nothing of what went wrong, hangs, or
where the command that follows does not end with the bytes of one that met no fault.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.errors import TamisError
from pipeline.core.files.card import read_card, verify_files
from tests.conftest import ROOT

SOURCE = Path(__file__).with_name("faults.c")
KINDS = {"kill": 1, "no space": 2, "device error": 3, "short write": 4, "power cut": 5}  # as faults.c has them
BREACHES = ("false success", "nothing said", "hung", "other bytes", "not finished")

RECIPE = """# tamis run recipe.yaml
name: small
seed: 5
sources: {docs: {read: jsonl, path: docs.jsonl}, more: {read: jsonl, path: more.jsonl}}
datasets:
  clean: {from: docs, steps: [gopher_quality: {min_words: 3}, c4_quality: {min_sentences: 1}, exact_dedup]}
  tasks: {make: {verified_tasks: {documents: 20, part_documents: 10}}}
"""


def furnish(folder: Path) -> None:
    """Write the recipe and its texts."""
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    for name in ("docs", "more"):
        rows = [
            {"id": f"{name}{n}", "text": f"The rain of {name} number {n % 9} falls on the river and the sea. It ends."}
            for n in range(12)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


COMMANDS: Mapping[str, Sequence[str]] = {
    "run": ("run", "recipe.yaml", "--workers", "1"),
    "measure": (
        "measure",
        "docs.jsonl",
        "--steps",
        "gopher_quality,c4_quality",
        "--out",
        "measured.parquet",
        "--overwrite",
        "--workers",
        "1",
    ),
    "export": ("export", "clean", "--to", "out", "--workers", "1"),
}
AFTER = {"export": "run"}  # what must have run before


@dataclass
class Swept:
    """What became of the points of one command."""

    points: int = 0
    tried: int = 0
    runs: Counter[str] = field(default_factory=Counter)  # by kind
    breaches: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)


class Player:
    """The server of faults, as a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of faults ended with {self.process.wait()}")
        return dict(json.loads(answer))


def can_build() -> bool:
    """Say whether there is a C compiler, and a loader that preloads."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def build(folder: Path) -> Path:
    """Compile the shim; return the library."""
    library = folder / "faults.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


@contextmanager
def server(library: Path) -> Iterator[Player]:
    """Start the server of faults for as long as it is needed."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.reliability.faulty"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Player(process)
        finally:
            process.kill()


def sweep(name: str, folder: Path, player: Player, *, every: int = 1, kinds: Sequence[str] = tuple(KINDS)) -> Swept:
    """Fail a command at every `every`-th point, in every way."""
    home = folder / name
    home.mkdir()
    furnish(home)
    case = {"command": list(COMMANDS[name]), "at": 0, "kind": 0, "lasting": False}
    if name in AFTER:
        before = {**case, "command": list(COMMANDS[AFTER[name]]), "folder": str(home)}
        player({**before, "warm": True})
        player({**before, "below": str(home)})
    player({**case, "folder": str(home), "warm": True})
    here = _copy(home, folder / "now")
    clean = player({**case, "folder": str(here), "below": str(here)})
    assert clean["code"] == 0, clean["said"]
    must = bytes_of(here)
    shutil.rmtree(here)
    swept = Swept(points=clean["points"])
    for number in range(1, clean["points"] + 1, every):
        swept.tried += 1
        for kind in kinds:
            for lasting in (False, True) if kind == "no space" else (False,):
                here = _copy(home, folder / "now")
                at = {"folder": str(here), "below": str(here), "at": number, "kind": KINDS[kind], "lasting": lasting}
                faulted = player({**case, **at})
                lacks = faulted["code"] == 0 and not must.items() <= bytes_of(here).items()
                again = player({**case, "folder": str(here), "below": str(here)})
                swept.runs[kind] += 1
                for breach in judged(faulted, again, lacks=lacks, must=must, here=here):
                    swept.breaches[breach] += 1
                    how = f"{name}, point {number}, {kind}{' from there on' if lasting else ''}"
                    said = " | ".join(
                        f"{each['code']}/{each['signal']} {each['said'][-300:]}" for each in (faulted, again)
                    )
                    swept.told.append(f"{how}: {breach}: {said}")
                shutil.rmtree(here)
    return swept


def judged(
    faulted: Mapping[str, Any], again: Mapping[str, Any], *, lacks: bool, must: Mapping[str, bytes], here: Path
) -> Iterator[str]:
    """Yield what a faulted command and the one after it did wrong."""
    if signal.SIGALRM in (faulted["signal"], again["signal"]):
        yield "hung"
        return
    if lacks:
        yield "false success"
    if faulted["code"] > 0 and (not str(faulted["said"]).strip() or "Traceback" in faulted["said"]):
        yield "nothing said"
    if again["code"] != 0:
        yield "not finished"
    elif bytes_of(here) != must:
        yield "other bytes"


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return what a command left: for results their content, which is checked, for other files their bytes."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name == "card.json":
            try:
                card = read_card(path.parent)
                verify_files(path.parent, card)
                found[name] = card.content.encode()
            except TamisError as error:
                found[name] = str(error).encode()
        elif path.is_file() and not name.startswith("workspace/"):
            found[name] = path.read_bytes()
    return found


def _copy(home: Path, there: Path) -> Path:
    shutil.copytree(home, there)
    return there
