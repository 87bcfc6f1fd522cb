"""Arrays in scratch folders: whole or not there, synced or named by the boot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.files.writing import scratch as scratch_module
from pipeline.core.files.writing.scratch import open_array, save_array, scratch_file, until_reboot


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", seen.append)
    return seen


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.arange(12, dtype=np.uint32).reshape(3, 4).T])
def test_what_is_saved_is_mapped_again(tmp_path: Path, array: np.ndarray):
    save_array(scratch_file(tmp_path, "kind", 3), array)

    found = open_array(tmp_path / "kind-00003.npy")

    assert found.dtype == array.dtype and np.array_equal(found, array)


def test_files_until_the_next_boot_are_not_synced_and_others_are(tmp_path: Path, synced: list[int]):
    save_array(until_reboot(tmp_path) / "a.npy", np.arange(3))
    assert not synced

    save_array(tmp_path / "a.npy", np.arange(3))
    assert len(synced) == 3  # the file, its folder and its sum


def test_another_boot_finds_another_folder_and_none_is_told_means_durable(tmp_path: Path, monkeypatch, synced):
    before = until_reboot(tmp_path)
    (tmp_path / "boot_id").write_text("another\n", encoding="ascii")
    monkeypatch.setattr(scratch_module, "BOOT", tmp_path / "boot_id")
    assert until_reboot(tmp_path) == until_reboot(tmp_path) != before

    monkeypatch.setattr(scratch_module, "BOOT", tmp_path / "nowhere")
    assert until_reboot(tmp_path) == tmp_path
    save_array(until_reboot(tmp_path) / "a.npy", np.arange(3))
    assert synced
