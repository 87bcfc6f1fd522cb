"""Cards, signals, verdicts and the certificate -> one self-contained HTML page that a tired person can read at night.

Reads only files and depends on nothing else, so the same files give the same bytes. No script and no request: charts
are inline SVG, and a content policy forbids the rest, which matters because the page quotes strangers' documents.
Everything is escaped by the template engine. When quoting makes the page larger than 1.9 MB, it quotes less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.core.card import Card
from pipeline.core.errors import DataError
from pipeline.core.shards import write_text
from pipeline.evidence import evidence_of
from pipeline.kernel_cache import own_folder
from pipeline.plan import Plan
from pipeline.report import figures
from pipeline.report.account import cards_of, spent_on, total_seconds
from pipeline.report.classifier import classifiers_in
from pipeline.report.examples import Examples, quarantine_reasons
from pipeline.report.experiment import (
    certificate_in,
    curve_plots,
    experiment_facts,
    forests,
    mixture_rows,
    seed_rows,
)
from pipeline.report.findings import clusters_in, contamination_in, duplicates_in
from pipeline.report.flow import flow_picture
from pipeline.report.heldout import held_out
from pipeline.report.signals import Signals
from pipeline.report.steps import DatasetShown, dataset_shown
from pipeline.report.teaching import made_in, notes_of, teachers_in
from pipeline.sizes import final_datasets

MOST_BYTES = 1_900_000
EXAMPLES_PER_SIDE = (3, 2, 1, 0)  # tried in this order until the page is small enough
TEMPLATES = Path(__file__).with_name("templates")


def write_report(plan: Plan, *, path: Path) -> None:
    """Write the report of everything that is complete in `plan` to `path`; DataError if nothing is."""
    cards = cards_of(plan)
    if not cards:
        raise DataError(
            f"{plan.recipe.path}: nothing of this recipe is built in {plan.workspace.root}. "
            f"Run it first: tamis run {plan.recipe.path}"
        )
    for per_side in EXAMPLES_PER_SIDE:
        page = render(plan, cards, per_side=per_side)
        if len(page.encode()) <= MOST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)


def render(plan: Plan, cards: Mapping[str, Card], *, per_side: int) -> str:
    """Return the page, with `per_side` examples on each side of a rule."""
    from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    cache = own_folder()  # templates lie there compiled: 0.15 s less; one that was changed is compiled anew
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=FileSystemBytecodeCache(str(cache)) if cache is not None else None,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": figures.count,
        "number": figures.number,
        "fixed": figures.fixed,
        "signed": figures.signed,
        "seconds": figures.seconds,
        "size": figures.size,
        "dollars": figures.dollars,
        "short": figures.short,
        "soft": _soft,
    }
    environment.globals |= {"share": figures.share, **_chart_functions()}
    page: str = environment.get_template("report.html").render(
        css=Markup((TEMPLATES / "report.css").read_text(encoding="ascii")), **_content(plan, cards, per_side=per_side)
    )
    return page


def _soft(name: str) -> Any:
    """Return an escaped name that may break after an underscore, a slash or a dot."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[_/.])(?=[^_/.])", "<wbr>", str(escape(name))))


def _chart_functions() -> dict[str, Any]:
    from pipeline.report import charts

    return {"share_bar": charts.share_bar, "histogram": charts.histogram, "columns": charts.columns}


def _content(plan: Plan, cards: Mapping[str, Card], *, per_side: int) -> dict[str, Any]:
    """Return everything that the template names."""
    certificate = certificate_in(plan)
    verdict = certificate["verdict"] if certificate else None
    last = plan.recipe.gate.on if plan.recipe.gate is not None else ()
    decided = [name for name in plan.datasets if _is_decided(plan, name, cards)]
    datasets = [_dataset(plan, name, per_side=per_side) for name in sorted(decided, key=lambda name: name in last)]
    spent, final = spent_on(plan, cards), final_datasets(plan.recipe)
    by_domain, by_rate = forests(certificate) if certificate else (None, None)
    outcome = verdict["outcome"] if verdict else "none"
    return {
        "recipe": plan.recipe,
        "version": __version__,
        "certificate": certificate,
        "verdict": verdict,
        "outcome": outcome,
        "num_missing": len(plan.nodes) - len(cards),
        "spent": spent,
        "total_seconds": total_seconds(spent),
        "total_usd": sum(row.cost_usd for row in spent),
        "flow": flow_picture(plan, cards, outcome=outcome),
        "sources": [(name, cards[node.identity]) for name, node in plan.sources.items() if node.identity in cards],
        "datasets": datasets,
        "results": [item for item in datasets if item["shown"].name in final],
        "made": made_in(plan, cards, per_side=per_side),
        "by_domain": by_domain,
        "by_rate": by_rate,
        "seeds": seed_rows(certificate) if certificate else [],
        "mixtures": mixture_rows(plan),
        "facts": experiment_facts(plan),
        "curves": curve_plots(plan),
        "held_out": held_out(plan, per_side=per_side),
    }


def _is_decided(plan: Plan, name: str, cards: Mapping[str, Card]) -> bool:
    node = plan.datasets[name].node
    return node.identity in cards and node.kind == "dataset"


def _dataset(plan: Plan, name: str, *, per_side: int) -> dict[str, Any]:
    planned = plan.datasets[name]
    signals = Signals(evidence_of(plan.workspace, planned.node.folder.name))
    meanings = {item.label: {signal.name: signal for signal in item.step.signals} for item in planned.spec.steps}
    shown: DatasetShown = dataset_shown(signals, name=name, meanings=meanings, per_side=per_side)
    clusters = clusters_in(shown, signals)
    largest = {label: [doc_id for doc_id, _ in found.largest] for label, found in clusters.items()}
    examples = Examples(shown, signals, per_side=per_side, named=largest)
    return {
        "shown": shown,
        "examples": {step.label: examples.of_step(step.label) for step in shown.steps},
        "duplicates": duplicates_in(shown, clusters, examples),
        "contamination": contamination_in(shown, signals),
        "teachers": teachers_in(shown),
        "classifiers": classifiers_in(shown),
        "notes": {step.label: notes_of(step.card.details) for step in shown.steps},
        "quarantine": quarantine_reasons(shown) if shown.num_quarantined else [],
        "inputs": planned.spec.inputs or ("made documents",),
    }
