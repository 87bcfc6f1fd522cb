"""Finished proxies and tasks -> how well each proxy does on each task, without training and without storing anything.

A task is a name of `eval/scores/small_tasks.py`, or a file of JSON lines with a question and its choices in each
(`eval/scores/multiple_choice.py`). Proxies of one tier and one tokenizer are scored as one stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import RecipeError, TamisError, nearest_names
from pipeline.core.files.card import verify_files
from pipeline.core.files.reading.json_lines import read_objects
from pipeline.core.files.stores.stored import present
from pipeline.engine.progress import Progress
from pipeline.experiment.lanes import WEIGHTS, device_of
from pipeline.queries.proxies.lanes import LaneOnTask, StoredLane, find_lanes, tokenizer_of_lane
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.scores.multiple_choice import Item


@dataclass(frozen=True, slots=True)
class TaskScore(LaneOnTask):
    """One proxy on one task. Probability and accuracy are None where items have no other choices."""

    bits_per_byte: float  # of the right choices
    bits_per_byte_error: float | None
    probability: float | None  # of the right choice
    probability_error: float | None
    accuracy: float | None
    accuracy_error: float | None
    chance: float | None  # accuracy of a guess
    merged: int  # items whose prompt ends inside a piece, so that its last bytes are scored too
    cut: int  # items whose prompt is longer than the context, and lost its beginning


@dataclass(frozen=True, slots=True)
class Point:
    """The proxies of one number of tokens: how many there are, and their mean bits per byte."""

    num_tokens: int
    proxies: int
    bits_per_byte: float


@dataclass(frozen=True, slots=True)
class Curve:
    """How one task emerges with the tokens that proxies of one mixture and tier were trained on."""

    mixture: str
    tier: str
    task: str
    points: tuple[Point, ...]


def curves_of(scores: Sequence[TaskScore]) -> list[Curve]:
    """Return a curve wherever proxies of one mixture and learning rate were trained on several numbers of tokens."""
    found: dict[tuple[str, str, str, str], dict[int, list[float]]] = {}
    for score in scores:
        mixture, rate = score.lane.partition("/")[0], score.lane.rpartition("/")[2]
        by_tokens = found.setdefault((mixture, score.tier, score.task, rate), {})
        by_tokens.setdefault(score.num_tokens, []).append(score.bits_per_byte)
    return [
        Curve(
            mixture, tier, task,
            tuple(Point(tokens, len(bits), sum(bits) / len(bits)) for tokens, bits in sorted(by_tokens.items())),
        )
        for (mixture, tier, task, _), by_tokens in found.items()
        if len(by_tokens) > 1
    ]  # fmt: skip


def score_proxies(
    workspace: Workspace, wanted: Sequence[str], *, tasks: Sequence[str], count: int, seed: int, device: str,
    threads: int, progress: Progress,
) -> list[TaskScore]:  # fmt: skip
    """Return every proxy that `wanted` names on every task; `count` items of a made task, drawn with `seed`."""
    from eval.proxies.tokenizer import Tokenizer

    items = {task: found for name in tasks for task, found in _tasks(name, count=count, seed=seed)}
    lanes = {lane.folder: lane for name in wanted for lane in find_lanes(workspace, name)}
    stacks: dict[tuple[str, Path], list[StoredLane]] = {}
    for lane in lanes.values():
        verify_files(lane.folder, lane.card)
        stacks.setdefault((lane.facts.tier, tokenizer_of_lane(workspace, lane)), []).append(lane)
    total = len(lanes) * sum(len(found) for found in items.values())
    progress.begin(f"score {len(lanes)} proxies", total=total, unit="items")
    scores: list[TaskScore] = []
    for (_, model), stacked in stacks.items():
        tokenizer = Tokenizer.load(model)
        for task, found in items.items():
            scores += _score(stacked, task, found, tokenizer=tokenizer, device=device_of(device), threads=threads)
            progress.advance(len(stacked) * len(found))
    progress.end()
    order = {folder: place for place, folder in enumerate(lanes)}
    return sorted(scores, key=lambda score: order[workspace.root / "lane" / score.folder])


def _tasks(name: str, *, count: int, seed: int) -> Iterator[tuple[str, list[Item]]]:
    """Yield the tasks that one `--tasks` names: a file, or made ones with commas between."""
    from eval.scores.multiple_choice import item_of
    from eval.scores.small_tasks import TASKS, items_of

    if Path(name).is_file():
        yield name, [item_of(row, place=f"{name}:{number}") for number, row in read_objects(Path(name))]
        return
    for part in (part.strip() for part in name.split(",")):
        if part not in TASKS:
            raise RecipeError(
                f"--tasks {part}: is neither a file nor a task; the tasks are {', '.join(TASKS)}. Did you mean "
                f"{nearest_names(part, TASKS)}?"
            )
        yield part, items_of(part, count=count, seed=seed)


def _score(
    lanes: Sequence[StoredLane], task: str, items: Sequence[Item], *, tokenizer: Any, device: str, threads: int
) -> Iterator[TaskScore]:
    from safetensors.torch import load_file

    from eval.proxies.proxy import stack
    from eval.proxies.tiers import tier_called
    from eval.scores.multiple_choice import score_items, summaries

    params = stack([load_file(present(lane.folder / WEIGHTS)) for lane in lanes])
    try:
        scores = score_items(
            params, items, tokenizer=tokenizer, tier=tier_called(lanes[0].facts.tier), device=device, threads=threads
        )
    except TamisError as error:
        error.add_note(f"task {task}, proxies of tier {lanes[0].facts.tier}")
        raise
    guesses = [1 / len(item.choices) for item in items if len(item.choices) > 1]
    for lane, made in zip(lanes, summaries(scores), strict=True):
        bits, probability, accuracy = made.bits_per_byte, made.probability, made.accuracy
        yield TaskScore(
            lane=lane.name, folder=lane.folder.name, tier=lane.facts.tier, num_tokens=lane.facts.num_tokens,
            task=task, items=len(items),
            bits_per_byte=bits.value, bits_per_byte_error=bits.standard_error,
            probability=probability.value if probability is not None else None,
            probability_error=probability.standard_error if probability is not None else None,
            accuracy=accuracy.value if accuracy is not None else None,
            accuracy_error=accuracy.standard_error if accuracy is not None else None,
            chance=sum(guesses) / len(guesses) if guesses else None,
            merged=int(scores.merged_N.sum()), cut=int(scores.cut_N.sum()),
        )  # fmt: skip
