"""A kernel's stored code gives what numba's gives, errors and memory included; what does not fit goes through numba."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.process.machine_code import SUM_BYTES, kinds_of, load
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere kernels go through numba")
KERNELS = '''
import numpy as np
from pipeline.core.process.kernels import njit


@njit(cache=True, nogil=True)
def share(values: np.ndarray, number: int) -> tuple[np.ndarray, float]:
    """Return what a number of people get each."""
    if number < 0:
        raise ValueError("nobody is fewer than none")
    return values // number, np.log2(values.sum())
'''
CALL = """
import sys, traceback
import numpy as np
from kernels import share
print("numba" in sys.modules, share.__doc__)
"""
ASK = """
def ask(*arguments):
    try:
        found, size = share(*arguments)
        print(found.dtype, found.tolist(), size, found.base is not None, "numba" in sys.modules)
    except Exception as error:
        print(type(error).__name__, error, "numba" in sys.modules)
ask(np.arange(4), 2)
ask(np.arange(4), 0)
ask(np.arange(4), -1)
ask(np.arange(4), 3)
"""
SAID = [
    "int64 [0, 0, 1, 1] 2.584962500721156 True",
    "int64 [0, 0, 0, 0] 2.584962500721156 True",
    "ValueError nobody is fewer than none",
    "int64 [0, 0, 0, 1] 2.584962500721156 True",
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel that was compiled and called once."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "kernels.py").write_text(KERNELS, encoding="utf-8")
    (folder / "cache").mkdir()
    assert said(folder, ASK) == [f"{line} True" for line in SAID]
    return folder


@pytest.fixture
def house(compiled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(compiled, tmp_path / "house")


def said(house: Path, code: str, **settings: str) -> list[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(house / "cache"), "PYTHONPATH": f"{house}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", CALL + code], capture_output=True, text=True, check=True, env=environment | settings
    )
    return done.stdout.splitlines()[1:]


def test_stored_code_returns_and_raises_what_numba_does_without_it(house: Path) -> None:
    assert said(house, ASK) == [f"{line} False" for line in SAID]


def test_arguments_of_other_kinds_go_through_numba_in_the_same_process(house: Path) -> None:
    code = ASK + "ask(np.arange(8, dtype=np.int32)[::2], np.int64(2)); ask(np.arange(4), 2); ask('four', 2)"

    *before, other, known, wrong = said(house, code)[: len(SAID) + 3]

    assert before == [f"{line} False" for line in SAID]
    assert other == "int64 [0, 1, 2, 3] 3.584962500721156 True True"
    assert known == f"{SAID[0]} True"
    assert wrong.startswith("TypingError")


def test_arrays_of_stored_code_live_on_after_numba_was_imported(house: Path) -> None:
    code = (
        "kept = [share(np.arange(1000), 1)[0] for _ in range(100)]\n"
        "import numba\n"
        "more = [numba.njit(lambda a: a + 1)(each) for each in kept[:3]]\n"
        "kept += [share(np.arange(1000), 1)[0] for _ in range(100)]\n"
        "print(sum(int(each.sum()) for each in kept), int(more[0].sum()))\n"
        "del kept, more\n"
    )

    assert said(house, code) == ["99900000 500500"]


@pytest.mark.parametrize("change", ["damaged", "edited", "another setting"])
def test_what_does_not_fit_goes_through_numba(house: Path, change: str) -> None:
    if change == "damaged":
        for path in (house / "cache").glob("*.code"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    if change == "edited":
        (house / "kernels.py").write_text(KERNELS.replace("nobody", "No one"), encoding="utf-8")

    found = said(house, ASK, **({"NUMBA_OPT": "1"} if change == "another setting" else {}))

    assert found[0] == f"{SAID[0]} True"
    assert found[2] == f"{SAID[2]} True".replace("nobody", "No one" if change == "edited" else "nobody")


def test_code_that_needs_a_name_that_nobody_defines_is_left_alone(house: Path) -> None:
    (path,) = (house / "cache").glob("*.code")
    head, _, code = path.read_bytes()[SUM_BYTES:].partition(b"\n")
    body = head.replace(b'"needed": [', b'"needed": ["no_such_name", ') + b"\n" + code
    path.write_bytes(hashlib.blake2b(body, digest_size=SUM_BYTES).digest() + body)

    assert said(house, ASK) == [f"{line} True" for line in SAID]


def test_arguments_are_told_apart_as_numba_tells_them_apart() -> None:
    plain = np.arange(6)
    frozen = np.arange(6)
    frozen.flags.writeable = False
    square = np.zeros((2, 3))
    each = [
        plain, plain[::2], plain.astype(">i8"), plain.astype(np.int32), frozen, square, square.T, square[:, :2], 1, 1.0,
        True, None, np.int64(1), np.uint8(1), (1, 2), (plain, 1),
    ]  # fmt: skip

    kinds = [kinds_of((value,)) for value in each]

    assert len(set(kinds)) == len(each)
    assert kinds_of((plain + 1, 5)) == kinds_of((plain, 7))


def test_what_only_numba_can_say_is_left_to_it() -> None:
    for value in (1 << 63, "text", [1], {}, np.zeros(2, [("a", "<i8")]), np.ma.zeros(2), ([1],)):
        assert kinds_of((value,)) is None


def test_a_function_without_a_file_has_no_code() -> None:
    assert load(eval("lambda: None"), ()) is None
