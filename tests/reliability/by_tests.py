"""The tests of the house on which rows of the page rest, run once: how many cases passed, failed or were left out.

A test that counts what it played says so with `record_property("times", n)`; any other counts its cases.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.conftest import ROOT

MOST_SECONDS = 1500


def run(names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Run tests by name, slow ones too; return passed, failed, skipped and times of each."""
    wanted = list(dict.fromkeys(names))
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "",
            f"--junitxml={told}",
            "-p",
            "no:cacheprovider",
            *wanted,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MOST_SECONDS)
        if not told.exists():
            raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
        cases = list(ElementTree.parse(told).iter("testcase"))
    found: dict[str, Counter[str]] = {name: Counter() for name in wanted}
    for case in cases:
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        count = found.setdefault(name, Counter())
        fate = next((word for word in ("failure", "error", "skipped") if case.find(word) is not None), "passed")
        count["failed" if fate in ("failure", "error") else fate] += 1
        times = [int(each.get("value", 0)) for each in case.iter("property") if each.get("name") == "times"]
        count["times"] += sum(times) if times else int(fate == "passed")
    return {name: {key: found[name][key] for key in ("passed", "failed", "skipped", "times")} for name in wanted}


def summed(found: dict[str, dict[str, int]], names: Iterable[str]) -> dict[str, Any]:
    """Return the sums of some tests; `missing` are those that no run has counted."""
    counts: Counter[str] = Counter()
    for name in names:
        counts.update(found.get(name) or {"missing": 1})
    return dict(counts)
