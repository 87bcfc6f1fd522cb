"""A recipe on a cluster of three machines: one is lost and the run is killed, and every result is the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import DataError, RecipeError, ServiceError
from pipeline.core.process import keys
from pipeline.engine.executors import Need
from pipeline.engine.on_ray import OnRay, versions
from tests.pipeline.engine.on_cluster import furnished, wait_for
from tests.pipeline.house import contents, files_of
from tests.test_docs import block, run

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # three machines on the cores of one

CANARY = "sk-ant-canary-of-this-test"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three machines of one core each, as far as Ray can tell."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    found = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    found.lost = [found.add_node(**node) for _ in range(2)]
    yield found
    found.shutdown()


@pytest.fixture
def on_ray(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnRay]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    executor = OnRay(address=cluster.address, folder=tmp_path)
    yield executor
    executor.close()


def secrets(_: int) -> tuple[str, int]:
    return os.environ.get("ANTHROPIC_API_KEY", ""), Path("/proc/self/environ").read_bytes().count(CANARY.encode())


def refuse(number: int) -> int:
    error = DataError(f"shard {number}: is broken. Replace it.")
    error.add_note("seen in a test")
    raise error


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def last(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def folder_of(_: int) -> str:
    return str(Path.cwd())


def test_tasks_of_a_cluster_behave_as_those_of_this_machine(on_ray: OnRay, cluster: Any, tmp_path: Path):
    told = signal.getsignal(signal.SIGTERM)
    heard: list[int] = []

    assert on_ray.map(abs, range(-50, 0), label="sizes", done=heard.append) == list(range(50, 0, -1))
    assert sorted(heard) == list(range(1, 51))
    assert on_ray.map(secrets, range(6), label="secrets") == [("", 0)] * 6
    assert on_ray.map(folder_of, range(3), label="folders") == [str(Path.cwd())] * 3
    with pytest.raises(DataError, match=r"shard \d: is broken") as caught:
        on_ray.map(refuse, range(4), label="refused")
    assert caught.value.__notes__ == ["seen in a test"]
    with pytest.raises(ServiceError, match=r"dying: the worker died 5 times on item 3 .* what is done stays done"):
        on_ray.map(die_at_three, range(6), label="dying")
    assert (on_ray.room(Need()), on_ray.workers, on_ray.gpus) == (3, 1, 0)
    with pytest.raises(RecipeError, match=r"no machine of the cluster has room for a task of 1 CPUs, 1 GPUs"):
        on_ray.map(abs, [1], label="trained", need=Need(gpus=1))
    assert signal.getsignal(signal.SIGTERM) is told and os.environ["ANTHROPIC_API_KEY"] == CANARY
    assert set(keys.VARIABLES) & set(os.environ) == {"ANTHROPIC_API_KEY"}
    (tamis, same), (python, here), *code = versions()
    on_ray._home = replace(on_ray._home, versions=((tamis, same), (python, "2.7.18"), *code))
    with pytest.raises(ServiceError, match=rf"has Python {here}, and the run was started with 2\.7\.18"):
        on_ray.map(abs, [1], label="on another Python")


def test_a_task_waits_for_a_machine_that_has_room_but_not_for_ever(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TAMIS_RAY_WAIT_SECONDS", "30")
    patient, need = OnRay(address=cluster.address, folder=tmp_path), Need(gpus=1)
    with ThreadPoolExecutor(1) as thread:  # while the cluster changes in this one
        grown = thread.submit(patient.map, last, [0.0, 0.1], label="grown", need=need)
        time.sleep(1)
        come = cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=80 << 20)
        assert grown.result(timeout=60) == [0.0, 0.1]
        patient.close()

        monkeypatch.setenv("TAMIS_RAY_WAIT_SECONDS", "4")
        waiting, started = OnRay(address=cluster.address, folder=tmp_path), time.monotonic()
        shrunk = thread.submit(waiting.map, last, [600.0], label="shrunk", need=need)
        time.sleep(1)
        cluster.remove_node(come, allow_graceful=False)
        told = r"room for a task of 1 CPUs, 1 GPUs .*; the largest of \d has 1 CPUs .* None came in \d+ s\. Start one"
        with pytest.raises(ServiceError, match=told):
            shrunk.result(timeout=60)
    assert time.monotonic() - started < 60
    waiting.close()


def test_a_lost_machine_and_a_killed_run_change_no_byte(cluster: Any, tmp_path: Path):
    one, many = furnished(tmp_path / "one", proxies=True), furnished(tmp_path / "many", proxies=True)
    done = one.run("run", "recipe.yaml", "--plugin", "slow.py", "--workers", "1")
    assert done.returncode in (0, 3), done.stderr

    given = ("run", "recipe.yaml", "--plugin", "slow.py", "--ray", cluster.address)
    first = many.start(*given)
    wait_for(many, "measured/slow-*/part-*.parquet", count=2, process=first)
    cluster.remove_node(cluster.lost.pop(), allow_graceful=False)
    wait_for(many, "measured/slow-*/part-*.parquet", count=7, process=first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    again = many.run(*given)

    assert again.returncode == done.returncode, again.stderr
    assert "slow" in again.stderr and "train 6 proxies" in again.stderr
    found, expected = contents(many.workspace), contents(one.workspace)
    assert len(found) > 15 and found == expected
    assert files_of(many.workspace) == files_of(one.workspace)
    left = [path for path in many.workspace.rglob("*") if path.name.endswith(".tmp") or path.name == "scratch"]
    assert left == []


def test_the_block_of_the_readme_runs_as_printed(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    pages = block("runs").partition("tamis run")[0]

    ran = run(["bash", "-e", "-c", pages + block("runs ray")], folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "clean: 1 document, 92 bytes" in ran.stdout and "script: workspace/slurm/pages.sh" in ran.stdout
