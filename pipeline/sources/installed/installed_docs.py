"""The text that every machine with Python has: docstrings and documentation of the installed packages.

One document per docstring and per documentation file (.md, .rst, .txt, LICENSE, NOTICE, METADATA, README, COPYING) of
at least `min_chars` characters. Test suites are included: they are text as well. Tamis itself is not. Packages come
in name order, files in path order, so ids and order depend on what is installed and on nothing else. Source files
that this Python cannot parse, and files that are not UTF-8, are quarantined one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from blake3 import blake3
from pydantic import Field

from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.identity import HashFile, hash_file
from pipeline.sources.installed.docstrings import docstrings_of, without_collector
from pipeline.sources.installed.packages import InstalledFile, Package, installed_packages, kind_of, normalised
from pipeline.sources.reader import Chunk, Reader, ReaderParams, Slice
from pipeline.sources.rows import ChunkBuilder

OURSELVES = "tamis"
# Parsing makes 5 to 8 MB/s, so a slice is 2 to 3 s of work.
PIECE_BYTES = 16 * 2**20

Kind = Literal["docstring", "file"]


class InstalledDocsParams(ReaderParams):
    """Which packages and which of their text."""

    packages: tuple[str, ...] = Field(default=(), description="Only these distributions; none named means all.")
    exclude: tuple[str, ...] = Field(default=(), description="Not these distributions.")
    kinds: tuple[Kind, ...] = Field(
        default=("docstring", "file"), min_length=1, description="Docstrings, documentation files, or both."
    )
    min_chars: int = Field(default=200, ge=1, description="Shortest document, in characters.")


class InstalledDocsReader(Reader):
    """Reads what `pip` and Python itself have put on this machine."""

    name: ClassVar[str] = "installed_docs"
    version: ClassVar[int] = 1
    Params = InstalledDocsParams

    def __init__(self, *, params: InstalledDocsParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.params = params

    @cached_property
    def _installed(self) -> list[Package]:
        return [package for package in installed_packages() if package.name != OURSELVES]

    @cached_property
    def _packages(self) -> list[Package]:
        wanted = {normalised(name) for name in self.params.packages} or {package.name for package in self._installed}
        wanted -= {normalised(name) for name in self.params.exclude}
        return [package for package in self._installed if package.name in wanted]

    def check(self) -> None:
        """Raise RecipeError for a package that is not installed, and if none is left."""
        known = {package.name for package in self._installed}
        for key in ("packages", "exclude"):
            for name in getattr(self.params, key):
                if normalised(name) not in known:
                    place = f"sources.{self.source}.{key}"
                    raise RecipeError(f"{place}: {name} is not installed here. Nearest: {nearest_names(name, known)}.")
        if not self._packages:
            raise RecipeError(f"sources.{self.source}.exclude: leaves no package. Exclude fewer.")

    def reads(self) -> set[str]:
        return {f"{kind} of {package.name}" for package in self._packages for kind in self.params.kinds}

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        named = {}
        for package in self._packages:
            files = self._files(package)
            named[package.name] = [package.version, _fingerprint(files, package.root, hash_file), len(files)]
        return named

    def size_bytes(self) -> int:
        return sum(file.size_bytes for package in self._packages for file in self._files(package))

    def notes(self) -> list[str]:
        return [
            f"{package.name} is installed editable: only its metadata is read, its source lies elsewhere."
            for package in self._packages
            if package.editable
        ]

    def _files(self, package: Package) -> list[InstalledFile]:
        return [file for file in package.files if kind_of(file.path) in self.params.kinds]

    def slices(self) -> list[Slice]:
        slices: list[Slice] = []
        held: list[tuple[str, str, str, str]] = []
        size = 0
        for package in self._packages:
            for file in self._files(package):
                held.append((package.name, package.version, package.root, file.path))
                size += file.size_bytes
                if size >= PIECE_BYTES:
                    slices.append(_piece(len(slices), held))
                    held, size = [], 0
        return [*slices, _piece(len(slices), held)] if held else slices

    def read(self, piece: Slice, *, most: int | None = None) -> Iterator[Chunk]:
        rows = ChunkBuilder(
            source=self.source, origin=self.params.origin, max_document_bytes=self.params.max_document_bytes, most=most
        )
        for package, version, root, path in piece.detail:
            with without_collector():
                self._read_file(rows, package=package, version=version, root=root, path=path)
            if rows.full:
                yield rows.take()
            if rows.enough:
                break
        if rows.num_rows:
            yield rows.take()

    def _read_file(self, rows: ChunkBuilder, *, package: str, version: str, root: str, path: str) -> None:
        id = f"{package}/{path}"
        known = {"package": package, "version": version, "path": path}
        try:
            content = (Path(root) / path).read_bytes()
        except OSError as error:
            return rows.reject("unparsable", id=id, place=id, excerpt=f"cannot be read: {error.strerror}")
        if kind_of(path) == "file":
            return self._add_file(rows, content, id=id, known=known)
        try:
            docstrings = docstrings_of(content, min_chars=self.params.min_chars)
        except (SyntaxError, ValueError) as error:
            return rows.reject("unparsable", id=id, place=id, excerpt=f"cannot be parsed: {error}")
        for found in docstrings:
            metadata = {**known, "kind": "docstring", "qualname": found.qualname}
            rows.add(id=f"{id}:{found.qualname}", text=found.text, metadata=metadata, place=id)
        return None

    def _add_file(self, rows: ChunkBuilder, content: bytes, *, id: str, known: dict[str, str]) -> None:
        if len(content) < self.params.min_chars:
            return
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return rows.reject("invalid_utf8", id=id, place=id, excerpt=content[:1000])
        if len(text) >= self.params.min_chars:
            rows.add(id=id, text=text, metadata={**known, "kind": "file"}, place=id)


def _piece(index: int, files: list[tuple[str, str, str, str]]) -> Slice:
    first, last = files[0], files[-1]
    label = f"{first[0]} to {last[0]}" if first[0] != last[0] else f"{first[0]} from {first[3]}"
    return Slice(index=index, path=first[2], detail=tuple(files), label=label)


def _fingerprint(files: list[InstalledFile], root: str, hash_file: HashFile) -> str:
    """Hash paths, recorded hashes and the sizes found on the disk; where none is recorded, the content."""
    lines = [f"{file.path}\0{file.recorded or _content(file, root, hash_file)}\0{file.size_bytes}\n" for file in files]
    return blake3("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _content(file: InstalledFile, root: str, hash_file: HashFile) -> str:
    try:
        return hash_file(Path(root) / file.path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"  # as the run will find
