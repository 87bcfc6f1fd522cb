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
from pipeline.core.errors import DataError
from pipeline.core.files.card import Card
from pipeline.core.files.stores.places import without_secrets
from pipeline.core.files.writing.durable import sweep, write_text
from pipeline.core.process.kernel_cache import own_folder
from pipeline.core.shown import shown as visible
from pipeline.engine.run_record import mark_of, records_of, run_of
from pipeline.experiment.streams.opened import closed_in
from pipeline.plan.graph import Plan
from pipeline.recipe.spec import final_datasets
from pipeline.report.dataset.classifier import classifiers_in
from pipeline.report.dataset.examples import Examples, quarantine_reasons
from pipeline.report.dataset.findings import clusters_in, contamination_in, duplicates_in
from pipeline.report.dataset.groups import groups_of, lengths_picture, mean_size, strips_of, together_of
from pipeline.report.dataset.signals import Map, Signals, one_by_one
from pipeline.report.dataset.steps import DatasetShown, dataset_shown
from pipeline.report.dataset.teaching import made_in, notes_of, teachers_in
from pipeline.report.dataset.topics import topic_kept, topics_in
from pipeline.report.draw import figures
from pipeline.report.mixture.comparison import comparison_in
from pipeline.report.mixture.experiment import (
    certificate_in,
    curve_plots,
    experiment_facts,
    forests,
    mixture_rows,
    seed_rows,
)
from pipeline.report.mixture.heldout import held_out
from pipeline.report.mixture.search import percent, search_in
from pipeline.report.run.account import cards_of, grouped, spent_on, total_seconds
from pipeline.report.run.changes import changes_since
from pipeline.report.run.flow import flow_picture
from pipeline.report.run.head import facts_of, rows_of
from pipeline.report.tables import tables_of, write_tables
from pipeline.store.evidence import evidence_of

MOST_BYTES = 1_900_000
EXAMPLES_PER_SIDE = (3, 2, 1, 0)  # tried in this order until the page is small enough
TEMPLATES = Path(__file__).with_name("templates")


def write_report(plan: Plan, *, path: Path, map: Map = one_by_one) -> None:
    """Write the report of everything that is complete in `plan` to `path`; DataError if nothing is.

    `map` is asked to look at the parts of datasets; one that has worker processes may do so in them.
    """
    cards = cards_of(plan)
    if not cards:
        raise DataError(f"{plan.recipe.place}: nothing of this recipe is built in {plan.workspace.root}. Run it first.")
    for per_side in EXAMPLES_PER_SIDE:
        content = _content(plan, cards, per_side=per_side, map=map)
        tables = tables_of(content)
        page = render({**content, "tables": tables, "tables_folder": path.stem})
        if len(page.encode()) <= MOST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    write_tables(path.with_suffix(""), tables)
    write_text(path, page)


def render(content: Mapping[str, Any], *, template: str = "report.html") -> str:
    """Return a page."""
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
        "counted": figures.counted,
        "said": figures.said,
        "sign": figures.sign,
        "visible": visible,
        "anchor": _anchor,
        "number": figures.number,
        "fixed": figures.fixed,
        "signed": figures.signed,
        "seconds": figures.seconds,
        "size": figures.size,
        "dollars": figures.dollars,
        "short": figures.short,
        "soft": _soft,
        "percent": percent,
    }
    environment.globals |= {"share": figures.share, **_chart_functions()}
    page: str = environment.get_template(template).render(
        css=Markup((TEMPLATES / "report.css").read_text(encoding="ascii")), **content
    )
    return page


def _soft(name: str) -> Any:
    """Return an escaped name that may break after an underscore, a slash or a dot."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[_/.])(?=[^_/.])", "<wbr>", str(escape(name))))


def _anchor(*names: str) -> str:
    """Return an id for a place on the page; a name of other characters than an id should hold loses those."""
    return "-".join(re.sub("[^A-Za-z0-9_-]+", "-", name).strip("-") for name in names)


def _chart_functions() -> dict[str, Any]:
    from pipeline.report.draw import charts

    return {"share_bar": charts.share_bar, "histogram": charts.histogram, "columns": charts.columns}


def _content(plan: Plan, cards: Mapping[str, Card], *, per_side: int, map: Map) -> dict[str, Any]:
    """Return everything that the template names."""
    certificate = certificate_in(plan)
    verdict = certificate["verdict"] if certificate else None
    last = plan.recipe.gate.on if plan.recipe.gate is not None else ()
    decided = [name for name in plan.datasets if _is_decided(plan, name, cards)]
    datasets = [
        _dataset(plan, name, per_side=per_side, map=map) for name in sorted(decided, key=lambda name: name in last)
    ]
    spent, final = spent_on(plan, cards), final_datasets(plan.recipe)
    made = made_in(plan, cards, per_side=per_side)
    by_domain, by_rate = forests(certificate) if certificate else (None, None)
    outcome = verdict["outcome"] if verdict else "none"
    records = records_of(plan)
    run = run_of(plan, records)
    num_bytes = {item["shown"].name: item["shown"].num_bytes for item in datasets}
    seconds, usd = total_seconds(spent), sum(row.cost_usd for row in spent)
    return {
        "mark": mark_of(plan, run),
        "run": run,
        "text": without_secrets(run.text if run is not None else plan.recipe.text),
        "head": facts_of(plan, cards, run, seconds=seconds, usd=usd),
        "changes": changes_since(records, run),
        "rows": {name: rows_of(plan, cards, name) for name in final},
        "recipe": plan.recipe,
        "version": __version__,
        "certificate": certificate,
        "verdict": verdict,
        "outcome": outcome,
        "num_missing": len(plan.nodes) - len(cards),
        "spent": spent,
        "spent_in_groups": grouped(plan, spent),
        "total_seconds": seconds,
        "total_usd": usd,
        "flow": flow_picture(plan, cards, outcome=outcome),
        "sources": [(name, cards[node.identity]) for name, node in plan.sources.items() if node.identity in cards],
        "datasets": datasets,
        "topic_kept": {item["shown"].name: topic_kept(item["shown"]) for item in datasets},
        "results": [item for item in datasets if item["shown"].name in final],
        "made": made,
        "made_results": [item for item in made if item.name in final and item.name not in decided],
        "comparison": comparison_in(plan, num_bytes=num_bytes),
        "by_domain": by_domain,
        "by_rate": by_rate,
        "seeds": seed_rows(certificate) if certificate else [],
        "mixtures": mixture_rows(plan),
        "facts": experiment_facts(plan),
        "curves": curve_plots(plan),
        "held_out": held_out(plan, per_side=per_side),
        "search": search_in(plan),
    }


def _is_decided(plan: Plan, name: str, cards: Mapping[str, Card]) -> bool:
    node = plan.datasets[name].node
    return node.identity in cards and node.kind == "dataset"


def _dataset(plan: Plan, name: str, *, per_side: int, map: Map) -> dict[str, Any]:
    planned = plan.datasets[name]
    signals = Signals(evidence_of(plan.workspace, planned.node.folder.name), map=map)
    meanings = {item.label: {signal.name: signal for signal in item.step.signals} for item in planned.spec.steps}
    shown: DatasetShown = dataset_shown(signals, name=name, meanings=meanings, per_side=per_side)
    clusters = clusters_in(shown, signals)
    largest = {label: [doc_id for doc_id, _ in found.largest] for label, found in clusters.items()}
    members = {label: [item for each in found.members.values() for item in each] for label, found in clusters.items()}
    examples = Examples(
        shown, signals, per_side=per_side, named=largest, members=members,
        closed=closed_in(plan.workspace, planned.node.folder),
    )  # fmt: skip
    return {
        "shown": shown,
        "groups": groups_of(shown),
        "strips": strips_of(shown.tally),
        "together": together_of(shown.tally),
        "lengths": lengths_picture(shown),
        "mean_before": mean_size(shown, before=True),
        "mean_after": mean_size(shown, before=False),
        "examples": {step.label: examples.of_step(step.label) for step in shown.steps},
        "duplicates": duplicates_in(shown, clusters, examples),
        "contamination": contamination_in(shown, signals),
        "teachers": teachers_in(shown),
        "classifiers": classifiers_in(shown),
        "topics": topics_in(shown),
        "notes": {step.label: notes_of(step.card.details) for step in shown.steps},
        "quarantine": quarantine_reasons(shown) if shown.num_quarantined else [],
        "inputs": planned.spec.inputs or ("made documents",),
    }
