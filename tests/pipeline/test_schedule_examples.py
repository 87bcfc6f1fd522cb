"""The examples in `recipes/schedule/`: their commands are commands of ours, and those whose program is here load."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import app
from tests.conftest import ROOT
from tests.pipeline.commands.test_every_night import RECIPE, VERB, texts_of
from tests.pipeline.house import House

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


@pytest.mark.parametrize("name", ["airflow_dag.py", "dagster_job.py"])
def test_the_examples_of_schedulers_are_python(name: str) -> None:
    compile((EXAMPLES / name).read_text(encoding="utf-8"), name, "exec")


DAGSTER = """
import runpy, sys
import dagster as dg
made = runpy.run_path(sys.argv[1])
for night in range(2):
    done = dg.materialize([made["promoted_mixture"]], instance=dg.DagsterInstance.ephemeral())
    [event] = done.get_asset_materialization_events()
    told = {key: value.value for key, value in event.materialization.metadata.items()}
    print("NIGHT", done.success, told["nothing_new"], told["sentence"])
"""
AIRFLOW = """
import runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
for night in range(2):
    [task] = dag.test().get_task_instances()
    print("NIGHT", task.state)
"""
SAID = {
    "dagster_job.py": [r"NIGHT True False .+", r"NIGHT True True .+"],
    "airflow_dag.py": ["NIGHT success", "NIGHT skipped"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module", "program"), [
    ("airflow_dag.py", "airflow", AIRFLOW), ("dagster_job.py", "dagster", DAGSTER),
])  # fmt: skip
def test_a_scheduler_runs_its_example_and_the_second_night_has_nothing_new(
    name: str, module: str, program: str, tmp_path: Path
) -> None:
    """Both want packages that fight with ours, so each has a Python of its own: AIRFLOW_PYTHON, DAGSTER_PYTHON."""
    python = os.environ.get(f"{module.upper()}_PYTHON")
    if python is None:
        package = {"airflow": "apache-airflow"}.get(module, module)
        pytest.skip(f"python -m venv DIR; DIR/bin/pip install {package}; {module.upper()}_PYTHON=DIR/bin/python")
    home = tmp_path / "srv"
    (home / ".venv" / "bin").mkdir(parents=True)
    own = home / ".venv" / "bin" / "tamis"
    (tmp_path / "verb.py").write_text(VERB, encoding="utf-8")
    started = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "{tmp_path}/verb.py" "$@"\n'
    own.write_text(started, encoding="utf-8")
    own.chmod(0o755)
    house = House(home)
    (home / "in").mkdir()
    house.lines("in/1.jsonl", texts_of(1, 200))
    house.lines("asked.jsonl", texts_of(1, 300, seed=1))
    house.lines("noise.jsonl", [" ".join(str(number * k) for k in range(60)) for number in range(300, 380)])
    (home / "nightly.yaml").write_text(RECIPE.replace("DIR", str(home)), encoding="utf-8")
    example = tmp_path / "airflow" / "dags" / name
    example.parent.mkdir(parents=True)
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    example.write_text(text.replace('"/srv/tamis"', repr(str(home))), encoding="utf-8")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    environment["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    for words in [["db", "migrate"], ["dags", "reserialize"]] if module == "airflow" else []:
        subprocess.run([python, "-m", "airflow", *words], env=environment, check=True, capture_output=True)

    done = subprocess.run(
        [python, "-c", program, str(example)], env=environment, capture_output=True, text=True, timeout=300
    )

    nights = [line for line in done.stdout.splitlines() if line.startswith("NIGHT")]
    assert len(nights) == 2, done.stdout[-3000:] + done.stderr[-3000:]
    assert all(re.fullmatch(wanted, line) for wanted, line in zip(SAID[name], nights, strict=True)), nights
