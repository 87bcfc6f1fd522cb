"""Labels from batches on the command line: sent and left, canceled, collected and finished."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.claude.batches.cancel import cancel_batches
from pipeline.core.errors import PendingError, RecipeError, ServiceError
from pipeline.engine.progress import Silent
from pipeline.store.workspace import Workspace
from tests.claude_server import Server, claude_server
from tests.conftest import ROOT
from tests.pipeline.house import House, texts

BATCHED = "label: {teacher: claude, batches: true, second_reading: 0, twins: 0}"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-CANARY-0123456789")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    house = House(tmp_path)
    house.lines("docs.jsonl", texts(30))
    house.clean([BATCHED])
    return house


def tamis(house: House, server: Server, *words: str) -> Any:
    environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url}
    command = [sys.executable, "-m", "pipeline.cli", *words, "--json"]
    done = subprocess.run(command, env=environment, cwd=house.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_batches_are_left_canceled_and_collected(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        server.batches.takes_seconds = 1000
        left = tamis(house, server, "run", "recipe.yaml", "--workers", "1", "--no-wait")
        canceled = tamis(house, server, "cancel")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        once_more = cancel_batches(house.workspace.ledger, say=print)
        num_billed, server.batches.takes_seconds = sum(server.bill.values()), 0
        house.run()

    assert "30 requests in 1 batches are on their way" in left["pending"]
    (stopped,) = canceled["stopped"]
    assert (stopped["canceled"], stopped["answered"], stopped["ended"]) == (30, 0, True)
    assert stopped["saved_usd"] > 0 and num_billed == 0
    assert once_more.stopped[0].canceled == 30 and server.batches.canceled == 1
    assert {row["status"] for row in house.signals("label")} == {"graded"}
    assert [len(batch.requests) for batch in server.batches.batches] == [30, 30]
    assert not server.arrivals and set(server.bill.values()) == {1}


def test_batches_change_no_result(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.run()
        house.clean(["label: {teacher: claude, second_reading: 0, twins: 0}"])

        assert house.plan().to_build == []


def test_a_batch_that_was_deleted_is_forgotten_on_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    ledger = house.workspace.ledger
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        server.batches.takes_seconds = 1000
        with pytest.raises(PendingError):
            run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent(), wait=False)
        with pytest.raises(RecipeError, match="the server knows this batch"):
            cancel_batches(ledger, say=notes.append, forget=["msgbatch_0000"])
        server.batches.batches.clear()
        with pytest.raises(ServiceError, match="not known to this key"):
            cancel_batches(ledger, say=notes.append)
        forgotten = cancel_batches(ledger, say=notes.append, forget=["msgbatch_0000"])
        after = cancel_batches(ledger, say=notes.append)

    assert forgotten.forgotten == ("msgbatch_0000",) and after.stopped == ()
    assert "LOST: 30 requests" in notes[0]


def test_without_a_ledger_nothing_is_canceled(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no ledger"):
        cancel_batches(Workspace(tmp_path).ledger, say=print)
