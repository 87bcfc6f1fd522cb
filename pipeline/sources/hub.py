"""A dataset of the Hugging Face Hub, or a local folder in its layout, streamed as Arrow tables.

A Hub name needs a commit: a branch moves, and what moves cannot be named by content. A local folder is named by the
content of its files. Code that a dataset brings along is never run. Each shard of the dataset is one slice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from pipeline.core.errors import DataError, RecipeError, TamisError
from pipeline.core.identity import HashFile, hash_file
from pipeline.core.step import input_names
from pipeline.sources import Chunk, ColumnParams, Reader, Slice
from pipeline.sources.files import InputFile, name_content
from pipeline.sources.tables import TableChunker

BATCH_ROWS = 64


class HubParams(ColumnParams):
    """Which dataset, and which of its columns."""

    path: str = input_names(description="Dataset on the Hub (owner/name), or a local folder.", min_length=1)
    name: str | None = Field(default=None, description="Configuration of the dataset.")
    split: str = Field(default="train", description="Split to read.", min_length=1)
    revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$", description="Commit of a dataset on the Hub.")


class HubReader(Reader):
    """Reads datasets through the library `datasets`, streaming."""

    name: ClassVar[str] = "hf"
    version: ClassVar[int] = 2
    Params = HubParams

    def __init__(self, *, params: HubParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.params = params
        self.chunker = TableChunker(params=params, source=source)

    @property
    def _folder(self) -> Path | None:
        folder = Path(self.params.path).expanduser()
        return folder if folder.is_dir() else None

    def check(self) -> None:
        """Raise RecipeError unless the path is a folder or a Hub name with a commit; asks nobody over the network."""
        place = f"sources.{self.source}"
        if self._folder is not None:
            if self.params.revision is not None:
                raise RecipeError(
                    f"{place}.revision: {self.params.path} is a local folder and has none. Remove the line."
                )
            return
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.params.path) or self.params.path.startswith("."):
            raise RecipeError(
                f"{place}.path: {self.params.path} is neither a folder in {Path.cwd()} nor owner/name on the Hub."
            )
        if self.params.revision is None:
            raise RecipeError(
                f"{place}: {self.params.path} has no revision; a Hub dataset must name its commit (40 hex digits), "
                "or tomorrow's run reads something else. Its page lists them under Files, History."
            )

    def reads(self) -> set[str]:
        path = self.params.path if self._folder is None else str(self._folder.resolve())
        return {f"{self.params.split} of {path} {self.params.name}"}

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        folder = self._folder
        if folder is None:
            return {"hub": self.params.path, "revision": self.params.revision}
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
        return {
            "files": name_content([InputFile(path, path.relative_to(folder).as_posix()) for path in paths], hash_file)
        }

    def slices(self) -> list[Slice]:
        with _loading(self.params.path):
            shards = self._dataset().num_shards
        labels = [f"{self.params.split}-{index:05d}" for index in range(shards)]
        return [
            Slice(index=index, path=self.params.path, detail=(label, shards), label=f"{self.params.path} {label}")
            for index, label in enumerate(labels)
        ]

    def read(self, piece: Slice) -> Iterator[Chunk]:
        label, shards = piece.detail
        with _loading(piece.label):
            dataset = self._dataset().shard(num_shards=shards, index=piece.index).with_format("arrow")
            yield from self.chunker.chunks(self._batches(dataset, piece.label), label=label, first_row=0)

    def _dataset(self) -> Any:
        import datasets

        folder = self._folder
        path = self.params.path if folder is None else str(folder.resolve())
        return datasets.load_dataset(
            path, name=self.params.name, split=self.params.split, revision=self.params.revision, streaming=True
        )

    def _batches(self, dataset: Any, label: str) -> Iterator[pa.Table]:
        for number, table in enumerate(dataset.iter(batch_size=BATCH_ROWS)):
            if number == 0:
                problem = self.chunker.problem(table.schema)
                if problem:
                    raise DataError(f"{label}: {problem}")
            yield table.select(self.chunker.columns(table.schema))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@contextmanager
def _loading(label: str) -> Iterator[None]:
    """Turn what `datasets` raises, which does not always survive pickling, into a DataError."""
    try:
        yield
    except TamisError:
        raise
    except (pa.ArrowException, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{label}: cannot be read ({reason}). Check the name, the split and the connection.") from error
