"""A box holds code that wants out of it, and ends with whoever built it; what runs in it: tests/synth/sandbox."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process.box import Box, BoxLimits, Builder
from tests.synth.sandbox.matrix import living_below

LIMITS = BoxLimits(wall_seconds=1.2, cpu_seconds=1)
linux = pytest.mark.skipif(platform.system() != "Linux", reason="boxes are built of Linux's namespaces")
ADD = "def add(a, b):\n    return a + b\n"


def builders() -> list[Builder]:
    return ["bubblewrap", "namespaces"] if shutil.which("bwrap") else ["namespaces"]


@pytest.fixture(scope="module", params=builders())
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    try:
        built = Box(LIMITS, builders=[request.param])
    except RecipeError as error:
        pytest.skip(str(error))
    with built:
        yield built


@linux
def test_a_box_ends_with_its_parent():
    code = (
        "import sys, time; from pipeline.core.process.box import Box; box = Box(); print(box._child.pid, flush=True)\n"
        "box.run('import time\\ndef f():\\n    time.sleep(60)', function='f', calls=[[]])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        keeper = int(parent.stdout.readline() or pytest.skip("no box can be built here"))
        time.sleep(0.3)
        world = [keeper, *living_below(keeper)]
        parent.kill()

    deadline = time.monotonic() + 5
    while (left := [each for each in world if _lives(each)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(world) >= 2 and left == []


def _lives(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@linux
def test_a_box_that_is_lost_says_so(box: Box):
    with Box(LIMITS, builders=[box.builder]) as other:
        assert other._child is not None
        os.kill(max(living_below(other._child.pid) or {other._child.pid}), signal.SIGKILL)
        with pytest.raises(ServiceError, match=r"the box \(\w+\) was lost while code ran in it"):
            other.run(ADD, function="add", calls=[[1, 2]])
        assert not other.is_open


@linux
def test_where_no_box_can_be_built_nothing_runs_and_it_is_said_what_to_install():
    """In a process that may make and mount nothing, as in many containers."""
    code = (
        "import ctypes, platform, struct; from pipeline.core.process import box, system_calls as calls\n"
        "column = list(calls.PROCESSORS).index(platform.machine())\n"
        "numbers = [calls.REFUSED['unshare'][column], calls.REFUSED_IN_A_BOX['mount'][column]]\n"
        "steps = [(calls.LOAD, 0, 0, 0), (calls.EQUAL, 1, 0, numbers[0]), (calls.EQUAL, 0, 1, numbers[1]),\n"
        "         (calls.RETURN, 0, 0, calls.FAIL | 1), (calls.RETURN, 0, 0, calls.ALLOW)]\n"
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        "assert calls.install(b''.join(struct.pack('<HBBI', *step) for step in steps))\n"
        "try:\n    box.Box(builders=['bubblewrap', 'namespaces'])\n"
        "except box.RecipeError as error:\n    print(error, error.exit_code)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.startswith("the box for generated code cannot be built on this machine (bubblewrap: ")
    assert "apt install bubblewrap" in said and "; namespaces: " in said and said.endswith(" 2\n")
