"""Muon for the block matrices, AdamW for embedding and head, each on stacks of lanes with a learning rate per lane.

Muon replaces a matrix gradient by (nearly) the closest orthogonal matrix, found by five Newton-Schulz steps on all
matrices of one shape at once; the scheme and its constants are Keller Jordan's. Every norm is taken per matrix, so
lanes never meet. A lane that is not alive keeps its weights as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eval.proxies.schedule import USUAL, Course, schedule
from eval.proxies.tiers import Tier

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
MUON_MOMENTUM = (0.85, 0.95)
MUON_MOMENTUM_STEPS = 300
ADAM_BETAS = (0.8, 0.95)
ADAM_EPSILON = 1e-10


@dataclass(frozen=True, slots=True)
class Rates:
    """What changes from one update to the next: numbers, or tensors without an axis, which a graph reads anew."""

    schedule: float | Tensor
    momentum: float | Tensor
    mean_bias: float | Tensor  # what Adam's running means lack of being means
    square_bias: float | Tensor


def rates_at(step: int, *, num_steps: int, course: Course = USUAL) -> Rates:
    """Return the rates of one step of so many."""
    first, last = MUON_MOMENTUM
    beta1, beta2 = ADAM_BETAS
    return Rates(
        schedule=schedule(step, num_steps=num_steps, course=course),
        momentum=first + (last - first) * min(1.0, step / MUON_MOMENTUM_STEPS),
        mean_bias=1 - beta1 ** (step + 1),
        square_bias=1 - beta2 ** (step + 1),
    )


def orthogonalize(matrices: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Push the singular values of (M, rows, columns) matrices towards 1; a zero matrix stays zero."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.transpose(-2, -1) if tall else matrices
    x = (x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)).to(dtype)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.transpose(-2, -1) if tall else x).to(matrices.dtype)


class LaneOptimizer:
    """State and update rule of one stack of lanes."""

    def __init__(self, params: Mapping[str, Tensor], *, tier: Tier, lr_scale_K: Tensor) -> None:
        self._tier = tier
        self._lr_scale_K = lr_scale_K
        self.state: dict[str, Tensor] = {}
        for name, param in params.items():
            kinds = ("mean", "square") if param.ndim == 3 else ("momentum",)
            self.state.update({f"{name}.{kind}": torch.zeros_like(param) for kind in kinds})

    @torch.no_grad()
    def update(
        self,
        params: Mapping[str, Tensor],
        grads: Mapping[str, Tensor],
        *,
        rates: Rates,
        alive_K: Tensor,
        dtype: torch.dtype,
    ) -> None:
        """Change `params` in place; a lane outside `alive_K` keeps its weights and its state."""
        lr_K = self._lr_scale_K * rates.schedule
        lr_K = torch.where(alive_K, lr_K, 0.0)
        for name, param in params.items():
            alive = alive_K.view(-1, *[1] * (param.ndim - 1))
            grad = torch.where(alive, grads[name], 0.0)
            lr = lr_K.view(alive.shape)
            if param.ndim == 3:
                rate = self._tier.embed_lr if name.startswith("embed") else self._tier.head_lr
                param.sub_(self._adam(name, grad, rates=rates).mul_(lr * rate))
            else:
                param.sub_(self._muon(name, grad, rates=rates, dtype=dtype).mul_(lr * self._tier.muon_lr))

    def _adam(self, name: str, grad: Tensor, *, rates: Rates) -> Tensor:
        beta1, beta2 = ADAM_BETAS
        mean, square = self.state[f"{name}.mean"], self.state[f"{name}.square"]
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = (square / rates.square_bias).sqrt_().add_(ADAM_EPSILON)
        return root.reciprocal_().mul_(mean).div_(rates.mean_bias)

    def _muon(self, name: str, grad: Tensor, *, rates: Rates, dtype: torch.dtype) -> Tensor:
        mean = self.state[f"{name}.momentum"]
        mean.lerp_(grad, 1 - rates.momentum)
        rows, columns = grad.shape[-2:]
        direction = orthogonalize(grad.lerp(mean, rates.momentum).view(-1, rows, columns), dtype=dtype)
        return direction.view(grad.shape) * max(1.0, rows / columns) ** 0.5
