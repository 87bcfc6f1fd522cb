"""Threads that work at the same thing, with a word from time to time, and a moment for what is in flight at ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

PROGRESS_SECONDS = 10.0
GRACE_SECONDS = 5.0  # that answers in flight have after ctrl-C


def work(
    task: Callable[[], None], *, num_threads: int, stop: Callable[[], None], on_the_wire: Collection[int],
    tell: Callable[[], None], say: Callable[[str], None] | None,
) -> None:  # fmt: skip
    """Run `task` in so many threads until all are done. Ctrl-C stops them, and leaves late answers in doubt.

    `on_the_wire` holds the threads that wait for a server.
    """
    threads = [threading.Thread(target=task, name=f"claude-{number}", daemon=True) for number in range(num_threads)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(PROGRESS_SECONDS)
                if thread.is_alive():
                    tell()
    except BaseException:
        stop()
        _give_grace([thread for thread in threads if thread.is_alive()], on_the_wire=on_the_wire, say=say)
        raise


def _give_grace(
    threads: Sequence[threading.Thread], *, on_the_wire: Collection[int], say: Callable[[str], None] | None
) -> None:  # fmt: skip
    """Wait for answers in flight, for long if they have arrived, but not for a server that hangs.

    The threads that wait for it end with the process.
    """
    if threads and say is not None:
        say(f"claude: stopping; {len(threads)} answers in flight have {GRACE_SECONDS:g} s to arrive")
    deadline = time.monotonic() + GRACE_SECONDS
    while alive := [thread for thread in threads if thread.is_alive()]:
        if time.monotonic() > deadline and len(alive) <= len(on_the_wire):
            return  # none is left that stores what has arrived
        alive[0].join(0.05)
