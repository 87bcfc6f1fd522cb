"""`export-proxy`: what it takes on the command line, and what it says of a finished proxy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pipeline.commands.flags import AS_JSON, FILE, WORKSPACE
from pipeline.commands.questions import VerbAnswer

NAMED = "MIXTURE/seedN/lrR as a plan calls it, or a folder of workspace/lane."


@click.argument("lane", metavar="LANE", help=f"A finished proxy: {NAMED}")
@click.option("--to", type=FILE, required=True, help="New folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in that folder.")
@WORKSPACE
@AS_JSON
def export_proxy(*, lane: str, to: Path, overwrite: bool, workspace: Path, as_json: bool) -> VerbAnswer:
    """Write one proxy as a folder that needs nothing of Tamis: weights, config, tokenizer, card, and a loader.

    The loader, load_proxy.py, is 60 lines of torch and sentencepiece. README.md says what the proxy was trained on.
    """
    from pipeline.queries.export.proxy import export_proxy as write
    from pipeline.queries.export.proxy import exported_proxy_text
    from pipeline.store.workspace import Workspace

    done = write(Workspace(workspace), lane, to=to, overwrite=overwrite)
    return VerbAnswer(asdict(done), exported_proxy_text(done, to=str(to)))
