"""A mixture as documents: its order, its shares, its epochs, its evidence; the same bytes however it was made."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from eval.proxies.tokenizer import Tokenizer
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.card import read_card
from pipeline.core.rng import derive, generator
from pipeline.queries.export.export import export_named
from pipeline.store.names.registry import promote, rollback
from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import bytes_of, furnish, rows_of, shards_of
from tests.pipeline.store.names.test_registry import evidence

BUDGET = 14_000


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> House:
    return furnish(House(tmp_path_factory.mktemp("mixing")))


def export(house: House, name: str, to: str, **more: Any) -> Path:
    return Path(export_named(house.workspace, name, to=house.folder / to, **more).folder)


@pytest.fixture(scope="module")
def exported(mixed: House) -> Path:
    return export(mixed, "both", "exported", tokens=BUDGET, shard_bytes=20_000)


def documents_in_order(house: House, *, total: int) -> list[tuple[str, int, str]]:
    """Return (dataset, epoch, id) by the definition: seeded orders, then fair queueing with exact fractions."""
    (model,) = house.workspace.root.glob("tokenizer/*/tokenizer.model")
    tokenizer, seed = Tokenizer.load(model), derive(11, "export")
    weights = {"raw": Fraction(1, 4), "web": Fraction(3, 4)}
    queues: dict[str, list[tuple[int, int, str]]] = {}
    for name in weights:
        rows = house.documents(name)
        sizes = [int(length) + 1 for length in (tokenizer.encode([row["text"]]).offsets[1] for row in rows)]
        queues[name] = [
            (sizes[index], epoch, rows[index]["id"])
            for epoch in range(3)
            for index in generator(seed, "mixture", name, epoch).permutation(len(rows))
        ]
    given, order = dict.fromkeys(weights, 0), []
    while sum(given.values()) < total:
        emitted = sum(given.values())
        eligible = [name for name in weights if given[name] <= weights[name] * emitted]
        name = min(eligible, key=lambda name: ((given[name] + queues[name][0][0]) / weights[name], name))
        size, epoch, document = queues[name].pop(0)
        given[name] += size
        order.append((name, epoch, document))
    return order


def test_documents_come_whole_in_the_order_of_the_mixture(mixed: House, exported: Path) -> None:
    rows = rows_of(exported)

    assert [(row["dataset"], row["epoch"], row["id"]) for row in rows] == documents_in_order(mixed, total=BUDGET)
    texts = {row["id"]: row["text"] for name in ("web", "raw") for row in mixed.documents(name)}
    assert all(row["text"] == texts[row["id"]] for row in rows)
    assert len(shards_of(exported)) > 3


def test_the_budget_is_reached_and_every_share_is_true_within_a_document(exported: Path) -> None:
    rows = rows_of(exported)

    total, longest = sum(row["num_tokens"] for row in rows), max(row["num_tokens"] for row in rows)
    assert BUDGET <= total < BUDGET + longest
    web = sum(row["num_tokens"] for row in rows if row["dataset"] == "web")
    assert abs(web - 0.75 * total) <= longest


def test_a_repeated_document_says_its_epoch_and_no_row_comes_twice(exported: Path) -> None:
    keys = Counter((row["dataset"], row["epoch"], row["id"]) for row in rows_of(exported))

    assert set(keys.values()) == {1}
    assert {epoch for dataset, epoch, _ in keys if dataset == "raw"} == {0, 1, 2}


def test_without_a_budget_there_is_as_much_as_keeps_the_shares_within_the_epochs(mixed: House) -> None:
    folder = export(mixed, "both", "most")

    told = json.loads((folder / "tamis.json").read_text())["exported"]
    shares = {share["dataset"]: share for share in told["shares"]}
    assert shares["raw"]["epochs"] == pytest.approx(2.5, abs=0.02) and shares["raw"]["capped"]
    assert shares["raw"]["realised"] == pytest.approx(0.25, abs=0.002)


def test_a_budget_beyond_a_cap_is_filled_by_the_others_and_said(mixed: House) -> None:
    folder = export(mixed, "both", "capped", tokens=40_000)

    shares = {
        share["dataset"]: share for share in json.loads((folder / "tamis.json").read_text())["exported"]["shares"]
    }
    assert shares["raw"]["realised"] < 0.22 and shares["raw"]["capped"] and not shares["web"]["capped"]
    assert (
        "raw gave all that the most epochs allow; the others give what was left." in (folder / "README.md").read_text()
    )


def test_a_budget_that_no_cap_can_fill_is_a_clear_error(mixed: House) -> None:
    with pytest.raises(RecipeError, match=r"90000000 tokens are asked for, but its datasets give \d+ within") as caught:
        export(mixed, "both", "much", tokens=90_000_000)

    assert "With the shares as its weights ask for them, both has" in caught.value.__notes__[0]
    assert not [path.name for path in mixed.folder.iterdir() if "much" in path.name]


def test_workers_do_not_show(mixed: House, exported: Path) -> None:
    folder = export(mixed, "both", "workers", tokens=BUDGET, shard_bytes=20_000, workers=3)

    assert bytes_of(folder) == bytes_of(exported)


def test_tokens_are_counted_once_for_all_exports(mixed: House, exported: Path) -> None:
    counted = {path: path.stat().st_mtime_ns for path in mixed.workspace.root.glob("counted/*/*")}

    export(mixed, "both", "again", tokens=1000)

    assert counted == {path: path.stat().st_mtime_ns for path in mixed.workspace.root.glob("counted/*/*")}
    assert {path.parent.name.split("-")[0] for path in counted} == {"web", "raw"}


def test_load_dataset_reads_a_mixture_as_parquet_and_as_json_lines(mixed: House, exported: Path) -> None:
    import datasets

    lines = export(mixed, "both", "lines", tokens=BUDGET, format="jsonl.zst", shard_bytes=20_000)

    cache = str(mixed.folder / "cache")
    one, other = (datasets.load_dataset(str(folder), cache_dir=cache)["train"] for folder in (exported, lines))
    assert all(path.name.endswith(".jsonl.zst") for path in shards_of(lines))
    assert one.features == other.features
    assert one.to_list() == other.to_list() == rows_of(exported)


def test_what_a_mixture_came_from_lies_beside_it(mixed: House, exported: Path) -> None:
    kinds = {path.name.split("-")[0] for path in (exported / "cards").iterdir()}

    assert {"source", "dataset", "mixture", "tokenizer"} <= kinds
    assert Tokenizer.load(exported / "tokenizer.model").vocab_size > 300
    assert "No gate has judged it." in (exported / "README.md").read_text()


def test_a_name_that_is_two_things_must_say_which(mixed: House) -> None:
    with pytest.raises(RecipeError, match=r"`raw` is a dataset and a mixture .* Say dataset/raw or mixture/raw"):
        export(mixed, "raw", "which")

    assert "epoch" in rows_of(export(mixed, "mixture/raw", "raw mixture", tokens=500))[0]
    assert "epoch" not in rows_of(export(mixed, "dataset/raw", "raw dataset"))[0]


def test_an_unknown_name_offers_the_nearest_of_all_kinds(mixed: House) -> None:
    with pytest.raises(RecipeError, match=r"`bothh` is not a dataset, mixture or promoted name .* Did you mean both"):
        export(mixed, "bothh", "unknown")


def test_a_budget_for_a_dataset_is_refused(mixed: House) -> None:
    with pytest.raises(RecipeError, match="--tokens 500: web is a dataset, which is exported whole"):
        export(mixed, "web", "budget", tokens=500)


def promoted(house: House, mixture: str, reason: str) -> int:
    found = house.workspace.mixture(mixture)
    assert found is not None
    return promote(
        house.workspace, "web-en", mixture=mixture, mixture_identity=found[1].identity,
        folder=str(found[0].relative_to(house.workspace.root)), parents={}, certificate=None, override=reason,
    ).version.version  # fmt: skip


def test_the_card_tells_lineage_mixture_and_certificate(mixed: House) -> None:
    found = mixed.workspace.mixture("both")
    assert found is not None
    promote(
        mixed.workspace, "judged", mixture="both", mixture_identity=found[1].identity,
        folder=str(found[0].relative_to(mixed.workspace.root)), parents={}, certificate=evidence(found[1].identity),
    )  # fmt: skip

    card = (export(mixed, "judged", "judged", tokens=2000) / "README.md").read_text()

    web = mixed.card("web")
    assert f"| dataset web | {web.identity[:12]} | {next(iter(web.parents))} | " in card
    assert card.index("## Lineage") < card.index("## Mixture") < card.index("## Certificate")
    assert "- Weights: raw=0.25, web=0.75" in card and "seed=" in card
    assert "promote\n- Compared: candidate candidate" in card
    assert "| 1 | overall | 1.5010 | 1.3951 |" in card


def test_a_registered_name_is_its_current_version_or_the_one_that_is_asked_for(mixed: House) -> None:
    assert (promoted(mixed, "raw", "a first try"), promoted(mixed, "both", "a better one")) == (1, 2)
    rollback(mixed.workspace, "web-en")

    now = export(mixed, "web-en", "now", tokens=2000)
    second = export(mixed, "web-en@2", "second", tokens=2000)

    assert {row["dataset"] for row in rows_of(now)} == {"raw"}
    assert {row["dataset"] for row in rows_of(second)} == {"raw", "web"}
    assert "promoted as web-en version 1 by override of the gate (a first try)" in (now / "README.md").read_text()
    assert "web-en version 2, no longer the current one" in (second / "README.md").read_text()
    said = json.loads((second / "version.json").read_text())
    assert (said["name"], said["version"], "user" in said) == ("web-en", 2, False)
    with pytest.raises(RecipeError, match="web-en has no version 7; it has 1, 2"):
        export(mixed, "web-en@7", "seventh")


def test_a_version_whose_mixture_is_gone_says_so(mixed: House, tmp_path: Path) -> None:
    workspace = mixed.workspace
    promote(
        workspace, "lost", mixture="m", mixture_identity="0" * 64, folder="mixture/m-000000000000", parents={},
        certificate=None, override="a test",
    )  # fmt: skip

    with pytest.raises(DataError, match="the mixture of lost version 1 is not there any more"):
        export(mixed, "lost", "lost")


def test_a_mixture_that_the_last_run_did_not_finish_is_no_older_one(house: House) -> None:
    furnish(house)
    folder, _ = house.workspace.mixture("both") or (None, None)
    assert folder is not None
    house.workspace.remember("mixture/both", folder.with_name("both-000000000000"))

    with pytest.raises(DataError, match="`mixture/both`: the last run that was to build it stopped before"):
        export(house, "both", "unfinished")
    assert len(rows_of(export(house, folder.name, "by folder", tokens=500))) > 5


def test_a_document_gives_no_more_than_its_mixture_lets_one_give(house: House) -> None:
    furnish(house)
    house.lines("pages-9.jsonl", [{"id": "list", "text": "a word " * 4000 + "\N{SNOWMAN}" * 900}])
    house.run()

    folder = export(house, "both", "cut", tokens=40_000)

    shares = {
        share["dataset"]: share for share in json.loads((folder / "tamis.json").read_text())["exported"]["shares"]
    }
    longest = shares["web"]["longest"]
    assert shares["web"]["cut_documents"] == 1 and shares["raw"]["cut_documents"] == 0
    row = next(row for row in rows_of(folder) if row["id"] == "list")
    whole = next(row["text"] for row in house.documents("web") if row["id"] == "list")
    assert row["num_tokens"] == longest < 3000
    assert whole.startswith(row["text"]) and 0 < len(row["text"]) < len(whole)
    (model,) = house.workspace.root.glob(f"tokenizer/{tokenizer_of(folder)}/tokenizer.model")
    assert abs(int(Tokenizer.load(model).encode([row["text"]]).offsets[1]) + 1 - longest) <= 3
    assert f"end after {longest:,} tokens: 1." in (folder / "README.md").read_text()


def test_a_document_ends_where_the_proxies_stopped_reading_it_also_where_they_read_a_part_of_the_dataset(
    house: House,
) -> None:
    furnish(house, pages=900)
    house.lines("pages-9.jsonl", [{"id": "list", "text": "a word " * 4000}])
    house.write(house.recipe.read_text().replace("max_epochs: 2.5", "max_epochs: 2.5, max_document_share: 0.2"))
    experiment = house.run().experiment
    assert experiment is not None

    folder = export(house, "both", "cut", tokens=200_000)

    judged = {share["dataset"]: share for share in read_card(experiment.mixtures["both"].folder).details["shares"]}
    told = {share["dataset"]: share for share in json.loads((folder / "tamis.json").read_text())["exported"]["shares"]}
    read = read_card(experiment.tokens["web"].folder).details
    assert read["documents"] < read["of_documents"] / 2
    assert {name: share["longest"] for name, share in told.items()} == {
        name: share["longest"] for name, share in judged.items()
    }
    assert {row["num_tokens"] for row in rows_of(folder) if row["id"] == "list"} == {judged["web"]["longest"]}


def tokenizer_of(folder: Path) -> str:
    (card,) = (folder / "cards").glob("tokenizer-*.json")
    return card.stem.removeprefix("tokenizer-")
