"""What `doctor` prints of an experiment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Diagnosis, Finding, Unchecked
from pipeline.commands.doctor import diagnosis_text
from tests.pipeline.house import House


def ask(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "doctor", *words, "-w", str(house.workspace.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def test_the_text_says_the_worst_first_explains_a_check_once_and_what_was_not_checked():
    lanes = tuple(f"good/seed{seed}/lr1" for seed in range(6))
    found = Diagnosis(
        "web", lanes,
        (
            Finding(CHECKS["rate"], lanes[:1], 10.0, 1.25, "its first update was 10 times what it should be"),
            Finding(CHECKS["rate"], lanes[1:2], 10.1, 1.25, "its first update was 10.1 times what it should be"),
            Finding(CHECKS["batch"], lanes, 4.0, 3.0, "a step is 4.0 times the critical one"),
        ),
        (Unchecked(CHECKS["logits"], lanes, "it was not probed"), Unchecked(CHECKS["mfu"], lanes, "it was not probed")),
    )  # fmt: skip

    text = diagnosis_text(found)

    assert text.startswith("web: 6 proxies are examined. The experiment is void: ")
    assert text.index("Faults: ") < text.index("Advice: ")
    assert "  rate  good/seed0/lr1: its first update was 10 times what it should be\n" in text
    assert text.count(CHECKS["rate"].remedy) == 1
    assert "good/seed0/lr1, good/seed1/lr1, good/seed2/lr1, good/seed3/lr1 and 2 more: a step is" in text
    assert text.endswith("Not checked everywhere:\n  logits, mfu: it was not probed")


def test_the_verb_answers_as_data_with_a_page_and_a_name_that_means_nothing_ends_with_two(
    trained_house: House, tmp_path: Path
):
    page = tmp_path / "new" / "page.html"

    ran = ask(trained_house, "small", "--json", "--to", str(page))

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["health"], found["page"]) == ("sound", str(page)) and page.stat().st_size > 10_000
    ran = ask(trained_house, "smal")
    assert (ran.returncode, ran.stdout) == (2, "") and "is not an experiment" in ran.stderr
