"""A run that finds all results does what it owes them, and imports nothing that builds."""

from __future__ import annotations

import subprocess
import sys

from tests.pipeline.house import House, texts

BUILDING = (
    "numba", "scipy", "pyarrow.compute", "polars", "torch", "jinja2", "rich", "multiprocessing", "concurrent.futures",
    "pipeline.engine.run", "pipeline.engine.measure", "pipeline.engine.executors", "pipeline.report.page",
    "pipeline.store.dataset.chain",
)  # fmt: skip
RUN = (
    "import atexit, sys\n"
    "from pipeline.cli import main\n"
    "sys.argv = ['tamis', 'run', 'recipe.yaml', '--workers', '1']\n"
    f"atexit.register(lambda: print(sorted(set({BUILDING!r}) & set(sys.modules))))\n"
    "main()"
)


def said(house: House) -> str:
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True, cwd=house.folder)
    return done.stdout


def test_nothing_to_do_imports_nothing_that_builds(house: House) -> None:
    house.lines("a.jsonl", texts(4))
    house.clean(["length", "gopher_quality", "exact_dedup", "minhash_dedup"])

    first, second = said(house), said(house)

    assert "built 6" in first and "pipeline.engine.run" in first
    assert "nothing to do" in second and second.splitlines()[-1] == "[]"
