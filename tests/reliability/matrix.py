"""Cases played: runs that die against a server that misbehaves, and the server's own bill held against the ledger."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Protocol

from pipeline.core.claude.server.endpoint import address_of
from tests.claude_requests import fingerprint
from tests.claude_server import Server, claude_server
from tests.conftest import ROOT
from tests.pipeline.core.claude.asking import KEY, requests_for
from tests.reliability.modes import BATCH_MODES, SINGLE_MODES, Mode
from tests.reliability.runner import BATCH_KILLS, COUNT, SINGLE_KILLS

MAX_USD = 0.01
AT_ONCE = 4  # a case mostly waits
MOST_SECONDS = 200  # of a case
BREACHES = ("lost", "bought twice", "kept without a bill", "above the cap", "left open", "not finished")
FATES = ("billed once", "in doubt", "not billed")  # of a request


class Runner(Protocol):
    """A process that plays cases, several at once."""

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Played:
    """What became of all cases: counts for every mode, and the cases that break the promise."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)  # of its cap that each case was billed

    @property
    def sums(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    @property
    def most_of_cap(self) -> float:
        return max(self.shares, default=0.0)


def play(
    folder: Path, *, batches: bool, modes: Mapping[str, Mode] | None = None, kills: Any = None, every: int = 1,
    cap: Callable[[int], float] = lambda number: MAX_USD, workers: int = 2, library: Path | None = None,
    clock: Sequence[int] = (),
) -> Played:  # fmt: skip
    """Play every mode against every moment of death; some of each if given, or of each mode every third moment.

    Moments are dealt out in turn, so that each is met by as many modes. `cap` is what a case may spend, in dollars, by
    its number. With the shim of faults (`library`) the clock jumps as `clock` says: at which read, by how many seconds,
    back and to again every so many reads.
    """
    modes = modes if modes is not None else BATCH_MODES if batches else SINGLE_MODES
    kills = list(kills if kills is not None else BATCH_KILLS if batches else SINGLE_KILLS)
    with _runner(folder, library) as runner, ThreadPoolExecutor(AT_ONCE) as pool:

        def of_case(numbered: tuple[int, tuple[str, str]]) -> tuple[str, str, dict[str, Any], Counter[str], float]:
            number, (mode, kill) = numbered
            with claude_server() as server:
                modes[mode](server)
                case = {"number": number, "base_url": server.base_url, "kill": kill, "batches": batches}
                found = runner(case | {"max_usd": cap(number), "workers": workers, "clock": list(clock)})
                spent = _billed(server, batches=batches) / cap(number)
                return mode, kill, found, judged(server, found, batches=batches, max_usd=cap(number)), spent

        pairs = [
            (mode, kill)
            for (row, mode), (column, kill) in product(enumerate(modes), enumerate(kills))
            if (row + column) % every == 0
        ]
        cases = list(pool.map(of_case, enumerate(pairs)))
    played = Played()
    for mode, kill, found, count, spent in cases:
        played.shares.append(spent)
        count += Counter(runs=1, killed=int(found["died"] == 9))
        played.counts[mode] = played.counts.get(mode, Counter()) + count
        if any(count[key] for key in BREACHES):
            played.broken.append(f"{mode} / {kill}: {dict(count)} {found['said']}")
    return played


@contextmanager
def _runner(folder: Path, library: Path | None) -> Iterator[Runner]:
    environment = {**os.environ, "ANTHROPIC_API_KEY": KEY, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    environment |= {"LD_PRELOAD": str(library)} if library is not None else {}
    command = [sys.executable, "-m", "tests.reliability.runner", str(folder)]
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    asking, telling, waiting, outcomes = process.stdin, Lock(), dict[int, Future[dict[str, Any]]](), process.stdout

    def listen() -> None:
        for line in outcomes:
            found = json.loads(line)
            waiting[found["number"]].set_result(found)
        for future in waiting.values():
            future.cancel()  # of a runner that died; what has a result keeps it

    def run(case: Mapping[str, Any]) -> dict[str, Any]:
        future = waiting[case["number"]] = Future[dict[str, Any]]()
        with telling:
            asking.write(json.dumps(case) + "\n")
            asking.flush()
        return future.result(timeout=MOST_SECONDS)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    yield run
    asking.close()
    process.wait()
    listener.join()
    outcomes.close()


def _billed(server: Server, *, batches: bool) -> float:
    """Return the dollars on the server's own bill."""
    return (server.input_tokens * 0.10 + server.output_tokens * 0.50) / (2e6 if batches else 1e6)


def judged(server: Server, found: Mapping[str, Any], *, batches: bool, max_usd: float = MAX_USD) -> Counter[str]:
    """Hold the server's bill against the ledger; count what became of requests, and what breaks the promise."""
    database = sqlite3.connect(found["ledger"])
    doubted = dict(database.execute("SELECT request, count(*) FROM attempts WHERE outcome='in_doubt' GROUP BY 1"))
    answered = {request for (request,) in database.execute("SELECT request FROM answers")}
    left_open = database.execute("SELECT count(*) FROM attempts WHERE outcome IS NULL").fetchone()[0]
    counted = database.execute(
        "SELECT (SELECT coalesce(sum(cost_nano), 0) FROM answers) + "
        "(SELECT coalesce(sum(reserved_nano), 0) FROM attempts WHERE outcome='in_doubt')"
    ).fetchone()[0]
    database.close()
    count: Counter[str] = Counter()
    for request in requests_for(COUNT):
        sent = replace(request, endpoint=address_of(server.base_url))
        times = server.bill[fingerprint(request.body())]
        kept, in_doubt = int(sent.id in answered), doubted.get(sent.id, 0)
        count["requests"] += 1
        count["in doubt"] += in_doubt > 0
        count["billed once"] += not in_doubt and times == kept == 1
        count["not billed"] += not in_doubt and times == 0
        count["lost"] += max(times - kept - in_doubt, 0)  # billed, neither kept nor in doubt
        count["bought twice"] += times > 1 + in_doubt
        count["kept without a bill"] += kept > times
    count["above the cap"] += counted > max_usd * 1e9 or _billed(server, batches=batches) > max_usd
    count["left open"] += left_open
    count["not finished"] += found["said"][-1] != "done"
    return count
