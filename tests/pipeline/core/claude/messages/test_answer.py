"""Raw answers to outcomes: whatever the bytes are, an outcome and never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.claude.messages.answer import mismatch, read_answer

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["grade", "tags"],
    "properties": {
        "grade": {"type": "integer", "enum": [0, 1, 2]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


def raw(text: str, *, stop_reason: str = "end_turn", before: tuple[dict[str, Any], ...] = ()) -> bytes:
    content = [*before, {"type": "text", "text": text}]
    return json.dumps({"type": "message", "content": content, "stop_reason": stop_reason}).encode()


@given(st.binary())
def test_any_bytes_have_an_outcome(body: bytes) -> None:
    assert read_answer(body, schema=SCHEMA).status == "invalid"


@given(st.text())
def test_any_text_has_an_outcome(text: str) -> None:
    assert read_answer(raw(text), schema=SCHEMA).status == "invalid"


def test_half_a_character_is_replaced_by_what_a_file_can_hold() -> None:
    message = {"type": "message", "stop_reason": "refusal", "stop_details": {"category": "\ud800"}, "content": []}

    assert read_answer(json.dumps(message).encode(), schema=None).reason == "?"
    assert read_answer(raw("a \udfff"), schema=None).text == "a ?"


def test_a_thinking_block_before_the_answer_is_skipped() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}

    reading = read_answer(raw('{"grade": 1, "tags": []}', before=(thinking,)), schema=SCHEMA)

    assert reading.status == "parsed" and reading.data == {"grade": 1, "tags": []}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"grade": 1, "tags": ["a"]}, ""),
        ({"grade": 3, "tags": []}, "answer.grade is '3', not one of [0, 1, 2]"),
        ({"grade": True, "tags": []}, "answer.grade is bool, not integer"),
        ({"grade": 1.0, "tags": []}, "answer.grade is float, not integer"),
        ({"grade": 1}, "answer lacks 'tags'"),
        ({"grade": 1, "tags": ["a", 2]}, "answer.tags[1] is int, not string"),
        ({"grade": 1, "tags": [], "more": 0}, "answer has the unknown key 'more'"),
        ([], "answer is list, not object"),
    ],
)
def test_a_mismatch_is_named_by_its_place(value: object, problem: str) -> None:
    assert mismatch(value, schema=SCHEMA) == problem
