"""What is known of an experiment, as plain records: lanes with what they kept, datasets and held-out sets as counted.

A lane of an earlier version kept less: what is not there is None, and the checks that need it say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.proxies.tiers import Tier

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """One finished proxy; `curve` is its curve.json as it lies there."""

    name: str
    mixture: str
    seed: int
    learning_rate: float
    tier: Tier
    num_tokens: int
    curve: Mapping[str, Any]
    device: str = "cpu"
    card: str = ""  # the processor's name, where that has a known peak
    precision: str = "bfloat16"
    tokens_per_second: float = 0.0
    waited: float | None = None
    until: float = 1.0
    said: Sequence[str] = ()  # what was wrong with it when it was trained
    draw: str = ""  # what it read, by identity
    mixture_draw: str | None = None  # what its mixture gives to read
    words: int = 0  # of its tokenizer: what is neither a single byte nor a sign of control; 0 where that is not known
    scores: Mapping[str, float] = field(default_factory=dict)  # bits per byte by held-out set

    @property
    def account(self) -> Mapping[str, Any]:
        return dict(self.curve.get("account") or {})

    @property
    def losses(self) -> Floats | None:
        """Bits per token of every step, nan where it broke; None where only a curve was kept."""
        losses = self.curve.get("losses")
        return None if losses is None else _floats(losses)

    @property
    def step_tokens(self) -> int:
        return self.tier.batch_rows * self.tier.context

    @property
    def num_steps(self) -> int:
        return max(1, self.num_tokens // self.step_tokens)

    @property
    def norms(self) -> Sequence[Mapping[str, Any]]:
        return tuple(self.account.get("norms") or ())

    @property
    def matrices(self) -> Mapping[str, Any] | None:
        return self.account.get("matrices") or None

    @property
    def probes(self) -> Mapping[str, Any] | None:
        return self.account.get("probes") or None

    @property
    def reading(self) -> Mapping[str, Any] | None:
        return self.account.get("reading") or None

    @property
    def reads(self) -> Mapping[str, Mapping[str, Any]] | None:
        return self.account.get("reads") or None

    @property
    def planned_tokens(self) -> int | None:
        """Tokens that it was to read, as far as it was to train."""
        planned = self.account.get("planned_tokens")
        return None if planned is None else int(planned * self.until)

    def of_matrices(self, kind: str) -> Floats | None:
        """Return float64[points, matrices] of `gradient`, `update` or `weight`."""
        told = self.matrices
        return None if told is None else np.stack([_floats(row) for row in told[kind]])


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """One dataset of a mixture as the lanes know it: its documents as tokens."""

    name: str
    num_tokens: int
    num_bytes: int  # of the documents
    token_bytes: int  # that their tokens stand for
    tokenizer: str = ""  # identity
    in_sample: bool = True  # whether the tokenizer learnt from it
    identity: str = ""
    epochs: Mapping[str, float] = field(default_factory=dict)  # by mixture
    repeated: float | None = None  # share of its tokens in documents that stand in it more than once


@dataclass(frozen=True, slots=True)
class HeldOutRecord:
    """One held-out set: by which tokenizer it was encoded, and the share of its documents that mixtures hold."""

    name: str
    documents: int
    tokenizer: str = ""
    met: Mapping[str, float] = field(default_factory=dict)  # by mixture


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """All that a diagnosis looks at."""

    name: str
    lanes: Sequence[LaneRecord]
    datasets: Sequence[DatasetRecord] = ()
    held_out: Sequence[HeldOutRecord] = ()


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)
