"""The page of a comparison shows its record: every number, every document with its text, and no verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.experiment.findings.side_by_side import SideBySide
from pipeline.queries.proxies.compare import compare
from pipeline.report.compared import write_compared
from tests.pipeline.house import House
from tests.pipeline.report.test_browser import CONTRAST, WIDTHS, browser
from tests.pipeline.report.test_report import words_of

__all__ = ["browser"]  # a fixture
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def shown(several_house: House, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[SideBySide, str]]:
    """The pages of one mixture and of two beside the first."""
    pages = {}
    for names in (["raw", "good"], ["raw", "both", "good"]):
        found, path = compare(several_house.workspace, names, per_side=2), tmp_path_factory.mktemp("page") / "page.html"
        write_compared(found, path=path)
        pages[len(found.others)] = (found, path.read_text(encoding="utf-8"))
    return pages


@pytest.mark.parametrize("others", [1, 2])
def test_every_gain_is_drawn_with_its_interval_and_said(shown, others: int) -> None:
    found, page = shown[others]
    seen = words_of(page)

    assert page.count('<svg class="chart intervals"') == (3 if others == 1 else 2 + 2 * 3)
    for other in found.others:
        for gain in other.gains:
            assert f"{gain.gain:+.3f}".replace("-", MINUS) in seen
            assert f"{gain.low:+.3f} to {gain.high:+.3f}".replace("-", MINUS) in seen
            assert f"{gain.baseline:.4f} {gain.candidate:.4f}" in seen


@pytest.mark.parametrize("others", [1, 2])
def test_the_page_says_that_it_is_no_verdict_and_how_wide_its_intervals_are(shown, others: int) -> None:
    found, page = shown[others]
    seen = words_of(page)

    assert "A question, not a verdict. Nothing was trained for this page, no look was taken" in seen
    assert found.promise.split(".")[0] in seen
    assert all(word not in seen.lower().partition("a question")[0] for word in ("promote", "reject"))


def test_documents_are_quoted_with_their_text_which_stays_text(shown) -> None:
    found, page = shown[1]

    (other,) = found.others
    held = next(changed for changed in other.changed if changed.domain == "held")
    assert held.gained and "<script>" not in page
    for document in (*held.gained, *held.lost):
        assert document.text[:10] == "<script>al" and document.doc_id in words_of(page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= len(held.gained) + len(held.lost)


def test_curves_shares_and_identities_are_there(shown) -> None:
    found, page = shown[2]
    seen = words_of(page)

    assert page.count('<polyline class="mean') == 3 and page.count('<polyline class="lane') == 9
    assert "raw 100.0 %" in seen
    for made in found.made:
        assert made.identity[:12] in seen and made.said in seen
    for name, identity in found.held_out.items():
        assert f"{name} held-out set {identity[:12]}" in seen


def test_the_same_record_gives_the_same_bytes(shown, several_house: House, tmp_path: Path) -> None:
    write_compared(compare(several_house.workspace, ["raw", "good"], per_side=2), path=tmp_path / "page.html")

    assert (tmp_path / "page.html").read_text(encoding="utf-8") == shown[1][1]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("others", [1, 2])
def test_the_page_fits_its_window_and_can_be_read(
    browser: Any, shown, tmp_path: Path, others: int, width: int, scheme: str
) -> None:
    (tmp_path / "page.html").write_text(shown[others][1], encoding="utf-8")
    page, seen = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), list[str]()
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))

    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    assert [item for item in seen if not item.startswith(("data:", "file:"))] == []
    page.close()
