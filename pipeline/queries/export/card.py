"""What an export holds -> its README.md: a YAML head for the Hub, then what was counted and how it was made."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline import __version__
from pipeline.core.claude.prices import dollars
from pipeline.core.files.card import Card
from pipeline.queries.export.columns import LIST, MIXED, Column
from pipeline.queries.export.history import (
    certificate_section,
    lineage_section,
    mixture_section,
    plain,
    recipe_section,
)


@dataclass(frozen=True, slots=True)
class Given:
    """What one dataset gives to an exported mixture. Tokens include one BOS a document."""

    dataset: str
    asked: float  # share of the tokens, by the weights
    realised: float
    num_tokens: int
    documents: int
    epochs: float
    max_epochs: float
    capped: bool  # all that its epochs allow, so that the others give more than their weights
    cut_documents: int  # of the dataset, longer than one may be
    longest: int  # tokens that one may give
    written_tokens: int = 0  # by the tokenizer of a training run, with what separates documents


@dataclass(frozen=True, slots=True)
class TokensTold:
    """What the card tells of tokens in the files."""

    format: str
    dtype: str
    described: Mapping[str, Any]  # the vocabulary


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What the dataset card tells besides what the rows say themselves. Empty fields are left out."""

    name: str
    identity: str = ""
    is_mixture: bool = False
    promoted: str = ""
    rows_read: int = -1  # documents that the sources gave, before any step
    drops: Mapping[str, int] = field(default_factory=dict)  # "step.rule" -> documents, in the order of the steps
    quarantined: Mapping[str, int] = field(default_factory=dict)  # reason -> documents
    shares: Sequence[Given] = ()
    decontamination: str = ""
    teacher: str = ""
    gate: str = ""
    cost_usd: float = 0.0
    history: Sequence[Card] = ()  # of all that the documents come from, the sources first
    mixture: Card | None = None
    certificate: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Exported:
    """What lies in the folder now."""

    folder: str = ""
    name: str = ""
    rows: int = 0
    shards: int = 0
    size_bytes: int = 0
    text_bytes: int = 0
    by_source: dict[str, int] = field(default_factory=dict)  # no Counter: asdict of Python 3.11 makes nonsense of one
    by_origin: dict[str, int] = field(default_factory=dict)
    num_tokens: int = 0  # of a mixture, by its tokenizer
    shares: list[dict[str, Any]] = field(default_factory=list)
    promoted: str = ""
    gate: str = ""
    written_tokens: int = 0  # by the tokenizer of a training run, where tokens were written
    was_there: bool = False  # nothing was written


def dataset_card(
    info: DatasetInfo, done: Exported, *, schema: pa.Schema, columns: Sequence[Column] | None, files: str,
    beside: Mapping[str, str], tokens: TokensTold | None = None,
) -> str:  # fmt: skip
    """Return README.md."""
    facts = {
        "Identity": info.identity, "Registry": info.promoted, "Gate": info.gate,
        "Decontamination": info.decontamination, "Teacher": info.teacher, "Made by": f"Tamis {__version__}",
    }  # fmt: skip
    size = f", {done.num_tokens:,} tokens (one BOS a document included)" if info.is_mixture else ""
    by = " by the tokenizer of the mixture" if info.is_mixture and tokens is not None else ""
    sections = [
        _head(info, done, schema=schema, files=files),
        f"# {plain(info.name)}\n",
        f"{done.rows:,} documents{size}{by}, {done.text_bytes:,} bytes of text.\n",
        "\n".join(f"- {key}: {plain(value)}" for key, value in facts.items() if value)
        + f"\n- Paid requests: {dollars(info.cost_usd)}\n",
        _shares(info.shares, written=tokens is not None),
        "" if tokens is None else _tokens(tokens, done),
        _counts("Documents by source", "source", done.by_source),
        _counts("Documents by origin", "origin", done.by_origin),
        _counts(_dropped_title(info), "step.rule", info.drops, largest_first=False),
        _counts("Quarantined while reading", "reason", info.quarantined),
        lineage_section(info.history),
        recipe_section(info.history),
        mixture_section(info.mixture),
        certificate_section(info.certificate),
        _columns(schema, columns, is_mixture=info.is_mixture),
        "## Beside the documents\n\n" + "".join(f"- `{name}`: {about}\n" for name, about in beside.items()),
        "The licences of the texts are those of their sources; nobody has cleared them.\n",
    ]
    return "\n".join(section for section in sections if section)


def _head(info: DatasetInfo, done: Exported, *, schema: pa.Schema, files: str) -> str:
    features = "".join(f"  - name: {json.dumps(each.name)}\n    {_feature(each.type)}\n" for each in schema)
    return (
        f"---\npretty_name: {json.dumps(info.name)}\nlicense: unknown\nsize_categories:\n"
        f"- {_size_category(done.rows)}\ntask_categories:\n- text-generation\ntags:\n- tamis\n"
        f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {files}\n"
        f"dataset_info:\n  features:\n{features}  splits:\n  - name: train\n    num_bytes: {done.text_bytes}\n"
        f"    num_examples: {done.rows}\n  download_size: {done.size_bytes}\n  dataset_size: {done.text_bytes}\n---\n"
    )


_DTYPES = {"double": "float64"}  # where the Hub's word is not Arrow's


def _feature(kind: pa.DataType) -> str:
    word, inner = ("list", kind.value_type) if pa.types.is_list(kind) else ("dtype", kind)
    return f"{word}: {_DTYPES.get(str(inner), str(inner))}"


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


def _shares(shares: Sequence[Given], *, written: bool) -> str:
    if not shares:
        return ""
    names = ["dataset", "asked", "realised", "tokens", "documents", "epochs", "at most"]
    cells = [
        [
            plain(given.dataset), f"{given.asked:.4f}", f"{given.realised:.4f}", f"{given.num_tokens:,}",
            f"{given.documents:,}", f"{given.epochs:.3f}", f"{given.max_epochs:g}",
        ]
        for given in shares
    ]  # fmt: skip
    if written:
        total = max(sum(given.written_tokens for given in shares), 1)
        names += ["written tokens", "of all"]
        cells = [
            [*row, f"{given.written_tokens:,}", f"{given.written_tokens / total:.4f}"]
            for row, given in zip(cells, shares, strict=True)
        ]
    header = f"| {' | '.join(names)} |\n|---|{'---:|' * (len(names) - 1)}\n"
    rows = [f"| {' | '.join(row)} |\n" for row in cells]
    capped = [given.dataset for given in shares if given.capped]
    note = (
        f"\n{plain(', '.join(capped))} gave all that the most epochs allow; the others give what was left.\n"
        if any(abs(given.asked - given.realised) > 0.005 for given in shares if given.capped)
        else ""
    )
    cuts = "".join(
        f"\nDocuments of {plain(given.dataset)} that are longer than one may be (max_document_share) "
        f"end after {given.longest:,} tokens: {given.cut_documents:,}.\n"
        for given in shares
        if given.cut_documents
    )
    return f"## Shares of the mixture, in tokens\n\n{header}{''.join(rows)}{note}{cuts}"


def _tokens(told: TokensTold, done: Exported) -> str:
    """Return how many tokens there are, by which tokenizer, and how they are read."""
    said = told.described
    begins = "" if said["bos"] is None else f", begins with {plain(said['bos'][0])} ({said['bos'][1]})"
    facts = [
        f"{done.written_tokens:,} tokens in {done.rows:,} documents, {told.dtype}",
        f"Tokenizer: {said['library']}, vocabulary of {said['vocabulary']:,}, BLAKE3 {said['blake3']}",
        f"Every document ends with {plain(said['eos'][0])} ({said['eos'][1]}){begins}",
        "What looks like a special token in a text is ordinary text",
    ]
    read = _READ[told.format].replace("DTYPE", told.dtype)
    return "## Tokens\n\n" + "".join(f"- {fact}\n" for fact in facts) + f"\n```python\n{read}```\n"


_READ = {
    "numpy": """\
tokens = np.memmap("data/NAME.bin", dtype=np.DTYPE, mode="r")
offsets = np.load("data/NAME.offsets.npy")
document = tokens[offsets[0] : offsets[1]]
""",
    "megatron": """\
from megatron.core.datasets.indexed_dataset import IndexedDataset

document = IndexedDataset("data/NAME")[0]
""",
    "mds": """\
from streaming import StreamingDataset

document = StreamingDataset(local="data", shuffle=False, batch_size=1)[0]["tokens"]
""",
}
_ABOUT = {
    "tokens": "of the document in its shard, with what separates it from the next",
    "id": "of the document; unique only together with `dataset` and `epoch`",
    "text": "the document",
    "source": "where it was read from",
    "origin": "human, claude, open_model or procedural",
    "lineage": "JSON list of the documents and makers that the text came from",
    "metadata": "JSON object of what the source knew besides",
    "dataset": "which dataset of the mixture gave the document",
    "epoch": "0 where the document comes for the first time, 1 for the second, and so on",
    "num_tokens": "as the mixture counts them, one BOS included",
}


def _columns(schema: pa.Schema, columns: Sequence[Column] | None, *, is_mixture: bool) -> str:
    of_name = {column.name: column for column in columns or ()}
    lines = []
    for each in schema:
        column = of_name.get(each.name)
        about = _ABOUT.get(each.name, "") if column is None else _about(column)
        if each.name == "id" and not is_mixture:
            about = "of the document"
        lines.append(f"| {plain(each.name)} | {_type_name(each.type)} | {about} |\n")
    order = "The rows are in the order of the mixture: read from the first to the last.\n\n" if is_mixture else ""
    return f"## Columns\n\n{order}| column | type | |\n|---|---|---|\n{''.join(lines)}"


def _type_name(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _about(column: Column) -> str:
    renamed = f", key {plain(column.key)}" if column.key != column.name else ""
    mixed = (
        "; values of several types: words as they are, others as JSON" if column.kind in (MIXED, LIST + MIXED) else ""
    )
    return f"metadata{renamed}{mixed}"


def _dropped_title(info: DatasetInfo) -> str:
    read = f" of the {info.rows_read:,} that were read" if info.rows_read >= 0 else ""
    return f"Documents dropped{read}"


def _counts(title: str, key: str, counts: Mapping[str, int], *, largest_first: bool = True) -> str:
    if not counts:
        return ""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0])) if largest_first else counts.items()
    lines = [f"| {plain(name)} | {value:,} |\n" for name, value in rows]
    return f"## {title}\n\n| {key} | documents |\n|---|---:|\n" + "".join(lines)


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums by key, in the order in which the keys first come."""
    total: dict[str, int] = {}
    for each in counts:
        total |= {key: total.get(key, 0) + count for key, count in each.items()}
    return total


def exported_text(done: Exported, *, to: str) -> str:
    """Return what the command line says of an export."""
    tokens = f", tokens {done.written_tokens or done.num_tokens:,}" if done.shares or done.written_tokens else ""
    lines = [f"{to}: documents {done.rows:,}{tokens}, files {done.shards}"]
    if done.was_there:
        lines[0] += "; it was there already, byte for byte"
    for share in done.shares:
        capped = ", all that its epochs allow" if share["capped"] else ""
        written = ""
        if done.written_tokens:
            part = share["written_tokens"] / done.written_tokens
            written = f", {share['written_tokens']:,} of those written ({part:.1%})"
        lines.append(
            f"    {share['dataset']}: asked {share['asked']:.1%}, realised {share['realised']:.1%}, "
            f"{share['num_tokens']:,} tokens in {share['documents']:,} documents, {share['epochs']:.2f} epochs"
            f"{written}{capped}"
        )
    if done.shares:
        lines.append(f"{done.name}: {done.promoted}. {done.gate}".strip())
    return "\n".join(lines)
