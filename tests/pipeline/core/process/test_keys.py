"""Keys stay with the process that asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.process.keys import MASK, VARIABLES, Mask, environment
from pipeline.engine.executors import Local
from pipeline.sources.pages.extractor import PageExtractor

KEY = "sk-ant-CANARY-0123456789"


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def own_environment(_: int) -> tuple[bytes, list[str]]:
    return environment_of(os.getpid()), [name for name in VARIABLES if name in os.environ]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_no_child_process_has_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, KEY)
    executor = Local(workers=2)
    try:
        found = executor.map(own_environment, range(4), label="look")
    finally:
        executor.close()

    assert all(KEY.encode() not in given and not names for given, names in found)
    assert os.environ["ANTHROPIC_API_KEY"] == KEY  # the process that asks keeps it


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_the_page_extractor_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resiliparse")
    for name in ("ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, KEY)
    with PageExtractor("resiliparse", max_seconds=5, max_memory_bytes=1 << 30) as extractor:
        extractor.extract(b"<p>words of a page</p>", charset="utf-8")
        assert extractor.child is not None
        given = environment_of(extractor.child.pid)

    assert b"PATH=" in given and KEY.encode() not in given


def test_a_child_gets_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    monkeypatch.setenv("OF_USE", "yes")

    seen = subprocess.run(
        [sys.executable, "-c", "import os; print(dict(os.environ))"], env=environment(), capture_output=True, check=True
    ).stdout.decode()

    assert "'OF_USE': 'yes'" in seen and KEY not in seen


def test_whatever_left_as_a_key_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-tenant: TENANT-SECRET\nx-short: abc")
    mask = Mask(base_url="https://user:pass%20word-1@host/v1?token=QUERY-SECRET")
    mask.learn({"authorization": "Bearer SESSION-SECRET", "x-api-key": KEY, "accept": "application/json"})

    text = f"{KEY} SESSION-SECRET TENANT-SECRET pass word-1 QUERY-SECRET abc application/json"

    assert mask.text(text) == f"{MASK} {MASK} {MASK} {MASK} {MASK} abc application/json"
    assert mask.body(b'{"a": ["SESSION\\u002dSECRET"]}') == b'{"a": ["[key masked]"]}'
    assert mask.body(b'{"a": "\\u00e9"}') == b'{"a": "\\u00e9"}'  # nothing to mask, nothing rewritten
