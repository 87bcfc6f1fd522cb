"""What an answer says: the raw bytes of a Messages response become one of five outcomes.

Pure and total: whatever the bytes are, the result is an outcome with a reason, never an exception, because these
bytes are paid for. Native structured output does not free us from checking: a refusal or a full `max_tokens` breaks
the schema, and servers other than Anthropic's may ignore it. Runs again on every replay, so a better reader reads
old answers better at no cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pipeline.core.claude.messages.request import TOOL, Way

Status = Literal["parsed", "invalid", "refused", "truncated", "errored"]

CUT = ("max_tokens", "model_context_window_exceeded")
MOST_OBJECTS = 200  # looked for in one answer


@dataclass(frozen=True, slots=True)
class Reading:
    """What one raw answer turned out to say. `data` is set if and only if a schema was asked for and met."""

    status: Status
    text: str = ""
    data: Mapping[str, Any] | None = None
    reason: str = ""


def read_answer(raw: bytes, *, schema: Mapping[str, Any] | None, way: Way = "schema") -> Reading:
    """Read the body of one successful response against the schema that was asked for, if any, in that way."""
    message = _message_of(raw)
    if message is None:
        return Reading("invalid", reason="the body is not a message object")
    text = writable("".join(_text_blocks(message.get("content"))))
    by_tool = schema is not None and way == "tool"
    called = writable(_tool_input(message.get("content"))) if by_tool else ""
    text = called or text
    stop = message.get("stop_reason")
    if stop == "refusal":
        return Reading("refused", text=text, reason=_refusal_category(message))
    if stop in CUT:
        return Reading("truncated", text=text, reason=str(stop))
    if schema is None:
        return Reading("parsed", text=text) if text else Reading("invalid", reason="the answer has no text")
    if by_tool and not called:
        return _invalid(text, "the tool was not called once")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _among_words(text, schema=schema) if way == "prompt" else _invalid(text, f"not JSON: {error}")
    problem = mismatch(data, schema=schema)
    return _invalid(text, problem) if problem else Reading("parsed", text=text, data=data)


def _invalid(text: str, reason: str) -> Reading:
    return Reading("invalid", text=text, reason=reason)


def _among_words(text: str, *, schema: Mapping[str, Any]) -> Reading:
    """Read the one object that meets the schema among words, such as a code fence.

    Two that differ are no answer: one of them may be quoted from what was to be judged.
    """
    fitting: list[Any] = []
    for found in islice(_objects(text), MOST_OBJECTS):
        if not mismatch(found, schema=schema) and found not in fitting:
            fitting.append(found)
    if len(fitting) == 1:
        return Reading("parsed", text=text, data=fitting[0])
    return _invalid(text, "several objects that meet the schema" if fitting else "no object that meets the schema")


def _objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects that stand in a text, none of those inside another; gives up after many false starts."""
    decoder, start = json.JSONDecoder(), text.find("{")
    for _ in range(2 * MOST_OBJECTS):
        if start < 0:
            return
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield found
        start = text.find("{", end)


def usage_of(raw: bytes) -> dict[str, Any]:
    """Return the `usage` object of a raw answer, empty if it has none."""
    message = _message_of(raw)
    usage = message.get("usage") if message is not None else None
    return dict(usage) if isinstance(usage, dict) else {}


def _message_of(raw: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and message.get("type") == "message" else None


def _text_blocks(content: object) -> list[str]:
    """Return the text of all text blocks; thinking blocks may come first and are not part of the answer."""
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return [text for text in texts if isinstance(text, str)]


def _tool_input(content: object) -> str:
    """Return the input of the one call of the tool that is the answer, as JSON; empty without one."""
    blocks = content if isinstance(content, list) else []
    calls = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use"]
    inputs = [call.get("input") for call in calls if call.get("name") == TOOL]
    return json.dumps(inputs[0], ensure_ascii=False) if len(inputs) == 1 else ""


def _refusal_category(message: Mapping[str, Any]) -> str:
    details = message.get("stop_details")
    category = details.get("category") if isinstance(details, dict) else None
    return writable(category)[:100] if isinstance(category, str) else "no category"


def writable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: JSON's "\ud800" is half a character, which no file takes."""
    return text.encode("utf-8", "replace").decode()


JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "null": (type(None),),
    "object": (dict,), "array": (list,),
}  # fmt: skip


def mismatch(value: object, *, schema: Mapping[str, Any], place: str = "answer") -> str:
    """Return why `value` does not meet the schema (type, enum, properties, required, items), or an empty string."""
    kind = schema.get("type")
    if isinstance(kind, str):
        # JSON's true is not a number, though Python's is.
        fits = isinstance(value, JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        if not fits:
            return f"{place} is {type(value).__name__}, not {kind}"
    if "enum" in schema and not any(value == allowed and type(value) is type(allowed) for allowed in schema["enum"]):
        return f"{place} is {str(value)[:80]!r}, not one of {schema['enum']}"
    if isinstance(value, dict):
        return _object_mismatch(value, schema=schema, place=place)
    if isinstance(value, list) and "items" in schema:
        places = ((f"{place}[{index}]", item) for index, item in enumerate(value))
        return next(filter(None, (mismatch(item, schema=schema["items"], place=where) for where, item in places)), "")
    return ""


def _object_mismatch(value: Mapping[str, Any], *, schema: Mapping[str, Any], place: str) -> str:
    properties = schema.get("properties", {})
    for key in schema.get("required", []):
        if key not in value:
            return f"{place} lacks {key!r}"
    for key, item in value.items():
        if key in properties:
            problem = mismatch(item, schema=properties[key], place=f"{place}.{key}")
            if problem:
                return problem
        elif schema.get("additionalProperties") is False:
            return f"{place} has the unknown key {key[:80]!r}"
    return ""
