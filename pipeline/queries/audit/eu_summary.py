"""An audited dataset -> a draft of the public summary of training content that the EU asks of providers of models.

After the template of the AI Office for Article 53(1)(d) of the AI Act (24 July 2025) in its three parts: general
information, sources, processing. What can be counted is filled in; what only a person knows is marked. It is a draft
and no legal judgement, and the template's own words have to be looked up before it is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.files.card import Card
from pipeline.queries.export.history import percent, plain, table
from pipeline.queries.export.target import history_of
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.dataset.stored_source import StoredSource
from pipeline.store.results import dropped_by
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from filters.audit.found import Audited, Row

PERSON = "**[a person fills this in]**"
TOP_DOMAINS = 0.10  # of the domains by size that are to be listed; 5 % or 1,000 for small firms, as far as known
BYTES_A_TOKEN = 4  # assumption, for a band


def eu_summary(workspace: Workspace, found: Audited) -> str:
    """Return the draft as Markdown."""
    folder, card = workspace.dataset(found.of.folder)
    history = history_of(workspace, folder)
    parts = [
        f"# Summary of training content: draft for {plain(card.name)}\n",
        f"Drawn up from `{folder.name}` by Tamis after the template for Article 53(1)(d) of the AI Act. A draft: what "
        "is marked is for a person, and whether it is complete is a legal judgement that nothing here makes.\n",
        *_general(found),
        *_sources(found, history),
        *_processing(found, history),
    ]
    return "\n".join(parts)


def _general(found: Audited) -> Iterator[str]:
    yield "## 1. General information\n"
    yield f"- Provider, contact, authorised representative: {PERSON}"
    yield f"- Model, versions, date of placing on the market, models it depends on: {PERSON}"
    yield "- Modality: text"
    size = found.of.bytes_read * found.of.documents / max(found.of.read, 1)
    band = _band(size / BYTES_A_TOKEN)
    yield f"- Size: {band} ({found.of.documents:,} documents, about {size / 1e9:.3g} GB of text)"
    shown = ", ".join(f"{row.name} {percent(row.share)}" for row in _own(found, "language")[:15])
    yield f"- Languages, by share of documents: {plain(shown)}"
    years = [row.name for row in _own(found, "year") if row.name.isdecimal()]
    of = "most of the documents' own dates" if _is_cut(found, "year") else "the documents' own dates"
    dated = f"; {of} are of {min(years)} to {max(years)}" if years else ""
    yield f"- Latest date of acquisition: {PERSON}{dated}\n"


def _own(found: Audited, name: str) -> list[Row]:
    """Return what of a table is of the audited dataset; an audit against another one lists what only that has, too."""
    return [row for row in found.tables.get(name, ()) if row.share > 0]


def _is_cut(found: Audited, name: str) -> bool:
    """Say whether a table may hold only the largest of what there is."""
    from filters.audit.checks import MOST_ROWS

    return len(found.tables.get(name, ())) >= MOST_ROWS


def _band(tokens: float) -> str:
    """Return the broad band of the template for text."""
    bands = ((1e9, "less than 1 billion tokens"), (1e13, "1 billion to 10 trillion tokens"))
    return next((band for most, band in bands if tokens < most), "more than 10 trillion tokens")


def _sources(found: Audited, history: Mapping[Path, Card]) -> Iterator[str]:
    yield "## 2. Sources\n"
    listed = found.tables.get("source", ())
    shares = {row.name: percent(row.share) for row in listed}
    rest = percent(0.0)  # of what is not listed: the largest are
    if _is_cut(found, "source"):
        rest = f"at most {percent(max(listed[-1].share, listed[-1].other or 0.0))}"
    rows = [
        (card.name, card.kind, _reader(card), f"{card.rows_out:,}", shares.get(card.name, rest))
        for card in history.values()
        if card.kind != "dataset"
    ]
    yield table(("source", "kind", "read by", "documents", "share of this dataset"), rows)
    for kind in (
        "Publicly available datasets", "Private datasets, licensed or obtained from third parties",
        "Data crawled and scraped from online sources", "User data", "Other sources",
    ):  # fmt: skip
        yield f"- {kind}: {PERSON} which of the sources above are of this kind, with names, links and licences"
    made = [row for row in _own(found, "origin") if row.name != "human"]
    synthetic = ", ".join(f"{row.name} {percent(row.share)}" for row in made) or "none by the documents' origin"
    yield f"- Synthetic data: {plain(synthetic)}; the models that made it: {PERSON if made else 'none'}\n"
    hosts = [row for row in _own(found, "host") if not row.name.startswith("(")]
    if hosts:
        yield (
            "Domains with most documents, of those read (the template asks for the top "
            f"{100 * TOP_DOMAINS:.0f} % by size; this list is cut):\n"
        )
        yield table(("domain", "share of documents"), [(row.name, percent(row.share, decimals=2)) for row in hosts])
    yield f"- Crawlers, their names, purpose, period and respect of robots.txt: {PERSON}\n"


def _reader(card: Card) -> str:
    return StoredSource.from_payload(card.payload).reader or "made here"


def _processing(found: Audited, history: Mapping[Path, Card]) -> Iterator[str]:
    yield "## 3. Processing\n"
    yield f"- Respect of reservations of rights (Article 4(3) of Directive 2019/790), opt-outs: {PERSON}"
    yield f"- Removal of illegal content: {PERSON}"
    yield "- Steps that the text went through, with what they dropped:\n"
    rows = [
        (card.name, step.label, f"{dropped_by(card, step.label):,}")
        for card in history.values()
        for step in StoredDataset.from_card(card).steps
    ]  # fmt: skip
    yield table(("dataset", "step", "documents dropped"), rows)
    yield "- What is left of personal data and insults, by shape and by a short word list:\n"
    left = [
        (number.name, percent(number.value, decimals=2))
        for number in found.numbers
        if number.group in ("personal data", "toxicity") and number.unit == "share" and number.value is not None
    ]
    yield table(("documents", "share"), left)
    yield "\n".join(f"- {plain(sentence)}" for sentence in found.stored)
    yield ""
