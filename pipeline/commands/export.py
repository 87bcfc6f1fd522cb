"""`export`: what it takes on the command line, and what it says when it is done."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from pipeline.commands import completion
from pipeline.commands.flags import AS_JSON, FILE, WORKERS, WORKSPACE, parse_count
from pipeline.commands.questions import VerbAnswer


@click.argument(
    "name", metavar="NAME",
    help="A dataset, a mixture or a promoted name, or which version of it: docs-en@2. Where a name is two of "
    "these: dataset/NAME, mixture/NAME, registry/NAME.", shell_complete=completion.everything,
)  # fmt: skip
@click.option("--to", required=True, metavar="PATH", help="New folder to write, or s3://BUCKET/PREFIX.")
@click.option("--tokens", metavar="COUNT", help="Of a mixture, such as 20M; all that keep its shares, if left out.")
@click.option(
    "--tokenizer",
    type=FILE,
    help="Write tokens of this sentencepiece model or Hugging Face tokenizer.json; --tokens counts them.",
)
@click.option("--eos", metavar="TOKEN", help="Ends every document; the tokenizer's own, if left out.")
@click.option("--bos", metavar="TOKEN", help="Begins every document; nothing does, if left out.")
@click.option(
    "--format",
    metavar="FORMAT",
    help="parquet, or jsonl.zst: JSON lines, compressed. With a tokenizer: numpy, megatron or mds. The first, if left "
    "out.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in that folder.")
@WORKSPACE
@WORKERS
@AS_JSON
def export(
    *, name: str, to: str, tokens: str | None, tokenizer: Path | None, eos: str | None, bos: str | None,
    format: str | None, overwrite: bool, workspace: Path, workers: int, as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Write a dataset, or a mixture as documents, with its evidence; `datasets.load_dataset(DIR)` reads it.

    With a tokenizer, write its tokens for a training run: numpy memory maps, Megatron's .bin and .idx, or MDS.

    A mixture's documents come whole and in its order: weights, epochs and caps applied, shares true at every point.
    Run the same command again to go on after a kill; an export that is there already is left alone.
    """
    from pipeline.commands.run.display import Terminal
    from pipeline.core.process.kernel_cache import notice
    from pipeline.queries.export.card import exported_text
    from pipeline.queries.export.export import export_named
    from pipeline.store.workspace import Workspace

    with Terminal(notice=notice) as progress:
        make = partial(
            export_named, Workspace(workspace), name, tokens=parse_count(tokens, flag="--tokens"), format=format,
            tokenizer=tokenizer, eos=eos, bos=bos, overwrite=overwrite, workers=workers, progress=progress,
        )  # fmt: skip
        if "://" in to:
            from pipeline.queries.export.remote import export_to_url

            done = export_to_url(to, lambda folder: make(to=folder), overwrite=overwrite)
        else:
            done = make(to=Path(to))
    return VerbAnswer(asdict(done), exported_text(done, to=done.folder if "://" in to else to))
