"""Files that a plan named by content -> a refusal if they are others before or after the work that reads them.

A plan hashes what sources and steps read, workers read it later. An edit in between would be stored for good under the
identity of what was there before. So every file is looked at again: by its stamp, which takes 10 us, and by content
where that differs (`input_hashes`). What came of an edited file is removed with the refusal, since a run after the edit
was taken back would go on with it. Not noticed: an edit that is taken back before the work ends, and leftovers of a run
that was killed while an input stood edited, if the edit is then taken back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, TamisError
from pipeline.plan.graph import Plan, PlannedStep
from pipeline.plan.make import file_identity
from pipeline.sources.files import local_path
from pipeline.store.input_hashes import InputHashes
from pipeline.store.node import Node

Files = Mapping[Path, str]  # BLAKE3 by path


@contextmanager
def unchanged(files: Files, *, hashes: InputHashes, nodes: Sequence[Node]) -> Iterator[None]:
    """Refuse, and remove from the nodes' folders, what was made inside if one of the files has other content after."""
    try:
        yield
    except TamisError:
        _refuse_changed(files, hashes, nodes)  # says more than a reader that a half-written file broke
        raise
    _refuse_changed(files, hashes, nodes)


def _refuse_changed(files: Files, hashes: InputHashes, nodes: Sequence[Node]) -> None:
    for path, digest in files.items():
        try:
            now = hashes.of(path)
        except OSError as error:  # nothing is removed: a disk that is gone for a while comes back with the same files
            raise DataError(
                f"{path}: gone while the run read it ({error.strerror or error}). Put it back and run again."
            ) from error
        if now != digest:
            from pipeline.engine.measure import prepared  # kernels and tables, which nothing to do needs not

            prepared.cache_clear()  # steps of this process that may have read it
            for node in nodes:
                shutil.rmtree(node.folder, ignore_errors=True)
            raise DataError(
                f"{path}: changed while the run read it, and nothing that came of it was kept. "
                "Run again when it is whole."
            )


def files_of_source(reader: Any, node: Node, *, hashes: InputHashes) -> Files:
    """Return the files that a source's reader names by content; DataError if they are not those of the plan."""
    files: dict[Path, str] = {}

    def remember(path: Path) -> str:
        files[path] = hashes.of(path)
        return files[path]

    now, planned = reader.inputs(remember), node.payload["inputs"]
    if now != planned:
        raise DataError(
            f"source {node.name}: {_first_difference(planned, now)} changed after the run was planned. "
            "Run again when it is whole."
        )
    return files


def _first_difference(planned: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the label of a file that differs, or else what the reader tells apart, such as a package."""
    if planned.get("files") != now.get("files"):
        planned, now = ({file["file"]: file for file in inputs["files"]} for inputs in (planned, now))
    return min(name for name in {*planned, *now} if planned.get(name) != now.get(name))


def files_of_steps(plan: Plan, steps: Sequence[PlannedStep]) -> Files:
    """Return the user's files that some steps read; DataError if they are not those of the plan."""
    files: dict[Path, str] = {}
    for step in steps:
        for key, names in step.inputs.items():
            if step.spec.step.params.role_of(key) == "store":
                continue  # ours, and never written twice
            for name, planned in zip(names, step.node.payload["inputs"].get(key, ()), strict=True):
                if name in plan.datasets or name in plan.sources:
                    continue
                if file_identity(plan, name) != planned:
                    raise DataError(f"{name}: changed after the run was planned. Run again when it is whole.")
                path = local_path(name)
                files[path] = plan.hashes.of(path)
    return files
