"""Which server was asked is part of a request's id, and nothing secret of its address is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.core.claude.server.endpoint import address_of, foreign_endpoint, shown
from pipeline.core.errors import RecipeError
from tests.pipeline.core.claude.asking import requests_for


@pytest.mark.parametrize("url", ["", "https://api.anthropic.com", "https://API.anthropic.com:443/"])
def test_anthropics_own_address_is_said_nowhere(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)

    assert foreign_endpoint() == "" and shown(foreign_endpoint()) == ""


def test_an_address_says_host_and_port_and_hides_the_rest() -> None:
    assert address_of("http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert address_of("http://[::1]:8000") == "http://[::1]:8000"
    with_secrets = address_of("https://user:word@gate.example/account-7/?key=1")
    assert with_secrets.startswith("https://gate.example/") and len(with_secrets) == len("https://gate.example/") + 8
    assert with_secrets != address_of("https://gate.example/account-8")
    assert shown("http://127.0.0.1:8000") == " at 127.0.0.1:8000 (not Anthropic's address)"


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "ftp://x", "http://x:y"])
def test_what_is_no_address_is_a_mistake_of_the_environment(url: str) -> None:
    with pytest.raises(RecipeError, match="ANTHROPIC_BASE_URL is not an address"):
        address_of(url)


def test_another_server_is_another_request_with_the_same_body() -> None:
    (request,) = requests_for(1)
    elsewhere = replace(request, endpoint="http://127.0.0.1:8000")

    assert elsewhere.id != request.id and elsewhere.body() == request.body()
