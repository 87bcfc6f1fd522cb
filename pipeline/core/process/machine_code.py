"""Machine code of kernels, each in a file of its own: a process that only calls stored kernels does without numba.

Importing and preparing numba takes 0.2 s, and it reads each stored kernel as if it were to compile another one that
calls it: 28 kernels took 0.39 s and take 0.05. So after a kernel's first call through numba, its object code and the
names that it needs are kept beside numba's own files. Later processes hand the code to LLVM themselves, and load of
numba three small libraries alone. A file's name is a hash of all that the code depends on: kernel, its bytecode, kinds
of the arguments, module file as it was when the kernel was made, numba, llvmlite, numpy, Python, processor, settings;
and all modules of this house where the folder is not of its own state. Whatever is not there or does not fit, such as
a name that nobody defines, goes through numba as always, and so do kernels that functions make: what these close over
is frozen into them. Linux only, and held against numba 0.68 alone.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import hashlib
import json
import marshal
import os
import pickle
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.process.kernel_cache import VARIABLE, foreign_state, own_folder

KNOWN = (0, 68)  # numba whose stored kernels were seen to be as `keep` takes them apart
FLAGS = 0x503  # of an array, by which numba tells types apart: C and F order, aligned, writable
SUM_BYTES = 16
ELF, SYMBOLS, UNDEFINED = b"\x7fELF\x02\x01", 2, 0  # a little-endian file of 64 bits, its kind of section, its mark
CONFIGURATION = ".numba_config.yaml"  # numba reads it where a process starts
Stamp = tuple[Any, ...]
_one_at_a_time = threading.RLock()
os.register_at_fork(  # a child that forks in the middle of it would find LLVM's own lock taken for ever
    before=_one_at_a_time.acquire, after_in_parent=_one_at_a_time.release, after_in_child=_one_at_a_time.release
)


def stamp_of(function: Callable[..., Any]) -> Stamp | None:
    """Return what tells states of a function's file apart, to be taken when the function is made; None without one."""
    path = function.__code__.co_filename
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return path, found.st_size, found.st_mtime_ns, foreign_state()


def kinds_of(arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return what numba tells arguments apart by, None where that takes numba to say."""
    kinds = tuple(map(_kind_of, arguments))
    return None if None in kinds else kinds


def _kind_of(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        return None if value.dtype.names else (value.dtype.str, value.ndim, value.flags.num & FLAGS)
    if kind is int:
        return "int" if -(1 << 63) <= value < 1 << 63 else None
    if kind is float or kind is bool or value is None:
        return kind.__name__
    if kind is tuple:
        return kinds_of(value)
    return value.dtype.str if isinstance(value, np.generic) and not value.dtype.names else None


def load(function: Callable[..., Any], kinds: tuple[Any, ...], stamp: Stamp | None) -> Callable[..., Any] | None:
    """Return a kernel's stored code for arguments of these kinds as a function, None if it cannot be had."""
    with _one_at_a_time:
        path = _file_of(function, kinds, stamp)
        try:
            stored = b"" if path is None else path.read_bytes()
        except OSError:
            return None
        if path is None or _sum(stored[SUM_BYTES:]) != stored[:SUM_BYTES]:
            return None
        head, _, code = stored[SUM_BYTES:].partition(b"\n")
        return _linker().link(function, code, file=path.name, stamp=stamp, **json.loads(head))


def keep(
    function: Callable[..., Any], kinds: tuple[Any, ...], stamp: Stamp | None, dispatcher: Any,
    arguments: tuple[Any, ...],
) -> None:  # fmt: skip
    """Store the code that numba stored for such arguments, if all that it comes with is names and types of arrays."""
    from numba import config, version_info

    path = None if config.DISABLE_JIT or version_info.short != KNOWN else _file_of(function, kinds, stamp)
    if path is None or dispatcher._cache.cache_path is None:
        return
    cache, given = dispatcher._cache, tuple(map(dispatcher.typeof_pyval, arguments))
    compiled = cache._cache_file.load(cache._index_key(given, dispatcher.targetctx.codegen()))
    if compiled is None:
        return
    (_, form, code), about, own, _, objectmode, lifted, _, at_load, others = compiled
    types_of = {each.env_name: list(each.consts) for each in (own, *others)}
    plain = all(isinstance(value, np.dtype) for values in types_of.values() for value in values)
    if form == "object" and code[0].startswith(ELF) and plain and not (objectmode or lifted or at_load):
        head = {
            "entry": about.llvm_cpython_wrapper_name, "own": own.env_name, "needed": list(_needed(code[0])),
            "types": {name: [value.str for value in values] for name, values in types_of.items()},
        }  # fmt: skip
        body = json.dumps(head).encode() + b"\n" + code[0]
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        with suppress(OSError):  # no room for what is only faster
            temporary.write_bytes(_sum(body) + body)
            os.replace(temporary, path)


def _sum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=SUM_BYTES).digest()


def _file_of(function: Callable[..., Any], kinds: tuple[Any, ...], stamp: Stamp | None) -> Path | None:
    folder = own_folder()
    if folder is None or stamp is None or sys.platform != "linux":
        return None
    if function.__closure__ or "<locals>" in function.__qualname__:
        return None
    bytecode = marshal.dumps(function.__code__, 2)  # later versions also tell how often its constants are used
    known = (function.__module__, function.__qualname__, kinds, stamp, bytecode, _surroundings())
    return folder / f"{_sum(repr(known).encode()).hex()}.code"


@functools.cache
def _numba() -> Path:
    spec = find_spec("numba")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


@functools.cache
def _surroundings() -> str:
    """Return what machine code depends on besides the kernel and its arguments."""
    import llvmlite
    import llvmlite.binding as llvm

    file = Path(CONFIGURATION)
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] != VARIABLE)
    return repr((
        (_numba() / "_version.py").read_bytes(), llvmlite.__version__, np.__version__, sys.version,
        llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), settings,
        file.read_bytes() if file.is_file() else b"",
    ))  # fmt: skip


def _needed(code: bytes) -> Iterator[str]:
    """Yield the names that an ELF file uses and does not define."""
    (sections,), (size, number) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<HH", code, 58)
    heads = [struct.unpack_from("<IIQQQQI", code, sections + size * index) for index in range(number)]
    for _, kind, _, _, start, length, names in heads:
        for place in range(start + 24, start + length, 24) if kind == SYMBOLS else ():
            name, _, _, section = struct.unpack_from("<IBBH", code, place)
            if section == UNDEFINED and name:
                begin = heads[names][4] + name
                yield code[begin : code.index(b"\0", begin)].decode()


@ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def _unpickle(place: int, size: int, _: int) -> Any:
    """Return the class of an array or the exception that code names; numba's own function would import it."""
    return _unpickled(place, size)


@functools.cache
def _unpickled(place: int, size: int) -> Any:
    return pickle.loads(ctypes.string_at(place, size))


def _library(name: str) -> Any:
    """Import one of numba's own libraries, and numba not."""
    *folders, file = name.split(".")[1:]
    path = next(found for end in EXTENSION_SUFFIXES if (found := _numba().joinpath(*folders, file + end)).exists())
    loader = ExtensionFileLoader(name, str(path))
    module = module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    loader.exec_module(module)
    return module


class _Linker:
    """LLVM's, which puts code into memory and joins it to what it needs of Python and of numba's libraries."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        helpers, memory = _library("numba._helperlib"), _library("numba.core.runtime._nrt_python")
        memory.memsys_use_cpython_allocator()
        self._known = {  # by the names that numba gives them
            "_Py_NoneStruct": id(None),
            **{f"PyExc_{name}": id(kind) for name, kind in vars(builtins).items() if isinstance(kind, type)},
            **{f"NRT_{name}": address for name, address in memory.c_helpers.items()},
            **{f"numba_{name}": address for name, address in helpers.c_helpers.items()},
            "numba_unpickle": ctypes.cast(_unpickle, ctypes.c_void_p).value,
        }
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
        self._llvm, self._engine = llvm, llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
        self._dynamic = _library("numba._dynfunc")
        self._environments: dict[str, Any] = {}
        self._linked: dict[str, Callable[..., Any]] = {}  # by file
        self._stamps: dict[str, Stamp | None] = {}  # of modules

    def link(
        self, function: Callable[..., Any], code: bytes, *, file: str, stamp: Stamp | None, entry: str, own: str,
        needed: list[str], types: dict[str, list[str]],
    ) -> Callable[..., Any] | None:  # fmt: skip
        """Return code as a function, None where it needs a name that nobody defines: LLVM would end the process.

        None too for a module that was edited and imported again: LLVM would go on with what it knows by the same names.
        """
        if file in self._linked:
            return self._linked[file]
        if self._stamps.setdefault(function.__module__, stamp) != stamp:
            return None
        for name in needed:
            if name in self._known:
                self._llvm.add_symbol(name, self._known[name])
            elif self._llvm.address_of_symbol(name) is None:
                return None
        self._engine.add_object_file(self._llvm.object_file.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        for name, named in types.items():
            if name not in self._environments:
                self._environments[name] = self._dynamic.Environment(function.__globals__)
                self._environments[name].consts[:] = map(np.dtype, named)
            place = self._engine.get_global_value_address(name)
            ctypes.c_void_p.from_address(place).value = id(self._environments[name])
        self._linked[file] = self._dynamic.make_function(
            sys.modules[function.__module__], function.__name__, function.__doc__ or "",
            self._engine.get_function_address(entry), self._environments[own], (self,),
        )  # fmt: skip
        return self._linked[file]


_linker = functools.cache(_Linker)
