"""A small decoder that trains as a stack: every parameter has a leading lane axis, and lanes never touch.

One lane is one proxy. A linear layer is one batched product over the lanes; attention, norms and rotary positions
have no parameters, so there the lane axis folds into the batch. The recipe is the "ranking" variant of
nanochat and modded-nanogpt: RMSNorm without parameters, rotary positions, normalised queries and keys, squared ReLU,
an untied head, output projections that start at zero, capped logits; no value embeddings, which memorise
token statistics. Products run in `dtype` (bfloat16: 4.7 x float32 on one Zen 5 core), sums and norms in float32.

Shape letters: K lanes, B rows, T context, N = B * T tokens of a lane, L layers, D width, H heads, E head width,
F = 4 D hidden width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from eval.proxies.head import nats_per_target, summed_nats
from eval.proxies.tiers import Tier

EPSILON = 1e-6
ROPE_BASE = 10_000.0
QK_SCALE = 1.2  # sharpens queries and keys after their norm (nanochat)


def init_lane(tier: Tier, *, seed: int) -> dict[str, Tensor]:
    """Draw one lane's float32 parameters, each with a lane axis of 1; the same on every device."""
    draw = torch.Generator().manual_seed(seed)
    L, D, V = tier.num_layers, tier.width, tier.vocab_size

    def uniform(*shape: int, std: float) -> Tensor:
        return (torch.rand(1, *shape, generator=draw) * 2 - 1) * (std * math.sqrt(3))

    return {
        "embed_KVD": torch.randn(1, V, D, generator=draw),
        "head_KVD": torch.randn(1, V, D, generator=draw) * 0.001,
        "qkv_KL3DD": uniform(L, 3, D, D, std=D**-0.5),
        "up_KLFD": uniform(L, 4 * D, D, std=0.4 * D**-0.5),
        "out_KLDD": torch.zeros(1, L, D, D),
        "down_KLDF": torch.zeros(1, L, D, 4 * D),
    }


def stack(lanes: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join lanes along the lane axis."""
    return {name: torch.cat([lane[name] for lane in lanes]) for name in lanes[0]}


def total_nats(
    params: Mapping[str, Tensor], ids_KBT: Tensor, targets_KBT: Tensor, *, tier: Tier, dtype: torch.dtype
) -> Tensor:
    """Return each lane's summed cross-entropy in nats, (K,), with gradients; targets below 0 do not count."""
    hidden_KND = hidden(params, ids_KBT, tier=tier, dtype=dtype)
    return summed_nats(hidden_KND, params["head_KVD"], targets_KBT.flatten(1))


@torch.no_grad()
def token_nats(
    params: Mapping[str, Tensor], ids_KBT: Tensor, targets_KBT: Tensor, *, tier: Tier, dtype: torch.dtype
) -> Tensor:
    """Return the cross-entropy of every target in nats, (K, B, T) float32; 0 where the target is below 0."""
    hidden_KND = hidden(params, ids_KBT, tier=tier, dtype=dtype)
    return nats_per_target(hidden_KND, params["head_KVD"], targets_KBT.flatten(1)).view(targets_KBT.shape)


def hidden(
    params: Mapping[str, Tensor],
    ids_KBT: Tensor,
    *,
    tier: Tier,
    dtype: torch.dtype,
    watch: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Return the last hidden states, (K, N, D); `watch` is shown what goes into the units of every layer, (K, N, F)."""
    K, _, T = ids_KBT.shape
    V, D = params["embed_KVD"].shape[1:]
    first_row = torch.arange(K, device=ids_KBT.device)[:, None] * V
    x = F.embedding(ids_KBT.flatten(1) + first_row, params["embed_KVD"].flatten(0, 1))
    x = _Norm.apply(x, torch.float32)
    rotation = _rotation(T, D // tier.num_heads, device=x.device)
    layers = [params[name].to(dtype).unbind(1) for name in ("qkv_KL3DD", "out_KLDD", "up_KLFD", "down_KLDF")]
    for qkv_K3DD, out_KDD, up_KFD, down_KDF in zip(*layers, strict=True):
        qkv = _linear(_Norm.apply(x, dtype), qkv_K3DD.flatten(1, 2))
        x = x + _linear(_attend(qkv, rotation, num_heads=tier.num_heads, context=T), out_KDD)
        up_KNF = _linear(_Norm.apply(x, dtype), up_KFD)
        if watch is not None:
            watch(up_KNF)
        x = x + _linear(_SquaredRelu.apply(up_KNF), down_KDF)
    return _Norm.apply(x, dtype)


def _linear(x_KNI: Tensor, weight_KOI: Tensor) -> Tensor:
    return torch.bmm(x_KNI, weight_KOI.transpose(1, 2))


def _attend(qkv_KNC: Tensor, rotation: tuple[Tensor, Tensor], *, num_heads: int, context: int) -> Tensor:
    K, N, C = qkv_KNC.shape
    q, k, v = _SplitHeads.apply(qkv_KNC.view(-1, context, 3, num_heads, C // 3 // num_heads), *rotation)
    return causal_attention(q, k, v).transpose(1, 2).reshape(K, N, C // 3)


def causal_attention(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor) -> Tensor:
    """Attend to the past; on CPU as plain products, 3 x faster there than the fused kernel in bfloat16."""
    if q_BHTE.device.type != "cpu":
        return F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, is_causal=True)
    B, H, T, E = q_BHTE.shape
    q, k, v = (x.view(B * H, T, E) for x in (q_BHTE, k_BHTE, v_BHTE))
    mask = torch.full((T, T), -math.inf, dtype=q.dtype).triu(1)
    scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=E**-0.5)
    return torch.bmm(scores.softmax(-1), v).view(B, H, T, E)


def _rotation(context: int, head_width: int, *, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cos and signed sin, each (T, E): the rotation is x * cos + swap(x) * sin, swap exchanging the halves."""
    frequency = ROPE_BASE ** (-torch.arange(0, head_width, 2, dtype=torch.float32, device=device) / head_width)
    angle = torch.outer(torch.arange(context, dtype=torch.float32, device=device), frequency)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def _inverse_rms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_()


class _SplitHeads(torch.autograd.Function):
    """(B, T, 3, H, E) to queries, keys and values (B, H, T, E); queries and keys are rotated, normed and sharpened."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        B, T, _, H, E = qkv.shape
        x = torch.empty(2, B, H, T, E, device=qkv.device).copy_(qkv[:, :, :2].permute(2, 0, 3, 1, 4))
        y = torch.addcmul(x * cos, x.roll(E // 2, -1), sin)
        scale = _inverse_rms(y)
        y.mul_(scale)
        ctx.save_for_backward(y, scale, cos, sin)
        q, k = (y * QK_SCALE).to(qkv.dtype).unbind(0)
        return q, k, qkv[:, :, 2].transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_q: Tensor, grad_k: Tensor, grad_v: Tensor) -> tuple[Tensor, None, None]:
        y, scale, cos, sin = ctx.saved_tensors
        grad = torch.stack([grad_q, grad_k]).float()
        share = (grad * y).mean(-1, keepdim=True)
        grad = grad.addcmul_(y, share, value=-1).mul_(scale * QK_SCALE)
        turned = (grad * sin).roll(y.shape[-1] // 2, -1).addcmul_(grad, cos)
        B, H, T, E = grad_q.shape
        grad_qkv = grad_q.new_empty(B, T, 3, H, E)
        grad_qkv[:, :, :2].copy_(turned.permute(1, 3, 0, 2, 4))
        grad_qkv[:, :, 2].copy_(grad_v.transpose(1, 2))
        return grad_qkv, None, None


class _Norm(torch.autograd.Function):
    """Root-mean-square norm over the last axis: float32 in, `dtype` out, one saved tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        scale = _inverse_rms(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        y, scale = ctx.saved_tensors
        grad = grad.float()
        share = (grad * y).mean(-1, keepdim=True)
        return torch.addcmul(grad, y, share, value=-1).mul_(scale), None


class _SquaredRelu(torch.autograd.Function):
    """max(x, 0) squared; keeps max(x, 0) in place of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.addcmul(grad.new_zeros(()), grad, positive, value=2)
