"""The verb `cancel`: stops Message Batches that are on their way, and tells what that saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, WORKSPACE
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.core.claude.batches.cancel import Cancellation


@click.option("--forget", metavar="BATCH", multiple=True, help="Count a batch that was deleted as spent; repeatable.")
@WORKSPACE
@AS_JSON
def cancel(*, forget: Sequence[str], workspace: Path, as_json: bool) -> VerbAnswer:
    """Stop the Message Batches of a workspace that are on their way; what was answered is kept for the next run."""
    from pipeline.core.claude.batches.cancel import cancel_batches
    from pipeline.store.workspace import Workspace

    notes: list[str] = []
    done = cancel_batches(Workspace(workspace).ledger, say=notes.append, forget=forget)
    return VerbAnswer(asdict(done) | {"notes": notes}, cancellation_text(done, notes))


def cancellation_text(done: Cancellation, notes: Sequence[str]) -> str:
    """Return what was stopped, what it saved and what is left to do."""
    from pipeline.core.claude.prices import dollars

    lines = list(notes)
    for one in done.stopped:
        state = "" if one.ended else "; the server still finishes what it had begun"
        lines.append(
            f"{one.batch}: {one.canceled:,} of {one.requests:,} requests canceled, {one.answered:,} answered{state}"
        )
    if done.in_doubt:
        lines.append(f"{done.in_doubt} batches may exist and cannot be told from others yet; cancel again later.")
    if done.elsewhere:
        lines.append(f"{done.elsewhere} batches are at another address; set ANTHROPIC_BASE_URL to it and cancel again.")
    if done.stopped:
        saved = sum(one.saved_usd for one in done.stopped)
        lines.append(
            f"Saved up to {dollars(saved)}. `tamis run` keeps what was answered and would ask for the rest again."
        )
    return "\n".join(lines) or "No batch is on its way."
