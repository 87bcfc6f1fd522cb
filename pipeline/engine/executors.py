"""Where tasks run. One seam: `map(function, items)` -> results in item order; what runs cannot know who runs it.

`OnRay` (`on_ray.py`) runs them on the machines of a Ray cluster, `Local` in a process pool (spawned, so no thread or
lock is inherited). A worker of it that dies (killed, out of memory) breaks the pool at once; the few items that were in
flight are tried once more, one after the other in a worker of their own. One that kills a fresh worker too is named in
an error, and the rest is not done: the next run goes on with it. If none does, the items that are left go on in a new
pool. Workers die with their parent (PR_SET_PDEATHSIG) and ignore Ctrl-C, which is the parent's to handle.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Protocol

from pipeline.core.errors import ServiceError
from pipeline.core.process import keys
from pipeline.core.process.start import start

Done = Callable[[Any], None]
Apart = Callable[[Any], bool]
START_SECONDS = 1.0  # that work has to take before workers, who take as long to start, are started for a few documents
AHEAD = 2  # items handed out for each worker: one to work on, one so that it need not wait for the next


@dataclass(frozen=True, slots=True)
class Need:
    """What one task takes of a machine. The processes of this machine share it; a cluster reserves it."""

    cpus: int = 1
    gpus: int = 0
    memory_bytes: int = 0  # 0: as little as any task


ORDINARY = Need()


class Executor(Protocol):
    """Runs a module-level function on picklable items."""

    far: bool  # tasks run on other machines, of which any may be lost alone
    workers: int  # tasks that run at a time on one machine, and share its memory
    gpus: int  # of the machines that are far; on this one, who wants them looks

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str, done: Done | None = None,
        apart: Apart | None = None, few: bool = False, need: Need = ORDINARY,
    ) -> list[Any]:  # fmt: skip
        """Return `[function(item) for item in items]`; `done(result)` is called as results come in.

        Items of which `apart` says that they may cost the process are not this process's to do. Where all of it is of
        a `few` documents, no process is started for it unless it takes longer than starting one.
        """
        ...

    def room(self, need: Need) -> int:
        """Return how many tasks of a need can run at a time, 1 at least."""
        ...

    def close(self) -> None: ...


class Local:
    """Worker processes on this machine; with one worker, this process itself."""

    far, gpus = False, 0

    def __init__(self, *, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str, done: Done | None = None,
        apart: Apart | None = None, few: bool = False, need: Need = ORDINARY,
    ) -> list[Any]:  # fmt: skip
        work = list(items)
        results: dict[int, Any] = {}
        alone, started = self.workers == 1 or len(work) <= 1, time.monotonic()
        for index, item in enumerate(work):
            if not alone and (not few or self._pool is not None or time.monotonic() - started > START_SECONDS):
                break
            if apart is not None and apart(item):
                self._one_by_one(function, work, [index], results, done, label)
            else:
                results[index] = report(function(item), done)
        while len(results) < len(work):
            left = [index for index in range(len(work)) if index not in results]
            suspects = self._in_pool(function, work, left, results, done)
            self._one_by_one(function, work, suspects, results, done, label)
        return [results[index] for index in range(len(work))]

    def _in_pool(
        self,
        function: Callable[[Any], Any],
        work: Sequence[Any],
        indices: Sequence[int],
        results: dict[int, Any],
        done: Done | None,
    ) -> list[int]:
        """Run items on all workers; return those that were in flight when a worker died, none if all are done."""
        self._pool = self._pool or _new_pool(self.workers)
        pending: dict[Future[Any], int] = {}
        position = 0
        try:
            while position < len(indices) or pending:
                while position < len(indices) and len(pending) < AHEAD * self.workers:
                    pending[self._pool.submit(function, work[indices[position]])] = indices[position]
                    position += 1
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    results[pending[future]] = report(future.result(), done)
                    del pending[future]
            return []
        except BrokenProcessPool:
            self.close()
            return sorted(pending.values()) or [indices[position]]
        except BaseException:
            for future in pending:
                future.cancel()
            raise

    def _one_by_one(
        self,
        function: Callable[[Any], Any],
        work: Sequence[Any],
        indices: Iterable[int],
        results: dict[int, Any],
        done: Done | None,
        label: str,
    ) -> None:
        alone = Local(workers=1)
        try:
            for index in indices:
                results[index] = report(alone._in_one_worker(function, work[index], index, label), done)
        finally:
            alone.close()

    def _in_one_worker(self, function: Callable[[Any], Any], item: Any, index: int, label: str) -> Any:
        """Run an item in this executor's only worker, and once more in a fresh one if it dies."""
        while True:
            fresh = self._pool is None
            self._pool = self._pool or _new_pool(1)
            try:
                return self._pool.submit(function, item).result()
            except BrokenProcessPool as error:
                self.close()
                if fresh:
                    name = name_of(item, index)
                    raise ServiceError(
                        f"{label}: the worker died twice on {name}, most likely out of memory. "
                        "Give the machine more memory or fewer --workers, then run again; what is done stays done."
                    ) from error

    def room(self, need: Need) -> int:
        """Return 1: what takes more than a worker shares this machine by itself, as proxies do."""
        return self.workers if need == ORDINARY else 1

    def close(self) -> None:
        """Stop the workers; the next map starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def name_of(item: Any, index: int) -> str:
    """Return what an item is called where it is named in an error."""
    return str(getattr(item, "label", f"item {index}"))


def report(result: Any, done: Done | None) -> Any:
    """Tell a result that came in, and return it."""
    if done is not None:
        done(result)
    return result


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Hide what a new process would import as `__main__`: a script without a guard would run once more in it.

    No worker needs it. Steps of a user's own travel by themselves.
    """
    main: dict[str, Any] = sys.modules["__main__"].__dict__
    hidden: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    try:
        main |= {"__spec__": None}
        main.pop("__file__", None)
        yield
    finally:
        main |= hidden


class _Worker(SpawnProcess):
    """A process that starts without the keys of this one, is deaf to Ctrl-C from its first instant, and ends at once.

    As a forked one of multiprocessing's does: what is printed is written, its error too, and nobody takes it apart,
    which lasts 0.13 s.
    """

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process inherits it
        try:
            with keys.withheld(), _main_left_alone():
                super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _bootstrap(self, parent_sentinel: int | None = None) -> None:
        """Work, in the new process."""
        code: int = super()._bootstrap(parent_sentinel)  # type: ignore[misc]  # typeshed leaves it out
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # none, broken, closed
                stream.flush()
        ctypes.CDLL(None).fflush(None)  # what libraries in C print
        os._exit(code)


class _Spawning(SpawnContext):
    Process = _Worker


def _new_pool(workers: int) -> ProcessPoolExecutor:
    with keys.withheld():  # the pool's locks start a process of their own
        return ProcessPoolExecutor(
            max_workers=workers, mp_context=_Spawning(), initializer=_start_worker, initargs=(os.getpid(),)
        )


def _start_worker(parent: int) -> None:
    os.environ["POLARS_MAX_THREADS"] = "1"  # one task, one core
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
    start()
