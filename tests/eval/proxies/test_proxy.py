from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.proxies.head import BLOCK_LOGITS, CAP
from eval.proxies.proxy import EPSILON, QK_SCALE, ROPE_BASE, init_lane, stack, token_nats, total_nats
from eval.proxies.tiers import TIERS, Tier


def awake(tier: Tier, *, seed: int) -> dict[str, Tensor]:
    """Draw a lane whose zero-initialised projections are filled too, so that every path carries signal."""
    params = init_lane(tier, seed=seed)
    draw = torch.Generator().manual_seed(seed + 1_000)
    for name in ("out_KLDD", "down_KLDF", "head_KVD"):
        params[name] = torch.randn(params[name].shape, generator=draw) * 0.2
    return params


def some_ids(tier: Tier, *, lanes: int, rows: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, tier.vocab_size, (lanes, rows, tier.context + 1), generator=draw)


def plain_nats(params: dict[str, Tensor], ids: Tensor, *, tier: Tier) -> Tensor:
    """Compute one lane the textbook way: (rows, context + 1) ids to (rows, context) nats."""

    def norm(x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt()

    def rotate(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        angle = torch.arange(x.shape[-2])[:, None] * ROPE_BASE ** (-torch.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    lane = {name: param[0] for name, param in params.items()}
    rows, width, heads = len(ids), tier.width, tier.num_heads
    x = norm(lane["embed_KVD"][ids[:, :-1]])
    for layer in range(tier.num_layers):
        q, k, v = (
            (norm(x) @ w.T).view(rows, -1, heads, width // heads).transpose(1, 2) for w in lane["qkv_KL3DD"][layer]
        )
        q, k = norm(rotate(q)) * QK_SCALE, norm(rotate(k)) * QK_SCALE
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + y @ lane["out_KLDD"][layer].T
        x = x + F.relu(norm(x) @ lane["up_KLFD"][layer].T).square() @ lane["down_KLDF"][layer].T
    logits = norm(x) @ lane["head_KVD"].T
    logits = CAP * logits / (logits.square() + CAP**2).sqrt()
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(rows, -1)


def test_loss_and_gradients_equal_a_plain_decoder(tiny: Tier) -> None:
    ids = some_ids(tiny, lanes=1, rows=3, seed=1)
    ours, plain = ({k: p.requires_grad_() for k, p in awake(tiny, seed=5).items()} for _ in range(2))

    total = total_nats(ours, ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32)
    total.sum().backward()
    expected = plain_nats(plain, ids[0], tier=tiny).sum()
    expected.backward()

    torch.testing.assert_close(total[0], expected, rtol=1e-5, atol=1e-4)
    for name in ours:
        torch.testing.assert_close(ours[name].grad, plain[name].grad, rtol=1e-3, atol=1e-4)


def test_stacked_lanes_equal_each_lane_alone(tiny: Tier) -> None:
    lanes = [awake(tiny, seed=seed) for seed in range(4)]
    ids = some_ids(tiny, lanes=4, rows=2, seed=2)

    together = token_nats(stack(lanes), ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32)

    for index, lane in enumerate(lanes):
        expected = plain_nats(lane, ids[index], tier=tiny)
        torch.testing.assert_close(together[index], expected, rtol=1e-5, atol=1e-5)


def test_a_lane_gets_no_gradient_from_another(tiny: Tier) -> None:
    params = {k: p.requires_grad_() for k, p in stack([awake(tiny, seed=seed) for seed in range(3)]).items()}
    ids = some_ids(tiny, lanes=3, rows=2, seed=3)

    total_nats(params, ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32)[1].backward()

    for param in params.values():
        assert param.grad is not None
        assert param.grad[1].abs().sum() > 0
        assert param.grad[[0, 2]].abs().sum() == 0


def test_the_future_does_not_change_the_past(tiny: Tier) -> None:
    params = awake(tiny, seed=4)
    ids = some_ids(tiny, lanes=1, rows=1, seed=4)
    changed = ids.clone()
    changed[..., 20:] = 3

    before, after = (
        token_nats(params, x[..., :-1], x[..., 1:], tier=tiny, dtype=torch.float32) for x in (ids, changed)
    )

    torch.testing.assert_close(before[..., :19], after[..., :19])


def test_targets_below_zero_count_neither_in_the_loss_nor_in_the_gradient(tiny: Tier) -> None:
    ids = some_ids(tiny, lanes=1, rows=2, seed=5)
    targets = ids[..., 1:].clone()
    targets[0, 1] = -1
    masked, short = ({k: p.requires_grad_() for k, p in awake(tiny, seed=6).items()} for _ in range(2))

    total_nats(masked, ids[..., :-1], targets, tier=tiny, dtype=torch.float32).sum().backward()
    total_nats(short, ids[:, :1, :-1], ids[:, :1, 1:], tier=tiny, dtype=torch.float32).sum().backward()

    for name in masked:
        torch.testing.assert_close(masked[name].grad, short[name].grad, rtol=1e-4, atol=1e-5)


def test_cutting_the_logits_into_blocks_changes_nothing(tiny: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = some_ids(tiny, lanes=2, rows=3, seed=9)
    lanes = stack([awake(tiny, seed=seed) for seed in (1, 2)])
    found = []
    for logits in (1 << 20, 2 * tiny.vocab_size * 7):
        monkeypatch.setitem(BLOCK_LOGITS, "cpu", logits)
        params = {name: param.clone().requires_grad_() for name, param in lanes.items()}
        total_nats(params, ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32).sum().backward()
        nats = token_nats(params, ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32)
        found.append([nats, *(param.grad for param in params.values())])

    for whole, blocks in zip(*found, strict=True):
        torch.testing.assert_close(whole, blocks, rtol=1e-4, atol=1e-4)


def test_a_new_lane_predicts_nearly_uniformly(tiny: Tier) -> None:
    ids = some_ids(tiny, lanes=1, rows=2, seed=7)

    nats = token_nats(init_lane(tiny, seed=1), ids[..., :-1], ids[..., 1:], tier=tiny, dtype=torch.float32)

    assert nats.mean().item() == pytest.approx(math.log(tiny.vocab_size), abs=0.01)


def test_bfloat16_stays_close_to_float32(tiny: Tier) -> None:
    params, ids = awake(tiny, seed=8), some_ids(tiny, lanes=1, rows=4, seed=8)

    exact, rough = (
        token_nats(params, ids[..., :-1], ids[..., 1:], tier=tiny, dtype=dtype).mean()
        for dtype in (torch.float32, torch.bfloat16)
    )

    assert rough.item() == pytest.approx(exact.item(), rel=0.01)


def test_every_tier_has_whole_heads_and_a_vocabulary_that_fits_uint16() -> None:
    for tier in TIERS.values():
        assert tier.width % (2 * tier.num_heads) == 0
        assert tier.vocab_size < 65_535
        assert tier.batch_tokens % tier.context == 0


def test_a_tier_knows_its_number_of_parameters() -> None:
    for tier in (TIERS["t0"], TIERS["t1"]):
        assert sum(param.numel() for param in init_lane(tier, seed=0).values()) == tier.num_parameters
