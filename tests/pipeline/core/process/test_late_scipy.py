"""Kernels compile and load without scipy.linalg, and those that multiply matrices still find it."""

from __future__ import annotations

import subprocess
import sys

START = "import sys\nfrom pipeline.core.process.late_scipy import spare_scipy\nspare_scipy(); spare_scipy()\n"
KERNEL = "import numpy as np\nfrom numba import njit\n@njit\ndef total(a): return a.sum()\nprint(total(np.ones(3)))\n"
PRODUCT = "@njit\ndef product(a): return np.dot(a, a)\nprint(product(np.ones((2, 2))).sum())\n"


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_kernel_needs_no_linear_algebra() -> None:
    assert said(KERNEL + "print('scipy.linalg' in sys.modules)") == ["3.0", "False"]


def test_linear_algebra_is_there_for_all_others() -> None:
    assert said(KERNEL + PRODUCT + "import scipy.linalg; print(scipy.linalg.norm([3, 4]))") == ["3.0", "8.0", "5.0"]
    assert said("import scipy.linalg; print(scipy.linalg.norm([3, 4]))\n" + KERNEL + PRODUCT) == ["5.0", "3.0", "8.0"]
