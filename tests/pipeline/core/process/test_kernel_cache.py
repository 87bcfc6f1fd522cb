"""Kernels compiled from other code are never run."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline.core.process.kernel_cache import (
    KEPT_SECONDS,
    PREFIX,
    VARIABLE,
    _folder_of,
    _forget,
    _state_of,
    notice,
    use_own_cache,
)


def house(root: Path, code: str) -> Path:
    for folder in ("filters", "pipeline"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "filters" / "kernels.py").write_text(f"import numba\n{code}\n", encoding="utf-8")
    (root / "filters" / "plain.py").write_text("", encoding="utf-8")
    return root


def test_the_state_changes_with_a_kernel_file_and_not_with_others(tmp_path):
    before = _state_of(house(tmp_path, "a = 1"))
    (tmp_path / "filters" / "plain.py").write_text("b = 2", encoding="utf-8")

    assert _state_of(tmp_path) == before
    assert _state_of(house(tmp_path, "a = 2")) != before


def test_the_state_changes_with_a_module_whose_constants_a_kernel_names(tmp_path):
    house(tmp_path, "from filters.plain import b")
    (tmp_path / "filters" / "plain.py").write_text("b = 1", encoding="utf-8")
    before = _state_of(tmp_path)

    (tmp_path / "filters" / "plain.py").write_text("b = 2", encoding="utf-8")

    assert _state_of(tmp_path) != before


def test_code_has_its_folder_again_whatever_its_files_looked_like_before(tmp_path):
    home = tmp_path / "home"
    first = _folder_of(house(tmp_path, "a = 1"), home=home)
    untouched = _folder_of(tmp_path, home=home)
    edited = _folder_of(house(tmp_path, "a = 2"), home=home)
    back = _folder_of(house(tmp_path, "a = 1"), home=home)

    assert first == untouched == back != edited
    assert sorted(home.iterdir()) == sorted({first, edited})


def test_a_folder_of_the_users_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    use_own_cache()

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_run_from_before_an_update_may_use_stays(tmp_path):
    now = time.time()
    ages = {"recent": now - 3600, "old": now - KEPT_SECONDS - 60}
    for name, started in ages.items():
        (tmp_path / f"{PREFIX}{name}").mkdir()
        os.utime(tmp_path / f"{PREFIX}{name}", (started, started))

    _forget(tmp_path, before=now - KEPT_SECONDS)

    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}recent"]


def test_the_first_compiling_is_announced_and_no_other(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert notice().startswith("kernels are compiled")

    (tmp_path / "filters_1").mkdir()
    (tmp_path / "filters_1" / "kernels.find-1.py311.nbi").touch()

    assert notice() == ""
