"""What a schedule sees of every way to end: 25 commands as cron starts them, and the exit code of each.

No terminal, no input, an empty environment, a home that cannot be written to, an umask of its own. One workspace is
prepared for all, so that none of them measures anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.results import close
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.pipeline.house import write_lines

SOURCE = "sources: {docs: {read: jsonl, path: docs.jsonl}}\n"
CLEAN = SOURCE + "datasets: {clean: {from: docs, steps: [exact_dedup]}}\n"
GATE = """
sources: {docs: {read: jsonl, path: docs.jsonl}, other: {read: jsonl, path: other.jsonl}}
datasets: {held: {from: other}, clean: {from: docs, steps: [exact_dedup]}}
mixtures: {a: {weights: {clean: 1}}, b: {weights: {clean: 1}, max_epochs: 2}}
proxy: {tokens: 4k}
gate: {candidate: b, baseline: a, on: [held]}
promote: {as: web}
"""
RECIPES = {
    "good.yaml": CLEAN,
    "alarm.yaml": CLEAN.replace("exact_dedup", "exact_dedup: {max_drop_fraction: 0.1}"),
    "step.yaml": CLEAN.replace("exact_dedup", "exact_dedupe"),
    "key.yaml": CLEAN + "sedd: 3\n",
    "twice.yaml": CLEAN + CLEAN,
    "no_files.yaml": CLEAN.replace("docs.jsonl", "none.jsonl"),
    "rubbish.yaml": CLEAN.replace("docs.jsonl", "rubbish.jsonl"),
    "empty.yaml": CLEAN.replace("docs.jsonl", "empty.jsonl"),
    "slow.yaml": SOURCE + "datasets: {slow: {from: docs, steps: [sleeps]}}\n",
    "gate.yaml": GATE,
}
PLUGIN = """
import time
import pyarrow as pa
from tamis import Measured, MeasuringStep, Signal

class Sleeps(MeasuringStep):
    "Sleeps until it is stopped."
    name = "sleeps"
    signals = (Signal("x", pa.int64(), "none", "Nothing."),)
    def measure(self, batch):
        open("sleeping", "w").close()
        time.sleep(60)
        return Measured({"x": [0] * len(batch)})
    def rules(self, *, quantile):
        return ()
"""
SLOW = "run slow.yaml --plugin sleeps.py --workers 1"
ENDS = {
    "--version": 0,
    "-h": 0,
    "run good.yaml": 0,
    "run good.yaml --json --log log --metrics m.prom --summary s.md": 0,
    "plan good.yaml": 0,
    "status --json": 0,
    "verify": 0,
    "run good.yaml --on-finish no-such-command": 0,
    "run alarm.yaml": 1,
    "run rubbish.yaml": 1,
    "run empty.yaml": 1,
    "verify -w damaged": 1,
    "run missing.yaml": 2,
    "run step.yaml": 2,
    "run key.yaml": 2,
    "run twice.yaml": 2,
    "run no_files.yaml": 2,
    "run good.yaml --memory much": 2,
    "run good.yaml --skip-code": 2,
    "run good.yaml --new-only": 2,
    "rnu good.yaml": 2,
    "run good.yaml -w docs.jsonl": 2,
    "promote gate.yaml": 3,
    SLOW + " --max-hours 0.001": 4,
    "run good.yaml -w busy": 75,
}


def cron(folder: Path, command: str) -> subprocess.Popen[str]:
    """Start a command as cron does: through no shell, with next to nothing around it."""
    home = folder / "home"
    home.mkdir(exist_ok=True, mode=0o500)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT), "LOGNAME": "nobody"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *command.split()], cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, umask=0o077,
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cron")
    for name, text in RECIPES.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_lines(folder / "docs.jsonl", ["one text", "another text", "one text"])
    write_lines(folder / "other.jsonl", ["a third text"])
    (folder / "rubbish.jsonl").write_text("rubbish\n", encoding="utf-8")
    (folder / "empty.jsonl").touch()
    (folder / "sleeps.py").write_text(PLUGIN, encoding="utf-8")
    for place in ("workspace", "damaged"):
        process = cron(folder, f"run good.yaml -w {place} --workers 1")
        out, told = process.communicate(timeout=240)
        assert process.returncode == 0, out + told
    with contextlib.chdir(folder):  # a mixture that no gate has judged, as if it were mixed
        plan = make_plan(load_recipe(Path("gate.yaml")), Workspace(folder / "workspace"))
        assert plan.experiment is not None
        mixture = plan.experiment.mixtures["b"]
        mixture.folder.mkdir(parents=True)
        close(mixture, {}, rows_in=0, rows_out=0)
    part = next((folder / "damaged").glob("dataset/clean-*/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    return folder


@pytest.mark.few
def test_twenty_five_ends_have_the_right_exit_code_as_cron_sees_them(prepared: Path, record_property: Any) -> None:
    found, told = dict[str, int](), dict[str, str]()
    with Workspace(prepared / "busy").locked():
        for command in ENDS:
            process = cron(prepared, command)
            out, err = process.communicate(timeout=120)
            found[command], told[command] = process.returncode, out + err

    record_property("times", len(ENDS))
    assert len(ENDS) == 25
    wrong = {command: (code, ENDS[command], told[command]) for command, code in found.items() if code != ENDS[command]}
    assert not wrong
    assert all(text.strip() for text in told.values()) and not any("Traceback" in text for text in told.values())
    assert not [path for path in (prepared / "home").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_a_schedule_stops_tells_of_it_within_ten_seconds(prepared: Path, number: int, code: int) -> None:
    (prepared / "sleeping").unlink(missing_ok=True)
    process = cron(prepared, f"{SLOW} -w {number:d} --metrics {number:d}.prom")
    while not (prepared / "sleeping").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)

    begun = time.monotonic()
    os.kill(process.pid, number)
    process.communicate(timeout=20)

    assert process.returncode == code and time.monotonic() - begun < 10
    text = (prepared / f"{number:d}.prom").read_text(encoding="utf-8")
    assert f'tamis_run_exit_code{{recipe="slow"}} {code}\n' in text and "last_success" not in text
