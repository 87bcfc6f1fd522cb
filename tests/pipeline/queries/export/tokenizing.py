"""Tokenizers of a user's own, trained on a few words; and what an export of tokens holds, read by layout alone."""

from __future__ import annotations

import io
import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.files.parquet.shards import read_table
from tests.pipeline.queries.export.exporting import text_of

END, STRAY = "<|endoftext|>", "<|im_end|>"


def sentencepiece_model(path: Path, **more: Any) -> Path:
    """Write a sentencepiece model as its trainer makes it: with a dummy prefix, NFKC and `</s>`."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text_of(number, 100) for number in range(50)]), model_writer=model, model_type="bpe",
        vocab_size=300, byte_fallback=True, hard_vocab_limit=False, minloglevel=2, **more,
    )  # fmt: skip
    path.write_bytes(model.getvalue())
    return path


def hugging_face_file(path: Path, *, special: tuple[str, ...] = (END, STRAY)) -> Path:
    """Write a byte-level BPE as `tokenizer.json`, which pads, truncates and adds a token if it is let."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(special), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator([text_of(number, 100) for number in range(50)], trainer)
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], 0)]
        )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(path))
    return path


def large_file(path: Path, *, size: int) -> Path:
    """Write a vocabulary of so many words, most of which are in no text."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"</s>": 0, "[UNK]": 1, "of": size - 1} | {f"w{number}": number for number in range(2, size - 1)}
    tokenizer: Any = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(path))
    return path


def about(folder: Path) -> list[dict[str, Any]]:
    """Return which documents an export of tokens holds, in order."""
    return [row for path in sorted((folder / "documents").iterdir()) for row in read_table(path).to_pylist()]


def told(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "tokens.json").read_bytes())
    return content


def numpy_documents(folder: Path) -> list[list[int]]:
    """Read documents as a trainer with memory maps does."""
    found, dtype = [], told(folder)["dtype"]
    for path in sorted((folder / "data").glob("*.bin")):
        tokens = np.memmap(path, dtype=dtype, mode="r")
        offsets = np.load(path.with_suffix(".offsets.npy"))
        assert offsets[0] == 0 and offsets[-1] == len(tokens)
        found += [tokens[start:stop].tolist() for start, stop in pairwise(offsets)]
    return found


def megatron_documents(folder: Path) -> list[list[int]]:
    """Read `.idx` by its documented layout: header, version, dtype, counts, lengths, pointers, document indices."""
    found = []
    for path in sorted((folder / "data").glob("*.idx")):
        content, kinds = path.read_bytes(), {8: np.uint16, 4: np.int32}
        assert content[:9] == b"MMIDIDX\x00\x00"
        version, code, sequences, documents = struct.unpack_from("<QBQQ", content, 9)
        assert version == 1 and documents == sequences + 1
        lengths = np.frombuffer(content, "<i4", sequences, 34)
        pointers = np.frombuffer(content, "<i8", sequences, 34 + 4 * sequences)
        assert np.frombuffer(content, "<i8", documents, 34 + 12 * sequences).tolist() == list(range(documents))
        assert len(content) == 34 + 12 * sequences + 8 * documents
        tokens = path.with_suffix(".bin").read_bytes()
        found += [
            np.frombuffer(tokens, kinds[code], length, pointer).tolist()
            for pointer, length in zip(pointers.tolist(), lengths.tolist(), strict=True)
        ]
    return found


def mds_documents(folder: Path) -> list[list[int]]:
    """Read MDS by its layout: how many samples, where each lies, then of each its size, shape and values."""
    found = []
    index = json.loads((folder / "data" / "index.json").read_bytes())
    for shard in index["shards"]:
        content, (encoding,) = (folder / "data" / shard["raw_data"]["basename"]).read_bytes(), shard["column_encodings"]
        assert len(content) == shard["raw_data"]["bytes"] and shard["column_names"] == ["tokens"]
        (samples,) = struct.unpack_from("<I", content)
        assert samples == shard["samples"]
        offsets = np.frombuffer(content, "<u4", samples + 1, 4)
        for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            (size,) = struct.unpack_from("<I", content, start)
            assert size == stop - start - 4
            width = 1 << (content[start + 4] & 3)
            shape = int.from_bytes(content[start + 5 : start + 5 + width], "little")
            assert content[start + 4] >> 2 == 1
            found.append(np.frombuffer(content, encoding.removeprefix("ndarray:"), shape, start + 5 + width).tolist())
    return found


READERS = {"numpy": numpy_documents, "megatron": megatron_documents, "mds": mds_documents}
