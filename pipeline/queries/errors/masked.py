"""Words of a document -> the same without addresses, numbers and keys that have a shape, as the step `pii` does."""

from __future__ import annotations


def mask(text: str) -> str:
    """Return a text with personal data that has a shape replaced."""
    from filters.privacy.pii import Pii
    from pipeline.core.text.batch import Batch

    found = Pii(params=Pii.Params()).measure(Batch.from_texts([text])).text
    cleaned = found[0].as_py() if found is not None else None
    return text if cleaned is None else str(cleaned)
