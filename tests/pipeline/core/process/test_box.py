"""A box holds code that wants out of it, and says what became of every run; attacks: attacks.py."""

from __future__ import annotations

import inspect
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process import box as box_module
from pipeline.core.process.box import Box, BoxLimits
from tests.pipeline.core.process import attacks

LIMITS = BoxLimits(wall_seconds=1.2, cpu_seconds=1)
SECRET = "a-key-that-nobody-may-have"
MARKER = "the-answer-of-the-reference"
NAMES = [name for name, each in vars(attacks).items() if inspect.isfunction(each) and not name.startswith("_")]
CODE = inspect.getsource(attacks)
RIGHTS = {  # which some systems refuse to whoever is not root, or to all
    "become_root", "change_the_root", "handle_its_own_page_faults", "make_a_queue_beside_the_kernel", "make_namespaces",
    "mount_a_folder", "open_the_parents_memory", "plant_in_python", "read_the_kernels_log", "read_the_parents_memory",
    "trace_itself", "trace_the_parent", "use_keys", "write_to_shared_memory",
}  # fmt: skip
BARE = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("bare", sys.argv[1])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
before = sys.argv[2].encode()
child.answer(sys.stdin.buffer.read(), lambda line: child.give(1, line))
os._exit(0)
"""
linux = pytest.mark.skipif(platform.system() != "Linux", reason="boxes are built of Linux's namespaces")
ADD = "def add(a, b):\n    return a + b\n"


def builders() -> list[str]:
    return [name for name in ("namespaces", "bubblewrap") if name != "bubblewrap" or shutil.which("bwrap")]


@pytest.fixture(scope="module", params=builders())
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    try:
        built = Box(LIMITS, builders=[request.param])
    except RecipeError as error:
        pytest.skip(str(error))
    with built:
        yield built


def claims(box: Box, code: str, function: str, *arguments: Any) -> list[dict[str, Any]]:
    said = box.run(code, function=function, calls=[list(arguments)]).said
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Everything that an attacker would like to know, and what it may find, with doors that are open to others."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "victim").write_text("whole")
    monkeypatch.setenv("SECRET", SECRET)
    kept = bytearray(SECRET.encode())
    with ExitStack() as doors:
        tcp = doors.enter_context(socket.create_server(("127.0.0.1", 0)))
        for name in (str(tmp_path / "socket"), f"\0tamis-{os.getpid()}"):
            listening = doors.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(name)
            listening.listen()
        yield {
            "secret": str(tmp_path / "secret"), "secret_text": SECRET, "victim": str(tmp_path / "victim"),
            "code": attacks.__file__, "parent": os.getpid(), "port": tcp.getsockname()[1], "host": os.uname().nodename,
            "socket": str(tmp_path / "socket"), "abstract": f"tamis-{os.getpid()}", "address": id(kept) & ~15,
            "packages": [sysconfig.get_path("purelib"), f"{sysconfig.get_path('stdlib')}/site-packages"],
            "marker": MARKER[::-1], "late": str(tmp_path / "late"), "late_seconds": 2.0, "spin_seconds": 1.5,
            "sleep_seconds": 1.5,
        }  # fmt: skip


def went_well(lines: bytes) -> bool:
    """Say whether an attack got something: what it returned is true."""
    first = lines.partition(b"\n")[0]
    return bool(first) and bool(json.loads(first).get("value"))


def in_a_plain_process(name: str, told: dict[str, Any], folder: Path) -> bytes:
    job = json.dumps({"code": CODE, "function": name, "calls": [[told]]}).encode()
    leaked, _ = os.pipe()
    os.dup2(leaked, 77)
    command = [sys.executable, "-I", "-S", "-c", BARE, str(box_module.CHILD), MARKER]
    return subprocess.run(command, input=job, capture_output=True, cwd=folder, pass_fds=[77], timeout=30).stdout


@linux
def test_no_attack_goes_well_in_a_box(box: Box, told: dict[str, Any]):
    box.run("def remember(text):\n    return [text] * 100", function="remember", calls=[[MARKER], [MARKER]])

    escaped = [name for name in NAMES if went_well(box.run(CODE, function=name, calls=[[told]]).said)]

    assert escaped == [] and len(NAMES) >= 60
    time.sleep(told["late_seconds"])
    assert Path(told["victim"]).read_text() == "whole" and not Path(told["late"]).exists()


@linux
@pytest.mark.slow
def test_the_same_attacks_go_well_without_a_box(told: dict[str, Any], tmp_path: Path):
    """Or the test above could not fail."""
    stopped = []
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        if not went_well(in_a_plain_process(name, told, folder)):
            stopped.append(name)
        shutil.rmtree(folder)

    assert set(stopped) <= RIGHTS
    assert Path(told["victim"]).read_text() != "whole"


@linux
def test_each_run_ends_as_it_ends_and_the_box_goes_on(box: Box):
    cases = {
        "import os\ndef f():\n    os._exit(3)": ("ended", b"", 3),
        "def f():\n    while True: pass": ("ended", b"", -signal.SIGKILL),  # its processor time is over
        "import time\ndef f():\n    time.sleep(60)": ("timed_out", b"", -signal.SIGKILL),
        "def f():\n    return 'a' * (2 << 20)": ("too_long", b"", -signal.SIGKILL),
        "import sys\ndef f():\n    sys.setrecursionlimit(1 << 30)\n    return f()": ("ended", b"", -signal.SIGSEGV),
        "import sys\nsys.exit(0)": ("ended", b'{"raised_at_start": "SystemExit: 0"}\n', 0),
        "def f(:": ("ended", None, 0),
        "f = 1": ("ended", b'{"raised": "TypeError: \'int\' object is not callable"}\n', 0),
        "g = 1": ("ended", b'{"raised_at_start": "KeyError: \'f\'"}\n', 0),
        "def f():\n    return float('nan')": ("ended", None, 0),
        "def f():\n    return 10 ** 5000": ("ended", None, 0),
        "def f():\n    x = []\n    x.append(x)\n    return x": ("ended", None, 0),
        "def f():\n    return '\\ud800'": ("ended", b'{"value": "\\\\ud800"}\n', 0),
        "def f():\n    return (1, 2)": ("ended", b'{"raised": "TypeError: tuple is no value of JSON"}\n', 0),
        "print('{\"value\": 1}')\ndef f():\n    return 2": ("ended", b'{"value": 2}\n', 0),
    }

    for code, (kind, said, status) in cases.items():
        ran = box.run(code, function="f", calls=[[]])
        assert (ran.kind, ran.status) == (kind, status), code
        assert said is None or ran.said == said, code
        assert said is not None or b"raised" in ran.said, code
        assert ran.wall_seconds < 3
    assert claims(box, ADD, "add", 1, 2) == [{"value": 3}]


@linux
def test_a_run_finds_nothing_of_the_one_before(box: Box):
    leave = "import os, math\ndef leave():\n    os.makedirs('a/b')\n    os.symlink('/', 'a/c')\n    math.pi = 3\n    return 1"
    look = "import os, math\ndef look():\n    return [os.listdir('.'), math.pi > 3.1]"

    assert claims(box, leave, "leave") == [{"value": 1}]
    assert claims(box, look, "look") == [{"value": [[], True]}]


@linux
def test_a_large_job_and_a_long_answer_come_through_whole(box: Box):
    text = "snow \N{SNOWMAN} " * 50_000

    assert claims(box, "def echo(text):\n    return text", "echo", text) == [{"value": text}]


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
        world = _below(keeper)
        parent.kill()

    deadline = time.monotonic() + 5
    while (left := [each for each in world if _lives(each)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(world) >= 2 and left == []


def _below(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(each for child in children for each in _below(int(child)))]


def _lives(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@linux
def test_a_box_that_is_lost_says_so(box: Box):
    with Box(LIMITS, builders=[box.builder]) as other:
        assert other._child is not None
        os.kill(_below(other._child.pid)[-1], signal.SIGKILL)
        with pytest.raises(ServiceError, match=r"the box \(\w+\) was lost while code ran in it"):
            other.run(ADD, function="add", calls=[[1, 2]])


def test_where_no_box_can_be_built_nothing_runs_and_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Neither tool: no bubblewrap on the path, and a Python that starts nothing that could answer."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(box_module, "CHILD", tmp_path / "nothing.py")

    with pytest.raises(RecipeError, match="cannot be built on this machine") as caught:
        Box(builders=["bubblewrap", "namespaces"])

    assert "apt install bubblewrap" in str(caught.value) and "namespaces: " in str(caught.value)
    assert caught.value.exit_code == 2
