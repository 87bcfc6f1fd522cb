"""Tasks on the machines of a Ray cluster, behind the same seam as `Local`: no result knows where it was made.

Ray starts tasks again that a lost machine or a dead worker took with it; what is complete, our cards say. A task may
run twice, at once even: it writes the same bytes, under temporary names of its own. What the cluster must offer is one
file system that all machines see at the same path, and the same Tamis on each. At most AHEAD tasks for each place are
handed out, so a run of a million tasks holds no million of them. A task that dies after all of Ray's retries is tried
once more with no other beside it, and then named. One that no machine has room for any more waits for a machine, but
not for ever. Keys of services stay in this process: no worker's environment holds them. The process that calls may die
and be started again: Ray ends its tasks, and the next run goes on from the files.
"""

from __future__ import annotations

import math
import os
import platform
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process import keys
from pipeline.core.process.start import start
from pipeline.engine.executors import AHEAD, ORDINARY, START_SECONDS, Apart, Done, Need, name_of, report

RETRIES = 3  # by Ray, of a task whose worker or machine died; a machine that was told to leave costs none
LOOK_SECONDS = 5.0  # between two looks at how many machines there are
ALIKE = ("numpy", "numba", "pyarrow", "polars")  # proxies' cards say themselves with which torch they were trained
WAIT_SECONDS = 120.0  # for another machine, when the last that had room for a task is lost; for a first one, none
WAIT_NAME = "TAMIS_RAY_WAIT_SECONDS"  # of the environment: for both, where a cluster grows when tasks wait
EXTRA = "pip install 'tamis[ray]'"


class OnRay:
    """A Ray cluster: the one at `address`, else the one that RAY_ADDRESS or this machine has, else one started here."""

    far = True

    def __init__(self, *, address: str | None, folder: Path, workers: int | None = None) -> None:
        """Connect; RecipeError where there is no Ray or no cluster.

        Workers refuse to work where they do not see `folder`, which must exist. `workers` is how many places a cluster
        has that is started here.
        """
        self._ray = _library()
        self._own = not self._ray.is_initialized()
        if self._own:
            _connect(self._ray, address, workers=workers)
        self._seen, self._places = -math.inf, list[Need]()
        self._wait = _seconds(os.environ.get(WAIT_NAME))
        self._fitted = set[Need]()  # needs that a machine had room for
        self._lacking: dict[Need, float] = {}  # since when none has
        self._home = _Home(str(Path.cwd()), str(folder.resolve()), versions())
        self._task = self._ray.remote(_work)
        self.workers = max((place.cpus for place in self._machines()), default=0)
        if not self.workers and not self._wait:
            raise RecipeError("--ray: the cluster has no machine with a CPU for tasks. Start one with `ray start`.")
        self.workers = max(self.workers, 1)
        self.gpus = sum(place.gpus for place in self._machines())

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str, done: Done | None = None,
        apart: Apart | None = None, few: bool = False, need: Need = ORDINARY,
    ) -> list[Any]:  # fmt: skip
        work, started = list(items), time.monotonic()
        results: dict[int, Any] = {}
        for index, item in enumerate(work if few else ()):
            if time.monotonic() - started > START_SECONDS or (apart is not None and apart(item)):
                break
            results[index] = report(function(item), done)
        left = [index for index in range(len(work)) if index not in results]
        dead = self._on_all(function, work, left, results, done, need)
        for index in dead:
            self._alone(function, work, index, results, done, need, label)
        return [results[index] for index in range(len(work))]

    def room(self, need: Need) -> int:
        """Return how many tasks of a need the cluster can run at a time.

        Where no machine fits one, 1 while there is hope for another machine, as a cluster that grows does so only for
        tasks that wait; RecipeError if there is none, ServiceError when it is over.
        """
        found = sum(_fitting(place, need) for place in self._machines())
        if found:
            self._fitted.add(need)
            self._lacking.pop(need, None)
            return found
        first = need not in self._fitted
        wait = self._wait if self._wait is not None else 0.0 if first else WAIT_SECONDS
        waited = time.monotonic() - self._lacking.setdefault(need, self._seen)
        if waited < wait:
            return 1
        del self._lacking[need]
        places = sorted(self._machines(), key=lambda place: (place.gpus, place.cpus, place.memory_bytes))
        largest = f"the largest of {len(places)} has {_told(places[-1])}" if places else "there is none at all"
        told = f"--ray: no machine of the cluster has room for a task of {_told(need)}; {largest}."
        if first and not wait:
            raise RecipeError(f"{told} Start a larger one, or lower --memory or choose another --device.")
        raise ServiceError(
            f"{told} None came in {waited:.0f} s. Start one and run again, which goes on from the files; where "
            f"machines take longer to come, set {WAIT_NAME} to as many seconds."
        )

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._own:
            self._ray.shutdown()

    def _machines(self) -> list[Need]:
        """Return what each living machine has, looked up anew every LOOK_SECONDS."""
        if time.monotonic() - self._seen > LOOK_SECONDS:
            alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._places = [
                Need(int(has.get("CPU", 0)), int(has.get("GPU", 0)), int(has.get("memory", 0)))
                for has in alive
                if has.get("CPU", 0) >= 1
            ]
            self._seen = time.monotonic()
        return self._places

    def _on_all(
        self, function: Callable[[Any], Any], work: Sequence[Any], indices: Sequence[int], results: dict[int, Any],
        done: Done | None, need: Need,
    ) -> list[int]:  # fmt: skip
        """Run items on the cluster, a bounded number of them handed out; return those whose workers went on dying."""
        pending: dict[Any, int] = {}
        dead: list[int] = []
        position = 0
        with self._cancelled(pending):
            while position < len(indices) or pending:
                while position < len(indices) and len(pending) < AHEAD * self.room(need):
                    index = indices[position]
                    pending[self._handed_out(function, work[index], need, retries=RETRIES)] = index
                    position += 1
                self.room(need)  # an error where what is handed out has nowhere left to go
                for reference in self._ready(list(pending)):
                    index = pending.pop(reference)
                    try:
                        results[index] = report(self._result(reference), done)
                    except _DeadError:
                        dead.append(index)
        return dead

    def _alone(
        self, function: Callable[[Any], Any], work: Sequence[Any], index: int, results: dict[int, Any],
        done: Done | None, need: Need, label: str,
    ) -> None:  # fmt: skip
        reference = self._handed_out(function, work[index], need, retries=0)
        with self._cancelled({reference: index}):
            while not self._ready([reference]):
                self.room(need)
            try:
                results[index] = report(self._result(reference), done)
            except _DeadError as error:
                raise ServiceError(
                    f"{label}: the worker died {RETRIES + 2} times on {name_of(work[index], index)} ({error}). Give "
                    "the machines more memory or reserve more of it with --memory, then run again; what is done stays "
                    "done."
                ) from error.__cause__

    def _handed_out(self, function: Callable[[Any], Any], item: Any, need: Need, *, retries: int) -> Any:
        task = self._task.options(
            num_cpus=need.cpus, num_gpus=need.gpus, memory=need.memory_bytes or None, max_retries=retries,
            scheduling_strategy="SPREAD", name=getattr(function, "__name__", None),
        )  # fmt: skip
        return task.remote(self._home, function, item)

    def _ready(self, pending: Sequence[Any]) -> list[Any]:
        """Wait for a task to end; return all that did. None may have, where machines came meanwhile."""
        ready, others = self._ray.wait(pending, timeout=LOOK_SECONDS, fetch_local=False)
        if ready and others:
            ready += self._ray.wait(others, num_returns=len(others), timeout=0, fetch_local=False)[0]
        return list(ready)

    def _result(self, reference: Any) -> Any:
        """Return what a task did, or raise what it raised; _DeadError if its worker did, each time."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            cause: Any = getattr(error, "cause", error)
            raise cause from None
        except (
            errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.LocalRayletDiedError,
            errors.ObjectLostError,
        ) as error:  # fmt: skip
            raise _DeadError(str(error).strip().partition("\n")[0]) from error

    @contextmanager
    def _cancelled(self, pending: dict[Any, int]) -> Iterator[None]:
        """End the tasks that are still handed out when one fails, or when somebody stops the run."""
        try:
            yield
        except BaseException:
            for reference in pending:
                with suppress(self._ray.exceptions.RayError, RuntimeError):  # the cluster may be what failed
                    self._ray.cancel(reference, force=True)
            raise


class _DeadError(Exception):
    """A task's worker died, and so did those that tried again."""


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a run is at home, as a worker finds it before its first task."""

    folder: str  # in which it was started, from which its paths count
    workspace: str
    versions: tuple[tuple[str, str], ...]


def _work(home: _Home, function: Callable[[Any], Any], item: Any) -> Any:
    """Do one task, in a worker of the cluster."""
    _begin(home)
    return function(item)


@cache
def _begin(home: _Home) -> None:
    """Prepare a worker, once; ServiceError on a machine that does not see the results, or has another Tamis."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start()
    for folder in (home.folder, home.workspace):
        if not Path(folder).is_dir():
            raise ServiceError(
                f"{socket.gethostname()}: does not see the folder {folder}. Put it on a file system that every machine "
                "of the cluster has at the same path."
            )
    for (name, here), (_, there) in zip(versions(), home.versions, strict=True):
        if here != there:
            raise ServiceError(
                f"{socket.gethostname()}: has {name} {here}, and the run was started with {there}, so it might give "
                "other results. Install the same one on every machine."
            )
    os.chdir(home.folder)


def versions() -> tuple[tuple[str, str], ...]:
    """Return what must be the same on all machines, as results may depend on it: (name, version)."""
    code = ((name, metadata.version(name)) for name in ALIKE)
    return ("Tamis", __version__), ("Python", platform.python_version()), *code


def _library() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise RecipeError(f"--ray: the package ray is not installed. Install it: {EXTRA}.") from error
    return ray


def _connect(ray: Any, address: str | None, *, workers: int | None) -> None:
    """Join a cluster, or start one, without keys in its processes and with our own answer to SIGTERM kept."""
    told = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to Ray's makers
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # by itself Ray tries for ever
    without = dict.fromkeys(keys.VARIABLES, "")
    environment = {"POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | without  # one task, one core
    runtime: dict[str, Any] = {"env_vars": environment}
    if shlex.quote(sys.executable) != sys.executable:  # Ray hands it to a shell as it is (2.60), and a space parts it
        runtime["py_executable"] = shlex.quote(sys.executable)
    common = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": runtime}
    try:
        with keys.withheld():
            try:
                ray.init(address=address or "auto", **common)
            except ConnectionError:
                if address or os.environ.get("RAY_ADDRESS"):
                    raise
                ray.init(num_cpus=workers, include_dashboard=False, **common)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RecipeError(
            f"--ray {address or os.environ.get('RAY_ADDRESS', '')}: no cluster could be joined ({reason}). Start one "
            "with `ray start --head`, or give the address that it shows, such as 10.0.0.1:6379."
        ) from error
    finally:
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, told)


def _seconds(told: str | None) -> float | None:
    if not told:
        return None
    with suppress(ValueError):
        if 0 <= float(told) < math.inf:
            return float(told)
    raise RecipeError(f"{WAIT_NAME} is {told!r}; it must be a number of seconds, 0 or more. Unset it for the default.")


def _fitting(place: Need, need: Need) -> int:
    counts = [place.cpus // max(need.cpus, 1)]
    if need.gpus:
        counts.append(place.gpus // need.gpus)
    if need.memory_bytes:
        counts.append(place.memory_bytes // need.memory_bytes)
    return min(counts)


def _told(need: Need) -> str:
    gpus = f", {need.gpus} GPUs" if need.gpus else ""
    return f"{need.cpus} CPUs{gpus} and {need.memory_bytes / (1 << 20):,.0f} MiB"
