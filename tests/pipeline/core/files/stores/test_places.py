"""URLs as messages, reports and recipes that were found may show them."""

from __future__ import annotations

import pytest

from pipeline.core.files.stores.places import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("path: 'https://me:CANARY@a.org/b?sig=CANARY'", "path: 'https://a.org/b?...'"),
        ("{path: [s3://b/k.gz?X-Amz-Signature=CANARY, s3://b/c]}", "{path: [s3://b/k.gz?..., s3://b/c]}"),
        ("gs://b/part-?.gz?versionId=CANARY", "gs://b/part-?..."),
        ("s3://b/year=20??/month=0?/part-?.parquet", "s3://b/year=20??/month=0?/part-?.parquet"),
    ],
)
def test_secrets_of_addresses_are_cut_and_letters_of_globs_stay(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
