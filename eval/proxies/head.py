"""Hidden states and head to capped logits to cross-entropy, in blocks that stay in the cache.

The gradient is taken in the same visit as the loss, so logits are never stored: 12 lanes of 4,096 tokens over 2,048
words would be 400 MB in float32. Logits are capped smoothly, c x / sqrt(x^2 + c^2) with c = 15 (modded-nanogpt);
tanh costs seven times as much on a CPU. The cap also keeps every probability above 1e-18, so that no maximum
and no log-sum has to be carried.

Shape letters: K lanes, N tokens of a lane, n tokens of a block, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CAP = 15.0
BLOCK_LOGITS = {"cpu": 1 << 19, "cuda": 1 << 28}  # float32 logits held at once; on CPU 2 MB, near the size of L2


def summed_nats(hidden_KND: Tensor, head_KVD: Tensor, targets_KN: Tensor) -> Tensor:
    """Return each lane's summed cross-entropy in nats, (K,) float32, with gradients; targets below 0 do not count."""
    total_K: Tensor = _SummedNats.apply(hidden_KND, head_KVD, targets_KN)
    return total_K


@torch.no_grad()
def nats_per_target(hidden_KND: Tensor, head_KVD: Tensor, targets_KN: Tensor) -> Tensor:
    """Return the cross-entropy of every target in nats, (K, N) float32; 0 where the target is below 0."""
    head_KDV = head_KVD.to(hidden_KND.dtype).transpose(1, 2)
    nats_KN = torch.empty(targets_KN.shape, device=hidden_KND.device)
    for block in _blocks(hidden_KND, head_KVD):
        nats_KN[:, block] = _visit(hidden_KND[:, block], head_KDV, targets_KN[:, block])[0]
    return nats_KN


def _blocks(hidden_KND: Tensor, head_KVD: Tensor) -> list[slice]:
    K, N, _ = hidden_KND.shape
    size = max(1, BLOCK_LOGITS["cpu" if hidden_KND.device.type == "cpu" else "cuda"] // (K * head_KVD.shape[1]))
    return [slice(start, min(start + size, N)) for start in range(0, N, size)]


def _visit(hidden_KnD: Tensor, head_KDV: Tensor, targets_Kn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return nats (K, n), probabilities (K, n, V) and the cap's factor (K, n, V)."""
    logits = torch.bmm(hidden_KnD, head_KDV).float()
    factor = torch.addcmul(logits.new_ones(()), logits, logits, value=CAP**-2).rsqrt_()
    probability = torch.softmax(logits.mul_(factor), -1)
    nats = -probability.gather(-1, targets_Kn.clamp(min=0).unsqueeze(-1)).squeeze(-1).log()
    return nats.masked_fill_(targets_Kn < 0, 0.0), probability, factor


class _SummedNats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_KND: Tensor, head_KVD: Tensor, targets_KN: Tensor) -> Tensor:
        dtype = hidden_KND.dtype
        head = head_KVD.to(dtype)
        total_K = torch.zeros(hidden_KND.shape[0], device=hidden_KND.device)
        grad_hidden = torch.empty_like(hidden_KND)
        grad_head = torch.zeros_like(head_KVD)
        for block in _blocks(hidden_KND, head_KVD):
            hidden, targets = hidden_KND[:, block], targets_KN[:, block]
            counts = (targets >= 0).unsqueeze(-1).to(dtype)
            nats, grad, factor = _visit(hidden, head.transpose(1, 2), targets)
            total_K += nats.sum(-1)
            grad.scatter_add_(-1, targets.clamp(min=0).unsqueeze(-1), grad.new_full((*targets.shape, 1), -1.0))
            grad = grad.mul_(factor).mul_(factor.square_()).to(dtype)  # d capped / d logit = factor^3
            grad_hidden[:, block] = torch.bmm(grad, head).mul_(counts)
            grad_head += torch.bmm(grad.transpose(1, 2), hidden * counts)
        ctx.save_for_backward(grad_hidden, grad_head)
        return total_K

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total_K: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        scale = grad_total_K.view(-1, 1, 1)
        return grad_hidden * scale.to(grad_hidden.dtype), grad_head * scale, None
