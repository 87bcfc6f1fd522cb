"""Cores, memory, GPU, clock, packages and what holds a process in: what a run has on this machine.

A container may be given less than the machine has, by control groups of either version; what binds is told.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pipeline import __version__
from pipeline.core.errors import RecipeError
from pipeline.core.files.stores.places import shown_url
from pipeline.core.process import keys, landlock
from pipeline.core.process.box import WAY_OUT, Box
from pipeline.core.process.confined import confinement
from pipeline.core.process.start import cores
from pipeline.queries.machine.finding import MachineFinding, gigabytes

GROUPS = Path("/sys/fs/cgroup")
LITTLE_MEMORY, LEAST_MEMORY = 4e9, 1e9
PACKAGES = ("pyarrow", "numba", "numpy", "polars", "torch", "pydantic", "anthropic", "py3langid")
OPTIONAL = {"s3fs": "s3", "gcsfs": "gs", "ray": "ray", "fastwarc": "web", "pypdfium2": "pdf", "optuna": "research"}
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # before this program: no clock is earlier
NAMESPACE = "import ctypes,sys; sys.exit(0 if ctypes.CDLL(None).unshare(0x10000000) == 0 else 1)"  # CLONE_NEWUSER


def look_at_processor() -> Iterator[MachineFinding]:
    """Yield what is known of cores and memory."""
    given, share = cores(), cpu_share()
    if share is not None and share < given:
        told = f"{given} cores may be used, and a control group gives the time of {share:.1f}"
        yield MachineFinding("cores", "warn", told, f"Use --workers {max(1, round(share))}.")
    else:
        yield MachineFinding("cores", "ok", f"{given} of {os.cpu_count() or given}")
    total, free = memory()
    limit = memory_limit()
    bound = total if limit is None else min(limit, total)
    told = f"{gigabytes(bound)}, {gigabytes(free)} of the machine's free"
    told += " (a control group's limit)" if limit is not None and limit < total else ""
    if not total:
        yield MachineFinding("memory", "ok", "unknown on this system")
    elif bound < LEAST_MEMORY:
        yield MachineFinding("memory", "fail", told, "Give it 1 GB or more; workers need about that each.")
    elif bound < LITTLE_MEMORY or free < LEAST_MEMORY:
        yield MachineFinding("memory", "warn", told, "Use few --workers and --memory 500M, or free some.")
    else:
        yield MachineFinding("memory", "ok", told)


def cpu_share(groups: Path = GROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return how many cores' time the control groups of this process give it; None for no limit."""
    found = [_quotient(text) for text in _values("cpu", "cpu.max", groups, own)]
    for quota in _values("cpu", "cpu.cfs_quota_us", groups, own):
        periods = _values("cpu", "cpu.cfs_period_us", groups, own)
        found.append(_quotient(f"{quota} {periods[0] if periods else 100000}"))
    return min((share for share in found if share is not None), default=None)


def memory_limit(groups: Path = GROUPS, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the most memory that the control groups of this process give it, bytes; None for no limit."""
    texts = _values("memory", "memory.max", groups, own) + _values("memory", "memory.limit_in_bytes", groups, own)
    limits = [int(text) for text in texts if text.isdecimal()]
    return min((limit for limit in limits if limit < 1 << 60), default=None)


def _values(controller: str, name: str, groups: Path, own: Path) -> list[str]:
    """Return what a file of this process's control group and of those above it says."""
    try:
        lines = own.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and controller not in kinds.split(","):
            continue
        root = groups / controller if kinds else groups
        below = root / path.lstrip("/")
        for folder in dict.fromkeys([below, *below.parents]):
            if folder.is_relative_to(root) and (folder / name).is_file():
                found.append((folder / name).read_text(encoding="ascii").strip())
    return found


def _quotient(text: str) -> float | None:
    quota, _, period = text.partition(" ")
    return int(quota) / int(period or 100000) if quota.isdecimal() else None


def memory(source: Path = Path("/proc/meminfo")) -> tuple[int, int]:
    """Return (all, free) memory of the machine, bytes; 0 where it cannot be told."""
    try:
        text = source.read_text(encoding="ascii")
    except OSError:
        return 0, 0
    found = {name: int(number) << 10 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return found.get("MemTotal", 0), found.get("MemAvailable", found.get("MemFree", 0))


def look_at_gpu() -> Iterator[MachineFinding]:
    """Yield which GPUs torch can use, and whether one is there that it cannot."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count:
        names = [torch.cuda.get_device_properties(index) for index in range(count)]
        told = ", ".join(f"{one.name} with {gigabytes(one.total_memory)}" for one in names)
        yield MachineFinding("gpu", "ok", told)
    elif Path("/dev/nvidia0").exists():
        told = f"a GPU is there, and torch {torch.__version__} cannot use it"
        yield MachineFinding(
            "gpu", "warn", told, "Install a torch with CUDA that fits the driver; nvidia-smi tells it."
        )
    else:
        yield MachineFinding("gpu", "ok", "none; proxies train on the processor")


def look_at_sandbox() -> Iterator[MachineFinding]:
    """Yield what holds a proposer's script in, what else this kernel would allow, and whether a box can be built."""
    held = confinement()
    way_out = "Use Linux 6.2 or later, or no scripts as proposers." if held.open_doors else ""
    yield MachineFinding("sandbox", "warn" if held.open_doors else "ok", held.sentence, way_out)
    version = landlock.version()
    spaces = subprocess.run([sys.executable, "-I", "-c", NAMESPACE], capture_output=True, check=False).returncode == 0
    told = f"Landlock {f'version {version}' if version else 'missing'}, user namespaces "
    told += f"{'allowed' if spaces else 'refused'}, bubblewrap {'there' if shutil.which('bwrap') else 'not installed'}"
    yield MachineFinding("kernel", "ok" if version else "warn", told, "" if version else "Use Linux 5.13 or later.")
    began = time.perf_counter()
    try:
        with Box() as box:
            seconds = time.perf_counter() - began
            told = f"built by {box.builder} in {seconds:.2f} s, and proved: code that models write runs in it"
            yield MachineFinding("box", "ok", told)
    except RecipeError as error:
        yield MachineFinding("box", "warn", str(error).removesuffix(WAY_OUT).rstrip(". "), WAY_OUT)


def look_at_key() -> Iterator[MachineFinding]:
    """Yield whether a key for Claude is there; nothing of it is told."""
    names = [name for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN") if os.environ.get(name)]
    if not names:
        told = "none for Claude; everything works but what asks it"
        yield MachineFinding(
            "key",
            "warn",
            told,
            "Set ANTHROPIC_API_KEY where Claude is to label, write (rephrase, document_tasks, code_tasks) or propose.",
        )
    elif any(os.environ[name] != os.environ[name].strip() for name in names):
        told = f"{' and '.join(names)}: white space stands around it"
        yield MachineFinding("key", "fail", told, "Set it without spaces and line ends.")
    else:
        yield MachineFinding("key", "ok", f"{' and '.join(names)}: set (not shown, not tried)")
    if address := os.environ.get("ANTHROPIC_BASE_URL"):
        yield MachineFinding("endpoint", "ok", f"requests go to {keys.Mask(base_url=address).text(shown_url(address))}")


def look_at_clock() -> Iterator[MachineFinding]:
    """Yield whether the time of day can be believed; results never depend on it, leases and schedules do."""
    now = time.time()
    told = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if now < WRITTEN:
        told += ", which is before this program was written"
        yield MachineFinding("clock", "fail", told, "Set it, best by a time server (NTP): certificates fail without.")
    else:
        yield MachineFinding("clock", "ok", told)


def look_at_packages() -> Iterator[MachineFinding]:
    """Yield versions: Python, Tamis and the packages it rests on; what is missing or older than it needs."""
    lowest = _lowest()
    told, wrong = [f"Python {sys.version.split()[0]}", f"tamis {__version__}"], []
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        told.append(f"{name} {version}")
        if _numbers(version) < _numbers(lowest.get(name, "0")):
            wrong.append(f"{name} is {version}, below {lowest[name]}")
    way_out = "Run: pip install -e . (or `make install`) in the environment of this Python." if wrong else ""
    yield MachineFinding("packages", "fail" if wrong else "ok", ", ".join([*wrong, *told]), way_out)
    extras = [f"{name} [{extra}]" for name, extra in OPTIONAL.items() if _is_there(name)]
    yield MachineFinding("extras", "ok", ", ".join(extras) or "none installed")


def _lowest() -> dict[str, str]:
    try:
        needed = metadata.requires("tamis") or []
    except metadata.PackageNotFoundError:
        return {}
    found = [re.match(r"([A-Za-z0-9_.-]+?)[ (]*>=([0-9.]+)", line) for line in needed if "extra ==" not in line]
    return {one[1].lower(): one[2] for one in found if one is not None}


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3]]


def _is_there(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
