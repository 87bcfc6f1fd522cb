"""Arrow does without pandas until someone imports it, and from then on knows it as ever."""

from __future__ import annotations

import subprocess
import sys

START = (
    "import pyarrow as pa\nfrom pipeline.core.process.late_pandas import spare_pandas\nspare_pandas(); spare_pandas()\n"
)


def said(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_arrays_of_lists_and_numbers_import_no_pandas() -> None:
    code = "import numpy as np\npa.array([1]); pa.array(np.ones(3), mask=np.ones(3) > 1); pa.scalar('a')\n"

    assert said(code + "pa.array([1]).to_numpy(); import sys; print('pandas' in sys.modules)") == ["False"]


def test_a_series_made_later_is_read_as_one() -> None:
    code = "import pandas as pd\nprint(pa.array(pd.Series([1.0, float('nan')])).null_count)\n"

    assert said(code + "print(pa.lib._pandas_api.have_pandas, pd.__spec__.loader is pd.__loader__)") == [
        "1", "True", "True",
    ]  # fmt: skip


def test_a_table_still_becomes_a_frame() -> None:
    assert said("frame = pa.table({'a': [1, 2]}).to_pandas(); print(type(frame).__name__, len(frame))") == [
        "DataFrame", "2",
    ]  # fmt: skip


def test_nothing_happens_once_pandas_is_there() -> None:
    code = "import sys, pandas as pd, pyarrow as pa\n" + START + "print(pa.array(pd.Series([float('nan')])).null_count)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1"]
