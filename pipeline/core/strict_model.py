"""What a recipe gives in one place, as a model: frozen, strict, unknown keys refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """The base of sections and of the parameters of steps and readers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @classmethod
    def parse(cls, data: Mapping[str, object]) -> Self:
        """Validate plain recipe data by JSON's type rules: a list becomes a tuple, a string a path, but '1' no int."""
        return cls.model_validate_json(json.dumps(dict(data)))
