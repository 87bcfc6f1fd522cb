"""Causes of findings, ranked by a loopback server that plays Claude: it orders what there is and adds nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Diagnosis, Finding
from pipeline.commands.doctor import causes_text
from pipeline.queries.proxies.causes import CAUSES, MOST_CAUSES, rank_causes, schema
from pipeline.store.workspace import Workspace
from tests.claude_server import Reply, claude_server

LANES = ("good/seed0/lr1", "good/seed1/lr1")
FOUND = Diagnosis(
    "web", LANES,
    (
        Finding(CHECKS["rate"], LANES[:1], 10.0, 1.25, "its first update was 10 times what its rate makes it"),
        Finding(CHECKS["logits"], LANES, 70.0, 60.0, "its largest logit is 70 before the cap of 15"),
    ),
)  # fmt: skip


def said(*causes: tuple[str, list[str], str]) -> Reply:
    return Reply(json.dumps({"causes": [{"cause": name, "explains": e, "why": why} for name, e, why in causes]}))


def test_causes_are_of_the_list_and_of_what_was_found_and_are_bought_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = said(
        ("rate_too_high", ["rate", "logits"], "Both grow with\nthe rate.\x1b[31m"),
        ("rate_too_high", ["rate"], "Again."),
        ("chance", [], "It explains nothing."), ("optimiser", ["rate"], "Perhaps."),
    )  # fmt: skip
    with claude_server(default=answer) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        first, again = (rank_causes(FOUND, Workspace(tmp_path)) for _ in range(2))
        asked = len(server.arrivals)

    assert [(cause.id, cause.explains) for cause in first.causes] == [
        ("rate_too_high", ("rate", "logits")),
        ("optimiser", ("rate",)),
    ]
    assert again == first
    assert asked == 1
    text = causes_text(first)
    assert "1. the learning rate is too high for this tier and batch (rate, logits)" in text
    assert "opinions, and no findings" in text
    assert "\x1b" not in text
    told = schema(FOUND.findings)["properties"]["causes"]["items"]["properties"]
    assert told["explains"]["items"]["enum"] == ["logits", "rate"]
    assert set(told["cause"]["enum"]) == set(CAUSES)
    assert len(first.causes) <= MOST_CAUSES


def test_an_answer_with_other_causes_or_findings_is_none_and_so_is_one_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in (said(("ghosts", ["rate"], "Boo.")), said(("leak", ["leak"], "New!")), Reply("It is the rate.")):
        with claude_server(default=answer) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
            ranking = rank_causes(FOUND, Workspace(tmp_path / answer.text[:20].strip('{}"')), backoff_seconds=0.01)
        assert ranking.causes == ()
        assert causes_text(ranking).startswith("Causes are not ranked: ")

    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert "ANTHROPIC_API_KEY is not set" in causes_text(rank_causes(FOUND, Workspace(tmp_path)))
    sound = Diagnosis("web", LANES, ())
    assert "nothing was found" in causes_text(rank_causes(sound, Workspace(tmp_path)))
