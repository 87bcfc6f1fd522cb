"""Kernels are numba's when they are compiled; stored ones run without numba."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from filters.dedup.clusters import root
from pipeline.core.process.kernels import Kernel, njit
from tests.conftest import ROOT

CALL = """
import sys
import numpy as np
from filters.dedup.clusters import equal_key_edges
before = "numba" in sys.modules
edges = equal_key_edges(np.array([7, 5, 7], np.uint64), rows=np.arange(3))  # sorts, for which numba has functions
print(before, "numba" in sys.modules, edges.left.tolist(), edges.right.tolist())
"""


def called(folder: Path, then: str = "") -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", CALL + then], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout.strip()


def test_a_kernel_is_compiled_once_and_then_runs_without_numba(tmp_path: Path) -> None:
    compiled, stored = called(tmp_path), called(tmp_path)

    assert compiled == "False True [0] [2]"
    assert stored == "False False [0] [2]"


def test_a_product_of_matrices_compiles_after_a_stored_kernel_ran(tmp_path: Path) -> None:
    product = "import numba; print(numba.njit(lambda a: a.dot(a))(np.eye(2) * 3).tolist())"
    called(tmp_path)

    assert called(tmp_path, product).splitlines()[-1] == "[[9.0, 0.0], [0.0, 9.0]]"


@njit(nogil=True)
def _half(value: int) -> float:
    return value / 2


@njit(nogil=True, inline="always")
def _next(value: int) -> int:
    return value + 1


@njit(nogil=True)
def _half_of_next(value: int) -> float:
    return _half(_next(value))


def test_kernels_call_each_other_inlined_or_not() -> None:
    assert _half_of_next(2) == 1.5
    assert root(np.array([0, 0, 1]), 2) == 0


def test_a_kernel_still_says_what_it_is() -> None:
    assert isinstance(root, Kernel)
    assert (root.__name__, root.__module__) == ("root", "filters.dedup.clusters")
    assert root.__doc__ is not None and root.__doc__.startswith("Return the root")


def test_wrong_arguments_are_the_callers_mistake() -> None:
    with pytest.raises(TypeError):
        _half()
