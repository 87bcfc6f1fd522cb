"""Documents of any dataset and two mixtures' finished proxies -> how badly each is predicted, scored anew.

For what proxies were trained on, or could be: scores are stored of held-out sets alone. Nothing is stored of this but
the round. Documents are drawn by their ids, each is read as far as one context, as a held-out one is;
of what a gate seals in part only the open part is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.claims.record import Which
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.files.stores.stored import present
from pipeline.core.identity import identity_of
from pipeline.experiment.compare import clusters_of
from pipeline.experiment.lanes import WEIGHTS, device_of
from pipeline.experiment.streams.encode import HEAD_BYTES_PER_TOKEN, EncodeTask, choose, encode_rows
from pipeline.experiment.streams.opened import open_part_of
from pipeline.plan.parts import Part
from pipeline.queries.errors.material import Material, Subject, badness_of, cut, two_arms
from pipeline.queries.proxies.arms import Arm, ScoredLane
from pipeline.queries.proxies.comparable import LEAST_PAIRS, Lanes, built_by_gates, lanes_alike, refuse_unlike
from pipeline.queries.proxies.lanes import folder_of
from pipeline.store.workspace import Workspace

MOST_BYTES = 2_000_000  # of all datasets together: minutes for proxies of the smallest tier on two cores
SEED = 0  # of the draw of documents
SEEN = "Proxies may have been trained on these documents, and of one mixture more than of the other."


def subject_on(
    workspace: Workspace, names: Sequence[str], on: Sequence[str], *, which: Which, threads: int,
    say: Callable[[str], None],
) -> Subject:  # fmt: skip
    """Return documents of datasets, to be scored by the proxies of two mixtures; DataError where these are too few."""
    arms = two_arms(workspace, names)
    refuse_unlike(arms)
    lanes = lanes_alike(arms)
    pairs = _pairs(workspace, arms, lanes)
    datasets = {name: workspace.dataset(name) for name in on}
    parts = {name: open_part_of(workspace, name) for name in on}
    mixtures = (arms[0].card.identity, arms[1].card.identity)
    experiment = identity_of(
        {
            "mixtures": list(mixtures),
            "lanes": sorted(found.lane.card.identity for pair in pairs for found in pair),
            "on": {name: card.identity for name, (_, card) in datasets.items()},
            "parts": {name: part.payload for name, part in parts.items() if part is not None},
            "bytes": MOST_BYTES,
        }
    )
    folders = {name: folder for name, (folder, _) in datasets.items()}

    def load() -> Material:
        return _scored(
            workspace, arms, pairs, folders, parts, experiment=experiment, which=which, threads=threads, say=say
        )

    return Subject(experiment, mixtures, arms[1].card.name, load)


def _pairs(workspace: Workspace, arms: Sequence[Arm], lanes: Sequence[Lanes]) -> list[tuple[ScoredLane, ScoredLane]]:
    """Return the proxies of both mixtures with one seed, at the learning rate of a gate's verdict, or the highest."""
    shared = sorted(set(lanes[0]) & set(lanes[1]))
    deciding = [rate for item in built_by_gates(workspace, arms) for rate in item.card.payload["learning_rates"]]
    for wanted in [*deciding, *sorted({rate for rate, _ in shared}, reverse=True)]:
        found = [(lanes[0][key], lanes[1][key]) for key in shared if key[0] == wanted]
        if len(found) >= LEAST_PAIRS:
            return found
    raise DataError(
        f"errors: {arms[0].name} and {arms[1].name} have fewer than {LEAST_PAIRS} sound proxies each with the same "
        f"seeds and learning rate. {arms[1].way_out}"
    )


def _scored(
    workspace: Workspace, arms: Sequence[Arm], pairs: Sequence[tuple[ScoredLane, ScoredLane]],
    folders: Mapping[str, Path], parts: Mapping[str, Part | None], *, experiment: str, which: Which, threads: int,
    say: Callable[[str], None],
) -> Material:  # fmt: skip
    from safetensors.torch import load_file

    from eval.proxies.packing import Tokens
    from eval.proxies.proxy import stack
    from eval.proxies.tiers import tier_called
    from eval.proxies.tokenizer import Tokenizer
    from eval.scores.bits_per_byte import document_bits

    tier = tier_called(pairs[0][0].lane.facts.tier)
    model = folder_of(workspace, "tokenizer", arms[0].tokenizer, of=arms[0].name) / "tokenizer.model"
    domain, ids, texts, beyond = list[str](), list[str](), list[str](), list[str]()
    flat, lengths, sizes = [], [], []
    for name, folder in folders.items():
        head = tier.context * HEAD_BYTES_PER_TOKEN
        limit = MOST_BYTES // len(folders)
        chosen, *_ = choose(folder, limit_bytes=limit, seed=SEED, head_bytes=head, part=parts[name])
        for path, rows in chosen:
            tokens, counts, num_bytes, mine = encode_rows(EncodeTask(name, model, path, rows, tier.context))
            whole = read_table(path, columns=["text"]).column("text").take(rows).to_pylist()
            for text, size in zip(whole, num_bytes.tolist(), strict=True):
                read, follows = cut(text, size)
                texts.append(read)
                beyond.append(follows)
            domain += [name] * len(mine)
            ids += mine
            flat.append(tokens)
            lengths.append(counts)
            sizes.append(num_bytes)
    if not ids:
        raise DataError(f"--on {', '.join(folders)}: holds no documents. Name another dataset.")
    lanes = [found.lane for side in (0, 1) for found in (pair[side] for pair in pairs)]
    say(f"score {len(ids):,} documents of {', '.join(folders)} by {len(lanes)} proxies")
    bits_KD = document_bits(
        stack([load_file(present(lane.folder / WEIGHTS)) for lane in lanes]),
        Tokens(flat=np.concatenate(flat), offsets=np.concatenate([[0], np.cumsum(np.concatenate(lengths))])),
        tier=tier, bos=Tokenizer.load(model).bos, device=device_of("auto"), threads=threads,
    )  # fmt: skip
    first, other = bits_KD[: len(pairs)].mean(axis=0), bits_KD[len(pairs) :].mean(axis=0)
    return Material(
        experiment=experiment, first=arms[0].name, other=arms[1].name, which=which, on=tuple(folders),
        domain=np.array(domain), ids=ids, texts=texts, num_bytes=np.concatenate(sizes),
        cluster=clusters_of({"domain": domain, "id": ids}, folders, group_by=None),
        bits=badness_of(first, other, which=which), folders=folders, notes=(SEEN,), beyond=beyond,
    ).known()  # fmt: skip
