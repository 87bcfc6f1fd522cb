"""Labels from a file of grades, or from a teacher that is asked for them, with all that the label card tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from filters.labels.asking.canaries import canaries, flips
from filters.labels.asking.further import further
from filters.labels.asking.questions import Question, Said, Texts, Wishes, ask_all, beside, questions, sample_of
from filters.labels.card import label_card
from filters.labels.sample.brought import Here, found_in_file
from filters.labels.sample.sampling import Choice, Survey
from filters.labels.teachers.grading import Account, Grading, Teacher
from pipeline.core.step import Gathering


@dataclass(slots=True)
class Labels:
    """What came of labelling; documents by their position in the survey."""

    title: str  # of the teacher
    gradings: dict[int, Grading]
    titles: dict[int, str]  # who gave each
    chosen: dict[int, Choice]
    asked: Mapping[int, Grading]  # of whose outcomes the card tells
    found: dict[str, Any]
    account: Account


@dataclass(frozen=True, slots=True)
class First:
    """What is asked for before any round; documents by their position in the survey."""

    sample: Sequence[int]
    beside: Sequence[int]  # anchors, and what people graded

    @classmethod
    def of(cls, survey: Survey, here: Mapping[str, Here], wishes: Wishes) -> First:
        """Choose, as the seed and the documents say."""
        known = here.get("known")
        sample = sample_of(survey, wishes, known=known)
        return cls(sample, beside(survey, sample, wishes, known=known, people=here.get("people")))

    def questions(self, texts: Texts, wishes: Wishes, *, seed: int) -> list[Question]:
        """Return the labels, second readings, twins and canaries to ask for."""
        asked = questions(self.sample, self.beside, texts, second_reading=wishes.second_reading, twins=wishes.twins)
        specimens = texts.specimens(self.sample)
        return asked + canaries(
            self.sample, specimens, share=wishes.canaries, seed=seed, best_answer=wishes.best_answer
        )  # fmt: skip


def take(survey: Survey, here: Mapping[str, Here], work: Gathering) -> Labels:
    """Take the grades of a file, which stands under `path`."""
    taken, file = here["path"], here["path"].file
    order = sorted(taken.keys, key=lambda position: int(survey.places[position]))
    gradings = {position: taken.grading(position) for position in order}
    found: dict[str, Any] = {"file": found_in_file(taken, survey, say=work.say)}
    readings = file.readings(seed=work.seed)
    found |= {"graded_by": file.graded_by} if file.graded_by else {}
    found |= {"two_readings": readings} if readings else {}
    found |= label_card.quality(
        list(gradings.values()), now=gradings, pairs={}, people=here.get("people"),
        earlier=_earlier(here), seed=work.seed,
        among="documents that the file grades", known={}, num_rest=0,
    )  # fmt: skip
    return Labels(
        file.title, gradings, dict.fromkeys(gradings, file.title), dict.fromkeys(gradings, "file"), asked=gradings,
        found=found, account=Account(),
    )  # fmt: skip


def ask(
    survey: Survey, here: Mapping[str, Here], work: Gathering, *, teacher: Teacher, texts: Texts, wishes: Wishes,
    check_enough: Callable[[int], None],
) -> Labels:  # fmt: skip
    """Ask a teacher for a sample, and for what shows how far its grades can be trusted; add grades that are there."""
    known = here.get("known")
    first = First.of(survey, here, wishes)
    have = set() if known is None else set(known.keys)
    own = [position for position in [*first.sample, *first.beside] if position not in have]
    check_enough(len(own) + len(have))
    said = ask_all(teacher, first.questions(texts, wishes, seed=work.seed))
    gradings = {position: said.first[position] for position in own}
    there = {} if known is None else {position: known.grading(position) for position in known.keys}
    log = further(survey, work, teacher=teacher, texts=texts, wishes=wishes, gradings=gradings, known=there)
    found = _found(said, survey, here, work, sample=first.sample, known=there)
    account = teacher.account()
    num_valid = sum(each.grade is not None for each in gradings.values())
    if num_valid and account.cost_usd:
        found["usd_per_1000_valid"] = 1000 * account.cost_usd / num_valid
    found |= {"rounds": [each.told() for each in log]} if log else {}
    labels = Labels(
        teacher.title, dict(gradings), dict.fromkeys(gradings, teacher.title),
        _chosen(gradings, first.sample, own, wishes), asked=gradings, found=found, account=account,
    )  # fmt: skip
    if known is not None:
        found["known"] = found_in_file(known, survey, say=work.say)
        labels.gradings |= there
        labels.titles |= dict.fromkeys(known.keys, known.file.title)
        labels.chosen |= dict.fromkeys(known.keys, "known")
    return labels


def _found(
    said: Said, survey: Survey, here: Mapping[str, Here], work: Gathering, *, sample: Sequence[int],
    known: Mapping[int, Grading],
) -> dict[str, Any]:  # fmt: skip
    """Return what the card tells of the answers: how far grades can be trusted, and what had no room below the cap."""
    found = label_card.quality(
        [said.first[position] for position in sample], now=said.first, pairs=said.pairs, people=here.get("people"),
        earlier={name: here[name] for name in ("known",) if name in here} | _earlier(here), seed=work.seed,
        among="documents without a known grade" if known else "all documents", known=known,
        num_rest=len(survey.ids) - len(known),
    )  # fmt: skip
    found |= flips(said.asked, said.pairs)
    if said.left_out:
        found["readings_left_out"] = said.left_out
        work.say(
            f"label: max_usd has no room for {said.left_out:,} further readings (second readings, twins, canaries), so "
            "the label card does without them; the labels are complete"
        )
    return found


def _earlier(here: Mapping[str, Here]) -> dict[str, Here]:
    """Return the earlier label sets, the oldest first."""
    return {name: file for name, file in here.items() if name.startswith("earlier")}


def _chosen(graded: Iterable[int], sample: Sequence[int], own: Sequence[int], wishes: Wishes) -> dict[int, Choice]:
    """Return how each document that the teacher graded was chosen: a round by strata is more of the sample."""
    by_round: Choice = "unsure" if wishes.rounds.by == "unsure" else "sample"
    chosen: dict[int, Choice] = dict.fromkeys(graded, by_round)
    return chosen | dict.fromkeys(own, "people") | dict.fromkeys(sample, "sample")
