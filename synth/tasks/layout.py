"""Turns a task into a document: a kind of page, a way to set out the steps, a way to close.

Template collapse is the known failure of generated text, so the parts are drawn independently: 11 pages x 6 ways to
set out steps x the family's own phrasings. The prompt always stands in the document word for word, and the answer
after it, so that what was checked is what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES, capital

FIRST = ("First,", "To begin,", "To start with,", "We begin here:", "As a first step,")
MIDDLE = ("Then", "Next,", "After that,", "Now", "From there,", "In the next step,", "Following that,")
LAST = ("Finally,", "Last of all,", "As a last step,", "To finish,", "In the end,")


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A document made of a task, and the names of the page and of the way its steps are set out."""

    text: str
    style: str


def render(draw: Draw, task: Task) -> TaskPage:
    """Write the task as one document."""
    page, write = draw.choice(PAGES)
    manner, set_out = draw.choice(MANNERS if len(task.steps) > 1 else MANNERS[:1])
    return TaskPage(text=write(draw, task, set_out(draw, task.steps)), style=f"{page}/{manner}")


def _sentences(draw: Draw, steps: tuple[str, ...]) -> str:
    return " ".join(f"{capital(step)}." for step in steps)


def _connected(draw: Draw, steps: tuple[str, ...]) -> str:
    words = [draw.choice(FIRST), *(draw.choice(MIDDLE) for _ in steps[2:]), draw.choice(LAST)]
    return " ".join(f"{word} {step}." for word, step in zip(words, steps, strict=True))


def _numbered(draw: Draw, steps: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {capital(step)}." for number, step in enumerate(steps, 1))


def _labelled(draw: Draw, steps: tuple[str, ...]) -> str:
    return "\n".join(f"Step {number}: {capital(step)}." for number, step in enumerate(steps, 1))


def _bulleted(draw: Draw, steps: tuple[str, ...]) -> str:
    return "\n".join(f"- {capital(step)}." for step in steps)


def _lines(draw: Draw, steps: tuple[str, ...]) -> str:
    return "\n".join(f"{capital(step)}." for step in steps)


MANNERS: tuple[tuple[str, Callable[[Draw, tuple[str, ...]], str]], ...] = (
    ("sentences", _sentences),
    ("connected", _connected),
    ("numbered", _numbered),
    ("labelled", _labelled),
    ("bulleted", _bulleted),
    ("lines", _lines),
)


def _joined(*blocks: str) -> str:
    """Blocks with blank lines between; a one-paragraph solution runs on into its conclusion."""
    return "\n\n".join(blocks)


def _closed(work: str, closing: str) -> str:
    return f"{work}\n\n{closing}" if "\n" in work else f"{work} {closing}"


def _prose(draw: Draw, task: Task, work: str) -> str:
    return _joined(task.prompt, _closed(work, task.conclusion))


def _question_answer(draw: Draw, task: Task, work: str) -> str:
    ask, reply = draw.choice((("Question", "Answer"), ("Q", "A"), ("Problem", "Solution"), ("Task", "Worked answer")))
    gap = "\n" if "\n" in work else " "
    return _joined(f"{ask}: {task.prompt}", f"{reply}:{gap}{_closed(work, task.conclusion)}")


def _textbook(draw: Draw, task: Task, work: str) -> str:
    label = draw.choice(("Example", "Worked example", "Illustration"))
    head = f"{label} {draw.integer(1, 14)}.{draw.integer(1, 30)}. {task.title}"
    gap = "\n\n" if "\n" in work else " "
    return _joined(head, task.prompt, f"Solution.{gap}{_closed(work, task.conclusion)}")


def _exercise(draw: Draw, task: Task, work: str) -> str:
    label = f"{draw.choice(('Exercise', 'Problem', 'Practice problem'))} {draw.integer(1, 120)}"
    return _joined(label, task.prompt, f"Solution to {label[0].lower()}{label[1:]}", work, task.conclusion)


def _markdown(draw: Draw, task: Task, work: str) -> str:
    heading = draw.choice(("Solution", "Working", "How to solve it", "Step by step", "Explanation"))
    return _joined(f"## {task.title}", task.prompt, f"### {heading}", work, f"**Answer:** {task.answer}")


def _lesson(draw: Draw, task: Task, work: str) -> str:
    asks, replies = draw.sample(NAMES, 2)
    praise = draw.choice(
        ("That is right.", "Correct, and clearly explained.", "Yes, exactly.", "Good. Well reasoned.", "Right.")
    )
    gap = "\n" if "\n" in work else " "
    spoken = f"{replies}:{gap}{_closed(work, task.conclusion)}"
    return _joined(f"{asks}: {task.prompt}", spoken, f"{asks}: {praise}")


def _answer_first(draw: Draw, task: Task, work: str) -> str:
    why = draw.choice(
        ("Here is why.", "The working follows.", "Let us see how to get there.", "This is how it is found.")
    )
    return _joined(task.prompt, f"{task.conclusion} {why}", work)


def _key(draw: Draw, task: Task, work: str) -> str:
    label = draw.choice(("Answer", "Result", "Final answer", "Solution"))
    above = draw.choice(("Working:", "Reasoning:", "Steps:", "Method:"))
    return _joined(task.prompt, f"{above}\n{work}", f"{label}: {task.answer}")


def _titled(draw: Draw, task: Task, work: str) -> str:
    return _joined(task.title, task.prompt, _closed(work, task.conclusion))


def _forum(draw: Draw, task: Task, work: str) -> str:
    asks, replies = draw.sample(NAMES, 2)
    plea = draw.choice(
        (
            "I am stuck on this one.",
            "Can someone walk me through this?",
            "How would you do this by hand?",
            "My result differs from my friend's.",
            "I would like to see the steps.",
        )
    )
    opening = draw.choice(
        ("Happy to help.", "Let us take it slowly.", "Sure.", "It helps to write everything down.", "Here you go.")
    )
    return _joined(f"{asks} wrote: {plea}", task.prompt, f"{replies} replied: {opening}", work, task.conclusion)


def _checked(draw: Draw, task: Task, work: str) -> str:
    head = draw.choice(
        ("Try this before you read on.", "Cover the solution and try it yourself.", "A problem to think about:")
    )
    return _joined(
        head,
        task.prompt,
        draw.choice(("Solution:", "One way to do it:", "Here is the working:")),
        work,
        task.conclusion,
    )


PAGES: tuple[tuple[str, Callable[[Draw, Task, str], str]], ...] = (
    ("prose", _prose),
    ("prose", _prose),  # the plainest page twice as often
    ("question_answer", _question_answer),
    ("textbook", _textbook),
    ("exercise", _exercise),
    ("markdown", _markdown),
    ("lesson", _lesson),
    ("answer_first", _answer_first),
    ("key", _key),
    ("titled", _titled),
    ("forum", _forum),
    ("checked", _checked),
)
