"""A prompt as a Markdown file: what to make of a document, when to refuse, and the bounds that its answers must keep.

Its head stands between two lines `---`: `name`, `version`, `purpose`, `stop` (when there is nothing to write),
`min_ratio` and `max_ratio` (characters written for each that was shown) and `keep_numbers` (share of the numbers shown
that must be kept). What follows is the task in words. A packaged prompt counts by the hash of its file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from pipeline.core.claude.messages.fence import fenced
from pipeline.core.claude.messages.request import Request
from pipeline.core.errors import RecipeError, nearest_names
from pipeline.core.files.reading.strict_yaml import parse

FOLDER = Path(__file__).with_name("prompts")
NOTHING = "NOTHING"  # the whole answer where there is nothing to write
CHARACTERS_A_TOKEN = 2.0  # assumption: prose has 3 to 4.5, Chinese about 1.5; a truncated answer is refused
KEYS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "name": (str, "a word"),
    "version": (int, "a whole number"),
    "purpose": (str, "a sentence"),
    "stop": (str, "when there is nothing to write, as words after `if`"),
    "min_ratio": ((int, float), "a number above 0"),
    "max_ratio": ((int, float), "a number above 0"),
    "keep_numbers": ((int, float), "a share, 0 to 1"),
}
FRAME = """You write texts that language models learn from. You are given one document and write a new text from it.

{task}

What you write is judged by a program:
- Use only what the document says. Add no fact, number, name, date or example that does not stand in it.
- Write numbers and names as the document writes them. What stands between quotation marks must stand there too.
- Write in the language of the document, between {least} and {most} times its length.
- Begin with the text itself and end with it: no greeting, no remark on the task, nothing about yourself.
- Write {nothing} and no other word if {stop}."""
TASK = "Write the new text from the document between the two marks."


@dataclass(frozen=True, slots=True)
class Prompt:
    """One way to write a text from a document."""

    name: str
    version: int
    purpose: str
    stop: str
    min_ratio: float
    max_ratio: float
    keep_numbers: float
    task: str
    text: str  # of the whole file

    @property
    def hash(self) -> str:
        """Return the BLAKE3 hex of the file: by what a text was written."""
        return blake3(self.text.encode()).hexdigest()

    @property
    def instructions(self) -> str:
        """Return the words that every request by this prompt begins with."""
        return FRAME.format(
            task=self.task.strip(), least=f"{self.min_ratio:g}", most=f"{self.max_ratio:g}", nothing=NOTHING,
            stop=self.stop,
        )  # fmt: skip

    def request(self, shown: str, *, model: str, purpose: str) -> Request:
        """Return what a model is asked to write from what it is shown of a document."""
        most = int(len(shown) * self.max_ratio / CHARACTERS_A_TOKEN) + 200
        return Request(
            model=model, system=self.instructions, prompt=fenced(shown, task=TASK), max_tokens=most, purpose=purpose
        )


def packaged() -> tuple[str, ...]:
    """Return the names of the prompts that come with Tamis."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


def load_prompt(name: str | Path) -> Prompt:
    """Read a packaged prompt by its name, or one's own file; RecipeError names file, line, rule and way out."""
    path = Path(name)
    if path.suffix != ".md":
        path = FOLDER / f"{name}.md"
        if not path.is_file():
            raise RecipeError(
                f"{name}: is no prompt that comes with Tamis; did you mean {nearest_names(str(name), packaged())}? A "
                "prompt of your own is a file that ends in .md."
            )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as a prompt ({error}). Correct the path.") from error
    return _parsed(text, path=path)


def _parsed(text: str, *, path: Path) -> Prompt:
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if lines[0].rstrip() != "---" or end is None:
        raise RecipeError(
            f"{path}:1: a prompt begins with a head between two lines `---`. Copy one of {FOLDER} and edit it."
        )
    document = parse("\n".join(["", *lines[1:end]]) + "\n", path=path)
    data: dict[str, Any] = document.data if isinstance(document.data, dict) else {}
    for key in data:
        if key not in KEYS:
            document.mistake((key,), f"`{key}` is no key of a prompt's head; did you mean {nearest_names(key, KEYS)}?")
    for key, (kind, rule) in KEYS.items():
        if key not in data:
            document.mistake((), f"the head lacks `{key}`; it is {rule}. Add it.")
        elif not isinstance(data[key], kind) or isinstance(data[key], bool):
            document.mistake((key,), f"{key} is {data[key]!r}; it must be {rule}. Correct it.")
    task = "\n".join(lines[end + 1 :]).strip()
    if not task:
        document.mistake((), "nothing follows the head; say there what is to be written.")
    document.raise_mistakes()
    if not 0 < data["min_ratio"] < data["max_ratio"]:
        raise RecipeError(
            f"{path}: min_ratio {data['min_ratio']:g} must be above 0 and below max_ratio {data['max_ratio']:g}. "
            "Correct them."
        )
    if not 0 <= data["keep_numbers"] <= 1:
        raise RecipeError(f"{path}: keep_numbers is {data['keep_numbers']:g}; it is a share, 0 to 1. Correct it.")
    return Prompt(**{key: data[key] for key in KEYS}, task=task, text=text)
