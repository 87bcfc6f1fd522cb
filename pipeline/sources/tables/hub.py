"""A dataset of the Hugging Face Hub, or a local folder in its layout, streamed as Arrow tables.

A Hub name needs a commit: a branch moves, and what moves cannot be named by content. A local folder is named by the
content of its files, and nothing outside it is read: what its README says of data files may name no other place, every
file that `datasets` finds must be one of those, and the network is never asked. Links to files count by the content
that they lead to, links to folders are not followed. Code that a dataset brings along is never run. Each shard of the
dataset is one slice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import ruamel.yaml
from pydantic import Field

from pipeline.core.errors import DataError, RecipeError, TamisError
from pipeline.core.identity import HashFile, hash_file
from pipeline.core.step import input_names
from pipeline.sources.files import InputFile, name_content, nameable
from pipeline.sources.reader import Chunk, ColumnParams, Reader, Slice
from pipeline.sources.tables.chunker import TableChunker, first_of

BATCH_ROWS = 64
README, SETTINGS = "README.md", ".huggingface.yaml"  # of a folder; they say which of its files are data


class HubParams(ColumnParams):
    """Which dataset, and which of its columns."""

    path: str = input_names(description="Dataset on the Hub (owner/name), or a local folder.", min_length=1)
    name: str | None = Field(default=None, description="Configuration of the dataset.")
    split: str = Field(default="train", description="Split to read.", min_length=1)
    revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$", description="Commit of a dataset on the Hub.")


class HubReader(Reader):
    """Reads datasets through the library `datasets`, streaming."""

    name: ClassVar[str] = "hf"
    version: ClassVar[int] = 3
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
            with _loading(self.params.path):
                _refuse_outside(self._folder)
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
        files = [InputFile(path, path.relative_to(folder).as_posix()) for path in _files_in(folder)]
        return {"files": name_content(files, hash_file)}

    def size_bytes(self) -> int:
        return 0 if self._folder is None else sum(path.stat().st_size for path in _files_in(self._folder))

    def slices(self) -> list[Slice]:
        with _loading(self.params.path):
            shards = self._dataset().num_shards
        labels = [f"{self.params.split}-{index:05d}" for index in range(shards)]
        return [
            Slice(index=index, path=self.params.path, detail=(label, shards), label=f"{self.params.path} {label}")
            for index, label in enumerate(labels)
        ]

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        label, shards = piece.detail
        with _loading(piece.label):
            dataset = self._dataset().shard(num_shards=shards, index=piece.index).with_format("arrow")
            batches = first_of(self._batches(dataset, piece.label), most)
            yield from self.chunker.chunks(batches, label=label, first_row=0)

    def _dataset(self) -> Any:
        import datasets

        folder = self._folder
        if folder is None:
            return datasets.load_dataset(
                self.params.path, name=self.params.name, split=self.params.split, revision=self.params.revision,
                streaming=True,
            )  # fmt: skip
        _refuse_outside(folder)
        builder = datasets.load_dataset_builder(str(folder.resolve()), name=self.params.name)
        self._check_files(builder, folder)
        return builder.as_streaming_dataset(split=self.params.split)

    def _check_files(self, builder: Any, folder: Path) -> None:
        """Raise RecipeError for data files that are not of the folder, and for text, which would become lines."""
        found = [str(path) for paths in (builder.config.data_files or {}).values() for path in paths]
        known = {str(path) for path in _files_in(folder.resolve())}
        for path in found:
            if path not in known:
                raise RecipeError(
                    f"sources.{self.source}.path: {self.params.path} takes {path} as data, which is not a file of the "
                    "folder, or a hidden one, or lies behind a link to a folder. Copy it into the folder."
                )
        if type(builder).__module__.endswith("packaged_modules.text.text"):
            raise RecipeError(
                f"sources.{self.source}: the data files of {self.params.path} are text, of which `hf` makes a "
                "document of each line. Read them with `read: text`, a document of each file, and "
                f"path: {self.params.path.rstrip('/')}/**/*.txt."
            )

    def _batches(self, dataset: Any, label: str) -> Iterator[pa.Table]:
        for number, table in enumerate(dataset.iter(batch_size=BATCH_ROWS)):
            if number == 0:
                problem = self.chunker.problem(table.schema)
                if problem:
                    raise DataError(f"{label}: {problem}")
            yield table.select(self.chunker.columns(table.schema))


def _files_in(folder: Path) -> list[Path]:
    """Return the files of a folder that count as its content, in order: all but hidden ones."""
    named = (path for path in folder.rglob("*") if not _hidden(path.relative_to(folder)) or path == folder / SETTINGS)
    return nameable(sorted(path for path in named if path.is_file()), f"{folder}: ")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _refuse_outside(folder: Path) -> None:
    """Raise RecipeError if what a folder says of its data files names a place outside it."""
    for file, said in ((README, _front_matter(folder / README)), (SETTINGS, _text(folder / SETTINGS))):
        data = ruamel.yaml.YAML(typ="safe", pure=True).load(said)
        for pattern in _patterns(data.get("configs") if isinstance(data, dict) else None):
            parts = Path(pattern).parts
            if (
                "://" in pattern
                or "::" in pattern
                or pattern.startswith("~")
                or Path(pattern).is_absolute()
                or ".." in parts
            ):
                raise RecipeError(
                    f"{folder / file}: takes {pattern!r} as data; of a local folder only its own files are read. "
                    "Copy the data into the folder and name it by its path there."
                )


def _front_matter(path: Path) -> str:
    """Return the YAML between the two lines of dashes with which a README may begin."""
    said = _text(path).replace("\r\n", "\n")
    return said[4:].partition("\n---")[0] if said.startswith("---\n") else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig") if path.is_file() else ""


def _patterns(configs: Any) -> Iterator[str]:
    """Yield every word that stands under `data_files` or `data_dir`, however deep."""
    for config in configs if isinstance(configs, list) else []:
        if isinstance(config, dict):
            yield from _words([config.get("data_files"), config.get("data_dir")])


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _words(part)


@contextmanager
def _loading(label: str) -> Iterator[None]:
    """Turn what `datasets` raises, which does not always survive pickling, into a DataError."""
    try:
        yield
    except TamisError:
        raise
    except (
        pa.ArrowException, OSError, ValueError, RuntimeError, NotImplementedError, ruamel.yaml.error.YAMLError
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{label}: cannot be read ({reason}). Check the name, the split and the connection.") from error
