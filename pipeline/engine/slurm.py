"""A recipe -> a job script that starts Ray on the machines of a Slurm allocation and runs the recipe there.

One machine is the head, where the run itself and one Ray node are; the others join it. A machine that fails takes only
its tasks with it (`--no-kill`). Two minutes before the time limit, and at a preemption, the run is stopped; in the
first case the job puts itself back into the queue, in the second Slurm does. The next start goes on from the files.
Several recipes are an array, one at a time, as a workspace has one writer. The script holds no key: where one is
needed, it is read from a file on the head, by the run alone.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.files.writing.durable import write_text
from pipeline.core.process import keys

WARNING_SECONDS = 120  # before the time limit
MOST_STARTS = 100  # of one job, so that one that never gets anywhere ends
TIME = re.compile(r"(\d+-)?\d{1,3}(:\d{2}){0,2}")  # as sbatch has it: minutes, hours:minutes:seconds, days-hours:...


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a job asks of Slurm. Fields that are None or empty are left to the cluster."""

    nodes: int = 1
    time: str | None = None  # as sbatch has it
    partition: str | None = None
    cpus: int | None = None  # of each machine
    gpus: int | None = None  # of each machine
    memory: str | None = None  # of each machine, as sbatch has it
    account: str | None = None
    options: tuple[str, ...] = ()  # further ones of sbatch, as they are

    def check(self) -> None:
        """RecipeError for what sbatch would refuse or a script could not hold."""
        if self.time is not None and not TIME.fullmatch(self.time):
            raise RecipeError(f"--time {self.time}: it must be minutes, hours:minutes:seconds or days-hours:minutes.")
        for option in self.options:
            if not option.startswith("-") or "\n" in option:
                raise RecipeError(f"--sbatch {option}: it must be an option of sbatch, such as --qos=low.")

    def lines(self) -> list[str]:
        """Return the options as sbatch reads them."""
        found = [f"--nodes={self.nodes}", "--ntasks-per-node=1"]
        found += ["--exclusive"] if self.cpus is None else [f"--cpus-per-task={self.cpus}"]
        given = {"time": self.time, "partition": self.partition, "account": self.account, "mem": self.memory}
        found += [f"--{name}={value}" for name, value in given.items() if value]
        found += [f"--gpus-per-node={self.gpus}"] if self.gpus else []
        return [*found, *self.options]


@dataclass(frozen=True, slots=True)
class Job:
    """What runs: recipes of one workspace, from the folder in which `tamis slurm` was called."""

    name: str
    recipes: tuple[Path, ...]
    workspace: Path
    folder: Path
    plugins: tuple[Path, ...] = ()
    memory: str = "2G"
    device: str = "auto"
    key_file: Path | None = None

    @property
    def home(self) -> Path:
        """Where script, logs and the list of submitted jobs lie."""
        return self.workspace / "slurm"

    @property
    def script(self) -> Path:
        return self.home / f"{self.name}.sh"


SCRIPT = """\
#!/usr/bin/env bash
{options}
# Written by `tamis slurm`. To change it, write it again; to run it: sbatch {script}

set -u
recipes=({recipes})
python={python}
key_file={key_file}
cd {folder} || exit 1
recipe=${{recipes[${{SLURM_ARRAY_TASK_ID:-0}}]}}

# The processes that do the work get no key.
unset {variables}
export RAY_USAGE_STATS_ENABLED=0
# So that no other user of the machines can join: a secret of this job, which its processes alone know.
RAY_AUTH_TOKEN=$("$python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

driver=
# shellcheck disable=SC2317  # the traps call it
stop() {{ # NAME CODE: end the run, and go back into the queue where there is something to go on with
    echo "tamis slurm: $1"
    [ -z "$driver" ] || kill -TERM "$driver" 2>/dev/null
    wait "$driver" 2>/dev/null
    if [ "$2" = 0 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -ge {most_starts} ]; then
        echo "tamis slurm: was started {most_starts} times and is not done; submit it again to go on"
        exit 75
    fi
    if [ "$2" = 0 ] && ! scontrol requeue "${{SLURM_JOB_ID}}"; then
        echo "tamis slurm: could not go back into the queue; submit it again to go on"
        exit 75
    fi
    exit "$2"
}}
trap 'stop "the time is nearly over: back into the queue" 0' USR1
trap 'stop "stopped from outside" 143' TERM
trap 'kill $(jobs -p) 2>/dev/null' EXIT

port=$((20000 + SLURM_JOB_ID % 20000))
address=$("$python" -c 'import ray; print(ray.util.get_node_ip_address())')
ray() {{ "$python" -m ray.scripts.scripts "$@"; }}
start=("$python" -m ray.scripts.scripts start --block --disable-usage-stats --num-cpus="${{SLURM_CPUS_ON_NODE:-1}}")

srun --overlap --nodes=1 --ntasks=1 --nodelist="$SLURMD_NODENAME" \\
    "${{start[@]}}" --head --port="$port" --include-dashboard=false \\
    --temp-dir="/tmp/ray-$SLURM_JOB_ID" >/dev/null &
up=
for _ in $(seq 60); do
    ray health-check --address "$address:$port" >/dev/null 2>&1 && up=1 && break
    sleep 1
done
if [ -z "$up" ]; then
    echo "tamis slurm: Ray did not start on $SLURMD_NODENAME"
    exit 1
fi
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --overlap --no-kill --kill-on-bad-exit=0 --wait=0 --exclude="$SLURMD_NODENAME" \\
        --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) \\
        "${{start[@]}}" --address="$address:$port" >/dev/null &
fi

if [ -n "$key_file" ]; then
    {key}=$(cat "$key_file") || exit 1
    export {key}
fi
"$python" -m pipeline run "$recipe" --ray "$address:$port" {arguments} &
driver=$!
unset {key}
wait "$driver"
code=$?
echo "tamis slurm: $recipe ended with $code"
exit "$code"
"""


def script_of(job: Job, allocation: Allocation) -> str:
    """Return the text of the job script."""
    several = len(job.recipes) > 1
    log = job.home / (f"{job.name}-%A_%a.log" if several else f"{job.name}-%j.log")
    options = [
        f"--job-name=tamis-{job.name}", *allocation.lines(), "--requeue", "--no-kill", "--open-mode=append",
        f"--signal=B:USR1@{WARNING_SECONDS}", f"--output={log}",
    ]  # fmt: skip
    if several:
        options.append(f"--array=0-{len(job.recipes) - 1}%1")
    arguments = ["--workspace", job.workspace, "--memory", job.memory, "--device", job.device]
    for plugin in job.plugins:
        arguments += ["--plugin", plugin]
    return SCRIPT.format(
        options="\n".join(f"#SBATCH {_directive(option)}" for option in options),
        script=shlex.quote(str(job.script)),
        recipes=" ".join(shlex.quote(str(recipe)) for recipe in job.recipes),
        python=shlex.quote(sys.executable),
        folder=shlex.quote(str(job.folder)),
        key_file=shlex.quote("" if job.key_file is None else str(job.key_file)),
        key=keys.VARIABLES[0],
        variables=" ".join(keys.VARIABLES),
        most_starts=MOST_STARTS,
        arguments=" ".join(shlex.quote(str(word)) for word in arguments),
    )


def _directive(option: str) -> str:
    """Return an option as a line of `#SBATCH` may hold it."""
    return option if re.fullmatch(r"[-\w=:./%@,]+", option) else '"' + option.replace('"', "") + '"'


def write_script(job: Job, allocation: Allocation) -> Path:
    """Write the job script into the workspace; return where it lies."""
    allocation.check()
    job.home.mkdir(parents=True, exist_ok=True)
    write_text(job.script, script_of(job, allocation))
    job.script.chmod(0o755)
    return job.script


def submit(job: Job) -> str:
    """Hand the script to sbatch, without keys in the environment that Slurm keeps; return the job's id."""
    said = _asked("sbatch", "--parsable", str(job.script))
    number = said.strip().partition(";")[0]
    submitted = [*_submitted(job.home), {"id": number, "name": job.name}]
    write_text(job.home / "jobs.json", json.dumps(submitted, indent=1) + "\n")
    return number


@dataclass(frozen=True, slots=True)
class JobState:
    """What Slurm says of a job that was submitted from a workspace, and the last line of its log."""

    id: str
    name: str
    state: str  # as Slurm has it; `gone` where it knows the job no more
    reason: str
    log: str

    def row(self) -> dict[str, Any]:
        return asdict(self)


def states(workspace: Path) -> list[JobState]:
    """Return the jobs that were submitted from a workspace, the newest first; RecipeError without Slurm."""
    home = workspace / "slurm"
    jobs = _submitted(home)
    found: dict[str, tuple[str, str]] = {}
    for job in jobs:  # one by one: squeue refuses a list in which it knows one no more
        told = _asked("squeue", "--noheader", "--states=all", f"--jobs={job['id']}", "--format=%A|%T|%r", lost="")
        for line in told.splitlines():
            _, state, reason = line.split("|", 2)
            found[job["id"]] = (state.lower(), reason)
    return [
        JobState(job["id"], job["name"], *found.get(job["id"], ("gone", "")), log=_last_line(home, job))
        for job in reversed(jobs)
    ]


def _submitted(home: Path) -> list[dict[str, str]]:
    try:
        found: list[dict[str, str]] = json.loads((home / "jobs.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return found


def _last_line(home: Path, job: dict[str, str]) -> str:
    lines = [
        line.strip()
        for path in sorted(home.glob(f"{job['name']}-*.log"))
        if path.stem.removeprefix(f"{job['name']}-").partition("_")[0] == job["id"]
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    return lines[-1] if lines else ""


def _asked(*command: str, lost: str | None = None) -> str:
    """Return what a command of Slurm's prints; `lost`, where given, is what stands for its failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=keys.environment(), check=False)
    except FileNotFoundError as error:
        raise RecipeError(
            f"{command[0]}: is not installed here. Call `tamis slurm` where jobs are submitted, or take the script."
        ) from error
    if done.returncode:
        if lost is not None:
            return lost
        raise ServiceError(f"{command[0]}: refused ({done.stderr.strip()}). Correct the options and submit again.")
    return done.stdout


def job_of(recipes: Sequence[Path], *, names: Sequence[str], **given: Any) -> Job:
    """Return the job for some recipes, called as the first one is."""
    name = re.sub(r"[^\w.-]+", "_", names[0]) or "recipe"
    return Job(
        name=name if len(recipes) == 1 else f"{name}-and-{len(recipes) - 1}-more", recipes=tuple(recipes), **given
    )
