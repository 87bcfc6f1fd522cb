"""Freed memory kept for the next batch."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS_OF_TWENTY_BATCHES = """
import resource
import numpy as np
from pipeline.heap import keep_freed_memory

def work():
    arrays = [np.ones(1 << 18) for _ in range(4)]

{first}
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_the_next_batch_takes_the_pages_of_the_last() -> None:
    faults = []
    for first in ("pass", "keep_freed_memory()"):
        program = FAULTS_OF_TWENTY_BATCHES.format(first=first)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        faults.append(int(done.stdout))

    assert faults[1] < faults[0] / 10, faults
