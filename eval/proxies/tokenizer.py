"""Text to tokens and back, byte for byte: sentencepiece BPE, trained once and frozen per comparison.

Nothing is normalised: no prefix space, no dropped or merged whitespace, tabs and newlines are pieces, digits stand
alone, and characters outside the vocabulary fall back to their UTF-8 bytes. Two characters that sentencepiece cannot
carry (NUL, and U+2581, which it uses for the space) are written as byte pieces here. A small vocabulary is right for
small proxies: RegMix's 50 k put 91 % of its compute into the head.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eval.proxies.packing import IGNORE, Tokens
from pipeline.core import rng
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.writing.durable import write_atomically

SAMPLE_CHUNKS = 8_000
CHUNK_CHARACTERS = 2_000  # of the training sample: at most 16 MB, trained in 1-2 s
SPAN_CHARACTERS = 32_768  # encoded at once: bounds sentencepiece's memory on a 50 MB line
UNCARRIED = re.compile("([\x00\u2581]+)")


class Tokenizer:
    """A frozen vocabulary; `bos` starts every document and is never part of an encoded text.

    `num_bytes` int64[vocab_size] is how many bytes of text a token stands for; `num_words` of the tokens are neither
    single bytes that stand in for what is unknown nor signs of control.
    """

    def __init__(self, model: bytes) -> None:
        import sentencepiece

        self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.vocab_size: int = self._processor.vocab_size()
        self.bos: int = self._processor.bos_id()
        self._bytes = [self._piece_bytes(i) for i in range(self.vocab_size)]
        self.num_bytes = np.array([len(piece) for piece in self._bytes])
        self.num_words = sum(not self._is_sign(i) for i in range(self.vocab_size))
        self._byte_ids = [self._processor.piece_to_id(f"<0x{value:02X}>") for value in range(256)]

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a model written by `train_tokenizer`."""
        try:
            return cls(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise DataError(f"{path}: not a readable tokenizer ({error}). Train it again.") from error

    def encode(self, texts: list[str]) -> Tokens:
        """Return the tokens of every text; the empty text has none."""
        spans = [list(_spans(text)) for text in texts]
        flat_spans = [span for parts in spans for span in parts]
        encoded = iter(self._processor.encode(flat_spans, out_type=int, num_threads=1))
        ids: list[int] = []
        offsets = np.zeros(len(texts) + 1, np.int64)
        for doc, parts in enumerate(spans):
            for part in parts:
                found = next(encoded)
                ids.extend([self._byte_ids[b] for b in part.encode()] if UNCARRIED.match(part) else found)
            offsets[doc + 1] = len(ids)
        return Tokens(flat=np.array(ids, np.uint16), offsets=offsets)

    def decode(self, ids: Iterable[int], *, errors: str = "strict") -> str:
        """Return the text of one document's tokens; `errors` as of `bytes.decode`, for what is no whole character."""
        return b"".join(self._bytes[i] for i in ids).decode(errors=errors)

    def _is_sign(self, token: int) -> bool:
        of = self._processor
        return bool(of.is_control(token) or of.is_unknown(token) or of.is_byte(token))

    def _piece_bytes(self, token: int) -> bytes:
        if self._processor.is_control(token) or self._processor.is_unknown(token):
            return b""
        piece = self._processor.id_to_piece(token)
        if self._processor.is_byte(token):
            return bytes([int(piece[3:5], 16)])
        return piece.replace("\u2581", " ").encode()


def train_tokenizer(texts: Iterable[str], *, path: Path, vocab_size: int, seed: int) -> Tokenizer:
    """Train on at most `SAMPLE_CHUNKS` chunks, drawn with `seed`, and write the model; the same bytes every time."""
    import sentencepiece

    if not 320 <= vocab_size < IGNORE:
        raise RecipeError(f"tokenizer: vocab_size is {vocab_size}; it must lie in 320..{IGNORE - 1} (256 are bytes).")
    sample = _sample(texts, seed=seed)
    if not sample:
        raise DataError("tokenizer: the texts are empty; at least one word is needed. Choose another source.")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=0.9995,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            user_defined_symbols=["\t"],
            max_sentence_length=4 * CHUNK_CHARACTERS,
            shuffle_input_sentence=False,
            num_threads=1,
            unk_id=0,
            bos_id=1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(f"tokenizer: sentencepiece could not train vocab_size {vocab_size}: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(model.getvalue()))
    return Tokenizer(model.getvalue())


def _spans(text: str) -> Iterator[str]:
    """Cut a text where sentencepiece cannot carry a character, and long stretches before a space."""
    for part in UNCARRIED.split(text):
        start = 0
        while start < len(part):
            end = min(start + SPAN_CHARACTERS, len(part))
            if end < len(part):
                end = max(part.rfind(" ", start + 1, end), start) if " " in part[start + 1 : end] else end
            yield part[start:end]
            start = end


def _sample(texts: Iterable[str], *, seed: int) -> list[str]:
    """Keep a uniform sample of chunks (reservoir), in the order they came."""
    draw = rng.generator(seed, "tokenizer")
    kept: list[tuple[int, str]] = []
    chunks = (text[i : i + CHUNK_CHARACTERS] for text in texts for i in range(0, len(text), CHUNK_CHARACTERS))
    for number, chunk in enumerate(chunk for chunk in chunks if chunk.strip("\x00\u2581 \n\t")):
        if len(kept) < SAMPLE_CHUNKS:
            kept.append((number, chunk.replace("\x00", "").replace("\u2581", "")))
        elif (slot := int(draw.integers(number + 1))) < SAMPLE_CHUNKS:
            kept[slot] = (number, chunk.replace("\x00", "").replace("\u2581", ""))
    return [chunk for _, chunk in sorted(kept)]
