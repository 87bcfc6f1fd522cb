"""What a source read is known by content, with files and without."""

from __future__ import annotations

from pipeline.store.dataset.stored_source import StoredSource

FILES = {"files": [{"file": "a", "blake3": "1" * 64, "size": 3}, {"file": "b", "blake3": "2" * 64, "size": 0}]}


def test_files_are_known_by_their_labels_and_told_apart_by_content() -> None:
    source = StoredSource.from_payload({"reader": "jsonl", "inputs": FILES})

    assert source.hashes() == {"a": "1" * 64, "b": "2" * 64}
    assert source.contents() == {"1" * 64, "2" * 64}
    assert [file.file for file in source.files if not file.size] == ["b"]


def test_a_reader_without_files_is_told_apart_by_what_it_names() -> None:
    old, new = (StoredSource.from_payload({"reader": "docs", "inputs": {"numpy": each}}) for each in ("2.0", "2.1"))

    assert old.files == () and len(old.contents()) == 1
    assert old.contents() != new.contents()
