"""A result that is not there + the earlier ones like it -> why it is to be built, in the words of the recipe.

A step is compared with its own past: what stood under the same label of the same dataset. Two recipes that share a
workspace would otherwise be told apart by each other's thresholds. Of several, the newest that differs least is named;
values before hashes, as `50 -> 21` can be acted on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from pipeline.core.files.card import read_card
from pipeline.recipe.spec import StepSpec
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.workspace import Workspace

_HASHES = re.compile(" [0-9a-f]{8} -> [0-9a-f]{8}$")  # as `_short` writes them
_NAMED = {"mixtures": "mixture ", "held_out": "held-out set "}  # of a comparison: identities by name
_PER_LANE = ("lane", "score")
_ABSENT = object()
MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Home:
    """Where a result stands in a recipe: its dataset, its label (none: the dataset itself), the steps up to there."""

    dataset: str
    label: str | None
    steps: Sequence[StepSpec]  # to this one, itself too
    anew: Sequence[str]  # labels of those before it that are to be built

    @property
    def rewriting(self) -> list[str]:
        """The labels of earlier steps that are built anew and edit text."""
        return [item.label for item in self.steps if item.label in self.anew and item.step.edits]

    def default(self, place: str) -> Any:
        """Return the default of the parameter that a place of the payload names; absent if it names none."""
        *before, key = place.split(".")
        label = self.label if before == ["params"] else before[-2] if before[1:] and before[-1] == "decides" else None
        for item in self.steps:
            if item.label == label and key in type(item.step.params).model_fields:
                value = type(item.step.params).model_fields[key].get_default(call_default_factory=True)
                return _ABSENT if value is PydanticUndefined else value
        return _ABSENT


def why_build(
    workspace: Workspace, kind: str, name: str, payload: Mapping[str, Any], *, remade: Sequence[str],
    home: Home | None = None, parents: Mapping[str, str],
) -> str:  # fmt: skip
    """Say what differs from the newest earlier result of the same place that differs least; `new` without one."""
    earlier = _earlier(workspace, kind, name, payload, home)
    if not earlier:
        return "new"
    cards = [read_card(folder) for folder in reversed(earlier)]
    found = [_differences(card.payload, payload, home=home) for card in cards]
    if kind == "tokenizer":
        found = [
            _of_sample(changes, card.parents.keys(), parents.keys()) for changes, card in zip(found, cards, strict=True)
        ]
    changes = min(found, key=len)
    told = [change for change in changes if not _HASHES.search(change)]
    if not told and remade:
        return f"because {', '.join(remade)} {'is' if len(remade) == 1 else 'are'} built anew"
    if not told and kind in _PER_LANE:
        return "new"  # others like it are of other mixtures
    told = told or _of_steps(changes, home)
    return (
        "because "
        + "; ".join(told[:MOST_TOLD])
        + (f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else "")
    )


def _of_sample(changes: list[str], before: Set[str], now: Set[str]) -> list[str]:
    """Name the datasets that joined or left those that a tokenizer learns; their identities tell nobody anything."""
    told = [*_came_and_went(before, now), *(change for change in changes if not change.startswith("sample"))]
    return told or changes


def _came_and_went(before: Set[str], now: Set[str], what: str = "") -> list[str]:
    came = [f"{what}`{name}` was put in" for name in sorted(now - before)]
    return came + [f"{what}`{name}` was taken out" for name in sorted(before - now)]


def _earlier(workspace: Workspace, kind: str, name: str, payload: Mapping[str, Any], home: Home | None) -> list[Path]:
    """Return the complete results to compare with, the newest last."""
    found = workspace.complete(kind, name)
    if home is None or home.label is None or not found:
        return found
    mine = {
        step.folder
        for folder in workspace.complete("dataset", home.dataset)
        for step in StoredDataset.from_card(read_card(folder)).steps
        if step.label == home.label
    }
    if mine:
        return [folder for folder in found if f"{kind}/{folder.name}" in mine]
    same = payload["text"]  # nothing was published yet: what read the same text is of this dataset, or as good
    return [folder for folder in found if read_card(folder).payload.get("text") == same]


def _of_steps(changes: list[str], home: Home | None) -> list[str]:
    """Say in words what only hashes tell: other text, or other signals of earlier steps."""
    if home is None:
        return changes
    if any(change.startswith("text ") for change in changes):
        steps = home.rewriting
        return [
            f"{_listed(steps)} rewrite{'s' if len(steps) == 1 else ''} other text" if steps else "its text is other"
        ]
    if home.anew and all(".signals " in change for change in changes):
        return [f"{_listed(home.anew)} {'is' if len(home.anew) == 1 else 'are'} built anew"]
    return changes


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _differences(old: Any, new: Any, place: str = "", *, home: Home | None) -> list[str]:
    if place == "weights":
        return _of_weights(old, new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        named = place in _NAMED
        came = _came_and_went(old.keys(), new.keys(), _NAMED[place]) if named else []
        return came + [
            text
            for key in sorted(old.keys() & new.keys() if named else {*old, *new}, key=str)
            for text in _differences(
                old.get(key, _ABSENT), new.get(key, _ABSENT), f"{place}.{key}" if place else str(key), home=home
            )
        ]
    if isinstance(old, list) and isinstance(new, list):
        if all(isinstance(item, Mapping) and "step" in item for item in (*old, *new)):
            return _different_steps(old, new, place, home=home)
        if place == "inputs.files" and (told := _different_files(old, new)):
            return [told]
        if len(old) == len(new):
            return [
                text
                for index, (a, b) in enumerate(zip(old, new, strict=True))
                for text in _differences(a, b, f"{place}.{index}", home=home)
            ]
    if old != new and place == "extras.endpoint":
        return [f"ANTHROPIC_BASE_URL names another server: {_server(old)} -> {_server(new)}"]
    return [] if old == new else [f"{place} {_short(old, place, home)} -> {_short(new, place, home)}"]


def _server(endpoint: Any) -> str:
    return endpoint if isinstance(endpoint, str) and endpoint else "Anthropic's"


def _of_weights(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say what differs between two mixtures, which hold of each dataset the identity of its tokens and its share."""
    told = _came_and_went(old.keys(), new.keys())
    for name in sorted(old.keys() & new.keys()):
        (before, was), (now, share) = old[name], new[name]
        if not math.isclose(was, share):
            told.append(f"the weight of `{name}` {was:.4g} -> {share:.4g}")
        elif before != now:
            told.append(f"{name} {before[:8]} -> {now[:8]}")
    return told


def _different_steps(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], place: str, *, home: Home | None
) -> list[str]:
    before, after = {item["step"]: item for item in old}, {item["step"]: item for item in new}
    both = [label for label in after if label in before]
    return [
        *(f"`{label}` was put in" for label in after if label not in before),
        *(f"`{label}` was taken out" for label in before if label not in after),
        *(["steps stand in another order"] if [label for label in before if label in after] != both else []),
        *(t for label in both for t in _differences(before[label], after[label], f"{place}.{label}", home=home)),
    ]


def _different_files(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> str:
    """Say which input files changed, came or went, by label: hashes and sizes tell nobody what to do."""
    before, after = {item["file"]: item for item in old}, {item["file"]: item for item in new}
    kinds = {
        "changed": [label for label in after if label in before and after[label] != before[label]],
        "new": [label for label in after if label not in before],
        "gone": [label for label in before if label not in after],
    }
    labels = [_plain_label(label) for found in kinds.values() for label in found]
    counted = [(len(found), kind) for kind, found in kinds.items() if found]
    if len(labels) < 2:
        return "".join(f"input {labels[0]} {'' if kind == 'changed' else 'is '}{kind}" for _, kind in counted)
    parts = [f"{n:,} {kind if kind == 'changed' else f'is {kind}' if n == 1 else f'are {kind}'}" for n, kind in counted]
    parts[0] = parts[0].replace(" ", " input " if counted[0][0] == 1 else " inputs ", 1)
    return f"{', '.join(parts)}: {', '.join(labels[:MOST_TOLD])}{', ...' if len(labels) > MOST_TOLD else ''}"


def _plain_label(label: str) -> str:
    return label if len(label) <= 40 else "..." + label[-37:]  # files of one folder differ at the end


def _short(value: Any, place: str, home: Home | None) -> str:
    if value is _ABSENT and home is not None:
        value = home.default(place)
    text = _plain(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _plain(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "none"
    if isinstance(value, str):
        return value[:8] if len(value) == 64 else value
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
