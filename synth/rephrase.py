"""Has a model write documents anew, in several styles, and keeps what is faithful to what it was shown.

Each document is written from once, in a style that its place in a seeded order says. What comes back is kept only if a
program finds nothing wrong with it (`writing/faithful.py`): numbers, names and quotes of the source, bounds of length,
script, nothing of prompt or assistant. Every refusal is counted by its reason. A text that a model wrote is never
written anew. A style whose texts repeat each other more than real texts do is used less, then no more. Exactly
`documents` rows are made while documents, money and diversity last.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.step import Making, Params, input_names
from synth.writing.faithful import fault
from synth.writing.origins import lineage, writer_of
from synth.writing.prompt import Prompt, load_prompt
from synth.writing.rows import Rows, Tally, tell_shortage
from synth.writing.seeds import Seed, Seeds
from synth.writing.watched import Watch, shown_of
from synth.writing.writer import LARGE_CHARACTER, WatchedParams, Writer, WritingStep

NAME = "rephrase"
STYLES = ("plain", "question_answer", "tutorial", "table", "encyclopedic")
JUDGED = ("self_repetition", "compression", "near_duplicates", "near_known", "topics")
MOST_WORDS = 60  # of a text that its diversity is told by
MOST_AT_ONCE = 2_000  # documents asked for together, which bounds memory


class RephraseParams(WatchedParams):
    """What is written from which documents, in which styles."""

    styles: tuple[str, ...] = Field(
        default=STYLES, description="Packaged prompts (synth/writing/prompts); documents are shared among them equally."
    )
    prompts: tuple[str, ...] = input_names((), description="Prompts of one's own: Markdown files, beside `styles`.")

    @field_validator("styles")
    @classmethod
    def _known(cls, styles: tuple[str, ...]) -> tuple[str, ...]:
        for style in styles:
            try:
                load_prompt(style)
            except RecipeError as error:
                raise ValueError(str(error).removesuffix(".")) from error  # told with its place in the recipe
        if len(set(styles)) != len(styles):
            raise ValueError("a style is named twice; name each once, since documents are shared equally")
        return styles

    @model_validator(mode="after")
    def _has_prompts(self) -> Self:
        if not self.styles and not self.prompts:
            raise ValueError("`styles` and `prompts` are both empty, so nothing says what to write; name one of either")
        return self


class Rephrase(WritingStep):
    """New texts from documents, each in one style, written by a model and checked by a program."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = 3
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
        if not work.parts:
            raise DataError(f"{NAME}: has no documents to write from. Name a dataset by `from`, beside `make`.")
        if len({prompt.name for prompt in prompts}) < len(prompts):
            raise DataError(
                f"{NAME}: two prompts have one name, and cards and ids tell them apart by it: "
                f"{', '.join(prompt.name for prompt in prompts)}. Give each a `name` of its own in its head."
            )
        seeds = Seeds(work.parts, seed=work.seed, min_chars=params.min_chars, max_chars=params.max_chars)
        tally, rows = Tally(grouped_by="by_style"), Rows(work)
        watch = Watch(
            work.parts, params, prompts=[prompt.name for prompt in prompts], judged=JUDGED, most_words=MOST_WORDS,
            seed=work.seed,
        )  # fmt: skip
        with Writer(work, params, name=NAME) as writer:
            while (wanted := params.documents - rows.count) and tally.is_worth_it() and not watch.stop:
                most = watch.portion(MOST_AT_ONCE, kept=tally.kept)
                taken = seeds.take(tally.portion(wanted, most=most))
                if not taken:
                    break
                chosen = [prompts[at] for at in watch.next_prompts(len(taken))]
                kept = self._written(taken, chosen, writer=writer, tally=tally)
                about = [json.loads(row["metadata"]) for row in kept]
                watch.see(
                    [row["text"] for row in kept], seeds=shown_of(taken, about),
                    groups={"prompt": [each["style"] for each in about]},
                )  # fmt: skip
                for row in kept:
                    rows.add(row)
            rows.end()
            work.details |= tally.details() | {"passed_over": dict(sorted(seeds.passed.items()))}
            work.details |= watch.details()
            work.details |= {"prompts": {prompt.name: prompt.hash for prompt in prompts}, "model": params.model}
            work.details |= writer.account(accepted=rows.count)
        tell_shortage(
            work, NAME, wanted=params.documents, made=rows.count, worth_it=tally.is_worth_it(), stop=watch.stop
        )

    def _written(
        self, seeds: list[Seed], chosen: list[Prompt], *, writer: Writer, tally: Tally
    ) -> list[dict[str, str]]:
        """Have some documents written anew, each by its prompt; return the rows that are kept, in their order."""
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
