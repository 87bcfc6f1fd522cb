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

from pipeline.core.process.machine_code import SUM_BYTES, kinds_of, load, stamp_of
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
    folder = tmp_path_factory.mktemp("compiled") / "house"
    (folder / "cache").mkdir(parents=True)
    (folder / "kernels.py").write_text(KERNELS, encoding="utf-8")
    assert said(folder, ASK) == [f"{line} True" for line in SAID]
    return Path(shutil.copytree(folder, folder.with_name("as compiled")))


@pytest.fixture
def house(compiled: Path) -> Path:
    """The same, for a test to change; where it was compiled."""
    folder = compiled.with_name("house")
    shutil.rmtree(folder)
    return Path(shutil.copytree(compiled, folder))


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
    nameless = eval("lambda: None")

    assert stamp_of(nameless) is None
    assert load(nameless, (), None) is None


HELPER = """
from pipeline.core.process.kernels import njit


@njit(cache=True, nogil=True)
def times(value: int) -> int:
    return value * 2
"""
USER = """
from helper import times
from pipeline.core.process.kernels import njit

STEP = 1


@njit(cache=True, nogil=True)
def more(value: int) -> int:
    return times(value) + STEP


def adder(number: int):
    @njit(cache=True, nogil=True)
    def add(value: int) -> int:
        return value + number

    return add
"""
MORE = "import user; print(user.more(10))"


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A kernel that calls another module's, neither compiled."""
    folder = tmp_path / "pair"
    (folder / "cache").mkdir(parents=True)
    (folder / "user.py").write_text(USER, encoding="utf-8")
    (folder / "helper.py").write_text(HELPER, encoding="utf-8")
    return folder


def python(house: Path, code: str, **settings: str) -> list[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(house / "cache"), "PYTHONPATH": f"{house}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment | settings, cwd=house
    )
    return done.stdout.splitlines()


def test_a_copy_of_a_house_that_shares_its_folder_runs_its_own_code(pair: Path) -> None:
    assert python(pair, MORE) == ["21"]
    copy = shutil.copytree(pair, pair.with_name("copy"))  # with the files' times
    (copy / "helper.py").write_text(HELPER.replace("* 2", "* 3"), encoding="utf-8")
    os.utime(copy / "helper.py", (1, 1))  # Python takes its compiled file for good within the same second

    assert python(copy, MORE, NUMBA_CACHE_DIR=str(pair / "cache")) == ["31"]


def test_a_module_edited_after_its_import_leaves_no_code_behind(pair: Path) -> None:
    edit = "open('user.py', 'a').write('STEP = 5\\n')"

    assert python(pair, f"import user; {edit}; print(user.more(10))") == ["21"]
    assert python(pair, MORE) == python(pair, MORE) == ["25"]


def test_a_module_edited_and_imported_again_runs_its_new_code(pair: Path) -> None:
    (pair / "edit.py").write_text(
        f"import os\nfrom pathlib import Path\n\ndef edit(step):\n"
        f"    Path('user.py').write_text({USER!r}.replace('STEP = 1', f'STEP = {{step}}'))\n"
        "    os.utime('user.py', (step, step))\n",
        encoding="utf-8",
    )
    code = "from edit import edit; edit({}); " + MORE
    again = f"{code.format(5)}; edit(700); import importlib; importlib.reload(user); print(user.more(10))"

    assert [python(pair, code.format(step)) for step in (5, 700)] == [["25"], ["720"]]
    assert python(pair, again) == ["25", "720"]


def test_kernels_that_functions_make_keep_what_each_was_made_with(pair: Path) -> None:
    make = "import user; print(user.adder(10)(1), user.adder(20)(1))"

    assert python(pair, make) == python(pair, make) == ["11 21"]


def test_a_file_of_settings_of_numbas_tells_code_apart(house: Path) -> None:
    place = f"import os; os.chdir({str(house)!r})\n"
    (house / ".numba_config.yaml").write_text("{OPT: 1}", encoding="utf-8")

    assert said(house, place + ASK)[0] == f"{SAID[0]} True"
    assert said(house, place + ASK)[0] == f"{SAID[0]} False"


def test_a_child_forked_while_a_thread_links_code_can_call_kernels(house: Path) -> None:
    code = (
        "import os, threading, time\n"
        "from pipeline.core.process import machine_code\n"
        "held = threading.Event()\n"
        "def link():\n"
        "    with machine_code._one_at_a_time:\n"
        "        held.set()\n"
        "        time.sleep(0.2)\n"
        "threading.Thread(target=link).start()\n"
        "held.wait()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    import signal; signal.alarm(20)\n"
        "    share(np.arange(4), 2)\n"
        "    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    assert said(house, code) == ["7"]
