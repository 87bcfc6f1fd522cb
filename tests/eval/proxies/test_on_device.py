"""A step that asks the host for nothing: the same numbers on a CPU, and no value asked for on a device without data."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eval.proxies.on_device import DeviceSteps, stepping_on
from eval.proxies.optimizer import LaneOptimizer, Rates, rates_at
from eval.proxies.packing import Stream, Tokens
from eval.proxies.proxy import causal_attention, init_lane, stack, total_nats
from eval.proxies.tiers import TIERS, Tier
from tests.eval.proxies.test_trainer import BOS, assert_same, kept, lanes_on, train_until, trained
from tests.eval.streams import pack


@pytest.fixture
def stream(tiny: Tier, tokens: Tokens) -> Stream:
    return pack(tokens, bos=BOS, context=tiny.context)


def test_steps_on_the_device_give_what_steps_from_the_host_give(tiny: Tier, stream: Stream) -> None:
    """Lanes read two streams, one of them padded, at two rates."""
    lanes = [
        *lanes_on(stream, count=2),
        *[lane for lane in lanes_on(stream[::-1].copy(), count=3) if lane.name > "lane1"],
    ]

    host, device = (
        trained(lanes, tier=tiny, precision="fp32", lanes_at_once=3, stepping=how) for how in ("host", "device")
    )

    assert host[0].num_steps == 20
    assert_same(host, device, tolerance=1e-5)
    for ours, theirs in zip(host, device, strict=True):
        np.testing.assert_allclose(ours.nats_S, theirs.nats_S, rtol=1e-5)
        assert ours.account.num_targets == theirs.account.num_targets
        for first, second in zip(ours.account.norms, theirs.account.norms, strict=True):
            assert first["gradient"] == pytest.approx(second["gradient"], rel=1e-3)


def test_a_run_on_the_device_that_was_cut_off_ends_with_the_same_bits(
    tiny: Tier, stream: Stream, tmp_path: Path
) -> None:
    lanes = lanes_on(stream, count=3)
    whole = trained(lanes, tier=tiny, lanes_at_once=3, stepping="device")
    train_until(7, kept(lanes, tmp_path), tier=tiny, lanes_at_once=3, stepping="device")

    resumed = trained(kept(lanes, tmp_path), tier=tiny, lanes_at_once=3, stepping="device")

    assert_same(whole, resumed)


def test_a_card_replays_a_graph_and_a_cpu_is_driven_by_the_host() -> None:
    assert [stepping_on(device, "auto") for device in ("cuda", "cuda:1", "cpu")] == ["graph", "graph", "host"]
    assert stepping_on("cuda", "device") == "device"


class _Watch(TorchDispatchMode):
    """Notes what every operation inside gives, and which types products multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: set[str] = set()
        self.products: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, found)) if isinstance(leaf, torch.Tensor)]
        if any(tensor.device.type != "meta" for tensor in tensors):
            self.elsewhere.add(str(func))
        if func._overloadpacket in (torch.ops.aten.bmm, torch.ops.aten.baddbmm):
            self.products |= {tensor.dtype for tensor in tensors}
        return found


def device_steps(tier: Tier, *, lanes: int, device: str, num_steps: int = 2) -> DeviceSteps:
    params = stack([init_lane(tier, seed=seed) for seed in range(lanes)])
    params = {name: param.to(device).requires_grad_() for name, param in params.items()}
    rows = num_steps * tier.batch_rows
    return DeviceSteps(
        params,
        LaneOptimizer(params, tier=tier, lr_scale_K=torch.ones(lanes, device=device)),
        torch.ones(lanes, dtype=torch.bool, device=device),
        streams=[np.ones(rows * tier.context + 1, np.uint16)] * lanes,
        orders=[np.arange(rows)] * lanes,
        tier=tier,
        num_steps=num_steps,
        dtype=torch.bfloat16,
        stepping="device",
    )


@pytest.mark.parametrize(("tier", "lanes"), [("t0", 8), ("t1", 64), ("t85", 1)])
def test_no_step_asks_the_device_for_a_value_or_the_host_for_a_tensor(
    tier: str, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tensor of torch's `meta` device has a shape and a type but no values: whatever looks at one fails, as it would
    in the capture of a CUDA graph. All products are in bfloat16, and every batch is cut as on a card. Attention is a
    kernel of its own there, and stands here for what it takes and gives: torch's reference multiplies in float32."""
    attended = []

    def attention(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool) -> Tensor:
        attended.append((q.dtype, is_causal, q.shape == k.shape == v.shape))
        return q + k + v

    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    steps = device_steps(TIERS[tier], lanes=lanes, device="meta")

    with _Watch() as watch:
        steps.take()

    assert not watch.elsewhere
    assert watch.products == {torch.bfloat16}
    assert set(attended) == {(torch.bfloat16, True, True)}
    assert steps.nats_KS.shape == (lanes, 2) and steps.nats_KS.dtype == torch.float32


def test_the_attention_of_a_card_is_that_of_a_cpu(tiny: Tier) -> None:
    q, k, v = torch.randn(3, 4, tiny.num_heads, tiny.context, 16, generator=torch.Generator().manual_seed(1))

    fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)

    torch.testing.assert_close(causal_attention(q, k, v), fused, rtol=1e-5, atol=1e-5)


def test_loss_and_gradient_can_be_compiled_as_a_whole(tiny: Tier) -> None:
    """By the front of torch.compile, which is the same for a card; what its generated kernels do there was not run."""
    params = {name: param.requires_grad_() for name, param in stack([init_lane(tiny, seed=s) for s in (1, 2)]).items()}
    ids = torch.randint(0, tiny.vocab_size, (2, 3, tiny.context + 1))
    found = []
    for nats_of in (total_nats, torch.compile(total_nats, backend="aot_eager", fullgraph=True)):
        nats_K = nats_of(params, ids[..., :-1], ids[..., 1:].contiguous(), tier=tiny, dtype=torch.float32)
        found.append([nats_K, *torch.autograd.grad(nats_K.sum(), list(params.values()))])

    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-4, atol=1e-5)


def test_an_update_can_be_compiled_as_a_whole(tiny: Tier) -> None:
    """One graph serves every step: what changes from step to step comes in tensors."""
    found = []
    for compiled in (False, True):
        params = stack([init_lane(tiny, seed=seed) for seed in (1, 2)])
        optimizer = LaneOptimizer(params, tier=tiny, lr_scale_K=torch.ones(2))
        update = torch.compile(optimizer.update, backend="aot_eager", fullgraph=True) if compiled else optimizer.update
        with torch._dynamo.config.patch(error_on_recompile=True):
            for step in range(3):
                draw = torch.Generator().manual_seed(step)
                grads = {name: torch.randn(param.shape, generator=draw) for name, param in params.items()}
                rates = Rates(
                    *(torch.tensor(rate, dtype=torch.float32) for rate in astuple(rates_at(step, num_steps=9)))
                )
                update(params, grads, rates=rates, alive_K=torch.ones(2, dtype=torch.bool), dtype=torch.float32)
        found.append(params)

    for name, param in found[0].items():
        torch.testing.assert_close(param, found[1][name], rtol=1e-5, atol=1e-6)
