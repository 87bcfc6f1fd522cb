"""How proxies are trained where not as their tier says: `proxy.settings`, and `proxy.of` for those of one mixture.

Only what the trainer has can be set. Vocabulary, context and what is held out are no settings: they are what proxies
are judged by.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from eval.proxies.tiers import Changes
from pipeline.core.strict_model import StrictModel

NAMES = {  # a setting -> what a tier calls it
    "learning_rate": "rate",
    "embedding_rate": "embedding",
    "head_rate": "head",
    "batch": "batch",
    "warmup": "warmup",
    "decay": "decay",
    "floor": "floor",
    "layers": "layers",
    "width": "width",
}
PLACE = "proxy.settings."  # of a setting in a recipe
RESHAPING = ("layers", "width")  # what changes the work of a token


class SettingsSection(StrictModel):
    """Settings of proxies that differ from their tier's."""

    learning_rate: float | None = Field(default=None, gt=0, le=100, description="All the tier's rates, times this.")
    embedding_rate: float | None = Field(
        default=None, gt=0, le=100, description="The embedding's rate, times this beside `learning_rate`."
    )
    head_rate: float | None = Field(
        default=None, gt=0, le=100, description="The head's rate, times this beside `learning_rate`."
    )
    batch: int | None = Field(default=None, ge=1, le=1 << 24, description="Tokens of a step, in whole rows.")
    warmup: float | None = Field(
        default=None, ge=0, le=0.5, description="Share of the steps in which the rate rises, at most 40 steps."
    )
    decay: float | None = Field(default=None, gt=0, le=1, description="Share of the steps in which the rate falls.")
    floor: float | None = Field(default=None, ge=0, le=1, description="Share of the highest rate at the end.")
    layers: int | None = Field(default=None, ge=1, le=128, description="Layers.")
    width: int | None = Field(
        default=None, ge=8, le=1 << 14, description="Width, an even number; heads stay as wide as the tier's, nearly."
    )

    @field_validator("width")
    @classmethod
    def _even(cls, width: int | None) -> int | None:
        if width is not None and width % 2:
            raise ValueError("it must be an even number, as positions turn pairs")
        return width

    @property
    def changes(self) -> Changes:
        """The same as a tier knows it."""
        return Changes(**{told: getattr(self, name) for name, told in NAMES.items()})

    def beside(self, other: SettingsSection) -> SettingsSection:
        """Return these settings with another's in their place, where it has some."""
        return self.model_copy(update=other.model_dump(exclude_none=True))
