"""Tasks on worker processes: results in order, a dead worker named, nobody left behind."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, ServiceError
from pipeline.engine import executors
from pipeline.engine.executors import Local
from tests.conftest import ROOT


def square(number: int) -> int:
    return number * number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(path: str) -> str:
    if path and not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def die_once_at_three(item: tuple[Path, int]) -> int:
    mark, number = item
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if number >= 20:
        meet(mark.with_name("met"), of=2)
    return os.getpid()


def meet(folder: Path, *, of: int) -> None:
    """Wait until `of` processes are here; alone, give up after 100 seconds."""
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 100
    while len(list(folder.iterdir())) < of and time.monotonic() < deadline:
        time.sleep(0.01)


def refuse(number: int) -> int:
    raise DataError(f"shard {number}: is broken. Replace it.")


@pytest.fixture
def two_workers():
    executor = Local(workers=2)
    yield executor
    executor.close()


def test_results_come_in_item_order(two_workers):
    assert two_workers.map(square, range(20), label="squares") == [n * n for n in range(20)]


def test_done_hears_every_result(two_workers):
    heard = []

    two_workers.map(square, range(10), label="squares", done=heard.append)

    assert sorted(heard) == [n * n for n in range(10)]


def process_of(_: int) -> int:
    return os.getpid()


def test_for_a_few_documents_no_worker_is_started(two_workers):
    assert two_workers.map(process_of, range(5), label="few", few=True) == [os.getpid()] * 5


def test_a_few_documents_that_take_long_go_to_workers_in_the_end(two_workers, monkeypatch):
    monkeypatch.setattr(executors, "START_SECONDS", -1.0)

    assert os.getpid() not in two_workers.map(process_of, range(5), label="few", few=True)


class Lingering:
    def __del__(self) -> None:
        time.sleep(100)


def never_end(_: int) -> None:
    if not hasattr(sys, "lingering"):
        vars(sys)["lingering"] = Lingering()  # the last thing that Python takes apart


def test_workers_end_at_once_when_they_are_told_to():
    executor = Local(workers=2)
    executor.map(never_end, range(4), label="linger")

    executor.close()  # would wait


def say_and_leave(name: str) -> str:
    atexit.register(print, f"{name} leaves")
    sys.stdout.write(f"{name} works\n")
    return name


def leave_with_an_exception(code: int) -> int:
    executors._start_worker(os.getppid())
    if code:
        raise SystemExit(code)
    raise MemoryError("no room")


def test_what_workers_print_arrives() -> None:
    done = python(
        "from tests.pipeline.engine.test_executors import say_and_leave\n"
        "executor = Local(workers=2)\n"
        "executor.map(say_and_leave, ['one', 'two'], label='say')\n"
        "executor.close()\n"
    )

    assert sorted(done.stdout.split("\n")[:-1]) == ["one leaves", "one works", "two leaves", "two works"]


def test_a_worker_that_an_exception_ends_says_so() -> None:
    done = python(
        "from pipeline.engine.executors import _Worker\n"
        "from tests.pipeline.engine.test_executors import leave_with_an_exception\n"
        "workers = [_Worker(target=leave_with_an_exception, args=(code,)) for code in (0, 7)]\n"
        "for worker in workers:\n"
        "    worker.start()\n"
        "    worker.join()\n"
        "print([worker.exitcode for worker in workers])\n"
    )

    assert done.stdout == "[1, 7]\n"
    assert "MemoryError: no room" in done.stderr


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-c", f"from pipeline.engine.executors import Local\n{code}"], capture_output=True, text=True,
        env=environment | {"PYTHONPATH": str(ROOT)}, check=True, timeout=100,
    )  # fmt: skip


def test_a_worker_that_keeps_dying_is_named_and_the_run_does_not_hang(two_workers):
    with pytest.raises(ServiceError, match="died twice on item 3"):
        two_workers.map(die_at_three, range(6), label="deadly")


def test_after_the_second_death_the_rest_is_left_to_the_next_run(two_workers):
    heard: list[int] = []

    with pytest.raises(ServiceError, match=r"died twice on item 3.* what is done stays done"):
        two_workers.map(die_at_three, range(2000), label="deadly", done=heard.append)

    assert {0, 1, 2} <= set(heard) and 1999 not in heard


def test_a_worker_that_dies_once_costs_nothing(two_workers, tmp_path):
    items = [str(tmp_path / "mark"), "", ""]

    assert two_workers.map(die_once, items, label="unlucky") == items


def test_after_a_death_the_others_go_on_side_by_side(two_workers, tmp_path):
    """Only what was in flight is tried alone: a run of thousands of parts must not end on one core."""
    workers = two_workers.map(die_once_at_three, [(tmp_path / "mark", n) for n in range(22)], label="unlucky")

    assert len(set(workers[20:])) == 2


def test_an_error_in_a_worker_arrives_whole(two_workers):
    with pytest.raises(DataError, match=r"shard \d: is broken"):
        two_workers.map(refuse, range(4), label="broken")


def test_workers_die_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\nfrom pipeline.engine.executors import Local\n"
        "from tests.pipeline.engine.test_executors import tell_and_wait\n"
        "if __name__ == '__main__':\n    Local(workers=2).map(tell_and_wait, [sys.argv[1]] * 2, label='wait')\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    deadline = time.monotonic() + 100
    while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]

    parent.kill()
    parent.wait()
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert len(workers) == 2
    assert not [pid for pid in workers if _runs(pid)]


def tell_and_wait(folder: str) -> None:
    Path(folder, f"pid-{os.getpid()}").touch()
    time.sleep(600)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
    except OSError:
        return False


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    """As people write them, and as notebooks are exported."""
    script = tmp_path / "script.py"
    script.write_text(
        "from pipeline.engine.executors import Local\n"
        "print('begins')\n"
        "executor = Local(workers=2)\n"
        "print(executor.map(len, ['a', 'bb', 'ccc'], label='lengths'), __file__ == __import__('sys').argv[0])\n"
        "executor.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)

    assert ran.stdout.splitlines() == ["begins", "[1, 2, 3] True"]
