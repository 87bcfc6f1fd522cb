"""How an export came to be -> the sections of its card that tell it: lineage, recipe, mixture, certificate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.core.files.card import Card
from pipeline.store.dataset.stored_dataset import StoredDataset

MEANT = re.compile(r"[<>&|`*\[\]\\]|(?<![^\W_])_|_(?![^\W_])")  # signs of Markdown and HTML


def plain(text: str) -> str:
    """Return text that Markdown and HTML show as it stands, on one line; `_` inside a word means nothing to either."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return MEANT.sub(lambda found: f"&#{ord(found[0])};", line)


def percent(share: float, *, decimals: int = 1) -> str:
    """Return a share in per cent, and never none for a few."""
    least = 10.0**-decimals
    return f"< {least:g} %" if 0 < 100 * share < least else f"{100 * share:.{decimals}f} %"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; nothing without rows."""
    lines = [f"| {' | '.join(plain(str(cell)) for cell in row)} |\n" for row in rows]
    return f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n{''.join(lines)}" if lines else ""


def lineage_section(cards: Sequence[Card]) -> str:
    """Tell every result that the documents come from, the sources first."""
    rows = [
        (f"{card.kind} {card.name}", card.identity[:12], _origins(card), f"{card.rows_in:,}", f"{card.rows_out:,}")
        for card in cards
    ]
    told = table(("result", "identity", "from", "documents in", "documents out"), rows)
    return f"## Lineage\n\n{told}" if told else ""


def _origins(card: Card) -> str:
    inputs = StoredDataset.from_card(card).inputs or tuple(card.parents)
    return ", ".join(inputs) or str(card.payload.get("reader", ""))


def recipe_section(cards: Sequence[Card]) -> str:
    """Tell every step of every dataset with the parameters that counted."""
    told = table(("dataset", "step", "parameters"), (row for card in cards for row in _steps(card)))
    return f"## Recipe\n\nEvery step in its order, with the parameters that counted.\n\n{told}" if told else ""


def _steps(card: Card) -> Iterator[tuple[str, str, str]]:
    for step in StoredDataset.from_card(card).steps:
        label = step.label if step.label == step.step else f"{step.label} ({step.step})"
        yield card.name, label, _pairs(step.settings)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def mixture_section(card: Card | None) -> str:
    """Tell what the mixture asked for; its shares stand in a table of their own."""
    if card is None:
        return ""
    asked = {name: weight for name, (_, weight) in sorted(card.payload["weights"].items())}
    settings = {key: card.payload[key] for key in ("max_epochs", "max_document_share", "seed") if key in card.payload}
    lines = [f"- Weights: {plain(_pairs(asked))}\n", f"- Settings: {plain(_pairs(settings))}\n"]
    return f"## Mixture\n\n{''.join(lines)}"


def certificate_section(certificate: Mapping[str, Any] | None) -> str:
    """Tell what the gate compared, by which rule, and what it found."""
    if certificate is None:
        return ""
    arms = ", ".join(f"{arm} {certificate[arm]['name']} {certificate[arm]['identity'][:12]}" for arm in _ARMS)
    verdict = certificate["verdict"]
    lines = [
        f"- Certificate: {plain(certificate['certificate_id'][:12])}, {plain(verdict['outcome'])}\n",
        f"- Compared: {plain(arms)}\n",
        f"- Rule: {plain(_pairs(certificate['rule']))}\n",
        f"- Proxies: {plain(_pairs(certificate['proxy']))}; seeds {plain(str(certificate['seeds']))}\n",
    ]
    rows = [
        (
            f"{comparison['learning_rate']:g}", gain["domain"],
            *(f"{gain[key]:.4f}" for key in ("baseline", "candidate", "gain", "low", "high")),
        )
        for comparison in certificate["comparisons"]
        for gain in (comparison["overall"], *comparison["domains"])
    ]  # fmt: skip
    header = ("learning rate", "held-out", "baseline", "candidate", "gain", "from", "to")
    return f"## Certificate\n\n{''.join(lines)}\nBits per byte, and the interval of the gain.\n\n{table(header, rows)}"


_ARMS = ("candidate", "baseline")
