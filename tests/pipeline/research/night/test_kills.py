"""A night that is killed with SIGKILL, again and again, writes the ledger of one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline.house import House
from tests.pipeline.research.small_search import FAR, furnished, ledger_of
from tests.samples import proof

pytestmark = pytest.mark.slow
MOST_KILLS = proof(8, whole=40)
SHORTER = FAR.replace("experiments: 10", "experiments: 6").replace("seeds: 6", "seeds: 5")


def begin(house: House) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tamis", "research", "recipe.yaml", "--workers", "1"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(house.folder)}
    return subprocess.Popen(
        command, cwd=house.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.mark.timeout(900)
def test_a_search_that_is_killed_at_any_time_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, killed = (furnished(tmp_path / name, proof(SHORTER, whole=FAR)) for name in ("whole", "killed"))
    started = time.monotonic()
    _, told = begin(whole).communicate()
    seconds = time.monotonic() - started
    assert ledger_of(whole).exists(), told
    draw, kills = random.Random(8), 0
    while kills < MOST_KILLS:
        night = begin(killed)
        try:
            night.communicate(timeout=draw.uniform(1.5, max(4.0, seconds / 3)))
            break
        except subprocess.TimeoutExpired:
            night.send_signal(signal.SIGKILL)
            night.communicate()
            kills += 1
    begin(killed).communicate()
    assert kills > 0
    kinds = [json.loads(line)["kind"] for line in ledger_of(whole).read_bytes().splitlines()]
    assert kinds[-1] == "ended" and "claimed" in kinds
    assert ledger_of(killed).read_bytes() == ledger_of(whole).read_bytes(), f"{kills} kills"
    lanes = [
        sorted(path.parent.name for path in house.workspace.root.glob("lane/*/card.json")) for house in (whole, killed)
    ]
    assert lanes[0] == lanes[1]
