from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from filters.language.kernels import WEIGHT_UNIT
from filters.language.model import SUFFIX, Model, load_model, make_tables, read_tables
from filters.language.vectors import LARGEST


@pytest.fixture(scope="module")
def made() -> Model:
    return make_tables()


def assert_same(found: Model, made: Model) -> None:
    for field in fields(Model):
        one, other = getattr(found, field.name), getattr(made, field.name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_kept_tables_are_those_that_would_be_made(made: Model, tmp_path: Path) -> None:
    (tmp_path / f"of-another-model{SUFFIX}").write_bytes(b"")

    load_model(tmp_path)
    found = load_model(tmp_path)

    assert_same(found, made)
    assert found.weights.ctypes.data % 64 == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_tables_are_made_again(made: Model, tmp_path: Path) -> None:
    load_model(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()

    for damaged in (b"", whole[:1000], whole[:5_000_000] + b"?" + whole[5_000_001:]):
        path.write_bytes(damaged)
        assert read_tables(path) is None
    assert_same(load_model(tmp_path), made)
    assert path.read_bytes() == whole


def test_a_folder_that_is_not_there_costs_only_time(made: Model, tmp_path: Path) -> None:
    assert_same(load_model(tmp_path / "none"), made)


def test_the_weights_differ_from_those_of_py3langid_by_what_a_row_has_in_common(made: Model) -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    theirs = LanguageIdentifier.from_model_file(MODEL_FILE)
    states = np.flatnonzero(np.asarray(theirs.tk_output) >= 0)[::97]
    rows = np.asarray(theirs.tk_row, np.int64)
    order = np.argsort(rows, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))

    ours = made.weights[made.outputs[places[states]], : len(made.codes)] * WEIGHT_UNIT
    apart = theirs.nb_ptc[np.asarray(theirs.tk_output)[states]].astype(np.float64) - ours

    assert (apart == apart[:, :1]).all()
    assert np.abs(made.weights).max() <= LARGEST
