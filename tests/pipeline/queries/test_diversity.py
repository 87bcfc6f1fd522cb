"""How diverse stored datasets are: a planted template in one style is told, and nothing else is."""

from __future__ import annotations

import json

import pytest

from pipeline.commands.diversity import diversity_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.diversity import diversity
from tests.pipeline.house import House, write_lines
from tests.synth.diversity.real import halves, one_template


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Real text as one dataset, and as another: real text of the same kind among rows of one template."""
    house = House(tmp_path_factory.mktemp("diversity"))
    real, other = halves(0)
    planted = set(one_template(400, seed=1))
    made = [
        {"id": f"m{row}", "text": text, "style": "bad" if text in planted else "good"}
        for row, text in enumerate(other + sorted(planted))
    ]
    write_lines(house.folder / "real.jsonl", [{"id": f"r{row}", "text": text} for row, text in enumerate(real)])
    write_lines(house.folder / "made.jsonl", made)
    house.write(
        "sources:\n  real_text: {read: jsonl, path: DIR/real.jsonl, id: id}\n"
        "  made_text: {read: jsonl, path: DIR/made.jsonl, id: id, metadata: [style]}\n"
        "datasets:\n  real: {from: real_text}\n  made: {from: made_text}\n"
    )
    house.run()
    return house


def test_the_template_among_real_texts_is_told_by_its_group(house: House) -> None:
    found = diversity(house.workspace, "made", against="real", by=["style"])
    told = diversity_text(found)

    styles = json.loads(json.dumps(found))["groups"]["style"]
    assert styles["good"]["weight"] == 1 and styles["bad"]["weight"] < 1
    assert styles["bad"]["stray"]["openings"] > 1 > styles["good"]["stray"]["openings"]
    assert "724 of 724 documents" in told and "at least" in told
    assert told.index("bad ") < told.index("good ") and "nothing" in told


def test_without_another_dataset_half_of_its_own_documents_are_the_band(house: House) -> None:
    found = diversity(house.workspace, "real")

    assert found["against"] is None and found["read"] == 243 and found["real_documents"] == 243
    assert max(found["groups"]["all"]["all"]["stray"].values()) < 1


def test_what_cannot_be_told_is_refused_with_a_way_out(house: House) -> None:
    with pytest.raises(RecipeError, match=r"--by stile: no document has it.*style"):
        diversity(house.workspace, "made", against="real", by=["stile"])
    with pytest.raises(DataError, match="a band needs 120"):
        diversity(house.workspace, "made", against="real", count=100)
    with pytest.raises(RecipeError, match="itself"):
        diversity(house.workspace, "made", against="made")
