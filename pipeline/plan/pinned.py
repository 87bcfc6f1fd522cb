"""A dataset that grows, and what it was before -> its classifier as it was trained then, and whether it still fits.

Grades are paid for and a threshold that moves from night to night makes nights unlike, so tonight's documents are
scored by the classifier of an earlier night, at the threshold that counted then. The recipe has it trained anew by
saying something else of `label` or `quality`, or by other content of a file that these name, such as a rubric or
grades; so does a share of dropped documents beyond `max_drift` of `quality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.stores.places import is_url
from pipeline.core.identity import HashFile, hash_file, identity_of
from pipeline.core.step import Params
from pipeline.recipe.names import outside
from pipeline.recipe.spec import DatasetSpec, StepSpec, input_names_of
from pipeline.sources.files import input_file
from pipeline.store.dataset.stored_dataset import ALARMS, StoredDataset, StoredStep
from pipeline.store.results import is_documents, removed_by_step
from pipeline.store.workspace import Workspace

TEACHER, CLASSIFIER = "label", "quality"  # steps: the first grades for the second, right behind it


def with_pinned(steps: Sequence[StepSpec], pin: StepSpec) -> tuple[StepSpec, ...]:
    """Return the steps with the classifier as it was trained, and without the grades that it learnt."""
    place = [item.label for item in steps].index(pin.label)
    return (*steps[: place - 1], pin, *steps[place + 1 :])


def pinned_of(
    workspace: Workspace, spec: DatasetSpec, grown: Sequence[Path], *, hash_file: HashFile = hash_file
) -> StepSpec | None:
    """Return the dataset's classifier as the newest earlier night trained it by this recipe; None if none did."""
    found = [number for number, item in enumerate(spec.steps) if item.step.name == CLASSIFIER]
    if len(found) != 1 or found[0] == 0 or spec.steps[found[0] - 1].step.name != TEACHER:
        return None
    teacher, item = spec.steps[found[0] - 1], spec.steps[found[0]]
    params: Any = item.step.params
    if params.pinned:
        return None
    for folder in reversed(grown):
        stored = StoredDataset.from_card(read_card(folder))
        steps = {step.label: step for step in stored.steps}
        if not (_same(steps.get(teacher.label), teacher) and _same(steps.get(item.label), item)):
            continue
        if not all(_reads_the_same(workspace, steps[each.label], each, hash_file) for each in (teacher, item)):
            continue
        result = workspace.root / steps[item.label].folder
        files = [file.file for file in _card(result).files if not is_documents(file.file)]
        rules = stored.rules_of(item.label)
        update = {
            "pinned": tuple(str(result / name) for name in files), "keep": None, "keep_fraction": None,
            "min_score": rules[0].threshold if rules else None, "max_drift": 1.0,
        }  # fmt: skip
        return replace(item, step=type(item.step)(params=params.model_copy(update=update)))
    return None


def _card(folder: Path) -> Card:
    try:
        return read_card(folder)
    except DataError as error:
        raise DataError(f"{error} It is the classifier of what was promoted: or run without --new-only.") from error


def _same(stored: StoredStep | None, item: StepSpec) -> bool:
    """Say whether a stored step had the parameters that the recipe gives now, all that changes a result."""
    now = item.step.params.model_dump(mode="json")
    return stored is not None and all(
        item.step.params.role_of(key) in ("alarm", "how") or key in ALARMS or stored.params.get(key) == value
        for key, value in now.items()
    )


def _reads_the_same(workspace: Workspace, stored: StoredStep, item: StepSpec, hash_file: HashFile) -> bool:
    """Say whether a stored step had the files, the packaged rubric and the plugin's code that it would have now."""
    payload = _card(workspace.root / stored.folder).payload
    for key, names in input_names_of(item.step.params).items():
        files = [input_file(name) for name in names if is_url(name) or Path(name).is_file()]
        if files and payload.get("inputs", {}).get(key) != [identity_of([f.name, hash_file(f)]) for f in files]:
            return False
    plugin = outside(item.step.name)
    rubric = item.step.identity_extras().get("rubric")
    return bool(
        payload.get("extras", {}).get("rubric") == rubric
        and payload.get("plugin") == (None if plugin is None else plugin.identity)
    )


def drift_of(spec: DatasetSpec, folder: Path, *, earlier: Sequence[Path]) -> str:
    """Say by how much a dataset's classifier drops another share than in earlier nights, if that is beyond `max_drift`.

    A step that never rings, as by default, has no drift.
    """
    item = next(item for item in spec.steps if item.step.name == CLASSIFIER)
    alarms: Params = item.step.params
    shares = [share for each in earlier if (share := _share(read_card(each), item.label)) is not None]
    now = _share(read_card(folder), item.label)
    if alarms.max_drift >= 1 or now is None or not shares:
        return ""
    if max(min(shares) - now, now - max(shares)) <= alarms.max_drift:
        return ""
    return f"{item.label} dropped {now:.1%}, and {min(shares):.1%} to {max(shares):.1%} in earlier nights"


def _share(card: Card, label: str) -> float | None:
    """Return the share of documents that a step dropped of those that reached it; None if none did."""
    return next((lost / reached for step, lost, reached in removed_by_step(card) if step == label), None)
