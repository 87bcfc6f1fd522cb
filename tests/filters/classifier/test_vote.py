"""Several scores become one that keeps its scale; what stands on different scales never meets, as the recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.classifier.quality import Quality, QualityParams
from filters.classifier.vote import Vote, VoteParams
from filters.labels.label import Label
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.step import Scale, Signal
from tests.filters.gathering import Gathered, gather, parts_of
from tests.pipeline.house import House

SCORES = {
    "a.score": [1.0, 2.0, 3.0, None, None, 5.0],
    "b.score": [3.0, 1.0, 3.0, 2.0, None, 4.0],
}


def vote(tmp_path: Path, signals: dict[str, Any] = SCORES, *, sources: Any = None, **params: Any) -> Gathered:
    columns = {name: pa.array(values, pa.float32()) for name, values in signals.items()}
    num = len(next(iter(signals.values())))
    parts = parts_of([f"text {n}" for n in range(num)], num_parts=2, signals=columns, sources=sources)
    step = Vote(params=VoteParams.parse({"of": [name.removesuffix(".score") for name in signals], **params}))
    return gather(step, parts, scratch=tmp_path)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [2.0, 1.5, 3.0, 2.0, None, 4.5]),
        ("max", [3.0, 2.0, 3.0, 2.0, None, 5.0]),
        ("min", [1.0, 1.0, 3.0, 2.0, None, 4.0]),
    ],
)
def test_who_says_nothing_does_not_count(tmp_path: Path, how: str, expected: list[float | None]) -> None:
    assert vote(tmp_path, how=how).column("score") == expected


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=4, max_size=40).filter(lambda values: len(set(values)) > 1),
    st.integers(2, 6),
)
def test_a_bucket_is_the_place_among_all_documents_whatever_the_scale(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], count: int
) -> None:
    folder = tmp_path_factory.mktemp("buckets")

    one = vote(folder, {"a.score": values, "b.score": [None] * len(values)}, how="buckets", buckets=count)
    large = [np.float32(value) * 64 for value in values]
    other = vote(folder, {"a.score": large, "b.score": [None] * len(values)}, how="buckets", buckets=count)

    places = one.column("score")
    assert places == other.column("score")
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(places)[order]) >= 0).all()
    assert max(places) <= count - 1


def test_the_best_by_any_classifier_is_in_the_highest_bucket(tmp_path: Path) -> None:
    draw = np.arange(100.0)

    found = vote(tmp_path, {"a.score": draw, "b.score": draw[::-1] / 1000}, how="buckets", buckets=10)

    places = found.column("score")
    assert places[0] == places[99] == 9
    assert places[50] == 5


def test_each_language_or_source_has_a_line_of_its_own(tmp_path: Path) -> None:
    asked: list[tuple[str, float]] = []

    def quantile(signal: str, fraction: float) -> float:
        asked.append((signal, fraction))
        return 1.25

    params = {"by": "source", "groups": ["web"], "keep": {"share": 0.25}, "keep_by": {"rest": {"score": 3}}}
    found = vote(tmp_path, sources=["web", "web", "books", "web", "books", "code"], **params)
    rules = Vote(params=VoteParams.parse({"of": ["a"], **params})).rules(quantile=quantile)

    assert found.column("score_web") == [2.0, 1.5, None, 2.0, None, None]
    assert found.column("score_rest") == [None, None, 3.0, None, None, 4.5]
    assert found.details["documents_by_group"] == {"web": 3, "rest": 3}
    assert [(rule.name, rule.signal, rule.threshold, rule.parameter) for rule in rules] == [
        ("low_score_web", "score_web", 1.25, "keep.share"),
        ("low_score_rest", "score_rest", 3.0, "keep_by.rest.score"),
    ]
    assert asked == [("score_web", 0.75)]


def test_lines_by_language_keep_their_share_of_each(tmp_path: Path) -> None:
    english = "the reader sees that this is a sentence in the language of the book and that it goes on"
    german = "der Leser sieht, dass dies ein Satz in der Sprache des Buches ist und dass er noch weitergeht"
    house = House(tmp_path)
    texts = [f"{english if n % 3 else german} {n} {'x ' * n}".strip() for n in range(90)]
    house.lines("docs.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)])
    house.clean(
        [
            "language: {keep: [en, de], min_score: 0}",
            "length",
            "vote: {of: [length.num_chars], by: language, groups: [en, de], keep_by: {de: {share: 0.5}}}",
        ],
        source="{read: jsonl, path: DIR/*.jsonl, id: id}",
    )

    house.run()

    languages = [row["language"] for row in house.signals("language")]
    kept = {int(row["id"].rpartition("d")[2]) for row in house.documents()}
    assert languages == ["en" if n % 3 else "de" for n in range(90)]
    assert kept == {n for n in range(90) if n % 3 or n >= 45}


class Wide(Vote):
    """A classifier of someone's, whose scores go to 20."""

    def __init__(self) -> None:
        self.signals = (Signal("score", pa.float32(), "score", "A score.", Scale(0, 20)),)


def quality() -> Quality:
    step = Quality(params=QualityParams.parse({}))
    step.check({"label": Label(params=Label.Params.parse({}))})
    return step


def test_scores_on_different_scales_are_not_added(tmp_path: Path) -> None:
    step = Vote(params=VoteParams.parse({"of": ["quality", "wide"]}))
    ranked = Vote(params=VoteParams.parse({"of": ["quality", "wide"], "how": "buckets", "keep": {"score": 15}}))

    with pytest.raises(RecipeError, match=r"`quality` 0 to 5, `wide` 0 to 20.*`how: mean` would add what is not alike"):
        step.check({"quality": quality(), "wide": Wide()})
    ranked.check({"quality": quality(), "wide": Wide()})


def test_a_vote_keeps_the_scale_of_its_scores() -> None:
    step = Vote(params=VoteParams.parse({"of": ["quality", "quality_2"], "keep": {"score": 4.5}}))
    wrong = Vote(params=VoteParams.parse({"of": ["quality", "quality_2"], "keep": {"score": 12}}))
    earlier = {"quality": quality(), "quality_2": quality()}

    step.check(earlier)

    assert step.signals[0].scale == Scale(0, 5)
    with pytest.raises(RecipeError, match=r"keep\.score is 12, and the score goes from 0 to 5"):
        wrong.check(earlier)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("vote: {of: [quality], keep: {score: 12}}", r"keep\.score is 12, and the score goes from 0 to 5"),
        ("vote: {of: [qualty]}", r"no step `qualty` stands before `vote`.*Did you mean quality"),
        ("vote: {of: [quality.scor]}", r"`quality` has no signal `scor`. Did you mean score"),
        ("vote: {of: [label.status]}", r"`label\.status` is of type string, and a vote counts numbers"),
        ("vote: {of: [quality], by: language, groups: [en]}", r"Put `language` before `vote`"),
    ],
)
def test_a_vote_that_cannot_be_is_a_mistake_with_its_line(tmp_path: Path, step: str, said: str) -> None:
    house = House(tmp_path)
    house.lines("docs.jsonl", ["a text"])
    house.clean(["label", "quality", step])

    with pytest.raises(RecipeError, match=rf"recipe\.yaml:9: .*{said}"):
        house.plan()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"groups": ["en"]}, "`by` and `groups` go together"),
        ({"by": "source"}, "`by` and `groups` go together"),
        ({"by": "source", "groups": ["rest"]}, "must be different names"),
        ({"by": "source", "groups": ["a", "a"]}, "must be different names"),
        ({"keep_by": {"de": {"share": 0.5}}}, "keep_by names `de`"),
        ({"buckets": 5}, "`buckets` has no effect"),
        ({"keep": {"precision": 0.5}}, "a precision is known of `quality` alone"),
        ({"of": []}, "at least 1"),
    ],
)
def test_a_setting_without_effect_is_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        VoteParams.parse({"of": ["quality"], **params})


def test_equal_scores_share_the_place_of_their_middle(tmp_path: Path) -> None:
    """Nine of ten score 0, which is the lowest: by the place after the last of them they would be among the best."""
    found = vote(tmp_path, {"a.score": [0.0] * 90 + [float(n) for n in range(1, 11)]}, how="buckets", buckets=20)

    places = found.column("score")
    assert places[:90] == [9] * 90
    assert places[90:] == [18] * 5 + [19] * 5


def test_places_need_scores_that_differ(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`b\.score` is 1 for all 6 documents, so it puts none before another"):
        vote(tmp_path, SCORES | {"b.score": [1.0] * 6}, how="buckets")
    assert vote(tmp_path, SCORES | {"b.score": [None] * 6}, how="buckets", buckets=2).column("score")[3] is None
