"""A diagnosis -> the causes that may be behind its findings, ranked by Claude; the findings stay as they are.

Causes stand in a fixed list, and an answer can only put some of them in order and say which of the findings each would
explain. Nothing that it says is a finding. The same diagnosis asks the same, so its ranking is bought once. What it
reads are names and numbers of the experiment, between marks, and no document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from eval.doctor.findings import Diagnosis, Finding
from pipeline.core.claude.messages.request import Buyer, Request
from pipeline.core.errors import TamisError
from pipeline.core.shown import one_line, shown
from pipeline.queries.errors.fenced import CARE, between, mark_for
from pipeline.queries.errors.settings import PROPOSER
from pipeline.store.workspace import Workspace

CAUSES: Mapping[str, str] = {
    "rate_too_high": "the learning rate is too high for this tier and batch",
    "rate_too_low": "the learning rate is too low for as many tokens",
    "batch": "the batch is too large or too small for as many tokens",
    "optimiser": "the optimiser does not do what is meant: epsilon, decay, or parameters that it does not hold",
    "precision": "numbers overflow or lose their digits in the precision that was used",
    "model_code": "the model or the loss is wrong: mask, targets, a detached tensor",
    "checkpoint": "a training went on from a state that was not its own, or stopped early",
    "draw": "rows were drawn by another seed, mixture or plan than is meant",
    "encoding": "text was encoded by another tokenizer than fits it, or cut off",
    "repetition": "a text is repeated, in itself or by its weight",
    "leak": "held-out text is in what is trained on",
    "machine": "machines, precisions or loads differ between the proxies that are compared",
    "input_wait": "text is read too slowly, so proxies wait for it",
    "chance": "chance: one proxy of several that differ by seed alone was unlucky",
    "too_short": "the training is too short to show what is looked for",
}
MOST_CAUSES = 5
MOST_WHY = 300  # characters
MOST_FINDINGS = 60  # that are told, the worst first
ANSWER_TOKENS = 3_000
MAX_USD = 0.5
NO_FINDINGS = "nothing was found, so there is nothing to explain"
NO_KEY = "ANTHROPIC_API_KEY is not set, and neither is ANTHROPIC_BASE_URL; asking Claude needs one of them"

SYSTEM = """You help to find out why the training of small language models went wrong. The user's message holds findings
of a diagnosis, as JSON between two marks. {care}

Put up to {most} of the causes below in order, the likeliest first, and name for each the checks whose findings it would
explain. A cause that explains several findings is likelier than several that explain one each. Leave out what the
findings do not point to. Say in one sentence why. You find nothing yourself: the findings are what there is.

{causes}"""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause with its place, what it would explain, and why it is thought of; the last in a model's words."""

    id: str
    meaning: str
    explains: tuple[str, ...]  # ids of checks that found something
    why: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """Causes, the likeliest first; or why there are none."""

    causes: tuple[Cause, ...] = ()
    by: str = ""
    why_none: str = ""
    cost_usd: float = 0.0


def rank_causes(
    found: Diagnosis, workspace: Workspace, *, model: str = PROPOSER, max_usd: float = MAX_USD,
    backoff_seconds: float = 1.0,
) -> Ranking:  # fmt: skip
    """Ask for the causes of what was found; whatever goes wrong is said, and the findings stand without them."""
    from pipeline.core.claude.client import ClaudeClient
    from pipeline.core.claude.server.connection import check_credentials

    if not found.findings:
        return Ranking(why_none=NO_FINDINGS)
    try:
        check_credentials()
    except TamisError:
        return Ranking(why_none=NO_KEY)
    try:
        client = ClaudeClient(
            workspace.ledger, max_usd=max_usd, workers=1, buyer=Buyer(found.name, "doctor"),
            backoff_seconds=backoff_seconds,
        )  # fmt: skip
        with closing(client):
            (answer,) = client.ask(client.fitted([request_of(found, model=model)]))
    except TamisError as error:
        return Ranking(by=model, why_none=str(error))
    if answer.data is None:
        return Ranking((), model, f"the answer of {model} is none ({answer.reason})", answer.cost_usd)
    causes = _read(answer.data["causes"], found.findings)
    return Ranking(causes, model, "" if causes else f"{model} named no cause", answer.cost_usd)


def request_of(found: Diagnosis, *, model: str) -> Request:
    """Return what is asked of a diagnosis."""
    told = json.dumps(_told(found), ensure_ascii=True, indent=1)
    causes = "\n".join(f"{name}: {meaning}" for name, meaning in CAUSES.items())
    return Request(
        model=model, system=SYSTEM.format(care=CARE, most=MOST_CAUSES, causes=causes),
        prompt=between("findings", told, mark=mark_for([told])), schema=schema(found.findings),
        max_tokens=ANSWER_TOKENS, purpose="doctor",
    )  # fmt: skip


def schema(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the JSON schema of an answer: causes of the list, and checks that found something."""
    checks = sorted({found.id for found in findings})
    cause = {
        "why": {"type": "string"},
        "cause": {"type": "string", "enum": list(CAUSES)},
        "explains": {"type": "array", "items": {"type": "string", "enum": checks}},
    }
    item = {"type": "object", "additionalProperties": False, "required": list(cause), "properties": cause}
    return {
        "type": "object", "additionalProperties": False, "required": ["causes"],
        "properties": {"causes": {"type": "array", "items": item}},
    }  # fmt: skip


def _told(found: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as it is asked about; findings of one check stand together."""
    groups = []
    for _, same in groupby(found.findings[:MOST_FINDINGS], key=lambda one: one.id):
        group = list(same)
        check = group[0].check
        groups.append(
            {
                "check": check.id, "level": check.level, "asks": check.asks, "means": check.meaning,
                "lanes": sorted({lane for one in group for lane in one.lanes}),
                "said": [{"sentence": one.sentence, "value": one.value, "limit": one.limit} for one in group],
            }
        )  # fmt: skip
    unchecked = {one.check.id: one.why for one in found.unchecked}
    return {"proxies": len(found.lanes), "findings": groups, "could_not_be_checked": unchecked}


def _read(told: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Return the causes of an answer, each once; one that explains none of the findings is left out."""
    known = {found.id for found in findings}
    causes: dict[str, Cause] = {}
    for each in told:
        name = str(each["cause"])
        explains = tuple(dict.fromkeys(str(check) for check in each["explains"] if check in known))
        if name in CAUSES and explains and name not in causes:
            causes[name] = Cause(name, CAUSES[name], explains, shown(one_line(str(each["why"])))[:MOST_WHY])
    return tuple(causes.values())[:MOST_CAUSES]
