"""An exported proxy as a model of lm-evaluation-harness (extra `[tasks]`), in float32, one text after the other.

Choices of one question that share a prompt are laid out together, as `multiple_choice` lays them: their border is
where all of them still have the same tokens, and what stands before a choice is the same for each. So accuracy is that
of our own multiple choice; the harness itself cuts each pair by itself, after as many tokens as the prompt alone has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval.api.model import LM

from eval.proxies.load_proxy import Proxy
from eval.proxies.tokenizer import Tokenizer
from eval.scores.multiple_choice import Item, lay
from pipeline.core.errors import DataError

MOST_TOKENS = 256  # of a continuation, where a task does not say


class HarnessProxy(LM):
    """What the harness asks of a model, answered by the proxy in a folder of `tamis export-proxy`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.proxy = Proxy(folder)
        self.tokenizer = Tokenizer.load(folder / "tokenizer.model")
        self.context = int(self.proxy.config["context"])

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Return the nats of every continuation, negative, and whether each of its tokens is the most probable."""
        together: dict[tuple[Any, ...], list[int]] = {}
        for number, request in enumerate(requests):
            together.setdefault((request.task_name, request.doc_id, request.args[0]), []).append(number)
        found = [(0.0, True)] * len(requests)
        for (*_, prompt), numbers in together.items():
            item = Item(prompt=prompt, choices=tuple(requests[number].args[1] for number in numbers))
            laid = lay([item], tokenizer=self.tokenizer, context=self.context)
            edges = laid.tokens.offsets
            for number, first, begin, end in zip(numbers, laid.first_D.tolist(), edges[:-1], edges[1:], strict=True):
                found[number] = self._scored(laid.tokens.flat[begin:end], first=first)
        return found

    def _scored(self, tokens: np.ndarray, *, first: int) -> tuple[float, bool]:
        if first == len(tokens):
            return 0.0, True
        ids = [self.proxy.config["bos"], *tokens.tolist()]
        logits_TV = self.proxy.logits(ids[:-1])[first:]
        targets_T = torch.tensor(ids[first + 1 :])
        nats_T = torch.nn.functional.cross_entropy(logits_TV, targets_T, reduction="none")
        return -float(nats_T.double().sum()), bool((logits_TV.argmax(-1) == targets_T).all())

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Return the nats of whole texts, negative, read in windows as held-out documents are."""
        return [-math.log(2) * self.proxy.bits(request.args[0]) for request in requests]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Return the most probable continuation of every prompt, up to a stop or the end of its document."""
        return [self._continued(*request.args) for request in requests]

    def _continued(self, prompt: str, how: dict[str, Any]) -> str:
        if how.get("do_sample") or (how.get("temperature") or 0) > 0:
            raise DataError(
                f"generation_kwargs: {how} asks for draws; a proxy only continues by the most probable token. Set "
                "do_sample: false and temperature: 0."
            )
        until = how.get("until") or []
        stops = [until] if isinstance(until, str) else until
        ids, said = self.proxy.encode(prompt), list[int]()
        text = ""
        while len(said) < int(how.get("max_gen_toks", MOST_TOKENS)):
            token = int(self.proxy.logits([*ids, *said][-self.context :])[-1].argmax())
            if token == self.proxy.config["bos"]:  # another document begins
                break
            said.append(token)
            text = self.tokenizer.decode(said, errors="replace")
            ends = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
            if ends:
                return text[: min(ends)]
        return text
