"""The proxy in this folder: text in, logits and bits out; needs torch and sentencepiece, and nothing else."""

import json
import math
import re
from pathlib import Path

import sentencepiece
import torch
import torch.nn.functional as F


class Proxy:
    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        data, self.weights = bytearray((folder / "model.safetensors").read_bytes()), {}
        begin = 8 + int.from_bytes(data[:8], "little")
        for name, about in json.loads(data[8:begin]).items():
            where = {"count": math.prod(about["shape"]), "offset": begin + about["data_offsets"][0]}
            self.weights[name] = torch.frombuffer(data, dtype=torch.float32, **where).view(about["shape"])

    def encode(self, text: str) -> list[int]:  # NUL and U+2581, which sentencepiece cannot carry, as their bytes
        ids = [self.config["bos"]]
        for part in re.split("([\x00\u2581]+)", text):
            if part[:1] in ("\x00", "\u2581"):
                ids += [self.pieces.piece_to_id(f"<0x{byte:02X}>") for byte in part.encode()]
                continue
            while part:  # a long stretch is cut before a space
                end = len(part) if len(part) <= 32_768 else max(part.rfind(" ", 1, 32_768), 0) or 32_768
                ids, part = ids + self.pieces.encode(part[:end]), part[end:]
        return ids

    @torch.no_grad()
    def logits(self, ids: list[int]) -> torch.Tensor:  # (len(ids), vocab_size): row i is said of token i + 1
        w, T, half = self.weights, len(ids), self.config["width"] // self.config["num_heads"] // 2
        angle = torch.outer(torch.arange(T), self.config["rotary_base"] ** (-torch.arange(half) / half))
        cos, sin = angle.cos().repeat(1, 2), torch.cat([-angle.sin(), angle.sin()], -1)
        x = self.norm(w["embed.weight"][ids])
        for layer in (f"layers.{number}" for number in range(self.config["num_layers"])):
            y = self.norm(x)
            q, k, v = (F.linear(y, w[f"{layer}.attention.{name}.weight"]) for name in ("query", "key", "value"))
            q, k, v = (z.view(T, -1, 2 * half).transpose(0, 1) for z in (q, k, v))
            q, k = (self.norm(z * cos + z.roll(half, -1) * sin) * self.config["query_key_scale"] for z in (q, k))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + F.linear(y.transpose(0, 1).flatten(1), w[f"{layer}.attention.out.weight"])
            y = F.linear(self.norm(x), w[f"{layer}.mlp.up.weight"]).relu().square()
            x = x + F.linear(y, w[f"{layer}.mlp.down.weight"])
        logits = F.linear(self.norm(x), w["head.weight"])
        return logits / (1 + (logits / self.config["logit_cap"]) ** 2).sqrt()

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=self.config["norm_epsilon"])

    def bits(self, text: str) -> float:  # over its UTF-8 bytes: bits per byte; read in windows of `context` tokens
        ids, nats, size = self.encode(text), 0.0, self.config["context"]
        for window in (ids[begin : begin + size + 1] for begin in range(0, len(ids) - 1, size)):
            nats += F.cross_entropy(self.logits(window[:-1]), torch.tensor(window[1:]), reduction="sum").item()
        return nats / math.log(2)
