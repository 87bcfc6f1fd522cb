"""A stored dataset -> what of it anybody may read: where a gate of the workspace seals a part, only the other part.

What a verdict judges by stays fair only while nobody looks at it. For whoever reads documents of a dataset by its name:
`open_part_of` for who can read a part of it (`choose(folder, part=...)`), `refuse_sealed` for who reads all or nothing.
"""

from __future__ import annotations

from pipeline.core.errors import DataError
from pipeline.core.files.card import CARD, Card, read_card
from pipeline.plan.parts import Part, name_of_set
from pipeline.store.workspace import Workspace


def open_part_of(workspace: Workspace, name: str) -> Part | None:
    """Return the open part of a dataset, None where nothing seals any of it; DataError where no part is surely open.

    Of several that seal a part of any of its versions the largest share counts: a larger one seals all that a smaller
    one does, as the same texts draw alike. That ends where groups are told apart by different keys.
    """
    _, dataset = workspace.dataset(name)
    sealing = [card.payload for card in _tokens(workspace) if card.payload.get("part") and _is_of(card, dataset)]
    if not sealing:
        return None
    keys = {payload["group_by"] for payload in sealing}
    if len(keys) > 1:
        told = ", ".join(sorted(str(key) for key in keys))
        raise DataError(
            f"`{name}`: parts of it are sealed for gates that group documents by different keys ({told}), so none "
            "of it is open to all of them. Name another dataset."
        )
    return Part(dataset.name, share=max(payload["share"] for payload in sealing), group_by=keys.pop())


def refuse_sealed(workspace: Workspace, name: str) -> None:
    """Raise DataError where a gate of the workspace seals a part of a dataset."""
    part = open_part_of(workspace, name)
    if part is not None:
        raise DataError(
            f"`{name}`: {100 * part.share:g} % of its documents are sealed for a gate's verdict, and who reads them "
            "makes that verdict too kind. Name a dataset that is not held out for a gate."
        )


def _tokens(workspace: Workspace) -> list[Card]:
    return [read_card(path.parent) for path in sorted((workspace.root / "tokens").glob(f"*/{CARD}"))]


def _is_of(tokens: Card, dataset: Card) -> bool:
    """Say whether tokens are of a dataset or of another version of it."""
    return tokens.payload["dataset"] == dataset.identity or name_of_set(tokens.name) == dataset.name
