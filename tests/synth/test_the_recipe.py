"""`recipes/synthesize.yaml` at a twentieth of its size, with a model on the loopback: all that it names is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from synth.writing.questions import ANSWER
from tests.claude_requests import asked_schema
from tests.claude_server import Reply, claude_server
from tests.conftest import ROOT
from tests.pipeline.house import House
from tests.synth.writing.server import shown

LONG_WORD = re.compile(r"[A-Za-z_]{6,}")
QUESTION = "Which word of at least six letters comes first in the passage?"


def model(body: Mapping[str, Any]) -> Reply:
    """Turn the sentences of a document around, ask for its first long word, and know it with the document alone."""
    told = body["messages"][0]["content"]
    if not (body.get("output_config", {}).get("format") or body.get("tools")):  # a text is asked for
        return Reply(text=" ".join(re.split(r"(?<=[.])\s+", shown(body))[::-1]))
    if asked_schema(body) == ANSWER:
        words = LONG_WORD.findall(shown(body)) if "<document-" in told else []
        return Reply(text=json.dumps({"answer": words[0] if words else "I do not know"}))
    text = shown(body)
    quote = max(re.split(r"(?<=[.:])\s+", text), key=len)[:300]
    found = LONG_WORD.findall(text)
    answer = found[0] if found else ""
    return Reply(text=json.dumps({"quote": quote, "question": QUESTION, "answer": answer, "skill": "fact"}))


@pytest.mark.slow
def test_the_recipe_makes_what_it_names_and_buys_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = (ROOT / "recipes" / "synthesize.yaml").read_text(encoding="utf-8")
    recipe = recipe.replace("limit: 2000", "packages: [pyarrow], limit: 300")
    recipe = recipe.replace("documents: 5000", "documents: 300").replace("documents: 200", "documents: 10")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-loopback")
    house = House(tmp_path)
    house.write(recipe)

    with claude_server(default=model) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.run()
        asked = len(server.arrivals)
        house.run()
        again = len(server.arrivals) - asked

    assert house.card("tasks").rows_out == 300
    assert 5 <= house.card("rewritten").rows_out <= 10 and 1 <= house.card("questions").rows_out <= 10
    assert asked >= 25 and again == 0
