"""Verbs that move a name to another version: of what was promoted, and of what was remembered for deduplication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.commands import completion
from pipeline.commands.flags import AS_JSON, PLUGINS, RECIPE, WORKSPACE, load_plugins
from pipeline.commands.questions import VerbAnswer


@RECIPE
@click.option("--override", help="Promote without a certificate that says so; the reason is recorded.")
@WORKSPACE
@PLUGINS
@AS_JSON
def promote(
    *, recipe: Path, override: str | None, workspace: Path, plugin: Sequence[Path], as_json: bool
) -> VerbAnswer:
    """Register the recipe's candidate as a new version; refuses without a certificate that says promote."""
    from dataclasses import asdict

    from pipeline.commands.run.run_recipe import promote_recipe
    from pipeline.store.judge import judged_otherwise, judging_code
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    done = promote_recipe(recipe, workspace=Workspace(workspace), override=override)
    state = "now" if done.created else "already"
    note = judged_otherwise(done.version.certificate or {}, now=judging_code())
    text = f"{done.version.name} is {state} version {done.version.version}."
    return VerbAnswer(asdict(done) | {"judged_otherwise": note}, f"{text}\n{note}".rstrip())


@click.argument(
    "dataset", metavar="[DATASET]", required=False, help="A dataset's name.", shell_complete=completion.datasets
)
@click.option("--store", metavar="NAME", default="main", help="The dedup store.")
@click.option(
    "--forget", metavar="ID", multiple=True, help="Take this document out, and what was made from it; repeatable."
)
@click.option("--to", type=click.IntRange(min=1), metavar="NUMBER", help="Go back to this version of the store.")
@WORKSPACE
@AS_JSON
def remember(
    *, dataset: str | None, store: str, forget: Sequence[str], to: int | None, workspace: Path, as_json: bool
) -> VerbAnswer:
    """Add a dataset to a dedup store, take documents out, or go back; every change is a new version."""
    from dataclasses import asdict

    from pipeline.store.names.dedup_versions import change
    from pipeline.store.workspace import Workspace

    done = change(Workspace(workspace), dataset, store=store, ids=forget, to=to)
    state = "is at" if done.changed else "had it already; it stays at"
    text = f"{store} {state} version {done.version}: {done.documents:,} documents remembered, "
    text += f"{done.added:,} of them new, {done.forgotten:,} forgotten."
    for name in done.gone:
        text += f"\nwarning: {name} is not there any more, so what of it was made from these documents is not known."
    return VerbAnswer(asdict(done), text)


@click.argument("name", metavar="NAME", help="A name in the registry.", shell_complete=completion.promoted)
@click.option(
    "--to", type=click.IntRange(min=1), metavar="NUMBER", help="Version to go back to; the one before, if left out."
)
@WORKSPACE
@AS_JSON
def rollback(*, name: str, to: int | None, workspace: Path, as_json: bool) -> VerbAnswer:
    """Point a registered name at an earlier version; nothing is deleted."""
    from dataclasses import asdict

    from pipeline.store.names.registry import rollback as move
    from pipeline.store.workspace import Workspace

    with Workspace(workspace).locked():
        record = move(Workspace(workspace), name, to=to)
    return VerbAnswer(asdict(record), f"{name} is back at version {record.version}.")


@click.argument("name", metavar="[NAME]", required=False, help="Only this name.", shell_complete=completion.promoted)
@WORKSPACE
@AS_JSON
def registry(*, name: str | None, workspace: Path, as_json: bool) -> VerbAnswer:
    """List promoted versions, the current one marked."""
    from pipeline.commands.texts import registry_text
    from pipeline.queries.status import registry_of
    from pipeline.store.workspace import Workspace

    data = registry_of(Workspace(workspace), name)
    return VerbAnswer(data, registry_text(data))
