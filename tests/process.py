"""The command line as a process of its own, in its own group: killed with all its workers, counted afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

SECONDS = 240  # for one process; the first on a machine compiles every kernel


@dataclass
class Tamis:
    """The command in a folder of its own."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command in its own process group."""
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, told = process.communicate(timeout=SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, process.returncode, out, told)

    def alive(self, session: int) -> list[int]:
        """Return the processes of a session that still run."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(stat.parent.name))
        return found

    def files(self) -> list[str]:
        """Return the files of results, without temporary ones."""
        found = []
        for folder, _, names in os.walk(self.workspace):  # passes over folders that vanish meanwhile, as glob does not
            place = Path(folder).relative_to(self.workspace)
            found += [str(place / name) for name in names if name[0] != "." and len(place.parts) > 1]
        return found
