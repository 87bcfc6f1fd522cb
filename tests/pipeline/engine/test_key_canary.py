"""A canary key: sent with every request, repeated by the server in what it answers, and found nowhere afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import TamisError
from pipeline.engine.progress import Silent
from tests.batch_server import Creation, Item, Refusal
from tests.claude_server import Behaviour, CutShort, Garbage, HangUp, Reply, Reset, Server, Status, claude_server
from tests.conftest import ROOT
from tests.pipeline.house import House, texts

KEY = "sk-ant-api03-CANARY-f00dfeedf00dfeed-AA"
ECHO = "you sent {key}"
SPENT = "enforced_spend_limit_reached"
COUNT = 12


@dataclass(frozen=True)
class Way:
    """One way in which a run goes, and whether it ends well."""

    default: Behaviour = field(default_factory=Reply)
    batches: bool = False
    creations: tuple[Creation | Refusal, ...] = ()
    item: Item = field(default_factory=Item)
    ends_well: bool = False


WAYS: Mapping[str, Way] = {
    "success": Way(ends_well=True),
    "an answer that repeats the key": Way(Reply(text=ECHO)),
    "a refusal that repeats the key": Way(Reply(stop_reason="refusal", stop_details={"category": ECHO})),
    "wrong key": Way(Status(401, "authentication_error", text=ECHO)),
    "no right": Way(Status(403, "permission_error", text=ECHO)),
    "rejected": Way(Status(400, "invalid_request_error", text=ECHO)),
    "spend limit": Way(Status(429, "rate_limit_error", error_code=SPENT, text=ECHO)),
    "the code repeats the key": Way(Status(400, "{key}", error_code="{key}", text=ECHO)),
    "500": Way(Status(500, text=ECHO)),
    "529": Way(Status(529, "overloaded_error", text=ECHO, headers={"retry-after": "0.01"})),
    "a long wait": Way(Status(429, text=ECHO, headers={"retry-after": "4000"})),
    "no message": Way(Garbage(b"<html>you sent {key}</html>")),
    "hung up": Way(HangUp()),
    "reset": Way(Reset()),
    "answer cut": Way(CutShort()),
    "success in batches": Way(batches=True, ends_well=True),
    "results that repeat the key": Way(batches=True, item=Item(text=ECHO)),
    "batch refused": Way(batches=True, creations=(Refusal(401, "authentication_error"),)),
    "batch items errored": Way(batches=True, item=Item("errored", "invalid_request_error {key}")),
}


def prepare(server: Server, way: Way) -> None:
    server.default = way.default
    server.batches.creations = list(way.creations)
    server.batches.item = lambda body, custom_id: way.item


def found_in(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pipeline.core.claude.client.MAX_BACKOFF_SECONDS", 0.01)
    house = House(tmp_path)
    house.lines("docs.jsonl", texts(COUNT))
    return house


@pytest.mark.parametrize("name", WAYS)
def test_the_key_is_in_no_file_message_log_or_traceback(
    name: str, house: House, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    way = WAYS[name]
    caplog.set_level("DEBUG")
    house.clean([f"label: {{teacher: claude, twins: 0, batches: {str(way.batches).lower()}}}"])
    said = ""
    with claude_server() as server:
        prepare(server, way)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        try:
            run_recipe(house.recipe, workspace=house.workspace, workers=1, progress=Silent())
        except TamisError as error:
            said = "".join(traceback.format_exception(error)) + repr(error)
        sent = any(KEY in value for headers in server.headers for value in headers.values())

    assert (said == "") == way.ends_well, said
    assert way.batches or sent
    out, err = capfd.readouterr()
    for text in (said, out, err, caplog.text):
        assert KEY not in text
    assert found_in(house.folder) == []


def test_the_sdks_own_log_does_not_hold_the_key_either(house: House) -> None:
    house.clean(["label: {teacher: claude, twins: 0}"])
    with claude_server(script=[Reply()] * 5, default=Status(401, "authentication_error", text=ECHO)) as server:
        environment = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "PYTHONPATH": str(ROOT)}
        environment |= {"ANTHROPIC_LOG": "debug"}
        command = [sys.executable, "-m", "pipeline.cli", "run", "recipe.yaml", "--workers", "1"]
        done = subprocess.run(command, cwd=house.folder, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1 and "HTTP 401" in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert found_in(house.folder) == []
