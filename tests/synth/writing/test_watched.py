"""A prompt whose texts collapse is used less, then no more, while others go on; where all collapse, buying ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from synth.code_tasks import CodeTasksParams
from synth.rephrase import RephraseParams
from synth.writing import watched
from tests.claude_server import Reply, claude_server
from tests.synth.diversity.real import one_template, paragraphs
from tests.synth.writing.room import made_details, room
from tests.synth.writing.server import shown

HEAD = (
    "---\nname: NAME\nversion: 1\npurpose: a test\nstop: never\nmin_ratio: 0.01\nmax_ratio: 9\nkeep_numbers: 0\n---\n"
)
TEMPLATES = [re.sub(r"[A-Z0-9]\w*", "someone", text) for text in one_template(900, seed=4)]


def turned(text: str) -> str:
    """Return a text with a word of its own after every third: no phrase of the text is left, and none is common."""
    words = text.split()
    return " ".join(
        word if at % 3 else f"{word} {words[at * 7 % len(words)]}" for at, word in enumerate(words)
    )  # fmt: skip


def model(body: Mapping[str, Any]) -> Reply:
    text = shown(body)
    if "COLLAPSE" in str(body["system"]):
        return Reply(text=TEMPLATES[sum(text.encode()) % len(TEMPLATES)])
    return Reply(text=turned(text))


def prompts(folder: Path, *names: str) -> list[str]:
    tasks = {"good": "Write it anew.", "bad": "COLLAPSE"}
    for name in names:
        (folder / f"{name}.md").write_text(f"{HEAD.replace('NAME', name)}{tasks[name]}\n")
    return [str(folder / f"{name}.md") for name in names]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> dict[str, Any]:
    """Have documents written by some prompts; return what the card tells."""
    monkeypatch.setattr(watched, "AT_FIRST", 100)
    texts = [text.replace('"', "") for text in paragraphs()]
    params = {"styles": [], "documents": 10_000, "min_chars": 50, "concurrency": 32}
    with claude_server(default=model) as server:
        house = room(folder, server, monkeypatch, texts, prompts=prompts(folder, *names), **params)
        house.run()
    return made_details(house)


def test_buying_ends_where_every_prompt_has_collapsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    details = made(tmp_path, monkeypatch, "bad")

    group = details["diversity"]["groups"]["prompt"]["bad"]
    assert group["weight"] == 0 and {"self_repetition", "compression"} <= set(group["course"][0]["left"])
    clusters = details["diversity"]["groups"]["seed cluster"]
    assert sum(each["rows"] for each in clusters.values()) == details["kept"] and len(clusters) == 6
    assert details["short"] == "every prompt has left the band of real text" and details["asked"] <= 600


@pytest.mark.slow  # 800 answers of a server
def test_a_prompt_that_collapses_is_used_less_while_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = made(tmp_path, monkeypatch, "good", "bad")

    kept = {name: counts.get("kept", 0) for name, counts in details["by_style"].items()}
    groups = details["diversity"]["groups"]["prompt"]
    assert groups["good"]["weight"] == 1 and groups["bad"]["weight"] <= 0.25 and kept["bad"] < 0.75 * kept["good"]
    assert details["short"] == "there are no more documents to write from"


def test_only_what_is_watched_can_be_told_not_to_be() -> None:
    assert not RephraseParams(watch_diversity=False).watch_diversity
    with pytest.raises(ValidationError, match="watch_diversity"):
        CodeTasksParams(watch_diversity=False)
