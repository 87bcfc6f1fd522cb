"""numba without scipy.linalg, until a kernel asks for linear algebra: 0.09 s of a process's first kernel.

numba imports it with the first kernel only to note whether `np.cov` may call BLAS; hidden then, that falls back to a
loop, and no kernel here calls it. All else is as before: what multiplies matrices looks again when it is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

LOOKING = "numba.np.arraymath"  # the module that looks, and
SEEN = "_HAVE_BLAS"  # where it then notes what it saw


def spare_scipy() -> None:
    """Keep numba from importing scipy.linalg with the first kernel of this process; without effect after that."""
    if LOOKING not in sys.modules and not any(isinstance(finder, _Hiding) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Hiding())


class _Hiding(MetaPathFinder):
    """Hides scipy.linalg while numba looks for it."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        looking = sys.modules.get(LOOKING) if fullname == "scipy.linalg" else None
        if looking is not None and not hasattr(looking, SEEN):
            raise ModuleNotFoundError("hidden from numba", name=fullname)
