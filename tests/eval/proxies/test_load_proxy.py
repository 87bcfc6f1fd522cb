"""The loader that an export writes beside a proxy gives our numbers, where this project cannot be imported."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from eval.proxies.plain_proxy import LOADER, config_of, plain_state
from eval.proxies.proxy import token_nats
from eval.proxies.tiers import Tier
from eval.proxies.tokenizer import Tokenizer, train_tokenizer
from eval.scores.bits_per_byte import document_bits
from tests.eval.proxies.test_proxy import awake

TEXTS = [
    "The keeper of the lighthouse counts ships.\n\tTwo pass at dawn; 17 at noon.",
    "odd: \x00\x00 and \u2581\u2581 and \U0001f30a na\u00efve  spaces   ",
    "x",
]
LONG = "a " * 17_000 + "x" * 33_000  # cut before a space, then where there is none
ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tamis", "pipeline", "filters", "synth", "eval", "safetensors"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
import json, torch
torch.set_num_threads(1)
from load_proxy import Proxy

proxy, texts = Proxy(), json.load(open("texts.json"))
*texts, long = texts
ids = [proxy.encode(text) for text in (*texts, long)]
logits = proxy.logits(ids[0][: proxy.config["context"]]).log_softmax(-1)
print(json.dumps({"ids": ids, "logits": logits.tolist(), "bits": [proxy.bits(text) for text in texts]}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    texts = [f"{TEXTS[0]} {number} lights in the harbour were lit" for number in range(60)]
    return train_tokenizer(texts, path=folder / "tokenizer.model", vocab_size=340, seed=1)


def test_logits_tokens_and_bits_are_ours_where_the_project_cannot_be_imported(
    tiny: Tier, folder: Path, tokenizer: Tokenizer
) -> None:
    tier = Tier(**{name: getattr(tiny, name) for name in tiny.__slots__} | {"vocab_size": tokenizer.vocab_size})
    params = awake(tier, seed=3)
    state = plain_state(params)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config_of(tier, bos=tokenizer.bos, tensors=state)))
    (folder / "texts.json").write_text(json.dumps([*TEXTS, LONG]))
    shutil.copy(LOADER, folder)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    ran = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=folder, env=clean, capture_output=True, text=True, check=True
    )

    found = json.loads(ran.stdout)
    tokens, long = (tokenizer.encode(texts) for texts in (TEXTS, [LONG]))
    parts = [tokens.flat[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
    assert found["ids"] == [[tokenizer.bos, *part] for part in (*parts, long.flat.tolist())]
    ids = torch.tensor(found["ids"][0][: tier.context]).expand(1, tier.vocab_size, -1)
    each = torch.arange(tier.vocab_size)[None, :, None].expand(ids.shape).contiguous()
    ours = -token_nats(params, ids, each, tier=tier, dtype=torch.float32)[0].T
    torch.testing.assert_close(torch.tensor(found["logits"]), ours, rtol=0, atol=1e-5)
    bits = document_bits(params, tokens, tier=tier, bos=tokenizer.bos, precision="fp32")
    np.testing.assert_allclose(found["bits"], bits[0], rtol=1e-5)


def test_the_exported_tensors_are_a_plain_state_dict_of_the_shapes_in_the_config(tiny: Tier, tmp_path: Path) -> None:
    params = awake(tiny, seed=1)
    state = plain_state(params)
    save_file(state, tmp_path / "model.safetensors")

    read = load_file(tmp_path / "model.safetensors")

    config = config_of(tiny, bos=1, tensors=state)
    assert {name: list(tensor.shape) for name, tensor in read.items()} == config["tensors"]
    assert sum(math.prod(shape) for shape in config["tensors"].values()) == tiny.num_parameters
    assert torch.equal(read["layers.1.attention.value.weight"], params["qkv_KL3DD"][0, 1, 2])
    assert torch.equal(read["layers.0.mlp.down.weight"], params["down_KLDF"][0, 0])


def test_the_loader_is_sixty_lines_and_imports_nothing_of_ours() -> None:
    lines = LOADER.read_text(encoding="utf-8").splitlines()

    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert len(lines) <= 60
    assert imported == {"json", "math", "pathlib", "re", "sentencepiece", "torch"}
