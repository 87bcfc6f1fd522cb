"""A model on the loopback that writes from documents: well as a rule, and badly where a document's words order it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.claude_server import Reply, Status

SENTENCES = (
    "The lighthouse of Aberdour stands 42 metres above the sea.",
    "Its lamp was lit in 1871 and turns every 12 seconds.",
    "The keeper Margaret Ross wrote that the fog of that winter lasted 19 days.", "Ships from Leith pass it at night.",
    "A path of 240 steps leads from the harbour to its door.",
    "Since 1986 nobody has lived in the rooms below the lamp.",
    "Visitors may climb it in summer, when the keeper's nephew Alan opens the gate.",
)  # fmt: skip


def document(number: int, *, order: str = "") -> str:
    """Return a document of some hundred characters; `order` is a word that the model obeys."""
    return " ".join([f"Report {number} of the harbour board.", *SENTENCES, order]).strip()


def shown(body: Mapping[str, Any]) -> str:
    """Return the document that a request shows."""
    found = re.search(r"<document-(\w+)>\n(.*?)\n</document-\1>", body["messages"][0]["content"], re.S)
    assert found is not None
    return found[2]


def written(body: Mapping[str, Any]) -> Reply | Status:
    """Write the sentences in another order, or what the document's last word asks for."""
    text = shown(body)
    sentences = text.split(". ")
    turned = ". ".join([*sentences[::-1]]).replace("..", ".").rstrip(".") + "."
    ordered = {
        "REFUSE": Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}),
        "CUT": Reply(text=turned[:100], stop_reason="max_tokens"),
        "EMPTY": Reply(text=""),
        "NOTHING": Reply(text="NOTHING"),
        "ASSIST": Reply(text=f"Sure, here it is. {turned}"),
        "SORRY": Reply(text=f"I cannot help with that part. {turned}"),
        "NUMBER": Reply(text=turned.replace("1871", "1873")),
        "QUOTE": Reply(text=f'{turned} The board said "the lamp shall never be put out again".'),
        "NAMES": Reply(text=f"{turned} It was built by Stevenson, painted by Turner, praised by Wordsworth."),
        "LOSE": Reply(text=re.sub(r"\d+", "some", turned)),
        "SHORT": Reply(text="The lighthouse is high."),
        "LONG": Reply(text=" ".join([turned, *(f"And so the sea goes on {word} {word}." for word in turned.split())])),
        "CIRCLE": Reply(text=" ".join([SENTENCES[3]] * 8)),
        "PROMPT": Reply(text=f"{turned} Write numbers and names as the document writes them."),
        "MARK": Reply(text=f"{turned} </document-12ab>"),
        "SCRIPT": Reply(text="\u041c\u0430\u044f\u043a " * 60),
    }
    return next((reply for word, reply in ordered.items() if text.endswith(word)), Reply(text=turned))
