"""A recipe as a Slurm job: the script is sound and holds no key; on a real Slurm a machine may be lost on the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import RecipeError
from pipeline.engine.slurm import Allocation, Job, job_of, script_of, states, submit, write_script
from tests.pipeline.engine.on_cluster import furnished, wait_for
from tests.pipeline.house import contents
from tests.process import Tamis

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIGURATION = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/ctld.pid
SlurmdPidFile={home}/%n.pid
SlurmctldLogFile={home}/ctld.log
SlurmdLogFile={home}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=10
KillWait=5
SchedulerParameters=batch_sched_delay=1,sched_interval=2
{nodes}
PartitionName=main Nodes=n1,n2 Default=YES State=UP
"""


def two_recipes() -> Job:
    return job_of(
        [Path("a recipe.yaml"), Path("b.yaml")], names=["a", "b"], workspace=Path("work space"),
        folder=Path("/data/it's"), key_file=Path("/home/me/key"),
    )  # fmt: skip


def test_the_script_asks_for_what_was_asked_and_is_sound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary")
    allocation = Allocation(4, "8:00:00", "long", cpus=16, gpus=2, memory="64G", account="me", options=("--qos=low",))

    script = script_of(two_recipes(), allocation)

    asked = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert asked == [
        "--job-name=tamis-a-and-1-more", "--nodes=4", "--ntasks-per-node=1", "--cpus-per-task=16", "--time=8:00:00",
        "--partition=long", "--account=me", "--mem=64G", "--gpus-per-node=2", "--qos=low", "--requeue", "--no-kill",
        "--open-mode=append", "--signal=B:USR1@120", '"--output=work space/slurm/a-and-1-more-%A_%a.log"',
        "--array=0-1%1",
    ]  # fmt: skip
    assert "recipes=('a recipe.yaml' b.yaml)" in script and "sk-ant-canary" not in script
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert checked.stderr == ""
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", "-"], input=script, text=True, capture_output=True, check=False)
        assert found.stdout == ""


def test_what_slurm_would_refuse_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = job_of([Path("r.yaml")], names=["r"], workspace=tmp_path / "w", folder=tmp_path)

    with pytest.raises(RecipeError, match=r"--time soon: it must be minutes, hours:minutes:seconds"):
        write_script(job, Allocation(time="soon"))
    with pytest.raises(RecipeError, match=r"--sbatch qos=low: it must be an option of sbatch"):
        write_script(job, Allocation(options=("qos=low",)))
    write_script(job, Allocation())
    with pytest.raises(RecipeError, match=r"sbatch: is not installed here"):
        submit(job)
    assert states(job.workspace) == [] and job.script.stat().st_mode & 0o100


def test_a_job_that_cannot_go_back_into_the_queue_does_not_end_as_if_it_were_done(tmp_path: Path):
    job = job_of([Path("r.yaml")], names=["r"], workspace=tmp_path, folder=tmp_path)
    stop = script_of(job, Allocation()).partition("port=$((")[0] + 'stop "nearly over" 0\n'
    scontrol = tmp_path / "scontrol"
    codes = []
    for requeued, starts in ((0, 3), (1, 3), (0, 100)):
        scontrol.write_text(f"#!/bin/sh\nexit {requeued}\n")
        scontrol.chmod(0o755)
        told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": str(starts)}
        codes.append(subprocess.run(["bash", "-c", stop], env=told, stdout=subprocess.DEVNULL, check=False).returncode)

    assert codes == [0, 75, 75]


def test_a_job_is_told_by_its_own_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    squeue, home = tmp_path / "squeue", tmp_path / "slurm"
    squeue.write_text("#!/bin/sh\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    home.mkdir()
    (home / "jobs.json").write_text('[{"id": "12", "name": "r"}, {"id": "5", "name": "r-12"}]')
    for log, line in {"r-12_0": "first", "r-12_1": "mine", "r-123": "not mine", "r-12-5": "other"}.items():
        (home / f"{log}.log").write_text(f"{line}\n")

    assert [(job.id, job.state, job.log) for job in states(tmp_path)] == [
        ("5", "gone", "other"),
        ("12", "gone", "mine"),
    ]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of this machine alone, with two nodes of one core; yields the folder of its daemons."""
    lacking = [name for name in DAEMONS if shutil.which(name) is None]
    if lacking or os.geteuid():
        pytest.skip(f"needs root and Slurm ({', '.join(lacking) or 'no root'}): make test-slurm")
    home = tmp_path_factory.mktemp("slurm")
    for name in ("munge", "state", "spool-n1", "spool-n2"):
        (home / name).mkdir(mode=0o755)
    (home / "munge" / "key").write_bytes(os.urandom(1024))
    (home / "munge" / "key").chmod(0o400)
    ports = [_free_port() for _ in range(3)]
    host = socket.gethostname()
    nodes = "\n".join(
        f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1"
        for number, port in ((1, ports[1]), (2, ports[2]))
    )
    configuration = home / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=host, port=ports[0], home=home, nodes=nodes), encoding="utf-8")
    munge = [f"--{name}={home}/munge/{name}" for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")]
    munge[0] = f"--key-file={home}/munge/key"
    started = [
        subprocess.Popen(["munged", "--foreground", "--force", *munge], stderr=subprocess.DEVNULL),
        subprocess.Popen(["slurmctld", "-D", "-f", str(configuration)], stderr=subprocess.DEVNULL),
    ]
    for node in ("n1", "n2"):
        started.append(
            subprocess.Popen(["slurmd", "-D", "-f", str(configuration), "-N", node], stderr=subprocess.DEVNULL)
        )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", str(configuration))
        deadline = time.monotonic() + 60
        while _said("sinfo", "--noheader", "--format=%T %D") != "idle 2" and time.monotonic() < deadline:
            time.sleep(0.2)
        yield home
        _said("scancel", "--user=root")
        time.sleep(1)
    for process in reversed(started):
        process.terminate()
        process.wait()


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_that_loses_a_machine_ends_with_the_bytes_of_one_process(slurm: Path, tmp_path: Path):
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[ray]'")
    one, many = furnished(tmp_path / "one", proxies=False), furnished(tmp_path / "many here", proxies=False)
    (many.folder / "recipe.yaml").rename(many.folder / "a recipe.yaml")
    assert one.run("run", "recipe.yaml", "--plugin", "slow.py", "--workers", "1").returncode == 0

    given = ("a recipe.yaml", "--plugin", "slow.py", "--nodes", "2", "--cpus", "1", "--time", "1:00:00")
    submitted = many.run("slurm", *given, "--submit")
    assert "submitted: job" in submitted.stdout, submitted.stderr
    wait_for(many, "measured/slow-*/part-*.parquet", count=2)
    assert _lose(slurm, "n2") > 0
    told = _ended(many)

    assert "completed" in told or "ended with 0" in told, told + "".join(
        path.read_text() for path in (many.workspace / "slurm").glob("*.log")
    )
    assert contents(many.workspace) == contents(one.workspace)


def _lose(home: Path, node: str) -> int:
    """Kill a node's daemon, and all that its jobs started; return how many processes of Ray were among them."""
    deadline = time.monotonic() + 100
    while not any(b"raylet" in command for _, command in _processes(node)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the first machine begins with the recipe while the others still join
    os.kill(int((home / f"{node}.pid").read_text()), signal.SIGKILL)
    num_ray = 0
    for process, command in _processes(node):
        os.kill(process, signal.SIGKILL)
        num_ray += b"raylet" in command
    return num_ray


def _processes(node: str) -> list[tuple[int, bytes]]:
    """Return the processes that a node's jobs started, with their commands."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            there = f"SLURMD_NODENAME={node}".encode() in (place / "environ").read_bytes().split(b"\0")
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if there:
            found.append((int(place.name), command))
    return found


def _ended(tamis: Tamis) -> str:
    """Wait until the job has ended; return what `tamis slurm --state` says."""
    deadline = time.monotonic() + 200
    while True:
        told = tamis.run("slurm", "--state").stdout
        if not any(state in told for state in ("running", "pending", "completing")) or time.monotonic() > deadline:
            return told
        time.sleep(1)
