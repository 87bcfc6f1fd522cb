"""Datasets and held-out sets of an experiment, and what lanes know by heart -> is the text what it should be?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Unchecked
from eval.doctor.record import DatasetRecord, ExperimentRecord, HeldOutRecord, LaneRecord

KEPT_BYTES = 0.98
LEAK_SHARE = 0.01
MOST_EPOCHS = 4.0
BY_HEART_ERRORS, BY_HEART_BITS = 4.0, 0.1
DUPLICATE_SHARE = 0.10


def data_outcomes(experiment: ExperimentRecord) -> Iterator[Outcome]:
    """Yield what is wrong with the text that lanes read or are judged by."""
    yield from _tokenizer(experiment)
    for dataset in experiment.datasets:
        yield from _dataset(dataset, experiment.lanes)
    for held_out in experiment.held_out:
        yield from _leak(held_out, experiment.lanes)
    for lane in experiment.lanes:
        yield from _by_heart(lane)


def _lanes_of(mixture: str, lanes: Sequence[LaneRecord]) -> tuple[str, ...]:
    return tuple(lane.name for lane in lanes if lane.mixture == mixture)


def _tokenizer(experiment: ExperimentRecord) -> Iterator[Outcome]:
    texts: list[DatasetRecord | HeldOutRecord] = [*experiment.datasets, *experiment.held_out]
    every = {found.tokenizer: found.name for found in texts if found.tokenizer}
    names = tuple(lane.name for lane in experiment.lanes)
    if len(every) > 1:
        said = f"{' and '.join(sorted(every.values()))} are encoded by different tokenizers"
        yield Finding(CHECKS["tokenizer"], names, float(len(every)), 1, said)
    for dataset in experiment.datasets:
        if not dataset.in_sample:
            said = f"the tokenizer learnt without {dataset.name} as it is now"
            yield Finding(CHECKS["sample"], names, 0, 1, said)


def _dataset(dataset: DatasetRecord, lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    readers = tuple(name for mixture in dataset.epochs for name in _lanes_of(mixture, lanes))
    kept = dataset.token_bytes / max(1, dataset.num_bytes)
    if kept < KEPT_BYTES:
        said = f"{dataset.name}: its tokens stand for {kept:.1%} of its documents' bytes"
        yield Finding(CHECKS["truncated"], readers, kept, KEPT_BYTES, said)
    for mixture, epochs in dataset.epochs.items():
        if epochs > MOST_EPOCHS:
            said = f"{mixture} reads {dataset.name} {epochs:.1f} times"
            yield Finding(CHECKS["epochs"], _lanes_of(mixture, lanes), epochs, MOST_EPOCHS, said)
    if dataset.repeated is None:
        yield Unchecked(CHECKS["duplicates"], readers, f"documents of {dataset.name} were not compared")
    elif dataset.repeated > DUPLICATE_SHARE:
        said = f"{dataset.repeated:.0%} of the tokens of {dataset.name} are in documents that stand there again"
        yield Finding(CHECKS["duplicates"], readers, dataset.repeated, DUPLICATE_SHARE, said)


def _leak(held_out: HeldOutRecord, lanes: Sequence[LaneRecord]) -> Iterator[Outcome]:
    for mixture, share in held_out.met.items():
        if share > LEAK_SHARE:
            said = f"{share:.1%} of {held_out.documents:,} documents of {held_out.name} are met in {mixture}"
            yield Finding(CHECKS["leak"], _lanes_of(mixture, lanes), share, LEAK_SHARE, said)


def _by_heart(lane: LaneRecord) -> Iterator[Outcome]:
    twins = lane.account.get("twins")
    if twins is None:
        why = "it read its text whole, or which rows it left was not kept"
        yield Unchecked(CHECKS["by_heart"], (lane.name,), why)
        return
    gap, most = twins["unread"] - twins["read"], max(BY_HEART_BITS, BY_HEART_ERRORS * twins["error"])
    if gap > most:
        said = f"predicts rows that it read {gap:.2f} bits per token better than rows that it did not"
        yield Finding(CHECKS["by_heart"], (lane.name,), gap, most, said)
