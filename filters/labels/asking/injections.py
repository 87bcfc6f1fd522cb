"""Texts -> which known ways of giving orders to a model stand in them: twelve families of phrases, in English.

54 templates are 95 % of 15,387 injections found in 1.2 billion addresses (CISPA, April 2026); the families here are
written after such reports and recognise the phrase, not the intent: a page about injections is found too. So this is a
signal for rules and for looking, never a verdict of its own, and what is worded anew is not found: for that there are
canaries (`canaries.py`). Of 22,827 manual pages and modules of the standard library, on which the families were
narrowed, it finds 5 (fsck will "answer yes to all questions"); of 2,095 other modules 4, all of Anthropic's SDK. 7 to
15 MB/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pipeline.core.claude.messages.visible import comparable

WORDS = {
    "<model>": "(?:ai|llms?|language models?|chatbots?|gpts?|claude|chatgpt|assistants?|graders?|raters?|evaluators?"
    "|annotators?|classifiers?)",
    "<orders>": "(?:instructions?|prompts?|directions?|directives?|guidelines?|rules?|rubrics?|orders?|commands?)",
    "<any>": "(?:(?:all|any|every|the|your|my|these|those|of|this|previous|prior|preceding|earlier|above|foregoing"
    "|former|other|given|initial|original|system|grading) ){0,5}",
    "<grade>": "(?:score|grade|rating|mark|rank|points?|stars?)",
    "<best>": "(?:5|10|100|five|ten|highest|maximum|perfect)",
}

# Family -> how it is worded in a text that is `comparable`: one case, single spaces.
FAMILIES: dict[str, tuple[str, ...]] = {
    "ignore_instructions": (
        r"\b(?:ignore|disregard|forget|override|bypass|discard) <any>(?:all|your|these|those|previous|prior|preceding"
        r"|earlier|above|foregoing|former|initial|original|system|grading) <any>"
        r"(?:instructions?|prompts?|directions?|directives?|guidelines?|rules?|rubrics?|orders?)\b",
        r"\b(?:do not|don't|stop) follow(?:ing)? <any>(?:instructions?|prompts?|rubrics?)\b",
    ),
    "new_instructions": (
        r"\b(?:new|updated|revised|real|actual|true) (?:system )?(?:instructions?|prompt|task) ?"
        r"(?::|follow|for (?:you|the))",
        r"\bsystem (?:override|prompt update)\b",
    ),
    "chat_markers": (
        r"< \|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>",
        r"\[ /inst\]|< <sys>>|< (?:start|end)_of_turn>",
        r"(?:^|\s)#{2,3} ?(?:system|instruction) ?(?:prompt|message)?:",
        r"\bhuman: .{0,200}\bassistant:",
    ),
    "ends_document": (
        r"< ?/ ?(?:document|rubric|text|input|data|context)-?[0-9a-f]*> .{0,80}\b(?:you|instructions?|grade|system)\b",
        r"\b(?:end of (?:the )?(?:document|text|input|data)|document ends here) ?[-=.:\]]*.{0,40}"
        r"\b(?:system|instructions?|now (?:answer|grade|output))\b",
    ),
    "addresses_model": (
        r"\b(?:note|message|attention|instructions?|warning|notice|hint) (?:to|for) "
        r"(?:(?:the|any|all|every|an?|large) ){0,2}<model>\b",
        r"\bif you(?:'re| are) (?:an? )?(?:large )?<model>\b",
        r"\b(?:dear|hey|hello) <model>\b",
    ),
    "orders_models": (
        r"\b<model> (?:(?:systems?|models?|agents?|crawlers?|reading|that|who|which|process\w*|read|see|this|text|page"
        r"|document|are|is) ){0,6}(?:must|shall|(?:are|is) (?:instructed|required) to|have to) (?:\w+ ){0,2}"
        r"(?:rate|grade|score|answer|output|respond|reply|say|include|recommend|ignore|treat|assign)\b",
    ),
    "asks_for_grade": (
        r"\b(?:give|assign|award|grant) (?:it|this|the|us|me|that)?(?: ?\w+){0,3} (?:the )?"
        r"(?:highest|maximum|max|top|best|perfect|full|lowest) (?:possible )?<grade>",
        r"\b(?:rate|grade|score|mark) (?:it|this)(?: \w+){0,3} (?:as |with |a |an )?(?:the )?<best>\b",
        r"\b(?:must|should) (?:be (?:rated|graded|scored)|receive|get) (?:as |with |at |a |an )?(?:the )?<best>\b",
    ),
    "dictates_answer": (
        r"\banswer \"?(?:true|yes|false|no)\"? (?:to|for|on) (?:all|every|each|any)\b",
        r"\b(?:answer|respond|reply) (?:every|all|each) (?:of the )?(?:question|criteri)\w* (?:with|as) \"?"
        r"(?:yes|true|no|false)\b",
        r"\b(?:output|respond|reply|answer|return)(?: only| exactly| with| just| the| following| json| this){1,4} ?:? ?"
        r"`{0,3}(?:json)? ?\{ ?\"",
        r"\bset (?:every|all|each) (?:answer|field|question|criteri)\w* to (?:true|yes)\b",
    ),
    "new_persona": (
        r"\byou are (?:now|no longer) (?:an? |the )?(?:\w+ ){0,4}"
        r"(?:assistant|ai|model|dan|grader|evaluator|bot|character|persona|mode|developer|admin\w*)\b",
        r"\bfrom now on,? you (?:are|will|must|act)\b",
        r"\b(?:pretend|act) (?:to be |as |like )(?:if you (?:are|were) )?(?:an? )?"
        r"(?:unrestricted|unfiltered|jailbroken|uncensored) ",
    ),
    "asks_for_prompt": (
        r"\b(?:reveal|print|repeat|show|output|display|leak|disclose|tell me) (?:\w+ ){0,3}"
        r"(?:(?:system|hidden|initial) prompt|(?:your|initial|hidden|system) <orders>|(?:prompt|text) above)",
    ),
    "claims_authority": (
        r"\b(?:this (?:document|text|page|content)|it) (?:has|have|is|was) (?:already )?(?:been )?"
        r"(?:verified|approved|pre-?approved|certified|graded|pre-?graded|whitelisted|reviewed) (?:by|as) (?:\w+ ){0,3}"
        r"(?:anthropic|openai|google|administrators?|the (?:administrator|developer|operator|grading|rubric)\w*)\b",
        r"\b(?:message|notice|instruction|order) from (?:the )?"
        r"(?:anthropic|openai|developers?|system administrators?)\b",
    ),
    "hides_order": (
        r"\b(?:do not|don't|never) (?:mention|reveal|quote|report|disclose|acknowledge) (?:\w+ ){0,3}"
        r"(?:<orders>|this (?:message|note|text|sentence|paragraph|line))\b",
    ),
}


@cache
def _families() -> Any:
    """Return all families as one automaton: it reads a text once, whatever their number."""
    import re2  # which steps that are only planned need not

    options = re2.Options()
    options.never_capture, options.log_errors = True, False
    found = re2.Set.SearchSet(options)
    for patterns in FAMILIES.values():
        pattern = "|".join(patterns)
        for word, meant in WORDS.items():
            pattern = pattern.replace(word, meant)
        found.Add(pattern)
    found.Compile()
    return found


def injections_in(text: str) -> tuple[str, ...]:
    """Return the families that a text shows, in the order of FAMILIES."""
    names = tuple(FAMILIES)
    return tuple(names[number] for number in sorted(_families().Match(comparable(text)) or ()))


def find_injections(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Look at some texts; runs in a worker process."""
    return [injections_in(text) for text in texts]
