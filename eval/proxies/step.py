"""Rows of tokens in, one update of a stack of lanes out: forward, backward, the check for breaks, the optimiser.

Nothing in it asks a tensor for its value, so that a device can run it without waiting for the host, and a graph can
replay it (`eval/proxies/on_device.py`). A lane whose loss or gradient is not finite is broken from here on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from eval.proxies.optimizer import Rates
from eval.proxies.proxy import total_nats
from eval.proxies.tiers import Tier

TOKENS_IN_FLIGHT = {"cpu": 8_192, "cuda": 1 << 18}  # of one stack, between a forward and its backward


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step shows of itself."""

    nats_K: Tensor  # mean loss; nan where a lane is broken
    gradient_KM: Tensor | None  # norm of each matrix's gradient, where it was asked for


def take_step(
    params: Mapping[str, Tensor],
    ids_KBS: Tensor,
    *,
    update: Callable[..., None],
    rates: Rates,
    alive_K: Tensor,
    tier: Tier,
    dtype: torch.dtype,
    norms: bool = False,
    nats_of: Callable[..., Tensor] = total_nats,
) -> Taken:
    """Change weights and `alive_K` in place by one step over rows of context + 1 tokens, -1 for padding.

    `update` is that of an optimiser, `nats_of` the loss; both may be compiled.
    """
    num_targets_K = _num_targets(ids_KBS)
    total_K = torch.zeros(ids_KBS.shape[0], device=ids_KBS.device)
    for inputs, targets in _in_flight(ids_KBS, tier=tier):
        nats_K = nats_of(params, inputs, targets, tier=tier, dtype=dtype)
        (nats_K / num_targets_K).sum().backward()
        total_K += nats_K.detach()
    grads = {name: param.grad for name, param in params.items() if param.grad is not None}
    mean_K = total_K / num_targets_K
    alive_K &= mean_K.isfinite()
    for grad in grads.values():
        alive_K &= grad.flatten(1).sum(1).isfinite()
    gradient_KM = norms_of(grads) if norms else None
    update(params, grads, rates=rates, alive_K=alive_K, dtype=dtype)
    for param in params.values():
        param.grad = None
    return Taken(nats_K=torch.where(alive_K, mean_K, torch.nan), gradient_KM=gradient_KM)


def mean_gradients(
    params: Mapping[str, Tensor], ids_KBS: Tensor, *, tier: Tier, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return the gradient of the mean loss of some rows; changes nothing."""
    num_targets_K = _num_targets(ids_KBS)
    grads = {name: torch.zeros_like(param) for name, param in params.items()}
    for inputs, targets in _in_flight(ids_KBS, tier=tier):
        nats_K = total_nats(params, inputs, targets, tier=tier, dtype=dtype)
        of_part = torch.autograd.grad((nats_K / num_targets_K).sum(), list(params.values()))
        for name, grad in zip(params, of_part, strict=True):
            grads[name] += grad
    return grads


def _num_targets(ids_KBS: Tensor) -> Tensor:
    return (ids_KBS[..., 1:] >= 0).sum((1, 2)).clamp(min=1)


def _in_flight(ids_KBS: Tensor, *, tier: Tier) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and targets of as many rows as may be between a forward and its backward."""
    size = max(
        1, TOKENS_IN_FLIGHT["cpu" if ids_KBS.device.type == "cpu" else "cuda"] // (ids_KBS.shape[0] * tier.context)
    )
    for part_KbS in ids_KBS.split(size, dim=1):
        yield part_KbS[..., :-1].clamp(min=0), part_KbS[..., 1:].contiguous()


def norms_of(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the norm of every matrix of a stack, (K, matrices) float32, in the order of `matrices_of`."""
    norms = (torch.linalg.vector_norm(tensor, dim=(-2, -1)) for tensor in tensors.values())
    return torch.cat([norm.flatten(1) if norm.ndim > 1 else norm.unsqueeze(1) for norm in norms], dim=1)
