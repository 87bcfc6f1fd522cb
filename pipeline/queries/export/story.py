"""What is to be exported -> what its card tells of it, and the files that lie beside the documents.

`cards/` holds the card of every result that the documents come from, as it lies in the workspace; of a mixture also
its own and its tokenizer's, the tokenizer, the gate's certificate, and the version under which it was promoted, without
the name of who did it. A mixture that no gate promoted is exported too, and its card says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.queries.export.card import DatasetInfo, summed
from pipeline.queries.export.target import Mixture, Target, certificate_of, history_of, mixture_of, promotions_of
from pipeline.queries.export.vocabulary import FILES, GivenTokenizer
from pipeline.store.dataset.stored_dataset import StoredDataset, StoredStep
from pipeline.store.names.registry import Version
from pipeline.store.workspace import Workspace

CERTIFICATE, VERSION, TOKENIZER = "certificate.json", "version.json", "tokenizer.model"
TOKENS_FILE = "tokens.json"  # what is known when all tokens are written
_ABOUT = {
    CERTIFICATE: "what the gate measured and decided",
    VERSION: "under which name and number the mixture was promoted, and why",
    TOKENIZER: "the sentencepiece model that counts the tokens of the mixture",
    **dict.fromkeys(FILES.values(), "the tokenizer that made the tokens, as it was given"),
}


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an export before a document of it is read."""

    info: DatasetInfo
    beside: Mapping[str, bytes]  # file -> content
    mixture: Mixture | None

    def about(self) -> dict[str, str]:
        """Return what each file or folder beside the documents is."""
        found = {name: about for name, about in _ABOUT.items() if name in self.beside}
        if any(name in self.beside for name in FILES.values()):
            found |= {TOKENS_FILE: "format, kind of number, vocabulary, separators, and what each shard holds"}
            found |= {"documents/": "which document each of the shards' documents is, and how many tokens it has"}
        return found | {"cards/": "the card of every result that the documents come from"}


def story_of(workspace: Workspace, target: Target, *, given: GivenTokenizer | None = None) -> Story:
    """Return what the card of an export tells; a training run's tokenizer lies beside its tokens."""
    story = _of_mixture(workspace, target) if target.is_mixture else _of_dataset(workspace, target)
    if given is None:
        return story
    return replace(story, beside={**story.beside, FILES[given.library]: given.content})


def _of_dataset(workspace: Workspace, target: Target) -> Story:
    history = history_of(workspace, target.folder)
    steps = _steps(workspace, history)
    info = DatasetInfo(name=target.card.name, identity=target.card.identity, **_told(history, steps))
    return Story(info=info, beside=dict(_cards([*history, *steps])), mixture=None)


def _of_mixture(workspace: Workspace, target: Target) -> Story:
    mixture = mixture_of(workspace, target.card)
    history: dict[Path, Card] = {}
    for ingredient in mixture.ingredients:
        history |= history_of(workspace, ingredient.folder)
    steps = _steps(workspace, history)
    certificate, arm = certificate_of(workspace, target)
    promotions = promotions_of(workspace, target)
    chosen = [(target.version, target.is_current)] if target.version is not None else promotions
    info = DatasetInfo(
        name=target.name, identity=target.card.identity, is_mixture=True,
        promoted=_promoted(chosen), gate=_gate(certificate, arm),
        mixture=target.card, certificate=certificate, **_told(history, steps),
    )  # fmt: skip
    beside = dict(_cards([*history, *steps, mixture.model.parent, target.folder]))
    beside[TOKENIZER] = mixture.model.read_bytes()
    if certificate is not None:
        beside[CERTIFICATE] = _json(certificate)
    if chosen:
        said = asdict(chosen[-1][0])
        beside[VERSION] = _json({key: said[key] for key in said if key not in ("user", "certificate")})
    return Story(info=info, beside=beside, mixture=mixture)


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _steps(workspace: Workspace, history: Mapping[Path, Card]) -> dict[Path, StoredStep]:
    """Return every step of some datasets by the folder of its result."""
    return {
        workspace.root / step.folder: step for card in history.values() for step in StoredDataset.from_card(card).steps
    }


def _cards(folders: list[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in dict.fromkeys(folders):
        yield f"cards/{folder.parent.name}-{folder.name}.json", (folder / CARD).read_bytes()


def _told(history: Mapping[Path, Card], steps: Mapping[Path, StoredStep]) -> dict[str, Any]:
    """Return what the cards of some datasets and their steps tell together."""
    cards = {place: read_card(place) for place in steps}
    against = [each for step in steps.values() if step.step == "decontaminate" for each in step.params["against"]]
    teachers = [cards[place].details.get("teacher", "") for place, step in steps.items() if step.step == "label"]
    return {
        "history": tuple(history.values()),
        "rows_read": sum(card.rows_out for card in history.values() if card.kind != "dataset"),
        "drops": summed(card.dropped for card in history.values()),
        "quarantined": summed(card.quarantined for card in history.values()),
        "decontamination": f"word overlap with {', '.join(dict.fromkeys(against))} removed" if against else "",
        "teacher": ", ".join(dict.fromkeys(teachers)),
        "cost_usd": sum(each.cost_usd for each in (*history.values(), *cards.values())),
    }


def _promoted(versions: list[tuple[Version, bool]]) -> str:
    """Return under which versions a mixture was promoted."""
    told = []
    for version, is_current in versions:
        state = "" if is_current else ", no longer the current one"
        why = f" by override of the gate ({version.reason})" if version.overridden else ""
        told.append(f"{version.name} version {version.version}{state}{why}")
    return f"promoted as {'; '.join(told)}" if told else "not promoted"


def _gate(certificate: Mapping[str, Any] | None, arm: str) -> str:
    """Return what the gate said of a mixture."""
    if certificate is None:
        return "No gate has judged it."
    sentence = str(certificate["verdict"]["sentence"])
    return sentence if arm == "candidate" else f"It was the baseline where the gate said: {sentence}"
