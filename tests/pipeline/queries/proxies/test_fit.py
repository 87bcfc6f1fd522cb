from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.fit import fit_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.proxies.fit import fit_runs, limits_given, read_runs
from tests.eval.search.planted import loss_of_shortage, runs

LOSS, OTHER = loss_of_shortage(1), loss_of_shortage(2)


def write(path: Path, *, seed: int, count: int = 30, order: tuple[int, ...] = (0, 1, 2, 3)) -> Path:
    weights, values = runs(LOSS, count, seed=seed)
    names = ["web", "code", "books", "tasks"]
    rows = [[f"{row:.6f}" for row in weight[list(order)]] for weight in weights]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run", *(f"w_{names[index]}" for index in order), "m_news", "m_forum"])
        for number, row in enumerate(rows):
            table.writerow([number, *row, f"{values[number]:.5f}", f"{OTHER(weights)[number]:.5f}"])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("fit") / "runs.csv", seed=1)


def read(path: Path):
    return read_runs(path, weights="w_", metrics="m_")


def test_a_table_of_runs_is_judged_on_runs_left_out_or_on_other_runs(table, tmp_path):
    """Columns of the other runs may stand in another order."""
    held = write(tmp_path / "held.csv", seed=2, order=(3, 1, 0, 2))

    left_out = fit_runs(read(table), target="news")
    judged = fit_runs(read(table), target="news", holdout=read(held))

    assert left_out["accuracy"]["target"]["rank_correlation"] > 0.9
    assert judged["accuracy"]["target"]["num_runs"] == 30
    assert judged["accuracy"]["target"]["rank_correlation"] > 0.9
    assert judged["optimum"] == left_out["optimum"]


def test_the_best_weights_are_better_than_the_best_run_and_among_what_was_run(table):
    found = fit_runs(read(table), target="news")["optimum"]

    weights = np.array([[found["weights"][name] for name in ("web", "code", "books", "tasks")]])
    assert LOSS(weights)[0] < read(table).values["news"].min()
    assert (weights <= read(table).weights_ND.max(axis=0) + 0.001).all()
    assert all(found["low"][name] <= found["weights"][name] + 0.001 for name in found["weights"])


def test_limits_bind(table):
    found = fit_runs(read(table), target="news", least={"tasks": 0.4})["optimum"]["weights"]

    assert found["tasks"] >= 0.4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("w_", "x_"), "no column begins with `w_`.*Name what they begin with by --weights"),
        (lambda text: text.replace("m_", "y_"), "no column begins with `m_`.*--metrics"),
        (lambda text: text.replace("\n3,0.", "\n3,1."), r":5: the weights sum to 2, .*Divide each row by its sum"),
        (lambda text: text.replace("\n4,0.", "\n4,many"), r":6: w_web is `many\d+`; it must be a number"),
        (lambda text: text.replace("w_code", "w_web"), r":1: column `w_web` stands there more than once"),
        (lambda text: text.replace(",", ";"), r"no column begins with `w_`.*Is it separated by semicolons\?"),
        (lambda text: text.replace("\n4,0.", "\n4,,0."), r"is not a CSV table|w_web is empty"),
    ],
)  # fmt: skip
def test_a_table_that_says_nothing_clear_is_refused(table, tmp_path, change, said):
    wrong = tmp_path / "wrong.csv"
    text = table.read_text().replace("\r\n", "\n")
    assert change(text) != text
    wrong.write_text(change(text))

    with pytest.raises(DataError, match=said):
        read(wrong)


def test_a_metric_that_runs_lack_is_refused_only_where_it_is_wanted(table, tmp_path):
    text, gaps, empty = table.read_text().replace("\r\n", "\n"), tmp_path / "gaps.csv", tmp_path / "empty.csv"
    gaps.write_text(re.sub(r",[0-9.]+\n$", ",\n", text))
    empty.write_text(re.sub(r",[0-9.]+\n", ",\n", text))

    assert fit_runs(read(gaps), target="news")["runs"] == 30
    with pytest.raises(DataError, match=r"forum is no finite number in 1 of 30 runs \(lines 31\). Take those runs out"):
        fit_runs(read(gaps))
    with pytest.raises(DataError, match=r"forum is a number in no run; leave it out of --target"):
        fit_runs(read(empty))


def same_weights(text: str, *, columns: slice) -> str:
    """Write the first run's weights into all others, or the first two swapped for equal ones."""
    head, *rows = [line.split(",") for line in text.splitlines()]
    for row in rows:
        row[columns] = rows[0][columns]
    return "\n".join(",".join(row) for row in [head, *rows])


def test_runs_of_one_mixture_show_nothing_and_a_weight_that_is_always_the_same_is_told(table, tmp_path):
    one, fixed = tmp_path / "one.csv", tmp_path / "fixed.csv"
    one.write_text(same_weights(table.read_text(), columns=slice(1, 5)))
    weights, values = runs(LOSS, 30, seed=4)
    lines = [f"0.1,{0.9 * row[0]},{0.9 * row[1]},{0.9 * (1 - row[0] - row[1])}" for row in weights]
    told = "\n".join(f"{line},{value}" for line, value in zip(lines, values, strict=True))
    fixed.write_text(f"w_a,w_b,w_c,w_d,m_x\n{told}\n")

    with pytest.raises(DataError, match=r"every run has the same weights, .*Run other mixtures"):
        fit_runs(read(one))
    found = fit_runs(read(fixed))
    assert list(found["never_varied"]) == ["a"] and found["optimum"]["weights"]["a"] == pytest.approx(0.1)
    assert "The same in every run, so what they do is unknown and they stay there: a 0.100." in fit_text(found)


def test_of_very_many_runs_the_process_has_some_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("eval.search.surrogates.MOST_FOR_PROCESS", 64)  # of 512 it takes ten seconds
    weights, values = runs(LOSS, 72, seed=3, noise=0.01)
    rows = [",".join(f"{x:.6f}" for x in (*row, value)) for row, value in zip(weights, values, strict=True)]
    path = tmp_path / "many.csv"
    path.write_text("w_a,w_b,w_c,w_d,m_x\n" + "\n".join(rows) + "\n")

    found = fit_runs(read(path))

    assert found["runs"] == 72 and found["process_runs"] == 64
    assert found["accuracy"]["target"]["rank_correlation"] > 0.95
    assert "fitted to 64 of the 72 runs, drawn blindly" in fit_text(found)


def test_what_cannot_be_fitted_is_refused(table, tmp_path):
    constant = tmp_path / "constant.csv"
    head, *rows = table.read_text().replace("\r\n", "\n").splitlines()
    constant.write_text("\n".join([head, *(row.rsplit(",", 1)[0] + ",2.5" for row in rows)]))
    few = tmp_path / "few.csv"
    few.write_text("\n".join([head, *rows[:4]]))
    other = tmp_path / "other.csv"
    other.write_text(table.read_text().replace("w_web", "w_net"))

    with pytest.raises(DataError, match=r"forum is 2.5 in every run.*Leave it out of --target"):
        fit_runs(read(constant))
    with pytest.raises(DataError, match="4 runs; at least 6 are needed"):
        fit_runs(read(few))
    with pytest.raises(DataError, match="lacks web"):
        fit_runs(read(table), holdout=read(other))
    with pytest.raises(DataError, match=r"cannot be read.*Name a CSV file"):
        read(tmp_path / "none.csv")


def test_a_limit_is_a_name_and_a_number():
    assert limits_given(["web=0.2", "code = .1"], flag="--least") == {"web": 0.2, "code": 0.1}
    with pytest.raises(RecipeError, match=r"--most web: is not NAME=NUMBER. Write it as --most web=0.2"):
        limits_given(["web"], flag="--most")


def test_the_verb_prints_a_table_or_json(table):
    command = [sys.executable, "-m", "pipeline", "fit", str(table), "--target", "news"]

    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    data = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)

    assert "30 runs, judged by runs left out:" in text and "best weight" in text
    assert data["runs"] == 30 and set(data["optimum"]["weights"]) == {"web", "code", "books", "tasks"}
