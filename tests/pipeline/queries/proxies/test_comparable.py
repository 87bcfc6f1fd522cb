"""What cannot be compared is refused with what would make it comparable; what broke is left out and named."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card, write_card
from pipeline.core.files.names import CARD
from pipeline.engine.progress import Silent
from pipeline.experiment.findings.judged import uncounted
from pipeline.plan.lanes import LaneName
from pipeline.queries.proxies.compare import compare
from tests.pipeline.house import House
from tests.pipeline.queries.several import LATER


@pytest.fixture
def copy(several_house: House, tmp_path: Path) -> House:
    house = House(tmp_path)
    shutil.copytree(several_house.workspace.root, house.workspace.root)
    for name in ("one.jsonl", "two.jsonl", "three.jsonl"):
        shutil.copy(several_house.folder / name, house.folder)
    house.write(LATER)
    return house


def lane_folder(house: House, mixture: str, seed: int) -> Path:
    identity = house.workspace.mixture(mixture)[1].identity
    return next(
        path
        for path in sorted((house.workspace.root / "lane").glob(f"t0-seed{seed}-lr1-*"))
        if read_card(path).payload["mixture"] == identity
    )


def scores_of(house: House, mixture: Path, held_out: str) -> list[Path]:
    """Return the scores of all proxies of a mixture on a held-out set."""
    cards = [read_card(path) for path in (house.workspace.root / "lane").glob("t0-*")]
    lanes = {card.identity for card in cards if card.payload["mixture"] == read_card(mixture).identity}
    folders = (house.workspace.root / "score").glob(f"{held_out}-*")
    return [path for path in folders if read_card(path).payload["lane"] in lanes]


def test_proxies_of_other_sizes_are_refused_with_all_that_differs(copy: House):
    older = copy.workspace.mixture("raw")[0].name
    copy.write(LATER.partition("gate:")[0].replace("tokens: 4k", "tokens: 8k"))
    copy.run()  # mixtures only

    with pytest.raises(
        RecipeError, match=rf"differ in the tokens of a proxy \({older}: 4,000, good: 8,000\)"
    ) as refused:
        compare(copy.workspace, [older, "good"])
    assert "Put both into one recipe" in str(refused.value) and "verdict: false" in str(refused.value)


def test_one_mixture_under_two_names_is_refused(copy: House):
    both = copy.workspace.mixture("both")[0].name

    with pytest.raises(RecipeError, match=f"both and {both} are one mixture"):
        compare(copy.workspace, ["both", both])
    with pytest.raises(RecipeError, match="raw is one mixture; a comparison is of two or more"):
        compare(copy.workspace, ["raw"])


def test_an_unknown_name_is_refused_with_the_nearest(copy: House):
    with pytest.raises(RecipeError, match=r"`goood` is not a mixture or promoted name in .*Did you mean good"):
        compare(copy.workspace, ["raw", "goood"])
    with pytest.raises(RecipeError, match=r"has no mixture `goood`\. Did you mean good"):
        compare(copy.workspace, ["raw", f"{copy.recipe}:goood"])


def test_a_mixture_without_proxies_or_scores_is_refused_with_the_command_that_makes_them(copy: House):
    shutil.rmtree(copy.workspace.root / "score")
    with pytest.raises(DataError, match=r"no proxy of raw was scored on held-out text\. Run the recipe `several`"):
        compare(copy.workspace, ["raw", "good"])

    shutil.rmtree(copy.workspace.root / "lane")
    with pytest.raises(
        DataError,
        match=re.escape(f"no proxy of raw is finished, so nothing is known of it. Run it: tamis run {copy.recipe}"),
    ):
        compare(copy.workspace, [str(copy.recipe)])


def test_a_mixture_of_a_recipe_that_was_not_run_is_refused(copy: House):
    copy.write(LATER.replace("raw: 1, good: 1", "raw: 1, good: 2"))

    with pytest.raises(DataError, match=r"mixture `both` is not built in .* Run it: tamis run "):
        compare(copy.workspace, [str(copy.recipe)])


def test_a_recipe_without_a_gate_is_refused(copy: House):
    copy.write(LATER.partition("gate:")[0])

    with pytest.raises(RecipeError, match=r"has no mixtures with a `gate:`"):
        compare(copy.workspace, [str(copy.recipe), "raw"])


def test_a_single_pair_is_refused(copy: House):
    for seed in (0, 2):
        (lane_folder(copy, "good", seed) / CARD).unlink()
    for path in (copy.workspace.root / "lane").glob("*-lr0.3-*"):
        (path / CARD).unlink()

    with pytest.raises(DataError, match="good and raw have fewer than 2 sound proxies each with the same seeds"):
        compare(copy.workspace, ["raw", "good"])


def test_a_proxy_that_did_not_train_soundly_is_left_out_with_its_pair_and_named(copy: House):
    folder = lane_folder(copy, "good", 1)
    card = read_card(folder)
    write_card(folder, replace(card, details={**card.details, "healthy": False, "findings": ["its loss rose"]}))

    (other,) = compare(copy.workspace, ["raw", "good"]).others

    assert other.seeds == (0, 2)
    assert other.left_out == ((str(LaneName("good", 1.0, 1)), "its loss rose"),)
    assert "good/seed1/lr1 did not train soundly and is left out with its pair: its loss rose." in other.notes


def test_a_set_that_not_all_were_scored_on_is_left_out_and_named(copy: House):
    for folder in scores_of(copy, copy.workspace.mixture("good")[0], "also"):
        shutil.rmtree(folder)

    found = compare(copy.workspace, ["raw", "good"])

    assert list(found.held_out) == ["held"] and found.not_compared == ("also (not scored by good)",)
    assert [gain.domain for gain in found.others[0].gains] == ["held"]
    assert list(compare(copy.workspace, ["raw", "both"]).held_out) == ["also", "held"]


def test_held_out_sets_of_one_name_and_other_documents_are_not_the_same(copy: House):
    (earlier,) = set(copy.workspace.complete("mixture", "both")) - {copy.workspace.mixture("both")[0]}
    for number, name in enumerate(("held", "also")):
        for folder in scores_of(copy, earlier, name):
            card = read_card(folder)
            write_card(folder, replace(card, payload={**card.payload, "held_out": str(number) * 64}))

    with pytest.raises(DataError, match=r"no held-out set was scored by proxies of all.* Put both into one recipe"):
        compare(copy.workspace, ["raw", earlier.name])


def test_a_sealed_part_stays_sealed_and_the_open_part_is_compared(copy: House):
    copy.write(LATER.replace("on: [held, also]", "on: [held, also], sealed: 0.4").replace("6k", "12k"))
    copy.run()

    found = compare(copy.workspace, ["raw", "good"])

    sealed = {read_card(path).payload["held_out"] for path in (copy.workspace.root / "score").glob("*.sealed-*")}
    open_ = {name: node.identity for name, node in copy.plan().experiment.tokens.items() if name in ("held", "also")}
    assert sealed and not sealed & set(found.held_out.values())
    assert dict(found.held_out) == dict(sorted(open_.items()))


def test_sets_of_which_other_lengths_were_read_are_compared_apart_and_the_rest_is_named(copy: House):
    for name, length in (("held", "12k"), ("also", "24k")):
        copy.write(LATER.replace("on: [held, also]", f"on: [{name}], sealed: 0.4").replace("6k", length))
        copy.run()

    found = compare(copy.workspace, ["raw", "good"])

    assert list(found.held_out) == ["also"]
    assert found.not_compared == ("held (not scored by the same proxies, or with another proxy.held_out_bytes)",)


def test_a_set_that_a_recipe_asks_for_and_nobody_scored_is_named_with_the_command(copy: House):
    fresh = "fresh: {from: three, steps: [length: {min_words: 1}]}"
    copy.write(LATER.replace("on: [held, also]", "on: [held, fresh]").replace("datasets: {", f"datasets: {{{fresh}, "))
    way_out = f"(asked for by {copy.recipe}, not scored yet: tamis run {copy.recipe})"

    assert compare(copy.workspace, [str(copy.recipe)]).not_compared == (f"fresh {way_out}",)

    copy.write(LATER.replace("held: {from: one}", "held: {from: one, steps: [length: {min_words: 61}]}"))
    found = compare(copy.workspace, [str(copy.recipe)])
    assert "held" in found.held_out and found.not_compared == (f"held as it is now {way_out}",)


def test_what_a_gate_judges_by_is_named_unless_it_is_sealed(copy: House):
    assert compare(copy.workspace, ["raw", "good"]).judged_too == ("also", "held")

    shutil.rmtree(copy.workspace.root / "certificate")
    assert compare(copy.workspace, ["raw", "good"]).unsealed == ""
    assert compare(copy.workspace, [str(copy.recipe)]).judged_too == ("also", "held")  # its gate will

    sealed = LATER.replace("on: [held, also]", "on: [held, also], sealed: 0.4").replace("6k", "12k")
    copy.write(sealed)
    assert compare(copy.workspace, ["raw", str(copy.recipe)]).judged_too == ("also", "held")  # the whole sets
    copy.run()
    found = compare(copy.workspace, ["raw", str(copy.recipe)])
    assert found.judged_too == () and found.unsealed == ""


def test_a_run_without_a_verdict_says_what_it_read_that_a_gate_judges_by(copy: House):
    def sentence(gate: str) -> str:
        recipe = LATER.partition("promote:")[0].replace("6k", "12k")
        copy.write(recipe.replace("on: [held, also]", f"on: [held, also], {gate}"))
        return run_recipe(copy.recipe, workspace=copy.workspace, workers=1, progress=Silent()).sentence

    shutil.rmtree(copy.workspace.root / "certificate")
    sentence("sealed: 0.4")
    assert sentence("sealed: 0.4, verdict: false") == "The gate asks for no verdict, so nothing was judged."
    assert sentence("verdict: false").endswith(f"so nothing was judged. {uncounted(['also', 'held'])}")
