"""What a shell is told when it asks what may follow: names that the workspace knows, and never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from pipeline import cli
from pipeline.store.workspace import Workspace


def follows(words: list[str], begun: str) -> list[str]:
    return [item.value for item in ShellComplete(cli.app, {}, "tamis", cli.COMPLETE).get_completions(words, begun)]


def test_names_of_the_workspace_steps_and_verbs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = Workspace(Path("workspace"))
    for kind, name in (("dataset", "clean"), ("dataset", "code"), ("mixture", "mixture/candidate")):
        place.remember(name, place.root / kind / f"{name.rpartition('/')[2]}-12345678")
    (place.registry / "docs-en").mkdir(parents=True)

    assert follows(["look"], "c") == ["clean", "code"]
    assert follows(["diff", "clean"], "co") == ["code"]
    assert follows(["export"], "") == ["candidate", "clean", "code", "docs-en"]
    assert follows(["rollback"], "d") == ["docs-en"]
    assert follows(["measure", "--steps"], "language,gopher_q")[0] == "language,gopher_quality"
    assert "doctor" in follows([], "do")
    assert follows(["look", "-w", "elsewhere"], "c") == follows(["look", "-w", "s3://nowhere/x"], "c") == []
    (place.root / "latest.json").write_text("spoilt", encoding="utf-8")
    assert follows(["look"], "c") == []


def test_the_script_that_is_shown_lets_bash_ask(tmp_path: Path) -> None:
    environment = os.environ | {"_TAMIS_COMPLETE": "bash_complete", "COMP_WORDS": "tamis ver", "COMP_CWORD": "1"}
    tamis = [sys.executable, "-m", "pipeline"]

    shown = subprocess.run([*tamis, "--show-completion", "bash"], capture_output=True, text=True, check=True)
    asked = subprocess.run(tamis, env=environment, capture_output=True, text=True, check=True)

    assert "_TAMIS_COMPLETE=bash_complete" in shown.stdout
    assert asked.stdout.split() == ["plain,verify"]
