"""A started process keeps the memory that it frees, and does without pandas until someone imports it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from pipeline.cli import app
from pipeline.core.process.kernel_cache import VARIABLE
from pipeline.core.process.start import ARROWS_CHOICE, start
from pipeline.engine.executors import Local

START = "import pyarrow as pa\nfrom pipeline.core.process.start import start\nstart(); start()\n"
POOL = (
    "import pyarrow as pa; from pipeline.core.process.start import start; table = pa.table({'a': [1]}); start()\n"
    "print(pa.default_memory_pool().backend_name, pa.array(['x']).to_pylist(), table.to_pylist())"
)


def said(code: str, **environment: str) -> list[str]:
    others = {name: value for name, value in os.environ.items() if name not in (ARROWS_CHOICE, VARIABLE)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=others | environment
    )
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone is told")
@pytest.mark.parametrize(("chosen", "used"), [({}, "system"), ({ARROWS_CHOICE: "mimalloc"}, "mimalloc")])
def test_arrow_uses_the_memory_that_is_kept_unless_told_otherwise(chosen: dict[str, str], used: str) -> None:
    assert said(POOL, **chosen)[0] == used


@pytest.mark.parametrize(("chosen", "used"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "4"}, "4")])
def test_linear_algebra_has_one_thread_unless_told_otherwise(chosen: dict[str, str], used: str) -> None:
    code = "import os; os.environ.pop('OPENBLAS_NUM_THREADS', None); os.environ.update(" + repr(chosen) + ")\n"

    assert said(code + START + "print(os.environ['OPENBLAS_NUM_THREADS'])") == [used]


def test_kernels_have_the_folder_of_their_code() -> None:
    (name,) = said(START + f"import os; print(os.path.basename(os.environ.get('{VARIABLE}', '')))")

    assert name.startswith("kernels-")


def test_arrays_made_and_read_import_no_pandas() -> None:
    code = (
        "import sys, numpy as np, pyarrow.compute as pc\n"
        "pa.array([1]); pa.array(np.ones(3), mask=np.ones(3) > 1); pa.scalar('a'); pa.array([1]).to_numpy()\n"
        "pa.chunked_array([[1.0, None]]).to_numpy(); pa.array([True, None]).to_numpy(zero_copy_only=False)\n"
        "print('pandas' in sys.modules)"
    )

    assert said(START + code) == ["False"]


def test_a_series_made_later_is_read_as_one() -> None:
    code = "import pandas as pd\nprint(pa.array(pd.Series([1.0, float('nan')])).null_count)\n"

    assert said(START + code + "print(pa.lib._pandas_api.have_pandas, pd.__spec__.loader is pd.__loader__)") == [
        "1", "True", "True",
    ]  # fmt: skip


def test_a_table_still_becomes_a_frame() -> None:
    code = "frame = pa.table({'a': [1, 2]}).to_pandas(); print(type(frame).__name__, len(frame))"

    assert said(START + code) == ["DataFrame", "2"]


def test_nothing_happens_once_pandas_is_there() -> None:
    code = "import sys, pandas as pd, pyarrow as pa\n" + START + "print(pa.array(pd.Series([float('nan')])).null_count)"

    assert said(code) == ["1"]


def started(_: int) -> bool:
    return start.cache_info().currsize == 1


def test_a_worker_is_started() -> None:
    executor = Local(workers=2)
    try:
        assert executor.map(started, range(2), label="look") == [True, True]
    finally:
        executor.close()


def test_every_verb_starts_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])  # each start watches for pandas
    for command in app.commands.values():
        start.cache_clear()
        assert command.callback is not None
        with pytest.raises(TypeError):
            command.callback(no_such_flag=1)

        assert start.cache_info().currsize == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system holds no process to cores")
def test_workers_are_as_many_as_cores_that_may_be_used() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}})\nfrom pipeline.commands.flags import WORKERS\n"

    assert said(code + "import click\nprint(WORKERS(click.Command('a')).params[-1].default)") == ["1"]
