"""`njit` and `intrinsic` as numba's, but numba is imported when a kernel is first called, and what is stored is loaded.

Importing numba takes 0.25 s, which steps that are only planned need not pay: so a kernel is numba's no earlier than its
first call. And before numba loads a stored kernel, it prepares to compile one: it imports all that it can type and
lower, and SciPy with it, 0.3 s and 30 MB. A stored kernel needs none of that, only numba's runtime (memory of arrays).
So a kernel's store gives it that, and leaves the rest to the compiler, which prepares itself. That was held against
numba 0.68; another version loads as it always did.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

LOADS_ALONE = (0, 68)  # numba whose stored kernels were seen to need no more than its runtime


class Kernel:
    """A function that numba makes native when it is first called, or when another kernel that calls it is compiled."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._options = function, options

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.native(*arguments, **named)

    @functools.cached_property
    def native(self) -> Any:
        """Numba's own object, made now."""
        import numba

        made = numba.njit(**self._options)(self._function)
        if self._options.get("cache") and numba.version_info.short == LOADS_ALONE:
            made._cache = _store()(self._function)
        return made

    @property
    def _numba_type_(self) -> Any:
        """What numba asks for when another kernel names this one."""
        return self.native._numba_type_

    @property
    def targetoptions(self) -> Any:
        """What numba asks for before it compiles a call: whether to inline it."""
        return self.native.targetoptions

    @property
    def py_func(self) -> Any:
        """What numba asks for when it inlines a call."""
        return self._function

    def __reduce__(self) -> str:
        return self._function.__qualname__

    def __deepcopy__(self, memo: Any) -> Kernel:
        return self  # numba copies the statements that name it


class Intrinsic:
    """A function that tells numba what instructions to write, made known to numba when a kernel that calls it is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @functools.cached_property
    def native(self) -> Any:
        """Numba's own object, made now."""
        from numba.extending import intrinsic

        return intrinsic(self._function)

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        made, context = self.native, cpu_target.typing_context
        context.refresh()  # it looks for new intrinsics only when told to
        return context.resolve_value_type(made)

    def __deepcopy__(self, memo: Any) -> Intrinsic:
        return self


class _Late:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


types: Any = _Late("numba.types")
cgutils: Any = _Late("numba.core.cgutils")


def njit(**options: Any) -> Any:
    """Make a function a kernel, with numba's own options."""
    return functools.partial(Kernel, options=options)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make a function an intrinsic, for kernels to call."""
    return Intrinsic(function)


@functools.cache
def _import_array_functions() -> None:
    """Import what numba has for arrays, which stored kernels name, as if SciPy's linear algebra were there.

    Numba imports that (0.2 s) only to know whether `np.dot` could be compiled. It asks again where one is.
    """
    from numba.np import linalg

    asks = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        from numba.np import arraymath
    finally:
        linalg.ensure_blas = asks
    arraymath.ensure_blas = asks


@functools.cache
def _store() -> type[Any]:
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys

    class Store(FunctionCache):
        """Numba's files of one kernel, read without preparing to compile."""

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            rtsys.initialize(target_context)
            _import_array_functions()
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)

    return Store
