"""An audited dataset -> its metadata as Croissant 1.1: files, fields, where it comes from, and what the audit found.

Where it comes from is told in PROV-O, as the specification (mlcommons.org/croissant/1.1) has it: the sources it was
derived from and the steps that made it. What the audit found stands in the RAI vocabulary. Licence, creator and address
are asked for and nothing here knows them, so they say that a person has to fill them in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.core.document import SCHEMA
from pipeline.core.files.card import Card
from pipeline.core.files.names import CARD
from pipeline.core.files.stores.stored import present
from pipeline.queries.export.history import percent
from pipeline.queries.export.target import history_of
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.results import DOCUMENTS_END, DOCUMENTS_START, document_paths, dropped_by
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from filters.audit.found import Audited

VERSION = "http://mlcommons.org/croissant/1.1"
FILL_IN = "to be filled in by a person"
RECORDS, FILES = "documents", "files"
_TERMS = {
    name: f"cr:{name}"
    for name in (
        "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty", "fileObject",
        "fileSet", "format", "includes", "isArray", "arrayShape", "isLiveDataset", "jsonPath", "key", "md5",
        "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
        "source", "subField", "transform",
    )
}  # fmt: skip
CONTEXT: Mapping[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "prov": "http://www.w3.org/ns/prov#", "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "name": {"@container": "@language"},
    "description": {"@container": "@language"}, **_TERMS,
}  # fmt: skip
_PATTERNS = [f"{start}*{DOCUMENTS_END}" for start in DOCUMENTS_START]
_ABOUT = {
    "id": "The document's id.", "text": "The document.", "source": "Where it was read from.",
    "origin": "human, claude, open_model or procedural.",
    "lineage": "JSON list of the documents and makers that the text came from.",
    "metadata": "JSON object of what the source knew besides.",
}  # fmt: skip


def croissant(workspace: Workspace, found: Audited) -> dict[str, Any]:
    """Return the metadata as plain JSON-LD. Reads every file of the dataset once, for its SHA-256."""
    folder, card = workspace.dataset(found.of.folder)
    history = history_of(workspace, folder)
    finished = datetime.fromtimestamp((folder / CARD).stat().st_mtime, UTC).date().isoformat()
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": card.name,
        "description": f"{found.of.documents:,} documents of text for pretraining, curated by Tamis {__version__}.",
        "version": f"0.0.0+{card.identity[:12]}",
        "identifier": card.identity,
        "license": f"unknown: the licences of the sources are {FILL_IN}",
        "url": f"urn:tamis:{folder.parent.name}:{folder.name}",
        "creator": {"@type": "Organization", "name": FILL_IN},
        "dateCreated": finished,
        "datePublished": finished,
        "inLanguage": [row.name for row in found.tables.get("language", ()) if row.share >= 0.001],
        "distribution": distribution(folder),
        "recordSet": [_records(several=len(document_paths(folder)) != 1)],
        **_provenance(history),
        **_responsible(found, history),
    }


def distribution(folder: Path) -> list[dict[str, Any]]:
    """Return the files of documents, and where there are several the set of them."""
    files = [
        {
            "@type": "cr:FileObject", "@id": path.name, "name": path.name, "contentUrl": path.name,
            "contentSize": f"{present(path).stat().st_size} B", "encodingFormat": "application/x-parquet",
            "sha256": _sha256(path),
        }
        for path in document_paths(folder)
    ]  # fmt: skip
    if len(files) == 1:
        return [files[0] | {"@id": FILES}]
    together = {
        "@type": "cr:FileSet", "@id": FILES, "name": FILES, "encodingFormat": "application/x-parquet",
        "includes": _PATTERNS,  # without `containedIn`: that would be an archive which the files are in
    }  # fmt: skip
    return [*files, together]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _records(*, several: bool) -> dict[str, Any]:
    place = "fileSet" if several else "fileObject"
    fields = [
        {
            "@type": "cr:Field", "@id": f"{RECORDS}/{column.name}", "name": column.name,
            "description": _ABOUT[column.name], "dataType": "sc:Text",
            "source": {place: {"@id": FILES}, "extract": {"column": column.name}},
        }
        for column in SCHEMA
    ]  # fmt: skip
    return {
        "@type": "cr:RecordSet", "@id": RECORDS, "name": RECORDS, "description": "One record for each document.",
        "key": {"@id": f"{RECORDS}/id"}, "field": fields,
    }  # fmt: skip


def _provenance(history: Mapping[Path, Card]) -> dict[str, Any]:
    """Tell what the dataset was derived from and which steps made it, in PROV-O."""
    agent = {"@type": "prov:SoftwareAgent", "@id": "urn:tamis", "prov:label": f"Tamis {__version__}"}
    sources = [
        {
            "@type": "prov:Entity", "@id": _urn(card),
            "prov:label": f"{card.kind} {card.name}: {card.rows_out:,} documents",
        }
        for card in history.values()
        if card.kind != "dataset"
    ]  # fmt: skip
    steps = [
        {
            "@type": "prov:Activity", "@id": f"{_urn(card)}:{step.label}", "prov:label": f"{card.name}.{step.label}",
            "description": said, "prov:wasAssociatedWith": {"@id": "urn:tamis"},
        }
        for card in history.values()
        for step, said in _steps(card)
    ]  # fmt: skip
    return {"prov:wasDerivedFrom": sources, "prov:wasGeneratedBy": steps, "prov:wasAttributedTo": agent}


def _urn(card: Card) -> str:
    return f"urn:tamis:{card.kind}:{card.name}-{card.identity[:12]}"


def _steps(card: Card) -> Iterator[tuple[Any, str]]:
    for step in StoredDataset.from_card(card).steps:
        dropped = dropped_by(card, step.label)
        settings = ", ".join(f"{key}={value}" for key, value in step.settings.items())
        yield step, f"{step.step}: {settings or 'no parameters'}; dropped {dropped:,} of {card.rows_in:,} documents"


def _responsible(found: Audited, history: Mapping[Path, Card]) -> dict[str, Any]:
    """Tell what the audit found in the RAI vocabulary."""
    sample = f"of {found.of.read:,} documents read" if found.of.read < found.of.documents else "of all documents"
    personal = [
        f"{percent(number.value, decimals=2)} {sample}: {number.name.removeprefix('documents ')}"
        for number in found.numbers
        if number.group == "personal data" and number.unit == "share" and number.value
    ]
    made = sum(row.share for row in found.tables.get("origin", ()) if row.name != "human")
    sources = [f"{card.kind} {card.name}" for card in history.values() if card.kind != "dataset"]
    moved = [f"{number.group}: {number.name} moved by {number.times:.1f} floors" for number in found.alarms]
    return {
        "rai:dataCollection": f"Read from {', '.join(sources)}.",
        "rai:dataPreprocessingProtocol": [said for card in history.values() for _, said in _steps(card)],
        "rai:personalSensitiveInformation": personal or ["None found by shape: addresses, numbers and keys."],
        "rai:dataBiases": [*found.stored, *moved],
        "rai:dataLimitations": [
            f"{percent(made, decimals=2)} {sample} are not by people, by their origin.",
            *found.notes,
        ],
        "rai:dataUseCases": [f"Pretraining of language models; what else it is fit for is {FILL_IN}."],
    }
