"""Documents that stand elsewhere word for word are found by runs of 32 tokens."""

from __future__ import annotations

import numpy as np

from eval.doctor.overlap import RUN, documents_met, repeated_share, run_hashes, share_met
from eval.proxies.packing import Tokens
from pipeline.core.rng import generator


def documents(*lengths: int, seed: int = 0) -> Tokens:
    flat = generator(seed, "overlap").integers(2, 2_000, sum(lengths)).astype(np.uint16)
    return Tokens(flat, np.cumsum([0, *lengths]).astype(np.int64))


def test_two_runs_have_one_hash_if_and_only_if_they_are_the_same() -> None:
    stream = documents(500).flat
    twice = np.concatenate([stream, stream])

    hashes = run_hashes(twice)

    assert len(hashes) == len(twice) - RUN + 1
    assert np.array_equal(hashes[:400], hashes[500:900]) and len(np.unique(hashes[:500])) == 500
    assert len(run_hashes(stream[: RUN - 1])) == 0


def test_a_document_is_met_where_its_middle_and_its_end_are() -> None:
    held_out = documents(100, 80, 60, 20)
    others = documents(4_000, seed=1).flat
    whole, head_alone = held_out.flat[:100], held_out.flat[100:140]

    met = documents_met(held_out, np.concatenate([others[:77], whole, others[77:], head_alone]))

    assert met.tolist() == [True, False, False, False]
    assert share_met(held_out, met) == 1 / 3  # the last is too short to be looked for


def test_a_stream_longer_than_what_is_hashed_at_once_is_searched_over_its_seams(monkeypatch) -> None:
    monkeypatch.setattr("eval.doctor.overlap.AT_ONCE", 64)
    held_out = documents(100)

    assert documents_met(held_out, np.concatenate([documents(990, seed=1).flat, held_out.flat])).all()


def test_documents_that_stand_twice_are_counted_by_their_tokens() -> None:
    once = documents(100, 200)
    twice = Tokens(np.concatenate([once.flat, once.flat[:100]]), np.array([0, 100, 300, 400]))

    assert repeated_share(once) == 0 and repeated_share(twice) == 0.5
