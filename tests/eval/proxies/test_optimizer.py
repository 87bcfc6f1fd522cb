from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from eval.proxies.optimizer import ADAM_BETAS, ADAM_EPSILON, LaneOptimizer, orthogonalize, rates_at
from eval.proxies.proxy import init_lane, stack
from eval.proxies.schedule import schedule
from eval.proxies.tiers import Tier

NUM_STEPS = 8


def gradients(params: dict[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(param.shape, generator=draw) for name, param in params.items()}


def updated(
    tier: Tier, params: dict[str, Tensor], *, lr_scale: list[float], alive: list[bool] | None = None
) -> dict[str, Tensor]:
    params = {name: param.clone() for name, param in params.items()}
    optimizer = LaneOptimizer(params, tier=tier, lr_scale_K=torch.tensor(lr_scale))
    alive_K = torch.tensor(alive if alive is not None else [True] * len(lr_scale))
    for step in range(NUM_STEPS):
        rates = rates_at(step, num_steps=NUM_STEPS)
        optimizer.update(params, gradients(params, seed=step), rates=rates, alive_K=alive_K, dtype=torch.float32)
    return params


def test_orthogonalized_matrices_have_singular_values_near_one() -> None:
    draw = torch.Generator().manual_seed(1)
    for shape in ((3, 16, 64), (3, 64, 16), (3, 32, 32)):
        matrices = torch.randn(shape, generator=draw) * 100

        values = torch.linalg.svdvals(orthogonalize(matrices, dtype=torch.float32))

        assert ((values > 0.3) & (values < 1.3)).all()
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 4), dtype=torch.float32), torch.zeros(1, 4, 4))


def test_the_schedule_warms_up_holds_and_decays() -> None:
    factors = [schedule(step, num_steps=1_000) for step in range(1_000)]

    assert factors[0] < 0.05
    assert factors[100] == factors[350] == 1.0
    assert factors[-1] == pytest.approx(0.05, abs=0.01)
    assert all(a >= b for a, b in itertools.pairwise(factors[350:]))


def test_embedding_and_head_move_as_under_adam_of_torch(tiny: Tier) -> None:
    params = init_lane(tiny, seed=1)
    theirs = params["embed_KVD"].clone().requires_grad_()
    adam = torch.optim.AdamW([theirs], betas=ADAM_BETAS, eps=ADAM_EPSILON, weight_decay=0.0)
    for step in range(NUM_STEPS):
        adam.param_groups[0]["lr"] = tiny.embed_lr * schedule(step, num_steps=NUM_STEPS)
        theirs.grad = gradients(params, seed=step)["embed_KVD"]
        adam.step()

    ours = updated(tiny, params, lr_scale=[1.0])

    torch.testing.assert_close(ours["embed_KVD"], theirs.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_block_matrices_move_as_under_muon_of_torch(tiny: Tier) -> None:
    params = init_lane(tiny, seed=1)
    theirs = params["up_KLFD"][0, 0].clone().requires_grad_()
    muon = torch.optim.Muon([theirs], weight_decay=0.0)
    for step in range(NUM_STEPS):
        muon.param_groups[0]["lr"] = tiny.muon_lr * schedule(step, num_steps=NUM_STEPS)
        muon.param_groups[0]["momentum"] = 0.85 + 0.10 * step / 300
        theirs.grad = gradients(params, seed=step)["up_KLFD"][0, 0]
        muon.step()

    ours = updated(tiny, params, lr_scale=[1.0])

    moved = (theirs.detach() - params["up_KLFD"][0, 0]).abs().max()
    assert (ours["up_KLFD"][0, 0] - theirs.detach()).abs().max() < 0.02 * moved  # torch works in bfloat16


def test_each_lane_moves_at_its_own_rate_as_if_alone(tiny: Tier) -> None:
    both = stack([init_lane(tiny, seed=1), init_lane(tiny, seed=2)])

    together, slower = (updated(tiny, both, lr_scale=scales) for scales in ([1.0, 0.5], [0.25, 0.5]))

    for name, param in together.items():
        torch.testing.assert_close(param[1], slower[name][1], rtol=0, atol=0)
        assert not torch.equal(param[0], slower[name][0])


def test_a_dead_lane_keeps_its_weights(tiny: Tier) -> None:
    both = stack([init_lane(tiny, seed=1), init_lane(tiny, seed=2)])

    after = updated(tiny, both, lr_scale=[1.0, 1.0], alive=[True, False])

    for name, param in after.items():
        assert torch.equal(param[1], both[name][1])
        assert not torch.equal(param[0], both[name][0])
