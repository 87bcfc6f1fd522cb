"""`audit`: a stored dataset -> its distributions, each number beside its noise floor; of two, how far they lie apart.

What is measured stands in `filters/audit`. Here a dataset is found, drawn from, and held against another or against
nothing but its own halves; and what its chain measured and stored is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import DataError, RecipeError, listed_names
from pipeline.core.files.card import Card, read_card
from pipeline.experiment.streams.opened import closed_in
from pipeline.queries.audit.audit_sample import Drawn, draw, num_closed
from pipeline.queries.export.target import history_of
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.results import dropped_by, why_empty
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.proxies.tokenizer import Tokenizer
    from filters.audit.columns import Columns
    from filters.audit.found import Audited, AuditedSide

MOST_DOCUMENTS = 200_000  # of each dataset
PREVIOUS = "previous"
MOST_RULES = 10  # whose shares are told


def audit(
    workspace: Workspace, name: str, *, against: str | None = None, count: int = MOST_DOCUMENTS, seed: int = 0
) -> Audited:
    """Audit a dataset by at most `count` of its documents; `against` another, a folder of one, or `previous`."""
    from filters.audit.checks import associated, check, worst_first
    from filters.audit.close import MOST_DOCUMENTS as MOST_CLOSE
    from filters.audit.close import Close, read_closely
    from filters.audit.floor import ROUNDS
    from filters.audit.found import Audited

    names = [name] if against is None else [other_of(workspace, name, against), name]
    for each in names:
        _refuse_few(workspace, each, count=count)
    tokenizer = tokenizer_of(workspace, name)
    sides = [
        draw(workspace, each, count=count, closely=MOST_CLOSE, seed=seed, tokenizer=tokenizer) for each in names
    ]  # fmt: skip
    columns = _joined(sides)
    checked = check(columns, seed=seed)
    texts = [text for side in sides for text in side.texts]
    closely = np.concatenate([side.closely for side in sides])
    close, topics, notes = read_closely(Close(texts, len(sides[0].texts), checked.units.codes[closely]), seed=seed)
    tables = dict(checked.tables) | ({"topic": topics} if topics else {})
    audited = sides[-1]
    return Audited(
        of=_side(audited),
        against=_side(sides[0]) if against is not None else None,
        seed=seed,
        rounds=ROUNDS,
        half=len(columns.old) // 2 if columns.new is None else min(len(columns.old) // 2, len(columns.new)),
        cut_by=checked.units.cut_by,
        numbers=tuple(worst_first([*checked.numbers, *close])),
        tables=tables,
        stored=(
            *_stored(workspace, audited),
            *_rules(workspace, audited, sides[0] if against is not None else None),
            *associated(columns),
        ),
        notes=(*(f"{side.name}: {side.sealed}" for side in sides if side.sealed), *checked.notes, *notes),
    )


def other_of(workspace: Workspace, name: str, against: str) -> str:
    """Return what a dataset is to be held against: what was named, or its result before this one."""
    folder, card = workspace.dataset(name)
    if against == PREVIOUS:
        earlier = [done for done in workspace.complete(card.kind, card.name) if done != folder]
        if not earlier:
            raise DataError(
                f"`{name}`: there is no version of it before {folder.name} in {workspace.root}. "
                "Leave out --against, or name another dataset."
            )
        return earlier[-1].name
    other, _ = workspace.dataset(against)
    if other == folder:
        versions = [done.name for done in workspace.complete(card.kind, card.name) if done != folder]
        known = f" Other versions: {listed_names(versions)}." if versions else ""
        raise RecipeError(f"--against {against}: that is {folder.name} itself. Name another dataset or version.{known}")
    return against


def _refuse_few(workspace: Workspace, name: str, *, count: int) -> None:
    """Raise DataError for a dataset, or a sample of it, that is too small to have a floor."""
    from filters.audit.floor import LEAST_HALF

    folder, card = workspace.dataset(name)
    if not card.rows_out:
        raise DataError(f"{why_empty(card)} There is nothing to audit; name a dataset that holds documents.")
    least, sealed = 2 * LEAST_HALF, num_closed(folder, closed_in(workspace, folder))
    if card.rows_out - sealed < least:
        beside = " that are not sealed for a gate's verdict" if sealed else ""
        raise DataError(
            f"`{name}` holds {max(card.rows_out - sealed, 0):,} documents{beside}; a noise floor needs {least}, two "
            f"halves of {LEAST_HALF}. "
            f"Audit a larger dataset, or read this one: tamis look {name}"
        )
    if count < least:
        raise RecipeError(f"--sample {count}: a noise floor needs {least} documents, two halves of {LEAST_HALF}.")


def tokenizer_of(workspace: Workspace, name: str) -> Tokenizer | None:
    """Return the tokenizer that an experiment froze for a dataset, if one did."""
    _, card = workspace.dataset(name)
    for tokens in reversed(workspace.complete("tokens", card.name)):
        parents = read_card(tokens).parents
        place = workspace.by_identity("tokenizer", parents.get("tokenizer", ""))
        if place is not None and card.identity in parents.values():
            from eval.proxies.tokenizer import Tokenizer

            return Tokenizer.load(place / "tokenizer.model")
    return None


def _joined(sides: list[Drawn]) -> Columns:
    from filters.audit.columns import Columns, Labels
    from filters.audit.measured import Measured

    first = len(sides[0].measured)
    total = sum(len(side.measured) for side in sides)
    shared = [name for name in sides[0].signals if all(name in side.signals for side in sides)]
    tokens = [side.tokens for side in sides if side.tokens is not None]
    return Columns(
        measured=Measured.joined([side.measured for side in sides]),
        old=np.arange(first),
        new=np.arange(first, total) if len(sides) > 1 else None,
        labels={label: Labels.joined([side.labels[label] for side in sides]) for label in sides[0].labels},
        signals={name: np.concatenate([side.signals[name] for side in sides]) for name in shared},
        tokens=np.concatenate(tokens) if tokens else None,
    )


def _side(drawn: Drawn) -> AuditedSide:
    from filters.audit.found import AuditedSide

    measured = drawn.measured
    return AuditedSide(
        name=drawn.name, folder=drawn.folder.name, documents=drawn.num_documents, read=len(measured),
        bytes_read=int(measured.num_bytes.sum()), words_read=int(measured.num_words.sum()),
    )  # fmt: skip


def _stored(workspace: Workspace, drawn: Drawn) -> Iterator[str]:
    """Tell what the chain found and dropped: contamination above all, which no sample of what is left can show."""
    cards = history_of(workspace, drawn.folder).values()
    looked = False
    for card in cards:
        for step in StoredDataset.from_card(card).steps:
            if step.step == "decontaminate":
                looked = True
                against = ", ".join(map(str, step.params.get("against", ())))
                yield f"{card.name}: {_dropped(card, step.label)} met evaluation text of {against} and were dropped."
            elif step.step in ("exact_dedup", "minhash_dedup", "pii", "language"):
                yield f"{card.name}: {step.label} dropped {_dropped(card, step.label)}."
    if not looked:
        yield "No step of its chain looked for evaluation sets: contamination is unknown. Add `decontaminate`."


def _dropped(card: Card, label: str) -> str:
    return f"{dropped_by(card, label):,} of {card.rows_in:,} documents"


def _rules(workspace: Workspace, drawn: Drawn, other: Drawn | None) -> Iterator[str]:
    """Tell which share of its documents every rule dropped, the largest first, beside what it dropped of another.

    Counts of all documents, so no sample's halves say how far they move by chance: these are told and never alarm.
    """
    cards = history_of(workspace, drawn.folder)
    before = {} if other is None else {card.name: card for card in history_of(workspace, other.folder).values()}
    told = [(number / card.rows_in, rule, card) for card in cards.values() for rule, number in card.dropped.items()]
    for share, rule, card in sorted(told, key=lambda each: (-each[0], each[1]))[:MOST_RULES]:
        earlier = before.get(card.name)
        was = ""
        if earlier is not None and earlier.rows_in:
            was = f" ({100 * earlier.dropped.get(rule, 0) / earlier.rows_in:.2f} % before)"
        yield f"{card.name}: {rule} dropped {100 * share:.2f} %{was}."
