"""One lane -> a plain state dict and a config: all that a program which does not know this project needs to run it.

Every tensor is float32, without a lane axis, in the order (out, in) of torch's linear layers. The decoder is close to
the `NanoChat` of transformers but not the same (its logits are capped by c x / sqrt(x^2 + c^2) and not by tanh, and
normed queries and keys are scaled), so it does not use that name; `eval/proxies/load_proxy.py` is its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from eval.proxies.head import CAP
from eval.proxies.proxy import EPSILON, QK_SCALE, ROPE_BASE
from eval.proxies.tiers import Tier

ARCHITECTURE = "tamis_proxy"
LOADER = Path(__file__).with_name("load_proxy.py")


def plain_state(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return one lane's parameters by plain names; each tensor owns its memory."""
    (embed_VD,), (head_VD,) = params["embed_KVD"], params["head_KVD"]
    state = {"embed.weight": embed_VD, "head.weight": head_VD}
    names = ("qkv_KL3DD", "out_KLDD", "up_KLFD", "down_KLDF")
    layers = zip(*(params[name][0].unbind(0) for name in names), strict=True)
    for number, (qkv_3DD, out_DD, up_FD, down_DF) in enumerate(layers):
        inside = f"layers.{number}"
        for name, weight_DD in zip(("query", "key", "value"), qkv_3DD.unbind(0), strict=True):
            state[f"{inside}.attention.{name}.weight"] = weight_DD
        state[f"{inside}.attention.out.weight"] = out_DD
        state[f"{inside}.mlp.up.weight"] = up_FD
        state[f"{inside}.mlp.down.weight"] = down_DF
    return {name: tensor.float().contiguous().clone() for name, tensor in state.items()}


def config_of(tier: Tier, *, bos: int, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the numbers of a plain state dict mean; `tensors` lists its names and shapes."""
    return {
        "model_type": ARCHITECTURE,
        "tier": tier.name,
        "vocab_size": tier.vocab_size,
        "num_layers": tier.num_layers,
        "width": tier.width,
        "num_heads": tier.num_heads,
        "hidden_width": 4 * tier.width,
        "context": tier.context,
        "bos": bos,
        "norm": "rms, without parameters",
        "norm_epsilon": EPSILON,
        "norms": ["embedding", "before attention", "before mlp", "before head", "query and key, after rotary"],
        "activation": "relu squared",
        "position": "rotary, first half against second half of a head",
        "rotary_base": ROPE_BASE,
        "query_key_scale": QK_SCALE,
        "logit_cap": CAP,
        "logit_cap_form": "c * x / sqrt(x^2 + c^2)",
        "bias": False,
        "tied_embedding": False,
        "dtype": "float32",
        "tensors": {name: list(tensor.shape) for name, tensor in sorted(tensors.items())},
    }
