"""A name of an experiment -> its finished proxies, what they kept, and the text behind them -> a diagnosis.

`quickstart` is the comparison that the last recipe of that name built, `quickstart-dd801de643f2` a folder of
`comparison` or `certificate`, `web.yaml` all proxies of a recipe, `candidate` or `candidate/seed0` those of a mixture.
Nothing is trained, scored or stored. Sealed text is not opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.doctor.examine import examine
from eval.doctor.findings import Diagnosis, Finding
from eval.doctor.overlap import documents_met, repeated_share, share_met
from eval.doctor.record import DatasetRecord, ExperimentRecord, HeldOutRecord, LaneRecord
from eval.proxies.packing import Tokens
from eval.proxies.tiers import tier_called
from pipeline.core.errors import DataError, RecipeError, nearest_names
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.experiment.lanes import CURVE
from pipeline.experiment.scores import ScoreFacts
from pipeline.experiment.streams.encode import Encoded, load_encoded
from pipeline.experiment.streams.pool import draw_identity
from pipeline.queries.proxies.arms import RECIPE
from pipeline.queries.proxies.lanes import StoredLane, find_lanes, finished_lanes, finished_scores, name_of_held_out
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.proxies.tokenizer import Tokenizer

AT_ONCE = 1 << 22  # tokens


def doctor(workspace: Workspace, wanted: str) -> Diagnosis:
    """Examine what a name means; RecipeError or DataError where it means no finished proxies."""
    return diagnose(workspace, lanes_meant(workspace, wanted), name=wanted)


def diagnose(workspace: Workspace, lanes: Sequence[StoredLane], *, name: str) -> Diagnosis:
    """Examine some finished proxies as one experiment, whatever recipe they are of."""
    return examine(record_of(workspace, lanes, name=name))


def diagnose_lane(workspace: Workspace, lane: StoredLane) -> Diagnosis:
    """Examine one finished proxy by what it kept, and no text: its datasets and held-out sets are not read."""
    return examine(ExperimentRecord(name=lane.name, lanes=(_lane(_Text(workspace), lane, {}),)))


def lanes_meant(workspace: Workspace, wanted: str) -> list[StoredLane]:
    """Return the finished proxies of an experiment, by mixture, rate and seed."""
    recipe = RECIPE.fullmatch(wanted)
    if recipe is not None and (Path(recipe["path"]).exists() or "/" in wanted):
        return _of_recipe(workspace, Path(recipe["path"]), recipe["mixture"])
    comparison = _comparison(workspace, wanted)
    if comparison is not None:
        return _of_comparison(workspace, wanted, comparison)
    try:
        return find_lanes(workspace, wanted)
    except RecipeError as error:
        names = {card.name for card in _comparisons(workspace)} | {lane.name for lane in finished_lanes(workspace)}
        names |= {lane.name.partition("/")[0] for lane in finished_lanes(workspace)}
        raise RecipeError(
            f"`{wanted}` is not an experiment in {workspace.root}. Did you mean {nearest_names(wanted, names)}?"
        ) from error


def _of_recipe(workspace: Workspace, path: Path, mixture: str | None) -> list[StoredLane]:
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe

    plan = make_plan(load_recipe(path), workspace)
    if plan.experiment is None or not plan.experiment.lanes:
        raise RecipeError(
            f"{path}: trains no proxies, so there is nothing to examine. Add `mixtures:`, `proxy:` and `gate:` and run "
            f"it: tamis run {path}"
        )
    found = {
        node.folder: StoredLane(str(lane), node.folder, card, _facts(card))
        for lane, node in plan.experiment.lanes.items()
        if node.complete and (mixture is None or lane.mixture == mixture)
        for card in [read_card(node.folder)]
    }
    if not found:
        raise DataError(f"{path}: none of its proxies is finished in {workspace.root}. Run it: tamis run {path}")
    return list(found.values())


def _facts(card: Card) -> Any:
    from pipeline.experiment.lanes import LaneFacts

    return LaneFacts(**card.details)


def _comparisons(workspace: Workspace) -> Iterator[Card]:
    for path in sorted((workspace.root / "comparison").glob(f"*/{CARD}")):
        yield read_card(path.parent)


def _comparison(workspace: Workspace, wanted: str) -> Card | None:
    """Return the card of the comparison that is meant: by its folder, that of its certificate, or its recipe's name."""
    for kind in ("comparison", "certificate"):
        folder = workspace.root / kind / Path(wanted).name
        if wanted in (folder.name, f"{kind}/{folder.name}", str(folder)) and (folder / CARD).exists():
            card = read_card(folder)
            if kind == "comparison":
                return card
            return next((one for one in _comparisons(workspace) if one.identity == card.payload["comparison"]), None)
    folders = workspace.complete("comparison", wanted) if "/" not in wanted else []
    return read_card(folders[-1]) if folders else None


def _of_comparison(workspace: Workspace, wanted: str, comparison: Card) -> list[StoredLane]:
    payload = comparison.payload
    of = payload.get("of", {})  # settings by mixture, where these are what was compared
    names = {(identity, of.get(name)): name for name, identity in payload["mixtures"].items()}
    first = payload.get("first_seed", 0)
    seeds = range(first, first + payload["seeds"])
    found = [
        StoredLane(_renamed(lane, names[meant]), lane.folder, lane.card, lane.facts)
        for lane in finished_lanes(workspace)
        for meant in [(lane.card.payload["mixture"], lane.facts.tier if of else None)]
        if meant in names
        and lane.facts.seed in seeds
        and lane.facts.learning_rate in payload["learning_rates"]
        and (of or lane.card.payload["tokens"] == payload["tokens"])
    ]
    if not found:
        raise DataError(f"`{wanted}`: its proxies are gone from {workspace.root / 'lane'}. Run its recipe again.")
    return sorted(found, key=lambda lane: (lane.name.partition("/")[0], -lane.facts.learning_rate, lane.facts.seed))


def _renamed(lane: StoredLane, mixture: str) -> str:
    return "/".join([mixture, *lane.name.split("/")[1:]])


def record_of(workspace: Workspace, lanes: Sequence[StoredLane], *, name: str) -> ExperimentRecord:
    """Read what a diagnosis of some proxies looks at."""
    text = _Text(workspace)
    scores = _scores(workspace, lanes)
    records = [_lane(text, lane, scores.get(lane.card.identity, {})) for lane in lanes]
    mixtures = {record.mixture: lane.card.payload["mixture"] for record, lane in zip(records, lanes, strict=True)}
    held_out = {held: identity for mine in scores.values() for held, (identity, _) in mine.items()}
    return ExperimentRecord(
        name=name,
        lanes=tuple(records),
        datasets=tuple(text.datasets(mixtures)),
        held_out=tuple(text.held_out(held_out, mixtures)),
    )


Scores = Mapping[str, tuple[str, float | None]]  # held-out set -> its tokens, bits per byte


def _scores(workspace: Workspace, lanes: Sequence[StoredLane]) -> dict[str, dict[str, tuple[str, float | None]]]:
    wanted = {lane.card.identity for lane in lanes}
    found: dict[str, dict[str, tuple[str, float | None]]] = {}
    for _, card in finished_scores(workspace):
        if card.payload["lane"] in wanted:
            rate = ScoreFacts(**card.details).bits_per_byte
            found.setdefault(card.payload["lane"], {})[name_of_held_out(card)] = (card.payload["held_out"], rate)
    return found


def _lane(text: _Text, lane: StoredLane, scores: Scores) -> LaneRecord:
    facts = lane.facts
    try:
        curve = json.loads((lane.folder / CURVE).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{lane.folder / CURVE}: cannot be read ({error}). Run `tamis verify`.") from error
    mixture = text.mixture_folder(lane.card.payload["mixture"])
    return LaneRecord(
        name=lane.name,
        mixture=lane.name.partition("/")[0],
        seed=facts.seed,
        learning_rate=facts.learning_rate,
        tier=tier_called(facts.tier),
        num_tokens=facts.num_tokens,
        curve=curve,
        device=facts.device,
        card=facts.machine.get("card", ""),
        precision=facts.precision,
        tokens_per_second=facts.tokens_per_second,
        waited=facts.waited,
        until=facts.until,
        said=tuple(facts.findings),
        draw=facts.draw,
        mixture_draw=None if mixture is None else draw_identity(mixture),
        words=text.words_of(mixture),
        scores={held: rate for held, (_, rate) in scores.items() if rate is not None},
    )


@dataclass(slots=True)
class _Text:
    """The datasets and held-out sets of a workspace as tokens; what is gone is left out."""

    workspace: Workspace
    _tokenizers: dict[str, Tokenizer | None] = field(default_factory=dict)

    def mixture_folder(self, identity: str) -> Path | None:
        return self.workspace.by_identity("mixture", identity)

    def words_of(self, mixture: Path | None) -> int:
        """Return the words of the tokenizer by which a mixture was encoded; 0 where it is gone."""
        if mixture is None:
            return 0
        (tokens, _), *_ = read_card(mixture).payload["weights"].values()
        encoded = self.workspace.by_identity("tokens", tokens)
        tokenizer = encoded and self.tokenizer(read_card(encoded).payload["tokenizer"])
        return 0 if not tokenizer else tokenizer.num_words

    def tokenizer(self, identity: str) -> Tokenizer | None:
        """Return a tokenizer, read once; None where it is gone."""
        from eval.proxies.tokenizer import Tokenizer

        if identity not in self._tokenizers:
            folder = self.workspace.by_identity("tokenizer", identity)
            self._tokenizers[identity] = None if folder is None else Tokenizer.load(folder / "tokenizer.model")
        return self._tokenizers[identity]

    def datasets(self, mixtures: Mapping[str, str]) -> Iterator[DatasetRecord]:
        """Yield every dataset of some mixtures, name -> identity, with how often each reads it."""
        epochs: dict[tuple[str, str], dict[str, float]] = {}
        for mixture, card in self._mixtures(mixtures):
            shares = {share["dataset"]: share["epochs"] for share in card.details["shares"]}
            for dataset, (tokens, _) in card.payload["weights"].items():
                epochs.setdefault((dataset, tokens), {})[mixture] = shares[dataset]
        for (dataset, tokens), by_mixture in epochs.items():
            folder = self.workspace.by_identity("tokens", tokens)
            if folder is not None:
                yield self._dataset(dataset, folder, by_mixture)

    def held_out(self, wanted: Mapping[str, str], mixtures: Mapping[str, str]) -> Iterator[HeldOutRecord]:
        """Yield held-out sets, name -> identity of their tokens, with the share that each mixture holds of them."""
        tokens_of = {
            mixture: [tokens for tokens, _ in card.payload["weights"].values()]
            for mixture, card in self._mixtures(mixtures)
        }
        for name, identity in sorted(wanted.items()):
            folder = self.workspace.by_identity("tokens", identity)
            if folder is None:
                continue
            held = text_of(load_encoded(folder))
            met = {tokens: self._met(held, tokens) for mine in tokens_of.values() for tokens in mine}
            yield HeldOutRecord(
                name=name,
                documents=len(held.offsets) - 1,
                tokenizer=read_card(folder).payload["tokenizer"],
                met={
                    mixture: share_met(held, np.any([met[tokens] for tokens in mine], axis=0))
                    for mixture, mine in tokens_of.items()
                },
            )

    def _mixtures(self, mixtures: Mapping[str, str]) -> Iterator[tuple[str, Card]]:
        for mixture, identity in mixtures.items():
            folder = self.mixture_folder(identity)
            if folder is not None:
                yield mixture, read_card(folder)

    def _met(self, held: Tokens, identity: str) -> np.ndarray:
        folder = self.workspace.by_identity("tokens", identity)
        if folder is None:
            return np.zeros(len(held.offsets) - 1, bool)
        return documents_met(held, text_of(load_encoded(folder)).flat)

    def _dataset(self, name: str, folder: Path, epochs: Mapping[str, float]) -> DatasetRecord:
        card, encoded = read_card(folder), load_encoded(folder)
        tokens = text_of(encoded)
        folder_of_tokenizer = self.workspace.by_identity("tokenizer", card.payload["tokenizer"])
        tokenizer = self.tokenizer(card.payload["tokenizer"])
        num_bytes = int(encoded.num_bytes.sum())
        return DatasetRecord(
            name=name,
            num_tokens=len(tokens.flat),
            num_bytes=num_bytes,
            token_bytes=num_bytes if tokenizer is None else _bytes_of(tokens, tokenizer),
            tokenizer=card.payload["tokenizer"],
            in_sample=folder_of_tokenizer is None
            or card.payload["dataset"] in read_card(folder_of_tokenizer).payload["sample"],
            epochs=epochs,
            repeated=repeated_share(tokens),
        )


def text_of(encoded: Encoded) -> Tokens:
    """Return all documents of a set; the tokens stay where they are mapped, to be read a few megabytes at a time."""
    return Tokens(flat=encoded.tokens, offsets=encoded.offsets)


def _bytes_of(tokens: Tokens, tokenizer: Tokenizer) -> int:
    """Return the bytes that the tokens stand for."""
    places = range(0, len(tokens.flat), AT_ONCE)
    return sum(int(tokenizer.num_bytes[tokens.flat[place : place + AT_ONCE]].sum()) for place in places)


def data_of(found: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain data."""
    return {
        "experiment": found.name,
        "health": found.health,
        "lanes": list(found.lanes),
        "findings": [_finding(one) for one in found.findings],
        "unchecked": [{"id": one.check.id, "lanes": list(one.lanes), "why": one.why} for one in found.unchecked],
    }


def _finding(found: Finding) -> dict[str, Any]:
    check = found.check
    return {
        "id": check.id, "level": check.level, "lanes": list(found.lanes), "value": found.value, "limit": found.limit,
        "source": check.source, "sentence": found.sentence, "meaning": check.meaning, "remedy": check.remedy,
        "evidence": asdict(found.evidence) if found.evidence is not None else None,
    }  # fmt: skip
