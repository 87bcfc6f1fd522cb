"""Signals, locks, dead workers and full disks, on real processes: the right exit code, nobody left, and on it goes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline.house import House, contents, files_of, texts, write_lines
from tests.process import Tamis

RECIPE = "seed: 2\ndatasets:\n  tasks: {make: {verified_tasks: {documents: 40000, part_documents: 500}}}\n"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for orphans in /proc")


@pytest.fixture
def tamis(tmp_path: Path) -> Tamis:
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return Tamis(tmp_path)


def started(tamis: Tamis) -> subprocess.Popen[str]:
    """Start a run of about ten seconds and wait until its workers have written the first of its parts."""
    process = tamis.start("run", "recipe.yaml", "--workers", "2")
    while not _works(tamis, process) and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    return process


def _works(tamis: Tamis, process: subprocess.Popen[str]) -> bool:
    return any(tamis.workspace.glob("made/*/part-*")) and len(_workers(process.pid)) == 2


def _workers(session: int) -> list[int]:
    found = []
    for pid in Tamis(Path()).alive(session):
        try:
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def ended(process: subprocess.Popen[str], *, within: float) -> tuple[int, str]:
    """Wait for a process; return its exit code and stderr."""
    try:
        _, told = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, told


def nobody_left(session: int) -> bool:
    deadline = time.monotonic() + 60
    while Tamis(Path()).alive(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Tamis(Path()).alive(session)


@pytest.mark.parametrize("to_all", [False, True], ids=["to the parent", "to the group"])
def test_sigterm_ends_with_143_and_leaves_nobody_behind(tamis: Tamis, to_all: bool):
    process = started(tamis)

    (os.killpg if to_all else os.kill)(process.pid, signal.SIGTERM)

    code, told = ended(process, within=100)
    assert code == 143
    assert "run the same command again to go on" in told and "Traceback" not in told
    assert nobody_left(process.pid)


@pytest.mark.parametrize("module", ["click", "pipeline.cli", "pydantic", "pipeline.plan.make"])
def test_ctrl_c_while_the_program_still_starts_ends_in_one_line(module: str):
    program = f"""
import os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
sys.argv = ["tamis", "plan", "recipes/quickstart.yaml", "--workspace", "/nowhere"]
from pipeline.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_ends_with_130_soon_and_leaves_nobody_behind(tamis: Tamis):
    process = started(tamis)

    os.killpg(process.pid, signal.SIGINT)

    code, told = ended(process, within=100)
    assert code == 130
    assert "run the same command again to go on" in told and "Traceback" not in told
    assert nobody_left(process.pid)


def test_a_second_run_is_refused_with_75_until_kill_9_and_then_goes_on_without_any_unlocking(tamis: Tamis):
    """Readers are never refused."""
    process = started(tamis)
    try:
        refused = tamis.run("run", "recipe.yaml", "--workers", "1")
        assert process.poll() is None, "it waited until the other was done"
        reading = tamis.run("status")

        assert refused.returncode == 75 and refused.stdout == ""
        assert f"in use by process {process.pid} on" in refused.stderr
        assert reading.returncode == 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    recipe = tamis.folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("40000", "400"), encoding="utf-8")

    assert tamis.run("run", "recipe.yaml", "--workers", "1").returncode == 0


def test_a_worker_killed_once_costs_nothing(tamis: Tamis):
    recipe = tamis.folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("40000", "5000"), encoding="utf-8")
    process = started(tamis)

    os.kill(_workers(process.pid)[0], signal.SIGKILL)

    code, told = ended(process, within=200)
    assert code == 0, told
    killed = contents(tamis.workspace)
    shutil.rmtree(tamis.workspace)
    assert tamis.run("run", "recipe.yaml", "--workers", "1").returncode == 0
    assert contents(tamis.workspace) == killed


def lines_recipe(folder: Path) -> None:
    write_lines(folder / "a.jsonl", texts(1200))
    House(folder).clean(["gopher_quality: {min_words: 3}", "exact_dedup"])


def whole_files(workspace: Path) -> bool:
    """Say whether every parquet file at a final name can be read."""
    from pipeline.core.files.parquet.shards import read_table

    return all(read_table(path).num_rows >= 0 for path in workspace.rglob("*.parquet"))


def test_a_write_that_fails_is_named_and_leaves_nothing_half_written(tmp_path: Path):
    """A limit on the size of a file stands for a full disk where no small one can be mounted."""
    lines_recipe(tmp_path)
    tamis = Tamis(tmp_path)
    command = [sys.executable, "-m", "pipeline.cli", "run", "recipe.yaml", "--workers", "1"]

    failed = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=250, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)),
    )  # fmt: skip

    assert failed.returncode == 1
    assert "slice-00000-000.parquet: cannot be written (File too large)" in failed.stderr
    assert (
        "Raise the limit on the size of a file (ulimit -f) and run again" in failed.stderr
        and "Traceback" not in failed.stderr
    )
    assert not list(tamis.workspace.rglob("slice-*")) and not list(tamis.workspace.rglob(".*.tmp"))
    assert tamis.run("run", "recipe.yaml", "--workers", "1").returncode == 0


FULL_DISK = """
set -u
mount -t tmpfs -o size=$1 none disk || exit 99
"$2" -m pipeline.cli run recipe.yaml --workers "$3" --workspace disk/w; echo "first $?"
find disk -name '*.tmp' | sed 's/^/left /'
cp -r disk/w full
mount -o remount,size=64m disk
"$2" -m pipeline.cli run recipe.yaml --workers "$3" --workspace disk/w; echo "second $?"
cp -r disk/w freed
"""


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that had room."""
    folder = tmp_path_factory.mktemp("roomy")
    lines_recipe(folder)
    assert Tamis(folder).run("run", "recipe.yaml", "--workers", "1").returncode == 0
    return files_of(folder / "workspace")


@pytest.mark.parametrize(
    ("size", "workers"),
    [("4k", 1), ("92k", 2), *(pytest.param(size, 1, marks=pytest.mark.slow) for size in ("40k", "72k"))],
)
def test_a_full_disk_is_loud_and_the_run_goes_on_once_there_is_room(tmp_path: Path, roomy, size: str, workers: int):
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    lines_recipe(tmp_path)
    (tmp_path / "disk").mkdir()

    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", FULL_DISK, "sh", size, sys.executable, str(workers)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=250,
        check=False,
    )  # fmt: skip

    if done.returncode == 99:
        pytest.skip("no tmpfs here")
    assert "first 1\n" in done.stdout and "second 0\n" in done.stdout
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert "left " not in done.stdout
    assert whole_files(tmp_path / "full")
    assert files_of(tmp_path / "freed") == roomy
