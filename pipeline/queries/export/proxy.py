"""A finished proxy -> a folder that anybody can run: weights, config, tokenizer, loader, and a card.

    NAME/README.md config.json model.safetensors tokenizer.model load_proxy.py tamis.json

The folder needs nothing of Tamis: `load_proxy.py` reads it with torch and sentencepiece. It appears whole or not at all
(`folder.py`); every byte depends on the proxy and its scores alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pipeline import __version__
from pipeline.core.errors import ServiceError, write_advice
from pipeline.core.files.card import Card, describe_files, verify_files
from pipeline.core.files.stores.stored import present
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.identity import identity_of
from pipeline.experiment.lanes import WEIGHTS
from pipeline.queries.export.folder import MARKER, Site, files_in, held, marker_of, refuse_occupied, site_of
from pipeline.queries.export.history import plain, table
from pipeline.queries.proxies.lanes import (
    StoredLane,
    StoredScore,
    find_lane,
    mixture_of_lane,
    scores_of_lane,
    tokenizer_of_lane,
)
from pipeline.store.workspace import Workspace

README, CONFIG, MODEL, TOKENIZER = "README.md", "config.json", "model.safetensors", "tokenizer.model"
USE = """\
from load_proxy import Proxy

proxy, text = Proxy(), "Some text."
print(proxy.bits(text) / len(text.encode()))  # bits per byte
logits = proxy.logits(proxy.encode(text))  # (tokens, vocabulary)
"""


@dataclass(frozen=True, slots=True)
class ExportedProxy:
    """What lies in the folder now."""

    folder: str
    proxy: str
    tier: str
    parameters: int
    size_bytes: int
    healthy: bool
    scores: Sequence[StoredScore]


def export_proxy(workspace: Workspace, wanted: str, *, to: Path, overwrite: bool = False) -> ExportedProxy:
    """Write the proxy that `wanted` names (see `queries/proxies/lanes.py`) to the folder `to`.

    RecipeError if the name means nothing or several proxies, or if `to` holds what may not be replaced.
    """
    lane = find_lane(workspace, wanted)
    verify_files(lane.folder, lane.card)
    mixture, tokenizer = mixture_of_lane(workspace, lane), tokenizer_of_lane(workspace, lane)
    scores = scores_of_lane(workspace, lane)
    what = {"proxy": lane.card.identity, "called": lane.name, "scores": [asdict(score) for score in scores]}
    site, key = site_of(to), identity_of(what | {"tamis": __version__})
    try:
        with held(site):
            refuse_occupied(site.to, overwrite=overwrite)
            if not site.begin(key):
                _write(site, lane, mixture, tokenizer=tokenizer, scores=scores, key=key)
                site.finish()
            size = sum(file.size_bytes for file in files_in(marker_of(site.done)))
            site.put_in_place()
    except OSError as error:
        raise ServiceError(f"{to}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error
    return ExportedProxy(
        folder=str(site.to), proxy=lane.name, tier=lane.facts.tier, parameters=lane.facts.parameters, size_bytes=size,
        healthy=lane.facts.healthy, scores=scores,
    )  # fmt: skip


def _write(
    site: Site, lane: StoredLane, mixture: Card, *, tokenizer: Path, scores: Sequence[StoredScore], key: str
) -> None:
    """Write every file into the folder to be, the marker last."""
    from safetensors.torch import load_file, save

    from eval.proxies.plain_proxy import LOADER, config_of, plain_state
    from eval.proxies.tiers import tier_called
    from eval.proxies.tokenizer import Tokenizer

    state = plain_state(load_file(present(lane.folder / WEIGHTS)))
    config = config_of(tier_called(lane.facts.tier), bos=Tokenizer.load(tokenizer).bos, tensors=state)
    content = {
        MODEL: save(state),
        CONFIG: (json.dumps(config, indent=1) + "\n").encode(),
        TOKENIZER: tokenizer.read_bytes(),
        LOADER.name: LOADER.read_bytes(),
        README: _card(lane, mixture, config=config, scores=scores).encode(),
    }
    for name, data in content.items():
        write_atomically(site.out / name, partial(_put, data=data))
    files = describe_files(site.out, dict.fromkeys(content, -1))
    marker = {"tamis": __version__, "key": key, "files": [asdict(file) for file in files]}
    write_text(site.out / MARKER, json.dumps(marker, indent=1, sort_keys=True) + "\n")


def _put(file: BinaryIO, *, data: bytes) -> None:
    file.write(data)


def _card(lane: StoredLane, mixture: Card, *, config: dict[str, Any], scores: Sequence[StoredScore]) -> str:
    """Return README.md: what the proxy is, what it was trained on, how well it does, how it is read."""
    facts = lane.facts
    told = {
        "Proxy": lane.card.identity,
        "Mixture": f"{lane.name.partition('/')[0]} {mixture.identity[:12]}",
        "Tokens": f"{facts.num_tokens:,}, BOS included",
        "Seed": str(facts.seed),
        "Learning rate": f"{facts.learning_rate:g} of tier {facts.tier}'s",
        "Trained on": f"{facts.device}, {facts.precision}; {', '.join(facts.machine.values())}",
        "Health": "sound" if facts.healthy else "; ".join(facts.findings),
        "Made by": f"Tamis {__version__}",
    }
    given = [
        (
            share["dataset"], f"{share['nominal']:.4f}", f"{share['realised']:.4f}", f"{share['tokens']:,}",
            f"{share['epochs']:.3g}",
        )
        for share in mixture.details["shares"]
    ]  # fmt: skip
    scored = [
        (score.held_out, f"{score.documents:,}", "-" if score.bits_per_byte is None else f"{score.bits_per_byte:.4f}")
        for score in scores
    ]
    shapes = [(name, " x ".join(str(side) for side in shape)) for name, shape in config["tensors"].items()]
    sections = [
        f"# Proxy {plain(lane.name)}\n",
        f"A language model of {facts.parameters:,} parameters, trained to compare mixtures of text and for nothing "
        "else: what it writes is of no use.\n",
        "".join(f"- {key}: {plain(value)}\n" for key, value in told.items()),
        "## Trained on\n",
        table(("dataset", "share asked for", "realised", "tokens", "epochs"), given),
        "## Bits per byte on held-out text\n",
        f"In {facts.precision}; in float32, as below, the last digits differ.\n" if scored else "It was not scored.\n",
        table(("held-out set", "documents", "bits per byte"), scored),
        "## Reading it\n",
        f"`load_proxy.py` needs torch and sentencepiece:\n\n```python\n{USE}```\n",
        "A decoder of its own, no architecture of `transformers`: RMS norms without parameters (also of the embedding, "
        "and of queries and keys after the rotation), rotary positions, squared ReLU, no biases, a head that is not "
        "the embedding, and logits capped by c x / sqrt(x^2 + c^2). Every text begins with BOS. Tensors are float32, "
        "(out, in):\n",
        table(("tensor", "shape"), shapes),
    ]
    return "\n".join(section for section in sections if section)


def exported_proxy_text(done: ExportedProxy, *, to: str) -> str:
    """Return what was written in a line, and what to know of it."""
    lines = [f"{to}: {done.proxy} ({done.tier}), {done.parameters:,} parameters, {done.size_bytes / 1e6:.1f} MB"]
    lines += [
        f"{score.held_out}: {score.bits_per_byte:.4f} bits per byte of {score.documents:,} documents"
        for score in done.scores
        if score.bits_per_byte is not None
    ]
    if not done.healthy:
        lines.append("warning: it did not train soundly; its README.md says why.")
    return "\n".join(lines)
