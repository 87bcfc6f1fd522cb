"""A name -> what is to be exported: a dataset, a recipe's mixture, or a version in the registry, with its evidence.

`clean`, `candidate`, `docs-en` name whatever is called so; where a name is two things, `dataset/raw`, `mixture/raw` or
`registry/raw` says which. `docs-en@2` is version 2; without a number the current one is meant, as a rollback left it.
A mixture is what its card says: datasets and weights, epochs, seed, tokenizer; so no recipe is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError, TamisError, nearest_names
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.names import CARD
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.names.registry import Version, current, versions
from pipeline.store.names.versions import NAME
from pipeline.store.workspace import Workspace

KINDS = ("dataset", "mixture", "registry")
DOCUMENTS = ("dataset", "made", "source")


@dataclass(frozen=True, slots=True)
class Target:
    """What a name means: documents as they lie, or a mixture of some."""

    name: str
    folder: Path
    card: Card
    is_mixture: bool
    version: Version | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One dataset of a mixture: its documents and its weight, of weights that sum to one."""

    name: str
    weight: float
    longest: int  # tokens that one of its documents gave at most to a proxy
    folder: Path
    card: Card


@dataclass(frozen=True, slots=True)
class Mixture:
    """All that a mixture's order depends on besides the budget."""

    ingredients: tuple[Ingredient, ...]
    max_epochs: float
    seed: int
    tokenizer: Card
    model: Path  # of the tokenizer


def find_target(workspace: Workspace, wanted: str, *, kinds: Sequence[str] = KINDS) -> Target:
    """Return what a name means, of some kinds; RecipeError if it means nothing or more than one thing."""
    kind, slash, name = wanted.partition("/")
    if slash and kind in kinds:
        return _FINDERS[kind](workspace, name) or _refuse_unknown(workspace, name, kinds)
    if "@" in wanted:
        return _version(workspace, wanted) or _refuse_unknown(workspace, wanted, kinds)
    found = {kind: target for kind in kinds if (target := _FINDERS[kind](workspace, wanted)) is not None}
    if len(found) > 1:
        listed = " and a ".join(_WORDS[kind] for kind in found)
        ways = " or ".join(f"{kind}/{wanted}" for kind in found)
        raise RecipeError(f"`{wanted}` is a {listed} in {workspace.root}; it must be one. Say {ways}.")
    return next(iter(found.values()), None) or _refuse_unknown(workspace, wanted, kinds)


def _refuse_unknown(workspace: Workspace, wanted: str, kinds: Sequence[str]) -> Target:
    for kind, find, name in (
        ("dataset", workspace.dataset, wanted),
        ("mixture", workspace.mixture, f"mixture/{wanted}"),
    ):
        if kind in kinds and workspace.unfinished(name) is not None:
            find(wanted)  # says what the last run did not finish
    folders = [folder for kind in kinds for folder in {"dataset": ("dataset", "made")}.get(kind, (kind,))]
    names = {
        path.parent.name.rpartition("-")[0]
        for folder in folders
        for path in (workspace.root / folder).glob(f"*/{CARD}")
    } | {path.parent.name for path in workspace.registry.glob("*/v*.json")}
    if not names:
        raise DataError(
            f"{workspace.root}: holds no {kinds[0]}s yet. Run a recipe first: tamis run recipes/quickstart.yaml"
        )
    *words, last = (_WORDS[kind] for kind in kinds)
    raise RecipeError(
        f"`{wanted}` is not a {', '.join(words)} or {last} in {workspace.root}. "
        f"Did you mean {nearest_names(wanted, names)}?"
    )


def _dataset(workspace: Workspace, name: str) -> Target | None:
    try:
        folder, card = workspace.dataset(name)
    except TamisError:
        return None
    return Target(name=card.name, folder=folder, card=card, is_mixture=False)


def _mixture(workspace: Workspace, name: str) -> Target | None:
    found = workspace.mixture(name) if workspace.unfinished(f"mixture/{name}") is None else None
    return Target(name=found[1].name, folder=found[0], card=found[1], is_mixture=True) if found is not None else None


def _version(workspace: Workspace, wanted: str) -> Target | None:
    name, at, number = wanted.partition("@")
    if NAME.fullmatch(name) is None or (at and not number.isdecimal()):
        return None
    now = current(workspace, name)
    version = now
    if at:
        known = {version.version: version for version in versions(workspace, name)}
        version = known.get(int(number))
        if version is None and known:
            listed = ", ".join(str(each) for each in known)
            raise RecipeError(f"registry: {name} has no version {number}; it has {listed}. Choose one of these.")
    if version is None:
        return None
    folder = workspace.root / version.folder
    if not is_complete(folder, version.mixture_identity):
        raise DataError(
            f"{folder}: the mixture of {name} version {version.version} is not there any more. "
            "Run the recipe that it came from again, in this workspace."
        )
    is_current = now is not None and now.version == version.version
    return Target(name, folder, read_card(folder), is_mixture=True, version=version, is_current=is_current)


_FINDERS = {"dataset": _dataset, "mixture": _mixture, "registry": _version}
_WORDS = {"dataset": "dataset", "mixture": "mixture", "registry": "promoted name"}


def mixture_of(workspace: Workspace, card: Card) -> Mixture:
    """Return a mixture's ingredients by its card; DataError if one of them is gone."""
    ingredients = []
    tokenizers = set()
    longest = {share["dataset"]: int(share["longest"]) for share in card.details["shares"]}
    for name, (tokens, weight) in sorted(card.payload["weights"].items()):
        encoded = _whole(workspace, ("tokens",), name, tokens, of=card)[1]
        folder, documents = _whole(workspace, DOCUMENTS, name, encoded.payload["dataset"], of=card)
        ingredients.append(Ingredient(name, weight=float(weight), longest=longest[name], folder=folder, card=documents))
        tokenizers.add(encoded.payload["tokenizer"])
    (identity,) = tokenizers
    found = next(
        (
            path.parent
            for path in (workspace.root / "tokenizer").glob(f"*/{CARD}")
            if is_complete(path.parent, identity)
        ),
        None,
    )
    if found is None:
        raise DataError(f"{workspace.root}: the tokenizer of mixture {card.name} is gone. Run its recipe again.")
    return Mixture(
        ingredients=tuple(ingredients), max_epochs=float(card.payload["max_epochs"]),
        seed=int(card.payload["seed"]),
        tokenizer=read_card(found), model=found / "tokenizer.model",
    )  # fmt: skip


def _whole(workspace: Workspace, kinds: tuple[str, ...], name: str, identity: str, *, of: Card) -> tuple[Path, Card]:
    for kind in kinds:
        folder = workspace.folder(kind, name, identity)
        if is_complete(folder, identity):
            return folder, read_card(folder)
    raise DataError(
        f"{workspace.root / kinds[0]}: {name} {identity[:12]}, of mixture {of.name}, is gone. Run its recipe again."
    )


def history_of(workspace: Workspace, folder: Path) -> dict[Path, Card]:
    """Return the cards of a dataset and of all that its documents come from, by folder, the sources first."""
    card = read_card(folder)
    found: dict[Path, Card] = {}
    for parent in StoredDataset.from_card(card).parents():
        found |= history_of(workspace, workspace.root / parent)
    return found | {folder: card}


def certificate_of(workspace: Workspace, target: Target) -> tuple[Mapping[str, Any] | None, str]:
    """Return the certificate on a mixture and the arm that it was; the newest, and one as candidate before others."""
    if target.version is not None and target.version.certificate is not None:
        return target.version.certificate, "candidate"
    for arm in ("candidate", "baseline"):
        for found in _certificates(workspace):
            if found[arm]["identity"] == target.card.identity:
                from eval.verdict.certificate import check_certificate  # needs scipy

                check_certificate(found)
                return found, arm
    return None, ""


def _certificates(workspace: Workspace) -> Iterator[Mapping[str, Any]]:
    """Yield the certificates of finished results, the newest first."""
    folders = [path.parent for path in (workspace.root / "certificate").glob(f"*/{CARD}")]
    for folder in sorted(folders, key=lambda folder: ((folder / CARD).stat().st_mtime_ns, folder.name), reverse=True):
        yield json.loads((folder / "certificate.json").read_bytes())


def promotions_of(workspace: Workspace, target: Target) -> list[tuple[Version, bool]]:
    """Return the registry's versions that hold a mixture, each with whether it is the current one of its name."""
    found = []
    for home in sorted(path for path in workspace.registry.glob("*") if path.is_dir()):
        now = current(workspace, home.name)
        for version in versions(workspace, home.name):
            if version.mixture_identity == target.card.identity:
                found.append((version, now is not None and now.version == version.version))
    return found
