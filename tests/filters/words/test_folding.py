from __future__ import annotations

import numpy as np

from filters.words.folding import LAST_TABULATED, _fold, fold_table


def test_the_table_says_of_every_character_what_asking_each_says() -> None:
    table = fold_table()

    found = table.folded[table.page].ravel()

    assert found.tolist() == [_fold(code) for code in range(len(found))]
    assert len(found) > LAST_TABULATED
    assert len(np.unique(table.folded, axis=0)) == len(table.folded)
