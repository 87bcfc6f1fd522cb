"""A model on the loopback that writes from documents: well as a rule, and badly where a document's words order it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from synth.writing.questions import ANSWER
from tests.claude_requests import asked_schema
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


def asked(body: Mapping[str, Any]) -> Reply | Status:
    """Write a question about a document, answer one from it, or guess; badly where the document's last word says so."""
    told = body["messages"][0]["content"]
    if asked_schema(body) != ANSWER:
        return _question(shown(body))
    if "<document-" not in told and "steps" in told:
        return Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"})
    if "<document-" not in told:
        return Reply(text=json.dumps({"answer": "Leith" if "port" in told else "I do not know"}))
    answers = {"How high": "42 Metres.", "How many steps": "240", "Who": "the keeper Margaret Ross", "port": "Leith"}
    wrong = shown(body).endswith("MISREAD")
    said = next((answer for words, answer in answers.items() if words in told.rsplit("marks: ", 1)[-1]), "nothing")
    return Reply(text=json.dumps({"answer": "7 metres" if wrong else said}))


def _question(text: str) -> Reply | Status:
    height = {"quote": SENTENCES[0], "question": "How high does the lighthouse of Aberdour stand above the sea?",
              "answer": "42 metres", "skill": "fact"}  # fmt: skip
    ordered: dict[str, Mapping[str, str] | Reply] = {
        "REFUSE": Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}),
        "PROSE": Reply(text="I would ask how high it is."),
        "CUT": Reply(text='{"quote": "The light', stop_reason="max_tokens"),
        "NOTHING": height | {"question": ""},
        "QUOTE": height | {"quote": "The lighthouse of Aberdour stands 42 metres above the town."},
        "AWAY": height | {"question": "Does the lighthouse of Aberdour stand 42 metres above the sea?"},
        "ELSEWHERE": height | {"answer": "43 metres"},
        "ENDLESS": height | {"answer": " ".join(["very"] * 13)},
        "KNOWN": {"quote": SENTENCES[3], "question": "From which port do ships pass it at night?", "answer": "Leith",
                  "skill": "fact"},
        "MUTE": {"quote": SENTENCES[4], "question": "How many steps lead to its door?", "answer": "240",
                 "skill": "fact"},
        "PERSON": {"quote": SENTENCES[2], "question": "Who wrote about the fog?", "answer": "keeper Margaret Ross",
                   "skill": "fact"},
    }  # fmt: skip
    found = next((what for word, what in ordered.items() if text.endswith(word)), height)
    return found if isinstance(found, Reply) else Reply(text=json.dumps(found))
