"""Has a model write documents anew, in several styles, and keeps what is faithful to what it was shown.

Each document is written from once, in a style that its place in a seeded order says. What comes back is kept only if a
program finds nothing wrong with it (`writing/faithful.py`): numbers, names and quotes of the source, bounds of length,
script, nothing of prompt or assistant. Every refusal is counted by its reason. A text that a model wrote is never
written anew. Exactly `documents` rows are made while documents and money last.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, field_validator

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.step import Making, Params, input_names
from synth.writing.faithful import fault
from synth.writing.origins import lineage, writer_of
from synth.writing.prompt import Prompt, load_prompt
from synth.writing.seeds import Seed, Seeds
from synth.writing.writer import LARGE_CHARACTER, Writer, WriterParams, WritingStep

NAME = "rephrase"
STYLES = ("plain", "question_answer", "tutorial", "table", "encyclopedic")
MOST_AT_ONCE = 2_000  # documents asked for together, which bounds memory
FEWEST_USEFUL = 0.02  # share of the last answers that must be kept, or the step stops
PART = 5_000  # rows


class RephraseParams(WriterParams):
    """What is written from which documents, in which styles."""

    styles: tuple[str, ...] = Field(
        default=STYLES, description="Packaged prompts (synth/writing/prompts); documents are shared among them equally."
    )
    prompts: tuple[str, ...] = input_names((), description="Prompts of one's own: Markdown files, beside `styles`.")

    @field_validator("styles")
    @classmethod
    def _known(cls, styles: tuple[str, ...]) -> tuple[str, ...]:
        for style in styles:
            load_prompt(style)
        if len(set(styles)) != len(styles):
            raise ValueError("a style is named twice; name each once, since documents are shared equally")
        return styles


class Rephrase(WritingStep):
    """New texts from documents, each in one style, written by a model and checked by a program."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 1
    Params: ClassVar[type[Params]] = RephraseParams
    params: RephraseParams

    def identity_extras(self) -> dict[str, Any]:
        return super().identity_extras() | {"prompts": [load_prompt(style).hash for style in self.params.styles]}

    def estimate_usd(self) -> float:
        longest = LARGE_CHARACTER * self.params.max_chars
        prompts = [load_prompt(name) for name in (*self.params.styles, *self.params.prompts)]
        dearest = max(prompts, key=lambda prompt: prompt.max_ratio)
        return self.bound_usd([dearest.request(longest, model=self.params.model, purpose=NAME)])

    def make(self, work: Making) -> None:
        params = self.params
        prompts = [load_prompt(style) for style in params.styles]
        prompts += [load_prompt(path) for path in work.inputs.get("prompts", ())]
        if not work.parts or not prompts:
            raise DataError(
                f"{NAME}: has no {'styles' if work.parts else 'documents'} to write from. Name "
                f"{'`styles` or `prompts`' if work.parts else 'a dataset by `from`, beside `make`'}."
            )
        seeds = Seeds(work.parts, seed=work.seed, min_chars=params.min_chars, max_chars=params.max_chars)
        tally, rows = RewriteTally(), Rows(work)
        with Writer(work, params, name=NAME) as writer:
            while (wanted := params.documents - rows.count) and tally.is_worth_it():
                taken = seeds.take(min(wanted, MOST_AT_ONCE))
                if not taken:
                    break
                for row in self._written(taken, prompts, writer=writer, tally=tally):
                    rows.add(row)
            rows.end()
            work.details |= tally.details() | {"passed_over": dict(sorted(seeds.passed.items()))}
            work.details |= {"prompts": {prompt.name: prompt.hash for prompt in prompts}, "model": params.model}
            work.details |= writer.account(accepted=rows.count)
        tell_shortage(work, NAME, wanted=params.documents, made=rows.count, worth_it=tally.is_worth_it())

    def _written(
        self, seeds: list[Seed], prompts: list[Prompt], *, writer: Writer, tally: RewriteTally
    ) -> list[dict[str, str]]:
        """Have some documents written anew; return the rows that are kept, in the order of the documents."""
        chosen = [prompts[(tally.asked + at) % len(prompts)] for at in range(len(seeds))]
        asked = [
            prompt.request(seed.shown, model=self.params.model, purpose=f"{NAME}/{prompt.name}")
            for prompt, seed in zip(chosen, seeds, strict=True)
        ]
        kept = []
        for seed, prompt, answer in zip(seeds, chosen, writer.ask(asked), strict=True):
            written = answer.text.strip()
            reason = answer.status if answer.status != "parsed" else fault(seed.shown, written, prompt=prompt)
            tally.count(prompt.name, reason)
            if not reason:
                kept.append(self._row(seed, prompt, written, request=answer.request_id, prices=writer.prices))
        return kept

    def _row(self, seed: Seed, prompt: Prompt, written: str, *, request: str, prices: str) -> dict[str, str]:
        made_by = lineage(
            seed.row, step=NAME, version=self.version, prompt=prompt.name, prompt_hash=prompt.hash,
            model=self.params.model, request=request, prices=prices,
        )  # fmt: skip
        about = {"style": prompt.name, "written_from": seed.row["id"], "shown_chars": len(seed.shown)}
        return {
            "id": f"{NAME}/{prompt.name}/{request[2:18]}",
            "text": written,
            "source": NAME,
            "origin": writer_of(self.params.model),
            "lineage": made_by,
            "metadata": json.dumps(about),
        }


class RewriteTally:
    """What was asked and kept, and why the rest was not, by style."""

    def __init__(self) -> None:
        self.asked, self.kept = 0, 0
        self._by_style: dict[str, Counter[str]] = {}
        self._last: list[bool] = []  # whether each of the last answers was kept

    def count(self, style: str, reason: str) -> None:
        """Note one answer; an empty reason says that it is kept."""
        self.asked += 1
        self.kept += not reason
        self._by_style.setdefault(style, Counter())[reason or "kept"] += 1
        self._last = [*self._last[-999:], not reason]

    def is_worth_it(self) -> bool:
        """Say whether more should be bought: a few hundred answers of which nearly none was kept say no."""
        return len(self._last) < 200 or sum(self._last) >= FEWEST_USEFUL * len(self._last)

    def details(self) -> dict[str, Any]:
        """Return the counts as plain JSON, for the card."""
        refused = sum(self._by_style.values(), Counter())
        del refused["kept"]
        return {
            "asked": self.asked, "kept": self.kept, "refused": dict(sorted(refused.items())),
            "by_style": {style: dict(sorted(counts.items())) for style, counts in sorted(self._by_style.items())},
        }  # fmt: skip


class Rows:
    """Collects rows and writes them in parts of PART."""

    def __init__(self, work: Making) -> None:
        self.count = 0
        self._work, self._rows, self._parts = work, list[dict[str, str]](), 0

    def add(self, row: dict[str, str]) -> None:
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == PART:
            self.end()

    def end(self) -> None:
        """Write what is left; a step without any row writes one empty part."""
        if self._rows or not self._parts:
            self._work.write(self._parts, pa.Table.from_pylist(self._rows, schema=SCHEMA))
            self._parts += 1
            self._rows = []


def tell_shortage(work: Making, name: str, *, wanted: int, made: int, worth_it: bool) -> None:
    """Say in the card and on the screen why fewer rows were made than asked for; DataError where there are none."""
    if made == wanted:
        return
    why = "there are no more documents to write from" if worth_it else "nearly no answer of the last could be kept"
    told = f"{name}: made {made:,} of {wanted:,} rows: {why}; the card counts every reason"
    work.details["short"] = why
    if not made:
        counted = {**work.details.get("refused", {}), **work.details.get("passed_over", {})}
        raise DataError(f"{told}. Reasons: {counted}. Look at the documents, the prompts and the model.")
    work.say(told)
