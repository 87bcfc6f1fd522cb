"""The report in a real browser: hostile text stays text, nothing is fetched, it fits a phone and a desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import catalog
from pipeline.report.page import write_report
from tests.conftest import ROOT
from tests.pipeline.report import search_parts as hunt
from tests.pipeline.report.mixture import test_comparison as steps
from tests.pipeline.report.report_parts import STEPS, finish, write_lines
from tests.pipeline.report.test_report import EXPERIMENT, RECIPE

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["quic", "first-run", "background-networking", "component-update", "sync"]
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{name}" for name in QUIET))
SINKS = ("alert(1)", "fetch('http://127.0.0.1:9/x')", "document.title='owned'", "location='http://127.0.0.1:9/'")
SHAPES = (ROOT / "tests" / "cases" / "report_payloads.txt").read_text(encoding="ascii").splitlines()
PAYLOADS = [shape.encode().decode("unicode_escape").replace("SINK", sink) for shape in SHAPES for sink in SINKS]
WIDTHS = (400, 1280)
PHONE = {"width": 400, "height": 800}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `dev`)")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose documents are payloads: in text, ids, metadata, first words, held-out texts and rule names."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [{"id": f"{payload} {n}", "text": payload, "url": payload} for n, payload in enumerate(PAYLOADS)]
    rows += [
        {"id": f"{payload} twin {n}", "text": f"{payload} " + "kept words of letters " * 4}
        for n, payload in enumerate(PAYLOADS)
    ]
    rows += [
        {"id": f"{payload} again {n}", "text": f"{payload} " + "kept words of letters " * 4}
        for n, payload in enumerate(PAYLOADS)
    ]
    rows += [{"id": f"poison {n}", "text": f"poison {payload}"} for n, payload in enumerate(PAYLOADS[:20])]
    write_lines(folder / "docs.jsonl", rows)
    write_lines(
        folder / "held.jsonl",
        [{"id": f"{p} {n}", "text": f"{p} " + "kept words of letters " * 4} for n, p in enumerate(PAYLOADS[::3])],
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, place in STEPS.items():
            patch.setitem(catalog.STEPS, name, place)
        plan = finish((RECIPE + EXPERIMENT).replace("DIR", str(folder)), folder=folder, gain=0.03)
        write_report(plan, path=folder / "report.html")
    return folder / "report.html"


def test_two_hundred_payloads_stay_text(browser: Any, hostile_report: Path, record_property: Any) -> None:
    page = browser.new_page()
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("console", lambda message: seen.append(f"console {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"error {error}"))
    page.on("request", lambda request: seen.append(f"request {request.url}"))

    page.goto(hostile_report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    page.wait_for_timeout(300)

    record_property("times", len(PAYLOADS))
    assert len(PAYLOADS) >= 200
    assert [
        item for item in seen if item != f"request {hostile_report.as_uri()}" and not item.startswith("request data:")
    ] == []
    assert page.title() == "trial: promote"
    made = "script, iframe, object, embed, img, image, form, input, video, audio, base, [onload], [onerror], [onfocus]"
    assert page.locator(made).count() == 0
    assert "<script>alert(1)</script>" in page.locator("pre").all_inner_texts()[0] + page.inner_text("body")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_its_window_and_can_be_read(browser: Any, hostile_report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(hostile_report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    assert page.evaluate("[...document.querySelectorAll('svg[role=img]')].every(item => item.querySelector('title'))")
    page.close()


def test_everything_that_opens_can_be_reached_with_the_keyboard(browser: Any, hostile_report: Path) -> None:
    page = browser.new_page()
    page.goto(hostile_report.as_uri())

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate("document.querySelector('summary').focus()")
    page.keyboard.press("Enter")

    assert page.evaluate("document.querySelector('details').open")
    page.close()


def test_on_a_phone_a_wide_table_says_so_and_keeps_its_first_column(browser: Any, hostile_report: Path) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(hostile_report.as_uri())

    found = page.evaluate(SCROLLERS)
    page.evaluate("document.querySelectorAll('.scroll').forEach(item => item.scrollLeft = 120)")
    moved = page.evaluate(FIRST_COLUMN)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.reload()
    found += page.evaluate(SCROLLERS)

    assert {item["wide"] for item in found} == {True, False}
    assert all((item["hint"] > 0.9) == item["wide"] for item in found)
    assert len(moved) > 3 and all(abs(distance) <= 1 for distance in moved)
    page.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_contents_stay_in_sight_and_a_link_leads_to_its_place(
    browser: Any, hostile_report: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(hostile_report.as_uri())

    page.locator(".flow a", has_text="clean").first.click()
    page.wait_for_timeout(100)
    nav, heading = (page.locator(name).bounding_box() for name in ("nav", "#dataset-clean"))

    assert page.url.endswith("#dataset-clean")
    assert nav["y"] == 0
    assert nav["height"] <= heading["y"] < 200
    page.locator("a[href='#rule-clean-toy_words-too_few']").click()
    assert page.evaluate("document.querySelector('#rule-clean-toy_words-too_few').checkVisibility()")
    page.close()


@pytest.fixture(scope="module")
def search_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of an unfinished search: three datasets, limits, a proxy that was left out."""
    folder = tmp_path_factory.mktemp("search")
    gate = "gate: {candidate: best, baseline: even, on: [test]}"
    text = hunt.recipe("books", "web", "code", sweep=", most: {books: 0.7}", gate=gate)
    score, broken = hunt.bowl(books=0.6, web=0.3, code=0.1), {"best.1.6": "its loss rose at the end"}
    plan = hunt.searched(
        text.replace("proxies: 16", "proxies: 20"), folder=folder, score=score, rounds=1, broken=broken
    )
    write_report(plan, path=folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_search_fits_its_window_and_can_be_read(browser: Any, search_report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(search_report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")

    assert page.locator(".simplex .run").count() == 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    assert page.evaluate(OUTSIDE) == []
    page.close()


@pytest.fixture(scope="module")
def worth_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of an ablation whose steps are worth something on two held-out sets."""
    folder = tmp_path_factory.mktemp("worth")
    steps.inputs(folder)
    write_report(finish(steps.ablation(folder), folder=folder, gain=steps.GAINS), path=folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_a_comparison_fits_its_window_and_can_be_read(
    browser: Any, worth_report: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(worth_report.as_uri())

    assert page.locator(".effects .row:not(.axis)").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    page.close()


# Signs and words of a search's pictures that lie outside the window.
OUTSIDE = """[...document.querySelectorAll('.simplex *, .plot *')].filter(item => item.getClientRects().length)
  .filter(item => { const box = item.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; })
  .map(item => item.outerHTML)"""
# Every scrolling box that is shown: whether there is more to the right, and how visible its hint is.
SCROLLERS = """[...document.querySelectorAll('.scroll')].filter(item => item.checkVisibility()).map(item => ({
  wide: item.scrollWidth > item.clientWidth + 1,
  hint: Number(getComputedStyle(item, '::before').opacity),
}))"""
# How far the first column lies from the left of its box, in tables that were scrolled.
FIRST_COLUMN = """[...document.querySelectorAll('.scroll > table')].filter(item => item.parentElement.scrollLeft > 100)
  .map(item => item.querySelector('tbody :is(th, td)').getBoundingClientRect().left -
    item.parentElement.getBoundingClientRect().left)"""
# The lowest contrast of any text with what is painted behind it (WCAG 2.2, relative luminance).
CONTRAST = """() => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const light = rgb => {
    const c = rgb.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  };
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = 21;
  for (const node of document.querySelectorAll('main *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest('title') || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const front = light(parse(node instanceof SVGElement ? style.fill : style.color)), back = light(behind(node));
    lowest = Math.min(lowest, (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05));
  }
  return lowest;
}"""
