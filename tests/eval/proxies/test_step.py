"""A lane beside a model that knows no lanes: textbook decoder, textbook Adam and Muon, one matrix after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.proxies.packing import Stream, Tokens
from eval.proxies.proxy import init_lane
from eval.proxies.tiers import Tier
from eval.proxies.trainer import Lane
from tests.eval.proxies.test_proxy import plain_nats
from tests.eval.proxies.test_trainer import BOS, trained
from tests.eval.streams import pack

STEPS = 20
RATE = 1.0


@pytest.fixture
def stream(tiny: Tier, tokens: Tokens) -> Stream:
    return pack(tokens, bos=BOS, context=tiny.context)


def rate_at(step: int) -> float:
    """Warm up over one step (a twentieth), hold, and decay to a twentieth over the last 65 %."""
    return min(1.0, 0.05 + 0.95 * (STEPS - step) / (0.65 * STEPS))


def near_orthogonal(gradient: Tensor) -> Tensor:
    """Keller Jordan's five Newton-Schulz steps on one matrix, the wide way round."""
    x = gradient.T if gradient.shape[0] > gradient.shape[1] else gradient
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if gradient.shape[0] > gradient.shape[1] else x


class PlainOptimizer:
    """Adam for embedding and head, Muon for every matrix of a block."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.state: dict[tuple[str, int], dict[str, Tensor]] = {}

    def update(self, name: str, number: int, weight: Tensor, gradient: Tensor, *, step: int) -> None:
        zeros = {"mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        state = self.state.setdefault((name, number), zeros)
        rate = RATE * rate_at(step)
        if name in ("embed_KVD", "head_KVD"):
            state["mean"] = 0.8 * state["mean"] + 0.2 * gradient
            state["square"] = 0.95 * state["square"] + 0.05 * gradient**2
            mean, square = state["mean"] / (1 - 0.8 ** (step + 1)), state["square"] / (1 - 0.95 ** (step + 1))
            rate *= self.tier.embed_lr if name == "embed_KVD" else self.tier.head_lr
            weight -= rate * mean / (square.sqrt() + 1e-10)
            return
        momentum = 0.85 + 0.10 * step / 300
        state["mean"] = momentum * state["mean"] + (1 - momentum) * gradient
        looking_ahead = (1 - momentum) * gradient + momentum * state["mean"]
        stretch = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        weight -= rate * self.tier.muon_lr * stretch * near_orthogonal(looking_ahead)


def train_plainly(stream: Stream, *, tier: Tier, seed: int) -> tuple[dict[str, Tensor], list[float]]:
    params = {name: param.requires_grad_() for name, param in init_lane(tier, seed=seed).items()}
    optimizer, losses = PlainOptimizer(tier), []
    for step in range(STEPS):
        first = step * tier.batch_tokens
        rows = [stream[first + row * tier.context :][: tier.context + 1] for row in range(tier.batch_rows)]
        loss = plain_nats(params, torch.from_numpy(np.stack(rows).astype(np.int64)), tier=tier).mean()
        gradients = torch.autograd.grad(loss, list(params.values()))
        losses.append(loss.item())
        with torch.no_grad():
            for (name, param), gradient in zip(params.items(), gradients, strict=True):
                size = param.shape[-2:]
                pairs = zip(param.view(-1, *size), gradient.reshape(-1, *size), strict=True)
                for number, (weight, mine) in enumerate(pairs):
                    optimizer.update(name, number, weight, mine, step=step)
    return {name: param.detach() for name, param in params.items()}, losses


@pytest.mark.parametrize("stepping", ["host", "device"])
def test_a_lane_equals_an_independent_plain_model_after_twenty_steps(tiny: Tier, stream: Stream, stepping: str) -> None:
    lane = Lane("lane", stream, init_seed=3, lr_scale=RATE)

    (ours,) = trained([lane], tier=tiny, precision="fp32", stepping=stepping)

    params, losses = train_plainly(stream, tier=tiny, seed=3)
    assert ours.num_steps == STEPS
    np.testing.assert_allclose(ours.nats_S, losses, rtol=0, atol=1e-5)
    for name, param in params.items():
        torch.testing.assert_close(ours.params[name], param, rtol=0, atol=1e-5)
        assert (param - init_lane(tiny, seed=3)[name]).abs().max() > 1e-3
