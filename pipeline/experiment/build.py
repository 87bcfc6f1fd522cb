"""Mixtures -> proxies -> gate: the nodes of a recipe's experiment, planned with the rest and built in order.

One tokenizer is trained on all datasets of all mixtures by their size, whatever their weights, and frozen. Of a dataset
only as many documents are encoded as the proxies could need (chosen by a hash of their ids, so the choice depends on
nothing else); a dataset smaller than that is encoded whole, so repetition caps bind exactly where they should. All arms
share seeds: seed k starts from the same weights in every arm and reads a shared dataset's rows in the same order. A
mixture knows no seeds, so that more of them change nothing of it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eval.tiers import TIERS
from pipeline import __version__
from pipeline.core.files.card import read_card, verify_files
from pipeline.core.files.durable import write_text
from pipeline.core.rng import derive
from pipeline.experiment.encode import encode_dataset, load_encoded, sample_texts, save_encoded, size_of
from pipeline.experiment.shared_texts import refuse_shared_texts
from pipeline.store.node import Node
from pipeline.store.results import close

if TYPE_CHECKING:
    from pipeline.engine.run import Run

TOKENIZER_SAMPLE_BYTES = 6_000_000


def build_experiment(run: Run) -> None:
    """Build every node of the experiment that is not complete."""
    plan = run.plan
    if all([run.finished(node) for node in plan.experiment.values()]):  # a list: each is swept
        return
    refuse_shared_texts(plan)
    for key, node in plan.experiment.items():
        if node.complete:
            verify_files(node.folder, read_card(node.folder))  # arrays carry no checksums of their own
            continue
        node.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        kind, _, name = key.partition(".")
        files, details = _BUILDERS[kind](run, name or node.name, node)
        rows = sum(details.pop("rows", [0]))
        close(
            node,
            dict.fromkeys(files, -1),
            rows_in=rows,
            rows_out=rows,
            details=details,
            seconds=time.monotonic() - started,
        )
        shutil.rmtree(node.folder / "scratch", ignore_errors=True)


Built = tuple[list[str], dict[str, Any]]


def _build_tokenizer(run: Run, name: str, node: Node) -> Built:
    from eval.tokenizer import train_tokenizer

    plan = run.plan
    proxy = plan.recipe.proxy
    assert proxy is not None
    run.progress.begin("train the tokenizer", total=0, unit="bytes")
    folders = {plan.documents_node(name).identity: plan.documents_node(name).folder for name in node.parents}
    texts: list[str] = []
    sizes = {identity: size_of(folder) for identity, folder in folders.items()}
    for identity in node.payload["sample"]:  # in the payload's order: neither names nor the recipe's order may show
        limit = TOKENIZER_SAMPLE_BYTES * sizes[identity] // max(1, sum(sizes.values()))
        texts.extend(sample_texts(folders[identity], limit_bytes=limit, seed=plan.recipe.seed))
    num_bytes = sum(len(text.encode()) for text in texts)
    vocabulary = TIERS[proxy.tier].vocab_size
    train_tokenizer(
        texts,
        path=node.folder / "tokenizer.model",
        vocab_size=vocabulary,
        seed=derive(plan.recipe.seed, "tokenizer") % 2**31,
    )
    run.progress.advance(num_bytes)
    run.progress.end()
    return ["tokenizer.model"], {"vocabulary": vocabulary, "sample_bytes": num_bytes}


def _build_tokens(run: Run, name: str, node: Node) -> Built:
    plan = run.plan
    run.progress.begin(f"tokenize {name}", total=0, unit="documents")
    encoded = encode_dataset(
        plan.documents_node(name).folder,
        tokenizer=plan.experiment["tokenizer"].folder / "tokenizer.model",
        limit_bytes=int(node.payload["limit_bytes"]),
        seed=plan.recipe.seed,
        executor=run.executor,
        done=run.progress.advance,
        head_tokens=node.payload["head_tokens"],
    )
    run.progress.end()
    files = save_encoded(node.folder, encoded)
    details = {
        "num_tokens": len(encoded.tokens),
        "num_bytes": int(encoded.num_bytes.sum()),
        "documents": len(encoded.ids),
        "of_documents": encoded.of_documents,
        "of_bytes": encoded.of_bytes,
        "rows": [len(encoded.ids)],
    }
    return files, details


def _build_mixture(run: Run, name: str, node: Node) -> Built:
    from eval.tokenizer import Tokenizer
    from pipeline.experiment.mixture import Tokens
    from pipeline.experiment.pool import build_pool, save_pool, shares_of

    plan = run.plan
    mixture, proxy = plan.recipe.mixtures[name], plan.recipe.proxy
    assert proxy is not None
    tier = TIERS[proxy.tier]
    encoded = {dataset: load_encoded(plan.experiment[f"tokens.{dataset}"].folder) for dataset in mixture.weights}
    run.progress.begin(f"mix {name}", total=proxy.tokens, unit="tokens")
    pool = build_pool(
        {dataset: Tokens(tokens=found.tokens, offsets=found.offsets) for dataset, found in encoded.items()},
        weights=mixture.weights,
        num_rows=max(1, proxy.tokens // (tier.batch_rows * tier.context)) * tier.batch_rows,
        context=tier.context,
        bos=Tokenizer.load(plan.experiment["tokenizer"].folder / "tokenizer.model").bos,
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
    return files, {"num_tokens": sum(share["tokens"] for share in shares), "shares": shares}


def _build_comparison(run: Run, name: str, node: Node) -> Built:
    from pipeline.experiment.proxies import train_and_score

    return train_and_score(run, node)


def _build_certificate(run: Run, name: str, node: Node) -> Built:
    from eval.certificate import certificate
    from eval.gate import GateRule, decide
    from pipeline.experiment.proxies import comparisons_of

    plan = run.plan
    gate, proxy = plan.recipe.gate, plan.recipe.proxy
    assert gate is not None and proxy is not None
    rule = GateRule(
        metric=gate.metric,
        min_gain=gate.min_gain,
        confidence=gate.confidence,
        guards=dict(gate.guards),
        min_tokens=TIERS[proxy.tier].least_tokens,
    )
    folder = plan.experiment["comparison"].folder
    details = read_card(folder).details
    unhealthy = {
        lane["lane"]: "; ".join(lane["findings"])
        for lane in details["lanes"]
        if lane["mixture"] in (gate.candidate, gate.baseline) and not lane["healthy"]
    }
    comparisons = comparisons_of(
        folder,
        candidate=gate.candidate,
        baseline=gate.baseline,
        proxy=proxy,
        confidence=gate.confidence,
        unhealthy=list(unhealthy),
        earlier=details["earlier"],
    )
    verdict = decide(
        comparisons,
        rule=rule,
        num_tokens=details["tokens_per_lane"],
        unhealthy_lanes=unhealthy,
        candidate=gate.candidate,
        baseline=gate.baseline,
    )
    arms = {
        arm: {"name": arm, "identity": plan.experiment[f"mixture.{arm}"].identity}
        for arm in (gate.candidate, gate.baseline)
    }
    found = certificate(
        verdict,
        rule=rule,
        comparisons=comparisons,
        candidate=arms[gate.candidate],
        baseline=arms[gate.baseline],
        tokenizer=plan.experiment["tokenizer"].identity,
        code_version=__version__,
        proxy=proxy.model_dump(mode="json"),
        held_out={domain: plan.documents_node(domain).identity for domain in gate.on},
        lanes=details["lanes"],
        machine=details["machine"],
        earlier=details["earlier"],
    )
    write_text(node.folder / "certificate.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    return ["certificate.json"], {
        "outcome": verdict.outcome,
        "sentence": verdict.sentence,
        "next_step": verdict.next_step,
    }


_BUILDERS: dict[str, Callable[[Run, str, Node], Built]] = {
    "tokenizer": _build_tokenizer,
    "tokens": _build_tokens,
    "mixture": _build_mixture,
    "comparison": _build_comparison,
    "certificate": _build_certificate,
}
