"""What the loopback server reads from the body of a request: how it asks for JSON, and what of it is to be kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

QUESTION = "Is fresh snow white?"  # of the self-test
WORDS = "It meets this JSON schema:\n"


def is_test(body: Mapping[str, Any]) -> bool:
    """Say whether a request is one of the self-test's."""
    first = body["messages"][0]
    return isinstance(first, Mapping) and first["content"] == QUESTION


def plain(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is sent without marks, which change no answer."""
    system = body.get("system", "")
    return {**body, "system": system if isinstance(system, str) else "".join(block["text"] for block in system)}


def mark_of(body: Mapping[str, Any]) -> str:
    """Return how long the beginning of a request is to be kept; empty: it is not marked."""
    system = body.get("system", "")
    marks = [] if isinstance(system, str) else [block["cache_control"] for block in system if "cache_control" in block]
    return marks[-1].get("ttl", "5m") if marks else ""


def prefix_key(body: Mapping[str, Any], *, among: str) -> str:
    """Return the hash of what comes before the mark, by model; batches have a cache of their own."""
    return hashlib.sha256(
        json.dumps([among, body["model"], body.get("tools"), plain(body)["system"]]).encode()
    ).hexdigest()


def fingerprint(body: Mapping[str, Any]) -> str:
    """Return the hash that the bill is kept by."""
    return hashlib.sha256(json.dumps(plain(body), sort_keys=True).encode()).hexdigest()


def asked_by(body: Mapping[str, Any]) -> str:
    """Return how a request asks for JSON; `text` where it does not."""
    if "format" in body.get("output_config", {}):
        return "schema"
    return "tool" if body.get("tools") else "prompt" if WORDS in plain(body)["system"] else "text"


def asked_schema(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the JSON that a request asks for."""
    found: Any = {"type": "string"}
    if asked_by(body) == "schema":
        found = body["output_config"]["format"]["schema"]
    elif asked_by(body) == "tool":
        found = body["tools"][0]["input_schema"]
    elif asked_by(body) == "prompt":
        found = json.loads(body["system"].partition(WORDS)[2])
    return found if isinstance(found, Mapping) else {}
