"""The process in which a tracker's own library runs: whatever it does, it cannot touch the run whose curves these are.

    python -m pipeline.queries.trackers.child MODULE < {"place", "project", "runs"} > {"written", "there"} or {"error"}

What was written stands in PLACE/.tamis, by its name with the hash of its content, and is not written again while it is
there. Libraries print as they like: their standard output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType

from filelock import FileLock

from pipeline.core.files.writing.durable import write_text
from pipeline.core.identity import identity_of

WRITTEN = ".tamis"


def main(module: str) -> None:
    """Write what standard input holds and is not there yet."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Answer with the error: on standard error the library's own threads may write at the same time."""
        json.dump({"error": f"{kind.__name__}: {error}"}, answer)
        answer.close()
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = tell
    asked = json.load(sys.stdin)
    place, project = Path(asked["place"]), asked["project"]
    write = import_module(f"pipeline.queries.trackers.{module}").write
    marks = place / WRITTEN
    marks.mkdir(parents=True, exist_ok=True)
    written = 0
    with FileLock(marks / "lock"):
        for run in asked["runs"]:
            mark = marks / f"{identity_of([project, run['name']])[:32]}.json"
            if not _is_there(mark, run["id"]):
                made = write(run, place=place, project=project)
                write_text(mark, json.dumps({"id": run["id"], "path": None if made is None else str(made.resolve())}))
                written += 1
    json.dump({"written": written, "there": len(asked["runs"]) - written}, answer)
    answer.close()


def _is_there(mark: Path, content: str) -> bool:
    """Say whether a run was written with this content, and what was written is still there."""
    try:
        told = json.loads(mark.read_bytes())
    except (OSError, ValueError):
        return False
    return bool(told["id"] == content and (told["path"] is None or Path(told["path"]).exists()))


if __name__ == "__main__":
    main(sys.argv[1])
