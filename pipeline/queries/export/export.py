"""A finished dataset, or a mixture as documents, into the layout of the Hugging Face Hub.

    NAME/README.md tamis.json data/train-00000-of-000NN.parquet cards/ certificate.json version.json tokenizer.model

`datasets.load_dataset(FOLDER)` reads it without a network. A dataset is exported whole, in its order. A mixture is
written in the order of the mixture, documents whole, for a budget of tokens; without one, for as many as there are
while every dataset keeps the share that its weight asks for within its epochs. With a training run's own tokenizer the
documents are the same, in the same order, and `data/` holds their tokens (`token_files.py`). Every byte depends on what
is exported, the budget, the format and that tokenizer; never on workers. The folder appears whole or not at all
(`folder.py`), a killed export goes on where it was, and one that is there already is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import __version__
from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError, ServiceError, write_advice
from pipeline.core.files.card import describe_files
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.identity import identity_of
from pipeline.core.rng import derive
from pipeline.engine.executors import Executor, Local
from pipeline.engine.progress import Progress, Silent
from pipeline.experiment.streams.mixture import MixturePlan
from pipeline.experiment.streams.opened import refuse_sealed
from pipeline.queries.export.budget import Mixing, Ordered, order_for_tokens, order_mixture
from pipeline.queries.export.card import DatasetInfo, Exported, Given, TokensTold, dataset_card, summed
from pipeline.queries.export.columns import Column, columns_of, joined, with_columns
from pipeline.queries.export.counts import Counted, count_dataset, counted_of, cut_at
from pipeline.queries.export.folder import MARKER, Site, held, is_there, marker_of, refuse_occupied, site_of
from pipeline.queries.export.order import Arranged, pieces
from pipeline.queries.export.shards import (
    ABOUT_TOKENS,
    FORMATS,
    PARQUET,
    PLACE,
    RUN,
    TOKENS,
    RowRange,
    RunTask,
    Shard,
    ShardTask,
    write_run,
    write_shard,
    written,
)
from pipeline.queries.export.story import TOKENS_FILE, Story, story_of
from pipeline.queries.export.target import Mixture, Target, find_target
from pipeline.queries.export.token_files import MDS, NUMPY, TOKEN_FORMATS, mds_index, token_dtype
from pipeline.queries.export.vocabulary import FILES, Vocabulary, read_tokenizer
from pipeline.queries.export.written_counts import count_written
from pipeline.store.results import why_empty
from pipeline.store.workspace import Workspace

EXPORT_VERSION = 2  # bump when the same documents would give other bytes
SHARD_BYTES = 128 * 2**20  # of ids, texts, lineages and metadata: what a worker holds, a few times over
RUN_BYTES = 64 * 2**20


def export_named(
    workspace: Workspace, name: str, *, to: Path, overwrite: bool = False, tokens: int | None = None,
    format: str | None = None, tokenizer: Path | None = None, eos: str | None = None, bos: str | None = None,
    workers: int = 1, progress: Progress | None = None, shard_bytes: int = SHARD_BYTES,
) -> Exported:  # fmt: skip
    """Export what `name` means in a workspace (see `export_target`) to the folder `to`.

    With a `tokenizer` its tokens are written, and `tokens` counts them. RecipeError if the name means nothing, if `to`
    holds what may not be replaced, if a mixture's datasets have fewer tokens than asked for, or for a tokenizer that
    cannot be one; BusyError while another export to the same place runs.
    """
    format = format if format is not None else PARQUET if tokenizer is None else NUMPY
    _check_format(format, tokenizer=tokenizer, eos=eos, bos=bos)
    target = find_target(workspace, name)
    if not target.is_mixture:
        _refuse_dataset(target, tokens)
        refuse_sealed(workspace, target.folder.name)
    given = read_tokenizer(tokenizer, eos=eos, bos=bos) if tokenizer is not None else None
    story = story_of(workspace, target, given=given)
    key = identity_of(
        {
            "export": EXPORT_VERSION, "tamis": __version__, "of": target.card.identity, "content": target.card.content,
            "info": asdict(story.info), "tokens": tokens, "format": format, "shard_bytes": shard_bytes,
            "vocabulary": None if given is None else given.vocabulary.described(),
        }
    )  # fmt: skip
    site, executor = site_of(to), Local(workers=workers)
    vocabulary = None if given is None else replace(given.vocabulary, path=site.scratch / "vocabulary")
    work = _Work(
        workspace, target, story, site, executor, progress or Silent(), tokens, format, shard_bytes, vocabulary
    )
    try:
        with held(site):
            return _export(work, key, overwrite=overwrite)
    except OSError as error:
        raise ServiceError(f"{to}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error
    finally:
        executor.close()


def _check_format(format: str, *, tokenizer: Path | None, eos: str | None, bos: str | None) -> None:
    if format not in (*FORMATS, *TOKEN_FORMATS):
        raise RecipeError(f"--format {format}: it must be one of {', '.join((*FORMATS, *TOKEN_FORMATS))}.")
    if format in TOKEN_FORMATS and tokenizer is None:
        raise RecipeError(
            f"--format {format}: holds tokens, which need a tokenizer. Give --tokenizer FILE, a sentencepiece model or "
            "a Hugging Face tokenizer.json."
        )
    if format in FORMATS and tokenizer is not None:
        raise RecipeError(
            f"--tokenizer {tokenizer}: {format} holds texts, which no tokenizer changes. Leave --tokenizer out, or "
            f"choose a --format of tokens: {', '.join(TOKEN_FORMATS)}."
        )
    for flag, piece in (("--eos", eos), ("--bos", bos)):
        if piece is not None and tokenizer is None:
            raise RecipeError(f"{flag} {piece}: names a token of --tokenizer, which is not given. Give both or none.")


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
    vocabulary: Vocabulary | None


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
    for folder in ("data", "cards", *(("documents", "tokenizer") if work.vocabulary is not None else ())):
        (out / folder).mkdir(exist_ok=True)
    if work.vocabulary is not None:
        _write_bytes(work.vocabulary.path, work.story.beside[FILES[work.vocabulary.library]])
    mixture = work.story.mixture
    info, columns, tasks = _plan_dataset(work) if mixture is None else _plan_mixture(work, mixture)
    work.progress.begin(f"write {work.target.name}", total=0, unit="documents")
    shards: list[Shard] = work.executor.map(
        write_shard, tasks, label="export", done=lambda shard: work.progress.advance(shard.rows)
    )
    work.progress.end()
    info = replace(info, shares=_with_written(info.shares, summed(shard.written_tokens for shard in shards)))
    files = [file for shard in shards for file in shard.files]
    done = Exported(
        name=info.name, rows=sum(shard.rows for shard in shards), shards=len(shards),
        size_bytes=sum(file.size_bytes for file in files), text_bytes=sum(shard.text_bytes for shard in shards),
        by_source=summed(shard.by_source for shard in shards), by_origin=summed(shard.by_origin for shard in shards),
        num_tokens=sum(given.num_tokens for given in info.shares), shares=[asdict(given) for given in info.shares],
        promoted=info.promoted, gate=info.gate,
        written_tokens=sum(sum(shard.written_tokens.values()) for shard in shards),
    )  # fmt: skip
    beside = _beside(work, done, shards)
    for name, content in beside.items():
        _write_bytes(out / name, content)
    card = dataset_card(
        info, done, schema=_schema(work, columns), columns=columns, files=_named(work),
        beside=work.story.about(), tokens=_tokens_told(work),
    )  # fmt: skip
    write_text(out / "README.md", card)
    files += describe_files(out, dict.fromkeys([*beside, "README.md"], -1))
    marker = {"tamis": __version__, "key": key, "exported": asdict(done), "files": [asdict(file) for file in files]}
    write_text(out / MARKER, json.dumps(marker, indent=1, sort_keys=True) + "\n")


def _with_written(shares: Sequence[Given], written: Mapping[str, int]) -> list[Given]:
    """Return what each dataset gives, also in the tokens that were written; DataError where others were counted."""
    for given in shares:
        there = written.get(given.dataset, 0)
        if given.written_tokens not in (0, there):
            raise DataError(
                f"{given.dataset}: {given.written_tokens} tokens were counted, {there} written. "
                "The tokenizer gives others than before: delete the workspace's folder `counted`, and run again."
            )
    return [replace(given, written_tokens=written.get(given.dataset, 0)) for given in shares]


def _beside(work: _Work, done: Exported, shards: Sequence[Shard]) -> dict[str, bytes]:
    """Return the files beside the shards, and for a reader of tokens what it must know of them all."""
    found = dict(work.story.beside)
    if work.vocabulary is None:
        return found
    told = work.vocabulary.described() | {
        "format": work.format, "dtype": token_dtype(work.vocabulary, work.format).name,
        "tokens": done.written_tokens, "documents": done.rows,
        "shards": [
            {"file": shard.files[0].file, "tokens": sum(shard.written_tokens.values()), "documents": shard.rows}
            for shard in shards
        ],
    }  # fmt: skip
    found[TOKENS_FILE] = (json.dumps(told, indent=1) + "\n").encode()
    if work.format == MDS:
        named = [(Path(shard.files[0].file).name, shard.files[0].size_bytes, shard.rows) for shard in shards]
        found["data/index.json"] = mds_index(named, work.vocabulary).encode()
    return found


def _named(work: _Work) -> str:
    """Return which files a Hugging Face reader takes."""
    return f"data/train-*.{work.format}" if work.vocabulary is None else f"documents/train-*.{PARQUET}"


def _tokens_told(work: _Work) -> TokensTold | None:
    if work.vocabulary is None:
        return None
    return TokensTold(work.format, token_dtype(work.vocabulary, work.format).name, work.vocabulary.described())


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
    ordered = _order(work, mixture, datasets)
    plan, arranged = ordered.plan, ordered.arranged
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
            written_tokens=taken.written_tokens,
        )
        for share, taken in zip(plan.shares, arranged.taken, strict=True)
    ]  # fmt: skip
    return replace(work.story.info, shares=given), columns, tasks


def _order(work: _Work, mixture: Mixture, datasets: Sequence[Counted]) -> Ordered:
    """Put a mixture in order, ended by a budget in whatever tokens are written."""
    mixing = Mixing(
        name=work.target.name, datasets=datasets, weights={each.name: each.weight for each in mixture.ingredients},
        max_epochs=mixture.max_epochs, seed=derive(mixture.seed, "export"), scratch=work.site.scratch,
        shard_bytes=work.shard_bytes,
    )  # fmt: skip
    if work.vocabulary is None or work.tokens is None:
        return order_mixture(mixing, tokens=work.tokens)
    written = {
        each.name: count_written(
            work.workspace, each.card, found, work.vocabulary, tokenizer=mixture.tokenizer, model=mixture.model,
            executor=work.executor, progress=work.progress,
        )
        for each, found in zip(mixture.ingredients, datasets, strict=True)
    }  # fmt: skip
    return order_for_tokens(mixing, written, tokens=work.tokens)


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
    names = [f"train-{index:05d}-of-{len(shards):05d}" for index in range(len(shards))]
    return [
        ShardTask(
            label=name, out=work.site.out, stem=name, facts=work.site.scratch / f"{name}.json", pieces=tuple(rows),
            columns=columns, format=work.format, by_place=by_place, dataset=work.target.name,
            vocabulary=work.vocabulary,
        )
        for name, rows in zip(names, shards, strict=True)
    ]  # fmt: skip


def _schema(work: _Work, columns: tuple[Column, ...] | None) -> pa.Schema:
    is_mixture = work.story.mixture is not None
    schema = RUN.remove(RUN.get_field_index(PLACE)) if is_mixture else SCHEMA
    if work.vocabulary is not None:
        known = [each for each in ABOUT_TOKENS if each.name in schema.names]
        return pa.schema([*known, pa.field(TOKENS, pa.int64())])
    return with_columns(schema.empty_table(), columns).schema
