"""What a parameter does to a result, as its class declares it."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import Field

from pipeline.catalog import STEPS
from pipeline.core.step import Params, Role, decides, how, input_names
from pipeline.recipe.names import step_class


class Given(Params):
    size: int = 3
    max_size: int = decides(5)
    lists: tuple[str, ...] = input_names(())
    patience: int = how(1)
    odd: int = Field(default=0, json_schema_extra={"role": "colour"})


def test_a_parameter_measures_unless_it_says_otherwise():
    keys = ("size", "max_size", "lists", "patience", "max_drop_fraction", "max_drift")

    assert [Given.role_of(key) for key in keys] == ["measure", "decide", "input", "how", "alarm", "alarm"]


def test_only_those_that_measure_and_differ_from_their_default_count_as_measuring():
    params = Given.parse({"size": 4, "max_size": 6, "patience": 2, "max_drift": 0.1})

    assert (params.of_role("measure"), params.of_role("decide")) == ({"size": 4}, {"max_size": 6})


def test_a_role_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="parameter `odd` has the role 'colour'; it must be one of measure, decide"):
        Given.role_of("odd")


@pytest.mark.parametrize("name", STEPS)
def test_every_parameter_of_every_step_has_a_role(name: str):
    params = step_class(name).Params

    assert {params.role_of(key) for key in params.model_fields} <= {*get_args(Role)}
