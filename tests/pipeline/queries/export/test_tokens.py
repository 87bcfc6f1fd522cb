"""A mixture as a training run reads it: the tokens of its own tokenizer, in the layouts that trainers know."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import cli
from pipeline.core.errors import RecipeError
from pipeline.queries.export.export import export_named
from tests.pipeline.house import House
from tests.pipeline.queries.export.exporting import bytes_of, furnish, rows_of, shards_of
from tests.pipeline.queries.export.tokenizing import (
    END,
    READERS,
    STRAY,
    about,
    hugging_face_file,
    large_file,
    numpy_documents,
    sentencepiece_model,
    told,
)

BUDGET = 12_000
MANY = 16_000  # by the recipe's tokenizer; beyond, a cap binds
SPOOF = f"an end {END} or {STRAY} or </s> or <s> that is text"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("tokens"))
    lines = [{"id": "list", "text": "a word " * 4000}, {"id": "spoof", "text": SPOOF}, {"id": "hat", "text": "\u00e9"}]
    house.lines("pages-9.jsonl", lines)
    return furnish(house)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return {
        "sentencepiece": sentencepiece_model(folder / "own.model"),
        "tokenizers": hugging_face_file(folder / "tokenizer.json"),
    }


def export(house: House, to: str, tokenizer: Path, *, name: str = "both", **more: Any) -> Path:
    more = {"shard_bytes": 10_000} | more
    return Path(export_named(house.workspace, name, to=house.folder / to, tokenizer=tokenizer, **more).folder)


def plain_tokens(library: str, path: Path, texts: list[str]) -> list[list[int]]:
    """Return what a plain loop over the library gives, EOS last."""
    if library == "sentencepiece":
        import sentencepiece

        processor: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return [[*processor.encode(text), processor.eos_id()] for text in texts]
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    end = tokenizer.token_to_id(END)
    return [[*tokenizer.encode(text, add_special_tokens=False).ids, end] for text in texts]


@pytest.mark.parametrize("library", ["sentencepiece", "tokenizers"])
@pytest.mark.parametrize("format", list(READERS))
def test_an_export_of_tokens_holds_the_documents_of_one_of_texts_in_their_order(
    mixed: House, files: dict[str, Path], library: str, format: str
) -> None:
    texts = rows_of(mixed.folder / "texts") if (mixed.folder / "texts").exists() else rows_of(as_texts(mixed))
    folder = export(mixed, f"{library}-{format}", files[library], tokens=BUDGET, format=format)

    found, rows = READERS[format](folder), about(folder)
    count = len(found)
    assert 20 < count == len(rows) < len(texts)
    keys = ("id", "source", "origin", "dataset", "epoch")
    assert [[row[key] for key in keys] for row in rows] == [[row[key] for key in keys] for row in texts[:count]]
    assert found == plain_tokens(library, files[library], [row["text"] for row in texts[:count]])
    assert [row["tokens"] for row in rows] == [len(tokens) for tokens in found]
    assert len(list((folder / "documents").iterdir())) > 2


def as_texts(house: House) -> Path:
    return Path(export_named(house.workspace, "both", to=house.folder / "texts", tokens=MANY).folder)


def test_the_budget_is_of_written_tokens_and_the_last_document_reaches_it(mixed: House, files: dict[str, Path]) -> None:
    folder = export(mixed, "budget", files["tokenizers"], tokens=BUDGET)

    sizes = [len(tokens) for tokens in numpy_documents(folder)]
    assert sum(sizes) >= BUDGET > sum(sizes[:-1])
    marker = json.loads((folder / "tamis.json").read_text())["exported"]
    assert marker["written_tokens"] == sum(sizes) == told(folder)["tokens"]
    assert sum(share["written_tokens"] for share in marker["shares"]) == sum(sizes)
    assert {share["dataset"]: share["realised"] for share in marker["shares"]}["web"] == pytest.approx(0.75, abs=0.03)


def test_without_a_budget_the_documents_are_all_that_an_export_of_texts_has(
    mixed: House, files: dict[str, Path]
) -> None:
    texts = Path(export_named(mixed.workspace, "both", to=mixed.folder / "all texts").folder)
    folder = export(mixed, "all", files["sentencepiece"])

    assert [(row["dataset"], row["epoch"], row["id"]) for row in about(folder)] == [
        (row["dataset"], row["epoch"], row["id"]) for row in rows_of(texts)
    ]


def test_a_budget_beyond_a_cap_is_filled_by_the_others_within_their_epochs(
    mixed: House, files: dict[str, Path]
) -> None:
    folder = export(mixed, "capped", files["sentencepiece"], tokens=60_000)

    shares = {s["dataset"]: s for s in json.loads((folder / "tamis.json").read_text())["exported"]["shares"]}
    assert shares["raw"]["capped"] and shares["raw"]["epochs"] == pytest.approx(2.5, abs=0.06)
    assert told(folder)["tokens"] >= 60_000


def test_more_tokens_than_there_are_says_how_many_by_dataset_and_that_many_can_be_had(
    mixed: House, files: dict[str, Path]
) -> None:
    with pytest.raises(RecipeError, match=r"--tokens 90000000: both has (\d+) tokens of this tokenizer") as caught:
        export(mixed, "much", files["tokenizers"], tokens=90_000_000)

    most = int(str(caught.value).partition("Ask for ")[2].partition(",")[0])
    (note,) = caught.value.__notes__
    assert "Tokens of each dataset x max_epochs: raw " in note and "; web " in note and " x 2.5 = " in note
    assert not [path.name for path in mixed.folder.iterdir() if "much" in path.name]
    assert told(export(mixed, "all there are", files["tokenizers"], tokens=most))["tokens"] == most


def test_what_looks_like_a_special_token_in_a_text_ends_no_document(mixed: House, files: dict[str, Path]) -> None:
    from tokenizers import Tokenizer

    folder = export(mixed, "spoofed", files["tokenizers"], name="web")

    documents = numpy_documents(folder)
    (place,) = [place for place, row in enumerate(about(folder)) if row["id"] == "spoof"]
    end = told(folder)["eos"][1]
    assert all(tokens[-1] == end and end not in tokens[:-1] for tokens in documents)
    reader: Any = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    assert reader.decode(documents[place][:-1]) == SPOOF


def test_a_document_that_the_mixture_cuts_is_cut_before_it_is_tokenised(mixed: House, files: dict[str, Path]) -> None:
    texts = Path(export_named(mixed.workspace, "both", to=mixed.folder / "cut texts", tokens=50_000).folder)
    folder = export(mixed, "cut", files["tokenizers"], tokens=60_000)

    cut = {row["id"]: row["text"] for row in rows_of(texts)}["list"]
    sizes = {row["id"]: row["tokens"] for row in about(folder)}
    assert len(cut) < 20_000
    assert sizes["list"] == len(plain_tokens("tokenizers", files["tokenizers"], [cut])[0])


def test_another_tokenizer_to_the_same_place_gives_its_own_tokens(mixed: House, files: dict[str, Path]) -> None:
    """Workers read a copy that lies where the first one's lay."""
    other = files["tokenizers"].with_name("other.json")
    hugging_face_file(other, special=(STRAY, END, "<|more|>"))
    export(mixed, "replaced", files["tokenizers"], tokens=2000)

    folder = export(mixed, "replaced", other, tokens=2000, overwrite=True)

    assert told(folder)["eos"] == [END, 1]
    expected = numpy_documents(export(mixed, "fresh", other, tokens=2000))
    assert numpy_documents(folder) == expected
    assert READERS["numpy"](folder)[0][0] == plain_tokens("tokenizers", other, [first_text(mixed, folder)])[0][0]


def first_text(house: House, folder: Path) -> str:
    row = about(folder)[0]
    return next(str(each["text"]) for each in house.documents(row["dataset"]) if each["id"] == row["id"])


def test_bos_begins_every_document_if_it_is_asked_for(mixed: House, files: dict[str, Path]) -> None:
    with_bos = export(mixed, "bos", files["sentencepiece"], tokens=4000, bos="<s>", eos="</s>")

    documents, said = numpy_documents(with_bos), told(with_bos)
    assert said["bos"] == ["<s>", 1] and said["eos"] == ["</s>", 2]
    assert all(tokens[0] == 1 and tokens[-1] == 2 for tokens in documents)
    card = (with_bos / "README.md").read_text()
    assert "- Every document ends with " in card and "(2), begins with " in card


@pytest.mark.parametrize(
    ("size", "format", "dtype"),
    [(65_536, "numpy", "uint16"), (65_537, "numpy", "uint32"), (65_537, "mds", "uint32"),
     (65_499, "megatron", "uint16"), (65_500, "megatron", "int32")],
)  # fmt: skip
def test_tokens_take_the_smallest_numbers_that_hold_the_vocabulary_and_that_the_reader_knows(
    mixed: House, tmp_path: Path, size: int, format: str, dtype: str
) -> None:
    tokenizer = large_file(tmp_path / "large.json", size=size)

    folder = export(mixed, f"large-{size}-{format}", tokenizer, name="dataset/raw", format=format)

    assert told(folder)["dtype"] == dtype
    assert max(max(tokens) for tokens in READERS[format](folder)) == size - 1


def test_a_dataset_is_tokenised_whole_in_its_order(mixed: House, files: dict[str, Path]) -> None:
    folder = export(mixed, "dataset", files["sentencepiece"], name="dataset/raw")

    documents = mixed.documents("raw")
    assert [row["id"] for row in about(folder)] == [row["id"] for row in documents]
    expected = plain_tokens("sentencepiece", files["sentencepiece"], [row["text"] for row in documents])
    assert numpy_documents(folder) == expected


def test_workers_do_not_show_in_tokens(mixed: House, files: dict[str, Path]) -> None:
    one = export(mixed, "one", files["tokenizers"], tokens=BUDGET)
    many = export(mixed, "many", files["tokenizers"], tokens=BUDGET, workers=2)

    assert bytes_of(one) == bytes_of(many)


def test_the_evidence_and_the_tokenizer_lie_beside_the_tokens(mixed: House, files: dict[str, Path]) -> None:
    folder = export(mixed, "beside", files["sentencepiece"], tokens=4000)

    card = (folder / "README.md").read_text()
    assert (folder / "tokenizer" / "tokenizer.model").read_bytes() == files["sentencepiece"].read_bytes()
    assert told(folder)["blake3"] in card and "No gate has judged it." in card
    assert {"source", "dataset", "mixture", "tokenizer"} <= {p.name.split("-")[0] for p in (folder / "cards").iterdir()}
    listed = {file["file"] for file in json.loads((folder / "tamis.json").read_text())["files"]}
    assert listed | {"tamis.json"} == set(bytes_of(folder))


def test_tokens_of_a_tokenizer_are_counted_once(mixed: House, files: dict[str, Path]) -> None:
    export(mixed, "counted", files["sentencepiece"], tokens=4000)
    before = {path: path.stat().st_mtime_ns for path in mixed.workspace.root.glob("counted/*/*")}

    export(mixed, "counted again", files["sentencepiece"], tokens=5000, format="megatron")

    assert before == {path: path.stat().st_mtime_ns for path in mixed.workspace.root.glob("counted/*/*")}


def test_megatrons_own_reader_reads_it(mixed: House, files: dict[str, Path]) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset", reason="pip install megatron-core")
    folder = export(mixed, "for megatron", files["tokenizers"], tokens=BUDGET, format="megatron")

    sets = [indexed.IndexedDataset(str(path.with_suffix(""))) for path in sorted((folder / "data").glob("*.idx"))]
    found = [each[number].tolist() for each in sets for number in range(len(each))]
    assert found == READERS["megatron"](folder)
    assert [row["tokens"] for row in about(folder)] == [len(tokens) for tokens in found]
    assert all(len(each.document_indices) == len(each) + 1 for each in sets)


def test_mosaics_own_reader_reads_it_and_its_writer_writes_the_same(
    mixed: House, files: dict[str, Path], tmp_path: Path
) -> None:
    streaming = pytest.importorskip("streaming", reason="pip install mosaicml-streaming")
    folder = export(mixed, "for mosaic", files["tokenizers"], tokens=BUDGET, format="mds")

    local = streaming.LocalDataset(str(folder / "data"))
    found = [local[number]["tokens"].tolist() for number in range(len(local))]
    assert found == READERS["mds"](folder)
    first, samples = (
        shards_of(folder)[0],
        json.loads((folder / "data" / "index.json").read_bytes())["shards"][0]["samples"],
    )
    with streaming.MDSWriter(out=str(tmp_path), columns={"tokens": "ndarray:uint16"}, size_limit=None) as writer:
        for tokens in found[:samples]:
            writer.write({"tokens": np.array(tokens, np.uint16)})
    assert (tmp_path / "shard.00000.mds").read_bytes() == first.read_bytes()


def test_load_dataset_reads_which_documents_the_tokens_are(mixed: House, files: dict[str, Path]) -> None:
    import datasets

    folder = export(mixed, "for datasets", files["tokenizers"], tokens=4000)

    read = datasets.load_dataset(str(folder), cache_dir=str(mixed.folder / "cache"))["train"]
    assert read.to_list() == about(folder)
    assert sum(read["tokens"]) == told(folder)["tokens"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"format": "numpy"}, r"--format numpy: holds tokens, which need a tokenizer. Give --tokenizer FILE"),
        ({"format": "npy"}, r"--format npy: it must be one of parquet, jsonl.zst, numpy, megatron, mds"),
        ({"format": "parquet", "tokenizer": "own"}, r"parquet holds texts, which no tokenizer changes"),
        ({"eos": "</s>"}, r"--eos </s>: names a token of --tokenizer, which is not given"),
        ({"tokenizer": "none.json"}, r"none.json: cannot be read \(No such file or directory\)"),
        ({"tokenizer": "words.json"}, r"words.json: is no Hugging Face tokenizer \("),
        ({"tokenizer": "notes.txt"}, r"notes.txt: is no sentencepiece model \("),
        ({"tokenizer": "empty"}, r"empty: is no sentencepiece model \(it is empty\)"),
        ({"tokenizer": "no end.json"}, r"has no token that is known to end a text, .* such as one of <\|im_end\|>"),
        ({"tokenizer": "no end.model"}, r"has no token that is known to end a text, .* such as one of <s>"),
        ({"tokenizer": "two.json"}, r"has several tokens that may end a text, .* such as one of <eos>, </s>"),
        ({"tokenizer": "own", "eos": "<|endoftxt|>"}, r"--eos <\|endoftxt\|>: is no token of .* mean <\|endoftext\|>"),
        ({"tokenizer": "own", "bos": "<s>"}, r"--bos <s>: is no token of "),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused_with_a_way_out(
    mixed: House, files: dict[str, Path], tmp_path: Path, more: dict[str, Any], says: str
) -> None:
    (tmp_path / "words.json").write_text('{"the": 1}')
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "empty").write_bytes(b"")
    hugging_face_file(tmp_path / "no end.json", special=(STRAY,))
    hugging_face_file(tmp_path / "two.json", special=("<eos>", "</s>"))
    sentencepiece_model(tmp_path / "no end.model", eos_id=-1)
    if "tokenizer" in more:
        more = more | {"tokenizer": files["tokenizers"] if more["tokenizer"] == "own" else tmp_path / more["tokenizer"]}

    with pytest.raises(RecipeError, match=says):
        export_named(mixed.workspace, "both", to=mixed.folder / "refused", **more)
    assert not (mixed.folder / "refused").exists()


def test_the_end_of_a_text_is_what_the_config_beside_a_tokenizer_says(mixed: House, tmp_path: Path) -> None:
    tokenizer = hugging_face_file(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": STRAY}}))

    folder = export(mixed, "configured", tokenizer, tokens=1000)

    assert told(folder)["eos"] == [STRAY, 1]


def test_the_command_line_writes_tokens_and_says_how_many(
    mixed: House, files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)
    command = ["export", "both", "--to", "said", "--tokens", "4k", "--tokenizer", str(files["tokenizers"]),
               "--format", "megatron", "--workers", "1"]  # fmt: skip
    monkeypatch.chdir(mixed.folder)
    monkeypatch.setattr(sys, "argv", ["tamis", *command])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    said = capsys.readouterr().out
    count = told(mixed.folder / "said")["tokens"]
    assert ended.value.code == 0 and 4000 <= count < 4500
    assert f"tokens {count:,}, files 1" in said and " of those written (" in said


def test_a_library_that_is_not_installed_is_named_with_the_extra(
    mixed: House, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(
        RecipeError, match=r"is read by `tokenizers`, which is not installed. Run pip install -e '.\[tok"
    ):
        export(mixed, "absent", files["tokenizers"])


def test_a_folder_that_holds_something_else_is_refused(mixed: House, files: dict[str, Path]) -> None:
    (mixed.folder / "mine").mkdir()
    (mixed.folder / "mine" / "notes").write_text("mine")

    with pytest.raises(RecipeError, match="holds something that is not an export of Tamis"):
        export(mixed, "mine", files["tokenizers"], tokens=1000)
