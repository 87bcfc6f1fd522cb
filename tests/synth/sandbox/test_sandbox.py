"""Code that nobody trusts gives values or the reason why not; attacks and cheats: matrix.py."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from synth.sandbox.sandbox import Execution, Sandbox
from synth.sandbox.values import Failure, Value, read_claims, same
from tests.synth.sandbox.cheats import LIMITS
from tests.synth.sandbox.figures import BUILDERS, FIGURES, MARKER, PAGE, sentences
from tests.synth.sandbox.matrix import ATTACKS, CHEATS, escapes_from_boxes, escapes_without_a_box

linux = pytest.mark.skipif(platform.system() != "Linux", reason="boxes are built of Linux's namespaces")
ADD = "def add(a, b):\n    return a + b\n"
# Which some systems refuse to whoever is not root, or to all.
RIGHTS = {
    "become_root", "change_the_root", "handle_its_own_page_faults", "make_a_queue_beside_the_kernel", "make_namespaces",
    "mount_a_folder", "open_the_parents_memory", "plant_in_python", "read_the_kernels_log", "read_the_parents_memory",
    "trace_the_parent", "use_keys", "write_to_shared_memory",
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        built = Sandbox(LIMITS)
    except RecipeError as error:
        pytest.skip(str(error))
    with built:
        yield built


@linux
@pytest.mark.parametrize("builder", ["namespaces", "bubblewrap"])
def test_no_attack_gets_out_of_a_box_and_no_cheat_passes(builder: str, tmp_path: Path, sandbox: Sandbox):
    if builder == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")

    assert escapes_from_boxes(tmp_path, builder=builder) == []
    assert len(ATTACKS) + len(CHEATS) >= 80


@linux
@pytest.mark.slow
def test_the_same_attacks_and_cheats_go_well_without_a_box(tmp_path: Path):
    """Or the test above could not fail."""
    assert {*ATTACKS, *CHEATS} - set(escapes_without_a_box(tmp_path)) <= RIGHTS


def test_the_page_tells_the_figures_of_which_none_is_an_escape():
    told = json.loads(FIGURES.read_text(encoding="utf-8"))

    assert (told["attacks"], told["cheats"]) == (len(ATTACKS), len(CHEATS))
    assert [each["escapes"] for one in told["by"].values() for name, each in one.items() if name in BUILDERS] == [
        []
    ] * 4
    assert min(each["executions per second"] for each in told["speed"].values()) >= 200
    assert MARKER + sentences(told) in PAGE.read_text(encoding="utf-8")


@linux
def test_each_end_of_a_run_has_its_name_and_the_boxes_go_on(sandbox: Sandbox):
    endings = {
        "def f(x):\n    while True: pass": "timeout",
        "import time\ndef f(x):\n    time.sleep(60)": "timeout",
        "def f(x):\n    return len(bytearray(1 << 30))": "memory",
        "import os\ndef f(x):\n    os.fork()": "refused",
        "def f(x):\n    open('/usr/planted', 'w')": "refused",
        "def f(x):\n    return x / 0": "raised",
        "def f(:": "start",
        "g = 1": "start",
        "import sys\nsys.exit(0)": "start",
        "def f(x):\n    return {1, 2}": "form",
        "def f(x):\n    return (x, x)": "form",
        "def f(x):\n    return float('nan')": "form",
        "def f(x):\n    return 10 ** 5000": "form",
        "def f(x):\n    return '\\ud800'": "form",
        "def f(x):\n    y = []\n    y.append(y)\n    return y": "form",
        "import os\ndef f(x):\n    os.write(3, b'not JSON\\n')": "form",
        "def f(x):\n    return 'a' * (2 << 20)": "length",
        "import os\ndef f(x):\n    os._exit(3)": "died",
        "import ctypes\ndef f(x):\n    ctypes.string_at(0)": "died",
    }

    found = sandbox.execute_all(Execution(code, "f", [[1], [2]]) for code in endings)

    for (code, why), outcomes in zip(endings.items(), found, strict=True):
        assert [outcome.why for outcome in outcomes if isinstance(outcome, Failure)] == [why, why], (code, outcomes)
    text = "snow \N{SNOWMAN} " * 50_000
    assert sandbox.execute(ADD, function="add", inputs=[[text, "!"], ["a", 1], [[1], [{"b": None}]]]) == [
        Value(text + "!"),
        Failure("raised", 'TypeError: can only concatenate str (not "int") to str'),
        Value([1, {"b": None}]),
    ]


@linux
def test_a_run_finds_nothing_of_the_one_before_and_the_order_of_sets_is_settled(sandbox: Sandbox):
    leave = (
        "import fcntl, os, math\ndef f():\n    os.makedirs('a/b')\n    os.symlink('/', 'a/c')\n    math.pi = 3\n"
        "    fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)"  # kept as long as anybody has the file open
    )
    look = (
        "import fcntl, os, math\ndef f():\n    flags = fcntl.fcntl(0, fcntl.F_GETFL)\n    return [os.listdir('.'), "
        "math.pi > 3.1, dict(os.environ), flags & (os.O_APPEND | os.O_NONBLOCK), hash('order')]"
    )

    assert sandbox.execute(leave, function="f", inputs=[[]]) == [Value(None)]
    seen = [outcome for outcomes in sandbox.execute_all([Execution(look, "f", [[]])] * 4) for outcome in outcomes]

    assert seen[0].value[:4] == [[], True, {}, 0] and seen == seen[:1] * 4
    with Sandbox(LIMITS, boxes=1, hash_seed=1) as other:
        assert other.execute(look, function="f", inputs=[[]]) != seen[:1]


@linux
def test_a_box_that_is_lost_is_built_again(sandbox: Sandbox):
    for box in sandbox._all:
        os.kill(box._child.pid, signal.SIGKILL)

    assert list(sandbox.execute_all([Execution(ADD, "add", [[1, 2]])] * 5)) == [[Value(3)]] * 5


def test_values_are_the_same_only_with_their_types():
    values = [None, False, True, 0, 1, 0.0, -0.0, 1.0, "", "1", [], [1], [1.0], [True], {}, {"a": 1}, {"a": True}]

    assert [[same(left, right) for right in values] for left in values] == [
        [left is right for right in values] for left in values
    ]
    assert same({"a": [1, {"b": None}], "c": 2}, json.loads('{"c": 2, "a": [1, {"b": null}]}'))


def test_a_forged_line_makes_every_claim_void():
    good = b'{"value": 1}\n'
    forged = [
        b"PASSED\n", b'{"value": 1, "same": true}\n', b'{"value": NaN}\n', b"[" * 9999 + b"\n", b"\xff\n",
        b'{"value": 1, "value": 2}\n', b'{"failed": "timeout", "told": ""}\n', b'{"failed": [], "told": 1}\n',
    ]  # fmt: skip

    for line in forged:
        assert [claim.why for claim in read_claims(good + line, num_calls=3)] == ["form"] * 3
    assert [claim.why for claim in read_claims(good * 3, num_calls=2)] == ["form"] * 2
    assert read_claims(good + b'{"val', num_calls=3) == [Value(1)]
    assert read_claims(b'{"value": 1e999}\n', num_calls=1) == [Failure("form", "a value out of bounds")]
