"""The bill on the command line: who bought what, in dollars that are never rounded to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.bill import bill_text
from pipeline.core.claude.accounting.bill import Bill, BillLine
from pipeline.core.claude.prices import load_prices
from tests.claude_server import claude_server
from tests.conftest import ROOT
from tests.pipeline.house import House, texts


def tamis(house: House, *words: str) -> str:
    command = [sys.executable, "-m", "pipeline.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=house.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_is_billed_and_costed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    house = House(tmp_path)
    house.lines("docs.jsonl", texts(3))
    house.clean(["label: {teacher: claude, batches: true}"])
    prices = load_prices().path.read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(prices.replace("output = 0.50", "output = 0.90"))
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.run()

    head, line, test, total = tamis(house, "bill").splitlines()
    changed = tamis(house, "bill", "--recost", "--prices", "mine.toml")

    assert head.split("  ")[0] == "recipe" and line.split()[:4] == ["recipe", "clean.label", "claude-haiku-5-5", "3"]
    assert test.split()[:4] == ["recipe", "self-test", "claude-haiku-5-5", "1"] and total.startswith("all")
    amounts = [word for word in line.split() if word.startswith("$")]
    assert amounts[0].startswith("$0.000") and amounts[0] == amounts[3]  # batches save half
    assert (amounts[1], amounts[2], amounts[4]) == ("$0", "$0", "$0")
    assert "claude-haiku-5-5: 4 of 4 answers have another cost, $0.000" in changed
    assert json.loads(tamis(house, "bill", "--json"))["total"]["spent_usd"] > 0


def test_what_a_bill_means_is_said_below_it() -> None:
    line = BillLine(
        "web", "good.label", "m", answers=2, spent_usd=0.00042, on_its_way=3, reserved_usd=0.002, in_doubt=1,
        in_doubt_usd=0.001, saved_by_batches_usd=None, saved_by_cache_usd=-0.0001,
    )  # fmt: skip

    told = bill_text(Bill((line, line), line, ("m from 2026",)), place=Path("mine.toml"))

    assert "$0.00042" in told and "lost $0.00010" in told and told.splitlines()[3].startswith("all ")
    assert "most that 3 requests on their way can cost" in told and "1 requests without an answer" in told
    assert "cost more than it saved" in told and "paid by prices that mine.toml does not have" in told
