"""A finished dataset into the layout of the Hugging Face Hub: data/train-00000-of-000NN.parquet and a dataset card.

`datasets.load_dataset(FOLDER)` reads it without a network. The folder appears whole or not at all: everything is
written to a hidden neighbour, then renamed. An existing folder is replaced only if it is an export
itself, which its `tamis.json` says, holds nothing that no export writes, and only if asked.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError, ServiceError, mend_writing
from pipeline.core.shards import read_table, write_table, write_text

if TYPE_CHECKING:
    from pipeline.core.card import Card
    from pipeline.workspace import Workspace

MARKER = "tamis.json"
_WRITTEN = re.compile(r"tamis\.json|README\.md|data/train-\d{5,}-of-\d{5,}\.parquet")  # all that an export holds
# The Hub's viewer wants row groups of 100 to 300 MB, and a shard here is one row group.
SHARD_BYTES = 128 * 2**20

Part = Path | Callable[[], pa.Table]


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What the dataset card tells besides what the rows say themselves. Empty fields are left out."""

    name: str
    identity: str = ""
    recipe: str = ""  # name of the recipe
    rows_read: int = -1  # documents that the sources gave, before any step
    drops: Mapping[str, int] = field(default_factory=dict)  # "step.rule" -> documents, in the order of the steps
    quarantined: Mapping[str, int] = field(default_factory=dict)  # reason -> documents
    mixture: Mapping[str, float] = field(default_factory=dict)  # dataset -> realised share
    decontamination: str = ""
    teacher: str = ""
    gate: str = ""
    cost_usd: float = 0.0


@dataclass(slots=True)
class Exported:
    """What lies in the folder now."""

    folder: str = ""
    rows: int = 0
    shards: int = 0
    size_bytes: int = 0
    text_bytes: int = 0
    by_source: dict[str, int] = field(default_factory=dict)  # no Counter: asdict of Python 3.11 makes nonsense of one
    by_origin: dict[str, int] = field(default_factory=dict)


def export_dataset(
    parts: Iterable[Part],
    *,
    to: Path,
    info: DatasetInfo,
    max_shard_bytes: int = SHARD_BYTES,
    overwrite: bool = False,
) -> Exported:
    """Write the parts (documents tables, as paths or functions that load one) as one dataset at `to`.

    Raises RecipeError if `to` holds anything that may not be replaced.
    """
    to = to.absolute()
    _refuse_occupied(to, overwrite=overwrite)
    building = to.with_name(f".{to.name}.export")  # no process number: what a killed export left is cleared here
    try:
        shutil.rmtree(building, ignore_errors=True)
        (building / "data").mkdir(parents=True)
        done = _write_shards(_shards(parts, max_shard_bytes), building / "data")
        done.folder = str(to)
        write_text(building / "README.md", dataset_card(info, done))
        write_text(
            building / MARKER, json.dumps({"tamis": __version__, "info": asdict(info), "rows": done.rows}) + "\n"
        )
        _put_in_place(building, to)
    except OSError as error:
        raise ServiceError(f"{to}: cannot be written ({error.strerror or error}). {mend_writing(error)}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return done


def export_named(workspace: Workspace, name: str, *, to: Path, overwrite: bool = False) -> Exported:
    """Export the newest dataset of a workspace, with what its own card and its parents' cards tell about it."""
    from pipeline.core.card import read_card
    from pipeline.results import document_paths, why_empty

    folder, card = workspace.dataset(name)
    if not card.rows_out:
        raise DataError(f"{why_empty(card)} There is nothing to export; name a dataset that holds documents.")
    history = _history(workspace, folder)
    steps = {step["folder"]: step for parent in history.values() for step in parent.details.get("steps", ())}
    cards = {place: read_card(workspace.root / place) for place in steps}
    against = [each for step in steps.values() if step["step"] == "decontaminate" for each in step["params"]["against"]]
    teachers = [cards[place].details.get("teacher", "") for place, step in steps.items() if step["step"] == "label"]
    info = DatasetInfo(
        name=card.name,
        identity=card.identity,
        rows_read=sum(parent.rows_out for parent in history.values() if "base" not in parent.details),
        drops=_summed(parent.dropped for parent in history.values()),
        quarantined=_summed(parent.quarantined for parent in history.values()),
        decontamination=f"word overlap with {', '.join(dict.fromkeys(against))} removed" if against else "",
        teacher=", ".join(dict.fromkeys(teachers)),
        cost_usd=sum(each.cost_usd for each in (*history.values(), *cards.values())),
    )
    return export_dataset(document_paths(folder), to=to, info=info, overwrite=overwrite)


def _history(workspace: Workspace, folder: Path) -> dict[Path, Card]:
    """Return the cards of a dataset and of all that its documents come from, by folder, the sources first."""
    from pipeline.core.card import read_card

    card = read_card(folder)
    found: dict[Path, Card] = {}
    for parent in dict.fromkeys(workspace.root / Path(part["file"]).parent for part in card.details.get("base", ())):
        found |= _history(workspace, parent)
    return found | {folder: card}


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums by key, in the order in which the keys first come."""
    total: dict[str, int] = {}
    for each in counts:
        total |= {key: total.get(key, 0) + count for key, count in each.items()}
    return total


def _refuse_occupied(to: Path, *, overwrite: bool) -> None:
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    if not (to / MARKER).is_file():
        raise RecipeError(f"{to}: holds something that is not an export of Tamis. Name a new or empty folder.")
    if not overwrite:
        raise RecipeError(f"{to}: holds an earlier export. Name another folder, or give --overwrite to replace it.")
    foreign = min((path for path in to.rglob("*") if _is_foreign(path, to)), default=None)
    if foreign is not None:
        raise RecipeError(
            f"{foreign}: was not written by an export, and --overwrite would delete it with the earlier one in {to}. "
            "Move it away, or name another folder."
        )


def _is_foreign(path: Path, to: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink() or not _WRITTEN.fullmatch(path.relative_to(to).as_posix())
    return False


def _put_in_place(building: Path, to: Path) -> None:
    old = to.with_name(f".{to.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if to.exists():
        to.rename(old)
    building.rename(to)
    shutil.rmtree(old, ignore_errors=True)


def _shards(parts: Iterable[Part], max_bytes: int) -> Iterator[pa.Table]:
    """Yield tables of about `max_bytes`, in order; always one, so that an empty dataset has its columns."""
    held: list[pa.Table] = []
    size, shards = 0, 0
    for part in parts:
        table = _documents(part)
        rows = max(1, int(table.num_rows * min(1.0, max_bytes / max(table.nbytes, 1))))
        for start in range(0, table.num_rows, rows):
            piece = table.slice(start, rows)
            if held and size + piece.nbytes > max_bytes:
                yield pa.concat_tables(held)
                held, size, shards = [], 0, shards + 1
            held.append(piece)
            size += piece.nbytes
    if held or not shards:
        yield pa.concat_tables(held) if held else SCHEMA.empty_table()


def _documents(part: Part) -> pa.Table:
    table = read_table(part) if isinstance(part, Path) else part()
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        place = part if isinstance(part, Path) else "a part of the dataset"
        raise DataError(f"{place}: has no column {missing[0]!r}, so it is not a documents table.")
    return table.select(SCHEMA.names).cast(SCHEMA)


def _write_shards(shards: Iterator[pa.Table], folder: Path) -> Exported:
    done = Exported()
    written: list[Path] = []
    for table in shards:
        path = folder / f"{len(written):05d}.parquet"
        write_table(path, table)
        written.append(path)
        done.rows += table.num_rows
        done.size_bytes += path.stat().st_size
        done.text_bytes += pc.sum(pc.binary_length(table["text"])).as_py() or 0
        for counts, column in ((done.by_source, "source"), (done.by_origin, "origin")):
            for counted in pc.value_counts(table[column]).to_pylist():
                counts[counted["values"]] = counts.get(counted["values"], 0) + counted["counts"]
    done.shards = len(written)
    for index, path in enumerate(written):
        path.rename(folder / f"train-{index:05d}-of-{done.shards:05d}.parquet")
    return done


def dataset_card(info: DatasetInfo, done: Exported) -> str:
    """Return README.md: the YAML head that the Hub reads, then what was counted and how the dataset was made."""
    facts = {
        "Recipe": info.recipe, "Identity": info.identity, "Decontamination": info.decontamination,
        "Teacher": info.teacher, "Gate": info.gate, "Made by": f"Tamis {__version__}",
    }  # fmt: skip
    sections = [
        _head(info, done),
        f"# {_plain(info.name)}\n",
        f"{done.rows:,} documents, {done.text_bytes:,} bytes of text.\n",
        "\n".join(f"- {key}: {_plain(value)}" for key, value in facts.items() if value)
        + f"\n- Paid requests: {info.cost_usd:.2f} USD\n",
        _counts("Documents by source", "source", done.by_source),
        _counts("Documents by origin", "origin", done.by_origin),
        _counts("Realised shares of the mixture", "dataset", info.mixture),
        _counts(_dropped_title(info), "step.rule", info.drops, largest_first=False),
        _counts("Quarantined while reading", "reason", info.quarantined),
        "## Columns\n\n`id`, `text`, `source`, `origin` (human, claude, open_model or procedural), `lineage` (JSON\n"
        "list of the documents and makers that a text came from) and `metadata` (JSON object).\n\n"
        "The licences of the texts are those of their sources; nobody has cleared them.\n",
    ]
    return "\n".join(section for section in sections if section)


def _head(info: DatasetInfo, done: Exported) -> str:
    return (
        f"---\npretty_name: {json.dumps(info.name)}\nlicense: unknown\nsize_categories:\n"
        f"- {_size_category(done.rows)}\ntask_categories:\n- text-generation\ntags:\n- tamis\n"
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
    )


def _size_category(rows: int) -> str:
    steps = [
        (10**3, "1K"),
        (10**4, "10K"),
        (10**5, "100K"),
        (10**6, "1M"),
        (10**7, "10M"),
        (10**8, "100M"),
        (10**9, "1B"),
    ]
    if rows < steps[0][0]:
        return "n<1K"
    for (_, low), (bound, high) in itertools.pairwise(steps):
        if rows < bound:
            return f"{low}<n<{high}"
    return "n>1B"


def _dropped_title(info: DatasetInfo) -> str:
    read = f" of the {info.rows_read:,} that were read" if info.rows_read >= 0 else ""
    return f"Documents dropped{read}"


def _counts(
    title: str, key: str, counts: Mapping[str, int] | Mapping[str, float], *, largest_first: bool = True
) -> str:
    if not counts:
        return ""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0])) if largest_first else counts.items()
    unit = "share" if any(isinstance(value, float) for value in counts.values()) else "documents"
    lines = [f"| {_plain(name)} | {value:{'.4f' if unit == 'share' else ','}} |\n" for name, value in rows]
    return f"## {title}\n\n| {key} | {unit} |\n|---|---:|\n" + "".join(lines)


def _plain(text: str) -> str:
    """Return text that Markdown and HTML show as it stands, on one line."""
    line = " ".join(text.split())
    return "".join(
        f"&#{ord(letter)};" if letter in "<>&|`*_[]\\" else letter for letter in line if letter.isprintable()
    )
