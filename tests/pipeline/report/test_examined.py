"""The page of a diagnosis shows every finding, draws it, and says how far the experiment can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Diagnosis
from pipeline.report.examined import write_examined
from tests.pipeline.report.examined_parts import HOSTILE, diagnosis
from tests.pipeline.report.test_browser import CONTRAST, WIDTHS, browser
from tests.pipeline.report.test_report import words_of

__all__ = ["browser"]  # a fixture


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examined") / "page.html"
    write_examined(diagnosis(), path=path)
    return path


def test_every_finding_is_told_with_its_limit_and_what_to_do(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    seen = words_of(text)

    assert "Void A fault means" in seen and "faults: 3, doubts: 1, advice: 1" in seen
    for found in diagnosis().findings:
        for said in (found.check.meaning, found.check.remedy, found.check.source):
            assert str(escape(said)) in seen
    assert HOSTILE not in text and str(escape(HOSTILE)) in text
    assert text.count('<svg class="chart lines"') == 4  # two jumps, one update, the rates
    assert all(str(escape(check.asks)) in seen for check in CHECKS.values())
    assert "not everywhere: the peak of this processor" in seen


def test_a_sound_experiment_says_so(tmp_path: Path) -> None:
    write_examined(Diagnosis("web", ("good/seed0/lr1",), ()), path=tmp_path / "page.html")

    seen = words_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "Sound" in seen and "1 proxy, " in seen and "nothing found" in seen


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_can_be_read(browser: Any, page: Path, width: int, scheme: str) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown.goto(page.as_uri())

    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate(CONTRAST) >= 4.5
    shown.close()
