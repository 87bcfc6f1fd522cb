"""The held-out sets of a recipe -> what is scored of them: each whole, or an open part and one that only a gate opens.

What a search, an ablation or a reader has looked at is no fair judge any more. Where `gate.sealed` asks for it, a part
of each of the gate's sets is a set of its own, scored for a verdict and for nothing else; the rest goes by the set's
own name. Which group of near-duplicates is sealed depends on its text alone (`experiment/streams/encode.py`), so two
recipes that seal the same share seal the same documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.identity import identity_of
from pipeline.recipe.spec import Recipe, held_out_by

if TYPE_CHECKING:
    from pipeline.recipe.sections import GateSection

LEAST_PART_BYTES = 60_000  # a verdict wants 30 kB by default, and a token may hold less than is counted on
_SEALED = ".sealed"  # no recipe can name a dataset so


@dataclass(frozen=True, slots=True)
class Part:
    """What is scored under one name: a dataset, whole or the open or the sealed part of it."""

    dataset: str
    is_sealed: bool = False
    share: float = 0.0  # of the groups of documents that is sealed
    group_by: str | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """What tells the part from its dataset; nothing where it is whole."""
        if not self.share:
            return {}
        return {"part": "sealed" if self.is_sealed else "open", "share": self.share, "group_by": self.group_by}

    def limit_of(self, num_bytes: int) -> int:
        """Return how much of the text that is scored of a set falls to this part."""
        share = self.share if self.is_sealed else 1 - self.share
        return max(round(num_bytes * share), min(num_bytes, LEAST_PART_BYTES))

    def identity(self, documents: str) -> str:
        """Return what the part is called where scores are looked up, for its dataset's identity."""
        return identity_of({"documents": documents, **self.payload}) if self.share else documents


def parts_of(recipe: Recipe) -> dict[str, Part]:
    """Return every part that is scored by its name, in the order of the recipe."""
    gate, found = recipe.gate, dict[str, Part]()
    for name in held_out_by(recipe):
        keeper = gate if gate is not None and name in gate.on else recipe.trials
        share = keeper.sealed if keeper is not None and name in keeper.on else 0.0
        group_by = keeper.group_by if keeper is not None and share else None
        found[name] = Part(name, share=share, group_by=group_by)
        if gate is not None and keeper is gate and share and gate.verdict:
            found[judged_part(gate, name)] = Part(name, is_sealed=True, share=share, group_by=group_by)
    return found


def judged_part(gate: GateSection, name: str) -> str:
    """Return the name of what a gate judges by of one of its sets: without a verdict it opens nothing."""
    return f"{name}{_SEALED}" if gate.sealed and gate.verdict else name


def is_sealed(part: str) -> bool:
    """Say whether only a verdict may look at scores of this name."""
    return part.endswith(_SEALED)


def name_of_set(part: str) -> str:
    """Return the name of the set that a part is of."""
    return part.removesuffix(_SEALED)


def judged_by(gate: GateSection) -> Mapping[str, str]:
    """Return a gate's sets in the order of their names, each with the name of what is judged by."""
    return {name: judged_part(gate, name) for name in sorted(gate.on)}
