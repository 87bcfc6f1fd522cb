"""Code that nobody trusts and lists of arguments -> what it claims to return, value by value, from warm boxes.

    with Sandbox() as sandbox:
        outcomes = sandbox.execute("def add(a, b): return a + b", function="add", inputs=[[1, 2], [3, 4]])
    # [Value(3), Value(7)]; compare with `same`, never by ==

Each execution is a fresh process that knows neither the expected values nor any other execution. Where no box can be
built, `RecipeError` says what to install. Figures of attacks and speed: figures.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from signal import SIGKILL
from types import TracebackType
from typing import Self

from pipeline.core.errors import ServiceError
from pipeline.core.process.box import USUAL, Box, BoxLimits, Builder, Ran
from synth.sandbox.values import Failure, Json, Value, read_claims

LOST = "the box was lost twice"  # of a failure "died": nothing is known of the code
AHEAD = 4  # executions asked for at once, for each box
NEARLY = 0.9  # of the processor time that ends a process, as its clock shows it: 0.93 to 1.02 s of one second


@dataclass(frozen=True, slots=True)
class Execution:
    """Code, the name of a function in it, and the arguments of each call; all calls share one process."""

    code: str
    function: str
    inputs: Sequence[Sequence[Json]]


class Sandbox:
    """Warm boxes behind one door; a context manager, for any number of threads."""

    def __init__(
        self,
        limits: BoxLimits = USUAL,
        *,
        boxes: int = 2,
        hash_seed: int = 0,
        builders: Sequence[Builder] = (),
    ) -> None:
        """Build the boxes; raise RecipeError where none can be built.

        Under another `hash_seed` sets of texts have another order: a reference that gives other values depends on it.
        """
        self.limits, self._seed, self._builders = limits, hash_seed, tuple(builders)
        self._free: SimpleQueue[Box] = SimpleQueue()
        self._all: list[Box] = []
        self._builder = ThreadPoolExecutor(max_workers=1)  # with whose thread the boxes end
        self._threads = ThreadPoolExecutor(max_workers=boxes, thread_name_prefix="sandbox")
        try:
            for _ in range(boxes):
                self._free.put(self._new_box())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the boxes and all in them."""
        self._threads.shutdown(cancel_futures=True)
        self._builder.shutdown(cancel_futures=True)
        for box in self._all:
            box.close()

    def execute(self, code: str, *, function: str, inputs: Sequence[Sequence[Json]]) -> list[Value | Failure]:
        """Return a value or a failure for each list of arguments; what the code does costs only its own outcomes.

        Raises TypeError or ValueError for inputs that are not of JSON or too long for a box (16 MiB).
        """
        box, lost = self._free.get(), None
        try:
            for _ in range(2):
                box = box if box.is_open else self._new_box()
                try:
                    ran = box.run(code, function=function, calls=inputs)
                except ServiceError as error:
                    lost = error
                else:
                    return _outcomes(ran, limits=self.limits, asked=len(inputs))
        finally:
            self._free.put(box)
        return [Failure("died", f"{LOST}: {lost}")] * len(inputs)

    def execute_all(self, executions: Iterable[Execution]) -> Iterator[list[Value | Failure]]:
        """Yield the outcomes of each execution, in order, as many at once as there are boxes."""
        waiting, source = SimpleQueue[Future[list[Value | Failure]]](), iter(executions)
        for each in islice(source, AHEAD * len(self._all)):
            waiting.put(self._asked(each))
        while not waiting.empty():
            outcomes = waiting.get().result()
            for each in islice(source, 1):
                waiting.put(self._asked(each))
            yield outcomes

    def _asked(self, each: Execution) -> Future[list[Value | Failure]]:
        return self._threads.submit(self.execute, each.code, function=each.function, inputs=each.inputs)

    def _new_box(self) -> Box:
        building = self._builder.submit(Box, self.limits, hash_seed=self._seed, builders=self._builders)
        self._all = [*(box for box in self._all if box.is_open), building.result()]
        return self._all[-1]


def _outcomes(ran: Ran, *, limits: BoxLimits, asked: int) -> list[Value | Failure]:
    """Return what was claimed, and for calls without a claim how the process ended."""
    claims = read_claims(ran.said, num_calls=asked)
    if ran.kind == "too_long":
        end = Failure("length", f"more than {limits.answer_bytes:,} bytes were said")
    elif ran.kind == "timed_out":
        end = Failure("timeout", f"it took more than {limits.wall_seconds:g} s")
    elif ran.status == -SIGKILL and ran.cpu_seconds >= NEARLY * limits.cpu_seconds:
        end = Failure("timeout", f"it took {limits.cpu_seconds} s of processor")
    else:
        how = f"ended by signal {-ran.status}" if ran.status < 0 else f"left with exit code {ran.status}"
        end = Failure("died", f"{how} before it answered")
    return claims + [end] * (asked - len(claims))
