"""Mixtures -> proxies -> gate: the nodes of a recipe's experiment, planned with the rest and built in order.

One tokenizer is trained on all datasets of all mixtures by their size, whatever their weights, and frozen. Of a dataset
only as many documents are encoded as the proxies could need (chosen by a hash of their ids, so the choice depends on
nothing else); a dataset smaller than that is encoded whole, so repetition caps bind exactly where they should. All arms
share seeds: seed k starts from the same weights in every arm and reads a shared dataset's rows in the same order.
Every stream, lane and score is a result of its own, so only what is new is paid for: more seeds, another mixture or
held-out set leave every proxy that is there as it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from eval.proxies.tiers import TIERS, tier_called
from pipeline import __version__
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.files.writing.durable import write_text
from pipeline.core.rng import derive
from pipeline.engine.settled import remember_names
from pipeline.experiment.chance.looking import take
from pipeline.experiment.chance.noise import feed
from pipeline.experiment.compare import DOCUMENTS, build_comparison, comparisons_of
from pipeline.experiment.cut import build_cut
from pipeline.experiment.lanes import train_lanes
from pipeline.experiment.scores import score_lanes
from pipeline.experiment.search import build_search
from pipeline.experiment.streams.encode import encode_dataset, load_encoded, sample_texts, save_encoded, size_of
from pipeline.experiment.streams.shared_texts import refuse_shared_texts
from pipeline.experiment.work import Work
from pipeline.plan.experiment import plan_experiment, rows_of
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import parts_of
from pipeline.store.judge import judging_code, judging_data
from pipeline.store.names.looks import note_outcome
from pipeline.store.node import Node

if TYPE_CHECKING:
    from pipeline.engine.run import Run

TOKENIZER_SAMPLE_BYTES = 6_000_000


def build_experiment(run: Run) -> None:
    """Build every node of the experiment that is not complete."""
    work = Work(run)
    experiment = work.experiment
    finished = [run.finished(node) for node in experiment.nodes]  # of all, as each is swept
    if all(finished) and not experiment.rounds_to_come:
        return
    refuse_shared_texts(run.plan)
    _build(work, {"": experiment.tokenizer}, _build_tokenizer)
    _build(work, experiment.tokens, _build_tokens)
    while True:
        _build(work, work.experiment.mixtures, _build_mixture)
        train_lanes(work)
        score_lanes(work)
        ahead = next((found for found in work.experiment.stages if not run.finished(found.node)), None)
        if ahead is None:
            break
        build = partial(build_cut, cut=ahead) if ahead.until < 1 else build_search
        _build(work, {str(ahead.number): ahead.node}, build)
        plan_experiment(run.plan)  # what comes next follows from it
        remember_names(run.plan)
    experiment = work.experiment
    if experiment.comparison is not None:
        _build(work, {"": experiment.comparison}, lambda work, name, node: (*build_comparison(work, node), 0))
    if experiment.certificate is not None:
        _build(work, {"": experiment.certificate}, _build_certificate)
    feed(run.plan.workspace)


Built = tuple[list[str], dict[str, Any], int]  # files, details of the card, rows


def _build(work: Work, nodes: Mapping[str, Node], build: Callable[[Work, str, Node], Built]) -> None:
    """Build what is missing of some nodes, one after the other."""
    for name, node in work.missing(nodes).items():
        node.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        files, details, rows = build(work, name, node)
        work.finish(node, files, details=details, rows=rows, seconds=time.monotonic() - started)


def _build_tokenizer(work: Work, name: str, node: Node) -> Built:
    from eval.proxies.tokenizer import train_tokenizer

    run, plan = work.run, work.plan
    run.progress.begin("train the tokenizer", total=0, unit="bytes")
    folders = {plan.documents_node(name).identity: plan.documents_node(name).folder for name in node.parents}
    texts: list[str] = []
    sizes = {identity: size_of(folder) for identity, folder in folders.items()}
    for identity in node.payload["sample"]:  # in the payload's order: neither names nor the recipe's order may show
        limit = TOKENIZER_SAMPLE_BYTES * sizes[identity] // max(1, sum(sizes.values()))
        texts.extend(sample_texts(folders[identity], limit_bytes=limit, seed=plan.recipe.seed))
    num_bytes = sum(len(text.encode()) for text in texts)
    vocabulary = TIERS[work.proxy.tier].vocab_size
    train_tokenizer(
        texts,
        path=node.folder / "tokenizer.model",
        vocab_size=vocabulary,
        seed=derive(plan.recipe.seed, "tokenizer") % 2**31,
    )
    run.progress.advance(num_bytes)
    run.progress.end()
    return ["tokenizer.model"], {"vocabulary": vocabulary, "sample_bytes": num_bytes}, 0


def _build_tokens(work: Work, name: str, node: Node) -> Built:
    run, plan = work.run, work.plan
    run.progress.begin(f"tokenize {name}", total=0, unit="documents")
    part = parts_of(plan.recipe).get(name)
    encoded = encode_dataset(
        plan.documents_node(part.dataset if part is not None else name).folder,
        tokenizer=work.tokenizer,
        limit_bytes=int(node.payload["limit_bytes"]),
        seed=plan.recipe.seed,
        executor=run.executor,
        done=run.progress.advance,
        head_tokens=node.payload["head_tokens"],
        part=part,
    )
    run.progress.end()
    if part is not None and part.share and not encoded.ids:
        kept = "sealed" if part.is_sealed else "open"
        raise DataError(
            f"gate.sealed: {part.share:g} of `{part.dataset}` leaves no document in the {kept} part; near-duplicates, "
            "and documents with one `group_by`, stay together. Hold out more documents, take another share, or leave "
            "`sealed` out. Nothing was trained."
        )
    files = save_encoded(node.folder, encoded)
    details = {
        "num_tokens": len(encoded.tokens),
        "num_bytes": int(encoded.num_bytes.sum()),
        "documents": len(encoded.ids),
        "of_documents": encoded.of_documents,
        "of_bytes": encoded.of_bytes,
    }
    return files, details, len(encoded.ids)


def _build_mixture(work: Work, name: str, node: Node) -> Built:
    from eval.proxies.packing import Tokens
    from eval.proxies.tokenizer import Tokenizer
    from pipeline.experiment.streams.pool import build_pool, save_pool, shares_of

    run, plan, proxy = work.run, work.plan, work.proxy
    mixture, tier = work.experiment.sections[name], tier_called(proxy.tier_of())
    tokens = {dataset: work.experiment.tokens[dataset] for dataset in mixture.weights}
    encoded = {dataset: load_encoded(work.folder(tokens[dataset])) for dataset in mixture.weights}
    run.progress.begin(f"mix {name}", total=proxy.tokens, unit="tokens")
    pool = build_pool(
        {dataset: Tokens(flat=found.tokens, offsets=found.offsets) for dataset, found in encoded.items()},
        weights=mixture.weights,
        num_rows=rows_of(proxy),
        context=tier.context,
        bos=Tokenizer.load(work.tokenizer).bos,
        seed=derive(plan.recipe.seed, "pool"),
        sampled={dataset: found.sampled_fraction for dataset, found in encoded.items()},
        max_epochs=mixture.max_epochs,
        max_document_share=mixture.max_document_share,
    )
    files = save_pool(node.folder, pool)
    run.progress.advance(proxy.tokens)
    run.progress.end()
    shares = shares_of(
        pool,
        sampled={dataset: found.sampled_fraction for dataset, found in encoded.items()},
        ids={dataset: found.ids for dataset, found in encoded.items()},
    )
    return files, {"num_tokens": sum(share["tokens"] for share in shares), "shares": shares}, 0


def _build_certificate(work: Work, name: str, node: Node) -> Built:
    from eval.verdict.certificate import certificate
    from eval.verdict.gate import GateRule, decide

    plan, gate, proxy, experiment = work.plan, work.gate, work.proxy, work.experiment
    assert experiment.comparison is not None
    rule = GateRule(
        metric=gate.metric,
        min_gain=gate.min_gain,
        confidence=gate.confidence,
        guards=dict(gate.guards),
        min_tokens=tier_called(proxy.tier_of()).least_tokens,
    )
    details = work.card(experiment.comparison).details
    unhealthy = _unhealthy(details["lanes"], mixtures=(gate.candidate, gate.baseline))
    comparisons = comparisons_of(
        experiment,
        read_table(work.folder(experiment.comparison) / DOCUMENTS),
        gate=gate,
        proxy=proxy,
        unhealthy=unhealthy.keys(),
        earlier=details["earlier"],
    )
    taken = take(work)
    verdict = decide(
        comparisons,
        rule=rule,
        num_tokens=details["tokens_per_lane"],
        unhealthy_lanes={str(lane): why for lane, why in unhealthy.items()},
        trained_on=sorted({f"{lane['device']}, {lane['precision']}" for lane in details["lanes"]}),
        candidate=gate.candidate,
        baseline=gate.baseline,
        looks=taken.looks,
        sealed=gate.sealed,
        remarks=taken.remarks,
    )
    note_outcome(plan.workspace, taken.look, verdict.outcome)
    arms = {
        arm: {"name": arm, "identity": experiment.mixtures[arm].identity} for arm in (gate.candidate, gate.baseline)
    }
    found = certificate(
        verdict,
        rule=rule,
        comparisons=comparisons,
        candidate=arms[gate.candidate],
        baseline=arms[gate.baseline],
        tokenizer=experiment.tokenizer.identity,
        code_version=__version__,
        proxy=proxy.model_dump(mode="json"),
        held_out={domain: plan.documents_node(domain).identity for domain in gate.on},
        lanes=details["lanes"],
        machine=details["machine"],
        earlier=details["earlier"],
        sealed=gate.sealed,
        judge={
            "code": judging_code(),
            "data": judging_data(
                {domain: plan.documents_node(domain).folder for domain in gate.on},
                tokenizer=experiment.tokenizer.folder,
            ),
        },
    )
    write_text(node.folder / "certificate.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    told = {"outcome": verdict.outcome, "sentence": verdict.sentence, "next_step": verdict.next_step}
    return ["certificate.json"], told, 0


def _unhealthy(lanes: Iterable[Mapping[str, Any]], *, mixtures: Collection[str]) -> dict[LaneName, str]:
    """Return what is wrong with proxies of some mixtures, by lane."""
    return {
        LaneName(lane["mixture"], lane["learning_rate"], lane["seed"]): "; ".join(lane["findings"])
        for lane in lanes
        if lane["mixture"] in mixtures and not lane["healthy"]
    }
