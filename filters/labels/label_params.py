"""What a recipe may say of labelling: who grades what, by which standard, for how much, and what is measured beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from filters.labels.rubrics.rubric import EXCERPT, MODEL, load_rubric
from filters.labels.sample.rounds import By
from filters.labels.teachers.grading import Useless
from pipeline.core.claude.messages.request import Demand, Wish
from pipeline.core.step import Params, Role, decides, how, input_names

OF_ROUNDS = ("rounds", "round_documents", "round_by", "min_gain_per_usd")
Times = Annotated[int, Field(ge=1, le=5)]


class LabelParams(Params):
    """Who grades what, by which standard, for how much."""

    rubric: str = Field(
        default="educational", min_length=1, description="Packaged rubric (filters/labels/rubrics), or a Markdown file."
    )
    rubric_file: str | None = input_names(None, description="The file that `rubric` names, said apart.")
    teacher: Literal["offline", "claude", "file"] = Field(
        default="offline", description="Who grades: signals (no model), Claude, or a file of grades."
    )
    path: str | None = input_names(
        None, description="For `teacher: file`: parquet or JSONL with `grade` and `id` or `text_hash`."
    )
    documents: int = Field(
        default=2000, ge=1, le=10_000_000, description="Documents to grade; a file's are all those that it grades."
    )
    sample: Literal["stratified", "uniform"] = Field(
        default="stratified", description="In proportion by source and length, or blind to both."
    )
    model: str | None = Field(
        default=None, min_length=1, description=f"For `teacher: claude`: the model's id; else the rubric's, or {MODEL}."
    )
    excerpt_chars: int | None = Field(
        default=None, ge=200, le=200_000,
        description=f"Characters of a document that the teacher sees, from its start; else the rubric's, or {EXCERPT}.",
    )  # fmt: skip
    max_usd: float = how(1.0, ge=0, description="US dollars that these grades may cost in all runs together.")
    concurrency: int = how(8, ge=1, le=256, description="Requests in flight at once.")
    ask_by: Demand = Field(
        default="best",
        description="For `teacher: claude`: how JSON is asked for; `best` of what the server turns out to give.",
    )
    batches: bool = how(False, description="Send Message Batches: half the price, answers within a day.")
    cache: Wish = how(
        "auto",
        description="Have the server keep what all requests begin with: where that pays at Anthropic's, or anywhere.",
    )
    max_useless: float = how(
        0.6, gt=0, le=1,
        description="Stop when a larger share of the last answers is useless (no grade, though paid for); 1: never.",
    )  # fmt: skip
    ask_again: dict[Useless, Times] = Field(
        default={}, description="Useless answers to pay for once more, by kind and how often: {invalid: 1}."
    )
    strata: tuple[str, ...] = Field(
        default=(), description="Signals of earlier steps whose values are strata too, such as language.language."
    )
    known: str | None = input_names(
        None, description="A file of grades that are there already (as of `teacher: file`): taken, and not asked for."
    )
    anchors: int = Field(
        default=50, ge=0, le=10_000, description="Documents of `known` that are asked for all the same, for drift."
    )
    people: str | None = input_names(
        None, description="A file of people's grades: asked for, to tell how far the teacher agrees with them."
    )
    earlier: str | tuple[str, ...] | None = input_names(
        None, description="Earlier label sets of these documents (labels.parquet, or files), the oldest first: drift."
    )
    second_reading: float = Field(
        default=0.05, ge=0, le=1, description="Share of the sample that Claude reads twice, for agreement; paid for."
    )
    twins: float = Field(
        default=0.02, ge=0, le=1, description="Share of the sample sent again padded and without Markdown; paid for."
    )
    rounds: int = Field(
        default=0, ge=0, le=50, description="Rounds after the sample, each of `round_documents` more documents."
    )
    round_documents: int = Field(default=500, ge=1, le=1_000_000, description="Documents of each round.")
    round_by: By = Field(
        default="stratified",
        description="More of the sample, or what classifiers of the grades so far agree on least (unsure).",
    )
    min_gain_per_usd: float = Field(
        default=0.0, ge=0,
        description="Buy no round that surely brings less rank correlation (Spearman) per US dollar; 0: buy all.",
    )  # fmt: skip
    canaries: float = Field(
        default=0.01, ge=0, le=1,
        description="Share of the sample sent again with an order to the grader in it, for the flip rate; paid for.",
    )  # fmt: skip
    max_injections: int | None = decides(
        None, ge=0, description="Most families of orders to a model in a kept document of the sample; null: keep all."
    )
    any_language: bool = Field(
        default=False, json_schema_extra={"role": "alarm"},
        description="Go on where the offline rubric, which works for English, meets a sample mostly not English.",
    )  # fmt: skip
    prices: str | None = how(
        None, description="A price file of your own; without it, pipeline/core/claude/prices.toml."
    )

    @classmethod
    def parse(cls, data: Mapping[str, object]) -> Self:
        """Validate recipe data as every step does; a rubric that is a file counts by its content, as `rubric_file`."""
        rubric = data.get("rubric")
        if isinstance(rubric, str) and (rubric.endswith(".md") or "/" in rubric) and "rubric_file" not in data:
            data = {key: value for key, value in data.items() if key != "rubric"} | {"rubric_file": rubric}
        return super().parse(data)

    def of_role(self, role: Role) -> dict[str, Any]:
        """Return what differs from the defaults; the rubric's own model and excerpt, written out, differ in nothing."""
        changed = super().of_role(role)
        file = None if self.rubric_file is None else Path(self.rubric_file)
        if changed.keys() & {"model", "excerpt_chars"} and (file is None or file.is_file()):
            head = load_rubric(self.rubric, file=file).head
            own = {"model": head.model, "excerpt_chars": head.excerpt}
            return {key: value for key, value in changed.items() if key not in own or value != own[key]}
        return changed

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if (self.teacher == "file") != (self.path is not None):
            raise ValueError("`path` goes with `teacher: file`, and only with it")
        paid = {"model", "max_usd", "concurrency", "batches", "prices", "max_useless", "ask_again", "second_reading"}
        paid |= {"min_gain_per_usd", "canaries", "ask_by", "cache"}
        idle = set() if self.teacher == "claude" else paid
        idle |= {"any_language"} if self.teacher != "offline" else set()
        idle |= (
            {"excerpt_chars", "documents", "sample", "strata", "known", "twins", "rounds"}
            if self.teacher == "file"
            else set()
        )
        without_effect = sorted(idle & self.model_fields_set)
        if without_effect:
            raise ValueError(f"`{'`, `'.join(without_effect)}` has no effect with `teacher: {self.teacher}`")
        idle_without = {"`known`": ["anchors"] * (self.known is None)}
        idle_without["`rounds`"] = [name for name in OF_ROUNDS if name != "rounds"] * (self.rounds == 0)
        idle_without["`sample: stratified`"] = ["strata"] * (self.sample == "uniform")
        for what, names in idle_without.items():
            if set(names) & self.model_fields_set:
                raise ValueError(f"`{min(set(names) & self.model_fields_set)}` has no effect without {what}")
        if self.rubric_file is not None and "rubric" in self.model_fields_set:
            raise ValueError("give `rubric` or `rubric_file`, not both")
        return self
