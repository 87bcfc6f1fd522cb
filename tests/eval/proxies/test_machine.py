from __future__ import annotations

import threading

import pytest
import torch

from eval.proxies.machine import compute_dtype, lane_groups, spread


def test_lanes_run_alone_on_a_cpu_and_together_elsewhere() -> None:
    assert lane_groups(3, device="cpu", lanes_at_once=None) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert lane_groups(3, device="cuda", lanes_at_once=None) == [slice(0, 3)]
    assert lane_groups(3, device="cuda", lanes_at_once=2) == [slice(0, 2), slice(2, 3)]


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert compute_dtype("fp32", device="cuda") == torch.float32
    assert compute_dtype("bf16", device="cpu") == torch.bfloat16
    assert compute_dtype("auto", device="cuda") == torch.bfloat16


def test_work_is_spread_over_threads_with_single_threaded_kernels_in_order() -> None:
    before = torch.get_num_threads()
    both_are_there = threading.Barrier(2, timeout=100)

    def work(item: int) -> tuple[int, int]:
        both_are_there.wait()
        return item, torch.get_num_threads()

    with spread(2) as pool:
        found = list(pool.map(work, [7, 8]))

    assert found == [(7, 1), (8, 1)]
    assert torch.get_num_threads() == before


def test_an_error_in_one_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError), spread(2) as pool:
        list(pool.map(lambda item: 1 // item, [1, 0, 2]))
