"""An exported proxy runs without this project; what may not be overwritten stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.proxies.tiers import TIERS
from eval.proxies.tokenizer import Tokenizer
from eval.scores.bits_per_byte import document_bits
from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.export.proxy import USE, export_proxy
from pipeline.queries.proxies.lanes import find_lane, scores_of_lane, tokenizer_of_lane
from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import bytes_of


def test_the_folder_gives_our_bits_by_the_lines_of_its_readme(trained_house: House, tmp_path: Path):
    from safetensors.torch import load_file

    workspace, lane = trained_house.workspace, find_lane(trained_house.workspace, "both/seed1/lr1")
    folder = tmp_path / "proxy"

    done = export_proxy(workspace, "both/seed1/lr1", to=folder)
    program = f"import sys; sys.modules['eval'] = sys.modules['pipeline'] = None\n{USE}print(tuple(logits.shape))\n"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=clean, capture_output=True, text=True, check=True
    )

    tokenizer = Tokenizer.load(tokenizer_of_lane(workspace, lane))
    tokens = tokenizer.encode(["Some text."])
    bits = document_bits(
        load_file(lane.folder / "weights.safetensors"), tokens, tier=TIERS["t0"], bos=tokenizer.bos, precision="fp32"
    )
    rate, shape = ran.stdout.splitlines()
    assert float(rate) == pytest.approx(bits[0, 0] / len("Some text."), abs=1e-5)
    assert shape == str((1 + len(tokens.flat), TIERS["t0"].vocab_size))
    assert (done.proxy, done.parameters, done.healthy) == ("both/seed1/lr1", TIERS["t0"].num_parameters, True)


def test_the_card_tells_mixture_tokens_seed_rate_and_scores(trained_house: House, tmp_path: Path):
    lane = find_lane(trained_house.workspace, "both/seed1")
    (score,) = scores_of_lane(trained_house.workspace, lane)

    export_proxy(trained_house.workspace, "both/seed1", to=tmp_path / "proxy")

    card = (tmp_path / "proxy" / "README.md").read_text()
    assert "# Proxy both/seed1/lr1\n" in card and lane.card.identity in card
    for line in ("- Tokens: 4,096, BOS included", "- Seed: 1", "- Learning rate: 1 of tier t0&#39;s"):
        assert line in card or line.replace("&#39;", "'") in card
    assert "| good | 0.7500 | " in card and "| raw | 0.2500 | " in card
    assert f"| held | {score.documents} | {score.bits_per_byte:.4f} |" in card
    assert json.loads((tmp_path / "proxy" / "config.json").read_text())["model_type"] == "tamis_proxy"


def test_the_same_proxy_gives_the_same_bytes(trained_house: House, tmp_path: Path):
    for name in ("one", "two"):
        export_proxy(trained_house.workspace, "raw/seed0", to=tmp_path / name)

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_folder_that_holds_anything_is_left_alone(trained_house: House, tmp_path: Path):
    mine, earlier = tmp_path / "mine", tmp_path / "earlier"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    export_proxy(trained_house.workspace, "raw/seed0", to=earlier)
    before = bytes_of(tmp_path)

    with pytest.raises(RecipeError, match="holds something that is not an export of Tamis"):
        export_proxy(trained_house.workspace, "raw/seed1", to=mine, overwrite=True)
    with pytest.raises(RecipeError, match="holds another export"):
        export_proxy(trained_house.workspace, "raw/seed1", to=earlier)
    assert bytes_of(tmp_path) == before

    export_proxy(trained_house.workspace, "raw/seed1", to=earlier, overwrite=True)
    assert "# Proxy raw/seed1/lr1\n" in (earlier / "README.md").read_text()


def test_damaged_weights_are_named_and_nothing_is_written(trained_house: House, tmp_path: Path):
    import shutil

    from pipeline.store.workspace import Workspace

    copy = Workspace(Path(shutil.copytree(trained_house.workspace.root, tmp_path / "copy")))
    weights = find_lane(copy, "raw/seed0").folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    with pytest.raises(DataError, match=r"weights\.safetensors: differs from what"):
        export_proxy(copy, "raw/seed0", to=tmp_path / "proxy")
    assert not (tmp_path / "proxy").exists()
