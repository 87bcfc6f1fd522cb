"""Dataclasses are what they were when their methods come from an earlier process, and a damaged file is made anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.core.process.dataclass_code import NAME
from tests.conftest import ROOT

CODE = """
import dataclasses
from pipeline.core.process.dataclass_code import reuse_compiled_dataclasses
reuse_compiled_dataclasses(); reuse_compiled_dataclasses()
@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Pair:
    left: int
    right: list = dataclasses.field(default_factory=list, compare=False)
@dataclasses.dataclass
class Other(dict):
    left: str = "a"
    def __post_init__(self):
        self.right = self.left * 2
one = Pair(1)
print(one, one == Pair(1, [2]), hash(one) == hash(Pair(1, [2])), one < Pair(2), Other("b"), Other().right)
print(Pair.__init__.__annotations__, Pair.__init__.__defaults__ is not None, Pair.__init__.__module__)
try:
    one.left = 2
except dataclasses.FrozenInstanceError as error:
    print(error)
"""


def said(folder: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout


def test_classes_are_the_same_whether_compiled_or_found(tmp_path: Path) -> None:
    without, compiled = said(tmp_path / "absent"), said(tmp_path)
    written = (tmp_path / NAME).stat().st_mtime_ns
    found = said(tmp_path)

    assert without == compiled == found
    assert "cannot assign to field 'left'" in found
    assert (tmp_path / NAME).stat().st_mtime_ns == written  # nothing had to be compiled


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    compiled = said(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[:-1])

    assert said(tmp_path) == compiled
    assert len((tmp_path / NAME).read_bytes()) == len(whole)
