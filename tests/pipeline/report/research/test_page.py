"""The page of a search shows its record: every number, what waits, what failed, and words of strangers as text."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.load import load_recipe
from pipeline.report.draw import figures
from pipeline.report.research.page import tables_of, write_research
from pipeline.report.research.pictures import front_of
from pipeline.report.research.told import Digest, Finding, Range
from pipeline.research.page.digest import digest_of
from tests.pipeline.report.test_browser import CONTRAST, OUTSIDE, WIDTHS, browser
from tests.pipeline.report.test_report import words_of
from tests.pipeline.research.ledgers import search_of, told_house, with_claim, with_waiting

__all__ = ["browser"]  # a fixture


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Digest, Path]]:
    """The pages of a night of 24 cards and of one that was stopped after 60."""
    pages = {}
    for cards in (24, 60):
        folder = tmp_path_factory.mktemp(f"of{cards}")
        house = told_house(folder)
        writer = search_of(house, cards=cards, nights=3)
        if cards == 24:
            with_waiting(writer)
            with_claim(writer)
        quotes = (("doc <b>1</b>", "<script>alert(1)</script>"),)
        finding = Finding("Pages that list prices got worse.", Range(0.2, 0.1, 0.3), quotes, "claim 7 of 12")
        found = digest_of(load_recipe(house.recipe), house.workspace, findings=(finding,) if cards == 24 else ())
        write_research(found, path=folder / "page.html")
        pages[cards] = (found, folder / "page.html")
    return pages


def page_of(shown: dict[int, tuple[Digest, Path]], cards: int = 24) -> tuple[Digest, str]:
    found, path = shown[cards]
    return found, words_of(path.read_text(encoding="utf-8")).replace(figures.MINUS, "-")


def test_the_verdict_is_said_first_with_its_interval_odds_and_look(shown) -> None:
    _, seen = page_of(shown)

    assert seen.index("promote head needs 0.020") < seen.index("Next step.") < seen.index("What was tried and learned")
    assert "+0.020 +0.012 to +0.028" in seen
    assert "1,234 to 1 20 to 1 needed 2 judged +0.004, kept" in seen


def test_an_interval_is_of_the_confidence_that_the_gate_asks_for(shown, tmp_path: Path) -> None:
    found, _ = shown[24]
    claims = tuple(replace(claim, confidence=0.9) for claim in found.claims)

    write_research(replace(found, claim=claims[-1], claims=claims), path=tmp_path / "page.html")
    seen = words_of((tmp_path / "page.html").read_text(encoding="utf-8"))

    assert "with 90 % intervals" in seen and "measured, 90 %" in seen and "with 95 % intervals; right" not in seen


def test_the_five_lines_and_every_decision_stand_on_the_page(shown) -> None:
    found, seen = page_of(shown)

    for sentence in found.learned:
        assert words_of(str(figures.said(sentence))).replace(figures.MINUS, "-") in seen
    for each in found.waiting:
        assert each.cost in seen and all(command in seen for command in map(_escaped, each.commands))
    assert f"3 decisions, about {found.minutes} minutes" in seen


def _escaped(text: str) -> str:
    return text.replace('"', "&#34;")


def test_every_card_that_failed_was_refused_or_waits_has_its_sign_and_its_reason(shown) -> None:
    found, seen = page_of(shown)
    page = shown[24][1].read_text(encoding="utf-8")
    timeline = page[page.index('<svg class="chart timeline"') :].partition("</figure>")[0]

    assert timeline.count('<path class="failed"') == found.count("failed") == 2
    assert timeline.count('<circle class="refused"') == found.count("refused") == 1
    assert timeline.count('<path class="found"') == found.count("waiting") == 2
    assert timeline.count('<circle class="run') == sum(
        card.measured is not None and card.kind != "control" for card in found.cards
    )
    assert all(card.why in seen for card in found.cards if card.status in ("failed", "refused"))


def test_scores_of_predictions_shares_effects_and_the_bill_are_the_records(shown) -> None:
    found, seen = page_of(shown)

    for each in found.proposers:
        if each.crps is not None:
            assert figures.number(each.crps, 2) in seen and figures.number(each.crps_of_no_change, 2) in seen
        if each.inside is not None:
            assert f"{100 * each.inside.share:.0f} % {100 * each.inside.low:.0f} % to" in seen
    for effect in found.effects:
        assert f"{effect.overall.value:+.3f} {effect.overall.low:+.3f} to {effect.overall.high:+.3f}" in seen
    assert f"experiments {found.bill.experiments} 400" in seen and "for claude $0.02" in seen
    assert f"proxies of cards {found.bill.proxies} proxies of claims 10" in seen


def test_findings_are_quoted_and_without_any_the_page_says_who_finds_them(shown) -> None:
    _, seen = page_of(shown)
    _, other = page_of(shown, 60)

    assert "Pages that list prices got worse." in seen and "&lt;script&gt;alert(1)&lt;/script&gt;" in seen
    assert "Claims about documents are stated and tested by tamis errors" in other
    assert "Not at its end" in other and "Go on: tamis research" in other


def test_no_cheaper_mixture_is_better_than_one_of_the_front(shown) -> None:
    found, _ = shown[60]
    front = front_of(found.mixtures)

    assert front and all(each.expected.value > 0 for each in front)
    for each in front:
        cheaper = [other for other in found.mixtures if other.cost_class == each.cost_class and other.usd <= each.usd]
        assert each.expected.value == max(other.expected.value for other in cheaper)


def test_tables_beside_the_page_hold_every_card_with_whole_numbers(shown) -> None:
    found, path = shown[24]
    with (path.with_suffix("") / "cards.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["card"] for row in rows] == [card.id for card in found.cards]
    assert [row["measured"] for row in rows] == [
        "" if card.measured is None else repr(card.measured) for card in found.cards
    ]
    assert {table.name for table in tables_of(found)} == {"cards", "proposers", "claims"}


def test_the_same_record_gives_the_same_bytes(shown, tmp_path: Path) -> None:
    found, path = shown[24]
    write_research(found, path=tmp_path / "page.html")

    assert (tmp_path / "page.html").read_bytes() == path.read_bytes()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("cards", [24, 60])
def test_the_page_fits_its_window_and_can_be_read(browser: Any, shown, cards: int, width: int, scheme: str) -> None:
    page, seen = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme), list[str]()
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))

    page.goto(shown[cards][1].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("[...document.querySelectorAll('svg[role=img]')].every(item => item.querySelector('title'))")
    assert page.locator("script, b, iframe").count() == 0
    assert [item for item in seen if not item.startswith(("data:", "file:"))] == []
    page.close()
