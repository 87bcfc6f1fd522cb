"""A finished dataset, or a mixture as documents, into the layout of the Hugging Face Hub.

    NAME/README.md tamis.json data/train-00000-of-000NN.parquet cards/ certificate.json version.json tokenizer.model

`datasets.load_dataset(FOLDER)` reads it without a network. A dataset is exported whole, in its order. A mixture is
written in the order of the mixture, documents whole, for a budget of tokens; without one, for as many as there are
while every dataset keeps the share that its weight asks for within its epochs. Every byte depends on what is exported,
the budget and the format; never on workers. The folder appears whole or not at all (`export_folder.py`), a killed
export goes on where it was, and one that is there already is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import __version__
from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError, ServiceError, write_advice
from pipeline.core.files.card import StoredFile, describe_files
from pipeline.core.files.durable import write_atomically, write_text
from pipeline.core.identity import identity_of
from pipeline.core.rng import derive
from pipeline.engine.executors import Executor, Local
from pipeline.engine.progress import Progress, Silent
from pipeline.experiment.mixture import MixturePlan
from pipeline.queries.export.card import DatasetInfo, Exported, Given, dataset_card, summed
from pipeline.queries.export.columns import Column, columns_of, joined, with_columns
from pipeline.queries.export.counts import Counted, count_dataset, counted_of, cut_at
from pipeline.queries.export.folder import MARKER, Site, held, is_there, marker_of, refuse_occupied, site_of
from pipeline.queries.export.order import Arranged, arrange, most_tokens, pieces, plan_shares
from pipeline.queries.export.shards import (
    FORMATS,
    PARQUET,
    PLACE,
    RUN,
    RowRange,
    RunTask,
    Shard,
    ShardTask,
    write_run,
    write_shard,
    written,
)
from pipeline.queries.export.story import Story, story_of
from pipeline.queries.export.target import Mixture, Target, find_target
from pipeline.store.results import why_empty
from pipeline.store.workspace import Workspace

EXPORT_VERSION = 1  # bump when the same documents would give other bytes
SHARD_BYTES = 128 * 2**20  # of ids, texts, lineages and metadata: what a worker holds, a few times over
RUN_BYTES = 64 * 2**20


def export_named(
    workspace: Workspace, name: str, *, to: Path, overwrite: bool = False, tokens: int | None = None,
    format: str = PARQUET, workers: int = 1, progress: Progress | None = None, shard_bytes: int = SHARD_BYTES,
) -> Exported:  # fmt: skip
    """Export what `name` means in a workspace (see `export_target`) to the folder `to`.

    RecipeError if the name means nothing, if `to` holds what may not be replaced, or if a mixture's datasets have
    fewer tokens than asked for; BusyError while another export to the same place runs.
    """
    if format not in FORMATS:
        raise RecipeError(f"--format {format}: it must be one of {', '.join(FORMATS)}.")
    target = find_target(workspace, name)
    if not target.is_mixture:
        _refuse_dataset(target, tokens)
    story = story_of(workspace, target)
    key = identity_of(
        {
            "export": EXPORT_VERSION, "tamis": __version__, "of": target.card.identity, "content": target.card.content,
            "info": asdict(story.info), "tokens": tokens, "format": format, "shard_bytes": shard_bytes,
        }
    )  # fmt: skip
    site, executor = site_of(to), Local(workers=workers)
    work = _Work(workspace, target, story, site, executor, progress or Silent(), tokens, format, shard_bytes)
    try:
        with held(site):
            return _export(work, key, overwrite=overwrite)
    except OSError as error:
        raise ServiceError(f"{to}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error
    finally:
        executor.close()


def _refuse_dataset(target: Target, tokens: int | None) -> None:
    if tokens is not None:
        raise RecipeError(
            f"--tokens {tokens}: {target.name} is a dataset, which is exported whole; only a mixture has a budget. "
            "Leave --tokens out, or name a mixture."
        )
    if not target.card.rows_out:
        raise DataError(f"{why_empty(target.card)} There is nothing to export; name a dataset that holds documents.")


@dataclass(frozen=True, slots=True)
class _Work:
    """One export: what, from where, to where, by whom."""

    workspace: Workspace
    target: Target
    story: Story
    site: Site
    executor: Executor
    progress: Progress
    tokens: int | None
    format: str
    shard_bytes: int


def _export(work: _Work, key: str, *, overwrite: bool) -> Exported:
    site = work.site
    if is_there(site.to, key):
        site.clear()
        return Exported(**{**marker_of(site.to)["exported"], "folder": str(site.to), "was_there": True})
    refuse_occupied(site.to, overwrite=overwrite)
    try:
        if not site.begin(key):
            _build(work, key)
            site.finish()
    except (RecipeError, DataError):  # the same command would end like this again
        site.clear()
        raise
    done = Exported(**{**marker_of(site.done)["exported"], "folder": str(site.to)})
    refuse_occupied(site.to, overwrite=overwrite)  # what somebody put there while it was built
    site.put_in_place()
    return done


def _build(work: _Work, key: str) -> None:
    """Write everything into the folder to be, the marker last."""
    out = work.site.out
    for folder in ("data", "cards"):
        (out / folder).mkdir(exist_ok=True)
    mixture = work.story.mixture
    info, columns, tasks = _plan_dataset(work) if mixture is None else _plan_mixture(work, mixture)
    work.progress.begin(f"write {work.target.name}", total=0, unit="documents")
    shards: list[Shard] = work.executor.map(
        write_shard, tasks, label="export", done=lambda shard: work.progress.advance(shard.rows)
    )
    work.progress.end()
    done = Exported(
        name=info.name, rows=sum(shard.rows for shard in shards), shards=len(shards),
        size_bytes=sum(shard.size_bytes for shard in shards), text_bytes=sum(shard.text_bytes for shard in shards),
        by_source=summed(shard.by_source for shard in shards), by_origin=summed(shard.by_origin for shard in shards),
        num_tokens=sum(given.num_tokens for given in info.shares), shares=[asdict(given) for given in info.shares],
        promoted=info.promoted, gate=info.gate,
    )  # fmt: skip
    for name, bytes_beside in work.story.beside.items():
        _write_bytes(out / name, bytes_beside)
    card = dataset_card(
        info, done, schema=_schema(columns, is_mixture=mixture is not None), columns=columns, suffix=work.format,
        beside=work.story.about(),
    )  # fmt: skip
    write_text(out / "README.md", card)
    named = zip((task.path for task in tasks), shards, strict=True)
    files = [
        StoredFile(file=f"data/{path.name}", rows=shard.rows, size_bytes=shard.size_bytes, blake3=shard.blake3)
        for path, shard in named
    ] + describe_files(out, dict.fromkeys([*work.story.beside, "README.md"], -1))
    content = {"tamis": __version__, "key": key, "exported": asdict(done), "files": [asdict(file) for file in files]}
    write_text(out / MARKER, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


Planned = tuple[DatasetInfo, tuple[Column, ...] | None, list[ShardTask]]


def _plan_dataset(work: _Work) -> Planned:
    """Cut a dataset, in its order, into shards."""
    counted = count_dataset(
        work.target.card.name, work.target.folder, folder=work.site.scratch / "counts", tokenizer=None,
        executor=work.executor, progress=work.progress,
    )  # fmt: skip
    shards: list[list[RowRange]] = [[]]
    filled = 0
    for part in counted.parts:
        sizes = part.size_bytes()
        ends = np.cumsum(sizes)
        start = 0
        while start < len(sizes):
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + work.shard_bytes - filled, side="right"))
            stop = max(stop, start + 1) if not filled else stop
            if stop > start:
                shards[-1].append(RowRange(part.path, start, stop))
                filled += int(ends[stop - 1]) - before
            if stop < len(sizes):
                shards.append([])
                filled = 0
            start = stop
    columns = columns_of(counted.kinds)
    return work.story.info, columns, _shard_tasks(work, shards, columns, by_place=False)


def _plan_mixture(work: _Work, mixture: Mixture) -> Planned:
    """Put the documents of a mixture in its order, in runs that its shards gather from."""
    whole = [
        counted_of(
            work.workspace, each.card, folder=each.folder, tokenizer=mixture.tokenizer, model=mixture.model,
            executor=work.executor, progress=work.progress,
        )
        for each in mixture.ingredients
    ]  # fmt: skip
    datasets = [cut_at(each, longest=of.longest) for each, of in zip(whole, mixture.ingredients, strict=True)]
    plan = _divide(work, mixture, datasets)
    arranged = arrange(
        datasets,
        plan=plan,
        seed=derive(mixture.seed, "export"),
        scratch=work.site.scratch,
        shard_bytes=work.shard_bytes,
    )
    columns = columns_of(joined(found.kinds for found in datasets))
    shards: list[list[RowRange]] = [[] for _ in range(len(arranged.shards) - 1)]
    tasks = _shard_tasks(work, shards, columns, by_place=True)
    if any(written(task) is None for task in tasks):
        for number, piece in _runs(work, mixture, datasets, plan, arranged):
            shards[number].append(piece)
        tasks = _shard_tasks(work, shards, columns, by_place=True)
    total, cut = sum(taken.num_tokens for taken in arranged.taken), {found.name: found for found in datasets}
    given = [
        Given(
            dataset=share.name, asked=share.weight, realised=taken.num_tokens / total, num_tokens=taken.num_tokens,
            documents=taken.documents, epochs=taken.num_tokens / share.available_tokens, max_epochs=share.max_epochs,
            capped=share.capped, cut_documents=cut[share.name].cut_documents, longest=cut[share.name].longest,
        )
        for share, taken in zip(plan.shares, arranged.taken, strict=True)
    ]  # fmt: skip
    return replace(work.story.info, shares=given), columns, tasks


def _divide(work: _Work, mixture: Mixture, datasets: Sequence[Counted]) -> MixturePlan:
    weights = {each.name: each.weight for each in mixture.ingredients}
    most = most_tokens(datasets, weights=weights, max_epochs=mixture.max_epochs)
    total = work.tokens if work.tokens is not None else max(1, most)
    try:
        return plan_shares(datasets, weights=weights, total_tokens=total, max_epochs=mixture.max_epochs)
    except RecipeError as error:
        error.add_note(f"With the shares as its weights ask for them, {work.target.name} has {most} tokens.")
        raise


def _runs(
    work: _Work, mixture: Mixture, datasets: Sequence[Counted], plan: MixturePlan, arranged: Arranged
) -> list[tuple[int, RowRange]]:
    """Write the runs; return the rows of each shard that lie in each."""
    by_name = {found.name: found for found in datasets}
    tasks: list[RunTask] = []
    for share, places in zip(plan.shares, arranged.places, strict=True):
        first, found = 0, by_name[share.name]
        for part in found.parts:
            for start, stop in pieces(part.size_bytes(), most_bytes=max(1, RUN_BYTES // places.epochs)):
                run = work.site.scratch / f"run-{len(tasks):06d}.parquet"
                task = RunTask(
                    label=part.path.name, dataset=share.name, documents=RowRange(part.path, start, stop),
                    counts=part.counts, longest=found.longest,
                    tokenizer=mixture.model, first=first + start, places=places, shards=arranged.shards, run=run,
                )  # fmt: skip
                tasks.append(task)
            first += part.rows
    work.progress.begin(
        f"sort {work.target.name}", total=sum(taken.documents for taken in arranged.taken), unit="documents"
    )
    written_runs = work.executor.map(
        write_run, tasks, label="sort",
        done=lambda run: work.progress.advance(sum(piece.stop - piece.start for _, piece in run)),
    )  # fmt: skip
    work.progress.end()
    return [pair for run in written_runs for pair in run]


def _shard_tasks(
    work: _Work, shards: Sequence[Sequence[RowRange]], columns: tuple[Column, ...] | None, *, by_place: bool
) -> list[ShardTask]:
    names = [f"train-{index:05d}-of-{len(shards):05d}.{work.format}" for index in range(len(shards))]
    return [
        ShardTask(
            label=name, path=work.site.out / "data" / name, facts=work.site.scratch / f"{name}.json",
            pieces=tuple(rows), columns=columns, format=work.format, by_place=by_place,
        )
        for name, rows in zip(names, shards, strict=True)
    ]  # fmt: skip


def _schema(columns: tuple[Column, ...] | None, *, is_mixture: bool) -> pa.Schema:
    schema = RUN.remove(RUN.get_field_index(PLACE)) if is_mixture else SCHEMA
    return with_columns(schema.empty_table(), columns).schema
