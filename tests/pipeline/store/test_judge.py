"""Who judged: the hashes of judging code and data in a certificate, and what is said when other code runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.store.judge import HOUSE, judged_otherwise, judging_code


@pytest.fixture
def judges(tmp_path: Path) -> Path:
    """A copy of the code that judges, to be edited."""
    for room in ("eval", "pipeline", "filters"):
        shutil.copytree(HOUSE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("eval/verdict/gate.py", True),
        ("pipeline/store/names/registry.py", True),
        ("pipeline/core/process/confined.py", True),
        ("pipeline/report/page.py", False),
        ("filters/words/__init__.py", False),
    ],
)
def test_an_edit_of_what_judges_changes_the_hash_of_the_code_and_no_other_does(judges: Path, file: str, counts: bool):
    before = judging_code(judges)
    with (judges / file).open("a") as edited:
        edited.write("# or so\n")

    assert before == judging_code() and (judging_code(judges) != before) == counts


def test_a_new_module_beside_the_judges_changes_the_hash(judges: Path):
    (judges / "eval" / "sitecustomize.py").write_text("")

    assert judging_code(judges) != judging_code()


def test_certificates_of_before_and_of_this_code_are_not_remarked_on():
    assert judged_otherwise({"certificate_id": "c" * 64}, now="a" * 64) == ""
    assert judged_otherwise({"certificate_id": "c" * 64, "judge": {"code": "a" * 64}}, now="a" * 64) == ""


def test_a_certificate_of_other_code_is_told_and_says_what_to_do():
    told = judged_otherwise({"certificate_id": "c" * 64, "judge": {"code": "b" * 64}}, now="a" * 64)

    assert "b" * 12 in told and "a" * 12 in told and "The verdict stands" in told and "run the recipe again" in told
