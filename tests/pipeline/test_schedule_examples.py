"""The examples in `recipes/schedule/`: their commands are commands of ours, and those whose program is here load."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.cli import app
from tests.conftest import ROOT

EXAMPLES = ROOT / "recipes" / "schedule"
FILES = ["crontab", "tamis-nightly.service", "airflow_dag.py", "dagster_job.py"]


@pytest.mark.parametrize("name", FILES)
def test_the_command_of_an_example_is_one_of_ours(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")

    found = re.findall(r"\.venv/bin/tamis (run [^\">\n]*)", text)

    assert len(found) == 1
    words = shlex.split(found[0])
    app.commands["run"].make_context("run", words[1:])  # refuses flags that are not there


def test_the_crontab_has_five_fields_of_time_and_names_its_folder() -> None:
    lines = [line for line in (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines() if line[0] not in "#SM"]

    assert len(lines) == 1
    assert re.fullmatch(r"(?:(?:\*|[0-9]{1,2})(?:[-/,][0-9]{1,2})* ){5}cd /\S+ && .*", lines[0]) and "%" not in lines[0]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """What it runs, and for whom, is of the machine that it is installed on: replaced by what is here."""
    for path in EXAMPLES.glob("tamis-nightly.*"):
        text = path.read_text(encoding="utf-8").replace("/srv/tamis/.venv/bin/tamis", "/bin/true")
        text = text.replace("User=tamis\n", "").replace("/srv/tamis", "/")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    units = sorted(str(path) for path in tmp_path.iterdir())

    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)

    ours = [line for line in done.stderr.splitlines() if "tamis-nightly" in line]
    assert len(units) == 2 and not ours


@pytest.mark.parametrize(("name", "module"), [("airflow_dag.py", "airflow"), ("dagster_job.py", "dagster")])
def test_the_example_of_a_scheduler_loads_where_that_is_installed(name: str, module: str) -> None:
    """Nobody installs either for our tests; `pip install apache-airflow` or `dagster` makes it one."""
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    compile(source, name, "exec")
    pytest.importorskip(module)

    runpy.run_path(str(EXAMPLES / name))
