from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eval.proxies.packing import IGNORE, Tokens, num_rows, read_rows
from tests.eval.streams import pack

BOS = 1
documents = st.lists(st.lists(st.integers(2, 63), max_size=40), max_size=12)


def as_tokens(docs: list[list[int]]) -> Tokens:
    offsets = np.cumsum([0, *map(len, docs)]).astype(np.int64)
    return Tokens(flat=np.array([t for doc in docs for t in doc], np.uint16), offsets=offsets)


@given(docs=documents, context=st.integers(1, 17))
def test_every_token_is_in_the_stream_once_after_its_bos(docs: list[list[int]], context: int) -> None:
    stream = pack(as_tokens(docs), bos=BOS, context=context)

    expected = [t for doc in docs for t in (BOS, *doc)]
    assert stream[stream != IGNORE].tolist() == expected
    assert (len(stream) - 1) % context == 0


@given(docs=documents, context=st.integers(1, 17))
def test_rows_predict_every_token_after_the_first_exactly_once(docs: list[list[int]], context: int) -> None:
    stream = pack(as_tokens(docs), bos=BOS, context=context)

    rows = read_rows(stream, np.arange(num_rows(stream, context=context)), context=context)

    targets = rows[:, 1:].ravel()
    assert targets[targets >= 0].tolist() == [t for doc in docs for t in (BOS, *doc)][1:]


def test_only_the_last_row_is_padded() -> None:
    stream = pack(as_tokens([[5] * 10, [6] * 7]), bos=BOS, context=8)

    rows = read_rows(stream, np.arange(3), context=8)

    assert (rows[:2] >= 0).all()
    assert (rows[2] < 0).sum() == 3 * 8 + 1 - (10 + 7 + 2)


def test_rows_are_read_in_any_order_from_a_memory_map(tmp_path) -> None:
    stream = pack(as_tokens([list(range(2, 60))]), bos=BOS, context=8)
    np.save(tmp_path / "stream.npy", stream)
    mapped = np.load(tmp_path / "stream.npy", mmap_mode="r")

    rows = read_rows(mapped, np.array([4, 1]), context=8)

    assert rows.tolist() == [list(range(4 * 8 + 1, 4 * 8 + 10)), list(range(9, 18))]
