"""A training run's own tokenizer, a sentencepiece model or a Hugging Face `tokenizer.json`, and texts to its tokens.

Every document ends with EOS, so that two of them never touch, and begins with BOS if that is asked for; nothing else is
added. Text is only text: what looks like a special token in it (`</s>` on a web page) becomes ordinary tokens, where a
tokenizer by itself would let a document end itself. Truncation and padding that a `tokenizer.json` asks for are off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from pipeline.core.errors import RecipeError, nearest_names

SENTENCEPIECE, TOKENIZERS = "sentencepiece", "tokenizers"
FILES = {SENTENCEPIECE: "tokenizer/tokenizer.model", TOKENIZERS: "tokenizer/tokenizer.json"}  # in the export
# Where Hugging Face keeps the name of EOS: beside tokenizer.json, which itself only has a list of special tokens.
CONFIGS = ("tokenizer_config.json", "special_tokens_map.json")
ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "<EOS>")  # names that mean EOS
INSTALLS = {SENTENCEPIECE: "sentencepiece", TOKENIZERS: "-e '.[tokens]'"}
MOST_UINT16 = 2**16


@dataclass(frozen=True, slots=True)
class Token:
    """One entry of a vocabulary."""

    piece: str
    number: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All that the tokens of an export depend on besides the texts, and where workers read the tokenizer."""

    library: str  # which reads the file
    library_version: str
    blake3: str  # of the file
    size: int  # every token is below
    eos: Token
    bos: Token | None
    path: Path

    @property
    def separators(self) -> int:
        """Tokens that a document has besides its text's."""
        return 1 if self.bos is None else 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned kind that holds every token, little-endian."""
        return np.dtype("<u2" if self.size <= MOST_UINT16 else "<u4")

    def described(self) -> dict[str, Any]:
        """Return what identifies it: all but where it lies."""
        bos = None if self.bos is None else [self.bos.piece, self.bos.number]
        return {
            "library": f"{self.library} {self.library_version}", "blake3": self.blake3, "vocabulary": self.size,
            "eos": [self.eos.piece, self.eos.number], "bos": bos,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of some texts, one after the other."""

    flat: np.ndarray  # uint32
    lengths: np.ndarray  # int64, of each text


class Encoder:
    """A loaded tokenizer."""

    def __init__(self, content: bytes, *, library: str) -> None:
        self._encode, self._number, self.pieces = _LOADERS[library](content)
        self.size = max(self.pieces.values()) + 1

    def encode(self, texts: list[str]) -> Encoded:
        """Return every text's tokens, none added."""
        found = self._encode(texts)
        lengths = np.fromiter((len(each) for each in found), np.int64, len(found))
        return Encoded(np.fromiter(chain.from_iterable(found), np.uint32, int(lengths.sum())), lengths)

    def token(self, piece: str) -> Token | None:
        """Return the token of that name, if there is one."""
        number = self._number(piece)
        return None if number is None else Token(piece, number)


Loaded = tuple[Callable[[list[str]], Sequence[Sequence[int]]], Callable[[str], int | None], dict[str, int]]


def _sentencepiece(content: bytes) -> Loaded:
    import sentencepiece

    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=content)
    pieces = {processor.id_to_piece(number): number for number in range(processor.vocab_size())}
    return (lambda texts: processor.encode(texts, out_type=int, num_threads=1)), pieces.get, pieces


def _tokenizers(content: bytes) -> Loaded:
    import tokenizers

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one worker, one core
    tokenizer: Any = tokenizers.Tokenizer.from_buffer(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # as text: see above

    def encode(texts: list[str]) -> list[list[int]]:
        return [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return encode, tokenizer.token_to_id, tokenizer.get_vocab(with_added_tokens=True)


_LOADERS: dict[str, Callable[[bytes], Loaded]] = {SENTENCEPIECE: _sentencepiece, TOKENIZERS: _tokenizers}


def encoder_of(vocabulary: Vocabulary) -> Encoder:
    """Return a tokenizer, read once per process."""
    return _encoder_at(vocabulary.path, vocabulary.library, vocabulary.blake3)


@lru_cache(maxsize=1)
def _encoder_at(path: Path, library: str, blake3: str) -> Encoder:
    """Return what lies at a path while it has that hash: the next export may put another there."""
    return Encoder(path.read_bytes(), library=library)


def tokens_of(texts: list[str], vocabulary: Vocabulary) -> Encoded:
    """Return the tokens of some documents, with what separates them."""
    plain = encoder_of(vocabulary).encode(texts)
    lengths = plain.lengths + vocabulary.separators
    ends = np.cumsum(lengths)
    flat = np.empty(int(ends[-1]) if len(ends) else 0, np.uint32)
    is_text = np.ones(len(flat), bool)
    flat[ends - 1] = vocabulary.eos.number
    is_text[ends - 1] = False
    if vocabulary.bos is not None:
        flat[ends - lengths] = vocabulary.bos.number
        is_text[ends - lengths] = False
    flat[is_text] = plain.flat
    return Encoded(flat, lengths)


@dataclass(frozen=True, slots=True)
class GivenTokenizer:
    """A tokenizer as the command line names it, read once."""

    content: bytes
    library: str
    vocabulary: Vocabulary  # which workers are to read from a copy: the file may change


def read_tokenizer(path: Path, *, eos: str | None, bos: str | None) -> GivenTokenizer:
    """Read a tokenizer and find what separates documents; RecipeError for a file or a name that it cannot be."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(
            f"--tokenizer {path}: cannot be read ({error.strerror}). Name a sentencepiece model or a tokenizer.json."
        ) from error
    library = TOKENIZERS if content.lstrip()[:1] == b"{" else SENTENCEPIECE
    encoder = _load(path, content, library)
    vocabulary = Vocabulary(
        library=library, library_version=version(library), blake3=blake3(content).hexdigest(), size=encoder.size,
        eos=_named(encoder, path, eos, flag="--eos") if eos is not None else _own_end(encoder, path, content, library),
        bos=_named(encoder, path, bos, flag="--bos") if bos is not None else None, path=path,
    )  # fmt: skip
    return GivenTokenizer(content, library, vocabulary)


def _load(path: Path, content: bytes, library: str) -> Encoder:
    try:
        if not content:
            raise ValueError("it is empty")
        return Encoder(content, library=library)
    except ImportError as error:
        raise RecipeError(
            f"--tokenizer {path}: is read by `{library}`, which is not installed. Run pip install {INSTALLS[library]}."
        ) from error
    except Exception as error:  # tokenizers raises no class of its own
        raise RecipeError(
            f"--tokenizer {path}: is no {_KINDS[library]} ({_first_line(error)}). "
            "Name a sentencepiece model or a Hugging Face tokenizer.json."
        ) from error


_KINDS = {SENTENCEPIECE: "sentencepiece model", TOKENIZERS: "Hugging Face tokenizer"}


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]


def _named(encoder: Encoder, path: Path, piece: str, *, flag: str) -> Token:
    found = encoder.token(piece)
    if found is None:
        raise RecipeError(
            f"{flag} {piece}: is no token of {path}. Did you mean {nearest_names(piece, encoder.pieces)}?"
        )
    return found


def _own_end(encoder: Encoder, path: Path, content: bytes, library: str) -> Token:
    """Return the token that a tokenizer itself ends a text with."""
    names = _ends_of_model(content) if library == SENTENCEPIECE else _ends_of_layout(encoder, path, content)
    found = [token for name in names if (token := encoder.token(name)) is not None]
    if len(found) == 1:
        return found[0]
    told = "several tokens that may end a text" if found else "no token that is known to end a text"
    listed = ", ".join([token.piece for token in found] or _special(content, library)[:8])
    raise RecipeError(
        f"--tokenizer {path}: has {told}, and one must stand between documents. Name it with --eos TOKEN"
        + (f", such as one of {listed}." if listed else ".")
    )


def _ends_of_model(content: bytes) -> list[str]:
    import sentencepiece

    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=content)
    return [processor.id_to_piece(processor.eos_id())] if processor.eos_id() >= 0 else []


def _ends_of_layout(encoder: Encoder, path: Path, content: bytes) -> list[str]:
    for name in CONFIGS:
        try:
            said = json.loads((path.parent / name).read_bytes()).get("eos_token")
        except (OSError, ValueError, AttributeError):
            continue
        said = said.get("content") if isinstance(said, dict) else said
        if isinstance(said, str) and encoder.token(said) is not None:
            return [said]
    return [name for name in _special(content, TOKENIZERS) if name in ENDS]


def _special(content: bytes, library: str) -> list[str]:
    """Return the names of the tokens that are no text."""
    if library == TOKENIZERS:
        return [each["content"] for each in json.loads(content).get("added_tokens", ()) if each.get("special")]
    import sentencepiece

    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=content)
    return [processor.id_to_piece(n) for n in range(processor.vocab_size()) if processor.is_control(n)]
