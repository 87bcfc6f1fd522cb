"""Missing lanes of an experiment -> trained proxies: one stack of lanes, each a result of its own.

weights.safetensors holds a proxy's float32 parameters, curve.json its training loss, what was seen of its matrices and
insides on the way, and what it read; the card says whether it trained soundly, and on what. All lanes of a recipe have
one shape, so those that are missing train in one run, whatever else is there already: on a CPU no bit of a lane depends
on the others (`eval/proxies/trainer.py`), and as many lanes train at once as there are threads, pair by pair, so a
killed run keeps the pairs that it finished. On a GPU all are one stack and finish together. On a cluster they are
tasks, a stack for each GPU or else pairs, each on a core. A search may look at lanes half-trained: such a look is a
result too, with the weights of that step, and the checkpoint from which the lane goes on waits in the folder of the
whole one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import ServiceError
from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.files.writing.once import begin_attempt, settle, unless_finished
from pipeline.core.identity import identity_of
from pipeline.core.rng import derive
from pipeline.engine.executors import Need
from pipeline.experiment.streams.pool import Pool, draw_identity, draw_rows, largest_share, load_pool, shares_read
from pipeline.experiment.streams.reading import reads_of, twins_of
from pipeline.experiment.work import Work, finish
from pipeline.plan.lanes import LaneName, lane_label
from pipeline.store.node import Node

if TYPE_CHECKING:
    from eval.proxies.tiers import Tier
    from eval.proxies.trainer import Trained
    from pipeline.engine.run import Run

WEIGHTS, CURVE = "weights.safetensors", "curve.json"


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What the card of a lane says of it; device and precision decide last bits and stand in no identity."""

    tier: str
    parameters: int
    seed: int
    learning_rate: float
    healthy: bool
    findings: Sequence[str]  # what is wrong with it
    largest_document_share: float  # of its tokens, that one document gave
    draw: str  # identity of its pool's tokens and of how many rows of each dataset it drew
    num_tokens: int
    device: str
    precision: str
    machine: Mapping[str, str]
    tokens_per_second: int
    until: float = 1.0  # the share of its schedule that it has trained
    waited: float | None = None  # the share of the time in which its steps waited for rows; not always kept

    @property
    def kind(self) -> tuple[Any, ...]:
        """What lanes have in common that differ by chance alone, beside their learning rate."""
        return self.tier, self.num_tokens, self.until, self.device, self.precision


def facts_of(node: Node) -> LaneFacts:
    """Return what the card of a finished lane says."""
    return LaneFacts(**read_card(node.folder).details)


@dataclass(frozen=True, slots=True)
class LaneToTrain:
    """One missing lane: what it is, what is to be built, and where its checkpoint lies."""

    lane: LaneName
    node: Node
    checkpoint: Path

    @property
    def tier(self) -> str:
        """The tier with all settings; lanes of one run may have several."""
        return str(self.node.payload["tier"])

    @property
    def tokens(self) -> int:
        return int(self.node.payload["tokens"])


@dataclass(frozen=True, slots=True)
class StackTask:
    """Lanes that train together on one machine. Picklable."""

    label: str
    lanes: tuple[LaneToTrain, ...]
    pools: Mapping[str, Path]  # by mixture: the folder of what its lanes read
    seed: int  # of the recipe
    tier: str
    planned_tokens: int
    until: float
    device: str
    threads: int

    @property
    def stop_at(self) -> int | None:
        return None if self.until == 1 else int(self.until * self.planned_tokens)


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the lanes of one mixture read."""

    pool: Pool
    draw: str


def train_lanes(work: Work) -> None:
    """Train and store every lane that is missing; one that stops earlier before all that stop later."""
    missing = work.missing(work.experiment.lanes)
    for until in sorted({lane.until for lane in missing}):
        _train(work, {lane: node for lane, node in missing.items() if lane.until == until}, until=until)


def _train(work: Work, missing: Mapping[LaneName, Node], *, until: float) -> None:
    executor, tier, device = work.run.executor, work.proxy.tier_of(), device_on(work.run)
    mixtures = sorted({lane.mixture for lane in missing})
    whole = StackTask(
        label=", ".join(map(str, missing)),
        lanes=tuple(
            LaneToTrain(lane, node, whole_of(work, lane, node) / "scratch" / "training.npz")
            for lane, node in missing.items()
        ),
        pools={name: work.folder(work.experiment.mixtures[name]) for name in mixtures},
        seed=work.plan.recipe.seed, tier=tier, planned_tokens=work.proxy.tokens, until=until, device=device,
        threads=work.run.threads,
    )  # fmt: skip
    work.run.progress.begin(
        f"train {len(missing)} proxies ({tier}, {device}{'' if until == 1 else f', to {100 * until:g} %'})",
        total=sum(whole.stop_at or each.tokens for each in whole.lanes),
        unit="tokens",
    )
    if executor.far:
        need = Need(gpus=1) if device == "cuda" else Need()
        tasks = stacks_of(whole, at_a_time=executor.room(need))
        executor.map(train_stack, tasks, label="proxies", done=work.run.progress.advance, need=need)
    else:
        train_stack(whole, say=work.run.progress.advance)
    work.run.progress.end()


def stacks_of(whole: StackTask, *, at_a_time: int) -> list[StackTask]:
    """Return the same lanes as tasks of one core or GPU each: pairs on a CPU, and on a GPU as many as keep all busy."""
    size = math.ceil(len(whole.lanes) / at_a_time) if whole.device == "cuda" else 2
    found = []
    for start in range(0, len(whole.lanes), size):
        lanes = whole.lanes[start : start + size]
        mixtures = {each.lane.mixture for each in lanes}
        pools = {name: folder for name, folder in whole.pools.items() if name in mixtures}
        label = " and ".join(str(each.lane) for each in lanes)
        found.append(replace(whole, label=label, lanes=lanes, pools=pools, threads=1))
    return found


def train_stack(task: StackTask, *, say: Callable[[int], None] = lambda tokens: None) -> int:
    """Train and store the lanes of a task that have no card yet; return the tokens of all of them.

    Another attempt at the task may do the same at this moment: of each lane one of them is kept.
    """
    try:
        _train_stack(task, say)
    except (ServiceError, OSError):  # such as a checkpoint whose folder the other attempt took away
        if not all(is_complete(each.node.folder, each.node.identity) for each in task.lanes):
            raise
    return sum(task.stop_at or each.tokens for each in task.lanes)


def _train_stack(task: StackTask, say: Callable[[int], None]) -> None:
    from eval.proxies.tiers import tier_called
    from eval.proxies.trainer import Lane, train

    missing = {str(each.lane): each for each in task.lanes if not _is_stored(each.node)}
    if not missing:  # such as after a run that was killed between a lane's last file and its card
        return
    pools = {folder: _Stream(load_pool(folder), draw_identity(folder)) for folder in dict.fromkeys(task.pools.values())}
    streams = {name: pools[folder] for name, folder in task.pools.items()}
    rows = {
        name: draw_rows(streams[each.lane.mixture].pool.parts, seed=derive(task.seed, "data", each.lane.seed))
        for name, each in missing.items()
    }
    lanes = [
        Lane(
            name=name,
            stream=streams[each.lane.mixture].pool.tokens,
            rows=rows[name],
            init_seed=derive(task.seed, "init", each.lane.seed),
            lr_scale=each.lane.learning_rate,
            checkpoint=each.checkpoint,
            tier=tier_called(each.tier),
            num_tokens=each.tokens,
        )
        for name, each in missing.items()
    ]
    finished = train(
        lanes, tier=tier_called(task.tier), num_tokens=task.planned_tokens, stop_at=task.stop_at, device=task.device,
        threads=task.threads, say=say,
    )  # fmt: skip
    with closing(finished):  # an error here stops the others
        for trained in finished:
            each = missing[trained.name]
            _store(task, each, trained, streams[each.lane.mixture], rows[trained.name])


def _is_stored(node: Node) -> bool:
    return is_complete(node.folder, node.identity) or settle(node.folder, [WEIGHTS, CURVE])


def whole_of(work: Work, lane: LaneName, node: Node) -> Path:
    """Return the folder of a lane trained to the end, where its checkpoint lies; it is the same for all its stops."""
    if lane.until == 1:
        return node.folder
    payload = {key: value for key, value in node.payload.items() if key != "until"}
    name = lane_label(replace(lane, until=1.0), tier=work.proxy.tier_of(lane.mixture))
    return work.plan.workspace.folder("lane", name, identity_of(payload))


def _store(task: StackTask, each: LaneToTrain, trained: Trained, stream: _Stream, rows: np.ndarray) -> None:
    from safetensors.torch import save

    from eval.proxies.health import Plan, account_findings, findings
    from eval.proxies.machine import described
    from eval.proxies.tiers import tier_called

    node, lane, tier = each.node, each.lane, tier_called(each.tier)
    read = rows[: trained.num_steps * tier.batch_rows]
    shares, planned = shares_read(stream.pool.parts, read), _planned(stream.pool)
    wrong = findings(trained.nats_S, vocab_size=tier.vocab_size)
    if trained.broken_at is None:
        # the rows of datasets take turns over the whole of a lane: what a few steps read says nothing of its shares
        plan = Plan(num_tokens=trained.num_tokens, shares=planned if lane.until == 1 else {})
        wrong += account_findings(trained.account, plan=plan, shares=shares)
    told = told_of(trained, stream.pool, read, tier=tier, planned_tokens=each.tokens, seed=lane.seed)
    facts = LaneFacts(
        tier=tier.name,
        parameters=tier.num_parameters,
        seed=lane.seed,
        learning_rate=lane.learning_rate,
        healthy=not wrong,
        findings=[item.sentence for item in wrong],
        largest_document_share=largest_share(stream.pool, rows),
        draw=stream.draw,
        num_tokens=trained.num_tokens,
        device=trained.device,
        precision=trained.precision,
        machine=described(trained.device),
        tokens_per_second=round(trained.num_tokens / max(trained.seconds, 1e-9)),
        until=lane.until,
        waited=float(f"{trained.waited:.3g}"),
    )
    with unless_finished(node.folder):
        own = begin_attempt(node.folder)
        write_atomically(own / WEIGHTS, lambda file: file.write(save(_whole(trained.params))))
        write_text(own / CURVE, json.dumps(told) + "\n")
        finish(node, [WEIGHTS, CURVE], details=asdict(facts), seconds=trained.seconds, own=own)


def told_of(
    trained: Trained, pool: Pool, read: np.ndarray, *, tier: Tier, planned_tokens: int, seed: int
) -> dict[str, Any]:
    """Return what curve.json keeps of a lane that read these rows of a pool."""
    bits_S = trained.nats_S / math.log(2)
    account = asdict(trained.account) | {
        "planned_tokens": planned_tokens,
        "shares": shares_read(pool.parts, read),
        "planned_shares": _planned(pool),
        "reads": reads_of(pool.parts, read),
        "twins": _twins(trained, pool, read, tier=tier, seed=seed),
    }
    losses = [round(bits, 4) if math.isfinite(bits) else None for bits in bits_S.tolist()]
    return {"points": trained.points, "losses": losses, "account": account}


def _twins(trained: Trained, pool: Pool, read: np.ndarray, *, tier: Tier, seed: int) -> dict[str, Any] | None:
    """Return bits per token of rows that a lane read beside those of rows that it did not."""
    from eval.proxies.probe import row_bits

    twins = twins_of(pool.parts, read, context=tier.context, seed=seed)
    if twins is None or trained.broken_at is not None:
        return None
    mine, others = (
        row_bits(trained.params, pool.tokens, rows, tier=tier, device=trained.device, precision=trained.precision)
        for rows in (twins.read, twins.unread)
    )
    error = math.sqrt((mine.var(ddof=1) + others.var(ddof=1)) / len(mine))
    numbers = {"read": float(mine.mean()), "unread": float(others.mean()), "error": error}
    return {"rows": len(mine)} | {name: float(f"{value:.5g}") for name, value in numbers.items()}


def _planned(pool: Pool) -> dict[str, float]:
    """Return the share of each dataset that a lane of a mixture draws: its weight, as far as caps allow."""
    total = sum(part.drawn_rows for part in pool.parts)
    return {part.name: part.drawn_rows / total for part in pool.parts}


def _whole(params: dict[str, Any]) -> dict[str, Any]:
    """Return tensors that own their memory: a lane of a stack is a view into it."""
    return {name: param.contiguous().clone() for name, param in params.items()}


def device_on(run: Run) -> str:
    """Return the device that a run's proxies train on, of the machines that do it."""
    if run.executor.far and run.device == "auto":
        return "cuda" if run.executor.gpus else "cpu"
    return device_of(run.device)


def device_of(wanted: str) -> str:
    """Return the device that proxies run on."""
    import torch

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"
