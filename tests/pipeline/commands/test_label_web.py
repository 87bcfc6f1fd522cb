"""The recipe that grows the shipped grades: unchanged with a key, against a local server, and from the ledger alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from filters.labels.teachers.offline_rubric import CRITERIA, grade_text
from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.engine.progress import Silent
from pipeline.store.workspace import Workspace
from tests.anthropic_gate import HOST, anthropic_gate
from tests.claude_server import Reply, claude_server
from tests.conftest import ROOT

RECIPE = ROOT / "recipes" / "label_web.yaml"
GRADES = ROOT / "recipes" / "grades" / "educational-docs.jsonl"
SMALL = {  # so that little text will do; the rest of the recipe is run as it stands
    "exclude: [scipy, networkx, pandas, rich, typer, anthropic]": "packages: [click]",
    "documents: 1000": "documents: 60", "rounds: 3": "rounds: 1", "round_documents: 500": "round_documents: 20",
    "keep_fraction: 0.3": "keep_fraction: 0.3, min_spearman: -1", "min_gain_per_usd: 0.02": "min_gain_per_usd: 1e-9",
}  # fmt: skip
LESSON = (
    "A heap of {0} values is a tree in which each node is smaller than its children, so that the smallest of {0} is "
    "found in one step. This is why sorting by a heap takes {0} times the logarithm of {0} steps. For example, the "
    "heap of 3, 7 and 12 has 3 at its root, because it is the smallest. However, the order of 7 and 12 is not defined."
)
NOISE = "Order now! Offer {0} ends soon. Click here, click there, and subscribe to the list of all offers of shop {0}."


def taught(body: Mapping[str, Any]) -> Reply:
    """Grade as the offline rubric does, so that there is something to learn."""
    found = grade_text(body["messages"][0]["content"].split(">\n", 1)[1].rsplit("\n</document-", 1)[0])
    return Reply(text=json.dumps({"evidence": found.evidence, **{name: found.answers[name] for name in CRITERIA}}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the recipe wants it: a crawl of 90 pages, and the shipped grades."""
    text = RECIPE.read_text(encoding="utf-8")
    for long, short in SMALL.items():
        assert text.count(long) == 1, long
        text = text.replace(long, short)
    rows = [{"url": f"https://a.b/{n}", "text": (LESSON if n % 2 else NOISE).format(n)} for n in range(90)]
    (tmp_path / "data" / "crawl").mkdir(parents=True)
    write_table(tmp_path / "data" / "crawl" / "a.parquet", pa.Table.from_pylist(rows))
    (tmp_path / "recipes" / "grades").mkdir(parents=True)
    shutil.copy(GRADES, tmp_path / "recipes" / "grades")
    (tmp_path / "recipes" / "label_web.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """Run the recipe in an environment that leads nowhere else."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "NO_PROXY", "no_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    recipe, workspace = folder / "recipes" / "label_web.yaml", Workspace(folder / "workspace")
    run_recipe(recipe, workspace=workspace, workers=1, progress=Silent())


def labels_of(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the label set that lies in a folder's workspace, and the details of its card."""
    (path,) = (folder / "workspace" / "gathered").glob("label-*/labels.parquet")
    return read_table(path).to_pylist(), json.loads((path.parent / "card.json").read_bytes())["details"]


@pytest.mark.slow
def test_with_a_key_claude_is_asked_and_the_ledger_answers_the_second_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=taught) as server, anthropic_gate(server, folder=folder) as gate:
        run(folder, monkeypatch, ANTHROPIC_API_KEY="sk-ant-test", **gate)
        asked = len(server.arrivals)
        labels, details = labels_of(folder)
    for results in ("gathered", "dataset"):
        shutil.rmtree(folder / "workspace" / results)

    run(folder, monkeypatch, ANTHROPIC_API_KEY="sk-ant-test", HTTPS_PROXY="http://127.0.0.1:9")

    assert {headers["host"] for headers in server.headers} == {HOST}
    assert details["teacher"].startswith("claude-haiku-5-5, rubric educational")
    assert set(server.bill.values()) <= {1, 2} and details["bought"] == asked  # a second reading asks the same twice
    again, told = labels_of(folder)
    assert again == labels
    assert (told["bought"], told["paid_now_usd"]) == (0, 0.0)
    assert told["drift"] == details["drift"] and told["rounds"] == details["rounds"]


def test_a_local_server_is_asked_without_a_key_and_named_on_every_label(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=taught) as server:
        run(folder, monkeypatch, ANTHROPIC_BASE_URL=server.base_url, NO_PROXY="127.0.0.1")

    labels, details = labels_of(folder)
    assert "(not Anthropic's address)" in details["teacher"]
    assert details["known"]["here"] > 10 and details["asked"] == 80
    assert sum(row["grade"] is not None for row in labels) == 80 + details["known"]["here"]
    assert details["drift"]["known"]["documents"] == details["known"]["here"]  # all are anchors, as they are so few
    assert [each["asked"] for each in details["rounds"]] == [20]
