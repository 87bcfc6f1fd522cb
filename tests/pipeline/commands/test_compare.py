"""What `compare` prints of mixtures beside each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.compare import compared_text
from pipeline.queries.proxies.compare import compare
from tests.pipeline.house import House


def ask(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "compare", *words, "-w", str(house.workspace.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def test_the_text_says_gains_shares_documents_and_that_it_is_no_verdict(several_house: House):
    found = compare(several_house.workspace, ["raw", "good"], per_side=1)
    (other,) = found.others
    text = compared_text(found)
    lines = text.splitlines()

    assert lines[0].startswith("good beside raw: proxies of t0, 4,096 tokens each, learning rate x1, on ")
    overall = next(line for line in lines if line.startswith("overall"))
    assert f"{other.overall.gain:+.4f}" in overall and overall.endswith(" 3")
    assert f"{other.overall.low:+.4f} to {other.overall.high:+.4f}" in overall
    told = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("raw ", "good ", "most "))}
    assert told["raw"] == ["100.0", "%", "-", "(-100.0)"] and told["good"] == ["-", "100.0", "%", "(+100.0)"]
    assert told["most"] == ["epochs", "4", "8"]
    assert f"held: {other.changed[1].num_better} of {other.changed[1].num_documents} documents better" in lines
    assert "at this tier a verdict needs 249,856" in text
    assert "The sign of the gain" in text and "at learning rate 0.3" in text
    assert "An interval holds the true gain in 95 of 100 such comparisons." in lines
    assert lines[-2].startswith("It read documents that a gate judges by (also, held), and no look was counted")
    assert "`gate: {sealed: 0.5}`" in lines[-2]
    assert lines[-1].startswith("A question, not a verdict: nothing was trained, no look was taken, ")


def test_with_several_each_row_names_its_mixture_and_a_shared_note_is_said_once(several_house: House):
    text = compared_text(compare(several_house.workspace, ["raw", "both", "good"], per_side=0))

    assert sum(line.startswith(("both ", "good ")) for line in text.splitlines()) >= 6
    assert text.count("at this tier a verdict needs 249,856") == 1
    assert "2 mixtures are looked at at once" in text and "Documents that" not in text


def test_the_verb_answers_as_data_and_writes_a_page_beside(several_house: House, tmp_path: Path):
    page = tmp_path / "new" / "page.html"

    ran = ask(several_house, "raw", "both", "--json", "--to", str(page))

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["page"] == str(page) and page.stat().st_size > 10_000


@pytest.mark.parametrize(("words", "said", "code"), [
    (("raw", "both", "--to", "page.txt"), "must name a file that ends in .html", 2),
    (("raw",), "a comparison is of two or more", 2),
])  # fmt: skip
def test_what_cannot_be_answered_ends_with_its_exit_code(
    several_house: House, words: tuple[str, ...], said: str, code: int
):
    ran = ask(several_house, *words)

    assert (ran.returncode, ran.stdout) == (code, "") and said in ran.stderr
