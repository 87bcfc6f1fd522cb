"""A recipe that asks Claude, from the plan to the card: whose answers they are, and what they cost in all."""

from __future__ import annotations

import pytest

from tests.claude_server import claude_server
from tests.pipeline.house import House, texts


@pytest.fixture(autouse=True)
def a_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_labels_of_another_server_are_labelled_anew_by_claude(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.lines("docs.jsonl", texts(6))
    house.clean(["label: {teacher: claude}"])
    with claude_server() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        house.run()
        assert house.plan().to_build == []

    monkeypatch.delenv("ANTHROPIC_BASE_URL")

    label, dataset = house.plan().to_build
    assert (label.name, dataset.name) == ("label", "clean")
    assert label.reason.startswith("because extras ")
