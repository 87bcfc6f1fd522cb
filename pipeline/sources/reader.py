"""What a source is: a reader that turns inputs into slices, and a slice into chunks of documents.

A slice is the unit of work and of resume, about 64 MiB of input wherever the format can be cut. Slices depend on the
inputs alone, never on the number of workers. A chunk holds at most about 64 MiB of text, so memory does not grow with
a file. What cannot become a document is quarantined with its place and reason and costs nobody else anything; a file
that cannot be read at all is a DataError that names it, after whatever was whole in it.

`check` answers before any work whether the recipe can be right (RecipeError); `inputs` names the inputs by content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import BeforeValidator, Field, WithJsonSchema

from pipeline.core.amounts import SIZED, SUFFIXED, count_of, size_of
from pipeline.core.document import Origin
from pipeline.core.files.parquet.in_place import InPlace
from pipeline.core.identity import HashFile, hash_file
from pipeline.core.strict_model import StrictModel

SLICE_BYTES = 64 * 2**20
CHUNK_BYTES = 64 * 2**20

Reason = Literal[
    "invalid_utf8", "lone_surrogate", "nul_character", "null_text", "empty_text", "too_large", "null_id", "long_id",
    "not_json", "not_object", "missing_text", "wrong_type", "duplicate_key", "too_deep", "unparsable",
    "extraction_timeout", "extraction_failed", "decodes_too_large", "too_many_rows",
]  # fmt: skip

_COUNT: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SUFFIXED}]}
_SIZE: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SIZED}]}
Documents = Annotated[int, BeforeValidator(count_of), Field(ge=1), WithJsonSchema(_COUNT)]
Bytes = Annotated[int, BeforeValidator(size_of), Field(ge=1), WithJsonSchema(_SIZE)]


class ReaderParams(StrictModel):
    """What every source accepts: frozen, strict, unknown keys refused."""

    origin: Origin = Field(default="human", description="Where these texts came from.")
    max_document_bytes: int = Field(
        default=10_000_000, ge=1, le=1_000_000_000,
        description="Longest text, in UTF-8 bytes, that is accepted; longer ones are quarantined as too_large.",
    )  # fmt: skip

    limit: int | None = Field(
        default=None, ge=1,
        description="Read only that many rows, the first in the order of the files; what follows is hashed, not read.",
    )  # fmt: skip
    sample: float = Field(
        default=1.0, gt=0, le=1,
        description="Keep only this share of the rows, drawn by the hash of each id: the same ones every time, and a "
        "larger share holds all of a smaller one. With `limit`, a share of these rows.",
    )  # fmt: skip

    max_documents: Documents | None = Field(
        default=None, description="Keep at most that many documents, the first in the order of the files, such as 2M."
    )
    max_bytes: Bytes | None = Field(
        default=None,
        description="Keep documents, the first in the order of the files, as long as their texts together have at most "
        "that many bytes of UTF-8, such as 2GB. With `sample`, both count what was drawn.",
    )  # fmt: skip

    @property
    def takes_all(self) -> bool:
        """Whether every row of the source is read and kept."""
        return not self.stops and self.sample == 1

    @property
    def stops(self) -> bool:
        """Whether reading ends somewhere, so that what is kept depends on the order of all files."""
        return self.limit is not None or self.is_capped

    @property
    def is_capped(self) -> bool:
        return self.max_documents is not None or self.max_bytes is not None


class ColumnParams(ReaderParams):
    """What sources with named columns accept besides."""

    text: str = Field(default="text", description="Column that holds the text.")
    id: str | None = Field(
        default=None, description="Column that holds the id; without it, <source>/<file>:<row from 0>."
    )
    metadata: Literal["all", "none"] | tuple[str, ...] = Field(
        default="all", description="Columns to keep as metadata: a list, all (but text and id), or none."
    )


@dataclass(frozen=True, slots=True)
class Slice:
    """A picklable unit of reading. `detail` means something to the reader that made it and to nobody else."""

    index: int
    path: str
    detail: tuple[Any, ...]
    label: str  # for progress and errors: 'crawl-003.parquet rows 0-9999'


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row that did not become a document. `excerpt` is valid UTF-8 of at most 200 characters, escaped."""

    id: str
    place: str
    reason: Reason
    excerpt: str
    after: int = 0  # documents of its chunk that stand before it


@dataclass(frozen=True, slots=True)
class Chunk:
    """Documents read together (schema: `pipeline.core.document.SCHEMA`) and the rows among them that were refused."""

    table: pa.Table  # without the text where that stays in place
    quarantined: tuple[Quarantined, ...]
    rows_in: int  # always table.num_rows + len(quarantined)
    text_in: InPlace | None = None  # its BLAKE3 is for the plan to fill in
    text: pa.ChunkedArray | None = None  # large_string, by row, where it stays in place and is little enough

    @property
    def documents(self) -> pa.Table | None:
        """Return the documents with their text; None where that was not held."""
        if self.text_in is None:
            return self.table
        return None if self.text is None else self.table.append_column("text", self.text)


class Reader:
    """One `read:` name of a recipe. Cheap to construct, also again in every worker."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # bump whenever an output or a default changes
    Params: ClassVar[type[ReaderParams]] = ReaderParams

    def __init__(self, *, params: ReaderParams, source: str, base: Path) -> None:
        """Take the parameters, the recipe's name for the source, and the recipe's folder.

        Relative paths mean what they mean in the shell that typed `tamis run`; `base` only helps an error to say that
        a path would have matched there.
        """
        self.source = source
        self.base = base

    def check(self) -> None:
        """Raise RecipeError if nothing can be read as the recipe says; cheap, before any work."""

    def reads(self) -> set[str]:
        """Return a name for each thing that is read; two sources that share one may share documents."""
        return set()

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        """Return plain values that name the inputs by content, for the identity."""
        raise NotImplementedError

    def locations(self) -> dict[str, Path]:
        """Return where files lie whose text may stay in place, by the labels that `inputs` gives them."""
        return {}

    def slices(self) -> list[Slice]:
        """Return the units of reading, in the order in which their documents stand in the dataset."""
        raise NotImplementedError

    def files_in(self, piece: Slice) -> tuple[str, ...]:
        """Return the labels of the files that decide, with the parameters, what a slice gives; none if others may."""
        return ()

    def may_break(self, piece: Slice) -> bool:
        """Say whether reading a slice may cost the process that does it, so that it is not this one's to do."""
        return False

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        """Yield one slice's documents in bounded chunks, of its first `most` rows where that is given.

        The same slice always gives the same chunks.
        """
        raise NotImplementedError

    def size_bytes(self) -> int:
        """Return what all that may be read takes, for a first guess at the number of rows; 0 if unknown."""
        return 0

    def names(self) -> list[str]:
        """Return the names that the first rows give their values, for an error on a wrong one; none if unknown."""
        return []

    def other_way(self) -> str:
        """Return how to read what the first file really is, for an error where no row is a document; "" if unknown."""
        return ""

    def notes(self) -> list[str]:
        """Return what the user should know about what is left out, one sentence each."""
        return []
