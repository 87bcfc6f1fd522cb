"""Each language is judged by its own thresholds; a threshold decides, and measures nothing again."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from filters.heuristics.per_language import FILTERS, OF_LANGUAGE, PerLanguage
from filters.heuristics.published import PUBLISHED
from pipeline.core.errors import RecipeError
from pipeline.queries.what_if import what_if
from tests.pipeline.house import House

GERMAN = (
    "Die Verwaltungsvorschriften der Bundesversicherungsanstalt beschreiben Zuwanderungsbestimmungen und Ausnahmen. "
)
ENGLISH = "Internationalization misunderstandings characteristically overcomplicate telecommunications documentation. "
FRENCH = (
    "Le chargeur cherche les biblioth\u00e8ques dont un programme a besoin, les pr\u00e9pare puis lance le programme. "
)
WIDE = (
    "gopher_quality: {max_mean_word_length: 30, min_mean_word_length: 0, min_stop_words: 0, min_alpha_words: 0.7, "
    "min_words: 5}"
)


def test_a_document_is_judged_by_the_thresholds_of_its_language(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", [{"text": text * 6} for text in TEXTS.values()])

    def run(limits: str) -> list[str]:
        step = f"per_language: {{languages: [de, fr], of: [gopher_quality], limits: {{{limits}}}}}"
        house.clean(["language: {keep: [de, fr, en], min_score: 0}", WIDE, step])
        built.append([step.spec.label for step in house.plan().datasets["clean"].steps if not step.node.complete])
        house.run()
        return [list(TEXTS)[int(name.rpartition(":")[2])] for name in house.ids()]

    built: list[list[str]] = []
    assert run("") == ["de", "fr"]  # English words of 16 characters: more than 10
    assert run("rest: {gopher_quality: {max_mean_word_length: 30, min_stop_words: 0}}") == [*TEXTS]
    assert run("de: {gopher_quality: {max_mean_word_length: 9}}") == ["fr"]
    assert [len(labels) for labels in built] == [3, 0, 0]
    settings = {"datasets.clean.per_language.limits.de.gopher_quality.max_mean_word_length": 15}
    (answer,) = what_if(house.workspace, house.recipe, settings=settings)["datasets"]
    assert (answer["kept_before"], answer["kept_after"]) == (1, 2)


TEXTS = {"de": GERMAN, "fr": FRENCH, "en": ENGLISH}


def test_filters_that_drop_before_are_named_with_what_to_write() -> None:
    step = PerLanguage(params=PerLanguage.Params(languages=("de",), of=("gopher_quality",)))
    before = {"language": step, "gopher_quality": FILTERS["gopher_quality"](params=FILTERS["gopher_quality"].Params())}

    with pytest.raises(RecipeError, match=r"`gopher_quality: \{.*max_mean_word_length: 15"):
        step.check(before)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"languages": ("xx",)}, "no thresholds are published for `xx`, and limits.xx lacks gopher_quality.min_mean"),
        ({"languages": ("de", "de")}, "must be different codes"),
        ({"languages": ("de",), "limits": {"fr": {}}}, "limits names `fr`; it must be one of `languages`, or `rest`"),
        ({"languages": ("de",), "limits": {"de": {"gopher_quality": {"max_hash": 1}}}}, "did you mean"),
        ({"languages": ("de",), "of": ("c4_quality",)}, "'c4_quality' has no threshold that depends on the language"),
    ],
)
def test_settings_without_a_meaning_are_told(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        PerLanguage.Params.model_validate(settings)

    assert told in str(error.value)


def test_every_published_figure_belongs_to_a_rule() -> None:
    known = {f"{label}.{key}" for label, keys in OF_LANGUAGE.items() for key in keys}

    assert len(PUBLISHED) >= 20
    assert all(set(figures) == known for figures in PUBLISHED.values())
