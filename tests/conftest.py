"""What holds for every test: no key, no hub, no waiting for the disk; the ten longest modules named at the end.

The disk does not wait for the platter, as half of a small run is fsync. What survives a kill is tested with real
processes, which do wait.
"""

from __future__ import annotations

import gc
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pipeline.core.process.start import start

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("pipeline", "filters", "synth", "eval")
# The order of files, which each process takes one by one: the first compiles nearly every kernel, which takes minutes,
# while another has what needs none; what is long does not come last.
FIRST = (
    "test_house.py", "eval", "synth", "pipeline/core/claude", "pipeline/sources", "test_architecture.py", "benchmarks",
    "pipeline/test_cli_faults.py", "pipeline/experiment/test_controls.py", "pipeline/experiment/test_search.py",
    "test_docs.py", "pipeline/research", "filters/test_bad_input.py", "filters/conformance", "filters/classifier",
)  # fmt: skip
CONFORMANCE = ("ahocorasick", "fasteners", "regex", "spacy", "tldextract", "tokenizers")  # modules of that extra


def pytest_configure() -> None:
    """Keep a developer's key and hub cache out of every test and what it starts, and fsync out of it."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        os.environ.pop(name, None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    os.fsync = lambda fd: None
    # How long an example takes says more of the machine than of the code: tests/timing.py tells linear work from other.
    # Examples are the same each time: a change is held against what it changed, and not against a new draw.
    how = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("busy machine", how)
    settings.load_profile("busy machine")
    start()  # as every verb and worker does


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def pytest_collection_finish() -> None:
    """Look no more at what is there for good: a collection takes a second once all tests and libraries are loaded."""
    gc.collect()
    gc.freeze()


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(ROOT / "tests")
    return next((place for place, first in enumerate(FIRST) if path.is_relative_to(first)), len(FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lengths = sorted(((num_lines(path), path) for path in house_files()), reverse=True)[:10]
    terminalreporter.write_line("longest modules: " + ", ".join(f"{path.name} {lines}" for lines, path in lengths))


def need_conformance() -> None:
    """Skip a test that runs datatrove's own filters, or steps @datatrove-0.10, where their extra is not installed."""
    lacking = [name for name in CONFORMANCE if find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: pip install -e '.[conformance]'")


def house_files() -> list[Path]:
    """Return every module of the house, without its tests, in path order."""
    return [*sorted(path for folder in HOUSE for path in (ROOT / folder).rglob("*.py")), ROOT / "tamis.py"]


def num_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
