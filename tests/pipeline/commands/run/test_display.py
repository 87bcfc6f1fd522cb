"""Progress: one plain line where there is no terminal, a live bar where there is one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from pipeline.commands.run import display
from pipeline.commands.run.display import Terminal

SCRIPT = """
import time
from pipeline.commands.run.display import Terminal
with Terminal() as progress:
    progress.begin("read crawl", total=4, unit="slices")
    for _ in range(4):
        time.sleep(0.3)
        progress.advance(1, documents=250)
    progress.end()
"""


def test_elsewhere_a_line_tells_rows_speed_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)

    with Terminal() as progress:
        progress.begin("measure", total=2000, unit="documents")
        progress.advance(500)
        progress.end()

    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("measure: 500 of 2,000 documents, ")
    assert "documents/s, about " in first and first.endswith(" s left")
    assert last.startswith("measure: 500 documents in ")


def test_a_notice_is_said_once_when_work_begins(capsys):
    with Terminal(notice=lambda: "kernels are compiled") as progress:
        assert capsys.readouterr().err == ""
        progress.begin("measure", total=1, unit="documents")
        progress.begin("publish", total=1, unit="documents")

    assert capsys.readouterr().err == "kernels are compiled\n"


def test_elsewhere_work_that_reports_nothing_is_told_of_as_well(capsys, monkeypatch):
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LOOKS", 0.01)

    with Terminal() as progress:
        progress.begin("minhash_dedup", total=2000, unit="documents")
        told = ""
        while "minhash_dedup: 0 of 2,000 documents, " not in told:  # or the test's time is up
            time.sleep(0.01)
            told += capsys.readouterr().err


def test_elsewhere_nothing_is_said_within_half_a_minute(capsys):
    with Terminal() as progress:
        progress.begin("measure", total=2000, unit="documents")
        progress.advance(500)

        assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_with_documents_per_second():
    reader, writer = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4]), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=writer, env=environment)
    os.close(writer)
    seen = b""
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk

    assert process.wait(timeout=250) == 0
    text = seen.decode()
    assert "read crawl" in text and "/4" in text and "documents/s" in text
    assert "read crawl: 1,000 documents in" in text
