"""The command `tamis`: Ctrl-C ends it in one line from its first instant, while the command line is still imported."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line and run it."""
    signal.signal(signal.SIGINT, _stop)
    from pipeline.cli import main as run

    run()


def _stop(number: int, frame: object) -> NoReturn:
    os.write(2, b"tamis: stopped before it began.\n")
    os._exit(130)


if __name__ == "__main__":
    main()
