"""The verb `audit`: what it takes on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands import completion
from pipeline.commands.flags import AS_JSON, FILE, WORKSPACE
from pipeline.commands.questions import VerbAnswer


@click.argument(
    "dataset",
    metavar="DATASET",
    help="A dataset's name, as in the recipe, or a folder of one.",
    shell_complete=completion.datasets,
)
@click.option(
    "--against", metavar="OTHER",
    help="Hold it against another dataset, a folder of one as `status` shows them, or `previous`: its version before.",
)  # fmt: skip
@click.option("--to", type=FILE, metavar="FILE.html", help="Write all numbers and tables as a page, too.")
@click.option("--croissant", type=FILE, metavar="FILE.json", help="Write the metadata as Croissant 1.1, too.")
@click.option("--eu-summary", type=FILE, metavar="FILE.md", help="Write a draft of the EU training-data summary, too.")
@click.option("-n", "count", type=click.IntRange(min=1), metavar="NUMBER", default=12, help="Numbers to show.")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="NUMBER", default=200_000, help="Most documents to read, of each."
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="NUMBER", default=0, help="Of the sample and the halvings.")
@WORKSPACE
@AS_JSON
def audit(
    *, dataset: str, against: str | None, to: Path | None, croissant: Path | None, eu_summary: Path | None, count: int,
    sample: int, seed: int, workspace: Path, as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Tell how a dataset is spread, each number beside how far its own halves differ, and what moved beyond that.

    Languages, sources, years, length, duplicates, boilerplate, personal data, insults, associations, topics, style and
    the signals that its steps stored. Reads a blind sample on the processor; nothing is changed or sent anywhere.
    """
    from pipeline.commands.audit_text import audited_text, write_beside
    from pipeline.core.errors import RecipeError
    from pipeline.queries.audit.distributions import audit as ask
    from pipeline.store.workspace import Workspace

    wanted = {"--to": (to, ".html"), "--croissant": (croissant, ".json"), "--eu-summary": (eu_summary, ".md")}
    for flag, (path, ending) in wanted.items():
        if path is not None and (path.suffix != ending or path.is_dir()):
            raise RecipeError(
                f"{flag} {path}: must name a file that ends in {ending}; an earlier one there is replaced."
            )
    place = Workspace(workspace)
    found = ask(place, dataset, against=against, count=sample, seed=seed)
    written = write_beside(place, found, page=to, croissant=croissant, eu_summary=eu_summary)
    text = "\n".join([audited_text(found, count=count), *(f"{name}: {path}" for name, path in written.items())])
    return VerbAnswer(found.data() | {"written": written}, text)
