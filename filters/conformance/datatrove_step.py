"""`datatrove`: documents -> what one of datatrove's own filters or formatters says of them, or makes of them.

The class runs as datatrove wrote it, one document at a time and none depending on another, so each verdict is its and
each reason is kept. It is found by its class name in datatrove's own modules and nowhere else: a recipe names no
module path. What datatrove itself would download, it downloads; such files count by name, not by content. A filter in
Python takes its time: datatrove's own four FineWeb filters together made 0.27 MB/s on a core (tests/benchmarks).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.step import EditingStep, Measured, Quantile, Rule, Signal
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

MODULES = ("datatrove.pipeline.filters", "datatrove.pipeline.formatters")
# What has no verdict of its own per document, or needs what a recipe cannot hold.
REFUSED = {
    "LambdaFilter": "it takes Python code, which a recipe cannot hold; write a plugin step instead",
    "SamplerFilter": "its draws depend on the order of the documents; set the weight in `mixtures` instead",
}
OURS_TO_SET = ("exclusion_writer", "batch_size")  # dropped documents and batches are the engine's
WORD_PACKAGES = ("regex", "spacy")  # what datatrove cuts English words with
OF_THE_EXTRA = " of the extra [conformance]: pip install -e '.[conformance]'"


class DatatroveStep(EditingStep):  # formatters edit, and so do some filters, such as C4QualityFilter
    """Run one filter or formatter of datatrove."""

    name = "datatrove"
    foreign = True
    needs = ("metadata",)
    signals = (
        Signal("passed", pa.int64(), "0 or 1", "Whether the filter lets the document through; a formatter always."),
        Signal("reason", pa.string(), "", "The filter's reason against the document, if it gave one."),
        Signal("metadata", pa.string(), "", "JSON object of the metadata that the class set, null if none."),
    )

    class Params(BaseParams):
        step: str = Field(description="Class name in datatrove.pipeline.filters or datatrove.pipeline.formatters.")
        params: dict[str, JsonValue] = Field(
            default={}, validate_default=True, description="Its arguments, by datatrove's names."
        )
        version: str | None = Field(
            default=None,
            description="Version of datatrove that must be installed; null: whichever is. It counts as a measurement.",
        )

        @model_validator(mode="before")
        @classmethod
        def _name_the_version(cls, data: Any) -> Any:
            if not isinstance(data, dict) or data.get("version") is not None:
                return data
            return {**data, "version": metadata.version("datatrove")}

        @field_validator("version")
        @classmethod
        def _installed(cls, version: str) -> str:
            if version != (found := metadata.version("datatrove")):
                raise ValueError(f"it must be the installed version, {found}, or another must be installed")
            return version

        @field_validator("step")
        @classmethod
        def _known(cls, step: str) -> str:
            if find_spec("regex") is None:  # without it none of datatrove's filters can be imported
                raise ValueError(f"datatrove needs more for it: regex{OF_THE_EXTRA}")
            if step not in classes():
                raise ValueError(f"it must be a filter or formatter of datatrove's: {nearest_names(step, classes())}")
            if step in REFUSED:
                raise ValueError(f"it is not taken: {REFUSED[step]}")
            if missing := missing_packages(classes()[step]):
                raise ValueError(f"datatrove needs more for it: {missing}")
            return step

        @field_validator("params")
        @classmethod
        def _accepted(cls, params: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
            if step := info.data.get("step"):
                refuse_arguments(step, params)
            return params

    params: Params

    def identity_extras(self) -> dict[str, Any]:
        """Name the versions of what cuts words, where the class does."""
        return {name: metadata.version(name) for name in word_packages(classes()[self.params.step])}

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Make datatrove's object, with the word lists and models that it loads."""
        try:
            self.wrapped = classes()[self.params.step](**self.params.params)
        except (TypeError, ValueError, ImportError, re.error) as error:
            raise RecipeError(
                f"datatrove: {self.params.step} cannot be made of {json.dumps(self.params.params)}: {error}. "
                "Correct `params`."
            ) from error

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return one rule; which of the filter's own rules it was stands in `reason`."""
        return () if _formats(classes()[self.params.step]) else (Rule("refused", "passed", ">=", 1),)

    def measure(self, batch: Batch) -> Measured:
        from datatrove.data import Document

        known = [None] * len(batch) if batch.metadata is None else batch.metadata.to_pylist()
        passed, reasons, told, texts = [], [], [], []
        for id, text, fields in zip(batch.ids.to_pylist(), batch.strings(), known, strict=True):
            before = json.loads(fields) if fields else {}
            document = Document(text=text, id=id, metadata=dict(before))
            result, reason = self._answer(document)
            passed.append(int(bool(result)))
            reasons.append(None if reason is None else str(reason))
            set_now = {
                key: value for key, value in document.metadata.items() if key not in before or before[key] != value
            }
            told.append(json.dumps(set_now, sort_keys=True, default=str) if set_now else None)
            texts.append(document.text if document.text != text else None)
        signals = {"passed": pa.array(passed, pa.int64()), "reason": pa.array(reasons, pa.string())}
        signals["metadata"] = pa.array(told, pa.string())
        return Measured(signals=signals, text=pa.array(texts, pa.large_string()))

    def _answer(self, document: Any) -> tuple[Any, Any]:
        """Return datatrove's verdict and reason, and let it rewrite the document."""
        if not _formats(type(self.wrapped)):
            result = self.wrapped.filter(document)
            return result if isinstance(result, tuple) else (result, None)
        for part in vars(self.wrapped).values():
            if hasattr(part, "_replace_i"):
                part._replace_i = 0  # PIIFormatter's turn among its replacements: else it would depend on the order
        document.text = self.wrapped.format(document.text)
        return True, None


@cache
def classes() -> dict[str, Any]:
    """Return datatrove's own filters and formatters by class name."""
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.formatters.base import BaseFormatter

    found = {}
    for module in MODULES:
        for name, kind in vars(import_module(module)).items():
            own = inspect.isclass(kind) and kind.__module__.startswith(f"{module}.")
            if own and issubclass(kind, (BaseFilter, BaseFormatter)) and not inspect.isabstract(kind):
                found[name] = kind
    return found


def _formats(kind: Any) -> bool:
    return hasattr(kind, "format")


def missing_packages(kind: Any) -> str:
    """Return the command that installs what this class needs and this machine lacks, or nothing."""
    needs = [need for base in kind.mro() for need in getattr(base, "_requires_dependencies", None) or ()]
    pairs = {(need, need) if isinstance(need, str) else tuple(need) for need in needs}
    missing = sorted(package for module, package in pairs if find_spec(module) is None)
    if missing:
        return f"pip install {' '.join(missing)}"
    lacking = [name for name in word_packages(kind) if find_spec(name) is None]
    return f"{' and '.join(lacking)}{OF_THE_EXTRA}" if lacking else ""


def word_packages(kind: Any) -> tuple[str, ...]:
    """Return what the class cuts words with; nothing if it cuts none."""
    return WORD_PACKAGES if "language" in inspect.signature(kind).parameters else ()


def refuse_arguments(step: str, params: Mapping[str, Any]) -> None:
    """Raise ValueError for arguments that the class does not take, needs, or that would make it depend on order."""
    accepted = inspect.signature(classes()[step]).parameters
    names = [name for name in accepted if name not in OURS_TO_SET]
    unknown = next((name for name in params if name not in names), None)
    if unknown is not None:
        near = f"did you mean {nearest_names(unknown, names)}" if names else "it takes none"
        raise ValueError(f"{step} takes no `{unknown}` here: {near}")
    lacking = [name for name in names if accepted[name].default is inspect.Parameter.empty and name not in params]
    if lacking:
        raise ValueError(f"{step} also needs {', '.join(lacking)}")
    if step == "C4BadWordsFilter" and params.get("keep_fraction"):
        raise ValueError("keep_fraction must be 0: its draws depend on the order of the documents")
