"""Rubrics: what ships, what their heads say, what a bad one is told, and how answers become grades."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from filters.labels import label
from filters.labels.asking.canaries import canaries
from filters.labels.label import Label
from filters.labels.rubrics.rubric import FOLDER, Rubric, load_rubric
from filters.labels.teachers.grading import Specimen
from pipeline.core.claude.prices import PACKAGED
from pipeline.core.errors import RecipeError

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "template")
TEMPLATE = (FOLDER / "template.md").read_text(encoding="utf-8")
DOCUMENT = "A queue is  first in,\nfirst out: \u201cwho comes first\u201d is served first."


def answer(rubric: Rubric, **given: tuple[Any, str]) -> dict[str, Any]:
    """Return a parsed answer; questions that are not given get their first option and no quote."""
    found = {each.key: (each.value(each.options[0]), "") for each in rubric.head.criteria} | given
    return {key: {"quote": quote, "answer": value} for key, (value, quote) in found.items()}


def own(folder: Path, *, old: str = "", new: str = "") -> Path:
    """Return a copy of the template in which something was replaced."""
    assert old in TEMPLATE
    path = folder / "mine.md"
    path.write_text(TEMPLATE.replace(old, new, 1) if old else TEMPLATE, encoding="utf-8")
    return path


def test_the_rubric_that_was_paid_for_asks_what_it_has_always_asked() -> None:
    rubric = load_rubric("educational")
    request = rubric.request("A text.", model="claude-haiku-5-5")

    assert rubric.hash == "32cb290e428424ed0b960191a6b1aa024f73c20431652e4c7bd32c365bb6ce8f"  # in recipes/grades
    assert request.id == "r_cf810ae48a471afa1f7117aab88b844e8836491c"
    assert rubric.title == "rubric educational 32cb290e4284"


def test_every_shipped_rubric_says_its_name_and_version_and_fits_one_request() -> None:
    assert SHIPPED == ["code_quality", "educational", "educational-v2", "reasoning", "spam"]
    for stem in SHIPPED:
        rubric = load_rubric(stem)
        version = rubric.head.version
        assert stem in (rubric.name, f"{rubric.name}-v{version}")
        assert rubric.scores({each.key: each.options[-1] for each in rubric.head.criteria})["grade"] in range(6)
        best = {each.key: each.option(rubric.best_answer()[each.key]) for each in rubric.head.criteria}
        assert rubric.scores(best)["grade"] == 5


def test_a_copy_of_the_template_is_a_rubric_with_two_grades_from_one_request(tmp_path: Path) -> None:
    rubric = load_rubric("educational", file=own(tmp_path))
    schema = rubric.schema()

    assert (rubric.name, rubric.head.version, rubric.more_scores) == ("mine", 1, ("reach",))
    assert list(schema["properties"]) == ["useful", "audience", "dated"]
    assert list(schema["properties"]["audience"]["properties"]) == ["quote", "answer"]
    assert schema["properties"]["audience"]["properties"]["answer"]["enum"] == ["nobody", "experts", "everybody"]
    judged = rubric.judge(
        answer(rubric, useful=(True, "first in, first out"), audience=("everybody", "who comes first")), text=DOCUMENT
    )
    assert judged.scores == {"grade": 5, "reach": 5}


def test_the_head_is_not_shown_to_the_teacher() -> None:
    system = load_rubric("reasoning").request("A text.", model="m").system

    assert "excerpt:" not in system and "scale:" not in system
    assert "# Reasoning that a reader can follow" in system


def test_another_scale_asks_the_same_question_and_so_buys_nothing(tmp_path: Path) -> None:
    first = load_rubric("", file=own(tmp_path))
    request = first.request("A text.", model="m")
    second = load_rubric("", file=own(tmp_path, old="useful: 2\n    audience: {experts: 1, everybody: 2}",
                                      new="useful: 3\n    audience: {everybody: 1}"))  # fmt: skip

    assert second.request("A text.", model="m").id == request.id
    assert second.hash != first.hash


def test_another_scale_asks_anew_only_for_canaries_whose_order_names_another_best_answer(tmp_path: Path) -> None:
    specimens = [Specimen(id=f"d{n}", text=f"Text {n}.") for n in range(20)]
    plain = load_rubric("", file=own(tmp_path))
    turned = load_rubric("", file=own(tmp_path, old="dated: {no: 1}", new="dated: {yes: 1}"))
    other = load_rubric("", file=own(tmp_path, old="useful: 2\n    audience: {experts: 1, everybody: 2}",
                                     new="useful: 3\n    audience: {everybody: 1}"))  # fmt: skip

    def asked(rubric: Rubric) -> list[str]:
        made = canaries(range(20), specimens, share=0.5, seed=1, best_answer=rubric.best_answer())
        return [rubric.request(each.text, model="m").id for each in (*specimens, *(one.specimen for one in made))]

    assert asked(other) == asked(plain)
    assert asked(turned)[:20] == asked(plain)[:20] and set(asked(turned)[20:]).isdisjoint(asked(plain))


@pytest.mark.parametrize(
    "quote",
    [
        "first in, first out",
        "FIRST IN, FIRST OUT",
        '"who comes first"',
        'who comes first" is served',
        "...served first.",
    ],
)
def test_a_quote_stands_in_a_document_whatever_its_case_spaces_and_quotation_marks(quote: str, tmp_path: Path) -> None:
    rubric = load_rubric("", file=own(tmp_path))

    judged = rubric.judge(answer(rubric, useful=(True, quote)), text=DOCUMENT)

    assert judged.unsupported == () and judged.scores["grade"] == 3


@pytest.mark.parametrize(
    "quote", ["last in, first out", "", "  ", '""', "queue", "rst in, first o", "first out: who comes first is served"]
)
def test_an_answer_without_a_quote_that_stands_in_the_document_counts_for_nothing(quote: str, tmp_path: Path) -> None:
    rubric = load_rubric("", file=own(tmp_path))

    judged = rubric.judge(answer(rubric, useful=(True, quote), audience=("experts", "A queue is")), text=DOCUMENT)

    assert judged.answers == {"useful": "yes", "audience": "experts", "dated": "no"}
    assert judged.unsupported == ("useful",)
    assert judged.scores["grade"] == 2 and not judged.made_up
    assert rubric.judge(answer(rubric, useful=(True, quote)), text=DOCUMENT).made_up


def test_an_answer_that_needs_no_evidence_stands_whatever_its_quote(tmp_path: Path) -> None:
    """Points go to the absence of spam: a paraphrase beside a no is no mark of it."""
    rubric, spam = load_rubric("", file=own(tmp_path)), load_rubric("spam")
    slips = answer(spam, **{key: (False, "nothing of the kind") for key in spam.criteria})

    assert not rubric.judge(answer(rubric), text=DOCUMENT).made_up
    judged = spam.judge(slips, text=DOCUMENT)
    assert judged.unsupported == () and judged.scores["grade"] == 5 and not judged.made_up
    judged = spam.judge(slips | {"sells": {"quote": "buy it now", "answer": True}}, text=DOCUMENT)
    assert judged.unsupported == ("sells",) and judged.made_up


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: mine", "name: My Rubric", r":3: name is 'My Rubric'; it must be a word of a-z"),
        ("version: 1", "version: yes", r":4: version is 'yes'; it must be a whole number from 1 on"),
        ("excerpt: 6000", "excerpt: 6", r":7: excerpt is 6; it must be a whole number of characters from 200"),
        ("version: 1", "versoin: 1", r":4: `versoin` is no key of a rubric's head; did you mean version"),
        ("version: 1\n", "", r":3: the head lacks `version`"),
        ("useful: boolean", "useful: often", r":11: criteria.useful is 'often'; it must be `boolean`, or a list of 2"),
        ("useful: boolean", "status: boolean", r":11: criteria: a question is called 'status'"),
        ("  dated: boolean\n", "  dated: boolean\n  new: boolean\n", r":14: criteria.new has no section in the text"),
        ("## dated:", "## date:", r":39: `## date:` is no question of `criteria`"),
        ("## dated:", "## useful:", r":39: `## useful:` stands here and on line 29; keep one"),
        ("useful: 2", "useful: 3", r":17: scale.grade: the best answers add up to 6; every grade goes from 0 to 5"),
        ("    useful: 2", "    usefull: 2", r":18: scale.grade: `usefull` is no question of `criteria`; did you mean"),
        ("experts: 1,", "expert: 1,", r":19: scale.grade.audience: `expert` is no answer to it; its answers are no"),
        ("useful: 2", "useful: much", r":18: scale.grade.useful is 'much'; it must be points by answer \(no, yes\)"),
        ("  grade:\n", "  mark:\n", r":16: scale is .* it must hold `grade`"),
        ("useful: boolean", "useful: [no, no]", r":11: criteria.useful is \['no', 'no'\]"),
        ("useful: boolean", "useful: boolean\n  useful: boolean", r":12: `useful` stands here and on line 11"),
        ("criteria:", "criteria: {", r":12: is not YAML"),
        ("---\n# What is judged", "# What is judged", r":1: the head does not end"),
    ],
)  # fmt: skip
def test_a_bad_rubric_is_told_the_file_the_line_the_rule_and_the_way_out(
    old: str, new: str, told: str, tmp_path: Path
) -> None:
    path = own(tmp_path, old=old, new=new)

    with pytest.raises(RecipeError, match=re.escape(str(path)) + told):
        load_rubric("", file=path)


def test_all_mistakes_of_a_rubric_come_at_once(tmp_path: Path) -> None:
    path = own(tmp_path, old="version: 1", new="version: 0\nmodle: x")

    with pytest.raises(RecipeError) as error:
        load_rubric("", file=path)

    assert len(str(error.value).splitlines()) == 2


def test_a_rubric_is_a_name_or_a_file() -> None:
    by_name = Label.Params.parse({"teacher": "claude", "rubric": "reasoning"})
    by_file = Label.Params.parse({"teacher": "claude", "rubric": "rubrics/mine.md"})

    assert (by_name.rubric, by_name.rubric_file) == ("reasoning", None)
    assert by_file == Label.Params.parse({"teacher": "claude", "rubric_file": "rubrics/mine.md"})


def test_a_packaged_rubric_with_a_head_counts_by_its_content() -> None:
    step = Label(params=Label.Params.parse({"teacher": "claude", "rubric": "spam"}))

    assert step.identity_extras()["rubric"] == load_rubric("spam").hash
    assert Label(params=Label.Params.parse({})).identity_extras() == {}


def test_a_rubric_says_model_and_excerpt_unless_the_recipe_does(tmp_path: Path) -> None:
    rubric = load_rubric("code_quality")

    def sizes(**params: Any) -> tuple[str, int]:
        step = Label(params=Label.Params.parse({"teacher": "claude", "rubric": "code_quality", **params}))
        return step.model_of(rubric), step.excerpt_of(rubric)

    assert sizes() == ("claude-haiku-5-5", 10_000)
    assert sizes(model="m", excerpt_chars=300) == ("m", 300)


def test_questions_of_a_rubric_survive_json() -> None:
    schema = load_rubric("code_quality").schema()

    assert json.loads(json.dumps(schema)) == schema
    assert schema["properties"]["code"]["properties"]["answer"] == {"type": "string", "enum": ["none", "some", "most"]}


def test_the_pages_say_what_2000_documents_cost_with_all_that_is_asked_beside_them() -> None:
    """By the list price, 3.2 bytes a token and answers of 90 tokens."""
    request = load_rubric("educational").request("x" * 6000, model="claude-haiku-5-5")
    price = tomllib.loads(PACKAGED.read_text(encoding="utf-8"))["price"][0]
    prompt, count = len(request.system + request.prompt) / 3.2, Label(params=Label.Params.parse({}))._count(2000)

    told = f"about {count * (prompt * price['input'] + 90 * price['output']) / 1e6:.2f} USD"

    assert (count, price["model"]) == (2200, "claude-haiku-5-5")
    assert told in " ".join((FOLDER.parent / "README.md").read_text(encoding="utf-8").split())
    assert told in " ".join((label.__doc__ or "").split())
